/* However TCP cuts the first bytes, the verdict is the same: once there is one,
 * no further byte changes it; six bytes are always enough; and nothing that could
 * be text is ever taken for TLS. */
#include <stdlib.h>

#include "net/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum conn_sniff whole = conn_sniff(slice_of(data, n));

	for (size_t i = 0; i <= n; i++) {
		enum conn_sniff part = conn_sniff(slice_of(data, i));

		if (part != CONN_SNIFF_MORE && part != whole)
			abort();
		if (part == CONN_SNIFF_MORE && i >= 6)
			abort();
		if (part == CONN_SNIFF_TLS && i < 5)
			abort();
		if (i > 16)
			break;
	}
	if (whole == CONN_SNIFF_TLS && data[0] != 22 && data[0] < 128)
		abort();
	if (n >= 6 && data[0] == 22 && data[1] == 3 && data[2] <= 4 && data[5] == 1) {
		unsigned length = data[3] * 256U + data[4];

		if ((whole == CONN_SNIFF_TLS) != (length >= 1 && length <= 16384))
			abort();
	}
	return 0;
}
