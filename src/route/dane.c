#include "route/dane.h"

#include <string.h>

bool dane_needs_alias(const struct dane_host *host)
{
	return host->proven && !host->secure && !dns_name_eq(host->name, host->canonical);
}

size_t dane_bases(const struct dane_host *host, const struct dns_name *ret[DANE_BASES_MAX])
{
	bool alias = !dns_name_eq(host->name, host->canonical);
	size_t n = 0;

	if (!host->proven || (!host->secure && !(alias && host->alias_secure)))
		return 0;
	if (host->secure && alias)
		ret[n++] = host->canonical;
	ret[n++] = host->name;
	return n;
}

const char *dane_state_name(enum dane_state state)
{
	static const char *const names[] = {
		[DANE_NONE] = "none",
		[DANE_USABLE] = "usable",
		[DANE_UNUSABLE] = "unusable",
		[DANE_FAILED] = "failed",
	};

	return state <= DANE_FAILED ? names[state] : "unknown";
}

bool dane_is_usable(const struct dns_record *r)
{
	size_t n = r->tlsa.data.n;

	if ((r->tlsa.usage != 2 && r->tlsa.usage != 3) || r->tlsa.selector > 1)
		return false;
	switch (r->tlsa.matching) {
	case 0: /* the whole certificate or key */
		return n > 0;
	case 1: /* SHA-256 */
		return n == 32;
	case 2: /* SHA-512 */
		return n == 64;
	default:
		return false;
	}
}

void dane_judge(const struct dns_name *base, const struct dns_answer *a, struct dane *ret)
{
	*ret = (struct dane){ .state = DANE_NONE, .result = TLS_RESULT_OK, .base = *base };
	switch (a->status) {
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		return;
	case DNS_OK:
		break;
	default:
		ret->state = DANE_FAILED;
		ret->result = TLS_RESULT_DNSSEC_INVALID;
		return;
	}
	if (!a->secure)
		return;
	for (size_t i = 0; i < a->n && ret->n < DANE_RECORDS_MAX; i++)
		if (dane_is_usable(&a->records[i]))
			ret->record[ret->n++] = &a->records[i];
	ret->state = ret->n > 0 ? DANE_USABLE : DANE_UNUSABLE;
	if (ret->n == 0)
		ret->result = TLS_RESULT_TLSA_INVALID;
}
