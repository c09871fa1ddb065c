#include "smtp/scan.h"

/* A run shorter than this is cheaper to copy than to hand over by itself: a
 * message of nothing but stuffed dots must not become a million pieces. */
#define RUN_MIN	 4096
#define COPY_MAX 16384

typedef unsigned char v16 __attribute__((vector_size(16)));
typedef uint64_t v2 __attribute__((vector_size(16)));

static size_t first_byte(uint64_t mask)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (size_t)__builtin_ctzll(mask) / 8;
#else
	return (size_t)__builtin_clzll(mask) / 8;
#endif
}

/* Index of the first CR, LF or NUL; n if there is none.  memchr() for three
 * bytes at once: everything else about a body happens only where one stands. */
static size_t find_special(const unsigned char *p, size_t n)
{
	size_t i = 0;

	for (; n - i >= sizeof(v16); i += sizeof(v16)) {
		v16 v;
		v2 hit;

		memcpy(&v, p + i, sizeof(v));
		hit = (v2)((v == '\r') | (v == '\n') | (v == 0));
		if (hit[0])
			return i + first_byte(hit[0]);
		if (hit[1])
			return i + 8 + first_byte(hit[1]);
	}
	while (i < n && p[i] != '\r' && p[i] != '\n' && p[i] != 0)
		i++;
	return i;
}

void smtp_scan_init(struct smtp_scan *b, bool dots, bool fix, uint64_t max)
{
	*b = (struct smtp_scan){
		.at = SMTP_SCAN_AT_LINE, .dots = dots, .fix = fix, .max = max ? max : UINT64_MAX
	};
	buf_init(&b->copy, COPY_MAX);
}

void smtp_scan_done(struct smtp_scan *b)
{
	buf_done(&b->copy);
}

static void fail(struct smtp_scan *b, enum smtp_scan_fault fault)
{
	if (b->fault == SMTP_SCAN_FINE)
		b->fault = fault;
}

/* Account for n octets without a line end.  Which limit they pass first must
 * not depend on how the octets were cut. */
static void count(struct smtp_scan *b, size_t n)
{
	uint64_t size_left = b->max - b->size, line_left = SMTP_SCAN_LINE_MAX - b->line;

	if (b->fault != SMTP_SCAN_FINE)
		return;
	if (n > size_left || n > line_left) {
		fail(b, line_left < size_left ? SMTP_SCAN_LONG_LINE : SMTP_SCAN_TOO_LARGE);
		return;
	}
	b->size += n;
	b->line += n;
}

/* Account for a line's end. */
static void count_end(struct smtp_scan *b)
{
	if (b->fault == SMTP_SCAN_FINE && b->max - b->size < 2)
		fail(b, SMTP_SCAN_TOO_LARGE);
	if (b->fault == SMTP_SCAN_FINE)
		b->size += 2;
	b->line = 0;
}

static void put_end(struct smtp_scan *b)
{
	count_end(b);
	if (b->fault != SMTP_SCAN_FINE)
		return;
	buf_put(&b->copy, SLICE_LIT("\r\n"));
	if (!buf_ok(&b->copy))
		fail(b, SMTP_SCAN_NO_MEMORY);
}

/* A CR or LF alone.  Behind it a line begins for readers, but not for SMTP: no dot is special there. */
static void bare(struct smtp_scan *b, enum smtp_scan_fault which)
{
	b->bare = true;
	if (!b->fix)
		fail(b, which);
	put_end(b);
	b->at = SMTP_SCAN_AT_TEXT;
}

/* The octets that stand in the input and pass on as they are. */
struct run {
	const unsigned char *p;
	size_t from, to;
};

static struct slice run_slice(const struct run *r)
{
	return slice_of(r->p + r->from, r->to - r->from);
}

/* Make the run part of the copy, as something between it and the next is left
 * out.  False: it is handed over first, so stop here and come again. */
static bool flush(struct smtp_scan *b, struct run *r)
{
	struct slice s = run_slice(r);

	if (b->fault == SMTP_SCAN_FINE) {
		if (s.n >= RUN_MIN || s.n + 2 > buf_room(&b->copy))
			return false;
		buf_put(&b->copy, s);
		if (!buf_ok(&b->copy))
			fail(b, SMTP_SCAN_NO_MEMORY);
	}
	r->from = r->to;
	return true;
}

/* One octet that is special where the scanner stands, at in.p[*i].  False: hand over first. */
static bool special(struct smtp_scan *b, struct slice in, size_t *i, struct run *r)
{
	unsigned char c = in.p[*i];

	if (c == '\r' && in.n - *i > 1 && in.p[*i + 1] == '\n') {
		count_end(b);
		*i += 2;
		r->to = *i;
		b->at = SMTP_SCAN_AT_LINE;
		return true;
	}
	if (!flush(b, r))
		return false;
	++*i;
	if (c == 0)
		fail(b, SMTP_SCAN_NUL);
	else if (c == '\n')
		bare(b, SMTP_SCAN_BARE_LF);
	else
		b->at = SMTP_SCAN_AT_CR;
	r->from = r->to = *i;
	return true;
}

/* The octet behind one that was held back; the run is empty.  True: DATA ends here. */
static bool held(struct smtp_scan *b, unsigned char c, size_t *i)
{
	enum smtp_scan_at at = b->at;

	if (at == SMTP_SCAN_AT_DOT) { /* with more behind it a dot was stuffed (RFC 5321 4.5.2) */
		b->at = c == '\r' ? SMTP_SCAN_AT_DOT_CR : SMTP_SCAN_AT_TEXT;
		*i += c == '\r';
		return false;
	}
	if (c != '\n') {
		bare(b, SMTP_SCAN_BARE_CR);
		return false;
	}
	++*i;
	b->at = SMTP_SCAN_AT_LINE;
	if (at == SMTP_SCAN_AT_DOT_CR)
		return true;
	put_end(b);
	return false;
}

size_t smtp_scan_step(struct smtp_scan *b, struct slice in, struct smtp_scan_out *ret)
{
	struct run r = { .p = in.p };
	size_t i = 0;

	*ret = (struct smtp_scan_out){ 0 };
	buf_reset(&b->copy);
	while (i < in.n && !ret->end) {
		if (b->at > SMTP_SCAN_AT_TEXT) {
			/* Room for the line end that may be put. */
			if (buf_room(&b->copy) < 4)
				break;
			ret->end = held(b, in.p[i], &i);
			r.from = r.to = i;
			continue;
		}
		if (b->at == SMTP_SCAN_AT_LINE && b->dots && in.p[i] == '.') {
			if (!flush(b, &r))
				break;
			b->at = SMTP_SCAN_AT_DOT;
			r.from = r.to = ++i;
			continue;
		}
		b->at = SMTP_SCAN_AT_TEXT;
		r.to = i + find_special(in.p + i, in.n - i);
		count(b, r.to - i);
		i = r.to;
		if (i < in.n && !special(b, in, &i, &r))
			break;
	}
	if (b->fault == SMTP_SCAN_FINE) {
		ret->copy = buf_slice(&b->copy);
		ret->run = run_slice(&r);
	}
	return i;
}

void smtp_scan_end(struct smtp_scan *b, struct smtp_scan_out *ret)
{
	*ret = (struct smtp_scan_out){ .end = true };
	buf_reset(&b->copy);
	if (b->at == SMTP_SCAN_AT_CR)
		bare(b, SMTP_SCAN_BARE_CR);
	else if (b->line > 0)
		put_end(b);
	if (b->fault == SMTP_SCAN_FINE)
		ret->copy = buf_slice(&b->copy);
}
