/* autoconfig_fuzz.c - whatever the file: each server found has a host and a port, and written as a file of
 * its own it is found again. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "probe/autoconfig.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static void escaped(struct buf *to, const char *s)
{
	for (; *s; s++)
		buf_fmt(to, *s == '<' || *s == '>' || *s == '&' || (unsigned char)*s < ' ' ? "&#%u;" : "%c",
			(unsigned)(unsigned char)*s);
}

static void check_again(const struct autoconfig_server *s)
{
	static const char *const socket[] = { "plain", "SSL", "STARTTLS" };
	struct autoconfig again = { 0 };
	struct buf b;

	buf_init(&b, 8192);
	buf_str(&b, "<clientConfig><outgoingServer type=\"smtp\"><hostname>");
	escaped(&b, s->host);
	buf_fmt(&b, "</hostname><port>%u</port><socketType>%s</socketType></outgoingServer></clientConfig>",
		s->port, socket[s->socket]);
	CHECK(buf_ok(&b));
	CHECK(!autoconfig_parse(buf_slice(&b), &again) && again.n == 1);
	CHECK(!strcmp(again.server[0].host, s->host));
	CHECK(again.server[0].port == s->port && again.server[0].socket == s->socket);
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct autoconfig a = { 0 };

	if (autoconfig_parse(slice_of(data, size), &a)) {
		CHECK(a.n == 0);
		return 0;
	}
	CHECK(a.n <= AUTOCONFIG_SERVERS_MAX);
	for (size_t i = 0; i < a.n; i++) {
		CHECK(a.server[i].host[0] && memchr(a.server[i].host, 0, sizeof(a.server[i].host)));
		CHECK(a.server[i].port > 0);
		check_again(&a.server[i]);
	}
	return 0;
}
