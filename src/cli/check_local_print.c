/* check --local: what was found, for people. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/check_local.h"
#include "cli/text.h"

static enum cli_colour colour_of(enum advise_level level)
{
	return level == ADVISE_PROBLEM ? CLI_RED : level == ADVISE_WARNING ? CLI_YELLOW : CLI_PLAIN;
}

#define MARGIN 13

static void label(enum cli_colour c, const char *what)
{
	printf("    %s%-*s%s", cli_on(c), MARGIN - 4, what, cli_off());
}

/* "line 3", "/etc/php/8.2/fpm/conf.d/99-mail.ini, line 3" */
static void put_place(struct buf *to, const struct local_file *f, uint16_t file, unsigned line)
{
	if (file > 0)
		buf_fmt(to, "%s, ", local_source_path(f, file));
	buf_fmt(to, "line %u", line);
}

static bool is_used(const struct local_file *f, uint16_t file)
{
	for (size_t i = 0; i < f->local.n; i++)
		for (size_t k = 0; k < f->local.server[i].n_sets; k++)
			if (!f->local.server[i].set[k].beside && f->local.server[i].set[k].file == file)
				return true;
	return false;
}

static void print_indented(struct buf *b, unsigned first, unsigned indent)
{
	buf_byte(b, 0);
	printf("%*s", (int)first, "");
	cli_print_wrapped(buf_ok(b) ? (const char *)buf_slice(b).p : "out of memory", indent);
	buf_done(b);
}

/* Of the other files that it consists of those that say something, and those that could not be read. */
static void print_sources(const struct local_file *f)
{
	for (uint16_t i = 1; i < f->n_sources; i++) {
		const struct local_source *s = &f->source[i];
		struct buf b;

		if (!s->why && !is_used(f, i))
			continue;
		buf_init(&b, 8192);
		buf_fmt(&b, "%s %s", s->why ? "not read:" : "with", s->path);
		if (s->line > 0) {
			buf_str(&b, ", taken in by ");
			put_place(&b, f, s->by, s->line);
		}
		if (s->when[0])
			buf_fmt(&b, " if %s", s->when);
		if (s->why)
			buf_fmt(&b, ": %s", s->why);
		print_indented(&b, 2, 4);
	}
}

/* Where each setting stands, if that is not the one file that is shown above. */
static void print_origin(const struct local_file *f, const struct advise_local_server *s)
{
	bool others = false;
	struct buf b;

	for (size_t i = 0; i < s->n_sets; i++)
		others = others || (s->set[i].file > 0 && !s->set[i].beside);
	if (!others)
		return;
	buf_init(&b, 16384);
	for (size_t i = 0; i < s->n_sets; i++) {
		const struct advise_set *set = &s->set[i];

		buf_fmt(&b, "%s%s (", i > 0 ? "; " : "", advise_set_key(set));
		if (set->beside)
			buf_fmt(&b, "%s", advise_local_kind_beside(f->kind));
		else
			put_place(&b, f, set->file, set->line);
		buf_byte(&b, ')');
	}
	printf("    %-*s", MARGIN - 4, "set by");
	print_indented(&b, 0, MARGIN);
}

static void print_server(const struct local_file *f, const struct advise_local_server *s)
{
	char setting[ADVISE_LOCAL_VALUE + 64], place[ADVISE_LOCAL_HOST + 400];
	struct buf b;

	buf_init_in(&b, place, sizeof(place) - 1);
	if (s->host[0] && !advise_wrong_has(s, ADVISE_WRONG_NOT_SMTP)) {
		buf_fmt(&b, "%s, port ", s->host);
		if (s->port == 0)
			buf_str(&b, "not known");
		else
			buf_fmt(&b, "%u%s", s->port, s->port_set ? "" : " (the default)");
		buf_fmt(&b,
			s->security == ADVISE_SECURITY_UNKNOWN ? ", encryption %s" : ", encryption \"%s\"",
			advise_security_name(s->security));
		(void)advise_local_setting(&f->local, s, setting, sizeof(setting));
		if (setting[0])
			buf_fmt(&b, " (%s)", setting);
		if (s->login_known)
			buf_str(&b, s->login ? ", with a login" : ", without a login");
	} else if (s->program[0]) {
		buf_fmt(&b, "the mail is given to %s", s->program);
	} else {
		buf_str(&b, "the server is not known");
	}
	place[buf_slice(&b).n] = '\0';
	printf("  %s%s%s", cli_on(CLI_BOLD), s->name, s->name[0] ? ": " : "");
	cli_print_clean(place, false);
	printf("%s\n", cli_off());
	print_origin(f, s);
}

