/* What postern owner|domain|account|alias|key say to people. */
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/account.h"
#include "cli/table.h"

static const char *text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

static json_int_t number(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static const char *plural(json_int_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

void cli_print_removed(const json_t *answer)
{
	printf("removed %s\n", text(answer, "removed"));
}

/* ---- owners ---- */

static const struct cli_column owner_columns[] = {
	{ "OWNER", "owner", CLI_TEXT },
	{ "DOMAINS", "domains", CLI_COUNT },
	{ "SINCE", "created", CLI_TIME },
	{ 0 },
};

void cli_print_owner_added(const json_t *answer)
{
	printf("owner '%s' is set up\n", text(answer, "owner"));
}

void cli_print_owners(const json_t *answer)
{
	const json_t *rows = json_object_get(answer, "owners");

	if (json_array_size(rows) == 0)
		puts("no owners yet; the first domain makes one: postern domain add example.org");
	else
		cli_table(owner_columns, rows);
}

void cli_print_owner(const json_t *answer)
{
	static const struct cli_column card[] = {
		{ "owner", "owner", CLI_TEXT },
		{ "since", "created", CLI_TIME },
		{ "domains", "domains", CLI_COUNT },
		{ "", "first_domains", CLI_TEXT },
		{ 0 },
	};

	cli_card(card, answer);
}

/* ---- domains ---- */

static const struct cli_column domain_columns[] = {
	{ "DOMAIN", "domain", CLI_TEXT },
	{ "OWNER", "owner", CLI_TEXT },
	{ "ENABLED", "enabled", CLI_YES_NO },
	{ "ACCOUNTS", "accounts", CLI_COUNT },
	{ "ALIASES", "aliases", CLI_COUNT },
	{ "SCRAM", "scram", CLI_YES_NO },
	{ "CATCH-ALL", "catch_all", CLI_TEXT },
	{ "POSTMASTER", "postmaster", CLI_TEXT },
	{ 0 },
};

void cli_print_domain_added(const json_t *answer)
{
	const char *domain = text(answer, "domain");

	printf("domain %s added (owner %s)\nnext: postern account add NAME@%s\n", domain,
	       text(answer, "owner"), domain);
}

void cli_print_domains(const json_t *answer)
{
	const json_t *rows = json_object_get(answer, "domains");

	if (json_array_size(rows) == 0)
		puts("no domains yet; add one: postern domain add example.org");
	else
		cli_table(domain_columns, rows);
}

void cli_print_domain(const json_t *answer)
{
	static const struct cli_column card[] = {
		{ "domain", "domain", CLI_TEXT },	{ "owner", "owner", CLI_TEXT },
		{ "since", "created", CLI_TIME },	{ "enabled", "enabled", CLI_YES_NO },
		{ "accounts", "accounts", CLI_COUNT },	{ "aliases", "aliases", CLI_COUNT },
		{ "catch-all", "catch_all", CLI_TEXT }, { "postmaster", "postmaster", CLI_TEXT },
		{ "scram", "scram", CLI_YES_NO },	{ 0 },
	};
	json_int_t without = number(answer, "without_verifier");

	cli_card(card, answer);
	if (without > 0)
		printf("%lld %s cannot use SCRAM yet: it begins with the next login by PLAIN or LOGIN, or a "
		       "new password\n",
		       (long long)without, plural(without, "account", "accounts"));
}

void cli_print_domain_removed(const json_t *answer)
{
	json_int_t accounts = number(answer, "accounts"), aliases = number(answer, "aliases");

	printf("domain %s removed, with %lld %s and %lld %s\n", text(answer, "removed"), (long long)accounts,
	       plural(accounts, "account", "accounts"), (long long)aliases,
	       plural(aliases, "alias", "aliases"));
	puts("mailbox files are never removed: see the domain's folder below mail_dir");
}

/* ---- accounts ---- */

static const struct cli_column account_columns[] = {
	{ "ACCOUNT", "account", CLI_TEXT },
	{ "ENABLED", "enabled", CLI_YES_NO },
	{ "PASSWORD", "password", CLI_YES_NO },
	{ "ADDRESSES", "addresses", CLI_COUNT },
	{ "KEYS", "keys", CLI_COUNT },
	{ "LAST LOGIN", "last_login", CLI_TIME },
	{ "SENT IN CLEAR", "exposed", CLI_TIME },
	{ 0 },
};

void cli_print_accounts(const json_t *answer)
{
	const json_t *rows = json_object_get(answer, "accounts");
	bool exposed = false;
	json_t *row;
	size_t i;

	if (json_array_size(rows) == 0) {
		puts("no such accounts; add one: postern account add name@example.org");
		return;
	}
	cli_table(account_columns, rows);
	json_array_foreach(rows, i, row) exposed =
		exposed || json_is_integer(json_object_get(row, "exposed"));
	if (exposed)
		puts("\nA password that was sent in clear may be known to others: set a new one\n"
		     "(postern account set ACCOUNT --password), and switch on TLS in that client.");
}

static void format_size(json_int_t octets, char *to, size_t size)
{
	static const char units[] = "KMGT";
	double v = (double)octets / 1024;
	size_t u = 0;

	while (v >= 1024 && units[u + 1]) {
		v /= 1024;
		u++;
	}
	snprintf(to, size, octets && v < 0.1 ? "0.1K" : v < 10 ? "%.1f%c" : "%.0f%c", v, units[u]);
}

/* "1.5M in 12 messages, 3 % of 50M" */
static void describe_mailbox(const json_t *answer, char *line, size_t size)
{
	const json_t *used = json_object_get(answer, "used");
	json_int_t octets = number(used, "octets"), quota = number(answer, "quota");
	char is[32], limit[32];
	size_t n = 0;

	format_size(octets, is, sizeof(is));
	format_size(quota, limit, sizeof(limit));
	if (used)
		n = (size_t)snprintf(line, size, "%s in %lld %s, ", is, (long long)number(used, "messages"),
				     plural(number(used, "messages"), "message", "messages"));
	if (quota && used)
		snprintf(line + n, size - n, "%.0f %% of %s", 100 * (double)octets / (double)quota, limit);
	else
		snprintf(line + n, size - n, quota ? "at most %s" : "no quota", limit);
}

static void print_warning(const json_t *answer)
{
	if (json_object_get(answer, "warning"))
		fprintf(stderr, "warning: %s\n", text(answer, "warning"));
}

void cli_print_account(const json_t *answer)
{
	static const struct cli_column card[] = {
		{ "account", "account", CLI_TEXT },
		{ "owner", "owner", CLI_TEXT },
		{ "since", "created", CLI_TIME },
		{ "enabled", "enabled", CLI_YES_NO },
		{ "password", "password", CLI_YES_NO },
		{ "password set", "password_set", CLI_TIME },
		{ "last login", "last_login", CLI_TIME },
		{ "keys", "keys", CLI_COUNT },
		{ "class of its mail", "class", CLI_TEXT },
		{ "messages a minute", "pace", CLI_TEXT },
		{ "more addresses", "addresses", CLI_TEXT },
		{ "named by aliases", "named_by", CLI_TEXT },
		{ "mailbox", "mailbox", CLI_TEXT },
		{ 0 },
	};
	static const struct cli_column in_clear[] = {
		{ "sent in clear", "exposed", CLI_TIME },
		{ "at listener", "exposed_listener", CLI_TEXT },
		{ "from", "exposed_ip", CLI_TEXT },
		{ "to do", "advice", CLI_TEXT },
		{ 0 },
	};

	json_t *shown = json_copy((json_t *)(uintptr_t)answer);
	const json_t *pace = json_object_get(answer, "messages_per_minute");
	char mailbox[160];

	describe_mailbox(answer, mailbox, sizeof(mailbox));
	json_object_set_new(shown, "mailbox", json_string(mailbox));
	if (json_is_null(json_object_get(answer, "class")))
		json_object_set_new(shown, "class", json_string("as the listener says"));
	json_object_set_new(shown, "pace",
			    !json_is_integer(pace) ? json_string("as relay.account_messages_per_minute says")
			    : json_integer_value(pace) > 0
				    ? json_sprintf("%lld", (long long)json_integer_value(pace))
				    : json_string("any number"));
	cli_card(card, shown);
	json_decref(shown);
	if (json_is_integer(json_object_get(answer, "exposed")))
		cli_card(in_clear, answer);
	print_warning(answer);
}

void cli_print_account_added(const json_t *answer)
{
	printf("account %s added\n", text(answer, "account"));
	if (!json_is_true(json_object_get(answer, "password")))
		printf("it has no password: it receives, and sends with API keys: postern key add %s --name "
		       "NAME\n",
		       text(answer, "account"));
	print_warning(answer);
}

void cli_print_account_removed(const json_t *answer)
{
	const json_t *aliases = json_object_get(answer, "named_by");
	json_t *item;
	size_t i;

	printf("account %s removed; its mailbox files stay\n", text(answer, "removed"));
	if (json_array_size(aliases) == 0)
		return;
	printf("still a target of:");
	json_array_foreach(aliases, i, item) printf(" %s", json_string_value(item));
	putchar('\n');
}

/* ---- aliases ---- */

void cli_print_aliases(const json_t *answer)
{
	static const struct cli_column columns[] = {
		{ "ALIAS", "alias", CLI_TEXT },
		{ "TARGETS", "targets", CLI_COUNT },
		{ "THE FIRST OF THEM", "first", CLI_TEXT },
		{ 0 },
	};
	const json_t *rows = json_object_get(answer, "aliases");

	if (json_array_size(rows) == 0)
		puts("no such aliases; add one: postern alias add info@example.org name@example.org");
	else
		cli_table(columns, rows);
}

void cli_print_alias(const json_t *answer)
{
	json_t *item;
	size_t i;

	printf("%s leads to\n", text(answer, "alias"));
	json_array_foreach(json_object_get(answer, "targets"), i, item) printf("  %s\n", text(item, "text"));
	print_warning(answer);
}

/* ---- keys ---- */

void cli_print_keys(const json_t *answer)
{
	static const struct cli_column columns[] = {
		{ "ACCOUNT", "account", CLI_TEXT },
		{ "KEY", "name", CLI_TEXT },
		{ "SINCE", "created", CLI_TIME },
		{ "LAST USE", "last_used", CLI_TIME },
		{ "FROM", "last_ip", CLI_TEXT },
		{ "REVOKED", "revoked", CLI_TIME },
		{ 0 },
	};
	const json_t *rows = json_object_get(answer, "keys");

	if (json_array_size(rows) == 0)
		puts("no keys; add one: postern key add name@example.org --name NAME");
	else
		cli_table(columns, rows);
}

static void print_limit(const json_t *answer, const char *key, const char *title, const char *none)
{
	const json_t *list = json_object_get(answer, key);
	json_t *item;
	size_t i;

	printf("%s", title);
	if (json_array_size(list) == 0)
		printf("%s", none);
	json_array_foreach(list, i, item) printf("%s%s", i ? ", " : "", json_string_value(item));
	putchar('\n');
}

void cli_print_key(const json_t *answer)
{
	static const struct cli_column card[] = {
		{ "key", "name", CLI_TEXT },	       { "account", "account", CLI_TEXT },
		{ "since", "created", CLI_TIME },      { "last use", "last_used", CLI_TIME },
		{ "  at", "last_listener", CLI_TEXT }, { "  from", "last_ip", CLI_TEXT },
		{ "revoked", "revoked", CLI_TIME },    { 0 },
	};

	cli_card(card, answer);
	print_limit(answer, "senders", "senders   ", "all of the account");
	print_limit(answer, "networks", "networks  ", "all");
	print_limit(answer, "listeners", "listeners ", "all");
}

/* The key alone on standard output, for scripts; the rest is for people. */
void cli_print_key_added(const json_t *answer)
{
	fflush(stdout);
	fprintf(stderr, "key '%s' for %s: use it as the password; it is shown this once\n",
		text(answer, "name"), text(answer, "account"));
	puts(text(answer, "key"));
}
