#include "smtp/path.h"
#include "smtp/path_private.h"

#include <idn2.h>

#include "base/ip.h"
#include "smtp/srs.h"

bool smtp_utf8_take(struct slice *cur)
{
	struct slice c = *cur;
	unsigned char b, low = 0x80, high = 0xbf;
	size_t more;

	if (c.n == 0 || c.p[0] < 0xc2 || c.p[0] > 0xf4)
		return false;
	b = c.p[0];
	more = b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3;
	if (c.n <= more)
		return false;
	/* No overlong form, no surrogate, nothing past U+10FFFF (RFC 3629 4). */
	if (b == 0xe0)
		low = 0xa0;
	else if (b == 0xed)
		high = 0x9f;
	else if (b == 0xf0)
		low = 0x90;
	else if (b == 0xf4)
		high = 0x8f;
	if (c.p[1] < low || c.p[1] > high)
		return false;
	for (size_t i = 2; i <= more; i++)
		if ((c.p[i] & 0xc0) != 0x80)
			return false;
	*cur = slice_tail(c, more + 1);
	return true;
}

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_atext(unsigned char c)
{
	return is_alnum(c) || (c > 0 && c < 0x80 && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* One character of a class of ASCII, or of UTF-8 beyond it. */
static enum smtp_parse take_char(struct slice *cur, bool (*ascii)(unsigned char), bool *utf8)
{
	if (cur->n == 0)
		return SMTP_PARSE_SYNTAX;
	if (cur->p[0] >= 0x80) {
		if (!smtp_utf8_take(cur))
			return SMTP_PARSE_UTF8;
		*utf8 = true;
		return SMTP_PARSE_OK;
	}
	if (!ascii(cur->p[0]))
		return SMTP_PARSE_SYNTAX;
	*cur = slice_tail(*cur, 1);
	return SMTP_PARSE_OK;
}

/* Dot-string = Atom *("." Atom) */
static enum smtp_parse parse_dot_string(struct slice *cur, bool *utf8)
{
	do {
		enum smtp_parse r = take_char(cur, is_atext, utf8);

		if (r != SMTP_PARSE_OK)
			return r;
		while (cur->n > 0 && (cur->p[0] >= 0x80 || is_atext(cur->p[0]))) {
			r = take_char(cur, is_atext, utf8);
			if (r != SMTP_PARSE_OK)
				return r;
		}
	} while (cur_byte(cur, '.'));
	return SMTP_PARSE_OK;
}

static bool is_qpair(unsigned char c)
{
	return c >= 32 && c <= 126;
}

static bool is_qtext(unsigned char c)
{
	return is_qpair(c) && c != '"' && c != '\\';
}

/* Quoted-string, after its opening quote. */
static enum smtp_parse parse_quoted(struct slice *cur, bool *utf8)
{
	while (!cur_byte(cur, '"')) {
		struct slice c = *cur;
		enum smtp_parse r;

		if (cur_byte(&c, '\\')) {
			if (c.n == 0 || !is_qpair(c.p[0]))
				return SMTP_PARSE_SYNTAX;
			*cur = slice_tail(c, 1);
			continue;
		}
		r = take_char(cur, is_qtext, utf8);
		if (r != SMTP_PARSE_OK)
			return r;
	}
	return SMTP_PARSE_OK;
}

static bool is_ldh(unsigned char c)
{
	return is_alnum(c) || c == '-';
}

/* sub-domain *("." sub-domain), each a letter-digit-hyphen label of at most 63
 * octets that a hyphen neither begins nor ends, or a U-label.  A U-label's own
 * length is known only as an A-label: smtp_path_put_canonical() tests it. */
static enum smtp_parse parse_domain(struct slice *cur, bool *utf8)
{
	do {
		struct slice label = *cur;
		bool u = false;
		enum smtp_parse r;

		if (cur->n == 0 || cur->p[0] == '-')
			return SMTP_PARSE_SYNTAX;
		do {
			r = take_char(cur, is_ldh, &u);
			if (r != SMTP_PARSE_OK)
				return r;
		} while (cur->n > 0 && (cur->p[0] >= 0x80 || is_ldh(cur->p[0])));
		label = slice_head(label, label.n - cur->n);
		if (label.p[label.n - 1] == '-')
			return SMTP_PARSE_SYNTAX;
		if (!u && label.n > 63)
			return SMTP_PARSE_TOO_LONG;
		*utf8 = *utf8 || u;
	} while (cur_byte(cur, '.'));
	return SMTP_PARSE_OK;
}

/* What stands between the brackets; false unless it is an address.  A
 * General-address-literal has no registered tag but IPv6, so there is no other. */
static bool literal_ip(struct slice inside, struct ip *ret)
{
	if (cur_word(&inside, SLICE_LIT("IPv6:")))
		return slice_find(inside, ':') < inside.n && ip_parse(inside, ret);
	return slice_find(inside, ':') == inside.n && ip_parse(inside, ret) && ret->family == 4;
}

bool smtp_path_literal(const struct smtp_path *path, struct ip *ret)
{
	return path->literal && literal_ip(slice_head(slice_tail(path->domain, 1), path->domain.n - 2), ret);
}

static enum smtp_parse parse_mailbox(struct slice *cur, bool bare_postmaster, struct smtp_path *ret)
{
	struct smtp_path path = { 0 };
	struct slice start = *cur, inside;
	enum smtp_parse r;
	struct ip ip;

	path.quoted = cur_byte(cur, '"');
	r = path.quoted ? parse_quoted(cur, &path.utf8) : parse_dot_string(cur, &path.utf8);
	if (r != SMTP_PARSE_OK)
		return r;
	path.local = slice_head(start, start.n - cur->n);
	if (path.local.n > (srs_is(path.local) ? SMTP_LOCAL_PART_SRS_MAX : SMTP_LOCAL_PART_MAX))
		return SMTP_PARSE_TOO_LONG;
	if (!cur_byte(cur, '@')) {
		if (!bare_postmaster || !slice_eq_nocase(path.local, SLICE_LIT("postmaster")))
			return SMTP_PARSE_SYNTAX;
		*ret = path;
		return SMTP_PARSE_OK;
	}
	start = *cur;
	if (cur_byte(cur, '[')) {
		path.literal = true;
		if (!cur_until(cur, ']', &inside) || !literal_ip(inside, &ip)) {
			*cur = start;
			return SMTP_PARSE_SYNTAX;
		}
	} else {
		r = parse_domain(cur, &path.utf8);
		if (r != SMTP_PARSE_OK)
			return r;
	}
	path.domain = slice_head(start, start.n - cur->n);
	/* 256 for the path with its angle brackets. */
	if (path.domain.n > SMTP_DOMAIN_MAX || path.local.n + 1 + path.domain.n + 2 > SMTP_PATH_MAX)
		return SMTP_PARSE_TOO_LONG;
	*ret = path;
	return SMTP_PARSE_OK;
}

/* A-d-l = At-domain *( "," At-domain ), with its colon.  "SHOULD be ignored" (RFC 5321 C). */
static enum smtp_parse skip_route(struct slice *cur)
{
	bool utf8 = false;

	do {
		enum smtp_parse r = cur_byte(cur, '@') ? parse_domain(cur, &utf8) : SMTP_PARSE_SYNTAX;

		if (r != SMTP_PARSE_OK)
			return r;
	} while (cur_byte(cur, ','));
	return cur_byte(cur, ':') ? SMTP_PARSE_OK : SMTP_PARSE_SYNTAX;
}

enum smtp_parse smtp_path_take(struct slice *cur, enum smtp_path_kind kind, struct smtp_path *ret)
{
	struct smtp_path path = { .null = true };
	enum smtp_parse r = SMTP_PARSE_OK;

	if (!cur_byte(cur, '<'))
		return SMTP_PARSE_SYNTAX;
	if (kind == SMTP_PATH_REVERSE && cur_byte(cur, '>')) {
		*ret = path;
		return SMTP_PARSE_OK;
	}
	if (cur->n > 0 && cur->p[0] == '@')
		r = skip_route(cur);
	if (r == SMTP_PARSE_OK)
		r = parse_mailbox(cur, kind == SMTP_PATH_FORWARD, &path);
	if (r == SMTP_PARSE_OK && !cur_byte(cur, '>'))
		r = SMTP_PARSE_SYNTAX;
	if (r == SMTP_PARSE_OK)
		*ret = path;
	return r;
}

enum smtp_parse smtp_parse_address(struct slice text, struct smtp_path *ret, size_t *reterr_at)
{
	struct slice c = text;
	struct smtp_path path;
	enum smtp_parse r = parse_mailbox(&c, false, &path);

	if (r == SMTP_PARSE_OK && c.n > 0)
		r = SMTP_PARSE_SYNTAX;
	if (r != SMTP_PARSE_OK) {
		*reterr_at = text.n - c.n;
		return r;
	}
	*ret = path;
	return SMTP_PARSE_OK;
}

void smtp_path_put(const struct smtp_path *path, struct buf *to)
{
	if (path->null)
		return;
	buf_put(to, path->local);
	if (path->domain.n == 0)
		return;
	buf_byte(to, '@');
	buf_put(to, path->domain);
}

static void put_lower(struct buf *to, struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_byte(to, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (unsigned char)(s.p[i] + 32) : s.p[i]);
}

/* "a\b" is ab, "a b" is "a b", "a\"b" is "a\"b": backslashes and quotes only where they are needed. */
static void put_unquoted(struct buf *to, struct slice quoted)
{
	unsigned char text[SMTP_LOCAL_PART_MAX];
	struct slice in = slice_head(slice_tail(quoted, 1), quoted.n - 2), out;
	bool utf8 = false;
	size_t n = 0;

	for (size_t i = 0; i < in.n && n < sizeof(text); i++) {
		if (in.p[i] == '\\' && i + 1 < in.n)
			i++;
		text[n++] = in.p[i];
	}
	out = slice_of(text, n);
	if (parse_dot_string(&out, &utf8) == SMTP_PARSE_OK && out.n == 0) {
		buf_put(to, slice_of(text, n));
		return;
	}
	buf_byte(to, '"');
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buf_byte(to, '\\');
		buf_byte(to, text[i]);
	}
	buf_byte(to, '"');
}

bool smtp_domain_put_canonical(struct slice domain, struct buf *to)
{
	char text[SMTP_DOMAIN_MAX + 1];
	uint8_t *ascii = NULL;
	bool ok = false, utf8 = false;
	struct slice c = domain;
	int r;

	if (parse_domain(&c, &utf8) != SMTP_PARSE_OK || c.n > 0)
		return false;
	if (!utf8) {
		put_lower(to, domain);
		return true;
	}
	if (!slice_copy(domain, text, sizeof(text)))
		return false;
	r = idn2_lookup_u8((const uint8_t *)text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (r != IDN2_OK) {
		to->failed |= r == IDN2_MALLOC;
		return false;
	}
	/* The mapping of UTS 46 can yield any ASCII (a full-width '@' is an '@'): parse it again. */
	c = slice_str((const char *)ascii);
	if (c.n <= SMTP_DOMAIN_MAX && !slice_has_8bit(c) && parse_domain(&c, &utf8) == SMTP_PARSE_OK &&
	    c.n == 0) {
		put_lower(to, slice_str((const char *)ascii));
		ok = true;
	}
	idn2_free(ascii);
	return ok;
}

bool smtp_path_put_canonical(const struct smtp_path *path, struct buf *to)
{
	char text[IP_TEXT_MAX];
	struct ip ip;

	if (path->null)
		return true;
	if (path->quoted)
		put_unquoted(to, path->local);
	else if (path->domain.n == 0)
		put_lower(to, path->local);
	else
		buf_put(to, path->local);
	if (path->domain.n == 0)
		return true;
	buf_byte(to, '@');
	if (!path->literal)
		return smtp_domain_put_canonical(path->domain, to);
	if (!smtp_path_literal(path, &ip))
		return false;
	buf_fmt(to, ip.family == 6 ? "[IPv6:%s]" : "[%s]", ip_format(&ip, text));
	return true;
}
