/* postern check --explain: what a pasted error text means, and what to change. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "advise/explain.h"
#include "cli/advice.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/text.h"

#define INPUT_MAX (16 << 20) /* of a log that somebody pipes in; its end is looked at */

/* All of the standard input, of which the last octets are kept; 0 or a negative errno. */
static int read_input(unsigned char keep[static ADVISE_TEXT_MAX], size_t *ret_n, bool *ret_cut)
{
	unsigned char room[ADVISE_TEXT_MAX];
	size_t n = 0, all = 0;

	for (;;) {
		ssize_t got = read(STDIN_FILENO, room, sizeof(room));
		size_t fresh = got > 0 ? (size_t)got : 0, old;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0 || all > INPUT_MAX)
			break;
		all += fresh;
		old = n < ADVISE_TEXT_MAX - fresh ? n : ADVISE_TEXT_MAX - fresh;
		memmove(keep, keep + (n - old), old);
		memcpy(keep + old, room, fresh);
		n = old + fresh;
	}
	*ret_n = n;
	*ret_cut = all > n;
	return 0;
}

/* The call that looks at the server itself. */
static const char *next_call(const struct advise_explained *e, char *to, size_t size)
{
	bool usual = e->port == 0 || e->port == 25 || e->port == 465 || e->port == 587 || e->port == 2525;
	bool six = strchr(e->host, ':') != NULL;

	if (!e->host[0])
		snprintf(to, size, "postern check HOST");
	else if (usual)
		snprintf(to, size, "postern check %s", e->host);
	else
		snprintf(to, size, "postern check %s%s%s:%u", six ? "[" : "", e->host, six ? "]" : "",
			 e->port);
	return to;
}

/* ---- for programs ---- */

static json_t *explained_json(const struct advise_explained *e)
{
	char call[ADVISE_HOST_MAX + 40];

	return json_pack("{s:i, s:b, s:s, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:s, s:s}", "version", 1,
			 "known", e->n > 0, "client", advise_client_name(e->client), "host",
			 e->host[0] ? json_string(e->host) : json_null(), "port",
			 e->port ? json_integer(e->port) : json_null(), "provider",
			 e->provider ? json_string(e->provider->name) : json_null(), "reply",
			 e->class ? json_pack("{s:i, s:s, s:s}", "code", e->code, "enhanced", e->enhanced,
					      "class", e->class)
				  : json_null(),
			 "secret", e->secret, "cut", e->cut, "causes", cli_advice_json(e), "check",
			 next_call(e, call, sizeof(call)), "debug", advise_client_debug(e->client));
}

static int print_json(const struct advise_explained *e)
{
	json_t *j = explained_json(e);

	if (!j || json_dumpf(j, stdout, JSON_INDENT(1)) < 0) {
		fprintf(stderr, "postern check: out of memory\n");
		json_decref(j);
		return CLI_FAILED;
	}
	putchar('\n');
	json_decref(j);
	return e->n > 0 ? CLI_OK : CLI_FAILED;
}

/* ---- for people ---- */

static void print_labelled(const char *label, const char *text)
{
	printf("  %-8s ", label);
	cli_print_wrapped(text, 11);
}

static void print_provider(const struct route_provider *p)
{
	char text[700], ports[40];
	size_t n = 0;

	for (const char *s = p->ports; *s && n + 3 < sizeof(ports); s++) {
		if (*s == ' ')
			ports[n++] = ',';
		ports[n++] = *s;
	}
	ports[n] = '\0';
	snprintf(text, sizeof(text), "%s takes submission on port %s; user name: %s; password: %s.%s%s",
		 p->title, ports, p->user, route_password_text(p->password), *p->note ? " " : "", p->note);
	print_labelled("there", text);
}

static void print_seen(const struct advise_explained *e)
{
	char port[8] = "";

	if (!e->client && !e->host[0] && !e->class)
		return;
	if (e->port)
		snprintf(port, sizeof(port), ":%u", e->port);
	printf("%s%s%s%s", e->client ? advise_client_title(e->client) : "",
	       e->client && e->host[0] ? ", " : "", e->host, e->host[0] ? port : "");
	if (e->class)
		printf("%sthe server answered %.0d%s%s (%s)", e->client || e->host[0] ? "; " : "", e->code,
		       e->code ? " " : "", e->enhanced, e->class);
	printf("\n\n");
}

static int print_unknown(const struct advise_explained *e)
{
	char text[500], call[ADVISE_HOST_MAX + 40];

	cli_print_wrapped("This text tells nothing that is known here.", 0);
	print_labelled("instead", "Paste the whole error with the lines before it: the program's own words, "
				  "what it connected to, "
				  "and what the server answered. Take passwords out.");
	print_labelled("more", advise_client_debug(e->client));
	snprintf(text, sizeof(text), "%s looks at the server itself%s.", next_call(e, call, sizeof(call)),
		 e->host[0] ? "" : ", where HOST is the name of the outgoing server");
	print_labelled("or", text);
	return CLI_FAILED;
}

/* How the settings are called everywhere, where it is not known who speaks. */
static void print_clients(void)
{
	printf("\nThe two settings in other words:\n");
	for (unsigned c = 1; c < ADVISE_CLIENTS; c++) {
		char text[700];

		snprintf(text, sizeof(text), "%s: %s; or %s", advise_client_title((enum advise_client)c),
			 advise_client_implicit((enum advise_client)c),
			 advise_client_starttls((enum advise_client)c));
		printf("  ");
		cli_print_wrapped(text, 4);
	}
}

static int print_people(const struct advise_explained *e, bool verbose)
{
	char change[ADVISE_CHANGE_MAX], call[ADVISE_HOST_MAX + 40];

	print_seen(e);
	if (e->n == 0)
		return print_unknown(e);
	for (size_t i = 0; i < e->n; i++) {
		enum advise_cause cause = e->guess[i].cause;

		printf("%s%s\n", i == 0 ? "" : "or ", advise_cause_name(cause));
		print_labelled("means", advise_cause_what(cause));
		print_labelled("change", advise_change(cause, e->client, change, sizeof(change)));
	}
	putchar('\n');
	if (e->provider)
		print_provider(e->provider);
	print_labelled("sure?", next_call(e, call, sizeof(call)));
	if (e->n > 1 || verbose)
		print_labelled("more", advise_client_debug(e->client));
	if (e->secret)
		print_labelled("careful", "The text holds what looks like a password: take it out before you "
					  "show it to anybody.");
	if (verbose && !e->client)
		print_clients();
	return CLI_OK;
}

int check_explain(const char *text, bool json, bool verbose)
{
	unsigned char *input = NULL;
	struct advise_explained e;
	struct slice s = slice_str(text);
	bool cut = false;
	int err = 0;

	if (slice_eq(s, SLICE_LIT("-"))) {
		size_t n = 0;

		input = malloc(ADVISE_TEXT_MAX);
		err = input ? read_input(input, &n, &cut) : -ENOMEM;
		s = slice_of(input, n);
	}
	if (err < 0) {
		fprintf(stderr, "postern check: standard input: %s\n", strerror(-err));
		free(input);
		return CLI_FAILED;
	}
	advise_explain(s, &e);
	e.cut = e.cut || cut;
	if (input)
		explicit_bzero(input, ADVISE_TEXT_MAX);
	free(input);
	return json ? print_json(&e) : print_people(&e, verbose);
}
