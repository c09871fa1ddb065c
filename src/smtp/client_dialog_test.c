/* client_dialog_test.c - plays the dialogs of tests/dialogs/client/ against the client
 * engine: each with the server's bytes whole, in threes, and byte by byte.  The format is
 * told in tests/dialogs/README.md. */
#include "smtp/client.h"
#include "smtp/dialog_harness.h"
#include "smtp/path.h"

#define DIR_NAME TEST_SOURCE_DIR "/tests/dialogs/client"
#define RCPTS	 4096

struct player {
	struct dialog d;
	struct smtp_client_setup setup;
	struct smtp_client *engine;
	struct said_message {
		struct smtp_client_message m;
		struct smtp_client_rcpt rcpt[RCPTS];
		struct buf words; /* its texts */
	} message[2];
	unsigned newest; /* of the two */
	struct buf in, out, results, said;
};

static void collect(struct player *p)
{
	struct slice out = smtp_client_output(p->engine);

	while (out.n > 0) {
		size_t n = out.n < 7 ? out.n : 7; /* some at a time, as sockets do */

		buf_put(&p->out, slice_head(out, n));
		smtp_client_sent(p->engine, n);
		out = smtp_client_output(p->engine);
	}
}

static void describe(const struct smtp_client *engine, struct buf *to)
{
	static const char *const wants[] = { "INPUT",  "TLS",  "READY",	    "BODY",
					     "RESULT", "AUTH", "CHALLENGE", "CLOSE" };
	static const char *const results[] = { "delivered", "deferred", "failed" };
	const struct smtp_client_ask *a = smtp_client_want(engine);

	if (a->want == SMTP_CLIENT_RESULT)
		buf_fmt(to, "%u %s%s at %s:", a->recipient,
			a->in_doubt  ? "in doubt, "
			: a->relayed ? "relayed, "
				     : "",
			results[a->result], smtp_client_step_name(a->step));
	else
		buf_str(to, wants[a->want]);
	if (a->want == SMTP_CLIENT_AUTH)
		buf_fmt(to, " %.*s", SLICE_ARG(a->mechs));
	if (a->want == SMTP_CLIENT_AUTH && a->refused > 0)
		buf_fmt(to, ", refused: %d %s %.*s", a->code, a->enhanced, SLICE_ARG(a->text));
	if (a->want == SMTP_CLIENT_CHALLENGE)
		buf_fmt(to, " '%.*s'", SLICE_ARG(a->data));
	if (a->want == SMTP_CLIENT_READY && smtp_client_is_spent(engine))
		buf_str(to, ", spent");
	if (a->want == SMTP_CLIENT_CLOSE && a->broken)
		buf_fmt(to, " at %s:", smtp_client_step_name(a->step));
	if (a->want == SMTP_CLIENT_RESULT || (a->want == SMTP_CLIENT_CLOSE && a->broken))
		buf_fmt(to, " %d %s %.*s", a->code, a->enhanced, SLICE_ARG(a->text));
}

/* Until the dialog has to say something. */
static void pump(struct player *p)
{
	for (;;) {
		const struct smtp_client_ask *a = smtp_client_want(p->engine);
		unsigned char *piece;
		struct slice in;
		size_t taken;

		collect(p);
		if (a->want == SMTP_CLIENT_RESULT) {
			describe(p->engine, &p->results);
			buf_str(&p->results, "\n");
			smtp_client_go_on(p->engine);
			continue;
		}
		if (p->in.n == 0 || a->want == SMTP_CLIENT_TLS || a->want == SMTP_CLIENT_CLOSE ||
		    a->want == SMTP_CLIENT_AUTH || a->want == SMTP_CLIENT_CHALLENGE)
			return;
		in = slice_head(buf_slice(&p->in), p->d.cut);
		piece = malloc(in.n);
		memcpy(piece, in.p, in.n);
		taken = smtp_client_feed(p->engine, slice_of(piece, in.n));
		buf_consume(&p->in, taken);
		free(piece);
		if (taken == 0)
			return;
	}
}

