/* Logins by SCRAM, with GNU SASL as the client. */
#include <gsasl.h>

#include "account/auth_world.h"

static const unsigned char binding[32] = { 1, 2, 3 };

/* The code that a client with this name and password ends with; *ret_salt: what it was shown. */
static int scram(const char *mech, const char *name, const char *password, bool client_binding,
		 bool server_binding, char ret_salt[static 64])
{
	struct slice exporter = server_binding ? slice_of(binding, sizeof(binding)) : slice_of(NULL, 0);
	char text[64], *out = NULL;
	struct account_auth_event e;
	Gsasl_session *client;
	Gsasl *ctx;
	size_t n;
	int r;

	assert_int_equal(gsasl_init(&ctx), GSASL_OK);
	assert_int_equal(gsasl_client_start(ctx, mech, &client), GSASL_OK);
	gsasl_property_set(client, GSASL_AUTHID, name);
	gsasl_property_set(client, GSASL_PASSWORD, password);
	if (client_binding) {
		sodium_bin2base64(text, sizeof(text), binding, sizeof(binding),
				  sodium_base64_VARIANT_ORIGINAL);
		gsasl_property_set(client, GSASL_CB_TLS_EXPORTER, text);
	}
	r = gsasl_step(client, NULL, 0, &out, &n);
	assert_true(r == GSASL_OK || r == GSASL_NEEDS_MORE);
	start(mech, out, n, exporter);
	gsasl_free(out);
	for (e = next_event(); e.challenge; e = next_event()) {
		const char *salt = (const char *)memmem(e.data.p, e.data.n, ",s=", 3);

		if (salt)
			snprintf(ret_salt, 64, "%.24s", salt + 3);
		out = NULL;
		n = 0;
		r = gsasl_step(client, (const char *)e.data.p, e.data.n, &out, &n);
		if (r != GSASL_OK && r != GSASL_NEEDS_MORE)
			fail_msg("client: %s", gsasl_strerror(r));
		assert_int_equal(account_auth_step(auth, 3, req, slice_of(out, n)), 0);
		gsasl_free(out);
	}
	gsasl_finish(client);
	gsasl_done(ctx);
	return e.code;
}

static void scram_logins(void **state)
{
	char salt[64], again[64], other[64];

	(void)state;
	assert_int_equal(scram("SCRAM-SHA-256", ADA, SECRET, false, false, salt), 235);
	assert_int_equal(scram("SCRAM-SHA-256", "ADA@EXAMPLE.ORG", SECRET, false, false, again), 235);
	assert_string_equal(salt, again);
	assert_int_equal(scram("SCRAM-SHA-256", ADA, "wrong password", false, false, again), 535);
	assert_int_equal(scram("SCRAM-SHA-256-PLUS", ADA, SECRET, true, true, again), 235);
	assert_int_equal(scram("SCRAM-SHA-256-PLUS", ADA, "wrong password", true, true, again), 535);

	/* Unknown, disabled, without SCRAM: a salt that is always the same, and a refusal. */
	assert_int_equal(scram("SCRAM-SHA-256", "nobody@example.org", SECRET, false, false, salt), 535);
	assert_int_equal(scram("SCRAM-SHA-256", "NOBODY@example.org", SECRET, false, false, again), 535);
	assert_int_equal(scram("SCRAM-SHA-256", "nobody2@example.org", SECRET, false, false, other), 535);
	assert_string_equal(salt, again);
	assert_string_not_equal(salt, other);
	assert_int_equal(slice_str(salt).n, 24);
	assert_int_equal(scram("SCRAM-SHA-256", "off@example.org", SECRET, false, false, again), 535);
	assert_int_equal(scram("SCRAM-SHA-256", "bob@plain.test", SECRET, false, false, again), 535);
	assert_int_equal(scram("SCRAM-SHA-256", "not an address", SECRET, false, false, again), 535);
}

/* Verifiers are there only where SCRAM is on, and come with the next password that is seen. */
static void scram_follows_the_domain(void **state)
{
	char salt[64];
	json_t *j;

	(void)state;
	/* That it is remembered must not keep the verifier from being made. */
	assert_int_equal(plain("", "bob@plain.test", SECRET).code, 235);
	test_do("{'ask': 'domain.set', 'domain': 'plain.test', 'scram': true}");
	j = test_ask("{'ask': 'domain.show', 'domain': 'plain.test'}", NULL);
	assert_int_equal(json_integer_value(json_object_get(j, "without_verifier")), 1);
	json_decref(j);
	assert_int_equal(scram("SCRAM-SHA-256", "bob@plain.test", SECRET, false, false, salt), 535);
	assert_int_equal(plain("", "bob@plain.test", SECRET).code, 235);
	assert_int_equal(scram("SCRAM-SHA-256", "bob@plain.test", SECRET, false, false, salt), 235);

	test_do("{'ask': 'domain.set', 'domain': 'plain.test', 'scram': false}");
	assert_int_equal(scram("SCRAM-SHA-256", "bob@plain.test", SECRET, false, false, salt), 535);
	test_do("{'ask': 'domain.set', 'domain': 'plain.test', 'scram': true}");
	assert_int_equal(scram("SCRAM-SHA-256", "bob@plain.test", SECRET, false, false, salt), 535);

	test_do("{'ask': 'domain.set', 'domain': 'plain.test', 'scram': false}");
	test_do("{'ask': 'domain.set', 'domain': 'example.org', 'scram': false}");
	start("SCRAM-SHA-256", "n,,n=x,r=y", 10, slice_of(NULL, 0));
	assert_int_equal(next_event().code, 504);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(scram_logins),
		TEST(scram_follows_the_domain),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
