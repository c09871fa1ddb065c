/* load.h - what the parts of the loader share.
 *
 * The loader plays many SMTP clients at once, on one thread, and measures how the
 * server does.  It is a program of its own for `make bench` and no part of the server;
 * a fault of the server ends it with a message and status 1.  Sessions are made once,
 * connect again and again, and are freed at the end.
 */
#ifndef POSTERN_BENCH_LOAD_H
#define POSTERN_BENCH_LOAD_H

#include <sys/socket.h>

#include "base/buf.h"

/* ---- link.c: one connection, in clear or inside TLS ---- */

struct ssl_st;

struct link {
	int fd;
	struct ssl_st *tls; /* NULL: in clear */
	unsigned wants;	    /* EPOLLIN or EPOLLOUT: what the last call that said -EAGAIN waits for */
};

struct link_address {
	struct sockaddr_storage a;
	socklen_t n;
};

/* "192.0.2.1:25", "[2001:db8::1]:25"; false if it is none. */
bool link_parse(const char *text, struct link_address *ret);
/* Non-blocking; source is an IPv4 address to come from, in host order, or 0. */
int link_connect(struct link *l, const struct link_address *to, uint32_t source);
/* The error of a connection that was just made, 0 if there is none. */
int link_connected(const struct link *l);
void link_close(struct link *l);
/* Begins TLS.  Then link_handshake() until it says something else than -EAGAIN. */
void link_start_tls(struct link *l);
int link_handshake(struct link *l);
/* Octets were read from the socket that link_recv has not given yet: no event will come for them. */
bool link_more(const struct link *l);
/* Octets; 0 from link_recv is the end; -EAGAIN with wants set, or another error. */
ssize_t link_recv(struct link *l, void *to, size_t n);
ssize_t link_send(struct link *l, const void *from, size_t n);

void link_end(void); /* when all are closed */

/* ---- session.c: what a client says ---- */

enum step {
	CONNECT, /* whose answer is awaited */
	HANDSHAKE,
	GREETING,
	EHLO,
	STARTTLS,
	AUTH,
	MAIL,
	RCPT,
	DATA,
	BODY,
	QUIT,
	HELD, /* says nothing more */
	CLOSED,
};

struct session {
	struct link link;
	enum step step;
	unsigned sent;	     /* messages on this connection */
	unsigned recipients; /* of this message, so far */
	unsigned first_to;   /* the number of its first recipient */
	unsigned watched;    /* events that epoll was asked for; 0: not in it */
	unsigned drip;	     /* octets of its last command that went out drop by drop */
	bool authenticated;
	struct buf in, out;
	size_t body_left; /* of the shared body, still to be sent */
	uint64_t connected_us, asked_us;
};

void session_connect(struct session *s);
void session_event(struct session *s, unsigned events);
void session_drip(struct session *s);
void session_done(struct session *s);

/* ---- load.c: the run ---- */

struct run {
	/* what is wanted */
	struct link_address *servers;
	unsigned n_servers, sources;
	unsigned sessions, messages, per_connection, size, recipients;
	unsigned seconds; /* then nothing new is begun; 0: no limit */
	const char *from, *to, *auth;
	unsigned to_count, auth_count;
	bool starttls, tls, idle;
	unsigned drip_ms;
	/* what happened */
	unsigned begun, done, connections, open, held, lost;
	unsigned next_to, next_auth, next_server, next_source;
	uint64_t began_us;
	struct times { /* in microseconds */
		uint32_t *us;
		unsigned n;
	} answer, whole; /* of a final answer; of a connection until its first final answer */
	struct buf body;
	int epoll;
};
extern struct run run;

uint64_t now_us(void);
_Noreturn void die(const char *what, int err);
/* Nothing new is to be begun: all that was wanted has begun, or the time is over. */
bool run_enough(void);
/* A message (or a login, with no messages) was answered. */
void run_done(const struct session *s);

#endif
