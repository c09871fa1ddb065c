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
	const char *transcript = cli_member_text(e, "transcript");
	struct buf words;
	char time[32];

	buf_init(&words, WORDS_MAX);
	cli_event_words(e, &words);
	buf_byte(&words, 0);
	printf("%s %-10s ", cli_time((uint64_t)cli_member_number(e, "time_ms"), time),
	       cli_member_text(e, "kind"));
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
		if (*cli_member_text(r, "status")) {
			buf_str(&words, cli_member_text(r, "status"));
			buf_byte(&words, ' ');
		}
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

static void print_now(const struct trace *t, const json_t *queue)
{
	const json_t *rcpts = json_object_get(queue, "to"), *r;
	json_int_t expires = cli_member_number(queue, "expires");
	char text[32];
	size_t i;

	if (!json_is_object(queue)) {
		puts("Now: it is not in the queue.");
		return;
	}
	printf("Now: %s in the queue", cli_member_text(queue, "state"));
	if (expires > 0)
		printf(", given up at %s", cli_time((uint64_t)expires, text));
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

static void print_life(const struct trace *t, const json_t *m)
{
	const json_t *events = json_object_get(m, "events"), *e;
	bool accepted = false;
	size_t i;

	printf("Message %s\n", cli_member_text(m, "id"));
	json_array_foreach(events, i, e)
	{
		accepted |= !strcmp(cli_member_text(e, "kind"), "accepted");
		print_event(t, e);
	}
	if (!accepted)
		puts("How it was accepted is not known (any more).");
	print_now(t, json_object_get(m, "queue"));
}

/* Its last word, of several recipients the worst. */
static const char *state_of(const json_t *m)
{
	static const char *const ends[] = { "failed",  "expired",   "removed",	"deferred",
					    "relayed", "delivered", "discarded" };
	const json_t *events = json_object_get(m, "events"), *queue = json_object_get(m, "queue"), *e;
	size_t i;

	if (json_is_object(queue))
		return cli_member_text(queue, "state");
	for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++) {
		if (!strcmp(ends[k], "deferred")) /* it is not in the queue: it was not the last word */
			continue;
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
	char time[32];

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

int trace_print(const struct trace *t)
{
	size_t n = json_array_size(t->messages);

	if (t->as_json)
		return print_json(t);
	if (n == 0)
		return nothing(t);
	if (n == 1)
		print_life(t, json_array_get(t->messages, 0));
	else if (t->meant)
		print_life(t, t->meant);
	if (n > 1 && t->meant)
		puts("\nAbout it:");
	for (size_t i = n > 1 ? n : 0; i > 0; i--)
		if (json_array_get(t->messages, i - 1) != t->meant)
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
