/* client.h - the client's side of SMTP and LMTP (RFC 5321, RFC 2033) as an engine:
 * the server's bytes and messages in, commands and results out.
 *
 * It is not a connection: no descriptor, clock, thread or TLS is in it.  The driver
 * (send/lane.c, a test, a fuzzer) loops as with smtp/server.h:
 *
 *	feed     give it what the server sent; it takes what it can and says how many
 *	want     look at the one open question
 *	         close it with the call named beside it
 *	output   write what it has to say; smtp_client_sent() what was written
 *
 * One message after another, until smtp_client_quit() or until the connection is of
 * no use any more.  Each recipient of a message gets exactly one RESULT, however the
 * connection ends:
 *
 *   refused at MAIL, RCPT or DATA     as the server said it: 4xx deferred, 5xx failed
 *   after the final dot               2xx delivered; SMTP answers once for all accepted
 *                                     recipients, LMTP once for each, in order
 *   it ends before the final dot      deferred: the server does not have the message
 *   it ends after it, unanswered      deferred, in doubt: the server may have it
 *
 * Stated rules:
 *   421 at any time       that reply, and then the end of the connection.
 *   not a reply           (no code, no end) the end of the connection.
 *   8BITMIME lacking      SMTP: failed, 5.6.3; nothing here converts.  LMTP: sent as it is,
 *                         for a mailbox keeps octets.
 *   SMTPUTF8 lacking      an address that is not ASCII: failed, 5.6.7, only that recipient
 *                         if it is the recipient's.  Else, SMTP: failed, 5.6.7; LMTP: sent as it is.
 *   DSN lacking           its parameters are left out; a recipient who asked for a report of
 *                         success is delivered and "relayed": the sender is to be told so by us
 *                         (RFC 3461 5.2.2 b).
 *   REQUIRETLS            a message that requires it goes only where it is offered within TLS
 *                         (else failed, 5.7.30) that the driver found verified (else deferred,
 *                         4.7.5).  RFC 8689 4.2.1.  With the null sender, a report, it goes
 *                         all the same, without the parameter (section 5).
 *   over the SIZE offered failed, 5.3.4, without trying.
 *   LIMITS (RFC 9422)     recipients beyond RCPTMAX or RCPTDOMAINMAX: deferred, 4.5.3, not named;
 *                         MAILMAX: smtp_client_is_spent().
 *   MT-PRIORITY           passed on where offered.  FUTURERELEASE never: who holds a message
 *                         is whom its sender asked.
 *   no recipient accepted no DATA, or where it was on its way already, a lone dot.
 *   pipelining            where offered: at most SMTP_CLIENT_WINDOW commands unanswered, so
 *                         that neither side can block the other.  LMTP: DATA waits for the
 *                         answers before it, for how many replies come depends on them.
 *   the next message      where pipelining is offered, MAIL, RCPT and DATA of the next one may go right
 *                         behind the final dot (RFC 2920 3.1): smtp_client_ahead().  Whatever the dot's
 *                         answer is, the next one goes on.  SMTP by DATA only: BDAT needs one round trip
 *                         anyway, and RSET where it is refused.
 *   BDAT (RFC 3030)       where the setup allows it, and CHUNKING and PIPELINING are offered, for
 *                         messages up to SMTP_CLIENT_CHUNK_MAX: with them MAIL, RCPT and the message
 *                         go in one round trip, BODY being wanted before the answers are there.
 *                         Larger ones go by DATA.  After a BDAT refused RSET is said; a server that
 *                         answers BDAT itself with 500 to 504 is deferred, and gets DATA from then on.
 *   the body              lines end with CRLF on the wire, whatever was given; the last one too.
 *   STARTTLS              asked for where it is offered and wanted; what was said before
 *                         counts no more (RFC 3207 4.2).
 *   AUTH (RFC 4954)       where the setup says so: after the last EHLO, never in clear unless the
 *                         setup allows it, and no message goes without.  The engine knows no
 *                         mechanism; it has the exchange's frame and base 64.  An initial response
 *                         too long for a command line (512 octets) goes when the server asks.
 *                         Secrets are wiped as soon as they are out, and are in no transcript.
 */
#ifndef POSTERN_SMTP_CLIENT_H
#define POSTERN_SMTP_CLIENT_H

#include "base/buf.h"

