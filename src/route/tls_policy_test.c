/* The table of tls_policy.h row by row, the names of a certificate, and what TLSA answers mean. */
#include "route/tls_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Facts as words: a rule, then any of: credentials relax proven usable unusable failed testing enforce
 * listed.  Decision as words: use/later/never, must/may/off, check, !: only reported, proven, policy, result.
 */
static const struct {
	unsigned row;
	const char *facts, *decision;
} cases[] = {
	{ 1, "off credentials", "never none-found ok" },
	{ 2, "off", "use off none none-found ok" },
	{ 2, "off usable enforce", "use off none none-found ok" },
	{ 3, "fingerprints", "use must fingerprints proven none-found ok" },
	{ 3, "fingerprints failed relax enforce", "use must fingerprints proven none-found ok" },
	{ 4, "auto relax", "use may none none-found ok" },
	{ 4, "auto relax proven usable", "use may none proven none-found ok" },
	{ 4, "auto relax failed", "use may none none-found ok" },
	{ 4, "auto relax enforce", "use may none none-found ok" },
	{ 5, "auto proven failed", "later proven tlsa dnssec-invalid" },
	{ 5, "auto failed enforce listed", "later proven tlsa dnssec-invalid" },
	{ 5, "require relax failed", "later tlsa dnssec-invalid" },
	{ 5, "verify failed", "later tlsa dnssec-invalid" },
	{ 6, "auto proven usable", "use must dane proven tlsa ok" },
	{ 6, "auto proven usable enforce", "use must dane proven tlsa ok" }, /* DANE beats MTA-STS */
	{ 6, "verify proven usable", "use must dane proven tlsa ok" },
	{ 6, "auto credentials proven usable", "use must dane proven tlsa ok" },
	{ 7, "verify enforce", "later sts validation-failure" },
	{ 8, "verify", "use must names none-found ok" },
	{ 8, "verify relax", "use must names none-found ok" },
	{ 8, "verify enforce listed", "use must names proven sts ok" },
	{ 8, "verify proven unusable", "use must names proven tlsa ok" },
	{ 9, "auto credentials proven", "use must names proven none-found ok" },
	{ 9, "auto credentials relax proven", "use must names proven none-found ok" },
	{ 10, "auto enforce", "later sts validation-failure" },
	{ 10, "require enforce", "later sts validation-failure" },
	{ 11, "auto enforce listed", "use must names proven sts ok" },
	{ 11, "require enforce listed", "use must names proven sts ok" },
	{ 11, "auto proven unusable enforce listed", "use must names proven sts ok" },
	{ 12, "auto proven unusable", "use must none proven tlsa ok" },
	{ 12, "auto proven unusable testing listed", "use must none proven tlsa ok" },
	{ 13, "auto testing listed", "use may names! proven sts ok" },
	{ 13, "auto testing", "use may names! sts validation-failure" },
	{ 13, "require testing listed", "use must names! proven sts ok" },
	{ 14, "require", "use must none none-found ok" },
	{ 14, "require relax", "use must none none-found ok" },
	{ 14, "require proven", "use must names! proven none-found ok" },
	{ 14, "require credentials proven", "use must names! proven none-found ok" },
	{ 15, "auto", "use may none none-found ok" },
	{ 15, "auto proven", "use may names! proven none-found ok" },
};

static struct tls_policy_facts facts_of(const char *words)
{
	struct tls_policy_facts f = { 0 };
	char copy[100], *at = copy, *w;

	snprintf(copy, sizeof(copy), "%s", words);
	while ((w = strsep(&at, " "))) {
#define WORD(text, member, value)   \
	if (strcmp(w, text) == 0) { \
		f.member = value;   \
		continue;           \
	}
		WORD("auto", rule, TLS_POLICY_AUTO)
		WORD("require", rule, TLS_POLICY_REQUIRE)
		WORD("verify", rule, TLS_POLICY_VERIFY)
		WORD("off", rule, TLS_POLICY_OFF)
		WORD("fingerprints", rule, TLS_POLICY_FINGERPRINTS)
		WORD("credentials", credentials, true)
		WORD("relax", relax, true)
		WORD("proven", proven, true)
		WORD("usable", tlsa, DANE_USABLE)
		WORD("unusable", tlsa, DANE_UNUSABLE)
		WORD("failed", tlsa, DANE_FAILED)
		WORD("testing", sts, TLS_POLICY_STS_TESTING)
		WORD("enforce", sts, TLS_POLICY_STS_ENFORCE)
		WORD("listed", sts_listed, true)
#undef WORD
		fail_msg("no such fact: %s", w);
	}
	return f;
}

