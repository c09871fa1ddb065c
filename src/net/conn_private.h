/* conn_private.h - the connection as its files see it.  Not for others.
 *
 * Bytes in:	socket → (TLS: cipher → SSL →) input → conn_consume()
 * Bytes out:	conn_write() → output → (TLS: SSL →) wire → flight → socket
 *
 * conn_run() moves them; it runs only from the loop, and only it calls the
 * handler.  Calls from outside change the buffers and wake it.
 */
#ifndef POSTERN_NET_CONN_PRIVATE_H
#define POSTERN_NET_CONN_PRIVATE_H

#include "net/conn.h"
#include "net/tls_private.h"

/* One record with its overhead: less would never complete. */
#define CONN_CIPHER_MIN (17 * 1024)
#define CONN_WIRE_EXTRA (64 * 1024) /* a handshake with a long chain, alerts */

struct conn {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	};
	uv_timer_t wake; /* at 0 ms: run in the next turn; while closing gently: the end of patience */
	uv_write_t write_req;
	union { /* one at the beginning, one at the end */
		uv_connect_t connect_req;
		uv_shutdown_t shutdown_req;
	};
	unsigned open_handles;

	conn_handler *handler;
	void *arg;
	struct ip peer;
	uint16_t peer_port;

	struct buf input, cipher;	 /* cipher: received and not decrypted yet */
	struct buf output, wire, flight; /* plain; as it goes out; given to libuv */
	size_t output_max;
	uint64_t handed; /* octets given to libuv or the kernel */

	struct tls_session *tls; /* NULL: in clear */
	bool handshaken;

	bool connecting; /* nothing comes or goes yet */
	bool reading;	 /* libuv reads */
	bool woken;	 /* wake is set */
	bool ended;	 /* the socket said end of file */
	bool read_over;	 /* no input will come: ended, or close_notify */
	bool failed;	 /* reset or TLS error: nothing comes or goes any more, but for an alert */
	bool no_memory;	 /* that is why */
	bool broken;	 /* the socket failed: not even that */
	bool unwritten;	 /* something was queued since the last CONN_DRAINED */
	bool gently;	 /* conn_close_gently() was called */
	bool goodbye;	 /* then: close_notify is written */
	bool shut;	 /* then: FIN is on its way */
	bool closed;	 /* conn_close() was called, memory goes with the handles */
	/* Events that the handler is owed. */
	bool tell_connected, tell_input, tell_tls_done, tell_tls_failed, tell_error, told_end;
	int connect_status; /* negative errno, or 0 */
	char error[128];
};

/* With its handles, on no socket yet. */
int conn_new(const struct conn_setup *setup, bool is_unix, struct conn **ret);
void conn_learn_addresses(struct conn *c); /* of a connected one; TCP sends at once from now on */
void conn_run(struct conn *c);
void conn_wake(struct conn *c);
void conn_fail(struct conn *c, const char *why);
void conn_fail_memory(struct conn *c);

/* conn_tls.c: shake hands and decrypt as far as bytes and room reach; encrypt all output. */
void conn_tls_pump(struct conn *c);
void conn_tls_encrypt(struct conn *c);
void conn_tls_goodbye(struct conn *c); /* close_notify into the wire */

#endif
