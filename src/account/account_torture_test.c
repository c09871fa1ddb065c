/* The accounts' answers while each request for memory is refused in turn, SQLite's, GNU
 * SASL's and jansson's among them: they are the right ones or "later", never a wrong one;
 * a change is made whole or not at all; and the next question is answered as ever. */
#include "base/test_torture.h"

#include <errno.h>
#include <gsasl.h>
#include <poll.h>
#include <sodium.h>

#include "account/auth.h"
#include "account/test_store.h"
#include "base/log.h"

#define ADA    "ada@example.org"
#define SECRET "correct horse"

/* libidn's own, which libgsasl has it prepare passwords with. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:stringprep_profile";
}

static struct account_hash *hash;
static struct account_auth *auth;
static uint64_t req;

static void open_auth(void)
{
	struct account_hash_setup setup = { .threads = 1,
					    .queue = 8,
					    .opslimit = crypto_pwhash_OPSLIMIT_MIN,
					    .memlimit = crypto_pwhash_MEMLIMIT_MIN };
	struct account_auth_setup auth_setup = { .store = test_store, .remember_s = 86400 };

	assert_int_equal(account_hash_new(&setup, &hash), 0);
	auth_setup.hash = hash;
	assert_int_equal(account_auth_new(&auth_setup, &auth), 0);
	account_auth_clock(auth, TEST_NOW, 1000);
}

static void add_ada(void)
{
	struct pollfd p = { .fd = account_hash_wake_fd(hash), .events = POLLIN };
	struct account_hash_done done;
	json_t *answer;

	assert_int_equal(account_hash_make(hash, 1, SLICE_LIT(SECRET)), 0);
	do
		assert_int_equal(poll(&p, 1, 60000), 1);
	while (!account_hash_next(hash, &done));
	answer = test_ask("{'ask': 'account.add', 'account': 'ada@example.org', 'addresses': "
			  "['info@example.org']}",
			  &done.made);
	assert_null(json_object_get(answer, "error"));
	json_decref(answer);
}

static int fill(void **state)
{
	test_open(state);
	open_auth();
	test_do("{'ask': 'domain.add', 'domain': 'example.org', 'scram': true}");
	test_do("{'ask': 'domain.add', 'domain': 'catch.test', 'catch_all': 'ada@example.org'}");
	add_ada();
	test_do("{'ask': 'account.add', 'account': 'bob@example.org'}");
	test_do("{'ask': 'account.add', 'account': 'gone@example.org', 'enabled': false}");
	test_do("{'ask': 'alias.add', 'alias': 'team@example.org', 'targets': ['ada@example.org', "
		"'bob@example.org', 'x@else.test']}");
	return 0;
}

static int empty(void **state)
{
	account_auth_free(auth);
	account_hash_free(hash);
	return test_close(state);
}

/* ---- recipients and senders ---- */

static const struct {
	const char *address;
	enum account_verdict verdict;
	size_t targets;
} recipients[] = {
	{ "ada@example.org", ACCOUNT_OK, 1 },
	{ "Info+x@example.org", ACCOUNT_OK, 1 },
	{ "team@example.org", ACCOUNT_OK, 3 },
	{ "any@catch.test", ACCOUNT_OK, 1 },
	{ "postmaster@example.org", ACCOUNT_OK, 1 },
	{ "no@example.org", ACCOUNT_NO_SUCH_USER, 0 },
	{ "gone@example.org", ACCOUNT_DISABLED, 0 },
	{ "x@else.test", ACCOUNT_NOT_LOCAL, 0 },
	{ "x@b\xc3\xbc"
	  "cher.test",
	  ACCOUNT_NOT_LOCAL, 0 },
};

static void test_recipients(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	for (size_t i = 0; i < sizeof(recipients) / sizeof(recipients[0]); i++)
		for (struct torture t = torture(7); torture_goes_on(&t);) {
			struct account_targets targets;
			enum account_verdict v;

			/* refused, then in peace */
			for (int again = 0; again < 2; again++) {
				torture_in();
				v = account_resolve(test_store, slice_str(recipients[i].address), &targets);
				torture_out();
				if (v == ACCOUNT_TRY_LATER && torture_hit() && !again)
					assert_true(targets.n == 0);
				else if (v != recipients[i].verdict || targets.n != recipients[i].targets)
					fail_msg("%s, TORTURE_AT=%u%s: %s, %zu targets",
						 recipients[i].address, t.nth, t.rest ? "+" : "",
						 account_verdict_name(v), targets.n);
				account_targets_done(&targets);
				torture_enough();
			}
		}
}

