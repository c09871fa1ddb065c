/* schedule_world.h - for tests only: the schedule against a world of its own, in virtual time.
 *
 * Servers that take a while for each message, are away, complain, or stand behind a network that blocks
 * port 25. What is fair, paced, backed off and spread is counted over hours and days.  Everything is static:
 * each test program has its own world.
 */
#ifndef POSTERN_QUEUE_SCHEDULE_WORLD_H
#define POSTERN_QUEUE_SCHEDULE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

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

static __attribute__((unused)) void setup(struct world *w)
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

static __attribute__((unused)) void teardown(struct world *w)
{
	schedule_free(w->s);
	free(w->flight);
}

/* Who sent it and how urgent it is stands in its id. */
static __attribute__((unused)) struct id id_of(unsigned n, unsigned client, enum schedule_class class)
{
	struct id id;

	snprintf(id.text, sizeof(id.text), "%09u%02u%02u", n, client, (unsigned)class);
	return id;
}

static __attribute__((unused)) struct schedule_message message(struct world *w, unsigned client,
							       enum schedule_class class)
{
	return (struct schedule_message){ .id = id_of(w->counter++, client, class),
					  .accepted_ms = w->now,
					  .account = client,
					  .class = class,
					  .recipients = 1 };
}

static __attribute__((unused)) void put(struct world *w, struct schedule_message m, unsigned site,
					uint8_t state)
{
	char text[32];
	uint32_t to;

	snprintf(text, sizeof(text), "mx d%u", site);
	to = schedule_destination(w->s, slice_str(text));
	m.rcpt = &state;
	m.destination = &to;
	assert_int_equal(schedule_add(w->s, &m, w->now), 0);
}

static __attribute__((unused)) void add(struct world *w, unsigned n, unsigned site, unsigned client,
					enum schedule_class class)
{
	while (n-- > 0)
		put(w, message(w, client, class), site, SCHEDULE_READY);
}

static __attribute__((unused)) struct flight *fly(struct world *w, uint64_t lane, unsigned site, uint64_t ms)
{
	struct flight *f = &w->flight[w->flights++];

	assert_true(w->flights <= w->room);
	*f = (struct flight){ .lane = lane, .site = site, .ends = w->now + ms };
	return f;
}

static __attribute__((unused)) unsigned site_of(const struct world *w, uint64_t lane)
{
	for (unsigned i = 0; i < LANES; i++)
		if (w->lane[i].lane == lane)
			return w->lane[i].site;
	fail();
	return 0;
}

static __attribute__((unused)) unsigned number_of(struct slice destination)
{
	struct slice cur = slice_tail(destination, 4); /* "mx d" */
	uint64_t n = 0;

	assert_true(cur_u64(&cur, SITES, &n));
	return (unsigned)n;
}

static __attribute__((unused)) void open_lane(struct world *w, const struct schedule_lane *l)
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
static __attribute__((unused)) void port_25(struct world *w, unsigned site, bool works)
{
	struct ip ip = { .family = 4, .byte = { 198, (uint8_t)site, 0, 1 } };

	if (works ? port25_connected(&w->port25, &ip, w->now) : port25_timed_out(&w->port25, &ip, w->now))
		schedule_block(w->s, !works, w->now);
}

static __attribute__((unused)) void lane_ends(struct world *w, uint64_t lane, enum schedule_lane_end end)
{
	for (unsigned i = 0; i < LANES; i++)
		if (w->lane[i].lane == lane) {
			w->lanes_at[w->lane[i].site]--;
			w->lane[i].lane = 0;
		}
	w->closed++;
	schedule_lane_closed(w->s, lane, end, SLICE_LIT("4.4.1"), SLICE_LIT("words"), w->now);
}

static __attribute__((unused)) void resolve(struct world *w, const struct schedule_question *q)
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
static __attribute__((unused)) void work(struct world *w)
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

static __attribute__((unused)) void land(struct world *w, const struct flight *f)
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
static __attribute__((unused)) void run(struct world *w, uint64_t until, uint64_t done)
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

#endif
