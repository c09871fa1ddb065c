/* raw.h - for tests that speak to a role over a bare socket: reads message after message,
 * of packets that hold several.  What is left of a packet is kept by socket, not by
 * descriptor, whose number may come again.
 */
#ifndef POSTERN_IPC_RAW_H
#define POSTERN_IPC_RAW_H

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "ipc/message.h"

#define RAW_SOCKETS 8

struct raw_socket {
	ino_t socket;
	struct slice left; /* of packet */
	unsigned char packet[IPC_PACKET_MAX];
};

static struct raw_socket raw_sockets[RAW_SOCKETS];
static size_t raw_next; /* the slot that goes to the next new socket */

static __attribute__((unused)) struct raw_socket *raw_of(int fd)
{
	struct raw_socket *at;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return NULL;
	for (size_t i = 0; i < RAW_SOCKETS; i++)
		if (raw_sockets[i].socket == st.st_ino)
			return &raw_sockets[i];
	at = &raw_sockets[raw_next++ % RAW_SOCKETS];
	at->socket = st.st_ino;
	at->left = slice_of(NULL, 0);
	return at;
}

/* Something to read comes within that time. */
static __attribute__((unused)) bool raw_waits(int fd, int wait_ms)
{
	struct raw_socket *from = raw_of(fd);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return from && (from->left.n > 0 || poll(&p, 1, wait_ms) > 0);
}

/* The next message; its slices stand until the next call for that socket.  0, -1 at the
 * end of the connection or with nothing to read, -2 when it is not well-formed. */
static __attribute__((unused)) int raw_take(int fd, struct ipc_message *ret)
{
	struct raw_socket *from = raw_of(fd);

	if (!from)
		return -1;
	if (from->left.n == 0) {
		ssize_t n = recv(fd, from->packet, sizeof(from->packet), MSG_DONTWAIT);

		if (n <= 0)
			return -1;
		from->left = slice_of(from->packet, (size_t)n);
	}
	return ipc_take(&from->left, ret) ? 0 : -2;
}

#endif
