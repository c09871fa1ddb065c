/* explain.h - where mail for a destination would go from here, in words and numbers, without sending.
 *
 * The same look-ups and decisions as a lane's (send/way.h, send/host.h), host by host; nobody
 * is connected to.  For `postern route`.
 */
#ifndef POSTERN_SEND_EXPLAIN_H
#define POSTERN_SEND_EXPLAIN_H

#include "send/send.h"

/* Calls done(arg, what) once, perhaps at once; what is the receiver's: {"site", "ttl_s", "ports", "hosts":
 * [{"host", "preference", "addresses", "tls", "words", ...}]}, or {"failure": {"permanent", "status",
 * "text"}}; NULL when there was no memory, or all is being dropped.  0, or -ENOMEM (done() is not called), or
 * -EBUSY: too many at once. */
int send_explain(struct send *s, struct slice route, struct slice domain, bool relax,
		 void (*done)(void *arg, json_t *what), void *arg);

#endif
