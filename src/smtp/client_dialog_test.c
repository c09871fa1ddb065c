/* client_dialog_test.c - plays the dialogs of tests/dialogs/client/ against the client
 * engine: each with the server's bytes whole, in threes, and byte by byte.  The format is
 * told in tests/dialogs/README.md. */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/client.h"
#include "smtp/path.h"

#define DIR_NAME TEST_SOURCE_DIR "/tests/dialogs/client"
#define MANY	 (8U << 20)
#define RCPTS	 4096

struct player {
	struct smtp_client_setup setup;
	struct smtp_client *engine;
	struct smtp_client_message message;
	struct smtp_client_rcpt rcpt[RCPTS];
	struct buf words; /* the message's texts */
	size_t cut, line;
	struct buf in, out, results, error;
};

static void fail(struct player *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct player *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (p->error.n > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_fmt(&p->error, "#   line %zu: %s\n", p->line, text);
}

/* \r \n \t \0 \\ \xHH and \(N*text) */
static void unescape(struct slice s, struct buf *to)
{
	while (s.n > 0) {
		struct slice c = slice_tail(s, 1), part;
		uint64_t times;
		unsigned hex;
		char digits[3];

		if (s.p[0] != '\\' || c.n == 0) {
			buf_byte(to, s.p[0]);
			s = c;
			continue;
		}
		s = slice_tail(c, 1);
		if (c.p[0] == 'x' && cur_take(&s, 2, &part) && slice_copy(part, digits, 3) &&
		    sscanf(digits, "%x", &hex) == 1) {
			buf_byte(to, (unsigned char)hex);
		} else if (c.p[0] == '(' && cur_u64(&s, MANY, &times) && cur_byte(&s, '*') &&
			   cur_until(&s, ')', &part)) {
			while (times-- > 0)
				unescape(part, to);
		} else {
			buf_byte(to, c.p[0] == 'r'   ? '\r'
				     : c.p[0] == 'n' ? '\n'
				     : c.p[0] == 't' ? '\t'
				     : c.p[0] == '0' ? '\0'
						     : c.p[0]);
		}
	}
}

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

static void describe(const struct smtp_client_ask *a, struct buf *to)
{
	static const char *const wants[] = { "INPUT",  "TLS",  "READY",	    "BODY",
					     "RESULT", "AUTH", "CHALLENGE", "CLOSE" };
	static const char *const results[] = { "delivered", "deferred", "failed" };

	if (a->want == SMTP_CLIENT_RESULT)
		buf_fmt(to, "%u %s%s at %s:", a->recipient, a->in_doubt ? "in doubt, " : "",
			results[a->result], smtp_client_step_name(a->step));
	else
		buf_str(to, wants[a->want]);
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

		collect(p);
		if (a->want == SMTP_CLIENT_RESULT) {
			describe(a, &p->results);
			buf_str(&p->results, "\n");
			smtp_client_go_on(p->engine);
			continue;
		}
		if (p->in.n == 0 || a->want == SMTP_CLIENT_TLS || a->want == SMTP_CLIENT_CLOSE)
			return;
		in = slice_head(buf_slice(&p->in), p->cut);
		piece = malloc(in.n);
		memcpy(piece, in.p, in.n);
		buf_consume(&p->in, smtp_client_feed(p->engine, slice_of(piece, in.n)));
		free(piece);
	}
}

static bool flag(struct slice word, const char *name)
{
	return slice_eq(word, slice_str(name));
}

static void do_setup(struct player *p, struct slice text)
{
	while (text.n > 0) {
		size_t n = slice_find(text, ' ');
		struct slice w = slice_head(text, n);

		text = slice_tail(text, n + 1);
		if (flag(w, "lmtp"))
			p->setup.protocol = SMTP_CLIENT_LMTP;
		else if (flag(w, "smtp"))
			p->setup.protocol = SMTP_CLIENT_SMTP;
		else if (flag(w, "tls=may"))
			p->setup.tls = SMTP_CLIENT_TLS_MAY;
		else if (flag(w, "tls=must"))
			p->setup.tls = SMTP_CLIENT_TLS_MUST;
		else
			fail(p, "no such setup: %.*s", SLICE_ARG(w));
	}
}

