#include "cli/status_counters.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define WIDTH 100
#define LEAD  11 /* columns of the role's name */

/* What role.c says of every role and print_processes() shows; the rest are the role's own counters. */
static const char *const common[] = { "role",	      "index",	       "pid",	     "uptime_s",
				      "memory",	      "channels",      "slow_turns", "slowest_turn_ms",
				      "slowest_turn", "configuration", "sandbox" };

static bool is_common(const char *key)
{
	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++)
		if (!strcmp(common[i], key))
			return true;
	return false;
}

/* Numbers are added, truths hold if they hold for all. */
static void add_up(json_t *sum, const char *key, json_t *v)
{
	json_t *had = json_object_get(sum, key), *part;
	const char *name;

	if (json_is_object(v)) {
		if (!had)
			json_object_set_new(sum, key, json_object());
		json_object_foreach(v, name, part) add_up(json_object_get(sum, key), name, part);
	} else if (json_is_integer(v)) {
		json_object_set_new(sum, key, json_integer(json_integer_value(had) + json_integer_value(v)));
	} else if (json_is_boolean(v)) {
		json_object_set_new(sum, key, json_boolean((!had || json_is_true(had)) && json_is_true(v)));
	} else if (json_is_string(v)) {
		json_object_set(sum, key, v);
	}
}

/* Of the listeners only what has no column in the table SESSIONS: which TLS, refusals, mishaps. */
static void add_listeners(json_t *sum, json_t *listeners)
{
	json_t *l, *v;
	const char *key;
	size_t i;

	json_array_foreach(listeners, i, l) json_object_foreach(l, key, v) if (json_is_object(v))
		add_up(sum, key, v);
}

static unsigned add_role(json_t *sum, const char *role, const json_t *roles)
{
	unsigned processes = 0;
	json_t *r, *v;
	const char *key;
	size_t i;

	json_array_foreach(roles, i, r)
	{
		if (strcmp(json_string_value(json_object_get(r, "role")), role) != 0)
			continue;
		processes++;
		json_object_foreach(r, key, v) if (!is_common(key)) add_up(sum, key, v);
		add_listeners(sum, json_object_get(r, "listeners"));
	}
	return processes;
}

/* One line, or several of WIDTH columns, of what is no object in it; *name is printed once. */
static void print_items(json_t *j, const char **name, const char *title)
{
	size_t column = 0;
	const char *key;
	json_t *v;

	json_object_foreach(j, key, v)
	{
		char item[200];
		size_t n;

		if (json_is_integer(v))
			snprintf(item, sizeof(item), "%s %lld", key, (long long)json_integer_value(v));
		else if (json_is_boolean(v))
			snprintf(item, sizeof(item), "%s %s", key, json_is_true(v) ? "yes" : "no");
		else if (json_is_string(v))
			snprintf(item, sizeof(item), "%s %s", key, json_string_value(v));
		else
			continue;
		n = strlen(item);
		if (column == 0 || column + n > WIDTH) {
			printf("%s%-*s%s", column ? "\n" : "", LEAD, column ? "" : *name,
			       column ? "  " : title);
			column = LEAD + strlen(title);
			*name = "";
		} else {
			fputs(", ", stdout);
			column += 2;
		}
		fputs(item, stdout);
		column += n;
	}
	if (column)
		putchar('\n');
}

static void print_role(const char *role, const json_t *roles)
{
	json_t *sum = json_object(), *v;
	const char *key, *name;
	char title[64];
	unsigned processes = add_role(sum, role, roles);

	if (processes > 1)
		snprintf(title, sizeof(title), "%s (%u)", role, processes);
	else
		snprintf(title, sizeof(title), "%s", role);
	name = title;
	print_items(sum, &name, "");
	json_object_foreach(sum, key, v)
	{
		char lead[80];

		snprintf(lead, sizeof(lead), "%s: ", key);
		if (json_is_object(v))
			print_items(v, &name, lead);
	}
	json_decref(sum);
}

void status_counters(const json_t *of_main, const json_t *roles)
{
	const json_t *processes = json_object_get(of_main, "processes");
	const char *before = "";

	puts("\nCOUNTERS");
	for (size_t i = 0; i < json_array_size(processes); i++) {
		const char *role = json_string_value(json_object_get(json_array_get(processes, i), "role"));

		if (strcmp(role, before) != 0)
			print_role(role, roles);
		before = role;
	}
}
