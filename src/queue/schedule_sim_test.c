/* The schedule against a world of its own, in virtual time: servers that take a while for each message, are
 * away, complain, or stand behind a network that blocks port 25.  What is fair, paced, backed off
 * and spread is counted over hours and days. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "queue/ages.h"
#include "queue/port25.h"
#include "queue/schedule.h"

#define T0	UINT64_C(1800000000000)
#define SECOND	UINT64_C(1000)
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define SITES	200
#define LANES	600
#define JOBS	600
#define CLIENTS 8 /* accounts */

enum how { WELL, AWAY, BLOCKED, COMPLAINS };

struct flight { /* a lane being opened, or a job */
	uint64_t lane, job, ends;
	unsigned site, client;
	enum schedule_class class;
	uint32_t n, rcpt[SCHEDULE_JOB_MAX];
};

struct world {
	struct schedule *s;
	struct port25 port25; /* as the queue's driver has it */
	uint64_t now;
	enum how how[SITES];
	struct schedule_site site;
	uint64_t takes; /* ms for one message */
	struct flight *flight;
	unsigned flights, room;
	struct {
		uint64_t lane;
		unsigned site;
	} lane[LANES];
	unsigned lanes_at[SITES], most_lanes, resolved;
	uint64_t opened, attempts, done, expired, closed;
	uint64_t by_client[CLIENTS], by_class[SCHEDULE_CLASSES], by_site[SITES];
	uint32_t counter;
};

static void setup(struct world *w)
{
	*w = (struct world){ .now = T0, .takes = 100, .room = JOBS };
	w->site = (struct schedule_site){
		.connections = 10, .window = 1, .needs_25 = true, .pool = SCHEDULE_NONE
	};
	w->flight = calloc(w->room, sizeof(*w->flight));
	assert_non_null(w->flight);
	assert_int_equal(schedule_new(JOBS / 2, &w->s), 0);
	schedule_carrier(w->s, 0, true, w->now);
}

static void teardown(struct world *w)
{
	schedule_free(w->s);
	free(w->flight);
}

/* Who sent it and how urgent it is stands in its id. */
static struct id id_of(unsigned n, unsigned client, enum schedule_class class)
{
	struct id id;

	snprintf(id.text, sizeof(id.text), "%09u%02u%02u", n, client, (unsigned)class);
	return id;
}

static struct schedule_message message(struct world *w, unsigned client, enum schedule_class class)
{
	return (struct schedule_message){ .id = id_of(w->counter++, client, class),
					  .accepted_ms = w->now,
					  .account = client,
					  .class = class,
					  .recipients = 1 };
}

static void put(struct world *w, struct schedule_message m, unsigned site, uint8_t state)
{
	char text[32];
	uint32_t to;

	snprintf(text, sizeof(text), "mx d%u", site);
	to = schedule_destination(w->s, slice_str(text));
	m.rcpt = &state;
	m.destination = &to;
	assert_int_equal(schedule_add(w->s, &m, w->now), 0);
}

static void add(struct world *w, unsigned n, unsigned site, unsigned client, enum schedule_class class)
{
	while (n-- > 0)
		put(w, message(w, client, class), site, SCHEDULE_READY);
}

static struct flight *fly(struct world *w, uint64_t lane, unsigned site, uint64_t ms)
{
	struct flight *f = &w->flight[w->flights++];

	assert_true(w->flights <= w->room);
	*f = (struct flight){ .lane = lane, .site = site, .ends = w->now + ms };
	return f;
}

static unsigned site_of(const struct world *w, uint64_t lane)
{
	for (unsigned i = 0; i < LANES; i++)
		if (w->lane[i].lane == lane)
			return w->lane[i].site;
	fail();
	return 0;
}

static unsigned number_of(struct slice destination)
{
	struct slice cur = slice_tail(destination, 4); /* "mx d" */
	uint64_t n = 0;

	assert_true(cur_u64(&cur, SITES, &n));
	return (unsigned)n;
}

static void open_lane(struct world *w, const struct schedule_lane *l)
{
	unsigned site = number_of(l->destination), i = 0;

	while (w->lane[i].lane)
		i++;
	w->lane[i].lane = l->number;
	w->lane[i].site = site;
	w->opened++;
	w->lanes_at[site]++;
	if (w->lanes_at[site] > w->most_lanes)
		w->most_lanes = w->lanes_at[site];
	schedule_lane_opened(w->s, l->number, 0);
	fly(w, l->number, site, w->how[site] == BLOCKED ? 30 * SECOND : w->how[site] == AWAY ? 10 : 50);
}

