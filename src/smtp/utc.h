/* utc.h - a point of time as FUTURERELEASE writes it: "2027-01-15T08:00:00Z" (RFC 3339, RFC 4865 3). */
#ifndef POSTERN_SMTP_UTC_H
#define POSTERN_SMTP_UTC_H

#include "base/buf.h"

/* Takes all of the text; it may have another offset than Z (erratum 2040 to RFC 4865), fractions of a
 * second are left out.  Seconds since 1970, of the years 1970 to 9999. */
bool smtp_utc_parse(struct slice text, uint64_t *ret_s);
void smtp_utc_put(uint64_t s, struct buf *to);

#endif
