/* table.h - rows of JSON as an aligned table for people. */
#ifndef POSTERN_CLI_TABLE_H
#define POSTERN_CLI_TABLE_H

#include <jansson.h>

enum cli_type {
	CLI_TEXT, /* or "-" */
	CLI_COUNT,
	CLI_TIME, /* local time, or "never" */
	CLI_YES_NO,
};

struct cli_column {
	const char *title, *key;
	enum cli_type type;
};

/* Columns end with one without a title. */
void cli_table(const struct cli_column *columns, const json_t *rows);
/* One object, a line a member: "title  value"; a list has a line an item. */
void cli_card(const struct cli_column *columns, const json_t *object);

#endif
