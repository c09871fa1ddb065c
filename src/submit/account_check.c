/* What of an account no single line tells: that it fits together, and what it comes to. */
#include <errno.h>

#include "mime/address.h"
#include "route/providers.h"
#include "submit/account_private.h"

/* ---- paths and commands ---- */

static int replace(const char **text, char *with)
{
	if (!with)
		return -ENOMEM;
	free((void *)(uintptr_t)*text);
	*text = with;
	return 0;
}

/* "~/x": in the home of who runs this.  Other people's homes ("~bob/x") are not looked up.  What is wrong is
 * an error.  0 or -ENOMEM. */
static int expand(struct account_reading *r, const struct submit_account *a, const char *key,
		  const char **text)
{
	char *whole;

	if (strncmp(*text, "~/", 2) != 0)
		return 0;
	if (!r->home || strlen(r->home) + strlen(*text) > CONF_STRING_MAX) {
		conf_error(&r->f, a->line, "accounts.%s.%s: %s", a->name, key,
			   r->home ? "it is too long" : "~/ is the home of nobody: $HOME is not set");
		return 0;
	}
	if (asprintf(&whole, "%s%s", r->home, *text + 1) < 0)
		whole = NULL;
	return replace(text, whole);
}

/* It may be a password that somebody wrote there: it is not said again. */
static int check_path(struct account_reading *r, const struct submit_account *a, const char *key,
		      const char **path)
{
	if (**path && **path != '/' && strncmp(*path, "~/", 2) != 0)
		conf_error(&r->f, a->line,
			   "accounts.%s.%s: this is no path of a file; one begins with / or ~/", a->name,
			   key);
	return expand(r, a, key, path);
}

static int add_word(char ***list, size_t *n, struct slice word)
{
	char **more = reallocarray(*list, *n + 2, sizeof(**list));

	if (!more)
		return -ENOMEM;
	*list = more;
	more[*n] = slice_dup(word);
	if (!more[*n])
		return -ENOMEM;
	more[++*n] = NULL;
	return 0;
}

