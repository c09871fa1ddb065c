#include "smtp/client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/client_private.h"
#include "smtp/path.h"

uint64_t smtp_client_replies(const struct smtp_client *c)
{
	return c->replies;
}

const char *smtp_client_step_name(enum smtp_client_step step)
{
	static const char *const names[SMTP_CLIENT_STEPS] = {
		[SMTP_CLIENT_AT_GREETING] = "greeting",
		[SMTP_CLIENT_AT_HELO] = "hello",
		[SMTP_CLIENT_AT_STARTTLS] = "starttls",
		[SMTP_CLIENT_AT_MAIL] = "mail",
		[SMTP_CLIENT_AT_RCPT] = "rcpt",
		[SMTP_CLIENT_AT_DATA] = "data",
		[SMTP_CLIENT_AT_BODY] = "body",
		[SMTP_CLIENT_AT_FINAL] = "final",
		[SMTP_CLIENT_AT_RSET] = "rset",
		[SMTP_CLIENT_AT_QUIT] = "quit",
		[SMTP_CLIENT_IDLE] = "idle",
		[SMTP_CLIENT_AT_AUTH] = "auth",
	};

	return step < SMTP_CLIENT_STEPS ? names[step] : "unknown";
}

struct smtp_client *smtp_client_new(const struct smtp_client_setup *setup)
{
	struct smtp_client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->setup = setup;
	c->in_tls = setup->implicit_tls;
	buf_init(&c->output, CLIENT_OUTPUT_MAX);
	buf_init(&c->ahead, CLIENT_OUTPUT_MAX);
	buf_init(&c->chunk, CLIENT_CHUNK_FULL * 2);
	buf_init(&c->auth.initial, SMTP_CLIENT_SECRET_MAX);
	buf_init(&c->auth.data, SMTP_REPLY_LINE_MAX);
	if (c->in_tls)
		client_said(c, 'C', SLICE_LIT("(TLS begins)"));
	c->step = SMTP_CLIENT_AT_GREETING;
	c->ask.enhanced = "";
	c->ask.want = SMTP_CLIENT_INPUT;
	return c;
}

void smtp_client_free(struct smtp_client *c)
{
	if (!c)
		return;
	free(c->tx.rcpt);
	client_ahead_done(c);
	client_auth_done(c);
	buf_done(&c->chunk);
	buf_wipe(&c->output);
	free(c);
}

void client_say(struct smtp_client *c, const char *command)
{
	client_said(c, 'C', slice_str(command));
	buf_str(&c->output, command);
	buf_put(&c->output, SLICE_LIT("\r\n"));
}

/* ---- verdicts ---- */

void client_judge_words(struct smtp_client *c, uint32_t at, uint32_t end, enum client_rcpt from,
			enum smtp_client_result result, const char *enhanced, const char *text)
{
	struct slice s = slice_head(slice_str(text), SMTP_REPLY_TEXT_MAX);

	assert(!c->verdict.on);
	memset(&c->verdict, 0, sizeof(c->verdict));
	c->verdict.on = true;
	c->verdict.at = at;
	c->verdict.end = end;
	c->verdict.from = from;
	c->verdict.result = result;
	c->verdict.step = c->step;
	if (!slice_copy(slice_str(enhanced), c->verdict.enhanced, sizeof(c->verdict.enhanced)))
		c->verdict.enhanced[0] = '\0';
	if (s.n > 0)
		memcpy(c->verdict.text, s.p, s.n);
	c->verdict.text_n = s.n;
}

void client_judge(struct smtp_client *c, uint32_t at, uint32_t end, enum client_rcpt from,
		  enum smtp_client_result result)
{
	struct slice text = smtp_reply_text(&c->reply);

	client_judge_words(c, at, end, from, result, c->reply.enhanced, "");
	c->verdict.code = c->reply.code;
	if (text.n > 0)
		memcpy(c->verdict.text, text.p, text.n);
	c->verdict.text_n = text.n;
}

static void fill_ask(struct smtp_client *c, enum smtp_client_want want)
{
	memset(&c->ask, 0, sizeof(c->ask));
	c->ask.want = want;
	c->ask.result = c->verdict.result;
	c->ask.in_doubt = c->verdict.in_doubt;
	c->ask.broken = c->verdict.broken;
	c->ask.step = c->verdict.step;
	c->ask.code = c->verdict.code;
	c->ask.enhanced = c->verdict.enhanced;
	c->ask.text = slice_of(c->verdict.text, c->verdict.text_n);
}

