/* The policy of a domain, asked of everybody in order: the DNS, the ledger and role fetch are
 * this test, which answers as the plays say. */
#include "send/sts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define POLICY "version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 86400\n"

/* ---- the DNS: instead of resolve/resolve.c ---- */

struct resolve_query {
	uv_timer_t timer;
	struct dns_question q;
	resolve_done done;
	void *arg;
	bool cancelled;
};

struct resolve {
	const char *txt; /* NULL: no such name; "?": no answer */
	bool no_address;
	unsigned asked;
};

static uv_loop_t loop;
static struct resolve dns;

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_answer(uv_timer_t *t)
{
	struct resolve_query *q = t->data;
	struct dns_record r = { 0 };
	struct dns_answer a;

	dns_answer_init(&a, &q->q, DNS_NXDOMAIN);
	if (q->q.type == DNS_TXT && dns.txt) {
		a.status = *dns.txt == '?' ? DNS_TIMEOUT : DNS_OK;
		r.txt = slice_str(dns.txt);
	} else if (q->q.type != DNS_TXT && !dns.no_address) {
		a.status = DNS_OK;
		r.ip = (struct ip){ .family = q->q.type == DNS_A ? 4 : 6, .byte = { 127, 0, 0, 1 } };
	}
	if (a.status == DNS_OK) {
		a.n = 1;
		a.records = &r;
	}
	uv_close((uv_handle_t *)t, on_closed);
	if (!q->cancelled)
		q->done(q->arg, &a);
}

int resolve_ask(struct resolve *r, const struct dns_question *question, resolve_done done, void *arg,
		struct resolve_query **ret)
{
	struct resolve_query *q = calloc(1, sizeof(*q));

	assert_ptr_equal(r, &dns);
	if (question->type == DNS_TXT)
		assert_string_equal(question->name.text, "_mta-sts.example.org");
	else
		assert_string_equal(question->name.text, "mta-sts.example.org");
	r->asked++;
	*q = (struct resolve_query){ .q = *question, .done = done, .arg = arg };
	uv_timer_init(&loop, &q->timer);
	q->timer.data = q;
	uv_timer_start(&q->timer, on_answer, 0, 0);
	*ret = q;
	return 0;
}

void resolve_cancel(struct resolve_query *q)
{
	if (q)
		q->cancelled = true;
}

/* ---- ledger and fetch ---- */

static struct {
	struct sts *sts;
	struct channel *here[2], *there[2]; /* ledger, fetch */
	/* How they answer. */
	const char *kept; /* a policy, id 1; NULL: it knows nothing */
	int64_t kept_ago;
	bool silent[2];
	enum ipc_fetch_end end;
	const char *body;
	bool in_two;
	/* What they were told. */
	unsigned asked, fetched, stored;
	char stored_text[500];
} other;

static void to_sts(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	bool ledger = arg == &other.here[0];
	const char *wrong;

	(void)ch;
	(void)fd;
	assert_true(sts_is_for(m));
	wrong = sts_message(other.sts, ledger ? IPC_LEDGER : IPC_FETCH, m);
	if (wrong)
		fail_msg("%s", wrong);
}

static void answer_ask(const struct ipc_sts_ask *m)
{
	struct ipc_message a = { .type = IPC_TYPE_sts_is, .sts_is = { .req = m->req } };

	other.asked++;
	assert_true(slice_eq(m->domain, SLICE_LIT("example.org")));
	if (other.kept) {
		a.sts_is.known = 1;
		a.sts_is.id = SLICE_LIT("1");
		a.sts_is.policy = slice_str(other.kept);
		a.sts_is.fetched = (uint64_t)(time(NULL) - other.kept_ago);
	}
	if (!other.silent[0])
		channel_send(other.there[0], &a, -1);
}

static void answer_fetch(const struct ipc_fetch *m)
{
	struct ipc_message a = { .type = IPC_TYPE_fetched,
				 .fetched = { .req = m->req, .end = other.end, .text = SLICE_LIT("so") } };

	other.fetched++;
	assert_true(slice_eq(m->host, SLICE_LIT("mta-sts.example.org")));
	assert_int_equal(m->port, 4430);
	assert_int_equal(m->addresses.n, 5 + 17);
	if (other.silent[1])
		return;
	if (other.end == IPC_FETCH_OK && other.in_two) {
		a.fetched.data = slice_head(slice_str(other.body), 10);
		a.fetched.more = 1;
		channel_send(other.there[1], &a, -1);
		a.fetched.more = 0;
		a.fetched.data = slice_tail(slice_str(other.body), 10);
	} else if (other.end == IPC_FETCH_OK) {
		a.fetched.data = slice_str(other.body);
	}
	channel_send(other.there[1], &a, -1);
}

static void from_sts(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	(void)arg;
	(void)ch;
	(void)fd;
	if (m->type == IPC_TYPE_sts_ask) {
		answer_ask(&m->sts_ask);
	} else if (m->type == IPC_TYPE_fetch) {
		answer_fetch(&m->fetch);
	} else {
		assert_int_equal(m->type, IPC_TYPE_sts_keep);
		other.stored++;
		assert_true(m->sts_keep.expires > m->sts_keep.fetched);
		assert_true(slice_copy(m->sts_keep.policy, other.stored_text, sizeof(other.stored_text)));
	}
}

