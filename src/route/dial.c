#include "route/dial.h"

#include <assert.h>
#include <string.h>

const char *dial_how_name(enum dial_how how)
{
	static const char *const names[DIAL_HOWS] = {
		[DIAL_LOOP] = "loop",
		[DIAL_NO_HOST] = "no-address",
		[DIAL_LOCAL] = "local",
		[DIAL_UNREACHABLE] = "unreachable",
		[DIAL_REFUSED] = "refused",
		[DIAL_TIMED_OUT] = "timed-out",
		[DIAL_LOST] = "lost",
		[DIAL_SESSION_REFUSED] = "session-refused",
		[DIAL_NO_STARTTLS] = "no-starttls",
		[DIAL_TLS_REFUSED] = "tls-refused",
		[DIAL_TLS_FAILED] = "tls-failed",
		[DIAL_TLS_STALLED] = "tls-timed-out",
		[DIAL_CERTIFICATE] = "certificate",
		[DIAL_PASSWORD] = "login",
		[DIAL_READY] = "ready",
	};

	return how < DIAL_HOWS ? names[how] : "unknown";
}

void dial_auto_ports(uint16_t worked, struct dial_port ret[static DIAL_PORTS_MAX])
{
	static const struct dial_port custom[DIAL_PORTS_MAX] = { { 587, DIAL_TLS_MUST },
								 { 465, DIAL_TLS_IMPLICIT },
								 { 2525, DIAL_TLS_MUST } };
	size_t n = 0;

	for (size_t i = 0; i < DIAL_PORTS_MAX; i++)
		if (custom[i].port == worked)
			ret[n++] = custom[i];
	for (size_t i = 0; i < DIAL_PORTS_MAX; i++)
		if (custom[i].port != worked)
			ret[n++] = custom[i];
}

/* ---- the order of hosts ---- */

