#include "route/mx.h"

#include <errno.h>

#include <stdarg.h>

/* No address, however it is written (RFC 5321 4.1.3). */
#define LITERAL_MAX 64

/* Both may be 253 octets long. */
#define LOOP_TEXT                                                                                      \
	"Mail for %.120s loops back to this server: its best mail server in the DNS, %.120s, is this " \
	"server, which has no such domain: add the domain here or a route for it, or correct its MX "  \
	"record"

__attribute__((format(printf, 4, 5))) static enum mx_step end(struct mx *m, enum mx_outcome outcome,
							      const char *enhanced, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->text, sizeof(m->text), fmt, ap);
	va_end(ap);
	m->outcome = outcome;
	m->enhanced = enhanced;
	if (outcome != MX_OK)
		m->n = 0;
	return MX_DONE;
}

static enum mx_step end_well(struct mx *m)
{
	m->outcome = MX_OK;
	return MX_DONE;
}

/* Why the DNS has no answer, for a while.  What was proven to be wrong and what nobody could say
 * both wait: a signature that has expired is usually renewed soon (RFC 7672 2.1.3). */
static const char *enhanced_of(enum dns_status s)
{
	return s == DNS_BOGUS ? "4.7.5" : s == DNS_NO_MEMORY ? "4.3.0" : "4.4.3";
}

static enum mx_step end_temporary(struct mx *m, const struct dns_answer *a)
{
	return end(m, MX_TEMPORARY, enhanced_of(a->status),
		   "The mail servers of %s could not be looked up in the DNS: %s%s%.*s%s", m->domain.text,
		   dns_status_name(a->status), a->why[0] ? " (" : "", DNS_WHY_MAX, a->why,
		   a->why[0] ? ")" : "");
}

/* ---- the list ---- */

