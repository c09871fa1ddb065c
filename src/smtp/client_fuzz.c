/* Whatever a server says, and however TCP cuts it: the client says the same and reports the
 * same; each recipient gets exactly one result; none is delivered, and none in doubt, but
 * after the dot or the last chunk; no CR or LF goes out alone; no password goes before TLS, no
 * message before the password where there is one, and none into the transcript.
 *
 * The first octet is the setup, the second the size of the pieces and more of the setup.  The rest is what
 * the server says; at each 0xff the driver has its turn: a message, a piece of body, its end, or QUIT. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/client.h"
#include "smtp/path.h"

#define RCPTS	 5
#define MESSAGES 3
#define MANY	 (1U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct smtp_client_setup setup;
	struct smtp_client *c;
	struct smtp_client_message m;
	struct smtp_client_rcpt rcpt[RCPTS];
	struct buf out, log;
	unsigned results[RCPTS];
	unsigned messages, pieces;
	bool under_way, dot, tls, authed;
	bool may_ahead, ahead; /* the next message goes ahead where it can; it has */
};

static void insist(bool holds)
{
	if (!holds)
		abort();
}

static void collect(struct run *r)
{
	struct slice out = smtp_client_output(r->c);

	buf_put(&r->out, out);
	smtp_client_sent(r->c, out.n);
}

static void result(struct run *r, const struct smtp_client_ask *a)
{
	insist(r->under_way && a->recipient < r->m.recipients);
	insist(r->results[a->recipient]++ == 0);
	insist(a->result != SMTP_CLIENT_DELIVERED ||
	       (r->dot && a->step == SMTP_CLIENT_AT_FINAL && a->code / 100 == 2));
	insist(!a->in_doubt || (r->dot && a->result == SMTP_CLIENT_DEFERRED));
	insist(a->enhanced[0] == '\0' || a->enhanced[0] != '2' || a->result != SMTP_CLIENT_FAILED);
	buf_fmt(&r->log, "%u %d %d %d %s %.*s\n", a->recipient, a->result, a->in_doubt, a->code, a->enhanced,
		SLICE_ARG(a->text));
}

static void over(struct run *r)
{
	for (uint32_t i = 0; r->under_way && i < r->m.recipients; i++)
		insist(r->results[i] == 1);
	r->under_way = false;
}

static void authenticate(struct run *r, const struct smtp_client_ask *a)
{
	static const struct slice secret = SLICE_INIT("\0me\0SECRETSECRET");

	insist(r->tls && r->setup.auth && !r->under_way);
	buf_fmt(&r->log, "%d %u %d %.*s\n", a->want, a->refused, a->code, SLICE_ARG(a->text));
	r->authed = true;
	if (a->want == SMTP_CLIENT_CHALLENGE && a->data.n > 0 && a->data.p[0] == 'x')
		smtp_client_auth_cancel(r->c);
	else if (a->want == SMTP_CLIENT_CHALLENGE)
		smtp_client_respond(r->c, secret);
	else if (a->refused > 1)
		smtp_client_auth_give_up(r->c, "4.7.0", "no more");
	else
		smtp_client_auth(r->c, SLICE_LIT("PLAIN"), a->refused == 0 ? &secret : NULL);
}

/* Lines of either side, and of ours none with the secret: as it is, or its middle as base 64. */
static void transcript(struct run *r)
{
	struct buf text;
	struct slice s;

	buf_init(&text, MANY);
	smtp_client_transcript(r->c, &text);
	s = buf_slice(&text);
	insist(s.n <= SMTP_CLIENT_TRANSCRIPT_MAX && (s.n == 0 || s.p[s.n - 1] == '\n'));
	while (s.n > 0) {
		struct slice line = slice_head(s, slice_find(s, '\n'));

		s = slice_tail(s, line.n + 1);
		insist(slice_starts(line, SLICE_LIT("C: ")) || slice_starts(line, SLICE_LIT("S: ")) ||
		       slice_eq(line, SLICE_LIT("(some lines are left out)")));
		insist(line.p[0] != 'C' ||
		       (!memmem(line.p, line.n, "SECRET", 6) && !memmem(line.p, line.n, "Q1JFVFNF", 8)));
		for (size_t i = 0; i < line.n; i++)
			insist(line.p[i] >= 0x20 && line.p[i] != 0x7f);
	}
	buf_put(&r->log, buf_slice(&text));
	buf_done(&text);
}

static void begin(struct run *r)
{
	memset(r->results, 0, sizeof(r->results));
	r->under_way = true;
	r->dot = r->ahead = false;
	r->pieces = 0;
	insist(smtp_client_mail(r->c, &r->m));
}

