#include "cli/table.h"

#include <time.h>

#include "base/slice.h"

#define COLUMNS_MAX 16
#define CELL_MAX    400

static const char *cell(const struct cli_column *c, const json_t *v, char text[static CELL_MAX])
{
	time_t t = (time_t)json_integer_value(v);
	struct tm tm;

	switch (c->type) {
	case CLI_YES_NO:
		return json_is_true(v) ? "yes" : "no";
	case CLI_COUNT:
		snprintf(text, CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		return text;
	case CLI_TIME:
		if (!json_is_integer(v))
			return "never";
		localtime_r(&t, &tm);
		strftime(text, CELL_MAX, "%Y-%m-%d %H:%M", &tm);
		return text;
	default:
		return json_string_length(v) ? json_string_value(v) : "-";
	}
}

/* Columns on a terminal: one a character, which is nearly true. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void print_cell(const char *text, size_t to)
{
	size_t n = width(text);

	fputs(text, stdout);
	for (; n < to; n++)
		putchar(' ');
}

static void print_row(const struct cli_column *columns, const json_t *row, const size_t *widths)
{
	char text[CELL_MAX];

	for (size_t i = 0; columns[i].title; i++) {
		const char *s = row ? cell(&columns[i], json_object_get(row, columns[i].key), text)
				    : columns[i].title;

		print_cell(s, columns[i + 1].title ? widths[i] + 2 : 0);
	}
	putchar('\n');
}

void cli_table(const struct cli_column *columns, const json_t *rows)
{
	size_t widths[COLUMNS_MAX] = { 0 }, i, at;
	char text[CELL_MAX];
	json_t *row;

	for (i = 0; columns[i].title && i < COLUMNS_MAX; i++) {
		widths[i] = width(columns[i].title);
		json_array_foreach(rows, at, row)
		{
			size_t n = width(cell(&columns[i], json_object_get(row, columns[i].key), text));

			if (n > widths[i])
				widths[i] = n;
		}
	}
	print_row(columns, NULL, widths);
	json_array_foreach(rows, at, row) print_row(columns, row, widths);
}

void cli_card(const struct cli_column *columns, const json_t *object)
{
	size_t widest = 0, at;
	char text[CELL_MAX];
	json_t *item;

	for (size_t i = 0; columns[i].title; i++)
		if (width(columns[i].title) > widest)
			widest = width(columns[i].title);
	for (size_t i = 0; columns[i].title; i++) {
		const json_t *v = json_object_get(object, columns[i].key);

		if (!json_is_array(v)) {
			print_cell(columns[i].title, widest + 2);
			puts(cell(&columns[i], v, text));
			continue;
		}
		json_array_foreach(v, at, item)
		{
			print_cell(at ? "" : columns[i].title, widest + 2);
			puts(cell(&columns[i], item, text));
		}
	}
}