/* The next recipient whom the verdict is for; false when there is none left. */
static bool next_result(struct smtp_client *c)
{
	for (; c->verdict.at < c->verdict.end; c->verdict.at++) {
		enum client_rcpt now = c->tx.rcpt[c->verdict.at];

		if (now >= RCPT_DONE || (c->verdict.from != RCPT_DONE && now != c->verdict.from))
			continue;
		if (now == RCPT_ACCEPTED)
			c->tx.accepted--;
		c->tx.rcpt[c->verdict.at] = RCPT_DONE;
		fill_ask(c, SMTP_CLIENT_RESULT);
		c->ask.relayed = c->verdict.result == SMTP_CLIENT_DELIVERED && !c->offers.dsn &&
				 c->setup->protocol == SMTP_CLIENT_SMTP &&
				 (c->tx.m->rcpt[c->verdict.at].notify & SMTP_NOTIFY_SUCCESS);
		c->ask.recipient = c->verdict.at++;
		return true;
	}
	c->verdict.on = false;
	return false;
}

static void broken(struct smtp_client *c)
{
	/* The dot, or the last chunk, went out, all of it: only what was accepted and not answered
	 * is in doubt; and with BDAT also who might have been accepted. */
	c->verdict.in_doubt = c->tx.m && c->output.n <= client_ahead_n(c) &&
			      (c->tx.bdat ? c->tx.bdat_last && !c->tx.mail_refused && !c->tx.bdat_failed
					  : c->step == SMTP_CLIENT_AT_FINAL && !c->tx.void_dot);
	c->verdict.broken = true;
	c->closed = true;
}

void client_break(struct smtp_client *c, const char *enhanced, const char *text)
{
	c->verdict.on = false;
	client_judge_words(c, 0, c->tx.m ? c->tx.m->recipients : 0, RCPT_DONE, SMTP_CLIENT_DEFERRED, enhanced,
			   text);
	broken(c);
}

void client_break_by_reply(struct smtp_client *c)
{
	c->verdict.on = false;
	client_judge(c, 0, c->tx.m ? c->tx.m->recipients : 0, RCPT_DONE, SMTP_CLIENT_DEFERRED);
	broken(c);
	if (c->step != SMTP_CLIENT_AT_FINAL)
		c->verdict.in_doubt = false; /* it says itself that it went no further */
}

/* ---- the flow ---- */

/* What comes of it at once may lead to more: a command, or the next verdict. */
void client_advance(struct smtp_client *c)
{
	do {
		if (c->verdict.on && next_result(c))
			return;
		if (c->closed)
			break;
		if (!buf_ok(&c->output))
			client_break(c, "4.3.0", "out of memory");
		else if (c->lost.on)
			client_break(c, c->lost.enhanced, c->lost.text);
		else if (c->tx.m)
			client_transaction(c);
	} while (c->verdict.on);
	if (c->closed) {
		c->tx.m = NULL;
		fill_ask(c, SMTP_CLIENT_CLOSE);
	} else if (!c->tx.m && !client_auth_asks(c)) {
		c->ask.want = c->tls_now		    ? SMTP_CLIENT_TLS
			      : c->step == SMTP_CLIENT_IDLE ? SMTP_CLIENT_READY
							    : SMTP_CLIENT_INPUT;
	}
}

void smtp_client_go_on(struct smtp_client *c)
{
	assert(c->ask.want == SMTP_CLIENT_RESULT);
	client_advance(c);
}

static void close_in_order(struct smtp_client *c)
{
	memset(&c->verdict, 0, sizeof(c->verdict));
	c->verdict.step = c->step;
	c->closed = true;
}

void smtp_client_quit(struct smtp_client *c)
{
	assert(c->ask.want == SMTP_CLIENT_READY && !c->next.m);
	client_say(c, "QUIT");
	c->step = SMTP_CLIENT_AT_QUIT;
	client_advance(c);
}

void client_lose(struct smtp_client *c, const char *enhanced, const char *text)
{
	if (c->closed || c->lost.on)
		return;
	if (c->step == SMTP_CLIENT_AT_QUIT) {
		close_in_order(c);
		return;
	}
	c->lost.on = true;
	if (!slice_copy(slice_str(enhanced), c->lost.enhanced, sizeof(c->lost.enhanced)))
		c->lost.enhanced[0] = '\0';
	if (!slice_copy(slice_head(slice_str(text), sizeof(c->lost.text) - 1), c->lost.text,
			sizeof(c->lost.text)))
		c->lost.text[0] = '\0';
}

