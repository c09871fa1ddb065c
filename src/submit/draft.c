#include "submit/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "mime/address.h"

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

static int open_unnamed(void)
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

static int start(struct draft *d, struct mime_problem *ret)
{
	mime_problem_set(ret, MIME_FINE, SLICE_LIT(""), SLICE_LIT(""));
	d->fd = open_unnamed();
	return d->fd < 0 ? d->fd : 0;
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
	if (fault == MIME_NO_MEMORY)
		return -ENOMEM;
	return fault != MIME_FINE ? -EBADMSG : r;
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

static int attach(struct draft *d, struct mime_compose *c, const struct draft_file *f,
		  const struct draft_parts *p, struct buf *out, unsigned char *room, struct mime_problem *ret)
{
	struct slice name = f->name.n > 0 ? f->name : base_name(f->path);
	int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY), r;

	r = fd < 0 ? -errno : 0;
	if (r == 0 && mime_compose_attach(c, name, f->type, out, ret) != MIME_FINE) {
		close(fd);
		return -EBADMSG;
	}
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
	enum mime_fault fault;
	int r;

	if (m.unique.n == 0) {
		if (getrandom(octets, sizeof(octets), 0) != sizeof(octets))
			return -EIO;
		for (size_t i = 0; i < sizeof(unique); i++)
			unique[i] = hex[i % 2 ? octets[i / 2] & 15 : octets[i / 2] >> 4];
		m.unique = slice_of(unique, sizeof(unique));
	}
	m.attachments = p->files > 0;
	fault = mime_compose_begin(c, &m, out, ret);
	if (fault != MIME_FINE)
		return fault == MIME_NO_MEMORY ? -ENOMEM : -EBADMSG;
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
	enum mime_fault fault;
	struct mime_compose c;
	struct buf out;
	int r = room ? start(d, ret) : no_memory(ret);

	buf_init(&out, DRAFT_TEXT_MAX);
	if (r == 0) {
		fault = address_it(d, parts, ret);
		r = fault == MIME_FINE ? 0 : fault == MIME_NO_MEMORY ? -ENOMEM : -EBADMSG;
	}
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
