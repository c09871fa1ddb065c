/* compose_fuzz.c - a message that was composed reads back as it was given: subject, people, texts and
 * attachments, by a reader of its own, and what the header scanner counts is what was written.  Or its fault
 * is one that the input has. */
#include "mime/address.h"
#include "mime/compose.h"
#include "mime/compose_harness.h"
#include "mime/header.h"

#define ROOM (4U << 20)

/* A piece of the input: a length, and octets. */
static struct slice piece(struct slice *in, size_t times)
{
	size_t n = in->n > 0 ? in->p[0] * times : 0;
	struct slice s;

	*in = slice_tail(*in, 1);
	s = slice_head(*in, n);
	*in = slice_tail(*in, s.n);
	return s;
}

static bool has_control(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < 32 && s.p[i] != '\t') || s.p[i] == 127)
			return true;
	return false;
}

/* What may be refused, may be refused for a reason only. */
static void check_fault(const struct mime_message *m, enum mime_fault fault)
{
	struct slice all[] = { m->from, m->to,	 m->subject,
			       m->text, m->html, m->headers ? m->header[0].value : m->to };
	bool bad = false;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		bad = bad || !is_utf8(all[i]);
	switch (fault) {
	case MIME_NOT_UTF8:
		CHECK(bad);
		break;
	case MIME_LINE_END:
	case MIME_CONTROL:
		CHECK(has_control(m->from) || has_control(m->to) || has_control(m->subject) || m->headers);
		break;
	case MIME_NO_MEMORY:
	case MIME_NO_URL:
	case MIME_NO_HTTPS:
	case MIME_NO_DOMAIN: /* one is given */
	case MIME_TOO_LONG:
		CHECK(false);
		break;
	default:
		break;
	}
}

/* Two lists: of one what was given, of the other what stands in the message. */
static void check_people(struct slice given, struct slice written, struct slice domain)
{
	struct mime_addresses a, b;
	enum mime_address_item item;
	struct buf name, x, y;

	buf_init(&name, ROOM);
	buf_init(&x, ROOM);
	buf_init(&y, ROOM);
	mime_addresses_init(&a, given);
	mime_addresses_init(&b, written);
	do {
		item = mime_addresses_next(&a);
		CHECK(item == mime_addresses_next(&b) && item != MIME_ADDRESS_BAD);
		if (item == MIME_ADDRESS_MAILBOX || item == MIME_ADDRESS_GROUP) {
			decode(buf_slice(&b.name), &name);
			CHECK(slice_eq(buf_slice(&name), buf_slice(&a.name)) ||
			      slice_eq(buf_slice(&b.name), buf_slice(&a.name)));
		}
		if (item == MIME_ADDRESS_MAILBOX) {
			buf_reset(&x);
			buf_reset(&y);
			CHECK(!b.bare);
			CHECK(mime_address_canonical(buf_slice(&a.address), a.bare ? domain : SLICE_LIT(""),
						     &x) == MIME_FINE);
			CHECK(mime_address_canonical(buf_slice(&b.address), SLICE_LIT(""), &y) == MIME_FINE);
			CHECK(slice_eq(buf_slice(&x), buf_slice(&y)));
			CHECK(slice_eq(buf_slice(&b.address), buf_slice(&y)));
		}
	} while (item != MIME_ADDRESS_END);
	mime_addresses_done(&a);
	mime_addresses_done(&b);
	buf_done(&name);
	buf_done(&x);
	buf_done(&y);
}

/* Line ends of any kind, written in the plainest way. */
static void normalize(struct slice s, struct buf *to)
{
	size_t crs = 0;

	buf_reset(to);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\r') {
			crs++;
			continue;
		}
		for (; crs > 0 && s.p[i] != '\n'; crs--)
			buf_str(to, "\r\n");
		crs = 0;
		if (s.p[i] == '\n')
			buf_str(to, "\r\n");
		else
			buf_byte(to, s.p[i]);
	}
	for (; crs > 0; crs--)
		buf_str(to, "\r\n");
	if (s.n > 0 && s.p[s.n - 1] != '\r' && s.p[s.n - 1] != '\n')
		buf_str(to, "\r\n");
}

static void check_text(const struct part *p, const char *type, struct slice given)
{
	struct buf a, b;

	buf_init(&a, ROOM);
	buf_init(&b, ROOM);
	CHECK(field(p->header, "Content-Type", &a));
	CHECK(slice_starts(buf_slice(&a), slice_str(type)));
	content(p, &a);
	normalize(given, &b);
	CHECK(slice_eq(buf_slice(&a), buf_slice(&b)));
	buf_done(&a);
	buf_done(&b);
}

static size_t parts_of(const struct part *p, struct part *ret, size_t max)
{
	struct buf type, boundary;
	size_t n;

	buf_init(&type, 1000);
	buf_init(&boundary, 1000);
	CHECK(field(p->header, "Content-Type", &type));
	CHECK(param(buf_slice(&type), "boundary", &boundary));
	n = parts(p->body, buf_slice(&boundary), ret, max);
	buf_done(&type);
	buf_done(&boundary);
	return n;
}

static void check_texts(const struct part *p, const struct mime_message *m)
{
	struct part two[2];

	if (m->has_text && m->has_html) {
		CHECK(parts_of(p, two, 2) == 2);
		check_text(&two[0], "text/plain;", m->text);
		check_text(&two[1], "text/html;", m->html);
	} else {
		check_text(p, m->has_html ? "text/html;" : "text/plain;", m->has_html ? m->html : m->text);
	}
}

