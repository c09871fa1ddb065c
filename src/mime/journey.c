#include "mime/journey.h"

#include <string.h>

#include "base/buf.h"
#include "base/ip.h"
#include "base/utf8.h"
#include "mime/date.h"

/* ---- fields ---- */

/* The next field; its value may still be folded.  False: the section is over. */
static bool next_field(struct slice *cur, struct slice *ret_name, struct slice *ret_value)
{
	struct slice field = *cur;
	size_t n = 0, colon;

	do { /* to a line end that no blank follows */
		n += slice_find(slice_tail(field, n), '\n');
		n += n < field.n;
	} while (n < field.n && (field.p[n] == ' ' || field.p[n] == '\t'));
	field = slice_head(field, n);
	*cur = slice_tail(*cur, n);
	colon = slice_find(field, ':');
	if (colon == 0 || colon == field.n || field.p[0] == '\r' || field.p[0] == '\n')
		return false;
	*ret_name = slice_trim(slice_head(field, colon));
	*ret_value = slice_tail(field, colon + 1);
	return true;
}

/* Copies what is printable; everything else is "?", line ends and blanks one blank. */
static void copy(struct slice s, char *to, size_t size)
{
	size_t n = 0;

	while (s.n > 0 && n + 1 < size) {
		size_t len = utf8_length(s);
		bool control = len == 2 && s.p[0] == 0xc2 && s.p[1] < 0xa0; /* C1 */

		if (*s.p == ' ' || *s.p == '\t' || *s.p == '\r' || *s.p == '\n') {
			if (n > 0 && to[n - 1] != ' ')
				to[n++] = ' ';
			len = 1;
		} else if (len == 0 || control || *s.p < 0x20 || *s.p == 0x7f) {
			to[n++] = '?';
			len = len > 0 ? len : 1;
		} else if (n + len < size) {
			memcpy(to + n, s.p, len);
			n += len;
		} else {
			break;
		}
		s = slice_tail(s, len);
	}
	while (n > 0 && to[n - 1] == ' ')
		n--;
	to[n] = '\0';
}

static void copy_lower(struct slice s, char *to, size_t size)
{
	copy(s, to, size);
	for (; *to; to++)
		if (*to >= 'A' && *to <= 'Z')
			*to = (char)(*to | 0x20);
}

/* ---- words ---- */

enum token { END, WORD, QUOTED, COMMENT, SIGN };

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What stands between brackets or quotes, to the end of all if it is never closed. */
static struct slice enclosed(struct slice *cur, unsigned char open, unsigned char close)
{
	unsigned depth = 0;
	size_t n = 0;

	do {
		unsigned char c = cur->p[n];

		if (c == '\\')
			n++;
		else if (c == close && (open == close ? n > 0 : depth > 0))
			depth--;
		else if (c == open)
			depth++;
		n++;
	} while (n < cur->n && depth > 0);
	{
		struct slice in = slice_tail(slice_head(*cur, n), 1);

		*cur = slice_tail(*cur, n);
		if (depth == 0 && in.n > 0)
			in.n--;
		return in;
	}
}

/* signs: octets that stand for themselves. */
static enum token next(struct slice *cur, const char *signs, struct slice *ret)
{
	size_t n = 0;

	while (cur->n > 0 && is_blank(cur->p[0]))
		*cur = slice_tail(*cur, 1);
	if (cur->n == 0)
		return END;
	if (cur->p[0] == '(') {
		*ret = enclosed(cur, '(', ')');
		return COMMENT;
	}
	if (cur->p[0] == '"') {
		*ret = enclosed(cur, '"', '"');
		return QUOTED;
	}
	if (cur->p[0] && strchr(signs, cur->p[0])) {
		*ret = slice_head(*cur, 1);
		*cur = slice_tail(*cur, 1);
		return SIGN;
	}
	while (n < cur->n && !is_blank(cur->p[n]) && cur->p[n] != '(' && cur->p[n] != '"' &&
	       !(cur->p[n] && strchr(signs, cur->p[n])))
		n++;
	*ret = slice_head(*cur, n);
	*cur = slice_tail(*cur, n);
	return WORD;
}

