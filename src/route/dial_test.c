/* Which connections are tried, in which order, and when it ends: a world of servers, and what the
 * engine makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "route/dial.h"

#define CONNECT_MS 30000

/* A server: what connecting comes to (READY: it connects), after how long, and then the session. */
struct server {
	const char *ip;
	uint16_t port; /* 0: any */
	enum dial_how connect;
	unsigned ms;
	enum dial_how talk;
	enum dial_how in_clear; /* when TLS is not even tried; 0: as talk */
};

struct world {
	const char *name;
	const char *hosts; /* "10=6.a,4.a 20=4.b" ; "x": no address, "?": none for now, "u": it is us; "!":
			      MUST; "~": failed lately */
	bool strict, credentials;
	const char *ports; /* "25" (STARTTLS if offered), "auto", "auto465", "587" */
	struct server servers[8];
	const char *expect;
};

struct running {
	struct dial_try t;
	uint64_t at;
	enum dial_how how;
	bool on;
};

static struct ip ip_of(const char *name)
{
	struct ip ip = { .family = (uint8_t)(name[0] - '0') };

	ip.byte[0] = (uint8_t)name[2];
	return ip;
}

static const struct server *server_of(const struct world *w, const struct dial_try *t)
{
	for (const struct server *s = w->servers; s < w->servers + 8 && s->ip; s++) {
		struct ip ip = ip_of(s->ip);

		if (ip_eq(&ip, &t->ip) && (s->port == 0 || s->port == t->port))
			return s;
	}
	return NULL;
}

static void say_try(const struct dial_try *t, struct buf *to)
{
	static const char *const tls[] = { "-", "", "!", "=" };

	buf_fmt(to, " %d.%c:%d%s", t->ip.family, t->ip.byte[0], t->port, tls[t->tls]);
}

struct host {
	struct ip ips[8];
	size_t n;
	bool must, for_good, us;
};

static void parse_address(struct slice word, struct host *host, struct dial_host *dh)
{
	char name[4];

	dh->failed_lately |= cur_byte(&word, '~');
	host->must |= cur_byte(&word, '!');
	assert_true(slice_copy(word, name, sizeof(name)));
	if (name[0] == 'x')
		host->for_good = true;
	else if (name[0] == 'u')
		host->us = true;
	else if (name[0] != '?')
		host->ips[host->n++] = ip_of(name);
}

static size_t parse_hosts(const char *text, struct host host[8], struct dial_host dh[8])
{
	struct slice all = slice_str(text), word, address;
	uint64_t preference;
	size_t n = 0;

	while (all.n > 0) {
		if (!cur_until(&all, ' ', &word)) {
			word = all;
			all = slice_tail(all, all.n);
		}
		memset(&host[n], 0, sizeof(host[n]));
		assert_true(cur_u64(&word, 65535, &preference) && cur_byte(&word, '='));
		dh[n] = (struct dial_host){ .preference = (uint16_t)preference };
		while (cur_until(&word, ',', &address))
			parse_address(address, &host[n], &dh[n]);
		parse_address(word, &host[n], &dh[n]);
		n++;
	}
	return n;
}

static void set_ports(const char *text, struct dial_setup *s)
{
	struct slice at = slice_str(text);
	uint64_t port = 0;

	if (cur_word(&at, SLICE_LIT("auto"))) {
		(void)cur_u64(&at, 65535, &port);
		dial_auto_ports((uint16_t)port, s->ports);
		s->n_ports = 3;
		return;
	}
	assert_true(cur_u64(&at, 65535, &port));
	s->n_ports = 1;
	s->ports[0].port = (uint16_t)port;
	s->ports[0].tls = port == 25 ? DIAL_TLS_MAY : DIAL_TLS_MUST;
}

