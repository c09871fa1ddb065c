/* The message behind the one whose final dot is out: what can be said of it already. */
#include <assert.h>
#include <stdlib.h>

#include "smtp/client_private.h"

size_t client_ahead_n(const struct smtp_client *c)
{
	return c->next.m ? c->ahead.n : 0;
}

void client_ahead_done(struct smtp_client *c)
{
	free(c->next.rcpt);
	c->next = (struct client_tx){ .m = NULL };
	buf_done(&c->ahead);
	buf_init(&c->ahead, CLIENT_OUTPUT_MAX);
}

bool smtp_client_takes_ahead(const struct smtp_client *c)
{
	return c->ask.want == SMTP_CLIENT_INPUT && c->step == SMTP_CLIENT_AT_FINAL && c->tx.m &&
	       !c->tx.bdat && !c->tx.void_dot && !c->next.m && c->offers.pipelining && !client_is_lmtp(c) &&
	       !smtp_client_is_spent(c) && !c->lost.on && !c->closed && buf_ok(&c->output);
}

/* Whoever cannot be named to this server has a result of his own, which is told in its turn. */
static bool all_fit(struct smtp_client *c)
{
	const char *enhanced;

	if (client_unfit(c, c->tx.m, &enhanced))
		return false;
	for (uint32_t i = 0; i < c->tx.m->recipients; i++)
		if (client_unfit_rcpt(c, i, &enhanced))
			return false;
	return true;
}

/* Behind all that is to be said before it; false: there is no room. */
static bool append(struct buf *to, struct slice what)
{
	size_t n = to->n;

	buf_put(to, what);
	if (buf_ok(to))
		return true;
	to->n = n;
	to->failed = false;
	return false;
}

bool smtp_client_ahead(struct smtp_client *c, const struct smtp_client_message *m)
{
	struct client_tx now = c->tx;
	struct buf output = c->output;
	uint32_t mails = c->mails;
	bool said = false;

	assert(smtp_client_takes_ahead(c));
	if (!client_tx_begin(c, m))
		return false;
	c->output = c->ahead;
	if (all_fit(c)) {
		c->mute = true;
		client_send_commands(c);
		c->mute = false;
		said = buf_ok(&c->output);
	}
	c->ahead = c->output;
	c->output = output;
	c->next = c->tx;
	c->tx = now;
	said = said && append(&c->output, buf_slice(&c->ahead));
	if (!said) {
		client_ahead_done(c);
		c->mails = mails;
	}
	return said;
}

void client_ahead_begins(struct smtp_client *c)
{
	struct slice said = buf_slice(&c->ahead);

	c->tx = c->next;
	c->next.rcpt = NULL;
	while (said.n > 0) {
		struct slice line = slice_head(said, slice_find(said, '\n'));

		client_said(c, 'C', slice_head(line, line.n - 1));
		said = slice_tail(said, line.n + 1);
	}
	client_ahead_done(c);
}
