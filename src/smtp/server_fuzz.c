/* server_fuzz.c - whatever a client sends, and however TCP cuts it.
 *
 * Oracles: the same bytes whole and cut give the same questions, replies and
 * messages; a message ends exactly at the first CRLF.CRLF of its DATA and is
 * what a plain reading of RFC 5321 4.5.2 gives; no message holds a bare CR or
 * LF or a NUL, or is larger than allowed; each reply is lines of printable
 * ASCII with CRLF.
 */
#include "smtp/server.h"

#define IN_MAX	 65536
#define TEXT_MAX (8U << 20)

struct run {
	struct smtp_server_setup setup;
	struct smtp_server *engine;
	size_t fed;	   /* octets of the input so far */
	size_t data_start; /* where they were when DATA was agreed to */
	bool bdat;
	struct buf log;	 /* questions and replies in order: what must not depend on cuts */
	struct buf body; /* of the message at hand */
	unsigned char *piece;
};

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static void check_reply(struct slice out)
{
	struct slice line;

	while (cur_until(&out, '\n', &line)) {
		CHECK(line.n >= 4 && line.p[line.n - 1] == '\r');
		CHECK(line.p[0] >= '2' && line.p[0] <= '5' && (line.p[3] == ' ' || line.p[3] == '-'));
		for (size_t i = 0; i + 1 < line.n; i++)
			CHECK(line.p[i] >= 32 && line.p[i] < 127);
		CHECK(line.n + 1 <= 512);
	}
	CHECK(out.n == 0);
}

static void drain(struct run *r)
{
	struct slice out = smtp_server_output(r->engine);

	check_reply(out);
	buf_put(&r->log, out);
	smtp_server_sent(r->engine, out.n);
}

/* The message as its octets say, by the shortest code that can be right. */
static void check_data(struct run *r, struct slice all)
{
	struct slice raw = slice_of(all.p + r->data_start - 2, r->fed - r->data_start + 2);
	const unsigned char *end = memmem(raw.p, raw.n, "\r\n.\r\n", 5);
	struct buf want;

	/* Data begins behind a CRLF: that of DATA. */
	CHECK(end && end + 5 == raw.p + raw.n);
	if (r->setup.bare == SMTP_BARE_FIX)
		return;
	buf_init(&want, IN_MAX);
	raw = slice_of(raw.p + 2, raw.n - 5);
	while (raw.n > 0) {
		size_t n = slice_find(raw, '\n') + 1;

		buf_put(&want, slice_tail(slice_head(raw, n), raw.p[0] == '.'));
		raw = slice_tail(raw, n);
	}
	CHECK(slice_eq(buf_slice(&want), buf_slice(&r->body)));
	buf_done(&want);
}

static void check_body(struct run *r)
{
	struct slice b = buf_slice(&r->body);

	CHECK(r->setup.max_size == 0 || b.n <= r->setup.max_size);
	CHECK(slice_find(b, 0) == b.n);
	for (size_t i = 0; i < b.n; i++) {
		CHECK(b.p[i] != '\r' || (i + 1 < b.n && b.p[i + 1] == '\n'));
		CHECK(b.p[i] != '\n' || (i > 0 && b.p[i - 1] == '\r'));
	}
	CHECK(b.n == 0 || b.p[b.n - 1] == '\n');
}

static unsigned sum(struct slice s)
{
	unsigned v = 0;

	for (size_t i = 0; i < s.n; i++)
		v = v * 31 + s.p[i];
	return v;
}

/* Answers depend on the question alone, so both runs give the same ones. */
static int code_for(struct slice s)
{
	static const int codes[16] = { 250, 250, 250, 250, 250, 250, 250, 250,
				       250, 250, 250, 550, 550, 450, 451, 421 };

	return codes[sum(s) % 16];
}

static void log_ask(struct run *r, const struct smtp_server_ask *a)
{
	buf_fmt(&r->log, "%d %d %d %llu %u [", a->want, a->esmtp, a->has_initial,
		(unsigned long long)a->mail.size, a->rcpt.notify);
	buf_put(&r->log, a->name);
	if (a->want != SMTP_SERVER_BODY)
		buf_put(&r->log, a->data);
	smtp_path_put(&a->path, &r->log);
	buf_put(&r->log, a->mail.envid);
	buf_put(&r->log, a->rcpt.orcpt);
	buf_str(&r->log, "]\n");
}

static void answer_auth(struct run *r, const struct smtp_server_ask *a)
{
	if (sum(a->data) % 3 == 0)
		smtp_server_challenge(r->engine, SLICE_LIT("again?"));
	else
		smtp_server_auth_done(r->engine, sum(a->data) % 3 == 1 ? 235 : 535, NULL, NULL);
}