/* "6.a:25 @250 4.a:25 ... = ready 4.a:25": a try, with @MS where time passed before it. */
static void play(const struct world *w, uint64_t seed, struct buf *to, struct dial *d)
{
	struct host host[8];
	struct dial_host dh[8];
	struct running run[DIAL_TRIES_MAX] = { 0 };
	struct dial_setup setup = { .hosts = dh,
				    .strict = w->strict,
				    .credentials = w->credentials,
				    .connect_ms = CONNECT_MS,
				    .seed = seed };
	uint64_t now = 1000, said = 1000;

	setup.n_hosts = parse_hosts(w->hosts, host, dh);
	set_ports(w->ports, &setup);
	dial_init(d, &setup);
	buf_reset(to);
	for (int i = 0; i < 1000; i++) {
		const struct dial_ask *a = dial_want(d);
		const struct server *s;
		struct running *first = NULL;

		switch (a->want) {
		case DIAL_HOST:
			if (host[a->host].us)
				dial_is_us(d);
			else if (host[a->host].n == 0)
				dial_not_found(d, host[a->host].for_good, now);
			else
				dial_found(d, host[a->host].ips, host[a->host].n,
					   host[a->host].must ? DIAL_TLS_MUST : DIAL_TLS_MAY, false, now);
			break;
		case DIAL_CONNECT:
			if (now > said)
				buf_fmt(to, " @%u", (unsigned)(now - said));
			said = now;
			say_try(&a->try, to);
			s = server_of(w, &a->try);
			run[a->try.number] = (struct running){ a->try, now + (s ? s->ms : 1000000),
							       s ? s->connect : 0, true };
			dial_begun(d, now);
			break;
		case DIAL_WAIT:
			for (unsigned r = 0; r < DIAL_TRIES_MAX; r++)
				if (run[r].on && dial_is_on(d, r) && (!first || run[r].at < first->at))
					first = &run[r];
			assert_non_null(first);
			if (first->at > a->until_ms) {
				now = a->until_ms;
				dial_tick(d, now);
				break;
			}
			now = first->at > now ? first->at : now;
			first->on = false;
			if (first->how == DIAL_READY)
				dial_connected(d, first->t.number, now);
			else
				dial_failed(d, first->t.number, first->how, now);
			break;
		case DIAL_TALK:
			s = server_of(w, &a->try);
			if (s->talk == DIAL_LOOP) {
				dial_is_us(d);
				break;
			}
			dial_talked(d, a->try.tls == DIAL_TLS_NEVER && s->in_clear ? s->in_clear : s->talk,
				    now);
			break;
		case DIAL_END:
			buf_fmt(to, " = %s%s", dial_how_name(a->end.how), a->end.for_good ? " for good" : "");
			if (a->end.how > DIAL_NO_HOST)
				say_try(&a->end.try, to);
			if (dial_stripped(d))
				buf_str(to, " stripped");
			if (dial_ipv6_lost(d))
				buf_str(to, " no-ipv6");
			buf_byte(to, 0);
			return;
		}
	}
	fail_msg("no end");
}

#define UP(ip)                                       \
	{                                            \
		ip, 0, DIAL_READY, 10, DIAL_READY, 0 \
	}
#define DOWN(ip)                             \
	{                                    \
		ip, 0, DIAL_REFUSED, 5, 0, 0 \
	}
#define TALKS(ip, how)                        \
	{                                     \
		ip, 0, DIAL_READY, 10, how, 0 \
	}
#define AT(ip, port, how)                        \
	{                                        \
		ip, port, DIAL_READY, 10, how, 0 \
	}
#define NO(ip, port, how)              \
	{                              \
		ip, port, how, 5, 0, 0 \
	}

