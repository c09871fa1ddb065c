/* outbox_file.h - the file of a message that waits in a user's outbox: how it is written and read: an engine.
 *
 *	HEAD	who wrote it to whom, by which way it is to go, how long it is
 *	body	as it goes out, octet for octet
 *	record	that it is whole, with the body's checksum
 *	record	... what has become of it since, one below the other
 *
 * Head and records are lines: eight hexadecimal digits of CRC-32C, a blank, a JSON object in ASCII.  A file
 * without its first record was never promised to anybody.  Records are only ever added, but that one which
 * tells of tries without an outcome may be overwritten (keep says from where), so that a file does not grow
 * with each try; what is left of a record that was cut by a crash is passed over.  It never holds a secret:
 * the way is the name of an account or a URL, and the path of the password's file.
 *
 * Here nothing is read from a disk: see outbox.h.
 */
#ifndef POSTERN_SUBMIT_OUTBOX_FILE_H
#define POSTERN_SUBMIT_OUTBOX_FILE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/id.h"

#define OUTBOX_HEAD_MAX	   (16U << 20) /* octets of the head's line */
#define OUTBOX_JOURNAL_MAX (32U << 20) /* of all records */
#define OUTBOX_TEXT_MAX	   500	       /* of what was said last */
#define OUTBOX_PINS_MAX	   16
#define OUTBOX_FIRST_MAX   128 /* octets of the first record's line, its end included */

/* By which server it goes, and how that one is known: as the options of `postern send` gave it. */
struct outbox_way {
	const char *account, *url, *password_file, *mechanism, *ca_file; /* NULL: none was given */
	const char *pin[OUTBOX_PINS_MAX];
	size_t pins;
};

enum outbox_rcpt_state {
	OUTBOX_WAITS,
	OUTBOX_TAKEN,
	OUTBOX_REFUSED, /* for good */
};

struct outbox_rcpt {
	const char *address;
	uint8_t notify; /* which reports are wanted: SMTP_NOTIFY_ flags of smtp/path.h */
	enum outbox_rcpt_state state;
	char *text; /* what the server said when it refused; or NULL */
};

struct outbox_message {
	json_t *head; /* what the strings point into */
	const char *id, *sender;
	struct outbox_way way;
	uint64_t taken_ms, octets;
	bool eightbit, smtputf8, header_eightbit;
	uint8_t ret;	   /* enum smtp_ret */
	const char *envid; /* in xtext; or "" */
	struct outbox_rcpt *rcpt;
	size_t n;

	/* By its records. */
	bool whole;
	uint32_t body_crc;
	bool unsure;  /* it was being given away when something broke: perhaps the server has it */
	bool expired; /* given up, it waited too long */
	unsigned tries;
	uint64_t since_ms; /* when it was taken, or somebody said that it be tried again */
	uint64_t last_ms;  /* when it was tried last; 0: never */
	bool answered;	   /* and then the server was there, but did not take it yet */
	char text[OUTBOX_TEXT_MAX + 1];
	uint64_t keep, end; /* octets of the journal: up to here records must stay; are records */

	uint64_t journal_at; /* where in the file they begin: whoever read it says so */
};

enum outbox_state {
	OUTBOX_WAITING,
	OUTBOX_UNSURE,
	OUTBOX_FAILED, /* for one recipient at least, and nothing of it waits */
	OUTBOX_DONE,   /* it can go */
};
enum outbox_state outbox_message_state(const struct outbox_message *m);
size_t outbox_message_waits(const struct outbox_message *m); /* recipients */
bool outbox_way_same(const struct outbox_way *a, const struct outbox_way *b);

void outbox_message_done(struct outbox_message *m); /* fine on a zeroed one */

enum outbox_read {
	OUTBOX_READ_OK,
	OUTBOX_READ_TORN, /* the journal does not begin as it must: the file was never finished */
	OUTBOX_READ_BAD,  /* what stands there is no such thing, or has decayed */
	OUTBOX_READ_NO_MEMORY,
};

/* The line without its end.  *ret is to be done() if this is OK. */
enum outbox_read outbox_head_read(struct slice line, struct outbox_message *ret);
/* All behind the body. */
enum outbox_read outbox_journal_read(struct slice text, struct outbox_message *m);

/* Each appends one line; false: out of memory, or a string is no UTF-8. */
bool outbox_head_put(const struct outbox_message *m, struct buf *to); /* uses all above "by its records" */
bool outbox_put_whole(uint32_t body_crc, uint64_t now_ms, struct buf *to);
/* Tried, and nothing has changed: text says why. */
bool outbox_put_waits(const struct outbox_message *m, bool answered, const char *text, uint64_t now_ms,
		      struct buf *to);
/* From now on nobody knows, until another record is there. */
bool outbox_put_sending(const struct outbox_message *m, uint64_t now_ms, struct buf *to);
bool outbox_put_expired(const char *text, uint64_t now_ms, struct buf *to);
/* All that was refused, given up, or is in doubt waits again. */
bool outbox_put_again(uint64_t now_ms, struct buf *to);

/* What came of a try for one of those that waited. */
struct outbox_outcome {
	size_t rcpt; /* its number in the message */
	enum outbox_rcpt_state state;
	const char *text; /* REFUSED: why */
};
bool outbox_put_outcomes(const struct outbox_message *m, const struct outbox_outcome *o, size_t n,
			 bool unsure, bool answered, const char *text, uint64_t now_ms, struct buf *to);

#endif
