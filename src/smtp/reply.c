#include "smtp/reply.h"

#include <stdio.h>
#include <string.h>

bool smtp_enhanced_take(struct slice *cur, char ret[static 16])
{
	struct slice c = *cur;
	uint64_t class, subject, detail;

	if (!cur_u64(&c, 5, &class) || class < 2 || class == 3 || !cur_byte(&c, '.') ||
	    !cur_u64(&c, 999, &subject) || !cur_byte(&c, '.') || !cur_u64(&c, 999, &detail))
		return false;
	if (c.n > 0 && !cur_blanks(&c))
		return false;
	snprintf(ret, 16, "%u.%u.%u", (unsigned)class, (unsigned)subject, (unsigned)detail);
	*cur = c;
	return true;
}

/* Control characters, also those of UTF-8 beyond ASCII: terminals obey them. */
static bool is_control(struct slice s, size_t i)
{
	unsigned char c = s.p[i];

	return c < 0x20 || c == 0x7f || (c >= 0x80 && c < 0xa0 && i > 0 && s.p[i - 1] == 0xc2);
}

/* Behind what there is, with a blank between; cut at the ceiling. */
static void add_text(struct smtp_reply *r, struct slice s)
{
	if (r->text_n > 0 && s.n > 0 && r->text_n < SMTP_REPLY_TEXT_MAX)
		r->text[r->text_n++] = ' ';
	for (size_t i = 0; i < s.n && r->text_n < SMTP_REPLY_TEXT_MAX; i++)
		r->text[r->text_n++] = is_control(s, i) ? '?' : (char)s.p[i];
}

/* The code's class counts: a text that says otherwise is corrected. */
static void set_enhanced(struct smtp_reply *r, const char found[static 16])
{
	int class = r->code / 100;

	if (found[0] != '\0')
		memcpy(r->enhanced, found, sizeof(r->enhanced));
	else if (r->enhanced[0] == '\0')
		memcpy(r->enhanced, "?.0.0", sizeof("?.0.0"));
	r->enhanced[0] = (char)('0' + class);
	if (class == 3)
		r->enhanced[0] = '\0';
}

static enum smtp_reply_step take_line(struct smtp_reply *r)
{
	struct slice c = slice_of(r->raw, r->raw_n), text, digits;
	char enhanced[16] = "";
	bool last;

	if (c.n > 0 && c.p[c.n - 1] == '\r')
		c.n--;
	r->full = c;
	if (!cur_take(&c, 3, &digits))
		return SMTP_REPLY_BAD;
	for (size_t i = 0; i < 3; i++)
		if (digits.p[i] < '0' || digits.p[i] > '9')
			return SMTP_REPLY_BAD;
	r->code = (digits.p[0] - '0') * 100 + (digits.p[1] - '0') * 10 + (digits.p[2] - '0');
	if (r->code < 200 || r->code > 599)
		return SMTP_REPLY_BAD;
	last = !cur_byte(&c, '-');
	if (last && c.n > 0 && !cur_byte(&c, ' '))
		return SMTP_REPLY_BAD;
	r->line = text = slice_trim(c);
	(void)smtp_enhanced_take(&text, enhanced);
	set_enhanced(r, enhanced);
	add_text(r, text);
	return last ? SMTP_REPLY_DONE : SMTP_REPLY_LINE;
}

static void begin(struct smtp_reply *r)
{
	r->whole = false;
	r->text_n = r->octets = r->lines = r->raw_n = 0;
	r->enhanced[0] = '\0';
	r->code = 0;
}

size_t smtp_reply_feed(struct smtp_reply *r, struct slice in, enum smtp_reply_step *ret)
{
	size_t end = slice_find(in, '\n'), room, n;
	struct slice part = slice_head(in, end);

	if (r->whole)
		begin(r);
	room = sizeof(r->raw) - r->raw_n;
	n = part.n < room ? part.n : room;
	if (r->raw_n == 0)
		r->cut = false;
	r->cut = r->cut || n < part.n;
	if (n > 0)
		memcpy(r->raw + r->raw_n, part.p, n);
	r->raw_n += n;
	n = end < in.n ? end + 1 : in.n;
	r->octets += n;
	*ret = SMTP_REPLY_MORE;
	if (r->octets > SMTP_REPLY_OCTETS_MAX)
		*ret = SMTP_REPLY_BAD;
	else if (end < in.n)
		*ret = ++r->lines > SMTP_REPLY_LINES_MAX ? SMTP_REPLY_BAD : take_line(r);
	if (*ret != SMTP_REPLY_MORE)
		r->raw_n = 0;
	r->whole = *ret == SMTP_REPLY_DONE;
	return n;
}

struct slice smtp_reply_text(const struct smtp_reply *r)
{
	return slice_of(r->text, r->text_n);
}