static void answer(struct run *r, struct slice all)
{
	const struct smtp_server_ask *a = smtp_server_want(r->engine);

	if (a->want != SMTP_SERVER_BODY)
		log_ask(r, a);
	switch (a->want) {
	case SMTP_SERVER_HELO:
		smtp_server_answer(r->engine, code_for(a->name), NULL, NULL);
		break;
	case SMTP_SERVER_MAIL:
	case SMTP_SERVER_RCPT:
		smtp_server_answer(r->engine, code_for(a->path.local), NULL, NULL);
		break;
	case SMTP_SERVER_AUTH:
	case SMTP_SERVER_AUTH_STEP:
		answer_auth(r, a);
		break;
	case SMTP_SERVER_DATA:
		buf_reset(&r->body);
		r->data_start = r->fed;
		smtp_server_answer(r->engine, 354, NULL, NULL);
		r->bdat = !slice_starts(smtp_server_output(r->engine), SLICE_LIT("354"));
		break;
	case SMTP_SERVER_BODY:
		CHECK(a->data.n > 0);
		buf_put(&r->body, a->data);
		smtp_server_go_on(r->engine);
		break;
	case SMTP_SERVER_COMMIT:
		if (!r->bdat)
			check_data(r, all);
		check_body(r);
		buf_put(&r->log, buf_slice(&r->body));
		smtp_server_answer(r->engine, 250, NULL, NULL);
		break;
	case SMTP_SERVER_STARTTLS:
		smtp_server_answer(r->engine, 220, NULL, NULL);
		break;
	case SMTP_SERVER_TLS:
		CHECK(slice_starts(smtp_server_output(r->engine), SLICE_LIT("220 ")));
		drain(r);
		smtp_server_tls_started(r->engine, true);
		CHECK(!smtp_server_authenticated(r->engine) && smtp_server_helo(r->engine).n == 0);
		break;
	default:
		smtp_server_go_on(r->engine);
	}
	if (smtp_server_want(r->engine)->want != SMTP_SERVER_TLS)
		drain(r);
}

static void run(struct run *r, unsigned kind, struct slice all, size_t cut)
{
	*r = (struct run){ .setup = { .role = kind & 1	 ? SMTP_SUBMISSION
					      : kind & 2 ? SMTP_LOCAL
							 : SMTP_RELAY,
				      .hostname = SLICE_LIT("mx.test"),
				      .starttls = true,
				      .tls_required = kind & 4,
				      .auth = true,
				      .mechs = SLICE_LIT("PLAIN LOGIN"),
				      .mechs_tls = SLICE_LIT("SCRAM-SHA-256-PLUS"),
				      .advice = SLICE_LIT("port 587 with STARTTLS"),
				      .bare = kind & 8 ? SMTP_BARE_FIX : SMTP_BARE_REFUSE,
				      .max_size = kind & 16 ? 64 : 100000,
				      .max_recipients = 3,
				      .max_errors = kind & 32 ? 3 : 100,
				      .max_commands = 100,
				      .max_transactions = 10 } };
	buf_init(&r->log, TEXT_MAX);
	buf_init(&r->body, TEXT_MAX);
	r->engine = smtp_server_new(&r->setup);
	CHECK(r->engine);
	smtp_server_greet(r->engine, kind & 64);
	drain(r);
	for (;;) {
		enum smtp_server_want want = smtp_server_want(r->engine)->want;
		struct slice in = slice_head(slice_tail(all, r->fed), cut);

		if (want == SMTP_SERVER_CLOSE || (want == SMTP_SERVER_INPUT && in.n == 0))
			break;
		if (want == SMTP_SERVER_INPUT) {
			/* Exactly as large, and gone after it: the sanitizer sees each look too far. */
			free(r->piece);
			r->piece = malloc(in.n);
			CHECK(r->piece);
			memcpy(r->piece, in.p, in.n);
			r->fed += smtp_server_feed(r->engine, slice_of(r->piece, in.n));
			drain(r);
		} else {
			answer(r, all);
		}
	}
	drain(r);
	CHECK(buf_ok(&r->log) && buf_ok(&r->body));
}

static void done(struct run *r)
{
	smtp_server_free(r->engine);
	buf_done(&r->log);
	buf_done(&r->body);
	free(r->piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct run whole, cut;
	struct slice all;

	if (n < 2 || n > IN_MAX)
		return 0;
	all = slice_of(data + 2, n - 2);
	run(&whole, data[0], all, SIZE_MAX);
	run(&cut, data[0], all, 1 + data[1] % 7);
	CHECK(slice_eq(buf_slice(&whole.log), buf_slice(&cut.log)));
	CHECK(smtp_server_want(whole.engine)->want == smtp_server_want(cut.engine)->want);
	CHECK(smtp_server_take_faults(whole.engine) == smtp_server_take_faults(cut.engine));
	done(&whole);
	done(&cut);
	return 0;
}
