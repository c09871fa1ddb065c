/* postern status: what runs, how it is doing, and who is misconfigured. */
#include <time.h>

#include "cli/cli.h"
#include "cli/control.h"
#include "cli/status_counters.h"

#define NAMES_SHOWN 6 /* of a certificate */

static long long number(const json_t *j, const char *key)
{
	return (long long)json_integer_value(json_object_get(j, key));
}

static const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static const char *duration(long long s, char room[static 32])
{
	if (s < 120)
		snprintf(room, 32, "%lld s", s);
	else if (s < 7200)
		snprintf(room, 32, "%lld min", s / 60);
	else if (s < 2 * 86400)
		snprintf(room, 32, "%lld h %lld min", s / 3600, s % 3600 / 60);
	else
		snprintf(room, 32, "%lld d %lld h", s / 86400, s % 86400 / 3600);
	return room;
}

static const json_t *role_of(const json_t *roles, const char *name, long long index)
{
	for (size_t i = 0; i < json_array_size(roles); i++) {
		const json_t *r = json_array_get(roles, i);

		if (!strcmp(text(r, "role"), name) && number(r, "index") == index)
			return r;
	}
	return NULL;
}

/* "queue", "smtp/1" */
static const char *process_name(const json_t *j, char room[static 32])
{
	if (!strcmp(text(j, "role"), "smtp"))
		snprintf(room, 32, "smtp/%lld", number(j, "index"));
	else
		snprintf(room, 32, "%s", text(j, "role"));
	return room;
}

/* ---- sections ---- */

static void print_head(const json_t *m)
{
	char up[32];

	printf("postern %s on %s, up %s\nconfiguration %s, read %lld time%s\n", text(m, "version"),
	       text(m, "hostname"), duration(number(m, "uptime_s"), up), text(m, "configuration_file"),
	       number(m, "generation"), number(m, "generation") == 1 ? "" : "s");
}

/* Only where there is any: a process that hung, turns of a loop over 50 ms. */
static void print_slowness(const json_t *p, const json_t *r)
{
	if (number(p, "hangs"))
		printf("%-10s hung, and was killed, %lld time%s\n", "", number(p, "hangs"),
		       number(p, "hangs") == 1 ? "" : "s");
	if (r && number(r, "slow_turns"))
		printf("%-10s %lld slow turn%s of its loop, the longest %lld ms%s%s\n", "",
		       number(r, "slow_turns"), number(r, "slow_turns") == 1 ? "" : "s",
		       number(r, "slowest_turn_ms"), *text(r, "slowest_turn") ? ", mostly: " : "",
		       text(r, "slowest_turn"));
}

static void print_processes(const json_t *m, const json_t *roles)
{
	const json_t *list = json_object_get(m, "processes");

	printf("\n%-10s %8s %-12s %8s %8s  %s\n", "PROCESS", "PID", "UP", "RESTARTS", "MEMORY", "STATE");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i), *r;
		char name[32], up[32], memory[32] = "";

		r = role_of(roles, text(p, "role"), number(p, "index"));
		if (r)
			snprintf(memory, sizeof(memory), "%.1f M", (double)number(r, "memory") / 1048576.0);
		printf("%-10s %8lld %-12s %8lld %8s  %s%s%s\n", process_name(p, name), number(p, "pid"),
		       duration(number(p, "uptime_s"), up), number(p, "restarts"), memory,
		       !number(p, "pid")			    ? "down, is started again"
		       : !json_is_true(json_object_get(p, "ready")) ? "starting"
		       : r					    ? "ready"
								    : "does not answer",
		       r && *text(r, "sandbox") ? ", " : "", r ? text(r, "sandbox") : "");
		print_slowness(p, r);
	}
}

/* Sum of one number of one listener over all smtp processes; group: the object that it
 * stands in, NULL for the listener's own. */
static long long sum_in(const json_t *roles, const char *listener, const char *group, const char *key)
{
	long long n = 0;

	for (size_t i = 0; i < json_array_size(roles); i++) {
		const json_t *r = json_array_get(roles, i), *list = json_object_get(r, "listeners");

		if (strcmp(text(r, "role"), "smtp") != 0)
			continue;
		for (size_t k = 0; k < json_array_size(list); k++) {
			const json_t *l = json_array_get(list, k);

			if (!strcmp(text(l, "name"), listener))
				n += number(group ? json_object_get(l, group) : l, key);
		}
	}
	return n;
}

static long long sum(const json_t *roles, const char *listener, const char *key)
{
	return sum_in(roles, listener, NULL, key);
}

