/* postern check: which ports of a host are open, what each offers, and which to use. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "check/check.h"
#include "check/find.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/net.h"

#define EXPECTS_MAX 16

struct options {
	uint16_t port[CHECK_PORTS_MAX];
	size_t n_ports;
	bool json, verbose, ipv4, ipv6, old, relay, mx, host, local, ask;
	unsigned timeout_s;
	struct endpoint control;
	struct cli_net_setup net;
	struct probe_expect expect[EXPECTS_MAX];
	size_t n_expect;
	const char *explain; /* --explain: no host is looked at */
	struct check_config config;
	struct check_logins logins;
};

struct run {
	struct check *check;
	bool shows, over, failed;
	uv_loop_t *loop;
	struct find *find[CHECK_HOSTS_MAX];
	size_t n_finds, finding;
	char note[CHECK_HOSTS_MAX][200];
	size_t n_notes;
};

/* ---- options ---- */

static bool add_port(struct options *o, uint16_t port)
{
	for (size_t i = 0; i < o->n_ports; i++)
		if (o->port[i] == port)
			return true;
	if (o->n_ports == CHECK_PORTS_MAX)
		return false;
	o->port[o->n_ports++] = port;
	return true;
}

/* "465,587" */
static bool parse_ports(const char *text, struct options *o)
{
	struct slice s = slice_str(text);
	uint64_t port;

	do
		if (!cur_u64(&s, 65535, &port) || port == 0 || !add_port(o, (uint16_t)port))
			return false;
	while (cur_byte(&s, ','));
	return s.n == 0;
}

static bool parse_seconds(const char *text, unsigned *ret)
{
	struct slice s = slice_str(text);
	uint64_t n;

	if (!cur_u64(&s, 300, &n) || n == 0)
		return false;
	(void)cur_byte(&s, 's');
	*ret = (unsigned)n;
	return s.n == 0;
}

static bool parse_dns(const char *text, struct options *o)
{
	struct resolve_server *to = &o->net.dns[o->net.n_dns];
	struct endpoint e = { .port = 53 };

	if (o->net.n_dns == RESOLVE_SERVERS_MAX)
		return false;
	if (!ip_parse(slice_str(text), &e.ip) && (!endpoint_parse(slice_str(text), &e) || e.path[0]))
		return false;
	*to = (struct resolve_server){ e.ip, e.port };
	o->net.n_dns++;
	return true;
}

static const struct option long_options[] = {
	{ "port", required_argument, NULL, 'p' },
	{ "expect", required_argument, NULL, 'e' },
	{ "timeout", required_argument, NULL, 't' },
	{ "no-old-tls", no_argument, NULL, 'o' },
	{ "relay-test", no_argument, NULL, 'r' },
	{ "control", required_argument, NULL, 'c' },
	{ "dns", required_argument, NULL, 'd' },
	{ "ca-file", required_argument, NULL, 'a' },
	{ "trust-anchors", required_argument, NULL, 'k' },
	{ "mx", no_argument, NULL, 'm' },
	{ "host", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, 'j' },
	{ "explain", required_argument, NULL, 'x' },
	{ "local", no_argument, NULL, 'l' },
	{ "ask", no_argument, NULL, 'A' },
	{ "config", required_argument, NULL, 'C' },
	{ "use", required_argument, NULL, 'U' },
	{ "user", required_argument, NULL, 'u' },
	{ "login", required_argument, NULL, 'L' },
	{ "password-file", required_argument, NULL, 'P' },
	{ "mechanism", required_argument, NULL, 'M' },
	{ "from", required_argument, NULL, 'f' },
	{ "pin", required_argument, NULL, 'i' },
	{ "verbose", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 },
};

static int ports_options(struct options *o)
{
	for (size_t i = 0; i < o->n_expect; i++)
		if (!add_port(o, o->expect[i].port))
			return cli_usage("check", "more than %d ports", CHECK_PORTS_MAX);
	if (o->n_ports == 0) {
		static const uint16_t all[] = { 25, 465, 587, 2525 };

		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			add_port(o, all[i]);
	}
	return CLI_OK;
}

/* CLI_OK, or the status to end with. */
static int login_options(const struct options *o)
{
	const char *wrong = check_logins_wrong(&o->logins);

	if (wrong)
		return cli_usage("check", "%s", wrong);
	if (o->logins.user && (o->mx || o->explain || o->config.program || o->local))
		return cli_usage("check", "--login goes without --mx, --explain, --config and --local");
	for (size_t i = 0; i < o->n_expect; i++)
		if (!o->logins.user && probe_expect_wants_login(&o->expect[i]))
			return cli_usage("check", "that a login is expected needs --login USER");
	return CLI_OK;
}

