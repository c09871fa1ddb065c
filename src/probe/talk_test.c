/* What a look asks, and what it keeps: dialogues of real kinds of servers, a row each line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "probe/talk.h"

#define HELLO "EHLO here.test\r\n"

static struct probe_talk talk;
static struct probe_port port;

static void begin(struct probe_talk_setup setup)
{
	setup.helo = SLICE_LIT("here.test");
	setup.domain = SLICE_LIT("example.net");
	memset(&port, 0, sizeof(port));
	probe_talk_init(&talk, &setup, &port, 1000);
}

/* Pairs: what the server says, what is said to it then.  Whole, and octet by octet. */
static void play(const char *const *line, bool drip)
{
	uint64_t now = 1000;

	for (; line[0]; line += 2) {
		struct slice in = slice_str(line[0]);

		now += 10;
		if (!strcmp(line[0], "TLS")) {
			assert_int_equal(talk.want, PROBE_TALK_TLS);
			probe_talk_tls_started(&talk, now);
		} else {
			while (in.n > 0) {
				struct slice part = drip ? slice_head(in, 1) : in;

				assert_int_equal(probe_talk_feed(&talk, part, now), part.n);
				in = slice_tail(in, part.n);
			}
		}
		if (!slice_eq(probe_talk_output(&talk), slice_str(line[1])))
			fail_msg("to \"%s\" it says \"%.*s\"", line[0], SLICE_ARG(probe_talk_output(&talk)));
		probe_talk_sent(&talk, probe_talk_output(&talk).n);
	}
}

static void whole_submission_session(void **state)
{
	static const char *const lines[] = {
		"220 mx.example.net ESMTP\r\n",
		HELLO,
		"250-mx.example.net hello\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 STARTTLS\r\n",
		"STARTTLS\r\n",
		"220 2.0.0 go\r\n",
		"",
		"TLS",
		HELLO,
		"250-mx.example.net\r\n250-SIZE 2000\r\n250-AUTH PLAIN LOGIN\r\n250 AUTH=PLAIN LOGIN\r\n",
		"MAIL FROM:<" PROBE_SENDER ">\r\n",
		"250 2.1.0 fine\r\n",
		"RCPT TO:<" PROBE_RECIPIENT ">\r\n",
		"554 5.7.1 log in first\r\n",
		"RSET\r\n",
		"250 2.0.0 OK\r\n",
		"QUIT\r\n",
		"221 2.0.0 bye\r\n",
		"",
		NULL
	};

	(void)state;
	for (int drip = 0; drip < 2; drip++) {
		begin((struct probe_talk_setup){ .starttls = true, .mail = true });
		play(lines, drip);
		assert_int_equal(talk.want, PROBE_TALK_CLOSE);
		assert_int_equal(port.end, PROBE_END_WHOLE);
		assert_int_equal(port.greeting.code, 220);
		assert_int_equal(port.greeting.ms, 10);
		assert_string_equal(port.clear.extensions, "SIZE 8BITMIME STARTTLS");
		assert_int_equal(port.clear.size, 1000);
		assert_string_equal(port.clear.auth, "");
		assert_int_equal(port.starttls.code, 220);
		assert_int_equal(port.in_tls.size, 2000);
		assert_string_equal(port.in_tls.auth, "PLAIN LOGIN");
		assert_string_equal(port.in_tls.extensions, "SIZE AUTH");
		assert_string_equal(port.in_tls.lines,
				    "mx.example.net\nSIZE 2000\nAUTH PLAIN LOGIN\nAUTH=PLAIN LOGIN");
		assert_int_equal(port.mail.code, 250);
		assert_int_equal(port.rcpt.code, 554);
		assert_string_equal(port.rcpt.enhanced, "5.7.1");
	}
}

static void relay_test_asks_every_way_and_no_body(void **state)
{
	static const char *const paths[PROBE_RELAYS][2] = {
		{ "<postern-check@example.org>", "<postern-check@example.com>" },
		{ "<>", "<postern-check@example.com>" },
		{ "<postern-check@example.net>", "<postern-check@example.com>" },
		{ "<postern-check@example.org>", "<postern-check%example.com@example.net>" },
		{ "<postern-check@example.org>", "<\"postern-check@example.com\"@example.net>" },
		{ "<postern-check@example.org>", "<@example.net:postern-check@example.com>" },
		{ "<postern-check@example.org>", "<example.com!postern-check@example.net>" },
		{ "<postern-check@example.org>", "<postern-check@example.com@example.net>" },
	};
	static const char *const first[] = { "220 hi\r\n", HELLO, "250 hi\r\n",
					     "MAIL FROM:<postern-check@example.org>\r\n", NULL };
	char mail[200], rcpt[200];

	(void)state;
	begin((struct probe_talk_setup){ .relay = true });
	play(first, false);
	for (size_t i = 0; i < PROBE_RELAYS; i++) {
		const char *lines[] = { "250 OK\r\n", rcpt,	    i == 4 ? "250 OK\r\n" : "550 no\r\n",
					"RSET\r\n",   "250 OK\r\n", mail,
					NULL };

		snprintf(rcpt, sizeof(rcpt), "RCPT TO:%s\r\n", paths[i][1]);
		snprintf(mail, sizeof(mail), "MAIL FROM:%s\r\n", i + 1 < PROBE_RELAYS ? paths[i + 1][0] : "");
		if (i + 1 == PROBE_RELAYS)
			snprintf(mail, sizeof(mail), "QUIT\r\n");
		play(lines, false);
	}
	for (size_t i = 0; i < PROBE_RELAYS; i++)
		assert_int_equal(port.relay[i][1].code, i == 4 ? 250 : 550);
}

