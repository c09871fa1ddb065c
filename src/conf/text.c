/* What a text may hold, and how it is written. */
#include "base/endpoint.h"
#include "conf/directives.h"

/* The next code point of UTF-8; false on anything that is not well formed. */
static bool next_rune(struct slice *s, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned char first = s->p[0];
	size_t n = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
	uint32_t rune;

	if (n == 0 || n > s->n || first > 0xf7)
		return false;
	rune = n == 1 ? first : first & (0x7fU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s->p[i] & 0xc0) != 0x80)
			return false;
		rune = rune << 6 | (s->p[i] & 0x3fU);
	}
	if (rune < least[n])
		return false;
	*s = slice_tail(*s, n);
	*ret = rune;
	return true;
}

/* Nothing that YAML takes for a line end or cannot show as it is, and nothing that
 * could forge a line in a log or a header. */
bool conf_text_ok(struct slice s)
{
	uint32_t c;

	while (s.n > 0) {
		if (!next_rune(&s, &c) || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
		    (c >= 0xd800 && c < 0xe000) || c == 0xfeff || c == 0xfffe || c == 0xffff || c > 0x10ffff)
			return false;
	}
	return true;
}

static bool one_of(unsigned char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool is_letter(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 5321 4.1.2 Domain; not an address, of which the last label would be a number. */
bool conf_host_ok(struct slice s)
{
	struct slice label;
	bool more, letter = false;

	if (s.n == 0 || s.n > 253)
		return false;
	do {
		more = cur_until(&s, '.', &label);
		if (!more)
			label = s;
		if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
			return false;
		letter = false;
		for (size_t i = 0; i < label.n; i++) {
			if (!is_letter(label.p[i]) && !is_digit(label.p[i]) && label.p[i] != '-')
				return false;
			letter |= !is_digit(label.p[i]);
		}
	} while (more);
	return letter;
}

bool conf_email_ok(struct slice s)
{
	size_t at = slice_rfind(s, '@');

	if (at == 0 || at > 64 || at >= s.n || s.n > 254 || !conf_host_ok(slice_tail(s, at + 1)))
		return false;
	for (size_t i = 0; i < at; i++)
		if (s.p[i] <= ' ' || one_of(s.p[i], "\"(),:;<>@[\\]"))
			return false;
	return s.p[0] != '.' && s.p[at - 1] != '.';
}

bool conf_name_ok(struct slice s)
{
	if (s.n == 0 || s.n > 32)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (!is_letter(c) && !(i > 0 && (is_digit(c) || c == '-' || c == '_')))
			return false;
	}
	return true;
}

bool conf_pattern_ok(struct slice s)
{
	if (slice_eq(s, SLICE_LIT("*")) || slice_eq(s, SLICE_LIT("<>")))
		return true;
	if (slice_find(s, '@') < s.n)
		return conf_email_ok(s);
	return conf_host_ok(s.n > 0 && s.p[0] == '.' ? slice_tail(s, 1) : s);
}

bool conf_place_ok(struct slice s)
{
	struct endpoint e;
	struct ip ip;

	return conf_host_ok(s) || ip_parse(s, &ip) ||
	       (slice_starts(s, SLICE_LIT("unix:")) && endpoint_parse(s, &e));
}

bool conf_fingerprint_ok(struct slice s)
{
	unsigned digits = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i] | 0x20;

		if (s.p[i] == ':' && digits % 2 == 0)
			continue;
		if (!is_digit(s.p[i]) && !(c >= 'a' && c <= 'f'))
			return false;
		digits++;
	}
	return digits == 64;
}

/* Names of users and groups as useradd(8) takes them. */
bool conf_account_name_ok(struct slice s)
{
	if (s.n > 32 || (!is_letter(s.p[0]) && s.p[0] != '_'))
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!is_letter(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '_' && s.p[i] != '-')
			return false;
	return true;
}

/* Valid in YAML and JSON alike: texts have no control characters. */
void conf_quote_always(struct slice s, struct buf *to)
{
	buf_byte(to, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_byte(to, '\\');
		buf_byte(to, s.p[i]);
	}
	buf_byte(to, '"');
}

void conf_quote(struct slice s, struct buf *to)
{
	bool plain = s.n > 0 && (is_letter(s.p[0]) || is_digit(s.p[0]) || s.p[0] == '/');

	for (size_t i = 0; plain && i < s.n; i++)
		plain = is_letter(s.p[i]) || is_digit(s.p[i]) || one_of(s.p[i], "._/@+-");
	if (plain && !slice_eq_nocase(s, SLICE_LIT("null")))
		buf_put(to, s);
	else
		conf_quote_always(s, to);
}
