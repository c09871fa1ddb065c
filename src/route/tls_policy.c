#include "route/tls_policy.h"

static struct tls_policy use(unsigned row, const char *name, enum tls_policy_check check, const char *words)
{
	return (struct tls_policy){ .use = TLS_POLICY_USE,
				    .starttls = true,
				    .check = check,
				    .row = row,
				    .policy = TLS_RESULT_POLICY_NONE,
				    .name = name,
				    .enhanced = "",
				    .words = words };
}

static struct tls_policy refuse(unsigned row, const char *name, enum tls_policy_use what,
				const char *enhanced, const char *words)
{
	return (struct tls_policy){ .use = what,
				    .row = row,
				    .policy = TLS_RESULT_POLICY_NONE,
				    .name = name,
				    .enhanced = enhanced,
				    .words = words };
}

static struct tls_policy reported_as(struct tls_policy p, enum tls_result_policy policy,
				     enum tls_result result)
{
	p.policy = policy;
	p.result = result;
	return p;
}

/* Rows 1 to 6: before what MTA-STS says. */
static bool decide_first(const struct tls_policy_facts *f, struct tls_policy *ret)
{
	if (f->rule == TLS_POLICY_OFF && f->credentials)
		*ret = refuse(1, "off", TLS_POLICY_NEVER, "5.7.10",
			      "the route has tls: off and a login: the password would go in clear text");
	else if (f->rule == TLS_POLICY_OFF) {
		*ret = use(2, "off", TLS_POLICY_CHECK_NONE, "no encryption, by the configuration");
		ret->starttls = false;
		ret->clear = true;
	} else if (f->rule == TLS_POLICY_FINGERPRINTS)
		*ret = use(3, "fingerprint", TLS_POLICY_CHECK_FINGERPRINTS,
			   "a certificate or key with a fingerprint of the configuration");
	else if (f->rule == TLS_POLICY_AUTO && !f->credentials && f->relax) {
		*ret = use(4, "relaxed", TLS_POLICY_CHECK_NONE,
			   "encryption where it is offered: the message says TLS-Required: No");
		ret->clear = true;
	} else if (f->tlsa == DANE_FAILED)
		*ret = reported_as(refuse(5, "dane", TLS_POLICY_LATER, "4.7.5",
					  "its TLSA records cannot be learned: the answer is missing or its "
					  "signatures are wrong"),
				   TLS_RESULT_POLICY_TLSA,
				   f->tlsa_result ? f->tlsa_result : TLS_RESULT_DNSSEC_INVALID);
	else if (f->tlsa == DANE_USABLE)
		*ret = reported_as(use(6, "dane", TLS_POLICY_CHECK_DANE,
				       "a certificate that its signed TLSA records name (DANE)"),
				   TLS_RESULT_POLICY_TLSA, TLS_RESULT_OK);
	else
		return false;
	return true;
}

static struct tls_policy not_listed(unsigned row)
{
	return reported_as(refuse(row, "mta-sts", TLS_POLICY_LATER, "4.7.5",
				  "the MTA-STS policy of the domain does not list this host"),
			   TLS_RESULT_POLICY_STS, TLS_RESULT_VALIDATION_FAILURE);
}

/* Rows 7 to 13; 14 and 15 in *ret where none of them fits. */
static void decide_rest(const struct tls_policy_facts *f, struct tls_policy *ret)
{
	bool must = f->rule == TLS_POLICY_REQUIRE || f->credentials;
	bool enforce = f->sts == TLS_POLICY_STS_ENFORCE, testing = f->sts == TLS_POLICY_STS_TESTING;

	if (enforce && !f->sts_listed) {
		*ret = not_listed(f->rule == TLS_POLICY_VERIFY ? 7 : 10);
		return;
	}
	if (f->rule == TLS_POLICY_VERIFY || (f->rule == TLS_POLICY_AUTO && f->credentials)) {
		*ret = use(f->rule == TLS_POLICY_VERIFY ? 8 : 9, "verify", TLS_POLICY_CHECK_NAMES,
			   "a trusted certificate with the host's name");
		if (f->sts != TLS_POLICY_STS_NONE)
			ret->policy = TLS_RESULT_POLICY_STS;
		else if (f->tlsa == DANE_UNUSABLE)
			*ret = reported_as(*ret, TLS_RESULT_POLICY_TLSA, TLS_RESULT_OK);
		return;
	}
	if (enforce) {
		*ret = reported_as(use(11, "mta-sts", TLS_POLICY_CHECK_NAMES,
				       "a trusted certificate with the host's name (MTA-STS)"),
				   TLS_RESULT_POLICY_STS, TLS_RESULT_OK);
		return;
	}
	if (f->tlsa == DANE_UNUSABLE) {
		*ret = reported_as(use(12, "dane-unusable", TLS_POLICY_CHECK_NONE,
				       "encryption: it has TLSA records, but none that can be used"),
				   TLS_RESULT_POLICY_TLSA, TLS_RESULT_OK);
		return;
	}
	*ret = must ? use(14, "require", TLS_POLICY_CHECK_NONE, "encryption")
		    : use(15, "opportunistic", TLS_POLICY_CHECK_NONE, "encryption where it is offered");
	ret->clear = !must;
	if (testing) {
		*ret = reported_as(*ret, TLS_RESULT_POLICY_STS,
				   f->sts_listed ? TLS_RESULT_OK : TLS_RESULT_VALIDATION_FAILURE);
		ret->row = 13;
		ret->name = "mta-sts-testing";
	}
	if (testing || f->proven) {
		ret->check = TLS_POLICY_CHECK_NAMES;
		ret->only_report = true;
	}
}

void tls_policy_decide(const struct tls_policy_facts *f, struct tls_policy *ret)
{
	if (!decide_first(f, ret))
		decide_rest(f, ret);
	/* That the policy lists it is as good as a signature (RFC 8689 4.2.1 step 2); what a fingerprint
	 * fits is named by the configuration. */
	ret->proven = f->proven || ret->check == TLS_POLICY_CHECK_FINGERPRINTS ||
		      (f->sts != TLS_POLICY_STS_NONE && f->sts_listed);
}

size_t tls_policy_names(const struct tls_policy *p, const struct dns_name *base, const struct dns_name *host,
			const struct dns_name *domain, const char *ret[TLS_POLICY_NAMES_MAX])
{
	size_t n = 0;

	if (p->check == TLS_POLICY_CHECK_DANE && base)
		ret[n++] = base->text;
	if (n == 0 || !dns_name_eq(base, host))
		ret[n++] = host->text;
	if (p->check == TLS_POLICY_CHECK_DANE && domain && domain->n > 0 && !dns_name_eq(domain, host))
		ret[n++] = domain->text;
	return n;
}