/* A connection to port 25 of that site stood, or timed out: each is in a network of its own. */
static void port_25(struct world *w, unsigned site, bool works)
{
	struct ip ip = { .family = 4, .byte = { 198, (uint8_t)site, 0, 1 } };

	if (works ? port25_connected(&w->port25, &ip, w->now) : port25_timed_out(&w->port25, &ip, w->now))
		schedule_block(w->s, !works, w->now);
}

static void lane_ends(struct world *w, uint64_t lane, enum schedule_lane_end end)
{
	for (unsigned i = 0; i < LANES; i++)
		if (w->lane[i].lane == lane) {
			w->lanes_at[w->lane[i].site]--;
			w->lane[i].lane = 0;
		}
	w->closed++;
	schedule_lane_closed(w->s, lane, end, SLICE_LIT("4.4.1"), SLICE_LIT("words"), w->now);
}

static void resolve(struct world *w, const struct schedule_question *q)
{
	char name[32];
	struct schedule_site site = w->site;
	unsigned n = number_of(q->destination);

	snprintf(name, sizeof(name), "mx%u", n);
	site.name = slice_str(name);
	site.key[0] = (unsigned char)n;
	site.key[1] = 1;
	w->resolved++;
	schedule_resolved(w->s, q->number, &site, HOUR, w->now);
}

/* All that can be done now. */
static void work(struct world *w)
{
	struct schedule_question q;
	struct schedule_lane l;
	struct schedule_job j;
	struct schedule_doom why;
	struct schedule_answer a;
	uint64_t lane;
	bool any = true;

	while (any) {
		any = false;
		while (schedule_next_resolve(w->s, w->now, &q) && (any = true))
			resolve(w, &q);
		while (schedule_next_lane(w->s, w->now, &l) && (any = true))
			open_lane(w, &l);
		while (schedule_next_close(w->s, w->now, &lane) && (any = true))
			lane_ends(w, lane, SCHEDULE_LANE_CLOSED);
		while (schedule_next_job(w->s, w->now, &j) && (any = true)) {
			struct flight *f = fly(w, j.lane, site_of(w, j.lane), w->takes);

			f->job = j.number;
			f->n = j.n;
			memcpy(f->rcpt, j.rcpt, sizeof(f->rcpt));
			f->client = (unsigned)(j.id.text[9] - '0') * 10 + (unsigned)(j.id.text[10] - '0');
			f->class = (enum schedule_class)(j.id.text[12] - '0');
			w->attempts++;
		}
		while (schedule_next_doomed(w->s, w->now, &j, &why) && (any = true))
			for (unsigned i = 0; i < j.n; i++) {
				assert_true(schedule_answer(w->s, j.number, j.rcpt[i], SCHEDULE_SAID_DEFERRED,
							    w->now, &a));
				w->expired += a.expired;
			}
	}
}

static void land(struct world *w, const struct flight *f)
{
	enum how how = w->how[f->site];
	struct schedule_answer a;

	if (f->job == 0) {
		if (how != AWAY)
			port_25(w, f->site, how != BLOCKED);
		if (how == AWAY || how == BLOCKED)
			lane_ends(w, f->lane,
				  how == AWAY ? SCHEDULE_LANE_UNREACHABLE : SCHEDULE_LANE_TIMED_OUT);
		else
			schedule_lane_ready(w->s, f->lane, 0, 0, w->now);
		return;
	}
	for (unsigned i = 0; i < f->n; i++) {
		enum schedule_result said = how == COMPLAINS ? SCHEDULE_SAID_SLOW : SCHEDULE_SAID_DELIVERED;

		assert_true(schedule_answer(w->s, f->job, f->rcpt[i], said, w->now, &a));
		if (said != SCHEDULE_SAID_DELIVERED)
			continue;
		w->done++;
		w->by_client[f->client]++;
		w->by_class[f->class]++;
		w->by_site[f->site]++;
	}
}

/* Until then, or until so many are done. */
static void run(struct world *w, uint64_t until, uint64_t done)
{
	work(w);
	while (w->now < until && w->done < done) {
		uint64_t wait = schedule_wait_ms(w->s, w->now), next = until;

		assert_true(wait > 0); /* work() left nothing */
		if (wait < next - w->now)
			next = w->now + wait;
		for (unsigned i = 0; i < w->flights; i++)
			if (w->flight[i].ends < next)
				next = w->flight[i].ends;
		w->now = next;
		for (unsigned i = 0; i < w->flights;)
			if (w->flight[i].ends <= w->now) {
				struct flight f = w->flight[i];

				w->flight[i] = w->flight[--w->flights];
				land(w, &f);
			} else {
				i++;
			}
		work(w);
	}
}