static void words_of(const struct tls_policy *p, char *to, size_t size)
{
	static const char *const uses[] = { "use", "later", "never" };
	static const char *const checks[] = { " none", " names", " dane", " fingerprints" };
	static const char *const policies[] = { "?", "none-found", "sts", "tlsa" };

	snprintf(to, size, "%s%s%s%s%s %s %s", uses[p->use],
		 p->use != TLS_POLICY_USE ? ""
		 : !p->starttls		  ? " off"
		 : p->clear		  ? " may"
					  : " must",
		 p->use != TLS_POLICY_USE ? "" : checks[p->check], p->only_report ? "!" : "",
		 p->proven ? " proven" : "", policies[p->policy], tls_result_name(p->result));
}

static void test_table(void **state)
{
	bool seen[16] = { false };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_policy_facts f = facts_of(cases[i].facts);
		struct tls_policy p;
		char got[200];

		tls_policy_decide(&f, &p);
		words_of(&p, got, sizeof(got));
		if (p.row != cases[i].row || strcmp(got, cases[i].decision) != 0)
			fail_msg("%s: row %u, %s", cases[i].facts, p.row, got);
		seen[p.row] = true;
	}
	for (int i = 1; i <= 15; i++)
		assert_true(seen[i]);
}

/* What must hold for any facts whatever. */
static void test_always(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5 * 2 * 2 * 2 * 4 * 3 * 2; i++) {
		struct tls_policy_facts f = { .rule = i % 5,
					      .credentials = i / 5 % 2,
					      .relax = i / 10 % 2,
					      .proven = i / 20 % 2,
					      .tlsa = i / 40 % 4,
					      .sts = i / 160 % 3,
					      .sts_listed = i / 480 % 2 };
		struct tls_policy p;

		tls_policy_decide(&f, &p);
		assert_non_null(p.name);
		assert_non_null(p.words);
		assert_true((p.enhanced[0] != '\0') == (p.use != TLS_POLICY_USE));
		if (f.credentials) /* never a password in clear */
			assert_true(p.use == TLS_POLICY_NEVER || !p.clear);
		if (f.rule != TLS_POLICY_AUTO && f.rule != TLS_POLICY_OFF)
			assert_true(p.use != TLS_POLICY_USE || !p.clear);
		if (p.clear) /* what may go in clear is never refused for a certificate */
			assert_true(p.check == TLS_POLICY_CHECK_NONE || p.only_report);
		if (p.clear && !f.relax && f.rule != TLS_POLICY_OFF) {
			assert_true(f.tlsa == DANE_NONE);
			assert_true(f.sts != TLS_POLICY_STS_ENFORCE);
		}
		if (p.use == TLS_POLICY_USE && f.tlsa == DANE_FAILED)
			assert_true(f.relax || f.rule == TLS_POLICY_OFF || f.rule == TLS_POLICY_FINGERPRINTS);
	}
}

static struct dns_name name_of(const char *text)
{
	struct dns_name n = { .n = (uint8_t)strlen(text) };

	memcpy(n.text, text, n.n);
	return n;
}

static void test_names(void **state)
{
	struct dns_name host = name_of("mx.example.net"), base = name_of("real.example.net"),
			domain = name_of("example.org");
	struct tls_policy dane = { .check = TLS_POLICY_CHECK_DANE },
			  names = { .check = TLS_POLICY_CHECK_NAMES };
	const char *got[TLS_POLICY_NAMES_MAX];

	(void)state;
	assert_int_equal(tls_policy_names(&dane, &base, &host, &domain, got), 3);
	assert_string_equal(got[0], "real.example.net");
	assert_string_equal(got[1], "mx.example.net");
	assert_string_equal(got[2], "example.org");
	assert_int_equal(tls_policy_names(&dane, &host, &host, &domain, got), 2);
	assert_string_equal(got[1], "example.org");
	assert_int_equal(tls_policy_names(&dane, &host, &host, &host, got), 1);
	assert_int_equal(tls_policy_names(&names, NULL, &host, &domain, got), 1);
	assert_string_equal(got[0], "mx.example.net");
}

