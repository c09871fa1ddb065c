/* Whatever happens in whatever order: no recipient is in two jobs, none is handed out
 * again after its outcome, nothing of a held or removed message is handed out, no more
 * jobs are under way than allowed, and what is due is handed out.
 *
 * Input: events of three bytes: what, which message, and an argument. */
#include <stdio.h>
#include <stdlib.h>

#include "queue/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGES 8
#define RCPTS	 4
#define JOBS	 2
#define T0	 UINT64_C(1790000000000)

enum rcpt { CLOSED, OPEN, IN_JOB };

struct message {
	unsigned life; /* an id may come again; what is said of its former life means nothing */
	bool there, held;
	enum rcpt rcpt[RCPTS];
};

struct world {
	struct schedule *s;
	struct message m[MESSAGES];
	struct schedule_job job[JOBS];
	bool under_way[JOBS];
	unsigned life[JOBS]; /* of the message in the job */
	bool local;
	uint64_t now;
};

static struct id id_of(unsigned n)
{
	struct id id;

	snprintf(id.text, sizeof(id.text), "1JM8QEVC8000%u", n);
	return id;
}

static unsigned which(const struct id *id)
{
	return (unsigned)(id->text[ID_LEN - 1] - '0');
}

static void insist(bool holds)
{
	if (!holds)
		abort();
}

static void add(struct world *w, unsigned n, unsigned arg)
{
	uint8_t rcpt[RCPTS];
	struct schedule_message m = {
		.id = id_of(n), .accepted_ms = w->now, .rcpt = rcpt, .recipients = 1 + arg % RCPTS
	};

	for (unsigned i = 0; i < m.recipients; i++)
		rcpt[i] = arg >> (2 + i) & 1 ? SCHEDULE_READY : SCHEDULE_WAITING;
	insist(schedule_add(w->s, &m, w->now) == (w->m[n].there ? -17 /* EEXIST */ : 0));
	if (w->m[n].there)
		return;
	w->m[n] = (struct message){ .there = true, .life = w->m[n].life + 1 };
	for (unsigned i = 0; i < m.recipients; i++)
		w->m[n].rcpt[i] = rcpt[i] == SCHEDULE_READY ? OPEN : CLOSED;
}

static void take(struct world *w)
{
	bool due = schedule_wait_ms(w->s, w->now) == 0;
	struct schedule_job j;
	unsigned at = 0;

	if (!schedule_next(w->s, w->now, &j)) {
		insist(!due); /* what is due is handed out */
		return;
	}
	while (at < JOBS && w->under_way[at])
		at++;
	insist(w->local && at < JOBS && j.n > 0 && j.n <= SCHEDULE_JOB_MAX);
	for (unsigned i = 0; i < j.n; i++) {
		struct message *m = &w->m[which(&j.id)];

		insist(m->there && !m->held && j.rcpt[i] < RCPTS && m->rcpt[j.rcpt[i]] == OPEN);
		m->rcpt[j.rcpt[i]] = IN_JOB;
	}
	w->job[at] = j;
	w->life[at] = w->m[which(&j.id)].life;
	w->under_way[at] = true;
}

/* All that was in this job is open again, unless its message went. */
static void reopen(struct world *w, unsigned at)
{
	struct message *m = &w->m[which(&w->job[at].id)];

	for (unsigned i = 0; i < w->job[at].n; i++)
		if (m->there && m->life == w->life[at] && m->rcpt[w->job[at].rcpt[i]] == IN_JOB)
			m->rcpt[w->job[at].rcpt[i]] = OPEN;
	w->under_way[at] = false;
}

static void answer(struct world *w, unsigned at, unsigned arg)
{
	struct schedule_job *j = &w->job[at];
	struct schedule_answer a;
	uint32_t rcpt;

	if (!w->under_way[at])
		return;
	rcpt = j->rcpt[--j->n];
	if (schedule_answer(w->s, j->number, rcpt, (enum schedule_result)(arg % 3), w->now, &a)) {
		insist(w->m[which(&j->id)].life == w->life[at] && w->m[which(&j->id)].rcpt[rcpt] == IN_JOB);
		insist(a.now != SCHEDULE_DEFERRED || a.next_ms > w->now);
		insist((a.now == SCHEDULE_DONE) == (arg % 3 == SCHEDULE_SAID_DELIVERED));
		w->m[which(&j->id)].rcpt[rcpt] = a.now == SCHEDULE_DEFERRED ? OPEN : CLOSED;
	}
	w->under_way[at] = j->n > 0;
}

/* The message is forgotten when its last recipient has an outcome. */
static void forget(struct world *w)
{
	for (unsigned n = 0; n < MESSAGES; n++) {
		struct id id = id_of(n);
		struct schedule_view v;

		if (!schedule_look(w->s, &id, &v)) {
			for (unsigned i = 0; i < RCPTS; i++)
				insist(!w->m[n].there || w->m[n].rcpt[i] == CLOSED);
			w->m[n] = (struct message){ .life = w->m[n].life };
		} else {
			insist(w->m[n].there);
			insist(v.held == w->m[n].held);
		}
	}
}

static void step(struct world *w, unsigned what, unsigned n, unsigned arg)
{
	struct id id = id_of(n % MESSAGES);
	struct message *m = &w->m[n % MESSAGES];

	switch (what % 10) {
	case 0:
		add(w, n % MESSAGES, arg);
		break;
	case 1:
		insist((schedule_hold(w->s, &id) == 0) == m->there);
		m->held = m->there;
		break;
	case 2:
		insist((schedule_release(w->s, &id, w->now) == 0) == m->there);
		m->held = false;
		break;
	case 3:
		insist((schedule_remove(w->s, &id) == 0) == m->there);
		*m = (struct message){ .life = m->life };
		break;
	case 4:
		take(w);
		break;
	case 5:
	case 6:
		answer(w, n % JOBS, arg);
		break;
	case 7:
		w->now += (uint64_t)arg * arg * 1000;
		break;
	case 8:
		w->local = arg & 1;
		schedule_open(w->s, w->local);
		/* Gone or come anew: what the old one was doing is done by nobody. */
		for (unsigned i = 0; i < JOBS; i++)
			if (w->under_way[i]) {
				schedule_give_back(w->s, w->job[i].number, w->now + 1000);
				reopen(w, i);
			}
		break;
	case 9:
		if (w->under_way[n % JOBS]) {
			schedule_give_back(w->s, w->job[n % JOBS].number, w->now + arg);
			reopen(w, n % JOBS);
		}
		break;
	}
	forget(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = { .now = T0, .local = true };

	if (schedule_new(JOBS, &w.s) < 0)
		return 0;
	schedule_open(w.s, true);
	for (size_t i = 0; i + 2 < size && i < 3000; i += 3)
		step(&w, data[i], data[i + 1], data[i + 2]);
	schedule_free(w.s);
	return 0;
}
