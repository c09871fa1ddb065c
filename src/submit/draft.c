#include "submit/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/utf8.h"
#include "mime/type.h"

#define PIECE (64U << 10)

int draft_init(struct draft *d)
{
	*d = (struct draft){ .fd = -1 };
	return submit_envelope_init(&d->envelope);
}

void draft_done(struct draft *d)
{
	submit_envelope_done(&d->envelope);
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
}

int draft_file(void)
{
	const char *dirs[] = { getenv("TMPDIR"), "/var/tmp" };
	int fd;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		if (!dirs[i] || dirs[i][0] != '/')
			continue;
		fd = open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
		if (fd >= 0)
			return fd;
	}
	fd = memfd_create("message", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Writes out all that is in the buffer. */
static int flush(struct draft *d, struct buf *b, uint64_t max, struct mime_problem *ret)
{
	while (b->n > 0) {
		struct slice s = buf_slice(b);
		ssize_t n;

		if (max > 0 && d->octets + s.n > max) {
			mime_problem_set(ret, MIME_TOO_LONG, SLICE_LIT("message"), SLICE_LIT(""));
			return -EBADMSG;
		}
		n = write(d->fd, s.p, s.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf_consume(b, (size_t)n);
		d->octets += (uint64_t)n;
	}
	return 0;
}

static ssize_t read_some(int fd, unsigned char *to, size_t n)
{
	ssize_t r;

	do
		r = read(fd, to, n);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static int no_memory(struct mime_problem *ret)
{
	mime_problem_set(ret, MIME_NO_MEMORY, SLICE_LIT("message"), SLICE_LIT(""));
	return -ENOMEM;
}

static int result(enum mime_fault fault)
{
	return fault == MIME_FINE ? 0 : fault == MIME_NO_MEMORY ? -ENOMEM : -EBADMSG;
}

int draft_begin(struct draft *d)
{
	d->fd = draft_file();
	return d->fd < 0 ? d->fd : 0;
}

int draft_append(struct draft *d, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(d->fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s = slice_tail(s, (size_t)n);
		d->octets += (uint64_t)n;
	}
	return 0;
}

static int start(struct draft *d, struct mime_problem *ret)
{
	mime_problem_set(ret, MIME_FINE, SLICE_LIT(""), SLICE_LIT(""));
	return draft_begin(d);
}

static int copy_letter(struct draft *d, int from, struct letter *l, struct buf *out, unsigned char *room,
		       struct mime_problem *ret)
{
	enum mime_fault fault = MIME_FINE;
	ssize_t n = 1;
	int r = 0;

	while (r == 0 && n > 0 && fault == MIME_FINE && !letter_is_over(l)) {
		n = read_some(from, room, PIECE);
		if (n < 0)
			return (int)n;
		fault = n > 0 ? letter_feed(l, slice_of(room, (size_t)n), out, ret) : letter_end(l, out, ret);
		if (fault == MIME_FINE)
			r = flush(d, out, 0, ret);
	}
	if (r == 0 && fault == MIME_FINE && n > 0) {
		fault = letter_end(l, out, ret);
		r = fault == MIME_FINE ? flush(d, out, 0, ret) : 0;
	}
	return fault != MIME_FINE ? result(fault) : r;
}

int draft_read(struct draft *d, int from, const struct letter_setup *setup, struct mime_problem *ret)
{
	struct letter *l = letter_new(setup, &d->envelope);
	unsigned char *room = malloc(PIECE);
	struct buf out;
	int r = l && room ? start(d, ret) : no_memory(ret);

	/* A piece of line ends doubles; a header with its domains goes out at once. */
	buf_init(&out, 8 * LETTER_HEADER_MAX);
	if (r == 0)
		r = copy_letter(d, from, l, &out, room, ret);
	if (r == 0) {
		const struct letter_facts *f = letter_facts(l);

		d->eightbit = f->eightbit;
		d->header_eightbit = f->header_eightbit;
		d->smtputf8 = d->envelope.smtputf8;
		d->added = f->added;
		d->longest = f->longest;
	}
	buf_done(&out);
	free(room);
	letter_free(l);
	return r;
}

static struct slice base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slice_str(slash ? slash + 1 : path);
}

static int copy_file(struct draft *d, struct mime_compose *c, int from, const struct draft_parts *p,
		     struct buf *out, unsigned char *room, struct mime_problem *ret)
{
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read_some(from, room, PIECE)) != 0) {
		if (n < 0)
			return (int)n;
		mime_compose_octets(c, slice_of(room, (size_t)n), out);
		r = buf_ok(out) ? flush(d, out, p->max, ret) : no_memory(ret);
	}
	return r;
}