static void on_end(void *arg, struct channel *ch, const char *why)
{
	(void)arg;
	(void)ch;
	fail_msg("%s", why);
}

static const struct channel_handlers here = { to_sts, on_end }, there = { from_sts, on_end };

/* ---- who asks ---- */

struct asker {
	struct sts_ask *ask;
	bool done, has_policy;
	enum sts_mode mode;
	enum tls_result result;
	char words[200];
};

static void on_done(void *arg, const struct sts_answer *a)
{
	struct asker *w = arg;

	assert_false(w->done);
	w->done = true;
	w->has_policy = a->policy != NULL;
	w->mode = a->policy ? a->policy->mode : STS_MODE_NONE;
	w->result = a->result;
	snprintf(w->words, sizeof(w->words), "%s", a->words);
}

static void on_tick(uv_timer_t *t)
{
	(void)t;
}

/* Until it has an answer, and what follows from that has been said. */
static void turn_until(const bool *done)
{
	uv_timer_t tick;

	uv_timer_init(&loop, &tick);
	uv_timer_start(&tick, on_tick, 5, 5);
	for (int i = 0; i < 1000 && !*done; i++)
		uv_run(&loop, UV_RUN_ONCE);
	for (int i = 0; i < 6; i++)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_true(*done);
}

static void ask(struct asker *w)
{
	struct dns_name domain;

	assert_true(dns_name_parse(SLICE_LIT("example.org"), &domain));
	memset(w, 0, sizeof(*w));
	assert_int_equal(sts_find(other.sts, &domain, on_done, w, &w->ask), 0);
	assert_false(w->done);
}