/* --config, with --use or hosts to look at. */
static int config_options(int argc, char **argv, struct options *o)
{
	struct check_config *c = &o->config;
	const char *wrong;

	if (!c->program)
		return cli_usage("check", "--use and --user belong to --config");
	if (o->mx || o->n_expect > 0)
		return cli_usage("check", "--config is for applications: without --mx and --expect");
	if (strcmp(c->program, "list") == 0)
		return CLI_OK;
	if ((optind == argc) == !c->use)
		return cli_usage("check", "--config needs a host to look at, or --use");
	for (int i = optind; i < argc && !c->user; i++)
		if (strchr(argv[i], '@'))
			c->user = argv[i];
	wrong = check_config_wrong(c);
	return wrong ? cli_usage("check", "%s", wrong) : ports_options(o);
}

/* --local looks at files: what is for hosts does not go with it. */
static int local_options(const struct options *o)
{
	if (o->n_ports > 0 || o->n_expect > 0 || o->mx || o->host || o->relay || o->explain ||
	    o->config.program)
		return cli_usage("check",
				 "--local looks at files: of the options only --ask, --json, --timeout, "
				 "-4, -6, --dns and --ca-file go with it");
	return CLI_OK;
}

/* CLI_OK, or the status to end with. */
static int parse_options(int argc, char **argv, struct options *o)
{
	const char *wrong;
	int c;

	*o = (struct options){ .ipv4 = true, .ipv6 = true, .old = true, .timeout_s = 8 };
	while ((c = getopt_long(argc, argv, "46p:e:jv", long_options, NULL)) != -1) {
		bool good = true;

		switch (c) {
		case '4':
			o->ipv6 = false;
			break;
		case '6':
			o->ipv4 = false;
			break;
		case 'p':
			good = parse_ports(optarg, o);
			break;
		case 'e':
			if (o->n_expect == EXPECTS_MAX)
				return cli_usage("check", "more than %d --expect", EXPECTS_MAX);
			wrong = probe_expect_parse(slice_str(optarg), &o->expect[o->n_expect]);
			if (wrong)
				return cli_usage("check", "--expect %s: %s", optarg, wrong);
			o->n_expect++;
			break;
		case 't':
			good = parse_seconds(optarg, &o->timeout_s);
			break;
		case 'o':
			o->old = false;
			break;
		case 'r':
			o->relay = true;
			break;
		case 'c':
			good = endpoint_parse(slice_str(optarg), &o->control) && !o->control.path[0];
			break;
		case 'd':
			good = parse_dns(optarg, o);
			break;
		case 'a':
			o->net.ca_file = optarg;
			break;
		case 'k':
			o->net.anchors_file = optarg;
			break;
		case 'm':
			o->mx = true;
			break;
		case 'h':
			o->host = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'x':
			o->explain = optarg;
			break;
		case 'l':
			o->local = true;
			break;
		case 'A':
			o->ask = true;
			break;
		case 'C':
			o->config.program = optarg;
			break;
		case 'U':
			o->config.use = optarg;
			break;
		case 'u':
			o->config.user = optarg;
			break;
		case 'v':
			o->verbose = true;
			break;
		case '?':
			return cli_usage_only("check");
		default:
			good = check_logins_option(c, optarg, &o->logins);
		}
		if (!good)
			return cli_usage("check", "%s: not understood", optarg);
	}
	if (!o->ipv4 && !o->ipv6)
		return cli_usage("check", "-4 and -6 exclude each other");
	if (login_options(o) != CLI_OK)
		return CLI_USAGE;
	if (o->local)
		return local_options(o);
	if (o->explain)
		return optind == argc && *o->explain
			       ? CLI_OK
			       : cli_usage("check", "--explain takes one text: put it in quotes, or give - "
						    "and the text on standard input");
	if (o->ask)
		return cli_usage("check", "--ask belongs to --local");
	if (o->config.program || o->config.use || o->config.user)
		return config_options(argc, argv, o);
	if (optind == argc)
		return cli_usage("check", "which host?");
	return ports_options(o);
}

/* ---- the run ---- */

static void on_progress(void *arg, const struct check *c)
{
	const struct run *r = arg;
	size_t all, done;

	check_count(c, &all, &done);
	if (r->shows)
		fprintf(stderr, "\r\033[K%zu of %zu looked at", done, all);
}

static void on_done(void *arg, struct check *c)
{
	struct run *r = arg;

	(void)c;
	r->over = true;
	uv_stop(r->loop);
}

