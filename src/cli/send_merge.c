#include "cli/send_merge.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/send.h"
#include "cli/text.h"
#include "conf/file.h"

#define LIST_MAX  (256U << 20)
#define WORDS_MAX 4096

/* ---- options ---- */

bool cli_merge_rate(const char *text, double *ret)
{
	static const struct {
		const char *unit;
		double minutes;
	} units[] = { { "", 1 }, { "/min", 1 }, { "/m", 1 }, { "/s", 1.0 / 60 }, { "/h", 60 } };
	struct slice s = slice_str(text);
	uint64_t n;

	if (!cur_u64(&s, 1000000, &n) || n == 0)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (slice_eq(s, slice_str(units[i].unit))) {
			*ret = (double)n / units[i].minutes;
			return true;
		}
	return false;
}

static bool take_pause(const char *text, unsigned *ret)
{
	struct slice s = slice_str(text);
	uint64_t n;

	if (!cur_u64(&s, 3600, &n) || n == 0 || s.n > 0)
		return false;
	*ret = (unsigned)n;
	return true;
}

bool cli_merge_option(struct cli_merge *m, int option, const char *value)
{
	switch (option) {
	case CLI_MERGE_LIST:
		m->list = value;
		break;
	case CLI_MERGE_TEMPLATE:
		m->template = value;
		break;
	case CLI_MERGE_RESULT:
		m->result = value;
		break;
	case CLI_MERGE_RATE:
		return cli_merge_rate(value, &m->rate);
	case CLI_MERGE_PAUSE:
		return take_pause(value, &m->pause_s);
	case CLI_MERGE_SKIP_BAD:
		m->skip_bad = true;
		break;
	case CLI_MERGE_DUPLICATES:
		m->duplicates = true;
		break;
	case CLI_MERGE_RETRY_DOUBTFUL:
		m->retry_doubtful = true;
		break;
	case CLI_MERGE_RETRY_REFUSED:
		m->retry_refused = true;
		break;
	case CLI_MERGE_CHANGED:
		m->changed = true;
		break;
	default:
		return false;
	}
	return true;
}

/* ---- reading ---- */

static bool is_text(struct slice s)
{
	size_t n;

	for (; (n = s.n > 0 && s.p[0] != 0 ? utf8_length(s) : 0) > 0; s = slice_tail(s, n))
		;
	return s.n == 0;
}

static int say(const char *about, const char *text)
{
	fprintf(stderr, "postern send: %s: %s\n", about, text);
	return CLI_FAILED;
}

static int read_file(const char *path, struct buf *to, bool text)
{
	int r = conf_file_read(!strcmp(path, "-") ? "/dev/stdin" : path, to);

	if (r < 0)
		return say(path, strerror(-r));
	if (text && !is_text(buf_slice(to)))
		return say(path, "not in UTF-8");
	return CLI_OK;
}

static void hex(const unsigned char digest[static crypto_hash_sha256_BYTES], char to[static MERGE_HASH])
{
	sodium_bin2hex(to, MERGE_HASH, digest, crypto_hash_sha256_BYTES);
}

/* Each with its length before it, so that no two lists of parts are the same. */
static void hash_part(crypto_hash_sha256_state *h, struct slice s)
{
	uint64_t n = s.n;

	crypto_hash_sha256_update(h, (const unsigned char *)&n, sizeof(n));
	crypto_hash_sha256_update(h, s.p, s.n);
}