#define SMTP_CLIENT_WINDOW	   64
#define SMTP_CLIENT_RECIPIENTS_MAX 10000
#define SMTP_CLIENT_AUTH_TRIES	   3
#define SMTP_CLIENT_CHUNK_MAX	   65536
#define SMTP_CLIENT_SECRET_MAX	   8192 /* octets of a response, before base 64 */
#define SMTP_CLIENT_TRANSCRIPT_MAX 4096

enum smtp_client_protocol { SMTP_CLIENT_SMTP, SMTP_CLIENT_LMTP };
enum smtp_client_tls { SMTP_CLIENT_TLS_NEVER, SMTP_CLIENT_TLS_MAY, SMTP_CLIENT_TLS_MUST };

struct smtp_client_setup {
	enum smtp_client_protocol protocol;
	enum smtp_client_tls tls;
	struct slice helo; /* how we greet */
	struct slice own;  /* the name that our own server greets with; "": do not look for it */
	bool implicit_tls; /* the greeting comes within TLS already (port 465) */
	bool auth;	   /* no message without */
	bool auth_clear;   /* even without TLS: a Unix socket, a closed test network */
	bool chunking;	   /* BDAT may be used */
	bool transcript;   /* keep what is said */
};

struct smtp_client_rcpt {
	struct slice address;
	unsigned notify;    /* SMTP_NOTIFY_ flags */
	struct slice orcpt; /* "rfc822;" xtext, or "" */
};

struct smtp_client_message {
	struct slice sender; /* "" for the null sender */
	uint64_t size;	     /* octets, headers and body; line ends as CRLF */
	bool eightbit, smtputf8;
	bool requiretls;
	bool tls_verified;   /* the server is known to be who it should be */
	uint8_t ret;	     /* SMTP_RET_ */
	uint8_t mt_priority; /* its value + 10, 0: none (RFC 6710) */
	struct slice envid;  /* xtext, or "" */
	const struct smtp_client_rcpt *rcpt;
	uint32_t recipients;
};

/* What the server offers; false for all before it answered EHLO or LHLO. */
struct smtp_client_offers {
	bool esmtp, pipelining, size, eightbitmime, smtputf8, dsn, chunking, enhanced, starttls, auth,
		requiretls, mt_priority;
	uint64_t max_size;			   /* 0: it has none, or does not say */
	uint32_t mail_max, rcpt_max, rcpt_domains; /* LIMITS; 0: does not say */
};

enum smtp_client_want {
	SMTP_CLIENT_INPUT,     /* feed() it, or it is lost() */
	SMTP_CLIENT_TLS,       /* write all output, start TLS: tls_started() or lost() */
	SMTP_CLIENT_READY,     /* mail() or quit(); feed() takes what the server says unasked */
	SMTP_CLIENT_BODY,      /* body(), body_end() or body_fail(); feed() too */
	SMTP_CLIENT_RESULT,    /* of one recipient: go_on() */
	SMTP_CLIENT_AUTH,      /* auth() or auth_give_up() */
	SMTP_CLIENT_CHALLENGE, /* respond() or auth_cancel() */
	SMTP_CLIENT_CLOSE,     /* write all output, then close */
};

enum smtp_client_result { SMTP_CLIENT_DELIVERED, SMTP_CLIENT_DEFERRED, SMTP_CLIENT_FAILED };

/* What is under way: the driver's time-outs go by it (RFC 5321 4.5.3.2). */
enum smtp_client_step {
	SMTP_CLIENT_AT_GREETING,
	SMTP_CLIENT_AT_HELO,
	SMTP_CLIENT_AT_STARTTLS,
	SMTP_CLIENT_AT_MAIL,
	SMTP_CLIENT_AT_RCPT,
	SMTP_CLIENT_AT_DATA,
	SMTP_CLIENT_AT_BODY,
	SMTP_CLIENT_AT_FINAL, /* after the dot, or BDAT's last octet */
	SMTP_CLIENT_AT_RSET,
	SMTP_CLIENT_AT_QUIT,
	SMTP_CLIENT_IDLE,
	SMTP_CLIENT_AT_AUTH,
	SMTP_CLIENT_STEPS, /* one past the last */
};