static const struct {
	const char *address;
	enum account_verdict verdict;
} senders[] = {
	{ "ada@example.org", ACCOUNT_OK },
	{ "INFO@example.org", ACCOUNT_OK },
	{ "bob@example.org", ACCOUNT_NOT_YOURS },
	{ "x@else.test", ACCOUNT_NOT_YOURS },
};

static void test_senders(void **state)
{
	struct account_credential ada;

	(void)state;
	if (!torture_works())
		skip();
	assert_int_equal(account_credential(test_store, SLICE_LIT(ADA), &ada), 0);
	for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); i++)
		for (struct torture t = torture(7); torture_goes_on(&t);)
			for (int again = 0; again < 2; again++) {
				enum account_verdict v;

				torture_in();
				v = account_may_send(test_store, ada.id, 0, slice_str(senders[i].address));
				torture_out();
				if (v != senders[i].verdict &&
				    (v != ACCOUNT_TRY_LATER || !torture_hit() || again))
					fail_msg("%s, TORTURE_AT=%u%s: %s", senders[i].address, t.nth,
						 t.rest ? "+" : "", account_verdict_name(v));
				torture_enough();
			}
}

/* ---- logins ---- */

static struct account_auth_event next_event(void)
{
	struct pollfd p = { .fd = account_hash_wake_fd(hash), .events = POLLIN };
	struct account_hash_done done;
	struct account_auth_event e;

	while (!account_auth_next(auth, &e)) {
		if (poll(&p, 1, 60000) != 1)
			fail_msg("no answer");
		while (account_hash_next(hash, &done))
			account_auth_hashed(auth, &done);
	}
	if (e.req != req)
		fail_msg("an answer to another question");
	return e;
}

static int start(const char *mech, struct slice initial)
{
	struct account_auth_start s = { .mech = slice_str(mech),
					.has_initial = initial.n > 0,
					.initial = initial,
					.listener = SLICE_LIT("submission") };

	assert_true(ip_parse(SLICE_LIT("192.0.2.7"), &s.ip));
	return account_auth_start(auth, 3, ++req, &s);
}

static int plain(const char *password)
{
	char text[100];
	int n = snprintf(text, sizeof(text), "%c%s%c%s", 0, ADA, 0, password), code;

	torture_in();
	code = start("PLAIN", slice_of(text, (size_t)n)) < 0 ? 454 : next_event().code;
	torture_out();
	return code;
}

static int login(const char *password)
{
	int code = 454;

	torture_in();
	if (start("LOGIN", (struct slice){ NULL, 0 }) == 0 && next_event().challenge) {
		if (account_auth_step(auth, 3, req, SLICE_LIT(ADA)) == 0 && next_event().challenge &&
		    account_auth_step(auth, 3, req, slice_str(password)) == 0)
			code = next_event().code;
	}
	torture_out();
	return code;
}

/* In SCRAM the client's part must not fail. */
static int scram(const char *password)
{
	struct slice in = { NULL, 0 };
	struct account_auth_event e = { 0 };
	Gsasl_session *session;
	Gsasl *ctx;
	bool first = true;
	int r;

	assert_int_equal(gsasl_init(&ctx), GSASL_OK);
	assert_int_equal(gsasl_client_start(ctx, "SCRAM-SHA-256", &session), GSASL_OK);
	gsasl_property_set(session, GSASL_AUTHID, ADA);
	gsasl_property_set(session, GSASL_PASSWORD, password);
	do {
		char *out = NULL;
		size_t n = 0;

		r = gsasl_step(session, (const char *)in.p, in.n, &out, &n);
		if (r != GSASL_OK && r != GSASL_NEEDS_MORE)
			fail_msg("the client: %s", gsasl_strerror(r));
		torture_in();
		r = first ? start("SCRAM-SHA-256", slice_of(out, n))
			  : account_auth_step(auth, 3, req, slice_of(out, n));
		if (r == 0)
			e = next_event();
		torture_out();
		gsasl_free(out);
		first = false;
		in = e.data;
	} while (r == 0 && e.challenge);
	gsasl_finish(session);
	gsasl_done(ctx);
	return r == 0 ? e.code : 454;
}

static void logins(const char *what, int try(const char *), const char *password, int right, bool fresh)
{
	bool slow = try == scram; /* the client's hash takes a tenth of a second */
	struct torture t = torture(slow ? 19 : 7);
	struct account_auth_counters count;

	if (slow)
		t.each = 1;
	while (torture_goes_on(&t)) {
		for (int again = 0; again < (slow && t.rounds % 8 ? 1 : 2); again++) {
			int code;

			account_auth_set_cache(auth, fresh ? 0 : 300);
			code = try(password);
			if (code != right && (code != 454 || !torture_hit() || again))
				fail_msg("%s, TORTURE_AT=%u%s: %d", what, t.nth, t.rest ? "+" : "", code);
			torture_enough();
		}
		account_auth_count(auth, &count);
		assert_int_equal(count.open, 0);
	}
}

