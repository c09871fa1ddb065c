/* hello_fuzz.c - an answer to a hello, once it is clear, stays so whatever comes behind it; it is "accepted"
 * only where a ServerHello of that very version stands behind nothing but warnings. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 200)
		return 0;
	for (int v = 0; v < PROBE_VERSIONS; v++) {
		enum probe_old before = PROBE_OLD_NOT_ASKED;

		for (size_t n = 0; n <= size; n++) {
			enum probe_old is = probe_hello_answer((enum probe_version)v, slice_of(data, n));

			CHECK(before == PROBE_OLD_NOT_ASKED || is == before);
			before = is;
		}
		CHECK((before == PROBE_OLD_ACCEPTED) == server_hello(data, size, (uint8_t)v));
	}
	return 0;
}
