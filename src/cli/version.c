/* postern version: of the program and of its libraries. */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>

#include "cli/cli.h"
#include "role/versions.h"

static int print_json(const struct version *v, size_t n)
{
	json_t *libraries = json_object(), *j;
	int r;

	for (size_t i = 0; i < n; i++)
		json_object_set_new(libraries, v[i].name, json_string(v[i].text));
	j = json_pack("{s:s, s:o}", "version", POSTERN_VERSION, "libraries", libraries);
	r = j ? json_dumpf(j, stdout, JSON_INDENT(2)) : -1;
	putchar('\n');
	json_decref(j);
	return r < 0 ? CLI_FAILED : CLI_OK;
}

int cli_version(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
	struct version v[VERSIONS_MAX];
	size_t n = versions(v);
	bool as_json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (opt != 'j')
			return cli_usage_only(argv[0]);
		as_json = true;
	}
	if (optind < argc)
		return cli_usage(argv[0], "takes no argument");
	if (as_json)
		return print_json(v, n);
	printf("postern %s\n", POSTERN_VERSION);
	for (size_t i = 0; i < n; i++)
		printf("  %-10s %s\n", v[i].name, v[i].text);
	return CLI_OK;
}
