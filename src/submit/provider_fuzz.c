/* provider_fuzz.c - a URL that is taken names no password and no port for servers, and says what it says: the
 * same server, written anew from what was read, is read as the same.  A provider that is known has a host and
 * a user, and the name that it says is its own.  What is refused leaves nothing behind. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "submit/provider.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

/* Between the scheme and the last @; false: there is no user. */
static bool raw_user(struct slice url, struct slice *ret)
{
	size_t slashes = slice_find(url, '/');
	struct slice rest = slice_tail(url, slashes + 2);
	size_t at = slice_rfind(rest, '@');

	*ret = slice_head(rest, at);
	return at < rest.n;
}

static void check_user(struct slice url, const struct provider *p)
{
	struct slice raw;

	for (const char *c = p->user; *c; c++)
		CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
	CHECK(raw_user(url, &raw) == (p->user[0] != '\0'));
	if (p->user[0])
		CHECK(slice_find(raw, ':') == raw.n && strlen(p->user) <= raw.n);
}

static void check_host(const struct provider *p)
{
	struct ip ip;
	bool address = ip_parse(slice_str(p->host), &ip);

	CHECK((p->host[0] == '\0') != (p->path[0] == '\0'));
	CHECK(address || !strpbrk(p->host, " /@:?#%[]\\\"'\r\n\t"));
	CHECK(p->port != 25 && (p->port != 465 || p->implicit_tls));
	CHECK(p->path[0] == '\0' ||
	      (p->path[0] == '/' && p->port == 0 && !p->implicit_tls && p->user[0] == '\0'));
}

static void write_anew(const struct provider *p, struct buf *to)
{
	bool six = strchr(p->host, ':') != NULL;

	if (p->path[0]) {
		buf_fmt(to, "unix:%s", p->path);
		return;
	}
	buf_str(to, p->implicit_tls ? "smtps://" : "smtp://");
	for (const char *c = p->user; *c; c++) /* each octet: the code's own choice of them is not copied */
		buf_fmt(to, "%%%02X", (unsigned char)*c);
	buf_fmt(to, "%s%s%s%s", p->user[0] ? "@" : "", six ? "[" : "", p->host, six ? "]" : "");
	if (p->port)
		buf_fmt(to, ":%u", p->port);
}

static void check_same(const struct provider *p)
{
	struct provider again;
	struct buf url;

	buf_init(&url, 8192);
	write_anew(p, &url);
	CHECK(buf_ok(&url) && !provider_url(buf_slice(&url), &again));
	CHECK(strcmp(p->host, again.host) == 0 && strcmp(p->user, again.user) == 0 &&
	      strcmp(p->path, again.path) == 0);
	CHECK(p->port == again.port && p->implicit_tls == again.implicit_tls);
	buf_done(&url);
}

/* A line that names it, and one with the user. */
static void check_known(struct slice in)
{
	struct slice name = slice_head(in, slice_find(in, '\n')), user = slice_tail(in, name.n + 1);
	struct provider p, before, again;
	const char *why;

	memset(&p, 0x5a, sizeof(p));
	before = p;
	why = provider_known(name, user, &p);
	if (why) {
		CHECK(*why && memcmp(&p, &before, sizeof(p)) == 0);
		return;
	}
	CHECK(p.known && p.host[0] && p.user[0] && !p.path[0] && p.port == 0 && !p.implicit_tls);
	for (const char *c = p.user; *c; c++)
		CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
	CHECK(user.n == 0 || strncmp(p.user, (const char *)user.p, user.n) == 0);
	CHECK(!provider_known(slice_str(p.known), slice_str(p.user), &again));
	CHECK(!strcmp(again.host, p.host) && !strcmp(again.user, p.user) && again.known == p.known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice url = slice_of(data, n);
	struct provider p, before;
	const char *why;

	check_known(url);
	memset(&p, 0x5a, sizeof(p));
	before = p;
	why = provider_url(url, &p);
	if (why) {
		CHECK(*why && memcmp(&p, &before, sizeof(p)) == 0);
		return 0;
	}
	check_host(&p);
	if (p.path[0] == '\0')
		check_user(url, &p);
	check_same(&p);
	return 0;
}
