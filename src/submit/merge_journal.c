#include "submit/merge_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/utf8.h"

#define LINE_MAX_ (1U << 20)
#define PIECE	  (256U << 10)
#define HEAD	  "{\"postern_merge\":"

struct row {
	uint8_t state;
	char *id;
	json_t *recipients;
};

struct merge_journal {
	int fd, failed;
	bool is_new;
	uint64_t size; /* of what is whole in it */
	struct buf line;
	uint32_t rows, count[MERGE_STATES];
	struct row row[];
};

static const char *const names[MERGE_STATES] = { "new",	     "sending",	 "sent",   "refused",
						 "deferred", "doubtful", "skipped" };

const char *merge_state_name(enum merge_state s)
{
	return s < MERGE_STATES ? names[s] : "";
}

bool merge_journal_is_new(const struct merge_journal *j)
{
	return j->is_new;
}

enum merge_state merge_journal_state(const struct merge_journal *j, uint32_t row)
{
	return row > 0 && row <= j->rows ? (enum merge_state)j->row[row - 1].state : MERGE_NEW;
}

const char *merge_journal_id(const struct merge_journal *j, uint32_t row)
{
	return row > 0 && row <= j->rows ? j->row[row - 1].id : NULL;
}

const json_t *merge_journal_recipients(const struct merge_journal *j, uint32_t row)
{
	return row > 0 && row <= j->rows ? j->row[row - 1].recipients : NULL;
}

uint32_t merge_journal_count(const struct merge_journal *j, enum merge_state s)
{
	return s < MERGE_STATES ? j->count[s] : 0;
}

/* ---- writing ---- */

/* All of it, or nothing: half a line would be taken for damage. */
static int write_line(struct merge_journal *j)
{
	struct slice s = buf_slice(&j->line);
	uint64_t after = j->size + s.n;

	if (!buf_ok(&j->line))
		return -ENOMEM;
	while (s.n > 0 && j->failed == 0) {
		ssize_t n = write(j->fd, s.p, s.n);

		if (n >= 0)
			s = slice_tail(s, (size_t)n);
		else if (errno != EINTR)
			j->failed = -errno;
	}
	if (j->failed == 0)
		j->size = after;
	else if (ftruncate(j->fd, (off_t)j->size) < 0)
		return j->failed;
	return j->failed;
}

static void put_member(struct buf *b, const char *key, struct slice value)
{
	buf_fmt(b, ",\"%s\":\"", key);
	utf8_put_json(b, value);
	buf_byte(b, '"');
}

static void put_time(struct buf *b, uint64_t time_ms)
{
	time_t t = (time_t)(time_ms / 1000);
	struct tm tm;
	char text[32];

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_fmt(b, ",\"time\":\"%s.%03uZ\"}\n", text, (unsigned)(time_ms % 1000));
}

static int write_head(struct merge_journal *j, const struct merge_journal_setup *s)
{
	buf_reset(&j->line);
	buf_fmt(&j->line, HEAD "1,\"list\":\"%s\",\"template\":\"%s\",\"rows\":%u", s->list, s->template,
		s->rows);
	put_time(&j->line, s->time_ms);
	return write_line(j);
}

static void put_line(struct buf *b, const struct merge_line *l, uint64_t time_ms)
{
	char *recipients = l->recipients ? json_dumps(l->recipients, JSON_COMPACT) : NULL;

	buf_reset(b);
	buf_fmt(b, "{\"row\":%u,\"line\":%u,\"to\":[", l->row, l->line);
	for (size_t i = 0; l->to && i < l->to->recipients; i++) {
		buf_str(b, i ? ",\"" : "\"");
		utf8_put_json(b, slice_str(l->to->recipient[i]->address));
		buf_byte(b, '"');
	}
	buf_fmt(b, "],\"state\":\"%s\"", merge_state_name(l->state));
	if (l->id)
		put_member(b, "id", slice_str(l->id));
	if (l->code > 0)
		buf_fmt(b, ",\"code\":%u", l->code);
	if (l->status && *l->status)
		put_member(b, "status", slice_str(l->status));
	if (l->text && *l->text)
		put_member(b, "text", slice_str(l->text));
	if (l->step && *l->step)
		put_member(b, "step", slice_str(l->step));
	if (l->host && *l->host)
		put_member(b, "host", slice_str(l->host));
	if (recipients)
		buf_fmt(b, ",\"recipients\":%s", recipients);
	put_time(b, time_ms);
	if (l->recipients && !recipients)
		b->failed = true;
	free(recipients);
}

