/* postern reload: has the running server read its configuration anew. */
#include "cli/cli.h"
#include "cli/control.h"

static void print_list(FILE *to, const json_t *j, const char *key, const char *lead)
{
	const json_t *list = json_object_get(j, key);

	for (size_t i = 0; i < json_array_size(list); i++)
		fprintf(to, "%s%s\n", lead, json_string_value(json_array_get(list, i)));
}

static int print_part(void *arg, json_t *part)
{
	const bool *as_json = arg;
	bool failed = json_object_get(part, "errors") != NULL;

	if (*as_json) {
		json_dumpf(part, stdout, JSON_INDENT(1));
		putchar('\n');
		return failed ? CLI_FAILED : CLI_OK;
	}
	print_list(stderr, part, "warnings", "warning: ");
	if (failed) {
		print_list(stderr, part, "errors", "error: ");
		fputs("postern: nothing was changed; the server goes on with the configuration that it has\n",
		      stderr);
		return CLI_FAILED;
	}
	print_list(stdout, part, "changes", "");
	if (json_array_size(json_object_get(part, "restart_needed")) > 0) {
		puts("These change only when the server is started anew:");
		print_list(stdout, part, "restart_needed", "  ");
	}
	print_list(stdout, part, "not_yet", "has not taken it over yet: ");
	printf("The configuration was read and is in use (number %lld since the start).\n",
	       (long long)json_integer_value(json_object_get(part, "generation")));
	return CLI_OK;
}

int cli_reload(int argc, char **argv)
{
	static const struct option options[] = { CONTROL_OPTIONS, { "json", no_argument, NULL, 'j' }, { 0 } };
	bool as_json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, CONTROL_SHORT, options, NULL)) >= 0) {
		if (opt == 'j')
			as_json = true;
		else if (!control_option(opt, optarg))
			return cli_usage_only(argv[0]);
	}
	if (optind < argc)
		return cli_usage(argv[0], "takes no argument");
	return control_ask(json_pack("{s:s}", "ask", "reload"), SLICE_LIT(""), print_part, &as_json);
}
