#include "ipc/event.h"

#include <string.h>

#include "base/id.h"
#include "base/utf8.h"

/* That others who speak to the ledger keep for themselves: limits are asked over the same channel. */
#define ROOM_MIN (1U << 20)

#define TEXT_HEAD   3 /* key, length */
#define NUMBER_SIZE 9

_Static_assert(EVENT_KEYS_END <= UINT8_MAX && EVENT_KINDS_END <= UINT8_MAX, "an octet each");
_Static_assert(IPC_EVENT_MAX <= UINT16_MAX, "lengths are of 16 bits");

static const struct {
	const char *name;
	uint16_t max; /* octets of text; 0: a number */
} keys[EVENT_KEYS_END] = {
#define KEY_ROW(number, NAME, name, max) [number] = { name, max },
	EVENT_KEYS(KEY_ROW)
};

static const char *const kinds[EVENT_KINDS_END] = {
#define KIND_ROW(number, NAME, name) [number] = name,
	EVENT_KINDS(KIND_ROW)
};

const char *event_kind_name(unsigned kind)
{
	return kind < EVENT_KINDS_END && kinds[kind] ? kinds[kind] : "unknown";
}

unsigned event_kind_find(struct slice name)
{
	for (unsigned i = 1; i < EVENT_KINDS_END; i++)
		if (kinds[i] && slice_eq(name, slice_str(kinds[i])))
			return i;
	return 0;
}

const char *event_key_name(unsigned key)
{
	return key < EVENT_KEYS_END && keys[key].name ? keys[key].name : "unknown";
}

/* ---- telling ---- */

void event_sink_init(struct event_sink *s)
{
	s->ledger = NULL;
	s->local = false;
	s->sent = s->dropped = 0;
	s->lost = 0;
	s->open = false;
}

static void lose(struct event_sink *s)
{
	s->dropped++;
	if (s->lost < UINT32_MAX)
		s->lost++;
}

void event_begin(struct event_sink *s, enum event_kind kind, uint64_t time_ms, struct slice id,
		 uint32_t recipient)
{
	size_t n = id.n <= sizeof(s->id) ? id.n : 0;

	if (!s)
		return;
	s->open = s->local || (s->ledger && channel_room(s->ledger) > ROOM_MIN);
	if (!s->open) {
		lose(s);
		return;
	}
	memcpy(s->id, id.p ? id.p : (const unsigned char *)"", n);
	s->m.type = IPC_TYPE_event;
	s->m.event = (struct ipc_event){ .kind = (uint8_t)kind,
					 .time_ms = time_ms,
					 .id = slice_of(s->id, n),
					 .recipient = recipient,
					 .lost = s->lost };
	buf_init_in(&s->fields, s->room, sizeof(s->room));
}

void event_text(struct event_sink *s, enum event_key key, struct slice text)
{
	unsigned char head[TEXT_HEAD];

	if (!s || !s->open || text.n == 0 || keys[key].max == 0 || buf_room(&s->fields) <= TEXT_HEAD)
		return;
	text = utf8_cut(text, keys[key].max);
	text = utf8_cut(text, buf_room(&s->fields) - TEXT_HEAD);
	head[0] = (unsigned char)key;
	head[1] = (unsigned char)(text.n & 0xff);
	head[2] = (unsigned char)(text.n >> 8);
	buf_put(&s->fields, slice_of(head, sizeof(head)));
	buf_put(&s->fields, text);
}

void event_number(struct event_sink *s, enum event_key key, uint64_t v)
{
	unsigned char field[NUMBER_SIZE];

	if (!s || !s->open || keys[key].max != 0 || buf_room(&s->fields) < NUMBER_SIZE)
		return;
	field[0] = (unsigned char)key;
	for (int i = 0; i < 8; i++)
		field[1 + i] = (unsigned char)(v >> (8 * i));
	buf_put(&s->fields, slice_of(field, sizeof(field)));
}

void event_send(struct event_sink *s)
{
	if (!s || !s->open || !s->ledger)
		return;
	s->open = false;
	s->m.event.fields = buf_slice(&s->fields);
	if (channel_send_later(s->ledger, &s->m) < 0) {
		lose(s);
		return;
	}
	s->lost = 0;
	s->sent++;
}

const struct ipc_event *event_made(struct event_sink *s)
{
	s->open = false;
	s->m.event.fields = buf_slice(&s->fields);
	return &s->m.event;
}

/* ---- reading ---- */

bool event_take(struct slice *cur, struct event_field *ret)
{
	struct slice c = *cur;
	struct event_field f = { 0 };
	unsigned key;

	if (c.n == 0)
		return false;
	key = c.p[0];
	if (key >= EVENT_KEYS_END || !keys[key].name)
		return false;
	f.key = (enum event_key)key;
	f.is_text = keys[key].max > 0;
	if (!f.is_text) {
		if (c.n < NUMBER_SIZE)
			return false;
		for (int i = 8; i > 0; i--)
			f.number = f.number << 8 | c.p[i];
		*cur = slice_tail(c, NUMBER_SIZE);
	} else {
		size_t n;

		if (c.n < TEXT_HEAD)
			return false;
		n = (size_t)c.p[1] | (size_t)c.p[2] << 8;
		if (n == 0 || n > keys[key].max || n > c.n - TEXT_HEAD)
			return false;
		f.text = slice_of(c.p + TEXT_HEAD, n);
		*cur = slice_tail(c, TEXT_HEAD + n);
	}
	*ret = f;
	return true;
}

bool event_is_sound(const struct ipc_event *e)
{
	struct slice cur = e->fields;
	struct event_field f;
	struct id id;

	if (e->kind >= EVENT_KINDS_END || !kinds[e->kind] || (e->id.n > 0 && !id_parse(e->id, &id)))
		return false;
	while (event_take(&cur, &f))
		;
	return cur.n == 0;
}
