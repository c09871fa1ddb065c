/* Who a process is, and what it may. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "role/server.h"

/* -ENOENT: no such user or group. */
int privilege_account(const char *user, const char *group, struct account *ret)
{
	struct passwd *pw = getpwnam(user);
	struct group *gr = NULL;

	if (!pw)
		return -ENOENT;
	if (group && *group) {
		gr = getgrnam(group);
		if (!gr)
			return -ENOENT;
	}
	ret->uid = pw->pw_uid;
	ret->gid = gr ? gr->gr_gid : pw->pw_gid;
	return 0;
}

#define BIT(cap) (UINT64_C(1) << (cap))
/* Ports, becoming the roles, folders and sockets for them, and ending them. */
static const uint64_t kept = BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_CHOWN) |
			     BIT(CAP_FOWNER) | BIT(CAP_KILL) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_SETPCAP);

void privilege_keep_few(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };

	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(kept & BIT(cap)))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (syscall(SYS_capget, &h, d) < 0)
		return;
	for (int i = 0; i < 2; i++) {
		d[i].permitted &= (uint32_t)(kept >> (32 * i));
		d[i].effective = d[i].permitted;
		d[i].inheritable = 0;
	}
	syscall(SYS_capset, &h, d);
}

int privilege_become(const struct account *as)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (getuid() != 0)
		return 0;
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (setgroups(0, NULL) < 0 || setresgid(as->gid, as->gid, as->gid) < 0 ||
	    setresuid(as->uid, as->uid, as->uid) < 0)
		return -errno;
	return 0;
}
