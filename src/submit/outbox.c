#include "submit/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "submit/outbox_private.h"

#define PIECE	  (64U << 10)
#define MESSAGE	  ".msg"
#define UNDER_WAY ".tmp"
#define LOCK	  "lock-"
#define MORE_MAX  (1U << 20) /* octets that one change may add */

/* ---- names ---- */

static void name_of(const char *id, const char *kind, char to[static OUTBOX_NAME_MAX])
{
	snprintf(to, OUTBOX_NAME_MAX, "%.*s%s", ID_LEN, id, kind);
}

static enum outbox_kind kind_of(const char *name)
{
	struct slice s = slice_str(name);
	struct id id;

	if (s.n != ID_LEN + 4 || !id_parse(slice_head(s, ID_LEN), &id))
		return OUTBOX_FOREIGN;
	if (!strcmp(name + ID_LEN, MESSAGE))
		return OUTBOX_MESSAGE;
	return !strcmp(name + ID_LEN, UNDER_WAY) ? OUTBOX_UNFINISHED : OUTBOX_FOREIGN;
}

/* ---- open ---- */

int outbox_open(const char *path, const struct disk *disk, bool make, struct outbox **ret,
		char reterr[static OUTBOX_ERROR_MAX])
{
	struct outbox *o = calloc(1, sizeof(*o));
	int r = 0;

	reterr[0] = '\0';
	if (!o || !(o->path = strdup(path))) {
		free(o);
		snprintf(reterr, OUTBOX_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	o->disk = disk ? disk : disk_real();
	id_source_init(&o->ids, (uint8_t)getpid());
	o->dir = -1;
	if (!disk)
		r = outbox_folder(path, make, reterr);
	if (r == 0) {
		o->dir = o->disk->folder(o->disk, path);
		r = o->dir < 0 ? o->dir : 0;
	}
	if (r == 0) {
		*ret = o;
		return 0;
	}
	if (!reterr[0])
		snprintf(reterr, OUTBOX_ERROR_MAX, "%s: %s", path, strerror(-r));
	outbox_close(o);
	return r;
}

void outbox_close(struct outbox *o)
{
	if (!o)
		return;
	if (o->dir >= 0)
		o->disk->close(o->disk, o->dir);
	free(o->path);
	free(o);
}

const char *outbox_path(const struct outbox *o)
{
	return o->path;
}

/* ---- a new one ---- */

struct counting {
	size_t messages, files;
};

static bool count_one(void *arg, const char *name)
{
	struct counting *c = arg;

	c->messages += kind_of(name) == OUTBOX_MESSAGE;
	return ++c->files < OUTBOX_FILES_MAX;
}

static bool put_first(const struct outbox_new *n, const struct outbox_message *m, uint32_t crc,
		      struct buf *to)
{
	bool ok = outbox_put_whole(crc, n->now_ms, to);

	if (n->unsure)
		return ok && outbox_put_outcomes(m, NULL, 0, true, true, n->text, n->now_ms, to);
	return ok && outbox_put_waits(m, n->answered, n->text, n->now_ms, to);
}

static int write_body(struct outbox *o, int file, const struct draft *d, uint64_t at, uint32_t *ret_crc)
{
	unsigned char *room = malloc(PIECE);
	uint64_t done = 0;
	uint32_t crc = 0;
	int r = room ? 0 : -ENOMEM;

	while (r == 0 && done < d->octets) {
		ssize_t n = draft_chunk(d, done, room, PIECE);

		r = n <= 0 ? (n < 0 ? (int)n : -EIO) : disk_write(o->disk, file, room, (size_t)n, at + done);
		if (r < 0)
			break;
		crc = crc32c(crc, slice_of(room, (size_t)n));
		done += (uint64_t)n;
	}
	free(room);
	*ret_crc = crc;
	return r;
}

static int write_file(struct outbox *o, int file, const struct outbox_new *n, const struct outbox_message *m)
{
	struct buf b;
	uint32_t crc;
	uint64_t at;
	int r = -ENOMEM;

	buf_init(&b, OUTBOX_HEAD_MAX);
	if (!outbox_head_put(m, &b))
		goto out;
	at = b.n;
	r = disk_write(o->disk, file, buf_slice(&b).p, b.n, 0);
	if (r == 0)
		r = write_body(o, file, n->draft, at, &crc);
	if (r < 0)
		goto out;
	buf_reset(&b);
	r = put_first(n, m, crc, &b) ? disk_write(o->disk, file, buf_slice(&b).p, b.n, at + n->draft->octets)
				     : -ENOMEM;
	if (r == 0)
		r = o->disk->datasync(o->disk, file);
out:
	buf_done(&b);
	return r;
}

/* When the folder cannot be synced it is taken back: whoever asked is told that it is not there. */
static int publish(struct outbox *o, const char *from, const char *to)
{
	int r = o->disk->rename(o->disk, o->dir, from, to);

	if (r < 0)
		return r;
	r = o->disk->dirsync(o->disk, o->dir);
	if (r < 0)
		o->disk->unlink(o->disk, o->dir, to);
	return r;
}

static int put_message(struct outbox *o, const struct outbox_new *n, const struct outbox_message *m)
{
	char name[OUTBOX_NAME_MAX], last[OUTBOX_NAME_MAX];
	int file, r;

	name_of(m->id, UNDER_WAY, name);
	name_of(m->id, MESSAGE, last);
	file = o->disk->open(o->disk, o->dir, name, DISK_CREATE);
	if (file < 0)
		return file;
	r = write_file(o, file, n, m);
	o->disk->close(o->disk, file);
	if (r == 0)
		r = publish(o, name, last);
	if (r < 0)
		o->disk->unlink(o->disk, o->dir, name);
	return r;
}

int outbox_put(struct outbox *o, const struct outbox_new *n, struct id *ret)
{
	const struct draft *d = n->draft;
	struct id id = id_next(&o->ids, n->now_ms);
	struct outbox_message m = { .id = id.text,
				    .sender = d->envelope.sender,
				    .way = *n->way,
				    .taken_ms = n->now_ms,
				    .octets = d->octets,
				    .eightbit = d->eightbit,
				    .smtputf8 = d->smtputf8,
				    .header_eightbit = d->header_eightbit,
				    .ret = d->envelope.ret,
				    .envid = d->envelope.envid };
	struct counting c = { 0 };
	int r = o->disk->list(o->disk, o->dir, count_one, &c);

	if (r < 0)
		return r;
	if (c.messages >= OUTBOX_MESSAGES_MAX || c.files >= OUTBOX_FILES_MAX)
		return -EDQUOT;
	m.rcpt = calloc(d->envelope.recipients, sizeof(*m.rcpt));
	if (!m.rcpt)
		return -ENOMEM;
	for (size_t i = 0; i < d->envelope.recipients; i++)
		if (!n->leave_out || !n->leave_out[i])
			m.rcpt[m.n++] = (struct outbox_rcpt){ .address = d->envelope.recipient[i]->address,
							      .notify = d->envelope.recipient[i]->notify };
	r = put_message(o, n, &m);
	free(m.rcpt);
	if (r == 0)
		*ret = id;
	return r;
}

/* ---- reading ---- */

/* The line at the beginning; its length with its end. */
static int read_head(struct outbox *o, int file, struct buf *to, size_t *ret_n)
{
	for (;;) {
		unsigned char *room;
		size_t before = to->n, n = buf_reserve(to, PIECE, &room), at;
		ssize_t got;

		if (n == 0)
			return to->n >= OUTBOX_HEAD_MAX ? -EBADMSG : -ENOMEM;
		got = o->disk->pread(o->disk, file, room, n, before);
		if (got <= 0)
			return got < 0 ? (int)got : -EBADMSG;
		buf_filled(to, (size_t)got);
		at = slice_find(slice_tail(buf_slice(to), before), '\n');
		if (before + at < to->n) {
			*ret_n = before + at + 1;
			return 0;
		}
	}
}

static int read_journal(struct outbox *o, int file, struct outbox_message *m)
{
	unsigned char *room = NULL;
	uint64_t size;
	int r = o->disk->size(o->disk, file, &size);

	if (r < 0)
		return r;
	if (size < m->journal_at || m->octets > size || size - m->journal_at > OUTBOX_JOURNAL_MAX)
		return -EBADMSG;
	size -= m->journal_at;
	room = malloc(size + 1);
	if (!room)
		return -ENOMEM;
	r = disk_read(o->disk, file, room, size, m->journal_at);
	if (r == 0)
		switch (outbox_journal_read(slice_of(room, size), m)) {
		case OUTBOX_READ_OK:
			break;
		case OUTBOX_READ_NO_MEMORY:
			r = -ENOMEM;
			break;
		default:
			r = -EBADMSG;
		}
	free(room);
	return r;
}

static int read_message(struct outbox *o, int file, const char *name, struct outbox_message *ret)
{
	struct outbox_message m = { 0 };
	enum outbox_read fault;
	struct buf head;
	size_t n = 0;
	int r;

	buf_init(&head, OUTBOX_HEAD_MAX);
	r = read_head(o, file, &head, &n);
	if (r == 0) {
		fault = outbox_head_read(slice_head(buf_slice(&head), n - 1), &m);
		r = fault == OUTBOX_READ_OK ? 0 : fault == OUTBOX_READ_NO_MEMORY ? -ENOMEM : -EBADMSG;
	}
	buf_done(&head);
	if (r == 0 && strncmp(m.id, name, ID_LEN) != 0)
		r = -EBADMSG; /* a copy under another name */
	m.journal_at = n + m.octets;
	if (r == 0)
		r = read_journal(o, file, &m);
	if (r == 0)
		*ret = m;
	else
		outbox_message_done(&m);
	return r;
}

static int read_named(struct outbox *o, const char *name, struct outbox_message *ret)
{
	int file = o->disk->open(o->disk, o->dir, name, DISK_READ), r;

	if (file < 0)
		return file;
	r = read_message(o, file, name, ret);
	o->disk->close(o->disk, file);
	return r;
}

int outbox_read(struct outbox *o, const char *id, struct outbox_message *ret)
{
	char name[OUTBOX_NAME_MAX];
	struct id checked;

	if (!id_parse(slice_str(id), &checked))
		return -ENOENT;
	name_of(id, MESSAGE, name);
	return read_named(o, name, ret);
}

struct listing {
	struct outbox_item *item;
	size_t n, room;
	bool more, no_memory;
};

static bool list_one(void *arg, const char *name)
{
	struct listing *l = arg;
	struct outbox_item *to;

	if (!strncmp(name, LOCK, strlen(LOCK)))
		return true;
	if (l->n == OUTBOX_FILES_MAX) {
		l->more = true;
		return false;
	}
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		struct outbox_item *more = realloc(l->item, room * sizeof(*more));

		l->no_memory = !more;
		if (!more)
			return false;
		l->item = more;
		l->room = room;
	}
	to = &l->item[l->n++];
	memset(to, 0, sizeof(*to));
	to->kind = kind_of(name);
	if (!slice_copy(slice_head(slice_str(name), OUTBOX_NAME_MAX - 1), to->name, sizeof(to->name)))
		to->name[0] = '\0';
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct outbox_item *)a)->name, ((const struct outbox_item *)b)->name);
}

