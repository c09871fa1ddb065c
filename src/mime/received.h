/* received.h - the trace field that each server puts in front (RFC 5321 4.4).
 *
 * Composed from what the session knows; no name is looked up, and the account
 * that sent is not told to the world.
 */
#ifndef POSTERN_MIME_RECEIVED_H
#define POSTERN_MIME_RECEIVED_H

#include "base/buf.h"
#include "base/ip.h"

struct mime_received {
	struct slice helo;	  /* as the client said: may hold anything */
	struct ip ip;		  /* family 0: the Unix socket */
	uint32_t uid;		  /* of the Unix socket's peer */
	struct slice hostname;	  /* ours */
	struct slice protocol;	  /* "ESMTPSA": smtp_server_protocol() */
	struct slice tls_version; /* "TLSv1.3"; empty without TLS */
	struct slice tls_cipher;  /* "TLS_AES_256_GCM_SHA384" */
	struct slice id;
	struct slice rcpt; /* "user@example.org" if it is the only one, else empty:
			    * with two, each would see who else got the message */
	uint64_t time_ms;
};

/* Appends the whole field, folded, with its last CRLF. */
void mime_received_put(const struct mime_received *r, struct buf *to);

#endif
