/* journey_fuzz.c - whatever a header holds: what is read of it is bounded, printable and ends; line ends of
 * the other kind change nothing; a Received field of ours is read as it was meant; a field put in front of it
 * changes nothing of what stood there, and what stands behind the header is never read. */
#include "mime/journey.h"

#include <string.h>

#include "base/buf.h"
#include "mime/received.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static void check_text(const char *s, size_t size)
{
	size_t n = strnlen(s, size);

	CHECK(n < size);
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		CHECK(c >= 0x20 && c != 0x7f);
		CHECK(c != 0xc2 || (unsigned char)s[i + 1] >= 0xa0);
	}
}

static void check(const struct mime_journey *j)
{
	CHECK(j->hops <= MIME_JOURNEY_HOPS && j->checks <= MIME_JOURNEY_CHECKS);
	CHECK(j->hops_more == 0 || j->hops == MIME_JOURNEY_HOPS);
	CHECK(j->checks_more == 0 || j->checks == MIME_JOURNEY_CHECKS);
	for (size_t i = 0; i < j->hops; i++) {
		const struct mime_hop *h = &j->hop[i];

		check_text(h->from, sizeof(h->from));
		check_text(h->address, sizeof(h->address));
		check_text(h->by, sizeof(h->by));
		check_text(h->with, sizeof(h->with));
		check_text(h->tls, sizeof(h->tls));
		CHECK(h->has_time || h->time_ms == 0);
	}
	for (size_t i = 0; i < j->checks; i++) {
		const struct mime_check *c = &j->check[i];
		struct buf b;

		check_text(c->by, sizeof(c->by));
		check_text(c->method, sizeof(c->method));
		check_text(c->result, sizeof(c->result));
		check_text(c->about, sizeof(c->about));
		check_text(c->reason, sizeof(c->reason));
		CHECK(c->method[0] && c->result[0]);
		for (const char *p = c->method; *p; p++)
			CHECK(*p < 'A' || *p > 'Z');
		buf_init(&b, 1024);
		mime_check_put(c, &b);
		CHECK(buf_ok(&b));
		buf_done(&b);
	}
}

/* The other kind of line ends.  A CR that stands alone is none. */
static void put_crlf(struct slice in, struct buf *to)
{
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\n' && (i == 0 || in.p[i - 1] != '\r'))
			buf_byte(to, '\r');
		buf_byte(to, in.p[i]);
	}
}

static void ours(const uint8_t *data, size_t n, struct buf *to, struct mime_received *r)
{
	static const char *const protocols[] = { "ESMTP", "ESMTPS", "ESMTPSA", "UTF8SMTPSA" };

	*r = (struct mime_received){ .helo = slice_of(data, n < 100 ? n : 100),
				     .ip = { .family = 4, .byte = { 192, 0, 2, data[0] } },
				     .hostname = SLICE_LIT("mx.example"),
				     .protocol = slice_str(protocols[data[0] % 4]),
				     .id = SLICE_LIT("1HCQ"),
				     .rcpt = data[0] & 8 ? SLICE_LIT("bob;x@example.org") : SLICE_LIT(""),
				     .time_ms = (uint64_t)data[0] << 36 };
	if (data[0] % 4 > 0) {
		r->tls_version = SLICE_LIT("TLSv1.3");
		r->tls_cipher = SLICE_LIT("TLS_AES_256_GCM_SHA384");
	}
	mime_received_put(r, to);
}

static void check_ours(const struct mime_hop *h, const struct mime_received *r)
{
	CHECK(!strcmp(h->by, "mx.example") && slice_eq(slice_str(h->with), r->protocol));
	CHECK(!strcmp(h->tls, r->tls_version.n ? "TLS 1.3" : ""));
	CHECK(h->has_time && h->time_ms == r->time_ms / 1000 * 1000);
	CHECK(!strncmp(h->address, "192.0.2.", 8) || h->from[0] == '[');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct mime_journey first, second;
	struct slice in = slice_of(data, n);
	struct mime_received r;
	struct buf b;

	if (n == 0 || n > 1 << 16)
		return 0;
	mime_journey_read(in, &first);
	check(&first);
	buf_init(&b, 1 << 18);
	put_crlf(in, &b);
	mime_journey_read(buf_slice(&b), &second);
	CHECK(!memcmp(&first, &second, sizeof(first)));
	buf_reset(&b);
	/* One of ours in front: it is the last of the way, and the others are as they were. */
	ours(data, n, &b, &r);
	if (data[0] != ' ' && data[0] != '\t') {
		buf_put(&b, in);
		mime_journey_read(buf_slice(&b), &second);
		CHECK(second.hops > 0);
		check_ours(&second.hop[second.hops - 1], &r);
		CHECK(second.hops + second.hops_more == first.hops + first.hops_more + 1);
		CHECK(second.checks == first.checks);
		if (first.hops < MIME_JOURNEY_HOPS)
			CHECK(!memcmp(second.hop, first.hop, first.hops * sizeof(first.hop[0])));
		CHECK(!memcmp(second.check, first.check, sizeof(first.check)));
	}
	/* And behind the end of the header. */
	buf_reset(&b);
	ours(data, n, &b, &r);
	buf_str(&b, "\r\n");
	buf_put(&b, in);
	mime_journey_read(buf_slice(&b), &second);
	CHECK(second.hops == 1 && second.checks == 0);
	buf_done(&b);
	return 0;
}
