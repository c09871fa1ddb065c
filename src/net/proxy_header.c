#include "net/proxy_header.h"

#include <netinet/in.h>
#include <string.h>

#include "base/crc32c.h"

#define V1_SIGNATURE SLICE_LIT("PROXY ")
#define V2_SIGNATURE SLICE_LIT("\r\n\r\n\0\r\nQUIT\n")
#define V2_HEAD	     16

/* TLV types, section 2.2.  All others are passed over. */
#define TLV_CRC32C 0x03
#define TLV_SSL	   0x20
#define SSL_CLIENT 0x01 /* bit of its first octet: the client connected over SSL/TLS */

static enum proxy_header_step bad(struct proxy_header *h, const char *why)
{
	h->why = why;
	return PROXY_HEADER_BAD;
}

/* ---- version 1: a line ---- */

static bool v1_address(struct slice *cur, bool v6, struct ip *ret)
{
	struct slice text;

	if (!cur_until(cur, ' ', &text) || !ip_parse(text, ret))
		return false;
	/* TCP6 may hold an IPv4 address that is mapped; TCP4 only dotted quads. */
	return v6 == (slice_find(text, ':') < text.n);
}

/* No sign, no blank, no zero in front. */
static bool v1_port(struct slice text, uint16_t *ret)
{
	uint64_t port;

	if (text.n > 1 && text.p[0] == '0')
		return false;
	if (!cur_u64(&text, UINT16_MAX, &port) || text.n > 0)
		return false;
	*ret = (uint16_t)port;
	return true;
}

static enum proxy_header_step v1_line(struct slice line, struct proxy_header *h)
{
	struct slice word, port;
	bool v6;

	if (slice_eq(line, SLICE_LIT("UNKNOWN")) || slice_starts(line, SLICE_LIT("UNKNOWN "))) {
		h->anonymous = true; /* whatever follows is to be ignored */
		return PROXY_HEADER_DONE;
	}
	if (!cur_until(&line, ' ', &word))
		return bad(h, "a version 1 header without addresses");
	v6 = slice_eq(word, SLICE_LIT("TCP6"));
	if (!v6 && !slice_eq(word, SLICE_LIT("TCP4")))
		return bad(h, "neither TCP4, TCP6 nor UNKNOWN");
	if (!v1_address(&line, v6, &h->client) || !v1_address(&line, v6, &h->server))
		return bad(h, "an address that is none of its family");
	if (!cur_until(&line, ' ', &port) || !v1_port(port, &h->client_port) ||
	    !v1_port(line, &h->server_port))
		return bad(h, "a port that is no number from 0 to 65535");
	return PROXY_HEADER_DONE;
}

static enum proxy_header_step v1(struct slice in, struct proxy_header *h)
{
	size_t n = slice_find(slice_head(in, PROXY_HEADER_V1_MAX), '\n');

	h->version = 1;
	if (n == in.n && in.n < PROXY_HEADER_V1_MAX)
		return PROXY_HEADER_MORE;
	if (n >= PROXY_HEADER_V1_MAX)
		return bad(h, "a version 1 header of more than 107 octets");
	if (in.p[n - 1] != '\r')
		return bad(h, "a version 1 header that does not end with CR LF");
	h->n = n + 1;
	return v1_line(slice_of(in.p + V1_SIGNATURE.n, n - 1 - V1_SIGNATURE.n), h);
}

/* ---- version 2: binary, in network order ---- */

static uint16_t number(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void v2_address(const unsigned char *p, bool v6, struct ip *ret)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };

	if (v6) {
		memcpy(&sa.sin6_addr, p, 16);
		ip_from_sockaddr((struct sockaddr *)&sa, ret);
	} else {
		*ret = (struct ip){ .family = 4 };
		memcpy(ret->byte, p, 4);
	}
}

/* The checksum of the header in which its own four octets are zero. */
static bool crc_is_right(struct slice header, struct slice field)
{
	size_t at = (size_t)(field.p - header.p);
	uint32_t crc = crc32c(0, slice_head(header, at));

	crc = crc32c(crc, slice_of("\0\0\0", 4));
	crc = crc32c(crc, slice_tail(header, at + 4));
	return crc == ((uint32_t)number(field.p) << 16 | number(field.p + 2));
}

