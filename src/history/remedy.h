/* remedy.h - what each mishap means and what to change in the client, in plain words. */
#ifndef POSTERN_HISTORY_REMEDY_H
#define POSTERN_HISTORY_REMEDY_H

#include "base/buf.h"

/* The ports a user may be sent to; 0: there is none. */
struct remedy_ports {
	uint16_t starttls, implicit;
};

/* One sentence on what the client did, such as "speaks TLS from the first byte on
 * port 587, which begins in clear text (STARTTLS)". */
void remedy_what(unsigned kind, uint16_t port, struct buf *to);
/* One or two sentences on what to change, with the real ports. */
void remedy_advice(unsigned kind, uint16_t port, const struct remedy_ports *ports, struct buf *to);
/* By its name, "tls-on-starttls"; 0 if there is no such kind. */
unsigned remedy_kind(struct slice name);

#endif
