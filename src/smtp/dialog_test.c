/* dialog_test.c - plays the dialogs of tests/dialogs/ against the engine: each whole, in
 * threes, and byte by byte.  The format is told in tests/dialogs/README.md. */
#include "smtp/dialog_harness.h"
#include "smtp/server.h"

#define DIR_NAME TEST_SOURCE_DIR "/tests/dialogs"

struct player {
	struct dialog d;
	struct smtp_server_setup setup;
	struct smtp_server *engine;
	char mechs[128], mechs_tls[128];
	bool implicit, binding, greeted;
	int after; /* how much of a session goes before the dialog */
	struct buf in, out, body, events;
	unsigned char *fed; /* the piece given last: freed when the engine may not look at it */
	unsigned faults;
};

static void describe(const struct smtp_server_ask *a, struct buf *to)
{
	static const char *const names[] = { "INPUT",	   "HELO",  "EXPOSED",	"AUTH", "AUTH_STEP",
					     "AUTH_ABORT", "MAIL",  "RCPT",	"DATA", "BODY",
					     "COMMIT",	   "RESET", "STARTTLS", "TLS",	"CLOSE" };

	buf_str(to, names[a->want]);
	if (a->want == SMTP_SERVER_HELO)
		buf_fmt(to, "%s %.*s", a->esmtp ? " EHLO" : "", SLICE_ARG(a->name));
	if (a->want == SMTP_SERVER_AUTH || a->want == SMTP_SERVER_EXPOSED)
		buf_fmt(to, " %.*s", SLICE_ARG(a->name));
	if (a->has_initial || a->want == SMTP_SERVER_AUTH_STEP) {
		buf_str(to, " '");
		for (size_t i = 0; i < a->data.n; i++)
			buf_byte(to, a->data.p[i] ? a->data.p[i] : '|');
		buf_str(to, "'");
	}
	if (a->want == SMTP_SERVER_MAIL || a->want == SMTP_SERVER_RCPT) {
		buf_str(to, " <");
		smtp_path_put(&a->path, to);
		buf_str(to, ">");
	}
	if (a->want == SMTP_SERVER_MAIL) {
		if (a->mail.size)
			buf_fmt(to, " SIZE=%llu", (unsigned long long)a->mail.size);
		if (a->mail.body == SMTP_BODY_8BITMIME)
			buf_str(to, " 8BITMIME");
		if (a->mail.smtputf8)
			buf_str(to, " SMTPUTF8");
		if (a->mail.ret)
			buf_str(to, a->mail.ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
		if (a->mail.envid.n)
			buf_fmt(to, " ENVID=%.*s", SLICE_ARG(a->mail.envid));
		if (a->mail.requiretls)
			buf_str(to, " REQUIRETLS");
		if (a->mail.hold_for_s)
			buf_fmt(to, " HOLDFOR=%u", a->mail.hold_for_s);
		if (a->mail.hold_until_s)
			buf_fmt(to, " HOLDUNTIL=%llu", (unsigned long long)a->mail.hold_until_s);
		if (a->mail.mt_priority)
			buf_fmt(to, " MT-PRIORITY=%d", a->mail.mt_priority - 10);
		if (a->mail.auth.n)
			buf_fmt(to, " AUTH=%.*s", SLICE_ARG(a->mail.auth));
	}
	if (a->want == SMTP_SERVER_RCPT) {
		if (a->rcpt.notify)
			buf_fmt(to, " NOTIFY=%u", a->rcpt.notify);
		if (a->rcpt.orcpt.n)
			buf_fmt(to, " ORCPT=%.*s", SLICE_ARG(a->rcpt.orcpt));
	}
}

static void collect(struct player *p)
{
	struct slice out = smtp_server_output(p->engine);
	size_t n = out.n < 7 ? out.n : 7; /* some at a time, as sockets do */

	while (out.n > 0) {
		buf_put(&p->out, slice_head(out, n));
		smtp_server_sent(p->engine, n < out.n ? n : out.n);
		out = smtp_server_output(p->engine);
	}
	p->faults |= smtp_server_take_faults(p->engine);
}

static void event(struct player *p)
{
	describe(smtp_server_want(p->engine), &p->events);
	buf_str(&p->events, "\n");
}

/* Run to the next question that the dialog must answer, or until all input is
 * used.  As a driver: bytes stay in place until the engine wants input again. */
static void pump(struct player *p)
{
	const struct smtp_server_ask *ask = smtp_server_want(p->engine);

	for (;;) {
		struct slice in;

		collect(p);
		switch (ask->want) {
		case SMTP_SERVER_INPUT:
			if (p->in.n == 0)
				return;
			free(p->fed);
			in = slice_head(buf_slice(&p->in), p->d.cut);
			p->fed = malloc(in.n);
			memcpy(p->fed, in.p, in.n);
			buf_consume(&p->in, smtp_server_feed(p->engine, slice_of(p->fed, in.n)));
			break;
		case SMTP_SERVER_BODY:
			if (ask->data.n == 0)
				dialog_fail(&p->d, "an empty BODY");
			buf_put(&p->body, ask->data);
			smtp_server_go_on(p->engine);
			break;
		case SMTP_SERVER_RESET:
			buf_reset(&p->body); /* what came of it before it was refused is nobody's */
			event(p);
			smtp_server_go_on(p->engine);
			break;
		case SMTP_SERVER_EXPOSED:
		case SMTP_SERVER_AUTH_ABORT:
			event(p);
			smtp_server_go_on(p->engine);
			break;
		default:
			return;
		}
	}
}

static void setup_word(struct player *p, struct slice w)
{
	struct smtp_server_setup *s = &p->setup;
	uint64_t n = 0;

	if (dialog_is(w, "role=relay"))
		s->role = SMTP_RELAY;
	else if (dialog_is(w, "role=submission"))
		s->role = SMTP_SUBMISSION, s->tls_required = s->auth = true;
	else if (dialog_is(w, "role=local"))
		s->role = SMTP_LOCAL;
	else if (dialog_is(w, "after=ehlo"))
		p->after = 1;
	else if (dialog_is(w, "after=auth"))
		p->after = 2;
	else if (dialog_is(w, "after=mail"))
		p->after = 3;
	else if (dialog_is(w, "after=rcpt"))
		p->after = 4;
	else if (dialog_is(w, "starttls"))
		s->starttls = true;
	else if (dialog_is(w, "tls-required"))
		s->tls_required = true;
	else if (dialog_is(w, "clear"))
		s->tls_required = false;
	else if (dialog_is(w, "implicit"))
		p->implicit = true;
	else if (dialog_is(w, "binding"))
		p->binding = true;
	else if (dialog_is(w, "no-auth"))
		s->auth = false;
	else if (dialog_is(w, "no-advice"))
		s->advice.n = 0;
	else if (dialog_is(w, "bare=fix"))
		s->bare = SMTP_BARE_FIX;
	else if (dialog_number(w, "size", &n))
		s->max_size = n;
	else if (dialog_number(w, "rcpts", &n))
		s->max_recipients = (uint32_t)n;
	else if (dialog_number(w, "errors", &n))
		s->max_errors = (uint32_t)n;
	else if (dialog_number(w, "commands", &n))
		s->max_commands = (uint32_t)n;
	else if (dialog_is(w, "priorities"))
		s->priorities = true;
	else if (dialog_number(w, "hold", &n))
		s->max_hold_s = (uint32_t)n;
	else if (dialog_number(w, "transactions", &n))
		s->max_transactions = (uint32_t)n;
	else
		dialog_fail(&p->d, "no such setup: %.*s", SLICE_ARG(w));
}

static void do_setup(struct player *p, struct slice text)
{
	while (text.n > 0) {
		size_t n = slice_find(text, ' ');

		if (n > 0)
			setup_word(p, slice_head(text, n));
		text = slice_tail(text, n + 1);
	}
}

/* "550 5.1.1 text", "550 text", "250" */
static int reply_of(struct slice text, char *enhanced, char *words, size_t size)
{
	struct slice c = text, word;
	uint64_t code = 0;

	if (!cur_u64(&c, 999, &code))
		return 0;
	c = slice_trim(c);
	word = slice_head(c, slice_find(c, ' '));
	enhanced[0] = '\0';
	if (slice_find(word, '.') < word.n && slice_copy(word, enhanced, 16))
		c = slice_trim(slice_tail(c, word.n));
	slice_copy(c, words, size);
	return (int)code;
}

static void do_answer(struct player *p, struct slice text)
{
	const struct smtp_server_ask *ask = smtp_server_want(p->engine);
	char enhanced[16], words[512] = "";
	struct buf raw;
	int code;

	pump(p);
	code = dialog_is(text, "ok") ? 250 : reply_of(text, enhanced, words, sizeof(words));
	if (dialog_is(text, "ok"))
		enhanced[0] = '\0';
	if (cur_word(&text, SLICE_LIT("hang-up"))) {
		smtp_server_hang_up(p->engine, "4.3.2", "shutting down");
	} else if (dialog_is(text, "tls") || dialog_is(text, "tls binding")) {
		if (ask->want != SMTP_SERVER_TLS)
			dialog_fail(&p->d, "TLS is not wanted");
		else
			smtp_server_tls_started(p->engine, text.n > 3);
	} else if (ask->want == SMTP_SERVER_AUTH || ask->want == SMTP_SERVER_AUTH_STEP) {
		buf_init(&raw, DIALOG_MANY);
		if (cur_word(&text, SLICE_LIT("challenge"))) {
			dialog_unescape(slice_trim(text), &raw);
			smtp_server_challenge(p->engine, buf_slice(&raw));
		} else {
			smtp_server_auth_done(p->engine, code, *enhanced ? enhanced : NULL,
					      *words ? words : NULL);
		}
		buf_done(&raw);
	} else if (ask->want == SMTP_SERVER_INPUT || ask->want >= SMTP_SERVER_TLS || code == 0) {
		struct buf what;

		buf_init(&what, 4096);
		describe(ask, &what);
		dialog_fail(&p->d, "cannot answer '%.*s' to %.*s", SLICE_ARG(text),
			    SLICE_ARG(buf_slice(&what)));
		buf_done(&what);
	} else {
		smtp_server_answer(p->engine, code, *enhanced ? enhanced : NULL, *words ? words : NULL);
	}
}

static void expect_question(struct player *p, struct slice want)
{
	struct buf what;

	pump(p);
	buf_init(&what, 65536);
	describe(smtp_server_want(p->engine), &what);
	buf_str(&what, "\n");
	dialog_expect(&p->d, &what, "\n", want, "the question");
	buf_done(&what);
}

static void expect_faults(struct player *p, struct slice want)
{
	static const char *const names[] = { "AUTH_ON_RELAY",	  "NO_STARTTLS", "NO_AUTH",
					     "PASSWORD_IN_CLEAR", "NOT_SMTP",	 "TLS_TOO_LATE",
					     "BARE_LINE_END",	  "SYNTAX" };
	struct buf have;

	pump(p);
	buf_init(&have, 4096);
	for (unsigned i = 0; i < 8; i++)
		if (p->faults & 1U << i)
			buf_fmt(&have, "%s%s", have.n ? " " : "", names[i]);
	buf_str(&have, "\n");
	p->faults = 0;
	dialog_expect(&p->d, &have, "\n", want, "faults");
	buf_done(&have);
}

/* The beginning that "Setup: after=" stands for. */
static void step(struct player *p, const char *command)
{
	buf_str(&p->in, command);
	pump(p);
	if (smtp_server_want(p->engine)->want == SMTP_SERVER_AUTH)
		smtp_server_auth_done(p->engine, 235, NULL, NULL);
	else
		smtp_server_answer(p->engine, 250, NULL, NULL);
}

static void greet(struct player *p)
{
	bool auth = p->setup.role == SMTP_SUBMISSION && p->setup.auth;

	if (p->greeted)
		return;
	p->greeted = true;
	p->engine = smtp_server_new(&p->setup);
	smtp_server_clock(p->engine, 1800000000); /* 2027-01-15T08:00:00Z */
	smtp_server_greet(p->engine, p->implicit);
	smtp_server_channel_binding(p->engine, p->binding);
	if (p->after >= 1)
		step(p, "EHLO c\r\n");
	if (p->after >= 2 && auth)
		step(p, "AUTH PLAIN AGEAYg==\r\n");
	if (p->after >= 3)
		step(p, "MAIL FROM:<a@example.org>\r\n");
	if (p->after >= 4)
		step(p, "RCPT TO:<b@mx.test>\r\n");
	collect(p);
	if (p->after > 0)
		buf_reset(&p->out);
}

static void play_line(struct player *p, struct slice line)
{
	struct slice text, kind;
	char enhanced[16], words[512] = "";
	struct buf raw;
	int code;

	if (!dialog_line(&p->d, line, &kind, &text) || kind.n == 0)
		return;
	if (dialog_is(kind, "Setup")) {
		do_setup(p, text);
		return;
	}
	if (dialog_is(kind, "Refuse")) {
		code = reply_of(text, enhanced, words, sizeof(words));
		p->greeted = true;
		p->engine = smtp_server_new(&p->setup);
		smtp_server_refuse(p->engine, code, *enhanced ? enhanced : NULL, words);
		return;
	}
	greet(p);
	buf_init(&raw, DIALOG_MANY);
	dialog_unescape(text, &raw);
	if (dialog_is(kind, "C") || dialog_is(kind, "c")) {
		buf_put(&p->in, buf_slice(&raw));
		if (dialog_is(kind, "C"))
			buf_str(&p->in, "\r\n");
	} else if (dialog_is(kind, "S")) {
		pump(p);
		dialog_expect(&p->d, &p->out, "\r\n", buf_slice(&raw), "the reply");
	} else if (dialog_is(kind, "B")) {
		pump(p);
		dialog_expect(&p->d, &p->body, "\r\n", buf_slice(&raw), "the body");
	} else if (dialog_is(kind, "E")) {
		pump(p);
		dialog_expect(&p->d, &p->events, "\n", buf_slice(&raw), "the event");
	} else if (dialog_is(kind, "Q")) {
		expect_question(p, text);
	} else if (dialog_is(kind, "A")) {
		do_answer(p, text);
	} else if (dialog_is(kind, "F")) {
		expect_faults(p, text);
	} else if (dialog_is(kind, "P")) {
		pump(p);
		if (!dialog_is(text, smtp_server_protocol(p->engine)))
			dialog_fail(&p->d, "the protocol is %s", smtp_server_protocol(p->engine));
	} else {
		dialog_fail(&p->d, "no such kind of line: %.*s", SLICE_ARG(kind));
	}
	buf_done(&raw);
}

static void finish(struct player *p)
{
	if (p->d.error.n > 0 || !p->engine)
		return;
	pump(p);
	if (smtp_server_want(p->engine)->want == SMTP_SERVER_CLOSE)
		event(p);
	/* "E: CLOSE" may have been expected already: see play(). */
	if (p->out.n > 0)
		dialog_fail(&p->d, "more output than expected: %.*s",
			    SLICE_ARG(slice_head(buf_slice(&p->out), 300)));
	if (p->body.n > 0 && smtp_server_want(p->engine)->want != SMTP_SERVER_CLOSE)
		dialog_fail(&p->d, "more body than expected: %.*s",
			    SLICE_ARG(slice_head(buf_slice(&p->body), 300)));
}

/* True when it went as written; else p->d.error says where it did not. */
static bool play(struct slice text, size_t cut, struct buf *ret_error)
{
	struct player p = { .d.cut = cut,
			    .setup = { .hostname = SLICE_LIT("mx.test"),
				       .mechs = SLICE_LIT("PLAIN LOGIN"),
				       .mechs_tls = SLICE_LIT("SCRAM-SHA-256-PLUS"),
				       .advice = SLICE_LIT("port 587 with STARTTLS or port 465 with SSL/TLS"),
				       .max_size = 1000000,
				       .max_recipients = 100,
				       .max_errors = 20,
				       .max_commands = 100,
				       .max_transactions = 100 } };
	bool closes = false, ok;

	buf_init(&p.in, DIALOG_MANY);
	buf_init(&p.out, DIALOG_MANY);
	buf_init(&p.body, DIALOG_MANY);
	buf_init(&p.events, DIALOG_MANY);
	buf_init(&p.d.error, 8192);
	while (text.n > 0 && p.d.error.n == 0) {
		size_t n = slice_find(text, '\n');

		p.d.line++;
		closes = closes || slice_eq(slice_head(text, n), SLICE_LIT("E: CLOSE"));
		if (slice_eq(slice_head(text, n), SLICE_LIT("E: CLOSE")))
			finish(&p);
		play_line(&p, slice_head(text, n));
		text = slice_tail(text, n + 1);
	}
	if (!closes)
		finish(&p);
	if (p.d.error.n == 0 && p.events.n > 0)
		dialog_fail(&p.d, "an event that was not expected: %.*s", SLICE_ARG(buf_slice(&p.events)));
	if (p.d.error.n == 0 && !closes && p.in.n > 0)
		dialog_fail(&p.d, "input is left: %.*s", SLICE_ARG(slice_head(buf_slice(&p.in), 100)));
	ok = p.d.error.n == 0;
	*ret_error = p.d.error;
	smtp_server_free(p.engine);
	free(p.fed);
	buf_done(&p.in);
	buf_done(&p.out);
	buf_done(&p.body);
	buf_done(&p.events);
	return ok;
}

int main(int argc, char **argv)
{
	return dialog_main(argc, argv, DIR_NAME, play);
}
