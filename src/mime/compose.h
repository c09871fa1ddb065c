/* compose.h - a message made from its parts: an engine.
 *
 * It is not a parser, reads no file and knows no envelope.  Header, text and HTML are composed at
 * once; attachments pass through in pieces, so that none must fit into memory:
 *
 *	mime_compose_begin()       header, text, HTML
 *	mime_compose_attach()      the header of an attachment
 *	mime_compose_octets() ...  what is in it
 *	mime_compose_end()         the last boundary
 *
 * Each appends to the caller's buffer, which he may empty between the calls.
 *
 * What comes out: text, or HTML, or both as multipart/alternative; with attachments, one part of
 * multipart/mixed beside them.  All in ASCII unless 8 bits are allowed, or an address needs
 * SMTPUTF8; every line ends with CRLF and has at most 998 octets.  Attachments are always base 64.  A
 * boundary holds "=_", which neither base 64 nor quoted-printable can, and is compared with parts
 * that are not encoded.  Bcc is nowhere in it.
 */
#ifndef POSTERN_MIME_COMPOSE_H
#define POSTERN_MIME_COMPOSE_H

#include "mime/field.h"
#include "mime/transfer.h"

struct mime_extra {
	struct slice name, value;
};

/* Values are UTF-8 as people write them, nothing is encoded yet; "" where there is none. */
struct mime_message {
	struct slice from, sender, reply_to, to, cc; /* lists of addresses; from must be there */
	struct slice subject;
	bool has_subject;
	uint64_t date_ms;	 /* since 1970 */
	struct slice message_id; /* "<id@host>"; "": made of the next two */
	struct slice id, hostname;
	struct slice domain;	 /* for addresses without one; "": then they are an error */
	bool has_text, has_html; /* neither: an empty text, unless there are attachments */
	struct slice text, html; /* line ends of any kind; must be UTF-8 */
	const struct mime_extra *header;
	size_t headers;
	const struct slice *unsubscribe; /* https: or mailto: addresses (RFC 2369) */
	size_t unsubscribes;
	bool one_click;	     /* RFC 8058; whoever says so has it signed by DKIM */
	bool attachments;    /* there will be some */
	bool eightbit;	     /* whoever takes it takes 8BITMIME */
	struct slice unique; /* letters and digits, for the boundaries; not to be guessed, at most 40 */
};

struct mime_compose {
	struct mime_needs needs; /* after begin */
	bool eightbit;		 /* it has octets over 127 */

	/* its own */
	char boundary[64];
	bool mixed, in_part;
	struct mime_base64 base64;
};

/* On a fault nothing of use is in the buffer; *ret says what is wrong. */
enum mime_fault mime_compose_begin(struct mime_compose *c, const struct mime_message *m, struct buf *to,
				   struct mime_problem *ret);
/* name: without folders; type: "" for what its name says; utf8: if it is text, then in UTF-8.  Only with
 * m->attachments. */
enum mime_fault mime_compose_attach(struct mime_compose *c, struct slice name, struct slice type, bool utf8,
				    struct buf *to, struct mime_problem *ret);
void mime_compose_octets(struct mime_compose *c, struct slice piece, struct buf *to);
void mime_compose_end(struct mime_compose *c, struct buf *to);

#endif