/* splitmix64, of the public domain. */
static uint64_t chance(uint64_t *seed)
{
	uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static bool before(const struct dial_host *a, const struct dial_host *b)
{
	if (a->failed_lately != b->failed_lately)
		return b->failed_lately;
	return a->preference < b->preference;
}

/* Shuffled, then sorted without changing the order of equals. */
static void put_in_order(struct dial *d)
{
	uint64_t seed = d->setup.seed;

	for (size_t i = 0; i < d->n_order; i++)
		d->order[i] = (uint8_t)i;
	if (!d->setup.strict) /* smart hosts: as the administrator wrote them */
		for (size_t i = d->n_order; i > 1; i--) {
			size_t j = (size_t)(chance(&seed) % i);
			uint8_t other = d->order[j];

			d->order[j] = d->order[i - 1];
			d->order[i - 1] = other;
		}
	for (size_t i = 1; i < d->n_order; i++) {
		uint8_t h = d->order[i];
		size_t at = i;

		for (; at > 0 && before(&d->host[h], &d->host[d->order[at - 1]]); at--)
			d->order[at] = d->order[at - 1];
		d->order[at] = h;
	}
}

static void copy_hosts(struct dial *d)
{
	const struct dial_host *from = d->setup.hosts;
	size_t n = d->setup.n_hosts;

	/* Left out are the last of a list that the caller has sorted. */
	d->n_order = n < DIAL_HOSTS_MAX ? n : DIAL_HOSTS_MAX;
	memcpy(d->host, from, d->n_order * sizeof(*from));
	d->setup.hosts = NULL;
}

/* ---- the end ---- */

static uint8_t host(const struct dial *d)
{
	return d->order[d->at_host];
}

static const struct dial_port *port(const struct dial *d)
{
	return &d->setup.ports[d->at_port];
}

static struct dial_try try_of(const struct dial *d, size_t address)
{
	return (struct dial_try){ .number = d->address[address].number,
				  .host = host(d),
				  .ip = d->address[address].ip,
				  .port = port(d)->port,
				  .tls = d->ask.try.tls };
}

/* Tell what got furthest; of equals the first, which was the better host. */
static void remember(struct dial *d, enum dial_how how, const struct dial_try *t)
{
	if (d->any && how <= d->ask.end.how)
		return;
	d->any = true;
	d->ask.end.how = how;
	d->ask.end.try = *t;
}

static void end(struct dial *d)
{
	d->ask.end.for_good = d->ask.end.how <= DIAL_NO_HOST && d->all_for_good;
	d->ask.want = DIAL_END;
	for (size_t i = 0; i < d->n_addresses; i++)
		d->address[i].state = DIAL_OVER;
}

/* ---- the next thing ---- */

static void begin_host(struct dial *d)
{
	d->ask.want = DIAL_HOST;
	d->ask.host = host(d);
	d->before.all_for_good = d->all_for_good;
	d->before.any = d->any;
	d->before.ask = d->ask;
}

static void next_host(struct dial *d, bool failed)
{
	if (failed)
		d->failed |= UINT32_C(1) << host(d);
	d->n_addresses = 0;
	d->at_port = 0;
	d->at_host++;
	d->host_tried = false;
	if (d->at_host == d->n_order || d->tries >= DIAL_TRIES_MAX) {
		end(d);
		return;
	}
	begin_host(d);
}

/* What the port's custom and the host's policy come to. */
static enum dial_tls tls_here(const struct dial *d)
{
	enum dial_tls custom = port(d)->tls;

	if (custom == DIAL_TLS_IMPLICIT || custom == DIAL_TLS_MUST)
		return custom;
	if (d->setup.credentials || d->policy == DIAL_TLS_MUST)
		return DIAL_TLS_MUST;
	return custom == DIAL_TLS_NEVER || d->policy == DIAL_TLS_NEVER ? DIAL_TLS_NEVER : DIAL_TLS_MAY;
}

static void connect_to(struct dial *d, size_t address, enum dial_tls tls, bool fallback)
{
	struct dial_address *a = &d->address[address];

	a->number = d->tries++;
	a->state = DIAL_RUNNING;
	d->host_tried = true;
	d->talking = address;
	d->ask.want = DIAL_CONNECT;
	d->ask.try = (struct dial_try){ .number = a->number,
					.host = host(d),
					.ip = a->ip,
					.port = port(d)->port,
					.tls = tls,
					.fallback = fallback };
}

static void next_port(struct dial *d, uint64_t now_ms);

/* Among the addresses of this host and port. */
static void race(struct dial *d, uint64_t now_ms)
{
	uint64_t until = UINT64_MAX;
	size_t fresh = d->n_addresses;
	bool running = false;

	for (size_t i = d->n_addresses; i-- > 0;) {
		const struct dial_address *a = &d->address[i];

		if (a->state == DIAL_FRESH)
			fresh = i;
		if (a->state != DIAL_RUNNING)
			continue;
		running = true;
		if (a->since_ms + d->setup.connect_ms < until)
			until = a->since_ms + d->setup.connect_ms;
	}
	if (d->tries >= DIAL_TRIES_MAX)
		fresh = d->n_addresses;
	if (fresh < d->n_addresses && (!running || now_ms >= d->next_ms)) {
		connect_to(d, fresh, tls_here(d), false);
		return;
	}
	if (!running) {
		next_port(d, now_ms);
		return;
	}
	d->ask.want = DIAL_WAIT;
	d->ask.until_ms = fresh < d->n_addresses && d->next_ms < until ? d->next_ms : until;
}

static void next_port(struct dial *d, uint64_t now_ms)
{
	if (++d->at_port == d->setup.n_ports || d->tries >= DIAL_TRIES_MAX) {
		next_host(d, d->host_tried);
		return;
	}
	for (size_t i = 0; i < d->n_addresses; i++)
		d->address[i].state = DIAL_FRESH;
	race(d, now_ms);
}

void dial_init(struct dial *d, const struct dial_setup *setup)
{
	assert(setup->n_hosts > 0 && setup->n_ports > 0 && setup->n_ports <= DIAL_PORTS_MAX);
	memset(d, 0, sizeof(*d));
	d->setup = *setup;
	d->all_for_good = true;
	copy_hosts(d);
	put_in_order(d);
	begin_host(d);
}

const struct dial_ask *dial_want(const struct dial *d)
{
	return &d->ask;
}

/* ---- answers: of names ---- */

/* RFC 8305 4: families in turn.  The order within one is the resolver's. */
static void in_turn(struct dial *d, const struct ip *ips, size_t n, uint8_t first)
{
	size_t max = d->setup.addresses_max, of[2] = { 0, 0 };

	if (max == 0 || max > DIAL_ADDRESSES_MAX)
		max = DIAL_ADDRESSES_MAX;
	for (unsigned turn = 0; d->n_addresses < max && (of[0] < n || of[1] < n); turn ^= 1) {
		size_t *at = &of[turn];

		while (*at < n && (ips[*at].family == first) == (turn == 1))
			(*at)++;
		if (*at < n)
			d->address[d->n_addresses++] = (struct dial_address){ .ip = ips[(*at)++] };
	}
}

void dial_found(struct dial *d, const struct ip *ips, size_t n, enum dial_tls policy, bool ipv6_last,
		uint64_t now_ms)
{
	assert(d->ask.want == DIAL_HOST);
	if (n == 0) {
		dial_not_found(d, true, now_ms);
		return;
	}
	d->all_for_good = false;
	d->policy = policy;
	d->ipv6_lost = false;
	d->next_ms = now_ms;
	in_turn(d, ips, n, ipv6_last ? 4 : 6);
	race(d, now_ms);
}

void dial_not_found(struct dial *d, bool for_good, uint64_t now_ms)
{
	(void)now_ms;
	assert(d->ask.want == DIAL_HOST);
	d->all_for_good &= for_good;
	remember(d, DIAL_NO_HOST, &(struct dial_try){ .host = host(d) });
	next_host(d, false);
}

void dial_skip(struct dial *d, enum dial_how how)
{
	assert(d->ask.want == DIAL_HOST);
	d->all_for_good = false;
	remember(d, how, &(struct dial_try){ .host = host(d), .port = port(d)->port });
	next_host(d, false);
}

void dial_is_us(struct dial *d)
{
	uint16_t preference = d->host[host(d)].preference;
	size_t n = d->at_host + 1;

	assert(d->ask.want == DIAL_HOST || d->ask.want == DIAL_TALK);
	/* Whatever its other addresses came to: they are ours, too. */
	d->all_for_good = d->before.all_for_good;
	d->any = d->before.any;
	d->ask = d->before.ask;
	remember(d, DIAL_LOOP, &(struct dial_try){ .host = host(d) });
	for (size_t i = n; i < d->n_order; i++)
		if (d->host[d->order[i]].preference < preference)
			d->order[n++] = d->order[i];
	d->n_order = n;
	next_host(d, false);
}

/* ---- answers: of connections ---- */

static struct dial_address *running(struct dial *d, unsigned number)
{
	for (size_t i = 0; i < d->n_addresses; i++)
		if (d->address[i].state == DIAL_RUNNING && d->address[i].number == number)
			return &d->address[i];
	return NULL;
}

void dial_begun(struct dial *d, uint64_t now_ms)
{
	assert(d->ask.want == DIAL_CONNECT);
	d->address[d->talking].since_ms = now_ms;
	d->next_ms = now_ms + DIAL_RACE_MS;
	if (d->ask.try.fallback) { /* in no race */
		d->ask.want = DIAL_WAIT;
		d->ask.until_ms = now_ms + d->setup.connect_ms;
		return;
	}
	race(d, now_ms);
}

static void over(struct dial *d, struct dial_address *a, enum dial_how how)
{
	struct dial_try t = try_of(d, (size_t)(a - d->address));

	a->state = DIAL_OVER;
	t.fallback = d->ask.try.fallback;
	remember(d, how, &t);
}

static void go_on(struct dial *d, uint64_t now_ms)
{
	if (d->ask.try.fallback)
		next_host(d, true); /* the address that refused TLS is gone now; enough of this host */
	else
		race(d, now_ms);
}

void dial_failed(struct dial *d, unsigned number, enum dial_how how, uint64_t now_ms)
{
	struct dial_address *a = running(d, number);

	if (!a || (d->ask.want != DIAL_WAIT && d->ask.want != DIAL_CONNECT))
		return;
	over(d, a, how);
	d->next_ms = now_ms;
	if (d->ask.want == DIAL_CONNECT && d->ask.try.number != number)
		return; /* another one is being begun at this moment */
	go_on(d, now_ms);
}

void dial_tick(struct dial *d, uint64_t now_ms)
{
	bool any = false;

	if (d->ask.want != DIAL_WAIT)
		return;
	for (size_t i = 0; i < d->n_addresses; i++) {
		struct dial_address *a = &d->address[i];

		if (a->state != DIAL_RUNNING || now_ms < a->since_ms + d->setup.connect_ms)
			continue;
		over(d, a, DIAL_TIMED_OUT);
		any = true;
	}
	if (any || !d->ask.try.fallback)
		go_on(d, now_ms);
}

void dial_connected(struct dial *d, unsigned number, uint64_t now_ms)
{
	struct dial_address *a = running(d, number);
	enum dial_tls tls = d->ask.try.tls;
	bool fallback = d->ask.try.fallback;

	(void)now_ms;
	if (!a || d->ask.want != DIAL_WAIT)
		return;
	/* Running or failed: IPv6 had its turn, and was no good. */
	if (a->ip.family == 4)
		for (size_t i = 0; i < d->n_addresses; i++)
			d->ipv6_lost |= d->address[i].ip.family == 6 && d->address[i].state != DIAL_FRESH;
	for (size_t i = 0; i < d->n_addresses; i++)
		if (d->address[i].state == DIAL_RUNNING && &d->address[i] != a)
			d->address[i].state = DIAL_OVER;
	d->talking = (size_t)(a - d->address);
	d->ask.want = DIAL_TALK;
	d->ask.try = try_of(d, d->talking);
	d->ask.try.tls = tls;
	d->ask.try.fallback = fallback;
}

/* ---- answers: of sessions ---- */

enum move { TO_END, TO_PORT, TO_HOST, TO_CLEAR };

static enum move after(const struct dial *d, enum dial_how how)
{
	const struct dial_try *t = &d->ask.try;

	switch (how) {
	case DIAL_READY:
	case DIAL_PASSWORD:
	case DIAL_LOCAL:
		return TO_END;
	case DIAL_TIMED_OUT:
	case DIAL_NO_STARTTLS:
	case DIAL_UNREACHABLE:
	case DIAL_REFUSED:
		return TO_PORT;
	case DIAL_TLS_STALLED:
		return t->tls == DIAL_TLS_MAY ? TO_CLEAR : TO_PORT;
	case DIAL_TLS_REFUSED:
	case DIAL_TLS_FAILED:
	case DIAL_CERTIFICATE:
		if (t->tls == DIAL_TLS_MAY)
			return TO_CLEAR;
		return d->setup.strict ? TO_END : TO_HOST;
	default:
		return TO_HOST;
	}
}

void dial_talked(struct dial *d, enum dial_how how, uint64_t now_ms)
{
	struct dial_address *a = &d->address[d->talking];
	enum move move;

	assert(d->ask.want == DIAL_TALK);
	move = after(d, how);
	remember(d, how, &d->ask.try);
	/* Only where it is required everywhere has somebody taken it out. */
	d->stripped |= how == DIAL_NO_STARTTLS && d->setup.strict;
	a->state = DIAL_OVER;
	if (move == TO_END) {
		if (how != DIAL_READY)
			d->failed |= UINT32_C(1) << host(d);
		d->ask.end.how = how;
		d->ask.end.try = d->ask.try;
		end(d);
	} else if (move == TO_CLEAR && d->tries < DIAL_TRIES_MAX) {
		connect_to(d, d->talking, DIAL_TLS_NEVER, true);
	} else if (move == TO_PORT && !d->ask.try.fallback) {
		next_port(d, now_ms);
	} else {
		next_host(d, true);
	}
}

/* ---- looking ---- */

bool dial_is_on(const struct dial *d, unsigned number)
{
	for (size_t i = 0; i < d->n_addresses; i++)
		if (d->address[i].state == DIAL_RUNNING && d->address[i].number == number)
			return true;
	return d->ask.want == DIAL_END && d->ask.end.how == DIAL_READY && d->ask.end.try.number == number;
}

bool dial_host_failed(const struct dial *d, size_t i)
{
	return i < DIAL_HOSTS_MAX && (d->failed >> i & 1) != 0;
}

bool dial_ipv6_lost(const struct dial *d)
{
	return d->ipv6_lost;
}

bool dial_stripped(const struct dial *d)
{
	return d->stripped;
}
