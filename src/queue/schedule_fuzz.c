/* Whatever happens in whatever order: no recipient is in two jobs, none is handed out again after its
 * outcome, nothing of a held or removed message is handed out, and nothing over a lane that
 * leads elsewhere, is not ready, or has its hands full.  No site has more lanes, no server more lanes, jobs
 * or questions than allowed, and no site or account more messages a minute.  schedule_wait_ms() is right: 0
 * when there is something to do, and then there is; otherwise nothing until then.  And when all goes well
 * from some time on, everything gets where it should.
 *
 * Input: events of three bytes: what, which, and an argument. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/schedule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGES 8
#define RCPTS	 4
#define JOBS	 4
#define LANES	 5
#define OPENING	 3
#define ASKED	 2
#define DESTS	 6 /* 0: mailboxes */
#define SITES	 3
#define WINDOW	 2
#define PACED	 30 /* a minute: site 0, and account 2 when it has a pace */
#define LANES_T	 16
#define T0	 UINT64_C(1790000000000)
#define MINUTE	 60000

enum rcpt { CLOSED, OPEN, IN_JOB };

struct message {
	unsigned life; /* an id may come again; what is said of its former life means nothing */
	bool there, held;
	uint64_t account, begins; /* its life */
	enum rcpt rcpt[RCPTS];
	unsigned to[RCPTS];
};

struct lane {
	uint64_t number; /* 0: this place is free */
	unsigned site;	 /* SITES: mailboxes */
	unsigned to;	 /* it was opened for */
	bool ready, closing, retired;
	unsigned hands, carrier;
};

struct job {
	struct schedule_job j;
	bool under_way;
	unsigned life;
	struct lane *lane;
};

/* Of the last so many, when. */
struct pace {
	uint64_t at[PACED + 2];
	unsigned n;
};

struct world {
	struct schedule *s;
	struct message m[MESSAGES];
	struct job job[JOBS];
	struct lane lane[LANES_T];
	struct {
		uint64_t question;
		unsigned site; /* SITES: none */
		bool failed;
	} to[DESTS];
	struct pace site_pace, account_pace;
	bool paced, takes[2], kind; /* kind: all goes well from now on */
	uint64_t now;
	int64_t ahead;
	uint64_t local;
};

static void insist_at(bool holds, int line)
{
	if (holds)
		return;
	fprintf(stderr, "line %d does not hold\n", line);
	abort();
}
#define insist(holds) insist_at(holds, __LINE__)

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

static struct slice text_of(unsigned to)
{
	static const char *const texts[DESTS] = { "local", "mx a", "mx b", "mx c", "mx d", "mx e" };

	return slice_str(texts[to]);
}

static unsigned dest_of(struct slice text)
{
	for (unsigned i = 0; i < DESTS; i++)
		if (slice_eq(text, text_of(i)))
			return i;
	abort();
}

static struct schedule_site site_of(unsigned n)
{
	struct schedule_site w = { .name = SLICE_LIT("mx.test"),
				   .connections = 1 + n,
				   .window = WINDOW,
				   .per_minute = n == 0 ? PACED : 0,
				   .per_connection = n == 1 ? 3 : 0,
				   .needs_25 = n < 2,
				   .pool = SCHEDULE_NONE };

	w.key[0] = (unsigned char)(n + 1);
	return w;
}

/* One more now: the one PACED + 2 before must be a minute ago. */
static void count(const struct world *w, struct pace *p)
{
	uint64_t steady = w->now - (uint64_t)w->ahead, *at = &p->at[p->n % (PACED + 2)];

	insist(p->n < PACED + 2 || steady >= *at + MINUTE);
	*at = steady;
	p->n++;
}

static unsigned process(unsigned carrier)
{
	return carrier ? SCHEDULE_CARRIER_LOCAL : 0;
}

static void add(struct world *w, unsigned n, unsigned arg, unsigned more)
{
	uint8_t rcpt[RCPTS];
	uint32_t to[RCPTS];
	struct schedule_message m = { .id = id_of(n),
				      .accepted_ms = w->now,
				      .release_ms = more & 64 ? w->now + arg * 1000 : 0,
				      .class = (enum schedule_class)(more % 3),
				      .account = arg % 3,
				      .rcpt = rcpt,
				      .destination = to,
				      .recipients = 1 + arg % RCPTS };

	for (unsigned i = 0; i < m.recipients; i++) {
		rcpt[i] = (arg + more) >> (2 + i) & 1 ? SCHEDULE_READY : SCHEDULE_DEFERRED;
		to[i] = schedule_destination(w->s, text_of((arg >> (2 + i)) % DESTS));
		insist(to[i] != SCHEDULE_NONE);
	}
	m.due_ms = w->now + arg * 100;
	insist(schedule_add(w->s, &m, w->now) == (w->m[n].there ? -17 /* EEXIST */ : 0));
	if (w->m[n].there)
		return;
	w->m[n] = (struct message){ .there = true,
				    .life = w->m[n].life + 1,
				    .account = m.account,
				    .begins = w->now - (uint64_t)w->ahead };
	for (unsigned i = 0; i < m.recipients; i++) {
		w->m[n].rcpt[i] = OPEN;
		w->m[n].to[i] = (arg >> (2 + i)) % DESTS;
	}
}

