#include "cli/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/outbox_private.h"
#include "cli/text.h"

struct outbox *cli_outbox_open(const char *program, bool make, bool *ret_none)
{
	char path[PATH_MAX], why[OUTBOX_ERROR_MAX];
	struct outbox *o = NULL;
	int r = outbox_place(path, sizeof(path));

	*ret_none = false;
	if (r == -ENOENT) {
		*ret_none = !make;
		if (make)
			fprintf(stderr,
				"postern %s: there is no place for an outbox: this user has no home; set "
				"XDG_STATE_HOME to a folder of his\n",
				program);
		return NULL;
	}
	if (r == 0)
		r = outbox_open(path, NULL, make, &o, why);
	else
		snprintf(why, sizeof(why), "the path of the outbox is too long");
	*ret_none = r == -ENOENT && !make;
	if (r < 0 && !*ret_none) {
		fprintf(stderr, "postern %s: no outbox: ", program);
		cli_put_clean(stderr, why, false);
		fputc('\n', stderr);
	}
	return o;
}

int cli_outbox_error(const char *program, const char *about, int error)
{
	fprintf(stderr, "postern %s: ", program);
	cli_put_clean(stderr, about, false);
	fprintf(stderr, ": %s\n",
		error == -EBADMSG  ? "the file has decayed, and is left as it is"
		: error == -EDQUOT ? "the outbox is full; `postern send --list` shows what is in it, --drop "
				     "ID makes room"
				   : strerror(-error));
	return error == -EBADMSG ? CLI_FAILED : CLI_LATER;
}

/* ---- by which way ---- */

static void put_user(const char *user, struct buf *to)
{
	for (; *user; user++) {
		unsigned char c = (unsigned char)*user;
		bool plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
			     strchr("-._~+", c);

		if (plain)
			buf_byte(to, c);
		else
			buf_fmt(to, "%%%02X", c);
	}
}

/* As provider_url() reads it. */
static bool put_url(const struct provider *p, char *to, size_t size)
{
	struct buf b;
	bool ok;

	buf_init(&b, size - 1);
	if (p->path[0]) {
		buf_fmt(&b, "unix:%s", p->path);
	} else {
		buf_str(&b, p->implicit_tls ? "smtps://" : "smtp://");
		if (p->user[0]) {
			put_user(p->user, &b);
			buf_byte(&b, '@');
		}
		buf_fmt(&b, strchr(p->host, ':') ? "[%s]" : "%s", p->host);
		if (p->port)
			buf_fmt(&b, ":%u", p->port);
	}
	ok = buf_ok(&b) && slice_copy(buf_slice(&b), to, size);
	buf_done(&b);
	return ok;
}

/* It is read later, from another folder.  Standard input is not there then. */
static bool put_path(const char *path, char to[static PATH_MAX], const char **ret)
{
	char here[PATH_MAX];
	int n;

	*ret = NULL;
	if (!path || !*path || !strcmp(path, "-"))
		return true;
	if (path[0] == '/')
		n = snprintf(to, PATH_MAX, "%s", path);
	else if (getcwd(here, sizeof(here)))
		n = snprintf(to, PATH_MAX, "%s/%s", here, path);
	else
		return false;
	*ret = to;
	return n > 0 && n < PATH_MAX;
}

bool cli_outbox_way(const struct cli_outbox_by *by, struct cli_outbox_way *ret)
{
	const struct cli_carrier_setup *s = by->setup;
	const struct provider *p = cli_carrier_provider(by->carrier);
	const struct submit_account *account = cli_carrier_account(by->carrier);
	const char *file = s->password_file || account ? s->password_file : getenv("POSTERN_PASSWORD_FILE");
	struct outbox_way *w = &ret->way;

	*w = (struct outbox_way){ .mechanism = s->mechanism, .pins = s->pins };
	if (!put_url(p, ret->url, sizeof(ret->url)) ||
	    !put_path(p->user[0] ? file : NULL, ret->password_file, &w->password_file) ||
	    !put_path(s->net.ca_file, ret->ca_file, &w->ca_file))
		return false;
	for (size_t i = 0; i < s->pins; i++)
		w->pin[i] = s->pin[i];
	w->account = account ? account->name : NULL;
	w->url = account ? NULL : ret->url; /* what the account says then, holds */
	return true;
}

