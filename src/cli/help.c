#include "base/slice.h"
#include "cli/cli.h"

void cli_print_usage(const struct cli_command *c, FILE *to)
{
	struct slice usage = slice_str(c->usage), line;
	const char *lead = "usage:";

	while (cur_until(&usage, '\n', &line)) {
		fprintf(to, "%s postern %s %.*s\n", lead, c->name, SLICE_ARG(line));
		lead = "      ";
	}
	fprintf(to, "%s postern %s %.*s\n", lead, c->name, SLICE_ARG(usage));
}

int cli_help(int argc, char **argv)
{
	const struct cli_command *c;
	const char *near;

	if (argc < 2) {
		puts("postern - a mail transfer and submission server\n\nusage: postern COMMAND "
		     "[OPTION...]\n");
		for (c = cli_commands; c->name; c++)
			if (c->help)
				printf("  %-13s %s\n", c->name, c->help);
		puts("\npostern help COMMAND shows how a command is used; man postern has the rest.");
		return CLI_OK;
	}
	c = cli_find(argv[1]);
	if (!c) {
		near = cli_nearest(argv[1]);
		fprintf(stderr, "postern help: there is no command '%s'", argv[1]);
		fprintf(stderr, near ? "; did you mean '%s'?\n" : "\n", near);
		return CLI_USAGE;
	}
	cli_print_usage(c, stdout);
	if (c->help)
		printf("\n%c%s.\n", c->help[0] - ('a' <= c->help[0] && c->help[0] <= 'z' ? 'a' - 'A' : 0),
		       c->help + 1);
	if (c->more)
		printf("\n%s", c->more);
	return CLI_OK;
}