/* ---- Received ---- */

/* "TLSv1.3", "TLS1_3", "TLS1.2", "TLS 1.3"; "TLS": not of which version. */
static void take_tls(struct slice at, struct mime_hop *h)
{
	(void)cur_word(&at, SLICE_LIT("TLS ")); /* as we write it: "(TLS TLSv1.3 ...)" */
	if (!cur_word(&at, SLICE_LIT("TLS")))
		return;
	if (!h->tls[0])
		memcpy(h->tls, "TLS", 4);
	if (!cur_byte(&at, 'v') && !cur_byte(&at, 'V'))
		cur_byte(&at, ' ');
	if (at.n >= 3 && at.p[0] == '1' && (at.p[1] == '.' || at.p[1] == '_') && at.p[2] >= '0' &&
	    at.p[2] <= '9') {
		char text[] = { 'T', 'L', 'S', ' ', '1', '.', (char)at.p[2], 0 };

		memcpy(h->tls, text, sizeof(text));
	}
}

/* "(TLS1.3)", "(using TLSv1.3 with cipher ...)", "(version=TLS1_3 ...)": only so does a server begin a
 * comment on it; what a client called itself stands in others. */
static void take_tls_comment(struct slice comment, struct mime_hop *h)
{
	if (!cur_word(&comment, SLICE_LIT("using ")))
		(void)cur_word(&comment, SLICE_LIT("version="));
	take_tls(comment, h);
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]", "192.0.2.1", within what else stands there; the last one, for what the
 * server found out comes behind what it was told. */
static void find_address(struct slice s, struct mime_hop *h)
{
	struct slice word, inside;
	enum token t;

	while ((t = next(&s, "[],;", &word)) != END) {
		struct ip ip;
		char text[IP_TEXT_MAX];

		/* From there on it is the client that speaks. */
		if (slice_starts_nocase(word, SLICE_LIT("helo")) ||
		    slice_starts_nocase(word, SLICE_LIT("ehlo")))
			return;
		inside = word;
		(void)cur_word(&inside, SLICE_LIT("IPv6:"));
		if (t == WORD && ip_parse(inside, &ip))
			copy(slice_str(ip_format(&ip, text)), h->address, sizeof(h->address));
	}
}

/* Protocols whose name ends with S or SA say that there was TLS (RFC 3848). */
static void take_protocol(struct slice word, struct mime_hop *h)
{
	struct slice p = word;

	copy(word, h->with, sizeof(h->with));
	if (p.n > 0 && (p.p[p.n - 1] | 0x20) == 'a')
		p.n--;
	if (!h->tls[0] &&
	    (slice_eq_nocase(p, SLICE_LIT("ESMTPS")) || slice_eq_nocase(p, SLICE_LIT("LMTPS")) ||
	     slice_eq_nocase(p, SLICE_LIT("UTF8SMTPS")) || slice_eq_nocase(p, SLICE_LIT("UTF8LMTPS")) ||
	     slice_eq_nocase(p, SLICE_LIT("HTTPS"))))
		memcpy(h->tls, "TLS", 4);
}

enum clause { CLAUSE_NONE, CLAUSE_FROM, CLAUSE_BY, CLAUSE_WITH, CLAUSE_TLS };

static enum clause clause_of(struct slice word)
{
	static const char *const names[] = {
		[CLAUSE_FROM] = "from", [CLAUSE_BY] = "by", [CLAUSE_WITH] = "with", [CLAUSE_TLS] = "tls"
	};

	for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq_nocase(word, slice_str(names[i])))
			return (enum clause)i;
	return CLAUSE_NONE;
}

static void take_clause(enum clause c, struct slice word, struct mime_hop *h)
{
	switch (c) {
	case CLAUSE_FROM:
		if (!h->from[0])
			copy(word, h->from, sizeof(h->from));
		find_address(word, h);
		break;
	case CLAUSE_BY:
		if (!h->by[0])
			copy(word, h->by, sizeof(h->by));
		break;
	case CLAUSE_WITH:
		if (!h->with[0])
			take_protocol(word, h);
		break;
	default: /* Exim has the version so */
		take_tls(word, h);
		break;
	}
}

