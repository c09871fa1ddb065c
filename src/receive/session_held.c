/* Who guessed wrong waits for the answer: keeper says how long, the session holds it back. */
#include <stdlib.h>
#include <string.h>

#include "receive/session.h"

#define HELD_MAX_MS 10000

struct session_held {
	struct ipc_auth_result m;
	unsigned char text[]; /* of its slices */
};

static unsigned char *keep(struct slice *s, unsigned char *to)
{
	if (s->n > 0)
		memcpy(to, s->p, s->n);
	s->p = to;
	return to + s->n;
}

bool session_hold_auth(struct session *s, const struct ipc_auth_result *m)
{
	uint32_t ms = m->delay_ms < HELD_MAX_MS ? m->delay_ms : HELD_MAX_MS;
	struct session_held *h;
	unsigned char *to;

	if (ms == 0)
		return false;
	h = malloc(sizeof(*h) + m->enhanced.n + m->text.n + m->name.n + m->owner.n);
	if (!h)
		return false; /* then at once */
	h->m = *m;
	h->m.delay_ms = 0;
	to = keep(&h->m.enhanced, h->text);
	to = keep(&h->m.text, to);
	to = keep(&h->m.name, to);
	keep(&h->m.owner, to);
	s->held = h;
	s->deadline_ms = receive_now_ms(s->rx) + ms;
	return true;
}

void session_let_go(struct session *s)
{
	struct session_held *h = s->held;

	s->held = NULL;
	session_auth_result(s, &h->m);
	session_forget_held(h);
}

void session_forget_held(struct session_held *h)
{
	free(h);
}
