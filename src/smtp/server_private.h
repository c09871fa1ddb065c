/* server_private.h - the engine's inside, shared by its files:
 *
 *	server.c          bytes to lines and body octets, life and death
 *	server_verbs.c    the table of commands
 *	server_auth.c     AUTH and its exchange
 *	server_body.c     DATA and BDAT
 *	server_answer.c   what answers to questions lead to
 *	server_reply.c    composing replies
 */
#ifndef POSTERN_SMTP_SERVER_PRIVATE_H
#define POSTERN_SMTP_SERVER_PRIVATE_H

#include "smtp/scan.h"
#include "smtp/server.h"

#define SMTP_REPLY_MAX 512   /* RFC 5321 4.5.3.1.5, with CRLF */
#define SMTP_OUT_PAUSE 32768 /* feed takes nothing while so much output waits */
#define SMTP_OUT_MAX   65536
#define SMTP_SKIP_MAX  65536 /* octets of a refused line, then the end */

/* Where the session is: what command may come. */
enum smtp_state {
	ST_NEW,	    /* no HELO yet */
	ST_GREETED, /* between transactions */
	ST_MAIL,    /* a sender, no recipient */
	ST_RCPT,    /* at least one recipient */
	ST_BDAT,    /* at least one chunk */
};

/* What the next octets are. */
enum smtp_mode {
	MODE_COMMAND,
	MODE_AUTH, /* a line of an AUTH exchange */
	MODE_SKIP, /* the rest of a line that was refused */
	MODE_DATA,
	MODE_BDAT,
	MODE_BDAT_SKIP, /* a refused chunk; `later` is its reply */
};

/* AUTH was refused in clear, but many clients go on to send what they would have been
 * asked for: what the next line is then. */
enum smtp_leak {
	LEAK_NONE,
	LEAK_PLAIN,    /* PLAIN's response: name and password */
	LEAK_NAME,     /* LOGIN's user name */
	LEAK_PASSWORD, /* LOGIN's password; `leaked` has the name */
};

struct smtp_server {
	const struct smtp_server_setup *setup;
	struct smtp_server_ask ask;
	struct buf out;
	struct buf line;     /* the command at hand: what slices of the ask point into */
	struct buf response; /* of AUTH, decoded; wiped when answered */
	struct buf leaked;
	struct buf helo;
	struct buf later; /* a reply to give when the chunk is skipped */
	struct buf bye;	  /* the 421 of smtp_server_hang_up() */

	enum smtp_state state;
	enum smtp_mode mode;
	enum smtp_leak leak;
	bool esmtp, in_tls, channel_binding, authenticated;
	bool utf8;    /* the transaction's SMTPUTF8 */
	bool spoke;   /* a command that we know has come */
	bool skip_cr; /* MODE_SKIP: the last octet was a CR */
	bool rcpt_refused;
	bool hanging_up;

	uint64_t now_s; /* smtp_server_clock() */
	uint32_t recipients, over_recipients, errors, commands, transactions;
	size_t skipped;
	unsigned faults;

	/* DATA and BDAT */
	struct smtp_scan scan;
	struct slice run;     /* what to hand over next, behind the copy */
	uint64_t body_octets; /* as they came, stuffed dots too */
	uint64_t chunk, chunk_left;
	bool bdat;	/* it is BDAT */
	bool last;	/* BDAT LAST */
	bool body_ends; /* all of DATA, or of the chunk, is scanned */
	bool body_over; /* ... and smtp_scan_end() was called */
};

/* server_reply.c */

/* Append a reply of one line.  Counts errors.  enhanced NULL: by the code's class;
 * "": none.  text may hold anything: control characters are made harmless. */
void smtp_server_reply(struct smtp_server *s, int code, const char *enhanced, struct slice text);
void smtp_server_reply_str(struct smtp_server *s, int code, const char *enhanced, const char *text);
/* One line of several; code 250-hostname. */
void smtp_server_reply_more(struct smtp_server *s, int code, const char *text, struct slice arg);
/* A reply with text from smtp/advice.h. */
void smtp_server_reply_buf(struct smtp_server *s, int code, const char *enhanced, struct buf *text);
void smtp_server_ehlo_reply(struct smtp_server *s);
void smtp_server_help_reply(struct smtp_server *s);
void smtp_server_compose(struct buf *to, int code, const char *enhanced, struct slice text);

/* server.c */

void smtp_server_ask_input(struct smtp_server *s); /* the usual end of everything: limits are looked at */
void smtp_server_close(struct smtp_server *s);
void smtp_server_close_421(struct smtp_server *s, const char *enhanced, const char *text);
extern const char smtp_server_not_smtp[]; /* what other protocols are told */
/* Forget the transaction, tell the driver, then go on with input. */
void smtp_server_drop(struct smtp_server *s);
void smtp_server_forget_transaction(struct smtp_server *s);

/* server_verbs.c */
void smtp_server_command(struct smtp_server *s, struct slice line);

/* server_auth.c */
void smtp_server_on_auth(struct smtp_server *s, struct slice args);
void smtp_server_auth_line(struct smtp_server *s, struct slice line);
void smtp_server_auth_broken(struct smtp_server *s); /* the line could not be read; the reply is given */
void smtp_server_exposed_go_on(struct smtp_server *s);
/* A line that is no command.  True: it was a secret that came in clear, and is dealt with. */
bool smtp_server_leaked_line(struct smtp_server *s, struct slice line);
void smtp_server_leak_over(struct smtp_server *s);

/* server_body.c */
void smtp_server_on_data(struct smtp_server *s, struct slice args);
void smtp_server_on_bdat(struct smtp_server *s, struct slice args);
/* BDAT in clear or in a wrong state: its octets come all the same. */
void smtp_server_bdat_refuse(struct smtp_server *s, struct slice args, int code, const char *enhanced,
			     struct slice text);
size_t smtp_server_body_feed(struct smtp_server *s, struct slice in);
void smtp_server_body_answered(struct smtp_server *s, int code, const char *enhanced, const char *text);
void smtp_server_body_go_on(struct smtp_server *s);

#endif
