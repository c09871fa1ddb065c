#include "mime/date.h"

struct reading {
	struct slice cur;
	bool ok;
};

/* Blanks, line ends and comments (RFC 5322 3.2.2). */
static void skip(struct reading *r)
{
	unsigned depth = 0;

	for (; r->cur.n > 0; r->cur = slice_tail(r->cur, 1)) {
		unsigned char c = r->cur.p[0];

		if (depth > 0 && c == '\\')
			r->cur = slice_tail(r->cur, 1);
		else if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			return;
	}
}

static uint64_t number(struct reading *r, uint64_t max, size_t digits, size_t *ret_digits)
{
	uint64_t v = 0;
	size_t before = r->cur.n;

	skip(r);
	before = r->cur.n;
	if (!cur_u64(&r->cur, max, &v) || before - r->cur.n > digits)
		r->ok = false;
	if (ret_digits)
		*ret_digits = before - r->cur.n;
	return v;
}

static struct slice word(struct reading *r)
{
	struct slice w;
	size_t n = 0;

	skip(r);
	while (n < r->cur.n && ((r->cur.p[n] | 0x20) >= 'a' && (r->cur.p[n] | 0x20) <= 'z'))
		n++;
	w = slice_head(r->cur, n);
	r->cur = slice_tail(r->cur, n);
	return w;
}

static unsigned month(struct reading *r)
{
	static const char names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct slice w = word(r);

	for (unsigned i = 0; i < 12; i++)
		if (slice_eq_nocase(w, slice_str(names[i])))
			return i;
	r->ok = false;
	return 0;
}

/* Two and three digits: RFC 5322 4.3. */
static uint64_t year(struct reading *r)
{
	size_t digits;
	uint64_t y = number(r, 9999, 4, &digits);

	if (digits == 2)
		return y + (y < 50 ? 2000 : 1900);
	return digits == 3 ? y + 1900 : y;
}

/* Minutes east of Greenwich; letters of which nobody knows what they mean are 0 (RFC 5322 4.3). */
static int64_t zone(struct reading *r)
{
	static const struct {
		const char *name;
		int hours;
	} known[] = { { "EDT", -4 }, { "EST", -5 }, { "CDT", -5 }, { "CST", -6 },
		      { "MDT", -6 }, { "MST", -7 }, { "PDT", -7 }, { "PST", -8 } };
	bool west = false;
	struct slice w;
	uint64_t v;

	skip(r);
	if (cur_byte(&r->cur, '+') || (west = cur_byte(&r->cur, '-'))) {
		v = number(r, 9959, 4, NULL);
		if (v % 100 > 59)
			r->ok = false;
		v = v / 100 * 60 + v % 100;
		return west ? -(int64_t)v : (int64_t)v;
	}
	w = word(r);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eq_nocase(w, slice_str(known[i].name)))
			return known[i].hours * 60;
	return 0;
}

static bool is_leap(uint64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int64_t days_before(uint64_t y, unsigned m)
{
	static const int before[12] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
	int64_t days = (int64_t)(y - 1970) * 365 + before[m];

	/* Leap days of the years before. */
	days += (int64_t)((y - 1) / 4 - (y - 1) / 100 + (y - 1) / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
	return days + (m > 1 && is_leap(y));
}

static unsigned days_in(uint64_t y, unsigned m)
{
	static const unsigned char days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return m == 1 && is_leap(y) ? 29 : days[m];
}

bool mime_date_read(struct slice text, uint64_t *ret_ms)
{
	struct reading r = { text, true };
	uint64_t day, y, hour, minute, second = 0;
	unsigned m;
	int64_t s;

	(void)word(&r); /* of the week */
	skip(&r);
	cur_byte(&r.cur, ',');
	day = number(&r, 31, 2, NULL);
	skip(&r);
	m = month(&r);
	y = year(&r);
	hour = number(&r, 23, 2, NULL);
	skip(&r);
	r.ok = cur_byte(&r.cur, ':') && r.ok;
	minute = number(&r, 59, 2, NULL);
	skip(&r);
	if (cur_byte(&r.cur, ':'))
		second = number(&r, 60, 2, NULL);
	if (!r.ok || y < 1970 || day == 0 || day > days_in(y, m))
		return false;
	s = (days_before(y, m) + (int64_t)day - 1) * 86400 + (int64_t)(hour * 3600 + minute * 60 + second);
	s -= zone(&r) * 60;
	skip(&r);
	if (!r.ok || r.cur.n > 0 || s < 0)
		return false;
	*ret_ms = (uint64_t)s * 1000;
	return true;
}
