#include "send/sts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"

#define LEDGER_MS     2000
#define FETCH_MS      75000 /* fetch gives up after 60 s; this is if it hangs */
#define CACHE_ENTRIES 50000
#define CACHE_OCTETS  (16U << 20)
#define ADDRESSES_MAX 16
#define STEPS_MAX     6 /* of one domain: whatever the cache lacks memory for, it ends */

/* A domain that is looked into. */
struct job {
	struct map_node node;
	struct list link, waiting; /* struct sts_ask */
	struct sts *sts;
	uint64_t number; /* of the question to ledger or fetch that is open; 0: none */
	enum ipc_type expects;
	struct dns_name domain;
	struct resolve_query *query[2]; /* the record; then both kinds of addresses */
	uv_timer_t timer;
	enum sts_record record;
	char id[STS_ID_MAX + 1];
	unsigned char addresses[ADDRESSES_MAX * 17];
	size_t n_addresses; /* octets of them */
	unsigned asked;	    /* of the two, how many have not been answered */
	unsigned steps;
	struct buf body;
	enum tls_result result;
	char words[IPC_TEXT_MAX];
};

struct sts_ask {
	struct list link;
	struct sts *sts;
	sts_done *done;
	void *arg;
};

struct sts {
	uv_loop_t *loop;
	struct resolve *resolve;
	uint16_t port;
	struct channel *ledger, *fetch;
	struct sts_cache *cache;
	struct map domains; /* of jobs */
	struct list jobs;
	uint64_t last;
	unsigned n_jobs, n_waiting;
	struct {
		uint64_t asked, fetched, failed, invalid, recalled, refused;
	} count;
};

static void job_run(struct job *j);

static int64_t now(void)
{
	return (int64_t)time(NULL);
}

/* ---- the end of one ---- */

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

static void job_free(struct job *j)
{
	struct sts *s = j->sts;

	resolve_cancel(j->query[0]);
	resolve_cancel(j->query[1]);
	map_remove(&s->domains, &j->node);
	list_remove(&j->link);
	s->n_jobs--;
	buf_done(&j->body);
	uv_close((uv_handle_t *)&j->timer, on_timer_closed);
}

static void tell_all(struct job *j, const struct sts_policy *policy)
{
	struct sts_answer a = { .policy = policy && policy->mode != STS_MODE_NONE ? policy : NULL,
				.result = j->result,
				.words = j->words };

	/* One after the other from the front: done() may cancel another. */
	while (!list_empty(&j->waiting)) {
		struct sts_ask *ask = container_of(j->waiting.next, struct sts_ask, link);
		sts_done *done = ask->done;
		void *arg = ask->arg;

		sts_cancel(ask);
		done(arg, &a);
	}
}

/* ---- fetching ---- */

static void question(struct job *j, enum ipc_type answer, unsigned ms, uv_timer_cb too_late)
{
	j->number = ++j->sts->last;
	j->expects = answer;
	uv_timer_start(&j->timer, too_late, ms, 0);
}

static void fetch_failed(struct job *j, enum tls_result result, const char *words)
{
	struct sts *s = j->sts;

	j->number = 0;
	uv_timer_stop(&j->timer);
	j->result = result;
	snprintf(j->words, sizeof(j->words), "the MTA-STS policy of %s cannot be had: %s", j->domain.text,
		 words);
	*(result == TLS_RESULT_STS_POLICY_INVALID ? &s->count.invalid : &s->count.failed) += 1;
	LOG(LOG_NOTICE, "sts-policy-unavailable", LOG_STR("domain", j->domain.text),
	    LOG_STR("result", tls_result_name(result)), LOG_STR("why", words));
	sts_cache_failed(s->cache, dns_name_slice(&j->domain), j->id, now());
	job_run(j);
}

static void on_fetch_too_late(uv_timer_t *t)
{
	fetch_failed(t->data, TLS_RESULT_STS_POLICY_FETCH_ERROR, "role fetch does not answer");
}

