#include "queue/admit.h"

#include <errno.h>
#include <stdlib.h>

#include "ipc/message.h"

/* What the schedule wants, an array each. */
struct columns {
	uint8_t *state;
	uint32_t *destination, *attempts;
	uint64_t *due_ms;
};

static bool columns_new(struct columns *c, uint32_t n, bool known)
{
	c->state = malloc(n);
	c->destination = calloc(n, sizeof(*c->destination));
	c->attempts = known ? calloc(n, sizeof(*c->attempts)) : NULL;
	c->due_ms = known ? calloc(n, sizeof(*c->due_ms)) : NULL;
	return c->state && c->destination && (!known || (c->attempts && c->due_ms));
}

static void columns_done(struct columns *c)
{
	free(c->state);
	free(c->destination);
	free(c->attempts);
	free(c->due_ms);
}

/* A recipient without a way waits, as long as others do, for a configuration that has one. */
static void name_of(const struct ways *ways, const struct envelope *e, const struct envelope_rcpt *r,
		    struct buf *to)
{
	if (ways_name(ways, e, r, to))
		return;
	buf_reset(to);
	buf_str(to, WAYS_NOWHERE);
}

static int fill(struct schedule *s, const struct ways *ways, const struct admit *a, struct columns *c)
{
	struct slice cur = a->recipients;
	unsigned char room[WAYS_TEXT_MAX];
	struct envelope_rcpt r;

	for (uint32_t i = 0; i < a->envelope->recipients; i++) {
		enum schedule_rcpt state = a->known ? a->known[i].state : SCHEDULE_READY;
		struct buf name;

		if (!envelope_get_rcpt(&cur, &r))
			return -EBADMSG;
		buf_init_in(&name, room, sizeof(room));
		c->destination[i] = SCHEDULE_LOCAL;
		if (state != SCHEDULE_DONE) {
			name_of(ways, a->envelope, &r, &name);
			c->destination[i] = schedule_destination(s, buf_slice(&name));
		}
		if (c->destination[i] == SCHEDULE_NONE)
			return -ENOMEM;
		c->state[i] = (uint8_t)state;
		if (a->known) {
			c->attempts[i] = a->known[i].attempts;
			c->due_ms[i] = a->known[i].due_ms;
		}
	}
	return 0;
}

int admit(struct schedule *s, const struct ways *ways, const struct admit *a, uint64_t now_ms)
{
	const struct envelope *e = a->envelope;
	struct schedule_message m = { .id = a->id,
				      .accepted_ms = a->accepted_ms,
				      .release_ms = e->hold_until_ms,
				      .held = a->held,
				      .class = (enum schedule_class)e->class, /* alike */
				      .account = e->account,
				      .recipients = e->recipients };
	struct columns c = { 0 };
	int r = columns_new(&c, e->recipients, a->known != NULL) ? fill(s, ways, a, &c) : -ENOMEM;

	if (r == 0) {
		m.rcpt = c.state;
		m.destination = c.destination;
		m.rcpt_due_ms = c.due_ms;
		m.rcpt_attempts = c.attempts;
		r = schedule_add(s, &m, now_ms);
	}
	columns_done(&c);
	return r;
}

bool admit_differs(const struct schedule *s, const struct ways *ways, const struct id *id,
		   const struct envelope *e, struct slice recipients)
{
	unsigned char room[WAYS_TEXT_MAX];
	struct schedule_rcpt_view view;
	struct envelope_rcpt r;

	for (uint32_t i = 0; i < e->recipients && envelope_get_rcpt(&recipients, &r); i++) {
		struct buf name;

		if (!schedule_look_route(s, id, i, &view) || view.state == SCHEDULE_DONE)
			continue;
		buf_init_in(&name, room, sizeof(room));
		name_of(ways, e, &r, &name);
		if (!slice_eq(view.destination, buf_slice(&name)))
			return true;
	}
	return false;
}