static void check_attachment(const struct part *p, struct slice name, struct slice octets)
{
	struct buf a, b;

	buf_init(&a, ROOM);
	buf_init(&b, ROOM);
	CHECK(field(p->header, "Content-Disposition", &a));
	CHECK(slice_starts(buf_slice(&a), SLICE_LIT("attachment;")));
	CHECK(param(buf_slice(&a), "filename", &b) && slice_eq(buf_slice(&b), name));
	check_header(p->header);
	content(p, &a);
	CHECK(slice_eq(buf_slice(&a), octets));
	buf_done(&a);
	buf_done(&b);
}

static void check_fields(const struct mime_message *m, struct slice header)
{
	struct mime_header scan;
	struct buf raw, text;

	mime_header_init(&scan);
	mime_header_feed(&scan, header);
	mime_header_end(&scan);
	CHECK(scan.end == MIME_HEADER_NO_BODY && scan.octets == header.n);
	CHECK(scan.count[MIME_FROM] == 1 && scan.count[MIME_TO] == 1 && scan.count[MIME_DATE] == 1);
	CHECK(scan.count[MIME_SUBJECT] == m->has_subject && scan.count[MIME_MESSAGE_ID] == 1);
	CHECK(scan.count[MIME_BCC] == 0 && scan.count[MIME_CC] == 0 && scan.count[MIME_RESENT] == 0);
	/* Date, From, To, Subject, Message-ID, MIME-Version, Content-Type (and its encoding) */
	CHECK(scan.fields == 6 + m->has_subject + m->headers + !m->attachments -
				     (!m->attachments && m->has_text && m->has_html));
	mime_header_done(&scan);
	buf_init(&raw, ROOM);
	buf_init(&text, ROOM);
	CHECK(field(header, "From", &raw));
	check_people(m->from, buf_slice(&raw), m->domain);
	CHECK(field(header, "To", &raw));
	check_people(m->to.n > 0 ? m->to : SLICE_LIT("undisclosed-recipients:;"), buf_slice(&raw), m->domain);
	if (m->has_subject) {
		CHECK(field(header, "Subject", &raw));
		decode(buf_slice(&raw), &text);
		CHECK(slice_eq(buf_slice(&text), slice_trim(m->subject)));
	}
	buf_done(&raw);
	buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n), name, octets;
	unsigned flags = piece(&in, 0).n == 0 && n > 0 ? data[0] : 0;
	struct mime_extra extra;
	struct mime_message m = { .hostname = SLICE_LIT("c.example"),
				  .id = SLICE_LIT("1"),
				  .domain = SLICE_LIT("local.example"),
				  .date_ms = 1795304383000,
				  .has_text = flags & 1,
				  .has_html = flags & 2,
				  .has_subject = flags & 4,
				  .attachments = flags & 8,
				  .eightbit = flags & 16,
				  .headers = flags & 32 ? 1 : 0,
				  .header = &extra,
				  .unique = SLICE_LIT("u") };
	struct mime_compose c;
	struct mime_problem problem;
	struct part whole, part[2];
	enum mime_fault fault;
	struct buf b;

	m.from = piece(&in, 1);
	m.to = piece(&in, 4);
	m.subject = m.has_subject ? piece(&in, 4) : SLICE_LIT("");
	extra.name = m.headers ? piece(&in, 1) : SLICE_LIT("");
	extra.value = m.headers ? piece(&in, 4) : SLICE_LIT("");
	m.text = m.has_text ? piece(&in, 8) : SLICE_LIT("");
	m.html = m.has_html ? piece(&in, 8) : SLICE_LIT("");
	name = piece(&in, 1);
	octets = in;
	buf_init(&b, ROOM);
	fault = mime_compose_begin(&c, &m, &b, &problem);
	if (fault != MIME_FINE) {
		check_fault(&m, fault);
	} else if (m.attachments) {
		size_t cut = 1 + flags / 64;

		fault = mime_compose_attach(&c, name, SLICE_LIT(""), flags & 64, &b, &problem);
		CHECK(fault == MIME_FINE || name.n == 0 || has_control(name) || !is_utf8(name) ||
		      slice_find(name, '\t') < name.n);
		for (struct slice rest = octets; rest.n > 0; rest = slice_tail(rest, cut))
			mime_compose_octets(&c, slice_head(rest, cut), &b);
	}
	if (fault == MIME_FINE) {
		mime_compose_end(&c, &b);
		CHECK(buf_ok(&b));
		check_lines(buf_slice(&b), c.eightbit);
		CHECK(c.eightbit == slice_has_8bit(buf_slice(&b)));
		whole = split(buf_slice(&b));
		CHECK(c.needs.smtputf8 == slice_has_8bit(whole.header));
		check_header(whole.header);
		check_fields(&m, whole.header);
		if (!m.attachments) {
			check_texts(&whole, &m);
		} else if (m.has_text || m.has_html) {
			CHECK(parts_of(&whole, part, 2) == 2);
			check_texts(&part[0], &m);
			check_attachment(&part[1], name, octets);
		} else {
			CHECK(parts_of(&whole, part, 2) == 1);
			check_attachment(&part[0], name, octets);
		}
	}
	buf_done(&b);
	return 0;
}