static void do_setup(struct player *p, struct slice text)
{
	while (text.n > 0) {
		size_t n = slice_find(text, ' ');
		struct slice w = slice_head(text, n);

		text = slice_tail(text, n + 1);
		if (dialog_is(w, "lmtp"))
			p->setup.protocol = SMTP_CLIENT_LMTP;
		else if (dialog_is(w, "smtp"))
			p->setup.protocol = SMTP_CLIENT_SMTP;
		else if (dialog_is(w, "tls=may"))
			p->setup.tls = SMTP_CLIENT_TLS_MAY;
		else if (dialog_is(w, "tls=must"))
			p->setup.tls = SMTP_CLIENT_TLS_MUST;
		else if (dialog_is(w, "implicit"))
			p->setup.implicit_tls = true;
		else if (dialog_is(w, "auth"))
			p->setup.auth = true;
		else if (dialog_is(w, "auth-clear"))
			p->setup.auth = p->setup.auth_clear = true;
		else if (dialog_is(w, "chunking"))
			p->setup.chunking = true;
		else if (dialog_is(w, "loop"))
			p->setup.own = SLICE_LIT("us.test");
		else
			dialog_fail(&p->d, "no such setup: %.*s", SLICE_ARG(w));
	}
}

/* "a@example.org 8bit utf8 size=10 ret=full envid=E to b@example.org c@example.org,notify=1" */
static struct smtp_client_message *make_message(struct player *p, struct slice text)
{
	struct said_message *new = &p->message[p->newest = !p->newest];
	struct smtp_client_message *m = &new->m;
	bool to = false, first = true;

	*m = (struct smtp_client_message){ .rcpt = new->rcpt };
	memset(new->rcpt, 0, sizeof(new->rcpt));
	buf_reset(&new->words);
	dialog_unescape(text, &new->words);
	text = buf_slice(&new->words);
	for (; text.n > 0; first = false) {
		size_t n = slice_find(text, ' ');
		struct slice w = slice_head(text, n), v = w;
		uint64_t n64;

		text = slice_tail(text, n + 1);
		if (first) {
			m->sender = dialog_is(w, "<>") ? SLICE_LIT("") : w;
		} else if (to && m->recipients < RCPTS) {
			struct smtp_client_rcpt *r = &new->rcpt[m->recipients++];
			uint64_t notify = 0;

			r->address = slice_head(w, slice_find(w, ','));
			v = slice_tail(w, r->address.n);
			if (cur_word(&v, SLICE_LIT(",notify=")) && cur_u64(&v, 15, &notify))
				r->notify = (unsigned)notify;
			if (cur_word(&v, SLICE_LIT(",orcpt=")))
				r->orcpt = v;
		} else if (dialog_is(w, "to")) {
			to = true;
		} else if (dialog_is(w, "8bit")) {
			m->eightbit = true;
		} else if (dialog_is(w, "utf8")) {
			m->smtputf8 = true;
		} else if (dialog_is(w, "requiretls")) {
			m->requiretls = true;
		} else if (dialog_is(w, "verified")) {
			m->tls_verified = true;
		} else if (dialog_number(w, "priority", &n64) && n64 < 20) {
			m->mt_priority = (uint8_t)n64;
		} else if (dialog_is(w, "ret=full")) {
			m->ret = SMTP_RET_FULL;
		} else if (cur_word(&v, SLICE_LIT("envid="))) {
			m->envid = v;
		} else if (!cur_word(&v, SLICE_LIT("size=")) || !cur_u64(&v, UINT64_MAX, &m->size)) {
			dialog_fail(&p->d, "no such word of a message: %.*s", SLICE_ARG(w));
		}
	}
	return m;
}

