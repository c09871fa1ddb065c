/* srs.h - the sender rewriting scheme: an engine.
 *
 * Who forwards a message sends it on under an address of its own: the sender's domain
 * does not name our hosts (SPF), and a report has to find its way back.  That address is
 *
 *	SRS0=HASH=DAY=their.domain=their-local@our.domain
 *
 * and holds all that is needed to send a report on to them; HASH, made with a secret of ours,
 * keeps strangers from sending through us to addresses of their choice, and DAY ends it after
 * SRS_DAYS.  A sender that is such an address of another forwarder becomes
 *
 *	SRS1=HASH=their.domain==HASH=DAY=first.domain=first-local@our.domain
 *
 * which leads back to that forwarder, however many there were in between (Meng Weng Wong, Shevek: The
 * Sender Rewriting Scheme, 2004).  Letters compare in either case, as some servers turn them.
 * The hash is shortened from 8 to 4 characters where the local part would pass 64 octets; longer
 * ones are made and taken all the same (up to SMTP_LOCAL_PART_SRS_MAX), as other forwarders do, because the
 * senders of bulk mail are long.  No state, no clock, nothing kept.
 */
#ifndef POSTERN_SMTP_SRS_H
#define POSTERN_SMTP_SRS_H

#include "base/buf.h"

#define SRS_DAYS 21 /* that an address is good: five to deliver, five for the report, and more */
#define SRS_KEY	 32 /* octets of the secret */

/* "SRS0=", "SRS1+" ...: the look of it only. */
bool srs_is(struct slice local);

/* Appends the rewritten address.  day: since 1970, by the wall clock.  False, and nothing is appended,
 * where the sender cannot be rewritten (a quoted local part, an address literal, or too long): it
 * stays as it is. */
bool srs_make(struct slice sender, struct slice domain, const unsigned char key[static SRS_KEY], uint64_t day,
	      struct buf *to);

enum srs_result {
	SRS_OK,
	SRS_NONE,    /* it does not even look like one */
	SRS_FORGED,  /* not made by us, or changed */
	SRS_EXPIRED, /* ours, and too old */
};
/* Appends the address that the local part stands for, with SRS_OK. */
enum srs_result srs_open(struct slice local, const unsigned char key[static SRS_KEY], uint64_t day,
			 struct buf *to);

#endif
