/* postern queue: what waits in the server, why, and what to do about it. */
#include <inttypes.h>
#include <sodium.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "cli/queue_summary.h"
#include "cli/text.h"
#include "ipc/message.h"

enum { OPT_STATE = 1, OPT_SENDER, OPT_RECIPIENT, OPT_DOMAIN, OPT_ID, OPT_SITE, OPT_CLASS, OPT_ALL, OPT_YES };

#define LIMIT_DEFAULT 1000 /* rows that the server lists unless told otherwise */

struct asked {
	const char *verb;
	bool as_json, all, yes;
	json_t *filter; /* an object: what the options said */
	json_t *collected;
	uint64_t n;
	uint64_t now_ms;
};

static uint64_t since(const struct asked *a, json_int_t at)
{
	return a->now_ms > (uint64_t)at ? a->now_ms - (uint64_t)at : 0;
}

static void print_next(const struct asked *a, const json_t *row)
{
	json_int_t next = cli_member_number(row, "next");
	char text[16];

	if (next > 0 && (uint64_t)next > a->now_ms)
		printf(", again in %s", cli_span((uint64_t)next - a->now_ms, text));
}

/* 1KQ7TPG0018VY   17m   2048  deferred  ann@example.org
 *     to bob@example.org and 2 more
 *     4.3.1 the disk is full (3 attempts, again in 12m)        */
static void print_row(const struct asked *a, const json_t *row)
{
	const json_t *to = json_object_get(row, "to"), *one;
	const char *sender = cli_member_text(row, "sender"), *reason = cli_member_text(row, "reason");
	char age[16], size[16];
	size_t i;

	printf("%s  %5s %6s  %-8s  from ", cli_member_text(row, "id"),
	       cli_span(since(a, cli_member_number(row, "time")), age),
	       cli_octets((uint64_t)cli_member_number(row, "size"), size), cli_member_text(row, "state"));
	cli_print_clean(*sender ? sender : "<>", false);
	json_array_foreach(to, i, one)
	{
		printf(i ? ", " : "\n               to ");
		cli_print_clean(json_string_value(one), false);
	}
	if (cli_member_number(row, "open") > (json_int_t)json_array_size(to))
		printf(" and %d more",
		       (int)(cli_member_number(row, "open") - (json_int_t)json_array_size(to)));
	if (*reason) {
		printf("\n               ");
		cli_print_clean(reason, false);
		print_next(a, row);
	}
	putchar('\n');
}

static int take_list(void *arg, json_t *part)
{
	const json_t *rows = json_object_get(part, "messages");
	struct asked *a = arg;
	size_t i;
	json_t *row;

	json_array_foreach(rows, i, row)
	{
		if (a->as_json)
			json_array_append(a->collected, row);
		else
			print_row(a, row);
		a->n++;
	}
	return 0;
}

static void print_time(json_int_t ms)
{
	time_t t = (time_t)(ms / 1000);
	char text[40];
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z", &tm);
	printf("%s", text);
}

static void print_field(const char *name, const char *value)
{
	printf("%-11s ", name);
	cli_print_clean(value, false);
	putchar('\n');
}

static void print_message(const struct asked *a, const json_t *m)
{
	char age[16];

	print_field("id", cli_member_text(m, "id"));
	print_field("state", cli_member_text(m, "state"));
	printf("%-11s ", "accepted");
	print_time(cli_member_number(m, "time"));
	printf(", %s ago, by %s\n", cli_span(since(a, cli_member_number(m, "time")), age),
	       cli_member_text(m, "listener"));
	printf("%-11s %" JSON_INTEGER_FORMAT " octets, without the headers that were added\n", "size",
	       cli_member_number(m, "size"));
	print_field("sender", *cli_member_text(m, "sender") ? cli_member_text(m, "sender") : "<>");
	if (*cli_member_text(m, "account_name"))
		print_field("account", cli_member_text(m, "account_name"));
	if (strcmp(cli_member_text(m, "class"), ipc_class_name(IPC_CLASS_NORMAL)) != 0)
		print_field("class", cli_member_text(m, "class"));
	if (json_is_true(json_object_get(m, "requiretls")))
		print_field("tls", "required of every server on its way (REQUIRETLS)");
	if (json_is_true(json_object_get(m, "relax")))
		print_field("tls", "not required by the message (TLS-Required: No)");
	if (*cli_member_text(m, "envid"))
		print_field("envid", cli_member_text(m, "envid"));
	printf("%-11s %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " without an outcome\n", "recipients",
	       cli_member_number(m, "recipients"), cli_member_number(m, "open"));
	if (cli_member_number(m, "hold_until") > (json_int_t)a->now_ms) {
		printf("%-11s until ", "held");
		print_time(cli_member_number(m, "hold_until"));
		putchar('\n');
	}
	if (cli_member_number(m, "expires") > 0) {
		printf("%-11s ", "given up at");
		print_time(cli_member_number(m, "expires"));
		putchar('\n');
	}
}

