/* type.h - a file's media type, by the end of its name. */
#ifndef POSTERN_MIME_TYPE_H
#define POSTERN_MIME_TYPE_H

#include "base/slice.h"

/* "image/png"; of what is not known "application/octet-stream".  Never a type that must not be encoded
 * (message/rfc822, RFC 2046 5.2.1), nor multipart. */
const char *mime_type_of(struct slice filename);
/* A type and a subtype of tokens (RFC 2045 5.1), no parameters; and none of those above. */
bool mime_type_ok(struct slice type);

#endif