static void test_bases(void **state)
{
	static const struct {
		bool alias, proven, secure, alias_secure;
		const char *bases;
		bool needs;
	} rows[] = {
		{ false, true, true, false, "mx", false },    { true, true, true, false, "real mx", false },
		{ true, true, true, true, "real mx", false }, { false, true, false, false, "", false },
		{ false, true, false, true, "", false }, /* there is no alias to be secure */
		{ true, true, false, true, "mx", true },      { true, true, false, false, "", true },
		{ false, false, true, false, "", false },     { true, false, true, true, "", false },
		{ true, false, false, true, "", false },
	};
	struct dns_name mx = name_of("mx"), real = name_of("real");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dane_host h = { &mx, rows[i].alias ? &real : &mx, rows[i].proven, rows[i].secure,
				       rows[i].alias_secure };
		const struct dns_name *base[DANE_BASES_MAX];
		size_t n = dane_bases(&h, base);
		char got[2 * DNS_NAME_MAX + 4] = "";

		for (size_t j = 0; j < n; j++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", j ? " " : "",
				 base[j]->text);
		assert_string_equal(got, rows[i].bases);
		assert_int_equal(dane_needs_alias(&h), rows[i].needs);
	}
}

static void test_tlsa(void **state)
{
	static const struct {
		enum dns_status status;
		bool secure;
		const char *records; /* usage selector matching length; ... */
		enum dane_state is;
		size_t usable;
	} rows[] = {
		{ DNS_OK, true, "3 1 1 32", DANE_USABLE, 1 },
		{ DNS_OK, true, "2 0 2 64", DANE_USABLE, 1 },
		{ DNS_OK, true, "3 0 0 700", DANE_USABLE, 1 },
		{ DNS_OK, true, "1 1 1 32;3 1 1 32;0 0 1 32;2 1 1 32", DANE_USABLE, 2 },
		{ DNS_OK, true, "0 0 1 32;1 1 1 32", DANE_UNUSABLE, 0 }, /* RFC 7672 3.1.3 */
		{ DNS_OK, true, "3 1 1 31", DANE_UNUSABLE, 0 },
		{ DNS_OK, true, "3 1 1 64", DANE_UNUSABLE, 0 },
		{ DNS_OK, true, "3 1 2 32", DANE_UNUSABLE, 0 },
		{ DNS_OK, true, "3 1 0 0", DANE_UNUSABLE, 0 },
		{ DNS_OK, true, "3 2 1 32", DANE_UNUSABLE, 0 },
		{ DNS_OK, true, "3 1 3 32", DANE_UNUSABLE, 0 },
		{ DNS_OK, true, "255 1 1 32", DANE_UNUSABLE, 0 },
		{ DNS_OK, false, "3 1 1 32", DANE_NONE, 0 },
		{ DNS_NXDOMAIN, true, "", DANE_NONE, 0 },
		{ DNS_NODATA, true, "", DANE_NONE, 0 },
		{ DNS_NODATA, false, "", DANE_NONE, 0 },
		{ DNS_SERVFAIL, false, "", DANE_FAILED, 0 },
		{ DNS_BOGUS, false, "", DANE_FAILED, 0 },
		{ DNS_TIMEOUT, false, "", DANE_FAILED, 0 },
		{ DNS_NO_MEMORY, false, "", DANE_FAILED, 0 },
	};
	static const unsigned char octets[1024];
	struct dns_name base = name_of("mx.example.org");

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_record r[8];
		struct dns_answer a = { .status = rows[i].status, .secure = rows[i].secure, .records = r };
		char copy[100], *at = copy, *one;
		struct dane d;

		snprintf(copy, sizeof(copy), "%s", rows[i].records);
		while (*rows[i].records && (one = strsep(&at, ";"))) {
			unsigned u, s, m, n;

			assert_int_equal(sscanf(one, "%u %u %u %u", &u, &s, &m, &n), 4);
			r[a.n].tlsa.usage = (uint8_t)u;
			r[a.n].tlsa.selector = (uint8_t)s;
			r[a.n].tlsa.matching = (uint8_t)m;
			r[a.n++].tlsa.data = slice_of(octets, n);
		}
		dane_judge(&base, &a, &d);
		if (d.state != rows[i].is || d.n != rows[i].usable)
			fail_msg("%s: %s, %zu", rows[i].records, dane_state_name(d.state), d.n);
		assert_string_equal(d.base.text, "mx.example.org");
		assert_int_equal(d.result, d.state == DANE_FAILED     ? TLS_RESULT_DNSSEC_INVALID
					   : d.state == DANE_UNUSABLE ? TLS_RESULT_TLSA_INVALID
								      : TLS_RESULT_OK);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table), cmocka_unit_test(test_always), cmocka_unit_test(test_names),
		cmocka_unit_test(test_bases), cmocka_unit_test(test_tlsa),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
