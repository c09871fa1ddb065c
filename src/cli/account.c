/* postern owner|domain|account|alias|key: who is who, on a running server.  One
 * table says what each takes; cli/account_print.c what each prints. */
#include "cli/account.h"

#include <getopt.h>

#include "base/buf.h"
#include "cli/control.h"
#include "cli/password.h"

#define OPTIONS_MAX 16
#define OPT_FIRST   0x2000
#define OPT_JSON    0x1ffe

/* How an option becomes a member of the question. */
enum kind {
	END,
	TEXT,	 /* a string */
	OR_NONE, /* a string, "none" for the empty one */
	LIST,	 /* may come again */
	ON_OFF,
	YES,   /* the option alone: true */
	NO,    /* the option alone: false */
	EMPTY, /* the option alone: an empty list */
	PASSWORD,
	PASSWORD_FILE,
};

struct opt {
	const char *name;
	enum kind kind;
	const char *key;
};

static const struct action {
	const char *noun, *name, *ask;
	unsigned args_min;
	const char *args[3]; /* keys of the arguments; "*key" takes all that are left */
	struct opt opts[10];
	bool password; /* asks for one unless told otherwise */
	cli_account_print *print;
} actions[] = {
	{ "owner", "add", "owner.add", 1, { "owner" }, { { 0 } }, false, cli_print_owner_added },
	{ "owner", "list", "owner.list", 0, { 0 }, { { 0 } }, false, cli_print_owners },
	{ "owner", "show", "owner.show", 1, { "owner" }, { { 0 } }, false, cli_print_owner },
	{ "owner",
	  "set",
	  "owner.set",
	  1,
	  { "owner" },
	  { { "name", TEXT, "name" } },
	  false,
	  cli_print_owner_added },
	{ "owner", "remove", "owner.remove", 1, { "owner" }, { { 0 } }, false, cli_print_removed },
	{ "domain",
	  "add",
	  "domain.add",
	  1,
	  { "domain" },
	  { { "owner", TEXT, "owner" },
	    { "scram", ON_OFF, "scram" },
	    { "enabled", ON_OFF, "enabled" },
	    { "catch-all", OR_NONE, "catch_all" },
	    { "postmaster", OR_NONE, "postmaster" } },
	  false,
	  cli_print_domain_added },
	{ "domain",
	  "list",
	  "domain.list",
	  0,
	  { 0 },
	  { { "owner", TEXT, "owner" } },
	  false,
	  cli_print_domains },
	{ "domain", "show", "domain.show", 1, { "domain" }, { { 0 } }, false, cli_print_domain },
	{ "domain",
	  "set",
	  "domain.set",
	  1,
	  { "domain" },
	  { { "owner", TEXT, "owner" },
	    { "scram", ON_OFF, "scram" },
	    { "enabled", ON_OFF, "enabled" },
	    { "catch-all", OR_NONE, "catch_all" },
	    { "postmaster", OR_NONE, "postmaster" } },
	  false,
	  cli_print_domain },
	{ "domain",
	  "remove",
	  "domain.remove",
	  1,
	  { "domain" },
	  { { "with-accounts", YES, "with_accounts" } },
	  false,
	  cli_print_domain_removed },
	{ "account",
	  "add",
	  "account.add",
	  1,
	  { "account" },
	  { { "address", LIST, "addresses" },
	    { "quota", TEXT, "quota" },
	    { "enabled", ON_OFF, "enabled" },
	    { "class", TEXT, "class" },
	    { "messages-per-minute", TEXT, "messages_per_minute" },
	    { "password", PASSWORD, NULL },
	    { "password-file", PASSWORD_FILE, NULL },
	    { "no-password", YES, "no_password" } },
	  true,
	  cli_print_account_added },
	{ "account",
	  "list",
	  "account.list",
	  0,
	  { "domain" },
	  { { "exposed", YES, "exposed" } },
	  false,
	  cli_print_accounts },
	{ "account", "show", "account.show", 1, { "account" }, { { 0 } }, false, cli_print_account },
	{ "account",
	  "set",
	  "account.set",
	  1,
	  { "account" },
	  { { "add-address", LIST, "add" },
	    { "remove-address", LIST, "remove" },
	    { "quota", TEXT, "quota" },
	    { "enabled", ON_OFF, "enabled" },
	    { "class", TEXT, "class" },
	    { "messages-per-minute", TEXT, "messages_per_minute" },
	    { "password", PASSWORD, NULL },
	    { "password-file", PASSWORD_FILE, NULL },
	    { "no-password", YES, "no_password" } },
	  false,
	  cli_print_account },
	{ "account",
	  "remove",
	  "account.remove",
	  1,
	  { "account" },
	  { { 0 } },
	  false,
	  cli_print_account_removed },
	{ "alias", "add", "alias.add", 2, { "alias", "*targets" }, { { 0 } }, false, cli_print_alias },
	{ "alias", "list", "alias.list", 0, { "domain" }, { { 0 } }, false, cli_print_aliases },
	{ "alias", "show", "alias.show", 1, { "alias" }, { { 0 } }, false, cli_print_alias },
	{ "alias",
	  "set",
	  "alias.set",
	  1,
	  { "alias", "*targets" },
	  { { "add", LIST, "add" }, { "remove", LIST, "remove" } },
	  false,
	  cli_print_alias },
	{ "alias", "remove", "alias.remove", 1, { "alias" }, { { 0 } }, false, cli_print_removed },
	{ "key",
	  "add",
	  "key.add",
	  1,
	  { "account", "name" },
	  { { "name", TEXT, "name" },
	    { "sender", LIST, "senders" },
	    { "network", LIST, "networks" },
	    { "listener", LIST, "listeners" } },
	  false,
	  cli_print_key_added },
	{ "key", "list", "key.list", 0, { "account" }, { { 0 } }, false, cli_print_keys },
	{ "key",
	  "show",
	  "key.show",
	  1,
	  { "account", "name" },
	  { { "name", TEXT, "name" } },
	  false,
	  cli_print_key },
	{ "key",
	  "set",
	  "key.set",
	  1,
	  { "account", "name" },
	  { { "name", TEXT, "name" },
	    { "sender", LIST, "senders" },
	    { "network", LIST, "networks" },
	    { "listener", LIST, "listeners" },
	    { "any-sender", EMPTY, "senders" },
	    { "any-network", EMPTY, "networks" },
	    { "any-listener", EMPTY, "listeners" },
	    { "revoke", YES, "revoked" },
	    { "restore", NO, "revoked" } },
	  false,
	  cli_print_key },
	{ "key",
	  "remove",
	  "key.remove",
	  1,
	  { "account", "name" },
	  { { "name", TEXT, "name" } },
	  false,
	  cli_print_removed },
};

