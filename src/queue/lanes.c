#include "queue/lanes.h"

#include <stdlib.h>

#include "base/log.h"
#include "queue/describe.h"

struct lane {
	struct list link;
	uint64_t number;
	unsigned at;	  /* of which carrier */
	uint64_t job;	  /* 0: none */
	uint64_t free_ms; /* since when */
	bool closing;	  /* lane_close was said */
	bool old;	  /* to where the configuration leads no more */
};

struct lanes {
	struct carrier *carriers;
	struct lanes_setup setup;
	struct list all;
	unsigned n; /* without the closing ones */
	uint64_t last_number;
	unsigned losses; /* in a row */
	uint64_t until_ms;
	char status[16], text[IPC_TEXT_MAX + 1];
	uint64_t opened, failures;
};

struct lanes *lanes_new(struct carrier carriers[LANES_CARRIERS])
{
	struct lanes *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->carriers = carriers;
	list_init(&l->all);
	return l;
}

static void lane_free(struct lanes *l, struct lane *lane)
{
	if (!lane->closing)
		l->n--;
	list_remove(&lane->link);
	free(lane);
}

void lanes_free(struct lanes *l)
{
	if (!l)
		return;
	while (!list_empty(&l->all))
		lane_free(l, container_of(l->all.next, struct lane, link));
	free(l);
}

static struct lane *find(const struct lanes *l, uint64_t number)
{
	struct list *at, *after;

	LIST_EACH (&l->all, at, after) {
		struct lane *lane = container_of(at, struct lane, link);

		if (lane->number == number)
			return lane;
	}
	return NULL;
}

static void close_lane(struct lanes *l, struct lane *lane)
{
	struct ipc_message m = { .type = IPC_TYPE_lane_close, .lane_close = { .lane = lane->number } };

	lane->closing = true;
	l->n--;
	channel_send(l->carriers[lane->at].ch, &m, -1);
}

static bool is_free(const struct lane *lane)
{
	return lane->job == 0 && !lane->closing;
}

const struct lanes_setup *lanes_setup(const struct lanes *l)
{
	return &l->setup;
}

static bool same_way(const struct lanes_setup *a, const struct lanes_setup *b)
{
	return a->on == b->on && !strcmp(a->to.path, b->to.path) && ip_eq(&a->to.ip, &b->to.ip) &&
	       a->to.port == b->to.port && a->connect_s == b->connect_s && a->command_s == b->command_s &&
	       a->final_s == b->final_s;
}

void lanes_configure(struct lanes *l, const struct lanes_setup *setup, uint64_t now_ms)
{
	bool other = !same_way(&l->setup, setup);
	struct list *at, *after;

	l->setup = *setup;
	if (other) {
		l->losses = 0;
		l->until_ms = 0;
	}
	LIST_EACH (&l->all, at, after) {
		struct lane *lane = container_of(at, struct lane, link);

		lane->old |= other;
	}
	(void)lanes_tick(l, now_ms);
}

void lanes_carrier_gone(struct lanes *l, unsigned index)
{
	struct list *at, *after;

	LIST_EACH (&l->all, at, after) {
		struct lane *lane = container_of(at, struct lane, link);

		if (lane->at == index)
			lane_free(l, lane);
	}
}

/* ---- a lane for a job ---- */

static struct lane *find_free(const struct lanes *l)
{
	struct list *at, *after;

	LIST_EACH (&l->all, at, after) {
		struct lane *lane = container_of(at, struct lane, link);

		if (is_free(lane) && !lane->old && carrier_has_room(&l->carriers[lane->at]))
			return lane;
	}
	return NULL;
}

static unsigned lanes_of(const struct lanes *l, unsigned index)
{
	struct list *at, *after;
	unsigned n = 0;

	LIST_EACH (&l->all, at, after)
		n += container_of(at, struct lane, link)->at == index;
	return n;
}

/* The carrier with the fewest lanes; LANES_CARRIERS if none has room. */
static unsigned best_carrier(const struct lanes *l)
{
	unsigned best = LANES_CARRIERS, fewest = 0;

	for (unsigned i = 0; i < LANES_CARRIERS; i++) {
		unsigned n;

		if (!carrier_has_room(&l->carriers[i]))
			continue;
		n = lanes_of(l, i);
		if (best == LANES_CARRIERS || n < fewest) {
			best = i;
			fewest = n;
		}
	}
	return best;
}

static unsigned limit(const struct lanes *l)
{
	return l->losses > 0 ? 1 : l->setup.connections;
}

static bool any_carrier(const struct lanes *l)
{
	for (unsigned i = 0; i < LANES_CARRIERS; i++)
		if (l->carriers[i].ch)
			return true;
	return false;
}

enum lanes_state lanes_look(const struct lanes *l, uint64_t now_ms)
{
	bool may_open = l->n < limit(l);

	if (!l->setup.on || !any_carrier(l))
		return LANES_FULL;
	if (now_ms < l->until_ms)
		return LANES_WAIT;
	if (find_free(l) || (may_open && best_carrier(l) < LANES_CARRIERS))
		return LANES_FREE;
	return may_open ? LANES_NO_ROOM : LANES_FULL;
}