static void ask_and_wait(struct asker *w)
{
	ask(w);
	turn_until(&w->done);
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	memset(&other, 0, sizeof(other));
	dns = (struct resolve){ .txt = "v=STSv1; id=1;" };
	other.end = IPC_FETCH_OK;
	other.body = POLICY;
	assert_int_equal(sts_new(&loop, &dns, 4430, &other.sts), 0);
	for (int i = 0; i < 2; i++) {
		int fd[2];

		assert_int_equal(channel_pair(fd), 0);
		assert_int_equal(channel_new(&loop, fd[0], 1 << 20, &here, &other.here[i], &other.here[i]),
				 0);
		assert_int_equal(channel_new(&loop, fd[1], 1 << 20, &there, NULL, &other.there[i]), 0);
		sts_peer(other.sts, i ? IPC_FETCH : IPC_LEDGER, other.here[i]);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sts_free(other.sts);
	for (int i = 0; i < 2; i++) {
		channel_free(other.here[i]);
		channel_free(other.there[i]);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	return 0;
}

/* ---- plays ---- */

static void test_fetched_once(void **state)
{
	struct asker a, b;

	(void)state;
	other.in_two = true;
	ask(&a);
	ask_and_wait(&b); /* both wait for the same */
	assert_true(a.done && a.has_policy && b.has_policy);
	assert_int_equal(a.mode, STS_MODE_ENFORCE);
	assert_int_equal(a.result, TLS_RESULT_OK);
	assert_int_equal(dns.asked, 3);
	assert_int_equal(other.asked, 1);
	assert_int_equal(other.fetched, 1);
	assert_int_equal(other.stored, 1);
	assert_string_equal(other.stored_text,
			    "version:STSv1\nmode:enforce\nmax_age:86400\nmx:mx.example.org\n");
	ask_and_wait(&a);
	assert_true(a.has_policy);
	assert_int_equal(dns.asked, 4); /* the record, each time: its id may be another */
	assert_int_equal(other.asked, 1);
	assert_int_equal(other.fetched, 1);
	/* Another id: fetched anew. */
	dns.txt = "v=STSv1; id=2;";
	other.body = "version: STSv1\nmode: none\nmax_age: 86400\n";
	ask_and_wait(&a);
	assert_false(a.has_policy);
	assert_int_equal(other.fetched, 2);
	assert_int_equal(other.stored, 2);
}

static void test_none(void **state)
{
	struct asker a;

	(void)state;
	dns.txt = NULL;
	ask_and_wait(&a);
	assert_false(a.has_policy);
	assert_int_equal(a.result, TLS_RESULT_OK);
	assert_int_equal(other.asked, 1);
	ask_and_wait(&a);
	assert_int_equal(other.asked, 1);
	assert_int_equal(other.fetched, 0);
}

/* After a restart: somebody holds back the record, but the ledger remembers. */
static void test_recalled(void **state)
{
	static const char *const records[] = { NULL, "?", "v=STSv1; id=1;" };
	struct asker a;

	(void)state;
	other.kept = "version:STSv1\nmode:enforce\nmax_age:86400\nmx:mx.example.org\n";
	other.kept_ago = 1000;
	for (size_t i = 0; i < 3; i++) {
		dns.txt = records[i];
		ask_and_wait(&a);
		assert_true(a.has_policy);
		assert_int_equal(other.fetched, 0);
	}
	assert_int_equal(other.asked, 1);
}

static void test_recalled_too_old(void **state)
{
	struct asker a;

	(void)state;
	other.kept = "version:STSv1\nmode:enforce\nmax_age:100\nmx:mx.example.org\n";
	other.kept_ago = 1000;
	dns.txt = NULL;
	ask_and_wait(&a);
	assert_false(a.has_policy);
}

static void test_failures(void **state)
{
	static const struct {
		enum ipc_fetch_end end;
		const char *body;
		bool no_address;
		enum tls_result result;
		const char *words;
	} rows[] = {
		{ IPC_FETCH_FAILED, "", false, TLS_RESULT_STS_POLICY_FETCH_ERROR, "so" },
		{ IPC_FETCH_CERTIFICATE, "", false, TLS_RESULT_STS_WEBPKI_INVALID, "so" },
		{ IPC_FETCH_INVALID, "", false, TLS_RESULT_STS_POLICY_INVALID, "so" },
		{ IPC_FETCH_OK, "<html>", false, TLS_RESULT_STS_POLICY_INVALID, "a line of it has no colon" },
		{ IPC_FETCH_OK, "", false, TLS_RESULT_STS_POLICY_INVALID, "it has no version" },
		{ IPC_FETCH_OK, POLICY, true, TLS_RESULT_STS_POLICY_FETCH_ERROR, "its host has no address" },
	};
	struct asker a;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char txt[40], words[200];

		/* Each time another id, or it would not be tried again so soon. */
		snprintf(txt, sizeof(txt), "v=STSv1; id=%zu", i);
		dns.txt = txt;
		dns.no_address = rows[i].no_address;
		other.end = rows[i].end;
		other.body = rows[i].body;
		ask_and_wait(&a);
		assert_false(a.has_policy);
		assert_int_equal(a.result, rows[i].result);
		snprintf(words, sizeof(words), "the MTA-STS policy of example.org cannot be had: %s",
			 rows[i].words);
		assert_string_equal(a.words, words);
		ask_and_wait(&a); /* not at once again */
		assert_int_equal(a.result, TLS_RESULT_OK);
	}
	assert_int_equal(other.fetched, 5);
	assert_int_equal(other.stored, 0);
}

/* A policy that holds is not lost because a newer one cannot be had. */
static void test_old_one_holds(void **state)
{
	struct asker a;

	(void)state;
	ask_and_wait(&a);
	assert_true(a.has_policy);
	dns.txt = "v=STSv1; id=2;";
	other.end = IPC_FETCH_FAILED;
	ask_and_wait(&a);
	assert_true(a.has_policy);
	assert_int_equal(a.result, TLS_RESULT_STS_POLICY_FETCH_ERROR);
	assert_int_equal(other.fetched, 2);
}

static void test_others_away(void **state)
{
	struct asker a;

	(void)state;
	/* fetch goes while it is asked, and the ledger was never there. */
	sts_peer(other.sts, IPC_LEDGER, NULL);
	other.silent[1] = true;
	ask(&a);
	for (int i = 0; i < 1000 && other.fetched == 0; i++)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(other.fetched, 1);
	sts_peer(other.sts, IPC_FETCH, NULL);
	turn_until(&a.done);
	assert_false(a.has_policy);
	assert_int_equal(a.result, TLS_RESULT_STS_POLICY_FETCH_ERROR);
}

static void test_silent_ledger(void **state)
{
	struct asker a;

	(void)state;
	other.silent[0] = true;
	ask_and_wait(&a); /* two seconds */
	assert_true(a.has_policy);
}

static void test_cancelled(void **state)
{
	struct asker a, b;

	(void)state;
	ask(&a);
	ask(&b);
	sts_cancel(a.ask);
	turn_until(&b.done);
	assert_false(a.done);
	assert_true(b.has_policy);
	ask(&a); /* dropped with all of it */
}

static void test_rules(void **state)
{
	struct ipc_message m = { .type = IPC_TYPE_sts_is, .sts_is = { .req = 77 } };

	(void)state;
	assert_non_null(sts_message(other.sts, IPC_LEDGER, &m)); /* nobody asked */
	m.sts_is.req = 0;
	assert_non_null(sts_message(other.sts, IPC_LEDGER, &m));
	m = (struct ipc_message){ .type = IPC_TYPE_fetched, .fetched = { .req = 77, .end = 1 } };
	assert_non_null(sts_message(other.sts, IPC_FETCH, &m));
	assert_non_null(sts_message(other.sts, IPC_LEDGER, &m));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(test_fetched_once), TEST(test_none),
		TEST(test_recalled),	 TEST(test_recalled_too_old),
		TEST(test_failures),	 TEST(test_old_one_holds),
		TEST(test_others_away),	 TEST(test_silent_ledger),
		TEST(test_cancelled),	 TEST(test_rules),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
