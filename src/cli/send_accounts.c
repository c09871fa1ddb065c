#include "cli/send_accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "cli/text.h"
#include "conf/file.h"

#define SYSTEM_FILE "/etc/postern/send.yaml"

/* ---- the file ---- */

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0 || errno != ENOENT;
}

/* The user's own, if he has one; else that of the machine. */
static bool find_file(char path[static PATH_MAX])
{
	const char *named = getenv("POSTERN_ACCOUNTS"), *xdg = getenv("XDG_CONFIG_HOME"),
		   *home = getenv("HOME");
	int n = 0;

	if (named && *named) {
		n = snprintf(path, PATH_MAX, "%s", named);
		return n > 0 && n < PATH_MAX;
	}
	if (xdg && xdg[0] == '/')
		n = snprintf(path, PATH_MAX, "%s/postern/send.yaml", xdg);
	else if (home && home[0] == '/')
		n = snprintf(path, PATH_MAX, "%s/.config/postern/send.yaml", home);
	if (n > 0 && n < PATH_MAX && is_there(path))
		return true;
	snprintf(path, PATH_MAX, "%s", SYSTEM_FILE);
	return is_there(path);
}

/* What it says is done as who reads it: nobody else may say it. */
static bool is_safe(const char *program, const char *path, const struct stat *st)
{
	if (S_ISREG(st->st_mode) && (st->st_mode & 0022)) {
		fprintf(stderr,
			"postern %s: %s: others can change this file, and it names programs that run as you; "
			"chmod go-w %s\n",
			program, path, path);
		return false;
	}
	if (S_ISREG(st->st_mode) && st->st_uid != 0 && st->st_uid != geteuid()) {
		fprintf(stderr,
			"postern %s: %s: this file belongs to another user (uid %u), and it names programs "
			"that "
			"run as you\n",
			program, path, (unsigned)st->st_uid);
		return false;
	}
	return true;
}

static int read_text(const char *program, const char *path, struct buf *to)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), status = CLI_CONFIG, r = 0;
	unsigned char *room;
	struct stat st;
	ssize_t n = 1;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
	} else if (is_safe(program, path, &st)) {
		while (n > 0 && (r = buf_reserve(to, 65536, &room) == 0 ? -EFBIG : 0) == 0) {
			n = read(fd, room, buf_room(to) < 65536 ? buf_room(to) : 65536);
			r = n < 0 ? -errno : 0;
			buf_filled(to, n > 0 ? (size_t)n : 0);
		}
		status = r == 0 ? CLI_OK : CLI_CONFIG;
	}
	if (r < 0)
		fprintf(stderr, "postern %s: %s: %s\n", program, path, strerrordesc_np(-r));
	if (fd >= 0)
		close(fd);
	return status;
}

static int parse(const char *program, struct cli_accounts *a, struct slice text)
{
	struct conf_finding *findings = NULL;
	struct buf words;
	int r = submit_accounts_parse(text, getenv("HOME"), &a->file, &findings);

	buf_init(&words, 1U << 20);
	conf_findings_show(findings, a->path, &words);
	if (words.n > 0)
		fwrite(buf_slice(&words).p, 1, words.n, stderr);
	else if (r < 0)
		fprintf(stderr, "postern %s: %s: %s\n", program, a->path, strerrordesc_np(-r));
	buf_done(&words);
	conf_findings_free(findings);
	return r == 0 ? CLI_OK : r == -ENOMEM ? CLI_LATER : CLI_CONFIG;
}

int cli_accounts_read(const char *program, struct cli_accounts *ret)
{
	struct buf text;
	int status;

	*ret = (struct cli_accounts){ 0 };
	if (!find_file(ret->path)) {
		ret->path[0] = '\0';
		return CLI_OK;
	}
	buf_init(&text, CONF_FILE_MAX);
	status = read_text(program, ret->path, &text);
	if (status == CLI_OK)
		status = parse(program, ret, buf_slice(&text));
	buf_done(&text);
	return status;
}

void cli_accounts_done(struct cli_accounts *a)
{
	submit_accounts_free(a->file);
	a->file = NULL;
}

/* ---- the list ---- */