static struct lane *lane_of(struct world *w, uint64_t number)
{
	for (unsigned i = 0; i < LANES_T; i++)
		if (w->lane[i].number == number)
			return &w->lane[i];
	return NULL;
}

/* ---- what the schedule wants ---- */

static bool take_question(struct world *w)
{
	struct schedule_question q;
	unsigned asked = 0, d;

	if (!schedule_next_resolve(w->s, w->now, &q))
		return false;
	d = dest_of(q.destination);
	for (unsigned i = 0; i < DESTS; i++)
		asked += w->to[i].question != 0;
	insist(d > 0 && w->to[d].question == 0 && asked < ASKED);
	w->to[d].question = q.number;
	w->to[d].site = SITES;
	return true;
}

static bool take_lane(struct world *w)
{
	struct schedule_lane l;
	unsigned site, here = 0, all = 0, opening = 0;
	struct lane *mine;

	if (!schedule_next_lane(w->s, w->now, &l))
		return false;
	site = l.key[0] - 1U;
	for (unsigned i = 0; i < LANES_T; i++) {
		const struct lane *o = &w->lane[i];

		if (o->number == 0 || o->site == SITES)
			continue;
		all++;
		opening += !o->ready && !o->closing && !o->retired;
		here += o->site == site;
	}
	mine = lane_of(w, 0);
	insist(site < SITES && mine);
	insist(here < site_of(site).connections);
	insist(all < LANES);
	insist(opening < OPENING);
	insist(w->takes[0] && dest_of(l.destination) > 0);
	insist(w->to[dest_of(l.destination)].site == site);
	*mine = (struct lane){ .number = l.number, .site = site, .to = dest_of(l.destination) };
	schedule_lane_opened(w->s, l.number, 0);
	return true;
}

static bool take_close(struct world *w)
{
	uint64_t number;
	struct lane *l;

	if (!schedule_next_close(w->s, w->now, &number))
		return false;
	l = lane_of(w, number);
	insist(number != 0 && l && !l->closing && l->hands == 0 && l->site < SITES);
	l->closing = true;
	return true;
}

static void take_job(struct world *w, const struct schedule_job *j, struct lane *l, unsigned failed_to)
{
	struct message *m = &w->m[which(&j->id)];
	unsigned at = 0;

	while (at < JOBS && w->job[at].under_way)
		at++;
	insist(at < JOBS && j->n > 0 && j->n <= SCHEDULE_JOB_MAX && m->there && !m->held);
	for (unsigned i = 0; i < j->n; i++) {
		unsigned to = m->to[j->rcpt[i]];

		insist(j->rcpt[i] < RCPTS && m->rcpt[j->rcpt[i]] == OPEN);
		insist(!l || (to == 0 ? l->site == SITES : l->site == w->to[to].site));
		insist(l || failed_to == DESTS || to == failed_to);
		m->rcpt[j->rcpt[i]] = IN_JOB;
	}
	w->job[at] = (struct job){ .j = *j, .under_way = true, .life = m->life, .lane = l };
	if (!l)
		return;
	insist(!l->closing && !l->retired && l->ready && w->takes[l->carrier] &&
	       l->hands < (l->site == SITES ? JOBS : WINDOW));
	l->hands++;
	if (l->site == 0)
		count(w, &w->site_pace);
	if (w->paced && m->account == 2)
		count(w, &w->account_pace);
}

static bool take_work(struct world *w)
{
	struct schedule_job j;

	if (!schedule_next_job(w->s, w->now, &j))
		return false;
	insist(j.lane != 0 && lane_of(w, j.lane));
	take_job(w, &j, lane_of(w, j.lane), DESTS);
	return true;
}

