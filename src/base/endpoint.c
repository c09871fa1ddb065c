#include "base/endpoint.h"

#include <stdio.h>

static bool parse_port(struct slice text, uint16_t *ret)
{
	uint64_t port;

	if (!cur_u64(&text, 65535, &port) || text.n > 0 || port == 0)
		return false;
	*ret = (uint16_t)port;
	return true;
}

bool endpoint_parse(struct slice text, struct endpoint *ret)
{
	struct endpoint e = { 0 };
	struct slice host, port = text;

	if (cur_word(&text, SLICE_LIT("unix:"))) {
		if (text.n == 0 || text.p[0] != '/' || !slice_copy(text, e.path, sizeof(e.path)))
			return false;
		*ret = e;
		return true;
	}
	if (cur_byte(&port, '[')) {
		if (!cur_until(&port, ']', &host) || !cur_byte(&port, ':') || !ip_parse(host, &e.ip) ||
		    e.ip.family != 6)
			return false;
	} else if (!cur_until(&port, ':', &host) || !ip_parse(host, &e.ip) || e.ip.family != 4) {
		return false;
	}
	if (!parse_port(port, &e.port))
		return false;
	*ret = e;
	return true;
}

const char *endpoint_format(const struct endpoint *e, char text[static ENDPOINT_TEXT_MAX])
{
	char ip[IP_TEXT_MAX];

	if (e->path[0])
		snprintf(text, ENDPOINT_TEXT_MAX, "unix:%s", e->path);
	else
		snprintf(text, ENDPOINT_TEXT_MAX, e->ip.family == 6 ? "[%s]:%u" : "%s:%u",
			 ip_format(&e->ip, ip), e->port);
	return text;
}
