/* What no single directive of a route, source or reply can tell. */
#include "conf/directives.h"

#include <ctype.h>

#include "route/providers.h"

bool conf_day(const char *text, uint64_t *ret_ms)
{
	static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct slice s = slice_str(text);
	uint64_t year, month, day, n = 0;

	if (s.n != 10 || !cur_u64(&s, 9999, &year) || !cur_byte(&s, '-') || s.n != 5 ||
	    !cur_u64(&s, 12, &month) || !cur_byte(&s, '-') || s.n != 2 || !cur_u64(&s, 31, &day))
		return false;
	if (year < 1970 || month < 1 || day < 1)
		return false;
	for (uint64_t y = 1970; y < year; y++)
		n += y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) ? 366 : 365;
	for (uint64_t m = 1; m <= month; m++) {
		bool leap = m == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
		unsigned in_month = days[m - 1] + leap;

		if (m == month && day > in_month)
			return false;
		n += m == month ? day - 1 : in_month;
	}
	*ret_ms = n * UINT64_C(86400000);
	return true;
}

static void check_hosts(const struct conf_route *r, struct conf_findings *f)
{
	bool wants = r->via == CONF_VIA_HOST || r->via == CONF_VIA_SMARTHOST || r->via == CONF_VIA_LMTP;
	bool provider = r->via == CONF_VIA_SMARTHOST && r->provider[0];

	if (wants && r->n_hosts == 0 && !provider)
		conf_error(f, r->line, "routes.%s.hosts: required, to say where the mail goes%s", r->name,
			   r->via == CONF_VIA_SMARTHOST ? "; or name a provider" : "");
	if (!wants && r->n_hosts > 0)
		conf_error(f, r->line,
			   "routes.%s.hosts: only with via: host, smarthost or lmtp; without it they have no "
			   "effect",
			   r->name);
	if (r->provider[0] && (r->via != CONF_VIA_SMARTHOST || r->n_hosts > 0))
		conf_error(f, r->line, "routes.%s.provider: only with via: smarthost, and in place of hosts",
			   r->name);
	if (r->provider[0] && !route_provider(slice_str(r->provider)))
		conf_error(
			f, r->line,
			"routes.%s.provider: '%s' is not known; `postern route --providers` lists those that "
			"are, and any other works with hosts",
			r->name, r->provider);
	for (size_t i = 0; i < r->n_hosts; i++)
		if (strncmp(r->hosts[i], "unix:", 5) == 0 && r->via != CONF_VIA_LMTP)
			conf_error(f, r->line, "routes.%s.hosts: a Unix socket only with via: lmtp", r->name);
	if (r->via == CONF_VIA_REFUSE && !r->text[0])
		conf_error(f, r->line, "routes.%s.text: required for refuse: it is what the sender reads",
			   r->name);
}

/* A password goes to whom it is meant for, encrypted, or nowhere. */
static void check_login(const struct conf *conf, const struct conf_route *r, struct conf_findings *f)
{
	bool password = r->password_file[0] || r->n_password_command > 0;

	if (r->password_file[0] && r->n_password_command > 0)
		conf_error(f, r->line, "routes.%s.password_file: there is a password_command already",
			   r->name);
	if (r->password_file[0] && r->password_file[0] != '/')
		conf_error(f, r->line, "routes.%s.password_file: '%s' is not an absolute path", r->name,
			   r->password_file);
	if (r->n_password_command > 0 && r->password_command[0][0] != '/')
		conf_error(f, r->line,
			   "routes.%s.password_command: '%s' is not the absolute path of a program", r->name,
			   r->password_command[0]);
	if (r->user[0] && !password)
		conf_error(f, r->line,
			   "routes.%s.user: and no password; set password_file or password_command", r->name);
	if (!r->user[0] && password)
		conf_error(f, r->line, "routes.%s.user: required, to go with the password", r->name);
	if (r->user[0] && r->via != CONF_VIA_SMARTHOST)
		conf_error(f, r->line, "routes.%s.user: only with via: smarthost", r->name);
	if (r->user[0] && r->tls == CONF_ROUTE_TLS_OFF && conf->insecure_test_network)
		conf_warning(f, r->line, "routes.%s.tls: off sends the password in clear text", r->name);
	else if (r->user[0] && r->tls == CONF_ROUTE_TLS_OFF)
		conf_error(f, r->line,
			   "routes.%s.tls: off would send the password in clear text (insecure_test_network "
			   "allows it, in a closed test network)",
			   r->name);
	if (r->via == CONF_VIA_SMARTHOST && r->port == 25)
		conf_warning(f, r->line,
			     "routes.%s.port: 25 is for servers among each other, and often blocked; a smart "
			     "host takes mail on 587, 465 or 2525: leave it out",
			     r->name);
}

