/* Conditions for monitoring. */
#include <stdio.h>
#include <string.h>

#include "probe/expect.h"
#include "probe/finding.h"

enum kind {
	OPEN,
	CLOSED,
	REFUSED,
	FILTERED,
	TLS,
	STARTTLS,
	NO_STARTTLS,
	CERT,
	CERT_DAYS,
	TLS_MIN,
	AUTH,
	AUTH_MECH,
	NO_AUTH,
	NO_CLEAR_AUTH,
	NO_RELAY,
	SIZE,
	EXT,
	LOGIN,
	DANE,
	STS,
	WITHIN,
};

enum behind { NOTHING, DAYS, VERSION, WORD, OCTETS, TIME };

/* Longer ones first where one begins as another does. */
static const struct {
	struct slice name;
	enum kind kind;
	enum behind behind;
} rows[] = {
	{ SLICE_INIT("open"), OPEN, NOTHING },
	{ SLICE_INIT("closed"), CLOSED, NOTHING },
	{ SLICE_INIT("refused"), REFUSED, NOTHING },
	{ SLICE_INIT("filtered"), FILTERED, NOTHING },
	{ SLICE_INIT("tls>="), TLS_MIN, VERSION },
	{ SLICE_INIT("tls"), TLS, NOTHING },
	{ SLICE_INIT("starttls"), STARTTLS, NOTHING },
	{ SLICE_INIT("no-starttls"), NO_STARTTLS, NOTHING },
	{ SLICE_INIT("cert>"), CERT_DAYS, DAYS },
	{ SLICE_INIT("cert"), CERT, NOTHING },
	{ SLICE_INIT("auth="), AUTH_MECH, WORD },
	{ SLICE_INIT("auth"), AUTH, NOTHING },
	{ SLICE_INIT("no-auth"), NO_AUTH, NOTHING },
	{ SLICE_INIT("no-clear-auth"), NO_CLEAR_AUTH, NOTHING },
	{ SLICE_INIT("no-relay"), NO_RELAY, NOTHING },
	{ SLICE_INIT("size>="), SIZE, OCTETS },
	{ SLICE_INIT("ext="), EXT, WORD },
	{ SLICE_INIT("login"), LOGIN, NOTHING },
	{ SLICE_INIT("dane"), DANE, NOTHING },
	{ SLICE_INIT("sts"), STS, NOTHING },
	{ SLICE_INIT("within<"), WITHIN, TIME },
};

/* ---- reading ---- */

static bool read_behind(enum behind behind, struct slice *c, struct probe_condition *ret)
{
	uint64_t n = 0;

	switch (behind) {
	case NOTHING:
		return true;
	case DAYS:
		if (!cur_u64(c, 36500, &ret->n))
			return false;
		(void)cur_byte(c, 'd');
		return true;
	case VERSION:
		return cur_word(c, SLICE_LIT("1.")) && cur_u64(c, 3, &ret->n) && ret->n >= 1;
	case WORD:
		if (c->n == 0 || !slice_copy(*c, ret->word, sizeof(ret->word)))
			return false;
		*c = slice_tail(*c, c->n);
		return true;
	case OCTETS:
		if (!cur_u64(c, 1000000000, &n))
			return false;
		ret->n = n * (cur_word(c, SLICE_LIT("k"))   ? 1000U
			      : cur_word(c, SLICE_LIT("M")) ? 1000000U
			      : cur_word(c, SLICE_LIT("G")) ? 1000000000U
							    : 1U);
		return true;
	default:
		if (!cur_u64(c, 3600000, &n))
			return false;
		ret->n = cur_word(c, SLICE_LIT("ms")) ? n : cur_word(c, SLICE_LIT("s")) ? n * 1000 : 0;
		return ret->n > 0;
	}
}

static const char *read_condition(struct slice text, struct probe_condition *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!slice_copy(text, ret->text, sizeof(ret->text)))
		return "a condition is too long";
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice c = text;

		if (!cur_word(&c, rows[i].name) || (rows[i].behind == NOTHING && c.n > 0))
			continue;
		ret->kind = (int)rows[i].kind;
		if (!read_behind(rows[i].behind, &c, ret) || c.n > 0)
			return "what stands behind a condition's sign is wrong (cert>14d, tls>=1.2, "
			       "auth=PLAIN, "
			       "size>=25M, ext=NAME, within<2s)";
		return NULL;
	}
	return "a condition is none of: open closed refused filtered tls starttls no-starttls cert cert>14d "
	       "tls>=1.2 "
	       "auth auth=MECH no-auth no-clear-auth no-relay size>=25M ext=NAME login dane sts within<2s";
}

const char *probe_expect_parse(struct slice text, struct probe_expect *ret)
{
	struct probe_expect e = { 0 };
	uint64_t port;

	if (!cur_u64(&text, 65535, &port) || port == 0 || (text.n > 0 && !cur_byte(&text, ':')))
		return "it begins with a port and a colon: 587:starttls,auth";
	e.port = (uint16_t)port;
	if (text.n == 0)
		text = SLICE_LIT("open");
	for (bool more = true; more;) {
		struct slice word = slice_head(text, slice_find(text, ','));
		const char *wrong;

		if (e.n == PROBE_EXPECT_MAX)
			return "these are too many conditions for one port";
		wrong = read_condition(word, &e.condition[e.n++]);
		if (wrong)
			return wrong;
		text = slice_tail(text, word.n);
		more = cur_byte(&text, ',');
	}
	*ret = e;
	return NULL;
}