/* All of a file that can be read twice is UTF-8. */
static bool is_utf8_file(int fd, unsigned char *room)
{
	uint64_t at = 0;
	size_t kept = 0; /* of a character that may go on */
	struct slice s;
	ssize_t n;

	while ((n = pread(fd, room + kept, PIECE - kept, (off_t)at)) > 0) {
		size_t len;

		for (s = slice_of(room, kept + (size_t)n); (len = utf8_length(s)) > 0; s = slice_tail(s, len))
			;
		if (s.n >= 4)
			return false;
		kept = s.n;
		at += (uint64_t)n;
		if (kept > 0)
			memmove(room, s.p, kept);
	}
	return n == 0 && kept == 0 && at > 0;
}

static int attach(struct draft *d, struct mime_compose *c, const struct draft_file *f,
		  const struct draft_parts *p, struct buf *out, unsigned char *room, struct mime_problem *ret)
{
	struct slice name = f->name.n > 0 ? f->name : base_name(f->path);
	struct slice type = f->type.n > 0 ? f->type : slice_str(mime_type_of(name));
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;
	bool utf8;

	r = fd < 0 ? -errno : 0;
	utf8 = r == 0 && slice_starts_nocase(type, SLICE_LIT("text/")) && is_utf8_file(fd, room);
	if (r == 0)
		r = result(mime_compose_attach(c, name, type, utf8, out, ret));
	if (r == 0)
		r = copy_file(d, c, fd, p, out, room, ret);
	if (fd >= 0)
		close(fd);
	if (r < 0 && r != -EBADMSG)
		mime_problem_set(ret, MIME_FINE, SLICE_LIT("attachment"), slice_str(f->path));
	return r;
}

/* Recipients of all three fields; the sender, if none was given, is he who stands in the header. */
static enum mime_fault address_it(struct draft *d, const struct draft_parts *p, struct mime_problem *ret)
{
	const struct mime_message *m = &p->message;
	const struct {
		struct slice name, list;
	} rows[] = {
		{ SLICE_INIT("To"), m->to },
		{ SLICE_INIT("Cc"), m->cc },
		{ SLICE_INIT("Bcc"), p->bcc },
	};
	struct slice author = m->sender.n > 0 ? m->sender : m->from;
	enum mime_fault fault = MIME_FINE;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && fault == MIME_FINE; i++)
		fault = submit_envelope_add(&d->envelope, rows[i].list, m->domain, rows[i].name, ret);
	if (fault == MIME_FINE && d->envelope.recipients == 0)
		fault = mime_problem_set(ret, MIME_MISSING, SLICE_LIT("recipient"), SLICE_LIT(""));
	if (fault == MIME_FINE && !p->has_sender && slice_trim(author).n == 0)
		fault = mime_problem_set(ret, MIME_MISSING, SLICE_LIT("From"), SLICE_LIT(""));
	if (fault == MIME_FINE)
		fault = submit_envelope_sender(&d->envelope, p->has_sender ? p->sender : author, m->domain,
					       ret);
	return fault;
}

static int write_parts(struct draft *d, const struct draft_parts *p, struct mime_compose *c, struct buf *out,
		       unsigned char *room, struct mime_problem *ret)
{
	static const char hex[] = "0123456789abcdef";
	struct mime_message m = p->message;
	unsigned char octets[12];
	char unique[2 * sizeof(octets)];
	int r;

	if (m.unique.n == 0) {
		if (getrandom(octets, sizeof(octets), 0) != sizeof(octets))
			return -EIO;
		for (size_t i = 0; i < sizeof(unique); i++)
			unique[i] = hex[i % 2 ? octets[i / 2] & 15 : octets[i / 2] >> 4];
		m.unique = slice_of(unique, sizeof(unique));
	}
	m.attachments = p->files > 0;
	r = result(mime_compose_begin(c, &m, out, ret));
	if (r == 0)
		r = flush(d, out, p->max, ret);
	for (size_t i = 0; i < p->files && r == 0; i++)
		r = attach(d, c, &p->file[i], p, out, room, ret);
	if (r == 0) {
		mime_compose_end(c, out);
		r = buf_ok(out) ? flush(d, out, p->max, ret) : no_memory(ret);
	}
	return r;
}

int draft_compose(struct draft *d, const struct draft_parts *parts, struct mime_problem *ret)
{
	unsigned char *room = malloc(PIECE);
	struct mime_compose c;
	struct buf out;
	int r = room ? start(d, ret) : no_memory(ret);

	buf_init(&out, DRAFT_TEXT_MAX);
	if (r == 0)
		r = result(address_it(d, parts, ret));
	if (r == 0)
		r = write_parts(d, parts, &c, &out, room, ret);
	if (r == 0) {
		d->eightbit = c.eightbit;
		d->smtputf8 = d->envelope.smtputf8 || c.needs.smtputf8;
	}
	buf_done(&out);
	free(room);
	return r;
}

ssize_t draft_chunk(const struct draft *d, uint64_t at, void *to, size_t n)
{
	ssize_t r;

	if (at >= d->octets)
		return 0;
	if (n > d->octets - at)
		n = (size_t)(d->octets - at);
	do
		r = pread(d->fd, to, n, (off_t)at);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}
