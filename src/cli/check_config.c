/* postern check --config: what to set in a program, for the server that was found, or that --use names. */
#include <stdlib.h>
#include <string.h>

#include "advise/settings.h"
#include "base/ip.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/text.h"
#include "route/providers.h"

int check_config_list(void)
{
	for (unsigned i = 0; i < ADVISE_PROGRAMS; i++)
		printf("%-12s %s\n", advise_settings_name((enum advise_program)i),
		       advise_settings_title((enum advise_program)i));
	return CLI_OK;
}

/* NULL, or why not. */
const char *check_config_wrong(const struct check_config *c)
{
	struct advise_server s = { .host = "mx.example", .port = 465, .user = c->user };

	if (advise_settings_find(slice_str(c->program)) == ADVISE_PROGRAMS)
		return "--config: there is no such program; --config list has those that are known";
	if (advise_settings_usable(&s))
		return "--user: that name has signs that mean something in settings; leave it out, and write "
		       "it where "
		       "YOUR-USER-NAME stands";
	return NULL;
}

static const char *setting(const struct advise_server *s)
{
	return s->implicit ? "SSL/TLS" : "STARTTLS";
}

/* What holds of the server, whatever the program: more sentences. */
static void server_note(const struct advise_server *s, struct buf *note)
{
	const struct route_provider *p = route_provider_of_host(slice_str(s->host));
	struct ip ip;

	if (ip_parse(slice_str(s->host), &ip))
		buf_str(note, " Certificates are for names: use the server's name instead of its address.");
	if (!advise_settings_mechanism(s))
		buf_fmt(note,
			" The server offers neither PLAIN nor LOGIN but %s: choose that where the program "
			"can.",
			s->mechs[0] ? s->mechs : "no login at all");
	if (p)
		buf_fmt(note, " %s: user name: %s; password: %s.%s%s", p->title, p->user,
			route_password_text(p->password), *p->note ? " " : "", p->note);
}

static json_t *parts_json(enum advise_program program, const struct advise_server *s)
{
	json_t *list = json_array();
	struct buf where, text;
	unsigned mode;

	buf_init(&where, ADVISE_SETTINGS_MAX);
	buf_init(&text, ADVISE_SETTINGS_MAX);
	for (size_t i = 0; advise_settings_part(program, i, s, &where, &text, &mode); i++) {
		struct slice w = buf_slice(&where), t = buf_slice(&text);

		json_array_append_new(list, json_pack("{s:s%, s:o, s:s%}", "where", w.p, w.n, "mode",
						      mode ? json_sprintf("%04o", mode) : json_null(), "text",
						      t.p, t.n));
		buf_reset(&where);
		buf_reset(&text);
	}
	buf_done(&where);
	buf_done(&text);
	return list;
}

static int print_json(enum advise_program program, const struct advise_server *s, struct slice note)
{
	const char *mech = advise_settings_mechanism(s);
	json_t *j =
		json_pack("{s:i, s:s, s:s, s:s, s:i, s:s, s:s?, s:s?, s:o, s:s%}", "version", 1, "program",
			  advise_settings_name(program), "title", advise_settings_title(program), "host",
			  s->host, "port", (int)s->port, "encryption", setting(s), "mechanism", mech, "user",
			  s->user, "parts", parts_json(program, s), "note", note.p, note.n);

	if (!j || json_dumpf(j, stdout, JSON_INDENT(1)) < 0) {
		fprintf(stderr, "postern check: out of memory\n");
		json_decref(j);
		return CLI_FAILED;
	}
	putchar('\n');
	json_decref(j);
	return CLI_OK;
}

static int print_people(enum advise_program program, const struct advise_server *s, struct slice note)
{
	struct buf where, text;
	unsigned mode;
	char *words = slice_dup(note);

	printf("%s: %s, port %u, %s\n", advise_settings_title(program), s->host, s->port, setting(s));
	buf_init(&where, ADVISE_SETTINGS_MAX);
	buf_init(&text, ADVISE_SETTINGS_MAX);
	for (size_t i = 0; advise_settings_part(program, i, s, &where, &text, &mode); i++) {
		printf("\n--- %.*s", SLICE_ARG(buf_slice(&where)));
		if (mode)
			printf(" (mode %04o: the password is in it)", mode);
		printf(" ---\n%.*s", SLICE_ARG(buf_slice(&text)));
		buf_reset(&where);
		buf_reset(&text);
	}
	buf_done(&where);
	buf_done(&text);
	putchar('\n');
	if (words)
		cli_print_wrapped(words, 0);
	free(words);
	return words ? CLI_OK : CLI_FAILED;
}

static int print(const struct check_config *c, const struct advise_server *s, bool json)
{
	enum advise_program program = advise_settings_find(slice_str(c->program));
	const char *wrong = advise_settings_usable(s);
	struct buf note;
	int status;

	if (wrong) {
		fprintf(stderr, "postern check: %s cannot be written into settings\n", wrong);
		return CLI_FAILED;
	}
	buf_init(&note, ADVISE_SETTINGS_MAX);
	advise_settings_note(program, s, &note);
	server_note(s, &note);
	status = json ? print_json(program, s, buf_slice(&note)) : print_people(program, s, buf_slice(&note));
	buf_done(&note);
	return status;
}

/* "smtp.example.org:465:tls", "[2001:db8::1]:587:starttls"; without the last the port's custom counts. */
static bool parse_use(const char *text, char host[static 256], struct advise_server *ret)
{
	struct slice t = slice_str(text), name;
	uint64_t port;

	if (cur_byte(&t, '[')) {
		if (!cur_until(&t, ']', &name) || !cur_byte(&t, ':'))
			return false;
	} else if (!cur_until(&t, ':', &name)) {
		return false;
	}
	if (!slice_copy(name, host, 256) || !cur_u64(&t, 65535, &port) || port == 0)
		return false;
	ret->host = host;
	ret->port = (uint16_t)port;
	ret->implicit = port == 465;
	if (t.n == 0)
		return port != 25; /* which is none for submission, but for those who say how */
	ret->implicit = slice_eq_nocase(t, SLICE_LIT(":tls"));
	return ret->implicit || slice_eq_nocase(t, SLICE_LIT(":starttls"));
}

int check_config_given(const struct check_config *c, bool json)
{
	struct advise_server s = { .user = c->user };
	char host[256];

	if (!parse_use(c->use, host, &s) || advise_settings_usable(&s))
		return cli_usage("check", "--use %s: not HOST:PORT:tls or HOST:PORT:starttls", c->use);
	return print(c, &s, json);
}

int check_config_found(const struct check_config *c, const struct check_result *r, bool json)
{
	const struct probe_verdict *v = &r->verdict;
	const struct probe_port *p;
	struct advise_server s = { .user = c->user };

	if (v->answer == PROBE_USE_NOTHING) {
		fprintf(stderr, "postern check: %s%s%s\n", v->text, v->todo[0] ? " " : "", v->todo);
		return CLI_FAILED;
	}
	if (v->answer == PROBE_USE_PINNED)
		fprintf(stderr, "postern check: %s %s\n", v->text, v->todo);
	p = &r->hosts[v->best.host].port[v->best.port];
	s.host = r->hosts[v->best.host].name;
	s.port = p->port;
	s.implicit = p->tls.implicit;
	s.mechs = probe_offers_of(p)->auth;
	return print(c, &s, json) == CLI_OK && v->answer == PROBE_USE ? CLI_OK : CLI_FAILED;
}
