/* postern tls: how encryption with the servers of other domains went; what reports of TLSRPT
 * (RFC 8460) are made of. */
#include <string.h>
#include <time.h>

#include "base/tls_result.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/text.h"
#include "dns/dns.h"

#define DAYS_DEFAULT 7
#define DAYS_MAX     30 /* are kept */
#define PAGE	     10000
#define DOMAIN_WIDTH 34

struct asked {
	bool as_json, failures;
	uint64_t days;
	char domain[256];
	json_t *rows; /* of one page after the other, as the ledger keeps them */
	json_int_t after;
	json_t *domains; /* the same by domain and policy */
};

static int take(void *arg, json_t *part)
{
	struct asked *a = arg;

	a->after = cli_member_number(part, "after");
	if (!json_object_get(part, "results"))
		return CLI_OK;
	return json_array_extend(a->rows, json_object_get(part, "results")) < 0 ? CLI_FAILED : CLI_OK;
}

static int read_pages(struct asked *a)
{
	int status;

	do {
		json_t *q = json_pack("{s:s, s:I, s:i, s:I}", "ask", "tls.results", "days",
				      (json_int_t)a->days, "limit", PAGE, "after", a->after);

		if (q && a->domain[0])
			json_object_set_new(q, "domain", json_string(a->domain));
		a->after = 0;
		status = control_ask(q, SLICE_LIT(""), take, a);
	} while (status == CLI_OK && a->after > 0);
	return status;
}

/* ---- by domain and policy ---- */

static int order(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	static const char *const keys[] = { "domain", "policy", "day", "result", "host", "ip" };
	int c = 0;

	for (size_t i = 0; c == 0 && i < sizeof(keys) / sizeof(keys[0]); i++)
		c = strcmp(cli_member_text(x, keys[i]), cli_member_text(y, keys[i]));
	return c;
}

static bool is_ok(const json_t *row)
{
	return !strcmp(cli_member_text(row, "result"), tls_result_name(TLS_RESULT_OK));
}

static void count(json_t *of, json_t *row)
{
	const char *key = is_ok(row) ? "successful" : "failed";

	json_object_set_new(of, key,
			    json_integer(cli_member_number(of, key) + cli_member_number(row, "count")));
	json_array_append(json_object_get(of, "results"), row);
}

/* Each with its rows: {"domain":, "policy":, "successful":, "failed":, "results": [...]} */
static int group(struct asked *a)
{
	size_t n = json_array_size(a->rows);
	json_t **rows = calloc(n + 1, sizeof(json_t *)), *of = NULL;

	if (!rows)
		return CLI_FAILED;
	for (size_t i = 0; i < n; i++)
		rows[i] = json_array_get(a->rows, i);
	qsort(rows, n, sizeof(json_t *), order);
	for (size_t i = 0; i < n; i++) {
		const char *domain = cli_member_text(rows[i], "domain"),
			   *policy = cli_member_text(rows[i], "policy");

		if (!of || strcmp(cli_member_text(of, "domain"), domain) != 0 ||
		    strcmp(cli_member_text(of, "policy"), policy) != 0) {
			of = json_pack("{s:s, s:s, s:i, s:i, s:[]}", "domain", domain, "policy", policy,
				       "successful", 0, "failed", 0, "results");
			json_array_append_new(a->domains, of);
		}
		if (of)
			count(of, rows[i]);
	}
	free(rows);
	for (size_t i = json_array_size(a->domains); a->failures && i > 0; i--)
		if (cli_member_number(json_array_get(a->domains, i - 1), "failed") == 0)
			json_array_remove(a->domains, i - 1);
	return CLI_OK;
}

/* ---- for people ---- */

static bool same_failure(const json_t *a, const json_t *b)
{
	return !strcmp(cli_member_text(a, "result"), cli_member_text(b, "result")) &&
	       !strcmp(cli_member_text(a, "host"), cli_member_text(b, "host")) &&
	       !strcmp(cli_member_text(a, "ip"), cli_member_text(b, "ip"));
}

/*     3 tlsa-invalid at mx.example.net [192.0.2.7], last 2026-11-22 08:30:12: the
 *       certificate is none of those that the TLSA records name */
static void print_failure(const json_t *row, json_int_t n, json_int_t last)
{
	const char *host = cli_member_text(row, "host"), *ip = cli_member_text(row, "ip"),
		   *text = cli_member_text(row, "text");
	char time[32], line[1024];

	snprintf(line, sizeof(line), "%" JSON_INTEGER_FORMAT " %s%s%s%s%s%s, last %s%s%s", n,
		 cli_member_text(row, "result"), *host ? " at " : "", host, *ip ? " [" : "", ip,
		 *ip ? "]" : "", cli_time((uint64_t)last * 1000, time), *text ? ": " : "", text);
	printf("    ");
	cli_print_wrapped(line, 6);
}

