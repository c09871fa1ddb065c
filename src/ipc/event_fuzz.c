/* event_fuzz.c - the fields of an event are taken apart as a simple-minded reading does; it is sound just
 * when nothing is left over; and what was taken and is told again comes out the same, octet by octet. */
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "ipc/event.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

/* The field's octets, 0: there is none. */
static size_t length(struct slice s)
{
	size_t n;

	if (s.n == 0 || strcmp(event_key_name(s.p[0]), "unknown") == 0)
		return 0;
	n = s.n >= 3 ? (size_t)s.p[1] + s.p[2] * 256U : 0;
	return n + 3;
}

static void check_number(struct slice octets, uint64_t v)
{
	CHECK(octets.n == 9);
	for (size_t i = 1; i < 9; i++, v /= 256)
		CHECK(octets.p[i] == v % 256);
	CHECK(v == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct event_sink sink;
	struct slice all = slice_of(data, size), cur = all, id = SLICE_LIT("1JMB4MM9R0JRV");
	struct ipc_event e = { .kind = EVENT_ACCEPTED, .id = id, .fields = all };
	const struct ipc_event *made;
	struct event_field f;

	if (size > IPC_EVENT_MAX)
		return 0;
	event_sink_init(&sink);
	sink.local = true;
	event_begin(&sink, EVENT_ACCEPTED, 1, id, EVENT_NO_RECIPIENT);
	for (;;) {
		struct slice before = cur, octets;

		if (!event_take(&cur, &f))
			break;
		CHECK(cur.n < before.n);
		octets = slice_head(before, before.n - cur.n);
		CHECK(octets.p[0] == (uint8_t)f.key);
		if (f.is_text) {
			CHECK(octets.n == length(before) && f.text.n == octets.n - 3 && f.text.n > 0);
			CHECK(f.text.p == octets.p + 3);
			event_text(&sink, f.key, f.text);
		} else {
			check_number(octets, f.number);
			event_number(&sink, f.key, f.number);
		}
	}
	CHECK(event_is_sound(&e) == (cur.n == 0));
	made = event_made(&sink);
	/* Room for what is cut at its end is kept: the last field may be missing. */
	CHECK(made->fields.n <= all.n - cur.n &&
	      memcmp(made->fields.p ? made->fields.p : data, data, made->fields.n) == 0);
	if (all.n + 16 < IPC_EVENT_MAX)
		CHECK(made->fields.n == all.n - cur.n);
	return 0;
}