static enum proxy_header_step v2_tlvs(struct slice header, struct slice rest, struct proxy_header *h)
{
	while (rest.n > 0) {
		struct slice head, value;
		unsigned type;

		if (!cur_take(&rest, 3, &head) || !cur_take(&rest, number(head.p + 1), &value))
			return bad(h, "a TLV that is longer than the header");
		type = head.p[0];
		if (type == TLV_CRC32C && (value.n != 4 || !crc_is_right(header, value)))
			return bad(h, "a wrong checksum");
		if (type == TLV_SSL && value.n > 0 && value.p[0] & SSL_CLIENT)
			h->tls = true;
	}
	return PROXY_HEADER_DONE;
}

enum { V2_LOCAL, V2_PROXY };			  /* commands */
enum { V2_UNSPEC, V2_INET, V2_INET6, V2_UNIX };	  /* families, upper half of an octet */
enum { V2_NO_TRANSPORT, V2_STREAM, V2_DATAGRAM }; /* its lower half */

static enum proxy_header_step v2_body(struct slice header, struct proxy_header *h)
{
	static const size_t lengths[] = { [V2_UNSPEC] = 0, [V2_INET] = 12, [V2_INET6] = 36, [V2_UNIX] = 216 };
	unsigned family = header.p[13] >> 4, transport = header.p[13] & 15;
	struct slice rest = slice_tail(header, V2_HEAD);
	const unsigned char *p = rest.p;
	bool v6 = family == V2_INET6;

	if ((header.p[12] & 15) == V2_LOCAL) {
		/* Its family is to be ignored, so nobody can say where TLVs begin. */
		h->anonymous = h->local = true;
		return PROXY_HEADER_DONE;
	}
	if (family > V2_UNIX || transport > V2_DATAGRAM)
		return bad(h, "an unknown address family or transport");
	if (transport == V2_DATAGRAM)
		return bad(h, "a client that came by datagrams");
	if (rest.n < lengths[family])
		return bad(h, "shorter than its addresses");
	if (transport == V2_STREAM && (family == V2_INET || v6)) {
		size_t n = v6 ? 16 : 4;

		v2_address(p, v6, &h->client);
		v2_address(p + n, v6, &h->server);
		h->client_port = number(p + 2 * n);
		h->server_port = number(p + 2 * n + 2);
	} else {
		h->anonymous = true;
	}
	return v2_tlvs(header, slice_tail(rest, lengths[family]), h);
}

static enum proxy_header_step v2(struct slice in, struct proxy_header *h)
{
	size_t n;

	h->version = 2;
	/* Judged as soon as they are there, so that cuts change nothing. */
	if (in.n > 12 && in.p[12] >> 4 != 2)
		return bad(h, "a version that is neither 1 nor 2");
	if (in.n > 12 && (in.p[12] & 15) > V2_PROXY)
		return bad(h, "a command that is neither LOCAL nor PROXY");
	if (in.n < V2_HEAD)
		return PROXY_HEADER_MORE;
	n = (size_t)V2_HEAD + number(in.p + 14);
	if (n > PROXY_HEADER_V2_MAX)
		return bad(h, "a version 2 header of more than 4096 octets");
	if (in.n < n)
		return PROXY_HEADER_MORE;
	h->n = n;
	return v2_body(slice_head(in, n), h);
}

/* ---- both ---- */

/* The beginning of one, or as much of it as there is. */
static bool may_be(struct slice in, struct slice signature)
{
	return slice_starts(in, signature) || slice_starts(signature, in);
}

enum proxy_header_step proxy_header_parse(struct slice in, struct proxy_header *ret)
{
	struct proxy_header h = { 0 };
	enum proxy_header_step step;

	if (slice_starts(in, V1_SIGNATURE)) {
		step = v1(in, &h);
	} else if (slice_starts(in, V2_SIGNATURE)) {
		step = v2(in, &h);
	} else if (may_be(in, V1_SIGNATURE) || may_be(in, V2_SIGNATURE)) {
		step = PROXY_HEADER_MORE;
	} else {
		step = PROXY_HEADER_NONE;
		h.why = "it does not begin with a PROXY header";
	}
	if (step != PROXY_HEADER_MORE)
		*ret = h;
	return step;
}

static bool is_nobody(const struct ip *ip)
{
	static const unsigned char zero[16];

	return memcmp(ip->byte, zero, ip->family == 4 ? 4 : 16) == 0;
}

bool proxy_header_names_client(const struct proxy_header *h, const struct ip *proxy)
{
	return !h->anonymous && !is_nobody(&h->client) &&
	       (!ip_is_loopback(&h->client) || ip_is_loopback(proxy));
}

bool proxy_header_begins(struct slice in)
{
	return slice_starts(in, V1_SIGNATURE) || slice_starts(in, V2_SIGNATURE);
}