/* ---- whose turn it is ---- */

static void test_fair_between_accounts(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.site.connections = 2;
	add(&w, 2000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + DAY, 100);
	add(&w, 20, 1, 2, SCHEDULE_NORMAL);
	add(&w, 20, 1, 3, SCHEDULE_NORMAL);
	run(&w, T0 + DAY, w.done + 66);
	assert_int_equal(w.by_client[2], 20);
	assert_int_equal(w.by_client[3], 20);
	run(&w, T0 + DAY, 2040);
	assert_int_equal(w.by_client[1], 2000);
	teardown(&w);
}

/* Somebody with mail for many sites does not make one with mail for one site wait for his lanes. */
static void test_fair_over_sites(void **state)
{
	struct schedule_setup few = { .lanes_max = 4, .opening_max = 4 };
	struct world w;

	(void)state;
	setup(&w);
	schedule_configure(w.s, &few);
	for (unsigned i = 0; i < 150; i++)
		add(&w, 1, i, 1, SCHEDULE_NORMAL);
	add(&w, 1, 199, 2, SCHEDULE_NORMAL);
	run(&w, T0 + DAY, 12);
	assert_int_equal(w.by_client[2], 1);
	run(&w, T0 + DAY, 151);
	assert_int_equal(w.done, 151);
	teardown(&w);
}

static void test_classes(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.site.connections = 1;
	add(&w, 1000, 1, 1, SCHEDULE_BULK);
	run(&w, T0 + DAY, 50);
	add(&w, 160, 1, 1, SCHEDULE_URGENT);
	add(&w, 100, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + DAY, 50 + 212); /* ten rounds of 16, 4 and 1 */
	assert_int_equal(w.by_class[SCHEDULE_URGENT], 160);
	assert_in_range(w.by_class[SCHEDULE_NORMAL], 39, 42);
	assert_in_range(w.by_class[SCHEDULE_BULK], 59, 62);
	teardown(&w);
}

/* Bulk for many slow sites does not take all lanes there are. */
static void test_lanes_kept_for_the_urgent(void **state)
{
	struct schedule_setup few = { .lanes_max = 40 };
	struct world w;

	(void)state;
	setup(&w);
	schedule_configure(w.s, &few);
	w.takes = 10 * MINUTE;
	for (unsigned i = 0; i < 150; i++)
		add(&w, 10, i, 1, SCHEDULE_BULK);
	run(&w, T0 + 5 * MINUTE, UINT64_MAX);
	assert_int_equal(w.opened, 30);
	add(&w, 1, 199, 1, SCHEDULE_URGENT);
	run(&w, T0 + 5 * MINUTE + SECOND, UINT64_MAX);
	assert_int_equal(w.lanes_at[199], 1);
	teardown(&w);
}

/* ---- how fast ---- */

static void test_pace_of_site_and_account(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.site.per_minute = 60;
	add(&w, 2000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 10 * MINUTE, UINT64_MAX);
	assert_in_range(w.done, 595, 601);
	teardown(&w);

	setup(&w);
	assert_int_equal(schedule_account_pace(w.s, 1, 600, w.now), 0);
	for (unsigned i = 0; i < 20; i++)
		add(&w, 500, i, 1, SCHEDULE_NORMAL);
	add(&w, 500, 3, 2, SCHEDULE_NORMAL);
	run(&w, T0 + 5 * MINUTE, UINT64_MAX);
	assert_in_range(w.by_client[1], 2980, 3010);
	assert_int_equal(w.by_client[2], 500);
	teardown(&w);
}

