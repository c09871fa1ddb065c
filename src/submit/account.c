#include "submit/account.h"

#include <errno.h>
#include <stddef.h>

#include "submit/account_private.h"

static const struct conf_word tls_words[] = {
	{ "auto", SUBMIT_ACCOUNT_TLS_AUTO },
	{ "starttls", SUBMIT_ACCOUNT_TLS_STARTTLS },
	{ "implicit", SUBMIT_ACCOUNT_TLS_IMPLICIT },
	{ NULL, 0 },
};
static const struct conf_word rewrite_words[] = {
	{ "auto", SUBMIT_ACCOUNT_REWRITE_AUTO },
	{ "no", SUBMIT_ACCOUNT_REWRITE_NO },
	{ "local", SUBMIT_ACCOUNT_REWRITE_LOCAL },
	{ "all", SUBMIT_ACCOUNT_REWRITE_ALL },
	{ NULL, 0 },
};

#define MEMBER(m)     .at = offsetof(struct submit_account, m), .width = sizeof(((struct submit_account *)0)->m)
#define ROW(p, t, m)  .path = (p), .type = (t), MEMBER(m)
#define LIST(p, t, m) ROW(p, t, m), .at_n = offsetof(struct submit_account, n_##m)

/* What may stand in the block of an account, in the order of postern-send.yaml(5). */
static const struct conf_directive rows[] = {
	{ ROW("url", CONF_T_STRING, url), .def = "", .max = CONF_STRING_MAX },
	{ ROW("provider", CONF_T_STRING, provider), .def = "", .max = 64 },
	{ ROW("host", CONF_T_STRING, host), .def = "", .max = 255 },
	{ ROW("port", CONF_T_PORT, port), .def = "0", .max = 65535 },
	{ ROW("tls", CONF_T_WORD, tls), .def = "auto", .words = tls_words },
	{ ROW("user", CONF_T_STRING, user), .def = "", .max = PROVIDER_USER_MAX },
	{ ROW("from", CONF_T_EMAIL, from), .def = "" },
	{ ROW("name", CONF_T_STRING, full_name), .def = "", .max = ACCOUNT_NAME_MAX },
	{ ROW("rewrite_from", CONF_T_WORD, rewrite_from), .def = "auto", .words = rewrite_words },
	{ ROW("local_to", CONF_T_EMAIL, local_to), .def = "" },
	{ ROW("password_file", CONF_T_STRING, password_file), .def = "", .max = CONF_STRING_MAX },
	{ LIST("password_command", CONF_T_STRINGS, password_command), .def = "", .min = 1,
	  .max = ACCOUNT_WORDS_MAX },
	{ LIST("token_command", CONF_T_STRINGS, token_command), .def = "", .min = 1,
	  .max = ACCOUNT_WORDS_MAX },
	{ ROW("mechanism", CONF_T_WORD, mechanism), .def = "auto", .words = conf_mechanisms },
	{ LIST("fingerprints", CONF_T_FINGERPRINTS, fingerprints), .def = "", .max = 16 },
	{ ROW("ca_file", CONF_T_STRING, ca_file), .def = "", .max = CONF_STRING_MAX },
	{ ROW("queue", CONF_T_BOOL, queue), .def = "no" },
	{ ROW("messages_per_minute", CONF_T_NUMBER, messages_per_minute), .def = "0", .max = 10000000 },
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- the tree ---- */

static void unknown(struct account_reading *r, const char *in, const struct conf_node *node, const char *near)
{
	static const char *const secrets[] = { "password", "passwd", "pass", "secret", "token" };

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (!strcmp(node->key, secrets[i])) {
			conf_error(&r->f, node->line,
				   "%s%s: no secret stands in this file; password_file, password_command or "
				   "token_command says where it is kept",
				   in, node->key);
			return;
		}
	conf_error(&r->f, node->line, near ? "%s%s: no such name; did you mean '%s'?" : "%s%s: no such name",
		   in, node->key, near);
}

static int take_row(struct account_reading *r, struct submit_account *a, const char *in,
		    const struct conf_node *node)
{
	const struct conf_directive *d = NULL;
	struct conf_node value = *node;
	struct conf_near near;
	char *address = NULL;
	bool one;
	int rc = 0;

	conf_near_begin(&near, slice_str(node->key));
	for (size_t i = 0; i < N_ROWS && !d; i++) {
		conf_near_look(&near, rows[i].path);
		if (!strcmp(rows[i].path, node->key))
			d = &rows[i];
	}
	if (!d) {
		unknown(r, in, node, near.best);
		return 0;
	}
	if (!strcmp(d->path, "from") && node->kind == CONF_NODE_TEXT)
		rc = account_take_from(r, &value.text, &address);
	if (rc == 0)
		rc = conf_take_value(&r->f, in, d, a, &value);
	free(address);
	one = node->kind == CONF_NODE_TEXT;
	if (rc == 0 && one && a->n_password_command == 1 && !strcmp(d->path, "password_command"))
		rc = account_split(r, a, d->path, &a->password_command, &a->n_password_command);
	if (rc == 0 && one && a->n_token_command == 1 && !strcmp(d->path, "token_command"))
		rc = account_split(r, a, d->path, &a->token_command, &a->n_token_command);
	return rc;
}

static int set_defaults(struct submit_account *a)
{
	struct buf why;
	int rc = 0;

	buf_init(&why, 256);
	for (size_t i = 0; i < N_ROWS && rc == 0; i++)
		if (!conf_is_list(rows[i].type))
			rc = conf_value_set(&rows[i], a, slice_str(rows[i].def), &why);
	buf_done(&why);
	return rc;
}

/* argv ends with NULL; a list that came from conf/ does not yet. */
static int end_words(char ***list, size_t n)
{
	char **more = n > 0 ? reallocarray(*list, n + 1, sizeof(**list)) : *list;

	if (n == 0)
		return 0;
	if (!more)
		return -ENOMEM;
	more[n] = NULL;
	*list = more;
	return 0;
}

static int take_account(struct account_reading *r, const struct conf_node *node)
{
	struct submit_account *a = &r->all->account[r->all->n++];
	unsigned errors = r->f.errors;
	char in[64];
	int rc;

	a->line = node->line;
	a->name = slice_dup(slice_str(node->key));
	rc = a->name ? set_defaults(a) : -ENOMEM;
	snprintf(in, sizeof(in), "accounts.%s.", node->key);
	if (rc == 0 && node->kind != CONF_NODE_BLOCK && node->kind != CONF_NODE_BAD)
		conf_error(&r->f, node->line,
			   "accounts.%s: what belongs to it is expected here, each as 'name: "
			   "value'",
			   node->key);
	if (rc < 0 || node->kind != CONF_NODE_BLOCK)
		return rc;
	for (const struct conf_node *child = node->first; child && rc == 0; child = child->next)
		rc = take_row(r, a, in, child);
	if (rc == 0)
		rc = end_words(&a->password_command, a->n_password_command);
	if (rc == 0)
		rc = end_words(&a->token_command, a->n_token_command);
	if (rc == 0 && r->f.errors == errors)
		rc = account_check(r, a);
	free(r->from_name);
	r->from_name = NULL;
	return rc;
}

static int take_accounts(struct account_reading *r, const struct conf_node *node)
{
	int rc = 0;

	if (node->kind == CONF_NODE_TEXT || node->kind == CONF_NODE_LIST)
		conf_error(&r->f, node->line,
			   "accounts: a block is expected here, with a name for each account");
	if (node->kind != CONF_NODE_BLOCK)
		return 0;
	r->all->account = calloc(node->n ? node->n : 1, sizeof(*r->all->account));
	if (!r->all->account)
		return -ENOMEM;
	for (const struct conf_node *child = node->first; child && rc == 0; child = child->next) {
		if (conf_name_ok(slice_str(child->key)))
			rc = take_account(r, child);
		else
			conf_error(
				&r->f, child->line,
				"accounts.%s: a name has up to 32 letters, digits, - and _, first a letter",
				child->key);
	}
	return rc;
}

static int take_standard(struct account_reading *r, const struct conf_node *node)
{
	static const struct conf_directive row = {
		.path = "default",
		.type = CONF_T_STRING,
		.at = offsetof(struct submit_accounts, standard),
		.width = sizeof(char *),
		.min = 1,
		.max = 32,
	};

	return conf_take_value(&r->f, "", &row, r->all, node);
}

static int take_tree(struct account_reading *r, const struct conf_node *root)
{
	const struct conf_node *standard = conf_tree_find(root, "default");
	struct conf_near near;
	int rc = 0;

	if (!root || root->kind == CONF_NODE_NOTHING || root->kind == CONF_NODE_BAD)
		return 0;
	if (root->kind != CONF_NODE_BLOCK) {
		conf_error(&r->f, root->line, "'accounts:' is expected here");
		return 0;
	}
	for (const struct conf_node *child = root->first; child && rc == 0; child = child->next) {
		if (!strcmp(child->key, "accounts")) {
			rc = take_accounts(r, child);
		} else if (!strcmp(child->key, "default")) {
			rc = take_standard(r, child);
		} else {
			conf_near_begin(&near, slice_str(child->key));
			conf_near_look(&near, "accounts");
			conf_near_look(&near, "default");
			unknown(r, "", child, near.best);
		}
	}
	if (rc == 0 && r->all->standard[0] && !submit_account(r->all, r->all->standard))
		conf_error(&r->f, standard->line, "default: there is no account '%s'", r->all->standard);
	return rc;
}

int submit_accounts_parse(struct slice text, const char *home, struct submit_accounts **ret,
			  struct conf_finding **ret_findings)
{
	struct account_reading r = { .all = calloc(1, sizeof(*r.all)),
				     .home = home && home[0] == '/' ? home : NULL };
	struct conf_node *root = NULL;
	int rc = -ENOMEM;

	conf_findings_init(&r.f);
	if (r.all)
		r.all->standard = slice_dup(SLICE_LIT(""));
	if (r.all && r.all->standard)
		rc = conf_tree_new(text, &r.f, &root);
	if (rc == 0)
		rc = take_tree(&r, root);
	conf_tree_free(root);
	conf_findings_end(&r.f);
	if (rc == 0 && r.f.no_memory)
		rc = -ENOMEM;
	if (rc == 0 && r.f.errors > 0)
		rc = -EINVAL;
	if (rc == 0)
		*ret = r.all;
	else
		submit_accounts_free(r.all);
	*ret_findings = r.f.first;
	return rc;
}

void submit_accounts_free(struct submit_accounts *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < all->n; i++) {
		for (size_t k = 0; k < N_ROWS; k++)
			conf_value_clear(&rows[k], &all->account[i]);
		free((void *)(uintptr_t)all->account[i].name);
	}
	free(all->account);
	free((void *)(uintptr_t)all->standard);
	free(all);
}

