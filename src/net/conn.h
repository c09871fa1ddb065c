/* conn.h - one connection, accepted or begun: bytes in, bytes out, TLS when it is time.
 *
 * Sits on a libuv stream (TCP or Unix socket).  Input is read into a bounded
 * buffer and reading stops while it is full; output has a ceiling too.  TLS goes
 * through memory BIOs, so a conn looks the same with and without it.
 *
 * conn knows no SMTP; it can, before anything is consumed, tell whether the
 * first bytes are a TLS ClientHello.
 */
#ifndef POSTERN_NET_CONN_H
#define POSTERN_NET_CONN_H

#include <uv.h>

#include "base/buf.h"
#include "base/endpoint.h"
#include "net/tls.h"

struct conn;

enum conn_event {
	CONN_INPUT,	 /* bytes arrived: see conn_input() */
	CONN_DRAINED,	 /* all output is written */
	CONN_TLS_DONE,	 /* the handshake is finished */
	CONN_TLS_FAILED, /* conn_error() says why; close it */
	CONN_EOF,	 /* the peer will send no more */
	CONN_ERROR,	 /* not connected, reset, or a TLS error later on: conn_error() */
	CONN_CONNECTED,	 /* after conn_connect() */
};

/* All events come from the loop, never from inside a conn_ call. */
typedef void conn_handler(void *arg, struct conn *c, enum conn_event event);

struct conn_setup {
	uv_loop_t *loop;
	size_t input_max, output_max; /* octets; e.g. 16 KiB and 64 KiB */
	conn_handler *handler;
	void *arg;
};

/* Takes over a connected socket.  Negative errno: it is still the caller's. */
int conn_take(const struct conn_setup *setup, int fd, bool is_unix, struct conn **ret);
/* Begins one; CONN_CONNECTED or CONN_ERROR says what came of it, and nothing else before.
 * Time is the caller's to watch.  0 or negative errno. */
int conn_connect(const struct conn_setup *setup, const struct endpoint *to, struct conn **ret);
/* The same from that address of ours; NULL, or family 0: any. */
int conn_connect_from(const struct conn_setup *setup, const struct endpoint *to, const struct ip *source,
		      struct conn **ret);
int conn_connect_status(const struct conn *c); /* negative errno when that failed */
/* Closes at once; the handler is not called again.  Memory goes when libuv is done.  NULL is fine. */
void conn_close(struct conn *c);
/* Closes when all output is written and, under TLS, close_notify is sent; the peer
 * gets a few seconds for it. The handler is not called again. */
void conn_close_gently(struct conn *c);

void conn_peer(const struct conn *c, struct ip *ret, uint16_t *ret_port); /* family 0 on a Unix socket */
int conn_peer_uid(const struct conn *c, uid_t *ret, gid_t *ret_gid);	  /* Unix socket: SO_PEERCRED */

/* What has been received (and decrypted) and not consumed yet. */
struct slice conn_input(const struct conn *c);
void conn_consume(struct conn *c, size_t n);
/* Bytes that arrived but are not decrypted, or lie in input: what must be nothing at STARTTLS. */
bool conn_has_unread(const struct conn *c);
/* Wipe consumed input (a password was in it). */
void conn_wipe_consumed(struct conn *c);

/* Queue output; -ENOBUFS over the ceiling, -EPIPE once failed.  Written at the end of the loop turn. */
int conn_write(struct conn *c, struct slice s);
size_t conn_write_room(const struct conn *c);
/* Octets that the kernel has taken so far: grows while the peer reads. */
uint64_t conn_taken(const struct conn *c);
/* It failed for want of memory. */
bool conn_lacks_memory(const struct conn *c);
/* What needs no memory to be said: to the socket, at once, if nothing waits to go before it.
 * Nothing inside TLS. */
void conn_last_words(struct conn *c, struct slice s);

/* Does the input begin with a TLS record that holds a ClientHello (or SSLv2's)? */
enum conn_sniff { CONN_SNIFF_MORE, CONN_SNIFF_TLS, CONN_SNIFF_PLAIN };
enum conn_sniff conn_sniff(struct slice input);

/* Server side handshake over this connection; bytes in the input, if any, are the
 * beginning of it.  Answer comes as CONN_TLS_DONE or CONN_TLS_FAILED. */
int conn_start_tls(struct conn *c, struct tls_server *tls, enum tls_min min);
bool conn_in_tls(const struct conn *c);
void conn_tls_facts(const struct conn *c, struct tls_facts *ret);
/* tls-exporter channel binding (RFC 9266), 32 bytes; -ENODATA without TLS 1.3 or extended master secret. */
int conn_tls_exporter(const struct conn *c, unsigned char ret[static 32]);
const char *conn_error(const struct conn *c);

#endif
