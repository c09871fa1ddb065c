/* draft.h - a message that is ready to be sent, in a file without a name: a service.
 *
 * Made by draft_read() from text that comes in (submit/letter.h), or by draft_compose() from parts
 * (mime/compose.h); then read in any pieces, as often as it takes.  Every line ends with CRLF, dots are not
 * stuffed.  It knows no server.  The file lies in $TMPDIR, or /var/tmp, or where neither can hold such a
 * file, in memory; nobody else can open it, and it is gone with the process.
 */
#ifndef POSTERN_SUBMIT_DRAFT_H
#define POSTERN_SUBMIT_DRAFT_H

#include "mime/compose.h"
#include "submit/letter.h"

#define DRAFT_TEXT_MAX \
	(64U << 20) /* octets of text and HTML, encoded; attachments have no limit of their own */

struct draft {
	struct submit_envelope envelope; /* its sender and recipients are known once the draft is made */
	uint64_t octets;
	bool eightbit;	      /* it needs 8BITMIME */
	bool smtputf8;	      /* it needs SMTPUTF8: an address has no ASCII form */
	bool header_eightbit; /* not that, but UTF-8 in its header: SMTPUTF8 is right where it is offered */
	unsigned added;	      /* MIME_ADDED_ flags of mime/submission.h */
	uint64_t longest;     /* draft_read(): octets of its longest line; 998 are allowed */
	int fd;
};

int draft_init(struct draft *d); /* 0 or -ENOMEM; done() is right after both */
void draft_done(struct draft *d);

/* A new file as a draft's own; or a negative errno. */
int draft_file(void);

/* Reads until the end of the file, or the dot.  Recipients of the command line are in d->envelope before.
 * -EBADMSG: the message is wrong, *ret says how; else a negative errno of the machine. */
int draft_read(struct draft *d, int from, const struct letter_setup *setup, struct mime_problem *ret);

struct draft_file {
	const char *path;
	struct slice name; /* "": the path's last part */
	struct slice type; /* "": by the name */
};

struct draft_parts {
	struct mime_message message; /* unique may be "": it is made; attachments is set here */
	struct slice bcc;	     /* a list of addresses */
	bool has_sender;
	struct slice sender; /* of the envelope; else Sender, or the only address of From */
	const struct draft_file *file;
	size_t files;
	uint64_t max; /* octets of the message; 0: any */
};

/* As draft_read(); of a file that cannot be read, ret->about is its path. */
int draft_compose(struct draft *d, const struct draft_parts *parts, struct mime_problem *ret);

/* One that was made before, and is put together again: its file, still empty; and more of it.  0 or a
 * negative errno.  Envelope and flags are the caller's to set. */
int draft_begin(struct draft *d);
int draft_append(struct draft *d, struct slice octets);

/* Octets of the message from there on: how many, 0 at its end; or a negative errno. */
ssize_t draft_chunk(const struct draft *d, uint64_t at, void *to, size_t n);

#endif
