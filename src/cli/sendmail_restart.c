/* A Postern of this machine that is being started anew: cron's mail must not be lost for the second in which
 * its socket is not there, or nobody listens at it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/send_accounts.h"
#include "cli/sendmail.h"

#define AWAIT_S	 10
#define PAUSE_MS 200

static bool is_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

static bool is_in(const char *folder, const char *name)
{
	char path[512];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/%s", folder, name);

	return n > 0 && (size_t)n < sizeof(path) && stat(path, &st) == 0;
}

/* Else there is no need to wait for anything. */
static bool is_there_an_account(void)
{
	struct cli_accounts all = { 0 };
	bool there = cli_accounts_read("sendmail", &all) != CLI_OK ||
		     (all.file && submit_account_standard(all.file));

	cli_accounts_done(&all);
	return there;
}

bool cli_sendmail_pause(unsigned *times)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

	if (*times >= AWAIT_S * 1000 / PAUSE_MS)
		return false;
	++*times;
	nanosleep(&pause, NULL);
	return true;
}

/* Its folder stays while the service restarts, and goes when it is stopped. */
void cli_sendmail_await(void)
{
	const char *folder = is_set("POSTERN_RUNTIME_DIR") ? getenv("POSTERN_RUNTIME_DIR") : "/run/postern";
	unsigned times = 0;

	if (is_set("POSTERN_URL") || is_set("POSTERN_ACCOUNT") || !is_in(folder, ".") ||
	    is_in(folder, "submit.sock") || is_in(folder, "control.sock") || is_there_an_account())
		return;
	while (!is_in(folder, "submit.sock") && cli_sendmail_pause(&times))
		;
}
