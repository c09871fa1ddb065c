/* What was said, as text for people: bounded, and cheap, for it is kept of every message. */
#include <string.h>

#include "smtp/client_private.h"

/* Behind what there is of the connection's beginning, as long as there is room. */
static void put_first(struct client_said *t, const char *line, size_t n)
{
	if (t->first_n + n > sizeof(t->first)) {
		t->message = true; /* the rest goes where the oldest gives way */
		return;
	}
	memcpy(t->first + t->first_n, line, n);
	t->first_n += n;
}

static void put_last(struct client_said *t, const char *line, size_t n)
{
	size_t at = t->last_n % sizeof(t->last), room = sizeof(t->last) - at;

	memcpy(t->last + at, line, n < room ? n : room);
	if (n > room)
		memcpy(t->last, line + room, n - room);
	t->last_n += n;
}

void client_said(struct smtp_client *c, char who, struct slice s)
{
	struct client_said *t = &c->said;
	char line[SAID_LINE + 8] = { who, ':', ' ' };
	size_t n = 3;

	if (!c->setup->transcript || c->mute)
		return;
	for (size_t i = 0; i < s.n && i < SAID_LINE; i++) {
		unsigned char b = s.p[i];
		/* Control characters, UTF-8's beyond ASCII too: terminals obey them. */
		bool control =
			b < 0x20 || b == 0x7f || (b >= 0x80 && b < 0xa0 && i > 0 && s.p[i - 1] == 0xc2);

		line[n++] = control ? '?' : (char)b;
	}
	if (s.n > SAID_LINE) {
		memcpy(line + n, "...", 3);
		n += 3;
	}
	line[n++] = '\n';
	if (!t->message)
		put_first(t, line, n);
	if (t->message)
		put_last(t, line, n);
}

void client_said_from(struct smtp_client *c, size_t from)
{
	struct slice s = slice_tail(buf_slice(&c->output), from);

	if (s.n >= 2 && s.p[s.n - 1] == '\n')
		s.n -= 2;
	client_said(c, 'C', s);
}

/* A challenge is the driver's alone; and a server that did not understand a line of AUTH may
 * repeat it. */
void client_said_reply(struct smtp_client *c)
{
	int code = c->reply.code;
	struct slice s = c->reply.full;

	if (c->step == SMTP_CLIENT_AT_AUTH && (code == 334 || (code >= 500 && code <= 504)))
		client_said(c, 'S', slice_head(s, 3));
	else
		client_said(c, 'S', s);
}

void client_said_message(struct smtp_client *c)
{
	c->said.message = true;
	c->said.last_n = 0;
}

void smtp_client_transcript(const struct smtp_client *c, struct buf *to)
{
	const struct client_said *t = &c->said;
	size_t size = sizeof(t->last), at = t->last_n % size;
	struct slice older, newer = slice_of(t->last, t->last_n < size ? t->last_n : at);

	buf_put(to, slice_of(t->first, t->first_n));
	if (t->last_n <= size) {
		buf_put(to, t->last_n == size ? slice_of(t->last, size) : newer);
		return;
	}
	/* From its first whole line on. */
	older = slice_of(t->last + at, size - at);
	if (slice_find(older, '\n') == older.n)
		newer = slice_tail(newer, slice_find(newer, '\n') + 1);
	older = slice_tail(older, slice_find(older, '\n') + 1);
	buf_str(to, "(some lines are left out)\n");
	buf_put(to, older);
	buf_put(to, newer);
}