static struct lane *open_lane(struct lanes *l)
{
	const struct lanes_setup *s = &l->setup;
	struct lane *lane = calloc(1, sizeof(*lane));
	char text[ENDPOINT_TEXT_MAX];
	struct ipc_message m = { .type = IPC_TYPE_lane_open,
				 .lane_open = { .protocol = IPC_LANE_LMTP,
						.endpoint = slice_str(endpoint_format(&s->to, text)),
						.connect_s = s->connect_s,
						.command_s = s->command_s,
						.final_s = s->final_s } };

	if (!lane)
		return NULL;
	lane->at = best_carrier(l);
	lane->number = m.lane_open.lane = ++l->last_number;
	list_push_back(&l->all, &lane->link);
	l->n++;
	l->opened++;
	channel_send(l->carriers[lane->at].ch, &m, -1);
	return lane;
}

uint64_t lanes_take(struct lanes *l, uint64_t job, struct carrier **ret, uint64_t now_ms)
{
	struct lane *lane = lanes_look(l, now_ms) == LANES_FREE ? find_free(l) : NULL;

	if (!lane && lanes_look(l, now_ms) == LANES_FREE)
		lane = open_lane(l);
	if (!lane)
		return 0;
	lane->job = job;
	*ret = &l->carriers[lane->at];
	return lane->number;
}

void lanes_job_over(struct lanes *l, uint64_t number, bool done, uint64_t now_ms)
{
	struct lane *lane = find(l, number);

	if (!lane)
		return;
	lane->job = 0;
	lane->free_ms = now_ms;
	if (done && l->losses > 0 && !lane->old) {
		char text[ENDPOINT_TEXT_MAX];

		LOG(LOG_NOTICE, "site-back", LOG_STR("site", endpoint_format(&l->setup.to, text)));
		l->losses = 0;
		l->until_ms = 0;
	}
}

const char *lanes_closed(struct lanes *l, unsigned index, const struct ipc_lane_closed *m, uint64_t now_ms)
{
	struct lane *lane = find(l, m->lane);
	char text[ENDPOINT_TEXT_MAX];
	bool old;

	if (!lane || lane->at != index)
		return "the end of a lane that there is not";
	old = lane->old;
	lane_free(l, lane);
	if (!m->failed || old)
		return NULL;
	l->failures++;
	l->until_ms = now_ms + schedule_pause_ms(l->losses++);
	if (!slice_copy(m->enhanced, l->status, sizeof(l->status)))
		l->status[0] = '\0';
	if (!slice_copy(m->text, l->text, sizeof(l->text)))
		l->text[0] = '\0';
	LOG(LOG_WARNING, "site-trouble", LOG_STR("site", endpoint_format(&l->setup.to, text)),
	    LOG_S("status", m->enhanced), LOG_S("reason", m->text), LOG_U("failures", l->losses),
	    LOG_U("next_s", (l->until_ms - now_ms) / 1000));
	return NULL;
}

/* ---- time ---- */

uint64_t lanes_tick(struct lanes *l, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX, idle_ms = l->setup.idle_s * UINT64_C(1000);
	struct list *at, *after;

	LIST_EACH (&l->all, at, after) {
		struct lane *lane = container_of(at, struct lane, link);
		uint64_t until = lane->free_ms + idle_ms;

		if (!is_free(lane))
			continue;
		if (lane->old || until <= now_ms || l->n > l->setup.connections)
			close_lane(l, lane);
		else if (until < next)
			next = until;
	}
	return next;
}

void lanes_wait_no_more(struct lanes *l)
{
	l->until_ms = 0;
}

void lanes_shift(struct lanes *l, int64_t by_ms)
{
	struct list *at, *after;

	if (l->until_ms > 0)
		l->until_ms += (uint64_t)by_ms;
	LIST_EACH (&l->all, at, after)
		container_of(at, struct lane, link)->free_ms += (uint64_t)by_ms;
}

/* ---- looking ---- */

void lanes_trouble(const struct lanes *l, struct lanes_trouble *ret)
{
	*ret = (struct lanes_trouble){ .until_ms = l->until_ms, .status = l->status, .text = l->text };
}

json_t *lanes_json(const struct lanes *l, uint64_t now_ms)
{
	char text[ENDPOINT_TEXT_MAX];
	struct list *at, *after;
	unsigned busy = 0;
	json_t *j;

	LIST_EACH (&l->all, at, after)
		busy += container_of(at, struct lane, link)->job > 0;
	j = json_pack("{s:s, s:s, s:i, s:i, s:i, s:I, s:I}", "protocol", "lmtp", "to",
		      endpoint_format(&l->setup.to, text), "connections", (int)l->setup.connections, "lanes",
		      (int)l->n, "busy", (int)busy, "opened", (json_int_t)l->opened, "failures",
		      (json_int_t)l->failures);
	if (j && l->losses > 0) {
		json_object_set_new(j, "trouble", describe_text(slice_str(l->text)));
		json_object_set_new(j, "next_s",
				    json_integer(l->until_ms > now_ms
							 ? (json_int_t)((l->until_ms - now_ms) / 1000)
							 : 0));
	}
	return j;
}