static const struct world worlds[] = {
	/* hosts and addresses */
	{ "the best host", "10=4.a 20=4.b", 0, 0, "25", { UP("4.a"), UP("4.b") }, " 4.a:25 = ready 4.a:25" },
	{ "the order of the list does not matter",
	  "20=4.b 10=4.a",
	  0,
	  0,
	  "25",
	  { UP("4.a"), UP("4.b") },
	  " 4.a:25 = ready 4.a:25" },
	/* ourselves */
	{ "we are the best one", "10=u 20=4.b", 0, 0, "25", { UP("4.b") }, " = loop for good" },
	{ "all of our preference go, and those behind",
	  "10=u 10=u 20=4.b 30=4.c",
	  0,
	  0,
	  "25",
	  { UP("4.b"), UP("4.c") },
	  " = loop for good" },
	{ "a better one is tried",
	  "10=4.a 20=u 30=4.c",
	  0,
	  0,
	  "25",
	  { UP("4.a") },
	  " 4.a:25 = ready 4.a:25" },
	{ "and what it says counts",
	  "10=4.a 20=u 30=4.c",
	  0,
	  0,
	  "25",
	  { DOWN("4.a"), UP("4.c") },
	  " 4.a:25 = refused 4.a:25" },
	{ "also when it is tried behind us, for it failed lately",
	  "10=~4.a 20=u 30=4.c",
	  0,
	  0,
	  "25",
	  { UP("4.a"), UP("4.c") },
	  " 4.a:25 = ready 4.a:25" },
	{ "a better one without an address: certain all the same",
	  "10=x 20=u 30=4.c",
	  0,
	  0,
	  "25",
	  { UP("4.c") },
	  " = no-address for good" },
	{ "not certain", "10=? 20=u 30=4.c", 0, 0, "25", { UP("4.c") }, " = no-address" },
	{ "found out by what it says",
	  "10=4.a 20=4.b",
	  0,
	  0,
	  "25",
	  { TALKS("4.a", DIAL_LOOP), UP("4.b") },
	  " 4.a:25 = loop for good" },
	{ "with another address that refuses",
	  "10=6.a,4.a 20=4.b",
	  0,
	  0,
	  "25",
	  { DOWN("6.a"), TALKS("4.a", DIAL_LOOP), UP("4.b") },
	  " 6.a:25 @5 4.a:25 = loop for good no-ipv6" },
	{ "refused: the next host",
	  "10=4.a 20=4.b",
	  0,
	  0,
	  "25",
	  { DOWN("4.a"), UP("4.b") },
	  " 4.a:25 @5 4.b:25 = ready 4.b:25" },
	{ "time-out: the next host",
	  "10=4.a 20=4.b",
	  0,
	  0,
	  "25",
	  { UP("4.b") },
	  " 4.a:25 @30000 4.b:25 = ready 4.b:25" },
	{ "5xx greeting: the next host",
	  "10=4.a 20=4.b",
	  0,
	  0,
	  "25",
	  { TALKS("4.a", DIAL_SESSION_REFUSED), UP("4.b") },
	  " 4.a:25 @10 4.b:25 = ready 4.b:25" },
	{ "lost in the greeting: the next host",
	  "10=4.a 20=4.b",
	  0,
	  0,
	  "25",
	  { TALKS("4.a", DIAL_LOST), UP("4.b") },
	  " 4.a:25 @10 4.b:25 = ready 4.b:25" },
	{ "a host without address: the next",
	  "10=x 20=4.b",
	  0,
	  0,
	  "25",
	  { UP("4.b") },
	  " 4.b:25 = ready 4.b:25" },
	{ "no host has an address", "10=x 20=x", 0, 0, "25", { { 0 } }, " = no-address for good" },
	{ "one may have, later", "10=x 20=?", 0, 0, "25", { { 0 } }, " = no-address" },
	{ "what got furthest is told",
	  "10=4.a 20=4.b 30=4.c",
	  0,
	  0,
	  "25",
	  { DOWN("4.a"), TALKS("4.b", DIAL_SESSION_REFUSED), DOWN("4.c") },
	  " 4.a:25 @5 4.b:25 @10 4.c:25 = session-refused 4.b:25" },
	{ "failed lately: last",
	  "10=~4.a 20=4.b",
	  0,
	  0,
	  "25",
	  { UP("4.a"), UP("4.b") },
	  " 4.b:25 = ready 4.b:25" },
	{ "but tried",
	  "10=~4.a 20=4.b",
	  0,
	  0,
	  "25",
	  { UP("4.a"), DOWN("4.b") },
	  " 4.b:25 @5 4.a:25 = ready 4.a:25" },
	/* the race */
	{ "IPv6 first", "10=4.a,6.a", 0, 0, "25", { UP("4.a"), UP("6.a") }, " 6.a:25 = ready 6.a:25" },
	{ "a silent IPv6 costs 250 ms",
	  "10=4.a,6.a",
	  0,
	  0,
	  "25",
	  { UP("4.a") },
	  " 6.a:25 @250 4.a:25 = ready 4.a:25 no-ipv6" },
	{ "an unreachable one costs nothing",
	  "10=4.a,6.a",
	  0,
	  0,
	  "25",
	  { UP("4.a"), { "6.a", 0, DIAL_UNREACHABLE, 0, 0, 0 } },
	  " 6.a:25 4.a:25 = ready 4.a:25 no-ipv6" },
	{ "families in turn",
	  "10=6.a,6.b,6.c,4.d,4.e",
	  0,
	  0,
	  "25",
	  { DOWN("6.a"), DOWN("6.b"), DOWN("6.c"), DOWN("4.d"), UP("4.e") },
	  " 6.a:25 @5 4.d:25 @5 6.b:25 @5 4.e:25 = ready 4.e:25 no-ipv6" },
	{ "the slow one may still win",
	  "10=6.a,4.a",
	  0,
	  0,
	  "25",
	  { { "6.a", 0, DIAL_READY, 300, DIAL_READY, 0 }, { "4.a", 0, DIAL_READY, 400, DIAL_READY, 0 } },
	  " 6.a:25 @250 4.a:25 = ready 6.a:25" },
	/* opportunistic TLS */
	{ "TLS fails: in clear, once, there",
	  "10=4.a 20=4.b",
	  0,
	  0,
	  "25",
	  { { "4.a", 0, DIAL_READY, 10, DIAL_TLS_FAILED, DIAL_READY }, UP("4.b") },
	  " 4.a:25 @10 4.a:25- = ready 4.a:25-" },
	{ "STARTTLS refused: the same",
	  "10=4.a",
	  0,
	  0,
	  "25",
	  { { "4.a", 0, DIAL_READY, 10, DIAL_TLS_REFUSED, DIAL_READY } },
	  " 4.a:25 @10 4.a:25- = ready 4.a:25-" },
	{ "the handshake hangs: the same",
	  "10=4.a",
	  0,
	  0,
	  "25",
	  { { "4.a", 0, DIAL_READY, 10, DIAL_TLS_STALLED, DIAL_READY } },
	  " 4.a:25 @10 4.a:25- = ready 4.a:25-" },
	{ "only once",
	  "10=4.a 20=4.b",
	  0,
	  0,
	  "25",
	  { { "4.a", 0, DIAL_READY, 10, DIAL_TLS_FAILED, DIAL_SESSION_REFUSED }, UP("4.b") },
	  " 4.a:25 @10 4.a:25- @10 4.b:25 = ready 4.b:25" },
	{ "never with a policy",
	  "10=!4.a",
	  0,
	  0,
	  "25",
	  { { "4.a", 0, DIAL_READY, 10, DIAL_TLS_FAILED, DIAL_READY } },
	  " 4.a:25! = tls-failed 4.a:25!" },
	{ "a policy moves to the next host",
	  "10=!4.a 20=!4.b",
	  0,
	  0,
	  "25",
	  { TALKS("4.a", DIAL_CERTIFICATE), UP("4.b") },
	  " 4.a:25! @10 4.b:25! = ready 4.b:25!" },
	{ "also where STARTTLS is gone",
	  "10=!4.a 20=!4.b",
	  0,
	  0,
	  "25",
	  { TALKS("4.a", DIAL_NO_STARTTLS), UP("4.b") },
	  " 4.a:25! @10 4.b:25! = ready 4.b:25!" },
	{ "a policy is one host's",
	  "10=!4.a 20=4.b",
	  0,
	  0,
	  "25",
	  { TALKS("4.a", DIAL_CERTIFICATE), UP("4.b") },
	  " 4.a:25! @10 4.b:25 = ready 4.b:25" },
	/* ports: auto */
	{ "587 by custom", "0=4.a", 1, 1, "auto", { UP("4.a") }, " 4.a:587! = ready 4.a:587!" },
	{ "refused: 465, its equal",
	  "0=4.a",
	  1,
	  1,
	  "auto",
	  { NO("4.a", 587, DIAL_REFUSED), UP("4.a") },
	  " 4.a:587! @5 4.a:465= = ready 4.a:465=" },
	{ "unreachable: 465",
	  "0=4.a",
	  1,
	  1,
	  "auto",
	  { NO("4.a", 587, DIAL_UNREACHABLE), UP("4.a") },
	  " 4.a:587! @5 4.a:465= = ready 4.a:465=" },
	{ "both dropped: 2525",
	  "0=4.a",
	  1,
	  1,
	  "auto",
	  { AT("4.a", 2525, DIAL_READY) },
	  " 4.a:587! @30000 4.a:465= @30000 4.a:2525! = ready 4.a:2525!" },
	{ "silent after connecting: moves on",
	  "0=4.a",
	  1,
	  1,
	  "auto",
	  { AT("4.a", 587, DIAL_TIMED_OUT), UP("4.a") },
	  " 4.a:587! @10 4.a:465= = ready 4.a:465=" },
	{ "stripped: moves on, and says so",
	  "0=4.a",
	  1,
	  1,
	  "auto",
	  { AT("4.a", 587, DIAL_NO_STARTTLS), UP("4.a") },
	  " 4.a:587! @10 4.a:465= = ready 4.a:465= stripped" },
	{ "stripped everywhere: never in clear",
	  "0=4.a",
	  1,
	  1,
	  "auto",
	  { NO("4.a", 465, DIAL_REFUSED), TALKS("4.a", DIAL_NO_STARTTLS) },
	  " 4.a:587! @10 4.a:465= @5 4.a:2525! = no-starttls 4.a:587! stripped" },
	{ "never 25",
	  "0=4.a",
	  1,
	  1,
	  "auto",
	  { AT("4.a", 25, DIAL_READY), DOWN("4.a") },
	  " 4.a:587! @5 4.a:465= @5 4.a:2525! = refused 4.a:587!" },
	{ "a wrong password is the end",
	  "0=4.a 1=4.b",
	  1,
	  1,
	  "auto",
	  { AT("4.a", 587, DIAL_PASSWORD), UP("4.a"), UP("4.b") },
	  " 4.a:587! = login 4.a:587!" },
	{ "so is a wrong certificate",
	  "0=4.a 1=4.b",
	  1,
	  1,
	  "auto",
	  { AT("4.a", 587, DIAL_CERTIFICATE), UP("4.a"), UP("4.b") },
	  " 4.a:587! = certificate 4.a:587!" },
	{ "and a broken handshake",
	  "0=4.a 1=4.b",
	  1,
	  1,
	  "auto",
	  { AT("4.a", 587, DIAL_TLS_FAILED), UP("4.a"), UP("4.b") },
	  " 4.a:587! = tls-failed 4.a:587!" },
	{ "and STARTTLS refused",
	  "0=4.a 1=4.b",
	  1,
	  1,
	  "auto",
	  { AT("4.a", 587, DIAL_TLS_REFUSED), UP("4.a"), UP("4.b") },
	  " 4.a:587! = tls-refused 4.a:587!" },
	{ "a refusing greeting: no other port, but the next host",
	  "0=4.a 1=4.b",
	  1,
	  1,
	  "auto",
	  { AT("4.a", 587, DIAL_SESSION_REFUSED), UP("4.a"), UP("4.b") },
	  " 4.a:587! @10 4.b:587! = ready 4.b:587!" },
	{ "closed before the greeting: the same",
	  "0=4.a 1=4.b",
	  1,
	  1,
	  "auto",
	  { AT("4.a", 587, DIAL_LOST), UP("4.a"), UP("4.b") },
	  " 4.a:587! @10 4.b:587! = ready 4.b:587!" },
	{ "the port that worked comes first",
	  "0=4.a",
	  1,
	  1,
	  "auto465",
	  { UP("4.a") },
	  " 4.a:465= = ready 4.a:465=" },
	{ "then the others by custom",
	  "0=4.a",
	  1,
	  1,
	  "auto2525",
	  { DOWN("4.a") },
	  " 4.a:2525! @5 4.a:587! @5 4.a:465= = refused 4.a:2525!" },
	{ "each port by all addresses",
	  "0=6.a,4.a",
	  1,
	  1,
	  "auto",
	  { NO("6.a", 587, DIAL_REFUSED), NO("4.a", 587, DIAL_REFUSED), UP("6.a") },
	  " 6.a:587! @5 4.a:587! @5 6.a:465= = ready 6.a:465=" },
	{ "one port: no other",
	  "0=4.a",
	  1,
	  1,
	  "587",
	  { NO("4.a", 587, DIAL_REFUSED), UP("4.a") },
	  " 4.a:587! = refused 4.a:587!" },
	{ "credentials on 25: TLS or nothing",
	  "0=4.a",
	  1,
	  1,
	  "25",
	  { TALKS("4.a", DIAL_NO_STARTTLS) },
	  " 4.a:25! = no-starttls 4.a:25! stripped" },
	{ "credentials on 25: no clear text after TLS",
	  "0=4.a",
	  1,
	  1,
	  "25",
	  { { "4.a", 0, DIAL_READY, 10, DIAL_TLS_FAILED, DIAL_READY } },
	  " 4.a:25! = tls-failed 4.a:25!" },
};

