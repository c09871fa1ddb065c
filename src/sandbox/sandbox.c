#include "sandbox/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "sandbox/calls.h"
#include "sandbox/landlock.h"

static unsigned count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;
	struct dirent *e;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

int sandbox_close_memory(void)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

int sandbox_enter(const struct sandbox_rules *rules, struct sandbox_report *ret)
{
	struct sandbox_report report = { 0 };
	unsigned threads = count_threads();
	int r;

	report.strays = threads > 1 ? threads - 1 : 0;
	r = sandbox_close_memory();
	if (r < 0)
		return r;
	r = landlock_abi();
	if (r > 0 && !landlock_suits(rules, r)) {
		report.unsuited = true;
		r = 0;
	}
	report.landlock = r;
	if (r > 0)
		r = landlock_enter(rules, r);
	if (r == 0)
		r = calls_enter(rules);
	if (r == 0)
		*ret = report;
	return r;
}
