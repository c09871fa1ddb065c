#include "mime/compose.h"

#include "base/utf8.h"
#include "mime/date.h"
#include "mime/type.h"

#define BOUNDARIES 1000

/* What is composed from something else, or for which RFC 5322 3.6 allows no second one. */
static bool is_ours(struct slice name)
{
	static const char *const ours[] = {
		"From",	       "Sender",       "Reply-To",	   "To",
		"Cc",	       "Bcc",	       "Subject",	   "Date",
		"Message-ID",  "MIME-Version", "List-Unsubscribe", "List-Unsubscribe-Post",
		"Return-Path", "Received",     "DKIM-Signature",
	};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (slice_eq_nocase(name, slice_str(ours[i])))
			return true;
	return slice_starts_nocase(name, SLICE_LIT("Content-")) ||
	       slice_starts_nocase(name, SLICE_LIT("Resent-"));
}

/* Further fields that hold addresses. */
static bool has_addresses(struct slice name)
{
	static const char *const rows[] = { "Disposition-Notification-To",
					    "Return-Receipt-To",
					    "Errors-To",
					    "Mail-Followup-To",
					    "Mail-Reply-To",
					    "X-Envelope-To" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (slice_eq_nocase(name, slice_str(rows[i])))
			return true;
	return false;
}

static enum mime_fault put_people(const struct mime_message *m, struct buf *to, struct mime_needs *needs,
				  struct mime_problem *ret)
{
	const struct {
		struct slice name, value;
	} rows[] = {
		{ SLICE_INIT("From"), m->from },
		{ SLICE_INIT("Sender"), m->sender },
		{ SLICE_INIT("Reply-To"), m->reply_to },
		{ SLICE_INIT("To"), m->to },
		{ SLICE_INIT("Cc"), m->cc },
	};

	if (slice_trim(m->from).n == 0)
		return mime_problem_set(ret, MIME_MISSING, rows[0].name, SLICE_LIT(""));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum mime_fault fault = MIME_FINE;

		if (rows[i].value.n > 0)
			fault = mime_put_addresses(rows[i].name, rows[i].value, m->domain, to, needs, ret);
		if (fault != MIME_FINE)
			return fault;
	}
	if (m->to.n == 0 && m->cc.n == 0)
		buf_str(to, "To: undisclosed-recipients:;\r\n");
	return MIME_FINE;
}

/* "<", no blank, no bracket, ">". */
static bool is_message_id(struct slice s)
{
	if (s.n < 5 || s.n > 900 || s.p[0] != '<' || s.p[s.n - 1] != '>' || slice_find(s, '@') == s.n)
		return false;
	for (size_t i = 1; i + 1 < s.n; i++)
		if (s.p[i] <= 32 || s.p[i] >= 127 || s.p[i] == '<' || s.p[i] == '>')
			return false;
	return true;
}

static enum mime_fault put_id(const struct mime_message *m, struct buf *to, struct mime_problem *ret)
{
	size_t before = buf_slice(to).n;
	struct slice name = SLICE_LIT("Message-ID");

	buf_str(to, "Message-ID: ");
	if (m->message_id.n > 0) {
		buf_put(to, m->message_id);
	} else {
		buf_byte(to, '<');
		buf_put(to, m->id);
		buf_byte(to, '@');
		buf_put(to, m->hostname);
		buf_byte(to, '>');
	}
	if (buf_ok(to) && !is_message_id(slice_tail(buf_slice(to), before + name.n + 2)))
		return mime_problem_set(ret, MIME_NO_ADDRESS, name,
					m->message_id.n ? m->message_id : m->hostname);
	buf_str(to, "\r\n");
	return MIME_FINE;
}