/* All accounts alike, but for those with a pace of their own, until they have none any more. */
static void test_pace_by_the_setup(void **state)
{
	struct schedule_setup paced = { .account_per_minute = 60 };
	struct world w;

	(void)state;
	setup(&w);
	schedule_configure(w.s, &paced);
	assert_int_equal(schedule_account_pace(w.s, 2, 600, w.now), 0);
	assert_int_equal(schedule_account_pace(w.s, 3, 0, w.now), 0);
	for (unsigned i = 0; i < 4; i++)
		add(&w, 3000, i, i, SCHEDULE_NORMAL); /* the first is nobody's */
	run(&w, T0 + 4 * MINUTE, UINT64_MAX);
	assert_int_equal(w.by_client[0], 3000);
	assert_in_range(w.by_client[1], 235, 242);
	assert_in_range(w.by_client[2], 2380, 2420);
	assert_int_equal(w.by_client[3], 3000);
	schedule_paces_begin(w.s);
	assert_int_equal(schedule_account_pace(w.s, 3, 0, w.now), 0);
	schedule_paces_end(w.s, w.now);
	run(&w, T0 + 6 * MINUTE, UINT64_MAX);
	assert_in_range(w.by_client[1], 352, 363);
	assert_in_range(w.by_client[2], 2495, 2545);
	paced.account_per_minute = 0;
	schedule_configure(w.s, &paced);
	run(&w, T0 + 30 * MINUTE, UINT64_MAX);
	assert_int_equal(w.done, 12000);
	teardown(&w);
}

/* Mail that comes one by one finds no full bucket each time, and what is over is forgotten. */
static void test_pace_is_remembered_without_mail(void **state)
{
	struct schedule_setup paced = { .account_per_minute = 6 };
	struct world w;

	(void)state;
	setup(&w);
	schedule_configure(w.s, &paced);
	for (unsigned i = 0; i < 120; i++) {
		add(&w, 1, 1, 1, SCHEDULE_NORMAL);
		run(&w, T0 + (i + 1) * SECOND, UINT64_MAX);
	}
	assert_in_range(w.done, 12, 14);
	run(&w, T0 + HOUR, UINT64_MAX);
	assert_int_equal(w.done, 120);
	teardown(&w);
}

/* What goes to mailboxes of ours is not counted. */
static void test_no_pace_to_mailboxes(void **state)
{
	struct schedule_setup paced = { .account_per_minute = 60 };
	struct world w;

	(void)state;
	setup(&w);
	schedule_configure(w.s, &paced);
	w.site.mailboxes = true;
	add(&w, 1000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 5 * MINUTE, UINT64_MAX);
	assert_int_equal(w.done, 1000);
	teardown(&w);
}

static void test_warming_up(void **state)
{
	const struct schedule_source source[] = {
		{ .address = SLICE_LIT("192.0.2.1"),
		  .weight = 1,
		  .warm_begins_ms = T0,
		  .warm_first = 50,
		  .warm_growth_percent = 100,
		  .warm_days = 4 },
	};
	uint64_t before = 0, day[5];
	struct world w;

	(void)state;
	setup(&w);
	w.site.pool = schedule_pool(w.s, SLICE_LIT("new"), source, 1, w.now);
	assert_int_not_equal(w.site.pool, SCHEDULE_NONE);
	/* Of a start before this one. */
	schedule_warmed(w.s, &(struct schedule_warming){ SLICE_LIT("192.0.2.1"), 0, 20 }, w.now);
	add(&w, 3000, 1, 1, SCHEDULE_NORMAL);
	for (unsigned i = 0; i < 4; i++) {
		run(&w, T0 + (i + 1) * DAY - 1, UINT64_MAX);
		day[i] = w.done - before;
		before = w.done;
	}
	assert_int_equal(day[0], 30);
	assert_int_equal(day[1], 100);
	assert_int_equal(day[2], 200);
	assert_int_equal(day[3], 400);
	run(&w, T0 + 4 * DAY + HOUR, UINT64_MAX);
	assert_int_equal(w.done, 3000);
	teardown(&w);
}

static void test_sources_by_weight(void **state)
{
	const struct schedule_source source[] = {
		{ .address = SLICE_LIT("192.0.2.1"), .weight = 3 },
		{ .address = SLICE_LIT("192.0.2.2"), .weight = 1 },
	};
	unsigned first = 0, n = 0;
	struct schedule_question q;
	struct schedule_lane l;
	struct world w;

	(void)state;
	setup(&w);
	w.site.pool = schedule_pool(w.s, SLICE_LIT("two"), source, 2, w.now);
	for (unsigned i = 0; i < 40; i++)
		add(&w, 1, i, 1, SCHEDULE_NORMAL);
	while (schedule_next_resolve(w.s, w.now, &q))
		resolve(&w, &q);
	for (; schedule_next_lane(w.s, w.now, &l); n++)
		first += slice_eq(l.source, slice_str("192.0.2.1"));
	assert_int_equal(n, 40);
	assert_in_range(first, 29, 31);
	teardown(&w);
}

