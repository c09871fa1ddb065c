/* port25.h - does the network that we are in let connections to port 25 out?  An engine.
 *
 * Many providers of machines and of access block it, by silence.  Seen from one message that is a
 * server that does not answer; seen from all of them it is not: when connections to several
 * networks time out and none succeeded for a while, it is ours that blocks, and no recipient, and nobody's
 * server, is to blame.  What connects anywhere says that it does not.  While mail flows to others, three
 * servers that are away are three servers that are away.
 *
 * A refusal, or "no route", says nothing: both come from somebody.  Loopback says nothing either,
 * and what connects within private networks nothing about the world outside.
 * Times are milliseconds since 1970.
 */
#ifndef POSTERN_QUEUE_PORT25_H
#define POSTERN_QUEUE_PORT25_H

#include "base/ip.h"

#define PORT25_NETWORKS	 3		  /* that time out, of different owners */
#define PORT25_WINDOW_MS (30 * 60 * 1000) /* within which they do */
#define PORT25_QUIET_MS	 (10 * 60 * 1000) /* for so long nothing succeeded */

#define PORT25_TEXT                                                                           \
	"this network blocks outbound port 25; set a smart host on 587, 465 or 2525, or ask " \
	"the provider"

struct port25 {
	struct port25_seen {
		struct ip net; /* /16 of IPv4, /32 of IPv6 */
		uint64_t at_ms;
		bool private;
	} seen[PORT25_NETWORKS]; /* timed out, since something connected */
	unsigned n;
	uint64_t worked_ms; /* when something outside last did; 0: never */
	bool blocked;
	uint64_t since_ms; /* when that was first seen */
};

/* Loopback, link-local or private: not behind what blocks port 25. */
bool port25_is_inside(const struct ip *ip);

/* After a restart, with what is remembered. */
void port25_restore(struct port25 *p, uint64_t since_ms);

/* Both true when the verdict has changed by it. */
bool port25_timed_out(struct port25 *p, const struct ip *ip, uint64_t now_ms);
bool port25_connected(struct port25 *p, const struct ip *ip, uint64_t now_ms);
/* A connection that stood for a while is of use still; that says less. */
void port25_worked(struct port25 *p, const struct ip *ip, uint64_t now_ms);

void port25_shift(struct port25 *p, int64_t by_ms);

#endif