/* A listener has a line for each address; its numbers stand on one. */
static const char *first_mention(const json_t *list, size_t i)
{
	const char *name = text(json_array_get(list, i), "listener");

	for (size_t k = 0; k < i; k++)
		if (!strcmp(name, text(json_array_get(list, k), "listener")))
			return NULL;
	/* Neither of these has sessions of mail. */
	return strcmp(name, "@control") != 0 && strcmp(name, "@dovecot") != 0 ? name : NULL;
}

static void print_tls(const json_t *list, const json_t *roles)
{
	printf("\n%-14s %8s %8s %8s %8s %8s %8s\n", "TLS", "1.3", "1.2", "1.1", "1.0", "RESUMED", "FAILED");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = first_mention(list, i);

		if (name && strcmp(name, "@local") != 0)
			printf("%-14s %8lld %8lld %8lld %8lld %8lld %8lld\n", name,
			       sum_in(roles, name, "tls", "TLSv1.3"), sum_in(roles, name, "tls", "TLSv1.2"),
			       sum_in(roles, name, "tls", "TLSv1.1"), sum_in(roles, name, "tls", "TLSv1"),
			       sum(roles, name, "tls_resumed"), sum(roles, name, "tls_failed"));
	}
}

static void print_listeners(const json_t *m, const json_t *roles)
{
	const json_t *list = json_object_get(m, "listeners");

	printf("\n%-14s %-24s %6s\n", "LISTENER", "ADDRESS", "PORT");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *l = json_array_get(list, i);

		if (number(l, "port"))
			printf("%-14s %-24s %6lld\n", text(l, "listener"), text(l, "address"),
			       number(l, "port"));
		else
			printf("%-14s %s\n", text(l, "listener"), text(l, "address"));
	}
	printf("\n%-14s %8s %8s %8s %8s %11s\n", "SESSIONS", "NOW", "SINCE", "MESSAGES", "AUTH OK",
	       "AUTH FAILED");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = first_mention(list, i);

		if (name)
			printf("%-14s %8lld %8lld %8lld %8lld %11lld\n", name, sum(roles, name, "sessions"),
			       sum(roles, name, "sessions_total"), sum(roles, name, "messages"),
			       sum(roles, name, "auth_ok"), sum(roles, name, "auth_failed"));
	}
	print_tls(list, roles);
}

/* QUEUE: 3 messages, 1 deferred, 2 waiting, the oldest for 3 h 10 min
 *   spool: 1.2 M in 1 segment, bodies being taken in 0.0 of 64.0 M, accepting   */
static void print_queue(const json_t *roles)
{
	const json_t *q = role_of(roles, "queue", 0), *spool = json_object_get(q, "spool");
	json_t *states = json_object_get(q, "states"), *n;
	const char *state;
	char age[32];

	if (!q || !spool)
		return;
	printf("\nQUEUE: %lld message%s", number(q, "messages"), number(q, "messages") == 1 ? "" : "s");
	json_object_foreach(states, state, n)
	{
		if (json_integer_value(n) > 0)
			printf(", %lld %s", (long long)json_integer_value(n), state);
	}
	if (json_object_get(q, "oldest_s"))
		printf(", the oldest for %s", duration(number(q, "oldest_s"), age));
	printf("\n  spool: %.1f M in %lld segment%s, bodies being taken in %.1f of %.1f M, %s\n",
	       (double)number(spool, "disk_octets") / 1048576.0, number(spool, "segments"),
	       number(spool, "segments") == 1 ? "" : "s", (double)number(spool, "memory") / 1048576.0,
	       (double)number(spool, "memory_max") / 1048576.0,
	       json_is_true(json_object_get(spool, "accepting")) ? "accepting"
								 : "NOT accepting: see the log");
	if (number(spool, "damaged") > 0)
		printf("  %lld damaged: postern queue list --state damaged\n", number(spool, "damaged"));
}

/* Of the whole machine, so it comes first: no retry helps. */
static void print_alarm(const json_t *roles)
{
	const json_t *relay = json_object_get(role_of(roles, "queue", 0), "relay");
	const char *alarm = text(relay, "alarm");

	if (*alarm)
		printf("  ALARM: %s\n", alarm);
}

/*   lmtp to unix:/run/dovecot/lmtp: 2 of at most 10 connections, 1 with a message
 *   TROUBLE: cannot connect: connection refused; tried again in 4 s   */