static void odd_servers(void **state)
{
	static const struct {
		const char *line[9];
		bool eof; /* then it closes */
		enum probe_end end;
		enum probe_step at;
		enum probe_other other;
	} rows[] = {
		{ { "* OK [CAPABILITY IMAP4rev1] ready\r\n", "" },
		  false,
		  PROBE_END_NO_SMTP,
		  PROBE_AT_GREETING,
		  PROBE_OTHER_IMAP },
		{ { "+OK ready\r\n", "" }, false, PROBE_END_NO_SMTP, PROBE_AT_GREETING, PROBE_OTHER_POP3 },
		{ { "SSH-2.0-x\r\n", "" }, false, PROBE_END_NO_SMTP, PROBE_AT_GREETING, PROBE_OTHER_SSH },
		{ { "HTTP/1.1 400 Bad Request\r\n", "" },
		  false,
		  PROBE_END_NO_SMTP,
		  PROBE_AT_GREETING,
		  PROBE_OTHER_HTTP },
		{ { "\x15\x03\x01", "" }, true, PROBE_END_NO_SMTP, PROBE_AT_GREETING, PROBE_OTHER_TLS },
		{ { "who knows\r\n", "" }, false, PROBE_END_NO_SMTP, PROBE_AT_GREETING, PROBE_OTHER_UNKNOWN },
		{ { "554 5.7.1 not you\r\n", "QUIT\r\n", "221 bye\r\n", "" },
		  false,
		  PROBE_END_WHOLE,
		  PROBE_AT_QUIT,
		  PROBE_OTHER_NONE },
		{ { "421 4.3.2 busy\r\n", "" },
		  false,
		  PROBE_END_CLOSED,
		  PROBE_AT_GREETING,
		  PROBE_OTHER_NONE },
		{ { "220 hi\r\n", HELLO, "502 what\r\n", "HELO here.test\r\n", "250 hi\r\n", "QUIT\r\n" },
		  true,
		  PROBE_END_WHOLE,
		  PROBE_AT_QUIT,
		  PROBE_OTHER_NONE },
		{ { "220 hi\r\n", HELLO }, true, PROBE_END_CLOSED, PROBE_AT_EHLO, PROBE_OTHER_NONE },
		{ { "220 hi\r\n", HELLO, "250-hi\r\n250 STARTTLS\r\n", "STARTTLS\r\n", "454 4.7.0 no\r\n",
		    "QUIT\r\n" },
		  true,
		  PROBE_END_WHOLE,
		  PROBE_AT_QUIT,
		  PROBE_OTHER_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin((struct probe_talk_setup){ .starttls = true });
		play(rows[i].line, false);
		if (rows[i].eof)
			probe_talk_lost(&talk, PROBE_END_CLOSED, "it closed");
		if (port.end != rows[i].end || port.at != rows[i].at || port.other != rows[i].other)
			fail_msg("row %zu: end %d, at %s, %s", i, port.end, probe_step_name(port.at),
				 probe_other_name(port.other));
	}
}

static void what_is_hidden_is_seen(void **state)
{
	static const char *const lines[] = { "220 ****************\r\n", HELLO,
					     "250-mx\r\n250-XXXXXXXA\r\n250-SIZE\r\n250 XEXT\r\n", "QUIT\r\n",
					     NULL };

	(void)state;
	begin((struct probe_talk_setup){ .starttls = true });
	play(lines, true);
	assert_true(port.clear.masked);
	assert_false(port.clear.starttls);
	assert_string_equal(port.clear.extensions, "SIZE XEXT");
}

static void control_characters_stay_out(void **state)
{
	static const char *const lines[] = { "220 a\x1b[31mb\r\n", HELLO, "250-x\r\n250 A\x07 B\r\n",
					     "QUIT\r\n", NULL };

	(void)state;
	begin((struct probe_talk_setup){ 0 });
	play(lines, false);
	assert_null(strchr(port.greeting.text, 0x1b));
	assert_null(strchr(port.clear.lines, 0x07));
}

static void other_protocols(void **state)
{
	static const struct {
		const char *first;
		enum probe_other other;
	} rows[] = {
		{ "220 ProFTPD Server ready\r\n", PROBE_OTHER_FTP },
		{ "220 ftp.example.org ESMTP Postfix\r\n", PROBE_OTHER_NONE },
		{ "220 mx.example.org ready\r\n", PROBE_OTHER_NONE },
		{ "<!DOCTYPE html>", PROBE_OTHER_HTTP },
		{ "", PROBE_OTHER_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(probe_other_of(slice_str(rows[i].first)), rows[i].other);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_submission_session),
		cmocka_unit_test(relay_test_asks_every_way_and_no_body),
		cmocka_unit_test(odd_servers),
		cmocka_unit_test(what_is_hidden_is_seen),
		cmocka_unit_test(control_characters_stay_out),
		cmocka_unit_test(other_protocols),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
