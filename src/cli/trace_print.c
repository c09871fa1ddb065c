#include <string.h>

#include "cli/cli.h"
#include "cli/event_text.h"
#include "cli/trace.h"

#define WORDS_MAX 16384
#define INDENT	  31 /* behind time and kind */
#define RCPTS_MAX 50 /* shown with their state now */

static void print_transcript(const char *text)
{
	bool begin = true;

	for (; *text; text++) {
		char one[2] = { *text, 0 };

		if (*text == '\r')
			continue;
		if (begin && *text != '\n')
			printf("    ");
		begin = *text == '\n';
		cli_print_clean(one, true);
	}
	if (!begin)
		putchar('\n');
}

static void print_event(const struct trace *t, const json_t *e)
{
	const char *transcript = cli_member_text(e, "transcript"), *report = cli_member_text(e, "in_report");
	struct buf words;
	char time[32];

	buf_init(&words, WORDS_MAX);
	if (*report)
		buf_fmt(&words, "report %s: ", report);
	cli_event_words(e, &words);
	buf_byte(&words, 0);
	printf("%s %-10s ", cli_time((uint64_t)trace_when(e), time), cli_member_text(e, "kind"));
	if (buf_ok(&words))
		cli_print_wrapped((const char *)buf_slice(&words).p, INDENT);
	else
		putchar('\n');
	buf_done(&words);
	if (t->transcript && *transcript)
		print_transcript(transcript);
}

static void print_rcpt(const struct trace *t, const json_t *r)
{
	json_int_t next = cli_member_number(r, "next");
	struct buf words;
	char text[32];

	buf_init(&words, WORDS_MAX);
	buf_str(&words, cli_member_text(r, "address"));
	buf_str(&words, ": ");
	buf_str(&words, cli_member_text(r, "state"));
	if (*cli_member_text(r, "reason")) {
		buf_str(&words, "; ");
		buf_str(&words, cli_status_unsaid(r, "reason"));
		buf_str(&words, cli_member_text(r, "reason"));
	}
	if (next > 0 && (uint64_t)next > t->now_ms) {
		buf_str(&words, "; next try ");
		buf_str(&words, cli_time((uint64_t)next, text));
		buf_fmt(&words, ", in %s", cli_span((uint64_t)next - t->now_ms, text));
	}
	buf_byte(&words, 0);
	printf("  ");
	if (buf_ok(&words))
		cli_print_wrapped((const char *)buf_slice(&words).p, 4);
	buf_done(&words);
}

static void print_now(const struct trace *t, const char *what, const json_t *queue)
{
	const json_t *rcpts = json_object_get(queue, "to"), *r;
	json_int_t expires = cli_member_number(queue, "expires");
	char text[32];
	size_t i;

	if (!json_is_object(queue)) {
		printf("%s: not in the queue (any more).\n", what);
		return;
	}
	printf("%s: in the queue, %s", what, cli_member_text(queue, "state"));
	if (expires > 0)
		printf("; given up at %s", cli_time((uint64_t)expires, text));
	puts(".");
	json_array_foreach(rcpts, i, r)
	{
		if (i < RCPTS_MAX)
			print_rcpt(t, r);
	}
	if (json_array_size(rcpts) > RCPTS_MAX)
		printf("  and %zu more: postern queue show %s\n", json_array_size(rcpts) - RCPTS_MAX,
		       cli_member_text(queue, "id"));
}

static void print_lost(const struct trace *t)
{
	json_int_t lost = cli_member_number(t->about, "lost");

	if (lost > 0)
		printf("%" JSON_INTEGER_FORMAT
		       " events of this server's time were lost: the history was behind, or away.\n",
		       lost);
}

/* Of many attempts at one site the first and the last are told. */
#define ATTEMPTS_FIRST 3
#define ATTEMPTS_LAST  5

static bool is_of_site(const json_t *e)
{
	return !*cli_member_text(e, "id");
}

static void print_events(const struct trace *t, const json_t *m, const json_t *events)
{
	size_t i, of_sites = 0, seen = 0;
	const json_t *e;

	json_array_foreach(events, i, e) of_sites += is_of_site(e);
	json_array_foreach(events, i, e)
	{
		seen += is_of_site(e);
		if (is_of_site(e) && seen > ATTEMPTS_FIRST && seen + ATTEMPTS_LAST <= of_sites) {
			if (seen + ATTEMPTS_LAST == of_sites)
				printf("%*s ... and %zu times more: postern trace %s --json\n", INDENT - 1,
				       "", seen - ATTEMPTS_FIRST, cli_member_text(m, "id"));
			continue;
		}
		print_event(t, e);
	}
}

/* Its own events and those of reports about it, in order. */
static json_t *whole_life(const json_t *m)
{
	json_t *all = json_copy(json_object_get(m, "events")), *report, *e;
	size_t i, k;

	json_array_foreach(json_object_get(m, "reports"), i, report)
	{
		json_array_foreach(json_object_get(report, "events"), k, e)
		{
			if (!strcmp(cli_member_text(e, "kind"), "accepted"))
				continue; /* that it is made was said already */
			e = json_copy(e);
			json_object_set(e, "in_report", json_object_get(report, "id"));
			json_array_append_new(all, e);
		}
	}
	trace_sort(all);
	return all;
}

