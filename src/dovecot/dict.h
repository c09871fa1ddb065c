/* dict.h - the door to accounts that Dovecot knocks at, as an engine: bytes and
 * answers in, questions and replies out.
 *
 * Dovecot's dict protocol, version 3 (Dovecot 2.3; 4 of 2.4 differs in nothing that is
 * used here), as far as its userdb needs it, and one command of our own for
 * `postern dovecot-login`.  A line ends with LF; fields are parted by TAB; of octet
 * 0x01 and one after it come NUL (0), 0x01 (1), TAB (t), CR (r) and LF (l):
 *
 *	H<major> TAB <minor> ...           first; no reply
 *	Lshared/userdb/<user> TAB ...      who is this?
 *	P<user> TAB <password> TAB <service> TAB <ip>
 *	                                   is this the password?
 *	replies: O<value>, N (no), F<why> (try again later)
 *
 * Dovecot itself could send passwords as lookups, too; it logs the key of a lookup
 * that failed, and so the password whenever we are being restarted.  Hence P.
 *
 * One question is open at a time, and while it is, or replies wait, feed takes
 * nothing.  A line that breaks the rules ends with CLOSE.  What held a password is
 * wiped when its question is answered.  Not a socket, not an answer to anything.
 */
#ifndef POSTERN_DOVECOT_DICT_H
#define POSTERN_DOVECOT_DICT_H

#include "base/buf.h"

#define DOVECOT_LINE_MAX  12288 /* a command with its LF; every octet may be two */
#define DOVECOT_VALUE_MAX 4096	/* of a reply, before it is escaped */

enum dovecot_want { DOVECOT_INPUT, DOVECOT_LOGIN, DOVECOT_USER, DOVECOT_CLOSE };

struct dovecot_ask {
	enum dovecot_want want;
	struct slice user;
	struct slice password, service, ip; /* of LOGIN; ip as text, may be empty */
};

enum dovecot_answer { DOVECOT_YES = 'O', DOVECOT_NO = 'N', DOVECOT_LATER = 'F' };

struct dovecot_dict {
	struct buf line; /* what has come of a command; unescaped in place when it is whole */
	struct buf output;
	struct dovecot_ask ask;
	bool greeted;
};

void dovecot_dict_init(struct dovecot_dict *d);
void dovecot_dict_done(struct dovecot_dict *d);
/* How many octets were taken. */
size_t dovecot_dict_feed(struct dovecot_dict *d, struct slice in);
/* Slices in it are valid until the answer. */
const struct dovecot_ask *dovecot_dict_want(const struct dovecot_dict *d);
/* Closes the open question.  value: JSON with YES, the reason with LATER. */
void dovecot_dict_answer(struct dovecot_dict *d, enum dovecot_answer what, struct slice value);
struct slice dovecot_dict_output(const struct dovecot_dict *d);
void dovecot_dict_sent(struct dovecot_dict *d, size_t n);

/* Appends the text as a field; for who asks, too. */
void dovecot_escape(struct slice text, struct buf *to);
/* In place; false: an escape that there is not.  The same octets or fewer. */
bool dovecot_unescape(unsigned char *p, size_t *n);

#endif
