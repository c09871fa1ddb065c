/* From a domain to its hosts. */
#include "check/find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/autoconfig.h"
#include "route/providers.h"
#include "web/web.h"

/* The questions, all at once; the addresses for autoconfig and the guesses only of a domain. */
enum question {
	SRV_IMPLICIT,
	SRV_STARTTLS,
	MX,
	CONFIG_HOST,   /* autoconfig.DOMAIN */
	CONFIG_DOMAIN, /* DOMAIN */
	GUESS_SMTP,
	GUESS_MAIL,
	QUESTIONS,
};

static const struct {
	const char *prefix;
	enum dns_type type;
} questions[QUESTIONS] = {
	[SRV_IMPLICIT] = { "_submissions._tcp.", DNS_SRV },
	[SRV_STARTTLS] = { "_submission._tcp.", DNS_SRV },
	[MX] = { "", DNS_MX },
	[CONFIG_HOST] = { "autoconfig.", DNS_A },
	[CONFIG_DOMAIN] = { "", DNS_A },
	[GUESS_SMTP] = { "smtp.", DNS_A },
	[GUESS_MAIL] = { "mail.", DNS_A },
};

/* Where autoconfig's file is, by the name in front of it. */
static const char *const config_paths[2] = { "/mail/config-v1.1.xml",
					     "/.well-known/autoconfig/mail/config-v1.1.xml" };

struct find {
	struct find_setup setup;
	struct check *check;
	char text[256];
	uint16_t port;
	bool address; /* it had an @ */
	struct dns_name domain;
	struct asked {
		struct find *find;
		struct resolve_query *query;
		struct dns_answer answer;
		bool has;
	} asked[QUESTIONS];
	unsigned waiting;
	struct check_sts *asks_sts;
	struct check_sts_found sts;
	struct web *web;
	struct web_get *get;
	unsigned at_path;
	struct autoconfig config;
	char config_from[128];
	uv_timer_t start;
	bool over;
	char note[200];
	find_done *done;
	void *arg;
};

/* ---- the end ---- */

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void release(struct find *f)
{
	f->over = true;
	for (int i = 0; i < QUESTIONS; i++) {
		resolve_cancel(f->asked[i].query);
		if (f->asked[i].has)
			dns_answer_done(&f->asked[i].answer);
	}
	check_sts_cancel(f->asks_sts);
	web_cancel(f->get);
	if (f->web)
		web_free(f->web);
	uv_close((uv_handle_t *)&f->start, on_closed);
}

void find_cancel(struct find *f)
{
	if (f && !f->over)
		release(f);
}

static void finish(struct find *f)
{
	char note[sizeof(f->note)];
	find_done *done = f->done;
	void *arg = f->arg;

	memcpy(note, f->note, sizeof(note));
	release(f);
	done(arg, note);
}

/* ---- what was found ---- */

static bool answered(const struct find *f, enum question q)
{
	return f->asked[q].has && f->asked[q].answer.status == DNS_OK;
}

/* By priority, then weight: the order in which clients should try. RFC 2782 */
static int by_priority(const void *a, const void *b)
{
	const struct dns_record *x = *(const struct dns_record *const *)a,
				*y = *(const struct dns_record *const *)b;

	if (x->srv.priority != y->srv.priority)
		return x->srv.priority < y->srv.priority ? -1 : 1;
	return x->srv.weight > y->srv.weight ? -1 : x->srv.weight < y->srv.weight;
}

static size_t add_srv(struct find *f, enum question q)
{
	const struct dns_answer *a = &f->asked[q].answer;
	const struct dns_record *record[DNS_RECORDS_MAX];
	char from[128];
	size_t n = 0;

	if (!answered(f, q))
		return 0;
	for (size_t i = 0; i < a->n; i++)
		if (a->records[i].srv.target.n > 0) /* "." : there is no such service */
			record[n++] = &a->records[i];
	qsort(record, n, sizeof(record[0]), by_priority);
	for (size_t i = 0; i < n; i++) {
		snprintf(from, sizeof(from), "SRV %s%.60s, port %u", questions[q].prefix, f->domain.text,
			 record[i]->srv.port);
		(void)check_add(f->check, record[i]->srv.target.text, from, 0);
	}
	return n;
}

