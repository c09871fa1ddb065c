/* The beginning of a connection: greeting, EHLO and what it offers, STARTTLS. */
#include <assert.h>
#include <string.h>

#include "smtp/client_private.h"

void client_say_hello(struct smtp_client *c)
{
	size_t from = c->output.n;
	const char *verb = c->setup->protocol == SMTP_CLIENT_LMTP ? "LHLO" : c->helo ? "HELO" : "EHLO";

	memset(&c->offers, 0, sizeof(c->offers));
	c->step = SMTP_CLIENT_AT_HELO;
	c->auth.mechs_n = 0;
	buf_fmt(&c->output, "%s %.*s\r\n", verb, SLICE_ARG(c->setup->helo));
	client_said_from(c, from);
}

void smtp_client_tls_started(struct smtp_client *c)
{
	assert(c->ask.want == SMTP_CLIENT_TLS);
	c->tls_now = false;
	c->in_tls = true;
	c->helo = false;
	client_said(c, 'C', SLICE_LIT("(TLS begins)"));
	client_say_hello(c);
	client_advance(c);
}

/* The first word of greeting and answer to EHLO is the server's name (RFC 5321 4.2, 4.1.1.1). */
void client_on_name(struct smtp_client *c, struct slice line)
{
	struct slice own = c->setup->own;

	if ((c->step == SMTP_CLIENT_AT_GREETING || c->step == SMTP_CLIENT_AT_HELO) &&
	    c->reply.code / 100 == 2)
		c->us |= own.n > 0 && slice_eq_nocase(slice_head(line, slice_find(line, ' ')), own);
}

static bool is_us(struct smtp_client *c)
{
	if (c->us)
		client_break(c, "5.4.6", "the server calls itself by our own name");
	return c->us;
}

void client_on_greeting(struct smtp_client *c)
{
	if (c->reply.code != 220) {
		client_break_by_reply(c);
		return;
	}
	if (is_us(c))
		return;
	client_say_hello(c);
}

/* "RCPTMAX=100 MAILMAX=10": pairs; unknown names are for others, a value that is no number says
 * nothing. RFC 9422 3 */
static void on_limits(struct smtp_client_offers *o, struct slice text)
{
	const struct {
		struct slice name;
		uint32_t *to;
	} rows[] = { { SLICE_INIT("MAILMAX="), &o->mail_max },
		     { SLICE_INIT("RCPTMAX="), &o->rcpt_max },
		     { SLICE_INIT("RCPTDOMAINMAX="), &o->rcpt_domains } };

	while (text.n > 0) {
		struct slice word = slice_head(text, slice_find(text, ' '));
		uint64_t n;

		text = slice_tail(text, word.n + 1);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct slice v = word;

			if (cur_word(&v, rows[i].name) && cur_u64(&v, 999999, &n) && v.n == 0)
				*rows[i].to = (uint32_t)n;
		}
	}
}

/* A line behind the first of the answer to EHLO. RFC 5321 4.1.1.1 */
void client_on_offer(struct smtp_client *c, struct slice line)
{
	struct smtp_client_offers *o = &c->offers;
	const struct {
		const char *word;
		bool *to;
	} rows[] = {
		{ "PIPELINING", &o->pipelining }, { "8BITMIME", &o->eightbitmime },
		{ "SMTPUTF8", &o->smtputf8 },	  { "DSN", &o->dsn },
		{ "CHUNKING", &o->chunking },	  { "ENHANCEDSTATUSCODES", &o->enhanced },
		{ "STARTTLS", &o->starttls },	  { "SIZE", &o->size },
		{ "REQUIRETLS", &o->requiretls }, { "MT-PRIORITY", &o->mt_priority },
	};
	struct slice word = slice_head(line, slice_find(line, ' ')), rest = slice_tail(line, word.n);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (slice_eq_nocase(word, slice_str(rows[i].word)))
			*rows[i].to = true;
	(void)cur_blanks(&rest);
	if (slice_eq_nocase(word, SLICE_LIT("SIZE")) && !cur_u64(&rest, UINT64_MAX, &o->max_size))
		o->max_size = 0;
	else if (slice_eq_nocase(word, SLICE_LIT("LIMITS")))
		on_limits(o, rest);
	/* "AUTH=LOGIN": how it was before RFC 2554, and still is beside the other form. */
	else if (slice_starts_nocase(line, SLICE_LIT("AUTH ")) ||
		 slice_starts_nocase(line, SLICE_LIT("AUTH=")))
		client_auth_offer(c, slice_tail(line, 5));
}

static void after_hello(struct smtp_client *c)
{
	bool want = c->setup->tls != SMTP_CLIENT_TLS_NEVER && !c->in_tls;

	c->step = SMTP_CLIENT_IDLE;
	if (want && c->offers.starttls) {
		client_say(c, "STARTTLS");
		c->step = SMTP_CLIENT_AT_STARTTLS;
	} else if (want && c->setup->tls == SMTP_CLIENT_TLS_MUST) {
		client_break(c, "4.7.4", "TLS is required, and the server does not offer STARTTLS");
	} else if (c->setup->auth && !c->auth.done) {
		client_auth_begin(c);
	}
}

void client_on_hello(struct smtp_client *c)
{
	int class = c->reply.code / 100;

	if (class == 2 && is_us(c))
		return;
	if (class == 2) {
		if (c->reply.lines > 1)
			client_on_offer(c, c->reply.line);
		c->offers.esmtp = !c->helo;
		after_hello(c);
	} else if (class == 5 && c->setup->protocol == SMTP_CLIENT_SMTP && !c->helo) {
		c->helo = true;
		client_say_hello(c);
	} else {
		client_break_by_reply(c);
	}
}

void client_on_starttls(struct smtp_client *c)
{
	if (c->reply.code == 220) {
		c->tls_now = true;
	} else if (c->setup->tls == SMTP_CLIENT_TLS_MUST || c->reply.code / 100 == 3) {
		client_break_by_reply(c);
	} else {
		c->step = SMTP_CLIENT_IDLE; /* offered and refused: in clear, then */
		if (c->setup->auth)
			client_auth_begin(c);
	}
}
