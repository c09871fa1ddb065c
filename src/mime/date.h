/* date.h - dates as mail writes them (RFC 5322 3.3): written in UTC, read in any zone. */
#ifndef POSTERN_MIME_DATE_H
#define POSTERN_MIME_DATE_H

#include "base/buf.h"

/* "Sat, 21 Nov 2026 23:39:43 +0000" for milliseconds since 1970.  Reads no time
 * zone file, as gmtime_r() does. */
void mime_date_put(uint64_t unix_ms, struct buf *to);

/* Reads one, obsolete forms (4.3) and comments too, and nothing but blanks behind it; milliseconds since
 * 1970. False: it is none, or before that. */
bool mime_date_read(struct slice text, uint64_t *ret_ms);

#endif