static void test_worlds(void **state)
{
	char got[4096];
	struct buf text;
	struct dial d;
	int failed = 0;

	(void)state;
	buf_init_in(&text, got, sizeof(got));
	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		play(&worlds[i], 1, &text, &d);
		if (strcmp(got, worlds[i].expect) != 0) {
			print_message("# %s:\n#  got     %s\n#  expected%s\n", worlds[i].name, got,
				      worlds[i].expect);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

/* Each of four equals is the first about as often; a worse one never. */
static void test_at_random_within_one_preference(void **state)
{
	static const struct world w = { "",   "10=4.a 10=4.b 10=4.c 10=4.d 20=4.e",
					0,    0,
					"25", { UP("4.a"), UP("4.b"), UP("4.c"), UP("4.d"), UP("4.e") },
					"" };
	unsigned count[5] = { 0 };
	char got[4096];
	struct buf text;
	struct dial d;

	(void)state;
	buf_init_in(&text, got, sizeof(got));
	for (uint64_t seed = 0; seed < 1000; seed++) {
		play(&w, seed, &text, &d);
		count[got[3] - 'a']++;
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(count[i], 180, 320);
	assert_int_equal(count[4], 0);
}

/* Smart hosts of equal weight are not shuffled: the administrator wrote them in an order. */
static void test_smart_hosts_in_order(void **state)
{
	static const struct world w = { "", "0=4.a 0=4.b", 1, 1, "587", { UP("4.a"), UP("4.b") }, "" };
	char got[4096];
	struct buf text;
	struct dial d;

	(void)state;
	buf_init_in(&text, got, sizeof(got));
	for (uint64_t seed = 0; seed < 50; seed++) {
		play(&w, seed, &text, &d);
		assert_string_equal(got, " 4.a:587! = ready 4.a:587!");
	}
}

static void test_hosts_that_failed(void **state)
{
	static const struct world w = {
		"",   "10=4.a 20=4.b 30=x 40=4.c 50=4.d",
		0,    0,
		"25", { DOWN("4.a"), TALKS("4.b", DIAL_SESSION_REFUSED), UP("4.c"), UP("4.d") },
		""
	};
	char got[4096];
	struct buf text;
	struct dial d;

	(void)state;
	buf_init_in(&text, got, sizeof(got));
	play(&w, 1, &text, &d);
	assert_true(dial_host_failed(&d, 0));
	assert_true(dial_host_failed(&d, 1));
	for (size_t i = 2; i < 5; i++)
		assert_false(dial_host_failed(&d, i));
}

static void test_ipv6_that_was_lost_comes_second(void **state)
{
	struct ip ips[2] = { ip_of("6.a"), ip_of("4.a") };
	struct dial_host h = { 0 };
	struct dial_setup setup = {
		.hosts = &h, .n_hosts = 1, .n_ports = 1, .ports = { { 25, DIAL_TLS_MAY } }
	};
	struct dial d;

	(void)state;
	dial_init(&d, &setup);
	dial_found(&d, ips, 2, DIAL_TLS_MAY, true, 0);
	assert_int_equal(dial_want(&d)->try.ip.family, 4);
}

/* A domain cannot keep us busy with hundreds of addresses. */
static void test_ceiling(void **state)
{
	struct dial_host h[40] = { 0 };
	struct dial_setup setup = {
		.hosts = h, .n_hosts = 40, .n_ports = 1, .ports = { { 25, DIAL_TLS_MAY } }
	};
	struct ip ips[40];
	unsigned tries = 0, hosts = 0;
	struct dial d;

	(void)state;
	for (int i = 0; i < 40; i++)
		ips[i] = ip_of("4.a");
	dial_init(&d, &setup);
	while (dial_want(&d)->want != DIAL_END)
		if (dial_want(&d)->want == DIAL_HOST) {
			hosts++;
			dial_found(&d, ips, 40, DIAL_TLS_MAY, false, 0);
		} else {
			tries++;
			dial_failed(&d, dial_want(&d)->try.number, DIAL_REFUSED, 0);
		}
	assert_int_equal(tries, DIAL_TRIES_MAX);
	assert_int_equal(hosts, DIAL_TRIES_MAX / DIAL_ADDRESSES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worlds),
		cmocka_unit_test(test_at_random_within_one_preference),
		cmocka_unit_test(test_smart_hosts_in_order),
		cmocka_unit_test(test_hosts_that_failed),
		cmocka_unit_test(test_ipv6_that_was_lost_comes_second),
		cmocka_unit_test(test_ceiling),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