static void print_why(const struct asked *a, const json_t *r)
{
	json_int_t next = cli_member_number(r, "next"), n = cli_member_number(r, "attempts");
	char text[16], line[2048], attempts[40] = "", again[40] = "";

	if (n > 0)
		snprintf(attempts, sizeof(attempts), " (%d attempt%s)", (int)n, n == 1 ? "" : "s");
	if (next > 0 && (uint64_t)next > a->now_ms)
		snprintf(again, sizeof(again), ", again in %s", cli_span((uint64_t)next - a->now_ms, text));
	snprintf(line, sizeof(line), "%s%s%s%s", cli_status_unsaid(r, "reason"), cli_member_text(r, "reason"),
		 attempts, again);
	printf("            ");
	cli_print_wrapped(line, 12);
}

static void print_rcpt(const struct asked *a, const json_t *r)
{
	const char *reason = cli_member_text(r, "reason");

	printf("  %-9s ", cli_member_text(r, "state"));
	cli_print_clean(cli_member_text(r, "address"), false);
	if (strcmp(cli_member_text(r, "original"), cli_member_text(r, "address")) != 0) {
		printf(" (was ");
		cli_print_clean(cli_member_text(r, "original"), false);
		putchar(')');
	}
	if (*cli_member_text(r, "mailbox")) {
		printf(" in ");
		cli_print_clean(cli_member_text(r, "mailbox"), false);
	}
	putchar('\n');
	if (!strcmp(cli_member_text(r, "kind"), "remote") && *cli_member_text(r, "destination")) {
		const char *way = cli_member_text(r, "destination"), *site = cli_member_text(r, "site");

		printf("            by route %.*s", (int)strcspn(way, " "), way);
		printf(*site ? ", site %s\n" : "\n", site);
	}
	if (*reason)
		print_why(a, r);
	if (json_object_get(r, "told"))
		printf("            %s\n", json_is_true(json_object_get(r, "told"))
						   ? "the sender was told (or did not want to be)"
						   : "the sender is not told yet");
}

static int take_show(void *arg, json_t *part)
{
	json_t *message = json_object_get(part, "message"), *headers = json_object_get(part, "headers");
	json_t *rcpts = json_object_get(part, "recipients"), *all, *r;
	struct asked *a = arg;
	size_t i;

	if (a->as_json) {
		if (message)
			json_object_update(a->collected, message);
		if (headers)
			json_object_set(a->collected, "headers", headers);
		all = json_object_get(a->collected, "to");
		if (!all)
			json_object_set_new(a->collected, "to", all = json_array());
		json_array_extend(all, rcpts);
		return 0;
	}
	if (message)
		print_message(a, message);
	if (headers) {
		printf("\n");
		cli_print_clean(json_string_value(headers), true);
		printf("\n");
	}
	json_array_foreach(rcpts, i, r) print_rcpt(a, r);
	return 0;
}

/* The message as it is, octet for octet. */
static int take_cat(void *arg, json_t *part)
{
	const json_t *text = json_object_get(part, "text");
	const char *b64 = json_string_value(json_object_get(part, "base64"));
	size_t n = b64 ? strlen(b64) : 0, got;
	unsigned char *raw;

	(void)arg;
	if (text &&
	    fwrite(json_string_value(text), 1, json_string_length(text), stdout) < json_string_length(text))
		return CLI_FAILED;
	if (!b64)
		return 0;
	raw = malloc(n + 1);
	if (!raw || sodium_base642bin(raw, n, b64, n, NULL, &got, NULL, sodium_base64_VARIANT_ORIGINAL) < 0 ||
	    fwrite(raw, 1, got, stdout) < got) {
		free(raw);
		return CLI_FAILED;
	}
	free(raw);
	return 0;
}