int outbox_list(struct outbox *o, struct outbox_item **ret, size_t *ret_n, bool *ret_more)
{
	struct listing l = { 0 };
	size_t kept = 0;
	int r = o->disk->list(o->disk, o->dir, list_one, &l);

	if (l.no_memory)
		r = -ENOMEM;
	if (r < 0) {
		free(l.item);
		return r;
	}
	if (l.n > 0)
		qsort(l.item, l.n, sizeof(*l.item), by_name);
	for (size_t i = 0; i < l.n; i++) {
		struct outbox_item *it = &l.item[i];

		if (it->kind == OUTBOX_MESSAGE)
			it->error = read_named(o, it->name, &it->m);
		if (it->error == -ENOENT)
			continue; /* it went out this moment */
		if (it->error < 0)
			it->kind = OUTBOX_TORN;
		l.item[kept++] = *it;
	}
	*ret = l.item;
	*ret_n = kept;
	*ret_more = l.more;
	return 0;
}

void outbox_list_free(struct outbox_item *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		outbox_message_done(&list[i].m);
	free(list);
}

/* ---- locks ---- */

int outbox_lock(struct outbox *o, const struct outbox_way *w, int *ret)
{
	uint32_t crc = crc32c(crc32c(0, slice_str(w->account)), SLICE_LIT("\n"));
	char name[OUTBOX_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), LOCK "%08x", crc32c(crc, slice_str(w->url)));
	r = o->disk->lock(o->disk, o->dir, name);
	if (r < 0)
		return r;
	*ret = r;
	return 0;
}

