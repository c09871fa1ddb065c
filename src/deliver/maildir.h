/* maildir.h - puts one message into one mailbox, durably, and says how it went.
 *
 * Maildir++ as Dovecot and Courier share it: written to tmp/, synced, renamed
 * to new/, the folder synced.  Nothing half-written ever appears in new/.  The
 * name is time.MmicrosecondsPpidQcount.host,S=size,W=virtual size.  Lines end
 * with LF on the disk (the usual form of mailboxes, which Postfix and Dovecot
 * write too); CRLF comes in.  A missing mailbox is made, folders 0700 and files
 * 0600, so whoever shares it runs with the same user id.
 *
 * The mailbox's path is hostile: see maildir_path_ok().  No link is followed
 * below the mail root.
 *
 * Several messages are delivered in step: all files are written, then all synced,
 * then all renamed, and each folder is synced once.  So the disk writes its
 * journal once or twice for all of them, and threads do not queue up for the lock
 * of one folder.  Each file's data goes on its way to the disk when it is written, so
 * that the first sync finds the work of all done.  Where the disk takes long to sync,
 * several threads share that.
 *
 * What is in a mailbox is counted by quota.h, before a message is synced.
 *
 * The functions block and may run on several threads at once.  Not a mail reader, knows
 * no filter and no queue.
 */
#ifndef POSTERN_DELIVER_MAILDIR_H
#define POSTERN_DELIVER_MAILDIR_H

#include <stdatomic.h>

#include "base/slice.h"
#include "deliver/fs.h"

#define MAILDIR_DEPTH_MAX 8	      /* folders between the root and the mailbox */
#define MAILDIR_STALE_S	  (36 * 3600) /* a file in tmp/ that old was abandoned */

struct maildir_setup {
	int root;	      /* descriptor of the mail root */
	const char *hostname; /* for the file names; "/" and ":" in it become octal, as is the custom */
	const struct deliver_fs *fs;
};

struct maildir_message {
	struct slice mailbox;		/* "example.org/user", a Maildir below the root */
	struct slice sender;		/* Return-Path; empty: <> */
	struct slice address, original; /* Delivered-To; X-Original-To when it differs */
	struct slice headers;		/* computed ones, CRLF */
	struct slice body;		/* CRLF; or, when body_fd >= 0: */
	int body_fd;			/* read from offset 0 */
	uint64_t body_size;		/* of the descriptor; fewer octets are an error */
	int64_t now_us;			/* since 1970, for the name */
	uint64_t quota;			/* octets that the mailbox may hold; 0: any */
	bool full_is_final;		/* a full mailbox refuses for good, not for now */
	const atomic_bool *give_up;	/* may be NULL; set: nothing is renamed any more (-ECANCELED) */
};

enum maildir_result { MAILDIR_DELIVERED = 1, MAILDIR_DEFERRED, MAILDIR_FAILED };

struct maildir_outcome {
	enum maildir_result result;
	int error;	    /* 0 or negative errno */
	const char *step;   /* what failed: "write", "sync" ... "" when delivered */
	const char *status; /* RFC 3463: "4.2.2" */
	const char *text;   /* for the sender and the queue listing */
	const char *advice; /* for the log of the administrator; NULL: none */
	uint64_t size;	    /* octets of the file */
};

#define MAILDIR_TOGETHER 32

/* A round of deliveries, in three steps, each on any thread: everything is written; the
 * files are synced, in parts that may run at the same time; everything is renamed and
 * the folders synced.  What befalls one message is no matter to the others.  m and what
 * it points to stand until the end. */
struct maildir_round;
struct maildir_round *maildir_round_new(void);	  /* NULL: out of memory */
void maildir_round_free(struct maildir_round *r); /* NULL is fine */
/* n: at most MAILDIR_TOGETHER. */
void maildir_round_write(struct maildir_round *r, const struct maildir_setup *setup,
			 const struct maildir_message *m, size_t n);
void maildir_round_sync(struct maildir_round *r, size_t first, size_t n);
void maildir_round_end(struct maildir_round *r, struct maildir_outcome *ret);

/* All of it for one message. */
void maildir_deliver(const struct maildir_setup *setup, const struct maildir_message *m,
		     struct maildir_outcome *ret);

/* Relative, at most MAILDIR_DEPTH_MAX folders of at most 255 octets; no empty one,
 * no "." or "..", no control character, none called cur, new or tmp; one that
 * begins with a dot (a Maildir++ folder) only as the last, below a mailbox. */
bool maildir_path_ok(struct slice mailbox);

#endif
