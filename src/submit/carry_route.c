/* The configuration that the lanes get: a single route, to the provider. */
#include "submit/carry_private.h"

#include <errno.h>

#include "conf/directives.h"

#define CONF_ROOM 65536U

/* "name: text", as JSON and YAML both have it; not by jansson, which without memory leaves texts out. */
static void put(struct buf *b, const char *name, const char *text)
{
	buf_fmt(b, ", \"%s\": ", name);
	conf_quote_always(slice_str(text), b);
}

static void put_route(const struct carry_setup *s, struct buf *b)
{
	const struct provider *p = s->provider;
	char path[ENDPOINT_TEXT_MAX];

	buf_str(b, "\"to\": \"*\"");
	if (p->path[0]) { /* it says which path; that SMTP is spoken there, the lane is told */
		snprintf(path, sizeof(path), "unix:%s", p->path);
		put(b, "via", "lmtp");
		put(b, "hosts", path);
		put(b, "tls", "off");
		return;
	}
	put(b, "via", "smarthost");
	put(b, p->known ? "provider" : "hosts", p->known ? p->known : p->host);
	put(b, "tls", "verify");
	if (p->port > 0)
		buf_fmt(b, ", \"port\": %u", p->port);
	for (size_t i = 0; i < s->pins; i++) {
		buf_str(b, i == 0 ? ", \"fingerprints\": [" : ", ");
		conf_quote_always(slice_str(s->pin[i]), b);
	}
	buf_str(b, s->pins > 0 ? "]" : "");
	if (!p->user[0])
		return;
	put(b, "user", p->user);
	/* Must be there, and is read by main only: ours comes by send_secret(). */
	put(b, "password_file", "/dev/null");
	if (s->mechanism)
		put(b, "mechanism", s->mechanism);
}

/* DANE is for mail between servers, whose names the DNS gives; here the user names the server, and its
 * certificate must show that name. */
int carry_configure(const struct carry_setup *s, struct conf **ret)
{
	struct conf_setup setup = { .file = "submission", .root = true };
	struct conf_finding *findings = NULL;
	struct buf text;
	int r = -ENOMEM;

	buf_init(&text, CONF_ROOM);
	buf_str(&text, "{\"hostname\": \"client.invalid\", \"relay\": {\"dane\": \"no\"}, \"routes\": "
		       "{\"" CARRY_ROUTE "\": {");
	put_route(s, &text);
	buf_str(&text, "}}}");
	if (buf_ok(&text))
		r = conf_parse(buf_slice(&text), &setup, ret, &findings);
	conf_findings_free(findings);
	buf_done(&text);
	if (r == 0)
		(*ret)->routes[0].implicit_tls = s->provider->implicit_tls;
	return r;
}