/* ahead: while the last answer of the one before is awaited; "A: next" when its turn has come. */
static void do_message(struct player *p, struct slice text, bool ahead)
{
	const struct smtp_client_message *m;

	pump(p);
	m = make_message(p, text);
	if (ahead && !smtp_client_takes_ahead(p->engine))
		dialog_fail(&p->d, "it takes no message ahead");
	else if (ahead && !smtp_client_ahead(p->engine, m))
		dialog_fail(&p->d, "it does not take this one ahead");
	else if (!ahead && smtp_client_want(p->engine)->want != SMTP_CLIENT_READY)
		dialog_fail(&p->d, "it is not ready for a message");
	else if (!ahead && !smtp_client_mail(p->engine, m))
		dialog_fail(&p->d, "out of memory");
}

static void do_body(struct player *p, struct slice s)
{
	pump(p);
	while (s.n > 0 && p->d.error.n == 0) {
		size_t n;

		if (smtp_client_want(p->engine)->want != SMTP_CLIENT_BODY) {
			dialog_fail(&p->d, "it wants no body");
			return;
		}
		n = smtp_client_body(p->engine, slice_head(s, p->d.cut));
		s = slice_tail(s, n);
		collect(p);
	}
}

/* "auth MECH", "auth MECH text" ("auth MECH =" is an empty response), "give-up", "respond text", "cancel" */
static bool do_auth(struct player *p, struct slice text)
{
	enum smtp_client_want want = smtp_client_want(p->engine)->want;
	bool asks = want == SMTP_CLIENT_AUTH, challenged = want == SMTP_CLIENT_CHALLENGE;
	struct slice initial, mech;
	struct buf raw;

	buf_init(&raw, DIALOG_MANY);
	if (asks && cur_word(&text, SLICE_LIT("auth "))) {
		mech = slice_head(text, slice_find(text, ' '));
		text = slice_tail(text, mech.n + 1);
		dialog_unescape(text, &raw);
		initial = dialog_is(text, "=") ? SLICE_LIT("") : buf_slice(&raw);
		smtp_client_auth(p->engine, mech, text.n > 0 ? &initial : NULL);
	} else if (asks && dialog_is(text, "give-up")) {
		smtp_client_auth_give_up(p->engine, "4.7.0", "no mechanism that both know");
	} else if (challenged && cur_word(&text, SLICE_LIT("respond"))) {
		dialog_unescape(slice_trim(text), &raw);
		smtp_client_respond(p->engine, buf_slice(&raw));
	} else if (challenged && dialog_is(text, "cancel")) {
		smtp_client_auth_cancel(p->engine);
	} else {
		asks = challenged = false;
	}
	buf_done(&raw);
	return asks || challenged;
}

/* The transcript is gathered anew at each, and its next lines expected. */
static void expect_transcript(struct player *p, struct slice want)
{
	if (p->said.n == 0)
		smtp_client_transcript(p->engine, &p->said);
	dialog_expect(&p->d, &p->said, "\n", want, "the transcript");
}

static void do_answer(struct player *p, struct slice text)
{
	enum smtp_client_want want;

	pump(p);
	want = smtp_client_want(p->engine)->want;
	if (do_auth(p, text))
		return;
	if (dialog_is(text, "quit") && want == SMTP_CLIENT_READY)
		smtp_client_quit(p->engine);
	else if (dialog_is(text, "next") && want == SMTP_CLIENT_READY)
		smtp_client_mail(p->engine, &p->message[p->newest].m);
	else if (dialog_is(text, "tls") && want == SMTP_CLIENT_TLS)
		smtp_client_tls_started(p->engine);
	else if (dialog_is(text, "end") && want == SMTP_CLIENT_BODY)
		smtp_client_body_end(p->engine);
	else if (dialog_is(text, "fail") && want == SMTP_CLIENT_BODY)
		smtp_client_body_fail(p->engine, "4.3.0", "the message cannot be read");
	else if (dialog_is(text, "lost"))
		smtp_client_lost(p->engine, "4.4.2", "the connection was lost");
	else
		dialog_fail(&p->d, "cannot do '%.*s' now", SLICE_ARG(text));
}

