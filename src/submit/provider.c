#include "submit/provider.h"

#include <string.h>

#include "route/providers.h"

static int hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Nothing that could be taken for another line, or for an end. */
static const char *take_user(struct slice in, char to[static PROVIDER_USER_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = in.p[i];

		if (c == ':')
			return "a password in a URL can be read by every user of this machine; leave it out, "
			       "and "
			       "give it in a file or at the prompt (a colon that belongs to the user is "
			       "written "
			       "%3A)";
		if (c == '%') {
			int high = i + 2 < in.n ? hex(in.p[i + 1]) : -1;
			int low = i + 2 < in.n ? hex(in.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return "after % stand two hexadecimal digits; a % that is meant is written "
				       "%25";
			c = (unsigned char)((unsigned)high << 4 | (unsigned)low);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f)
			return "the user has a control character in it";
		if (n == PROVIDER_USER_MAX)
			return "the user is too long";
		to[n++] = (char)c;
	}
	to[n] = '\0';
	return n > 0 ? NULL : "before the @ stands no user";
}

static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if ((c < '0' || c > '9') && ((c | 0x20) < 'a' || (c | 0x20) > 'z') && c != '-' && c != '.' &&
		    c < 0x80)
			return false;
	}
	return s.n > 0 && s.p[0] != '-' && s.p[0] != '.';
}

/* "mail.example.org", "192.0.2.1", "[2001:db8::1]"; moves behind it. */
static const char *take_host(struct slice *cur, char to[static 256])
{
	struct slice host;
	struct ip ip;

	if (cur_byte(cur, '[')) {
		if (!cur_until(cur, ']', &host) || !slice_copy(host, to, 256) || !ip_parse(host, &ip))
			return "between [ and ] stands no address";
		return NULL;
	}
	host = slice_head(*cur, slice_find(*cur, ':'));
	*cur = slice_tail(*cur, host.n);
	if (host.n == 0)
		return "it names no host";
	if (!is_name(host) || !slice_copy(host, to, 256))
		return "what stands there is no name of a host";
	return NULL;
}

static const char *take_port(struct slice text, struct provider *p)
{
	uint64_t port;

	if (!cur_byte(&text, ':'))
		return text.n == 0 ? NULL : "behind the host stands something that is no port";
	if (!cur_u64(&text, 65535, &port) || port == 0 || text.n > 0)
		return "after the colon stands no port";
	if (port == 25)
		return "port 25 is for servers among each other, and takes no logins; leave the port out";
	if (port == 465 && !p->implicit_tls)
		return "465 has TLS from the first octet: write smtps://, or leave the port out";
	p->port = (uint16_t)port;
	return NULL;
}

static const char *take_server(struct slice s, struct provider *p)
{
	size_t at = slice_rfind(s, '@');
	const char *why = NULL;

	if (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	if (slice_find(s, '/') < s.n || slice_find(s, '?') < s.n || slice_find(s, '#') < s.n)
		return "nothing may stand behind the host and its port";
	if (at < s.n) {
		why = take_user(slice_head(s, at), p->user);
		s = slice_tail(s, at + 1);
	}
	if (!why)
		why = take_host(&s, p->host);
	return why ? why : take_port(s, p);
}

const char *provider_url(struct slice url, struct provider *ret)
{
	struct provider p = { 0 };
	const char *why = NULL;

	if (cur_word(&url, SLICE_LIT("unix:"))) {
		if (url.n < 2 || url.p[0] != '/' || !slice_copy(url, p.path, sizeof(p.path)))
			why = "behind unix: stands the whole path of a socket, of 107 octets at most";
	} else if (cur_word(&url, SLICE_LIT("smtps://"))) {
		p.implicit_tls = true;
		p.port = 465;
		why = take_server(url, &p);
	} else if (cur_word(&url, SLICE_LIT("smtp://"))) {
		why = take_server(url, &p);
	} else {
		why = "a URL begins with smtp://, smtps:// or unix:/";
	}
	if (!why)
		*ret = p;
	explicit_bzero(&p, sizeof(p));
	return why;
}

/* ---- by name ---- */

/* What its users log in with, of an address: all of it, or what is before the @; "" where that is no address.
 */
static struct slice user_of(const struct route_provider *known, struct slice address)
{
	struct slice wants = slice_str(known->user);
	size_t at = slice_rfind(address, '@');

	if (cur_word(&wants, SLICE_LIT("the word "))) /* the same for everybody */
		return wants;
	if (at == 0 || at >= address.n)
		return SLICE_LIT("");
	if (slice_eq(wants, SLICE_LIT("the part before the @")))
		return slice_head(address, at);
	return slice_eq(wants, SLICE_LIT("the whole address")) ? address : SLICE_LIT("");
}

static bool has_control(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

const char *provider_known(struct slice name, struct slice user, struct provider *ret)
{
	struct provider p = { 0 };
	size_t at = slice_rfind(name, '@');
	const struct route_provider *known = at < name.n ? NULL : route_provider(name);

	if (!known)
		known = route_provider_of_domain(at < name.n ? slice_tail(name, at + 1) : name);
	if (!known)
		return "no such provider is known; `postern route --providers` lists those that are, and any "
		       "other "
		       "server is named by --url smtp://HOST";
	if (user.n == 0)
		user = user_of(known, name);
	if (user.n == 0)
		return "as which user? --user USER";
	if (user.n > PROVIDER_USER_MAX || has_control(user))
		return "the user is too long, or has a control character in it";
	(void)slice_copy(slice_str(known->host), p.host, sizeof(p.host));
	(void)slice_copy(user, p.user, sizeof(p.user));
	p.known = known->name;
	*ret = p;
	explicit_bzero(&p, sizeof(p));
	return NULL;
}
