/* Real answers, as providers and common servers give them, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "route/classify.h"

struct row {
	const char *text; /* "550 5.1.1 no" */
	enum smtp_client_step step;
	const char *class;
	enum route_action action;
};

#define GREETING SMTP_CLIENT_AT_GREETING
#define HELO	 SMTP_CLIENT_AT_HELO
#define AUTH	 SMTP_CLIENT_AT_AUTH
#define MAIL	 SMTP_CLIENT_AT_MAIL
#define RCPT	 SMTP_CLIENT_AT_RCPT
#define DATA	 SMTP_CLIENT_AT_DATA
#define FINAL	 SMTP_CLIENT_AT_FINAL
#define IDLE	 SMTP_CLIENT_IDLE

/* clang-format off */
static const struct row rows[] = {
	/* greylisting */
	{ "450 4.2.0 <a@x>: Recipient address rejected: Greylisted, see http://postgrey.example/help", RCPT, "greylist", ROUTE_DEFER },
	{ "451 4.7.1 Greylisting in action, please come back in 00:05:00", RCPT, "greylist", ROUTE_DEFER },
	{ "451 4.7.1 Please try again later", RCPT, "greylist", ROUTE_DEFER },
	{ "450 4.7.1 Try again later", RCPT, "greylist", ROUTE_DEFER },
	{ "421 4.7.0 [GL01] Message from (192.0.2.1) temporarily deferred", MAIL, "greylist", ROUTE_DEFER },
	{ "450 4.0.0 try again in 300 seconds", RCPT, "greylist", ROUTE_DEFER },
	{ "550 5.7.1 You have been greylisted, retry in 5 minutes", RCPT, "greylist", ROUTE_DEFER },
	{ "451 4.0.0 GRAYLISTED", FINAL, "greylist", ROUTE_DEFER },
	/* rates and numbers */
	{ "421 4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP", FINAL, "rate-limit", ROUTE_DEFER_PAUSE },
	{ "421 4.7.0 Try again later, closing connection. (EHLO)", HELO, "rate-limit", ROUTE_DEFER_SLOW },
	{ "421 4.0.0 RP-001 The mail server IP connecting has exceeded the rate limit allowed.", GREETING, "rate-limit", ROUTE_DEFER_PAUSE },
	{ "451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)", MAIL, "rate-limit", ROUTE_DEFER_SLOW },
	{ "421 4.1.0 192.0.2.1 Throttled - see https://postmaster.example/errors#RL000010", GREETING, "rate-limit", ROUTE_DEFER_PAUSE },
	{ "550 5.7.1 rate limit exceeded, you have sent too many messages per hour", RCPT, "rate-limit", ROUTE_DEFER_SLOW },
	{ "550 5.0.0 Domain x has exceeded the max emails per hour (25/25 (100%)) allowed. Message discarded.", FINAL, "rate-limit", ROUTE_DEFER_SLOW },
	{ "452 4.5.3 #4.x.x Too many recipients received this hour", RCPT, "rate-limit", ROUTE_DEFER_SLOW },
	{ "421 4.7.0 too many connections from your address", GREETING, "connections", ROUTE_DEFER_SLOW },
	{ "554 5.7.0 Too many concurrent sessions", GREETING, "connections", ROUTE_DEFER_SLOW },
	{ "421 4.3.0 mwinf5c13 ME Trop de connexions, OFR004_104", GREETING, "connections", ROUTE_DEFER_SLOW },
	{ "452 4.5.3 Error: too many recipients", RCPT, "recipients", ROUTE_DEFER },
	{ "552 5.0.0 too many recipients", RCPT, "recipients", ROUTE_DEFER },
	{ "550 5.5.3 too many recipients", RCPT, "recipients", ROUTE_FAIL },
	{ "0 4.5.3 the next server takes no more recipients of one message at once", MAIL, "recipients", ROUTE_DEFER },
	{ "550 5.4.5 Daily user sending limit exceeded.", FINAL, "quota", ROUTE_DEFER_PAUSE },
	{ "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages", RCPT, "mailbox-busy", ROUTE_DEFER },
	{ "550 5.2.1 The user you are trying to contact is receiving mail at a rate that", RCPT, "mailbox-busy", ROUTE_DEFER },
	{ "450 4.2.1 Peak SMTP relay limit exceeded for customer. This is a temporary error.", MAIL, "quota", ROUTE_DEFER_PAUSE },
	{ "451 4.3.0 Multiple destination domains per transaction is unsupported. Please try again.", RCPT, "recipients", ROUTE_DEFER },
	{ "452 4.5.3 Domain policy size per transaction exceeded, please try this recipient in a separate transaction.", RCPT, "recipients", ROUTE_DEFER },
	{ "454 4.0.0 Throttling failure: Daily message quota exceeded.", FINAL, "quota", ROUTE_DEFER_PAUSE },
	{ "454 4.0.0 Throttling failure: Maximum sending rate exceeded.", FINAL, "rate-limit", ROUTE_DEFER_SLOW },
	{ "451 4.7.1 Ratelimit \"user\" exceeded", RCPT, "rate-limit", ROUTE_DEFER_SLOW },
	{ "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients", FINAL, "quota", ROUTE_DEFER_PAUSE },
	{ "432 4.3.2 Concurrent connections limit exceeded. Visit x", GREETING, "connections", ROUTE_DEFER_SLOW },
	{ "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Failed to process message", FINAL, "reputation", ROUTE_FAIL },
	/* reputation */
	{ "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", MAIL, "reputation", ROUTE_DEFER_PAUSE },
	{ "553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred", MAIL, "reputation", ROUTE_DEFER_PAUSE },
	{ "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. (S775)", MAIL, "reputation", ROUTE_DEFER_PAUSE },
	{ "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. part of their network is on our block list (S3140)", MAIL, "reputation", ROUTE_FAIL },
	{ "550 5.7.606 Access denied, banned sending IP [192.0.2.1]", RCPT, "reputation", ROUTE_FAIL },
	{ "550 5.0.0 SC-001 (BAY004) Unfortunately, messages from 192.0.2.1 weren't sent", MAIL, "reputation", ROUTE_FAIL },
	{ "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", RCPT, "reputation", ROUTE_FAIL },
	{ "554 5.7.1 Your access to this mail system has been rejected due to the sending MTA's poor reputation", GREETING, "reputation", ROUTE_DEFER_PAUSE },
	{ "554 5.7.1 you are listed at bl.spamcop.net", HELO, "reputation", ROUTE_DEFER_PAUSE },
	{ "550 5.7.1 csi.mimecast.org Poor Reputation Sender", RCPT, "reputation", ROUTE_FAIL },
	{ "554 5.0.0 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact x)", GREETING, "reputation", ROUTE_DEFER_PAUSE },
	{ "450 4.7.1 Client host [192.0.2.1] blocked using bl.example", RCPT, "reputation", ROUTE_DEFER_PAUSE },
	/* who we are */
	{ "550 5.7.26 Unauthenticated email from example.org is not accepted due to domain's DMARC policy", FINAL, "unverified", ROUTE_FAIL },
	{ "550 5.7.23 The message was rejected because of Sender Policy Framework violation", FINAL, "unverified", ROUTE_FAIL },
	{ "550 5.7.515 Access denied, sending domain x doesn't meet the required authentication level", FINAL, "unverified", ROUTE_FAIL },
	{ "554 5.7.9 Message not accepted for policy reasons.", FINAL, "unverified", ROUTE_FAIL },
	{ "421 4.7.27 Your email has been rate limited because SPF authentication didn't pass", FINAL, "rate-limit", ROUTE_DEFER_SLOW },
	{ "550 5.7.1 SPF check failed", MAIL, "unverified", ROUTE_FAIL },
	{ "550 5.7.25 The IP address sending this message does not have a PTR record", FINAL, "identity", ROUTE_FAIL },
	{ "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]", RCPT, "identity", ROUTE_DEFER_PAUSE },
	{ "504 5.5.2 <mx>: Helo command rejected: need fully-qualified hostname", RCPT, "identity", ROUTE_FAIL },
	{ "550 5.0.0 Reverse DNS does not match", HELO, "identity", ROUTE_DEFER_PAUSE },
	/* the mailbox */
	{ "452 4.2.2 The recipient's inbox is out of storage space", RCPT, "mailbox-full", ROUTE_DEFER },
	{ "552 5.2.2 Mailbox full", FINAL, "mailbox-full", ROUTE_FAIL },
	{ "552 5.0.0 user over quota", RCPT, "mailbox-full", ROUTE_FAIL },
	{ "554 5.0.0 Disk quota exceeded", FINAL, "mailbox-full", ROUTE_FAIL },
	{ "550 5.2.1 The email account that you tried to reach is disabled", RCPT, "mailbox-disabled", ROUTE_FAIL },
	{ "554 5.0.0 delivery error: dd Sorry your message cannot be delivered. This mailbox is disabled (554.30)", FINAL, "mailbox-disabled", ROUTE_FAIL },
	{ "450 4.0.0 mailbox temporarily locked", RCPT, "mailbox-busy", ROUTE_DEFER },
	{ "550 5.1.1 <a@x>: Recipient address rejected: User unknown in virtual mailbox table", RCPT, "no-such-user", ROUTE_FAIL },
	{ "550 5.1.1 The email account that you tried to reach does not exist. https://x/?p=NoSuchUser", RCPT, "no-such-user", ROUTE_FAIL },
	{ "550 5.4.1 Recipient address rejected: Access denied. [AM5]", RCPT, "no-such-user", ROUTE_FAIL },
	{ "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found", RCPT, "no-such-user", ROUTE_FAIL },
	{ "554 5.0.0 delivery error: dd This user doesn't have a yahoo.com account", FINAL, "no-such-user", ROUTE_FAIL },
	{ "550 5.0.0 Unrouteable address", RCPT, "no-such-user", ROUTE_FAIL },
	{ "550 5.0.0 no", RCPT, "no-such-user", ROUTE_FAIL },
	{ "450 4.1.1 <a@x>: Recipient address rejected: unverified address", RCPT, "no-such-user", ROUTE_DEFER },
	{ "0 5.1.10 the domain takes no mail (null MX)", IDLE, "no-such-domain", ROUTE_FAIL },
	{ "0 5.4.4 mx.example.org, the mail server of example.org, does not exist in the DNS", IDLE, "no-such-domain", ROUTE_FAIL },
	{ "550 5.4.4 Unable to route: no mail hosts for domain", RCPT, "no-such-domain", ROUTE_FAIL },
	{ "556 5.1.10 no mail here", RCPT, "no-such-domain", ROUTE_FAIL },
	{ "521 5.0.0 example.org does not accept mail", GREETING, "no-such-domain", ROUTE_FAIL },
	{ "553 5.1.8 Sender address rejected: Domain not found", MAIL, "sender", ROUTE_FAIL },
	{ "554 5.7.1 <a@x>: Relay access denied", RCPT, "relay-denied", ROUTE_FAIL },
	{ "550 5.7.1 Unable to relay", RCPT, "relay-denied", ROUTE_FAIL },
	{ "451 4.1.8 Domain of sender address a@example.org does not resolve", MAIL, "sender", ROUTE_DEFER },
	{ "553 5.1.8 <a@example.org>... Domain of sender address does not exist", MAIL, "sender", ROUTE_FAIL },
	{ "554 5.0.0 Message rejected: Email address is not verified. The following identities failed", FINAL, "sender", ROUTE_FAIL },
	{ "550 5.7.60 SMTP; Client does not have permissions to send as this sender", FINAL, "sender", ROUTE_FAIL },
	{ "450 4.1.2 <a@x>: Recipient address rejected: Domain not found", RCPT, "no-such-domain", ROUTE_DEFER },
	/* the message */
	{ "552 5.3.4 Message size exceeds fixed limit", MAIL, "size", ROUTE_FAIL },
	{ "552 5.0.0 message exceeds maximum size", FINAL, "size", ROUTE_FAIL },
	{ "0 5.3.4 the message is larger than the next server takes: 2 octets, not 1", MAIL, "size", ROUTE_FAIL },
	{ "552 5.7.0 This message was blocked because its content presents a potential security issue.", FINAL, "virus", ROUTE_FAIL },
	{ "554 5.7.1 Virus found: Eicar-Test-Signature", FINAL, "virus", ROUTE_FAIL },
	{ "550 5.7.1 Our system has detected that this message is likely unsolicited mail", FINAL, "content", ROUTE_FAIL },
	{ "554 5.7.1 This message has been identified as spam: spam score 12", FINAL, "content", ROUTE_FAIL },
	{ "554 5.0.0 Transaction failed", FINAL, "content", ROUTE_FAIL },
	{ "0 5.6.7 the address is not ASCII, and the next server lacks SMTPUTF8", MAIL, "lacks-feature", ROUTE_FAIL },
	{ "0 5.7.30 the message requires TLS all the way, and the next server lacks REQUIRETLS", MAIL, "lacks-feature", ROUTE_FAIL },
	{ "554 5.4.6 Too many hops", FINAL, "loop", ROUTE_FAIL },
	{ "550 5.0.0 mail loop detected", FINAL, "loop", ROUTE_FAIL },
	/* TLS and AUTH */
	{ "530 5.7.0 Must issue a STARTTLS command first", MAIL, "tls", ROUTE_FAIL },
	{ "421 4.7.29 TLS is required for this sender", FINAL, "tls", ROUTE_DEFER },
	{ "530 5.7.0 Authentication Required", MAIL, "auth", ROUTE_FAIL },
	{ "535 5.7.8 Username and Password not accepted", AUTH, "auth", ROUTE_DEFER_PAUSE },
	{ "534 5.7.9 Application-specific password required", AUTH, "auth", ROUTE_DEFER_PAUSE },
	{ "454 4.7.0 Too many login attempts, please try again later", AUTH, "rate-limit", ROUTE_DEFER_PAUSE },
	{ "454 4.7.0 Temporary authentication failure", AUTH, "system", ROUTE_DEFER_PAUSE },
	{ "0 4.7.4 TLS is required, and the server does not offer STARTTLS", HELO, "tls", ROUTE_DEFER },
	{ "421 4.7.0 TLS required for RCPT domain, closing connection.", RCPT, "tls", ROUTE_DEFER },
	{ "421 4.7.0 IP not in whitelist for RCPT domain, closing connection.", RCPT, "policy", ROUTE_DEFER },
	/* its own trouble, and what is left */
	{ "421 4.7.0 Temporary System Problem. Try again later.", FINAL, "system", ROUTE_DEFER_SLOW },
	{ "421 4.4.5 Server busy, try again later.", GREETING, "system", ROUTE_DEFER_SLOW },
	{ "451 4.5.0 SMTP protocol violation, see RFC 2821.", MAIL, "protocol", ROUTE_DEFER },
	{ "452 4.3.1 Insufficient system storage", MAIL, "system", ROUTE_DEFER_SLOW },
	{ "451 4.3.0 Temporary lookup failure", RCPT, "system", ROUTE_DEFER_SLOW },
	{ "421 4.3.2 Service not available, shutting down", IDLE, "system", ROUTE_DEFER_SLOW },
	{ "451 4.0.0 Requested action aborted: local error in processing", FINAL, "system", ROUTE_DEFER_SLOW },
	{ "502 5.5.1 Command not implemented", MAIL, "protocol", ROUTE_FAIL },
	{ "550 5.7.1 Message rejected by local policy", FINAL, "policy", ROUTE_FAIL },
	{ "554 5.7.1 no SMTP service here", GREETING, "policy", ROUTE_DEFER_PAUSE },
	{ "550 5.0.0 rejected, please try again later", FINAL, "other", ROUTE_DEFER },
	{ "0 4.4.1 cannot connect: connection refused", IDLE, "unreachable", ROUTE_DEFER },
	{ "0 4.4.1 connecting took too long", IDLE, "timeout", ROUTE_DEFER },
	{ "0 4.4.2 the server did not answer in time (at mail)", MAIL, "timeout", ROUTE_DEFER },
	{ "0 4.4.2 the server closed the connection", DATA, "connection-lost", ROUTE_DEFER },
	{ "0 4.4.3 the name servers do not answer", IDLE, "dns", ROUTE_DEFER },
	{ "450 4.0.0 ", MAIL, "mailbox-busy", ROUTE_DEFER },
	{ "571 5.0.0 ", DATA, "other", ROUTE_FAIL },
	{ "471 4.0.0 ", DATA, "other", ROUTE_DEFER },
};
/* clang-format on */

