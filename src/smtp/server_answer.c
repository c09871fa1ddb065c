/* server_answer.c - what answers to the engine's questions lead to. */
#include <assert.h>

#include "smtp/server_private.h"

/* The usual words, where the driver has none of its own. */
static const char *usual(enum smtp_server_want want, int code)
{
	if (code / 100 == 2)
		return want == SMTP_SERVER_COMMIT ? "message accepted" : "OK";
	if (code / 100 == 4)
		return "try again later";
	return want == SMTP_SERVER_RCPT	    ? "recipient refused"
	       : want == SMTP_SERVER_MAIL   ? "sender refused"
	       : want == SMTP_SERVER_COMMIT ? "message refused"
					    : "refused";
}

static const char *usual_enhanced(enum smtp_server_want want)
{
	return want == SMTP_SERVER_MAIL ? "2.1.0" : want == SMTP_SERVER_RCPT ? "2.1.5" : "2.0.0";
}

static void helo_agreed(struct smtp_server *s)
{
	buf_reset(&s->helo);
	buf_put(&s->helo, s->ask.name);
	if (!buf_ok(&s->helo))
		s->out.failed = true;
	s->esmtp = s->ask.esmtp;
	if (s->esmtp)
		smtp_server_ehlo_reply(s);
	else
		smtp_server_reply(s, 250, "", s->setup->hostname);
	/* RFC 5321 4.1.4: a second EHLO is a RSET too. */
	smtp_server_drop(s);
	if (s->state == ST_NEW)
		s->state = ST_GREETED;
}

static void mail_agreed(struct smtp_server *s)
{
	s->state = ST_MAIL;
	s->utf8 = s->ask.mail.smtputf8;
	s->transactions++;
}

static void starttls_answered(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	bool yes = code / 100 == 2;

	if (yes && !s->hanging_up) {
		smtp_server_reply_str(s, 220, "2.0.0", text ? text : "ready to start TLS");
		if (!buf_ok(&s->out)) { /* a client that is not told never begins */
			smtp_server_close(s);
			return;
		}
		buf_reset(&s->line);
		s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_TLS };
		return;
	}
	if (!yes)
		smtp_server_reply_str(s, code, enhanced, text ? text : "TLS is not available");
	if (code == 554 || code == 421)
		smtp_server_close(s);
	else
		smtp_server_ask_input(s);
}

void smtp_server_answer(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	enum smtp_server_want want = s->ask.want;
	bool yes = code / 100 == 2;

	if (want == SMTP_SERVER_DATA) {
		smtp_server_body_answered(s, code, enhanced, text);
		return;
	}
	if (want == SMTP_SERVER_STARTTLS) {
		starttls_answered(s, code, enhanced, text);
		return;
	}
	assert(want == SMTP_SERVER_HELO || want == SMTP_SERVER_MAIL || want == SMTP_SERVER_RCPT ||
	       want == SMTP_SERVER_COMMIT);
	if (want == SMTP_SERVER_HELO && yes) {
		helo_agreed(s);
		return;
	}
	if (!enhanced && yes)
		enhanced = usual_enhanced(want);
	smtp_server_reply_str(s, code, enhanced, text ? text : usual(want, code));
	if (code == 421) {
		smtp_server_close(s);
		return;
	}
	if (want == SMTP_SERVER_MAIL && yes)
		mail_agreed(s);
	if (want == SMTP_SERVER_RCPT && yes) {
		s->state = ST_RCPT;
		s->recipients++;
	}
	if (want == SMTP_SERVER_RCPT && !yes)
		s->rcpt_refused = true;
	/* Who is put off for ever must not stay for ever. */
	if (!yes && code < 500 && want == SMTP_SERVER_RCPT)
		s->over_recipients++;
	else if (!yes && code < 500)
		s->commands++;
	if (want == SMTP_SERVER_COMMIT) {
		if (yes)
			s->errors = s->commands = 0;
		smtp_server_forget_transaction(s);
	}
	smtp_server_ask_input(s);
}

void smtp_server_go_on(struct smtp_server *s)
{
	switch (s->ask.want) {
	case SMTP_SERVER_EXPOSED:
		smtp_server_exposed_go_on(s);
		return;
	case SMTP_SERVER_BODY:
		smtp_server_body_go_on(s);
		return;
	default:
		assert(s->ask.want == SMTP_SERVER_AUTH_ABORT || s->ask.want == SMTP_SERVER_RESET);
		smtp_server_ask_input(s);
	}
}