/* ---- which there are ---- */

const struct submit_account *submit_account(const struct submit_accounts *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (!strcmp(all->account[i].name, name))
			return &all->account[i];
	return NULL;
}

const struct submit_account *submit_account_standard(const struct submit_accounts *all)
{
	if (all->standard[0])
		return submit_account(all, all->standard);
	return all->n == 1 ? &all->account[0] : NULL;
}

const char *submit_account_near(const struct submit_accounts *all, const char *name)
{
	struct conf_near near;

	conf_near_begin(&near, slice_str(name));
	for (size_t i = 0; i < all->n; i++)
		conf_near_look(&near, all->account[i].name);
	return near.best;
}

/* ---- as a file ---- */

static bool is_default(const struct conf_directive *d, const struct submit_account *a)
{
	struct submit_account def = { 0 };
	struct buf why;
	bool same;

	if (conf_is_list(d->type))
		return *(const size_t *)(const void *)((const unsigned char *)a + d->at_n) == 0;
	buf_init(&why, 64);
	same = conf_value_set(d, &def, slice_str(d->def), &why) == 0 && conf_value_same(d, a, &def);
	conf_value_clear(d, &def);
	buf_done(&why);
	return same;
}

void submit_accounts_show(const struct submit_accounts *all, struct buf *to)
{
	if (all->standard[0]) {
		buf_str(to, "default: ");
		conf_quote(slice_str(all->standard), to);
		buf_byte(to, '\n');
	}
	buf_str(to, all->n > 0 ? "accounts:\n" : "");
	for (size_t i = 0; i < all->n; i++) {
		buf_fmt(to, "  %s:\n", all->account[i].name);
		for (size_t k = 0; k < N_ROWS; k++) {
			if (is_default(&rows[k], &all->account[i]))
				continue;
			buf_fmt(to, "    %s: ", rows[k].path);
			conf_value_show(&rows[k], &all->account[i], to);
			buf_byte(to, '\n');
		}
	}
}
