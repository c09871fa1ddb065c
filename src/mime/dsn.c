#include "mime/dsn.h"

#include "mime/date.h"
#include "mime/dsn_private.h"

#define BOUNDARIES 1000 /* tried until one is found that is in no part */

struct parts {
	struct buf people, programs, original;
	const char *original_type;
	bool whole;
};

/* "<...>" without anything that ends it early (RFC 5322 3.6.4, no more than that). */
static bool is_message_id(struct slice s)
{
	if (s.n < 5 || s.n > 250 || s.p[0] != '<' || s.p[s.n - 1] != '>')
		return false;
	for (size_t i = 1; i + 1 < s.n; i++)
		if (s.p[i] <= 32 || s.p[i] > 126 || s.p[i] == '<' || s.p[i] == '>')
			return false;
	return true;
}

static void put_header(const struct dsn *d, struct buf *to)
{
	struct buf line;

	buf_init(&line, 4096);
	buf_fmt(&line, "Mail server %.*s <postmaster@%.*s>", SLICE_ARG(d->hostname), SLICE_ARG(d->hostname));
	dsn_field(to, "From", buf_slice(&line));
	buf_reset(&line);
	buf_byte(&line, '<');
	dsn_clean(d->to, d->smtputf8, 800, &line);
	buf_byte(&line, '>');
	dsn_field(to, "To", buf_slice(&line));
	buf_reset(&line);
	dsn_subject(d, &line);
	dsn_field(to, "Subject", buf_slice(&line));
	buf_reset(&line);
	mime_date_put(d->now_ms, &line);
	dsn_field(to, "Date", buf_slice(&line));
	dsn_field(to, "Message-ID", d->message_id);
	if (is_message_id(d->about_message_id)) {
		dsn_field(to, "In-Reply-To", d->about_message_id);
		dsn_field(to, "References", d->about_message_id);
	}
	dsn_field(to, "Auto-Submitted", SLICE_LIT("auto-replied"));
	dsn_field(to, "MIME-Version", SLICE_LIT("1.0"));
	if (!buf_ok(&line))
		to->failed = true;
	buf_done(&line);
}

/* Is it at the beginning of a line, as a reader would look for it? */
static bool has_boundary(struct slice part, struct slice boundary)
{
	struct slice line;

	while (part.n > 0) {
		size_t n = slice_find(part, '\n');

		line = slice_head(part, n);
		if (slice_starts(line, SLICE_LIT("--")) && slice_starts(slice_tail(line, 2), boundary))
			return true;
		part = slice_tail(part, n + 1);
	}
	return false;
}

/* Ends with a letter, so that no boundary begins with another one. */
static bool choose_boundary(const struct dsn *d, const struct parts *p, struct buf *to)
{
	for (unsigned i = 0; i < BOUNDARIES; i++) {
		struct slice b;

		buf_reset(to);
		buf_fmt(to, "=_%.*s.%u.report", SLICE_ARG(d->id), i);
		b = buf_slice(to);
		if (!has_boundary(buf_slice(&p->people), b) && !has_boundary(buf_slice(&p->programs), b) &&
		    !has_boundary(buf_slice(&p->original), b))
			return buf_ok(to);
	}
	return false;
}

static void put_part(struct buf *to, struct slice boundary, const char *type, const char *description,
		     const struct buf *part)
{
	bool eightbit = slice_has_8bit(buf_slice(part));

	buf_str(to, "\r\n--");
	buf_put(to, boundary);
	buf_str(to, "\r\n");
	dsn_field(to, "Content-Type", slice_str(type));
	dsn_field(to, "Content-Description", slice_str(description));
	dsn_field(to, "Content-Transfer-Encoding", eightbit ? SLICE_LIT("8bit") : SLICE_LIT("7bit"));
	buf_str(to, "\r\n");
	buf_put(to, buf_slice(part));
	if (!buf_ok(part))
		to->failed = true;
}

static void make_parts(const struct dsn *d, struct parts *p)
{
	bool global;

	dsn_people(d, &p->people);
	dsn_programs(d, &p->programs);
	p->whole = d->whole.n <= DSN_WHOLE_MAX && dsn_returnable(d->whole, d->eightbit || d->smtputf8);
	if (p->whole)
		buf_put(&p->original, d->whole);
	else
		dsn_header_lines(&p->original, d->header, d->smtputf8, DSN_HEADER_MAX);
	/* What is in a header makes it global; a body may have 8-bit octets without. */
	global = d->smtputf8 && slice_has_8bit(d->header);
	if (p->whole)
		p->original_type = global ? "message/global" : "message/rfc822";
	else
		p->original_type = global ? "message/global-headers" : "text/rfc822-headers";
}

static void assemble(const struct dsn *d, const struct parts *p, struct slice boundary, struct buf *to)
{
	bool eightbit = slice_has_8bit(buf_slice(&p->people)) || slice_has_8bit(buf_slice(&p->programs)) ||
			slice_has_8bit(buf_slice(&p->original));
	struct buf line;

	buf_init(&line, 1024);
	put_header(d, to);
	buf_str(&line, "multipart/report; report-type=delivery-status; boundary=\"");
	buf_put(&line, boundary);
	buf_byte(&line, '"');
	dsn_field(to, "Content-Type", buf_slice(&line));
	dsn_field(to, "Content-Transfer-Encoding", eightbit ? SLICE_LIT("8bit") : SLICE_LIT("7bit"));
	buf_str(to, "\r\nThis is a report in MIME format (RFC 3464).\r\n");
	put_part(to, boundary,
		 slice_has_8bit(buf_slice(&p->people)) ? "text/plain; charset=utf-8"
						       : "text/plain; charset=us-ascii",
		 "What happened", &p->people);
	put_part(to, boundary,
		 slice_has_8bit(buf_slice(&p->programs)) ? "message/global-delivery-status"
							 : "message/delivery-status",
		 "The same for programs", &p->programs);
	if (p->original.n > 0)
		put_part(to, boundary, p->original_type,
			 p->whole ? "Your message" : "The header of your message", &p->original);
	buf_str(to, "\r\n--");
	buf_put(to, boundary);
	buf_str(to, "--\r\n");
	if (!buf_ok(&line))
		to->failed = true;
	buf_done(&line);
}

void dsn_put(const struct dsn *d, struct buf *to, struct dsn_facts *ret)
{
	struct parts p = { 0 };
	char room[256];
	struct buf boundary;
	size_t begin = to->n;

	buf_init(&p.people, DSN_MAX);
	buf_init(&p.programs, DSN_MAX);
	buf_init(&p.original, DSN_WHOLE_MAX + DSN_HEADER_MAX);
	buf_init_in(&boundary, room, sizeof(room));
	make_parts(d, &p);
	if (choose_boundary(d, &p, &boundary))
		assemble(d, &p, buf_slice(&boundary), to);
	else
		to->failed = true;
	ret->eightbit = buf_ok(to) && slice_has_8bit(slice_tail(buf_slice(to), begin));
	ret->smtputf8 = d->smtputf8 && slice_has_8bit(d->to);
	buf_done(&p.people);
	buf_done(&p.programs);
	buf_done(&p.original);
}