static const char *server_text(const struct submit_account *a, char text[static 700])
{
	const struct provider *p = &a->server;

	if (p->path[0])
		snprintf(text, 700, "unix:%s", p->path);
	else if (p->port)
		snprintf(text, 700, "%s:%u %s", p->host, p->port,
			 p->implicit_tls ? "implicit TLS" : "STARTTLS");
	else
		snprintf(text, 700, "%s", p->host);
	return text;
}

/* Arguments of a command may be secret: only the program is named. */
static const char *secret_text(const struct submit_account *a, char text[static 4200])
{
	if (a->password_file[0])
		snprintf(text, 4200, "file %s", a->password_file);
	else if (a->password_command)
		snprintf(text, 4200, "command %s", a->password_command[0]);
	else if (a->token_command)
		snprintf(text, 4200, "token of %s", a->token_command[0]);
	else
		snprintf(text, 4200, "%s", a->server.user[0] ? "asked for" : "none");
	return text;
}

/* What becomes of senders that are not the account's. */
static const char *rewrite_text(const struct submit_account *a)
{
	switch (a->rewrite_from) {
	case SUBMIT_ACCOUNT_REWRITE_ALL:
		return "of sendmail become this one";
	case SUBMIT_ACCOUNT_REWRITE_LOCAL:
		return "of this machine, of sendmail, become this one";
	default:
		return "stay as they are";
	}
}

static json_t *account_json(const struct submit_account *a, bool standard)
{
	char server[700], secret[4200];

	static const char *const rewrites[] = { "auto", "no", "local", "all" };

	return json_pack("{s:s, s:b, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:i}", "account", a->name,
			 "default", standard, "server", server_text(a, server), "user", a->server.user,
			 "from", a->from, "name", a->full_name, "rewrite_from", rewrites[a->rewrite_from],
			 "local_to", a->local_to, "secret", secret_text(a, secret), "queue", a->queue,
			 "messages_per_minute", (int)a->messages_per_minute);
}

static int list_json(const struct cli_accounts *a, const struct submit_account *standard)
{
	json_t *list = json_array(), *all;
	bool ok;

	for (size_t i = 0; a->file && i < a->file->n; i++)
		json_array_append_new(list,
				      account_json(&a->file->account[i], &a->file->account[i] == standard));
	all = json_pack("{s:s, s:o}", "file", a->path, "accounts", list);
	ok = all && json_dumpf(all, stdout, JSON_INDENT(1)) == 0;
	json_decref(all);
	putchar('\n');
	return ok ? CLI_OK : CLI_LATER;
}

static int list_text(const struct cli_accounts *a, const struct submit_account *standard)
{
	printf("%s\n", a->path);
	for (size_t i = 0; i < a->file->n; i++) {
		const struct submit_account *one = &a->file->account[i];
		char server[700], secret[4200];

		printf("\n%s%s\n  server  %s\n", one->name, one == standard ? " (default)" : "",
		       server_text(one, server));
		if (one->server.user[0])
			printf("  user    ");
		if (one->server.user[0])
			cli_print_clean(one->server.user, false);
		if (one->server.user[0])
			printf("\n  secret  %s\n", secret_text(one, secret));
		if (one->from[0] || one->full_name[0])
			printf("  from    %s%s<%s>\n", one->full_name, one->full_name[0] ? " " : "",
			       one->from);
		if (one->rewrite_from != SUBMIT_ACCOUNT_REWRITE_AUTO)
			printf("  others  %s\n", rewrite_text(one));
		if (one->local_to[0])
			printf("  local   mail for addresses of this machine goes to %s\n", one->local_to);
		if (one->queue)
			puts("  queue   yes");
		if (one->messages_per_minute)
			printf("  pace    %u messages a minute\n", one->messages_per_minute);
	}
	return CLI_OK;
}

int cli_accounts_list(const char *program, bool json)
{
	const struct submit_account *standard;
	struct cli_accounts a;
	int status = cli_accounts_read(program, &a);

	if (status != CLI_OK)
		return status;
	standard = a.file ? submit_account_standard(a.file) : NULL;
	if (json)
		status = list_json(&a, standard);
	else if (a.file)
		status = list_text(&a, standard);
	else
		puts("There is no accounts file: " SYSTEM_FILE
		     ", or ~/.config/postern/send.yaml of your own.");
	cli_accounts_done(&a);
	return status;
}