/* An address that is none of this machine's: it rests, longer each time, and the others take its share. */
static void test_a_source_that_cannot_be_used(void **state)
{
	const struct schedule_source source[] = {
		{ .address = SLICE_LIT("good"), .weight = 1 },
		{ .address = SLICE_LIT("bad"), .weight = 1 },
	};
	struct schedule_site_view view;
	struct schedule_question q;
	struct schedule_lane l;
	unsigned tries = 0;
	struct world w;

	(void)state;
	setup(&w);
	w.site.pool = schedule_pool(w.s, SLICE_LIT("two"), source, 2, w.now);
	for (unsigned i = 0; i < 8; i++)
		add(&w, 1, i, 1, SCHEDULE_NORMAL);
	while (schedule_next_resolve(w.s, w.now, &q))
		resolve(&w, &q);
	for (unsigned good = 0; good < 8;) {
		assert_true(schedule_next_lane(w.s, w.now, &l));
		if (slice_eq(l.source, slice_str("good"))) {
			good++;
			continue;
		}
		assert_true(slice_eq(l.source, slice_str("bad")));
		tries++;
		schedule_lane_closed(w.s, l.number, SCHEDULE_LANE_SOURCE, SLICE_LIT("4.3.0"),
				     SLICE_LIT("no such address"), w.now);
	}
	assert_int_equal(tries, 1);
	/* Alone in its pool: what goes out by it waits, and it is said why. */
	w.site.pool = schedule_pool(w.s, SLICE_LIT("one"), &source[1], 1, w.now);
	tries = 0;
	add(&w, 1, 9, 1, SCHEDULE_NORMAL);
	while (schedule_next_resolve(w.s, w.now, &q))
		resolve(&w, &q);
	for (uint64_t end = w.now + HOUR; w.now < end; w.now += SECOND)
		while (schedule_next_lane(w.s, w.now, &l)) {
			assert_true(slice_eq(l.source, slice_str("bad")));
			tries++;
			schedule_lane_closed(w.s, l.number, SCHEDULE_LANE_SOURCE, SLICE_LIT("4.3.0"),
					     SLICE_LIT("no such address"), w.now);
			assert_false(schedule_next_lane(w.s, w.now, &l));
		}
	assert_in_range(tries, 10, 15);
	assert_true(schedule_look_destination(w.s, SLICE_LIT("mx d9"), w.now, &view));
	assert_true(view.until_ms > w.now);
	assert_true(slice_eq(view.text, SLICE_LIT("no such address")));
	/* Once it works it works for all. */
	w.now = view.until_ms;
	assert_true(schedule_next_lane(w.s, w.now, &l));
	schedule_lane_opened(w.s, l.number, 0);
	schedule_lane_ready(w.s, l.number, 0, 0, w.now);
	assert_true(schedule_look_destination(w.s, SLICE_LIT("mx d9"), w.now, &view));
	assert_int_equal(view.until_ms, 0);
	teardown(&w);
}

/* Lanes grow while it goes well, to the limit; after complaints there are fewer. */
static void test_as_many_lanes_as_it_can_bear(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.site.connections = 30;
	add(&w, 20000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + HOUR, 10);
	assert_in_range(w.lanes_at[1], 4, 20);
	run(&w, T0 + HOUR, 2000);
	assert_int_equal(w.lanes_at[1], 30);
	assert_int_equal(w.most_lanes, 30);
	w.how[1] = COMPLAINS;
	run(&w, w.now + 30 * SECOND, UINT64_MAX);
	assert_in_range(w.lanes_at[1], 0, 4);
	w.how[1] = WELL;
	run(&w, w.now + 10 * MINUTE, UINT64_MAX);
	assert_true(w.lanes_at[1] > 10 || w.done >= 15000);
	teardown(&w);
}

/* ---- when it does not go ---- */

/* A site that is away for two hours: few probes, one at a time, and no message was tried. */
static void test_site_away(void **state)
{
	struct schedule_view v;
	struct id id;
	struct world w;

	(void)state;
	setup(&w);
	w.how[1] = AWAY;
	add(&w, 5000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 2 * HOUR, UINT64_MAX);
	assert_in_range(w.opened, 10, 20);
	assert_int_equal(w.attempts, 0);
	id = id_of(7, 1, SCHEDULE_NORMAL);
	assert_true(schedule_look(w.s, &id, &v));
	assert_int_equal(v.attempts, 0);
	assert_int_equal(v.state, SCHEDULE_IS_QUEUED);
	w.how[1] = WELL;
	w.most_lanes = 0;
	run(&w, T0 + 2 * HOUR + 34 * MINUTE, 1);
	assert_int_equal(w.done, 1);
	assert_in_range(w.most_lanes, 1, 2); /* a single probe, and more only when it went well */
	run(&w, w.now + 10 * MINUTE, UINT64_MAX);
	assert_int_equal(w.done, 5000);
	teardown(&w);
}

