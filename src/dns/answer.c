/* Reading an answer's octets.  RFC 1035 4.1. */
#include "dns/dns.h"

#include <errno.h>

#define HEADER	     12
#define WIRE_MAX     255 /* octets of a name as it travels */
#define CLASS_IN     1
#define TYPE_SOA     6
#define RCODE_OK     0
#define RCODE_NXNAME 3
#define FLAG_ANSWER  0x80 /* in the third octet */
#define FLAG_CUT     0x02

/* One resource record, where it stands in the message. */
struct rr {
	struct dns_name owner;
	uint16_t type, class;
	uint32_t ttl;
	size_t at, n; /* rdata */
};

static bool take_u8(struct slice msg, size_t *at, uint8_t *ret)
{
	if (*at >= msg.n)
		return false;
	*ret = msg.p[(*at)++];
	return true;
}

static bool take_u16(struct slice msg, size_t *at, uint16_t *ret)
{
	if (msg.n < 2 || *at > msg.n - 2)
		return false;
	*ret = (uint16_t)(msg.p[*at] << 8 | msg.p[*at + 1]);
	*at += 2;
	return true;
}

static bool take_u32(struct slice msg, size_t *at, uint32_t *ret)
{
	uint16_t high, low;
	size_t a = *at;

	if (!take_u16(msg, &a, &high) || !take_u16(msg, &a, &low))
		return false;
	*at = a;
	*ret = (uint32_t)high << 16 | low;
	return true;
}

