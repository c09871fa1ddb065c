/* limit_world.h - for tests: some processes with their counts, a ledger, and what is under
 * way between them; and the truth, which is kept apart and simply. */
#ifndef POSTERN_POLICY_LIMIT_WORLD_H
#define POSTERN_POLICY_LIMIT_WORLD_H

#include <stdlib.h>

#include "policy/claims.h"

#define WORLD_PROCESSES 4
#define WORLD_QUEUE	256
#define WORLD_EVENTS	8192

struct world_claim {
	struct limit_claim c;
	unsigned char key[LIMIT_KEY_MAX];
};

struct world {
	unsigned processes;
	uint64_t now;
	struct limit limit;
	struct limit_key key;
	struct limits *l[WORLD_PROCESSES];
	struct claims *claims;				     /* NULL: ledger is away */
	struct world_claim up[WORLD_PROCESSES][WORLD_QUEUE]; /* to ledger */
	unsigned n_up[WORLD_PROCESSES];
	struct {
		uint32_t claim;
		bool full;
	} down[WORLD_PROCESSES][WORLD_QUEUE];
	unsigned n_down[WORLD_PROCESSES];

	/* the truth */
	uint32_t level[WORLD_PROCESSES];
	uint64_t event[WORLD_EVENTS]; /* when something was taken of a window */
	size_t n_events;
};

static inline void world_must(bool ok)
{
	if (!ok)
		abort();
}

static inline void world_init(struct world *w, unsigned processes, uint32_t max, uint64_t window_ms)
{
	memset(w, 0, sizeof(*w));
	w->processes = processes;
	w->now = 1000000;
	w->limit = (struct limit){ .max = max, .window_ms = window_ms, .processes = processes };
	limit_key_text(&w->key, LIMIT_ACCOUNT_MESSAGES, "", SLICE_LIT("ann@example.org"));
	for (unsigned i = 0; i < processes; i++)
		world_must(limits_new(&w->l[i]) == 0);
	world_must(claims_new(&w->claims) == 0);
}

static inline void world_done(struct world *w)
{
	for (unsigned i = 0; i < w->processes; i++)
		limits_free(w->l[i]);
	claims_free(w->claims);
}

/* All that process i has to say is on its way. */
static inline void world_say(struct world *w, unsigned i)
{
	struct limit_claim c;

	while (w->claims && w->n_up[i] < WORLD_QUEUE && limits_next(w->l[i], w->now, &c)) {
		struct world_claim *to = &w->up[i][w->n_up[i]++];

		to->c = c;
		memcpy(to->key, c.key.p, c.key.n);
	}
}

/* Ledger reads one message of process i. */
static inline void world_read(struct world *w, unsigned i)
{
	struct limit_claim c;
	uint32_t granted;
	bool full;

	if (!w->claims || w->n_up[i] == 0)
		return;
	c = w->up[i][0].c;
	c.key.p = w->up[i][0].key;
	granted = claims_claim(w->claims, w->now, i, &c, &full);
	if (c.answer) {
		world_must(w->n_down[i] < WORLD_QUEUE);
		w->down[i][w->n_down[i]].claim = granted;
		w->down[i][w->n_down[i]++].full = full;
	}
	memmove(&w->up[i][0], &w->up[i][1], --w->n_up[i] * sizeof(w->up[i][0]));
}

/* Process i reads one answer. */
static inline void world_hear(struct world *w, unsigned i)
{
	if (w->n_down[i] == 0)
		return;
	limits_granted(w->l[i], w->now, limit_key_slice(&w->key), w->down[i][0].claim, w->down[i][0].full);
	memmove(&w->down[i][0], &w->down[i][1], --w->n_down[i] * sizeof(w->down[i][0]));
}

static inline void world_deliver(struct world *w)
{
	for (unsigned i = 0; i < w->processes; i++) {
		world_say(w, i);
		while (w->n_up[i] > 0)
			world_read(w, i);
		while (w->n_down[i] > 0)
			world_hear(w, i);
	}
}

static inline enum limit_answer world_take_now(struct world *w, unsigned i, bool hurry)
{
	struct limit_use *u;
	enum limit_answer a = limit_take(w->l[i], w->now, &w->key, &w->limit, 1, hurry, &u);

	world_must(u != NULL);
	if (a != LIMIT_TAKEN)
		return a;
	if (w->limit.window_ms == 0)
		w->level[i]++;
	else if (w->n_events < WORLD_EVENTS)
		w->event[w->n_events++] = w->now;
	return a;
}

/* As a session does: ask, wait for the answer, decide. */
static inline bool world_take(struct world *w, unsigned i)
{
	enum limit_answer a = world_take_now(w, i, !w->claims);

	for (int k = 0; k < 2 && a == LIMIT_ASK; k++) {
		world_deliver(w);
		a = world_take_now(w, i, false);
	}
	if (a == LIMIT_ASK)
		a = world_take_now(w, i, true);
	return a == LIMIT_TAKEN;
}

static inline void world_give(struct world *w, unsigned i)
{
	if (w->limit.window_ms > 0 || w->level[i] == 0)
		return;
	w->level[i]--;
	limit_give_key(w->l[i], w->now, &w->key, 1);
}

static inline void world_ledger_dies(struct world *w)
{
	claims_free(w->claims);
	w->claims = NULL;
	memset(w->n_up, 0, sizeof(w->n_up));
	memset(w->n_down, 0, sizeof(w->n_down));
}

static inline void world_ledger_comes(struct world *w)
{
	world_must(claims_new(&w->claims) == 0);
	for (unsigned i = 0; i < w->processes; i++)
		limits_ledger_new(w->l[i]);
}

/* How much is in use, in truth; what is over for less than late_ms counts, too. */
static inline uint32_t world_use_late(struct world *w, uint64_t late_ms)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < w->processes; i++)
		n += w->level[i];
	for (size_t i = w->n_events; i > 0 && w->event[i - 1] + w->limit.window_ms + late_ms > w->now; i--)
		n++;
	return n;
}

static inline uint32_t world_use(struct world *w)
{
	return world_use_late(w, 0);
}

#endif
