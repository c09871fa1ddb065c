#include "base/json_text.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"

json_t *json_text(struct slice s)
{
	json_t *j = json_stringn(s.n > 0 ? (const char *)s.p : "", s.n);
	size_t n = 0;
	char *clean;

	if (j)
		return j;
	clean = malloc(s.n * strlen(REPLACEMENT));
	while (clean && s.n > 0) {
		size_t len = utf8_length(s);

		memcpy(clean + n, len > 0 ? (const char *)s.p : REPLACEMENT,
		       len > 0 ? len : strlen(REPLACEMENT));
		n += len > 0 ? len : strlen(REPLACEMENT);
		s = slice_tail(s, len > 0 ? len : 1);
	}
	j = clean ? json_stringn(clean, n) : NULL;
	free(clean);
	return j;
}