static void test_logins(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	logins("right", plain, SECRET, 235, true);
	logins("remembered", plain, SECRET, 235, false);
	logins("wrong", plain, "wrong", 535, true);
	logins("LOGIN", login, SECRET, 235, true);
	logins("SCRAM", scram, SECRET, 235, true);
	if (getenv("POSTERN_FULL"))
		logins("SCRAM, wrong", scram, "wrong", 535, true);
}

/* ---- what an administrator asks ---- */

static const struct {
	const char *ask, *undo;
} questions[] = {
	{ "{'ask': 'domain.add', 'domain': 'new.test', 'catch_all': 'ada@example.org'}",
	  "{'ask': 'domain.remove', 'domain': 'new.test'}" },
	{ "{'ask': 'account.add', 'account': 'new@example.org', 'addresses': ['n@example.org', "
	  "'w@example.org']}",
	  "{'ask': 'account.remove', 'account': 'new@example.org'}" },
	{ "{'ask': 'alias.add', 'alias': 'new@example.org', 'targets': ['ada@example.org', 'y@else.test']}",
	  "{'ask': 'alias.remove', 'alias': 'new@example.org'}" },
	{ "{'ask': 'key.add', 'account': 'bob@example.org', 'name': 'k', 'networks': ['10.0.0.0/8']}",
	  "{'ask': 'key.remove', 'account': 'bob@example.org', 'name': 'k'}" },
	{ "{'ask': 'account.set', 'account': 'bob@example.org', 'add': ['b@example.org']}",
	  "{'ask': 'account.set', 'account': 'bob@example.org', 'remove': ['b@example.org']}" },
	{ "{'ask': 'account.list'}", NULL },
	{ "{'ask': 'alias.show', 'alias': 'team@example.org'}", NULL },
	{ "{'ask': 'domain.list'}", NULL },
};

/* NULL: out of memory. */
static json_t *ask(const char *question)
{
	char text[512];
	json_t *q, *answer;

	snprintf(text, sizeof(text), "%s", question);
	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	q = json_loads(text, 0, NULL);
	assert_non_null(q);
	torture_in();
	answer = account_request(test_store, q, NULL, TEST_NOW);
	torture_out();
	json_decref(q);
	return answer;
}

static void test_questions(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		json_t *right = ask(questions[i].ask);
		size_t members = json_object_size(right);

		if (json_object_get(right, "error"))
			fail_msg("%s: %s", questions[i].ask,
				 json_string_value(json_object_get(right, "error")));
		if (questions[i].undo)
			test_do(questions[i].undo);
		for (struct torture t = torture(11); torture_goes_on(&t);) {
			json_t *answer = ask(questions[i].ask);
			bool hit = torture_hit();
			const char *error =
				answer ? json_string_value(json_object_get(answer, "error")) : NULL;

			torture_enough();
			if (!hit && (!answer || error))
				fail_msg("%s: %s", questions[i].ask, error);
			/* What is told to be done is done, in full; what is not, is not. */
			if (answer && !error) {
				if (questions[i].undo ? false : !json_equal(answer, right))
					fail_msg("%s, TORTURE_AT=%u%s: half an answer", questions[i].ask,
						 t.nth, t.rest ? "+" : "");
				if (json_object_size(answer) != members)
					fail_msg("%s, TORTURE_AT=%u%s: an answer without all its members",
						 questions[i].ask, t.nth, t.rest ? "+" : "");
				if (questions[i].undo)
					test_do(questions[i].undo);
			} else if (questions[i].undo) {
				json_decref(answer);
				answer = ask(questions[i].ask); /* if it were done, this would say so */
				error = json_string_value(json_object_get(answer, "error"));
				if (error)
					fail_msg("%s, TORTURE_AT=%u%s: then %s", questions[i].ask, t.nth,
						 t.rest ? "+" : "", error);
				test_do(questions[i].undo);
			}
			json_decref(answer);
		}
		json_decref(right);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_recipients, fill, empty),
		cmocka_unit_test_setup_teardown(test_senders, fill, empty),
		cmocka_unit_test_setup_teardown(test_logins, fill, empty),
		cmocka_unit_test_setup_teardown(test_questions, fill, empty),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	log_level(getenv("TEST_LOG") ? LOG_DEBUG : LOG_CRIT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