/* A site that wants nothing for a while gets nothing for that long, its lanes idle out, and another complaint
 * of the same moment makes it no longer than it says. */
static void test_pause(void **state)
{
	struct schedule_site_view v;
	uint64_t cursor = 0, begun;
	struct world w;

	(void)state;
	setup(&w);
	add(&w, 400, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + DAY, 50);
	begun = w.now;
	schedule_heard(w.s, w.lane[0].lane, SLICE_LIT("4.7.1"), SLICE_LIT("not before tea"));
	schedule_pause(w.s, w.lane[0].lane, HOUR, w.now);
	schedule_pause(w.s, w.lane[0].lane, 30 * MINUTE, w.now);
	schedule_pause(w.s, w.lane[0].lane, 0, w.now);
	run(&w, w.now + SECOND, UINT64_MAX); /* what was under way */
	assert_in_range(w.done, 50, 70);
	while (schedule_next_site(w.s, &cursor, w.now, &v) && !slice_eq(v.name, SLICE_LIT("mx1")))
		;
	assert_true(slice_eq(v.text, SLICE_LIT("not before tea")));
	assert_in_range(v.until_ms, begun + HOUR, begun + HOUR + HOUR / 10);
	run(&w, begun + HOUR - 1, UINT64_MAX);
	assert_in_range(w.done, 50, 70);
	assert_int_equal(w.lanes_at[1], 0);
	run(&w, begun + HOUR + HOUR / 10 + MINUTE, UINT64_MAX);
	assert_int_equal(w.done, 400);
	teardown(&w);
}

/* A lane that ends with such a complaint: the pause holds, and then one lane at a time until it works. */
static void test_pause_and_loss(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.how[1] = AWAY;
	add(&w, 100, 1, 1, SCHEDULE_NORMAL);
	work(&w);
	assert_int_equal(w.opened, 4);
	schedule_pause(w.s, w.flight[0].lane, 20 * MINUTE, w.now);
	run(&w, T0 + 20 * MINUTE - 1, UINT64_MAX);
	assert_int_equal(w.opened, 4);
	w.how[1] = WELL;
	w.most_lanes = 0;
	run(&w, T0 + DAY, 1);
	assert_in_range(w.now, T0 + 20 * MINUTE, T0 + 23 * MINUTE);
	assert_in_range(w.most_lanes, 1, 2);
	teardown(&w);
}

/* And if it stays away, they get too old without ever having been tried. */
static void test_expires_behind_a_site(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.how[1] = AWAY;
	add(&w, 3000, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 5 * DAY - 1, UINT64_MAX);
	assert_int_equal(w.expired, 0);
	run(&w, T0 + 5 * DAY + SECOND, UINT64_MAX);
	assert_int_equal(w.expired, 3000);
	assert_int_equal(w.attempts, 0);
	teardown(&w);
}

/* After a start: what was deferred keeps its time, what was due goes out at the site's pace. */
static void test_no_herd_after_a_start(void **state)
{
	struct world w;

	(void)state;
	setup(&w);
	w.site.connections = 5;
	for (unsigned i = 0; i < 4000; i++) {
		struct schedule_message m = message(&w, 1, SCHEDULE_NORMAL);

		m.attempts = 3;
		m.due_ms = i < 2000 ? T0 - HOUR : T0 + HOUR;
		m.accepted_ms = T0 - DAY;
		put(&w, m, 1, SCHEDULE_DEFERRED);
	}
	run(&w, T0 + SECOND, UINT64_MAX);
	assert_in_range(w.done, 10, 5 * SECOND / 100 + 5);
	run(&w, T0 + HOUR - 1, UINT64_MAX);
	assert_int_equal(w.done, 2000);
	assert_int_equal(w.most_lanes, 5);
	run(&w, T0 + 2 * HOUR, UINT64_MAX);
	assert_int_equal(w.done, 4000);
	teardown(&w);
}

