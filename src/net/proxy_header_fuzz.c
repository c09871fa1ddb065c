/* However TCP cuts a header, the verdict and what it means are the same, and no further
 * byte changes them.  What was understood is what stands there: a version 1 header with
 * IPv4 addresses can be written again, octet for octet, and the addresses of version 2
 * lie at fixed places.  No header is longer than its ceiling, and none is shorter than
 * what was told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct proxy_header *a, const struct proxy_header *b)
{
	return a->n == b->n && a->version == b->version && a->anonymous == b->anonymous &&
	       a->local == b->local && a->tls == b->tls && ip_eq(&a->client, &b->client) &&
	       ip_eq(&a->server, &b->server) && a->client_port == b->client_port &&
	       a->server_port == b->server_port && a->why == b->why;
}

/* Returns at which length it was decided. */
static size_t check_cuts(struct slice in, enum proxy_header_step whole, const struct proxy_header *h)
{
	size_t decided = SIZE_MAX;

	for (size_t n = 0; n <= in.n && n <= PROXY_HEADER_V2_MAX + 1; n++) {
		struct proxy_header part = { 0 };
		enum proxy_header_step step = proxy_header_parse(slice_head(in, n), &part);

		if (step == PROXY_HEADER_MORE && (decided != SIZE_MAX || n >= PROXY_HEADER_V2_MAX))
			abort();
		if (step == PROXY_HEADER_MORE)
			continue;
		if (step != whole || !same(&part, h))
			abort();
		if (decided == SIZE_MAX)
			decided = n;
	}
	return decided;
}

static void check_v1(struct slice header, const struct proxy_header *h)
{
	char client[IP_TEXT_MAX], server[IP_TEXT_MAX], again[160];

	if (h->n > PROXY_HEADER_V1_MAX || memcmp(header.p + header.n - 2, "\r\n", 2) != 0)
		abort();
	if (h->anonymous != slice_starts(header, SLICE_LIT("PROXY UNKNOWN")))
		abort();
	if (!slice_starts(header, SLICE_LIT("PROXY TCP4 ")))
		return;
	snprintf(again, sizeof(again), "PROXY TCP4 %s %s %u %u\r\n", ip_format(&h->client, client),
		 ip_format(&h->server, server), h->client_port, h->server_port);
	if (!slice_eq(slice_str(again), header))
		abort();
}

static void check_v2(struct slice header, const struct proxy_header *h)
{
	const unsigned char *p = header.p;

	if (h->n != 16U + p[14] * 256U + p[15] || h->n > PROXY_HEADER_V2_MAX || p[12] >> 4 != 2)
		abort();
	if (h->local != (p[12] == 0x20) || (h->local && !h->anonymous))
		abort();
	if (!h->anonymous && p[13] != 0x11 && p[13] != 0x21)
		abort();
	if (h->anonymous || p[13] != 0x11)
		return;
	if (h->client.family != 4 || memcmp(h->client.byte, p + 16, 4) != 0 ||
	    memcmp(h->server.byte, p + 20, 4) != 0 || h->client_port != p[24] * 256U + p[25] ||
	    h->server_port != p[26] * 256U + p[27] || h->n < 28)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct proxy_header h = { 0 };
	enum proxy_header_step step = proxy_header_parse(in, &h);
	size_t decided = check_cuts(in, step, &h);

	if (step == PROXY_HEADER_MORE)
		return 0;
	if ((step == PROXY_HEADER_DONE) != (h.why == NULL))
		abort();
	if (step != PROXY_HEADER_DONE)
		return 0;
	if (decided != h.n || !proxy_header_begins(in))
		abort();
	if (h.version == 1)
		check_v1(slice_head(in, h.n), &h);
	else
		check_v2(slice_head(in, h.n), &h);
	return 0;
}
