#include "smtp/utc.h"

#define DAY 86400U

/* Days from 1970-01-01 to the first of March of that year, in years that begin in March: then
 * the odd day is the last one. */
static uint64_t days_to_march(uint64_t year)
{
	return year * 365 + year / 4 - year / 100 + year / 400 - 719468;
}

static uint64_t days_of(uint64_t year, unsigned month, unsigned day)
{
	uint64_t from_march = (month + 9) % 12;

	if (month < 3)
		year--;
	return days_to_march(year) + (153 * from_march + 2) / 5 + day - 1;
}

static bool two(struct slice *cur, unsigned max, unsigned *ret)
{
	struct slice digits;
	uint64_t v;

	if (!cur_take(cur, 2, &digits) || !cur_u64(&digits, max, &v) || digits.n > 0)
		return false;
	*ret = (unsigned)v;
	return true;
}

static unsigned month_days(uint64_t year, unsigned month)
{
	static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap ? 1U : 0U);
}

/* Seconds that the offset is before UTC. */
static bool offset(struct slice *cur, int *ret_s)
{
	unsigned hour, minute;
	bool minus;

	*ret_s = 0;
	if (cur_byte(cur, 'Z') || cur_byte(cur, 'z'))
		return true;
	minus = cur_byte(cur, '-');
	if ((!minus && !cur_byte(cur, '+')) || !two(cur, 23, &hour) || !cur_byte(cur, ':') ||
	    !two(cur, 59, &minute))
		return false;
	*ret_s = (int)(hour * 3600 + minute * 60) * (minus ? -1 : 1);
	return true;
}

bool smtp_utc_parse(struct slice text, uint64_t *ret_s)
{
	unsigned month, day, hour, minute, second;
	struct slice digits;
	uint64_t year, fraction;
	int64_t s;
	int before;

	if (!cur_take(&text, 4, &digits) || !cur_u64(&digits, 9999, &year) || digits.n > 0 || year < 1970 ||
	    !cur_byte(&text, '-') || !two(&text, 12, &month) || !cur_byte(&text, '-') ||
	    !two(&text, 31, &day) || month == 0 || day == 0 || day > month_days(year, month))
		return false;
	if ((!cur_byte(&text, 'T') && !cur_byte(&text, 't')) || !two(&text, 23, &hour) ||
	    !cur_byte(&text, ':') || !two(&text, 59, &minute) || !cur_byte(&text, ':') ||
	    !two(&text, 60, &second))
		return false;
	if (cur_byte(&text, '.') && !cur_u64(&text, 999999999, &fraction))
		return false;
	if (!offset(&text, &before) || text.n > 0)
		return false;
	s = (int64_t)(days_of(year, month, day) * DAY + hour * 3600U + minute * 60U + second) - before;
	if (s < 0)
		return false;
	*ret_s = (uint64_t)s;
	return true;
}

void smtp_utc_put(uint64_t s, struct buf *to)
{
	uint64_t day = s / DAY, year = 1970, t = s % DAY;
	unsigned month = 1;

	/* A guess that is never too late, and then the few years that are left. */
	year += day / 366;
	if (year > 9999)
		year = 9999;
	while (year < 9999 && days_of(year + 1, 1, 1) <= day)
		year++;
	day -= days_of(year, 1, 1);
	while (month < 12 && day >= month_days(year, month))
		day -= month_days(year, month++);
	buf_dec(to, year, 4);
	buf_byte(to, '-');
	buf_dec(to, month, 2);
	buf_byte(to, '-');
	buf_dec(to, day + 1, 2);
	buf_byte(to, 'T');
	buf_dec(to, t / 3600, 2);
	buf_byte(to, ':');
	buf_dec(to, t / 60 % 60, 2);
	buf_byte(to, ':');
	buf_dec(to, t % 60, 2);
	buf_byte(to, 'Z');
}
