#include "base/slice.h"
#include "cli/cli.h"
#include "role/versions.h"

int cli_version(int argc, char **argv)
{
	struct version v[VERSIONS_MAX];
	size_t n = versions(v);

	if (argc > 1)
		return cli_usage(argv[0], "takes no argument");
	printf("postern %s\n", POSTERN_VERSION);
	for (size_t i = 0; i < n; i++)
		printf("  %-10s %s\n", v[i].name, v[i].text);
	return CLI_OK;
}
