/* answer_fuzz.c - whatever a name server sends: what is read keeps the promises of dns.h, and
 * written out plainly it is read again as the same. */
#include "base/buf.h"
#include "dns/dns.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static void put_u16(struct buf *to, unsigned v)
{
	buf_byte(to, (unsigned char)(v >> 8));
	buf_byte(to, (unsigned char)v);
}

static void put_name(struct buf *to, const struct dns_name *n)
{
	struct slice rest = dns_name_slice(n);

	while (rest.n > 0) {
		struct slice label = slice_head(rest, slice_find(rest, '.'));

		buf_byte(to, (unsigned char)label.n);
		buf_put(to, label);
		rest = slice_tail(rest, label.n + 1);
	}
	buf_byte(to, 0);
}

static void put_head(struct buf *to, const struct dns_question *q, const uint8_t flags[4], unsigned answers,
		     unsigned authority)
{
	buf_put(to, slice_of(flags, 4));
	put_u16(to, 1);
	put_u16(to, answers);
	put_u16(to, authority);
	put_u16(to, 0);
	put_name(to, &q->name);
	put_u16(to, q->type);
	put_u16(to, 1);
}

static void put_txt(struct buf *to, struct slice s)
{
	do {
		struct slice part = slice_head(s, 255);

		buf_byte(to, (unsigned char)part.n);
		buf_put(to, part);
		s = slice_tail(s, part.n);
	} while (s.n > 0);
}

static void put_rdata(struct buf *to, enum dns_type type, const struct dns_record *r)
{
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		buf_put(to, slice_of(r->ip.byte, type == DNS_A ? 4 : 16));
		break;
	case DNS_MX:
		put_u16(to, r->mx.preference);
		put_name(to, &r->mx.host);
		break;
	case DNS_TXT:
		put_txt(to, r->txt);
		break;
	case DNS_TLSA:
		buf_byte(to, r->tlsa.usage);
		buf_byte(to, r->tlsa.selector);
		buf_byte(to, r->tlsa.matching);
		buf_put(to, r->tlsa.data);
		break;
	case DNS_SRV:
		put_u16(to, r->srv.priority);
		put_u16(to, r->srv.weight);
		put_u16(to, r->srv.port);
		put_name(to, &r->srv.target);
		break;
	default:
		put_name(to, &r->name);
	}
}

static void put_record(struct buf *to, const struct dns_name *owner, enum dns_type type, uint32_t ttl,
		       const struct slice *rdata)
{
	put_name(to, owner);
	put_u16(to, type);
	put_u16(to, 1);
	put_u16(to, ttl >> 16);
	put_u16(to, ttl);
	put_u16(to, (unsigned)rdata->n);
	buf_put(to, *rdata);
}

static void put_answer(struct buf *to, const struct dns_question *q, const struct dns_answer *a)
{
	const uint8_t flags[4] = { 0, 0, 0x80, a->status == DNS_NXDOMAIN ? 3 : 0 };
	struct buf rdata;
	struct slice s;

	buf_init(&rdata, 70000);
	put_head(to, q, flags, (unsigned)a->n + a->alias, 0);
	if (a->alias) {
		put_name(&rdata, &a->canonical);
		s = buf_slice(&rdata);
		put_record(to, &q->name, DNS_CNAME, a->ttl, &s);
	}
	for (size_t i = 0; i < a->n; i++) {
		buf_reset(&rdata);
		put_rdata(&rdata, a->type, &a->records[i]);
		s = buf_slice(&rdata);
		put_record(to, &a->canonical, a->type, a->ttl, &s);
	}
	CHECK(buf_ok(&rdata));
	buf_done(&rdata);
}

static void check_name(const struct dns_name *n)
{
	struct dns_name again;
	struct buf b;

	CHECK(n->n <= DNS_NAME_MAX && strlen(n->text) == n->n);
	buf_init(&b, 300);
	buf_put(&b, dns_name_slice(n));
	buf_byte(&b, '.');
	CHECK(dns_name_parse(buf_slice(&b), &again) && dns_name_eq(n, &again));
	buf_done(&b);
}

static void check_promises(const struct dns_question *q, const struct dns_answer *a)
{
	CHECK((a->status == DNS_OK) == (a->n > 0) && a->n <= DNS_RECORDS_MAX && a->ttl <= DNS_TTL_MAX);
	CHECK(a->status <= DNS_SERVFAIL || a->status == DNS_NO_MEMORY);
	CHECK(!a->secure && a->type == q->type);
	CHECK(a->alias || dns_name_eq(&a->canonical, &q->name));
	CHECK(a->status != DNS_SERVFAIL || a->ttl == 0);
	check_name(&a->canonical);
	for (size_t i = 0; i < a->n; i++) {
		const struct dns_record *r = &a->records[i];

		if (a->type == DNS_MX)
			check_name(&r->mx.host);
		else if (a->type == DNS_SRV)
			check_name(&r->srv.target);
		else if (a->type == DNS_CNAME || a->type == DNS_PTR)
			check_name(&r->name);
		else if (a->type == DNS_TLSA)
			CHECK(r->tlsa.data.n > 0);
	}
}

static void check_same(const struct dns_answer *a, const struct dns_answer *b)
{
	struct buf x, y;

	CHECK(a->status == b->status && a->alias == b->alias && dns_name_eq(&a->canonical, &b->canonical));
	CHECK(a->n == b->n && (a->n == 0 || a->ttl == b->ttl));
	buf_init(&x, 200000);
	buf_init(&y, 200000);
	for (size_t i = 0; i < a->n; i++) {
		put_rdata(&x, a->type, &a->records[i]);
		put_rdata(&y, b->type, &b->records[i]);
	}
	CHECK(buf_ok(&x) && buf_ok(&y) && slice_eq(buf_slice(&x), buf_slice(&y)));
	buf_done(&x);
	buf_done(&y);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Type, the rest of the header, then all that follows the question "a.test". */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const enum dns_type types[] = { DNS_A,	 DNS_AAAA, DNS_MX,  DNS_TXT,
					       DNS_TLSA, DNS_SRV,  DNS_PTR, DNS_CNAME };
	struct dns_question q = { .name = { .n = 6, .text = "a.test" } };
	struct dns_answer a, again, copy;
	uint8_t flags[4] = { 0 };
	unsigned char *exact;
	struct buf b;

	if (n < 5 || n > 4096)
		return 0;
	q.type = types[data[0] % 8];
	flags[2] = data[1];
	flags[3] = data[2];
	buf_init(&b, 200000);
	put_head(&b, &q, flags, data[3], data[4]);
	buf_put(&b, slice_of(data + 5, n - 5));
	exact = malloc(b.n);
	if (exact) {
		memcpy(exact, buf_slice(&b).p, b.n);
		dns_answer_parse(&a, &q, slice_of(exact, b.n));
		free(exact);
		check_promises(&q, &a);
		CHECK(dns_answer_copy(&a, &copy) == 0);
		check_same(&a, &copy);
		dns_answer_done(&copy);
		if (a.status <= DNS_NODATA) {
			buf_reset(&b);
			put_answer(&b, &q, &a);
			if (buf_ok(&b) && b.n <= 65535) {
				dns_answer_parse(&again, &q, buf_slice(&b));
				check_same(&a, &again);
				dns_answer_done(&again);
			}
		}
		dns_answer_done(&a);
	}
	buf_done(&b);
	return 0;
}
