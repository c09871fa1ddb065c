/* dsn.h - a delivery status notification as a message: an engine.
 *
 * Told what became of the recipients of one message, it composes the report that the sender
 * gets (RFC 3461, 3464, 6522, 6533): a part for people, one for programs, and the message
 * itself or its header.  Whether to report, to whom, and when, is the caller's.
 *
 * The part for people says what happened, whose turn it is and what to do, in words for
 * somebody who is no administrator; recipients with the same fate stand together.  What
 * other servers said is quoted behind it.  Whatever these said, and whatever stands in the
 * message that is returned: no line of the report is longer than 998 octets, none ends but
 * with CRLF, and none of the returned message is taken for a boundary.
 */
#ifndef POSTERN_MIME_DSN_H
#define POSTERN_MIME_DSN_H

#include "base/buf.h"

enum dsn_action { /* RFC 3464 2.3.3; nothing here is "expanded" */
		  DSN_FAILED,
		  DSN_DELAYED,
		  DSN_DELIVERED,
		  DSN_RELAYED,
		  DSN_ACTIONS, /* one past the last */
};

/* What happened, in the order in which people are told. */
enum dsn_what {
	DSN_NO_SUCH_ADDRESS,
	DSN_NO_SUCH_DOMAIN, /* or it takes no mail */
	DSN_SWITCHED_OFF,
	DSN_MAILBOX_FULL,
	DSN_TOO_LARGE,
	DSN_CONTENT,  /* for what stands in it: spam, an attachment */
	DSN_REFUSED,  /* for who sends it, or from where */
	DSN_NOT_SENT, /* our own configuration does not let it go there */
	DSN_LACKS,    /* the other server cannot take such a message */
	DSN_INSECURE, /* no way that is as safe as was asked for */
	DSN_LOOP,
	DSN_UNREACHABLE, /* no server answered */
	DSN_BUSY,	 /* the server said "later" */
	DSN_OUR_NETWORK, /* nothing gets out on port 25: no fault of any recipient */
	DSN_BY_ADMINISTRATOR,
	DSN_DAMAGED, /* here */
	DSN_OTHER,
	DSN_NOTHING, /* went wrong */
	DSN_WHATS,   /* one past the last */
};

struct dsn_recipient {
	enum dsn_action action;
	enum dsn_what what;
	bool expired;		  /* tried until there was no more time */
	struct slice address;	  /* as the sender wrote it */
	struct slice final;	  /* where it led, if that may be told; else empty */
	struct slice orcpt;	  /* "rfc822;" xtext, as the client gave it; or empty */
	struct slice status;	  /* "5.1.1"; put right where it does not fit the action */
	struct slice remote;	  /* the server that said so; or empty */
	uint16_t code;		  /* of its reply, or 0 */
	struct slice meaning;	  /* what that means, in place of our own words; or empty */
	struct slice said;	  /* its words, or ours without remote and code */
	uint64_t last_attempt_ms; /* 0: not told */
	uint64_t retry_until_ms;  /* of delayed ones; 0: not told */
};

struct dsn {
	struct slice hostname; /* ours */
	struct slice id;       /* of the report: for the boundary */
	struct slice to;       /* the sender of the message */
	struct slice message_id;
	uint64_t now_ms;
	const char *help; /* whom to ask: a line of the configuration; or NULL */

	/* the message that it is about */
	struct slice about_id;	       /* the queue's */
	struct slice about_message_id; /* "<...>", or empty */
	struct slice envid;	       /* xtext, as the client gave it; or empty */
	uint64_t arrived_ms;
	bool smtputf8;	     /* so its sender's server takes UTF-8 */
	bool eightbit;	     /* so it takes 8-bit octets */
	struct slice header; /* its header section, or what begins with it */
	struct slice whole;  /* header and body, to be returned; empty: the header only */

	const struct dsn_recipient *recipient;
	size_t recipients; /* from 1; up to DSN_RECIPIENTS_MAX */
};

#define DSN_RECIPIENTS_MAX 10000
#define DSN_WHOLE_MAX	   (128U * 1024)       /* octets of message that are returned; else its header */
#define DSN_HEADER_MAX	   (32U * 1024)	       /* octets of header */
#define DSN_MAX		   (16U * 1024 * 1024) /* octets of report */

struct dsn_facts {
	bool eightbit, smtputf8; /* what the report needs of servers on its way */
};
/* Appends the report.  The buffer fails when it is over its ceiling or memory lacks. */
void dsn_put(const struct dsn *d, struct buf *to, struct dsn_facts *ret);

/* What an enhanced status code says (RFC 3463), as far as it does. */
enum dsn_what dsn_what_of(struct slice status);

#endif
