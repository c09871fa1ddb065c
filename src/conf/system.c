#include "conf/directives.h"

#include <errno.h>
#include <pwd.h>
#include <sys/types.h>

/* No DNS: a resolver that hangs must not keep a mail server from starting.  A name
 * that no SMTP greeting may carry gives way to one that it may. */
int conf_system_hostname(char **ret)
{
	char name[256] = "";
	struct slice s;
	char *copy;

	if (gethostname(name, sizeof(name) - 1) < 0)
		name[0] = '\0';
	s = slice_str(name);
	if (!conf_host_ok(s))
		s = SLICE_LIT("localhost");
	copy = slice_dup(s);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

static bool usable(const char *dir)
{
	return dir && dir[0] == '/' && strlen(dir) <= 300 && conf_text_ok(slice_str(dir));
}

int conf_system_state_dir(char **ret)
{
	const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	struct passwd *pw;
	int r;

	if (usable(xdg))
		return asprintf(ret, "%s/postern", xdg) < 0 ? -ENOMEM : 0;
	if (!usable(home)) {
		pw = getpwuid(getuid());
		home = pw ? pw->pw_dir : NULL;
	}
	if (usable(home))
		r = asprintf(ret, "%s/.local/state/postern", home);
	else
		r = asprintf(ret, "/var/lib/postern-%lu", (unsigned long)getuid());
	return r < 0 ? -ENOMEM : 0;
}

unsigned conf_smtp_processes(const struct conf *conf)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = conf->smtp_processes ? conf->smtp_processes : cores > 0 ? (unsigned)cores : 1;

	return n > CONF_SMTP_MAX ? CONF_SMTP_MAX : n;
}