static int take_done(void *arg, json_t *part)
{
	struct asked *a = arg;

	a->n += (uint64_t)cli_member_number(part, "done");
	return 0;
}

/* ---- the command ---- */

static bool set_filter(struct asked *a, int opt, const char *arg)
{
	static const char *const keys[] = {
		[OPT_STATE] = "state",	 [OPT_SENDER] = "sender", [OPT_RECIPIENT] = "recipient",
		[OPT_DOMAIN] = "domain", [OPT_ID] = "id",	  [OPT_SITE] = "site",
		[OPT_CLASS] = "class"
	};

	if (opt < OPT_STATE || opt > OPT_CLASS)
		return false;
	json_object_set_new(a->filter, keys[opt], json_string(arg));
	return true;
}

static int parse(int argc, char **argv, struct asked *a)
{
	static const struct option options[] = { CONTROL_OPTIONS,
						 { "json", no_argument, NULL, 'j' },
						 { "limit", required_argument, NULL, 'n' },
						 { "state", required_argument, NULL, OPT_STATE },
						 { "sender", required_argument, NULL, OPT_SENDER },
						 { "recipient", required_argument, NULL, OPT_RECIPIENT },
						 { "domain", required_argument, NULL, OPT_DOMAIN },
						 { "id", required_argument, NULL, OPT_ID },
						 { "site", required_argument, NULL, OPT_SITE },
						 { "class", required_argument, NULL, OPT_CLASS },
						 { "all", no_argument, NULL, OPT_ALL },
						 { "yes", no_argument, NULL, OPT_YES },
						 { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, CONTROL_SHORT, options, NULL)) != -1) {
		if (control_option(c, optarg) || set_filter(a, c, optarg))
			continue;
		if (c == 'j') {
			a->as_json = true;
		} else if (c == OPT_ALL) {
			a->all = true;
		} else if (c == OPT_YES) {
			a->yes = true;
		} else if (c == 'n') {
			struct slice s = slice_str(optarg);
			uint64_t n;

			if (!cur_u64(&s, 1000000000, &n) || s.n > 0 || n == 0)
				return cli_usage("queue", "--limit takes a number from 1");
			json_object_set_new(a->filter, "limit", json_integer((json_int_t)n));
		} else {
			return cli_usage_only("queue");
		}
	}
	return CLI_OK;
}

/* About one message, or about all that the filters leave. */
static json_t *question(const struct asked *a, const char *verb, const char *id)
{
	json_t *q = json_deep_copy(a->filter);
	char ask[32];

	if (!q)
		return NULL;
	snprintf(ask, sizeof(ask), "queue.%s", verb);
	json_object_set_new(q, "ask", json_string(ask));
	if (id)
		json_object_set_new(q, "id", json_string(id));
	else if (strcmp(verb, "list") != 0)
		json_object_set_new(q, "all", json_true());
	return q;
}

static int list(struct asked *a, int argc, char **argv)
{
	json_t *given = json_object_get(a->filter, "limit");
	uint64_t limit = given ? (uint64_t)json_integer_value(given) : LIMIT_DEFAULT;
	int status;

	if (optind < argc)
		return cli_usage("queue",
				 "list takes no argument '%s'; filter with --id, --sender, --recipient",
				 argv[optind]);
	status = control_ask(question(a, a->verb, NULL), SLICE_LIT(""), take_list, a);
	if (status == CLI_OK && !a->as_json && a->n == 0)
		puts(json_object_size(a->filter) > 0 ? "No message matches." : "The queue is empty.");
	if (status == CLI_OK && a->n >= limit)
		fprintf(stderr, "These are the first %" PRIu64 "; if there are more, --limit N shows them.\n",
			a->n);
	return status;
}

static int look(struct asked *a, int argc, char **argv)
{
	if (optind + 1 != argc)
		return cli_usage("queue", "%s takes one message id", a->verb);
	return control_ask(question(a, a->verb, argv[optind]), SLICE_LIT(""),
			   !strcmp(a->verb, "cat") ? take_cat : take_show, a);
}

