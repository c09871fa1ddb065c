/* carry_world.h - for tests only: a message, and servers that it is carried to (send/server_world.h).
 *
 * Everything is static: each test program has its own.
 */
#ifndef POSTERN_SUBMIT_CARRY_WORLD_H
#define POSTERN_SUBMIT_CARRY_WORLD_H

#include "base/test_torture.h"

#define WORLD_TURN(run) (torture_in(), (run), torture_out())
#define WORLD_REST_US	20
#define WORLD_MAY_BREAK true
#include "send/server_world.h"

#include <openssl/pem.h>
#include <signal.h>
#include <sys/mman.h>

#include "submit/carry.h"

#define HUNG_TURNS 400000
#define SECRET	   "secret"

static struct draft draft;
static struct provider provider;
static char pin[65];
static struct carry *carry;
static unsigned dones, stales;
static const struct carry_result *result;
static const char *next_token; /* what stale gets; NULL: the same; "": it does not come */
static unsigned time_s;
static void (*after_done)(void);

/* ---- a message ---- */

static void fill_draft(unsigned recipients)
{
	struct mime_problem problem;
	char to[64];

	assert_int_equal(draft_init(&draft), 0);
	assert_int_equal(submit_envelope_sender(&draft.envelope, SLICE_LIT("a@us.test"), SLICE_LIT(""),
						&problem),
			 MIME_FINE);
	for (unsigned i = 0; i < recipients; i++) {
		snprintf(to, sizeof(to), "b%u@there.test", i);
		assert_int_equal(submit_envelope_add(&draft.envelope, slice_str(to), SLICE_LIT(""),
						     SLICE_LIT("To"), &problem),
				 MIME_FINE);
	}
	draft.fd = memfd_create("message", MFD_CLOEXEC);
	assert_int_equal(write(draft.fd, "Subject: x\r\n\r\nx\r\n", 17), 17);
	draft.octets = 17;
}

static void find_pin(void)
{
	BIO *bio = BIO_new_mem_buf(server_pem.p + server_pem.from, (int)server_pem.n);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	unsigned char digest[32];
	unsigned n = 0;

	assert_non_null(x);
	assert_int_equal(X509_digest(x, EVP_sha256(), digest, &n), 1);
	for (size_t i = 0; i < 32; i++)
		snprintf(pin + 2 * i, 3, "%02x", digest[i]);
	X509_free(x);
	BIO_free(bio);
}

static int set_up(void **state)
{
	(void)state;
	servers_up();
	find_pin();
	provider = (struct provider){ .user = "u" };
	assert_true(slice_copy(slice_str(address(1)), provider.host, sizeof(provider.host)));
	next_token = NULL;
	after_done = NULL;
	time_s = 20;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	carry_free(carry); /* of a test that failed */
	carry = NULL;
	draft_done(&draft);
	return servers_down();
}

/* ---- submitting it ---- */

static void on_done(void *arg, const struct carry_result *r)
{
	assert_ptr_equal(arg, &dones);
	dones++;
	result = r;
	if (after_done)
		after_done();
}

static void on_stale(void *arg)
{
	assert_ptr_equal(arg, &dones);
	stales++;
	if (next_token && !*next_token)
		return;
	carry_secret(carry, slice_str(next_token ? next_token : SECRET), next_token != NULL);
}

static struct carry_setup setup_of(void)
{
	struct carry_setup s = { .loop = &loop,
				 .tls = trust,
				 .provider = &provider,
				 .pin = { pin },
				 .pins = 1,
				 .password = SLICE_LIT(SECRET),
				 .stale = on_stale,
				 .helo = "us.test",
				 .draft = &draft,
				 .connect_s = time_s,
				 .command_s = time_s,
				 .final_s = time_s };

	return s;
}

/* All of what is told must hold together. */
static void check_result(const char *what)
{
	bool all = true;

	for (size_t i = 0; i < result->n; i++) {
		const struct carry_rcpt *t = &result->rcpt[i];

		all &= t->tried;
		if (t->tried && t->result == IPC_JOB_DELIVERED && t->code != 250)
			fail_msg("%s: delivered with %u", what, t->code);
	}
	if (!all && result->end == IPC_LANE_IN_ORDER)
		fail_msg("%s: somebody was not tried, and nothing says why", what);
	if (result->end != IPC_LANE_IN_ORDER && !result->text[0])
		fail_msg("%s: it ended with %u, without a word", what, result->end);
	for (size_t i = 0; i < result->n_tries; i++)
		if (result->tries[i].transcript && (strstr(result->tries[i].transcript, SECRET) ||
						    strstr(result->tries[i].transcript, "c2VjcmV0")))
			fail_msg("%s: the password is in the transcript:\n%s", what,
				 result->tries[i].transcript);
}

/* 0, and result is there; or what carry_begin() said. */
static int submit(const char *what, const struct carry_setup *s)
{
	int r;

	dones = stales = 0;
	result = NULL;
	torture_in();
	r = carry_begin(s, on_done, &dones, &carry);
	torture_out();
	if (r < 0)
		return r;
	for (unsigned i = 0; dones == 0; i++) {
		if (i > HUNG_TURNS)
			fail_msg("%s: nothing comes any more", what);
		turn();
	}
	assert_int_equal(dones, 1);
	check_result(what);
	return 0;
}

static void end(void)
{
	carry_free(carry);
	carry = NULL;
	for (unsigned i = 0; i < 5; i++)
		turn();
	assert_true(dones <= 1);
}

/* ---- what servers do ---- */

#define FROM   "C MAIL FROM:<a@us.test>", "S 250 ok"
#define TO(n)  "C RCPT TO:<b" n "@there.test>", "S 250 ok"
#define BODY   "C DATA", "S 354 go", "B", "S 250 2.0.0 taken"
#define IN_587 HELLO, STARTTLS, LOGIN

#endif