static bool is_source(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->n_sources; i++)
		if (!strcmp(conf->sources[i].pool, name) || !strcmp(conf->sources[i].name, name))
			return true;
	return false;
}

static void check_route(const struct conf *conf, const struct conf_route *r, struct conf_findings *f)
{
	check_hosts(r, f);
	check_login(conf, r, f);
	if (r->source[0] && !is_source(conf, r->source))
		conf_error(f, r->line, "routes.%s.source: there is no source or pool '%s'", r->name,
			   r->source);
	if (r->helo[0] && !conf_host_ok(slice_str(r->helo)))
		conf_error(f, r->line, "routes.%s.helo: '%s' is not a host name", r->name, r->helo);
	if (r->n_fingerprints > 0 && r->tls == CONF_ROUTE_TLS_OFF)
		conf_error(f, r->line, "routes.%s.fingerprints: without TLS there is no certificate",
			   r->name);
}

/* Two routes of which the second takes nothing are one too many. */
static void check_order(const struct conf *conf, struct conf_findings *f)
{
	for (size_t i = 0; i + 1 < conf->n_routes; i++) {
		const struct conf_route *r = &conf->routes[i];
		bool all = r->n_to == 0 || (r->n_to == 1 && !strcmp(r->to[0], "*"));

		if (!all || r->n_from > 0 || r->n_accounts > 0)
			continue;
		if (i + 2 < conf->n_routes || conf->routes[i + 1].line > 0)
			conf_warning(f, conf->routes[i + 1].line,
				     "routes.%s: takes nothing, for routes.%s before it takes all; change "
				     "their order",
				     conf->routes[i + 1].name, r->name);
		return;
	}
}

static void check_source(const struct conf_source *s, struct conf_findings *f)
{
	uint64_t day;

	if (s->n_addresses == 0)
		conf_error(f, s->line, "sources.%s.addresses: required", s->name);
	if (s->n_addresses == 2 && s->addresses[0].family == s->addresses[1].family)
		conf_error(f, s->line,
			   "sources.%s.addresses: two of the same family; make them two sources of one pool",
			   s->name);
	if (s->helo[0] && !conf_host_ok(slice_str(s->helo)))
		conf_error(f, s->line, "sources.%s.helo: '%s' is not a host name", s->name, s->helo);
	if (s->pool[0] && !conf_name_ok(slice_str(s->pool)))
		conf_error(f, s->line,
			   "sources.%s.pool: a name has up to 32 letters, digits, - and _, first a letter",
			   s->name);
	if (s->warm_up[0] && !conf_day(s->warm_up, &day))
		conf_error(f, s->line, "sources.%s.warm_up: '%s' is no day; write it as 2026-11-30", s->name,
			   s->warm_up);
	if (s->warm_up_first > s->warm_up_until)
		conf_error(f, s->line, "sources.%s.warm_up_first: is more than warm_up_until", s->name);
}

static void check_reply(const struct conf_reply *r, struct conf_findings *f)
{
	if (r->code != 0 && (r->code < 400 || r->code > 599))
		conf_error(f, r->line, "replies.%s.code: %u is no refusal; allowed: 400 to 599, or 0",
			   r->name, r->code);
	if (r->code == 0 && !r->enhanced[0] && !r->text[0])
		conf_error(f, r->line, "replies.%s: matches every answer; set code, enhanced or text",
			   r->name);
	for (const char *p = r->enhanced; *p; p++)
		if (!isdigit((unsigned char)*p) && *p != '.') {
			conf_error(f, r->line, "replies.%s.enhanced: '%s' is no enhanced code such as 4.7.1",
				   r->name, r->enhanced);
			break;
		}
}

void conf_check_routes(const struct conf *conf, struct conf_findings *f)
{
	for (size_t i = 0; i < conf->n_routes; i++)
		check_route(conf, &conf->routes[i], f);
	check_order(conf, f);
	for (size_t i = 0; i < conf->n_sources; i++)
		check_source(&conf->sources[i], f);
	for (size_t i = 0; i < conf->n_replies; i++)
		check_reply(&conf->replies[i], f);
	if (conf->relay_source[0] && !is_source(conf, conf->relay_source))
		conf_error(f, 0, "relay.source: there is no source or pool '%s'", conf->relay_source);
	if (conf->relay_ca_file[0] && conf->relay_ca_file[0] != '/')
		conf_error(f, 0, "relay.ca_file: '%s' is not an absolute path", conf->relay_ca_file);
}