static bool take_doomed(struct world *w)
{
	struct schedule_doom why;
	struct schedule_job j;

	if (!schedule_next_doomed(w->s, w->now, &j, &why))
		return false;
	insist(j.lane == 0);
	insist(!why.expired || w->now - (uint64_t)w->ahead >= w->m[which(&j.id)].begins + 3600000);
	insist(why.expired || w->to[dest_of(why.destination)].failed);
	take_job(w, &j, NULL, why.expired ? DESTS : dest_of(why.destination));
	return true;
}

static bool take_overdue(struct world *w)
{
	struct schedule_overdue o;
	bool known = false;

	if (!schedule_next_overdue(w->s, w->now, &o))
		return false;
	for (unsigned i = 0; i < DESTS; i++)
		known = known || (o.kind == SCHEDULE_OVERDUE_RESOLVE && w->to[i].question == o.number);
	for (unsigned i = 0; i < JOBS; i++)
		known = known || (o.kind == SCHEDULE_OVERDUE_JOB && w->job[i].under_way &&
				  w->job[i].j.number == o.number);
	known = known || (o.kind == SCHEDULE_OVERDUE_LANE && lane_of(w, o.number));
	insist(known && o.age_ms >= 120000);
	return true;
}

static bool take_any(struct world *w, unsigned first)
{
	static bool (*const kinds[])(struct world * w) = { take_question, take_lane,   take_close,
							   take_work,	  take_doomed, take_overdue };
	bool any = false;

	for (unsigned i = 0; i < 6 && !any; i++)
		any = kinds[(first + i) % 6](w);
	return any;
}

static void drive(struct world *w, unsigned first, unsigned most)
{
	for (unsigned n = 0; n < most; n++) {
		uint64_t wait = schedule_wait_ms(w->s, w->now);
		bool any = take_any(w, first);

		insist(any || n < 999);
		insist(any ? wait == 0 : true);
		if (!any) {
			/* Something may have been looked at and put to sleep; then it is said so. */
			insist(schedule_wait_ms(w->s, w->now) > 0);
			return;
		}
	}
}

/* ---- what becomes of it ---- */

static void job_over(struct world *w, struct job *j)
{
	(void)w;
	j->under_way = false;
	if (j->lane)
		j->lane->hands--;
}

/* All that was in this job is open again, unless its message went. */
static void reopen(struct world *w, struct job *j)
{
	struct message *m = &w->m[which(&j->j.id)];

	for (unsigned i = 0; i < j->j.n; i++)
		if (m->there && m->life == j->life && m->rcpt[j->j.rcpt[i]] == IN_JOB)
			m->rcpt[j->j.rcpt[i]] = OPEN;
	job_over(w, j);
}

static void answer(struct world *w, struct job *j, unsigned arg)
{
	struct message *m;
	enum schedule_result said = w->kind ? SCHEDULE_SAID_DELIVERED : (enum schedule_result)(arg % 5);
	struct schedule_answer a;
	uint32_t rcpt;

	if (!j->under_way)
		return;
	m = &w->m[which(&j->j.id)];
	if (!j->lane)
		said = arg & 1 ? SCHEDULE_SAID_DEFERRED : SCHEDULE_SAID_FAILED;
	rcpt = j->j.rcpt[--j->j.n];
	if (schedule_answer(w->s, j->j.number, rcpt, said, w->now, &a)) {
		insist(m->life == j->life && m->rcpt[rcpt] == IN_JOB);
		insist(a.now != SCHEDULE_DEFERRED || a.next_ms > w->now);
		insist((a.now == SCHEDULE_DONE) == (said == SCHEDULE_SAID_DELIVERED));
		m->rcpt[rcpt] = a.now == SCHEDULE_DEFERRED ? OPEN : CLOSED;
	} else {
		insist(!m->there || m->life != j->life);
	}
	if (j->j.n == 0)
		job_over(w, j);
}

static void resolved(struct world *w, unsigned d, unsigned arg)
{
	struct schedule_site site;

	if (w->to[d].question == 0)
		return;
	w->to[d].failed = false;
	if (w->kind || arg & 3) {
		w->to[d].site = (d + (w->kind ? 0 : arg >> 4)) % SITES;
		site = site_of(w->to[d].site);
		schedule_resolved(w->s, w->to[d].question, &site, (arg >> 2) * 1000, w->now);
	} else {
		w->to[d].failed = arg >> 2 & 1;
		schedule_unresolved(w->s, w->to[d].question, w->to[d].failed, SLICE_LIT("5.1.2"),
				    SLICE_LIT("words"), w->now);
	}
	w->to[d].question = 0;
}