static void ask_fetch(struct job *j)
{
	struct sts *s = j->sts;
	struct dns_name host;
	struct ipc_message m = { .type = IPC_TYPE_fetch };

	if (j->n_addresses == 0) {
		fetch_failed(j, TLS_RESULT_STS_POLICY_FETCH_ERROR, "its host has no address");
		return;
	}
	if (!s->fetch || !sts_host_name(&j->domain, &host)) {
		fetch_failed(j, TLS_RESULT_STS_POLICY_FETCH_ERROR, "role fetch is not there");
		return;
	}
	buf_reset(&j->body);
	question(j, IPC_TYPE_fetched, FETCH_MS, on_fetch_too_late);
	m.fetch.req = j->number;
	m.fetch.host = dns_name_slice(&host);
	m.fetch.port = s->port;
	m.fetch.addresses = slice_of(j->addresses, j->n_addresses);
	channel_send(s->fetch, &m, -1);
}

static void add_addresses(struct job *j, const struct dns_answer *a)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct ip *ip = &a->records[i].ip;
		size_t n = ip->family == 4 ? 4 : 16;

		if (j->n_addresses + n + 1 > sizeof(j->addresses))
			return;
		j->addresses[j->n_addresses++] = (unsigned char)n;
		memcpy(j->addresses + j->n_addresses, ip->byte, n);
		j->n_addresses += n;
	}
}

static void on_addresses(struct job *j, unsigned which, const struct dns_answer *a)
{
	j->query[which] = NULL;
	if (a->status == DNS_OK)
		add_addresses(j, a);
	if (--j->asked == 0)
		ask_fetch(j);
}

static void on_v4(void *arg, const struct dns_answer *a)
{
	on_addresses(arg, 0, a);
}

static void on_v6(void *arg, const struct dns_answer *a)
{
	on_addresses(arg, 1, a);
}

static void ask_addresses(struct job *j)
{
	struct dns_question q = { .type = DNS_A };
	struct resolve *r = j->sts->resolve;

	j->n_addresses = 0;
	j->asked = 0;
	if (sts_host_name(&j->domain, &q.name)) {
		j->asked += resolve_ask(r, &q, on_v4, j, &j->query[0]) == 0;
		q.type = DNS_AAAA;
		j->asked += resolve_ask(r, &q, on_v6, j, &j->query[1]) == 0;
	}
	if (j->asked == 0)
		ask_fetch(j); /* which will say that there is none */
}

static void on_fetched(struct job *j, const struct ipc_fetched *m)
{
	static const enum tls_result results[] = {
		[IPC_FETCH_FAILED] = TLS_RESULT_STS_POLICY_FETCH_ERROR,
		[IPC_FETCH_CERTIFICATE] = TLS_RESULT_STS_WEBPKI_INVALID,
		[IPC_FETCH_INVALID] = TLS_RESULT_STS_POLICY_INVALID,
	};
	static struct sts_policy policy; /* large */
	struct sts *s = j->sts;
	char why[IPC_TEXT_MAX + 1];
	const char *wrong;

	if (m->end != IPC_FETCH_OK) {
		snprintf(why, sizeof(why), "%.*s", SLICE_ARG(m->text));
		fetch_failed(j, results[m->end], why);
		return;
	}
	buf_put(&j->body, m->data);
	if (m->more && buf_ok(&j->body))
		return;
	wrong = buf_ok(&j->body) ? sts_policy_parse(buf_slice(&j->body), &policy) : "out of memory";
	if (wrong) {
		fetch_failed(j, TLS_RESULT_STS_POLICY_INVALID, wrong);
		return;
	}
	j->number = 0;
	uv_timer_stop(&j->timer);
	s->count.fetched++;
	j->result = TLS_RESULT_OK;
	j->words[0] = '\0';
	sts_cache_fetched(s->cache, dns_name_slice(&j->domain), j->id, &policy, now());
	LOG(LOG_INFO, "sts-policy", LOG_STR("domain", j->domain.text),
	    LOG_STR("mode", sts_mode_name(policy.mode)), LOG_U("max_age", policy.max_age));
	if (s->ledger) {
		struct ipc_message keep = { .type = IPC_TYPE_sts_keep };
		struct buf text;

		buf_init(&text, 8192);
		sts_policy_text(&policy, &text);
		keep.sts_keep.domain = dns_name_slice(&j->domain);
		keep.sts_keep.fetched = (uint64_t)now();
		keep.sts_keep.expires = (uint64_t)now() + policy.max_age;
		keep.sts_keep.id = slice_str(j->id);
		keep.sts_keep.policy = buf_slice(&text);
		if (buf_ok(&text))
			channel_send(s->ledger, &keep, -1);
		buf_done(&text);
	}
	job_run(j);
}

