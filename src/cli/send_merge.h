/* send_merge.h - `postern send --merge`: a message for each row of a list.
 *
 * send_merge.c reads all of it and finds what is wrong before anything is sent, send_merge_run.c sends,
 * send_merge_print.c tells people and programs.
 */
#ifndef POSTERN_CLI_SEND_MERGE_H
#define POSTERN_CLI_SEND_MERGE_H

#include <jansson.h>

#include "base/id.h"
#include "cli/carrier.h"
#include "submit/csv.h"
#include "submit/merge.h"
#include "submit/merge_journal.h"

/* ---- options ---- */

#define CLI_MERGE_FIRST 512 /* getopt_long's numbers of its options begin there */
enum {
	CLI_MERGE_LIST = CLI_MERGE_FIRST,
	CLI_MERGE_TEMPLATE,
	CLI_MERGE_RESULT,
	CLI_MERGE_RATE,
	CLI_MERGE_PAUSE,
	CLI_MERGE_SKIP_BAD,
	CLI_MERGE_DUPLICATES,
	CLI_MERGE_RETRY_DOUBTFUL,
	CLI_MERGE_RETRY_REFUSED,
	CLI_MERGE_CHANGED,
};

#define CLI_MERGE_OPTIONS                                                          \
	{ "merge", required_argument, NULL, CLI_MERGE_LIST },                      \
		{ "template", required_argument, NULL, CLI_MERGE_TEMPLATE },       \
		{ "result", required_argument, NULL, CLI_MERGE_RESULT },           \
		{ "rate", required_argument, NULL, CLI_MERGE_RATE },               \
		{ "pause", required_argument, NULL, CLI_MERGE_PAUSE },             \
		{ "skip-bad", no_argument, NULL, CLI_MERGE_SKIP_BAD },             \
		{ "allow-duplicates", no_argument, NULL, CLI_MERGE_DUPLICATES },   \
		{ "retry-doubtful", no_argument, NULL, CLI_MERGE_RETRY_DOUBTFUL }, \
		{ "retry-refused", no_argument, NULL, CLI_MERGE_RETRY_REFUSED },   \
	{                                                                          \
		"changed-template", no_argument, NULL, CLI_MERGE_CHANGED           \
	}

struct cli_merge {
	const char *list, *template, *result;
	double rate;	  /* messages a minute; 0: as fast as the server takes them */
	unsigned pause_s; /* the first one, when the server asks for patience; 0: 10 */
	bool skip_bad, duplicates, retry_doubtful, retry_refused, changed;
	/* Of the command's other options. */
	struct cli_carrier *carrier;
	const char *from, *html;
	const struct draft_file *file;
	size_t files;
	unsigned verbose;
	bool dry_run, json;
};

/* False: it is not understood. */
bool cli_merge_option(struct cli_merge *m, int option, const char *value);
/* "30/min", "5/s", "2000/h", "30": messages a minute. */
bool cli_merge_rate(const char *text, double *ret);
int cli_send_merge(struct cli_merge *m);

/* ---- what is to be sent ---- */

#define CLI_MERGE_PROBLEMS 20 /* that are told; all are counted */
#define CLI_MERGE_RCPTS	   100

struct cli_merge_row {
	struct csv_mark mark;
	uint32_t line;
	bool bad;
};

struct cli_merge_plan {
	const struct cli_merge *o;
	struct buf list, template, html;
	struct csv csv;
	struct merge *merge;
	struct cli_merge_row *row; /* row N of the journal is row[N - 1] */
	uint32_t rows;
	size_t room, bad, fatal; /* fatal: the rest could not be read */
	struct {
		uint32_t line, column; /* column: of the list, in characters; 0: none */
		char *text;
	} problem[CLI_MERGE_PROBLEMS];
	size_t problems;
	struct map seen;
	struct draft_file file[MERGE_FIELDS_MAX + 256];
	char folder[4096], result[4096];
	char list_hash[MERGE_HASH], template_hash[MERGE_HASH];
};

/* The message of that row, all but its id.  0, -ENOMEM, or -EBADMSG with words. */
int cli_merge_parts(struct cli_merge_plan *p, uint32_t row, struct draft_parts *ret, struct buf *words);

/* ---- sending ---- */

enum cli_merge_stop {
	CLI_MERGE_THROUGH,
	CLI_MERGE_INTERRUPTED,
	CLI_MERGE_FAILED,  /* all the others would fail in the same way */
	CLI_MERGE_NOT_NOW, /* the server takes no more for now */
	CLI_MERGE_MACHINE, /* of this machine: the journal, memory */
};

struct cli_merge_run {
	struct cli_merge_plan *plan;
	struct merge_journal *journal;
	uint32_t before;	    /* rows that were through when it began */
	uint32_t done;		    /* messages that were answered */
	uint32_t to_do;		    /* when it began */
	uint64_t begun_ms, told_ms; /* told_ms: the progress */
	enum cli_merge_stop stop;
	char why[IPC_TEXT_MAX + 1];
	int status; /* that a stop is to end with */
	bool terminal;
	size_t complaints; /* rows that were told of */
	size_t progress;   /* octets of the line that shows it */
	struct id_source ids;
};

void cli_merge_send(struct cli_merge_run *r);

/* ---- telling ---- */

void cli_merge_print_problems(const struct cli_merge_plan *p);
void cli_merge_say_one_click(const struct cli_merge_plan *p); /* what RFC 8058 asks for besides */
int cli_merge_print_dry(struct cli_merge_plan *p);	      /* the first messages, and how many there are */
/* What became of a row that is not simply sent; and with -v of each. */
void cli_merge_print_row(struct cli_merge_run *r, const struct merge_line *l);
void cli_merge_print_progress(struct cli_merge_run *r, bool now);
void cli_merge_say(struct cli_merge_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int cli_merge_status(const struct cli_merge_run *r);
void cli_merge_print_end(struct cli_merge_run *r);

#endif
