/* postern route: where mail for an address would go, how safely, and why; nothing is sent. */
#include "base/buf.h"
#include "base/slice.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/text.h"
#include "route/providers.h"

#define MARGIN	 12
#define LIST_MAX (64 << 10) /* of names and addresses */

struct question {
	const char *address, *sender, *account;
	bool relax;
};

static const char *text_of(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static int take(void *arg, json_t *part)
{
	json_t **to = arg;

	json_decref(*to);
	*to = json_incref(part);
	return CLI_OK;
}

/* The only part of the answer; NULL and *ret_status otherwise. */
static json_t *ask(json_t *question, int *ret_status)
{
	json_t *answer = NULL;

	*ret_status = control_ask(question, SLICE_LIT(""), take, &answer);
	if (*ret_status == CLI_OK && answer)
		return answer;
	json_decref(answer);
	return NULL;
}

/* ---- lines ---- */

/* What is put together, behind what stands on the line already. */
static void print_buf(struct buf *b, unsigned indent)
{
	buf_byte(b, 0);
	cli_print_wrapped(buf_ok(b) ? (const char *)buf_slice(b).p : "too many to be printed", indent);
	buf_done(b);
}

__attribute__((format(printf, 2, 3))) static void print_words(unsigned indent, const char *format, ...)
{
	char line[2048];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	cli_print_wrapped(line, indent);
}

/* "": it belongs to the line above. */
static void label(const char *what)
{
	printf("  %-*s", MARGIN - 2, what);
}

/* ---- providers ---- */

static json_t *provider_json(const struct route_provider *p)
{
	uint16_t ports[ROUTE_PROVIDER_PORTS];
	size_t n = route_provider_ports(p, ports);
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_integer(ports[i]));
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s}", "provider", p->name, "title",
			 p->title, "domains", p->domains, "host", p->host, "ports", list, "mechanisms",
			 p->mechanisms, "password", route_password_text(p->password), "user", p->user, "note",
			 p->note);
}

static int providers(bool as_json)
{
	if (as_json) {
		json_t *all = json_array();

		for (size_t i = 0; i < route_n_providers; i++)
			json_array_append_new(all, provider_json(&route_providers[i]));
		json_dumpf(all, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(all);
		return CLI_OK;
	}
	for (size_t i = 0; i < route_n_providers; i++) {
		const struct route_provider *p = &route_providers[i];

		printf("%-13s ", p->name);
		print_words(14, "%s: %s, port %s", p->title, p->host, p->ports);
		printf("%-13s ", "");
		print_words(14, "log in with %s and %s", p->user, route_password_text(p->password));
		if (p->note[0]) {
			printf("%-13s ", "");
			cli_print_wrapped(p->note, 14);
		}
	}
	return CLI_OK;
}

/* ---- for people ---- */

/* A mailbox of ours, or what an alias of ours leads to. */
static void print_here(const char *address, const json_t *here)
{
	const char *verdict = text_of(here, "verdict");
	const json_t *targets = json_object_get(here, "targets"), *t;
	size_t i;

	if (!strcmp(verdict, "no-such-user"))
		print_words(2, "%s: our domain, and nobody has this address: it is refused", address);
	else if (!strcmp(verdict, "disabled"))
		print_words(2, "%s: it is switched off: mail for it is refused", address);
	else if (!strcmp(verdict, "loop"))
		print_words(2, "%s: its aliases lead in a circle: it is refused", address);
	else if (strcmp(verdict, "ok") != 0)
		print_words(2, "%s: %s", address, verdict);
	json_array_foreach(targets, i, t)
	{
		if (json_is_true(json_object_get(t, "remote")))
			print_words(2, "%s: here an alias, forwarded to %s", address, text_of(t, "address"));
		else
			print_words(2, "%s: here, mailbox %s", address, text_of(t, "mailbox"));
	}
}

static void put_list(struct buf *to, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach(list, i, v) buf_fmt(to, "%s%s", i == 0 ? "" : ", ", json_string_value(v));
}

static void print_list(const char *title, const json_t *list)
{
	struct buf b;

	if (json_array_size(list) == 0)
		return;
	label("");
	buf_init(&b, LIST_MAX);
	buf_str(&b, title);
	put_list(&b, list);
	print_buf(&b, MARGIN);
}

static void print_route(const char *address, const json_t *relay)
{
	static const struct {
		const char *via, *words;
	} rows[] = { { "mx", "the servers that the domain names in the DNS" },
		     { "host", "these hosts, by the configuration" },
		     { "smarthost", "a smart host, which sends it on" },
		     { "lmtp", "these hosts, by LMTP" },
		     { "discard", "nowhere: it is thrown away, and counts as delivered" },
		     { "refuse", "nowhere: it fails, with a text" } };
	const json_t *route = json_object_get(relay, "route");
	json_int_t line = json_integer_value(json_object_get(route, "line"));
	const char *words = text_of(route, "via");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].via, words)) {
			words = rows[i].words;
			break;
		}
	print_words(2, "%s: elsewhere", address);
	label("route");
	if (line > 0)
		print_words(MARGIN, "%s (line %lld of the configuration): %s", text_of(route, "name"),
			    (long long)line, words);
	else
		print_words(MARGIN, "%s: %s", text_of(route, "name"), words);
	print_list("recipients: ", json_object_get(route, "to"));
	print_list("senders: ", json_object_get(route, "from"));
	print_list("accounts: ", json_object_get(route, "accounts"));
	if (*text_of(route, "text")) {
		label("text");
		cli_print_wrapped(text_of(route, "text"), MARGIN);
	}
	label("source");
	cli_print_wrapped(*text_of(route, "source") ? text_of(route, "source")
						    : "whatever address the system takes",
			  MARGIN);
}

