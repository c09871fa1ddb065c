#include "route/providers.h"

#define PROVIDER(name, title, domains, host, ports, mechanisms, password, user, note) \
	{ name, title, domains, host, ports, mechanisms, ROUTE_PASSWORD_##password, user, note },

const struct route_provider route_providers[] = {
#include "route/providers.def"
};
const size_t route_n_providers = sizeof(route_providers) / sizeof(*route_providers);

const struct route_provider *route_provider(struct slice name)
{
	for (size_t i = 0; i < route_n_providers; i++)
		if (slice_eq_nocase(slice_str(route_providers[i].name), name))
			return &route_providers[i];
	return NULL;
}

const struct route_provider *route_provider_of_host(struct slice host)
{
	for (size_t i = 0; i < route_n_providers; i++)
		if (slice_eq_nocase(slice_str(route_providers[i].host), host))
			return &route_providers[i];
	return NULL;
}

/* The next word; false at the end. */
static bool next_word(struct slice *cur, struct slice *ret)
{
	(void)cur_blanks(cur);
	*ret = slice_head(*cur, slice_find(*cur, ' '));
	*cur = slice_tail(*cur, ret->n);
	return ret->n > 0;
}

const struct route_provider *route_provider_of_domain(struct slice domain)
{
	for (size_t i = 0; i < route_n_providers; i++) {
		struct slice cur = slice_str(route_providers[i].domains), word;

		while (next_word(&cur, &word))
			if (slice_eq_nocase(word, domain))
				return &route_providers[i];
	}
	return NULL;
}

/* How providers call the servers that take mail for their customers' domains. */
static const struct {
	struct slice suffix;
	const char *provider;
} mx_rows[] = {
	{ SLICE_INIT(".google.com"), "gmail" },
	{ SLICE_INIT(".googlemail.com"), "gmail" },
	{ SLICE_INIT(".mail.protection.outlook.com"), "microsoft365" },
	{ SLICE_INIT(".mx.microsoft"), "microsoft365" },
	{ SLICE_INIT(".messagingengine.com"), "fastmail" },
	{ SLICE_INIT(".zoho.com"), "zoho" },
	{ SLICE_INIT(".icloud.com"), "icloud" },
	{ SLICE_INIT(".yahoodns.net"), "yahoo" },
	{ SLICE_INIT(".mailbox.org"), "mailboxorg" },
	{ SLICE_INIT(".ionos.com"), "ionos" },
	{ SLICE_INIT(".ionos.de"), "ionos" },
	{ SLICE_INIT(".kundenserver.de"), "ionos" },
	{ SLICE_INIT(".rzone.de"), "strato" },
	{ SLICE_INIT(".ovh.net"), "ovh" },
	{ SLICE_INIT(".infomaniak.ch"), "infomaniak" },
	{ SLICE_INIT(".protonmail.ch"), "proton" },
	{ SLICE_INIT(".yandex.net"), "yandex" },
	{ SLICE_INIT(".yandex.ru"), "yandex" },
};

const struct route_provider *route_provider_of_mx(struct slice host)
{
	for (size_t i = 0; i < sizeof(mx_rows) / sizeof(mx_rows[0]); i++) {
		struct slice suffix = mx_rows[i].suffix;

		if (host.n > suffix.n && slice_eq_nocase(slice_tail(host, host.n - suffix.n), suffix))
			return route_provider(slice_str(mx_rows[i].provider));
	}
	return NULL;
}

size_t route_provider_ports(const struct route_provider *p, uint16_t ports[static ROUTE_PROVIDER_PORTS])
{
	struct slice cur = slice_str(p->ports), word;
	uint64_t port;
	size_t n = 0;

	while (n < ROUTE_PROVIDER_PORTS && next_word(&cur, &word))
		if (cur_u64(&word, 65535, &port))
			ports[n++] = (uint16_t)port;
	return n;
}

const char *route_password_text(enum route_password password)
{
	switch (password) {
	case ROUTE_PASSWORD_APP:
		return "a password made for programs, in the account's settings (app password)";
	case ROUTE_PASSWORD_KEY:
		return "a key or token that the service made";
	case ROUTE_PASSWORD_OAUTH:
		return "a token of OAuth 2: passwords are not taken";
	default:
		return "the password of the mailbox";
	}
}
