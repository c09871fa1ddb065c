/* table_fuzz.c - of any rules and any addresses the table finds the rule that somebody finds who reads the
 * rules from the first to the last, pattern by pattern.
 *
 * Input: lines.  The first three are recipient, sender and account; each other one is a rule: its words are
 * patterns, "|" goes from those for recipients to those for senders, and on to those for accounts. */
#include <stdlib.h>
#include <string.h>

#include "route/table.h"

#define RULES_MAX    8
#define PATTERNS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct criteria {
	char *pattern[3][PATTERNS_MAX];
	size_t n[3];
} rules[RULES_MAX];

static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct slice next(struct slice *in, unsigned char end)
{
	size_t at = slice_find(*in, end);
	struct slice got = slice_head(*in, at);

	*in = slice_tail(*in, at + 1);
	return got;
}

static void read_rule(struct slice line, struct criteria *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned kind = 0; line.n > 0;) {
		struct slice word = next(&line, ' ');

		if (slice_eq(word, SLICE_LIT("|"))) {
			if (++kind == 3)
				return;
		} else if (word.n > 0 && !memchr(word.p, 0, word.n) && ret->n[kind] < PATTERNS_MAX) {
			char *text = slice_dup(word);

			must(text != NULL);
			ret->pattern[kind][ret->n[kind]++] = text;
		}
	}
}

static bool fits(const char *pattern, struct slice address)
{
	struct slice p = slice_str(pattern), domain = SLICE_LIT("");
	size_t at = address.n;

	if (slice_eq(p, SLICE_LIT("*")))
		return true;
	if (address.n == 0)
		return slice_eq(p, SLICE_LIT("<>"));
	if (address.n > ROUTE_ADDRESS_MAX)
		return false;
	while (at > 0 && address.p[at - 1] != '@')
		at--;
	if (slice_eq_nocase(p, address))
		return true;
	if (at == 0)
		return false;
	domain = slice_tail(address, at);
	if (slice_eq_nocase(p, domain))
		return true;
	return p.n > 0 && p.p[0] == '.' && p.n <= domain.n &&
	       slice_eq_nocase(p, slice_tail(domain, domain.n - p.n));
}

static bool fits_one(const struct criteria *c, unsigned kind, struct slice address)
{
	for (size_t i = 0; i < c->n[kind]; i++)
		if (fits(c->pattern[kind][i], address))
			return true;
	return c->n[kind] == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size), who[3];
	struct route_table_rule given[RULES_MAX];
	struct route_table *t = NULL;
	size_t n = 0, want = 0;

	for (size_t i = 0; i < 3; i++)
		who[i] = next(&in, '\n');
	while (n < RULES_MAX && (n == 0 || in.n > 0)) {
		struct criteria *c = &rules[n];

		read_rule(next(&in, '\n'), c);
		given[n++] = (struct route_table_rule){ { c->pattern[0], c->n[0] },
							{ c->pattern[1], c->n[1] },
							{ c->pattern[2], c->n[2] } };
	}
	must(route_table_new(given, n, &t) == 0);
	while (want + 1 < n && !(fits_one(&rules[want], 0, who[0]) && fits_one(&rules[want], 1, who[1]) &&
				 fits_one(&rules[want], 2, who[2])))
		want++;
	must(route_table_find(t, who[0], who[1], who[2]) == want);
	route_table_free(t);
	for (size_t i = 0; i < n; i++)
		for (unsigned kind = 0; kind < 3; kind++)
			for (size_t j = 0; j < rules[i].n[kind]; j++)
				free(rules[i].pattern[kind][j]);
	return 0;
}
