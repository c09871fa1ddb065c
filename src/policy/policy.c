#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>

#include "smtp/advice.h"

enum result { OK, ASK, REFUSE };

/* A check: may look at the facts, and once check->answered at the verdict. */
typedef enum result run_fn(const struct policy_check *check);
/* The text of a refusal, where the row's own words do not do. */
typedef void text_fn(const struct policy_check *check, struct buf *to);

struct row {
	const char *name;
	enum policy_stage stage;
	enum policy_question asks;
	run_fn *run;
	int code;
	const char *enhanced;
	const char *text;
	text_fn *write; /* NULL: text as it stands */
};

static enum result check_draining(const struct policy_check *c)
{
	return c->facts->draining ? REFUSE : OK;
}

static enum result check_limit(const struct policy_check *c)
{
	return c->facts->limited != LIMIT_NONE ? REFUSE : OK;
}

static enum result check_queue_away(const struct policy_check *c)
{
	return c->facts->queue_away ? REFUSE : OK;
}

static enum result check_queue_full(const struct policy_check *c)
{
	return c->facts->queue_result == ENOSPC || c->facts->queue_result == ENOMEM ? REFUSE : OK;
}

static enum result check_queue_failed(const struct policy_check *c)
{
	return c->facts->queue_result != 0 ? REFUSE : OK;
}

/* The engine asks for AUTH first; this holds whatever a configuration says. */
static enum result check_known(const struct policy_check *c)
{
	return c->facts->role == SMTP_SUBMISSION && !c->facts->authenticated && !c->facts->trusted ? REFUSE
												   : OK;
}

/* Local users are held to limits by uid, not to addresses: cron and web
 * applications send as many names.  The null sender is nobody's: mail clients
 * use it for disposition notifications (RFC 8098 3). */
static bool sender_is_asked(const struct policy_check *c)
{
	return c->facts->role == SMTP_SUBMISSION && c->facts->authenticated && !c->facts->path->null;
}

static enum result check_sender_later(const struct policy_check *c)
{
	if (!sender_is_asked(c))
		return OK;
	if (!c->answered)
		return ASK;
	return c->verdict == POLICY_VERDICT_TRY_LATER ? REFUSE : OK;
}

static enum result check_sender_disabled(const struct policy_check *c)
{
	return sender_is_asked(c) && c->verdict == POLICY_VERDICT_DISABLED ? REFUSE : OK;
}

static enum result check_sender(const struct policy_check *c)
{
	return sender_is_asked(c) && c->verdict != POLICY_VERDICT_OK ? REFUSE : OK;
}

static enum result check_recipient_later(const struct policy_check *c)
{
	if (!c->answered)
		return ASK;
	return c->verdict == POLICY_VERDICT_TRY_LATER ? REFUSE : OK;
}

static enum result check_relay(const struct policy_check *c)
{
	const struct policy_facts *f = c->facts;

	if (c->verdict != POLICY_VERDICT_NOT_LOCAL)
		return OK;
	return f->authenticated || f->trusted || f->role == SMTP_LOCAL ? OK : REFUSE;
}

static enum result check_recipient_disabled(const struct policy_check *c)
{
	return c->verdict == POLICY_VERDICT_DISABLED ? REFUSE : OK;
}

static enum result check_recipient_loop(const struct policy_check *c)
{
	return c->verdict == POLICY_VERDICT_LOOP ? REFUSE : OK;
}

static enum result check_reports_only(const struct policy_check *c)
{
	return c->verdict == POLICY_VERDICT_REPORTS_ONLY ? REFUSE : OK;
}

/* A verdict that does not belong here counts as "no such user" rather than as leave. */
static enum result check_recipient(const struct policy_check *c)
{
	return c->verdict == POLICY_VERDICT_OK || c->verdict == POLICY_VERDICT_NOT_LOCAL ? OK : REFUSE;
}

static void write_relay_denied(const struct policy_check *c, struct buf *to)
{
	smtp_advice_relay_denied(c->facts->advice, to);
}

static void write_auth_first(const struct policy_check *c, struct buf *to)
{
	(void)c;
	smtp_advice_auth_first(to);
}

static void write_path(const struct policy_check *c, struct buf *to)
{
	buf_byte(to, '<');
	smtp_path_put(c->facts->path, to);
	buf_byte(to, '>');
}

static void write_not_yours(const struct policy_check *c, struct buf *to)
{
	write_path(c, to);
	buf_fmt(to, " is not a sender address of account %.*s; set the sender in your mail program to the ",
		SLICE_ARG(slice_head(c->facts->login, 128)));
	buf_str(to, "account's own address, or ask the administrator to allow this one for the account");
}

