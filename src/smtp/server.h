/* server.h - the server's side of SMTP as an engine: bytes and answers in,
 * replies and questions out.
 *
 * It is not a session: no descriptor, clock, thread, TLS, DNS or policy is in
 * it.  The driver (receive/session.c, a test, a fuzzer) loops:
 *
 *	feed     give it bytes; it takes what it can and says how many
 *	want     look at the one open question
 *	answer   close the question with the call named beside it
 *	output   write what it has to say; smtp_server_sent() what was written
 *
 * At most one question is open at a time.  While one is, smtp_server_feed()
 * takes nothing, so a client that pipelines is held back by TCP, not by memory,
 * and replies can never come out of order.  Replies gather in the output while
 * input lasts: write when the engine wants input and none is left.
 *
 * Lifetime: slices in a want are valid until the next call on the same engine.
 * BODY slices may point into what was fed: leave those bytes where they are
 * (neither move nor wipe them) until the engine wants INPUT again or CLOSE.  All
 * other slices are the engine's own.
 * The setup and what it points at must outlive the engine.
 *
 * While more than 32 KiB of output wait, feed takes nothing though INPUT is
 * wanted: write first.
 *
 * CLOSE ends an open transaction as RESET does, without asking RESET.
 *
 * Stated rules (those about octets of a message stand in scan.h):
 *   command lines  end with CRLF only.  A bare CR or LF, or NUL, in one: 500 for
 *                  all up to the next CRLF.  Over SMTP_SERVER_LINE_MAX octets:
 *                  500 5.5.6, the rest is skipped.  RFC 5321 4.5.3.1.4 asks for
 *                  512, extensions for 500 or so more each.
 *   refused bodies are read to their end, up to twice max_size and 1 MiB; then
 *                  552 and close.
 *   limits         max_errors 5xx replies, or max_commands commands that lead to
 *                  no mail (in each case since the last accepted message): 421
 *                  and close.  0 in a setup's limit is no limit.
 */
#ifndef POSTERN_SMTP_SERVER_H
#define POSTERN_SMTP_SERVER_H

#include "base/buf.h"
#include "smtp/path.h"

#define SMTP_SERVER_LINE_MAX	  2048	/* octets of a command, with CRLF */
#define SMTP_SERVER_AUTH_LINE_MAX 12288 /* of AUTH and its responses: RFC 4954 4 */

enum smtp_role {
	SMTP_RELAY,	 /* port 25: servers hand over mail for our domains */
	SMTP_SUBMISSION, /* 465, 587, 2525: our users send mail, after AUTH */
	SMTP_LOCAL,	 /* the Unix socket: known by uid, neither TLS nor AUTH */
};

/* How a listener is told to treat a bare CR or LF in a body. */
enum smtp_bare { SMTP_BARE_REFUSE, SMTP_BARE_FIX };

struct smtp_server_setup {
	enum smtp_role role;
	struct slice hostname;	/* in the greeting, EHLO reply */
	bool starttls;		/* offered while the connection is in clear */
	bool tls_required;	/* before AUTH and MAIL; always so on submission but
				 * for the override on closed test networks */
	bool auth;		/* AUTH is offered (once TLS is on, if it is required) */
	struct slice mechs;	/* "PLAIN LOGIN SCRAM-SHA-256": what EHLO lists */
	struct slice mechs_tls; /* added to it where TLS allows channel binding */
	/* Where a user of this server submits, for every reply that sends one
	 * there: "port 587 with STARTTLS or port 465 with SSL/TLS". */
	struct slice advice;
	enum smtp_bare bare;
	uint64_t max_size;	   /* octets of a message as it came */
	uint32_t max_recipients;   /* a transaction; RFC 5321 4.5.3.1.8: at least 100 */
	uint32_t max_errors;	   /* then 421 and close */
	uint32_t max_commands;	   /* that carry no mail (NOOP, RSET, VRFY ...) in a row */
	uint32_t max_transactions; /* a session */
	uint32_t max_hold_s;	   /* FUTURERELEASE (RFC 4865) is offered, for so long; 0: it is not */
	bool priorities;	   /* MT-PRIORITY (RFC 6710) is offered */
};

enum smtp_server_want {
	SMTP_SERVER_INPUT,	/* feed it bytes */
	SMTP_SERVER_HELO,	/* may this name greet us?    answer(): 250 or refusal */
	SMTP_SERVER_EXPOSED,	/* a password came in clear   go_on(); the 538 is sent anyway */
	SMTP_SERVER_AUTH,	/* begin this mechanism       challenge() or auth_done() */
	SMTP_SERVER_AUTH_STEP,	/* the client's next response challenge() or auth_done() */
	SMTP_SERVER_AUTH_ABORT, /* the client gave up        go_on() */
	SMTP_SERVER_MAIL,	/* may it send as this?       answer() */
	SMTP_SERVER_RCPT,	/* may it send to this?       answer() */
	SMTP_SERVER_DATA,	/* may a body come now?       answer(): 354 (DATA), 250 (BDAT) or refusal */
	SMTP_SERVER_BODY,	/* here is body               go_on() once it is taken */
	SMTP_SERVER_COMMIT,	/* all of it is here          answer(): 250 or refusal */
	SMTP_SERVER_RESET,	/* the transaction is dropped go_on() */
	SMTP_SERVER_STARTTLS,	/* may TLS start?             answer(): 220, 454, or 554 when
				 * bytes were buffered behind the command (then it closes) */
	SMTP_SERVER_TLS,	/* write all output, then hand over to TLS: tls_started() */
	SMTP_SERVER_CLOSE,	/* write all output, then close */
};