/* A row that is through is heard of no more: of it only the state is kept. */
static int note(struct merge_journal *j, uint32_t number, enum merge_state state, const char *id,
		const json_t *recipients)
{
	struct row *r = &j->row[number - 1];
	char *copy = id && state != MERGE_SENT ? strdup(id) : NULL;

	if (id && state != MERGE_SENT && !copy)
		return -ENOMEM;
	if (copy || state == MERGE_SENT) {
		free(r->id);
		r->id = copy;
	}
	if (recipients || state == MERGE_SENT) {
		json_decref(r->recipients);
		r->recipients = state == MERGE_SENT ? NULL : json_deep_copy(recipients);
		if (state != MERGE_SENT && !r->recipients)
			return -ENOMEM;
	}
	j->count[r->state]--;
	j->count[state]++;
	r->state = (uint8_t)state;
	return 0;
}

int merge_journal_put(struct merge_journal *j, const struct merge_line *l, uint64_t time_ms)
{
	int r = j->failed;

	if (r < 0)
		return r;
	put_line(&j->line, l, time_ms);
	r = write_line(j);
	return r < 0 ? r : note(j, l->row, l->state, l->id, l->recipients);
}

int merge_journal_sync(struct merge_journal *j)
{
	if (j->failed == 0 && fdatasync(j->fd) < 0)
		j->failed = -errno;
	return j->failed;
}

/* ---- reading ---- */

static int say(struct buf *words, const struct merge_journal_setup *s, const char *text)
{
	buf_fmt(words, "%s: %s", s->path, text);
	return -EBADMSG;
}

static bool parse_state(const char *text, enum merge_state *ret)
{
	for (unsigned i = 0; text && i < MERGE_STATES; i++)
		if (!strcmp(names[i], text)) {
			*ret = (enum merge_state)i;
			return true;
		}
	return false;
}

