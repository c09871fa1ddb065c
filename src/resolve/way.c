/* Where the DNS is asked: by recursion of our own, of the servers that the configuration names,
 * or of resolv.conf's.
 *
 * Each possibility is a world of its own. It is tried with one question before it is used; what is
 * asked meanwhile waits for the first, and goes to the present one later.
 */
#include "resolve/private.h"

#include <errno.h>

#define STEP_MS	      4000	   /* ample for the root servers, which are asked all at once */
#define AGAIN_MS      (10 * 60000) /* when the network does not let us: maybe it does by now */
#define AGAIN_DOWN_MS 30000	   /* when nobody at all answers: it may have come up */
#define FAILURES_MAX  5		   /* questions in a row without an answer: something has changed */
#define BETWEEN_MS    60000	   /* tries for that reason */
#define TYPE_NS	      2
#define TYPE_DNSKEY   48

static bool validating(const struct resolve *r)
{
	return r->setup.validate != RESOLVE_VALIDATE_NO && r->setup.anchors.n > 0;
}

static int make(struct resolve *r, const struct resolve_server *servers, size_t n, bool validates,
		struct world **ret)
{
	struct world_setup setup = { .servers = servers, .n_servers = n, .cache = r->setup.cache };

	if (validates)
		setup.anchors = r->setup.anchors;
	return world_new(r->loop, &setup, ret);
}

/* The owner of the first anchor: where signatures begin. */
static void anchored(const struct resolve *r, struct dns_name *ret)
{
	struct slice text = r->setup.anchors;

	memset(ret, 0, sizeof(*ret));
	while (text.n > 0) {
		struct slice line = slice_head(text, slice_find(text, '\n'));

		text = slice_tail(text, line.n + 1);
		line = slice_trim(slice_head(line, slice_find(line, ';')));
		if (line.n > 0) {
			line = slice_head(line, slice_find(line, '\t'));
			dns_name_parse(slice_head(line, slice_find(line, ' ')), ret);
			return;
		}
	}
}

static void on_tried(void *arg, const struct world_answer *a)
{
	struct resolve *r = arg;

	r->way.query = NULL;
	r->way.answered = true;
	r->way.bogus = a->bogus;
	r->way.good = a->message.n > 0 && !a->bogus;
	if (r->way.step == WAY_TRY_SIGNATURES && r->way.good && !a->secure) {
		r->way.good = false; /* unsigned where signatures must be */
		r->way.bogus = true;
	}
	resolve_wake(r);
}

static void drop_candidate(struct way *w)
{
	world_cancel(w->query);
	w->query = NULL;
	world_free(w->candidate);
	w->candidate = NULL;
	w->answered = false;
}

static int try(struct resolve *r, enum way_step step)
{
	struct dns_name name = { 0 };
	bool system = step != WAY_TRY_RECURSION, signatures = step == WAY_TRY_SIGNATURES;
	int err;

	drop_candidate(&r->way);
	if (signatures)
		anchored(r, &name);
	err = make(r, r->system.server, system ? r->system.n_servers : 0,
		   step != WAY_TRY_PLAIN && validating(r), &r->way.candidate);
	if (err == 0) {
		r->way.step = step;
		r->way.deadline_ms = uv_now(r->loop) + STEP_MS;
		err = world_ask(r->way.candidate, &name, signatures ? TYPE_DNSKEY : TYPE_NS, on_tried, r,
				&r->way.query);
	}
	if (err < 0)
		drop_candidate(&r->way);
	return err;
}

static void settle(struct resolve *r, enum resolve_way way, bool validates, uint64_t again_in_ms)
{
	struct way *w = &r->way;

	w->untold |= !w->known || w->now != way || w->validates != validates;
	w->step = WAY_SETTLED;
	w->now = way;
	w->validates = validates;
	w->known = true;
	w->failures = 0;
	w->again_ms = again_in_ms ? uv_now(r->loop) + again_in_ms : 0;
}

/* The candidate is what is used from now on. */
static void adopt(struct resolve *r, enum resolve_way way, bool validates, uint64_t again_in_ms)
{
	struct world *old = r->world;

	world_cancel(r->way.query);
	r->way.query = NULL;
	r->way.answered = false;
	r->world = r->way.candidate;
	r->way.candidate = NULL;
	settle(r, way, validates, again_in_ms);
	resolve_ask_again(r, old);
}

/* Use resolv.conf's servers, which were just tried. */
static int use_system(struct resolve *r, bool validates)
{
	bool blocked = r->setup.recursion == RESOLVE_RECURSION_AUTO;
	bool worse = blocked || validates != validating(r);

	adopt(r, blocked ? RESOLVE_BLOCKED : RESOLVE_BY_SYSTEM, validates, worse ? AGAIN_MS : 0);
	return 0;
}