/* "a@example.org 8bit utf8 size=10 ret=full envid=E to b@example.org c@example.org,notify=1" */
static void do_message(struct player *p, struct slice text)
{
	struct smtp_client_message *m = &p->message;
	bool to = false, first = true;

	pump(p);
	*m = (struct smtp_client_message){ .rcpt = p->rcpt };
	memset(p->rcpt, 0, sizeof(p->rcpt));
	buf_reset(&p->words);
	unescape(text, &p->words);
	text = buf_slice(&p->words);
	for (; text.n > 0; first = false) {
		size_t n = slice_find(text, ' ');
		struct slice w = slice_head(text, n), v = w;

		text = slice_tail(text, n + 1);
		if (first) {
			m->sender = flag(w, "<>") ? SLICE_LIT("") : w;
		} else if (to && m->recipients < RCPTS) {
			struct smtp_client_rcpt *r = &p->rcpt[m->recipients++];
			uint64_t notify = 0;

			r->address = slice_head(w, slice_find(w, ','));
			v = slice_tail(w, r->address.n);
			if (cur_word(&v, SLICE_LIT(",notify=")) && cur_u64(&v, 15, &notify))
				r->notify = (unsigned)notify;
			if (cur_word(&v, SLICE_LIT(",orcpt=")))
				r->orcpt = v;
		} else if (flag(w, "to")) {
			to = true;
		} else if (flag(w, "8bit")) {
			m->eightbit = true;
		} else if (flag(w, "utf8")) {
			m->smtputf8 = true;
		} else if (flag(w, "ret=full")) {
			m->ret = SMTP_RET_FULL;
		} else if (cur_word(&v, SLICE_LIT("envid="))) {
			m->envid = v;
		} else if (!cur_word(&v, SLICE_LIT("size=")) || !cur_u64(&v, UINT64_MAX, &m->size)) {
			fail(p, "no such word of a message: %.*s", SLICE_ARG(w));
		}
	}
	if (smtp_client_want(p->engine)->want != SMTP_CLIENT_READY)
		fail(p, "it is not ready for a message");
	else if (!smtp_client_mail(p->engine, m))
		fail(p, "out of memory");
}

static void do_body(struct player *p, struct slice s)
{
	pump(p);
	while (s.n > 0 && p->error.n == 0) {
		size_t n;

		if (smtp_client_want(p->engine)->want != SMTP_CLIENT_BODY) {
			fail(p, "it wants no body");
			return;
		}
		n = smtp_client_body(p->engine, slice_head(s, p->cut));
		s = slice_tail(s, n);
		collect(p);
	}
}

static void do_answer(struct player *p, struct slice text)
{
	enum smtp_client_want want;

	pump(p);
	want = smtp_client_want(p->engine)->want;
	if (flag(text, "quit") && want == SMTP_CLIENT_READY)
		smtp_client_quit(p->engine);
	else if (flag(text, "tls") && want == SMTP_CLIENT_TLS)
		smtp_client_tls_started(p->engine);
	else if (flag(text, "end") && want == SMTP_CLIENT_BODY)
		smtp_client_body_end(p->engine);
	else if (flag(text, "fail") && want == SMTP_CLIENT_BODY)
		smtp_client_body_fail(p->engine, "4.3.0", "the message cannot be read");
	else if (flag(text, "lost"))
		smtp_client_lost(p->engine, "4.4.2", "the connection was lost");
	else
		fail(p, "cannot do '%.*s' now", SLICE_ARG(text));
}

/* The next line of what was gathered, without its end; with "..." at the end
 * of want only the beginning counts. */
static void expect(struct player *p, struct buf *from, const char *end, struct slice want, const char *what)
{
	struct slice have = buf_slice(from), line, dots = SLICE_LIT("...");
	struct slice tail = want.n > 3 ? slice_tail(want, want.n - 3) : want;
	const void *at = have.n ? memmem(have.p, have.n, end, strlen(end)) : NULL;
	bool same;

	line = slice_head(have, at ? (size_t)((const unsigned char *)at - have.p) : have.n);
	same = slice_eq(tail, dots) ? slice_starts(line, slice_head(want, want.n - 3))
				    : slice_eq(line, want) && at;
	if (!same)
		fail(p, "%s differs\n#     expected: %.*s\n#     was:      %.*s%s", what,
		     (int)(want.n < 300 ? want.n : 300), (const char *)want.p,
		     (int)(line.n < 300 ? line.n : 300), (const char *)line.p, at ? "" : " (no line)");
	else
		buf_consume(from, at ? line.n + strlen(end) : line.n);
}