static char as_text(unsigned char c)
{
	if (c <= ' ' || c > '~' || c == '.' || c == '\\')
		return '?';
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool put_label(struct dns_name *n, struct slice label)
{
	if ((size_t)n->n + (n->n > 0 ? 1 : 0) + label.n > DNS_NAME_MAX)
		return false;
	if (n->n > 0)
		n->text[n->n++] = '.';
	for (size_t i = 0; i < label.n; i++)
		n->text[n->n++] = as_text(label.p[i]);
	return true;
}

/* A name that may be compressed: a pointer leads to where the rest stood before, RFC 1035
 * 4.1.4.  Each must lead further to the front than the one before it: so this ends. */
static bool take_name(struct slice msg, size_t *at, struct dns_name *ret)
{
	struct dns_name n = { 0 };
	size_t a = *at, end = 0, from = *at;
	uint8_t len, low;

	for (;;) {
		if (!take_u8(msg, &a, &len))
			return false;
		if (len == 0)
			break;
		if (len >= 0xc0) {
			if (!take_u8(msg, &a, &low))
				return false;
			if (end == 0)
				end = a;
			a = (size_t)(len & 0x3f) << 8 | low;
			if (a >= from)
				return false;
			from = a;
			continue;
		}
		if (len > DNS_LABEL_MAX || len > msg.n - a || !put_label(&n, slice_of(msg.p + a, len)))
			return false;
		a += len;
	}
	*at = end ? end : a;
	*ret = n;
	return true;
}

static bool take_rr(struct slice msg, size_t *at, struct rr *ret)
{
	struct rr r;
	uint16_t n;
	size_t a = *at;

	if (!take_name(msg, &a, &r.owner) || !take_u16(msg, &a, &r.type) || !take_u16(msg, &a, &r.class) ||
	    !take_u32(msg, &a, &r.ttl) || !take_u16(msg, &a, &n) || n > msg.n - a)
		return false;
	r.at = a;
	r.n = n;
	if (r.ttl > DNS_TTL_MAX)
		r.ttl = r.ttl > INT32_MAX ? 0 : DNS_TTL_MAX; /* RFC 2181 8 */
	*ret = r;
	*at = a + n;
	return true;
}

/* ---- rdata ---- */

/* A name that is the rest of the rdata, which ends at end. */
static bool last_name(struct slice msg, size_t at, size_t end, struct dns_name *ret)
{
	struct dns_name n;

	if (!take_name(msg, &at, &n) || at != end)
		return false;
	*ret = n;
	return true;
}

static bool read_address(struct slice rdata, uint8_t family, struct dns_record *ret)
{
	if (rdata.n != (family == 4 ? 4 : 16))
		return false;
	ret->ip = (struct ip){ .family = family };
	memcpy(ret->ip.byte, rdata.p, rdata.n);
	return true;
}

/* Strings with their lengths in front, joined.  to has room for the whole rdata. */
static bool read_txt(struct slice rdata, unsigned char *to, struct dns_record *ret)
{
	size_t n = 0;

	if (rdata.n == 0)
		return false;
	while (rdata.n > 0) {
		size_t len = rdata.p[0];

		if (len > rdata.n - 1)
			return false;
		memcpy(to + n, rdata.p + 1, len);
		n += len;
		rdata = slice_tail(rdata, 1 + len);
	}
	ret->txt = slice_of(to, n);
	return true;
}

static bool read_tlsa(struct slice rdata, unsigned char *to, struct dns_record *ret)
{
	if (rdata.n < 4) /* an association of no octets is none */
		return false;
	ret->tlsa.usage = rdata.p[0];
	ret->tlsa.selector = rdata.p[1];
	ret->tlsa.matching = rdata.p[2];
	memcpy(to, rdata.p + 3, rdata.n - 3);
	ret->tlsa.data = slice_of(to, rdata.n - 3);
	return true;
}

static bool read_rdata(struct slice msg, const struct rr *r, unsigned char *to, struct dns_record *ret)
{
	struct slice rdata = slice_of(msg.p + r->at, r->n);
	size_t at = r->at, end = r->at + r->n;

	switch (r->type) {
	case DNS_A:
		return read_address(rdata, 4, ret);
	case DNS_AAAA:
		return read_address(rdata, 6, ret);
	case DNS_CNAME:
	case DNS_PTR:
		return last_name(msg, at, end, &ret->name);
	case DNS_MX:
		return take_u16(msg, &at, &ret->mx.preference) && last_name(msg, at, end, &ret->mx.host);
	case DNS_SRV:
		return take_u16(msg, &at, &ret->srv.priority) && take_u16(msg, &at, &ret->srv.weight) &&
		       take_u16(msg, &at, &ret->srv.port) && last_name(msg, at, end, &ret->srv.target);
	case DNS_TXT:
		return read_txt(rdata, to, ret);
	case DNS_TLSA:
		return read_tlsa(rdata, to, ret);
	default:
		return false;
	}
}

/* ---- the message ---- */

struct reading {
	struct slice msg;
	const struct dns_question *q;
	uint16_t answers, authority; /* how many records each section has */
	size_t answers_at;
};

static void fail(struct dns_answer *a, enum dns_status status, const char *why)
{
	a->status = status;
	a->ttl = 0;
	snprintf(a->why, sizeof(a->why), "%s", why);
}

static void shorten_ttl(struct dns_answer *a, uint32_t ttl)
{
	if (ttl < a->ttl)
		a->ttl = ttl;
}

/* Header and question; false: no answer to this question. */
static bool read_head(struct reading *rd, uint8_t *ret_rcode)
{
	struct slice msg = rd->msg;
	struct dns_name name;
	uint16_t questions, type, class;
	size_t at = 4;

	if (msg.n < HEADER || !(msg.p[2] & FLAG_ANSWER) || (msg.p[2] & FLAG_CUT))
		return false;
	*ret_rcode = msg.p[3] & 15;
	if (!take_u16(msg, &at, &questions) || !take_u16(msg, &at, &rd->answers) ||
	    !take_u16(msg, &at, &rd->authority) || questions != 1)
		return false;
	at = HEADER;
	if (!take_name(msg, &at, &name) || !take_u16(msg, &at, &type) || !take_u16(msg, &at, &class))
		return false;
	rd->answers_at = at;
	return dns_name_eq(&name, &rd->q->name) && type == (uint16_t)rd->q->type && class == CLASS_IN;
}

/* All records can be read; where the authority section begins. */
static bool walk(const struct reading *rd, size_t *ret_authority)
{
	size_t at = rd->answers_at;
	struct rr r;

	for (unsigned i = 0; i < rd->answers; i++)
		if (!take_rr(rd->msg, &at, &r))
			return false;
	*ret_authority = at;
	for (unsigned i = 0; i < rd->authority; i++)
		if (!take_rr(rd->msg, &at, &r))
			return false;
	return true;
}

/* The next record of that name and type; *at and *i move on.  False: no more. */
static bool next_match(const struct reading *rd, const struct dns_name *name, uint16_t type, size_t *at,
		       unsigned *i, struct rr *ret)
{
	while (*i < rd->answers) {
		(*i)++;
		if (!take_rr(rd->msg, at, ret))
			return false;
		if (ret->type == type && ret->class == CLASS_IN && dns_name_eq(&ret->owner, name))
			return true;
	}
	return false;
}

/* Follow the aliases.  False after fail(). */
static bool follow(const struct reading *rd, struct dns_answer *a)
{
	for (unsigned hops = 0; rd->q->type != DNS_CNAME; hops++) {
		size_t at = rd->answers_at;
		unsigned i = 0;
		struct rr r;

		if (!next_match(rd, &a->canonical, DNS_CNAME, &at, &i, &r))
			return true;
		if (hops == DNS_ALIASES_MAX) {
			fail(a, DNS_SERVFAIL, "too many aliases in a row");
			return false;
		}
		if (!last_name(rd->msg, r.at, r.at + r.n, &a->canonical)) {
			fail(a, DNS_SERVFAIL, "an alias that cannot be read");
			return false;
		}
		a->alias = true;
		shorten_ttl(a, r.ttl);
	}
	return true;
}

/* How many records there are, and the octets of their rdata. */
static size_t count(const struct reading *rd, struct dns_answer *a, size_t *ret_octets)
{
	size_t at = rd->answers_at, n = 0, octets = 0;
	unsigned i = 0;
	struct rr r;

	while (next_match(rd, &a->canonical, (uint16_t)rd->q->type, &at, &i, &r)) {
		if (n == DNS_RECORDS_MAX) {
			a->more = true;
			break;
		}
		n++;
		octets += r.n;
	}
	*ret_octets = octets;
	return n;
}

/* The one that a better one takes the place of; false: all are as good. */
static bool worst_mx(const struct dns_record *records, size_t n, uint16_t than, size_t *ret)
{
	size_t worst = 0;

	for (size_t i = 1; i < n; i++)
		if (records[i].mx.preference > records[worst].mx.preference)
			worst = i;
	*ret = worst;
	return records[worst].mx.preference > than;
}

/* Of more mail servers than there is room for the best are kept: also because we may be among them. */
static void keep_best(const struct reading *rd, struct dns_answer *a, struct dns_record *records, size_t at,
		      unsigned i)
{
	struct dns_record one;
	struct rr r;
	size_t worst;

	while (next_match(rd, &a->canonical, DNS_MX, &at, &i, &r)) {
		shorten_ttl(a, r.ttl);
		if (read_rdata(rd->msg, &r, NULL, &one) && worst_mx(records, a->n, one.mx.preference, &worst))
			records[worst] = one;
	}
}

static void collect(const struct reading *rd, struct dns_answer *a)
{
	size_t at = rd->answers_at, octets, n = count(rd, a, &octets);
	struct dns_record *records;
	unsigned char *to;
	unsigned i = 0;
	struct rr r;

	a->status = DNS_NODATA;
	if (n == 0)
		return;
	records = malloc(n * sizeof(*records) + octets);
	if (!records) {
		fail(a, DNS_NO_MEMORY, "");
		return;
	}
	a->room = records;
	a->records = records;
	to = (unsigned char *)(records + n);
	for (size_t left = n; left > 0; left--) {
		if (!next_match(rd, &a->canonical, (uint16_t)rd->q->type, &at, &i, &r))
			break;
		if (read_rdata(rd->msg, &r, to, &records[a->n]))
			a->n++;
		to += r.n;
		shorten_ttl(a, r.ttl);
	}
	if (a->more && a->type == DNS_MX && a->n > 0)
		keep_best(rd, a, records, at, i);
	a->status = DNS_OK;
	if (a->n == 0)
		fail(a, DNS_SERVFAIL, "none of its records can be read");
}

/* How long it holds that there is nothing: RFC 2308 5. */
static void negative_ttl(const struct reading *rd, size_t authority_at, struct dns_answer *a)
{
	bool found = false;
	struct rr r;

	for (unsigned i = 0; i < rd->authority && take_rr(rd->msg, &authority_at, &r); i++) {
		size_t at = r.at + r.n - 4;
		uint32_t minimum;

		if (r.type != TYPE_SOA || r.n < 22 || !take_u32(rd->msg, &at, &minimum))
			continue;
		shorten_ttl(a, r.ttl);
		shorten_ttl(a, minimum);
		found = true;
	}
	if (!found)
		a->ttl = 0;
}

void dns_answer_init(struct dns_answer *a, const struct dns_question *q, enum dns_status status)
{
	memset(a, 0, sizeof(*a));
	a->status = status;
	a->type = q->type;
	a->canonical = q->name;
}

void dns_answer_parse(struct dns_answer *a, const struct dns_question *q, struct slice message)
{
	struct reading rd = { .msg = message, .q = q };
	size_t authority_at;
	uint8_t rcode;

	dns_answer_init(a, q, DNS_SERVFAIL);
	if (!read_head(&rd, &rcode) || !walk(&rd, &authority_at)) {
		fail(a, DNS_SERVFAIL, "an answer that cannot be read");
		return;
	}
	if (rcode != RCODE_OK && rcode != RCODE_NXNAME)
		return;
	a->ttl = DNS_TTL_MAX;
	if (!follow(&rd, a))
		return;
	if (rcode == RCODE_OK)
		collect(&rd, a);
	else
		a->status = DNS_NXDOMAIN;
	if (a->status == DNS_NXDOMAIN || a->status == DNS_NODATA)
		negative_ttl(&rd, authority_at, a);
}

/* The part of a record that lies beside it, if its type has one. */
static struct slice *beside(enum dns_type type, struct dns_record *r)
{
	return type == DNS_TXT ? &r->txt : type == DNS_TLSA ? &r->tlsa.data : NULL;
}

int dns_answer_copy(const struct dns_answer *from, struct dns_answer *ret)
{
	struct dns_answer a = *from;
	size_t octets = 0;
	struct dns_record *records;
	unsigned char *to;

	a.room = NULL;
	a.records = NULL;
	for (size_t i = 0; i < from->n; i++) {
		struct dns_record r = from->records[i];
		const struct slice *s = beside(from->type, &r);

		octets += s ? s->n : 0;
	}
	if (from->n > 0) {
		records = malloc(from->n * sizeof(*records) + octets);
		if (!records)
			return -ENOMEM;
		memcpy(records, from->records, from->n * sizeof(*records));
		to = (unsigned char *)(records + from->n);
		for (size_t i = 0; i < from->n; i++) {
			struct slice *s = beside(from->type, &records[i]);

			if (!s)
				continue;
			memcpy(to, s->p, s->n);
			*s = slice_of(to, s->n);
			to += s->n;
		}
		a.room = records;
		a.records = records;
	}
	*ret = a;
	return 0;
}

void dns_answer_done(struct dns_answer *a)
{
	free(a->room);
	a->room = NULL;
	a->records = NULL;
	a->n = 0;
}
