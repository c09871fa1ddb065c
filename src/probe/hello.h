/* hello.h - does a server still take SSLv3, TLS 1.0 or 1.1?  Hello messages made by hand: an engine.
 *
 * OpenSSL no longer speaks them, and needs not: a server that takes an old version says so in its first
 * message, the ServerHello, and that is as far as this goes.  No key is made, nothing is encrypted;
 * after the answer the connection is closed.
 *
 * RFC 6101 (SSLv3), 2246 (TLS 1.0), 4346 (TLS 1.1).
 */
#ifndef POSTERN_PROBE_HELLO_H
#define POSTERN_PROBE_HELLO_H

#include "base/buf.h"
#include "probe/report.h"

#define PROBE_HELLO_MAX 512 /* octets of a hello */
#define PROBE_RANDOM	32

/* name: for SNI, which SSLv3 has not; "" or an address: none.  Appends one record to *to. */
void probe_hello(struct buf *to, enum probe_version version, struct slice name,
		 const unsigned char random[static PROBE_RANDOM]);

/* What the octets that came say; NOT_ASKED: more are needed.  UNCLEAR: it is no TLS. */
enum probe_old probe_hello_answer(enum probe_version version, struct slice in);

#endif