/* splitmix64: good enough to spread load. */
static uint64_t next_random(struct mx *m)
{
	uint64_t z = m->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Where a record stands among others: by preference, then as chance has it. */
struct rank {
	uint64_t chance;
	uint16_t preference;
	const struct dns_name *host;
};

static int by_rank(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->chance < y->chance ? -1 : x->chance > y->chance;
}

static bool has_host(const struct mx *m, const struct dns_name *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (dns_name_eq(&m->host[i].name, name))
			return true;
	return false;
}

static bool is_own(const struct mx *m, const struct dns_name *name)
{
	for (size_t i = 0; i < m->n_own; i++)
		if (dns_name_eq(&m->own[i], name))
			return true;
	return false;
}

static enum mx_step end_loop(struct mx *m, const char *host)
{
	return end(m, MX_PERMANENT, "5.4.6", LOOP_TEXT, m->domain.text, host);
}

/* Keep what is of a better preference than this one. */
static void keep_better(struct mx *m, uint16_t preference)
{
	size_t n = 0;

	while (n < m->n && m->host[n].preference < preference)
		n++;
	m->n = n;
}

/* The records, sorted, into hosts. */
static enum mx_step take_hosts(struct mx *m, struct rank *rank, size_t n)
{
	const struct dns_name *unfit = NULL;
	uint32_t left = UINT32_MAX; /* the best preference that was left out for want of room */

	for (size_t i = 0; i < n; i++) {
		const struct dns_name *host = rank[i].host;

		if (is_own(m, host)) {
			keep_better(m, rank[i].preference);
			m->more |= left < rank[i].preference;
			return m->n > 0 ? end_well(m) : end_loop(m, host->text);
		}
		if (!dns_name_is_host(host)) {
			unfit = host->n > 0 ? host : unfit;
			continue;
		}
		if (has_host(m, host))
			continue;
		if (m->n == MX_HOSTS_MAX) {
			left = left < rank[i].preference ? left : rank[i].preference;
			continue; /* but look for ourselves: all that is kept may have its preference */
		}
		m->host[m->n++] = (struct mx_host){ .name = *host, .preference = rank[i].preference };
	}
	m->more |= left < UINT32_MAX;
	if (m->n > 0)
		return end_well(m);
	return end(m, MX_PERMANENT, "5.4.4",
		   "The DNS names no usable mail server for %s: '%.255s' is no host's name", m->domain.text,
		   unfit ? unfit->text : ".");
}

static enum mx_step from_records(struct mx *m, const struct dns_answer *a)
{
	struct rank rank[DNS_RECORDS_MAX];

	if (a->n == 1 && a->records[0].mx.host.n == 0 && !a->more)
		return end(m, MX_PERMANENT, "5.1.10", "%s does not accept mail (null MX in the DNS)",
			   m->domain.text);
	for (size_t i = 0; i < a->n; i++)
		rank[i] = (struct rank){ .chance = next_random(m),
					 .preference = a->records[i].mx.preference,
					 .host = &a->records[i].mx.host };
	qsort(rank, a->n, sizeof(rank[0]), by_rank);
	m->more = a->more;
	return take_hosts(m, rank, a->n);
}

static enum mx_step from_nothing(struct mx *m)
{
	m->implicit = true;
	if (is_own(m, &m->canonical))
		return end_loop(m, m->canonical.text);
	m->host[m->n++] = (struct mx_host){ .name = m->canonical };
	return end_well(m);
}

/* ---- the steps ---- */

static bool literal(struct slice domain, struct ip *ret)
{
	struct slice s = domain;
	bool six;

	if (!cur_byte(&s, '[') || s.n < 2 || s.n > LITERAL_MAX || s.p[s.n - 1] != ']')
		return false;
	s.n--;
	six = cur_word(&s, SLICE_LIT("IPv6:"));
	return ip_parse(s, ret) && (six || ret->family == 4);
}

enum mx_step mx_start(struct mx *m, struct slice domain, const struct dns_name *own, size_t n_own,
		      uint64_t random, struct dns_question *ask)
{
	int r;

	memset(m, 0, sizeof(*m));
	m->enhanced = "";
	m->own = own;
	m->n_own = n_own;
	m->random = random;
	if (literal(domain, &m->host[0].ip)) {
		m->literal = true;
		m->n = 1;
		return end_well(m);
	}
	r = dns_name_from_user(domain, &m->domain);
	if (r == -ENOMEM)
		return end(m, MX_TEMPORARY, "4.3.0", "This server lacks memory");
	if (r < 0 || !dns_name_is_host(&m->domain))
		return end(m, MX_PERMANENT, "5.1.2", "'%.*s' is no mail domain",
			   domain.n > 200 ? 200 : (int)domain.n, (const char *)domain.p);
	m->canonical = m->domain;
	ask->name = m->domain;
	ask->type = DNS_MX;
	return MX_ASK;
}

enum mx_step mx_answer(struct mx *m, const struct dns_answer *a, struct dns_question *ask)
{
	(void)ask; /* one question is all it takes */
	m->ttl = a->ttl;
	m->canonical = a->canonical;
	m->alias = a->alias;
	m->secure = a->secure && (a->status == DNS_OK || a->status == DNS_NODATA);
	switch (a->status) {
	case DNS_OK:
		return from_records(m, a);
	case DNS_NODATA:
		return from_nothing(m);
	case DNS_NXDOMAIN:
		return end(m, MX_PERMANENT, "5.1.2", "The domain %s does not exist in the DNS",
			   m->domain.text);
	default:
		return end_temporary(m, a);
	}
}

/* ---- hosts without an address ---- */

static bool failed(const struct dns_answer *a)
{
	return a && a->status != DNS_OK && a->status != DNS_NXDOMAIN && a->status != DNS_NODATA;
}

static bool nonexistent(const struct dns_answer *a)
{
	return a && a->status == DNS_NXDOMAIN;
}

/* For now, for the DNS says nothing, or nothing of a family that we could use. */
static void not_now(const struct dns_name *name, const struct dns_answer *bad, struct mx_failure *ret)
{
	ret->outcome = MX_TEMPORARY;
	ret->enhanced = bad ? enhanced_of(bad->status) : "4.4.1";
	if (!bad)
		snprintf(ret->text, sizeof(ret->text), "%s has no address that this server's network reaches",
			 name->text);
	else
		snprintf(ret->text, sizeof(ret->text),
			 "The address of %.200s could not be looked up in the DNS: %s%s%.100s%s", name->text,
			 dns_status_name(bad->status), bad->why[0] ? " (" : "", bad->why,
			 bad->why[0] ? ")" : "");
}

void mx_no_address(const struct mx *m, size_t host, const struct dns_answer *v4, const struct dns_answer *v6,
		   struct mx_failure *ret)
{
	const struct dns_name *name = &m->host[host].name;
	bool nowhere = nonexistent(v4) || nonexistent(v6);

	memset(ret, 0, sizeof(*ret));
	ret->enhanced = "";
	if ((v4 && v4->status == DNS_OK) || (v6 && v6->status == DNS_OK))
		return;
	if (failed(v4) || failed(v6)) {
		not_now(name, failed(v4) ? v4 : v6, ret);
		return;
	}
	if (!nowhere && (!v4 || !v6)) {
		not_now(name, NULL, ret);
		return;
	}
	ret->outcome = MX_PERMANENT;
	ret->enhanced = m->implicit ? "5.1.2" : "5.4.4";
	if (m->implicit)
		snprintf(ret->text, sizeof(ret->text),
			 "%s takes no mail: the DNS has neither a mail server nor an address for it",
			 m->domain.text);
	else
		snprintf(ret->text, sizeof(ret->text), "%.170s, the mail server of %.150s, %s in the DNS",
			 name->text, m->domain.text, nowhere ? "does not exist" : "has no address");
}

void mx_no_use(const struct mx *m, size_t host, struct mx_failure *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->outcome = MX_PERMANENT;
	ret->enhanced = "5.4.4";
	if (m->literal)
		snprintf(ret->text, sizeof(ret->text), "No mail can be sent to this address");
	else
		snprintf(ret->text, sizeof(ret->text),
			 "%.170s, the mail server of %.150s, has no address in the DNS that mail can be sent "
			 "to",
			 m->host[host].name.text, m->domain.text);
}

void mx_loop(const struct mx *m, size_t host, struct mx_failure *ret)
{
	char text[IP_TEXT_MAX];

	memset(ret, 0, sizeof(*ret));
	ret->outcome = MX_PERMANENT;
	ret->enhanced = "5.4.6";
	if (m->literal)
		snprintf(ret->text, sizeof(ret->text),
			 "The address [%s] is this server, that does not take mail for it",
			 ip_format(&m->host[host].ip, text));
	else
		snprintf(ret->text, sizeof(ret->text), LOOP_TEXT, m->domain.text, m->host[host].name.text);
}