/* ---- the ledger ---- */

static void recalled(struct job *j, const struct sts_kept *kept)
{
	j->number = 0;
	uv_timer_stop(&j->timer);
	sts_cache_recall(j->sts->cache, dns_name_slice(&j->domain), kept, now());
	j->sts->count.recalled += kept != NULL;
	job_run(j);
}

static void on_ledger_too_late(uv_timer_t *t)
{
	recalled(t->data, NULL);
}

static void ask_ledger(struct job *j)
{
	struct sts *s = j->sts;
	struct ipc_message m = { .type = IPC_TYPE_sts_ask };

	if (!s->ledger) {
		recalled(j, NULL);
		return;
	}
	question(j, IPC_TYPE_sts_is, LEDGER_MS, on_ledger_too_late);
	m.sts_ask.req = j->number;
	m.sts_ask.domain = dns_name_slice(&j->domain);
	channel_send(s->ledger, &m, -1);
}

static void on_is(struct job *j, const struct ipc_sts_is *m)
{
	struct sts_kept kept = { .id = m->id, .policy = m->policy, .fetched = (int64_t)m->fetched };

	recalled(j, m->known ? &kept : NULL);
}

/* ---- one domain ---- */

/* Until something must be waited for, or it is done. */
static void job_run(struct job *j)
{
	static struct sts_policy policy; /* large; it is used up before anything else runs */
	enum sts_next next =
		sts_cache_next(j->sts->cache, dns_name_slice(&j->domain), j->record, j->id, now(), &policy);

	if (++j->steps > STEPS_MAX && next != STS_USE)
		next = STS_NONE;
	switch (next) {
	case STS_ASK:
		ask_ledger(j);
		return;
	case STS_USE_AND_FETCH: /* nobody waits for that */
		tell_all(j, &policy);
		ask_addresses(j);
		return;
	case STS_FETCH:
		ask_addresses(j);
		return;
	case STS_USE:
		tell_all(j, &policy);
		break;
	case STS_NONE:
		tell_all(j, NULL);
		break;
	}
	job_free(j);
}

static void on_record(void *arg, const struct dns_answer *a)
{
	struct job *j = arg;

	j->query[0] = NULL;
	j->record = sts_record(a, j->id);
	job_run(j);
}

static struct job *job_find(struct sts *s, const struct dns_name *domain)
{
	struct map_node *n = map_find(&s->domains, dns_name_slice(domain));

	return n ? container_of(n, struct job, node) : NULL;
}

static int job_new(struct sts *s, const struct dns_name *domain, struct job **ret)
{
	struct dns_question q = { .type = DNS_TXT };
	struct job *j;

	if (s->n_jobs >= STS_ASKS_MAX)
		return -ENOBUFS;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->sts = s;
	j->domain = *domain;
	j->record = STS_RECORD_UNKNOWN;
	list_init(&j->waiting);
	buf_init(&j->body, STS_POLICY_MAX);
	uv_timer_init(s->loop, &j->timer);
	j->timer.data = j;
	map_insert(&s->domains, &j->node, dns_name_slice(&j->domain));
	list_push_back(&s->jobs, &j->link);
	s->n_jobs++;
	if (!sts_record_name(domain, &q.name) ||
	    resolve_ask(s->resolve, &q, on_record, j, &j->query[0]) < 0) {
		job_free(j);
		return -ENOMEM;
	}
	*ret = j;
	return 0;
}

int sts_find(struct sts *s, const struct dns_name *domain, sts_done *done, void *arg, struct sts_ask **ret)
{
	struct job *j = job_find(s, domain);
	struct sts_ask *ask;
	int r;

	s->count.asked++;
	if (s->n_waiting >= STS_WAIT_MAX) {
		s->count.refused++;
		return -ENOBUFS;
	}
	ask = calloc(1, sizeof(*ask));
	if (!ask)
		return -ENOMEM;
	r = j ? 0 : job_new(s, domain, &j);
	if (r < 0) {
		s->count.refused += r == -ENOBUFS;
		free(ask);
		return r;
	}
	ask->sts = s;
	ask->done = done;
	ask->arg = arg;
	list_push_back(&j->waiting, &ask->link);
	s->n_waiting++;
	*ret = ask;
	return 0;
}

