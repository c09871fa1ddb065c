/* mx_fuzz.c - whatever the DNS says of a domain, the hosts that are tried are the ones that the rules of
 * RFC 5321 5.1 and 7505 leave, found here the slow way:
 *  - a host's place is that of its best record; nothing is there twice; better ones come first;
 *  - none is us, and none is of our preference or behind it;
 *  - each is a host's name; of more than there is room for, the best;
 *  - none is forgotten; and where none is left, the reason is the right one of those there are;
 *  - chance changes the order within a preference, and nothing else.
 *
 * Input: the answer's status and flags, the seed, then three octets a record: preference, name, an octet that
 * is put into the name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "route/mx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static struct slice in;

static unsigned next(void)
{
	unsigned v = in.n > 0 ? in.p[0] : 0;

	in = slice_tail(in, 1);
	return v;
}

static struct dns_name own[2];
static struct dns_record record[DNS_RECORDS_MAX];

static struct dns_name named(const char *text)
{
	struct dns_name n = { 0 };

	must(dns_name_parse(slice_str(text), &n));
	return n;
}

/* Of few names, so that some are there twice, some are us, and some are none of a host. */
static struct dns_name some_name(void)
{
	static const char *const fixed[] = { "us.test",	  "us2.test", "m1.test",     "m2.test",
					     "192.0.2.1", "a+b.test", "sub.m_1.test" };
	unsigned which = next() % 32, octet = next();
	char text[32];

	if (which == 0)
		return (struct dns_name){ 0 };
	if (which <= sizeof(fixed) / sizeof(fixed[0]))
		return named(fixed[which - 1]);
	snprintf(text, sizeof(text), "m%u.test", which * 8 + octet % 8);
	return named(text);
}

static bool is_us(const struct dns_name *n)
{
	return dns_name_eq(n, &own[0]) || dns_name_eq(n, &own[1]);
}

/* The best preference of a name in the answer; 65536: it has none. */
static unsigned best(const struct dns_answer *a, const struct dns_name *name)
{
	unsigned found = 65536;

	for (size_t i = 0; i < a->n; i++)
		if (dns_name_eq(&a->records[i].mx.host, name) && a->records[i].mx.preference < found)
			found = a->records[i].mx.preference;
	return found;
}

static bool chosen(const struct mx *m, const struct dns_name *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (dns_name_eq(&m->host[i].name, name))
			return true;
	return false;
}

static void check_hosts(const struct mx *m, const struct dns_answer *a, unsigned limit)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct mx_host *h = &m->host[i];

		must(h->preference == best(a, &h->name) && h->preference < limit);
		must(!is_us(&h->name) && dns_name_is_host(&h->name) && h->ip.family == 0);
		must(i == 0 || m->host[i - 1].preference <= h->preference);
		for (size_t j = 0; j < i; j++)
			must(!dns_name_eq(&m->host[j].name, &h->name));
	}
}

/* Of an answer with records. */
static void check_records(const struct mx *m, const struct dns_answer *a)
{
	unsigned limit = 65536; /* our own preference */
	size_t fit = 0;
	bool null = a->n == 1 && a->records[0].mx.host.n == 0 && !a->more, us = false;

	for (size_t i = 0; i < a->n; i++)
		if (is_us(&a->records[i].mx.host)) {
			us = true;
			if (a->records[i].mx.preference < limit)
				limit = a->records[i].mx.preference;
		}
	check_hosts(m, a, limit);
	for (size_t i = 0; i < a->n; i++) {
		const struct dns_name *name = &a->records[i].mx.host;

		if (!dns_name_is_host(name) || is_us(name) || best(a, name) >= limit)
			continue;
		fit++;
		if (chosen(m, name))
			continue;
		/* Left out for want of room: no worse one is in. */
		must(m->n == MX_HOSTS_MAX && m->more && m->host[m->n - 1].preference <= best(a, name));
	}
	must((m->n > 0) == (fit > 0 && !null));
	if (m->n == 0)
		must(strcmp(m->enhanced, null ? "5.1.10" : us ? "5.4.6" : "5.4.4") == 0);
	must(!m->implicit);
}

