#include "cli/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/slice.h"

#define COLUMNS 79

void cli_put_clean(FILE *to, const char *s, bool lines)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s, next = (unsigned char)s[1];

		if (lines && c == '\r' && next == '\n')
			continue;
		if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			putc('?', to);
			s++;
		} else {
			putc((c < 0x20 && !(lines && (c == '\n' || c == '\t'))) || c == 0x7f ? '?' : c, to);
		}
	}
}

void cli_print_clean(const char *s, bool lines)
{
	cli_put_clean(stdout, s, lines);
}

static bool colours;

void cli_colours(bool on)
{
	colours = on;
}

const char *cli_on(enum cli_colour c)
{
	static const char *const codes[] = { "", "\033[32m", "\033[33m", "\033[31m", "\033[1m" };

	return colours ? codes[c] : "";
}

const char *cli_off(void)
{
	return colours ? "\033[0m" : "";
}

const char *cli_span(uint64_t ms, char text[static 16])
{
	uint64_t s = ms / 1000;

	if (s < 100)
		snprintf(text, 16, "%us", (unsigned)s);
	else if (s < 100 * 60)
		snprintf(text, 16, "%um", (unsigned)(s / 60));
	else if (s < 48 * 3600)
		snprintf(text, 16, "%uh", (unsigned)(s / 3600));
	else
		snprintf(text, 16, "%ud", (unsigned)(s / 86400));
	return text;
}

const char *cli_octets(uint64_t n, char text[static 16])
{
	if (n < 10000)
		snprintf(text, 16, "%u", (unsigned)n);
	else if (n < 10000 * UINT64_C(1024))
		snprintf(text, 16, "%uK", (unsigned)(n / 1024));
	else
		snprintf(text, 16, "%uM", (unsigned)(n / 1048576));
	return text;
}

const char *cli_time(uint64_t ms, char text[static 32])
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(text, 32, "?");
	return text;
}

bool cli_parse_span(const char *text, uint64_t *ret)
{
	static const struct {
		unsigned char unit;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	struct slice s = slice_str(text);
	uint64_t n;

	if (!cur_u64(&s, 100000, &n) || s.n != 1)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (s.p[0] == units[i].unit) {
			*ret = n * units[i].seconds;
			return true;
		}
	return false;
}

uint64_t cli_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const char *cli_member_text(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

json_int_t cli_member_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

const char *cli_status_unsaid(const json_t *object, const char *key)
{
	static char text[20];
	const char *status = cli_member_text(object, "status");

	if (!*status || strstr(cli_member_text(object, key), status))
		return "";
	snprintf(text, sizeof(text), "%.16s ", status);
	return text;
}

/* Columns of a word: characters, not octets. */
static unsigned width(const char *s, size_t n)
{
	unsigned w = 0;

	for (size_t i = 0; i < n; i++)
		w += ((unsigned char)s[i] & 0xc0) != 0x80;
	return w;
}

void cli_print_wrapped(const char *text, unsigned indent)
{
	cli_put_wrapped(stdout, text, indent);
}

void cli_put_wrapped(FILE *to, const char *text, unsigned indent)
{
	unsigned at = indent;
	bool first = true;

	while (*text) {
		size_t n = strcspn(text, " ");
		unsigned w = width(text, n);
		char word[1024];

		if (!first && at + 1 + w > COLUMNS) {
			fprintf(to, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!first) {
			putc(' ', to);
			at++;
		}
		for (size_t from = 0; from < n; from += sizeof(word) - 1) {
			snprintf(word, sizeof(word), "%.*s",
				 (int)(n - from < sizeof(word) - 1 ? n - from : sizeof(word) - 1),
				 text + from);
			cli_put_clean(to, word, false);
		}
		at += w;
		first = false;
		text += n + strspn(text + n, " ");
	}
	putc('\n', to);
}
