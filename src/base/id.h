/* id.h - message ids: short, sortable by time, printable, unique.
 *
 * 13 characters of Crockford's base 32: 65 bits, of which 42 are milliseconds
 * since 2020-01-01 UTC (good until 2159), 8 the process and 15 a counter that
 * starts anywhere.  A generator never goes back, whatever the clock does.
 */
#ifndef POSTERN_BASE_ID_H
#define POSTERN_BASE_ID_H

#include "base/slice.h"

#define ID_LEN 13

struct id {
	char text[ID_LEN + 1]; /* NUL-terminated */
};

struct id_source {
	uint64_t last_ms;
	uint32_t counter;
	uint8_t process;
};

void id_source_init(struct id_source *src, uint8_t process);
/* now_ms: milliseconds since 1970 by the wall clock. */
struct id id_next(struct id_source *src, uint64_t now_ms);

struct slice id_slice(const struct id *id);
/* False unless the text is exactly an id in its canonical form. */
bool id_parse(struct slice text, struct id *ret);
uint64_t id_time_ms(const struct id *id); /* since 1970 */

#endif
