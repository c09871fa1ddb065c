/* classify.h - what another server's answer means: an engine, two tables and a function.
 *
 * In: the reply as the client engine reports it (or, where there was none, the enhanced code and
 * words of our own).  Out: its class, what is to be done, and in plain words what it means, whose
 * turn it is and what to do.  Nothing is allocated, all texts live for ever; the reply is a
 * stranger's, so it is only searched, and only its first ROUTE_TEXT_MAX octets.
 *
 * The users' rows come first, in their order; then ours (classify_rows.c); then the enhanced
 * code's subject (RFC 3463); then the code alone.  The first that matches counts.
 *
 * The answer's first digit decides between waiting and failing, as its server means it, but for
 * these exceptions, each with its reason in the table:
 *   5xx before MAIL         deferred, site paused: it speaks of us or of the host, not of the
 *                           message; another host or hour may do.  Not 521 and 556 (RFC 7504):
 *                           that host takes no mail at all.
 *   5xx to AUTH             deferred, site paused: the credentials are ours to mend, and mail is
 *                           not lost because a password ran out.
 *   5xx that says greylist, too many of something in some time, or "try again": deferred: in
 *                           its own words it is temporary.
 *   552 "too many recipients": deferred, the rest goes by itself (RFC 5321 4.5.3.1.10).
 */
#ifndef POSTERN_ROUTE_CLASSIFY_H
#define POSTERN_ROUTE_CLASSIFY_H

#include "smtp/client.h"

#define ROUTE_TEXT_MAX	  512 /* octets of a reply's text that are looked at */
#define ROUTE_PATTERN_MAX 256
#define ROUTE_PAUSE_S	  600

/* Names (route_class_name) are an interface: they stand in events, the command line and the
 * configuration. */
enum route_class {
	ROUTE_CLASS_OTHER, /* nothing we know: by its first digit */
	ROUTE_CLASS_GREYLIST,
	ROUTE_CLASS_RATE_LIMIT,
	ROUTE_CLASS_CONNECTIONS, /* too many at once */
	ROUTE_CLASS_REPUTATION,	 /* blocklists too */
	ROUTE_CLASS_IDENTITY,	 /* reverse DNS, the EHLO name */
	ROUTE_CLASS_UNVERIFIED,	 /* SPF, DKIM, DMARC */
	ROUTE_CLASS_POLICY,
	ROUTE_CLASS_CONTENT, /* spam, malformed */
	ROUTE_CLASS_VIRUS,
	ROUTE_CLASS_SIZE,
	ROUTE_CLASS_RECIPIENTS, /* too many in one message */
	ROUTE_CLASS_MAILBOX_FULL,
	ROUTE_CLASS_MAILBOX_DISABLED,
	ROUTE_CLASS_MAILBOX_BUSY, /* it receives too much, or is locked */
	ROUTE_CLASS_NO_SUCH_USER,
	ROUTE_CLASS_NO_SUCH_DOMAIN,
	ROUTE_CLASS_SENDER, /* our sender address is not believed or not allowed */
	ROUTE_CLASS_RELAY_DENIED,
	ROUTE_CLASS_QUOTA,	   /* ours, at a smart host */
	ROUTE_CLASS_AUTH,	   /* credentials refused, or asked for */
	ROUTE_CLASS_TLS,	   /* required, and not there; or it failed */
	ROUTE_CLASS_LACKS_FEATURE, /* SMTPUTF8, 8BITMIME, REQUIRETLS */
	ROUTE_CLASS_PROTOCOL,	   /* it did not understand us, or we not it */
	ROUTE_CLASS_SYSTEM,	   /* its own trouble: disk, database, maintenance */
	ROUTE_CLASS_LOOP,
	ROUTE_CLASS_DNS,
	ROUTE_CLASS_UNREACHABLE,
	ROUTE_CLASS_TIMEOUT,
	ROUTE_CLASS_CONNECTION_LOST,
	ROUTE_CLASSES, /* one past the last */
};

/* In the order of enum conf_reply_action. */
enum route_action {
	ROUTE_DEFER,	   /* this recipient, as the retry schedule says */
	ROUTE_DEFER_SLOW,  /* and fewer, slower, to this site from now on */
	ROUTE_DEFER_PAUSE, /* and nothing to this site for pause_s */
	ROUTE_FAIL,
	ROUTE_ACTIONS, /* one past the last */
};

struct route_reply {
	int code;	       /* 0: there was none */
	struct slice enhanced; /* "5.1.1", or "" */
	struct slice text;     /* without the code */
	enum smtp_client_step step;
};

/* One row of the configuration's "replies".  A reply matches when all that is given does. */
struct route_rule {
	uint16_t code;	      /* 550; 5: all of 5xx; 0: any, and none */
	const char *enhanced; /* "5.7.1", or its beginning "5.7"; "": any */
	const char *text;     /* see route_text_matches(); "": any */
	const char *class;    /* one of ours, or a name of their own */
	enum route_action action;
	uint32_t pause_s;    /* of ROUTE_DEFER_PAUSE; 0: ROUTE_PAUSE_S */
	const char *meaning; /* "": that of the class */
};

struct route_meaning {
	enum route_class class; /* OTHER where users gave their own name */
	const char *name;	/* the class's */
	enum route_action action;
	uint32_t pause_s; /* ROUTE_DEFER_PAUSE; else 0 */
	bool by_user;	  /* a rule says so */
	bool own_words;	  /* what is the rule's */
	/* For people: what it means, whose turn it is, what to do; a sentence each. */
	const char *what, *turn, *todo;
};

/* What came of it in the texts of a rule lives as long as the rules do. */
struct route_meaning route_classify(const struct route_reply *r, const struct route_rule *rules, size_t n);

const char *route_class_name(enum route_class class); /* "rate-limit"; "other" */
bool route_class_parse(struct slice name, enum route_class *ret);
const char *route_action_name(enum route_action action); /* "defer", "slow", "pause", "fail" */

/* Words with "|" between alternatives and "*" for anything between: "greylist|too many*hour".
 * Letters match in either case (ASCII), anywhere in the text. */
bool route_text_matches(struct slice text, struct slice pattern);

/* The same for what queue keeps as one text, "550 5.1.1 no such user": takes code and enhanced off
 * its front where they are.  step: SMTP_CLIENT_IDLE if it is not known. */
struct route_reply route_reply_of(struct slice text, enum smtp_client_step step);

#endif
