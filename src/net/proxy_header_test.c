#include "net/proxy_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/crc32c.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define LEN(n)                                    \
	(const char[2])                           \
	{                                         \
		(char)((n) >> 8), (char)((n)&255) \
	}

#define MORE PROXY_HEADER_MORE
#define DONE PROXY_HEADER_DONE
#define NONE PROXY_HEADER_NONE
#define BAD  PROXY_HEADER_BAD

/* What is sent; what it means: "client port server port", "unknown", "local", or why not. */
static const struct {
	const char *bytes;
	enum proxy_header_step step;
	const char *means;
} lines[] = {
	{ "PROXY TCP4 192.0.2.1 198.51.100.7 56324 465\r\n", DONE, "192.0.2.1 56324 198.51.100.7 465" },
	{ "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", DONE, "0.0.0.0 0 255.255.255.255 65535" },
	{ "PROXY TCP6 2001:db8::1 ::1 1 25\r\n", DONE, "2001:db8::1 1 ::1 25" },
	{ "PROXY TCP6 2001:DB8::A 2001:db8:0:0:0:0:0:b 1 25\r\n", DONE, "2001:db8::a 1 2001:db8::b 25" },
	{ "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 1 25\r\n", DONE, "192.0.2.1 1 192.0.2.2 25" },
	{ "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
	  "65535\r\n",
	  DONE,
	  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535" },
	{ "PROXY UNKNOWN\r\n", DONE, "unknown" },
	{ "PROXY UNKNOWN ffff:: 1.2.3.4 nonsense\r\n", DONE, "unknown" },
	/* The client's own bytes follow at once. */
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nEHLO c\r\n", DONE, "192.0.2.1 1 192.0.2.2 25" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n\x16\x03\x01", DONE, "192.0.2.1 1 192.0.2.2 25" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nPROXY UNKNOWN\r\n", DONE, "192.0.2.1 1 192.0.2.2 25" },

	{ "", MORE, "" },
	{ "PROX", MORE, "" },
	{ "PROXY ", MORE, "" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 25", MORE, "" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r", MORE, "" },
	{ "\r\n", MORE, "" },

	{ "EHLO c\r\n", NONE, "does not begin" },
	{ "PROXX", NONE, "does not begin" },
	{ "proxy TCP4 192.0.2.1 192.0.2.2 1 25\r\n", NONE, "does not begin" },
	{ "PROXY\tTCP4 192.0.2.1 192.0.2.2 1 25\r\n", NONE, "does not begin" },
	{ " PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", NONE, "does not begin" },
	{ "\r\nEHLO c\r\n", NONE, "does not begin" },
	{ "\x16\x03\x01\x01", NONE, "does not begin" },

	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\n", BAD, "CR LF" },
	{ "PROXY UNKNOWN\n", BAD, "CR LF" },
	{ "PROXY \r\n", BAD, "without addresses" },
	{ "PROXY UNKNOWNS\r\n", BAD, "without addresses" },
	{ "PROXY UDP4 192.0.2.1 192.0.2.2 1 25\r\n", BAD, "neither" },
	{ "PROXY tcp4 192.0.2.1 192.0.2.2 1 25\r\n", BAD, "neither" },
	{ "PROXY  TCP4 192.0.2.1 192.0.2.2 1 25\r\n", BAD, "neither" },
	{ "PROXY TCP4  192.0.2.1 192.0.2.2 1 25\r\n", BAD, "address" },
	{ "PROXY TCP4 192.0.2.1\t192.0.2.2 1 25\r\n", BAD, "address" },
	{ "PROXY TCP4 192.0.2.01 192.0.2.2 1 25\r\n", BAD, "address" },
	{ "PROXY TCP4 192.0.2.256 192.0.2.2 1 25\r\n", BAD, "address" },
	{ "PROXY TCP4 192.0.2 192.0.2.2 1 25\r\n", BAD, "address" },
	{ "PROXY TCP4 ::1 192.0.2.2 1 25\r\n", BAD, "address" },
	{ "PROXY TCP4 ::ffff:192.0.2.1 192.0.2.2 1 25\r\n", BAD, "address" },
	{ "PROXY TCP6 192.0.2.1 ::1 1 25\r\n", BAD, "address" },
	{ "PROXY TCP6 ::1 192.0.2.1 1 25\r\n", BAD, "address" },
	{ "PROXY TCP6 fe80::1%eth0 ::1 1 25\r\n", BAD, "address" },
	{ "PROXY TCP6 1::2::3 ::1 1 25\r\n", BAD, "address" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2\r\n", BAD, "address" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", BAD, "port" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", BAD, "port" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", BAD, "port" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 -1 25\r\n", BAD, "port" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 01 25\r\n", BAD, "port" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 25 \r\n", BAD, "port" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 25 9\r\n", BAD, "port" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\r\n", BAD, "port" },
	{ "PROXY TCP4 192.0.2.1 192.0.2.2 18446744073709551617 25\r\n", BAD, "port" },
};

static void check(const char *what, enum proxy_header_step step, const struct proxy_header *h,
		  enum proxy_header_step expected, const char *means)
{
	char client[IP_TEXT_MAX], server[IP_TEXT_MAX], got[256] = "";

	if (step == DONE && h->anonymous)
		snprintf(got, sizeof(got), "%s", h->local ? "local" : "unknown");
	else if (step == DONE)
		snprintf(got, sizeof(got), "%s %u %s %u%s", ip_format(&h->client, client), h->client_port,
			 ip_format(&h->server, server), h->server_port, h->tls ? " tls" : "");
	else if (step != MORE)
		snprintf(got, sizeof(got), "%s", h->why);
	if (step != expected ||
	    (step == DONE || step == MORE ? strcmp(got, means) != 0 : !strstr(got, means)))
		fail_msg("'%s': step %d (%s), not %d (%s)", what, step, got, expected, means);
}

/* Whole, and what each beginning of it gives: MORE until the verdict, which then stands. */
static void check_cuts(const char *what, struct slice in, enum proxy_header_step expected, const char *means)
{
	struct proxy_header h = { 0 };
	enum proxy_header_step step = proxy_header_parse(in, &h);
	size_t decided = 0;

	check(what, step, &h, expected, means);
	if (step == MORE)
		return;
	for (size_t n = 0; n <= in.n; n++) {
		struct proxy_header part = { 0 };
		enum proxy_header_step s = proxy_header_parse(slice_head(in, n), &part);

		if (s == MORE && decided)
			fail_msg("'%s': undecided again at %zu", what, n);
		if (s == MORE)
			continue;
		decided = n;
		check(what, s, &part, expected, means);
		assert_int_equal(part.n, h.n);
		if (s == DONE && n < h.n)
			fail_msg("'%s': done after %zu of %zu", what, n, h.n);
	}
}

static void version_1(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		check_cuts(lines[i].bytes, slice_str(lines[i].bytes), lines[i].step, lines[i].means);
}

static void the_header_ends_where_it_ends(void **state)
{
	struct proxy_header h;
	struct slice in = SLICE_LIT("PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\nEHLO c\r\n");

	(void)state;
	assert_int_equal(proxy_header_parse(in, &h), DONE);
	assert_true(slice_eq(slice_tail(in, h.n), SLICE_LIT("EHLO c\r\n")));
	assert_int_equal(h.version, 1);
}

/* 107 octets with the line's end and not one more, however they are filled. */
static void version_1_is_bounded(void **state)
{
	char line[200] = "PROXY UNKNOWN ";
	struct proxy_header h;

	(void)state;
	memset(line + 14, 'x', sizeof(line) - 14);
	memcpy(line + 105, "\r\n", 2);
	assert_int_equal(proxy_header_parse(slice_of(line, 107), &h), DONE);
	assert_int_equal(h.n, 107);
	memcpy(line + 105, "x\r\n", 3);
	assert_int_equal(proxy_header_parse(slice_of(line, 106), &h), MORE);
	assert_int_equal(proxy_header_parse(slice_of(line, 107), &h), BAD);
	assert_int_equal(proxy_header_parse(slice_of(line, 200), &h), BAD);
}

/* A NUL hides nothing. */
static void version_1_holds_no_nul(void **state)
{
	struct proxy_header h;

	(void)state;
	assert_int_equal(proxy_header_parse(SLICE_LIT("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 25\r\n"), &h), BAD);
}

/* ---- version 2 ---- */

#define IN4 "\xc0\0\2\1\xc6\x33\x64\7\xdc\4\1\xd1" /* 192.0.2.1 198.51.100.7 56324 465 */
#define IN6                                            \
	"\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"       \
	"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\2\0\1\0" \
	"\x19" /* 2001:db8::1 ::ffff:192.0.2.2 1 25 */
#define Z27	   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define UNIX_PATHS Z27 Z27 Z27 Z27 Z27 Z27 Z27 Z27 /* 216 */
#define SSL_YES	   "\x20\0\x05\x01\0\0\0\0"
#define SSL_NO	   "\x20\0\x05\0\0\0\0\0"
#define BYTES(s)   SLICE_INIT(s)
#define CASE4	   "192.0.2.1 56324 198.51.100.7 465"

/* Command and family octets, what follows the length, and the length itself where it lies. */
static const struct {
	const char *what;
	unsigned char command, family;
	struct slice body;
	int length; /* 0: that of body */
	enum proxy_header_step step;
	const char *means;
} blocks[] = {
	{ "TCP4", 0x21, 0x11, BYTES(IN4), 0, DONE, CASE4 },
	{ "TCP6, one address mapped", 0x21, 0x21, BYTES(IN6), 0, DONE, "2001:db8::1 1 192.0.2.2 25" },
	{ "a Unix socket has no address for us", 0x21, 0x31, BYTES(UNIX_PATHS), 0, DONE, "unknown" },
	{ "UNSPEC", 0x21, 0x00, BYTES(""), 0, DONE, "unknown" },
	{ "UNSPEC with TLVs", 0x21, 0x00, BYTES(SSL_YES), 0, DONE, "unknown" },
	{ "half unspecified", 0x21, 0x10, BYTES(IN4), 0, DONE, "unknown" },
	{ "LOCAL", 0x20, 0x00, BYTES(""), 0, DONE, "local" },
	{ "LOCAL: its addresses are to be ignored", 0x20, 0x11, BYTES(IN4), 0, DONE, "local" },
	{ "LOCAL: whatever they are", 0x20, 0xff, BYTES("abc"), 0, DONE, "local" },
	{ "a TLV that nobody knows", 0x21, 0x11, BYTES(IN4 "\xee\0\2ab"), 0, DONE, CASE4 },
	{ "an empty TLV", 0x21, 0x11, BYTES(IN4 "\4\0\0"), 0, DONE, CASE4 },
	{ "TLS at the proxy", 0x21, 0x11, BYTES(IN4 SSL_YES), 0, DONE, CASE4 " tls" },
	{ "TLS behind another TLV", 0x21, 0x11, BYTES(IN4 "\4\0\1x" SSL_YES), 0, DONE, CASE4 " tls" },
	{ "no TLS at the proxy", 0x21, 0x11, BYTES(IN4 SSL_NO), 0, DONE, CASE4 },
	{ "an empty TLS TLV", 0x21, 0x11, BYTES(IN4 "\x20\0\0"), 0, DONE, CASE4 },

	{ "cut in the addresses", 0x21, 0x11, BYTES("\xc0\0\2"), 12, MORE, "" },
	{ "cut in a TLV", 0x21, 0x11, BYTES(IN4 "\4\0\3x"), 18, MORE, "" },
	{ "TCP4: too short", 0x21, 0x11, BYTES("\xc0\0\2\1\xc6\x33\x64\7\xdc\4\1"), 0, BAD, "shorter" },
	{ "TCP4: nothing", 0x21, 0x11, BYTES(""), 0, BAD, "shorter" },
	{ "TCP6 with the addresses of TCP4", 0x21, 0x21, BYTES(IN4), 0, BAD, "shorter" },
	{ "Unix: too short", 0x21, 0x31, BYTES(IN6), 0, BAD, "shorter" },
	{ "UDP4", 0x21, 0x12, BYTES(IN4), 0, BAD, "datagrams" },
	{ "an unknown family", 0x21, 0x41, BYTES(IN4), 0, BAD, "unknown" },
	{ "an unknown transport", 0x21, 0x13, BYTES(IN4), 0, BAD, "unknown" },
	{ "an unknown command", 0x22, 0x11, BYTES(IN4), 0, BAD, "command" },
	{ "version 1, in binary", 0x11, 0x11, BYTES(IN4), 0, BAD, "version" },
	{ "version 3", 0x31, 0x11, BYTES(IN4), 0, BAD, "version" },
	{ "a TLV without length", 0x21, 0x11, BYTES(IN4 "\4\0"), 0, BAD, "TLV" },
	{ "a TLV that reaches past the end", 0x21, 0x11, BYTES(IN4 "\4\0\2x"), 0, BAD, "TLV" },
	{ "a checksum of three octets", 0x21, 0x11, BYTES(IN4 "\3\0\3abc"), 0, BAD, "checksum" },
	{ "a wrong checksum", 0x21, 0x11, BYTES(IN4 "\3\0\4abcd"), 0, BAD, "checksum" },
	{ "one octet over the ceiling", 0x21, 0x11, BYTES(""), 4081, BAD, "4096" },
	{ "the largest length", 0x20, 0x00, BYTES(""), 65535, BAD, "4096" },
	{ "the ceiling itself", 0x20, 0x00, BYTES(""), 4080, MORE, "" },
};

static struct slice build(struct buf *b, unsigned char command, unsigned char family, size_t length,
			  struct slice body)
{
	buf_init(b, 8192);
	buf_put(b, SLICE_LIT(SIG));
	buf_byte(b, command);
	buf_byte(b, family);
	buf_put(b, slice_of(LEN(length), 2));
	buf_put(b, body);
	return buf_slice(b);
}

static void version_2(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		size_t length = blocks[i].length ? (size_t)blocks[i].length : blocks[i].body.n;
		struct buf b;

		build(&b, blocks[i].command, blocks[i].family, length, blocks[i].body);
		if (blocks[i].step == DONE)
			buf_str(&b, "EHLO c\r\n");
		check_cuts(blocks[i].what, buf_slice(&b), blocks[i].step, blocks[i].means);
		buf_done(&b);
	}
}

/* A right checksum passes; no single bit of addresses, TLVs or checksum may then change. */
static void checksums(void **state)
{
	static const char body[] = IN4 "\4\0\1x\3\0\4\0\0\0\0" SSL_YES;
	struct proxy_header h;
	struct buf b;
	struct slice in = build(&b, 0x21, 0x11, sizeof(body) - 1, slice_of(body, sizeof(body) - 1));
	unsigned char *crc_at = b.p + b.from + 16 + 12 + 4 + 3;
	uint32_t crc = crc32c(0, in);

	(void)state;
	for (int i = 0; i < 4; i++)
		crc_at[i] = (unsigned char)(crc >> (24 - 8 * i));
	assert_int_equal(proxy_header_parse(in, &h), DONE);
	assert_true(h.tls);
	for (size_t bit = 16 * 8; bit < in.n * 8; bit++) {
		unsigned char *at = b.p + b.from + bit / 8;
		size_t offset = bit / 8 - 16;

		/* Types and lengths of TLVs: another header, which may have no checksum. */
		if ((offset >= 12 && offset < 15) || (offset >= 16 && offset < 19))
			continue;
		*at ^= (unsigned char)(1 << bit % 8);
		if (proxy_header_parse(in, &h) == DONE)
			fail_msg("bit %zu changed, and it still passes", bit);
		*at ^= (unsigned char)(1 << bit % 8);
	}
	buf_done(&b);
}

static void begins(void **state)
{
	(void)state;
	assert_true(proxy_header_begins(SLICE_LIT("PROXY TCP4 nonsense")));
	assert_true(proxy_header_begins(SLICE_LIT("PROXY ")));
	assert_true(proxy_header_begins(SLICE_LIT(SIG)));
	assert_false(proxy_header_begins(SLICE_LIT("PROXY")));
	assert_false(proxy_header_begins(SLICE_LIT("\r\n\r\n")));
	assert_false(proxy_header_begins(SLICE_LIT("EHLO c\r\n")));
	assert_false(proxy_header_begins(SLICE_LIT("")));
}

/* Whom a proxy names, and whether that says more than that it came through the proxy. */
static const struct {
	const char *header, *proxy;
	bool names;
} named[] = {
	{ "PROXY TCP4 192.0.2.1 198.51.100.7 1 25\r\n", "10.0.0.1", true },
	{ "PROXY TCP6 2001:db8::1 2001:db8::2 1 25\r\n", "10.0.0.1", true },
	{ "PROXY TCP4 10.0.0.1 198.51.100.7 1 25\r\n", "10.0.0.1", true },
	{ "PROXY UNKNOWN\r\n", "10.0.0.1", false },
	/* Loopback is this machine only when it is seen on this machine. */
	{ "PROXY TCP4 127.0.0.1 198.51.100.7 1 25\r\n", "10.0.0.1", false },
	{ "PROXY TCP4 127.8.9.1 198.51.100.7 1 25\r\n", "2001:db8::9", false },
	{ "PROXY TCP6 ::ffff:127.0.0.1 2001:db8::2 1 25\r\n", "10.0.0.1", false },
	{ "PROXY TCP6 ::1 2001:db8::2 1 25\r\n", "10.0.0.1", false },
	{ "PROXY TCP6 ::1 2001:db8::2 1 25\r\n", "127.0.0.1", true },
	{ "PROXY TCP4 127.0.0.1 198.51.100.7 1 25\r\n", "::1", true },
	{ "PROXY TCP4 0.0.0.0 198.51.100.7 1 25\r\n", "10.0.0.1", false },
	{ "PROXY TCP4 0.0.0.0 198.51.100.7 1 25\r\n", "127.0.0.1", false },
	{ "PROXY TCP6 :: 2001:db8::2 1 25\r\n", "127.0.0.1", false },
	{ "PROXY TCP6 ::2 2001:db8::2 1 25\r\n", "127.0.0.1", true },
};

static void names_client(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		struct proxy_header h;
		struct ip proxy;

		assert_int_equal(proxy_header_parse(slice_str(named[i].header), &h), DONE);
		assert_true(ip_parse(slice_str(named[i].proxy), &proxy));
		if (proxy_header_names_client(&h, &proxy) != named[i].names)
			fail_msg("'%s' from %s", named[i].header, named[i].proxy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_1),
		cmocka_unit_test(the_header_ends_where_it_ends),
		cmocka_unit_test(version_1_is_bounded),
		cmocka_unit_test(version_1_holds_no_nul),
		cmocka_unit_test(version_2),
		cmocka_unit_test(checksums),
		cmocka_unit_test(begins),
		cmocka_unit_test(names_client),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