static void hash_all(struct cli_merge_plan *p)
{
	unsigned char digest[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state h;

	crypto_hash_sha256(digest, buf_slice(&p->list).p, buf_slice(&p->list).n);
	hex(digest, p->list_hash);
	crypto_hash_sha256_init(&h);
	hash_part(&h, buf_slice(&p->template));
	hash_part(&h, buf_slice(&p->html));
	hash_part(&h, slice_str(p->o->from));
	for (size_t i = 0; i < p->o->files; i++)
		hash_part(&h, slice_str(p->o->file[i].path));
	crypto_hash_sha256_final(&h, digest);
	hex(digest, p->template_hash);
}

/* What is wrong with a row, or with the table from there on. */
static void complain(struct cli_merge_plan *p, uint32_t line, uint32_t column, struct slice text)
{
	if (p->problems == CLI_MERGE_PROBLEMS)
		return;
	p->problem[p->problems].line = line;
	p->problem[p->problems].column = column;
	p->problem[p->problems].text = slice_dup(text);
	p->problems += p->problem[p->problems].text != NULL;
}

static int open_table(struct cli_merge_plan *p)
{
	enum csv_result r = csv_init(&p->csv, buf_slice(&p->list));

	if (r == CSV_ROW)
		return CLI_OK;
	if (r == CSV_NO_MEMORY)
		return say(p->o->list, strerror(ENOMEM));
	complain(p, p->csv.fault_line, p->csv.fault_column, slice_str(csv_fault_text(p->csv.fault)));
	p->fatal++;
	return CLI_OK;
}

static int open_template(struct cli_merge_plan *p)
{
	struct merge_setup setup = { .text = buf_slice(&p->template),
				     .has_html = p->o->html != NULL,
				     .html = buf_slice(&p->html),
				     .columns = p->csv.name,
				     .n = p->csv.columns,
				     .from = p->o->from,
				     .folder = p->folder };
	const char *slash = strrchr(p->o->template, '/');
	char room[WORDS_MAX];
	struct buf words;
	int r;

	if (slash &&
	    !slice_copy(slash == p->o->template ? SLICE_LIT("/")
						: slice_of(p->o->template, (size_t)(slash - p->o->template)),
			p->folder, sizeof(p->folder)))
		return say(p->o->template, strerror(ENAMETOOLONG));
	buf_init_in(&words, room, sizeof(room) - 1);
	r = merge_new(&p->merge, &setup, &words);
	if (r == 0)
		return CLI_OK;
	room[words.n] = '\0';
	return say(p->o->template, r == -EBADMSG ? room : strerror(-r));
}

static int read_all(struct cli_merge_plan *p)
{
	const struct cli_merge *o = p->o;
	int status = read_file(o->list, &p->list, false);

	if (status == CLI_OK)
		status = read_file(o->template, &p->template, true);
	if (status == CLI_OK && o->html)
		status = read_file(o->html, &p->html, true);
	if (status != CLI_OK)
		return status;
	hash_all(p);
	status = open_table(p);
	return status == CLI_OK && p->fatal == 0 ? open_template(p) : status;
}

/* ---- seeing what is wrong ---- */

struct seen {
	struct map_node node;
	uint32_t line;
	char key[];
};

/* 0; -ENOMEM; or the line in which that recipient is already. */
static int64_t see_key(struct cli_merge_plan *p, struct slice key, uint32_t line)
{
	struct map_node *node = map_find(&p->seen, key);
	struct seen *s;

	if (node)
		return (int64_t)((struct seen *)((char *)node - offsetof(struct seen, node)))->line;
	s = malloc(sizeof(*s) + key.n);
	if (!s)
		return -ENOMEM;
	s->line = line;
	memcpy(s->key, key.p, key.n);
	map_insert(&p->seen, &s->node, slice_of(s->key, key.n));
	return 0;
}

static int check_key(struct cli_merge_plan *p, const struct draft_parts *parts, uint32_t line,
		     struct buf *words)
{
	struct buf key;
	int64_t r;

	if (p->o->duplicates)
		return 0;
	buf_init(&key, 1U << 20);
	r = merge_key(p->merge, parts, &key);
	if (r == 0)
		r = see_key(p, buf_slice(&key), line);
	if (r > 0) {
		buf_fmt(words, "%.*s stands in line %u already", SLICE_ARG(slice_trim(buf_slice(&key))),
			(unsigned)r);
		r = -EBADMSG;
	}
	buf_done(&key);
	return (int)r;
}

static int check_files(const struct draft_parts *parts, struct buf *words)
{
	for (size_t i = 0; i < parts->files; i++) {
		struct stat st;
		int r = stat(parts->file[i].path, &st) < 0	? errno
			: !S_ISREG(st.st_mode)			? EISDIR
			: access(parts->file[i].path, R_OK) < 0 ? errno
								: 0;

		if (r == 0)
			continue;
		buf_fmt(words, "attachment %s: %s", parts->file[i].path,
			r == EISDIR ? "it is no file" : strerror(r));
		return -EBADMSG;
	}
	return 0;
}

int cli_merge_parts(struct cli_merge_plan *p, uint32_t row, struct draft_parts *ret, struct buf *words)
{
	struct draft_parts parts;
	int r;

	csv_seek(&p->csv, p->row[row - 1].mark);
	if (csv_next(&p->csv) != CSV_ROW)
		return -ENOMEM; /* it was read before */
	r = merge_make(p->merge, p->csv.cell, &parts, words);
	if (r < 0)
		return r;
	for (size_t i = 0; i < parts.files; i++)
		p->file[i] = parts.file[i];
	for (size_t i = 0; i < p->o->files; i++)
		p->file[parts.files++] = p->o->file[i];
	parts.file = p->file;
	parts.message.hostname = cli_send_domain_of(parts.message.from);
	*ret = parts;
	return 0;
}

static int check_row(struct cli_merge_plan *p, uint32_t row, struct buf *words)
{
	struct submit_envelope e;
	struct draft_parts parts;
	int r = cli_merge_parts(p, row, &parts, words);

	if (r < 0)
		return r;
	r = submit_envelope_init(&e);
	parts.message.id = SLICE_LIT("0123456789abc");
	if (r == 0)
		r = merge_check(p->merge, &parts, &e, words);
	if (r == 0 && e.recipients > CLI_MERGE_RCPTS) {
		buf_fmt(words, "%zu recipients in a row, %u at most", e.recipients, CLI_MERGE_RCPTS);
		r = -EBADMSG;
	}
	if (r == 0)
		r = check_files(&parts, words);
	if (r == 0)
		r = check_key(p, &parts, p->row[row - 1].line, words);
	submit_envelope_done(&e);
	return r;
}

static struct cli_merge_row *add_row(struct cli_merge_plan *p)
{
	if (p->rows == p->room) {
		size_t room = p->room ? p->room * 2 : 1024;
		struct cli_merge_row *more = reallocarray(p->row, room, sizeof(*more));

		if (!more)
			return NULL;
		p->row = more;
		p->room = room;
	}
	return &p->row[p->rows++];
}

/* The row that was read, or of which is known that it is wrong. */
static int take_row(struct cli_merge_plan *p, struct csv_mark at, enum csv_result got)
{
	struct cli_merge_row *row = p->rows < MERGE_ROWS_MAX ? add_row(p) : NULL;
	struct csv_mark next = csv_mark(&p->csv);
	char room[WORDS_MAX];
	struct buf words;
	int r = 0;

	if (!row)
		return p->rows < MERGE_ROWS_MAX ? -ENOMEM : -E2BIG;
	*row = (struct cli_merge_row){ .mark = at, .line = p->csv.line };
	buf_init_in(&words, room, sizeof(room));
	if (got == CSV_BAD) {
		buf_fmt(&words, "%s (%zu of %zu)", csv_fault_text(p->csv.fault), p->csv.cells,
			p->csv.columns);
		r = -EBADMSG;
	} else {
		r = check_row(p, p->rows, &words);
	}
	csv_seek(&p->csv, next);
	if (r != -EBADMSG)
		return r;
	row->bad = true;
	p->bad++;
	complain(p, row->line, 0, buf_slice(&words));
	return 0;
}

static int check_rows(struct cli_merge_plan *p)
{
	enum csv_result got;
	int r = 0;

	for (;;) {
		struct csv_mark at = csv_mark(&p->csv);

		got = csv_next(&p->csv);
		if (got == CSV_END || r < 0)
			break;
		if (got == CSV_BAD && p->csv.fault != CSV_FEW && p->csv.fault != CSV_MANY) {
			complain(p, p->csv.fault_line, p->csv.fault_column,
				 slice_str(csv_fault_text(p->csv.fault)));
			p->fatal++;
			break;
		}
		r = got == CSV_NO_MEMORY ? -ENOMEM : take_row(p, at, got);
		if (r < 0)
			break;
	}
	if (r < 0)
		return say(p->o->list, r == -E2BIG ? "too many rows" : strerror(-r));
	return CLI_OK;
}

static void plan_done(struct cli_merge_plan *p)
{
	struct map_node *node;

	while ((node = map_take_any(&p->seen)))
		free((char *)node - offsetof(struct seen, node));
	map_done(&p->seen);
	for (size_t i = 0; i < p->problems; i++)
		free(p->problem[i].text);
	free(p->row);
	merge_free(p->merge);
	csv_done(&p->csv);
	buf_done(&p->list);
	buf_done(&p->template);
	buf_done(&p->html);
}

/* ---- all of it ---- */

static int send_all(struct cli_merge_plan *p)
{
	struct cli_merge_run run = { .plan = p, .begun_ms = cli_now_ms() };
	struct merge_journal_setup setup = { .path = p->result,
					     .rows = p->rows,
					     .template_may_differ = p->o->changed,
					     .time_ms = run.begun_ms };
	char room[WORDS_MAX];
	struct buf words;
	int status = cli_carrier_ready(p->o->carrier), r;

	if (status != CLI_OK)
		return status;
	memcpy(setup.list, p->list_hash, sizeof(setup.list));
	memcpy(setup.template, p->template_hash, sizeof(setup.template));
	buf_init_in(&words, room, sizeof(room) - 1);
	r = merge_journal_open(&run.journal, &setup, &words);
	room[words.n] = '\0';
	if (r == -EBADMSG) {
		fprintf(stderr, "postern send: %s\n", room);
		return CLI_FAILED;
	}
	if (r < 0)
		return say(p->result,
			   r == -EBUSY ? "another run is at work on this list right now" : strerror(-r));
	cli_merge_send(&run);
	cli_merge_print_end(&run);
	status = cli_merge_status(&run);
	merge_journal_close(run.journal);
	return status;
}

static int check_options(struct cli_merge_plan *p)
{
	const struct cli_merge *o = p->o;
	int n;

	if (!o->template)
		return cli_usage("send", "with which words? --template FILE");
	if (!strcmp(o->list, "-") && !o->result && !o->dry_run)
		return cli_usage("send",
				 "for a list from standard input --result FILE names what it is kept in");
	n = o->result ? snprintf(p->result, sizeof(p->result), "%s", o->result)
		      : snprintf(p->result, sizeof(p->result), "%s.results", o->list);
	if (n < 0 || (size_t)n >= sizeof(p->result))
		return say(o->list, strerror(ENAMETOOLONG));
	return CLI_OK;
}

static int plan_and_send(struct cli_merge_plan *p)
{
	int status = check_options(p);

	if (status == CLI_OK)
		status = read_all(p);
	if (status == CLI_OK && p->fatal == 0)
		status = check_rows(p);
	if (status != CLI_OK)
		return status;
	if (p->problems > 0)
		cli_merge_print_problems(p);
	if (p->o->dry_run)
		return cli_merge_print_dry(p);
	if (p->fatal > 0 || (p->bad > 0 && !p->o->skip_bad))
		return CLI_FAILED;
	if (p->rows == 0)
		return say(p->o->list, "no row stands below the names of the columns");
	return send_all(p);
}

int cli_send_merge(struct cli_merge *m)
{
	struct cli_merge_plan *p = calloc(1, sizeof(*p));
	int status;

	if (!p || map_init(&p->seen) < 0 || sodium_init() < 0) {
		free(p);
		return say("merge", strerror(ENOMEM));
	}
	p->o = m;
	buf_init(&p->list, LIST_MAX);
	buf_init(&p->template, DRAFT_TEXT_MAX);
	buf_init(&p->html, DRAFT_TEXT_MAX);
	status = plan_and_send(p);
	plan_done(p);
	free(p);
	return status;
}
