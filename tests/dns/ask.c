/* ask.c - asks the resolver, for tests: each line of standard input is a question.
 *
 *	dns-ask [-s SERVER]... [-a ANCHORS] [-r RESOLV.CONF] [-h HOSTS] [-t MS] [-R yes|no] [-v yes|no] [-w]
 *
 *	MX example.test              one question; several lines are asked at once
 *	host A mail                  as a host of the configuration
 *	status                       where it asks, when all before it is answered
 *	sleep 500                    milliseconds
 *
 * An answer is a line of JSON.  -w: behind the walls of the smtp role.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <strings.h>

#include "base/endpoint.h"
#include "resolve/resolve.h"
#include "sandbox/sandbox.h"

static struct {
	uv_loop_t loop;
	struct resolve *r;
	unsigned open;
} world;

struct question {
	struct dns_question q;
	uint64_t begun;
};

static void *file(const char *path, struct slice *ret)
{
	size_t size = 1 << 20, n;
	char *p = malloc(size);
	FILE *f = fopen(path, "r");

	if (!f) {
		perror(path);
		exit(1);
	}
	n = fread(p, 1, size, f);
	fclose(f);
	*ret = slice_of(p, n);
	return p;
}

static json_t *record(enum dns_type type, const struct dns_record *r)
{
	char text[IP_TEXT_MAX], hex[2048];

	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		return json_string(ip_format(&r->ip, text));
	case DNS_MX:
		return json_pack("[is]", r->mx.preference, r->mx.host.text);
	case DNS_TXT:
		return json_stringn((const char *)r->txt.p, r->txt.n);
	case DNS_TLSA:
		hex[0] = '\0';
		for (size_t i = 0; i < r->tlsa.data.n && i < 512; i++)
			snprintf(hex + 2 * i, 3, "%02x", r->tlsa.data.p[i]);
		return json_pack("[iiis]", r->tlsa.usage, r->tlsa.selector, r->tlsa.matching, hex);
	case DNS_SRV:
		return json_pack("[iiis]", r->srv.priority, r->srv.weight, r->srv.port, r->srv.target.text);
	default:
		return json_string(r->name.text);
	}
}

static void done(void *arg, const struct dns_answer *a)
{
	static const char *const names[] = { "ok",    "nxdomain", "nodata", "servfail",
					     "bogus", "timeout",  "memory" };
	struct question *q = arg;
	json_t *list = json_array(), *all;
	char *line;

	for (size_t i = 0; i < a->n; i++)
		json_array_append_new(list, record(a->type, &a->records[i]));
	all = json_pack("{ss, ss, ss, sb, sb, ss, si, ss, so, si}", "name", q->q.name.text, "type",
			dns_type_name(a->type), "status", names[a->status], "secure", a->secure, "alias",
			a->alias, "canonical", a->canonical.text, "ttl", (int)a->ttl, "why", a->why,
			"records", list, "ms", (int)(uv_now(&world.loop) - q->begun));
	line = json_dumps(all, 0);
	puts(line);
	fflush(stdout);
	free(line);
	json_decref(all);
	free(q);
	world.open--;
}

static void status(void)
{
	static const char *const ways[] = { "recursion", "servers", "system", "blocked" };
	struct resolve_status s;

	resolve_status(world.r, &s);
	printf("{\"way\": \"%s\", \"validates\": %s, \"asked\": %llu, \"failed\": %llu, \"refused\": %llu}\n",
	       ways[s.way], s.validates ? "true" : "false", (unsigned long long)s.asked,
	       (unsigned long long)s.failed, (unsigned long long)s.refused);
	fflush(stdout);
}

static void settle(void)
{
	while (world.open > 0)
		uv_run(&world.loop, UV_RUN_ONCE);
}

static void on_sleep(uv_timer_t *t)
{
	uv_close((uv_handle_t *)t, NULL);
}

static void nap(unsigned ms)
{
	static uv_timer_t t;

	settle();
	uv_timer_init(&world.loop, &t);
	uv_timer_start(&t, on_sleep, ms, 0);
	while (uv_is_active((uv_handle_t *)&t))
		uv_run(&world.loop, UV_RUN_ONCE);
	uv_run(&world.loop, UV_RUN_NOWAIT);
}

static enum dns_type type_of(const char *name)
{
	static const enum dns_type types[] = { DNS_A,	 DNS_AAAA,  DNS_MX,  DNS_TXT,
					       DNS_TLSA, DNS_CNAME, DNS_PTR, DNS_SRV };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(name, dns_type_name(types[i])) == 0)
			return types[i];
	fprintf(stderr, "no type %s\n", name);
	exit(2);
}

static void ask(bool host, const char *type, const char *name)
{
	struct question *q = calloc(1, sizeof(*q));
	struct resolve_query *query;

	q->q.type = type_of(type);
	q->begun = uv_now(&world.loop);
	if (dns_name_from_user(slice_str(name), &q->q.name) < 0) {
		fprintf(stderr, "no name: %s\n", name);
		exit(2);
	}
	world.open++;
	(host ? resolve_ask_host : resolve_ask)(world.r, &q->q, done, q, &query);
}

static void line(char *text)
{
	char first[64], second[64], third[600];
	int n = sscanf(text, "%63s %63s %599s", first, second, third);

	uv_update_time(&world.loop);
	if (n == 1 && strcmp(first, "status") == 0) {
		settle();
		status();
	} else if (n == 2 && strcmp(first, "sleep") == 0) {
		nap((unsigned)strtoul(second, NULL, 10));
	} else if (n == 3) {
		ask(true, second, third);
	} else if (n == 2) {
		snprintf(third, sizeof(third), "%s", second);
		ask(false, first, third);
	}
}

static void walls(void)
{
	struct sandbox_rules rules = { .connects = true, .datagrams = true };
	struct sandbox_report report;

	if (sandbox_enter(&rules, &report) < 0)
		exit(1);
}

int main(int argc, char **argv)
{
	struct resolve_server servers[RESOLVE_SERVERS_MAX];
	struct resolve_setup setup = { .servers = servers };
	void *texts[3] = { NULL };
	bool walled = false;
	char text[800];
	struct endpoint e;
	int c;

	while ((c = getopt(argc, argv, "s:a:r:h:t:R:v:q:w")) != -1) {
		bool yes = optarg && strcmp(optarg, "yes") == 0;

		switch (c) {
		case 's':
			if (!endpoint_parse(slice_str(optarg), &e))
				return 2;
			servers[setup.n_servers++] = (struct resolve_server){ .ip = e.ip, .port = e.port };
			break;
		case 'a':
			texts[0] = file(optarg, &setup.anchors);
			break;
		case 'r':
			texts[1] = file(optarg, &setup.resolv_conf);
			break;
		case 'h':
			texts[2] = file(optarg, &setup.hosts);
			break;
		case 't':
			setup.timeout_ms = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'q':
			setup.queries = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'R':
			setup.recursion = yes ? RESOLVE_RECURSION_YES : RESOLVE_RECURSION_NO;
			break;
		case 'v':
			setup.validate = yes ? RESOLVE_VALIDATE_YES : RESOLVE_VALIDATE_NO;
			break;
		case 'w':
			walled = true;
			break;
		default:
			return 2;
		}
	}
	uv_loop_init(&world.loop);
	c = resolve_new(&world.loop, &setup, &world.r);
	if (c < 0) {
		fprintf(stderr, "resolve_new: %s\n", strerror(-c));
		return 1;
	}
	for (size_t i = 0; i < 3; i++)
		free(texts[i]);
	if (walled)
		walls();
	while (fgets(text, sizeof(text), stdin))
		line(text);
	settle();
	resolve_free(world.r);
	uv_run(&world.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&world.loop) < 0 ? 3 : 0;
}