static void free_words(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

/* A command that is one text: its words are apart by blanks, and what a shell would do with anything else is
 * not done here, nor left undone without a word. */
int account_split(struct account_reading *r, const struct submit_account *a, const char *key, char ***list,
		  size_t *n)
{
	struct slice text = slice_str((*list)[0]), word;
	char **words = NULL;
	size_t n_words = 0;
	int rc = 0;

	for (const char *c = (*list)[0]; *c; c++)
		if (strchr("\"'\\$`|;&<>()*?", *c)) {
			conf_error(&r->f, a->line,
				   "accounts.%s.%s: '%c' means something to a shell, and no shell runs this; "
				   "write the words as a list: [program, \"its argument\"]",
				   a->name, key, *c);
			return 0;
		}
	for (cur_blanks(&text); text.n > 0 && rc == 0; cur_blanks(&text)) {
		word = slice_head(text, slice_find(text, ' '));
		text = slice_tail(text, word.n);
		rc = add_word(&words, &n_words, word);
	}
	if (rc == 0 && (n_words == 0 || n_words > ACCOUNT_WORDS_MAX))
		conf_error(&r->f, a->line, "accounts.%s.%s: %s", a->name, key,
			   n_words == 0 ? "it is empty" : "it has too many words");
	if (rc < 0) {
		free_words(words, n_words);
		return rc;
	}
	free_words(*list, *n);
	*list = words;
	*n = n_words;
	return 0;
}

/* Of a program without a slash PATH says where it is. */
static int check_command(struct account_reading *r, const struct submit_account *a, const char *key,
			 char **list, size_t n)
{
	int rc = 0;

	if (n > 0 && list[0][0] != '/' && strncmp(list[0], "~/", 2) != 0 && strchr(list[0], '/'))
		conf_error(&r->f, a->line,
			   "accounts.%s.%s: a program is named without any /, or from / or ~/ on", a->name,
			   key);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = expand(r, a, key, (const char **)&list[i]);
	return rc;
}

/* ---- what of an account must fit together ---- */

/* By url, or by provider, or by host. */
static void take_server(struct account_reading *r, struct submit_account *a)
{
	const struct route_provider *known = a->provider[0] ? route_provider(slice_str(a->provider)) : NULL;
	struct provider *to = &a->server;
	struct slice host = slice_str(a->host);
	struct ip ip;

	to->port = a->port;
	to->implicit_tls = a->tls == SUBMIT_ACCOUNT_TLS_IMPLICIT || a->port == 465;
	if (to->implicit_tls && to->port == 0)
		to->port = 465;
	if (known) {
		to->known = known->name;
		host = slice_str(known->host);
	} else if (a->provider[0]) {
		conf_error(&r->f, a->line,
			   "accounts.%s.provider: '%s' is not known; `postern route --providers` lists those "
			   "that are, and any other works with host",
			   a->name, a->provider);
		return;
	}
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = slice_head(slice_tail(host, 1), host.n - 2);
	if ((!conf_host_ok(host) && !ip_parse(host, &ip)) || !slice_copy(host, to->host, sizeof(to->host)))
		conf_error(&r->f, a->line,
			   "accounts.%s.host: this is neither the name of a host nor an address", a->name);
	if (a->port == 25)
		conf_error(
			&r->f, a->line,
			"accounts.%s.port: 25 is for servers among each other, and takes no logins; leave it "
			"out",
			a->name);
	if (a->port == 465 && a->tls == SUBMIT_ACCOUNT_TLS_STARTTLS)
		conf_error(&r->f, a->line,
			   "accounts.%s.tls: 465 has TLS from the first octet: implicit, or leave it out",
			   a->name);
}

static void check_server(struct account_reading *r, struct submit_account *a)
{
	int ways = (a->url[0] != 0) + (a->provider[0] != 0) + (a->host[0] != 0);
	const char *why;

	if (ways != 1) {
		conf_error(&r->f, a->line, "accounts.%s: %s: url, provider or host", a->name,
			   ways == 0 ? "to which server? One is required" : "only one of these can be");
		return;
	}
	if (!a->host[0] && (a->port > 0 || a->tls != SUBMIT_ACCOUNT_TLS_AUTO))
		conf_error(&r->f, a->line, "accounts.%s.%s: only with host; a url or provider says it itself",
			   a->name, a->port > 0 ? "port" : "tls");
	if (a->url[0]) {
		/* What is wrong may be a password in it: it is not said again. */
		why = provider_url(slice_str(a->url), &a->server);
		if (why)
			conf_error(&r->f, a->line, "accounts.%s.url: %s", a->name, why);
	} else {
		take_server(r, a);
	}
	if (!a->user[0])
		return;
	if (a->server.path[0])
		conf_error(&r->f, a->line, "accounts.%s.user: at a socket of this machine nobody logs in",
			   a->name);
	else if (a->server.user[0])
		conf_error(&r->f, a->line, "accounts.%s.user: the url has one already", a->name);
	else
		(void)slice_copy(slice_str(a->user), a->server.user, sizeof(a->server.user));
}

static bool is_token(int mechanism)
{
	return mechanism == CONF_MECHANISM_XOAUTH2 || mechanism == CONF_MECHANISM_OAUTHBEARER ||
	       mechanism == CONF_MECHANISM_OAUTH;
}

static void check_secret(struct account_reading *r, struct submit_account *a)
{
	const char *key = a->token_command	? "token_command"
			  : a->password_command ? "password_command"
						: "password_file";
	int n = (a->password_file[0] != 0) + (a->password_command != NULL) + (a->token_command != NULL);

	if (n > 1)
		conf_error(&r->f, a->line,
			   "accounts.%s.%s: only one of password_file, password_command and token_command",
			   a->name, key);
	if (n > 0 && !a->server.user[0])
		conf_error(&r->f, a->line, "accounts.%s.user: required, to go with %s", a->name, key);
	if (!a->token_command)
		return;
	if (a->mechanism == CONF_MECHANISM_AUTO)
		a->mechanism = CONF_MECHANISM_OAUTH;
	else if (!is_token(a->mechanism))
		conf_error(&r->f, a->line,
			   "accounts.%s.mechanism: a token goes with oauth, oauthbearer or xoauth2", a->name);
}

/* ---- whom it sends as ---- */

int account_take_from(struct account_reading *r, struct slice *address, char **text)
{
	struct mime_addresses a;
	enum mime_address_item item, more;
	int rc = 0;

	if (!conf_text_ok(*address))
		return 0;
	mime_addresses_init(&a, *address);
	item = mime_addresses_next(&a);
	if (item == MIME_ADDRESS_MAILBOX) {
		struct slice name = buf_slice(&a.name);

		*text = slice_dup(buf_slice(&a.address));
		if (name.n > 0 && !r->from_name)
			r->from_name = slice_dup(name);
		rc = *text && (name.n == 0 || r->from_name) ? 0 : -ENOMEM;
		more = mime_addresses_next(&a);
		if (rc == 0 && more == MIME_ADDRESS_END)
			*address = slice_str(*text);
		else if (more == MIME_ADDRESS_NO_MEMORY)
			rc = -ENOMEM;
	} else if (item == MIME_ADDRESS_NO_MEMORY) {
		rc = -ENOMEM;
	}
	mime_addresses_done(&a);
	return rc;
}

static int check_from(struct account_reading *r, struct submit_account *a)
{
	bool rewrites = a->rewrite_from == SUBMIT_ACCOUNT_REWRITE_LOCAL ||
			a->rewrite_from == SUBMIT_ACCOUNT_REWRITE_ALL;

	if (rewrites && !a->from[0] && !strchr(a->server.user, '@'))
		conf_error(&r->f, a->line,
			   "accounts.%s.from: required, to go with rewrite_from: the address that others "
			   "become",
			   a->name);
	if (!r->from_name)
		return 0;
	if (strlen(r->from_name) > ACCOUNT_NAME_MAX)
		conf_error(&r->f, a->line, "accounts.%s.from: the name in it is too long", a->name);
	else if (a->full_name[0] && strcmp(a->full_name, r->from_name) != 0)
		conf_error(&r->f, a->line,
			   "accounts.%s.name: '%s', but from has the name '%s': only one of them can be",
			   a->name, a->full_name, r->from_name);
	else
		return replace(&a->full_name, slice_dup(slice_str(r->from_name)));
	return 0;
}

int account_check(struct account_reading *r, struct submit_account *a)
{
	int rc;

	check_server(r, a);
	check_secret(r, a);
	rc = check_from(r, a);
	if (rc < 0)
		return rc;
	if (a->n_fingerprints > 0 && a->server.path[0])
		conf_error(&r->f, a->line,
			   "accounts.%s.fingerprints: a socket of this machine shows no certificate",
			   a->name);
	rc = check_path(r, a, "password_file", &a->password_file);
	if (rc == 0)
		rc = check_path(r, a, "ca_file", &a->ca_file);
	if (rc == 0)
		rc = check_command(r, a, "password_command", a->password_command, a->n_password_command);
	return rc < 0 ? rc : check_command(r, a, "token_command", a->token_command, a->n_token_command);
}
