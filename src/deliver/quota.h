/* quota.h - how much is in a mailbox, and whether one more message fits.
 *
 * Maildir++ (as Courier defined it; Dovecot's quota backend "maildir" shares it): the
 * file maildirsize in the mailbox.  Its first line is the limit, "1073741824S"; each
 * further line octets and messages that came (or, negative, went); their sum is the
 * usage.  Whoever changes the mailbox appends a line.  The mailbox is counted anew, and
 * the file replaced, when the file is not there, too long, unreadable or of another
 * limit, and before mail is refused for lack of room, unless that was done just now and
 * nothing changed in the inbox since: lines get lost when two programs work at once, so the sum is only
 * nearly right.
 *
 * All folders of the mailbox count, as Dovecot counts them, with the size that a file's
 * name tells (,S=), or else the file's own.
 *
 * Blocks; may run on several threads.  A count that cannot be had is no reason to
 * refuse mail, and nothing is synced here: after a crash it is counted again.
 */
#ifndef POSTERN_DELIVER_QUOTA_H
#define POSTERN_DELIVER_QUOTA_H

#include "base/slice.h"

#define QUOTA_FILE     "maildirsize"
#define QUOTA_FILE_MAX 5120 /* octets; a longer one is written anew */
#define QUOTA_STALE_S  900  /* a count that old is not enough to refuse mail */

struct quota_usage {
	uint64_t octets, messages;
};

enum quota_verdict {
	QUOTA_FITS = 1,	 /* and it is counted */
	QUOTA_FULL,	 /* there is no room now */
	QUOTA_TOO_LARGE, /* it would not even fit into the empty mailbox */
};

/* box: descriptor of the mailbox (not of a folder in it); limit, size: octets, both over 0. */
enum quota_verdict quota_take(int box, uint64_t limit, uint64_t size, int64_t now_s);
/* A message that was counted does not come; or, without a limit, one that came: appended
 * only where the file is, for whoever keeps it.  False: there is none. */
bool quota_note(int box, int64_t octets, int messages);
/* What is in it: by the file when it tells, else counted.  0 or negative errno. */
int quota_usage(int box, struct quota_usage *ret);

/* The file's text. limit 0: whatever it says.  False: count anew.  lines: those behind the first. */
bool quota_parse(struct slice text, uint64_t limit, struct quota_usage *ret, unsigned *ret_lines);
/* The size that a name tells: "123.M4P5.host,S=678,W=690:2,S"; false: none. */
bool quota_size_of_name(struct slice name, uint64_t *ret);

#endif
