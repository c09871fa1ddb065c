/* postern check --local: the mail settings of programs on this machine, and what is wrong with them. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check/check.h"
#include "cli/check.h"
#include "cli/check_local.h"
#include "cli/cli.h"
#include "probe/finding.h"

/* ---- --ask: the servers themselves ---- */

struct asking {
	struct check *check;
	uv_loop_t *loop;
	bool shows;
};

static void on_progress(void *arg, const struct check *c)
{
	const struct asking *a = arg;
	size_t all, done;

	check_count(c, &all, &done);
	if (a->shows)
		fprintf(stderr, "\r\033[K%zu of %zu looked at", done, all);
}

static void on_done(void *arg, struct check *c)
{
	struct asking *a = arg;

	(void)c;
	uv_stop(a->loop);
}

static bool to_be_asked(const struct advise_local_server *s)
{
	return s->host[0] && !advise_wrong_has(s, ADVISE_WRONG_NOT_SMTP);
}

static bool is_submission(uint16_t port)
{
	return port == 465 || port == 587 || port == 2525;
}

/* Each host once with the ports that are for submission, and once more with one of its own.  They that are
 * too many are left out, and stay unasked. */
static void add_hosts(const struct local_files *files, struct check *c)
{
	for (int own = 0; own < 2; own++)
		for (size_t f = 0; f < files->n; f++)
			for (size_t i = 0; i < files->f[f].local.n; i++) {
				const struct advise_local_server *s = &files->f[f].local.server[i];

				if (!to_be_asked(s) || (own && (s->port == 0 || is_submission(s->port))))
					continue;
				(void)check_add(c, s->host, files->f[f].path, own ? s->port : 0);
			}
}

static void compare(const struct advise_local_server *s, const struct probe_host *hosts, size_t n,
		    struct advise_answer *ret)
{
	const struct probe_host *same[CHECK_HOSTS_MAX];
	struct probe_facts facts = { .now = time(NULL) };
	struct probe_findings found = { 0 };
	struct probe_verdict verdict;
	size_t m = 0;

	for (size_t h = 0; h < n; h++)
		if (slice_eq_nocase(slice_str(hosts[h].name), slice_str(s->host)))
			same[m++] = &hosts[h];
	if (m == 0)
		return;
	for (size_t p = 0; p < same[0]->n; p++)
		probe_judge(same[0], 0, p, &facts, &found);
	probe_verdict(same[0], 1, &found, &verdict);
	advise_local_compare(s, same, m, &verdict, ret);
	probe_findings_done(&found);
}

static int ask(struct local_files *files, const struct check_local_setup *o)
{
	struct asking a = { .shows = isatty(STDERR_FILENO) && !o->json };
	struct check_setup setup = {
		.port = { 465, 587, 2525 },
		.n_ports = 3,
		.ipv4 = o->ipv4,
		.ipv6 = o->ipv6,
		.progress = on_progress,
		.done = on_done,
		.arg = &a,
	};
	const struct probe_host *hosts;
	struct cli_net net;
	int status = CLI_OK;
	size_t n;

	if (!cli_net_open(&net, "check", o->net))
		return CLI_FAILED;
	a.loop = &net.loop;
	setup.resolve = net.resolve;
	setup.look = (struct look_setup){ .loop = &net.loop,
					  .tls = net.tls,
					  .resolve = net.resolve,
					  .helo = net.hostname,
					  .connect_ms = o->timeout_s * 1000,
					  .reply_ms = o->timeout_s * 1000 };
	a.check = check_new(&setup);
	if (a.check)
		add_hosts(files, a.check);
	if (!a.check || check_run(a.check) < 0) {
		fprintf(stderr, "postern check: out of memory\n");
		status = CLI_FAILED;
	} else {
		uv_run(&net.loop, UV_RUN_DEFAULT);
		if (a.shows)
			fprintf(stderr, "\r\033[K");
		hosts = check_hosts(a.check, &n);
		files->no_network = check_control(a.check) == PROBE_CONTROL_DOWN;
		for (size_t f = 0; f < files->n; f++)
			for (size_t i = 0; i < files->f[f].local.n; i++)
				if (to_be_asked(&files->f[f].local.server[i]))
					compare(&files->f[f].local.server[i], hosts, n,
						&files->f[f].answer[i]);
	}
	check_free(a.check);
	cli_net_close(&net);
	return status;
}

/* ---- the whole ---- */

void local_count(const struct local_files *files, struct local_count *ret)
{
	struct local_count c = { 0 };

	for (size_t f = 0; f < files->n; f++) {
		c.unread += files->f[f].why != NULL;
		for (size_t i = 1; i < files->f[f].n_sources; i++)
			c.unread += files->f[f].source[i].why != NULL;
		c.failing += files->f[f].why && files->f[f].named;
		for (size_t i = 0; i < files->f[f].local.n; i++) {
			const struct advise_local_server *s = &files->f[f].local.server[i];
			const struct advise_answer *a = &files->f[f].answer[i];
			size_t *by_level[] = { &c.notes, &c.warnings, &c.problems };

			c.servers++;
			for (unsigned w = 0; w < ADVISE_WRONGS; w++)
				if (advise_wrong_has(s, (enum advise_wrong)w))
					++*by_level[advise_wrong_level((enum advise_wrong)w)];
			if (a->asked > ADVISE_ASKED_WORKS)
				++*by_level[a->level];
		}
	}
	*ret = c;
}

int check_local(const struct check_local_setup *o, char **paths, size_t n)
{
	struct local_files files = { 0 };
	struct local_count count;
	int status = CLI_OK;

	for (size_t i = 0; i < n; i++)
		local_find_named(&files, paths[i]);
	if (n == 0)
		local_find_usual(&files);
	if (files.failed) {
		fprintf(stderr, "postern check: out of memory\n");
		status = CLI_FAILED;
	}
	if (status == CLI_OK && o->ask)
		status = ask(&files, o);
	if (status == CLI_OK) {
		if (!o->json)
			local_print(&files, o->ask, isatty(STDOUT_FILENO) && !getenv("NO_COLOR"));
		else if (!local_print_json(&files, o->ask))
			status = CLI_FAILED;
	}
	local_count(&files, &count);
	if (count.problems > 0 || count.failing > 0)
		status = CLI_FAILED;
	local_files_done(&files);
	return status;
}