/* "0 4.4.1 text": no reply, our own words. */
static struct route_reply reply(const char *text, enum smtp_client_step step)
{
	struct slice s = slice_str(text);

	(void)cur_word(&s, SLICE_LIT("0 "));
	return route_reply_of(s, step);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct route_reply r = reply(rows[i].text, rows[i].step);
		struct route_meaning m = route_classify(&r, NULL, 0);

		if (strcmp(m.name, rows[i].class) != 0 || m.action != rows[i].action)
			fail_msg("%s\n  is %s, %s; expected %s, %s", rows[i].text, m.name,
				 route_action_name(m.action), rows[i].class,
				 route_action_name(rows[i].action));
		assert_true(strlen(m.what) > 10 && strlen(m.turn) > 3 && strlen(m.todo) > 3);
		assert_int_equal(m.pause_s > 0, m.action == ROUTE_DEFER_PAUSE);
	}
}

/* Users come first, in their order; what they leave out is that of the class. */
static void test_rules(void **state)
{
	static const struct route_rule rules[] = {
		{ 550, "5.7.1", "house rule*3", "content", ROUTE_FAIL, 0, "" },
		{ 550, "5.7.1", "house rule", "our-friends", ROUTE_DEFER_PAUSE, 0,
		  "They do this on Mondays." },
		{ 4, "4.7", "", "greylist", ROUTE_DEFER_PAUSE, 77, "" },
		{ 0, "", "|nothing|Voll bis oben", "mailbox-full", ROUTE_DEFER, 0, "" },
	};
	const struct {
		const char *text, *name, *what;
		enum route_class class;
		enum route_action action;
		uint32_t pause_s;
	} cases[] = {
		{ "550 5.7.1 HOUSE Rule number 3", "content", NULL, ROUTE_CLASS_CONTENT, ROUTE_FAIL, 0 },
		{ "550 5.7.1 House rule 4", "our-friends", "They do this on Mondays.", ROUTE_CLASS_OTHER,
		  ROUTE_DEFER_PAUSE, ROUTE_PAUSE_S },
		{ "550 5.7.10 House rule 4", "tls", NULL, ROUTE_CLASS_TLS, ROUTE_FAIL, 0 },
		{ "451 4.7.99 x", "greylist", NULL, ROUTE_CLASS_GREYLIST, ROUTE_DEFER_PAUSE, 77 },
		{ "451 4.71.1 x", "system", NULL, ROUTE_CLASS_SYSTEM, ROUTE_DEFER_SLOW, 0 },
		{ "550 5.0.0 alles voll bis oben", "mailbox-full", NULL, ROUTE_CLASS_MAILBOX_FULL,
		  ROUTE_DEFER, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct route_reply r = reply(cases[i].text, RCPT);
		struct route_meaning m = route_classify(&r, rules, sizeof(rules) / sizeof(rules[0]));

		assert_string_equal(m.name, cases[i].name);
		assert_int_equal(m.class, cases[i].class);
		assert_int_equal(m.action, cases[i].action);
		assert_int_equal(m.pause_s, cases[i].pause_s);
		if (cases[i].what)
			assert_string_equal(m.what, cases[i].what);
	}
}

static void test_patterns(void **state)
{
	const struct {
		const char *text, *pattern;
		bool yes;
	} cases[] = {
		{ "You sent too many mails this hour", "TOO MANY*hour", true },
		{ "hour too many", "too many*hour", false },
		{ "aab", "a*a*b", true },
		{ "ab", "a*a*b", false },
		{ "abc", "x|c", true },
		{ "abc", "", false },
		{ "abc", "|", false },
		{ "abc", "*", true }, /* anything at all */
		{ "", "a", false },
		{ "overlap", "over*erlap", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (route_text_matches(slice_str(cases[i].text), slice_str(cases[i].pattern)) != cases[i].yes)
			fail_msg("'%s' in '%s'", cases[i].pattern, cases[i].text);
}

/* A stranger's text: NUL, bytes beyond ASCII, longer than is looked at. */
static void test_hostile(void **state)
{
	static unsigned char text[100000];
	struct route_reply r = { 550, SLICE_LIT("5.9.9"), slice_of(text, sizeof(text)), FINAL };

	(void)state;
	memset(text, 0xff, sizeof(text));
	memcpy(text + 600, "greylist", 8);
	assert_string_equal(route_classify(&r, NULL, 0).name, "other");
	memset(text, 0, 100);
	memcpy(text + 100, "greylist", 8);
	assert_string_equal(route_classify(&r, NULL, 0).name, "greylist");
	r.step = SMTP_CLIENT_STEPS;
	assert_string_equal(route_classify(&r, NULL, 0).name, "greylist");
}

static void test_reply_of(void **state)
{
	struct route_reply r = route_reply_of(SLICE_LIT("550 5.1.1 no such user"), RCPT);

	(void)state;
	assert_int_equal(r.code, 550);
	assert_true(slice_eq(r.enhanced, SLICE_LIT("5.1.1")));
	assert_true(slice_eq(r.text, SLICE_LIT("no such user")));
	r = route_reply_of(SLICE_LIT("5 apples"), RCPT);
	assert_int_equal(r.code, 0);
	assert_true(slice_eq(r.text, SLICE_LIT("5 apples")));
	r = route_reply_of(SLICE_LIT("4.4.1 x"), RCPT);
	assert_true(slice_eq(r.enhanced, SLICE_LIT("4.4.1")));
	r = route_reply_of(SLICE_LIT("421 192.0.2.1 x"), RCPT);
	assert_int_equal(r.code, 421);
	assert_int_equal(r.enhanced.n, 0);
	r = route_reply_of(SLICE_LIT(""), RCPT);
	assert_int_equal(r.code, 0);
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROUTE_CLASSES; i++) {
		enum route_class class;

		assert_true(route_class_parse(slice_str(route_class_name(i)), &class));
		assert_int_equal(class, i);
	}
	assert_string_equal(route_action_name(ROUTE_DEFER_PAUSE), "pause");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	 cmocka_unit_test(test_rules),
		cmocka_unit_test(test_patterns), cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_reply_of), cmocka_unit_test(test_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
