/* postern limits: who is at a limit or locked now, and `limits clear`, which frees one. */
#include "base/slice.h"
#include "cli/cli.h"
#include "cli/control.h"

struct listing {
	json_t *rows;
	bool cut;
	json_int_t cleared;
};

/* What is counted, in words. */
static const struct {
	const char *kind, *what;
} kinds[] = {
	{ "address", "wrong passwords from an address" },
	{ "network", "wrong passwords from a network" },
	{ "account", "wrong passwords for an account" },
	{ "known", "wrong passwords for an account, where it is known" },
	{ "sessions", "sessions at once" },
	{ "sessions-ip", "sessions at once of an address" },
	{ "sessions-network", "sessions at once of a network" },
	{ "rate-ip", "new sessions of an address" },
	{ "rate-network", "new sessions of a network" },
	{ "account-messages", "messages of an account" },
	{ "account-recipients", "recipients of an account" },
	{ "uid-messages", "messages of a local user" },
	{ "uid-recipients", "recipients of a local user" },
	{ "owner-messages", "messages of an owner" },
	{ "owner-recipients", "recipients of an owner" },
};

static const char *text_of(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));

	return s ? s : "";
}

static const char *words_for(const char *kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].kind, kind))
			return kinds[i].what;
	return kind;
}

/* Each part holds rows under one name or another. */
static int take_part(void *arg, json_t *part)
{
	struct listing *l = arg;
	const char *key;
	json_t *v, *row;
	size_t i;

	if (json_is_true(json_object_get(part, "cut")))
		l->cut = true;
	l->cleared += json_integer_value(json_object_get(part, "cleared"));
	json_object_foreach(part, key, v)
	{
		json_array_foreach(v, i, row)
		{
			if (json_array_append(l->rows, row) < 0)
				return CLI_FAILED;
		}
	}
	return CLI_OK;
}

static const char *left(json_int_t s, char room[static 32])
{
	if (s < 120)
		snprintf(room, 32, "%lld s", (long long)s);
	else
		snprintf(room, 32, "%lld min", (long long)(s + 59) / 60);
	return room;
}

/*	192.0.2.7               20  wrong passwords from an address: locked for 14 min
 *	ann@example.org  1000/1000  messages of an account: refused for 3 min */
static void print_row(const json_t *row)
{
	json_int_t seconds = json_integer_value(json_object_get(row, "seconds"));
	json_int_t limit = json_integer_value(json_object_get(row, "limit"));
	char count[48], until[32];

	if (limit > 0)
		snprintf(count, sizeof(count), "%lld/%lld",
			 (long long)json_integer_value(json_object_get(row, "count")), (long long)limit);
	else
		snprintf(count, sizeof(count), "%lld",
			 (long long)json_integer_value(json_object_get(row, "count")));
	printf("%-32s %12s  %s", text_of(row, "who"), count, words_for(text_of(row, "kind")));
	if (*text_of(row, "listener"))
		printf(", %s", text_of(row, "listener"));
	if (json_is_true(json_object_get(row, "locked")))
		printf(": refused, for %s", left(seconds, until));
	putchar('\n');
}

/* Of keeper, then of ledger; one that is away does not hide the other. */
static int ask_both(const char *const asks[static 2], const char *who, struct listing *l)
{
	int status = CLI_OK;

	for (int i = 0; i < 2 && asks[i]; i++) {
		json_t *question = json_pack("{s:s}", "ask", asks[i]);
		int r;

		if (who)
			json_object_set_new(question, "who", json_string(who));
		r = control_ask(question, SLICE_LIT(""), take_part, l);
		if (r != CLI_OK)
			status = r;
		if (r == CLI_NO_SERVER)
			break;
	}
	return status;
}

static int list(bool as_json)
{
	static const char *const asks[2] = { "lock.list", "limit.list" };
	struct listing l = { .rows = json_array() };
	int status = ask_both(asks, NULL, &l);
	json_t *row;
	size_t i;

	if (status == CLI_NO_SERVER) {
		json_decref(l.rows);
		return status;
	}
	if (as_json) {
		json_dumpf(l.rows, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		json_array_foreach(l.rows, i, row) print_row(row);
		if (json_array_size(l.rows) == 0 && status == CLI_OK)
			puts("Nobody is at a limit or locked.");
	}
	if (l.cut)
		fputs("postern: the list is cut; these are the first\n", stderr);
	json_decref(l.rows);
	return status;
}

static int clear(const char *who, bool as_json)
{
	static const char *const asks[2] = { "lock.clear", "limit.clear" };
	struct listing l = { .rows = json_array() };
	int status = ask_both(asks, who, &l);

	json_decref(l.rows);
	if (status != CLI_OK)
		return status;
	if (as_json)
		printf("{\"cleared\": %lld}\n", (long long)l.cleared);
	else if (l.cleared > 0)
		printf("%s is free again\n", *who ? who : "everybody");
	else
		fprintf(stderr, "postern: nothing is counted for '%s'; see: postern limits\n", who);
	return l.cleared > 0 || !*who ? CLI_OK : CLI_FAILED;
}

int cli_limits(int argc, char **argv)
{
	static const struct option options[] = {
		CONTROL_OPTIONS, { "json", no_argument, NULL, 'j' }, { "all", no_argument, NULL, 'a' }, { 0 }
	};
	bool as_json = false, all = false;
	int opt;

	while ((opt = getopt_long(argc, argv, CONTROL_SHORT, options, NULL)) >= 0) {
		if (opt == 'j')
			as_json = true;
		else if (opt == 'a')
			all = true;
		else if (!control_option(opt, optarg))
			return cli_usage_only(argv[0]);
	}
	if (optind == argc && !all)
		return list(as_json);
	if (optind == argc || strcmp(argv[optind], "clear") != 0)
		return cli_usage(argv[0], "'%s' is none of its words",
				 optind < argc ? argv[optind] : "--all");
	if (all ? optind + 1 != argc : optind + 2 != argc)
		return cli_usage(argv[0],
				 "clear takes one address, network, account, uid or owner, or --all");
	return clear(all ? "" : argv[optind + 1], as_json);
}