struct smtp_server_ask {
	enum smtp_server_want want;
	struct slice name;	      /* HELO: the client's name.  AUTH, EXPOSED: the mechanism, upper case */
	bool esmtp;		      /* HELO: it said EHLO */
	bool has_initial;	      /* AUTH, EXPOSED: an initial response came (it may be empty) */
	struct slice data;	      /* AUTH*: the response, decoded; EXPOSED: PLAIN's response, or the user
				       * name that LOGIN sent; BODY: octets, CRLF line ends,
				       * dots unstuffed, nothing in it that the rules below refuse */
	struct smtp_path path;	      /* MAIL, RCPT */
	struct smtp_mail_params mail; /* MAIL */
	struct smtp_rcpt_params rcpt; /* RCPT */
};

struct smtp_server;

struct smtp_server *smtp_server_new(const struct smtp_server_setup *setup); /* NULL: out of memory */
void smtp_server_free(struct smtp_server *s);				    /* wipes what it held */

/* First call: the greeting, or a refusal instead of it (then it closes).
 * text is one line without line end.  tls: the connection began with TLS. */
void smtp_server_greet(struct smtp_server *s, bool tls);
void smtp_server_refuse(struct smtp_server *s, int code, const char *enhanced, const char *text);
/* What time it is, in seconds since 1970, and once is enough: without it FUTURERELEASE is not
 * offered.  A time to hold a message that has passed is none; one beyond max_hold_s refused. */
void smtp_server_clock(struct smtp_server *s, uint64_t now_s);
/* Where the connection began with TLS: it allows channel binding (mechs_tls are offered). */
void smtp_server_channel_binding(struct smtp_server *s, bool on);

size_t smtp_server_feed(struct smtp_server *s, struct slice in);
const struct smtp_server_ask *smtp_server_want(const struct smtp_server *s);

/* code 2xx or 354 agrees, 4xx and 5xx refuse (421 and a code of 554 to STARTTLS
 * also close).  enhanced and text may be NULL: the engine's usual words. */
void smtp_server_answer(struct smtp_server *s, int code, const char *enhanced, const char *text);
void smtp_server_challenge(struct smtp_server *s, struct slice challenge); /* not yet in base 64 */
void smtp_server_auth_done(struct smtp_server *s, int code, const char *enhanced, const char *text);
void smtp_server_go_on(struct smtp_server *s);
void smtp_server_tls_started(struct smtp_server *s, bool channel_binding);

/* Say 421 and close as soon as the open question is answered: shutdown, time-out. */
void smtp_server_hang_up(struct smtp_server *s, const char *enhanced, const char *text);

struct slice smtp_server_output(const struct smtp_server *s);
/* Memory was lacking for a reply; it wants to close, and has not said why. */
bool smtp_server_failed(const struct smtp_server *s);
void smtp_server_sent(struct smtp_server *s, size_t n);

/* What the session is, for the Received header, logs and time limits. */
const char *
smtp_server_protocol(const struct smtp_server *s); /* "SMTP", "ESMTPSA", "UTF8SMTPSA" ... RFC 3848, 6531 */
struct slice smtp_server_helo(const struct smtp_server *s); /* empty before HELO */
bool smtp_server_in_tls(const struct smtp_server *s);
bool smtp_server_authenticated(const struct smtp_server *s);
bool smtp_server_in_body(const struct smtp_server *s); /* DATA or BDAT octets are expected */
/* What a peer did that it should not, for the counters; reset by the call. */
enum smtp_server_fault {
	SMTP_FAULT_NONE = 0,
	SMTP_FAULT_AUTH_ON_RELAY = 1, /* AUTH on port 25 */
	SMTP_FAULT_NO_STARTTLS = 2,   /* MAIL or AUTH before STARTTLS */
	SMTP_FAULT_NO_AUTH = 4,	      /* MAIL before AUTH */
	SMTP_FAULT_PASSWORD_IN_CLEAR = 8,
	SMTP_FAULT_NOT_SMTP = 16,     /* HTTP or anything else as the first line */
	SMTP_FAULT_TLS_TOO_LATE = 32, /* a ClientHello where a command belongs */
	SMTP_FAULT_BARE_LINE_END = 64,
	SMTP_FAULT_SYNTAX = 128,
};
unsigned smtp_server_take_faults(struct smtp_server *s);

#endif