/* Of what the DNS says about one argument; when it was the last, it begins. */
static void on_found(void *arg, const char *note)
{
	struct run *r = arg;

	if (note[0] && r->n_notes < CHECK_HOSTS_MAX)
		snprintf(r->note[r->n_notes++], sizeof(r->note[0]), "%s", note);
	if (--r->finding > 0)
		return;
	r->n_finds = 0;
	if (check_run(r->check) < 0) {
		r->failed = true;
		uv_stop(r->loop);
	}
}

/* "smtps://user@mail.example.org:465/", as programs have it in their settings, is mail.example.org:465.  Of
 * another service's URL the host counts, and not its port. */
static void strip_url(char *text)
{
	static const char *const schemes[] = { "smtp://", "smtps://", "submission://", "submissions://" };
	char *host = strstr(text, "://"), *user, *colon;
	bool mail = false;

	if (!host || strcspn(text, "/@[") < (size_t)(host - text))
		return;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		mail = mail || !strncasecmp(text, schemes[i], strlen(schemes[i]));
	host += strlen("://");
	host[strcspn(host, "/?#")] = '\0';
	user = strrchr(host, '@');
	host = user ? user + 1 : host;
	colon = strrchr(host, ':');
	if (!mail && colon && !strchr(colon, ']'))
		*colon = '\0';
	memmove(text, host, strlen(host) + 1);
}

/* "[2001:db8::1]" is 2001:db8::1. */
static void strip_brackets(char *text)
{
	size_t n = strlen(text);

	if (n < 2 || text[0] != '[' || text[n - 1] != ']')
		return;
	text[n - 1] = '\0';
	memmove(text, text + 1, n - 1);
}

/* "smtp.example.org:465": the one port. */
static bool split(char *text, uint16_t *ret_port)
{
	char *colon;
	struct slice s;
	uint64_t port;
	struct ip ip;

	*ret_port = 0;
	strip_url(text);
	colon = strrchr(text, ':');
	if (!colon || strchr(colon, ']') || ip_parse(slice_str(text), &ip)) {
		strip_brackets(text);
		return true;
	}
	s = slice_str(colon + 1);
	if (!cur_u64(&s, 65535, &port) || port == 0 || s.n > 0)
		return false;
	*colon = '\0';
	*ret_port = (uint16_t)port;
	strip_brackets(text);
	return true;
}

static void judge(const struct check *c, const struct options *o, struct check_result *r)
{
	struct probe_facts facts = { .now = time(NULL), .as_server = o->mx };

	probe_findings_done(&r->found); /* of the time before the logins */
	r->hosts = check_hosts(c, &r->n);
	r->control = check_control(c);
	r->now = facts.now;
	r->expect = o->expect;
	r->n_expect = o->n_expect;
	r->mx = o->mx;
	for (size_t h = 0; h < r->n; h++)
		for (size_t p = 0; p < r->hosts[h].n; p++)
			probe_judge(&r->hosts[h], h, p, &facts, &r->found);
	probe_judge_across(r->hosts, r->n, r->control, &r->found);
	probe_verdict(r->hosts, r->n, &r->found, &r->verdict);
}

static enum probe_level worst_of(const struct check_result *r)
{
	enum probe_level worst = PROBE_GOOD;

	for (size_t i = 0; i < r->found.n; i++)
		if (r->found.f[i].level > worst)
			worst = r->found.f[i].level;
	return worst;
}

static int show(const struct check_result *r, const struct options *o)
{
	size_t unmet = check_expectations(r, NULL, NULL);

	if (o->config.program)
		return check_config_found(&o->config, r, o->json);
	if (o->json) {
		json_t *j = check_json(r);

		if (!j || json_dumpf(j, stdout, JSON_INDENT(1)) < 0) {
			fprintf(stderr, "postern check: out of memory\n");
			json_decref(j);
			return CLI_FAILED;
		}
		putchar('\n');
		json_decref(j);
	} else {
		check_print(r, isatty(STDOUT_FILENO) && !getenv("NO_COLOR"), o->verbose);
	}
	if (r->n_expect > 0)
		return unmet == 0 ? CLI_OK : CLI_FAILED;
	if (o->mx) /* every host is to be as it should */
		return worst_of(r) < PROBE_PROBLEM && r->n > 0 ? CLI_OK : CLI_FAILED;
	if (r->logins && !check_logins_good(r))
		return CLI_FAILED;
	return r->verdict.answer == PROBE_USE || (r->logins && r->verdict.answer == PROBE_USE_PINNED)
		       ? CLI_OK
		       : CLI_FAILED;
}

