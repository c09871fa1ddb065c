#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static struct ip from_v6(const unsigned char byte[16])
{
	struct ip ip = { .family = 6 };

	if (memcmp(byte, mapped, sizeof(mapped)) == 0) {
		ip.family = 4;
		memcpy(ip.byte, byte + 12, 4);
	} else {
		memcpy(ip.byte, byte, 16);
	}
	return ip;
}

bool ip_parse(struct slice text, struct ip *ret)
{
	char copy[IP_TEXT_MAX];
	unsigned char byte[16];

	if (!slice_copy(text, copy, sizeof(copy)))
		return false;
	if (inet_pton(AF_INET, copy, byte) == 1) {
		*ret = (struct ip){ .family = 4 };
		memcpy(ret->byte, byte, 4);
		return true;
	}
	if (inet_pton(AF_INET6, copy, byte) != 1)
		return false;
	*ret = from_v6(byte);
	return true;
}

bool ip_from_sockaddr(const struct sockaddr *sa, struct ip *ret)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		*ret = (struct ip){ .family = 4 };
		memcpy(ret->byte, &in->sin_addr, 4);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)sa;

		*ret = from_v6(in->sin6_addr.s6_addr);
		return true;
	}
	return false;
}

socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (ip->family == 4) {
		struct sockaddr_in *in = (void *)ret;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, ip->byte, 4);
		return sizeof(*in);
	} else {
		struct sockaddr_in6 *in = (void *)ret;

		in->sin6_family = AF_INET6;
		in->sin6_port = htons(port);
		memcpy(&in->sin6_addr, ip->byte, 16);
		return sizeof(*in);
	}
}

static void format_v4(const struct ip *ip, char *to)
{
	for (size_t i = 0; i < 4; i++) {
		unsigned char v = ip->byte[i];

		if (v >= 100)
			*to++ = (char)('0' + v / 100);
		if (v >= 10)
			*to++ = (char)('0' + v / 10 % 10);
		*to++ = (char)('0' + v % 10);
		*to++ = i < 3 ? '.' : '\0';
	}
}

const char *ip_format(const struct ip *ip, char text[static IP_TEXT_MAX])
{
	if (ip->family == 4) /* inet_ntop() takes a multiple of the time, and a session says it often */
		format_v4(ip, text);
	else if (ip->family == 0 || !inet_ntop(AF_INET6, ip->byte, text, IP_TEXT_MAX))
		snprintf(text, IP_TEXT_MAX, "local");
	return text;
}

static size_t ip_size(const struct ip *ip)
{
	return ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
	return a->family == b->family && memcmp(a->byte, b->byte, ip_size(a)) == 0;
}

bool ip_is_loopback(const struct ip *ip)
{
	static const unsigned char one[16] = { [15] = 1 };

	if (ip->family == 4)
		return ip->byte[0] == 127;
	return ip->family == 6 && memcmp(ip->byte, one, 16) == 0;
}

void ip_unmap(struct ip *ip)
{
	if (ip->family == 6)
		*ip = from_v6(ip->byte);
}

bool ip_is_unspecified(const struct ip *ip)
{
	static const unsigned char none[16] = { 0 };

	if (ip->family == 4)
		return ip->byte[0] == 0;
	return ip->family == 6 && memcmp(ip->byte, none, 16) == 0;
}

bool ip_is_no_host(const struct ip *ip)
{
	if (ip->family == 4)
		return ip->byte[0] >= 224;
	return ip->family == 6 &&
	       (ip->byte[0] == 0xff || (ip->byte[0] == 0xfe && (ip->byte[1] & 0xc0) == 0x80));
}

/* Are all bits from the given one on zero? */
static bool tail_is_zero(const struct ip *ip, unsigned bits)
{
	for (unsigned i = bits; i < ip_size(ip) * 8; i++)
		if (ip->byte[i / 8] & (0x80 >> (i % 8)))
			return false;
	return true;
}

bool ip_net_parse(struct slice text, struct ip_net *ret)
{
	struct ip_net net;
	struct slice address;
	uint64_t bits;

	if (!cur_until(&text, '/', &address)) {
		if (!ip_parse(text, &net.ip))
			return false;
		net.bits = (uint8_t)(ip_size(&net.ip) * 8);
		*ret = net;
		return true;
	}
	if (!ip_parse(address, &net.ip) || !cur_u64(&text, ip_size(&net.ip) * 8, &bits) || text.n > 0)
		return false;
	net.bits = (uint8_t)bits;
	if (!tail_is_zero(&net.ip, net.bits))
		return false;
	*ret = net;
	return true;
}

bool ip_net_has(const struct ip_net *net, const struct ip *ip)
{
	if (net->ip.family != ip->family)
		return false;
	for (unsigned i = 0; i < net->bits; i++) {
		unsigned mask = 0x80U >> (i % 8);

		if ((net->ip.byte[i / 8] & mask) != (ip->byte[i / 8] & mask))
			return false;
	}
	return true;
}