/* Nobody answers at all: the network may be down.  That says nothing about where to ask. */
static int nobody(struct resolve *r)
{
	bool recursion = r->setup.recursion == RESOLVE_RECURSION_AUTO;
	int err;

	drop_candidate(&r->way);
	if (r->world) {
		settle(r, r->way.now, r->way.validates, AGAIN_DOWN_MS);
		return 0;
	}
	err = make(r, r->system.server, recursion ? 0 : r->system.n_servers, validating(r),
		   &r->way.candidate);
	if (err == 0)
		adopt(r, recursion ? RESOLVE_BY_RECURSION : RESOLVE_BY_SYSTEM, validating(r), AGAIN_DOWN_MS);
	return err;
}

static int try_system(struct resolve *r)
{
	return try(r, validating(r) ? WAY_TRY_SIGNATURES : WAY_TRY_PLAIN);
}

static int begin(struct resolve *r)
{
	r->way.began_ms = uv_now(r->loop);
	return r->setup.recursion == RESOLVE_RECURSION_AUTO ? try(r, WAY_TRY_RECURSION) : try_system(r);
}

int way_start(struct resolve *r)
{
	int err;

	if (r->setup.n_servers > 0) {
		err = make(r, r->servers, r->setup.n_servers, validating(r), &r->world);
		if (err == 0)
			settle(r, RESOLVE_BY_SERVERS, validating(r), 0);
		return err;
	}
	if (r->setup.recursion == RESOLVE_RECURSION_YES || r->system.n_servers == 0) {
		err = make(r, NULL, 0, validating(r), &r->world);
		if (err == 0)
			settle(r, RESOLVE_BY_RECURSION, validating(r), 0);
		return err;
	}
	return begin(r);
}

/* What was told of servers that may not be asked any more is not true any more either. */
static void forget_hosts_world(struct resolve *r)
{
	struct world *hosts = r->hosts_world;

	r->hosts_world = NULL;
	if (hosts)
		resolve_ask_again(r, hosts);
}

int way_restart(struct resolve *r)
{
	struct world *old = r->world;
	struct way was = r->way;
	int err;

	r->way = (struct way){
		.now = was.now, .known = was.known, .validates = was.validates, .untold = was.untold
	};
	r->world = NULL;
	err = way_start(r);
	if (err < 0) {
		drop_candidate(&r->way);
		r->way = was;
		r->world = old;
		return err;
	}
	drop_candidate(&was);
	if (!r->world) /* it is being tried out: adopt() puts it in place of this one */
		r->world = old;
	else
		resolve_ask_again(r, old);
	forget_hosts_world(r);
	return 0;
}

void way_stop(struct resolve *r)
{
	drop_candidate(&r->way);
	world_free(r->hosts_world);
	world_free(r->world);
}

static int step_done(struct resolve *r)
{
	const struct way *w = &r->way;

	switch (w->step) {
	case WAY_TRY_RECURSION:
		if (!w->good)
			return try_system(r);
		adopt(r, RESOLVE_BY_RECURSION, validating(r), 0);
		return 0;
	case WAY_TRY_SIGNATURES:
		if (w->good)
			return use_system(r, true);
		if (r->setup.validate == RESOLVE_VALIDATE_YES)
			return w->answered && w->bogus ? use_system(r, true) : nobody(r);
		return try(r, WAY_TRY_PLAIN);
	case WAY_TRY_PLAIN:
		return w->good ? use_system(r, false) : nobody(r);
	default:
		return 0;
	}
}

void way_turn(struct resolve *r, uint64_t now_ms)
{
	struct way *w = &r->way;
	int err = 0;

	if (w->step != WAY_SETTLED && (w->answered || now_ms >= w->deadline_ms)) {
		w->good = w->answered && w->good;
		err = step_done(r);
	} else if (w->step == WAY_SETTLED && w->again_ms && now_ms >= w->again_ms) {
		w->again_ms = 0;
		err = begin(r);
	}
	if (err < 0) { /* out of memory: what we have goes on */
		drop_candidate(w);
		w->step = WAY_SETTLED;
		w->again_ms = now_ms + AGAIN_DOWN_MS;
	}
}

uint64_t way_next_ms(const struct resolve *r)
{
	const struct way *w = &r->way;

	if (w->step != WAY_SETTLED)
		return w->answered ? 0 : w->deadline_ms;
	return w->again_ms ? w->again_ms : UINT64_MAX;
}

void way_note(struct resolve *r, bool answered)
{
	struct way *w = &r->way;
	uint64_t now = uv_now(r->loop);

	if (answered || w->now != RESOLVE_BY_RECURSION || r->setup.recursion != RESOLVE_RECURSION_AUTO ||
	    r->setup.n_servers > 0 || r->system.n_servers == 0) {
		w->failures = 0;
		return;
	}
	if (w->step == WAY_SETTLED && ++w->failures >= FAILURES_MAX && now - w->began_ms >= BETWEEN_MS) {
		w->failures = 0;
		w->again_ms = now;
	}
}

struct world *way_of_hosts(struct resolve *r)
{
	if (r->setup.n_servers > 0 || r->system.n_servers == 0)
		return r->world;
	if (!r->hosts_world && make(r, r->system.server, r->system.n_servers, false, &r->hosts_world) < 0)
		return NULL;
	return r->hosts_world;
}
