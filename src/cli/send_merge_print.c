#include "cli/send_merge.h"

#include <inttypes.h>
#include <stdarg.h>

#include "cli/cli.h"
#include "cli/send.h"
#include "cli/text.h"

#define SHOWN	     3	/* messages of a dry run */
#define COMPLAINTS   20 /* rows that are told of as they fail */
#define PROGRESS_MS  250
#define LINE_COLUMNS 79

static uint32_t count(const struct cli_merge_run *r, enum merge_state s)
{
	return merge_journal_count(r->journal, s);
}

/* ---- before ---- */

static void complain(const char *file, uint32_t line, uint32_t column, const char *text)
{
	fprintf(stderr, "%s:%u", file, line);
	if (column > 0)
		fprintf(stderr, ":%u", column);
	fputs(": ", stderr);
	cli_put_clean(stderr, text, false);
	fputc('\n', stderr);
}

static json_t *problems_json(const struct cli_merge_plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->problems; i++)
		json_array_append_new(list,
				      json_pack("{s:i, s:i, s:s*}", "line", (int)p->problem[i].line, "column",
						(int)p->problem[i].column, "text", p->problem[i].text));
	return list;
}

void cli_merge_print_problems(const struct cli_merge_plan *p)
{
	bool stops = p->fatal > 0 || !p->o->skip_bad;

	for (size_t i = 0; i < p->problems; i++)
		complain(p->o->list, p->problem[i].line, p->problem[i].column, p->problem[i].text);
	if (p->bad + p->fatal > p->problems)
		fprintf(stderr, "... and %zu more\n", p->bad + p->fatal - p->problems);
	if (p->fatal > 0)
		fprintf(stderr, "postern send: the list cannot be read to its end; nothing is sent\n");
	else if (stops)
		fprintf(stderr,
			"postern send: %zu of %u rows cannot be sent; so nothing is. Correct them, or leave "
			"them out with --skip-bad\n",
			p->bad, p->rows);
	else
		fprintf(stderr, "postern send: %zu of %u rows are left out\n", p->bad, p->rows);
	if (p->o->json && stops && !p->o->dry_run) {
		json_t *j =
			json_pack("{s:i, s:i, s:i, s:o}", "rows", (int)p->rows, "bad",
				  (int)(p->bad + p->fatal), "exit", CLI_FAILED, "problems", problems_json(p));

		json_dumpf(j, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(j);
	}
}

/* RFC 8058: what it takes besides the two fields. */
void cli_merge_say_one_click(const struct cli_merge_plan *p)
{
	if (!p->merge)
		return;
	if (merge_has_one_click(p->merge))
		fputs("List-Unsubscribe-Post: mailboxes offer one click only where the server signs the "
		      "message "
		      "by DKIM\nand the signature covers both List-Unsubscribe fields (h=); see that yours "
		      "does "
		      "(RFC 8058)\n",
		      stderr);
	else if (merge_could_one_click(p->merge))
		fputs("note: without \"List-Unsubscribe-Post: List-Unsubscribe=One-Click\" in the template "
		      "no "
		      "mailbox offers to\nunsubscribe by one click (RFC 8058), which large ones ask of bulk "
		      "mail\n",
		      stderr);
}

static int show(struct cli_merge_plan *p, uint32_t row)
{
	struct mime_problem problem = { 0 };
	struct draft_parts parts;
	char room[1024];
	struct buf words;
	struct draft d;
	int r = draft_init(&d);

	buf_init_in(&words, room, sizeof(room));
	if (r == 0)
		r = cli_merge_parts(p, row, &parts, &words);
	if (r == 0) {
		parts.message.id = SLICE_LIT("0000000000000");
		parts.message.date_ms = cli_now_ms();
		r = draft_compose(&d, &parts, &problem);
	}
	if (r == 0) {
		fprintf(stderr, "---- line %u\n", p->row[row - 1].line);
		fflush(stderr);
		r = cli_send_print_draft(&d) == CLI_OK ? 0 : -1;
	}
	draft_done(&d);
	return r;
}

int cli_merge_print_dry(struct cli_merge_plan *p)
{
	uint32_t shown = 0, good = p->rows - (uint32_t)p->bad;
	int status = p->fatal > 0 || p->bad > 0 ? CLI_FAILED : CLI_OK;

	if (p->o->json) {
		json_t *j = json_pack("{s:b, s:i, s:i, s:i, s:i, s:o}", "dry_run", 1, "rows", (int)p->rows,
				      "good", (int)good, "bad", (int)(p->bad + p->fatal), "exit", status,
				      "problems", problems_json(p));

		json_dumpf(j, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(j);
		return status;
	}
	for (uint32_t row = 1; row <= p->rows && shown < SHOWN; row++)
		if (!p->row[row - 1].bad && show(p, row) == 0)
			shown++;
	fprintf(stderr, "----\n%u rows: %u would be sent%s%zu %s wrong\n", p->rows, good,
		shown < good ? ", of which these are the first; " : "; ", p->bad + p->fatal,
		p->bad + p->fatal == 1 ? "is" : "are");
	cli_merge_say_one_click(p);
	return status;
}

/* ---- meanwhile ---- */

static void wipe_progress(struct cli_merge_run *r)
{
	if (r->progress > 0)
		fprintf(stderr, "\r%*s\r", (int)r->progress, "");
	r->progress = 0;
}

void cli_merge_say(struct cli_merge_run *r, const char *fmt, ...)
{
	char text[IPC_TEXT_MAX + 200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	wipe_progress(r);
	fputs("postern send: ", stderr);
	cli_put_clean(stderr, text, false);
	fputc('\n', stderr);
}

static void put_row(FILE *to, const struct merge_line *l)
{
	fprintf(to, "line %u: ", l->line);
	for (size_t i = 0; l->to && i < l->to->recipients; i++) {
		fputs(i ? ", " : "", to);
		cli_put_clean(to, l->to->recipient[i]->address, false);
	}
	fprintf(to, " %s: ",
		l->state == MERGE_SENT	     ? "sent"
		: l->state == MERGE_REFUSED  ? "was refused"
		: l->state == MERGE_DOUBTFUL ? "is in doubt"
					     : "not now");
	cli_put_clean(to, l->text ? l->text : "", false);
	fputc('\n', to);
}

void cli_merge_print_row(struct cli_merge_run *r, const struct merge_line *l)
{
	bool verbose = r->plan->o->verbose > 0;

	if (l->state == MERGE_SENT) {
		if (verbose && !r->plan->o->json) {
			wipe_progress(r);
			put_row(stdout, l);
		}
		return;
	}
	if (!verbose && r->complaints++ >= COMPLAINTS) {
		if (r->complaints == COMPLAINTS + 1)
			cli_merge_say(r, "further ones are told of in %s only", r->plan->result);
		return;
	}
	wipe_progress(r);
	put_row(stderr, l);
}

static uint32_t left(const struct cli_merge_run *r)
{
	uint32_t through = count(r, MERGE_SENT) - r->before;

	return r->to_do > through ? r->to_do - through : 0;
}

void cli_merge_print_progress(struct cli_merge_run *r, bool now)
{
	uint64_t ms = cli_now_ms(), spent = ms > r->begun_ms ? ms - r->begun_ms : 0;
	double rate = spent > 0 ? (double)r->done * 1000 / (double)spent : 0;
	char text[200], span[16];
	int n;

	if (now)
		wipe_progress(r);
	if (now || !r->terminal || ms - r->told_ms < PROGRESS_MS)
		return;
	r->told_ms = ms;
	n = snprintf(text, sizeof(text), "%u of %u sent", count(r, MERGE_SENT), r->plan->rows);
	if (count(r, MERGE_REFUSED) > 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ", %u refused", count(r, MERGE_REFUSED));
	if (count(r, MERGE_DEFERRED) > 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ", %u not now", count(r, MERGE_DEFERRED));
	if (count(r, MERGE_DOUBTFUL) > 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ", %u in doubt", count(r, MERGE_DOUBTFUL));
	if (rate > 0)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "; %.*f %s; %s left", rate < 1 ? 1 : 0,
			      rate < 1 ? rate * 60 : rate, rate < 1 ? "a minute" : "a second",
			      cli_span((uint64_t)((double)left(r) * 1000 / rate), span));
	n = n > LINE_COLUMNS ? LINE_COLUMNS : n;
	fprintf(stderr, "\r%.*s%*s", n, text, r->progress > (size_t)n ? (int)r->progress - n : 0, "");
	fflush(stderr);
	r->progress = (size_t)n;
}

/* ---- after ---- */

int cli_merge_status(const struct cli_merge_run *r)
{
	if (r->stop != CLI_MERGE_THROUGH)
		return r->status;
	if (count(r, MERGE_DEFERRED) + count(r, MERGE_NEW) + count(r, MERGE_SENDING) > 0)
		return CLI_LATER;
	return count(r, MERGE_REFUSED) + count(r, MERGE_DOUBTFUL) + count(r, MERGE_SKIPPED) > 0 ? CLI_FAILED
												: CLI_OK;
}

static const char *const stops[] = { [CLI_MERGE_THROUGH] = "",
				     [CLI_MERGE_INTERRUPTED] = "interrupted",
				     [CLI_MERGE_FAILED] = "failed",
				     [CLI_MERGE_NOT_NOW] = "not-now",
				     [CLI_MERGE_MACHINE] = "machine" };

static void print_json(const struct cli_merge_run *r)
{
	double seconds = (double)(cli_now_ms() - r->begun_ms) / 1000;
	json_t *why = r->stop == CLI_MERGE_THROUGH ? json_null() : json_string(r->why), *j;

	if (!why)
		why = json_string("(what was said is no UTF-8)");
	j = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:s, s:s, s:o, s:i}", "rows",
		      (int)r->plan->rows, "sent", (int)count(r, MERGE_SENT), "sent_before", (int)r->before,
		      "refused", (int)count(r, MERGE_REFUSED), "deferred", (int)count(r, MERGE_DEFERRED),
		      "doubtful", (int)(count(r, MERGE_DOUBTFUL) + count(r, MERGE_SENDING)), "skipped",
		      (int)count(r, MERGE_SKIPPED), "left", (int)count(r, MERGE_NEW), "seconds", seconds,
		      "result", r->plan->result, "stopped", stops[r->stop], "why", why, "exit",
		      cli_merge_status(r));
	json_dumpf(j, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(j);
}

static void put_count(uint32_t n, const char *what)
{
	if (n > 0)
		printf(", %u %s", n, what);
}

void cli_merge_print_end(struct cli_merge_run *r)
{
	uint32_t again = count(r, MERGE_DEFERRED) + count(r, MERGE_NEW),
		 doubtful = count(r, MERGE_DOUBTFUL) + count(r, MERGE_SENDING);
	char span[16];

	if (r->stop != CLI_MERGE_THROUGH)
		cli_merge_say(r, "stopped: %s", r->why);
	if (r->plan->o->json) {
		print_json(r);
		return;
	}
	printf("%u of %u sent", count(r, MERGE_SENT), r->plan->rows);
	if (r->before > 0)
		printf(" (%u of them before)", r->before);
	put_count(count(r, MERGE_REFUSED), "refused");
	put_count(count(r, MERGE_DEFERRED), "not now");
	put_count(doubtful, "in doubt");
	put_count(count(r, MERGE_SKIPPED), "left out");
	put_count(count(r, MERGE_NEW), "not tried");
	printf("; %s; each in %s\n", cli_span(cli_now_ms() - r->begun_ms, span), r->plan->result);
	fflush(stdout);
	if (again > 0)
		fprintf(stderr, "The same command again sends what is left, and nobody gets it twice.\n");
	if (doubtful > 0)
		fprintf(stderr,
			"In doubt: the server has it, or not; its answer was lost. They are not sent again "
			"but with --retry-doubtful.\n");
}
