/* talk_fuzz.c - a look's conversation is the same however a server's octets are cut; it never says
 * anything but what it may say (no DATA, no message), ends, and keeps no control characters. */
#include <stdlib.h>
#include <string.h>

#include "probe/talk.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define SAID_MAX 65536

static struct probe_port ports[2];
static struct buf said[2];

static void clean(const char *s, size_t size, bool lines)
{
	CHECK(memchr(s, 0, size));
	for (; *s; s++)
		CHECK(((unsigned char)*s >= ' ' && *s != 127) || (lines && *s == '\n'));
}

/* Each line is one of these, and nothing else is ever said. */
static void only_what_it_may(struct slice out)
{
	static const char *const verbs[] = { "EHLO here.test\r\n", "HELO here.test\r\n", "STARTTLS\r\n",
					     "RSET\r\n", "QUIT\r\n" };

	while (out.n > 0) {
		size_t n = slice_find(out, '\n') + 1;
		struct slice line = slice_head(out, n);
		bool known = false;

		CHECK(n <= out.n);
		for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
			known = known || slice_eq(line, slice_str(verbs[i]));
		known = known || slice_starts(line, SLICE_LIT("MAIL FROM:<")) ||
			slice_starts(line, SLICE_LIT("RCPT TO:<"));
		CHECK(known);
		out = slice_tail(out, n);
	}
}

static void run(int which, struct slice in, unsigned flags, bool drip)
{
	const struct probe_talk_setup setup = { .helo = SLICE_INIT("here.test"),
						.domain = SLICE_INIT("example.net"),
						.tls = flags & 1,
						.starttls = flags & 2,
						.mail = flags & 4,
						.relay = flags & 8 };
	struct probe_talk t;
	size_t tls = 0;

	memset(&ports[which], 0, sizeof(ports[which]));
	buf_reset(&said[which]);
	probe_talk_init(&t, &setup, &ports[which], 0);
	while (in.n > 0 && t.want != PROBE_TALK_CLOSE) {
		size_t n =
			t.want == PROBE_TALK_TLS ? 0 : probe_talk_feed(&t, drip ? slice_head(in, 1) : in, 0);

		in = slice_tail(in, n);
		buf_put(&said[which], probe_talk_output(&t));
		probe_talk_sent(&t, probe_talk_output(&t).n);
		if (t.want == PROBE_TALK_TLS) {
			CHECK(tls++ == 0 && !(flags & 1)); /* not within TLS again */
			probe_talk_tls_started(&t, 0);
			buf_put(&said[which], probe_talk_output(&t));
			probe_talk_sent(&t, probe_talk_output(&t).n);
		}
	}
	probe_talk_lost(&t, PROBE_END_CLOSED, "");
	CHECK(t.want == PROBE_TALK_CLOSE);
	CHECK(buf_ok(&t.output));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	const struct probe_port *p = &ports[0];

	if (size < 1 || size > 20000)
		return 0;
	for (int i = 0; i < 2; i++) {
		buf_init(&said[i], SAID_MAX);
		run(i, slice_tail(in, 1), data[0], i == 1);
	}
	CHECK(buf_ok(&said[0]) && slice_eq(buf_slice(&said[0]), buf_slice(&said[1])));
	/* What came with the greeting in one piece is kept, too: the rest must be the same. */
	ports[1].first_n = ports[0].first_n;
	memcpy(ports[1].first, ports[0].first, sizeof(ports[0].first));
	CHECK(memcmp(&ports[0], &ports[1], sizeof(ports[0])) == 0);
	only_what_it_may(buf_slice(&said[0]));
	clean(p->greeting.text, sizeof(p->greeting.text), false);
	clean(p->clear.lines, sizeof(p->clear.lines), true);
	clean(p->in_tls.lines, sizeof(p->in_tls.lines), true);
	clean(p->clear.auth, sizeof(p->clear.auth), false);
	clean(p->in_tls.extensions, sizeof(p->in_tls.extensions), false);
	/* A way to relay is tried only with --relay-test, MAIL only where it is wanted. */
	CHECK((data[0] & 8) || !p->relay[0][0].code);
	CHECK((data[0] & 4) || !p->mail.code);
	CHECK(!p->rcpt.code || p->mail.code / 100 == 2);
	for (int i = 0; i < 2; i++)
		buf_done(&said[i]);
	return 0;
}