/* What each argument stands for is asked of the DNS. */
static int begin(struct cli_net *net, const struct options *o, char **hosts, size_t n, struct run *r)
{
	const struct find_setup setup = { .loop = &net->loop,
					  .resolve = net->resolve,
					  .authorities = buf_slice(&net->authorities),
					  .timeout_ms = o->timeout_s * 1000,
					  .mx = o->mx,
					  .host = o->host };

	if (n > CHECK_HOSTS_MAX)
		return cli_usage("check", "more than %d hosts", CHECK_HOSTS_MAX);
	for (size_t i = 0; i < n; i++) {
		uint16_t port;
		struct ip ip;
		int err;

		if (!split(hosts[i], &port))
			return cli_usage("check", "'%s': behind the colon stands no port (1 to 65535)",
					 hosts[i]);
		if (o->mx && ip_parse(slice_str(hosts[i]), &ip))
			return cli_usage("check",
					 "%s is an address, and --mx looks at the mail servers of a domain; "
					 "without --mx it is looked at itself",
					 hosts[i]);
		err = find_begin(&setup, r->check, hosts[i], port, on_found, r, &r->find[r->n_finds]);
		if (err == -EINVAL)
			return cli_usage("check", "'%s': neither a host nor an address", hosts[i]);
		if (err < 0) {
			r->failed = true;
			break;
		}
		r->n_finds++;
		r->finding++;
	}
	return CLI_OK;
}

static int run(struct cli_net *net, const struct options *o, char **hosts, size_t n)
{
	struct run r = { .shows = isatty(STDERR_FILENO) && !o->json, .loop = &net->loop };
	struct check_setup setup = {
		.look = { .loop = &net->loop,
			  .tls = net->tls,
			  .resolve = net->resolve,
			  .helo = net->hostname,
			  .connect_ms = o->timeout_s * 1000,
			  .reply_ms = o->timeout_s * 1000,
			  .old = o->old,
			  .as_server = o->mx,
			  .relay = o->relay },
		.resolve = net->resolve,
		.n_ports = o->n_ports,
		.ipv4 = o->ipv4,
		.ipv6 = o->ipv6,
		.control = o->control.ip,
		.control_port = o->control.port,
		.progress = on_progress,
		.done = on_done,
		.arg = &r,
	};
	struct check_result result = { 0 };
	uint64_t began_ms = uv_hrtime() / 1000000;
	int status = CLI_OK;

	memcpy(setup.port, o->port, sizeof(setup.port));
	r.check = check_new(&setup);
	if (!r.check) {
		fprintf(stderr, "postern check: out of memory\n");
		return CLI_FAILED;
	}
	status = begin(net, o, hosts, n, &r);
	if (status == CLI_OK) {
		uv_run(&net->loop, UV_RUN_DEFAULT);
		if (r.shows)
			fprintf(stderr, "\r\033[K");
	}
	if (r.failed) {
		fprintf(stderr, "postern check: out of memory\n");
		status = CLI_FAILED;
	}
	if (status == CLI_OK) {
		judge(r.check, o, &result);
		if (o->logins.user) {
			result.logins = &o->logins;
			check_logins_run(&o->logins, net, o->timeout_s, &result);
			judge(r.check, o, &result);
		}
		result.took_ms = uv_hrtime() / 1000000 - began_ms;
		for (size_t i = 0; i < r.n_notes; i++)
			result.note[result.n_notes++] = r.note[i];
		status = show(&result, o);
	}
	for (size_t i = 0; i < r.n_finds; i++)
		find_cancel(r.find[i]);
	probe_findings_done(&result.found);
	check_free(r.check);
	return status;
}

int cli_check(int argc, char **argv)
{
	struct options o;
	struct cli_net net;
	int status = parse_options(argc, argv, &o);

	if (status != CLI_OK)
		return status;
	if (o.explain)
		return check_explain(o.explain, o.json, o.verbose);
	if (o.local)
		return check_local(&(struct check_local_setup){ .json = o.json,
								.ask = o.ask,
								.ipv4 = o.ipv4,
								.ipv6 = o.ipv6,
								.timeout_s = o.timeout_s,
								.net = &o.net },
				   argv + optind, (size_t)(argc - optind));
	if (o.config.program && strcmp(o.config.program, "list") == 0)
		return check_config_list();
	if (o.config.use)
		return check_config_given(&o.config, o.json);
	if (o.logins.user && !check_logins_read(&o.logins)) {
		buf_wipe(&o.logins.secret);
		return CLI_FAILED;
	}
	status = CLI_FAILED;
	if (cli_net_open(&net, "check", &o.net)) {
		status = run(&net, &o, argv + optind, (size_t)(argc - optind));
		cli_net_close(&net);
	}
	buf_wipe(&o.logins.secret);
	return status;
}