bool cli_outbox_url(const char *program, const char *url, struct cli_outbox_way *ret)
{
	struct provider p;
	const char *why = provider_url(slice_str(url), &p);

	if (!why && put_url(&p, ret->url, sizeof(ret->url)))
		return true;
	(void)cli_usage(program, "the URL: %s", why ? why : "it is too long");
	return false;
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool cli_outbox_same_server(const struct outbox_way *a, const struct outbox_way *b)
{
	return same(a->account, b->account) && same(a->url, b->url);
}

/* ---- keeping ---- */

bool cli_outbox_is_final(uint8_t end)
{
	return end == IPC_LANE_TLS || end == IPC_LANE_AUTH || end == IPC_LANE_NOWHERE;
}

static bool may_pass(const struct carry_rcpt *t, const struct carry_result *r)
{
	return t->tried ? t->result == IPC_JOB_DEFERRED : !cli_outbox_is_final(r->end);
}

bool cli_outbox_wants(const struct carry_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (may_pass(&r->rcpt[i], r))
			return true;
	return false;
}

int cli_outbox_keep(const struct cli_outbox_by *by, const struct draft *d, const struct carry_result *r,
		    struct id *ret)
{
	struct cli_outbox_way *way = malloc(sizeof(*way));
	bool *leave_out = calloc(r->n ? r->n : 1, sizeof(*leave_out)), none;
	struct outbox_new n = { .draft = d,
				.leave_out = leave_out,
				.answered = r->reached,
				.text = r->text,
				.now_ms = cli_now_ms() };
	struct outbox *o = NULL;
	int status = CLI_LATER, error;

	if (!way || !leave_out || !cli_outbox_way(by, way)) {
		fprintf(stderr, "postern %s: out of memory, or a path is too long\n", by->program);
		goto out;
	}
	n.way = &way->way;
	for (size_t i = 0; i < r->n; i++) {
		const struct carry_rcpt *t = &r->rcpt[i];

		leave_out[i] = !may_pass(t, r);
		n.unsure = n.unsure || (!leave_out[i] && t->tried && t->in_doubt);
		if (!leave_out[i] && t->tried)
			n.text = t->text;
	}
	o = cli_outbox_open(by->program, true, &none);
	if (!o)
		goto out;
	error = outbox_put(o, &n, ret);
	status = error == 0 ? CLI_OK : cli_outbox_error(by->program, outbox_path(o), error);
out:
	outbox_close(o);
	free(leave_out);
	free(way);
	return status;
}

const char *cli_outbox_why(const struct outbox_message *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->rcpt[i].state == OUTBOX_REFUSED && m->rcpt[i].text)
			return m->rcpt[i].text;
	return m->text;
}

void cli_outbox_hint(const char *program, const struct cli_outbox_count *c)
{
	if (c->sent > 0)
		fprintf(stderr, "postern %s: %zu message%s that waited in the outbox went out, too\n",
			program, c->sent, c->sent == 1 ? "" : "s");
	if (c->unsure + c->failed == 0)
		return;
	fprintf(stderr, "postern %s: in the outbox", program);
	if (c->failed > 0)
		fprintf(stderr, " %zu failed", c->failed);
	fputs(c->failed > 0 && c->unsure > 0 ? "," : "", stderr);
	if (c->unsure > 0)
		fprintf(stderr, " %zu perhaps went out", c->unsure);
	fputs(": postern send --list says what to do\n", stderr);
}

/* ---- what its owner says of single ones ---- */

bool cli_outbox_wanted(const struct cli_outbox_ask *ask, const char *id)
{
	for (size_t i = 0; i < ask->ids; i++)
		if (!strcmp(ask->id[i], id))
			return true;
	return ask->ids == 0;
}

static int change_locked(const struct cli_outbox_ask *ask, struct outbox *o, struct outbox_message *m,
			 bool drop)
{
	int r;

	if (!drop && outbox_message_state(m) == OUTBOX_WAITING)
		return 0; /* it is tried anyway */
	r = drop ? outbox_remove(o, m) : outbox_again(o, m, cli_now_ms());
	if (r == 0 && drop && !ask->json)
		printf("%s is dropped\n", m->id);
	return r;
}

static int change_one(const struct cli_outbox_ask *ask, struct outbox *o, const char *id, bool drop)
{
	struct outbox_message m;
	int r = outbox_read(o, id, &m), lock;

	if (r == -ENOENT) {
		fprintf(stderr, "postern %s: ", ask->program);
		cli_put_clean(stderr, id, false);
		fputs(": there is no such message in the outbox\n", stderr);
		return CLI_FAILED;
	}
	if (r < 0)
		return cli_outbox_error(ask->program, id, r);
	r = outbox_lock(o, &m.way, &lock);
	if (r == 0) {
		struct outbox_message now;

		r = outbox_read(o, id, &now); /* whoever had the lock may have sent it */
		if (r == 0) {
			r = change_locked(ask, o, &now, drop);
			outbox_message_done(&now);
		}
		outbox_unlock(o, lock);
	}
	outbox_message_done(&m);
	if (r == -EBUSY) {
		fprintf(stderr,
			"postern %s: %s: another command is sending what waits for its server; try again "
			"when that is over\n",
			ask->program, id);
		return CLI_LATER;
	}
	return r == 0 ? CLI_OK : cli_outbox_error(ask->program, id, r);
}

static int change_all(const struct cli_outbox_ask *ask, bool drop)
{
	bool none;
	struct outbox *o = cli_outbox_open(ask->program, false, &none);
	int status = CLI_OK;

	if (!o && !none)
		return CLI_FAILED;
	for (size_t i = 0; i < ask->ids; i++) {
		int one = CLI_FAILED;

		if (o)
			one = change_one(ask, o, ask->id[i], drop);
		else
			fprintf(stderr, "postern %s: the outbox is empty\n", ask->program);
		status = status == CLI_OK ? one : status;
	}
	outbox_close(o);
	return status;
}

int cli_outbox_drop(const struct cli_outbox_ask *ask)
{
	int status = change_all(ask, true), printed = CLI_OK;

	if (ask->json)
		printed = cli_outbox_print_json(ask->program, json_pack("{s:i}", "exit", status));
	return status == CLI_OK ? printed : status;
}

int cli_outbox_retry(const struct cli_outbox_ask *ask)
{
	int status = change_all(ask, false);

	return status == CLI_OK ? cli_outbox_flush(ask) : status;
}