void outbox_unlock(struct outbox *o, int lock)
{
	o->disk->close(o->disk, lock);
}

/* ---- as it goes out ---- */

static int copy_body(struct outbox *o, int file, const struct outbox_message *m, struct draft *d)
{
	unsigned char *room = malloc(PIECE);
	uint64_t at = m->journal_at - m->octets;
	uint32_t crc = 0;
	int r = room ? draft_begin(d) : -ENOMEM;

	while (r == 0 && d->octets < m->octets) {
		uint64_t left = m->octets - d->octets;
		size_t n = left < PIECE ? (size_t)left : PIECE;

		r = disk_read(o->disk, file, room, n, at + d->octets);
		if (r == 0) {
			crc = crc32c(crc, slice_of(room, n));
			r = draft_append(d, slice_of(room, n));
		}
	}
	free(room);
	return r == 0 && crc != m->body_crc ? -EBADMSG : r == -ENODATA ? -EBADMSG : r;
}

static int fill_envelope(const struct outbox_message *m, struct draft *d)
{
	struct slice none = SLICE_LIT("");
	enum mime_fault f = submit_envelope_sender(&d->envelope, slice_str(m->sender), none, NULL);
	size_t n = 0;

	d->envelope.ret = m->ret;
	if (!slice_copy(slice_str(m->envid), d->envelope.envid, sizeof(d->envelope.envid)))
		return -EBADMSG;
	for (size_t i = 0; i < m->n && f == MIME_FINE; i++)
		if (m->rcpt[i].state == OUTBOX_WAITS) {
			d->envelope.notify = m->rcpt[i].notify;
			f = submit_envelope_add(&d->envelope, slice_str(m->rcpt[i].address), none, none,
						NULL);
			n++;
		}
	if (f == MIME_FINE && d->envelope.recipients == n)
		return 0;
	return f == MIME_NO_MEMORY ? -ENOMEM : -EBADMSG;
}

