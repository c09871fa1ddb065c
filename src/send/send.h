/* send.h - all lanes of one smtp process: connections to other servers that deliver jobs.
 *
 * Queue says which lanes there are and what goes where (ipc/message.h: lane_open, job ...);
 * here they are carried out, with the client engine, and each recipient's result goes back.
 * Whatever happens, each job ends with a result for each recipient or with job_back, and then
 * its credit.  When queue goes away all of it is dropped: the next queue hands it out again.
 *
 * It belongs to the role (role/smtp.c).  Everything runs on the loop; the only thing that may
 * wait for a disk is reading a large body from the descriptor that queue passed.
 */
#ifndef POSTERN_SEND_SEND_H
#define POSTERN_SEND_SEND_H

#include <jansson.h>
#include <uv.h>

#include "ipc/channel.h"

struct send;

int send_new(uv_loop_t *loop, struct send **ret); /* 0 or -ENOMEM */
void send_free(struct send *s); /* drops all lanes; the loop must run once more for the memory */
/* hostname: how lanes that begin from now on greet.  0 or -ENAMETOOLONG. */
int send_configure(struct send *s, const char *hostname);

/* Where attempts are told; lives longer than s. */
struct event_sink;
void send_events(struct send *s, struct event_sink *events);

/* Queue came, or went (NULL). */
void send_peer(struct send *s, struct channel *ch);
bool send_is_for(const struct ipc_message *m);
/* NULL, or how queue broke the rules.  *fd as in ipc/channel.h. */
const char *send_message(struct send *s, const struct ipc_message *m, int *fd);

/* Finish the messages under way, give the others back, close; then drained(arg): at once if there
 * is nothing, after so many seconds in any case. */
void send_drain(struct send *s, unsigned seconds, void (*drained)(void *arg), void *arg);
void send_status(const struct send *s, json_t *to);

#endif