static size_t add_config(struct find *f)
{
	for (size_t i = 0; i < f->config.n; i++)
		(void)check_add(f->check, f->config.server[i].host, f->config_from, 0);
	return f->config.n;
}

static size_t add_provider(struct find *f)
{
	const struct route_provider *p = route_provider_of_domain(dns_name_slice(&f->domain));
	const struct dns_answer *mx = &f->asked[MX].answer;
	char from[128];

	for (size_t i = 0; !p && answered(f, MX) && i < mx->n; i++)
		p = route_provider_of_mx(dns_name_slice(&mx->records[i].mx.host));
	if (!p)
		return 0;
	snprintf(from, sizeof(from), "known: %s", p->title);
	(void)check_add(f->check, p->host, from, 0);
	return 1;
}

static size_t add_guesses(struct find *f)
{
	size_t n = 0;
	char name[300];

	for (int q = GUESS_SMTP; q <= GUESS_MAIL; q++) {
		if (!answered(f, (enum question)q))
			continue;
		snprintf(name, sizeof(name), "%s%s", questions[q].prefix, f->domain.text);
		(void)check_add(f->check, name, "a guess: the name exists", 0);
		n++;
	}
	return n;
}

static void add_mx(struct find *f)
{
	const struct dns_answer *a = &f->asked[MX].answer;
	char from[128];

	if (!answered(f, MX)) {
		if (f->setup.mx && f->asked[MX].has && a->status != DNS_NODATA)
			snprintf(f->note, sizeof(f->note), "the MX records of %.100s: %s", f->domain.text,
				 dns_status_name(a->status));
		return;
	}
	if (a->n == 1 && a->records[0].mx.host.n == 0) {
		snprintf(f->note, sizeof(f->note), "%.100s takes no mail at all (null MX)", f->domain.text);
		return;
	}
	for (size_t i = 0; i < a->n; i++) {
		if (a->records[i].mx.host.n == 0)
			continue;
		snprintf(from, sizeof(from), "MX %u of %.80s", a->records[i].mx.preference, f->domain.text);
		(void)check_add_mx(f->check, a->records[i].mx.host.text, from, a->records[i].mx.preference,
				   &f->sts);
	}
}

/* Where not even the domain is there, or the DNS does not tell, that is the reason. */
static bool say_no_domain(struct find *f)
{
	enum dns_status status = f->asked[MX].has ? f->asked[MX].answer.status : DNS_OK;

	if (status == DNS_OK || status == DNS_NODATA)
		return false;
	snprintf(f->note, sizeof(f->note), "%.100s: %s", f->domain.text, dns_status_name(status));
	return true;
}

static void all_known(struct find *f)
{
	if (!f->setup.mx &&
	    add_srv(f, SRV_IMPLICIT) + add_srv(f, SRV_STARTTLS) + add_config(f) + add_provider(f) == 0 &&
	    add_guesses(f) == 0 && !say_no_domain(f))
		snprintf(f->note, sizeof(f->note),
			 "no submission server of %.80s could be found: neither SRV records nor an "
			 "autoconfig file, and "
			 "it is no known provider's",
			 f->domain.text);
	if (f->setup.mx && !answered(f, MX) && f->asked[MX].has && f->asked[MX].answer.status == DNS_NODATA)
		(void)check_add_mx(f->check, f->domain.text, "the domain itself: it has no MX record", 0,
				   &f->sts);
	add_mx(f);
	finish(f);
}

/* ---- autoconfig ---- */

static void next_config(struct find *f);

/* The web may not be freed from within its own call. */
static void after_config(uv_timer_t *t)
{
	struct find *f = t->data;

	if (f->config.n > 0) {
		all_known(f);
		return;
	}
	f->at_path++;
	next_config(f);
}

static void on_config(void *arg, const struct web_answer *a)
{
	struct find *f = arg;

	f->get = NULL;
	if (a->end != WEB_OK || autoconfig_parse(a->body, &f->config))
		f->config.n = 0;
	uv_timer_start(&f->start, after_config, 0, 0);
}

