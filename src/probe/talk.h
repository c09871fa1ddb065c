/* talk.h - the conversation of one look at a port, with what was said kept: an engine.
 *
 * It greets, takes STARTTLS where it is offered, asks MAIL and RCPT as somebody who has not logged in, and
 * says QUIT; each answer goes into a struct probe_port.  No body is ever sent, DATA is never said.  It
 * sends no mail and logs in nowhere: that is smtp/client.h.  Unlike there an answer that is odd
 * ends nothing that can go on, for what a server does is what we want to know.
 *
 * As with smtp/client.h: feed, look at want, write output.
 */
#ifndef POSTERN_PROBE_TALK_H
#define POSTERN_PROBE_TALK_H

#include "base/buf.h"
#include "probe/report.h"
#include "smtp/reply.h"

/* RFC 2606: nobody's domains.  Between them nobody is asked to relay. */
#define PROBE_SENDER	"postern-check@example.org"
#define PROBE_RECIPIENT "postern-check@example.com"

/* Ways in which servers were found to relay for strangers.  %s stands for the server's own domain. */
struct probe_relay {
	const char *name; /* "percent hack": for people */
	const char *sender, *recipient;
	bool ours; /* the recipient is within the server's own domain, so that taking it proves nothing
		      by itself */
};
extern const struct probe_relay probe_relays[PROBE_RELAYS];

struct probe_talk_setup {
	struct slice helo;   /* how we greet; borrowed */
	struct slice domain; /* the server's own, for relay; borrowed */
	bool tls;	     /* TLS is up before the first word */
	bool starttls;	     /* take it where it is offered */
	bool mail;	     /* ask MAIL and RCPT */
	bool relay;	     /* ask probe_relays */
};

enum probe_talk_want {
	PROBE_TALK_INPUT, /* probe_talk_feed() or probe_talk_lost() */
	PROBE_TALK_TLS,	  /* 220 was said to STARTTLS: probe_talk_tls_started() or _lost() */
	PROBE_TALK_CLOSE, /* write all output, close */
};

struct probe_talk {
	struct probe_talk_setup setup;
	struct probe_port *port; /* where it is kept; the caller's */
	enum probe_talk_want want;
	enum probe_step step;
	struct smtp_reply reply;
	struct probe_reply *to; /* of the reply that is awaited; NULL: of none */
	struct probe_offers *offers;
	size_t relay, lines_n;
	bool in_tls, helo, rcpt, reset;
	uint64_t asked_ms;
	struct buf output;
	unsigned char room[1024];
};

/* Storage is the caller's; what it points at outlives it.  The clock may be any that never goes back.
 */
void probe_talk_init(struct probe_talk *t, const struct probe_talk_setup *setup, struct probe_port *port,
		     uint64_t now_ms);
/* Takes what it can (all, unless TLS or CLOSE is wanted); how many octets that were. */
size_t probe_talk_feed(struct probe_talk *t, struct slice in, uint64_t now_ms);
void probe_talk_tls_started(struct probe_talk *t, uint64_t now_ms);
/* It ended: how.  why: words for people, may be "". */
void probe_talk_lost(struct probe_talk *t, enum probe_end how, const char *why);
struct slice probe_talk_output(const struct probe_talk *t);
void probe_talk_sent(struct probe_talk *t, size_t n);
/* Where it stands; after CLOSE the same as port->at. */
enum probe_step probe_talk_at(const struct probe_talk *t);

/* What speaks so, where it is no SMTP; NONE: it may be. */
enum probe_other probe_other_of(struct slice first);

#endif
