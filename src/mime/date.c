#include "mime/date.h"

#define DAY 86400U

static bool is_leap(uint64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

void mime_date_put(uint64_t unix_ms, struct buf *to)
{
	static const char days[7][4] = {
		"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"
	}; /* 1970 began on a Thursday */
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
					    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	static const unsigned lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	uint64_t s = unix_ms / 1000, day = s / DAY, year;
	unsigned weekday = (unsigned)(day % 7), month = 0, length, t = (unsigned)(s % DAY);

	/* 400 years are always 146097 days: so a clock gone mad costs no long loop. */
	year = 1970 + day / 146097 * 400;
	day %= 146097;
	for (; day >= (is_leap(year) ? 366U : 365U); year++)
		day -= is_leap(year) ? 366U : 365U;
	for (;; month++) {
		length = lengths[month] + (month == 1 && is_leap(year));
		if (day < length)
			break;
		day -= length;
	}
	buf_str(to, days[weekday]);
	buf_str(to, ", ");
	buf_dec(to, day + 1, 1);
	buf_byte(to, ' ');
	buf_str(to, months[month]);
	buf_byte(to, ' ');
	buf_dec(to, year, 4);
	buf_byte(to, ' ');
	buf_dec(to, t / 3600, 2);
	buf_byte(to, ':');
	buf_dec(to, t / 60 % 60, 2);
	buf_byte(to, ':');
	buf_dec(to, t % 60, 2);
	buf_str(to, " +0000");
}
