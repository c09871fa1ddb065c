/* dial.h - which connection to try next, until one is good enough to send mail over: an engine.
 *
 * Given hosts by preference, the ports by rule, and what came of each try, it says what to do
 * next, or how it ended.  It is no connection and asks no resolver: the driver (send/dialer.c, a
 * test, a fuzzer) does what dial_want() says and answers with the call named beside it.  Time is
 * milliseconds of any clock that never goes back.
 *
 * Rules:
 *   hosts        by preference, at random within one; those that just failed come last.
 *   addresses    of a host raced (RFC 8305): IPv6 first, families in turn, 250 ms apart, at once
 *                when the one before has failed.  The first that connects is it.
 *   ports        one behind the other, all addresses each, and only when no address connected,
 *                the server was silent, or did not offer the STARTTLS that is required.
 *   hosts again  the next one when nothing connected, or the session came to nothing before the
 *                first MAIL.  With `strict` (a smart host) a password or TLS that fails ends it:
 *                a password goes to no second server and to no second port.
 *   clear text   where TLS was tried only because it was offered, and failed: once more to the
 *                same address, without.  Never where it is required, which it always is where
 *                credentials are sent.
 *   ourselves    a host that turns out to be us ends it for all of its preference and behind it
 *                (RFC 5321 5.1); what better hosts said counts, else it is a loop.
 * The last one of all: how it ended is the failure that got furthest, of the best host.
 */
#ifndef POSTERN_ROUTE_DIAL_H
#define POSTERN_ROUTE_DIAL_H

#include "base/ip.h"

#define DIAL_HOSTS_MAX	   32
#define DIAL_ADDRESSES_MAX 8 /* of a host */
#define DIAL_PORTS_MAX	   3
#define DIAL_TRIES_MAX	   32 /* connections begun, in all */
#define DIAL_RACE_MS	   250

enum dial_tls {
	DIAL_TLS_NEVER,
	DIAL_TLS_MAY,	   /* STARTTLS if offered, whoever answers */
	DIAL_TLS_MUST,	   /* STARTTLS, or not at all */
	DIAL_TLS_IMPLICIT, /* from the first octet */
};

struct dial_port {
	uint16_t port;
	enum dial_tls tls;
};

/* The submission ports as `ports: auto` tries them: 587, 465, 2525; the one that worked last (0:
 * none) first. */
void dial_auto_ports(uint16_t worked, struct dial_port ret[static DIAL_PORTS_MAX]);

struct dial_host {
	uint16_t preference;
	bool failed_lately;
};

struct dial_setup {
	const struct dial_host *hosts; /* copied */
	size_t n_hosts;		       /* more than DIAL_HOSTS_MAX: the worst are left out */
	struct dial_port ports[DIAL_PORTS_MAX];
	size_t n_ports;
	bool strict;		/* a smart host: see above */
	bool credentials;	/* TLS is required, whatever the ports say */
	unsigned connect_ms;	/* a connection may take so long */
	uint64_t seed;		/* for what is at random */
	unsigned addresses_max; /* of a host; 0: DIAL_ADDRESSES_MAX */
};

/* What came of a try; in the order of how far it got. */
enum dial_how {
	DIAL_LOOP,	      /* the best host that there is is ourselves (see dial_end.for_good) */
	DIAL_NO_HOST,	      /* no address of a host was found (see dial_end.for_good) */
	DIAL_LOCAL,	      /* our own source address or memory; nobody else's fault */
	DIAL_UNREACHABLE,     /* no way there: network or host unreachable */
	DIAL_REFUSED,	      /* nobody listens there */
	DIAL_TIMED_OUT,	      /* connecting, or a connected server that is silent */
	DIAL_LOST,	      /* closed or reset before the first MAIL */
	DIAL_SESSION_REFUSED, /* the greeting or the answer to EHLO was 4xx or 5xx, or no reply */
	DIAL_NO_STARTTLS,     /* required and not offered */
	DIAL_TLS_REFUSED,     /* STARTTLS was offered, and answered 4xx or 5xx */
	DIAL_TLS_FAILED,      /* the handshake */
	DIAL_TLS_STALLED,     /* the handshake took too long */
	DIAL_CERTIFICATE,     /* TLS is up, with somebody whom the policy does not accept */
	DIAL_PASSWORD,	      /* AUTH failed, or cannot be done */
	DIAL_READY,	      /* greeted, encrypted, logged in as required: send */
	DIAL_HOWS,
};
const char *dial_how_name(enum dial_how how); /* "timed-out" */

