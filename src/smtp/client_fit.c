/* What cannot be sent to this server, and what is said instead. */
#include <inttypes.h>
#include <stdio.h>

#include "smtp/client_private.h"

#define COMMAND_MAX 2048 /* octets of MAIL or RCPT: what our own server takes */

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

/* Who is told can do something about it only by the numbers. */
static const char *too_large(struct smtp_client *c, uint64_t size)
{
	snprintf(c->unfit, sizeof(c->unfit),
		 "the message is larger than the next server takes: %" PRIu64 " octets, not %" PRIu64, size,
		 c->offers.max_size);
	return c->unfit;
}

const char *client_unfit(struct smtp_client *c, const struct smtp_client_message *m,
			 const char **ret_enhanced)
{
	const struct smtp_client_offers *o = &c->offers;
	size_t line = m->sender.n + m->envid.n + 128;
	/* A report, that nobody could be told of if it were lost: RFC 8689 5. */
	bool must_tls = m->requiretls && !client_is_lmtp(c) && m->sender.n > 0;

	*ret_enhanced = "5.1.7";
	if (!is_safe(m->sender) || !is_parameter(m->envid) || line > COMMAND_MAX)
		return "the sender's address cannot be sent";
	*ret_enhanced = "5.6.7";
	if (!o->smtputf8 && slice_has_8bit(m->sender))
		return "the sender's address is not ASCII, and the next server lacks SMTPUTF8";
	if (!o->smtputf8 && m->smtputf8 && !client_is_lmtp(c))
		return "the message needs SMTPUTF8, which the next server lacks";
	*ret_enhanced = "5.6.3";
	if (!o->eightbitmime && m->eightbit && !client_is_lmtp(c))
		return "the message has 8-bit text, and the next server lacks 8BITMIME";
	*ret_enhanced = "5.3.4";
	if (o->max_size > 0 && m->size > o->max_size)
		return too_large(c, m->size);
	*ret_enhanced = "5.7.30";
	if (must_tls && !(o->requiretls && c->in_tls))
		return "the message requires TLS all the way, and the next server lacks REQUIRETLS";
	*ret_enhanced = "4.7.5";
	if (must_tls && !m->tls_verified)
		return "the message requires TLS all the way, and the next server's identity is not proven";
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

/* ---- as many as the server takes at once: RFC 9422 4 ---- */

static struct slice domain_of(const struct smtp_client_rcpt *r)
{
	return slice_tail(r->address, slice_rfind(r->address, '@') + 1);
}

static bool is_new_domain(const struct smtp_client *c, struct slice domain)
{
	for (unsigned i = 0; i < c->domains; i++)
		if (slice_eq_nocase(domain, domain_of(&c->tx.m->rcpt[c->domain_at[i]])))
			return false;
	return true;
}

static const char *over_limit(struct smtp_client *c, uint32_t at)
{
	const struct smtp_client_offers *o = &c->offers;
	uint32_t max = o->rcpt_domains < CLIENT_DOMAINS_MAX ? o->rcpt_domains : CLIENT_DOMAINS_MAX;

	if (o->rcpt_max > 0 && c->fit >= o->rcpt_max)
		return "the next server takes no more recipients of one message at once";
	if (max > 0 && is_new_domain(c, domain_of(&c->tx.m->rcpt[at]))) {
		if (c->domains >= max)
			return "the next server takes no more domains of recipients at once";
		c->domain_at[c->domains++] = at;
	}
	c->fit++;
	return NULL;
}

const char *client_unfit_rcpt(struct smtp_client *c, uint32_t at, const char **ret_enhanced)
{
	const char *why = unfit_rcpt(c, &c->tx.m->rcpt[at], ret_enhanced);

	if (why)
		return why;
	*ret_enhanced = "4.5.3";
	return over_limit(c, at);
}
