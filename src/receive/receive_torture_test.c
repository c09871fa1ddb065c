/* Whole sessions in which each request for memory is refused in turn: the session that it
 * hits is answered 4xx or ends, no 250 is told for what queue did not store, and the
 * next session works in full. */
#include "base/test_torture.h"

#define WORLD_TURN(run) (torture_in(), (run), torture_out())
#define WORLD_REST_US	1 /* there are many sessions */
#include "receive/private.h"
#include "receive/receive_world.h"

#define HUNG_MS 25000 /* less than any time-out of the listeners that are used here */
#define LOGIN	"C: EHLO c\nS: 250 \nC: AUTH PLAIN\nS: 334\nC: AGFubgBwdw==\nS: 235\n"
#define MESSAGE "C: DATA\nS: 354\nC: Subject: x\nC: \nC: hello\nC: .\nS: 250 2.0.0 queued as\n"
#define TO_TEAM "C: MAIL FROM:<ann@our.test>\nS: 250\nC: RCPT TO:<team@our.test>\nS: 250\n"
#define QUIT	"C: QUIT\nS: 221\nE\n"
#define STORED	"queued as" /* the reply that promises */

/* What to play, and the steps between the refusals, so that all take a few seconds. */
static const struct {
	const char *what;
	unsigned listener, stride;
	const char *script;
} dialogs[] = {
	{ "relay", RELAY, 1, "S: 220\nC: EHLO c\nS: 250 \n" TO_TEAM MESSAGE QUIT },
	{ "two messages", RELAY, 1, "S: 220\nC: HELO c\nS: 250\n" TO_TEAM MESSAGE TO_TEAM MESSAGE QUIT },
	{ "local", LOCAL, 1, "S: 220\nC: EHLO c\nS: 250 \n" TO_TEAM MESSAGE QUIT },
	{ "STARTTLS", RELAY, 37,
	  "S: 220\nC: EHLO c\nS: 250 \nC: STARTTLS\nS: 220\nT\nC: EHLO c\nS: 250 \n" TO_TEAM MESSAGE QUIT },
	{ "submission", SUBMISSIONS, 41, "T\nS: 220\n" LOGIN TO_TEAM MESSAGE QUIT },
};

/* How the session went so far. */
enum way { GOES_ON, REFUSED, ENDED };

static enum way dare_send(struct client *c, const char *line)
{
	char out[600];
	int n = snprintf(out, sizeof(out), "%s\r\n", line);
	ssize_t r = c->ssl ? SSL_write(c->ssl, out, n) : send(c->fd, out, (size_t)n, MSG_NOSIGNAL);

	return r == n ? GOES_ON : ENDED;
}

/* The last line of one reply. */
static enum way dare_expect(struct client *c, const char *what, const char *begins)
{
	uint64_t until = now_ms() + HUNG_MS;
	char *line, *end;
	size_t n;

	for (;; turn()) {
		client_read(c);
		line = c->in;
		while ((end = memchr(line, '\n', c->n - (size_t)(line - c->in))) && end - line > 3 &&
		       line[3] == '-')
			line = end + 1;
		if (end)
			break;
		if (c->eof)
			return ENDED;
		if (now_ms() > until)
			fail_msg("%s: hangs before '%s'", what, begins);
	}
	n = (size_t)(end - line);
	if (n >= strlen(STORED) && memmem(line, n, STORED, strlen(STORED)) && w.commits == 0)
		fail_msg("%s: '%.*s' without a message", what, (int)n, line);
	if (line[0] != '4' && strncmp(line, begins, strlen(begins)) != 0)
		fail_msg("%s: '%.*s' where '%s' was right", what, (int)n, line, begins);
	n = line[0] == '4' ? REFUSED : GOES_ON;
	c->n -= (size_t)(end + 1 - c->in);
	memmove(c->in, end + 1, c->n);
	return (enum way)n;
}

static enum way dare_tls(struct client *c, const char *what)
{
	uint64_t begin = now_ms();

	if (client_tls(c))
		return GOES_ON;
	if (now_ms() - begin > HUNG_MS)
		fail_msg("%s: the handshake hangs", what);
	return ENDED;
}

/* As play(), and the server may refuse for now, or go; nothing else, and it must say so. */
static enum way dare(struct client *c, const char *what, const char *script)
{
	enum way way = GOES_ON;

	while (*script && way == GOES_ON) {
		size_t n = strcspn(script, "\n");
		char line[512];

		snprintf(line, sizeof(line), "%.*s", (int)n, script);
		script += n + (script[n] == '\n');
		if (line[0] == 'S')
			way = dare_expect(c, what, line + 3);
		else if (line[0] == 'C')
			way = dare_send(c, line + 3);
		else if (line[0] == 'T')
			way = dare_tls(c, what);
		if (line[0] == 'C' && strncmp(line + 3, "MAIL", 4) == 0) {
			buf_reset(&w.body);
			w.rcpts[0] = 0;
			w.commits = 0;
		}
	}
	return way;
}

/* The client goes, and no session stays behind. */
static void leave(struct client *c, const char *what)
{
	uint64_t until = now_ms() + HUNG_MS;

	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	do
		turn();
	while (w.rx->n_sessions > 0 && now_ms() < until);
	if (w.rx->n_sessions > 0)
		fail_msg("%s: a session stays", what);
}

static void works_again(const char *what, unsigned listener, const char *script)
{
	struct client c;

	client_open(&c, listener);
	assert_int_equal(dare(&c, what, script), GOES_ON);
	leave(&c, what);
	assert_true(w.commits > 0);
	assert_int_equal(w.closed, 0);
}

static void test_sessions(void **state)
{
	(void)state;
	if (!torture_works())
		skip();
	for (size_t i = 0; i < sizeof(dialogs) / sizeof(dialogs[0]); i++) {
		set_up(NULL);
		works_again(dialogs[i].what, dialogs[i].listener, dialogs[i].script);
		for (struct torture t = torture(dialogs[i].stride); torture_goes_on(&t);) {
			char what[100];
			struct client c;
			enum way way;

			snprintf(what, sizeof(what), "%s, TORTURE_AT=%u%s", dialogs[i].what, t.nth,
				 t.rest ? "+" : "");
			if (getenv("TEST_LOG"))
				print_message("# %s\n", what);
			w.commits = 0;
			client_open(&c, dialogs[i].listener);
			way = dare(&c, what, dialogs[i].script);
			if (way == GOES_ON && w.commits > 0 &&
			    strcmp(w.rcpts, "mailbox(our.test/u) remote(x@else.test) ") != 0)
				fail_msg("%s: to '%s'", what, w.rcpts);
			leave(&c, what);
			torture_enough();
			if (t.rounds % 8 == 0)
				works_again(what, dialogs[i].listener, dialogs[i].script);
		}
		works_again("at the end", dialogs[i].listener, dialogs[i].script);
		tear_down(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