void smtp_client_lost(struct smtp_client *c, const char *enhanced, const char *text)
{
	client_lose(c, enhanced, text);
	if (c->ask.want != SMTP_CLIENT_RESULT)
		client_advance(c);
}

/* ---- replies ---- */

static void on_reply(struct smtp_client *c)
{
	/* "Closing transmission channel", whatever it answers (RFC 5321 3.8); after the dot it
	 * is also an answer, see client_on_final(). */
	if (c->reply.code == 421 && c->step != SMTP_CLIENT_AT_FINAL && c->step != SMTP_CLIENT_AT_QUIT) {
		client_break_by_reply(c);
		return;
	}
	switch (c->step) {
	case SMTP_CLIENT_AT_GREETING:
		client_on_greeting(c);
		break;
	case SMTP_CLIENT_AT_HELO:
		client_on_hello(c);
		break;
	case SMTP_CLIENT_AT_STARTTLS:
		client_on_starttls(c);
		break;
	case SMTP_CLIENT_AT_AUTH:
		client_on_auth(c);
		break;
	case SMTP_CLIENT_AT_MAIL:
		client_on_mail(c);
		break;
	case SMTP_CLIENT_AT_RCPT:
		client_on_rcpt(c);
		break;
	case SMTP_CLIENT_AT_DATA:
		client_on_data(c);
		break;
	case SMTP_CLIENT_AT_FINAL:
		client_on_final(c);
		break;
	case SMTP_CLIENT_AT_RSET:
		if (c->reply.code / 100 == 2)
			client_message_over(c);
		else
			client_break_by_reply(c);
		break;
	case SMTP_CLIENT_AT_QUIT:
		close_in_order(c);
		break;
	default: /* nothing was asked: AT_BODY, IDLE */
		client_break_by_reply(c);
		if (c->reply.code / 100 == 5)
			c->verdict.result = SMTP_CLIENT_FAILED;
		break;
	}
}

static bool takes_input(const struct smtp_client *c)
{
	return c->ask.want == SMTP_CLIENT_INPUT || c->ask.want == SMTP_CLIENT_BODY ||
	       (c->ask.want == SMTP_CLIENT_READY && !c->next.m);
}

size_t smtp_client_feed(struct smtp_client *c, struct slice in)
{
	size_t all = in.n;

	while (in.n > 0 && takes_input(c)) {
		enum smtp_reply_step step;

		in = slice_tail(in, smtp_reply_feed(&c->reply, in, &step));
		if (step == SMTP_REPLY_LINE || step == SMTP_REPLY_DONE)
			client_said_reply(c);
		if ((step == SMTP_REPLY_LINE || step == SMTP_REPLY_DONE) && c->reply.lines == 1)
			client_on_name(c, c->reply.line);
		if (step == SMTP_REPLY_LINE && c->step == SMTP_CLIENT_AT_HELO && c->reply.lines > 1)
			client_on_offer(c, c->reply.line);
		if (step == SMTP_REPLY_BAD)
			client_break(c, "4.5.0", "the server's answer is no reply of this protocol");
		else if (step == SMTP_REPLY_DONE)
			on_reply(c);
		c->replies += step == SMTP_REPLY_DONE;
		if (step == SMTP_REPLY_BAD || step == SMTP_REPLY_DONE)
			client_advance(c);
	}
	return all - in.n;
}

/* ---- looking ---- */

const struct smtp_client_ask *smtp_client_want(const struct smtp_client *c)
{
	return &c->ask;
}

struct slice smtp_client_output(const struct smtp_client *c)
{
	return buf_slice(&c->output);
}

void smtp_client_sent(struct smtp_client *c, size_t n)
{
	buf_consume(&c->output, n);
	if (c->secret && c->output.n == 0) {
		buf_wipe(&c->output);
		c->secret = false;
	}
	if (c->tx.m && c->ask.want == SMTP_CLIENT_INPUT)
		client_advance(c); /* commands may have waited for room */
}

const struct smtp_client_offers *smtp_client_offers(const struct smtp_client *c)
{
	return &c->offers;
}

bool smtp_client_is_us(const struct smtp_client *c)
{
	return c->us;
}

bool smtp_client_is_spent(const struct smtp_client *c)
{
	return c->offers.mail_max > 0 && c->mails >= c->offers.mail_max;
}

enum smtp_client_step smtp_client_step(const struct smtp_client *c)
{
	return c->step;
}
