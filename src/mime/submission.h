/* submission.h - the header fields that a submission server adds where the
 * client left them out (RFC 6409 8.1 to 8.3).  Nothing that is there is changed.
 */
#ifndef POSTERN_MIME_SUBMISSION_H
#define POSTERN_MIME_SUBMISSION_H

#include "mime/header.h"

struct mime_submission {
	struct slice hostname, id; /* Message-ID: <id@hostname> */
	struct slice sender;	   /* "user@example.org"; empty for <>: then no From is added */
	uint64_t time_ms;
};

enum { MIME_ADDED_DATE = 1, MIME_ADDED_FROM = 2, MIME_ADDED_MESSAGE_ID = 4 };

/* Appends whole fields; returns which (MIME_ADDED_ flags). */
unsigned mime_submission_put(const struct mime_header *h, const struct mime_submission *s, struct buf *to);

#endif
