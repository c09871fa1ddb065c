/* One message: its commands, their answers, the body. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/client_private.h"
#include "smtp/path.h"

bool client_is_lmtp(const struct smtp_client *c)
{
	return c->setup->protocol == SMTP_CLIENT_LMTP;
}

/* ---- commands ---- */

static bool needs_utf8(const struct smtp_client *c)
{
	bool yes = c->tx.m->smtputf8 || slice_has_8bit(c->tx.m->sender);

	for (uint32_t i = 0; i < c->tx.m->recipients && !yes; i++)
		yes = slice_has_8bit(c->tx.m->rcpt[i].address);
	return yes && c->offers.smtputf8;
}

static void put_mail(struct smtp_client *c)
{
	const struct smtp_client_offers *o = &c->offers;
	const struct smtp_client_message *m = c->tx.m;
	struct buf *b = &c->output;
	size_t from = b->n;

	buf_put(b, SLICE_LIT("MAIL FROM:<"));
	buf_put(b, m->sender);
	buf_byte(b, '>');
	if (o->size) {
		buf_put(b, SLICE_LIT(" SIZE="));
		buf_dec(b, m->size, 0);
	}
	if (o->eightbitmime && m->eightbit)
		buf_put(b, SLICE_LIT(" BODY=8BITMIME"));
	if (needs_utf8(c))
		buf_put(b, SLICE_LIT(" SMTPUTF8"));
	if (o->dsn && (m->ret == SMTP_RET_FULL || m->ret == SMTP_RET_HDRS))
		buf_str(b, m->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
	if (o->dsn && m->envid.n > 0) {
		buf_put(b, SLICE_LIT(" ENVID="));
		buf_put(b, m->envid);
	}
	if (m->requiretls && m->tls_verified && o->requiretls && c->in_tls)
		buf_put(b, SLICE_LIT(" REQUIRETLS"));
	if (o->mt_priority && m->mt_priority > 0 && m->mt_priority < 20)
		buf_fmt(b, " MT-PRIORITY=%d", m->mt_priority - 10);
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

	buf_put(b, SLICE_LIT("RCPT TO:<"));
	buf_put(b, r->address);
	buf_byte(b, '>');
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
	while (*at < c->tx.m->recipients && c->tx.rcpt[*at] == RCPT_UNFIT)
		++*at;
}

/* BDAT's gain is that it needs no leave: MAIL, RCPT and the whole message go out together, one
 * round trip where DATA takes two.  A large message spends its time otherwise, and would have gone
 * for nothing if nobody is accepted. */
static bool may_chunk(const struct smtp_client *c)
{
	return c->setup->chunking && c->offers.chunking && c->offers.pipelining && !c->chunking_odd &&
	       !client_is_lmtp(c) && c->tx.m->size <= SMTP_CLIENT_CHUNK_MAX;
}

/* The next command, if it may go out now. */
static bool send_one(struct smtp_client *c)
{
	bool pipelined = c->offers.pipelining && !client_is_lmtp(c);

	if (!c->tx.mail_sent) {
		put_mail(c);
		c->mails++;
		c->tx.mail_sent = true;
		return true;
	}
	skip(c, &c->tx.next_rcpt);
	if (c->tx.mail_refused || c->tx.data_sent)
		return false;
	if (c->tx.next_rcpt < c->tx.m->recipients) {
		put_rcpt(c, &c->tx.m->rcpt[c->tx.next_rcpt++]);
		return true;
	}
	if (c->tx.unanswered > 0 ? !pipelined : c->tx.accepted == 0)
		return false;
	if (may_chunk(c)) { /* see wants_chunks() */
		c->tx.bdat = c->tx.data_sent = true;
		return false;
	}
	client_say(c, "DATA");
	c->tx.data_sent = true;
	return true;
}

void client_send_commands(struct smtp_client *c)
{
	unsigned window = c->offers.pipelining ? SMTP_CLIENT_WINDOW : 1;

	while (c->tx.unanswered < window && c->output.n < CLIENT_OUTPUT_FULL && send_one(c))
		c->tx.unanswered++;
}

/* ---- a message from its beginning to its end ---- */

static enum smtp_client_result as_it_says(const char *enhanced)
{
	return enhanced[0] == '4' ? SMTP_CLIENT_DEFERRED : SMTP_CLIENT_FAILED;
}

bool client_tx_begin(struct smtp_client *c, const struct smtp_client_message *m)
{
	unsigned char *rcpt = calloc(m->recipients, 1);

	assert(m->recipients > 0 && m->recipients <= SMTP_CLIENT_RECIPIENTS_MAX);
	if (!rcpt)
		return false;
	c->tx = (struct client_tx){ .m = m, .rcpt = rcpt, .bol = true };
	c->fit = c->domains = 0;
	return true;
}

bool smtp_client_mail(struct smtp_client *c, const struct smtp_client_message *m)
{
	unsigned char *before = c->tx.rcpt;
	const char *enhanced, *why = NULL;

	assert(c->ask.want == SMTP_CLIENT_READY);
	assert(!c->next.m || c->next.m == m);
	if (!c->next.m) {
		if (!client_tx_begin(c, m))
			return false;
		why = client_unfit(c, m, &enhanced);
	}
	free(before);
	client_said_message(c);
	if (c->next.m)
		client_ahead_begins(c);
	buf_reset(&c->chunk);
	c->step = SMTP_CLIENT_AT_MAIL;
	if (why)
		client_judge_words(c, 0, m->recipients, RCPT_DONE, as_it_says(enhanced), enhanced, why);
	client_advance(c);
	return true;
}

void client_message_over(struct smtp_client *c)
{
	c->tx.m = NULL;
	c->step = SMTP_CLIENT_IDLE;
	if (c->chunk.cap > CLIENT_CHUNK_KEPT)
		buf_done(&c->chunk);
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
	for (; c->tx.at_rcpt < c->tx.m->recipients; c->tx.at_rcpt++) {
		const char *enhanced, *why;

		if (c->tx.rcpt[c->tx.at_rcpt] == RCPT_DONE)
			continue;
		why = client_unfit_rcpt(c, c->tx.at_rcpt, &enhanced);
		if (why) {
			client_judge_words(c, c->tx.at_rcpt, c->tx.at_rcpt + 1, RCPT_DONE,
					   as_it_says(enhanced), enhanced, why);
			return true;
		}
	}
	for (uint32_t i = 0; i < c->tx.m->recipients; i++)
		if (c->tx.rcpt[i] == RCPT_DONE)
			c->tx.rcpt[i] = RCPT_UNFIT;
	c->tx.at_rcpt = 0;
	skip(c, &c->tx.at_rcpt);
	if (c->tx.at_rcpt == c->tx.m->recipients)
		client_message_over(c);
	return false;
}

/* More of the body, while the answers to what went before it are under way. */
static bool wants_chunks(struct smtp_client *c)
{
	skip(c, &c->tx.at_rcpt);
	return c->tx.bdat && !c->tx.bdat_last && !c->tx.bdat_failed && !c->tx.mail_refused &&
	       (c->tx.accepted > 0 || !c->tx.mail_answered || c->tx.at_rcpt < c->tx.next_rcpt);
}

/* Whose answer comes next. */
static enum smtp_client_step awaited(struct smtp_client *c)
{
	skip(c, &c->tx.at_rcpt);
	return c->tx.unanswered == 0			  ? SMTP_CLIENT_AT_BODY
	       : !c->tx.mail_answered			  ? SMTP_CLIENT_AT_MAIL
	       : c->tx.at_rcpt < c->tx.next_rcpt	  ? SMTP_CLIENT_AT_RCPT
	       : c->tx.bdat_last && c->tx.unanswered == 1 ? SMTP_CLIENT_AT_FINAL
							  : SMTP_CLIENT_AT_DATA;
}

static void commands(struct smtp_client *c)
{
	bool body;

	client_send_commands(c);
	body = wants_chunks(c);
	if (body || c->tx.unanswered > 0) {
		c->step = awaited(c);
		c->ask.want = body ? SMTP_CLIENT_BODY : SMTP_CLIENT_INPUT;
	} else if (c->tx.bdat_last ? !c->tx.bdat_failed : c->tx.mail_refused) {
		client_message_over(c);
	} else {
		reset(c); /* nobody was accepted, or DATA or BDAT refused (RFC 3030 4.2) */
	}
}

void client_transaction(struct smtp_client *c)
{
	if (c->step == SMTP_CLIENT_AT_MAIL && !c->tx.mail_sent && judge_unfit_rcpt(c))
		return;
	if (!c->tx.m)
		return;
	c->ask.want = c->step == SMTP_CLIENT_AT_BODY ? SMTP_CLIENT_BODY : SMTP_CLIENT_INPUT;
	if (c->step == SMTP_CLIENT_AT_MAIL || c->step == SMTP_CLIENT_AT_RCPT ||
	    c->step == SMTP_CLIENT_AT_DATA || (c->tx.bdat && c->step != SMTP_CLIENT_AT_RSET))
		commands(c);
	else if (c->step == SMTP_CLIENT_AT_FINAL && c->tx.accepted == 0 && !c->tx.void_dot)
		client_message_over(c);
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

	c->tx.unanswered--;
	c->tx.mail_answered = true;
	if (class == 3) {
		client_break(c, "4.5.0", strange);
	} else if (class != 2) {
		c->tx.mail_refused = true;
		client_judge(c, 0, c->tx.m->recipients, RCPT_DONE, refused(c));
	}
}

void client_on_rcpt(struct smtp_client *c)
{
	int class = c->reply.code / 100;
	uint32_t at = c->tx.at_rcpt++;

	c->tx.unanswered--;
	if (class == 3) {
		client_break(c, "4.5.0", strange);
	} else if (c->tx.mail_refused) {
		/* Sent before we knew: whatever it says is for nobody. */
	} else if (class == 2) {
		c->tx.rcpt[at] = RCPT_ACCEPTED;
		c->tx.accepted++;
	} else {
		client_judge(c, at, at + 1, RCPT_DONE, refused(c));
	}
}

/* The answer to BDAT, a last one or not.  A server that offers CHUNKING and then does not know it:
 * the next try goes by DATA, and these are deferred. */
static void on_chunk(struct smtp_client *c)
{
	int code = c->reply.code;
	bool odd = code >= 500 && code <= 504 && c->tx.accepted > 0;

	if (code / 100 == 3) {
		client_break(c, "4.5.0", strange);
		return;
	}
	if (code / 100 == 2 && !c->tx.bdat_failed) {
		if (c->step == SMTP_CLIENT_AT_FINAL)
			client_judge(c, 0, c->tx.m->recipients, RCPT_ACCEPTED, SMTP_CLIENT_DELIVERED);
	} else {
		c->tx.bdat_failed = true;
		c->chunking_odd = c->chunking_odd || odd;
		client_judge(c, 0, c->tx.m->recipients, RCPT_ACCEPTED,
			     odd || code / 100 == 2 ? SMTP_CLIENT_DEFERRED : refused(c));
	}
	if (code == 421)
		client_lose(c, c->reply.enhanced, "the server closed the connection before its answer");
}

void client_on_data(struct smtp_client *c)
{
	int class = c->reply.code / 100;

	c->tx.unanswered--;
	if (c->tx.bdat) {
		on_chunk(c);
	} else if (class == 2 || (class == 3 && c->reply.code != 354)) {
		client_break(c, "4.5.0", strange);
	} else if (class != 3) {
		client_judge(c, 0, c->tx.m->recipients, RCPT_DONE, refused(c));
	} else if (c->tx.accepted > 0) {
		c->step = SMTP_CLIENT_AT_BODY;
	} else {
		client_say(c, ".");
		c->tx.void_dot = true;
		c->step = SMTP_CLIENT_AT_FINAL;
	}
}

static enum smtp_client_result final_result(const struct smtp_client *c)
{
	return c->reply.code / 100 == 2 ? SMTP_CLIENT_DELIVERED : refused(c);
}

void client_on_final(struct smtp_client *c)
{
	uint32_t n = c->tx.m->recipients, at = c->tx.at_rcpt;

	if (c->tx.bdat) {
		c->tx.unanswered--;
		on_chunk(c);
		return;
	}
	if (c->tx.void_dot) {
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
	if (!client_is_lmtp(c)) {
		client_judge(c, 0, n, RCPT_ACCEPTED, final_result(c));
	} else {
		while (at < n && c->tx.rcpt[at] != RCPT_ACCEPTED)
			at++;
		c->tx.at_rcpt = at + 1;
		client_judge(c, at, at + 1, RCPT_ACCEPTED, final_result(c));
	}
	/* It closes; who has no answer by now will get none. */
	if (c->reply.code == 421)
		client_lose(c, c->reply.enhanced, "the server closed the connection before its answer");
}