struct command {
	const struct action *action;
	json_t *question;
	bool as_json, password;
	const char *password_file;
};

static int find_action(const char *noun, const char *name, const struct action **ret)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!strcmp(actions[i].noun, noun) && !strcmp(actions[i].name, name)) {
			*ret = &actions[i];
			return CLI_OK;
		}
	return cli_usage(noun, "there is no 'postern %s %s', but add, list, show, set and remove", noun,
			 name);
}

static int no_password_here(const char *noun)
{
	fprintf(stderr,
		"postern %s: a password is never an argument: every user of this machine could read it, and "
		"the\n"
		"shell keeps it. Leave it out to be asked, or use --password-file FILE (- is standard "
		"input).\n"
		"If this one is in use, change it.\n",
		noun);
	return CLI_USAGE;
}

static int take_opt(struct command *c, const struct opt *o, const char *arg)
{
	json_t *list;

	switch (o->kind) {
	case TEXT:
		json_object_set_new(c->question, o->key, json_string(arg));
		break;
	case OR_NONE:
		json_object_set_new(c->question, o->key, json_string(strcmp(arg, "none") ? arg : ""));
		break;
	case LIST:
		list = json_object_get(c->question, o->key);
		if (!list) {
			list = json_array();
			json_object_set_new(c->question, o->key, list);
		}
		json_array_append_new(list, json_string(arg));
		break;
	case ON_OFF:
		if (strcmp(arg, "on") && strcmp(arg, "off") && strcmp(arg, "yes") && strcmp(arg, "no"))
			return cli_usage(c->action->noun, "--%s takes on or off, not '%s'", o->name, arg);
		json_object_set_new(c->question, o->key,
				    json_boolean(!strcmp(arg, "on") || !strcmp(arg, "yes")));
		break;
	case YES:
	case NO:
		json_object_set_new(c->question, o->key, json_boolean(o->kind == YES));
		break;
	case EMPTY:
		json_object_set_new(c->question, o->key, json_array());
		break;
	case PASSWORD:
		if (arg)
			return no_password_here(c->action->noun);
		c->password = true;
		break;
	case PASSWORD_FILE:
		c->password = true;
		c->password_file = arg;
		break;
	case END:
		break;
	}
	return CLI_OK;
}