static void print_site(const json_t *roles)
{
	const json_t *site = json_object_get(role_of(roles, "queue", 0), "site");
	const char *trouble = text(site, "trouble");

	if (!site)
		return;
	printf("  %s to %s: %lld of at most %lld connections, %lld with a message\n", text(site, "protocol"),
	       text(site, "to"), number(site, "lanes"), number(site, "connections"), number(site, "busy"));
	if (*trouble)
		printf("  TROUBLE: %s; tried again in %lld s\n", trouble, number(site, "next_s"));
}

static void print_names(const json_t *names)
{
	size_t n = json_array_size(names);

	for (size_t i = 0; i < n && i < NAMES_SHOWN; i++)
		printf("%s%s", i ? " " : "", json_string_value(json_array_get(names, i)));
	if (n > NAMES_SHOWN)
		printf(" and %zu more", n - NAMES_SHOWN);
	fputs(n > 0 ? ": " : "no host name: ", stdout);
}

static void print_certificates(const json_t *m)
{
	const json_t *list = json_object_get(m, "certificates");

	if (json_array_size(list) > 0)
		puts("\nCERTIFICATES");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *c = json_array_get(list, i);
		time_t end = (time_t)number(c, "not_after");
		long long days = (number(c, "not_after") - (long long)time(NULL)) / 86400;
		char until[32] = "?";
		struct tm tm;

		if (gmtime_r(&end, &tm))
			strftime(until, sizeof(until), "%Y-%m-%d", &tm);
		print_names(json_object_get(c, "names"));
		printf("until %s%s%s  %s\n", until,
		       end < time(NULL) ? " (EXPIRED)"
		       : days < 14	? " (soon)"
					: "",
		       json_is_true(json_object_get(c, "self_signed")) ? ", self-signed" : "",
		       text(c, "file"));
	}
}

static void print_libraries(const json_t *m)
{
	json_t *libraries = json_object_get(m, "libraries"), *v;
	const char *key;
	const char *lead = "\nlibraries: ";

	json_object_foreach(libraries, key, v)
	{
		printf("%s%s %s", lead, key, json_string_value(v));
		lead = ", ";
	}
	putchar('\n');
}

static void print_all(const json_t *roles, const json_t *silent)
{
	const json_t *m = role_of(roles, "main", 0);

	if (m) {
		print_head(m);
		print_processes(m, roles);
		print_listeners(m, roles);
	}
	print_queue(roles);
	print_alarm(roles);
	print_site(roles);
	status_counters(m, roles);
	if (m) {
		print_certificates(m);
		print_libraries(m);
	}
	for (size_t i = 0; i < json_array_size(silent); i++)
		printf("\nno answer within 2 s from: %s/%lld\n", text(json_array_get(silent, i), "role"),
		       number(json_array_get(silent, i), "index"));
}

/* ---- the command ---- */

static int collect(void *arg, json_t *part)
{
	json_t *all = arg, *silent = json_object_get(part, "silent");

	if (silent)
		json_object_set(all, "silent", silent);
	else
		json_array_append(json_object_get(all, "roles"), part);
	return CLI_OK;
}

static int show_status(bool as_json)
{
	json_t *all = json_pack("{s:[], s:[]}", "roles", "silent");
	int r = control_ask(json_pack("{s:s}", "ask", "status"), SLICE_LIT(""), collect, all);

	if (r == CLI_OK && as_json) {
		json_dumpf(all, stdout, JSON_INDENT(1));
		putchar('\n');
	} else if (r == CLI_OK) {
		print_all(json_object_get(all, "roles"), json_object_get(all, "silent"));
	}
	json_decref(all);
	return r;
}

int cli_status(int argc, char **argv)
{
	static const struct option options[] = { CONTROL_OPTIONS,
						 { "json", no_argument, NULL, 'j' },
						 { "since", required_argument, NULL, 'C' },
						 { "kind", required_argument, NULL, 'C' },
						 { "limit", required_argument, NULL, 'C' },
						 { 0 } };
	bool as_json = false;
	int opt;

	/* Another question, with options of its own. */
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--clients"))
			return cli_clients(argc, argv);

	while ((opt = getopt_long(argc, argv, CONTROL_SHORT, options, NULL)) >= 0) {
		if (opt == 'j')
			as_json = true;
		else if (opt == 'C')
			return cli_usage(argv[0], "--since, --kind and --limit go with --clients");
		else if (!control_option(opt, optarg))
			return cli_usage_only(argv[0]);
	}
	if (optind < argc)
		return cli_usage(argv[0], "'%s' is one argument too many", argv[optind]);
	return show_status(as_json);
}
