#include "resolve/resolve.h"

#include <errno.h>

#include "resolve/private.h"

#define QUERIES_DEFAULT 1000
#define TIMEOUT_DEFAULT 20000
#define CACHE_DEFAULT	(UINT64_C(16) << 20)
#define HOSTS_TTL	60 /* a reload may change the file */

struct resolve_query {
	struct list link; /* in waiting or finished */
	struct resolve *r;
	struct dns_question q;
	struct dns_question asked; /* with a name of the search list behind it */
	resolve_done done;
	void *arg;
	uint64_t deadline_ms;
	struct world *world; /* that is asked by: */
	struct world_query *query;
	bool host, again; /* again: the next name is to be asked */
	size_t names;	  /* that were asked: those of the search list, then the name as it is */
	struct dns_answer answer;
};

static void on_timer(uv_timer_t *t);

void resolve_wake(struct resolve *r)
{
	uv_timer_start(&r->timer, on_timer, 0, 0);
}

/* ---- an answer ---- */

static void finish(struct resolve_query *q)
{
	list_remove(&q->link);
	list_push_back(&q->r->finished, &q->link);
	resolve_wake(q->r);
}

static void finish_with(struct resolve_query *q, enum dns_status status)
{
	dns_answer_init(&q->answer, &q->asked, status);
	finish(q);
}

static void read_answer(const struct world_answer *a, const struct dns_question *q, struct dns_answer *ret)
{
	if (a->bogus || a->message.n == 0) {
		dns_answer_init(ret, q, a->bogus ? DNS_BOGUS : DNS_SERVFAIL);
		if (a->why)
			snprintf(ret->why, sizeof(ret->why), "%s", a->why);
		return;
	}
	dns_answer_parse(ret, q, a->message);
	ret->secure = a->secure && ret->status <= DNS_NODATA;
}

static bool is_nothing(const struct dns_answer *a)
{
	return a->status == DNS_NXDOMAIN || a->status == DNS_NODATA;
}

/* Names without a dot are looked for below those of the search list first. */
static bool has_next(const struct resolve_query *q)
{
	return q->names <= q->r->system.n_search;
}

static void on_answer(void *arg, const struct world_answer *a)
{
	struct resolve_query *q = arg;

	q->query = NULL;
	read_answer(a, &q->asked, &q->answer);
	if (!q->host)
		way_note(q->r, q->answer.status != DNS_SERVFAIL);
	/* Not from within libunbound's own call. */
	q->again = is_nothing(&q->answer) && has_next(q);
	finish(q);
}

/* ---- a question ---- */

static void ask(struct resolve_query *q)
{
	struct resolve *r = q->r;
	int err;

	q->world = q->host ? way_of_hosts(r) : r->world;
	if (!q->world) /* the way is not known yet: it waits for resolve_ask_again() */
		return;
	err = world_ask(q->world, &q->asked.name, (int)q->asked.type, on_answer, q, &q->query);
	if (err < 0)
		finish_with(q, DNS_NO_MEMORY);
}

void resolve_ask_again(struct resolve *r, struct world *old)
{
	struct list *at, *after;

	LIST_EACH (&r->waiting, at, after) {
		struct resolve_query *q = container_of(at, struct resolve_query, link);

		if (q->world != old)
			continue;
		world_cancel(q->query);
		q->query = NULL;
		ask(q);
	}
	world_free(old);
}

static void next_name(struct resolve_query *q)
{
	const struct resolv_conf *system = &q->r->system;
	char text[2 * DNS_NAME_MAX + 2];

	while (q->names < system->n_search) {
		int n = snprintf(text, sizeof(text), "%s.%s", q->q.name.text, system->search[q->names].text);

		q->names++;
		if (dns_name_parse(slice_of(text, (size_t)n), &q->asked.name))
			return;
	}
	q->names++;
	q->asked = q->q;
}

/* A host that stands in /etc/hosts: an answer without asking.  False: it does not. */
static bool from_file(struct resolve_query *q)
{
	struct ip ip[HOSTS_ADDRESSES_MAX];
	bool known;
	size_t n = hosts_find(q->r->setup.hosts, &q->q.name, q->q.type == DNS_A ? 4 : 6, ip, &known);
	struct dns_record *records;

	if (!known)
		return false;
	dns_answer_init(&q->answer, &q->q, n > 0 ? DNS_OK : DNS_NODATA);
	q->answer.ttl = HOSTS_TTL;
	if (n > 0) {
		records = calloc(n, sizeof(*records));
		if (!records) {
			finish_with(q, DNS_NO_MEMORY);
			return true;
		}
		for (size_t i = 0; i < n; i++)
			records[i].ip = ip[i];
		q->answer.records = q->answer.room = records;
		q->answer.n = n;
	}
	finish(q);
	return true;
}