/* Jobs in its hands are given back by the schedule itself. */
static void closed(struct world *w, struct lane *l, unsigned arg)
{
	static const enum schedule_lane_end ends[] = { SCHEDULE_LANE_CLOSED,	SCHEDULE_LANE_GONE,
						       SCHEDULE_LANE_MOVED,	SCHEDULE_LANE_UNREACHABLE,
						       SCHEDULE_LANE_TIMED_OUT, SCHEDULE_LANE_NOWHERE,
						       SCHEDULE_LANE_BUSY,	SCHEDULE_LANE_BROKEN,
						       SCHEDULE_LANE_SOURCE };
	enum schedule_lane_end end = w->kind ? SCHEDULE_LANE_CLOSED : ends[arg % 9];

	for (unsigned i = 0; i < JOBS; i++)
		if (w->job[i].under_way && w->job[i].lane == l)
			reopen(w, &w->job[i]);
	if (end == SCHEDULE_LANE_NOWHERE && !l->ready)
		w->to[l->to].failed = true;
	schedule_lane_closed(w->s, l->number, end, SLICE_LIT("4.4.1"), SLICE_LIT("words"), w->now);
	if (l->number == w->local)
		w->local = 0;
	*l = (struct lane){ 0 };
}

static void lane_event(struct world *w, struct lane *l, unsigned arg)
{
	if (l->number == 0 || (w->kind && l->site == SITES))
		return;
	if (!w->kind && arg % 16 == 7) {
		schedule_pause(w->s, l->number, arg * UINT64_C(100), w->now);
		schedule_heard(w->s, l->number, SLICE_LIT("4.7.1"), SLICE_LIT("not so fast"));
	}
	if (!l->ready && !l->closing && !l->retired && (w->kind || arg & 1)) {
		schedule_lane_ready(w->s, l->number, w->kind ? 0 : arg >> 6, 0, w->now);
		l->ready = true;
	} else if (l->closing || !w->kind) {
		closed(w, l, arg >> 1);
	}
}

static void attach(struct world *w)
{
	struct lane *mine = lane_of(w, 0);

	if (w->local || !mine)
		return;
	w->local = schedule_lane_attach(w->s, process(1), JOBS, w->now);
	insist(w->local != 0);
	*mine = (struct lane){ .number = w->local, .site = SITES, .ready = true, .carrier = 1 };
}

/* The message is forgotten when its last recipient has an outcome. */
static void look(struct world *w)
{
	struct schedule_counters c;
	uint64_t there = 0, sum = 0, cursor = 0, parts = 0, aged = 0, lanes = 0;
	struct schedule_site_view site;

	for (unsigned n = 0; n < MESSAGES; n++) {
		struct id id = id_of(n);
		struct schedule_view v;

		if (!schedule_look(w->s, &id, &v)) {
			for (unsigned i = 0; i < RCPTS; i++)
				insist(!w->m[n].there || w->m[n].rcpt[i] == CLOSED);
			w->m[n] = (struct message){ .life = w->m[n].life };
		} else {
			insist(w->m[n].there && v.held == w->m[n].held);
			there++;
		}
	}
	schedule_count(w->s, &c);
	for (unsigned i = 0; i < SCHEDULE_STATES; i++)
		sum += c.by_state[i];
	for (unsigned i = 0; i < LANES_T; i++)
		lanes += w->lane[i].number != 0 && w->lane[i].site < SITES;
	insist(c.lanes == lanes);
	insist(c.messages == there && sum == there && c.jobs <= JOBS && c.lanes <= LANES);
	while (schedule_next_site(w->s, &cursor, w->now, &site)) {
		parts += site.parts;
		for (unsigned i = 0; i < SCHEDULE_AGES; i++)
			aged += site.age[i];
	}
	insist(parts == aged && parts <= there * RCPTS);
}

static void operate(struct world *w, unsigned n, unsigned arg)
{
	struct message *m = &w->m[n];
	struct id id = id_of(n);
	int r;

	switch (arg % 5) {
	case 0:
		insist((schedule_hold(w->s, &id) == 0) == m->there);
		m->held = m->there;
		break;
	case 1:
		insist((schedule_release(w->s, &id, w->now) == 0) == m->there);
		m->held = false;
		break;
	case 2:
		insist((schedule_remove(w->s, &id) == 0) == m->there);
		*m = (struct message){ .life = m->life };
		break;
	case 3:
		r = arg & 8 ? schedule_retry(w->s, &id, w->now) : schedule_retry_now(w->s, &id, w->now);
		insist((r >= 0) == m->there);
		for (unsigned i = 0; i < RCPTS; i++)
			if (schedule_look_rcpt(w->s, &id, i) == SCHEDULE_READY)
				m->rcpt[i] = OPEN;
		break;
	default:
		r = schedule_settle(w->s, &id, arg % RCPTS, arg & 16 ? SCHEDULE_DONE : SCHEDULE_FAILED);
		if (r == 0)
			m->rcpt[arg % RCPTS] = CLOSED;
	}
}