static enum mime_fault put_extra(const struct mime_message *m, struct buf *to, struct mime_needs *needs,
				 struct mime_problem *ret)
{
	for (size_t i = 0; i < m->headers; i++) {
		struct slice name = m->header[i].name, value = m->header[i].value;
		enum mime_fault fault;

		if (!mime_is_field_name(name))
			return mime_problem_set(ret, MIME_FIELD_NAME, SLICE_LIT("header"), name);
		if (is_ours(name))
			return mime_problem_set(ret, MIME_FIELD_OURS, SLICE_LIT("header"), name);
		fault = has_addresses(name) ? mime_put_addresses(name, value, m->domain, to, needs, ret)
					    : mime_put_text(name, value, to, ret);
		if (fault != MIME_FINE)
			return fault;
	}
	return MIME_FINE;
}

static enum mime_fault put_header(const struct mime_message *m, struct buf *to, struct mime_needs *needs,
				  struct mime_problem *ret)
{
	enum mime_fault fault;

	buf_str(to, "Date: ");
	mime_date_put(m->date_ms, to);
	buf_str(to, "\r\n");
	fault = put_people(m, to, needs, ret);
	if (fault == MIME_FINE && m->has_subject)
		fault = mime_put_text(SLICE_LIT("Subject"), m->subject, to, ret);
	if (fault == MIME_FINE)
		fault = put_id(m, to, ret);
	if (fault == MIME_FINE && m->unsubscribes > 0)
		fault = mime_put_unsubscribe(m->unsubscribe, m->unsubscribes, m->one_click, to, ret);
	if (fault == MIME_FINE)
		fault = put_extra(m, to, needs, ret);
	buf_str(to, "MIME-Version: 1.0\r\n");
	return fault;
}

/* A text on its way: its lines end with CRLF, and how it will be encoded is known. */
struct text {
	const char *type;
	struct buf lines;
	enum mime_transfer transfer;
};

static enum mime_fault text_init(struct text *t, const char *type, struct slice given, bool eightbit,
				 struct mime_problem *ret)
{
	struct slice field = slice_str(type);
	size_t n;

	/* At worst each octet is a line end. */
	*t = (struct text){ .type = type };
	buf_init(&t->lines, given.n < SIZE_MAX / 2 - 2 ? given.n * 2 + 2 : given.n);
	for (struct slice rest = given; rest.n > 0; rest = slice_tail(rest, n)) {
		n = utf8_length(rest);
		if (n == 0)
			return mime_problem_set(ret, MIME_NOT_UTF8, field, SLICE_LIT(""));
	}
	mime_put_crlf(given, &t->lines);
	if (!buf_ok(&t->lines))
		return mime_problem_set(ret, MIME_NO_MEMORY, field, SLICE_LIT(""));
	t->transfer = mime_transfer_of(buf_slice(&t->lines), eightbit);
	return MIME_FINE;
}

static void put_text(const struct text *t, struct buf *to)
{
	struct slice lines = buf_slice(&t->lines);
	struct mime_base64 b = { 0 };

	buf_fmt(to, "Content-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n", t->type,
		mime_transfer_name(t->transfer));
	if (t->transfer == MIME_QUOTED_PRINTABLE) {
		mime_put_quoted_printable(lines, to);
	} else if (t->transfer == MIME_BASE64) {
		mime_base64_feed(&b, lines, to);
		mime_base64_end(&b, to);
	} else {
		buf_put(to, lines);
	}
}

static bool holds(const struct text *t, const char *boundary)
{
	struct slice s = buf_slice(&t->lines);

	return t->transfer <= MIME_8BIT && s.n > 0 && memmem(s.p, s.n, boundary, strlen(boundary));
}

/* Two boundaries, none the beginning of the other. */
static bool choose(const struct mime_message *m, const struct text text[2], char mixed[64], char inner[64])
{
	for (unsigned i = 0; i < BOUNDARIES; i++) {
		bool used = false;

		snprintf(mixed, 64, "=_m%.*s.%u=", (int)(m->unique.n < 40 ? m->unique.n : 40),
			 (const char *)m->unique.p, i);
		snprintf(inner, 64, "=_a%s", mixed + 3);
		for (size_t k = 0; k < 2; k++)
			used = used || holds(&text[k], mixed) || holds(&text[k], inner);
		if (!used)
			return true;
	}
	return false;
}