static int query_new(struct resolve *r, const struct dns_question *question, resolve_done done, void *arg,
		     struct resolve_query **ret)
{
	struct resolve_query *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->r = r;
	q->q = q->asked = *question;
	q->names = r->system.n_search + 1;
	q->done = done;
	q->arg = arg;
	q->deadline_ms = uv_now(r->loop) + r->setup.timeout_ms;
	list_push_back(&r->waiting, &q->link);
	r->n++;
	r->counts.asked++;
	*ret = q;
	return 0;
}

static void query_free(struct resolve_query *q)
{
	world_cancel(q->query);
	dns_answer_done(&q->answer);
	list_remove(&q->link);
	q->r->n--;
	free(q);
}

/* True: there are too many, and that is its answer. */
static bool too_many(struct resolve_query *q)
{
	if (q->r->n <= q->r->setup.queries)
		return false;
	q->r->counts.refused++;
	finish_with(q, DNS_NO_MEMORY);
	return true;
}

int resolve_ask(struct resolve *r, const struct dns_question *question, resolve_done done, void *arg,
		struct resolve_query **ret)
{
	int err = query_new(r, question, done, arg, ret);

	if (err < 0)
		return err;
	if (!too_many(*ret))
		ask(*ret);
	resolve_wake(r); /* for its time limit */
	return 0;
}

int resolve_ask_host(struct resolve *r, const struct dns_question *question, resolve_done done, void *arg,
		     struct resolve_query **ret)
{
	struct resolve_query *q;
	int err = query_new(r, question, done, arg, ret);

	if (err < 0)
		return err;
	q = *ret;
	q->host = true;
	if (!too_many(q) && !from_file(q)) {
		if (slice_find(dns_name_slice(&q->q.name), '.') == q->q.name.n)
			q->names = 0;
		next_name(q);
		ask(q);
	}
	resolve_wake(r);
	return 0;
}

void resolve_cancel(struct resolve_query *q)
{
	if (q)
		query_free(q);
}

/* ---- the timer: all that libunbound's own calls leave to be done ---- */

static void count(struct resolve *r, enum dns_status s)
{
	r->counts.failed += s == DNS_SERVFAIL;
	r->counts.bogus += s == DNS_BOGUS;
	r->counts.timed_out += s == DNS_TIMEOUT;
}

/* In the list by its time limit again. */
static void wait_on(struct resolve_query *q)
{
	struct resolve *r = q->r;
	struct list *at = r->waiting.prev;

	while (at != &r->waiting &&
	       container_of(at, struct resolve_query, link)->deadline_ms > q->deadline_ms)
		at = at->prev;
	list_remove(&q->link);
	list_add_before(at->next, &q->link);
}

static void search_on(struct resolve_query *q)
{
	q->again = false;
	dns_answer_done(&q->answer);
	wait_on(q);
	next_name(q);
	ask(q);
}

static void tell_one(struct resolve_query *q)
{
	struct dns_answer a = q->answer;
	resolve_done done = q->done;
	void *arg = q->arg;

	memset(&q->answer, 0, sizeof(q->answer));
	count(q->r, a.status);
	query_free(q);
	done(arg, &a);
	dns_answer_done(&a);
}

static void tell(struct resolve *r)
{
	/* What a done() asks is answered in the next turn at the earliest. */
	struct list now, *at, *after;

	list_init(&now);
	LIST_EACH (&r->finished, at, after) {
		list_remove(at);
		list_push_back(&now, at);
	}
	while (!list_empty(&now)) {
		struct resolve_query *q = container_of(now.next, struct resolve_query, link);

		if (q->again)
			search_on(q);
		else
			tell_one(q);
	}
}

static void expire(struct resolve *r, uint64_t now_ms)
{
	while (!list_empty(&r->waiting)) {
		struct resolve_query *q = container_of(r->waiting.next, struct resolve_query, link);

		if (q->deadline_ms > now_ms)
			return;
		world_cancel(q->query);
		q->query = NULL;
		if (!q->host)
			way_note(r, false);
		finish_with(q, DNS_TIMEOUT);
	}
}

static void sleep_on(struct resolve *r)
{
	uint64_t now = uv_now(r->loop), next = way_next_ms(r);

	if (!list_empty(&r->finished)) {
		next = now;
	} else if (!list_empty(&r->waiting)) {
		uint64_t first = container_of(r->waiting.next, struct resolve_query, link)->deadline_ms;

		next = first < next ? first : next;
	}
	if (next == UINT64_MAX)
		uv_timer_stop(&r->timer);
	else
		uv_timer_start(&r->timer, on_timer, next > now ? next - now : 0, 0);
}