static void print_failure(const char *what, const json_t *f)
{
	label(what);
	print_words(MARGIN, "%s %s (%s)", text_of(f, "status"), text_of(f, "text"),
		    json_is_true(json_object_get(f, "permanent")) ? "mail for it fails"
								  : "it is tried again");
}

static void print_host(const json_t *h)
{
	const json_t *failure = json_object_get(h, "failure"), *addresses = json_object_get(h, "addresses");
	struct buf b;

	label("host");
	buf_init(&b, LIST_MAX);
	buf_str(&b, text_of(h, "host"));
	if (json_array_size(addresses) > 0) {
		buf_str(&b, " (");
		put_list(&b, addresses);
		buf_byte(&b, ')');
	}
	print_buf(&b, MARGIN);
	if (failure) {
		print_failure("", failure);
		return;
	}
	label("");
	print_words(MARGIN, "%s: %s%s", text_of(h, "policy"), text_of(h, "words"),
		    json_is_true(json_object_get(h, "usable")) ? "" : "; it is not connected to");
}

static void print_hosts(const json_t *where)
{
	const json_t *p, *h, *failure = json_object_get(where, "failure");
	struct buf b;
	size_t i;

	if (failure) {
		print_failure("hosts", failure);
		return;
	}
	label("site");
	print_words(MARGIN, "%s%s", text_of(where, "site"),
		    json_is_true(json_object_get(where, "dnssec")) ? " (its names are signed)" : "");
	label("ports");
	buf_init(&b, LIST_MAX);
	json_array_foreach(json_object_get(where, "ports"), i, p)
		buf_fmt(&b, "%s%lld (TLS: %s)", i ? ", then " : "",
			(long long)json_integer_value(json_object_get(p, "port")), text_of(p, "tls"));
	print_buf(&b, MARGIN);
	json_array_foreach(json_object_get(where, "hosts"), i, h) print_host(h);
}

static void print_now(const json_t *relay)
{
	const json_t *site = json_object_get(relay, "site");

	if (json_is_true(json_object_get(relay, "port25_blocked"))) {
		printf("\nATTENTION ");
		cli_print_wrapped(text_of(relay, "alarm"), 10);
	}
	if (!site)
		return;
	label("now");
	print_words(MARGIN, "%lld connections, %lld messages waiting, %lld deferred",
		    (long long)json_integer_value(json_object_get(site, "lanes")),
		    (long long)json_integer_value(json_object_get(site, "ready")),
		    (long long)json_integer_value(json_object_get(site, "deferred")));
	if (*text_of(site, "reason")) {
		label("");
		print_words(MARGIN, "it waits: %s", text_of(site, "reason"));
	} else if (*text_of(site, "last")) {
		label("");
		print_words(MARGIN, "the last trouble was: %s", text_of(site, "last"));
	}
}

/* ---- asking ---- */

/* "ROUTE DOMAIN [relax]"; a domain "*" is every one. */
static json_t *ask_where(const char *destination, int *ret_status)
{
	struct slice cur = slice_str(destination), route, domain;
	bool relax;

	if (!cur_until(&cur, ' ', &route))
		return NULL;
	relax = cur_until(&cur, ' ', &domain);
	if (!relax)
		domain = cur;
	if (slice_eq(domain, SLICE_LIT("*")))
		domain = SLICE_LIT("");
	return ask(json_pack("{s:s, s:s%, s:s%, s:b}", "ask", "send.route", "route", route.p, route.n,
			     "domain", domain.n ? (const char *)domain.p : "", domain.n, "relax", relax),
		   ret_status);
}

