#include "cli/login_secret.h"

#include <linux/close_range.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/overheard.h"
#include "cli/password.h"
#include "cli/text.h"

#define ENV_MAX 128

extern char **environ;

/* ---- a command ---- */

/* What programs that keep secrets need to find them, and no more: a web server's process has in its
 * environment what strangers sent it. */
static bool is_for_commands(const char *variable)
{
	static const char *const names[] = {
		"HOME=",       "USER=",		 "LOGNAME=",	  "SHELL=",
		"PATH=",       "LANG=",		 "LANGUAGE=",	  "TZ=",
		"TERM=",       "TMPDIR=",	 "DISPLAY=",	  "WAYLAND_DISPLAY=",
		"XAUTHORITY=", "SSH_AUTH_SOCK=", "GPG_TTY=",	  "GNUPGHOME=",
		"LC_",	       "XDG_",		 "DBUS_SESSION_", "PASSWORD_STORE_",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(variable, names[i], strlen(names[i])))
			return true;
	return false;
}

static void make_env(char *env[static ENV_MAX])
{
	bool path = false;
	size_t n = 0;

	for (char **e = environ; *e && n + 2 < ENV_MAX; e++)
		if (is_for_commands(*e)) {
			path |= !strncmp(*e, "PATH=", 5);
			env[n++] = *e;
		}
	if (!path)
		env[n++] = (char *)"PATH=/usr/local/bin:/usr/bin:/bin";
	env[n] = NULL;
}

static char **command_of(const struct submit_account *a)
{
	if (!a)
		return NULL;
	return a->token_command ? a->token_command : a->password_command;
}

void cli_secret_failed(const struct cli_secret_setup *s, const char *why)
{
	fprintf(stderr, "postern %s: account %s: the %s command ", s->program, s->account->name,
		s->account->token_command ? "token" : "password");
	cli_put_clean(stderr, command_of(s->account)[0], false);
	fputc(' ', stderr);
	cli_overhear_instead("failed"); /* in the log: it may be the command's words */
	cli_put_clean(stderr, why, false);
	fputc('\n', stderr);
}

struct secret_command *cli_secret_renew(const struct cli_secret_setup *s,
					void (*done)(void *arg, struct slice line, const char *why),
					void *arg)
{
	char *env[ENV_MAX], why[SECRET_WHY_MAX];
	struct secret_command_setup setup = { .loop = s->loop,
					      .argv = command_of(s->account),
					      .env = env,
					      .limit_ms = s->limit_s * 1000,
					      .max = CLI_SECRET_MAX,
					      .keep_said = true };
	struct secret_command *c = NULL;

	make_env(env);
	/* Ours are closed in it anyway; those that we were started with, by whomever, are not. */
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	if (secret_command(&setup, done, arg, &c, why) < 0) {
		cli_secret_failed(s, why);
		return NULL;
	}
	return c;
}

bool cli_secret_renews(const struct cli_secret_setup *s)
{
	return !s->file && command_of(s->account);
}

/* ---- the first time ---- */

struct waiting {
	const struct cli_secret_setup *s;
	struct buf *ret;
	bool ok;
};

static void on_answer(void *arg, struct slice line, const char *why)
{
	struct waiting *w = arg;

	w->ok = !why;
	if (why)
		cli_secret_failed(w->s, why);
	else
		buf_put(w->ret, line);
	uv_stop(w->s->loop);
}

/* That it could not be run will not be otherwise later; that it failed may be. */
static int by_command(const struct cli_secret_setup *s, struct buf *ret)
{
	struct waiting w = { s, ret, false };

	if (!cli_secret_renew(s, on_answer, &w))
		return CLI_FAILED;
	uv_run(s->loop, UV_RUN_DEFAULT);
	return w.ok && buf_ok(ret) ? CLI_OK : CLI_LATER;
}

static int by_file(const struct cli_secret_setup *s, struct buf *ret)
{
	const char *path = s->account->password_file, *mode = NULL;
	char why[SECRET_WHY_MAX];

	if (secret_file(path, ret, &mode, why) < 0) {
		fprintf(stderr, "postern %s: account %s: the password file %s %s\n", s->program,
			s->account->name, path, why);
		return CLI_FAILED;
	}
	if (!mode)
		return CLI_OK;
	fprintf(stderr,
		"postern %s: account %s: others can read or change the password file; chmod %s %s\n"
		"Change the password, too, if there are others on this machine.\n",
		s->program, s->account->name, mode, path);
	return CLI_FAILED;
}

int cli_secret(const struct cli_secret_setup *s, struct buf *ret)
{
	const char *env = getenv("POSTERN_PASSWORD_FILE"), *file = s->file;
	char what[PROVIDER_USER_MAX + 300];

	buf_init(ret, CLI_SECRET_MAX);
	if (!file && command_of(s->account))
		return by_command(s, ret);
	if (!file && s->account && s->account->password_file[0])
		return by_file(s, ret);
	if (!file && env && *env)
		file = env;
	snprintf(what, sizeof(what), "%s at %s", s->server->user, s->server->host);
	if (!cli_password_known(file, what, ret))
		return CLI_FAILED;
	if (ret->n > 0)
		return CLI_OK;
	fprintf(stderr, "postern %s: the password is empty\n", s->program);
	return CLI_FAILED;
}
