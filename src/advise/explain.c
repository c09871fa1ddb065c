#include "advise/explain_private.h"

#include <string.h>

/* Guesses so far behind the best are not worth their lines. */
#define BEHIND 25
/* Octets that one of the text can become two of. */
#define BLANK(c) ((c) == ' ' || (c) == '\t' || (c) == '\r' || (c) == '\n' || (c) == '\v' || (c) == '\f')

struct cause {
	const char *name, *what, *change;
};

struct client {
	const char *name, *title, *marks, *implicit, *starttls, *trust, *login, *debug;
};

struct tells {
	enum advise_cause cause;
	unsigned char weight;
	uint16_t port; /* only where the text names it; 0: always */
	const char *pieces;
};

static const struct cause causes[ADVISE_CAUSES] = {
#define CAUSE(code, name, what, change) [ADVISE_##code] = { name, what, change },
#define CLIENT(code, name, title, marks, implicit, starttls, trust, login, debug)
#define TELLS(cause, weight, port, pieces)
#include "advise/explain.def"
#undef CAUSE
#undef CLIENT
#undef TELLS
};

static const struct client clients[ADVISE_CLIENTS] = {
#define CAUSE(code, name, what, change)
#define CLIENT(code, name, title, marks, implicit, starttls, trust, login, debug) \
	[ADVISE_BY_##code] = { name, title, marks, implicit, starttls, trust, login, debug },
#define TELLS(cause, weight, port, pieces)
#include "advise/explain.def"
#undef CAUSE
#undef CLIENT
#undef TELLS
};

static const struct tells tells[] = {
#define CAUSE(code, name, what, change)
#define CLIENT(code, name, title, marks, implicit, starttls, trust, login, debug)
#define TELLS(cause, weight, port, pieces) { ADVISE_##cause, weight, port, pieces },
#include "advise/explain.def"
#undef CAUSE
#undef CLIENT
#undef TELLS
};

/* What a reply's class tells, where no row knows its words: any step. */
static const struct {
	enum route_class class;
	enum advise_cause cause;
	unsigned char weight;
} by_class[] = {
	{ ROUTE_CLASS_GREYLIST, ADVISE_GREYLISTED, 85 },
	{ ROUTE_CLASS_RATE_LIMIT, ADVISE_RATE_LIMITED, 85 },
	{ ROUTE_CLASS_CONNECTIONS, ADVISE_RATE_LIMITED, 85 },
	{ ROUTE_CLASS_QUOTA, ADVISE_RATE_LIMITED, 85 },
	{ ROUTE_CLASS_REPUTATION, ADVISE_BLOCKLISTED, 85 },
	{ ROUTE_CLASS_IDENTITY, ADVISE_NO_REVERSE_DNS, 85 },
	{ ROUTE_CLASS_UNVERIFIED, ADVISE_SENDER_UNVERIFIED, 85 },
	{ ROUTE_CLASS_POLICY, ADVISE_CONTENT_REFUSED, 70 },
	{ ROUTE_CLASS_CONTENT, ADVISE_CONTENT_REFUSED, 80 },
	{ ROUTE_CLASS_VIRUS, ADVISE_CONTENT_REFUSED, 80 },
	{ ROUTE_CLASS_SIZE, ADVISE_TOO_LARGE, 85 },
	{ ROUTE_CLASS_RECIPIENTS, ADVISE_TOO_MANY_RECIPIENTS, 85 },
	{ ROUTE_CLASS_MAILBOX_FULL, ADVISE_MAILBOX_FULL, 85 },
	{ ROUTE_CLASS_MAILBOX_DISABLED, ADVISE_RECIPIENT_UNKNOWN, 75 },
	{ ROUTE_CLASS_MAILBOX_BUSY, ADVISE_SERVER_TROUBLE, 75 },
	{ ROUTE_CLASS_NO_SUCH_USER, ADVISE_RECIPIENT_UNKNOWN, 85 },
	{ ROUTE_CLASS_NO_SUCH_DOMAIN, ADVISE_RECIPIENT_UNKNOWN, 80 },
	{ ROUTE_CLASS_SENDER, ADVISE_SENDER_NOT_ALLOWED, 85 },
	{ ROUTE_CLASS_RELAY_DENIED, ADVISE_RELAY_DENIED, 90 },
	{ ROUTE_CLASS_AUTH, ADVISE_PASSWORD_REFUSED, 70 },
	{ ROUTE_CLASS_TLS, ADVISE_STARTTLS_REQUIRED, 80 },
	{ ROUTE_CLASS_LACKS_FEATURE, ADVISE_MESSAGE_FORMAT, 60 },
	{ ROUTE_CLASS_PROTOCOL, ADVISE_PROTOCOL, 50 },
	{ ROUTE_CLASS_SYSTEM, ADVISE_SERVER_TROUBLE, 75 },
};

/* ---- the text ---- */

/* Quotes as word processors and web pages set them; how many octets that is, 0 if it is none. */
static size_t typographic(struct slice s, unsigned char *ret)
{
	if (s.n < 3 || s.p[0] != 0xe2 || s.p[1] != 0x80)
		return 0;
	if (s.p[2] == 0x98 || s.p[2] == 0x99)
		*ret = '\'';
	else if (s.p[2] == 0x9c || s.p[2] == 0x9d)
		*ret = '"';
	else
		return 0;
	return 3;
}

static void paste(struct slice text, struct advise_paste *t)
{
	t->n = 0;
	for (size_t i = 0; i < text.n;) {
		unsigned char c = text.p[i];
		size_t n = typographic(slice_tail(text, i), &c);

		i += n ? n : 1;
		if (BLANK(c)) {
			bool newline = c == '\n';

			for (; i < text.n && BLANK(text.p[i]); i++)
				newline = newline || text.p[i] == '\n';
			c = newline ? '\n' : ' ';
		}
		t->p[t->n] = c >= 'A' && c <= 'Z' ? (unsigned char)(c + 'a' - 'A') : c;
		t->flat[t->n] = c == '\n' ? ' ' : t->p[t->n];
		t->n++;
	}
}

size_t advise_find(const struct advise_paste *t, size_t from, struct slice piece)
{
	const unsigned char *at =
		from < t->n && piece.n > 0 ? memmem(t->flat + from, t->n - from, piece.p, piece.n) : NULL;

	return at ? (size_t)(at - t->flat) : t->n;
}

bool advise_says(const struct advise_paste *t, const char *pieces)
{
	struct slice all = slice_str(pieces);

	while (all.n > 0) {
		struct slice one = slice_head(all, slice_find(all, '|'));
		bool there = one.n > 0;

		all = slice_tail(all, one.n + 1);
		while (there && one.n > 0) {
			struct slice piece = slice_head(one, slice_find(one, '&'));

			one = slice_tail(one, piece.n + 1);
			there = cur_byte(&piece, '!') ? advise_find(t, 0, piece) == t->n
						      : advise_find(t, 0, piece) < t->n;
		}
		if (there)
			return true;
	}
	return false;
}

/* ---- guesses ---- */

struct guesses {
	unsigned char weight[ADVISE_CAUSES];
};

static void guess(struct guesses *g, enum advise_cause cause, unsigned weight)
{
	if (weight > g->weight[cause])
		g->weight[cause] = (unsigned char)weight;
}

/* 2525 and 2587 are what 587 is, and 2465 is 465. */
static uint16_t custom(uint16_t port)
{
	return port == 2465 ? 465 : port == 2525 || port == 2587 ? 587 : port;
}

static void by_words(const struct advise_paste *t, uint16_t port, struct guesses *g)
{
	for (size_t i = 0; i < sizeof(tells) / sizeof(tells[0]); i++)
		if ((tells[i].port == 0 || tells[i].port == custom(port)) && advise_says(t, tells[i].pieces))
			guess(g, tells[i].cause, tells[i].weight);
}

/* In which step it was said, as far as that matters to the reply's class. */
static enum smtp_client_step step_of(const struct advise_paste *t)
{
	if (advise_says(t,
			"invalid login|auth plain|auth login|auth xoauth2|auth cram|smtpauthenticationerror|"
			"authenticationfailedexception|authentication failed|could not authenticate|"
			"failed to authenticate|sasl authentication|login denied"))
		return SMTP_CLIENT_AT_AUTH;
	if (advise_says(t, "in reply to rcpt|rcpt to|recipient"))
		return SMTP_CLIENT_AT_RCPT;
	if (advise_says(t, "in reply to mail from|mail from"))
		return SMTP_CLIENT_AT_MAIL;
	if (advise_says(t, "end of data|data not accepted"))
		return SMTP_CLIENT_AT_FINAL;
	return SMTP_CLIENT_IDLE;
}

static void by_reply(const struct route_reply *r, struct advise_explained *e, struct guesses *g)
{
	struct route_meaning m = route_classify(r, NULL, 0);

	e->code = r->code;
	(void)slice_copy(r->enhanced, e->enhanced, sizeof(e->enhanced));
	e->class = m.name;
	if (r->step == SMTP_CLIENT_AT_AUTH && r->code >= 500 && r->code <= 504) {
		/* Programs that look first do not ask in vain: the server has AUTH, and not that mechanism.
		 */
		guess(g, ADVISE_AUTH_NOT_OFFERED, r->code == 502 || r->code == 503 ? 90 : 84);
		guess(g, ADVISE_AUTH_MECHANISM, 88);
		return;
	}
	if (m.class == ROUTE_CLASS_AUTH && r->code == 530) {
		guess(g, ADVISE_AUTH_REQUIRED, 80);
		return;
	}
	for (size_t i = 0; i < sizeof(by_class) / sizeof(by_class[0]); i++)
		if (by_class[i].class == m.class)
			guess(g, by_class[i].cause, by_class[i].weight);
}

/* A password refused there is, more often than not, the wrong kind of password. */
static void by_provider(const struct advise_explained *e, struct guesses *g)
{
	if (!e->provider || !g->weight[ADVISE_PASSWORD_REFUSED])
		return;
	if (e->provider->password == ROUTE_PASSWORD_APP)
		guess(g, ADVISE_APP_PASSWORD, 90);
	else if (e->provider->password == ROUTE_PASSWORD_OAUTH)
		guess(g, ADVISE_OAUTH_REQUIRED, 90);
}

/* The heaviest first; where two weigh the same, in the order of explain.def. */
static void choose(const struct guesses *g, struct advise_explained *e)
{
	while (e->n < ADVISE_GUESSES_MAX) {
		struct advise_guess best = { 0 };

		for (unsigned c = 0; c < ADVISE_CAUSES; c++) {
			bool taken = false;

			for (size_t i = 0; i < e->n; i++)
				taken = taken || e->guess[i].cause == (enum advise_cause)c;
			if (!taken && g->weight[c] > best.weight)
				best = (struct advise_guess){ (enum advise_cause)c, g->weight[c] };
		}
		if (best.weight == 0 || (e->n > 0 && best.weight + BEHIND < e->guess[0].weight))
			return;
		e->guess[e->n++] = best;
	}
}

void advise_explain(struct slice text, struct advise_explained *ret)
{
	struct advise_explained e = { 0 };
	struct guesses g = { 0 };
	struct route_reply r;
	struct advise_paste t;

	if (text.n > ADVISE_TEXT_MAX) {
		text = slice_tail(text, text.n - ADVISE_TEXT_MAX);
		e.cut = true;
	}
	paste(text, &t);
	for (unsigned c = 1; c < ADVISE_CLIENTS && e.client == ADVISE_BY_UNKNOWN; c++)
		if (advise_says(&t, clients[c].marks))
			e.client = (enum advise_client)c;
	advise_where(&t, &e);
	e.secret = advise_has_secret(&t);
	if (e.host[0])
		e.provider = route_provider_of_host(slice_str(e.host));
	by_words(&t, e.port, &g);
	if (advise_reply(&t, &r)) {
		r.step = step_of(&t);
		by_reply(&r, &e, &g);
	}
	by_provider(&e, &g);
	choose(&g, &e);
	*ret = e;
}

void advise_explain_reply(const struct route_reply *r, const char *host, uint16_t port,
			  enum advise_client client, struct advise_explained *ret)
{
	struct advise_explained e = { .client = client, .port = port };
	struct guesses g = { 0 };
	unsigned char room[ROUTE_TEXT_MAX + 64];
	struct advise_paste t;
	struct buf text;

	(void)slice_copy(slice_str(host), e.host, sizeof(e.host));
	e.provider = route_provider_of_host(slice_str(host));
	buf_init_in(&text, room, sizeof(room));
	if (r->code > 0)
		buf_fmt(&text, "%d ", r->code);
	if (r->enhanced.n > 0 && !slice_starts(r->text, r->enhanced))
		buf_fmt(&text, "%.*s ", SLICE_ARG(r->enhanced));
	buf_put(&text, slice_head(r->text, ROUTE_TEXT_MAX));
	paste(buf_slice(&text), &t);
	by_words(&t, port, &g);
	if (r->code > 0)
		by_reply(r, &e, &g);
	if (r->step == SMTP_CLIENT_AT_MAIL &&
	    r->code >= 550) /* whatever its words are: MAIL names only the sender */
		guess(&g, ADVISE_SENDER_NOT_ALLOWED, 60);
	by_provider(&e, &g);
	choose(&g, &e);
	*ret = e;
}

/* ---- names and texts ---- */

const char *advise_cause_name(enum advise_cause cause)
{
	return cause < ADVISE_CAUSES ? causes[cause].name : "unknown";
}

const char *advise_cause_what(enum advise_cause cause)
{
	return cause < ADVISE_CAUSES ? causes[cause].what : "";
}

const char *advise_client_name(enum advise_client client)
{
	return clients[client < ADVISE_CLIENTS ? client : ADVISE_BY_UNKNOWN].name;
}

const char *advise_client_title(enum advise_client client)
{
	return clients[client < ADVISE_CLIENTS ? client : ADVISE_BY_UNKNOWN].title;
}

const char *advise_client_debug(enum advise_client client)
{
	const char *debug = clients[client < ADVISE_CLIENTS ? client : ADVISE_BY_UNKNOWN].debug;

	return *debug ? debug : clients[ADVISE_BY_UNKNOWN].debug;
}

const char *advise_client_implicit(enum advise_client client)
{
	return clients[client < ADVISE_CLIENTS ? client : ADVISE_BY_UNKNOWN].implicit;
}

const char *advise_client_starttls(enum advise_client client)
{
	return clients[client < ADVISE_CLIENTS ? client : ADVISE_BY_UNKNOWN].starttls;
}

const char *advise_client_setting(enum advise_client client, bool implicit, uint16_t port, char *to,
				  size_t size)
{
	const char *custom = implicit ? "465" : "587";
	struct slice s =
		slice_str(implicit ? advise_client_implicit(client) : advise_client_starttls(client));
	struct buf out;

	buf_init_in(&out, to, size - 1);
	for (size_t i = 0; i < s.n; i++)
		if (slice_starts(slice_tail(s, i), slice_str(custom))) {
			buf_dec(&out, port, 1);
			i += 2;
		} else {
			buf_byte(&out, s.p[i]);
		}
	to[out.n] = '\0';
	return to;
}

/* What stands for {name} in a cause's text; of the unknown client where this one has no word for it. */
static const char *setting(struct slice name, enum advise_client client)
{
	const struct client *ours = &clients[client], *all = &clients[ADVISE_BY_UNKNOWN];

#define OR(member) (*ours->member ? ours->member : all->member)
	if (slice_eq(name, SLICE_LIT("implicit")))
		return OR(implicit);
	if (slice_eq(name, SLICE_LIT("starttls")))
		return OR(starttls);
	if (slice_eq(name, SLICE_LIT("trust")))
		return OR(trust);
	if (slice_eq(name, SLICE_LIT("login")))
		return OR(login);
	return "";
#undef OR
}

const char *advise_change(enum advise_cause cause, enum advise_client client, char *to, size_t size)
{
	struct slice c = slice_str(cause < ADVISE_CAUSES ? causes[cause].change : ""), name;
	struct buf out;

	buf_init_in(&out, to, size - 1);
	while (c.n > 0) {
		struct slice plain = slice_head(c, slice_find(c, '{'));

		buf_put(&out, plain);
		c = slice_tail(c, plain.n);
		if (cur_byte(&c, '{') && cur_until(&c, '}', &name))
			buf_str(&out, setting(name, client < ADVISE_CLIENTS ? client : ADVISE_BY_UNKNOWN));
	}
	to[out.n] = '\0';
	return to;
}
