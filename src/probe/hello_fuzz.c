/* hello_fuzz.c - an answer to a hello, once it is clear, stays so whatever comes behind it; it is "accepted"
 * only where a ServerHello of that very version stands behind nothing but warnings.  And a hello for whatever
 * name is one record, whose lengths are those of what stands in it. */
#include <stdlib.h>
#include <string.h>

#include "probe/hello.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static bool server_hello(const uint8_t *p, size_t n, uint8_t minor)
{
	while (n >= 7 && p[0] == 21 && p[1] == 3 && p[5] == 1) {
		p += 7;
		n -= 7;
	}
	return n >= 11 && p[0] == 22 && p[1] == 3 && p[5] == 2 && p[9] == 3 && p[10] == minor;
}

static size_t u16(struct slice s, size_t at)
{
	CHECK(at + 2 <= s.n);
	return (size_t)s.p[at] << 8 | s.p[at + 1];
}

static void check_hello(enum probe_version v, struct slice name)
{
	static const unsigned char random[PROBE_RANDOM] = "a number that chance has chosen";
	struct slice s;
	struct buf b;
	size_t at = 5 + 4 + 2 + PROBE_RANDOM + 1, end;

	buf_init(&b, PROBE_HELLO_MAX);
	probe_hello(&b, v, name, random);
	s = buf_slice(&b);
	CHECK(buf_ok(&b) && s.p[0] == 22 && u16(s, 3) == s.n - 5 && s.p[5] == 1 && u16(s, 7) == s.n - 9);
	CHECK(s.p[9] == 3 && s.p[10] == (uint8_t)v);
	at += 2 + u16(s, at); /* ciphers */
	at += 2;	      /* compression */
	CHECK((at == s.n) == (v == PROBE_SSL3));
	if (at < s.n) {
		end = at + 2 + u16(s, at);
		for (at += 2; at < end; at += 4 + u16(s, at + 2))
			;
		CHECK(at == end && end == s.n);
		/* The first one is server_name; an address has none (RFC 6066 3). */
		at = 5 + 4 + 2 + PROBE_RANDOM + 1;
		at += 2 + u16(s, at) + 2 + 2;
		if (u16(s, at) == 0)
			CHECK(u16(s, at + 2) == 5 + name.n && u16(s, at + 4) == 3 + name.n &&
			      slice_starts(slice_tail(s, at + 9), name));
	}
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 300)
		return 0;
	for (int v = 0; v < PROBE_VERSIONS; v++) {
		enum probe_old before = PROBE_OLD_NOT_ASKED;

		check_hello((enum probe_version)v, slice_of(data, size));

		for (size_t n = 0; n <= size; n++) {
			enum probe_old is = probe_hello_answer((enum probe_version)v, slice_of(data, n));

			CHECK(before == PROBE_OLD_NOT_ASKED || is == before);
			before = is;
		}
		CHECK((before == PROBE_OLD_ACCEPTED) == server_hello(data, size, (uint8_t)v));
	}
	return 0;
}