static size_t make_options(const struct action *a, struct option *to)
{
	static const struct option common[] = { CONTROL_OPTIONS, { "json", no_argument, NULL, OPT_JSON } };
	size_t n = sizeof(common) / sizeof(common[0]);

	memcpy(to, common, sizeof(common));
	for (size_t i = 0; i < sizeof(a->opts) / sizeof(a->opts[0]) && a->opts[i].kind != END; i++) {
		enum kind k = a->opts[i].kind;

		to[n++] = (struct option){ a->opts[i].name,
					   k == YES || k == NO || k == EMPTY ? no_argument
					   : k == PASSWORD		     ? optional_argument
									     : required_argument,
					   NULL, OPT_FIRST + (int)i };
	}
	return n;
}

static int parse_options(struct command *c, int argc, char **argv)
{
	struct option options[OPTIONS_MAX] = { 0 };
	int opt, r = CLI_OK;

	make_options(c->action, options);
	while (r == CLI_OK && (opt = getopt_long(argc, argv, CONTROL_SHORT, options, NULL)) != -1) {
		if (control_option(opt, optarg))
			continue;
		if (opt == OPT_JSON)
			c->as_json = true;
		else if (opt >= OPT_FIRST)
			r = take_opt(c, &c->action->opts[opt - OPT_FIRST], optarg);
		else
			r = cli_usage_only(c->action->noun);
	}
	return r;
}

static int parse_arguments(struct command *c, int argc, char **argv)
{
	const struct action *a = c->action;
	unsigned n = 0;

	for (; optind < argc; optind++, n++) {
		const char *key = n < 3 ? a->args[n] : NULL;
		struct opt all = { NULL, LIST, NULL };

		if (key && key[0] == '*') {
			all.key = key + 1;
			for (; optind < argc; optind++, n++)
				take_opt(c, &all, argv[optind]);
			break;
		}
		if (!key && c->password)
			return no_password_here(a->noun);
		if (!key)
			return cli_usage(a->noun, "%s takes no argument '%s'", a->name, argv[optind]);
		json_object_set_new(c->question, key, json_string(argv[optind]));
	}
	if (n < a->args_min)
		return cli_usage(a->noun, "%s: %s is missing", a->name,
				 a->args[n][0] == '*' ? "a target" : a->args[n]);
	if (!strcmp(a->noun, "key") && a->args_min && !json_object_get(c->question, "name"))
		return cli_usage(a->noun, "%s: the key's name is missing (--name NAME)", a->name);
	if (!strcmp(a->ask, "owner.set") && !json_object_get(c->question, "name"))
		return cli_usage(a->noun, "set: the new name is missing (--name NAME)");
	return CLI_OK;
}

/* A page of an answer, added to those before. */
struct pages {
	json_t *all;
	json_t *next;
};

static int take_page(void *arg, json_t *part)
{
	struct pages *p = arg;
	json_t *next = json_object_get(part, "next"), *v;
	const char *key;

	json_decref(p->next);
	p->next = json_incref(next);
	json_object_del(part, "next");
	if (!p->all) {
		p->all = json_incref(part);
		return CLI_OK;
	}
	json_object_foreach(part, key, v)
	{
		json_t *list = json_object_get(p->all, key);

		if (json_is_array(v) && json_is_array(list))
			json_array_extend(list, v);
	}
	return CLI_OK;
}

