#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78U /* reflected */

static uint32_t table[8][256];

static void table_fill(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
		table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
}

uint32_t crc32c_portable(uint32_t crc, struct slice s)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, table_fill);
	crc = ~crc;
	for (; s.n >= 8; s = slice_tail(s, 8)) {
		uint32_t low = crc ^ ((uint32_t)s.p[0] | (uint32_t)s.p[1] << 8 | (uint32_t)s.p[2] << 16 |
				      (uint32_t)s.p[3] << 24);

		crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^
		      table[4][low >> 24] ^ table[3][s.p[4]] ^ table[2][s.p[5]] ^ table[1][s.p[6]] ^
		      table[0][s.p[7]];
	}
	for (size_t i = 0; i < s.n; i++)
		crc = crc >> 8 ^ table[0][(crc ^ s.p[i]) & 0xff];
	return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse(uint32_t crc, struct slice s)
{
	uint64_t c = ~crc;

	for (; s.n >= 8; s.p += 8, s.n -= 8) {
		uint64_t v;

		memcpy(&v, s.p, 8);
		c = __builtin_ia32_crc32di(c, v);
	}
	for (size_t i = 0; i < s.n; i++)
		c = __builtin_ia32_crc32qi((uint32_t)c, s.p[i]);
	return ~(uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t crc, struct slice s)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse(crc, s);
#endif
	return crc32c_portable(crc, s);
}