enum dial_want {
	DIAL_HOST,    /* addresses of host ask.host: dial_found() or dial_not_found() */
	DIAL_CONNECT, /* begin ask.try: dial_begun(), or dial_failed() at once */
	DIAL_WAIT,    /* for dial_connected() or dial_failed() of what runs; at ask.until_ms dial_tick() */
	DIAL_TALK,    /* as far as the first MAIL, over ask.try: dial_talked() */
	DIAL_END,     /* see ask.end */
};

struct dial_try {
	unsigned number; /* from 0 on; never again in this dial */
	uint8_t host;	 /* its place in setup.hosts */
	struct ip ip;
	uint16_t port;
	enum dial_tls tls; /* what is to be done: the port's rule and the host's policy */
	bool fallback;	   /* in clear, because TLS failed before */
};

struct dial_ask {
	enum dial_want want;
	uint8_t host;
	struct dial_try try;
	uint64_t until_ms;
	struct {
		enum dial_how how;
		bool for_good;	     /* NO_HOST, LOOP: certain, for each host that there is */
		struct dial_try try; /* of which; NO_HOST: only host */
	} end;
};

struct dial_address {
	struct ip ip;
	enum { DIAL_FRESH, DIAL_RUNNING, DIAL_OVER } state;
	unsigned number; /* the try's */
	uint64_t since_ms;
};

/* Caller's storage; nothing on the heap. */
struct dial {
	struct dial_setup setup;
	struct dial_host host[DIAL_HOSTS_MAX];
	uint8_t order[DIAL_HOSTS_MAX];
	size_t n_order, at_host, at_port;
	struct dial_address address[DIAL_ADDRESSES_MAX];
	size_t n_addresses, talking;
	enum dial_tls policy; /* this host's */
	unsigned tries;
	uint64_t next_ms; /* when the race may have one more */
	bool host_tried;  /* a connection to this host was begun */
	bool all_for_good, any, ipv6_lost, stripped;
	uint32_t failed; /* hosts, by bit */
	struct dial_ask ask;
	struct {
		bool all_for_good, any;
		struct dial_ask ask;
	} before; /* this host */
};

/* At least one host and one port. */
void dial_init(struct dial *d, const struct dial_setup *setup);
const struct dial_ask *dial_want(const struct dial *d);

/* policy: NEVER, MAY or MUST, as is known of this very host now.  ipv6_last: it was of no use here
 * a while ago. */
void dial_found(struct dial *d, const struct ip *ips, size_t n, enum dial_tls policy, bool ipv6_last,
		uint64_t now_ms);
/* for_good: it certainly has none (NXDOMAIN, no data), or must not be used. */
void dial_not_found(struct dial *d, bool for_good, uint64_t now_ms);
/* It has addresses, and must not be connected to: for what how says. */
void dial_skip(struct dial *d, enum dial_how how);
/* It is us: by its addresses (HOST), or by what it said (TALK). */
void dial_is_us(struct dial *d);
void dial_begun(struct dial *d, uint64_t now_ms);
/* how: LOCAL, UNREACHABLE, REFUSED or TIMED_OUT. */
void dial_failed(struct dial *d, unsigned number, enum dial_how how, uint64_t now_ms);
void dial_connected(struct dial *d, unsigned number, uint64_t now_ms);
void dial_talked(struct dial *d, enum dial_how how, uint64_t now_ms);
void dial_tick(struct dial *d, uint64_t now_ms);

/* Whether the driver still has something to do for that try: else it closes it. */
bool dial_is_on(const struct dial *d, unsigned number);
/* What is worth remembering. */
bool dial_host_failed(const struct dial *d, size_t host);
bool dial_ipv6_lost(const struct dial *d); /* of the last host: IPv6 had its start, IPv4 connected */
bool dial_stripped(const struct dial *d);  /* a submission port did not offer STARTTLS */

#endif
