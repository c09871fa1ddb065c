/* journey.h - the way that a message took, and what the servers on it found out, as its header tells: an
 * engine.
 *
 * Reads Received (RFC 5321 4.4) and Authentication-Results (RFC 8601), in the forms that servers write and
 * the RFCs do not know.  It verifies nothing: any server on the way, the first one too, could have written
 * whatever it liked, so only what the last ones say is worth more than their word.  What does not follow the
 * grammar is read as far as it can be.  Everything is bounded, and printable: what is not is "?".
 */
#ifndef POSTERN_MIME_JOURNEY_H
#define POSTERN_MIME_JOURNEY_H

#include "base/slice.h"

#define MIME_JOURNEY_HOPS   40
#define MIME_JOURNEY_CHECKS 40
#define MIME_JOURNEY_WORD   256

struct mime_hop {
	char from[MIME_JOURNEY_WORD]; /* as the client called itself; "" */
	char address[64];	      /* where it came from, by whoever received it; "" */
	char by[MIME_JOURNEY_WORD];   /* who received it; "" */
	char with[64];		      /* "ESMTPS"; "" */
	char tls[16];		      /* "TLS 1.3"; "TLS" where no version is told; "": not told, or none */
	bool has_time;
	uint64_t time_ms; /* since 1970, by the clock of that server */
};

struct mime_check {
	char by[MIME_JOURNEY_WORD];    /* who looked */
	char method[32], result[32];   /* "spf", "pass"; lower case */
	char about[MIME_JOURNEY_WORD]; /* the domain or address that was judged; "" */
	char reason[MIME_JOURNEY_WORD];
};

struct mime_journey {
	struct mime_hop hop[MIME_JOURNEY_HOPS];	      /* in the order of the way */
	size_t hops, hops_more;			      /* more: the first ones, which are left out */
	struct mime_check check[MIME_JOURNEY_CHECKS]; /* the last server's first */
	size_t checks, checks_more;
};

/* The header section, with line ends of either kind; what stands behind it is not looked at. */
void mime_journey_read(struct slice header, struct mime_journey *ret);

/* What a verdict means, for who does not know the standards: "the server may send for example.org".  Appends
 * to a buffer of the caller's. */
struct buf;
void mime_check_put(const struct mime_check *c, struct buf *to);

/* The value of the first field of this name, unfolded and cut to fit, printable; "" if there is none. */
void mime_journey_field(struct slice header, struct slice name, char *ret, size_t size);

#endif