static const char *member(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int take_head(const struct merge_journal_setup *s, const json_t *o, char last[static MERGE_HASH],
		     struct buf *words)
{
	if (json_integer_value(json_object_get(o, "postern_merge")) != 1)
		return say(words, s, "it is the result of a newer version of this program");
	if (strcmp(member(o, "list"), s->list) != 0 ||
	    json_integer_value(json_object_get(o, "rows")) != (json_int_t)s->rows)
		return say(
			words, s,
			"it is the result of another list, or the list was changed since: put that one back; "
			"or make a list of the rows that are left, and name another file with --result");
	(void)slice_copy(slice_str(member(o, "template")), last, MERGE_HASH);
	return 0;
}

static int take_line(struct merge_journal *j, const struct merge_journal_setup *s, struct slice line,
		     uint64_t number, char last[static MERGE_HASH], struct buf *words)
{
	json_error_t why = { 0 };
	json_t *o = json_loadb((const char *)line.p, line.n, 0, &why);
	json_int_t row = json_integer_value(json_object_get(o, "row"));
	enum merge_state state;
	int r;

	/* What is wrong with a text, it names; memory it leaves unsaid at times. */
	if (!o && (json_error_code(&why) == json_error_out_of_memory ||
		   json_error_code(&why) == json_error_unknown))
		return -ENOMEM;
	if (json_object_get(o, "postern_merge")) {
		r = take_head(s, o, last, words);
	} else if (number == 1) {
		r = say(words, s,
			"there is such a file, and it is no result of this command: name another with "
			"--result");
	} else if (row < 1 || row > (json_int_t)j->rows || !parse_state(member(o, "state"), &state)) {
		buf_fmt(words,
			"%s, line %llu: damaged; nothing was sent, for this file says what was sent "
			"already",
			s->path, (unsigned long long)number);
		r = -EBADMSG;
	} else {
		r = note(j, (uint32_t)row, state, *member(o, "id") ? member(o, "id") : NULL,
			 json_object_get(o, "recipients"));
	}
	json_decref(o);
	return r;
}

/* Lines that are whole; *ret: where they end. */
static int take_lines(struct merge_journal *j, const struct merge_journal_setup *s, struct slice text,
		      char last[static MERGE_HASH], struct buf *words)
{
	struct slice cur = text, line;
	uint64_t number = 0;
	int r = 0;

	while (r == 0 && cur_until(&cur, '\n', &line)) {
		/* The last one may be damaged: power was lost before it was synced. */
		if (cur.n == 0 && number > 0 && (line.n == 0 || line.p[0] != '{'))
			break;
		r = take_line(j, s, line, ++number, last, words);
		j->size += line.n + 1;
	}
	/* A first line that is not whole must be one of ours before it is taken back. */
	if (r == 0 && number == 0 && cur.n > 0 && !slice_starts(cur, slice_head(SLICE_LIT(HEAD), cur.n)) &&
	    cur.p[0] != 0)
		r = say(words, s,
			"there is such a file, and it is no result of this command: name another with "
			"--result");
	return r;
}

static int read_all(int fd, uint64_t size, struct buf *to)
{
	unsigned char *room = malloc(PIECE);
	ssize_t n = 1;
	int r = room ? 0 : -ENOMEM;

	buf_init(to, size + PIECE);
	while (r == 0 && n > 0) {
		n = pread(fd, room, PIECE, (off_t)to->n);
		if (n < 0 && errno != EINTR)
			r = -errno;
		else if (n < 0)
			n = 1;
		else
			buf_put(to, slice_of(room, (size_t)n));
		if (r == 0 && !buf_ok(to))
			r = -ENOMEM;
	}
	free(room);
	return r;
}

/* A file is there for good once its folder is synced. */
static int sync_folder(const char *path)
{
	char folder[4096] = ".";
	const char *slash = strrchr(path, '/');
	int fd, r = 0;

	if (slash && !slice_copy(slash == path ? SLICE_LIT("/") : slice_of(path, (size_t)(slash - path)),
				 folder, sizeof(folder)))
		return -ENAMETOOLONG;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == EACCES ? 0 : -errno; /* one may write there, and not look */
	if (fsync(fd) < 0 && errno != EINVAL)
		r = -errno;
	close(fd);
	return r;
}

static int begin_file(struct merge_journal *j, const struct merge_journal_setup *s)
{
	int r = write_head(j, s);

	j->is_new = true;
	if (r == 0)
		r = merge_journal_sync(j);
	return r == 0 ? sync_folder(s->path) : r;
}

static int load(struct merge_journal *j, const struct merge_journal_setup *s, struct buf *words)
{
	char last[MERGE_HASH] = "";
	struct buf text;
	struct stat st;
	int r;

	if (flock(j->fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(j->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return say(words, s, "it is no file that results could be kept in");
	r = read_all(j->fd, (uint64_t)st.st_size, &text);
	if (r == 0)
		r = take_lines(j, s, buf_slice(&text), last, words);
	if (r == 0 && j->size < buf_slice(&text).n && ftruncate(j->fd, (off_t)j->size) < 0)
		r = -errno;
	buf_done(&text);
	if (r < 0)
		return r;
	if (j->size == 0)
		return begin_file(j, s);
	if (strcmp(last, s->template) == 0)
		return 0;
	if (!s->template_may_differ)
		return say(
			words, s,
			"some rows are through already, and the template, its parts or the sender were "
			"changed "
			"since: put them back; or let the others have the new ones with --changed-template");
	return write_head(j, s);
}

int merge_journal_open(struct merge_journal **ret, const struct merge_journal_setup *setup, struct buf *words)
{
	struct merge_journal *j;
	int r;

	if (setup->rows > MERGE_ROWS_MAX)
		return -E2BIG;
	j = calloc(1, sizeof(*j) + setup->rows * sizeof(struct row));
	if (!j)
		return -ENOMEM;
	j->rows = j->count[MERGE_NEW] = setup->rows;
	buf_init(&j->line, LINE_MAX_);
	j->fd = open(setup->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	r = j->fd < 0 ? -errno : load(j, setup, words);
	if (r < 0)
		merge_journal_close(j);
	else
		*ret = j;
	return r;
}

void merge_journal_close(struct merge_journal *j)
{
	if (!j)
		return;
	for (uint32_t i = 0; i < j->rows; i++) {
		free(j->row[i].id);
		json_decref(j->row[i].recipients);
	}
	if (j->fd >= 0)
		close(j->fd);
	buf_done(&j->line);
	free(j);
}
