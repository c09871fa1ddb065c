/* postern role NAME INDEX FD: one process of a server, started by `serve`. */
#include <fcntl.h>

#include "base/slice.h"
#include "cli/cli.h"
#include "role/role.h"

static bool number(const char *text, uint64_t max, uint64_t *ret)
{
	struct slice s = slice_str(text);

	return cur_u64(&s, max, ret) && s.n == 0;
}

int cli_role(int argc, char **argv)
{
	uint64_t index, fd;
	bool sandboxed = true;

	if (argc == 5 && !strcmp(argv[4], "--no-sandbox")) {
		sandboxed = false;
		argc--;
	}
	if (argc != 4 || !number(argv[2], ROLE_SMTP_MAX - 1, &index) || !number(argv[3], 1023, &fd) ||
	    fcntl((int)fd, F_GETFD) < 0)
		return cli_usage(argv[0], "this is for `postern serve` to start, not for you");
	for (unsigned id = IPC_MAIN + 1; id < IPC_ROLES; id++) {
		const struct role_ops *ops = role_ops_of((enum ipc_role)id);

		if (ops && !strcmp(ipc_role_name(id), argv[1]))
			return role_run(ops, (unsigned)index, (int)fd, sandboxed);
	}
	return cli_usage(argv[0], "there is no role '%s'", argv[1]);
}
