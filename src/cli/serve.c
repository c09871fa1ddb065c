/* postern serve: runs the server in the foreground. */
#include <getopt.h>

#include "base/slice.h"
#include "cli/cli.h"
#include "role/supervisor.h"

int cli_serve(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "port-offset", required_argument, NULL, 'p' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "no-sandbox", no_argument, NULL, 's' },
		{ 0 },
	};
	struct supervisor_setup setup = { 0 };
	struct slice s;
	uint64_t offset;
	int opt;

	while ((opt = getopt_long(argc, argv, "c:", options, NULL)) >= 0) {
		switch (opt) {
		case 'c':
			setup.file = optarg;
			break;
		case 'p':
			s = slice_str(optarg);
			if (!cur_u64(&s, 65535, &offset) || s.n > 0)
				return cli_usage(argv[0],
						 "--port-offset takes a number up to 65535, not '%s'",
						 optarg);
			setup.port_offset = (unsigned)offset;
			break;
		case 'f': /* always so; for those who are used to saying it */
			break;
		case 's':
			setup.no_sandbox = true;
			break;
		default:
			return cli_usage_only(argv[0]);
		}
	}
	if (optind < argc)
		return cli_usage(argv[0], "'%s' is one argument too many", argv[optind]);
	return supervisor_run(&setup);
}
