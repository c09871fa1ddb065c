#include "deliver/rounds.h"

#include <errno.h>
#include <stdlib.h>

#define ROUNDS	     4 /* under way */
#define PARTS	     8 /* of a round, while its files are synced */
#define AT_ONCE	     4 /* so few messages are one piece of work: each change of thread takes time */
#define ROUND_OCTETS (512U << 10) /* of messages in a round, but for a single larger one */

struct round;

/* A piece of work for a thread. */
struct part {
	uv_work_t work;
	struct round *round;
	size_t first, n; /* of its messages */
};

enum step { STEP_WRITE, STEP_SYNC, STEP_END };

struct round {
	struct rounds *all;
	struct maildir_round *maildir;
	enum step step;
	bool busy;
	size_t n, parts; /* messages; parts of this step that are not through */
	struct part part[PARTS];
	struct rounds_item *item[MAILDIR_TOGETHER];
	struct maildir_message message[MAILDIR_TOGETHER];
	struct maildir_outcome outcome[MAILDIR_TOGETHER];
};

struct rounds {
	uv_loop_t *loop;
	const struct maildir_setup *setup;
	rounds_done *done;
	void *arg;
	struct order order;
	unsigned busy;
	struct round round[ROUNDS];
};

static void rounds_free(struct rounds *r)
{
	for (size_t i = 0; i < ROUNDS; i++)
		maildir_round_free(r->round[i].maildir);
	order_done(&r->order);
	free(r);
}

int rounds_new(uv_loop_t *loop, const struct maildir_setup *setup, rounds_done *done, void *arg,
	       struct rounds **ret)
{
	struct rounds *r = calloc(1, sizeof(*r));
	bool ok = r && order_init(&r->order) == 0;

	for (size_t i = 0; ok && i < ROUNDS; i++) {
		r->round[i].all = r;
		r->round[i].maildir = maildir_round_new();
		ok = r->round[i].maildir != NULL;
	}
	if (!ok) {
		if (r)
			rounds_free(r);
		return -ENOMEM;
	}
	r->loop = loop;
	r->setup = setup;
	r->done = done;
	r->arg = arg;
	*ret = r;
	return 0;
}

static bool at_once(const struct round *r)
{
	return r->n < AT_ONCE;
}

/* On a thread. */
static void work(uv_work_t *req)
{
	const struct part *p = req->data;
	struct round *r = p->round;

	if (r->step == STEP_WRITE)
		maildir_round_write(r->maildir, r->all->setup, r->message, r->n);
	if (r->step == STEP_SYNC || at_once(r))
		maildir_round_sync(r->maildir, p->first, p->n);
	if (r->step == STEP_END || at_once(r))
		maildir_round_end(r->maildir, r->outcome);
}

static void on_worked(uv_work_t *req, int status);

static void begin_part(struct round *r, size_t i, size_t first, size_t n)
{
	struct part *p = &r->part[i];

	p->round = r;
	p->first = first;
	p->n = n;
	p->work.data = p;
	/* What is begun must be finished: what no thread can be asked for is done here. */
	if (uv_queue_work(r->all->loop, &p->work, work, on_worked) < 0) {
		work(&p->work);
		on_worked(&p->work, 0);
	}
}

static void begin_step(struct round *r, enum step step)
{
	size_t parts = 1, size, first = 0;

	r->step = step;
	if (step == STEP_SYNC)
		parts = r->n < PARTS ? r->n : PARTS;
	r->parts = parts;
	for (size_t i = 0; i < parts; i++, first += size) {
		size = (r->n - first) / (parts - i);
		begin_part(r, i, first, size);
	}
}

/* What waits, shared out among the rounds that may begin. */
static void fill(struct rounds *all, struct round *r)
{
	struct order_item *item[MAILDIR_TOGETHER];
	const struct order_limits max = { .items = MAILDIR_TOGETHER,
					  .enough = all->order.waiting / (ROUNDS - all->busy) + 1,
					  .octets = ROUND_OCTETS };

	r->n = order_take(&all->order, item, &max);
	for (size_t i = 0; i < r->n; i++) {
		r->item[i] = container_of(item[i], struct rounds_item, wait);
		r->message[i] = r->item[i]->message;
	}
}

void rounds_go(struct rounds *all)
{
	for (size_t i = 0; i < ROUNDS && !list_empty(&all->order.ready); i++) {
		struct round *r = &all->round[i];

		if (r->busy)
			continue;
		fill(all, r);
		r->busy = true;
		all->busy++;
		begin_step(r, STEP_WRITE);
	}
}

/* While the files are synced others may write to the same mailboxes. */
static void leave_mailboxes(struct round *r)
{
	for (size_t i = 0; i < r->n; i++)
		order_over(&r->all->order, &r->item[i]->wait);
}

static void round_over(struct round *r)
{
	struct rounds *all = r->all;

	r->busy = false;
	all->busy--;
	for (size_t i = 0; i < r->n; i++) {
		struct rounds_item *item = r->item[i];

		item->outcome = r->outcome[i];
		all->done(all->arg, item);
	}
}

static void on_worked(uv_work_t *req, int status)
{
	const struct part *p = req->data;
	struct round *r = p->round;

	(void)status; /* nobody cancels */
	if (--r->parts > 0)
		return;
	if (r->step == STEP_WRITE)
		leave_mailboxes(r);
	if (r->step == STEP_END || at_once(r))
		round_over(r);
	else
		begin_step(r, r->step == STEP_WRITE ? STEP_SYNC : STEP_END);
	rounds_go(r->all);
}

void rounds_put(struct rounds *r, struct rounds_item *item)
{
	static const struct maildir_outcome overloaded = { .result = MAILDIR_DEFERRED,
							   .error = -ENOMEM,
							   .step = "begin",
							   .status = "4.3.0",
							   .text = "local delivery is overloaded" };
	const struct maildir_message *m = &item->message;

	if (order_put(&r->order, &item->wait, m->mailbox, m->body_fd < 0 ? m->body.n : m->body_size) == 0)
		return;
	item->outcome = overloaded;
	r->done(r->arg, item);
}
