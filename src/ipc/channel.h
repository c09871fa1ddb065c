/* channel.h - one end of a socketpair between two processes.
 *
 * SOCK_SEQPACKET: a packet is whole or not there, and descriptors travel with it.
 * What is sent in one turn of the loop goes out at its end, before the loop may
 * sleep, in as few packets as possible: a system call and a wake-up of the peer
 * cost more than most messages.  Nothing waits for company longer than that, but
 * what its sender says may (channel_send_later()).  A
 * packet holds up to IPC_TOGETHER messages; one with a descriptor travels alone.
 *
 * Runs on a libuv loop.  Messages that the kernel does not take wait here, up
 * to a ceiling; past it the peer counts as stalled and the channel is closed,
 * as it is on end of file and on a packet that does not decode.  Flow that may
 * be large (bodies, listings) is held back by credit or by channel_room(), so
 * that only a broken peer meets the ceiling.
 */
#ifndef POSTERN_IPC_CHANNEL_H
#define POSTERN_IPC_CHANNEL_H

#include <uv.h>

#include "ipc/message.h"

struct channel;

struct channel_handlers {
	/* One message; its slices and fd are valid for the call.  fd is -1, or a
	 * descriptor that the handler takes by setting *fd to -1; it is closed after
	 * the call otherwise.  May call channel_free() on this very channel. */
	void (*message)(void *arg, struct channel *ch, const struct ipc_message *m, int *fd);
	/* The peer is gone or broke the rules (why says which); called once, from the
	 * loop, never from inside channel_send().  The owner then frees the channel. */
	void (*closed)(void *arg, struct channel *ch, const char *why);
};

/* The "why" of a plain end of file: the very pointer. All others mean a broken or stalled peer. */
extern const char channel_eof[];

/* A connected pair, close-on-exec, with large socket buffers. */
int channel_pair(int ret_fd[2]);

/* Takes the descriptor over.  max_waiting: octets that may wait to be sent. */
int channel_new(uv_loop_t *loop, int fd, size_t max_waiting, const struct channel_handlers *h, void *arg,
		struct channel **ret);
/* Messages that the kernel does not take at once are lost; use channel_flush() first where that
 * matters.  NULL is fine. */
void channel_free(struct channel *ch);

/* Sends at the end of the turn: not for a uv_prepare_t's callback, which runs behind that.  fd: -1, or a
 * descriptor to go with it, which stays the caller's (it is duplicated).  0, or -EPIPE once the channel is
 * closed (the closed handler has run or will). Messages larger than IPC_PACKET_MAX: -EMSGSIZE. */
int channel_send(struct channel *ch, const struct ipc_message *m, int fd);
/* The same for what nobody waits for: within 10 ms, or with whatever goes before.  A peer that only
 * keeps it is not woken for each turn of ours. */
int channel_send_later(struct channel *ch, const struct ipc_message *m);
/* Octets that may still be made to wait. */
size_t channel_room(const struct channel *ch);
/* Blocks until all is sent or the peer is gone: only when about to exit. */
void channel_flush(struct channel *ch);

struct channel_counters {
	uint64_t sent, received, waiting, waited_max;
};
void channel_count(const struct channel *ch, struct channel_counters *ret);

#endif
