/* Hello messages of old versions of TLS, and what is answered. */
#include <string.h>

#include "base/ip.h"
#include "probe/hello.h"

/* RFC 5246 6.2.1, 7.4 */
enum { RECORD_ALERT = 21, RECORD_HANDSHAKE = 22, SERVER_HELLO = 2 };

/* The second octet of what is on the wire: 3.0 to 3.2. */
static unsigned char minor(enum probe_version version)
{
	return version == PROBE_SSL3 ? 0 : version == PROBE_TLS10 ? 1 : 2;
}

static void u16(struct buf *to, size_t v)
{
	buf_byte(to, (unsigned char)(v >> 8));
	buf_byte(to, (unsigned char)v);
}

/* What a server of those days had: with RSA, DHE and ECDHE; AES, 3DES and RC4.  0x00ff says that we know
 * RFC 5746, without which some refuse. */
static void ciphers(struct buf *to)
{
	static const uint16_t list[] = { 0xc014, 0xc013, 0xc00a, 0xc009, 0x0039, 0x0033, 0x0035,
					 0x002f, 0xc012, 0x0016, 0x000a, 0x0005, 0x0004, 0x00ff };

	u16(to, sizeof(list));
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		u16(to, list[i]);
}

/* RFC 6066 3, RFC 8422 5.1 */
static void extensions(struct buf *to, struct slice name)
{
	static const uint16_t groups[] = { 0x001d, 0x0017, 0x0018, 0x0019 };
	size_t n_sni = name.n > 0 ? 9 + name.n : 0, n_groups = 6 + sizeof(groups), n_formats = 6;

	u16(to, n_sni + n_groups + n_formats);
	if (name.n > 0) {
		u16(to, 0); /* server_name */
		u16(to, 5 + name.n);
		u16(to, 3 + name.n);
		buf_byte(to, 0); /* host_name */
		u16(to, name.n);
		buf_put(to, name);
	}
	u16(to, 10); /* supported_groups */
	u16(to, 2 + sizeof(groups));
	u16(to, sizeof(groups));
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		u16(to, groups[i]);
	u16(to, 11); /* ec_point_formats */
	u16(to, 2);
	buf_byte(to, 1);
	buf_byte(to, 0);
}

void probe_hello(struct buf *to, enum probe_version version, struct slice name,
		 const unsigned char random[static PROBE_RANDOM])
{
	unsigned char room[PROBE_HELLO_MAX];
	struct buf body;
	struct ip ip;

	if (name.n > 253 || ip_parse(name, &ip))
		name.n = 0;
	buf_init_in(&body, room, sizeof(room));
	buf_byte(&body, 3);
	buf_byte(&body, minor(version));
	buf_put(&body, slice_of(random, PROBE_RANDOM));
	buf_byte(&body, 0); /* no session */
	ciphers(&body);
	buf_byte(&body, 1);
	buf_byte(&body, 0); /* no compression */
	if (version != PROBE_SSL3)
		extensions(&body, name);

	buf_byte(to, RECORD_HANDSHAKE);
	buf_byte(to, 3);
	buf_byte(to, version == PROBE_SSL3 ? 0 : 1); /* RFC 5246 E.1: of a first record */
	u16(to, body.n + 4);
	buf_byte(to, 1); /* client_hello */
	buf_byte(to, 0);
	u16(to, body.n);
	buf_put(to, buf_slice(&body));
}

enum probe_old probe_hello_answer(enum probe_version version, struct slice in)
{
	const unsigned char *p;

	/* Warnings (unrecognized_name, before a ServerHello) are no answer yet. */
	while (in.n >= 7 && in.p[0] == RECORD_ALERT && in.p[1] == 3 && in.p[5] == 1)
		in = slice_tail(in, 7);
	p = in.p;
	if (in.n < 1)
		return PROBE_OLD_NOT_ASKED;
	if ((p[0] != RECORD_ALERT && p[0] != RECORD_HANDSHAKE) || (in.n > 1 && p[1] != 3))
		return PROBE_OLD_UNCLEAR;
	if (in.n < (p[0] == RECORD_ALERT ? 7 : 11))
		return PROBE_OLD_NOT_ASKED;
	if (p[0] == RECORD_ALERT)
		return PROBE_OLD_REFUSED;
	if (p[5] != SERVER_HELLO || p[9] != 3)
		return PROBE_OLD_UNCLEAR;
	/* A server may choose an older one than it is asked for: that one is asked for, too. */
	return p[10] == minor(version) ? PROBE_OLD_ACCEPTED : PROBE_OLD_REFUSED;
}