/* What needs no thought; false at the end. */
static bool settle(struct run *r)
{
	const struct smtp_client_ask *a = smtp_client_want(r->c);

	for (;;) {
		collect(r);
		switch (a->want) {
		case SMTP_CLIENT_RESULT:
			result(r, a);
			smtp_client_go_on(r->c);
			break;
		case SMTP_CLIENT_TLS:
			buf_str(&r->log, "TLS\n");
			r->tls = true;
			smtp_client_tls_started(r->c);
			break;
		case SMTP_CLIENT_AUTH:
		case SMTP_CLIENT_CHALLENGE:
			authenticate(r, a);
			break;
		case SMTP_CLIENT_READY:
			insist(r->authed || !r->setup.auth);
			over(r);
			if (!r->ahead)
				return true;
			begin(r);
			break;
		case SMTP_CLIENT_CLOSE:
			over(r);
			buf_fmt(&r->log, "CLOSE %d %.*s\n", a->code, SLICE_ARG(a->text));
			return false;
		default:
			return true;
		}
	}
}

static void turn(struct run *r)
{
	switch (smtp_client_want(r->c)->want) {
	case SMTP_CLIENT_READY:
		if (r->messages++ < MESSAGES)
			begin(r);
		else
			smtp_client_quit(r->c);
		break;
	case SMTP_CLIENT_BODY:
		if (r->pieces++ == 0) {
			(void)smtp_client_body(r->c, SLICE_LIT("a\r\n.b\n.\r\n.\rc\r"));
		} else if (r->pieces == 2) {
			(void)smtp_client_body(r->c, SLICE_LIT("\n.\n"));
		} else {
			r->dot = true;
			smtp_client_body_end(r->c);
		}
		break;
	default:
		if (r->may_ahead && smtp_client_takes_ahead(r->c) && r->messages < MESSAGES) {
			r->ahead = smtp_client_ahead(r->c, &r->m);
			r->messages += r->ahead;
		}
		break;
	}
}

static void play(struct run *r, struct slice script, uint8_t flags, uint8_t more, size_t cut)
{
	static const char *const names[RCPTS] = { "a@x", "b@x", "\xc3\xa4@x", "d@x>\r\nDATA", "e@x" };
	bool on = true;

	memset(r, 0, sizeof(*r));
	r->setup.protocol = flags & 1 ? SMTP_CLIENT_LMTP : SMTP_CLIENT_SMTP;
	r->setup.tls = flags & 2 ? SMTP_CLIENT_TLS_MAY : SMTP_CLIENT_TLS_NEVER;
	r->setup.helo = SLICE_LIT("c");
	r->setup.auth = more & 1;
	r->setup.chunking = more & 2;
	r->setup.implicit_tls = r->tls = more & 4;
	r->setup.transcript = true;
	r->may_ahead = flags >> 4 >= RCPTS;
	r->m = (struct smtp_client_message){ .sender = SLICE_LIT("s@x"),
					     .size = 20,
					     .eightbit = flags & 4,
					     .smtputf8 = flags & 8,
					     .requiretls = more & 8,
					     .tls_verified = more & 16,
					     .mt_priority = more,
					     .rcpt = r->rcpt,
					     .recipients = 1 + (flags >> 4) % RCPTS };
	for (unsigned i = 0; i < RCPTS; i++)
		r->rcpt[i].address = slice_str(names[i]);
	buf_init(&r->out, MANY);
	buf_init(&r->log, MANY);
	r->c = smtp_client_new(&r->setup);
	insist(r->c);
	while (script.n > 0 && on) {
		struct slice said = slice_head(script, slice_find(script, 0xff));

		script = slice_tail(script, said.n + 1);
		while (said.n > 0 && on) {
			said = slice_tail(said, smtp_client_feed(r->c, slice_head(said, cut)));
			on = settle(r);
		}
		if (on) {
			turn(r);
			on = settle(r);
		}
	}
	if (on) {
		smtp_client_lost(r->c, "4.4.2", "lost");
		insist(!settle(r));
	}
	transcript(r);
	smtp_client_free(r->c);
}

static void lines_end_well(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		insist(s.p[i] != '\n' || (i > 0 && s.p[i - 1] == '\r'));
		insist(s.p[i] != '\r' || (i + 1 < s.n && s.p[i + 1] == '\n'));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct run whole, cut;
	struct slice script = slice_of(data + 2, size - 2);

	if (size < 2 || size > 20000)
		return 0;
	play(&whole, script, data[0], data[1] >> 3, size);
	play(&cut, script, data[0], data[1] >> 3, 1 + data[1] % 7);
	insist(slice_eq(buf_slice(&whole.out), buf_slice(&cut.out)));
	insist(slice_eq(buf_slice(&whole.log), buf_slice(&cut.log)));
	lines_end_well(buf_slice(&whole.out));
	buf_done(&whole.out);
	buf_done(&whole.log);
	buf_done(&cut.out);
	buf_done(&cut.log);
	return 0;
}
