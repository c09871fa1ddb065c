#include "history/event_json.h"

#include <string.h>
#include <time.h>

#include "base/utf8.h"

#define END_ROOM 16 /* for what closes the object */

static void put_time(struct buf *to, uint64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;

	if (!gmtime_r(&s, &tm) || tm.tm_year > 8099)
		memset(&tm, 0, sizeof(tm));
	buf_dec(to, (uint64_t)tm.tm_year + 1900, 4);
	buf_byte(to, '-');
	buf_dec(to, (uint64_t)tm.tm_mon + 1, 2);
	buf_byte(to, '-');
	buf_dec(to, (uint64_t)tm.tm_mday, 2);
	buf_byte(to, 'T');
	buf_dec(to, (uint64_t)tm.tm_hour, 2);
	buf_byte(to, ':');
	buf_dec(to, (uint64_t)tm.tm_min, 2);
	buf_byte(to, ':');
	buf_dec(to, (uint64_t)tm.tm_sec, 2);
	buf_byte(to, '.');
	buf_dec(to, ms % 1000, 3);
	buf_byte(to, 'Z');
}

static void put_name(struct buf *to, enum event_key key)
{
	buf_str(to, ",\"");
	buf_str(to, event_key_name(key));
	buf_str(to, "\":");
}

static void put_string(struct buf *to, struct slice text)
{
	buf_byte(to, '"');
	utf8_put_json(to, text);
	buf_byte(to, '"');
}

/* Accepted messages have a list of recipients, also when there is but one. */
static void put_list(struct buf *to, struct slice fields)
{
	struct event_field f;
	bool any = false;

	buf_str(to, ",\"to\":[");
	while (event_take(&fields, &f)) {
		struct buf before = *to;

		if (f.key != EVENT_KEY_TO)
			continue;
		if (any)
			buf_byte(to, ',');
		put_string(to, f.text);
		if (!buf_ok(to) || buf_room(to) < END_ROOM) {
			to->n = before.n;
			to->failed = false;
			break;
		}
		any = true;
	}
	buf_byte(to, ']');
}

static void put_field(struct buf *to, const struct event_field *f)
{
	put_name(to, f->key);
	if (f->is_text)
		put_string(to, f->text);
	else
		buf_dec(to, f->number, 1);
}

void event_json_put(const struct ipc_event *e, struct buf *to)
{
	struct slice cur = e->fields;
	uint64_t seen = 0;
	struct event_field f;
	bool cut = false;

	_Static_assert(EVENT_KEYS_END <= 64, "a bit for each key");
	buf_str(to, "{\"time\":\"");
	put_time(to, e->time_ms);
	buf_str(to, "\",\"time_ms\":");
	buf_dec(to, e->time_ms, 1);
	buf_str(to, ",\"kind\":\"");
	buf_str(to, event_kind_name(e->kind));
	buf_byte(to, '"');
	if (e->id.n > 0) {
		buf_str(to, ",\"id\":");
		put_string(to, e->id);
	}
	if (e->recipient != EVENT_NO_RECIPIENT) {
		buf_str(to, ",\"recipient\":");
		buf_dec(to, e->recipient, 1);
	}
	while (event_take(&cur, &f)) {
		struct buf before = *to;

		/* Once each: a name twice in an object means nothing (RFC 8259, 4). */
		if (seen & UINT64_C(1) << f.key)
			continue;
		seen |= UINT64_C(1) << f.key;
		if (f.key == EVENT_KEY_TO && e->kind == EVENT_ACCEPTED)
			put_list(to, e->fields);
		else
			put_field(to, &f);
		if (!buf_ok(to) || buf_room(to) < END_ROOM) {
			to->n = before.n;
			to->failed = false;
			cut = true;
		}
	}
	buf_str(to, cut ? ",\"cut\":true}" : "}");
}
