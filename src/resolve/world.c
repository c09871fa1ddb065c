#include "resolve/world.h"

#include <errno.h>
#include <unbound.h>

#include "base/list.h"
#include "resolve/event.h"

#define ANCHORS_MAX	 64
#define ANCHOR_MAX	 4096 /* octets of a line */
#define CLASS_IN	 1
#define TYPE_A		 1
#define SOCKETS		 "256" /* questions on their way over UDP at once; more wait */
#define TCP_SOCKETS	 "32"
#define NEGATIVE_TTL_MAX "3600"

struct world {
	struct event_base base;
	struct ub_ctx *ctx;
	struct list asked;
	struct world_query *asking; /* while libunbound is being asked: NULL when it answered at once */
};

struct world_query {
	struct list link;
	struct world *world;
	world_done done;
	void *arg;
	int id;
};

static int error_of(int ub)
{
	return ub == UB_NOERROR ? 0 : ub == UB_NOMEM ? -ENOMEM : -EINVAL;
}

static int set(struct world *w, const char *option, const char *value)
{
	return error_of(ub_ctx_set_option(w->ctx, option, value));
}

/* As unbound.conf(5) has it: the larger cache for records, the smaller for messages. */
static int set_sizes(struct world *w, uint64_t cache)
{
	const struct {
		const char *option;
		uint64_t octets;
	} sizes[] = {
		{ "rrset-cache-size:", cache / 2 },
		{ "msg-cache-size:", cache / 4 },
		{ "key-cache-size:", cache / 8 },
		{ "neg-cache-size:", cache / 8 },
	};
	char text[24];
	int r = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && r == 0; i++) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)sizes[i].octets);
		r = set(w, sizes[i].option, text);
	}
	return r;
}

static int set_options(struct world *w, const struct world_setup *setup)
{
	static const struct {
		const char *option, *value;
	} options[] = {
		{ "outgoing-range:", SOCKETS },	       { "outgoing-num-tcp:", TCP_SOCKETS },
		{ "num-queries-per-thread:", "4096" }, { "cache-max-negative-ttl:", NEGATIVE_TTL_MAX },
		{ "edns-buffer-size:", "1232" }, /* what passes without fragments */
	};
	/* Nobody else's DNS sends us to ourselves; the servers that we were told of may be here. */
	int r = set(w, "do-not-query-localhost:", setup->n_servers ? "no" : "yes");

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && r == 0; i++)
		r = set(w, options[i].option, options[i].value);
	/* Servers that were silent for some minutes are asked again soon after they are back: else one
	 * question at a time waits for its answer, for up to two minutes, or nobody asks for a quarter of an
	 * hour.  A libunbound that has no such option has its own ways. */
	(void)set(w, "infra-keep-probing:", "yes");
	(void)set(w, "infra-cache-max-rtt:", "8000");
	(void)set(w, "infra-host-ttl:", "60");
	if (r == 0 && setup->anchors.n == 0)
		r = set(w, "module-config:", "iterator");
	if (r == 0 && setup->n_servers > 0) /* they know their own network's addresses */
		r = set(w, "unblock-lan-zones:", "yes");
	return r == 0 ? set_sizes(w, setup->cache) : r;
}

static int set_servers(struct world *w, const struct world_setup *setup)
{
	char ip[IP_TEXT_MAX], text[IP_TEXT_MAX + 8];
	int r = 0;

	for (size_t i = 0; i < setup->n_servers && r == 0; i++) {
		snprintf(text, sizeof(text), "%s@%u", ip_format(&setup->servers[i].ip, ip),
			 setup->servers[i].port);
		r = error_of(ub_ctx_set_fwd(w->ctx, text));
	}
	return r;
}

static int set_anchors(struct world *w, struct slice text)
{
	char line[ANCHOR_MAX];
	unsigned n = 0;
	int r = 0;

	while (text.n > 0 && r == 0) {
		struct slice one = slice_head(text, slice_find(text, '\n'));

		text = slice_tail(text, one.n + 1);
		one = slice_trim(slice_head(one, slice_find(one, ';')));
		if (one.n == 0)
			continue;
		if (n++ == ANCHORS_MAX || !slice_copy(one, line, sizeof(line)))
			return -EINVAL;
		r = error_of(ub_ctx_add_ta(w->ctx, line));
	}
	return r;
}

static void query_free(struct world_query *q)
{
	list_remove(&q->link);
	free(q);
}

static void on_answer(void *arg, int rcode, void *packet, int n, int security, char *why, int limited)
{
	struct world_query *q = arg;
	struct world_answer a = {
		.rcode = rcode, .secure = security == 2, .bogus = security == 1, .why = why
	};
	world_done done = q->done;

	(void)limited;
	if (rcode == 0 && packet && n > 0)
		a.message = slice_of(packet, (size_t)n);
	if (q->world->asking == q)
		q->world->asking = NULL;
	arg = q->arg;
	query_free(q);
	done(arg, &a);
}

int world_ask(struct world *w, const struct dns_name *name, int type, world_done done, void *arg,
	      struct world_query **ret)
{
	struct world_query *q = calloc(1, sizeof(*q));
	const char *text = name->n > 0 ? name->text : ".";
	int r;

	if (!q)
		return -ENOMEM;
	q->world = w;
	q->done = done;
	q->arg = arg;
	list_push_back(&w->asked, &q->link);
	w->asking = q;
	r = error_of(ub_resolve_event(w->ctx, text, type, CLASS_IN, q, on_answer, &q->id));
	if (r < 0 && w->asking)
		query_free(q);
	else
		*ret = w->asking;
	w->asking = NULL;
	return r;
}

void world_cancel(struct world_query *q)
{
	if (!q)
		return;
	ub_cancel(q->world->ctx, q->id);
	query_free(q);
}

static void on_nothing(void *arg, const struct world_answer *a)
{
	(void)arg;
	(void)a;
}

/* Have everything made now, while files may be read: the first question does it.  This one
 * is answered from what unbound knows by itself. */
static int warm_up(struct world *w)
{
	struct dns_name here = { .n = 9, .text = "localhost" };
	struct world_query *q;

	return world_ask(w, &here, TYPE_A, on_nothing, NULL, &q);
}

/* Names that unbound keeps to itself: a closed network may use them. */
static int unblock(struct world *w)
{
	static const char *const zones[] = { "test.", "home.arpa." };
	int r = 0;

	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]) && r == 0; i++)
		r = error_of(ub_ctx_zone_remove(w->ctx, zones[i]));
	return r;
}

int world_new(uv_loop_t *loop, const struct world_setup *setup, struct world **ret)
{
	struct world *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	list_init(&w->asked);
	event_base_init(&w->base, loop);
	w->ctx = ub_ctx_create_ub_event(&w->base.face);
	if (!w->ctx) {
		free(w);
		return -ENOMEM;
	}
	/* It would write to standard error by itself. */
	ub_ctx_debugout(w->ctx, NULL);
	r = set_options(w, setup);
	if (r == 0)
		r = set_servers(w, setup);
	if (r == 0)
		r = set_anchors(w, setup->anchors);
	if (r == 0)
		r = warm_up(w);
	if (r == 0 && setup->n_servers > 0)
		r = unblock(w);
	if (r < 0) {
		world_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void world_free(struct world *w)
{
	if (!w)
		return;
	ub_ctx_delete(w->ctx);
	while (!list_empty(&w->asked))
		query_free(container_of(w->asked.next, struct world_query, link));
	free(w);
}
