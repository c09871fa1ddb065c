/* What is read can be written, and reads the same again.  No account that is accepted sends a password to
 * nobody in particular, to port 25, to a socket, or to STARTTLS on 465; none has a relative path, or a
 * command without a program, or runs more than one of them; and one that is the default is there.  What is
 * refused is refused with words. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "submit/account.h"

static struct submit_accounts *parse(struct slice text)
{
	struct submit_accounts *all = NULL;
	struct conf_finding *findings = NULL;
	int r = submit_accounts_parse(text, "/h", &all, &findings);

	for (const struct conf_finding *f = findings; f; f = f->next)
		if (!f->error || !f->text || !f->text[0])
			abort();
	if ((r == 0) != (all != NULL) || (r == -EINVAL) != (findings != NULL))
		abort();
	conf_findings_free(findings);
	return all;
}

static void command_holds(char **words, size_t n)
{
	if ((n > 0) != (words != NULL) || (words && words[n]))
		abort();
	if (n > 0 && (!words[0][0] || (words[0][0] != '/' && strchr(words[0], '/'))))
		abort();
	for (size_t i = 0; i < n; i++)
		if (!strncmp(words[i], "~/", 2))
			abort();
}

static void holds(const struct submit_account *a)
{
	const struct provider *p = &a->server;
	int secrets = (a->password_file[0] != 0) + (a->password_command != NULL) + (a->token_command != NULL);

	if ((p->host[0] != 0) == (p->path[0] != 0) || (p->path[0] && (p->user[0] || p->path[0] != '/')))
		abort();
	if (p->port == 25 || (p->port == 465 && !p->implicit_tls))
		abort();
	if (secrets > 1 || (secrets > 0 && !p->user[0]))
		abort();
	if ((a->password_file[0] && a->password_file[0] != '/') || (a->ca_file[0] && a->ca_file[0] != '/'))
		abort();
	if (a->rewrite_from > SUBMIT_ACCOUNT_REWRITE_NO && !a->from[0] && !strchr(p->user, '@'))
		abort();
	if (a->from[0] && !strchr(a->from, '@'))
		abort();
	if (a->token_command && a->mechanism < CONF_MECHANISM_XOAUTH2)
		abort();
	command_holds(a->password_command, a->n_password_command);
	command_holds(a->token_command, a->n_token_command);
}

static void same_words(char **a, size_t n_a, char **b, size_t n_b)
{
	if (n_a != n_b)
		abort();
	for (size_t i = 0; i < n_a; i++)
		if (strcmp(a[i], b[i]) != 0)
			abort();
}

static void same(const struct submit_account *a, const struct submit_account *b)
{
	const struct provider *p = &a->server, *q = &b->server;

	if (strcmp(a->name, b->name) != 0 || strcmp(a->from, b->from) != 0 ||
	    strcmp(a->full_name, b->full_name) != 0 || strcmp(a->local_to, b->local_to) != 0 ||
	    a->rewrite_from != b->rewrite_from || strcmp(a->password_file, b->password_file) != 0 ||
	    strcmp(a->ca_file, b->ca_file) != 0 || a->mechanism != b->mechanism || a->queue != b->queue ||
	    a->messages_per_minute != b->messages_per_minute)
		abort();
	if (strcmp(p->host, q->host) != 0 || strcmp(p->path, q->path) != 0 || strcmp(p->user, q->user) != 0 ||
	    p->port != q->port || p->implicit_tls != q->implicit_tls || p->known != q->known)
		abort();
	same_words(a->password_command, a->n_password_command, b->password_command, b->n_password_command);
	same_words(a->token_command, a->n_token_command, b->token_command, b->n_token_command);
	same_words(a->fingerprints, a->n_fingerprints, b->fingerprints, b->n_fingerprints);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct submit_accounts *all = parse(slice_of(data, n)), *again;
	struct buf shown;

	if (!all)
		return 0;
	if (all->standard[0] && !submit_account_standard(all))
		abort();
	buf_init(&shown, 1 << 24);
	submit_accounts_show(all, &shown);
	again = parse(buf_slice(&shown));
	if (!again || again->n != all->n || strcmp(again->standard, all->standard) != 0)
		abort();
	for (size_t i = 0; i < all->n; i++) {
		holds(&all->account[i]);
		same(&all->account[i], &again->account[i]);
	}
	submit_accounts_free(again);
	submit_accounts_free(all);
	buf_done(&shown);
	return 0;
}