/* Asks until no page is left. */
static int ask_all(const struct command *c, struct slice secret, struct pages *pages)
{
	int r = control_ask(json_incref(c->question), secret, take_page, pages);

	while (r == CLI_OK && pages->next) {
		json_t *again = json_copy(c->question), *after = pages->next;
		char text[32];

		if (json_is_integer(after)) {
			snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(after));
			json_object_set_new(again, "after", json_string(text));
		} else {
			json_object_set(again, "after", after);
		}
		/* Only the first question changes something; a long alias is then shown. */
		if (!strncmp(c->action->ask, "alias.", 6) && strcmp(c->action->name, "list")) {
			json_object_set_new(again, "ask", json_string("alias.show"));
			json_object_del(again, "targets");
			json_object_del(again, "add");
			json_object_del(again, "remove");
		}
		r = control_ask(again, slice_of(NULL, 0), take_page, pages);
	}
	return r;
}

static int take_usage(void *arg, json_t *part)
{
	json_object_set(arg, "used", part);
	return CLI_OK;
}

/* How full the mailbox is, another process knows; without it the rest is shown. */
static void ask_usage(const struct command *c, json_t *answer)
{
	const json_t *mailbox = json_object_get(answer, "mailbox");

	if (!strcmp(c->action->ask, "account.show") && json_is_string(mailbox))
		control_ask(json_pack("{s:s, s:s}", "ask", "mailbox.usage", "mailbox",
				      json_string_value(mailbox)),
			    slice_of(NULL, 0), take_usage, answer);
}

static int run(struct command *c)
{
	const json_t *none = json_object_get(c->question, "no_password");
	bool wants = (c->action->password || c->password) && !json_is_true(none);
	struct pages pages = { 0 };
	struct buf secret;
	int r;

	buf_init(&secret, 1);
	if (c->password && json_is_true(none))
		return cli_usage(c->action->noun, "--no-password and a password do not go together");
	/* Nobody types a password twice to be told this. */
	if (wants && !strchr(json_string_value(json_object_get(c->question, "account")), '@')) {
		fprintf(stderr, "postern: '%s' is not a mail address\nwrite it as name@example.org\n",
			json_string_value(json_object_get(c->question, "account")));
		return CLI_FAILED;
	}
	if (wants && !cli_password(c->password_file,
				   json_string_value(json_object_get(c->question, "account")), &secret)) {
		buf_wipe(&secret);
		return CLI_FAILED;
	}
	if (wants && secret.n == 0) {
		buf_wipe(&secret);
		fputs("postern: the password is empty; nothing was changed\n", stderr);
		return CLI_FAILED;
	}
	if (c->action->password) /* adding without one is what asks for none */
		json_object_del(c->question, "no_password");
	r = ask_all(c, buf_slice(&secret), &pages);
	buf_wipe(&secret);
	if (r == CLI_OK)
		ask_usage(c, pages.all);
	if (r == CLI_OK && c->as_json) {
		json_dumpf(pages.all, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (r == CLI_OK) {
		c->action->print(pages.all);
	}
	json_decref(pages.all);
	json_decref(pages.next);
	return r;
}

int cli_account(int argc, char **argv)
{
	struct command c = { 0 };
	const char *noun = argv[0];
	int r;

	if (argc < 2)
		return cli_usage(noun, "add, list, show, set or remove?");
	r = find_action(noun, argv[1], &c.action);
	if (r != CLI_OK)
		return r;
	c.question = json_pack("{s:s}", "ask", c.action->ask);
	argv[1] = argv[0];
	optind = 1;
	r = parse_options(&c, argc - 1, argv + 1);
	if (r == CLI_OK)
		r = parse_arguments(&c, argc - 1, argv + 1);
	if (r == CLI_OK)
		r = run(&c);
	json_decref(c.question);
	return r;
}
