/* The keys of counts: kind, listener and a 0, then the network's bytes or a text. */
#include "policy/limit.h"

static const char *const names[LIMIT_KINDS] = {
	[LIMIT_NONE] = "none",
	[LIMIT_SESSIONS] = "sessions",
	[LIMIT_SESSIONS_IP] = "sessions-ip",
	[LIMIT_SESSIONS_NETWORK] = "sessions-network",
	[LIMIT_RATE_IP] = "rate-ip",
	[LIMIT_RATE_NETWORK] = "rate-network",
	[LIMIT_ACCOUNT_MESSAGES] = "account-messages",
	[LIMIT_ACCOUNT_RECIPIENTS] = "account-recipients",
	[LIMIT_UID_MESSAGES] = "uid-messages",
	[LIMIT_UID_RECIPIENTS] = "uid-recipients",
	[LIMIT_OWNER_MESSAGES] = "owner-messages",
	[LIMIT_OWNER_RECIPIENTS] = "owner-recipients",
};

#define NET_BYTES 18 /* family, bits, address */

const char *limit_kind_name(unsigned kind)
{
	return kind < LIMIT_KINDS ? names[kind] : names[LIMIT_NONE];
}

struct ip_net limit_net(const struct ip *ip, unsigned bits)
{
	struct ip_net net = { .ip = { .family = ip->family }, .bits = (uint8_t)bits };
	unsigned whole = bits / 8;

	memcpy(net.ip.byte, ip->byte, whole);
	if (bits % 8)
		net.ip.byte[whole] = (uint8_t)(ip->byte[whole] & (0xff00U >> (bits % 8)));
	return net;
}

static void begin(struct limit_key *k, enum limit_kind kind, const char *listener)
{
	struct slice name = slice_head(slice_str(listener), 64);

	k->byte[0] = (unsigned char)kind;
	if (name.n > 0)
		memcpy(k->byte + 1, name.p, name.n);
	k->byte[1 + name.n] = 0;
	k->n = 2 + name.n;
}

void limit_key_net(struct limit_key *k, enum limit_kind kind, const char *listener, const struct ip_net *net)
{
	begin(k, kind, listener);
	k->byte[k->n] = net->ip.family;
	k->byte[k->n + 1] = net->bits;
	memcpy(k->byte + k->n + 2, net->ip.byte, 16);
	k->n += NET_BYTES;
}

void limit_key_text(struct limit_key *k, enum limit_kind kind, const char *listener, struct slice who)
{
	begin(k, kind, listener);
	who = slice_head(who, sizeof(k->byte) - k->n);
	if (who.n > 0)
		memcpy(k->byte + k->n, who.p, who.n);
	k->n += who.n;
}

struct slice limit_key_slice(const struct limit_key *k)
{
	return slice_of(k->byte, k->n);
}

static bool show_net(struct slice s, struct buf *to)
{
	struct ip ip = { 0 };
	char text[IP_TEXT_MAX];
	unsigned bits;

	if (s.n != NET_BYTES || (s.p[0] != 4 && s.p[0] != 6))
		return false;
	ip.family = s.p[0];
	bits = s.p[1];
	memcpy(ip.byte, s.p + 2, 16);
	if (bits > (ip.family == 4 ? 32 : 128))
		return false;
	buf_str(to, ip_format(&ip, text));
	if (bits < (ip.family == 4 ? 32 : 128))
		buf_fmt(to, "/%u", bits);
	return true;
}

bool limit_key_show(struct slice key, enum limit_kind *ret_kind, struct slice *ret_listener,
		    struct buf *ret_who)
{
	struct slice rest = slice_tail(key, 1), listener;

	if (key.n < 2 || key.n > LIMIT_KEY_MAX || key.p[0] == 0 || key.p[0] >= LIMIT_KINDS ||
	    !cur_until(&rest, 0, &listener) || listener.n > 64)
		return false;
	/* A user of the local socket has a number for an address. */
	if (key.p[0] >= LIMIT_SESSIONS_IP && key.p[0] <= LIMIT_RATE_NETWORK && rest.n > 0 &&
	    rest.p[0] < '0') {
		if (!show_net(rest, ret_who))
			return false;
	} else {
		for (size_t i = 0; i < rest.n; i++)
			buf_byte(ret_who, rest.p[i] < ' ' || rest.p[i] == 0x7f ? '?' : rest.p[i]);
	}
	*ret_kind = (enum limit_kind)key.p[0];
	*ret_listener = listener;
	return buf_ok(ret_who);
}