/* What an administrator, or the machine, does to all of it. */
static void shake(struct world *w, unsigned arg)
{
	int64_t by = ((int64_t)arg - 128) * 100000;

	switch (arg % 5) {
	case 0:
		schedule_shift(w->s, by);
		w->ahead += by;
		w->now += (uint64_t)by;
		break;
	case 1:
		schedule_forget_sites(w->s, w->now);
		for (unsigned d = 1; d < DESTS; d++)
			w->to[d].failed = false;
		for (unsigned i = 0; i < LANES_T; i++)
			w->lane[i].retired = w->lane[i].number && w->lane[i].site < SITES;
		break;
	case 2:
		w->paced = arg & 16;
		schedule_account_pace(w->s, 2, w->paced ? PACED : 0, w->now);
		w->account_pace = (struct pace){ 0 };
		break;
	case 3:
		schedule_block(w->s, arg & 16, w->now);
		break;
	default:
		w->takes[arg >> 4 & 1] = arg & 8;
		schedule_carrier(w->s, process(arg >> 4 & 1), arg & 8, w->now);
		attach(w);
	}
}

static void step(struct world *w, unsigned what, unsigned n, unsigned arg)
{
	switch (what % 10) {
	case 0:
		add(w, n % MESSAGES, arg, n >> 1);
		break;
	case 1:
		operate(w, n % MESSAGES, arg);
		break;
	case 2:
	case 3:
		drive(w, n, 1 + arg % 32);
		break;
	case 4:
		answer(w, &w->job[n % JOBS], arg);
		break;
	case 5:
		w->now += (uint64_t)arg * arg * (n & 1 ? 1000 : 10);
		break;
	case 6:
		resolved(w, n % DESTS, arg);
		break;
	case 7:
		lane_event(w, &w->lane[n % LANES_T], arg);
		break;
	case 8:
		shake(w, arg);
		break;
	case 9:
		if (w->job[n % JOBS].under_way) {
			schedule_give_back(w->s, w->job[n % JOBS].j.number, w->now + arg);
			reopen(w, &w->job[n % JOBS]);
		}
		break;
	}
	look(w);
}

/* From now on all goes well: everything that is left has an end, and soon enough. */
static void end_well(struct world *w)
{
	uint64_t wait = 0;
	bool left = true;

	w->kind = true;
	for (unsigned c = 0; c < 2; c++)
		schedule_carrier(w->s, process(c), w->takes[c] = true, w->now);
	attach(w);
	for (unsigned n = 0; n < MESSAGES; n++) {
		struct id id = id_of(n);

		schedule_release(w->s, &id, w->now);
		w->m[n].held = false;
	}
	for (unsigned turns = 0; left; turns++) {
		insist(turns < 5000 && wait != UINT64_MAX);
		w->now += wait;
		drive(w, turns, 1000);
		for (unsigned i = 0; i < JOBS; i++)
			while (w->job[i].under_way)
				answer(w, &w->job[i], 0);
		for (unsigned d = 1; d < DESTS; d++)
			resolved(w, d, 255);
		for (unsigned i = 0; i < LANES_T; i++)
			lane_event(w, &w->lane[i], 0);
		look(w);
		left = false;
		for (unsigned i = 0; i < MESSAGES * RCPTS; i++)
			left = left || w->m[i / RCPTS].rcpt[i % RCPTS] == OPEN;
		wait = schedule_wait_ms(w->s, w->now);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct schedule_setup setup = { .lanes_max = LANES, .opening_max = OPENING, .resolves_max = ASKED };
	struct world w = { .now = T0, .takes = { true, true } };

	if (schedule_new(JOBS, &w.s) < 0)
		return 0;
	schedule_configure(w.s, &setup);
	for (unsigned c = 0; c < 2; c++)
		schedule_carrier(w.s, process(c), true, w.now);
	for (unsigned d = 0; d < DESTS; d++)
		w.to[d].site = SITES;
	attach(&w);
	for (size_t i = 0; i + 2 < size && i < 3000; i += 3)
		step(&w, data[i], data[i + 1], data[i + 2]);
	end_well(&w);
	schedule_free(w.s);
	return 0;
}