static void take_hop(struct slice value, struct mime_hop *h)
{
	struct slice cur = slice_head(value, slice_rfind(value, ';')), word;
	enum clause clause = CLAUSE_NONE;
	bool filled = true; /* the clause has its value: another one may begin, or comments on it come */
	enum token t;

	*h = (struct mime_hop){ 0 };
	h->has_time = mime_date_read(slice_tail(value, cur.n + 1), &h->time_ms);
	while ((t = next(&cur, ";", &word)) != END) {
		if (t == COMMENT) {
			take_tls_comment(word, h);
			if (clause == CLAUSE_FROM)
				find_address(word, h);
		} else if (t != SIGN && !filled) {
			take_clause(clause, word, h);
			filled = true;
		} else if (t == WORD && clause_of(word) != CLAUSE_NONE) {
			clause = clause_of(word);
			filled = false;
		}
	}
}

/* ---- Authentication-Results ---- */

/* Which property says what was judged; the first that is there. */
static const struct {
	const char *method, *property;
} judged[] = {
	{ "spf", "smtp.mailfrom" }, { "spf", "smtp.helo" },	{ "dkim", "header.d" },
	{ "dkim", "header.i" },	    { "dmarc", "header.from" }, { "arc", "smtp.remote-ip" },
};

static size_t rank_of(const char *method, struct slice property)
{
	size_t i;

	for (i = 0; i < sizeof(judged) / sizeof(judged[0]); i++)
		if (!strcmp(judged[i].method, method) &&
		    slice_eq_nocase(property, slice_str(judged[i].property)))
			break;
	return i;
}

/* "spf=pass (comment) smtp.mailfrom=x.org reason=..."; false: nothing of the kind. */
static bool take_check(struct slice part, struct mime_check *c)
{
	struct slice key = { 0 }, word, value;
	size_t best = sizeof(judged) / sizeof(judged[0]);
	enum token t;

	while ((t = next(&part, "=;", &word)) != END) {
		if (t == COMMENT && c->result[0] && !c->reason[0])
			copy(word, c->reason, sizeof(c->reason));
		if (t == WORD)
			key = word;
		if (t != SIGN || key.n == 0 || word.p[0] != '=')
			continue;
		t = next(&part, "=;", &value);
		if (t != WORD && t != QUOTED)
			continue;
		if (!c->method[0]) {
			copy_lower(slice_head(key, slice_find(key, '/')), c->method, sizeof(c->method));
			copy_lower(value, c->result, sizeof(c->result));
		} else if (slice_eq_nocase(key, SLICE_LIT("reason"))) {
			copy(value, c->reason, sizeof(c->reason));
		} else if (rank_of(c->method, key) < best) {
			best = rank_of(c->method, key);
			copy(value, c->about, sizeof(c->about));
		}
		key = (struct slice){ 0 };
	}
	return c->method[0] && c->result[0];
}

/* Up to the next ";" that is not within quotes or a comment. */
static struct slice take_part(struct slice *cur)
{
	struct slice all = *cur, word;
	enum token t;

	while ((t = next(cur, ";", &word)) != END)
		if (t == SIGN)
			return slice_head(all, all.n - cur->n - 1);
	return all;
}

static void take_checks(struct slice value, struct mime_journey *j)
{
	struct slice part = take_part(&value), word = { 0 };
	char by[MIME_JOURNEY_WORD] = "";
	enum token t;

	while ((t = next(&part, "", &word)) == COMMENT)
		;
	if (t != END)
		copy(word, by, sizeof(by));
	while (value.n > 0) {
		struct mime_check c = { 0 };

		part = take_part(&value);
		if (!take_check(part, &c))
			continue;
		memcpy(c.by, by, sizeof(c.by));
		if (j->checks < MIME_JOURNEY_CHECKS)
			j->check[j->checks++] = c;
		else
			j->checks_more++;
	}
}

/* ---- all of it ---- */

