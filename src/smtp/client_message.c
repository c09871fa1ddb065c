/* One message: its commands, their answers, the body. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/client_private.h"
#include "smtp/path.h"

#define BODY_PIECE  (16U << 10) /* taken at once */
#define COMMAND_MAX 2048	/* octets of MAIL or RCPT: what our own server takes */

static bool is_lmtp(const struct smtp_client *c)
{
	return c->setup->protocol == SMTP_CLIENT_LMTP;
}

/* ---- what cannot be sent ---- */

/* Nothing that would end the command or its path early. */
static bool is_safe(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool is_parameter(struct slice s)
{
	return is_safe(s) && slice_find(s, ' ') == s.n;
}

/* The sender's side of it is wrong for every recipient.  NULL, or why. */
static const char *unfit(const struct smtp_client *c, const struct smtp_client_message *m,
			 const char **ret_enhanced)
{
	const struct smtp_client_offers *o = &c->offers;
	size_t line = m->sender.n + m->envid.n + 128;

	*ret_enhanced = "5.1.7";
	if (!is_safe(m->sender) || !is_parameter(m->envid) || line > COMMAND_MAX)
		return "the sender's address cannot be sent";
	*ret_enhanced = "5.6.7";
	if (!o->smtputf8 && slice_has_8bit(m->sender))
		return "the sender's address is not ASCII, and the next server lacks SMTPUTF8";
	if (!o->smtputf8 && m->smtputf8 && !is_lmtp(c))
		return "the message needs SMTPUTF8, which the next server lacks";
	*ret_enhanced = "5.6.3";
	if (!o->eightbitmime && m->eightbit && !is_lmtp(c))
		return "the message has 8-bit text, and the next server lacks 8BITMIME";
	*ret_enhanced = "5.3.4";
	if (o->max_size > 0 && m->size > o->max_size)
		return "the message is larger than the next server takes";
	return NULL;
}

static const char *unfit_rcpt(const struct smtp_client *c, const struct smtp_client_rcpt *r,
			      const char **ret_enhanced)
{
	*ret_enhanced = "5.1.3";
	if (r->address.n == 0 || !is_safe(r->address) || !is_parameter(r->orcpt) ||
	    r->address.n + r->orcpt.n + 128 > COMMAND_MAX)
		return "the address cannot be sent";
	*ret_enhanced = "5.6.7";
	if (!c->offers.smtputf8 && slice_has_8bit(r->address))
		return "the address is not ASCII, and the next server lacks SMTPUTF8";
	return NULL;
}

/* ---- commands ---- */

static bool needs_utf8(const struct smtp_client *c)
{
	bool yes = c->m->smtputf8 || slice_has_8bit(c->m->sender);

	for (uint32_t i = 0; i < c->m->recipients && !yes; i++)
		yes = slice_has_8bit(c->m->rcpt[i].address);
	return yes && c->offers.smtputf8;
}

static void put_mail(struct smtp_client *c)
{
	const struct smtp_client_offers *o = &c->offers;
	const struct smtp_client_message *m = c->m;
	struct buf *b = &c->output;
	size_t from = b->n;

	buf_fmt(b, "MAIL FROM:<%.*s>", SLICE_ARG(m->sender));
	if (o->size)
		buf_fmt(b, " SIZE=%llu", (unsigned long long)m->size);
	if (o->eightbitmime && m->eightbit)
		buf_str(b, " BODY=8BITMIME");
	if (needs_utf8(c))
		buf_str(b, " SMTPUTF8");
	if (o->dsn && (m->ret == SMTP_RET_FULL || m->ret == SMTP_RET_HDRS))
		buf_str(b, m->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
	if (o->dsn && m->envid.n > 0)
		buf_fmt(b, " ENVID=%.*s", SLICE_ARG(m->envid));
	buf_put(b, SLICE_LIT("\r\n"));
	client_said_from(c, from);
}

/* RFC 3461 4.1 */
static void put_notify(unsigned notify, struct buf *b)
{
	static const struct {
		unsigned flag;
		const char *word;
	} rows[] = { { SMTP_NOTIFY_NEVER, "NEVER" },
		     { SMTP_NOTIFY_SUCCESS, "SUCCESS" },
		     { SMTP_NOTIFY_FAILURE, "FAILURE" },
		     { SMTP_NOTIFY_DELAY, "DELAY" } };
	const char *before = " NOTIFY=";

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (notify & rows[i].flag) {
			buf_fmt(b, "%s%s", before, rows[i].word);
			before = ",";
			if (rows[i].flag == SMTP_NOTIFY_NEVER)
				break;
		}
}

static void put_rcpt(struct smtp_client *c, const struct smtp_client_rcpt *r)
{
	struct buf *b = &c->output;
	size_t from = b->n;

	buf_fmt(b, "RCPT TO:<%.*s>", SLICE_ARG(r->address));
	if (c->offers.dsn)
		put_notify(r->notify, b);
	/* A form with characters beyond ASCII is for servers with SMTPUTF8. RFC 6533 3 */
	if (c->offers.dsn && r->orcpt.n > 0 && (c->offers.smtputf8 || !slice_has_8bit(r->orcpt)))
		buf_fmt(b, " ORCPT=%.*s", SLICE_ARG(r->orcpt));
	buf_put(b, SLICE_LIT("\r\n"));
	client_said_from(c, from);
}

static void skip(const struct smtp_client *c, uint32_t *at)
{
	while (*at < c->m->recipients && c->rcpt[*at] == RCPT_UNFIT)
		++*at;
}

/* The next command, if it may go out now. */
static bool send_one(struct smtp_client *c)
{
	bool pipelined = c->offers.pipelining && !is_lmtp(c);

	if (!c->mail_sent) {
		put_mail(c);
		c->mails++;
		c->mail_sent = true;
		return true;
	}
	skip(c, &c->next_rcpt);
	if (c->mail_refused || c->data_sent)
		return false;
	if (c->next_rcpt < c->m->recipients) {
		put_rcpt(c, &c->m->rcpt[c->next_rcpt++]);
		return true;
	}
	if (c->unanswered > 0 ? !pipelined : c->accepted == 0)
		return false;
	client_say(c, "DATA");
	c->data_sent = true;
	return true;
}

void client_send_commands(struct smtp_client *c)
{
	unsigned window = c->offers.pipelining ? SMTP_CLIENT_WINDOW : 1;

	while (c->unanswered < window && c->output.n < CLIENT_OUTPUT_FULL && send_one(c))
		c->unanswered++;
}

/* ---- a message from its beginning to its end ---- */

bool smtp_client_mail(struct smtp_client *c, const struct smtp_client_message *m)
{
	const char *enhanced, *why;
	unsigned char *rcpt;

	assert(c->ask.want == SMTP_CLIENT_READY);
	assert(m->recipients > 0 && m->recipients <= SMTP_CLIENT_RECIPIENTS_MAX);
	rcpt = calloc(m->recipients, 1);
	if (!rcpt)
		return false;
	free(c->rcpt);
	c->rcpt = rcpt;
	c->m = m;
	c->next_rcpt = c->at_rcpt = c->accepted = 0;
	c->unanswered = 0;
	c->mail_sent = c->mail_answered = c->mail_refused = c->data_sent = c->void_dot = false;
	c->step = SMTP_CLIENT_AT_MAIL;
	client_said_message(c);
	why = unfit(c, m, &enhanced);
	if (why)
		client_judge_words(c, 0, m->recipients, RCPT_DONE, SMTP_CLIENT_FAILED, enhanced, why);
	client_advance(c);
	return true;
}

void client_message_over(struct smtp_client *c)
{
	c->m = NULL;
	c->step = SMTP_CLIENT_IDLE;
}

/* Something of the transaction is open on the other side. */
static void reset(struct smtp_client *c)
{
	client_say(c, "RSET");
	c->step = SMTP_CLIENT_AT_RSET;
}

/* Before the first command: who cannot be named to this server at all. */
static bool judge_unfit_rcpt(struct smtp_client *c)
{
	for (; c->at_rcpt < c->m->recipients; c->at_rcpt++) {
		const char *enhanced, *why;

		if (c->rcpt[c->at_rcpt] == RCPT_DONE)
			continue;
		why = unfit_rcpt(c, &c->m->rcpt[c->at_rcpt], &enhanced);
		if (why) {
			client_judge_words(c, c->at_rcpt, c->at_rcpt + 1, RCPT_DONE, SMTP_CLIENT_FAILED,
					   enhanced, why);
			return true;
		}
	}
	for (uint32_t i = 0; i < c->m->recipients; i++)
		if (c->rcpt[i] == RCPT_DONE)
			c->rcpt[i] = RCPT_UNFIT;
	c->at_rcpt = 0;
	skip(c, &c->at_rcpt);
	if (c->at_rcpt == c->m->recipients)
		client_message_over(c);
	return false;
}

static void commands(struct smtp_client *c)
{
	client_send_commands(c);
	if (c->unanswered > 0) {
		skip(c, &c->at_rcpt);
		c->step = !c->mail_answered	      ? SMTP_CLIENT_AT_MAIL
			  : c->at_rcpt < c->next_rcpt ? SMTP_CLIENT_AT_RCPT
						      : SMTP_CLIENT_AT_DATA;
		c->ask.want = SMTP_CLIENT_INPUT;
	} else if (c->mail_refused) {
		client_message_over(c);
	} else {
		reset(c); /* nobody was accepted, or DATA refused */
	}
}

void client_transaction(struct smtp_client *c)
{
	if (c->step == SMTP_CLIENT_AT_MAIL && !c->mail_sent && judge_unfit_rcpt(c))
		return;
	if (!c->m)
		return;
	if (c->step == SMTP_CLIENT_AT_MAIL || c->step == SMTP_CLIENT_AT_RCPT ||
	    c->step == SMTP_CLIENT_AT_DATA)
		commands(c);
	else if (c->step == SMTP_CLIENT_AT_FINAL && c->accepted == 0 && !c->void_dot)
		client_message_over(c);
	if (c->m)
		c->ask.want = c->step == SMTP_CLIENT_AT_BODY ? SMTP_CLIENT_BODY : SMTP_CLIENT_INPUT;
}

/* ---- answers ---- */

static const char strange[] = "the server's answer does not belong to the command";

static enum smtp_client_result refused(const struct smtp_client *c)
{
	return c->reply.code / 100 == 4 ? SMTP_CLIENT_DEFERRED : SMTP_CLIENT_FAILED;
}

void client_on_mail(struct smtp_client *c)
{
	int class = c->reply.code / 100;

	c->unanswered--;
	c->mail_answered = true;
	if (class == 3) {
		client_break(c, "4.5.0", strange);
	} else if (class != 2) {
		c->mail_refused = true;
		client_judge(c, 0, c->m->recipients, RCPT_DONE, refused(c));
	}
}

void client_on_rcpt(struct smtp_client *c)
{
	int class = c->reply.code / 100;
	uint32_t at = c->at_rcpt++;

	c->unanswered--;
	if (class == 3) {
		client_break(c, "4.5.0", strange);
	} else if (c->mail_refused) {
		/* Sent before we knew: whatever it says is for nobody. */
	} else if (class == 2) {
		c->rcpt[at] = RCPT_ACCEPTED;
		c->accepted++;
	} else {
		client_judge(c, at, at + 1, RCPT_DONE, refused(c));
	}
}

void client_on_data(struct smtp_client *c)
{
	int class = c->reply.code / 100;

	c->unanswered--;
	if (class == 2 || (class == 3 && c->reply.code != 354)) {
		client_break(c, "4.5.0", strange);
	} else if (class != 3) {
		client_judge(c, 0, c->m->recipients, RCPT_DONE, refused(c));
	} else if (c->accepted > 0) {
		c->step = SMTP_CLIENT_AT_BODY;
		c->bol = true;
		c->cr = false;
	} else {
		buf_str(&c->output, ".\r\n");
		c->void_dot = true;
		c->step = SMTP_CLIENT_AT_FINAL;
	}
}

static enum smtp_client_result final_result(const struct smtp_client *c)
{
	return c->reply.code / 100 == 2 ? SMTP_CLIENT_DELIVERED : refused(c);
}

void client_on_final(struct smtp_client *c)
{
	uint32_t n = c->m->recipients, at = c->at_rcpt;

	if (c->void_dot) {
		if (c->reply.code == 421)
			client_break_by_reply(c);
		else
			client_message_over(c);
		return;
	}
	if (c->reply.code / 100 == 3) {
		client_break(c, "4.5.0", strange);
		return;
	}
	if (!is_lmtp(c)) {
		client_judge(c, 0, n, RCPT_ACCEPTED, final_result(c));
	} else {
		while (at < n && c->rcpt[at] != RCPT_ACCEPTED)
			at++;
		c->at_rcpt = at + 1;
		client_judge(c, at, at + 1, RCPT_ACCEPTED, final_result(c));
	}
	/* It closes; who has no answer by now will get none. */
	if (c->reply.code == 421)
		client_lose(c, c->reply.enhanced, "the server closed the connection before its answer");
}

/* ---- the body ---- */

static void end_line(struct smtp_client *c)
{
	buf_put(&c->output, SLICE_LIT("\r\n"));
	c->bol = true;
	c->cr = false;
}

/* RFC 5321 4.5.2, and no CR or LF alone ever goes out: where one server takes "LF . LF" for
 * the end and another does not, a message could smuggle in a second one. */
static void stuff(struct smtp_client *c, struct slice s)
{
	while (s.n > 0) {
		size_t run;

		if (c->cr) {
			end_line(c);
			if (s.p[0] == '\n')
				s = slice_tail(s, 1);
			continue;
		}
		run = slice_find(s, '\n');
		run = slice_find(slice_head(s, run), '\r');
		if (run > 0 && c->bol && s.p[0] == '.')
			buf_byte(&c->output, '.');
		if (run > 0) {
			buf_put(&c->output, slice_head(s, run));
			c->bol = false;
		} else if (s.p[0] == '\r') {
			c->cr = true;
			run = 1;
		} else {
			end_line(c);
			run = 1;
		}
		s = slice_tail(s, run);
	}
}

size_t smtp_client_body(struct smtp_client *c, struct slice s)
{
	assert(c->ask.want == SMTP_CLIENT_BODY);
	if (c->output.n >= CLIENT_OUTPUT_FULL)
		return 0;
	s = slice_head(s, BODY_PIECE);
	stuff(c, s);
	if (!buf_ok(&c->output))
		client_advance(c);
	return s.n;
}

void smtp_client_body_end(struct smtp_client *c)
{
	assert(c->ask.want == SMTP_CLIENT_BODY);
	if (c->cr || !c->bol)
		end_line(c);
	buf_put(&c->output, SLICE_LIT(".\r\n"));
	if (buf_ok(&c->output)) {
		c->step = SMTP_CLIENT_AT_FINAL;
		c->at_rcpt = 0;
	}
	client_advance(c);
}

void smtp_client_body_fail(struct smtp_client *c, const char *enhanced, const char *text)
{
	assert(c->ask.want == SMTP_CLIENT_BODY);
	smtp_client_lost(c, enhanced, text);
}