static void write_no_such_user(const struct policy_check *c, struct buf *to)
{
	buf_str(to, "no such user here: ");
	write_path(c, to);
}

static void write_disabled(const struct policy_check *c, struct buf *to)
{
	write_path(c, to);
	buf_str(to, " is switched off by its administrator");
}

static void write_loop(const struct policy_check *c, struct buf *to)
{
	buf_str(to, "the aliases of ");
	write_path(c, to);
	buf_str(to, " lead in a circle, or to too many addresses");
}

/* "5 seconds", "12 minutes", "2 hours": rounded up. */
static void write_time(unsigned s, struct buf *to)
{
	unsigned n = s < 120 ? s : s < 7200 ? (s + 59) / 60 : (s + 3599) / 3600;

	buf_fmt(to, "%u %s%s", n, s < 120 ? "second" : s < 7200 ? "minute" : "hour", n == 1 ? "" : "s");
}

static void write_sent(const struct policy_facts *f, struct buf *to)
{
	bool messages = f->limited == LIMIT_ACCOUNT_MESSAGES || f->limited == LIMIT_UID_MESSAGES ||
			f->limited == LIMIT_OWNER_MESSAGES;

	if (f->limited == LIMIT_ACCOUNT_MESSAGES || f->limited == LIMIT_ACCOUNT_RECIPIENTS)
		buf_fmt(to, "account %.*s", SLICE_ARG(slice_head(f->login, 128)));
	else if (f->limited == LIMIT_OWNER_MESSAGES || f->limited == LIMIT_OWNER_RECIPIENTS)
		buf_str(to, "the owner of this account's domain");
	else
		buf_str(to, "this user");
	buf_fmt(to, " has reached the limit of %u %s in ", f->limit_max,
		messages ? "messages" : "recipients");
	write_time(f->limit_period_s, to);
	buf_str(to, "; try again in ");
	write_time(f->retry_s, to);
}

/* Which limit, and when to come again. */
static void write_limit(const struct policy_check *c, struct buf *to)
{
	const struct policy_facts *f = c->facts;
	const char *whose =
		f->limited == LIMIT_SESSIONS_IP || f->limited == LIMIT_RATE_IP ? "address" : "network";

	switch (f->limited) {
	case LIMIT_SESSIONS:
		buf_str(to, "too many connections at the moment, please try again later");
		break;
	case LIMIT_SESSIONS_IP:
	case LIMIT_SESSIONS_NETWORK:
		buf_fmt(to, "too many connections from your %s, please close some or try again later", whose);
		break;
	case LIMIT_RATE_IP:
	case LIMIT_RATE_NETWORK:
		buf_fmt(to, "more than %u new connections a minute from your %s; try again in ", f->limit_max,
			whose);
		write_time(f->retry_s, to);
		break;
	default:
		write_sent(f, to);
		break;
	}
}

#define QUESTION_LATER "the account database does not answer at the moment, please try again later"

