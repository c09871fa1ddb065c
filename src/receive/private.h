/* private.h - what the files of this folder share: the state of all sessions of
 * one process.
 */
#ifndef POSTERN_RECEIVE_PRIVATE_H
#define POSTERN_RECEIVE_PRIVATE_H

#include "base/id.h"
#include "base/list.h"
#include "base/map.h"
#include "net/tls.h"
#include "policy/limit.h"
#include "receive/receive.h"

#define CERTIFICATES_MAX 256

struct receive {
	struct receive_setup setup;
	uv_loop_t *loop;
	struct channel *queue, *keeper, *ledger; /* NULL while away */
	int queue_result;			 /* 0, or the errno for which queue takes nothing */

	struct tls_server *tls;
	bool tls_ready; /* it has a certificate */
	struct {
		uint64_t generation;
		uint32_t count, n;
		struct buf *pem;
	} certificates; /* those of one generation, while they arrive */

	struct limits *limits;
	struct list limit_waits; /* sessions that wait for ledger's word on a count */
	uv_timer_t limits_timer; /* while there are claims */
	uint64_t ledger_slow_ms; /* until then it is not waited for */
	uint64_t limits_late;	 /* answers that were waited for in vain */

	struct list listeners;
	struct dovecot_door *dovecot; /* NULL: it is not open here */
	size_t n_sessions;
	int reserve_fd; /* for when there is no other; -1: not even this */
	struct buf mechs, mechs_tls;

	/* Who waits for which answer.  Numbers are never used twice, so a late
	 * answer finds nobody. */
	struct map asks, transactions;
	uint64_t last_number;
	struct id_source ids;

	struct list again;   /* sessions that used up their turn */
	uv_idle_t idle;	     /* active while there are any */
	struct list starved; /* sessions that wait for room in the channel to queue */
	uv_timer_t starved_timer;

	bool draining, drain_hard;
	uv_timer_t drain_timer;
	uv_tcp_t first_stream;
	int closing; /* handles */
	bool freed;  /* and gone when they are closed */
};

/* One outstanding question; the number is the key. */
struct receive_wait {
	struct map_node node;
	uint64_t number; /* 0: none */
};
void receive_wait_for(struct receive *rx, struct map *map, struct receive_wait *w);
void receive_wait_end(struct map *map, struct receive_wait *w);

uint64_t receive_now_ms(const struct receive *rx); /* the loop's clock */
uint64_t receive_wall_ms(void);			   /* since 1970 */
/* A session's life ended; a handle that rx->closing counted is closed. */
void receive_session_gone(struct receive *rx);
void receive_handle_closed(struct receive *rx);

/* Takes a descriptor as reserve_fd, if there is one. */
void receive_reserve(struct receive *rx);

void receive_certificates_forget(struct receive *rx);

int receive_limits_new(struct receive *rx); /* 0 or -ENOMEM */
void receive_limits_granted(struct receive *rx, const struct ipc_grant *m);
void receive_limits_ledger(struct receive *rx); /* it came, or went */
json_t *receive_limits_json(const struct receive *rx);

struct session;
void receive_again(struct receive *rx, struct session *s);
void receive_starved(struct receive *rx, struct session *s);
void receive_peer_silent(struct receive *rx, enum ipc_role who);

#endif
