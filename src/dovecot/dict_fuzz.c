/* dict_fuzz.c - however the bytes are cut, the same is asked and replied; every field
 * that is asked about comes back the same when it is escaped and read again. */
#include <stdlib.h>
#include <string.h>

#include "dovecot/dict.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define SAID_MAX (1U << 20)

static void check_field(struct slice field)
{
	unsigned char *p;
	struct buf text;
	size_t n;

	buf_init(&text, 2 * DOVECOT_LINE_MAX);
	dovecot_escape(field, &text);
	CHECK(buf_ok(&text));
	n = text.n;
	p = malloc(n + 1);
	CHECK(p);
	if (n > 0)
		memcpy(p, buf_slice(&text).p, n);
	CHECK(!memchr(p, '\t', n) && !memchr(p, '\n', n) && !memchr(p, 0, n));
	CHECK(dovecot_unescape(p, &n));
	CHECK(slice_eq(slice_of(p, n), field));
	free(p);
	buf_done(&text);
}

/* All that was asked and replied, one after the other. */
static void run(struct slice in, size_t piece, struct buf *said)
{
	struct dovecot_dict d;

	dovecot_dict_init(&d);
	for (;;) {
		const struct dovecot_ask *a = dovecot_dict_want(&d);
		const struct slice field[] = { a->user, a->password, a->service, a->ip };
		size_t n;

		if (a->want == DOVECOT_CLOSE)
			break;
		if (a->want != DOVECOT_INPUT) {
			enum dovecot_answer what = a->user.n % 3 == 0	? DOVECOT_YES
						   : a->user.n % 3 == 1 ? DOVECOT_NO
									: DOVECOT_LATER;

			for (size_t i = 0; i < 4; i++) {
				check_field(field[i]);
				buf_put(said, field[i]);
				buf_byte(said, 0xff);
			}
			dovecot_dict_answer(&d, what, SLICE_LIT("a\tvalue"));
			CHECK(d.line.n == 0);
		}
		buf_put(said, dovecot_dict_output(&d));
		dovecot_dict_sent(&d, dovecot_dict_output(&d).n);
		n = dovecot_dict_feed(&d, slice_head(in, piece));
		CHECK(n <= in.n && d.line.n <= DOVECOT_LINE_MAX);
		in = slice_tail(in, n);
		if (in.n == 0 && n == 0 && dovecot_dict_want(&d)->want == DOVECOT_INPUT &&
		    dovecot_dict_output(&d).n == 0)
			break;
	}
	buf_byte(said, dovecot_dict_want(&d)->want == DOVECOT_CLOSE ? 'C' : '.');
	dovecot_dict_done(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf whole, cut;
	struct slice in;

	if (n < 1)
		return 0;
	in = slice_of(data + 1, n - 1);
	buf_init(&whole, SAID_MAX);
	buf_init(&cut, SAID_MAX);
	run(in, SIZE_MAX, &whole);
	run(in, 1 + data[0] % 7, &cut);
	CHECK(slice_eq(buf_slice(&whole), buf_slice(&cut)));
	buf_done(&whole);
	buf_done(&cut);
	return 0;
}
