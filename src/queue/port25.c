#include "queue/port25.h"

#include <string.h>

/* Who has a network this large has its own way out; two servers within it may be one site. */
static struct ip network_of(const struct ip *ip)
{
	struct ip net = { .family = ip->family };

	memcpy(net.byte, ip->byte, ip->family == 4 ? 2 : 4);
	return net;
}

static bool is_private(const struct ip *ip)
{
	const uint8_t *b = ip->byte;

	if (ip->family == 4)
		return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168) ||
		       (b[0] == 100 && (b[1] & 0xc0) == 64);
	return (b[0] & 0xfe) == 0xfc;
}

static bool says_nothing(const struct ip *ip)
{
	const uint8_t *b = ip->byte;

	return ip->family == 0 || ip_is_loopback(ip) || (ip->family == 4 && b[0] == 169 && b[1] == 254) ||
	       (ip->family == 6 && b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

bool port25_is_inside(const struct ip *ip)
{
	return says_nothing(ip) || is_private(ip);
}

void port25_restore(struct port25 *p, uint64_t since_ms)
{
	*p = (struct port25){ .blocked = true, .since_ms = since_ms };
}

static void drop_old(struct port25 *p, uint64_t now_ms)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n; i++)
		if (p->seen[i].at_ms + PORT25_WINDOW_MS > now_ms)
			p->seen[n++] = p->seen[i];
	p->n = n;
}

/* Of a known network it is noted when it last did; of others the one that is longest ago goes. */
static void note(struct port25 *p, const struct ip *ip, uint64_t now_ms)
{
	struct port25_seen seen = { network_of(ip), now_ms, is_private(ip) };
	unsigned i = 0;

	while (i < p->n && !ip_eq(&p->seen[i].net, &seen.net))
		i++;
	if (i == PORT25_NETWORKS)
		i = 0;
	if (i < p->n) {
		memmove(&p->seen[i], &p->seen[i + 1], (p->n - i - 1) * sizeof(p->seen[0]));
		p->n--;
	}
	p->seen[p->n++] = seen;
}

bool port25_timed_out(struct port25 *p, const struct ip *ip, uint64_t now_ms)
{
	if (says_nothing(ip) || p->blocked)
		return false;
	drop_old(p, now_ms);
	note(p, ip, now_ms);
	if (p->n < PORT25_NETWORKS || (p->worked_ms > 0 && now_ms < p->worked_ms + PORT25_QUIET_MS))
		return false;
	p->blocked = true;
	p->since_ms = now_ms;
	return true;
}

void port25_worked(struct port25 *p, const struct ip *ip, uint64_t now_ms)
{
	if (!says_nothing(ip) && !is_private(ip))
		p->worked_ms = now_ms;
}

bool port25_connected(struct port25 *p, const struct ip *ip, uint64_t now_ms)
{
	bool all = !is_private(ip);
	unsigned n = 0;

	if (says_nothing(ip))
		return false;
	port25_worked(p, ip, now_ms);
	for (unsigned i = 0; i < p->n; i++)
		if (!all && !p->seen[i].private)
			p->seen[n++] = p->seen[i];
	if (p->blocked && (!all && (n > 0 || p->n == 0)))
		return false; /* the world outside was seen blocked, or that is what we remember */
	p->n = n;
	if (!p->blocked)
		return false;
	p->blocked = false;
	return true;
}

void port25_shift(struct port25 *p, int64_t by_ms)
{
	for (unsigned i = 0; i < p->n; i++)
		p->seen[i].at_ms += (uint64_t)by_ms;
	p->since_ms += (uint64_t)by_ms;
	if (p->worked_ms > 0)
		p->worked_ms += (uint64_t)by_ms;
}
