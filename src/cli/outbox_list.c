/* outbox_list.c - what is in the outbox, for people and for programs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "cli/cli.h"
#include "cli/outbox_private.h"
#include "cli/text.h"

static const char *const states[] = { [OUTBOX_WAITING] = "waiting",
				      [OUTBOX_UNSURE] = "unsure",
				      [OUTBOX_FAILED] = "failed",
				      [OUTBOX_DONE] = "sent" };
static const char *const rcpt_states[] = {
	[OUTBOX_WAITS] = "waits", [OUTBOX_TAKEN] = "sent", [OUTBOX_REFUSED] = "refused"
};

const char *cli_outbox_way_text(const struct outbox_way *w)
{
	return w->account ? w->account : w->url;
}

void cli_outbox_put_people(const struct outbox_message *m, bool waiting, FILE *to)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++) {
		if (waiting && m->rcpt[i].state == OUTBOX_TAKEN)
			continue;
		if (n++ > 1)
			continue;
		fputs(n == 2 ? ", " : "", to);
		cli_put_clean(to, m->rcpt[i].address, false);
	}
	if (n > 2)
		fprintf(to, " and %zu more", n - 2);
}

/* ---- for programs ---- */

json_t *cli_outbox_json(const struct outbox_message *m)
{
	const struct outbox_way *w = &m->way;
	json_t *to = json_array();

	for (size_t i = 0; i < m->n; i++)
		json_array_append_new(to, json_pack("{s:s, s:s, s:o*}", "address", m->rcpt[i].address,
						    "state", rcpt_states[m->rcpt[i].state], "text",
						    m->rcpt[i].text ? json_text(slice_str(m->rcpt[i].text))
								    : NULL));
	return json_pack("{s:s, s:s, s:s?, s:s?, s:s, s:o, s:I, s:I, s:I, s:I, s:b, s:o}", "id", m->id,
			 "state", states[outbox_message_state(m)], "account", w->account, "url", w->url,
			 "from", m->sender, "to", to, "octets", (json_int_t)m->octets, "taken",
			 (json_int_t)m->taken_ms, "tries", (json_int_t)m->tries, "last",
			 (json_int_t)m->last_ms, "reached", m->answered, "text",
			 json_text(slice_str(m->text)));
}

int cli_outbox_print_json(const char *program, json_t *j)
{
	int status = j && json_dumpf(j, stdout, JSON_INDENT(1)) == 0 ? CLI_OK : CLI_LATER;

	if (status == CLI_OK)
		putchar('\n');
	else
		fprintf(stderr, "postern %s: out of memory\n", program);
	json_decref(j);
	return status;
}

static const char *kind_text(const struct outbox_item *it)
{
	static const char *const text[] = { "", "unfinished", "damaged", "foreign" };

	return text[it->kind];
}

static int list_json(const struct cli_outbox_ask *ask, const struct outbox *o, const struct outbox_item *list,
		     size_t n, bool more)
{
	json_t *messages = json_array(), *others = json_array(), *j;

	for (size_t i = 0; i < n; i++)
		if (list[i].kind != OUTBOX_MESSAGE)
			json_array_append_new(others, json_pack("{s:o, s:s}", "file",
								json_text(slice_str(list[i].name)), "what",
								kind_text(&list[i])));
		else if (outbox_message_state(&list[i].m) != OUTBOX_DONE)
			json_array_append_new(messages, cli_outbox_json(&list[i].m));
	j = json_pack("{s:s?, s:o, s:o, s:b}", "outbox", o ? outbox_path(o) : NULL, "messages", messages,
		      "other_files", others, "more", more);
	return cli_outbox_print_json(ask->program, j);
}

/* ---- for people ---- */

static void put_ago(uint64_t at, FILE *to)
{
	uint64_t now = cli_now_ms();
	char text[16];

	fprintf(to, "%s ago", cli_span(now > at ? now - at : 0, text));
}

static void print_refused(const struct outbox_message *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->rcpt[i].state == OUTBOX_REFUSED) {
			fputs("    ", stdout);
			cli_put_clean(stdout, m->rcpt[i].address, false);
			fputs(" was refused: ", stdout);
			cli_put_clean(stdout, m->rcpt[i].text, false);
			putchar('\n');
		}
}