static void on_timer(uv_timer_t *t)
{
	struct resolve *r = t->data;

	way_turn(r, uv_now(r->loop));
	expire(r, uv_now(r->loop));
	tell(r);
	if (r->way.untold && r->changed) {
		r->way.untold = false;
		r->changed(r->changed_arg);
	}
	sleep_on(r);
}

/* ---- the resolver ---- */

/* All texts of the setup in one piece of memory. */
static int copy_setup(struct resolve *r, const struct resolve_setup *setup)
{
	unsigned char *p = malloc(setup->anchors.n + setup->hosts.n + 1);

	if (!p)
		return -ENOMEM;
	r->text = p;
	r->setup = *setup;
	r->setup.servers = r->servers;
	memset(r->servers, 0, sizeof(r->servers));
	if (setup->n_servers > 0)
		memcpy(r->servers, setup->servers, setup->n_servers * sizeof(r->servers[0]));
	if (setup->anchors.n)
		memcpy(p, setup->anchors.p, setup->anchors.n);
	r->setup.anchors = slice_of(p, setup->anchors.n);
	p += setup->anchors.n;
	if (setup->hosts.n)
		memcpy(p, setup->hosts.p, setup->hosts.n);
	r->setup.hosts = slice_of(p, setup->hosts.n);
	resolv_conf_parse(setup->resolv_conf, &r->system);
	r->setup.resolv_conf = (struct slice){ 0 };
	if (!setup->queries)
		r->setup.queries = QUERIES_DEFAULT;
	if (!setup->timeout_ms)
		r->setup.timeout_ms = TIMEOUT_DEFAULT;
	if (!setup->cache)
		r->setup.cache = CACHE_DEFAULT;
	return 0;
}

static bool same_servers(const struct resolve_server *a, size_t n, const struct resolve_server *b, size_t m)
{
	bool same = n == m;

	for (size_t i = 0; i < n && same; i++)
		same = ip_eq(&a[i].ip, &b[i].ip) && a[i].port == b[i].port;
	return same;
}

/* All that makes a world is the same: what is known stays known. */
static bool same_way(const struct resolve *a, const struct resolve *b)
{
	return same_servers(a->servers, a->setup.n_servers, b->servers, b->setup.n_servers) &&
	       same_servers(a->system.server, a->system.n_servers, b->system.server, b->system.n_servers) &&
	       a->setup.recursion == b->setup.recursion && a->setup.validate == b->setup.validate &&
	       a->setup.cache == b->setup.cache && slice_eq(a->setup.anchors, b->setup.anchors);
}

/* Its part that copy_setup() fills. */
static void move_setup(struct resolve *to, const struct resolve *from)
{
	to->text = from->text;
	to->setup = from->setup;
	to->setup.servers = to->servers;
	memcpy(to->servers, from->servers, sizeof(to->servers));
	to->system = from->system;
}

int resolve_configure(struct resolve *r, const struct resolve_setup *setup)
{
	struct resolve *old;
	int err;

	if (setup->n_servers > RESOLVE_SERVERS_MAX)
		return -EINVAL;
	old = calloc(1, sizeof(*old));
	if (!old)
		return -ENOMEM;
	move_setup(old, r);
	err = copy_setup(r, setup);
	if (err == 0 && !same_way(old, r))
		err = way_restart(r);
	if (err < 0) {
		if (r->text != old->text)
			free(r->text);
		move_setup(r, old);
	} else {
		free(old->text);
	}
	free(old);
	resolve_wake(r);
	return err;
}

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

int resolve_new(uv_loop_t *loop, const struct resolve_setup *setup, struct resolve **ret)
{
	struct resolve *r;
	int err;

	if (setup->n_servers > RESOLVE_SERVERS_MAX)
		return -EINVAL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->loop = loop;
	list_init(&r->waiting);
	list_init(&r->finished);
	uv_timer_init(loop, &r->timer);
	r->timer.data = r;
	err = copy_setup(r, setup);
	if (err == 0)
		err = way_start(r);
	if (err < 0) {
		resolve_free(r);
		return err;
	}
	sleep_on(r);
	*ret = r;
	return 0;
}

void resolve_free(struct resolve *r)
{
	if (!r)
		return;
	while (!list_empty(&r->waiting))
		query_free(container_of(r->waiting.next, struct resolve_query, link));
	while (!list_empty(&r->finished))
		query_free(container_of(r->finished.next, struct resolve_query, link));
	way_stop(r);
	free(r->text);
	uv_close((uv_handle_t *)&r->timer, on_closed);
}

void resolve_status(const struct resolve *r, struct resolve_status *ret)
{
	*ret = r->counts;
	ret->way = r->way.now;
	ret->validates = r->way.validates;
	ret->on_the_way = r->n;
}

void resolve_on_change(struct resolve *r, void (*changed)(void *arg), void *arg)
{
	r->changed = changed;
	r->changed_arg = arg;
	resolve_wake(r);
}
