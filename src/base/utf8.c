#include "base/utf8.h"

size_t utf8_length(struct slice s)
{
	static const struct {
		unsigned char first, last, low, high; /* of the first octet; of the second one */
		size_t n;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 }, { 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 }, { 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (s.n == 0)
		return 0;
	if (s.p[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t n = forms[i].n;

		if (s.p[0] < forms[i].first || s.p[0] > forms[i].last)
			continue;
		if (s.n < n || s.p[1] < forms[i].low || s.p[1] > forms[i].high)
			return 0;
		for (size_t k = 2; k < n; k++)
			if (s.p[k] < 0x80 || s.p[k] > 0xbf)
				return 0;
		return n;
	}
	return 0;
}

struct slice utf8_cut(struct slice s, size_t max)
{
	if (s.n <= max)
		return s;
	for (size_t back = 1; back < 4 && back <= max; back++)
		if (utf8_length(slice_tail(s, max - back)) > back)
			return slice_head(s, max - back);
	return slice_head(s, max);
}

/* The C1 controls are text, but terminals obey them. */
static size_t put_8bit(struct buf *b, struct slice s)
{
	size_t n = utf8_length(s);

	if (n == 0)
		buf_str(b, "\\ufffd");
	else if (n == 2 && s.p[0] == 0xc2 && s.p[1] < 0xa0)
		buf_fmt(b, "\\u%04x", s.p[1]);
	else
		buf_put(b, slice_head(s, n));
	return n ? n : 1;
}

static bool is_plain(unsigned char c)
{
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

void utf8_put_json(struct buf *b, struct slice s)
{
	while (s.n > 0) {
		unsigned char c = s.p[0];
		size_t n = 0;

		while (n < s.n && is_plain(s.p[n]))
			n++;
		if (n > 0) {
			buf_put(b, slice_head(s, n));
		} else if (c >= 0x80) {
			n = put_8bit(b, s);
		} else {
			if (c == '"' || c == '\\') {
				buf_byte(b, '\\');
				buf_byte(b, c);
			} else {
				buf_fmt(b, "\\u%04x", c);
			}
			n = 1;
		}
		s = slice_tail(s, n);
	}
}
