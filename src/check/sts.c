/* MTA-STS of one domain. */
#include "check/sts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/web.h"

#define PATH "/.well-known/mta-sts.txt"

struct check_sts {
	uv_loop_t *loop;
	struct resolve *resolve;
	struct slice authorities;
	unsigned timeout_ms;
	struct dns_name domain, host;
	struct resolve_query *query;
	struct web *web;
	struct web_get *get;
	uv_timer_t start;
	bool over;
	struct check_sts_found found;
	char words[300]; /* what is wrong with the policy; "" */
	check_sts_done *done;
	void *arg;
};

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void release(struct check_sts *s)
{
	s->over = true;
	resolve_cancel(s->query);
	web_cancel(s->get);
	if (s->web)
		web_free(s->web);
	uv_close((uv_handle_t *)&s->start, on_closed);
}

void check_sts_cancel(struct check_sts *s)
{
	if (s && !s->over)
		release(s);
}

static void finish(struct check_sts *s, enum check_sts_state state, const char *words)
{
	struct check_sts_found found = s->found;
	check_sts_done *done = s->done;
	void *arg = s->arg;

	found.state = state;
	snprintf(found.words, sizeof(found.words), "%s", words);
	release(s);
	done(arg, &found);
}

/* The web may not be freed from within its own call. */
static void after_policy(uv_timer_t *t)
{
	struct check_sts *s = t->data;

	finish(s, s->words[0] ? CHECK_STS_UNKNOWN : CHECK_STS_POLICY, s->words);
}

static void on_policy(void *arg, const struct web_answer *a)
{
	struct check_sts *s = arg;
	const char *wrong = a->end == WEB_OK ? sts_policy_parse(a->body, &s->found.policy) : NULL;

	s->get = NULL;
	if (a->end != WEB_OK)
		snprintf(s->words, sizeof(s->words), "the policy cannot be fetched: %s", a->words);
	else if (wrong)
		snprintf(s->words, sizeof(s->words), "the policy is invalid: %s", wrong);
	uv_timer_start(&s->start, after_policy, 0, 0);
}

static void on_address(void *arg, const struct dns_answer *a)
{
	struct check_sts *s = arg;
	const struct web_setup web = { s->loop, s->authorities };
	struct ip ip[WEB_ADDRESSES_MAX];
	struct web_ask ask = { .host = s->host.text,
			       .path = PATH,
			       .port = 443,
			       .addresses = ip,
			       .type = "text/plain",
			       .max = STS_POLICY_MAX,
			       .timeout_ms = s->timeout_ms };
	char why[160] = "out of memory", words[300];

	s->query = NULL;
	for (size_t i = 0; a->status == DNS_OK && i < a->n && ask.n_addresses < WEB_ADDRESSES_MAX; i++)
		ip[ask.n_addresses++] = a->records[i].ip;
	if (ask.n_addresses == 0) {
		snprintf(words, sizeof(words), "there is a record, and %.180s has no address: %s",
			 s->host.text, dns_status_name(a->status));
		finish(s, CHECK_STS_UNKNOWN, words);
	} else if (web_new(&web, &s->web, why, sizeof(why)) < 0 ||
		   web_begin(s->web, &ask, on_policy, s, &s->get) < 0) {
		finish(s, CHECK_STS_UNKNOWN, why);
	}
}

static void on_record(void *arg, const struct dns_answer *a)
{
	struct check_sts *s = arg;
	char id[STS_ID_MAX + 1];
	struct dns_question q = { .type = DNS_A };

	s->query = NULL;
	switch (sts_record(a, id)) {
	case STS_RECORD_NONE:
		finish(s, CHECK_STS_NONE, "");
		break;
	case STS_RECORD_UNKNOWN:
		finish(s, CHECK_STS_UNKNOWN, "the DNS does not say whether there is a record");
		break;
	case STS_RECORD_FOUND:
		if (!sts_host_name(&s->domain, &s->host)) {
			finish(s, CHECK_STS_NONE, "");
			break;
		}
		q.name = s->host;
		if (resolve_ask_host(s->resolve, &q, on_address, s, &s->query) < 0)
			finish(s, CHECK_STS_UNKNOWN, "out of memory");
	}
}

static void on_start(uv_timer_t *t)
{
	struct check_sts *s = t->data;
	struct dns_question q = { .type = DNS_TXT };

	if (!sts_record_name(&s->domain, &q.name))
		finish(s, CHECK_STS_NONE, "");
	else if (resolve_ask(s->resolve, &q, on_record, s, &s->query) < 0)
		finish(s, CHECK_STS_UNKNOWN, "out of memory");
}

int check_sts_begin(uv_loop_t *loop, struct resolve *resolve, struct slice authorities, unsigned timeout_ms,
		    const struct dns_name *domain, check_sts_done *done, void *arg, struct check_sts **ret)
{
	struct check_sts *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->resolve = resolve;
	s->authorities = authorities;
	s->timeout_ms = timeout_ms;
	s->domain = *domain;
	s->done = done;
	s->arg = arg;
	uv_timer_init(loop, &s->start);
	s->start.data = s;
	uv_timer_start(&s->start, on_start, 0, 0);
	*ret = s;
	return 0;
}

void check_sts_match(const struct check_sts_found *found, const char *host, struct probe_port *port)
{
	const char *mode = sts_mode_name(found->policy.mode);
	char *to = port->sts_words;
	size_t size = sizeof(port->sts_words);

	if (found->state == CHECK_STS_NONE || port->reach != PROBE_OPEN)
		return;
	if (found->state == CHECK_STS_UNKNOWN) {
		port->sts = PROBE_MATCH_UNKNOWN;
		snprintf(to, size, "%s", found->words);
	} else if (!sts_policy_lists(&found->policy, slice_str(host))) {
		port->sts = PROBE_MATCH_NO;
		snprintf(to, size, "the policy (%s) does not list this host", mode);
	} else if (!port->tls.up || !port->tls.verified) {
		port->sts = PROBE_MATCH_NO;
		snprintf(to, size, "the policy (%s) wants a certificate that verifies: %s", mode,
			 port->tls.up ? port->tls.words : "there is no TLS");
	} else {
		port->sts = PROBE_MATCH_YES;
		snprintf(to, size, "the policy (%s) lists this host, and its certificate verifies", mode);
	}
}
