/* dovecot.h - the socket where Dovecot asks about logins and mailboxes: a driver.
 *
 * Between dovecot/dict.h and keeper; who may connect is the socket's mode and group.
 * Belongs to struct receive.  All on the loop.  A question that nobody answers is
 * answered "later", so that Dovecot tells its client of a temporary failure and
 * never of a wrong password.
 */
#ifndef POSTERN_RECEIVE_DOVECOT_H
#define POSTERN_RECEIVE_DOVECOT_H

#include "receive/receive.h"

#define DOVECOT_LISTENER  "@dovecot" /* as main calls it, and as API keys name it */
#define DOVECOT_CONNS_MAX 500

struct dovecot_door;

/* fd is taken. */
int dovecot_door_new(struct receive *rx, const struct conf *conf, int fd, struct dovecot_door **ret);
/* Closes all; the memory goes with the loop's next turns. NULL is fine. */
void dovecot_door_free(struct dovecot_door *d);
/* auth_result, auth_challenge or account_is; false: it is for nobody here. */
bool dovecot_door_answer(struct dovecot_door *d, const struct ipc_message *m);
void dovecot_door_keeper_gone(struct dovecot_door *d);
json_t *dovecot_door_json(const struct dovecot_door *d);

#endif
