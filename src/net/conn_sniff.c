#include "net/conn.h"

/* One byte of a TLS or SSLv2 hello: what it may be. */
struct expected {
	unsigned char min, max;
};

/* RFC 8446 5.1: handshake record, version 3.x, length; 4: client_hello. The length is judged apart. */
static const struct expected tls_hello[] = {
	{ 22, 22 }, { 3, 3 }, { 0, 4 }, { 0, 64 }, { 0, 255 }, { 1, 1 }
};
/* SSLv2 (RFC 5246 E.2): two bytes of length with the top bit set, client-hello, version 0.2 or 3.x. */
static const struct expected ssl2_hello[] = { { 128, 255 }, { 0, 255 }, { 1, 1 }, { 0, 3 }, { 0, 4 } };

static enum conn_sniff match(const struct expected *e, size_t n, struct slice in)
{
	for (size_t i = 0; i < n && i < in.n; i++)
		if (in.p[i] < e[i].min || in.p[i] > e[i].max)
			return CONN_SNIFF_PLAIN;
	return in.n < n ? CONN_SNIFF_MORE : CONN_SNIFF_TLS;
}

/* Every byte is judged by itself as soon as it is there, so that more bytes
 * never change a verdict; the two shapes differ in the first byte. */
enum conn_sniff conn_sniff(struct slice in)
{
	unsigned length;

	if (in.n == 0)
		return CONN_SNIFF_MORE;
	if (in.p[0] >= 128)
		return match(ssl2_hello, sizeof(ssl2_hello) / sizeof(ssl2_hello[0]), in);
	if (in.n >= 5) {
		length = (unsigned)in.p[3] << 8 | in.p[4];
		if (length == 0 || length > 16384)
			return CONN_SNIFF_PLAIN;
	}
	return match(tls_hello, sizeof(tls_hello) / sizeof(tls_hello[0]), in);
}