static void check(const struct mx *m, const struct dns_answer *a)
{
	must((m->outcome == MX_OK) == (m->n > 0) && m->n <= MX_HOSTS_MAX);
	must((m->outcome == MX_OK) == (m->enhanced[0] == '\0'));
	must((m->outcome == MX_OK) == (m->text[0] == '\0'));
	must(m->outcome != MX_PERMANENT || m->enhanced[0] == '5');
	must(m->outcome != MX_TEMPORARY || m->enhanced[0] == '4');
	must(!m->secure || (a->secure && (a->status == DNS_OK || a->status == DNS_NODATA)));
	switch (a->status) {
	case DNS_OK:
		check_records(m, a);
		break;
	case DNS_NODATA:
		must(m->implicit && (m->n == 1) == !is_us(&a->canonical));
		must(m->n == 0 || dns_name_eq(&m->host[0].name, &a->canonical));
		break;
	case DNS_NXDOMAIN:
		must(strcmp(m->enhanced, "5.1.2") == 0);
		break;
	default:
		must(m->outcome == MX_TEMPORARY);
	}
}

/* Whether another seed leads to as many hosts, of the same preferences. */
static void check_chance(const struct mx *m, const struct dns_answer *a)
{
	static struct mx other;
	struct dns_question ask;

	must(mx_start(&other, dns_name_slice(&m->domain), own, 2, ~m->random, &ask) == MX_ASK);
	must(mx_answer(&other, a, &ask) == MX_DONE);
	must(other.outcome == m->outcome && other.n == m->n && other.more == m->more);
	for (size_t i = 0; i < m->n; i++)
		must(other.host[i].preference == m->host[i].preference);
}

/* Neither address: if nobody can say, nobody is told that it is for good. */
static void check_no_address(const struct mx *m)
{
	struct dns_answer v4 = { .status = (enum dns_status)(next() % (DNS_NO_MEMORY + 1)) };
	struct dns_answer v6 = { .status = (enum dns_status)(next() % (DNS_NO_MEMORY + 1)) };
	bool asked4 = next() % 4 != 0;
	struct mx_failure f;
	bool none4 = v4.status == DNS_NXDOMAIN || v4.status == DNS_NODATA;
	bool none6 = v6.status == DNS_NXDOMAIN || v6.status == DNS_NODATA;

	mx_no_address(m, 0, asked4 ? &v4 : NULL, &v6, &f);
	if ((asked4 && v4.status == DNS_OK) || v6.status == DNS_OK)
		must(f.outcome == MX_OK && f.text[0] == '\0');
	else if (asked4)
		must((f.outcome == MX_PERMANENT) == (none4 && none6));
	else
		must((f.outcome == MX_PERMANENT) == (v6.status == DNS_NXDOMAIN));
	must(f.outcome == MX_OK || f.enhanced[0] == (f.outcome == MX_PERMANENT ? '5' : '4'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct mx m;
	struct dns_question ask;
	struct dns_answer a;
	unsigned status, flags, seed;

	in = slice_of(data, size);
	own[0] = named("us.test");
	own[1] = named("us2.test");
	status = next() % 16;
	flags = next();
	seed = next();
	must(mx_start(&m, SLICE_LIT("a.test"), own, 2, seed, &ask) == MX_ASK);
	must(ask.type == DNS_MX && dns_name_eq(&ask.name, &m.domain));
	/* Mostly records. */
	dns_answer_init(&a, &ask, status <= DNS_NO_MEMORY ? (enum dns_status)status : DNS_OK);
	a.secure = flags & 1;
	a.more = flags & 2;
	if (flags & 4) {
		a.alias = true;
		a.canonical = named(flags & 8 ? "us2.test" : "b.test");
	}
	if (a.status == DNS_OK) {
		while (a.n < DNS_RECORDS_MAX && (a.n == 0 || in.n > 3)) {
			record[a.n].mx.preference = (uint16_t)(next() % 16 * 4369);
			record[a.n++].mx.host = some_name();
		}
		a.records = record;
	}
	must(mx_answer(&m, &a, &ask) == MX_DONE);
	check(&m, &a);
	check_chance(&m, &a);
	if (m.n > 0)
		check_no_address(&m);
	return 0;
}
