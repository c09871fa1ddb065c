#include "submit/letter_private.h"

struct letter *letter_new(const struct letter_setup *setup, struct submit_envelope *e)
{
	struct letter *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->setup = setup;
	l->envelope = e;
	mime_header_init(&l->scan);
	buf_init(&l->header, LETTER_HEADER_MAX);
	return l;
}

void letter_free(struct letter *l)
{
	if (!l)
		return;
	mime_header_done(&l->scan);
	buf_done(&l->header);
	free(l);
}

bool letter_is_over(const struct letter *l)
{
	return l->over;
}

const struct letter_facts *letter_facts(const struct letter *l)
{
	return &l->facts;
}

static void fail(struct letter *l, enum mime_fault fault, struct slice field)
{
	if (l->problem.fault == MIME_FINE)
		mime_problem_set(&l->problem, fault, field, SLICE_LIT(""));
}

/* All that comes out goes through here. */
static void put(struct letter *l, struct slice s, struct buf *to)
{
	l->facts.octets += s.n;
	if (l->setup->max > 0 && l->facts.octets > l->setup->max)
		fail(l, MIME_TOO_LONG, SLICE_LIT("message"));
	else
		buf_put(to, s);
	if (!buf_ok(to))
		fail(l, MIME_NO_MEMORY, SLICE_LIT("message"));
}

static void put_body(struct letter *l, struct slice s, struct buf *to)
{
	mime_header_feed(&l->scan, s);
	put(l, s, to);
}

/* The section ended; what is behind it in the buffer is of the body. */
static void end_header(struct letter *l, struct buf *to)
{
	struct slice all = buf_slice(&l->header);
	size_t before = buf_slice(to).n, n;
	enum mime_fault fault;

	l->in_body = true;
	l->facts.had_header = l->scan.fields > 0;
	fault = letter_header(l, slice_head(all, (size_t)l->scan.octets), to);
	if (fault == MIME_FINE) {
		n = buf_slice(to).n - before;
		l->facts.octets += n;
		if (l->setup->max > 0 && l->facts.octets > l->setup->max)
			fail(l, MIME_TOO_LONG, SLICE_LIT("message"));
		put(l, SLICE_LIT("\r\n"), to);
		if (l->scan.end == MIME_HEADER_BAD_LINE)
			put_body(l, slice_tail(all, (size_t)l->scan.octets), to);
	}
	buf_done(&l->header);
}

/* "From ann Mon Jan  5 ...", as mailboxes have it above each message; "From : ann" is a field, of RFC 822's
 * and RFC 5322's obsolete syntax. */
static bool is_mbox_line(struct slice line)
{
	(void)cur_byte(&line, '>');
	if (!slice_starts(line, SLICE_LIT("From ")))
		return false;
	line = slice_trim(slice_tail(line, 5));
	return line.n == 0 || line.p[0] != ':';
}

/* A line of the header, or what follows it, is complete. */
static void header_line(struct letter *l, struct buf *to)
{
	struct slice line = slice_tail(buf_slice(&l->header), l->line_at);

	if (l->line_at == 0 && l->scan.fields == 0 && is_mbox_line(line)) {
		buf_reset(&l->header);
		return;
	}
	mime_header_feed(&l->scan, line);
	l->line_at = buf_slice(&l->header).n;
	if (l->scan.end != MIME_HEADER_OPEN)
		end_header(l, to);
}

static void keep(struct letter *l, struct slice s)
{
	if (s.n > buf_room(&l->header))
		fail(l, MIME_TOO_LONG, SLICE_LIT("header"));
	buf_put(&l->header, s);
	if (!buf_ok(&l->header))
		fail(l, MIME_NO_MEMORY, SLICE_LIT("header"));
}

static void text(struct letter *l, struct slice s, struct buf *to)
{
	l->line += s.n;
	l->facts.longest = l->line > l->facts.longest ? l->line : l->facts.longest;
	if (slice_find(s, 0) < s.n)
		fail(l, MIME_NUL, SLICE_LIT("message"));
	else if (l->in_body)
		put_body(l, s, to);
	else
		keep(l, s);
}

static void line_end(struct letter *l, struct buf *to)
{
	l->line = 0;
	if (l->dot) {
		l->dot = false;
		l->over = true;
	} else if (l->in_body) {
		put_body(l, SLICE_LIT("\r\n"), to);
	} else {
		keep(l, SLICE_LIT("\r\n"));
		if (l->problem.fault == MIME_FINE)
			header_line(l, to);
	}
}

/* The CRs that were held back are line ends of their own. */
static void release(struct letter *l, struct buf *to)
{
	for (; l->crs > 0 && !l->over && l->problem.fault == MIME_FINE; l->crs--)
		line_end(l, to);
	l->crs = 0;
}

static void feed_text(struct letter *l, struct slice s, struct buf *to)
{
	if (l->dot) {
		l->dot = false;
		text(l, SLICE_LIT("."), to);
	} else if (l->line == 0 && l->setup->dot_ends && s.p[0] == '.') {
		l->dot = true;
		s = slice_tail(s, 1);
		if (s.n == 0)
			return;
		feed_text(l, s, to);
		return;
	}
	text(l, s, to);
}

enum mime_fault letter_feed(struct letter *l, struct slice piece, struct buf *to, struct mime_problem *ret)
{
	while (piece.n > 0 && !l->over && l->problem.fault == MIME_FINE) {
		size_t n = 0;

		if (piece.p[0] == '\r') {
			l->crs++;
			n = 1;
		} else if (piece.p[0] == '\n') {
			l->crs = 0;
			line_end(l, to);
			n = 1;
		} else {
			while (n < piece.n && piece.p[n] != '\r' && piece.p[n] != '\n')
				n++;
			release(l, to);
			if (!l->over && l->problem.fault == MIME_FINE)
				feed_text(l, slice_head(piece, n), to);
		}
		piece = slice_tail(piece, n);
	}
	if (l->problem.fault != MIME_FINE && ret)
		*ret = l->problem;
	return l->problem.fault;
}

enum mime_fault letter_end(struct letter *l, struct buf *to, struct mime_problem *ret)
{
	release(l, to);
	if (l->problem.fault == MIME_FINE && !l->over && (l->dot || l->line > 0))
		line_end(l, to); /* the last line has no end; a dot is an end all the same */
	if (l->problem.fault == MIME_FINE && !l->in_body) {
		mime_header_end(&l->scan);
		end_header(l, to);
	}
	l->over = true;
	l->facts.header_eightbit = l->scan.eightbit;
	l->facts.eightbit = l->scan.eightbit || l->scan.body_eightbit;
	if (l->problem.fault != MIME_FINE && ret)
		*ret = l->problem;
	return l->problem.fault;
}