/* Those of several days together; the words are the last day's. */
static void print_failures(const json_t *results)
{
	size_t n = json_array_size(results);

	for (size_t i = 0; i < n; i++) {
		const json_t *row = json_array_get(results, i);
		json_int_t sum = 0, last = 0;
		bool later = is_ok(row); /* or told with one of a later day */

		for (size_t k = i + 1; k < n && !later; k++)
			later = same_failure(row, json_array_get(results, k));
		if (later)
			continue;
		for (size_t k = 0; k <= i; k++) {
			const json_t *one = json_array_get(results, k);

			if (!same_failure(row, one))
				continue;
			sum += cli_member_number(one, "count");
			last = cli_member_number(one, "last") > last ? cli_member_number(one, "last") : last;
		}
		print_failure(row, sum, last);
	}
}

static void print_domain(const json_t *d)
{
	const char *domain = cli_member_text(d, "domain");

	printf("%-*s", DOMAIN_WIDTH, domain);
	if (strlen(domain) > DOMAIN_WIDTH - 2)
		printf("\n%*s", DOMAIN_WIDTH, "");
	printf("%-16s %12" JSON_INTEGER_FORMAT " %10" JSON_INTEGER_FORMAT "\n", cli_member_text(d, "policy"),
	       cli_member_number(d, "successful"), cli_member_number(d, "failed"));
	print_failures(json_object_get(d, "results"));
}

static void day_of(time_t at, char text[static 16])
{
	struct tm tm;

	if (!gmtime_r(&at, &tm) || strftime(text, 16, "%Y-%m-%d", &tm) == 0)
		snprintf(text, 16, "?");
}

static int print(const struct asked *a)
{
	char since[16], until[16];
	time_t now = (time_t)(cli_now_ms() / 1000);
	const json_t *d;
	size_t i;

	day_of(now - (time_t)(a->days - 1) * 86400, since);
	day_of(now, until);
	if (a->as_json) {
		json_t *all =
			json_pack("{s:s, s:s, s:O}", "since", since, "until", until, "domains", a->domains);

		json_dumpf(all, stdout, JSON_INDENT(1));
		putchar('\n');
		json_decref(all);
		return CLI_OK;
	}
	if (json_array_size(a->domains) == 0) {
		printf(a->failures ? "No failure of encryption%s%s since %s.\n"
				   : "Nothing is known of encryption%s%s since %s.\n",
		       a->domain[0] ? " with " : "", a->domain, since);
		return CLI_OK;
	}
	printf("Sessions with servers of other domains, from %s to %s (UTC)\n\n", since, until);
	printf("%-*s%-16s %12s %10s\n", DOMAIN_WIDTH, "DOMAIN", "POLICY", "SUCCESSFUL", "FAILED");
	json_array_foreach(a->domains, i, d) print_domain(d);
	return CLI_OK;
}

/* ---- the command ---- */

static int take_domain(struct asked *a, const char *name, const char *text)
{
	struct dns_name domain;

	if (dns_name_from_user(slice_str(text), &domain) < 0)
		return cli_usage(name, "'%s' is no domain", text);
	return slice_copy(dns_name_slice(&domain), a->domain, sizeof(a->domain)) ? CLI_OK : CLI_FAILED;
}

static int parse(int argc, char **argv, struct asked *a)
{
	static const struct option options[] = { CONTROL_OPTIONS,
						 { "json", no_argument, NULL, 'j' },
						 { "days", required_argument, NULL, 'd' },
						 { "failures", no_argument, NULL, 'f' },
						 { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, CONTROL_SHORT, options, NULL)) != -1) {
		struct slice s = slice_str(optarg ? optarg : "");

		if (control_option(c, optarg))
			continue;
		if (c == 'j')
			a->as_json = true;
		else if (c == 'f')
			a->failures = true;
		else if (c == 'd' && cur_u64(&s, DAYS_MAX, &a->days) && s.n == 0 && a->days > 0)
			continue;
		else if (c == 'd')
			return cli_usage(argv[0], "--days takes a number from 1 to %d", DAYS_MAX);
		else
			return cli_usage_only(argv[0]);
	}
	if (argc - optind > 1)
		return cli_usage(argv[0], "takes one domain, or none");
	return optind < argc ? take_domain(a, argv[0], argv[optind]) : CLI_OK;
}

int cli_tls(int argc, char **argv)
{
	struct asked a = { .days = DAYS_DEFAULT, .rows = json_array(), .domains = json_array() };
	int status = a.rows && a.domains ? parse(argc, argv, &a) : CLI_FAILED;

	if (status == CLI_OK)
		status = read_pages(&a);
	if (status == CLI_OK)
		status = group(&a);
	if (status == CLI_OK)
		status = print(&a);
	json_decref(a.rows);
	json_decref(a.domains);
	return status;
}
