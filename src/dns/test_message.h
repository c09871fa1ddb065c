/* test_message.h - for tests only: messages of the DNS, written as text.
 *
 *	an a.test MX 10 mx.test      a record of the answer section; of the authority section: ns
 *	ns test SOA 60               the SOA, with its time of what does not exist
 *	an a.test A-RAW 123          rdata as it stands
 *	many 129 a.test A 192.0.2.1  the same record so many times
 *	ttl 60, class 3              of the records that follow
 *	rcode 3, flags 128           of the header; asked b.test: another question
 *
 * A TXT's strings are apart by '|'; '.' is the root.
 */
#ifndef POSTERN_DNS_TEST_MESSAGE_H
#define POSTERN_DNS_TEST_MESSAGE_H

#include "base/buf.h"
#include "dns/dns.h"

static inline void test_put_u16(struct buf *to, unsigned v)
{
	buf_byte(to, (unsigned char)(v >> 8));
	buf_byte(to, (unsigned char)v);
}

static inline void test_put_name(struct buf *to, struct slice name)
{
	while (name.n > 0 && !slice_eq(name, SLICE_LIT("."))) {
		struct slice label = slice_head(name, slice_find(name, '.'));

		buf_byte(to, (unsigned char)label.n);
		buf_put(to, label);
		name = slice_tail(name, label.n + 1);
	}
	buf_byte(to, 0);
}

static inline void test_message_head(const struct dns_question *q, unsigned char flags, unsigned char rcode,
				     unsigned answers, unsigned authority, struct buf *to)
{
	test_put_u16(to, 0);
	buf_byte(to, flags);
	buf_byte(to, rcode);
	test_put_u16(to, 1);
	test_put_u16(to, answers);
	test_put_u16(to, authority);
	test_put_u16(to, 0);
	test_put_name(to, dns_name_slice(&q->name));
	test_put_u16(to, q->type);
	test_put_u16(to, 1);
}

static inline struct slice test_word(struct slice *line)
{
	struct slice w = slice_head(*line, slice_find(*line, ' '));

	*line = slice_tail(*line, w.n + 1);
	return w;
}

static inline unsigned test_number(struct slice *line)
{
	struct slice w = test_word(line);
	uint64_t v = 0;

	cur_u64(&w, UINT32_MAX, &v);
	return (unsigned)v;
}

/* Rdata; returns the type's number. */
static inline unsigned test_put_rdata(struct slice type, struct slice text, struct buf *to)
{
	static const struct {
		const char *name;
		unsigned numbers; /* of 16 bits in front of the name */
		unsigned type;
	} kinds[] = { { "A", 0, DNS_A },	 { "AAAA", 0, DNS_AAAA }, { "MX", 1, DNS_MX },
		      { "CNAME", 0, DNS_CNAME }, { "PTR", 0, DNS_PTR },	  { "SRV", 3, DNS_SRV },
		      { "TXT", 0, DNS_TXT },	 { "TLSA", 0, DNS_TLSA }, { "SOA", 0, 6 } };
	bool raw = type.n > 4 && slice_eq(slice_tail(type, type.n - 4), SLICE_LIT("-RAW"));
	unsigned number = 0;
	struct ip ip;

	if (raw)
		type.n -= 4;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (slice_eq(type, slice_str(kinds[i].name))) {
			number = kinds[i].type;
			for (unsigned k = 0; k < kinds[i].numbers && !raw; k++)
				test_put_u16(to, test_number(&text));
		}
	if (raw) {
		buf_put(to, text);
	} else if (number == DNS_A || number == DNS_AAAA) {
		if (ip_parse(text, &ip))
			buf_put(to, slice_of(ip.byte, ip.family == 4 ? 4 : 16));
	} else if (number == DNS_TXT) {
		do {
			struct slice s = slice_head(text, slice_find(text, '|'));

			buf_byte(to, (unsigned char)s.n);
			buf_put(to, s);
			text = slice_tail(text, s.n + 1);
		} while (text.n > 0);
	} else if (number == DNS_TLSA) {
		for (unsigned k = 0; k < 3; k++)
			buf_byte(to, (unsigned char)test_number(&text));
		buf_put(to, text);
	} else if (number == 6) {
		test_put_name(to, SLICE_LIT("."));
		test_put_name(to, SLICE_LIT("."));
		for (unsigned k = 0; k < 8; k++)
			test_put_u16(to, 0);
		test_put_u16(to, 0);
		test_put_u16(to, test_number(&text));
	} else {
		test_put_name(to, text);
	}
	return number;
}

static inline void test_put_record(struct slice line, unsigned class, unsigned ttl, struct buf *to)
{
	struct slice owner = test_word(&line), type = test_word(&line);
	struct buf rdata;
	unsigned number;

	buf_init(&rdata, 65535);
	number = test_put_rdata(type, line, &rdata);
	test_put_name(to, owner);
	test_put_u16(to, number);
	test_put_u16(to, class);
	test_put_u16(to, ttl >> 16);
	test_put_u16(to, ttl);
	test_put_u16(to, (unsigned)rdata.n);
	buf_put(to, buf_slice(&rdata));
	buf_done(&rdata);
}

static inline void test_message(const char *text, const struct dns_question *q, unsigned ttl, struct buf *to)
{
	struct slice rest = slice_str(text);
	struct buf sections[2];
	unsigned n[2] = { 0, 0 }, class = 1, rcode = 0, flags = 0x80, times;
	struct dns_question asked = *q;

	buf_init(&sections[0], 65535);
	buf_init(&sections[1], 65535);
	while (rest.n > 0) {
		struct slice line = slice_head(rest, slice_find(rest, '\n')), word;

		rest = slice_tail(rest, line.n + 1);
		word = test_word(&line);
		times = slice_eq(word, SLICE_LIT("many")) ? test_number(&line) : 1;
		if (slice_eq(word, SLICE_LIT("ttl")))
			ttl = test_number(&line);
		else if (slice_eq(word, SLICE_LIT("class")))
			class = test_number(&line);
		else if (slice_eq(word, SLICE_LIT("rcode")))
			rcode = test_number(&line);
		else if (slice_eq(word, SLICE_LIT("flags")))
			flags = test_number(&line);
		else if (slice_eq(word, SLICE_LIT("asked")))
			dns_name_parse(line, &asked.name);
		else
			for (unsigned which = slice_eq(word, SLICE_LIT("ns")); times > 0; times--, n[which]++)
				test_put_record(line, class, ttl, &sections[which]);
	}
	test_message_head(&asked, (unsigned char)flags, (unsigned char)rcode, n[0], n[1], to);
	for (unsigned i = 0; i < 2; i++) {
		buf_put(to, buf_slice(&sections[i]));
		buf_done(&sections[i]);
	}
}

#endif