/* All the rules, in the order in which they are asked.  The last columns are the reply. */
static const struct row rows[] = {
	/* clang-format off */
	{ "draining",   POLICY_CONNECT, POLICY_ASKS_NOTHING,   check_draining,           421, "4.3.2", "the server is being restarted, please try again in a minute", NULL },
	{ "limit",      POLICY_CONNECT, POLICY_ASKS_NOTHING,   check_limit,              421, "4.7.0", NULL, write_limit },
	{ "auth",       POLICY_MAIL,    POLICY_ASKS_NOTHING,   check_known,              530, "5.7.0", NULL, write_auth_first },
	{ "queue-away", POLICY_MAIL,    POLICY_ASKS_NOTHING,   check_queue_away,         451, "4.3.0", "the queue is being restarted, please try again in a minute", NULL },
	{ "queue-full", POLICY_MAIL,    POLICY_ASKS_NOTHING,   check_queue_full,         452, "4.3.1", "no room for messages at the moment, please try again later", NULL },
	{ "queue",      POLICY_MAIL,    POLICY_ASKS_NOTHING,   check_queue_failed,       452, "4.3.1", "the queue cannot store messages at the moment, please try again later", NULL },
	{ "limit",      POLICY_MAIL,    POLICY_ASKS_NOTHING,   check_limit,              450, "4.7.1", NULL, write_limit },
	{ "keeper",     POLICY_MAIL,    POLICY_ASKS_SENDER,    check_sender_later,       451, "4.3.0", QUESTION_LATER, NULL },
	{ "disabled",   POLICY_MAIL,    POLICY_ASKS_NOTHING,   check_sender_disabled,    550, "5.2.1", NULL, write_disabled },
	{ "sender",     POLICY_MAIL,    POLICY_ASKS_NOTHING,   check_sender,             553, "5.7.1", NULL, write_not_yours },
	{ "limit",      POLICY_RCPT,    POLICY_ASKS_NOTHING,   check_limit,              452, "4.7.1", NULL, write_limit },
	{ "keeper",     POLICY_RCPT,    POLICY_ASKS_RECIPIENT, check_recipient_later,    451, "4.3.0", QUESTION_LATER, NULL },
	{ "relay",      POLICY_RCPT,    POLICY_ASKS_NOTHING,   check_relay,              554, "5.7.1", NULL, write_relay_denied },
	{ "disabled",   POLICY_RCPT,    POLICY_ASKS_NOTHING,   check_recipient_disabled, 550, "5.2.1", NULL, write_disabled },
	{ "reports-only", POLICY_RCPT,  POLICY_ASKS_NOTHING,   check_reports_only,       550, "5.7.1", "this address takes only reports of delivery, which have the null sender; write to the sender's own address", NULL },
	{ "loop",       POLICY_RCPT,    POLICY_ASKS_NOTHING,   check_recipient_loop,     550, "5.4.6", NULL, write_loop },
	{ "recipient",  POLICY_RCPT,    POLICY_ASKS_NOTHING,   check_recipient,          550, "5.1.1", NULL, write_no_such_user },
	{ "queue-away", POLICY_DATA,    POLICY_ASKS_NOTHING,   check_queue_away,         451, "4.3.0", "the queue is being restarted, please try again in a minute", NULL },
	{ "queue-full", POLICY_DATA,    POLICY_ASKS_NOTHING,   check_queue_full,         452, "4.3.1", "no room for messages at the moment, please try again later", NULL },
	{ "queue",      POLICY_DATA,    POLICY_ASKS_NOTHING,   check_queue_failed,       452, "4.3.1", "the queue cannot store messages at the moment, please try again later", NULL },
	/* clang-format on */
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static enum policy_step go_on(struct policy_check *c)
{
	for (; c->row < N_ROWS; c->row++) {
		if (rows[c->row].stage != c->stage)
			continue;
		switch (rows[c->row].run(c)) {
		case OK:
			break;
		case ASK:
			return POLICY_ASK;
		case REFUSE:
			return POLICY_REFUSE;
		}
	}
	return POLICY_PASS;
}

enum policy_step policy_start(struct policy_check *check, enum policy_stage stage,
			      const struct policy_facts *facts)
{
	*check = (struct policy_check){ .facts = facts, .stage = stage };
	return go_on(check);
}

enum policy_question policy_question(const struct policy_check *check)
{
	if (check->row >= N_ROWS)
		return POLICY_ASKS_NOTHING;
	return rows[check->row].asks;
}

enum policy_step policy_answer(struct policy_check *check, enum policy_verdict verdict)
{
	check->verdict = verdict;
	check->answered = true;
	return go_on(check);
}

const char *policy_name(const struct policy_check *check)
{
	if (check->row >= N_ROWS)
		return "none";
	return rows[check->row].run == check_limit ? limit_kind_name(check->facts->limited)
						   : rows[check->row].name;
}

/* A reply is one line of text: what a client wrote must not break it, and an
 * over-long one is cut. */
static void one_line(struct slice from, char *to, size_t size)
{
	size_t n = 0;

	for (; n < from.n && n + 1 < size; n++)
		to[n] = from.p[n] < ' ' || from.p[n] == 127 ? '?' : (char)from.p[n];
	/* Not in the middle of a UTF-8 sequence. */
	while (n > 0 && n < from.n && (from.p[n] & 0xc0) == 0x80)
		n--;
	to[n] = 0;
}

void policy_reply(const struct policy_check *check, struct policy_reply *ret)
{
	const struct row *row = &rows[check->row];
	char room[4096];
	struct buf text;

	ret->code = row->code;
	ret->enhanced = row->enhanced;
	buf_init_in(&text, room, sizeof(room));
	if (row->write)
		row->write(check, &text);
	else
		buf_str(&text, row->text);
	one_line(buf_ok(&text) ? buf_slice(&text) : SLICE_LIT("refused"), ret->text, sizeof(ret->text));
}
