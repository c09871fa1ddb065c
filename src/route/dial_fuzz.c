/* Whatever the world answers, in whatever order:
 *  - it ends, after at most DIAL_TRIES_MAX connections;
 *  - it goes to no port but those it was given;
 *  - credentials, and a host whose policy says so, are never in clear;
 *  - clear text after TLS only where TLS was tried because it was offered, to the same address, once;
 *  - of a strict dial, a password or TLS that failed is the last that is tried, and a port is left
 *    only when nothing connected, it was silent, or STARTTLS was missing;
 *  - nothing is tried of the preference of a host that is us, nor behind it (RFC 5321 5.1);
 *  - a second address is begun 250 ms after the one before, or when one failed.
 *
 * Input: the setup, then a byte a decision. */
#include <stdlib.h>

#include "route/dial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct slice in;

static unsigned next(unsigned below)
{
	unsigned v = in.n > 0 ? in.p[0] : 0;

	in = slice_tail(in, 1);
	return v % below;
}

static struct world {
	struct dial_setup setup;
	enum dial_tls policy;
	bool on[DIAL_TRIES_MAX];
	struct dial_try try[DIAL_TRIES_MAX], last;
	unsigned tries, host_tries;
	struct dial_host hosts[DIAL_HOSTS_MAX + 2];
	unsigned cut; /* the preference at which we stand */
	uint64_t now, begun;
	bool over;	   /* nothing more may be tried */
	bool stay;	   /* no other port of this host */
	bool may_clear;	   /* the very next one may be in clear for a failure */
	bool failed_since; /* one failed since the last was begun */
} w;

static void on_connect(const struct dial_try *t)
{
	bool of_setup = false;

	must(!w.over);
	must(w.tries < DIAL_TRIES_MAX && t->number == w.tries);
	must(w.hosts[t->host].preference < w.cut);
	for (size_t i = 0; i < w.setup.n_ports; i++)
		of_setup |= w.setup.ports[i].port == t->port;
	must(of_setup);
	if (w.setup.credentials || w.policy == DIAL_TLS_MUST)
		must(t->tls == DIAL_TLS_MUST || t->tls == DIAL_TLS_IMPLICIT);
	must(t->fallback == w.may_clear);
	if (t->fallback)
		must(t->tls == DIAL_TLS_NEVER && ip_eq(&t->ip, &w.last.ip) && t->port == w.last.port);
	if (w.host_tries > 0) {
		must(w.failed_since || w.now >= w.begun + DIAL_RACE_MS);
		must(t->port == w.last.port || !w.stay);
	}
	w.tries++;
	w.host_tries++;
	w.on[t->number] = true;
	w.try[t->number] = w.last = *t;
	w.begun = w.now;
	w.failed_since = false;
	w.may_clear = false;
}

static void is_us(struct dial *d, unsigned host)
{
	must(w.hosts[host].preference < w.cut);
	w.cut = w.hosts[host].preference;
	dial_is_us(d);
}

static void on_host(struct dial *d)
{
	struct ip ips[12] = { 0 };
	size_t n = next(12);

	must(!w.over);
	must(!w.may_clear);
	w.host_tries = 0;
	w.stay = false;
	w.policy = (enum dial_tls)next(3);
	if (n == 11 && next(2)) {
		is_us(d, dial_want(d)->host);
		return;
	}
	if (n == 0) {
		dial_not_found(d, next(2), w.now);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		ips[i].family = next(2) ? 4 : 6;
		ips[i].byte[0] = (uint8_t)(i + 1);
	}
	dial_found(d, ips, n, w.policy, next(2), w.now);
}

static void on_wait(struct dial *d, uint64_t until)
{
	static const enum dial_how hows[] = { DIAL_LOCAL, DIAL_UNREACHABLE, DIAL_REFUSED, DIAL_TIMED_OUT };
	unsigned number = next(DIAL_TRIES_MAX);

	must(until != UINT64_MAX && until >= w.now);
	for (unsigned i = 0; i < w.tries && !(w.on[number] && dial_is_on(d, number)); i++)
		number = (number + 1) % w.tries;
	must(w.on[number] && dial_is_on(d, number));
	switch (next(4)) {
	case 0:
		w.now = until;
		w.failed_since |= until >= w.begun + w.setup.connect_ms;
		/* Another one's time may be over now. */
		for (unsigned i = 0; i < w.tries; i++)
			w.failed_since |= w.on[i] && dial_is_on(d, i) && until > w.begun;
		dial_tick(d, until);
		break;
	case 1:
		dial_connected(d, number, w.now);
		break;
	default:
		w.on[number] = false;
		w.failed_since = true;
		dial_failed(d, number, hows[next(4)], w.now);
		break;
	}
}

static void on_talk(struct dial *d, const struct dial_try *t)
{
	enum dial_how how = (enum dial_how)(DIAL_UNREACHABLE + next(DIAL_HOWS - DIAL_UNREACHABLE));
	bool tls = how == DIAL_TLS_REFUSED || how == DIAL_TLS_FAILED || how == DIAL_CERTIFICATE;

	must(!w.over);
	w.over = how == DIAL_PASSWORD || how == DIAL_READY ||
		 (w.setup.strict && t->tls != DIAL_TLS_MAY && tls);
	w.may_clear = false;
	w.failed_since = true;
	if (how == DIAL_READY && next(8) == 7) {
		is_us(d, t->host);
		w.over = false;
		return;
	}
	w.may_clear = t->tls == DIAL_TLS_MAY && (tls || how == DIAL_TLS_STALLED) && w.tries < DIAL_TRIES_MAX;
	w.stay = how != DIAL_TIMED_OUT && how != DIAL_NO_STARTTLS && how != DIAL_UNREACHABLE &&
		 how != DIAL_REFUSED && how != DIAL_TLS_STALLED;
	must(dial_is_on(d, t->number));
	w.last = *t;
	dial_talked(d, how, w.now);
	must(!w.over || dial_want(d)->want == DIAL_END);
	must((how == DIAL_READY) == (dial_want(d)->want == DIAL_END && dial_want(d)->end.how == DIAL_READY));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t ports[] = { 587, 465, 2525 };
	struct dial d;
	unsigned steps = 0;

	in = slice_of(data, size);
	w = (struct world){ .now = 1000, .cut = 65536 };
	w.setup.hosts = w.hosts;
	w.setup.n_hosts = 1 + next(DIAL_HOSTS_MAX + 2);
	w.setup.strict = next(2);
	w.setup.credentials = next(2);
	w.setup.connect_ms = 100 + 100 * next(10);
	w.setup.seed = next(256);
	w.setup.n_ports = 1;
	w.setup.ports[0] = (struct dial_port){ 25, (enum dial_tls)next(3) };
	if (next(2)) {
		dial_auto_ports(ports[next(3)], w.setup.ports);
		w.setup.n_ports = 3;
	}
	for (size_t i = 0; i < w.setup.n_hosts; i++)
		w.hosts[i] = (struct dial_host){ (uint16_t)next(4), next(2) };
	dial_init(&d, &w.setup);
	while (dial_want(&d)->want != DIAL_END) {
		struct dial_ask a = *dial_want(&d);

		must(steps++ < 10000);
		if (a.want == DIAL_HOST) {
			on_host(&d);
		} else if (a.want == DIAL_CONNECT) {
			on_connect(&a.try);
			dial_begun(&d, w.now);
		} else if (a.want == DIAL_WAIT) {
			on_wait(&d, a.until_ms);
		} else {
			on_talk(&d, &a.try);
		}
	}
	return 0;
}
