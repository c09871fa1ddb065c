/* postern events: what happens in the server, and what happened. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "cli/event_text.h"
#include "cli/text.h"

#define SINCE_DEFAULT_S 3600
#define WORDS_MAX	16384
#define RETRIES		10 /* seconds that a ledger may be away while it is followed */

enum { OPT_KIND = 1, OPT_DOMAIN, OPT_ACCOUNT, OPT_ID, OPT_SITE, OPT_SINCE };

struct asked {
	bool as_json, follow, since;
	json_t *filter;
	json_int_t after, next, epoch;
	bool placed; /* next and epoch say where it goes on */
	size_t n;
	bool cut;
};

static void print_event(const struct asked *a, json_t *e)
{
	struct buf words;
	char time[32];

	if (a->as_json) {
		json_dumpf(e, stdout, JSON_COMPACT);
		putchar('\n');
		return;
	}
	buf_init(&words, WORDS_MAX);
	cli_event_words(e, &words);
	buf_byte(&words, 0);
	printf("%s %-10s", cli_time((uint64_t)cli_member_number(e, "time_ms"), time),
	       cli_member_text(e, "kind"));
	if (*cli_member_text(e, "id"))
		printf(" %s", cli_member_text(e, "id"));
	putchar(' ');
	if (buf_ok(&words))
		cli_print_clean((const char *)buf_slice(&words).p, false);
	putchar('\n');
	buf_done(&words);
}

/* So that nobody takes the stream for whole. */
static void print_missed(const struct asked *a, json_int_t n)
{
	json_t *e =
		json_pack("{s:I, s:s, s:I, s:s}", "time_ms", (json_int_t)cli_now_ms(), "kind", "lost",
			  "count", n, "reason", "this reader is too slow, or the ledger was started anew");

	if (e && a->as_json)
		print_event(a, e);
	else if (e)
		fprintf(stderr,
			"postern: %" JSON_INTEGER_FORMAT
			" events are missing here: this reader is too slow, or the ledger was started anew\n",
			n);
	json_decref(e);
}

static int take_part(void *arg, json_t *part)
{
	const json_t *events = json_object_get(part, "events");
	struct asked *a = arg;
	json_t *e;
	size_t i;

	if (cli_member_number(part, "missed") > 0)
		print_missed(a, cli_member_number(part, "missed"));
	json_array_foreach(events, i, e)
	{
		print_event(a, e);
		a->n++;
	}
	if (json_object_get(part, "epoch")) {
		a->next = cli_member_number(part, "next");
		a->epoch = cli_member_number(part, "epoch");
		a->after = cli_member_number(part, "after");
		a->cut |= json_is_true(json_object_get(part, "cut"));
		a->placed = true;
	}
	return ferror(stdout) ? CLI_FAILED : 0;
}

static json_t *question(const struct asked *a, const char *ask)
{
	json_t *q = json_deep_copy(a->filter);

	if (q)
		json_object_set_new(q, "ask", json_string(ask));
	return q;
}

static int read_pages(struct asked *a)
{
	int status;

	do {
		json_t *q = question(a, "events.read");

		if (q && a->after)
			json_object_set_new(q, "after", json_integer(a->after));
		a->after = 0;
		status = control_ask(q, SLICE_LIT(""), take_part, a);
	} while (status == CLI_OK && a->after);
	return status;
}

static int follow(struct asked *a)
{
	unsigned failed = 0;
	int status = CLI_OK;

	json_object_del(a->filter, "since_ms");
	while (failed < RETRIES && !ferror(stdout)) {
		json_t *q = question(a, "events.follow");

		if (q && a->placed) {
			json_object_set_new(q, "after", json_integer(a->next));
			json_object_set_new(q, "epoch", json_integer(a->epoch));
		}
		status = control_ask(q, SLICE_LIT(""), take_part, a);
		if (fflush(stdout) != 0)
			return CLI_FAILED;
		failed = status == CLI_OK ? 0 : failed + 1;
		if (failed)
			sleep(1);
	}
	return status;
}

static bool add_kind(json_t *filter, const char *kind)
{
	json_t *kinds = json_object_get(filter, "kinds");

	if (!kinds) {
		kinds = json_array();
		json_object_set_new(filter, "kinds", kinds);
	}
	return json_array_append_new(kinds, json_string(kind)) == 0;
}

static int parse(int argc, char **argv, struct asked *a)
{
	static const struct option options[] = { CONTROL_OPTIONS,
						 { "follow", no_argument, NULL, 'f' },
						 { "json", no_argument, NULL, 'j' },
						 { "kind", required_argument, NULL, OPT_KIND },
						 { "domain", required_argument, NULL, OPT_DOMAIN },
						 { "account", required_argument, NULL, OPT_ACCOUNT },
						 { "id", required_argument, NULL, OPT_ID },
						 { "site", required_argument, NULL, OPT_SITE },
						 { "since", required_argument, NULL, OPT_SINCE },
						 { 0 } };
	static const char *const filters[] = {
		[OPT_DOMAIN] = "domain", [OPT_ACCOUNT] = "account", [OPT_ID] = "id", [OPT_SITE] = "site"
	};
	uint64_t seconds = SINCE_DEFAULT_S, now = cli_now_ms();
	int c;

	while ((c = getopt_long(argc, argv, CONTROL_SHORT "f", options, NULL)) != -1) {
		if (control_option(c, optarg))
			continue;
		if (c == 'f')
			a->follow = true;
		else if (c == 'j')
			a->as_json = true;
		else if (c == OPT_KIND)
			add_kind(a->filter, optarg);
		else if (c > OPT_KIND && c < OPT_SINCE)
			json_object_set_new(a->filter, filters[c], json_string(optarg));
		else if (c == OPT_SINCE && cli_parse_span(optarg, &seconds))
			a->since = true;
		else if (c == OPT_SINCE)
			return cli_usage(argv[0], "--since takes a span such as 30m, 12h or 7d, not '%s'",
					 optarg);
		else
			return cli_usage_only(argv[0]);
	}
	if (optind < argc)
		return cli_usage(argv[0], "takes no argument '%s'", argv[optind]);
	json_object_set_new(a->filter, "since_ms",
			    json_integer((json_int_t)(now > seconds * 1000 ? now - seconds * 1000 : 0)));
	return CLI_OK;
}

int cli_events(int argc, char **argv)
{
	struct asked a = { .filter = json_object() };
	int status = a.filter ? parse(argc, argv, &a) : CLI_FAILED;

	if (status == CLI_OK && (a.since || !a.follow))
		status = read_pages(&a);
	if (status == CLI_OK && a.follow)
		status = follow(&a);
	else if (status == CLI_OK && a.n == 0) {
		if (!a.as_json)
			fputs("Nothing of that kind is known of this time.\n", stderr);
		status = CLI_FAILED;
	}
	if (a.cut)
		fputs("postern: the answer is cut; ask for less\n", stderr);
	json_decref(a.filter);
	return status;
}
