/* pipe_lines_fuzz.c - what goes on is what a plain reading gives: as it came, if the first line ends with
 * CRLF; else line by line, the dot of a line of the other kind doubled.  However the pipe cuts it, it is the
 * same; and an LF without a CR never goes on from a program that ends its lines so. */
#include <stdlib.h>

#include "submit/pipe_lines.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static bool run(struct slice in, size_t cut, struct buf *out, enum pipe_lines_kind *kind)
{
	struct pipe_lines p;
	bool ok = true;

	pipe_lines_init(&p);
	buf_init(out, 2 * in.n + 10);
	for (; in.n > 0 && ok; in = slice_tail(in, cut)) {
		struct slice piece = slice_head(in, cut);
		size_t before = buf_slice(out).n;

		ok = pipe_lines_feed(&p, piece, out);
		CHECK(buf_slice(out).n - before <= 2 * piece.n + 2);
	}
	*kind = p.kind;
	return ok;
}

static void plainly(struct slice in, struct buf *out)
{
	struct slice line;

	buf_init(out, 2 * in.n + 10);
	while (cur_until(&in, '\n', &line)) {
		bool cr = line.n > 0 && line.p[line.n - 1] == '\r';

		line.n -= cr;
		if (cr && slice_eq(line, SLICE_LIT(".")))
			buf_byte(out, '.');
		buf_put(out, line);
		buf_str(out, "\r\n");
	}
	/* of the last line a CR may be the first half of its end */
	in.n -= in.n > 0 && in.p[in.n - 1] == '\r';
	buf_put(out, in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = n > 0 ? slice_of(data + 1, n - 1) : (struct slice){ 0 };
	struct buf whole, cut, want;
	enum pipe_lines_kind kind, same;
	size_t first = slice_find(in, '\n');
	bool crlf = first < in.n && first > 0 && in.p[first - 1] == '\r';
	bool ok = run(in, SIZE_MAX, &whole, &kind);

	CHECK(run(in, 1 + (n > 0 ? data[0] % 9 : 0), &cut, &same) == ok && same == kind);
	CHECK(slice_eq(buf_slice(&whole), buf_slice(&cut)));
	if (crlf) {
		CHECK(ok && kind == PIPE_LINES_CRLF && slice_eq(buf_slice(&whole), in));
	} else if (ok) {
		plainly(in, &want);
		CHECK(kind == (first < in.n ? PIPE_LINES_LF : PIPE_LINES_UNKNOWN));
		CHECK(slice_eq(buf_slice(&whole), buf_slice(&want)));
		buf_done(&want);
	} else {
		CHECK(kind == PIPE_LINES_LF);
	}
	buf_done(&whole);
	buf_done(&cut);
	return 0;
}