static bool leads_somewhere(const json_t *relay)
{
	const char *via = text_of(json_object_get(relay, "route"), "via");

	return *via && strcmp(via, "discard") != 0 && strcmp(via, "refuse") != 0;
}

/* The address as it would go out: 1 when there is more to say than `here` has, else 0; negative: an exit
 * status. */
static int ask_elsewhere(const struct question *q, const char *address, json_t **ret_relay,
			 json_t **ret_where)
{
	int status;

	*ret_where = NULL;
	*ret_relay = ask(json_pack("{s:s, s:s, s:s, s:s, s:b}", "ask", "queue.relay", "address", address,
				   "sender", q->sender, "account", q->account, "relax", q->relax),
			 &status);
	if (!*ret_relay)
		return status == CLI_OK ? CLI_FAILED : status;
	if (leads_somewhere(*ret_relay)) {
		*ret_where = ask_where(text_of(*ret_relay, "destination"), &status);
		if (!*ret_where)
			return status == CLI_OK ? CLI_FAILED : status;
	}
	return CLI_OK;
}

static int elsewhere(const struct question *q, const char *address, bool as_json, json_t *to)
{
	json_t *relay, *where;
	int status = ask_elsewhere(q, address, &relay, &where);

	if (status == CLI_OK && as_json) {
		json_object_set(to, "relay", relay);
		if (where)
			json_object_set(to, "where", where);
	} else if (status == CLI_OK) {
		print_route(address, relay);
		if (where)
			print_hosts(where);
		print_now(relay);
	}
	json_decref(relay);
	json_decref(where);
	return status;
}

static int route(const struct question *q, bool as_json)
{
	int status;
	json_t *here = ask(json_pack("{s:s, s:s}", "ask", "alias.resolve", "address", q->address), &status);
	json_t *out = json_object();
	const json_t *t;
	size_t i;

	if (!here) {
		json_decref(out);
		return status == CLI_OK ? CLI_FAILED : status;
	}
	json_object_set_new(out, "address", json_string(q->address));
	json_object_set(out, "here", here);
	if (!strcmp(text_of(here, "verdict"), "not-local")) {
		status = elsewhere(q, q->address, as_json, out);
	} else {
		if (!as_json)
			print_here(q->address, here);
		if (strcmp(text_of(here, "verdict"), "ok") != 0)
			status = CLI_FAILED;
		json_array_foreach(json_object_get(here, "targets"), i, t)
		{
			if (!as_json && json_is_true(json_object_get(t, "remote")))
				status = elsewhere(q, text_of(t, "address"), false, out);
		}
	}
	if (as_json && status != CLI_NO_SERVER) {
		json_dumpf(out, stdout, JSON_INDENT(1));
		putchar('\n');
	}
	json_decref(here);
	json_decref(out);
	return status;
}

int cli_route(int argc, char **argv)
{
	static const struct option options[] = { CONTROL_OPTIONS,
						 { "json", no_argument, NULL, 'j' },
						 { "sender", required_argument, NULL, 's' },
						 { "account", required_argument, NULL, 'a' },
						 { "tls-optional", no_argument, NULL, 'r' },
						 { "providers", no_argument, NULL, 'p' },
						 { 0 } };
	struct question q = { .sender = "", .account = "" };
	bool as_json = false, list = false;
	int opt;

	while ((opt = getopt_long(argc, argv, CONTROL_SHORT, options, NULL)) >= 0) {
		if (opt == 'j')
			as_json = true;
		else if (opt == 's')
			q.sender = optarg;
		else if (opt == 'a')
			q.account = optarg;
		else if (opt == 'r')
			q.relax = true;
		else if (opt == 'p')
			list = true;
		else if (!control_option(opt, optarg))
			return cli_usage_only(argv[0]);
	}
	if (list)
		return optind == argc ? providers(as_json)
				      : cli_usage(argv[0], "--providers takes no address");
	if (optind + 1 != argc)
		return cli_usage(argv[0], "one address is expected");
	q.address = argv[optind];
	if (!strchr(q.address, '@'))
		return cli_usage(argv[0], "'%s' is no address: it has no @", q.address);
	return route(&q, as_json);
}