static void play_line(struct player *p, struct slice line)
{
	struct slice text = line, kind;
	struct buf raw;

	if (line.n == 0 || line.p[0] == '#')
		return;
	if (!cur_until(&text, ':', &kind)) {
		fail(p, "not a line of a dialog");
		return;
	}
	cur_byte(&text, ' ');
	if (flag(kind, "Setup")) {
		do_setup(p, text);
		return;
	}
	if (!p->engine)
		p->engine = smtp_client_new(&p->setup);
	buf_init(&raw, MANY);
	unescape(text, &raw);
	if (flag(kind, "S") || flag(kind, "s")) {
		buf_put(&p->in, buf_slice(&raw));
		if (flag(kind, "S"))
			buf_str(&p->in, "\r\n");
	} else if (flag(kind, "C")) {
		pump(p);
		expect(p, &p->out, "\r\n", buf_slice(&raw), "the command");
	} else if (flag(kind, "M")) {
		do_message(p, text);
	} else if (flag(kind, "B") || flag(kind, "b")) {
		if (flag(kind, "B"))
			buf_str(&raw, "\r\n");
		do_body(p, buf_slice(&raw));
	} else if (flag(kind, "R")) {
		pump(p);
		expect(p, &p->results, "\n", buf_slice(&raw), "the result");
	} else if (flag(kind, "Q")) {
		struct buf what;

		pump(p);
		buf_init(&what, 4096);
		describe(smtp_client_want(p->engine), &what);
		buf_str(&what, "\n");
		expect(p, &what, "\n", buf_slice(&raw), "the question");
		buf_done(&what);
	} else if (flag(kind, "A")) {
		do_answer(p, text);
	} else {
		fail(p, "no such kind of line: %.*s", SLICE_ARG(kind));
	}
	buf_done(&raw);
}

static void finish(struct player *p)
{
	if (p->error.n > 0 || !p->engine)
		return;
	pump(p);
	if (p->out.n > 0)
		fail(p, "more was said: %.*s", SLICE_ARG(slice_head(buf_slice(&p->out), 300)));
	if (p->results.n > 0)
		fail(p, "more results: %.*s", SLICE_ARG(slice_head(buf_slice(&p->results), 300)));
	if (p->in.n > 0 && smtp_client_want(p->engine)->want != SMTP_CLIENT_CLOSE)
		fail(p, "input is left: %.*s", SLICE_ARG(slice_head(buf_slice(&p->in), 100)));
}

/* True when it went as written; else ret_error says where it did not. */
static bool play(struct slice text, size_t cut, struct buf *ret_error)
{
	struct player *p = calloc(1, sizeof(*p));
	bool ok;

	p->cut = cut;
	p->setup.helo = SLICE_LIT("mx.test");
	buf_init(&p->in, MANY);
	buf_init(&p->out, MANY);
	buf_init(&p->words, MANY);
	buf_init(&p->results, MANY);
	buf_init(&p->error, 8192);
	while (text.n > 0 && p->error.n == 0) {
		size_t n = slice_find(text, '\n');

		p->line++;
		play_line(p, slice_head(text, n));
		text = slice_tail(text, n + 1);
	}
	finish(p);
	ok = p->error.n == 0;
	*ret_error = p->error;
	smtp_client_free(p->engine);
	buf_done(&p->in);
	buf_done(&p->out);
	buf_done(&p->words);
	buf_done(&p->results);
	free(p);
	return ok;
}

static int is_dialog(const struct dirent *e)
{
	struct slice name = slice_str(e->d_name);

	return name.n > 5 && slice_eq(slice_tail(name, name.n - 5), SLICE_LIT(".smtp"));
}

static bool read_file(const char *name, struct buf *to)
{
	char path[1024];
	unsigned char *at;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", DIR_NAME, name);
	f = fopen(path, "r");
	if (!f)
		return false;
	while (buf_reserve(to, 4096, &at) > 0 && (n = fread(at, 1, 4096, f)) > 0)
		buf_filled(to, n);
	fclose(f);
	return true;
}

int main(int argc, char **argv)
{
	static const size_t cuts[] = { MANY, 3, 1 };
	const char *only = argc > 1 ? argv[1] : NULL;
	struct dirent **names;
	int n = scandir(DIR_NAME, &names, is_dialog, alphasort), bad = 0;

	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		struct buf text, error;
		bool ok = true;

		buf_init(&text, MANY);
		buf_init(&error, 1);
		if (only && strcmp(only, names[i]->d_name) != 0)
			continue;
		if (!read_file(names[i]->d_name, &text))
			ok = false;
		for (size_t c = 0; c < 3 && ok; c++) {
			buf_done(&error);
			ok = play(buf_slice(&text), cuts[c], &error);
			if (!ok)
				printf("# %s, %zu at a time\n%.*s", names[i]->d_name, cuts[c],
				       SLICE_ARG(buf_slice(&error)));
		}
		printf("%s %d - %s\n", ok ? "ok" : "not ok", i + 1, names[i]->d_name);
		bad += !ok;
		buf_done(&error);
		buf_done(&text);
		free(names[i]);
	}
	free(names);
	return n <= 0 || bad > 0;
}