void mime_journey_read(struct slice header, struct mime_journey *ret)
{
	struct slice name, value;

	memset(ret, 0, sizeof(*ret));
	while (next_field(&header, &name, &value)) {
		if (slice_eq_nocase(name, SLICE_LIT("Authentication-Results")))
			take_checks(value, ret);
		if (!slice_eq_nocase(name, SLICE_LIT("Received")))
			continue;
		if (ret->hops < MIME_JOURNEY_HOPS)
			take_hop(value, &ret->hop[ret->hops++]);
		else
			ret->hops_more++;
	}
	/* Each server puts its own in front. */
	for (size_t i = 0; i < ret->hops / 2; i++) {
		struct mime_hop h = ret->hop[i];

		ret->hop[i] = ret->hop[ret->hops - 1 - i];
		ret->hop[ret->hops - 1 - i] = h;
	}
}

void mime_journey_field(struct slice header, struct slice name, char *ret, size_t size)
{
	struct slice have, value;

	ret[0] = '\0';
	while (next_field(&header, &have, &value))
		if (slice_eq_nocase(have, name)) {
			while (value.n > 0 && is_blank(value.p[0]))
				value = slice_tail(value, 1);
			copy(value, ret, size);
			return;
		}
}

/* ---- in words ---- */

static const struct {
	const char *method, *result, *text; /* method "": any; %s: what was judged */
	const char *nothing;		    /* the same where that is not told; NULL: the text */
} meanings[] = {
	{ "spf", "pass", "the server that brought it may send for %s",
	  "the server that brought it may send" },
	{ "spf", "fail", "the server that brought it may not send for %s",
	  "the server that brought it may not send" },
	{ "spf", "softfail", "the server that brought it should not send for %s",
	  "the server that brought it should not send" },
	{ "spf", "neutral", "%s does not say which servers may send for it",
	  "nothing is said of which servers may send" },
	{ "spf", "none", "%s has no SPF record", "there is no SPF record" },
	{ "spf", "permerror", "the SPF record of %s has an error", "the SPF record has an error" },
	{ "dkim", "pass", "signed by %s, and unchanged since", "signed, and unchanged since" },
	{ "dkim", "fail", "the signature by %s does not hold", "the signature does not hold" },
	{ "dkim", "none", "not signed", NULL },
	{ "dkim", "neutral", "the signature by %s could not be judged", "the signature could not be judged" },
	{ "dkim", "policy", "the signature by %s is not accepted there",
	  "the signature is not accepted there" },
	{ "dkim", "permerror", "the signature by %s, or its key, has an error",
	  "the signature, or its key, has an error" },
	{ "dmarc", "pass", "the author's domain %s stands behind it, by SPF or DKIM",
	  "the author's domain stands behind it, by SPF or DKIM" },
	{ "dmarc", "fail", "neither SPF nor DKIM speak for the author's domain %s",
	  "neither SPF nor DKIM speak for the author's domain" },
	{ "dmarc", "none", "%s has no DMARC policy", "there is no DMARC policy" },
	{ "dmarc", "bestguesspass", "%s has no DMARC policy; it would have passed",
	  "there is no DMARC policy; it would have passed" },
	{ "dmarc", "permerror", "the DMARC policy of %s has an error", "the DMARC policy has an error" },
	{ "arc", "pass", "who passed it on vouches for what was found before", NULL },
	{ "arc", "fail", "what those who passed it on say does not hold", NULL },
	{ "arc", "none", "nobody who passed it on vouches for it", NULL },
	{ "", "temperror", "it could not be looked up at that time", NULL },
};

void mime_check_put(const struct mime_check *c, struct buf *to)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		const char *text =
			c->about[0] || !meanings[i].nothing ? meanings[i].text : meanings[i].nothing;
		size_t at = slice_find(slice_str(text), '%');

		if ((meanings[i].method[0] && strcmp(c->method, meanings[i].method) != 0) ||
		    strcmp(c->result, meanings[i].result) != 0)
			continue;
		buf_put(to, slice_head(slice_str(text), at));
		if (text[at]) {
			buf_str(to, c->about);
			buf_str(to, text + at + 2);
		}
		return;
	}
	buf_str(to, c->about);
}