static void print_life(const struct trace *t, const json_t *m)
{
	json_t *events = whole_life(m);
	const json_t *e, *report;
	bool accepted = false;
	size_t i;

	printf("Message %s\n", cli_member_text(m, "id"));
	json_array_foreach(events, i, e) accepted |= !strcmp(cli_member_text(e, "kind"), "accepted");
	print_events(t, m, events);
	json_decref(events);
	if (!accepted)
		puts("How it was accepted is not known (any more).");
	print_now(t, "Now", json_object_get(m, "queue"));
	json_array_foreach(json_object_get(m, "reports"), i, report)
	{
		const json_t *queue = json_object_get(report, "queue");
		char what[40];

		snprintf(what, sizeof(what), "Report %s", cli_member_text(report, "id"));
		if (json_is_object(queue))
			print_now(t, what, queue);
	}
}

/* Its last word, of several recipients the worst. */
static const char *state_of(const json_t *m)
{
	static const char *const ends[] = { "failed",  "expired",   "given-up", "removed",
					    "relayed", "delivered", "discarded" };
	const json_t *events = json_object_get(m, "events"), *queue = json_object_get(m, "queue"), *e;
	size_t i;

	if (json_is_object(queue))
		return cli_member_text(queue, "state");
	for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
		json_array_foreach(events, i, e)
		{
			if (!strcmp(cli_member_text(e, "kind"), ends[k]))
				return ends[k];
		}
	}
	return "gone";
}

static void print_brief(const json_t *m)
{
	const json_t *e = json_array_get(json_object_get(m, "events"), 0), *to = json_object_get(e, "to");
	const char *first =
		json_is_array(to) ? json_string_value(json_array_get(to, 0)) : json_string_value(to);
	json_int_t rcpts = cli_member_number(e, "rcpts");
	const json_t *report;
	char time[32];
	size_t i;

	printf("%s  %s  %-9s ", cli_member_text(m, "id"),
	       cli_time((uint64_t)cli_member_number(e, "time_ms"), time), state_of(m));
	printf("\n               ");
	if (json_object_get(e, "from")) {
		printf("from ");
		if (!*cli_member_text(e, "from"))
			printf("<>");
		cli_print_clean(cli_member_text(e, "from"), false);
		putchar(' ');
	}
	if (first) {
		printf("to ");
		cli_print_clean(first, false);
	}
	if (rcpts > 1)
		printf(" and %d more", (int)rcpts - 1);
	putchar('\n');
	json_array_foreach(json_object_get(m, "reports"), i, report)
		printf("               report %s: %s\n", cli_member_text(report, "id"), state_of(report));
}

static int nothing(const struct trace *t)
{
	json_int_t oldest = cli_member_number(t->about, "oldest_ms"),
		   days = cli_member_number(t->about, "keep_s") / 86400;
	char text[32];

	fprintf(stderr, "Nothing is known of %s.\n", t->what);
	if (oldest > 0)
		fprintf(stderr,
			"What happened is kept for %" JSON_INTEGER_FORMAT
			" days, as far as there is room; the oldest that\nis kept is of %s.\n",
			days, cli_time((uint64_t)oldest, text));
	else
		fputs("The history is empty.\n", stderr);
	if (cli_member_number(t->about, "lost") > 0)
		fprintf(stderr,
			"%" JSON_INTEGER_FORMAT
			" events were lost since the server started: it may be among them.\n",
			cli_member_number(t->about, "lost"));
	return CLI_FAILED;
}

static int print_json(const struct trace *t)
{
	json_t *all = json_pack("{s:O, s:O}", "messages", t->messages, "history", t->about);

	json_object_del(t->about, "after");
	json_object_del(t->about, "next");
	json_object_del(t->about, "epoch");
	json_dumpf(all, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(all);
	return json_array_size(t->messages) > 0 ? CLI_OK : CLI_FAILED;
}

bool trace_is_whole(const struct trace *t, const json_t *message)
{
	return json_array_size(t->messages) == 1 || message == t->meant;
}

int trace_print(const struct trace *t)
{
	size_t n = json_array_size(t->messages);

	if (t->as_json)
		return print_json(t);
	if (n == 0)
		return nothing(t);
	for (size_t i = 0; i < n; i++)
		if (trace_is_whole(t, json_array_get(t->messages, i)))
			print_life(t, json_array_get(t->messages, i));
	if (n > 1 && t->meant)
		puts("\nAbout it:");
	for (size_t i = n; i > 0; i--)
		if (!trace_is_whole(t, json_array_get(t->messages, i - 1)))
			print_brief(json_array_get(t->messages, i - 1));
	if (n > 1)
		puts("The whole life of one: postern trace ID");
	if (json_is_true(json_object_get(t->about, "more")))
		puts("There are more, older ones: --limit N, up to 200.");
	if (json_is_true(json_object_get(t->about, "cut")))
		puts("This is cut: it is too much. --limit or --since ask for less.");
	print_lost(t);
	return CLI_OK;
}
