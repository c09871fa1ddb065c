/* sendmail -bp and -q, mailq: the queue of this machine's Postern, as far as this user may ask about it. */
#include <getopt.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/sendmail.h"

/* False: no Postern runs on this machine. */
static bool find_server(char *ret, size_t size)
{
	const char *run = getenv("POSTERN_RUNTIME_DIR");
	int n = snprintf(ret, size, "%s/control.sock", run && *run ? run : "/run/postern");
	struct stat st;

	return n > 0 && (size_t)n < size && stat(ret, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* `postern queue VERB ARGUMENT... --socket PATH`, and its status as one of sendmail's. */
static int ask_server(const char *path, const char *verb, const char *a, const char *b)
{
	char *argv[7] = { (char *)"queue", (char *)(uintptr_t)verb, (char *)"--socket",
			  (char *)(uintptr_t)path };
	int argc = 4, status;

	if (access(path, R_OK | W_OK) < 0) {
		fputs("postern sendmail: the queue of this machine is for root, the server's user and its "
		      "control_group\n",
		      stderr);
		return EX_NOPERM;
	}
	if (a)
		argv[argc++] = (char *)(uintptr_t)a;
	if (b)
		argv[argc++] = (char *)(uintptr_t)b;
	optind = 1;
	status = cli_queue(argc, argv);
	return status == CLI_OK		 ? EX_OK
	       : status == CLI_NO_SERVER ? EX_TEMPFAIL
	       : status == CLI_USAGE	 ? EX_USAGE
					 : EX_UNAVAILABLE;
}

int cli_sendmail_list(const struct cli_sendmail *m)
{
	char path[256];

	(void)m;
	if (find_server(path, sizeof(path)))
		return ask_server(path, "list", NULL, NULL);
	puts("Mail queue is empty"); /* in the words of others: scripts look for them */
	return EX_OK;
}

int cli_sendmail_flush(const struct cli_sendmail *m)
{
	char path[256];

	if (!find_server(path, sizeof(path)))
		return EX_OK;
	if (m->s.flush_site)
		return ask_server(path, "retry", "--domain", m->s.flush_site);
	if (m->s.flush_id)
		return ask_server(path, "retry", "--", m->s.flush_id);
	return ask_server(path, "retry", "--all", NULL);
}