static void put_body(struct mime_compose *c, const struct mime_message *m, const struct text text[2],
		     const char *inner, struct buf *to)
{
	bool first = m->has_text || (!m->has_html && !m->attachments);

	if (m->attachments)
		buf_fmt(to, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n", c->boundary);
	if (m->attachments && (first || m->has_html))
		buf_fmt(to, "--%s\r\n", c->boundary);
	if (first && m->has_html)
		buf_fmt(to, "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n--%s\r\n", inner,
			inner);
	if (first)
		put_text(&text[0], to);
	if (first && m->has_html)
		buf_fmt(to, "\r\n--%s\r\n", inner);
	if (m->has_html)
		put_text(&text[1], to);
	if (first && m->has_html)
		buf_fmt(to, "\r\n--%s--\r\n", inner);
	c->in_part = first || m->has_html;
}

enum mime_fault mime_compose_begin(struct mime_compose *c, const struct mime_message *m, struct buf *to,
				   struct mime_problem *ret)
{
	struct text text[2] = { 0 };
	char inner[64];
	enum mime_fault fault;

	*c = (struct mime_compose){ .mixed = m->attachments };
	fault = text_init(&text[0], "text/plain", m->has_text ? m->text : SLICE_LIT(""), m->eightbit, ret);
	if (fault == MIME_FINE)
		fault = text_init(&text[1], "text/html", m->has_html ? m->html : SLICE_LIT(""), m->eightbit,
				  ret);
	if (fault == MIME_FINE)
		fault = put_header(m, to, &c->needs, ret);
	if (fault == MIME_FINE && !choose(m, text, c->boundary, inner))
		fault = mime_problem_set(ret, MIME_TOO_LONG, SLICE_LIT("boundary"), SLICE_LIT(""));
	if (fault == MIME_FINE)
		put_body(c, m, text, inner, to);
	if (fault == MIME_FINE && !buf_ok(to))
		fault = mime_problem_set(ret, MIME_NO_MEMORY, SLICE_LIT(""), SLICE_LIT(""));
	c->eightbit = c->needs.smtputf8 || text[0].transfer == MIME_8BIT || text[1].transfer == MIME_8BIT;
	buf_done(&text[0].lines);
	buf_done(&text[1].lines);
	return fault;
}

enum mime_fault mime_compose_attach(struct mime_compose *c, struct slice name, struct slice type, bool utf8,
				    struct buf *to, struct mime_problem *ret)
{
	struct slice field = SLICE_LIT("attachment");
	enum mime_fault fault;

	if (type.n == 0)
		type = slice_str(mime_type_of(name));
	if (!mime_type_ok(type))
		return mime_problem_set(ret, MIME_FIELD_NAME, SLICE_LIT("type of attachment"), type);
	if (name.n == 0)
		return mime_problem_set(ret, MIME_MISSING, SLICE_LIT("name of attachment"), SLICE_LIT(""));
	mime_base64_end(&c->base64, to);
	buf_fmt(to, "%s--%s\r\nContent-Type: %.*s%s\r\nContent-Transfer-Encoding: base64\r\n",
		c->in_part ? "\r\n" : "", c->boundary, SLICE_ARG(type),
		utf8 && slice_starts_nocase(type, SLICE_LIT("text/")) ? "; charset=utf-8" : "");
	fault = mime_put_filename(SLICE_LIT("Content-Disposition"), field, name, to, ret);
	buf_str(to, "\r\n");
	c->in_part = true;
	return fault;
}

void mime_compose_octets(struct mime_compose *c, struct slice piece, struct buf *to)
{
	mime_base64_feed(&c->base64, piece, to);
}

void mime_compose_end(struct mime_compose *c, struct buf *to)
{
	mime_base64_end(&c->base64, to);
	if (c->mixed)
		buf_fmt(to, "%s--%s--\r\n", c->in_part ? "\r\n" : "", c->boundary);
}