static void next_config(struct find *f)
{
	for (; f->web && f->at_path < 2; f->at_path++) {
		enum question q = f->at_path == 0 ? CONFIG_HOST : CONFIG_DOMAIN;
		const struct dns_answer *a = &f->asked[q].answer;
		struct ip ip[WEB_ADDRESSES_MAX];
		char host[300];
		struct web_ask ask = { .host = host,
				       .path = config_paths[f->at_path],
				       .port = 443,
				       .addresses = ip,
				       .max = AUTOCONFIG_OCTETS_MAX,
				       .timeout_ms = f->setup.timeout_ms };

		if (!answered(f, q))
			continue;
		for (size_t i = 0; i < a->n && ask.n_addresses < WEB_ADDRESSES_MAX; i++)
			ip[ask.n_addresses++] = a->records[i].ip;
		snprintf(host, sizeof(host), "%s%s", questions[q].prefix, f->domain.text);
		snprintf(f->config_from, sizeof(f->config_from), "autoconfig of %.100s", host);
		if (web_begin(f->web, &ask, on_config, f, &f->get) == 0)
			return;
	}
	all_known(f);
}

/* ---- the DNS ---- */

static bool is_domain(const struct find *f)
{
	return f->address || f->setup.mx || answered(f, SRV_IMPLICIT) || answered(f, SRV_STARTTLS) ||
	       answered(f, MX);
}

static void on_sts(void *arg, const struct check_sts_found *found)
{
	struct find *f = arg;

	f->asks_sts = NULL;
	f->sts = *found;
	all_known(f);
}

static void dns_known(struct find *f)
{
	const struct web_setup web = { f->setup.loop, f->setup.authorities };
	char why[160];

	if (!is_domain(f)) {
		(void)check_add(f->check, f->text, "the command line", f->port);
		finish(f);
		return;
	}
	if (f->setup.mx) {
		if (check_sts_begin(f->setup.loop, f->setup.resolve, f->setup.authorities,
				    f->setup.timeout_ms, &f->domain, on_sts, f, &f->asks_sts) < 0)
			all_known(f);
		return;
	}
	/* Without libcurl there is no autoconfig: the rest is there. */
	if ((answered(f, CONFIG_HOST) || answered(f, CONFIG_DOMAIN)) &&
	    web_new(&web, &f->web, why, sizeof(why)) < 0)
		f->web = NULL;
	next_config(f);
}

static void on_answer(void *arg, const struct dns_answer *a)
{
	struct asked *q = arg;
	struct find *f = q->find;

	q->query = NULL;
	q->has = dns_answer_copy(a, &q->answer) == 0;
	if (--f->waiting == 0)
		dns_known(f);
}

static int ask_one(struct find *f, enum question q)
{
	struct asked *one = &f->asked[q];
	struct dns_question ask = { .type = questions[q].type };
	char name[300];
	int r;

	snprintf(name, sizeof(name), "%s%s", questions[q].prefix, f->domain.text);
	if (!dns_name_parse(slice_str(name), &ask.name))
		return 0; /* too long: there is no such name */
	one->find = f;
	r = ask.type == DNS_A ? resolve_ask_host(f->setup.resolve, &ask, on_answer, one, &one->query)
			      : resolve_ask(f->setup.resolve, &ask, on_answer, one, &one->query);
	if (r == 0)
		f->waiting++;
	return r;
}

/* Not from within find_begin(). */
static void on_start(uv_timer_t *t)
{
	struct find *f = t->data;
	struct ip ip;

	if (!ip_parse(slice_str(f->text), &ip) && !f->setup.host && !f->port)
		for (int q = 0; q < QUESTIONS; q++)
			(void)ask_one(f, (enum question)q); /* what cannot be asked for is not there */
	if (f->waiting == 0)
		dns_known(f);
}

int find_begin(const struct find_setup *setup, struct check *check, const char *text, uint16_t port,
	       find_done *done, void *arg, struct find **ret)
{
	const char *at = strrchr(text, '@');
	struct find *f;
	struct ip ip;
	int r;

	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->setup = *setup;
	f->check = check;
	f->port = port;
	f->address = at != NULL;
	f->done = done;
	f->arg = arg;
	r = slice_copy(slice_str(at ? at + 1 : text), f->text, sizeof(f->text)) ? 0 : -EINVAL;
	if (r == 0 && (at || !ip_parse(slice_str(f->text), &ip)))
		r = dns_name_from_user(slice_str(f->text), &f->domain);
	if (r < 0) {
		free(f);
		return r;
	}
	uv_timer_init(setup->loop, &f->start);
	f->start.data = f;
	uv_timer_start(&f->start, on_start, 0, 0);
	*ret = f;
	return 0;
}