/* ---- looking ---- */

/* One word of several with blanks between. */
static bool has_word(const char *words, const char *word)
{
	struct slice s = slice_str(words);

	while (s.n > 0) {
		struct slice w = slice_head(s, slice_find(s, ' '));

		if (slice_eq_nocase(w, slice_str(word)))
			return true;
		s = slice_tail(s, w.n + 1);
	}
	return false;
}

static bool relays(const struct probe_port *p)
{
	bool does = p->rcpt.code / 100 == 2;

	for (size_t i = 0; i < PROBE_RELAYS; i++)
		does = does || p->relay[i][1].code / 100 == 2;
	return does;
}

static bool takes_below(const struct probe_port *p, uint64_t minor)
{
	bool does = p->tls.up && strlen(p->tls.version) == 7 && (uint64_t)(p->tls.version[6] - '0') < minor;

	for (int v = 0; v < PROBE_VERSIONS; v++)
		does = does ||
		       (p->old[v] == PROBE_OLD_ACCEPTED && (v == PROBE_SSL3 || (uint64_t)(v - 1) < minor));
	return does;
}

static const char *login_lacks(const struct probe_login *l, char *room, size_t size)
{
	switch (l->state) {
	case PROBE_LOGIN_ACCEPTED:
		return NULL;
	case PROBE_LOGIN_REFUSED:
		snprintf(room, size, "%d %.180s", l->auth.code, l->auth.text);
		return room;
	case PROBE_LOGIN_NOT_ASKED:
		return "it was not tried";
	default:
		return l->why;
	}
}

/* NULL: it is so. */
static const char *lacks(const struct probe_condition *c, const struct probe_port *p, int64_t now, char *room,
			 size_t size)
{
	const struct probe_offers *o = probe_offers_of(p);
	bool smtp = probe_speaks_smtp(p);
	int64_t days = p->tls.n_chain ? (p->tls.chain[0].not_after - now) / 86400 : 0;

	switch ((enum kind)c->kind) {
	case CLOSED:
		return p->reach != PROBE_OPEN ? NULL : "it takes connections";
	case REFUSED:
		return p->reach == PROBE_REFUSED ? NULL : "it does not refuse connections";
	case FILTERED:
		return p->reach == PROBE_SILENT ? NULL : "there is an answer";
	default:
		break;
	}
	if (p->reach != PROBE_OPEN)
		return "it cannot be connected to";
	if (!smtp)
		return "it does not speak SMTP";
	switch ((enum kind)c->kind) {
	case OPEN:
		return NULL;
	case TLS:
		return p->tls.up && p->tls.implicit ? NULL : "it does not speak TLS from the first octet";
	case STARTTLS:
		return p->tls.up && !p->tls.implicit ? NULL
		       : p->clear.starttls	     ? "STARTTLS is offered, and does not work"
						     : "STARTTLS is not offered";
	case NO_STARTTLS:
		return p->clear.starttls ? "STARTTLS is offered" : NULL;
	case CERT_DAYS:
		if (p->tls.up && p->tls.verified && days <= (int64_t)c->n) {
			snprintf(room, size, "the certificate expires in %lld days", (long long)days);
			return room;
		}
		__attribute__((fallthrough));
	case CERT:
		return !p->tls.up	 ? "there is no TLS"
		       : p->tls.verified ? NULL
		       : p->tls.words[0] ? p->tls.words
					 : "the certificate does not verify";
	case TLS_MIN:
		return !p->tls.up	      ? "there is no TLS"
		       : takes_below(p, c->n) ? "an older version is taken"
					      : NULL;
	case AUTH:
		return p->tls.up && p->in_tls.auth[0] ? NULL : "AUTH is not offered within TLS";
	case AUTH_MECH:
		return p->tls.up && has_word(p->in_tls.auth, c->word) ? NULL : "it is not offered within TLS";
	case NO_AUTH:
		return p->clear.auth[0] || p->in_tls.auth[0] ? "AUTH is offered" : NULL;
	case NO_CLEAR_AUTH:
		return p->clear.auth[0] ? "AUTH is offered before TLS" : NULL;
	case NO_RELAY:
		return relays(p) ? "it took a stranger's recipient" : NULL;
	case SIZE:
		return !o->has_size || o->size == 0 || o->size >= c->n ? NULL : "its limit is smaller";
	case EXT:
		return has_word(o->extensions, c->word) ? NULL : "it is not offered";
	case LOGIN:
		return login_lacks(&p->login, room, size);
	case DANE:
		return p->dane == PROBE_MATCH_YES ? NULL
		       : p->dane_words[0]	  ? p->dane_words
						  : "there is no DANE";
	case STS:
		return p->sts == PROBE_MATCH_YES ? NULL
		       : p->sts_words[0]	 ? p->sts_words
						 : "there is no MTA-STS";
	case WITHIN:
		return p->connect_ms + p->greeting.ms < c->n ? NULL : "it took longer";
	default:
		return "it is not known";
	}
}

bool probe_expect_met(const struct probe_condition *c, const struct probe_port *p, int64_t now, char *ret_why,
		      size_t size)
{
	char room[200];
	const char *why = lacks(c, p, now, room, sizeof(room));

	if (why)
		snprintf(ret_why, size, "%s: %s", c->text, why);
	return !why;
}

bool probe_expect_wants_login(const struct probe_expect *e)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->condition[i].kind == LOGIN)
			return true;
	return false;
}