/* The network blocks port 25: after three sites it is known, and then there is one probe now and then. */
static void test_port_25_blocked(void **state)
{
	struct schedule_block b;
	uint64_t opened, before;
	struct world w;

	(void)state;
	setup(&w);
	for (unsigned i = 0; i < SITES; i++)
		w.how[i] = BLOCKED;
	for (unsigned i = 0; i < 4; i++)
		add(&w, 2, i, 1, SCHEDULE_NORMAL);
	run(&w, T0 + MINUTE, UINT64_MAX);
	schedule_blocked(w.s, &b);
	assert_true(b.blocked);
	assert_in_range(b.since_ms, T0 + 30 * SECOND, T0 + MINUTE);
	for (unsigned i = 4; i < SITES; i++)
		add(&w, 2, i, 1, SCHEDULE_NORMAL);
	opened = w.opened;
	run(&w, T0 + 6 * HOUR, UINT64_MAX);
	assert_in_range(w.opened - opened, 8, 20);
	assert_int_equal(w.attempts, 0);
	schedule_blocked(w.s, &b);
	assert_in_range(b.sites, SITES - 2, SITES);
	for (unsigned i = 0; i < SITES; i++)
		w.how[i] = WELL;
	while (b.blocked && w.now < T0 + 7 * HOUR) {
		run(&w, w.now + SECOND / 20, UINT64_MAX);
		schedule_blocked(w.s, &b);
	}
	assert_false(b.blocked);
	/* They go on, and not all at once. */
	before = w.opened;
	run(&w, w.now + SECOND, UINT64_MAX);
	assert_in_range(w.opened - before, 20, 120);
	run(&w, w.now + MINUTE, UINT64_MAX);
	assert_int_equal(w.done, 2 * SITES);
	teardown(&w);
}

/* An operator's retry is the next probe; of many there is one at a time. */
static void test_port_25_doubted(void **state)
{
	struct schedule_message m[2];
	struct schedule_block b;
	uint64_t opened;
	struct world w;

	(void)state;
	setup(&w);
	for (unsigned i = 0; i < 5; i++)
		w.how[i] = BLOCKED;
	for (unsigned i = 0; i < 3; i++)
		add(&w, 1, i, 1, SCHEDULE_NORMAL);
	for (unsigned i = 0; i < 2; i++) {
		m[i] = message(&w, 1, SCHEDULE_NORMAL);
		put(&w, m[i], 3 + i, SCHEDULE_READY);
	}
	run(&w, T0 + 3 * HOUR, UINT64_MAX);
	schedule_blocked(w.s, &b);
	assert_true(b.blocked);
	run(&w, b.probe_ms + MINUTE, UINT64_MAX); /* that one is over, the next one half an hour away */
	opened = w.opened;
	for (unsigned i = 0; i < 10; i++)
		schedule_retry_now(w.s, &m[i % 2].id, w.now);
	run(&w, w.now + 40 * SECOND, UINT64_MAX);
	assert_int_equal(w.opened - opened, 1);
	for (unsigned i = 0; i < 5; i++)
		w.how[i] = WELL;
	schedule_retry_now(w.s, &m[0].id, w.now);
	run(&w, w.now + 30 * SECOND, UINT64_MAX);
	schedule_blocked(w.s, &b);
	assert_false(b.blocked);
	assert_int_equal(w.done, 5);
	teardown(&w);
}

/* A site or two that time out, among others that do not, are their own fault. */
static void test_not_blocked(void **state)
{
	struct schedule_block b;
	struct world w;

	(void)state;
	setup(&w);
	for (unsigned i = 0; i < 10; i++) {
		w.how[i] = BLOCKED;
		add(&w, 1, i, 1, SCHEDULE_NORMAL);
		add(&w, 1, 50 + i, 1, SCHEDULE_NORMAL);
		run(&w, w.now + MINUTE, UINT64_MAX);
		schedule_blocked(w.s, &b);
		assert_false(b.blocked);
	}
	teardown(&w);
}

/* What hangs is named, and named again. */
static void test_overdue(void **state)
{
	struct schedule_overdue o;
	struct schedule_question q;
	struct world w;

	(void)state;
	setup(&w);
	add(&w, 1, 1, 1, SCHEDULE_NORMAL);
	assert_true(schedule_next_resolve(w.s, w.now, &q));
	assert_int_equal(schedule_wait_ms(w.s, w.now), 2 * MINUTE);
	assert_false(schedule_next_overdue(w.s, w.now + 2 * MINUTE - 1, &o));
	assert_true(schedule_next_overdue(w.s, w.now + 2 * MINUTE, &o));
	assert_int_equal(o.kind, SCHEDULE_OVERDUE_RESOLVE);
	assert_true(o.number == q.number);
	assert_false(schedule_next_overdue(w.s, w.now + 2 * MINUTE, &o));
	assert_true(schedule_next_overdue(w.s, w.now + 4 * MINUTE, &o));
	teardown(&w);
}