/* What is to be done to the file itself that holds the password. */
static void print_exposed(const struct local_file *f)
{
	label(CLI_PLAIN, "change");
	printf("chmod 600 ");
	cli_print_clean(f->exposed, false);
	printf(" (it has %04o),\n%*sor 640 with the group of the program that reads it; then change the "
	       "password\n",
	       (unsigned)f->mode, MARGIN, "");
}

/* On a line of its own: the change is to be copied, and stays in one piece. */
static void print_change_file(const struct local_file *f, const struct advise_change *c)
{
	char path[PATH_MAX];

	if (!local_change_path(f, c, path))
		return;
	cli_print_clean(path, false);
	printf(c->place[0] && access(path, F_OK) < 0 ? " (a new file),\n%*s" : ",\n%*s", MARGIN + 2, "");
}

static void print_changes(const struct local_file *f, const struct advise_local_server *s,
			  const struct advise_target *target)
{
	struct advise_change c[ADVISE_LOCAL_CHANGES];
	size_t n = advise_local_changes(&f->local, s, target, c);
	char so[200];

	for (size_t i = 0; i < n; i++) {
		label(CLI_GREEN, i == 0 ? "change" : "");
		if (c[i].beside)
			printf("%s, ", advise_local_kind_beside(f->kind));
		else if (c[i].file > 0)
			print_change_file(f, &c[i]);
		if (c[i].add && c[i].line)
			printf("below line %u add: ", c[i].line);
		else if (c[i].add)
			printf("add: ");
		else if (c[i].last > c[i].line)
			printf("lines %u to %u: ", c[i].line, c[i].last);
		else
			printf("line %u: ", c[i].line);
		cli_print_clean(c[i].text, false);
		if (c[i].now[0]) {
			printf("   (now: ");
			cli_print_clean(c[i].now, false);
			putchar(')');
		}
		putchar('\n');
	}
	if (n == 0)
		return;
	label(CLI_PLAIN, "");
	snprintf(so, sizeof(so), "so that it is port %u with %s%s%s", target->port,
		 target->implicit ? "SSL/TLS" : "STARTTLS", advise_local_then(f->kind)[0] ? "; " : "",
		 advise_local_then(f->kind));
	cli_print_wrapped(so, MARGIN);
}

static void print_wrong(const struct local_file *f, const struct advise_local_server *s, enum advise_wrong w)
{
	enum advise_level level = advise_wrong_level(w);
	char text[600];
	struct buf b;

	buf_init(&b, 8192);
	if (advise_wrong_line(w, s)) {
		put_place(&b, f, advise_wrong_file(w, s), advise_wrong_line(w, s));
		buf_str(&b, ": ");
	}
	buf_str(&b, advise_wrong_what(w, &f->local, s, text, sizeof(text)));
	label(colour_of(level), advise_level_name(level));
	print_indented(&b, 0, MARGIN);
	if (w == ADVISE_WRONG_READABLE && f->exposed)
		print_exposed(f);
	if (advise_wrong_change(w)[0]) {
		label(CLI_GREEN, "change");
		cli_print_wrapped(advise_wrong_change(w), MARGIN);
	}
}