static void play_line(struct player *p, struct slice line)
{
	struct slice text, kind;
	struct buf raw;

	if (!dialog_line(&p->d, line, &kind, &text) || kind.n == 0)
		return;
	if (dialog_is(kind, "Setup")) {
		do_setup(p, text);
		return;
	}
	if (!p->engine)
		p->engine = smtp_client_new(&p->setup);
	buf_init(&raw, DIALOG_MANY);
	dialog_unescape(text, &raw);
	if (dialog_is(kind, "S") || dialog_is(kind, "s")) {
		buf_put(&p->in, buf_slice(&raw));
		if (dialog_is(kind, "S"))
			buf_str(&p->in, "\r\n");
	} else if (dialog_is(kind, "C")) {
		pump(p);
		dialog_expect(&p->d, &p->out, "\r\n", buf_slice(&raw), "the command");
	} else if (dialog_is(kind, "M")) {
		do_message(p, text, false);
	} else if (dialog_is(kind, "N")) {
		do_message(p, text, true);
	} else if (dialog_is(kind, "B") || dialog_is(kind, "b")) {
		if (dialog_is(kind, "B"))
			buf_str(&raw, "\r\n");
		do_body(p, buf_slice(&raw));
	} else if (dialog_is(kind, "R")) {
		pump(p);
		dialog_expect(&p->d, &p->results, "\n", buf_slice(&raw), "the result");
	} else if (dialog_is(kind, "Q")) {
		struct buf what;

		pump(p);
		buf_init(&what, 4096);
		describe(p->engine, &what);
		buf_str(&what, "\n");
		dialog_expect(&p->d, &what, "\n", buf_slice(&raw), "the question");
		buf_done(&what);
	} else if (dialog_is(kind, "T")) {
		pump(p);
		expect_transcript(p, buf_slice(&raw));
	} else if (dialog_is(kind, "A")) {
		do_answer(p, text);
	} else {
		dialog_fail(&p->d, "no such kind of line: %.*s", SLICE_ARG(kind));
	}
	buf_done(&raw);
}

static void finish(struct player *p)
{
	if (p->d.error.n > 0 || !p->engine)
		return;
	pump(p);
	if (p->out.n > 0)
		dialog_fail(&p->d, "more was said: %.*s", SLICE_ARG(slice_head(buf_slice(&p->out), 300)));
	if (p->results.n > 0)
		dialog_fail(&p->d, "more results: %.*s", SLICE_ARG(slice_head(buf_slice(&p->results), 300)));
	if (p->in.n > 0 && smtp_client_want(p->engine)->want != SMTP_CLIENT_CLOSE)
		dialog_fail(&p->d, "input is left: %.*s", SLICE_ARG(slice_head(buf_slice(&p->in), 100)));
}

/* True when it went as written; else ret_error says where it did not. */
static bool play(struct slice text, size_t cut, struct buf *ret_error)
{
	struct player *p = calloc(1, sizeof(*p));
	bool ok;

	p->d.cut = cut;
	p->setup.helo = SLICE_LIT("mx.test");
	buf_init(&p->in, DIALOG_MANY);
	buf_init(&p->out, DIALOG_MANY);
	buf_init(&p->message[0].words, DIALOG_MANY);
	buf_init(&p->message[1].words, DIALOG_MANY);
	buf_init(&p->results, DIALOG_MANY);
	buf_init(&p->said, DIALOG_MANY);
	p->setup.transcript = true;
	buf_init(&p->d.error, 8192);
	while (text.n > 0 && p->d.error.n == 0) {
		size_t n = slice_find(text, '\n');

		p->d.line++;
		play_line(p, slice_head(text, n));
		text = slice_tail(text, n + 1);
	}
	finish(p);
	ok = p->d.error.n == 0;
	*ret_error = p->d.error;
	smtp_client_free(p->engine);
	buf_done(&p->in);
	buf_done(&p->out);
	buf_done(&p->message[0].words);
	buf_done(&p->message[1].words);
	buf_done(&p->results);
	buf_done(&p->said);
	free(p);
	return ok;
}

int main(int argc, char **argv)
{
	return dialog_main(argc, argv, DIR_NAME, play);
}