/* Nothing of it before its time, and its life begins then. */
static void test_future_release(void **state)
{
	struct schedule_message m;
	struct world w;

	(void)state;
	setup(&w);
	m = message(&w, 1, SCHEDULE_NORMAL);
	m.release_ms = T0 + 20 * DAY;
	put(&w, m, 1, SCHEDULE_READY);
	run(&w, T0 + 20 * DAY - 1, UINT64_MAX);
	assert_int_equal(w.attempts + w.opened + w.expired, 0);
	run(&w, T0 + 20 * DAY + SECOND, UINT64_MAX);
	assert_int_equal(w.done, 1);
	teardown(&w);
}

/* ---- the listing ---- */

static void test_summary(void **state)
{
	struct schedule_site_view v;
	uint64_t cursor = 0;
	struct world w;

	(void)state;
	setup(&w);
	w.how[1] = AWAY;
	add(&w, 40, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 2 * HOUR, UINT64_MAX);
	add(&w, 3, 1, 1, SCHEDULE_NORMAL);
	run(&w, T0 + 2 * HOUR + MINUTE, UINT64_MAX);
	assert_true(schedule_next_site(w.s, &cursor, w.now, &v));
	assert_true(slice_eq(v.name, slice_str("mx1")));
	assert_int_equal(v.parts, 43);
	assert_int_equal(v.ready, 43);
	assert_int_equal(v.age[0], 3);
	assert_int_equal(v.age[2], 40);
	assert_true(v.until_ms > w.now);
	assert_true(slice_eq(v.text, slice_str("words")));
	assert_false(schedule_next_site(w.s, &cursor, w.now, &v));
	teardown(&w);
}

/* However they come and go, all are counted, and about as old as they are. */
static void test_ages(void **state)
{
	static const uint64_t limits[] = { 5 * MINUTE, 30 * MINUTE, 4 * HOUR, DAY };
	static uint64_t began[20000];
	struct ages a = { 0 };
	uint64_t count[5] = { 0 }, now = T0, sum = 0, old = 0;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		now += 10 * SECOND;
		began[n++] = now - (i % 7 == 0 ? HOUR : 0);
		ages_add(&a, began[n - 1], now);
		if (i % 3 == 0) {
			unsigned k = (i * 7919U) % n;

			ages_remove(&a, began[k]);
			began[k] = began[--n];
		}
	}
	ages_count(&a, now, limits, 4, count);
	for (unsigned i = 0; i < 5; i++)
		sum += count[i];
	assert_int_equal(sum, n);
	for (unsigned i = 0; i < n; i++)
		old += now - began[i] >= DAY;
	assert_in_range(count[4], old * 3 / 4, old * 5 / 4);
	for (unsigned i = 0; i < n; i++)
		ages_remove(&a, began[i]);
	for (unsigned i = 0; i < a.spans; i++)
		assert_int_equal(a.n[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fair_between_accounts),
		cmocka_unit_test(test_fair_over_sites),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_lanes_kept_for_the_urgent),
		cmocka_unit_test(test_pace_of_site_and_account),
		cmocka_unit_test(test_pace_by_the_setup),
		cmocka_unit_test(test_pace_is_remembered_without_mail),
		cmocka_unit_test(test_no_pace_to_mailboxes),
		cmocka_unit_test(test_warming_up),
		cmocka_unit_test(test_sources_by_weight),
		cmocka_unit_test(test_a_source_that_cannot_be_used),
		cmocka_unit_test(test_as_many_lanes_as_it_can_bear),
		cmocka_unit_test(test_site_away),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_and_loss),
		cmocka_unit_test(test_expires_behind_a_site),
		cmocka_unit_test(test_no_herd_after_a_start),
		cmocka_unit_test(test_port_25_blocked),
		cmocka_unit_test(test_port_25_doubted),
		cmocka_unit_test(test_not_blocked),
		cmocka_unit_test(test_overdue),
		cmocka_unit_test(test_future_release),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_ages),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
