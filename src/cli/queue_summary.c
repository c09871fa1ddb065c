#include "cli/queue_summary.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "cli/text.h"

#define AGES 6

struct summary {
	json_t *sites;
	json_int_t all;
};

static int take_sites(void *arg, json_t *part)
{
	struct summary *s = arg;

	json_array_extend(s->sites, json_object_get(part, "sites"));
	if (json_object_get(part, "all"))
		s->all = cli_member_number(part, "all");
	return 0;
}

static void print_state(const json_t *row, uint64_t now_ms)
{
	json_int_t until = cli_member_number(row, "until");
	const char *reply = cli_member_text(row, "reply");
	char text[16], line[1024];

	if (json_is_true(json_object_get(row, "blocked")))
		puts("    waits: this network blocks outbound port 25");
	if (until > 0 && (uint64_t)until > now_ms)
		printf("    left alone for %s\n", cli_span((uint64_t)until - now_ms, text));
	if (!*reply)
		return;
	snprintf(line, sizeof(line), "%s%s", cli_status_unsaid(row, "reply"), reply);
	printf("    ");
	cli_print_wrapped(line, 4);
}

/* SITE                        MESSAGES   <5m  <30m   <4h   <1d   <3d older
 * mx.example.net                    12     3     2     7     0     0     0
 *     421 4.7.0 too many connections                                         */
static void print_row(const json_t *row, uint64_t now_ms)
{
	const char *site = cli_member_text(row, "site");
	const json_t *ages = json_object_get(row, "ages");

	cli_print_clean(*site ? site : "-", false);
	if (strlen(site) > 27)
		printf("\n%27s", "");
	else
		printf("%*s", (int)(27 - (*site ? strlen(site) : 1)), "");
	printf(" %8" JSON_INTEGER_FORMAT, cli_member_number(row, "messages"));
	for (size_t i = 0; i < AGES; i++)
		printf(" %6" JSON_INTEGER_FORMAT, json_integer_value(json_array_get(ages, i)));
	putchar('\n');
	print_state(row, now_ms);
}

int cli_queue_summary(bool as_json, uint64_t now_ms)
{
	struct summary s = { .sites = json_array() };
	int status = CLI_FAILED;
	json_t *row;
	size_t i;

	if (s.sites)
		status = control_ask(json_pack("{s:s}", "ask", "queue.summary"), SLICE_LIT(""), take_sites,
				     &s);
	if (status == CLI_OK && as_json) {
		json_dumpf(s.sites, stdout, JSON_INDENT(1));
		putchar('\n');
	} else if (status == CLI_OK && json_array_size(s.sites) == 0) {
		puts("The queue is empty.");
	} else if (status == CLI_OK) {
		puts("SITE                        MESSAGES    <5m   <30m    <4h    <1d    <3d  older");
		json_array_foreach(s.sites, i, row)
		{
			print_row(row, now_ms);
		}
		if (s.all > (json_int_t)json_array_size(s.sites))
			printf("and %" JSON_INTEGER_FORMAT " sites more, with less\n",
			       s.all - (json_int_t)json_array_size(s.sites));
	}
	json_decref(s.sites);
	return status;
}
