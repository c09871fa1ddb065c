/* outbox.h - messages of one user that could not be submitted yet, each a file in a folder of his: a service.
 *
 * It sends nothing, and knows no server: whoever sends takes a message, says before the server can have it
 * that it is being sent, and afterwards what came of it.  No process stays behind; nothing is tried unless a
 * command is called.
 *
 * Durable is what a function returned 0 for: each message is written under another name, synced, renamed,
 * and its folder synced; each change of one is synced before the call returns, but for notes of tries that
 * came to nothing.  One window stays: between a server's 250 and the note of it the program may be killed or
 * the power fail.  The message was marked before, is found in doubt then (OUTBOX_UNSURE), and is neither sent
 * again nor thrown away until its owner says which: unlike a relay he can look whether it arrived, and a
 * letter that comes twice without a word is what he would not forgive.
 *
 * What is not understood in the folder - torn, decayed, of somebody else - is listed and left alone.
 *
 * Several processes may use one folder at once.  Who sends, tries again or removes messages of a way holds
 * its lock; others only look.
 */
#ifndef POSTERN_SUBMIT_OUTBOX_H
#define POSTERN_SUBMIT_OUTBOX_H

#include "spool/disk.h"
#include "submit/draft.h"
#include "submit/outbox_file.h"

#define OUTBOX_MESSAGES_MAX 1000		  /* with those that failed */
#define OUTBOX_FILES_MAX    4096		  /* of any kind that are looked at */
#define OUTBOX_AGE_MS	    (UINT64_C(432000000)) /* five days: then a try in vain was the last one */
#define OUTBOX_NAME_MAX	    256
#define OUTBOX_ERROR_MAX    400

struct outbox;

/* $XDG_STATE_HOME/postern/outbox, else .local/state/postern/outbox below $HOME, else below the home that the
 * machine's list of users has.  -ENOENT: there is none; -ENAMETOOLONG. */
int outbox_place(char *ret, size_t size);

/* disk: NULL for the real one: then the folder is made if it is missing (make), and refused if it is not
 * ours alone: -EPERM.  -ENOENT: it is not there, and make is false.  Words in reterr. */
int outbox_open(const char *path, const struct disk *disk, bool make, struct outbox **ret,
		char reterr[static OUTBOX_ERROR_MAX]);
void outbox_close(struct outbox *o); /* NULL is fine */
const char *outbox_path(const struct outbox *o);

struct outbox_new {
	const struct draft *draft;
	const bool *leave_out; /* recipients that need it no more; NULL: none */
	const struct outbox_way *way;
	bool unsure;   /* perhaps it went out */
	bool answered; /* the server was there */
	const char *text;
	uint64_t now_ms;
};
/* -EDQUOT: there are too many already; -ENOSPC and the like of the disk; nothing is there then. */
int outbox_put(struct outbox *o, const struct outbox_new *n, struct id *ret);

enum outbox_kind {
	OUTBOX_MESSAGE,
	OUTBOX_UNFINISHED, /* the program ended while it was written; nobody was promised anything */
	OUTBOX_TORN,	   /* it should be a message, and cannot be read */
	OUTBOX_FOREIGN,	   /* not our name */
};

struct outbox_item {
	enum outbox_kind kind;
	char name[OUTBOX_NAME_MAX]; /* of the file */
	int error;		    /* TORN: what reading said */
	struct outbox_message m;    /* MESSAGE */
};

/* By time.  Those beyond OUTBOX_FILES_MAX are left out, and *ret_more says so. */
int outbox_list(struct outbox *o, struct outbox_item **ret, size_t *ret_n, bool *ret_more);
void outbox_list_free(struct outbox_item *list, size_t n);

/* By account and URL.  -EBUSY: somebody else has it.  Gone with the process. */
int outbox_lock(struct outbox *o, const struct outbox_way *way, int *ret);
void outbox_unlock(struct outbox *o, int lock);

/* -ENOENT; -EBADMSG: torn. */
int outbox_read(struct outbox *o, const char *id, struct outbox_message *ret);
/* The message for those that it still waits for, in their order; -EBADMSG: its body has decayed.  d is
 * init()ed. */
int outbox_draft(struct outbox *o, const struct outbox_message *m, struct draft *d);

/* With the lock held.  Each changes m as it changes the file; after an error m is as before, and the file
 * perhaps not. */
int outbox_sending(struct outbox *o, struct outbox_message *m, uint64_t now_ms);
int outbox_waits(struct outbox *o, struct outbox_message *m, bool answered, const char *text,
		 uint64_t now_ms);
int outbox_outcomes(struct outbox *o, struct outbox_message *m, const struct outbox_outcome *outcome,
		    size_t n, bool unsure, bool answered, const char *text, uint64_t now_ms);
int outbox_expired(struct outbox *o, struct outbox_message *m, const char *text, uint64_t now_ms);
int outbox_again(struct outbox *o, struct outbox_message *m, uint64_t now_ms);
int outbox_remove(struct outbox *o, const struct outbox_message *m);

#endif