int outbox_draft(struct outbox *o, const struct outbox_message *m, struct draft *d)
{
	char name[OUTBOX_NAME_MAX];
	int file, r = fill_envelope(m, d);

	if (r < 0)
		return r;
	d->eightbit = m->eightbit;
	d->smtputf8 = m->smtputf8;
	d->header_eightbit = m->header_eightbit;
	name_of(m->id, MESSAGE, name);
	file = o->disk->open(o->disk, o->dir, name, DISK_READ);
	if (file < 0)
		return file;
	r = copy_body(o, file, m, d);
	o->disk->close(o->disk, file);
	return r;
}

/* ---- changes ---- */

/* Writes records at this place of the journal, and nothing stays behind them. */
static int write_at(struct outbox *o, const char *name, uint64_t at, struct slice text, bool sync)
{
	int file = o->disk->open(o->disk, o->dir, name, DISK_WRITE), r;
	uint64_t size;

	if (file < 0)
		return file;
	r = o->disk->size(o->disk, file, &size);
	if (r == 0 && size > at)
		r = o->disk->truncate(o->disk, file, at);
	if (r == 0)
		r = disk_write(o->disk, file, text.p, text.n, at);
	if (r == 0 && sync)
		r = o->disk->datasync(o->disk, file);
	o->disk->close(o->disk, file);
	return r;
}

/* ok: the record could be made.  passing: it takes the place of one of its kind. */
static int change(struct outbox *o, struct outbox_message *m, bool ok, struct buf *b, bool passing, bool sync)
{
	struct outbox_message now;
	char name[OUTBOX_NAME_MAX];
	int r;

	name_of(m->id, MESSAGE, name);
	r = ok ? write_at(o, name, m->journal_at + (passing ? m->keep : m->end), buf_slice(b), sync)
	       : -ENOMEM;
	buf_done(b);
	if (r == 0)
		r = read_named(o, name, &now);
	if (r < 0)
		return r;
	outbox_message_done(m);
	*m = now;
	return 0;
}

int outbox_sending(struct outbox *o, struct outbox_message *m, uint64_t now_ms)
{
	struct buf b;

	buf_init(&b, MORE_MAX);
	return change(o, m, outbox_put_sending(m, now_ms, &b), &b, true, true);
}

int outbox_waits(struct outbox *o, struct outbox_message *m, bool answered, const char *text, uint64_t now_ms)
{
	bool sync = m->unsure; /* that it is not must not be forgotten; that it was tried may be */
	struct buf b;

	buf_init(&b, MORE_MAX);
	return change(o, m, outbox_put_waits(m, answered, text, now_ms, &b), &b, true, sync);
}

int outbox_outcomes(struct outbox *o, struct outbox_message *m, const struct outbox_outcome *outcome,
		    size_t n, bool unsure, bool answered, const char *text, uint64_t now_ms)
{
	struct buf b;

	buf_init(&b, OUTBOX_JOURNAL_MAX / 2);
	return change(o, m, outbox_put_outcomes(m, outcome, n, unsure, answered, text, now_ms, &b), &b, false,
		      true);
}

int outbox_expired(struct outbox *o, struct outbox_message *m, const char *text, uint64_t now_ms)
{
	struct buf b;

	buf_init(&b, MORE_MAX);
	return change(o, m, outbox_put_expired(text, now_ms, &b), &b, false, true);
}

int outbox_again(struct outbox *o, struct outbox_message *m, uint64_t now_ms)
{
	struct buf b;

	buf_init(&b, MORE_MAX);
	return change(o, m, outbox_put_again(now_ms, &b), &b, false, true);
}

int outbox_remove(struct outbox *o, const struct outbox_message *m)
{
	char name[OUTBOX_NAME_MAX];
	int r;

	name_of(m->id, MESSAGE, name);
	r = o->disk->unlink(o->disk, o->dir, name);
	return r < 0 ? r : o->disk->dirsync(o->disk, o->dir);
}
