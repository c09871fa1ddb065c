/* Without memory a handshake fails; the next one, with memory, works.  Each round is a process of its own:
 * what OpenSSL had no memory for at its first use stays away for the rest of a process. */
#include "net/tls_private.h"

#include <errno.h>
#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/test_torture.h"

/* What became of a round, as the process's exit status. */
enum { FINE = 20, NOT_PREPARED, BROKEN, OVER };

static struct buf pem;

/* As a process has it that is about to serve. */
static struct {
	struct tls_server *server;
	SSL_CTX *client;
} ready;

static bool get_ready(void)
{
	struct slice text = buf_slice(&pem);
	char why[200];

	ready.client = SSL_CTX_new(TLS_client_method());
	return ready.client && tls_server_new(&ready.server) == 0 &&
	       tls_server_load(ready.server, &text, 1, why, sizeof(why)) == 0;
}

/* A whole one, by version; both sides in this process. */
static bool shakes_hands(int version)
{
	SSL *client = SSL_new(ready.client);
	struct tls_session *s = NULL;
	BIO *ours = NULL, *theirs = NULL;
	bool done = false;

	if (client && SSL_set_max_proto_version(client, version) == 1 &&
	    tls_session_new(ready.server, TLS_MIN_1_2, &s) == 0 &&
	    BIO_new_bio_pair(&ours, 0, &theirs, 0) == 1) {
		SSL_set_bio(s->ssl, ours, ours);
		SSL_set_bio(client, theirs, theirs);
		SSL_set_connect_state(client);
		for (int i = 0; i < 10 && !done; i++) {
			int a = SSL_do_handshake(client), b = SSL_do_handshake(s->ssl);

			done = a == 1 && b == 1;
		}
	}
	SSL_free(client);
	tls_session_free(s);
	ERR_clear_error();
	return done;
}

static bool both_versions(void)
{
	bool newer = shakes_hands(TLS1_3_VERSION);

	return shakes_hands(TLS1_2_VERSION) && newer;
}

static int unprepared(void)
{
	int r;

	torture_in();
	r = tls_process_begin();
	torture_out();
	if (!torture_hit())
		return OVER;
	torture_enough();
	if (r < 0)
		return r == -ENOMEM ? NOT_PREPARED : BROKEN;
	return get_ready() && both_versions() ? FINE : BROKEN;
}

static int in_a_handshake(void)
{
	if (tls_process_begin() < 0 || !get_ready())
		return BROKEN;
	torture_in();
	(void)both_versions();
	torture_out();
	if (!torture_hit())
		return OVER;
	torture_enough();
	return both_versions() ? FINE : BROKEN;
}

static int in_a_process(int (*round)(void), unsigned nth, bool rest)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		torture_nth = nth;
		torture_rest = rest;
		atomic_store(&torture_asked, 0);
		atomic_store(&torture_refused, 0);
		_exit(round());
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void rounds(int (*round)(void), unsigned count[OVER + 1])
{
	unsigned stride = getenv("POSTERN_FULL") ? 32 : 4;

	for (int rest = 0; rest < 2; rest++)
		for (unsigned nth = 1;; nth += 1 + nth / stride) {
			int became = in_a_process(round, nth, rest);

			if (became == BROKEN)
				fail_msg("with request %u%s refused TLS is broken", nth,
					 rest ? " and all after it" : "");
			assert_in_range(became, FINE, OVER);
			count[became]++;
			if (became == OVER)
				break;
		}
}

/* It says 0 only if all that is needed is there. */
static void test_prepare(void **state)
{
	unsigned count[OVER + 1] = { 0 };

	(void)state;
	if (!torture_works())
		skip();
	rounds(unprepared, count);
	assert_true(count[NOT_PREPARED] > 0);
}

static void test_handshake(void **state)
{
	unsigned count[OVER + 1] = { 0 };

	(void)state;
	if (!torture_works())
		skip();
	rounds(in_a_handshake, count);
	assert_true(count[FINE] > 0);
}

/* In a process that has never asked OpenSSL for anything. */
static void make_certificate(void)
{
	const char *names[] = { "mx.example.org" };
	int at[2];
	ssize_t n;

	buf_init(&pem, 65536);
	assert_int_equal(pipe(at), 0);
	if (fork() == 0)
		_exit(tls_self_signed(names, 1, &pem) < 0 ||
		      write(at[1], buf_slice(&pem).p, buf_slice(&pem).n) != (ssize_t)buf_slice(&pem).n);
	close(at[1]);
	for (unsigned char part[512]; (n = read(at[0], part, sizeof(part))) > 0;)
		buf_put(&pem, slice_of(part, (size_t)n));
	close(at[0]);
	while (wait(NULL) > 0)
		;
}

static int make(void **state)
{
	(void)state;
	make_certificate();
	return 0;
}

static int done(void **state)
{
	(void)state;
	buf_done(&pem);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prepare),
		cmocka_unit_test(test_handshake),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make, done);
}