/* How a recipient, or (CLOSE) the connection, ended. */
struct smtp_client_ask {
	enum smtp_client_want want;
	uint32_t recipient; /* RESULT: its number in the message */
	enum smtp_client_result result;
	bool in_doubt;		    /* RESULT: deferred, and delivered perhaps */
	bool broken;		    /* CLOSE: not after QUIT; RESULT: because the connection ended */
	bool relayed;		    /* RESULT: delivered, and the report of success is ours to write */
	enum smtp_client_step step; /* where it ended */
	int code;		    /* the reply's, or 0: it was none */
	const char *enhanced;	    /* never NULL */
	struct slice text;
	struct slice mechs; /* AUTH: as offered, with one blank between */
	unsigned refused;   /* AUTH: how often; then code, enhanced and text are the last refusal's */
	struct slice data;  /* CHALLENGE: decoded */
};

struct smtp_client;

/* NULL: out of memory.  What the setup points at must outlive the engine. */
struct smtp_client *smtp_client_new(const struct smtp_client_setup *setup);
void smtp_client_free(struct smtp_client *c);

size_t smtp_client_feed(struct smtp_client *c, struct slice in);
const struct smtp_client_ask *smtp_client_want(const struct smtp_client *c);

/* The message and what it points at stay until READY or CLOSE is wanted.  False: out of
 * memory, nothing happened. */
bool smtp_client_mail(struct smtp_client *c, const struct smtp_client_message *m);
/* Whether the commands of the message behind this one can go out now, while its last answer is awaited. */
bool smtp_client_takes_ahead(const struct smtp_client *c);
/* They do; m stays as for smtp_client_mail().  When READY is wanted then, smtp_client_mail() of that very m
 * must follow, or lost(); feed() takes nothing before.  False: it must wait for its turn, nothing happened.
 */
bool smtp_client_ahead(struct smtp_client *c, const struct smtp_client_message *m);
void smtp_client_quit(struct smtp_client *c);
void smtp_client_tls_started(struct smtp_client *c);
void smtp_client_go_on(struct smtp_client *c);

/* initial: NULL for none; an empty one is something else.  What it points at is copied.  After a
 * refusal it is wanted again, for a new token or another mechanism, SMTP_CLIENT_AUTH_TRIES times
 * in all; after 235 READY: a driver whose mechanism is not content with the server then (SCRAM,
 * its signature) says lost(). */
void smtp_client_auth(struct smtp_client *c, struct slice mech, const struct slice *initial);
/* CLOSE follows, AT_AUTH: as the last refusal said it, or in these words if there was none. */
void smtp_client_auth_give_up(struct smtp_client *c, const char *enhanced, const char *text);
void smtp_client_respond(struct smtp_client *c, struct slice data);
/* The exchange is cancelled; what the server says to that comes as a refusal. */
void smtp_client_auth_cancel(struct smtp_client *c);

/* How much of it was taken: nothing while much output waits. */
size_t smtp_client_body(struct smtp_client *c, struct slice s);
void smtp_client_body_end(struct smtp_client *c);
/* It cannot be read to its end: the accepted recipients are deferred, the connection ends. */
void smtp_client_body_fail(struct smtp_client *c, const char *enhanced, const char *text);

/* The connection ended, or the driver gave it up.  At any time. */
void smtp_client_lost(struct smtp_client *c, const char *enhanced, const char *text);

struct slice smtp_client_output(const struct smtp_client *c);
void smtp_client_sent(struct smtp_client *c, size_t n);

const struct smtp_client_offers *smtp_client_offers(const struct smtp_client *c);
/* It was given up because the server calls itself by setup.own: mail would go in a circle. */
bool smtp_client_is_us(const struct smtp_client *c);
/* The server takes no further message on this connection (MAILMAX): quit(). */
bool smtp_client_is_spent(const struct smtp_client *c);
enum smtp_client_step smtp_client_step(const struct smtp_client *c);
uint64_t smtp_client_replies(const struct smtp_client *c);     /* whole ones, so far */
const char *smtp_client_step_name(enum smtp_client_step step); /* "rcpt" */

/* Appends what was said: lines of "C: ..." and "S: ..." that end with LF, printable, no secret and
 * no body in them, at most SMTP_CLIENT_TRANSCRIPT_MAX octets: how the connection began, and of the
 * message that is under way, or was last, what was said last. */
void smtp_client_transcript(const struct smtp_client *c, struct buf *to);

#endif