void sts_cancel(struct sts_ask *a)
{
	if (!a)
		return;
	list_remove(&a->link); /* the job goes on: somebody will ask again */
	a->sts->n_waiting--;
	free(a);
}

/* ---- other processes ---- */

void sts_peer(struct sts *s, enum ipc_role who, struct channel *ch)
{
	struct list *at, *after;
	enum ipc_type lost = who == IPC_LEDGER ? IPC_TYPE_sts_is : IPC_TYPE_fetched;

	if (who == IPC_LEDGER)
		s->ledger = ch;
	else if (who == IPC_FETCH)
		s->fetch = ch;
	else
		return;
	/* What the one before was asked nobody answers any more. */
	LIST_EACH (&s->jobs, at, after) {
		struct job *j = container_of(at, struct job, link);

		if (j->number != 0 && j->expects == lost)
			uv_timer_start(&j->timer, who == IPC_LEDGER ? on_ledger_too_late : on_fetch_too_late,
				       0, 0);
	}
}

bool sts_is_for(const struct ipc_message *m)
{
	return m->type == IPC_TYPE_sts_is || m->type == IPC_TYPE_fetched;
}

static struct job *job_numbered(struct sts *s, uint64_t number)
{
	struct list *at, *after;

	LIST_EACH (&s->jobs, at, after) {
		struct job *j = container_of(at, struct job, link);

		if (number != 0 && j->number == number)
			return j;
	}
	return NULL;
}

const char *sts_message(struct sts *s, enum ipc_role who, const struct ipc_message *m)
{
	bool is = m->type == IPC_TYPE_sts_is;
	uint64_t number = is ? m->sts_is.req : m->fetched.req;
	struct job *j = job_numbered(s, number);

	if (who != (is ? IPC_LEDGER : IPC_FETCH) || number == 0 || number > s->last)
		return "an answer to a question that nobody asked";
	if (!is && (m->fetched.end < IPC_FETCH_OK || m->fetched.end > IPC_FETCH_INVALID))
		return "an end of a kind that there is not";
	if (!j)
		return NULL; /* too late */
	if (j->expects != m->type)
		return "an answer to another question";
	if (is)
		on_is(j, &m->sts_is);
	else
		on_fetched(j, &m->fetched);
	return NULL;
}

/* ---- all of it ---- */

int sts_new(uv_loop_t *loop, struct resolve *resolve, uint16_t port, struct sts **ret)
{
	struct sts *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->resolve = resolve;
	s->port = port;
	list_init(&s->jobs);
	s->cache = sts_cache_new(CACHE_ENTRIES, CACHE_OCTETS);
	if (!s->cache || map_init(&s->domains) < 0) {
		sts_cache_free(s->cache);
		free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

void sts_free(struct sts *s)
{
	if (!s)
		return;
	while (!list_empty(&s->jobs)) {
		struct job *j = container_of(s->jobs.next, struct job, link);

		while (!list_empty(&j->waiting))
			sts_cancel(container_of(j->waiting.next, struct sts_ask, link));
		job_free(j);
	}
	map_done(&s->domains);
	sts_cache_free(s->cache);
	free(s);
}

void sts_status(const struct sts *s, json_t *to)
{
	struct sts_cache_counters n;
	json_t *j = json_object();

	sts_cache_count(s->cache, &n);
	json_object_set_new(j, "asked", json_integer((json_int_t)s->count.asked));
	json_object_set_new(j, "under_way", json_integer((json_int_t)s->n_jobs));
	json_object_set_new(j, "fetched", json_integer((json_int_t)s->count.fetched));
	json_object_set_new(j, "failed", json_integer((json_int_t)s->count.failed));
	json_object_set_new(j, "invalid", json_integer((json_int_t)s->count.invalid));
	json_object_set_new(j, "recalled", json_integer((json_int_t)s->count.recalled));
	json_object_set_new(j, "refused", json_integer((json_int_t)s->count.refused));
	json_object_set_new(j, "known_domains", json_integer((json_int_t)n.entries));
	json_object_set_new(to, "mta_sts", j);
}