/* What cannot be taken back is not done to many by mistake: a person is asked, a script must
 * have said what it means. */
static int make_sure(struct asked *a)
{
	bool for_good = !strcmp(a->verb, "remove") || !strcmp(a->verb, "bounce");
	char answer[16] = "";
	int status;

	if (a->yes || !strcmp(a->verb, "retry"))
		return CLI_OK;
	if (!isatty(STDIN_FILENO)) {
		if (!for_good || json_object_size(a->filter) > 0)
			return CLI_OK;
		return cli_usage("queue", "%s of all that is in the queue wants --yes", a->verb);
	}
	status = control_ask(question(a, "count", NULL), SLICE_LIT(""), take_done, a);
	if (status != CLI_OK || a->n == 0)
		return status;
	fprintf(stderr, "%" PRIu64 " %s. %c%s %s? [y/N] ", a->n,
		a->n == 1 ? "message matches" : "messages match", a->verb[0] - 'a' + 'A', a->verb + 1,
		a->n == 1 ? "it" : "them");
	if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y')) {
		fputs("Nothing was done.\n", stderr);
		return CLI_FAILED;
	}
	a->n = 0;
	return CLI_OK;
}

static int change_many(struct asked *a)
{
	int status = make_sure(a);

	if (status == CLI_OK)
		status = control_ask(question(a, a->verb, NULL), SLICE_LIT(""), take_done, a);
	if (status == CLI_OK && !a->as_json)
		printf("%s: %" PRIu64 " %s\n", a->verb, a->n, a->n == 1 ? "message" : "messages");
	return status;
}

static int change(struct asked *a, int argc, char **argv)
{
	bool many = a->all || json_object_size(a->filter) > 0;
	int status = CLI_OK;

	if (many ? optind < argc : optind == argc)
		return cli_usage("queue", "%s takes message ids, or filters, or --all", a->verb);
	if (many)
		status = change_many(a);
	for (int i = optind; i < argc && status != CLI_NO_SERVER; i++) {
		int one = control_ask(question(a, a->verb, argv[i]), SLICE_LIT(""), take_done, a);

		status = one == CLI_OK ? status : one;
	}
	if (a->as_json && status != CLI_NO_SERVER)
		json_object_set_new(a->collected, "done", json_integer((json_int_t)a->n));
	return status;
}

static int summary(struct asked *a, int argc, char **argv)
{
	(void)argv;
	if (optind < argc || json_object_size(a->filter) > 0)
		return cli_usage("queue", "summary takes no arguments and no filters");
	return cli_queue_summary(a->as_json, a->now_ms);
}

int cli_queue(int argc, char **argv)
{
	static const struct {
		const char *verb;
		int (*run)(struct asked *a, int argc, char **argv);
	} verbs[] = { { "list", list },	   { "show", look },	  { "cat", look },
		      { "hold", change },  { "release", change }, { "remove", change },
		      { "retry", change }, { "bounce", change },  { "summary", summary } };
	struct timespec now;
	struct asked a = { 0 };
	int status = CLI_USAGE;
	size_t i = 0;

	if (argc < 2)
		return cli_usage("queue", "what about it?");
	while (i < sizeof(verbs) / sizeof(verbs[0]) && strcmp(verbs[i].verb, argv[1]) != 0)
		i++;
	if (i == sizeof(verbs) / sizeof(verbs[0]))
		return cli_usage("queue", "there is no '%s'", argv[1]);
	clock_gettime(CLOCK_REALTIME, &now);
	a.now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	a.verb = verbs[i].verb;
	a.filter = json_object();
	a.collected = i == 0 ? json_array() : json_object();
	argv[1] = argv[0];
	if (!a.filter || !a.collected)
		status = CLI_FAILED;
	else
		status = parse(argc - 1, argv + 1, &a);
	if (status == CLI_OK)
		status = verbs[i].run(&a, argc - 1, argv + 1);
	if (a.as_json && verbs[i].run != summary && a.verb[0] != 'c' && status == CLI_OK) {
		json_dumpf(a.collected, stdout, JSON_INDENT(1));
		putchar('\n');
	}
	json_decref(a.filter);
	json_decref(a.collected);
	return status;
}
