/* postern status --clients: who is misconfigured, how, and what to change. */
#include <time.h>

#include "base/slice.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/text.h"

struct listing {
	bool as_json;
	json_t *all; /* with --json */
	size_t n;
	bool cut;
};

static void print_time(const char *before, json_int_t at)
{
	time_t t = (time_t)at;
	char text[32];
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	printf("%s%s", before, text);
}

/*	192.0.2.7 (ann@example.org, pc.local): speaks TLS from the first byte ...
 *	    3 times, last 2026-01-31 12:00; its mail got through all the same
 *	    Set its connection security to ...
 */
static void print_row(const json_t *row)
{
	json_int_t count = json_integer_value(json_object_get(row, "count"));
	const char *account = cli_member_text(row, "account"), *helo = cli_member_text(row, "helo");

	printf("%s", cli_member_text(row, "ip"));
	if (*account || *helo)
		printf(" (%s%s%s)", account,
		       *account && *helo ? ", calls itself "
		       : *helo		 ? "calls itself "
					 : "",
		       helo);
	printf(": %s\n    ", cli_member_text(row, "what"));
	if (count == 1)
		print_time("once, ", json_integer_value(json_object_get(row, "last")));
	else {
		printf("%" JSON_INTEGER_FORMAT " times since", count);
		print_time(" ", json_integer_value(json_object_get(row, "first")));
		print_time(", last ", json_integer_value(json_object_get(row, "last")));
	}
	if (json_is_true(json_object_get(row, "served")))
		printf("; served all the same");
	printf("\n    %s\n", cli_member_text(row, "advice"));
}

static int take_part(void *arg, json_t *part)
{
	const json_t *rows = json_object_get(part, "clients");
	struct listing *l = arg;
	size_t i;
	json_t *row;

	if (json_is_true(json_object_get(part, "cut")))
		l->cut = true;
	json_array_foreach(rows, i, row)
	{
		l->n++;
		if (!l->as_json)
			print_row(row);
		else if (json_array_append(l->all, row) < 0)
			return CLI_FAILED;
	}
	return 0;
}

static bool parse_options(int argc, char **argv, struct listing *l, json_t *question, int *ret_status)
{
	static const struct option options[] = { CONTROL_OPTIONS,
						 { "clients", no_argument, NULL, 'C' },
						 { "json", no_argument, NULL, 'j' },
						 { "since", required_argument, NULL, 's' },
						 { "kind", required_argument, NULL, 'k' },
						 { "limit", required_argument, NULL, 'n' },
						 { 0 } };
	uint64_t n;
	int c;

	while ((c = getopt_long(argc, argv, CONTROL_SHORT, options, NULL)) != -1) {
		if (control_option(c, optarg) || c == 'C')
			continue;
		if (c == 'j') {
			l->as_json = true;
		} else if (c == 'k') {
			json_object_set_new(question, "kind", json_string(optarg));
		} else if (c == 's' && cli_parse_span(optarg, &n)) {
			json_object_set_new(question, "since",
					    json_integer((json_int_t)time(NULL) - (json_int_t)n));
		} else if (c == 's') {
			*ret_status = cli_usage(argv[0], "--since takes a span such as 12h or 7d, not '%s'",
						optarg);
			return false;
		} else if (c == 'n') {
			struct slice s = slice_str(optarg);

			if (!cur_u64(&s, 1000, &n) || s.n > 0 || n == 0) {
				*ret_status = cli_usage(argv[0], "--limit takes a number from 1 to 1000");
				return false;
			}
			json_object_set_new(question, "limit", json_integer((json_int_t)n));
		} else {
			*ret_status = cli_usage_only(argv[0]);
			return false;
		}
	}
	if (optind < argc) {
		*ret_status = cli_usage(argv[0], "takes no argument '%s'", argv[optind]);
		return false;
	}
	return true;
}

int cli_clients(int argc, char **argv)
{
	json_t *question = json_pack("{s:s}", "ask", "clients.list");
	struct listing l = { .all = json_array() };
	int status;

	if (!question || !l.all || !parse_options(argc, argv, &l, question, &status)) {
		status = question && l.all ? status : CLI_FAILED;
		json_decref(question);
		json_decref(l.all);
		return status;
	}
	status = control_ask(question, SLICE_LIT(""), take_part, &l);
	if (status == CLI_OK && l.as_json) {
		json_dumpf(l.all, stdout, JSON_INDENT(1));
		putchar('\n');
	} else if (status == CLI_OK && l.n == 0) {
		puts("No client has come to a wrong port, or in a wrong way.");
	}
	if (status == CLI_OK && l.cut)
		fputs("postern: the list is cut; ask for less: --since, --kind, --limit\n", stderr);
	json_decref(l.all);
	return status;
}