static void print_answer(const struct local_file *f, size_t i)
{
	const struct advise_answer *a = &f->answer[i];
	const struct advise_local_server *s = &f->local.server[i];

	if (a->asked == ADVISE_ASKED_NOT) {
		if (s->host[0] && !advise_wrong_has(s, ADVISE_WRONG_NOT_SMTP)) {
			label(CLI_PLAIN, "note");
			printf("It was not asked: %s.\n",
			       s->port == 0 ? "its port is not known" : "there are too many servers");
		}
		return;
	}
	label(a->asked == ADVISE_ASKED_WORKS ? CLI_GREEN : colour_of(a->level),
	      a->asked == ADVISE_ASKED_WORKS ? "asked" : advise_level_name(a->level));
	cli_print_wrapped(a->text, MARGIN);
}

/* What is true of the server goes before what is usual. */
static bool target_of(const struct local_file *f, size_t i, bool asked, struct advise_target *ret)
{
	if (asked && f->answer[i].has_target) {
		*ret = f->answer[i].target;
		return true;
	}
	return advise_local_target(&f->local, &f->local.server[i], ret);
}

/* The worst first; a password that can be read once for the file. */
static void print_wrongs(const struct local_file *f, const struct advise_local_server *s, bool *exposed)
{
	for (int level = ADVISE_PROBLEM; level >= ADVISE_NOTE; level--)
		for (unsigned i = 0; i < ADVISE_WRONGS; i++) {
			enum advise_wrong w = (enum advise_wrong)i;

			if (!advise_wrong_has(s, w) || advise_wrong_level(w) != (enum advise_level)level ||
			    (w == ADVISE_WRONG_READABLE && *exposed))
				continue;
			*exposed = *exposed || w == ADVISE_WRONG_READABLE;
			print_wrong(f, s, w);
		}
}

static void print_file(const struct local_file *f, bool asked)
{
	struct advise_target target;
	bool exposed = false;

	printf("%s", cli_on(CLI_BOLD));
	cli_print_clean(f->path, false);
	printf("%s", cli_off());
	if (f->why) {
		printf(": %s\n", f->why);
		return;
	}
	printf(" (%s)%s\n", advise_local_kind_title(f->kind), f->ino ? "" : ": it is not there");
	print_sources(f);
	if (f->local.n == 0)
		printf("  names no server to submit mail to\n");
	for (size_t i = 0; i < f->local.n; i++) {
		const struct advise_local_server *s = &f->local.server[i];

		print_server(f, s);
		print_wrongs(f, s, &exposed);
		if (asked)
			print_answer(f, i);
		if (target_of(f, i, asked, &target))
			print_changes(f, s, &target);
	}
	if (f->local.cut)
		printf(f->sources_cut ? "  it consists of too many files: not all of them were read\n"
				      : "  it is long: not all of it was read\n");
}

static void plural(size_t n, const char *what, const char *end)
{
	printf("%zu %s%s%s", n, what, n == 1 ? "" : "s", end);
}

void local_print(const struct local_files *files, bool asked, bool colour)
{
	struct local_count c;

	cli_colours(colour);
	for (size_t i = 0; i < files->n; i++) {
		print_file(&files->f[i], asked);
		putchar('\n');
	}
	local_count(files, &c);
	if (files->n == 0) {
		cli_print_wrapped(
			"No configuration that submits mail was found in the usual places; name files or "
			"folders to look at others.",
			0);
		return;
	}
	printf("%zu %s, ", c.servers, c.servers == 1 ? "entry" : "entries");
	plural(c.problems, "problem", ", ");
	plural(c.warnings, "warning", "");
	if (c.unread)
		printf(", %zu not read", c.unread);
	printf(".\n");
	if (files->cut)
		printf("There is more than was looked at.\n");
	if (files->no_network)
		printf("Nothing else could be reached either: this machine seems to have no network.\n");
	if (!asked && c.servers > 0)
		printf("No server was asked: --ask holds this against what is true there.\n");
}