static void print_message(const struct outbox_message *m)
{
	char size[16];

	printf("%s  %s, kept ", m->id, cli_octets(m->octets, size));
	put_ago(m->taken_ms, stdout);
	fputs(", from ", stdout);
	cli_put_clean(stdout, *m->sender ? m->sender : "<>", false);
	fputs(" to ", stdout);
	cli_outbox_put_people(m, true, stdout);
	fputs(" by ", stdout);
	cli_put_clean(stdout, cli_outbox_way_text(&m->way), false);
	putchar('\n');
	if (m->text[0]) {
		fputs("    ", stdout);
		if (m->last_ms && outbox_message_state(m) == OUTBOX_WAITING) {
			printf("tried %u time%s, last ", m->tries, m->tries == 1 ? "" : "s");
			put_ago(m->last_ms, stdout);
			fputs(": ", stdout);
		}
		cli_put_clean(stdout, m->text, false);
		putchar('\n');
	}
	print_refused(m);
}

static size_t print_those(const struct outbox_item *list, size_t n, enum outbox_state state,
			  const char *title, const char *advice)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		if (list[i].kind == OUTBOX_MESSAGE && outbox_message_state(&list[i].m) == state) {
			if (found++ == 0 && title)
				printf("%s\n", title);
			print_message(&list[i].m);
		}
	if (found > 0 && advice)
		printf("%s\n", advice);
	return found;
}

static void print_others(const struct outbox *o, const struct outbox_item *list, size_t n)
{
	static const char *const text[] = {
		[OUTBOX_UNFINISHED] =
			"was never finished, the program ended while it was written: nobody was "
			"told that it is kept. It may be deleted",
		[OUTBOX_TORN] = "should be a message and cannot be read; nothing is done with it",
		[OUTBOX_FOREIGN] = "is not the outbox's; nothing is done with it",
	};

	for (size_t i = 0; i < n; i++)
		if (list[i].kind != OUTBOX_MESSAGE) {
			fprintf(stderr, "%s/", outbox_path(o));
			cli_put_clean(stderr, list[i].name, false);
			fprintf(stderr, " %s", text[list[i].kind]);
			if (list[i].error < 0 && list[i].error != -EBADMSG)
				fprintf(stderr, " (%s)", strerror(-list[i].error));
			fputs(".\n", stderr);
		}
}

static void list_text(const struct outbox *o, const struct outbox_item *list, size_t n, bool more)
{
	size_t found = print_those(list, n, OUTBOX_WAITING, NULL,
				   "They go with the next `postern send` by the same server, or with "
				   "`postern send --flush`.");

	found += print_those(
		list, n, OUTBOX_UNSURE, "Perhaps sent:",
		"Whether the server took it is not known, so it is not sent again by itself. Look "
		"whether it arrived;\nthen `postern send --drop ID`, or `--retry ID` to send it "
		"(again).");
	found += print_those(
		list, n, OUTBOX_FAILED, "Failed:",
		"These are not tried any more. `postern send --retry ID` once the cause is mended, or "
		"`--drop ID`.");
	if (found == 0)
		puts("The outbox is empty.");
	print_others(o, list, n);
	if (more)
		fprintf(stderr, "%s holds more files than are looked at (%u).\n", outbox_path(o),
			OUTBOX_FILES_MAX);
}

int cli_outbox_list(const struct cli_outbox_ask *ask)
{
	bool none, more = false;
	struct outbox *o = cli_outbox_open(ask->program, false, &none);
	struct outbox_item *list = NULL;
	size_t n = 0;
	int r = o ? outbox_list(o, &list, &n, &more) : 0, status = CLI_OK;

	if (!o && !none)
		return CLI_FAILED;
	if (r < 0)
		status = cli_outbox_error(ask->program, outbox_path(o), r);
	else if (ask->json)
		status = list_json(ask, o, list, n, more);
	else if (o)
		list_text(o, list, n, more);
	else
		puts("The outbox is empty.");
	if (r == 0 && list)
		outbox_list_free(list, n);
	outbox_close(o);
	return status;
}
