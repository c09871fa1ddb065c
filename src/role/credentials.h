/* credentials.h - in main: the passwords and tokens of routes that log in at a smart host.
 *
 * From a file, or from a command (a program and its arguments; no shell, nothing of our
 * environment, ten seconds, 4 KiB), read as main's own user: of either the first line.  All smtp
 * processes are sent it; none can read it by itself.  Read at start, at each reload, and, because
 * a token expires, when a server refused one: at most once in STALE_S seconds a route.
 */
#ifndef POSTERN_ROLE_CREDENTIALS_H
#define POSTERN_ROLE_CREDENTIALS_H

#include "role/server.h"

/* Begins to read those of s->conf anew; what is read goes out when it is there. */
void credentials_load(struct server *s);
void credentials_send(struct child *c); /* what there is, to an smtp process that begins */
void credentials_stale(struct child *from, const struct ipc_credential_stale *m);
void credentials_wipe(void);

#endif
