/* json_text.h - what strangers wrote, as a JSON string.
 *
 * JSON is UTF-8, and what peers, files and paths hold is not always: what is none becomes the replacement
 * character (U+FFFD), octet by octet, as in utf8_put_json().
 */
#ifndef POSTERN_BASE_JSON_TEXT_H
#define POSTERN_BASE_JSON_TEXT_H

#include <jansson.h>

#include "base/slice.h"

json_t *json_text(struct slice s); /* NULL: out of memory */

#endif
