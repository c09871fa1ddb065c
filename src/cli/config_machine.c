#include "cli/config_machine.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>

#include "conf/file.h"
#include "net/tls.h"

#define SOON_S (14 * 86400)

static void add(struct conf_finding **list, bool error, unsigned line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add(struct conf_finding **list, bool error, unsigned line, const char *fmt, ...)
{
	struct conf_finding *f = calloc(1, sizeof(*f));
	va_list ap;

	va_start(ap, fmt);
	if (!f || vasprintf(&f->text, fmt, ap) < 0) {
		fputs("postern config: out of memory\n", stderr);
		exit(1);
	}
	va_end(ap);
	f->error = error;
	f->line = line;
	while (*list)
		list = &(*list)->next;
	*list = f;
}

/* False when it cannot be read, which is said; no error for who may not read it. */
static bool read_pem(const char *what, const char *file, unsigned line, struct buf *to,
		     struct conf_finding **list)
{
	int r = conf_file_read(file, to);

	if (r < 0)
		add(list, r != -EACCES || getuid() == 0, line, "tls.certificates.%s: %s: %s", what, file,
		    strerror(-r));
	return r == 0;
}

/* Chain and key must make a server together; a scratch one says so. */
static void check_pair(const struct conf_certificate *c, struct slice pem, struct conf_finding **list)
{
	struct tls_server *t;
	char why[512] = "", sha256[65];
	int64_t until;
	int r = tls_server_new(&t);

	if (r < 0)
		return;
	r = tls_server_load(t, &pem, 1, why, sizeof(why));
	if (r < 0 || why[0])
		add(list, r < 0, c->line, "tls.certificates: %s: %s", c->cert, why[0] ? why : strerror(-r));
	else if (tls_certificate_info(pem, &until, sha256) == 0 && until < time(NULL) + SOON_S)
		add(list, false, c->line, "tls.certificates: %s: ends in %lld days", c->cert,
		    (long long)((until - time(NULL)) / 86400));
	tls_server_free(t);
}

static void check_certificate(const struct conf_certificate *c, struct conf_finding **list)
{
	struct buf pem;
	bool whole;

	buf_init(&pem, CONF_FILE_MAX);
	whole = read_pem("cert", c->cert, c->line, &pem, list);
	if (strcmp(c->cert, c->key) != 0) {
		buf_byte(&pem, '\n');
		whole &= read_pem("key", c->key, c->line, &pem, list);
	}
	if (whole && buf_ok(&pem))
		check_pair(c, buf_slice(&pem), list);
	buf_wipe(&pem);
}

/* Only root starts roles as somebody else.  Warnings, for the file is good: `make
 * install` may come after it. */
static void check_users(const struct conf *conf, struct conf_finding **list)
{
	static const char missing[] = "the server does not start before there is one";

	if (!getpwnam(conf->user))
		add(list, false, 0, "user: no user '%s' on this machine; %s", conf->user, missing);
	if (conf->mail_user[0] && !getpwnam(conf->mail_user))
		add(list, false, 0, "mailboxes.user: no user '%s' on this machine; %s", conf->mail_user,
		    missing);
	if (conf->mail_group[0] && !getgrnam(conf->mail_group))
		add(list, false, 0, "mailboxes.group: no group '%s' on this machine; %s", conf->mail_group,
		    missing);
	if (conf->control_group[0] && !getgrnam(conf->control_group))
		add(list, false, 0, "control_group: no group '%s' on this machine", conf->control_group);
	if (conf->dovecot && conf->dovecot_group[0] && !getgrnam(conf->dovecot_group))
		add(list, false, 0,
		    "dovecot.group: no group '%s' on this machine: install Dovecot, or name the group of its "
		    "processes; %s",
		    conf->dovecot_group, missing);
}

bool config_machine_check(const struct conf *conf, struct conf_finding **findings)
{
	for (size_t i = 0; i < conf->n_certificates; i++)
		check_certificate(&conf->certificates[i], findings);
	if (conf->root)
		check_users(conf, findings);
	for (const struct conf_finding *f = *findings; f; f = f->next)
		if (f->error)
			return false;
	return true;
}
