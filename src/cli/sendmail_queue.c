/* sendmail -bp and -q, mailq: what waits in the user's outbox, and in the queue of this machine's Postern as
 * far as this user may ask about it.
 */
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/outbox.h"
#include "cli/sendmail.h"

static int exit_of(int status)
{
	switch (status) {
	case CLI_OK:
		return EX_OK;
	case CLI_NO_SERVER:
	case CLI_LATER:
		return EX_TEMPFAIL;
	case CLI_USAGE:
		return EX_USAGE;
	default:
		return EX_UNAVAILABLE;
	}
}

/* ---- the server's queue ---- */

/* False: no Postern runs on this machine. */
static bool find_server(char *ret, size_t size)
{
	const char *run = getenv("POSTERN_RUNTIME_DIR");
	int n = snprintf(ret, size, "%s/control.sock", run && *run ? run : "/run/postern");
	struct stat st;

	return n > 0 && (size_t)n < size && stat(ret, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool may_ask(const char *path)
{
	return access(path, R_OK | W_OK) == 0;
}

/* `postern queue VERB ARGUMENT... --socket PATH`, and its status as one of sendmail's. */
static int ask_server(const char *path, const char *verb, const char *a, const char *b)
{
	char *argv[7] = { (char *)"queue", (char *)(uintptr_t)verb, (char *)"--socket",
			  (char *)(uintptr_t)path };
	int argc = 4;

	if (!may_ask(path)) {
		fputs("postern sendmail: the queue of this machine is for root, the server's user and its "
		      "control_group\n",
		      stderr);
		return EX_NOPERM;
	}
	if (a)
		argv[argc++] = (char *)(uintptr_t)a;
	if (b)
		argv[argc++] = (char *)(uintptr_t)b;
	optind = 1;
	return exit_of(cli_queue(argc, argv));
}

/* ---- the user's outbox ---- */

struct waiting {
	struct outbox *o;
	struct outbox_item *item;
	size_t n;
};

/* CLI_OK, and nothing in it where there is none; else said. */
static int open_waiting(struct waiting *ret)
{
	bool none, more;
	int r;

	*ret = (struct waiting){ .o = cli_outbox_open("sendmail", false, &none) };
	if (!ret->o)
		return none ? CLI_OK : CLI_FAILED;
	r = outbox_list(ret->o, &ret->item, &ret->n, &more);
	if (r == 0)
		return CLI_OK;
	fprintf(stderr, "postern sendmail: %s: %s\n", outbox_path(ret->o), strerrordesc_np(-r));
	outbox_close(ret->o);
	*ret = (struct waiting){ 0 };
	return CLI_LATER;
}

static void close_waiting(struct waiting *w)
{
	if (w->item)
		outbox_list_free(w->item, w->n);
	outbox_close(w->o);
}

static bool is_for(const struct outbox_message *m, struct slice domain)
{
	for (size_t i = 0; i < m->n; i++) {
		struct slice address = slice_str(m->rcpt[i].address);

		if (m->rcpt[i].state == OUTBOX_WAITS &&
		    slice_eq_nocase(slice_tail(address, slice_rfind(address, '@') + 1), domain))
			return true;
	}
	return false;
}

/* Those that -qI or -qR mean; true: all that wait are tried. */
static bool choose(const struct sendmail *s, const struct waiting *w, struct cli_outbox_ask *ask)
{
	struct slice domain = slice_str(s->flush_site);

	if (!s->flush_id && !s->flush_site)
		return true;
	cur_byte(&domain, '@');
	for (size_t i = 0; i < w->n && ask->ids < CLI_OUTBOX_IDS_MAX; i++) {
		const struct outbox_message *m = &w->item[i].m;

		if (w->item[i].kind == OUTBOX_MESSAGE &&
		    (s->flush_id ? strcmp(m->id, s->flush_id) == 0 : is_for(m, domain)))
			ask->id[ask->ids++] = m->id;
	}
	return false;
}

/* ---- both ---- */

int cli_sendmail_list(const struct cli_sendmail *m)
{
	const struct cli_outbox_ask ask = { .program = "sendmail", .verbose = m->s.verbose };
	struct waiting w;
	char path[256];
	int own = open_waiting(&w), status = EX_OK;
	bool is_server = find_server(path, sizeof(path));

	if (is_server)
		status = ask_server(path, "list", NULL, NULL);
	if (w.n > 0)
		own = cli_outbox_list(&ask);
	else if (own == CLI_OK && !is_server)
		puts("Mail queue is empty"); /* in the words of others: scripts look for them */
	close_waiting(&w);
	return sendmail_exit_worse(status, exit_of(own));
}

static int flush_server(const struct sendmail *s, const char *path)
{
	if (s->flush_site)
		return ask_server(path, "retry", "--domain", s->flush_site);
	if (s->flush_id)
		return ask_server(path, "retry", "--", s->flush_id);
	if (!may_ask(path)) /* it looks after itself, and a user's crontab means his own */
		return EX_OK;
	return ask_server(path, "retry", "--all", NULL);
}

int cli_sendmail_flush(const struct cli_sendmail *m)
{
	struct cli_outbox_ask ask = { .program = "sendmail", .verbose = m->s.verbose };
	struct waiting w;
	char path[256];
	int own = open_waiting(&w), status = EX_OK;
	bool all = choose(&m->s, &w, &ask), here = all || ask.ids > 0;

	if (own == CLI_OK && here && w.n > 0)
		own = cli_outbox_flush(&ask);
	if (find_server(path, sizeof(path)) && !(m->s.flush_id && ask.ids > 0))
		status = flush_server(&m->s, path);
	else if (m->s.flush_id && ask.ids == 0) {
		fputs("postern sendmail: there is no such message\n", stderr);
		status = EX_UNAVAILABLE;
	}
	close_waiting(&w);
	return sendmail_exit_worse(status, exit_of(own));
}
