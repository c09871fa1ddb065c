/* letter.h - a message that comes in as text, made ready to be sent: an engine.
 *
 * What the sendmail command reads from standard input, or `postern send` from a file: octets in,
 * the message as SMTP wants it out.  It reads no file, and sends nothing.
 *
 *   line ends     CRLF, LF, CR, and CRs before an LF become CRLF
 *   end           the end of the input; or a line of one dot, unless the dot is to be text (-i)
 *   "From ..."    as the first line, the separator of a mailbox file: left out
 *   no header     an empty line is put before what is no field
 *   left out      Bcc and Resent-Bcc; Return-Path and Content-Length, which are others' to write
 *   added         Date, Message-ID and From where they are missing; to a message that is resent, what
 *                 its latest Resent- block lacks of these (RFC 5322 3.6.6)
 *   completed     an address without a domain, in the fields that hold addresses (cron writes "From: root
 *                 (Cron Daemon)", which the servers of providers refuse)
 *   rewritten     if so asked, a sender that the server would not take (enum letter_rewrite), in the envelope
 *                 and in From: the account's address stands there, with the name that was there and the
 *                 address in words; the field as it came is X-Original-From, a Sender X-Original-Sender; and
 *                 Reply-To is added where the address is one that can be reached
 *   nothing else is changed: what a program encoded or signed stays as it is
 *
 * Recipients (-t): those of To, Cc and Bcc; of a message that is resent those of the latest block's
 * Resent-To, Resent-Cc and Resent-Bcc, for the others got it already.  They are added to those that are in
 * the envelope before.  Sender: the one that was given; else, if so asked, Sender or From (Resent- ones of a
 * resent message); else the fallback.
 *
 * The header is kept until it ends (LETTER_HEADER_MAX), the body passes through.
 */
#ifndef POSTERN_SUBMIT_LETTER_H
#define POSTERN_SUBMIT_LETTER_H

#include "submit/envelope.h"

#define LETTER_HEADER_MAX (1U << 20)

/* Which senders become the setup's own: what cron, PHP and daemons call themselves is nothing that a provider
 * takes from the owner of an account. */
enum letter_rewrite {
	LETTER_AS_IT_IS,
	/* Addresses of this machine: at its domain or name, or at a name that the DNS of all does not have
	 * ("localhost", "vm", "x.internal").  What has the domain of the own address is none of them. */
	LETTER_LOCAL,
	LETTER_ALL, /* whatever is not the own one, or the login; and the null sender */
};

struct letter_setup {
	bool dot_ends;		     /* a line of one dot is the end */
	bool recipients_from_header; /* -t */
	bool sender_from_header;     /* before the fallback */
	bool has_sender;
	struct slice sender;	/* -f: "" and "<>" too */
	struct slice fallback;	/* "www-data", "bob@example.org": who runs the program; "" if nobody knows */
	struct slice full_name; /* -F: for a From that is added; or "" */
	struct slice domain;	/* for addresses without one; "": then they are errors */
	struct slice hostname;	/* for a Message-ID */
	struct slice id;	/* the same */
	uint64_t time_ms;
	uint64_t max; /* octets of the message that comes out; 0: any */

	enum letter_rewrite rewrite;
	struct slice own;      /* required then: an address; and the fallback is it, too */
	struct slice login;    /* another one that is as good, or "" */
	struct slice machine;  /* its name, beside domain; or "" */
	struct slice local_to; /* who gets what is for an address of this machine; "": it goes there */
};

struct letter_facts {
	uint64_t octets;      /* of what came out */
	bool eightbit;	      /* anywhere */
	bool header_eightbit; /* raw UTF-8, or worse, in the header: RFC 6532 wants SMTPUTF8 for it */
	bool had_header;      /* it began with a field */
	unsigned added;	      /* MIME_ADDED_ flags */
	uint64_t longest;     /* octets of its longest line, without CRLF: 998 are allowed */
};

struct letter;

/* What setup and envelope point at must outlive it.  NULL: out of memory. */
struct letter *letter_new(const struct letter_setup *setup, struct submit_envelope *e);
void letter_free(struct letter *l);

/* Appends what comes out to the caller's buffer, which he may empty at any time.  After a fault nothing
 * more comes. */
enum mime_fault letter_feed(struct letter *l, struct slice piece, struct buf *to, struct mime_problem *ret);
/* The dot came: what follows is not of the message. */
bool letter_is_over(const struct letter *l);
/* The input ended.  MIME_MISSING, "recipient": there is none. */
enum mime_fault letter_end(struct letter *l, struct buf *to, struct mime_problem *ret);
const struct letter_facts *letter_facts(const struct letter *l);

#endif
