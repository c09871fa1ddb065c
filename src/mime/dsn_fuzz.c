/* dsn_fuzz.c - whatever peers said and senders wrote: the report is lines of at most 998 octets that end
 * with CRLF, its header section is fields, its parts are where the boundary says and nowhere else, each
 * recipient has its group with each field once, and it has 8-bit octets only where it says so. */
#include <stdlib.h>

#include "mime/dsn.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

/* A piece of the input: a length, and octets. */
static struct slice piece(struct slice *in)
{
	size_t n = in->n > 0 ? in->p[0] * 5U : 0;
	struct slice s;

	*in = slice_tail(*in, 1);
	s = slice_head(*in, n);
	*in = slice_tail(*in, s.n);
	return s;
}

static unsigned octet(struct slice *in)
{
	unsigned c = in->n > 0 ? in->p[0] : 0;

	*in = slice_tail(*in, 1);
	return c;
}

static bool next_line(struct slice *cur, struct slice *ret)
{
	if (cur->n == 0)
		return false;
	CHECK(cur_until(cur, '\n', ret)); /* the last one has an end, too */
	CHECK(ret->n > 0 && ret->p[ret->n - 1] == '\r');
	ret->n--;
	CHECK(ret->n <= 998);
	CHECK(slice_find(*ret, '\r') == ret->n && slice_find(*ret, 0) == ret->n);
	return true;
}

/* A name, a colon; or a folded line. */
static void check_field(struct slice line, bool first)
{
	size_t n = 0;

	if (line.p[0] == ' ' || line.p[0] == '\t') {
		CHECK(!first && slice_trim(line).n > 0);
		return;
	}
	while (n < line.n && line.p[n] > 32 && line.p[n] < 127 && line.p[n] != ':')
		n++;
	CHECK(n > 0 && n < line.n);
}

/* One field each of those that there must be, in a group. */
struct group {
	unsigned final, action, status, reporting, fields;
};

static void check_group(const struct group *g, bool message)
{
	CHECK(g->reporting == message);
	CHECK(g->final == !message && g->action == !message && g->status == !message);
}

static void check_programs(struct slice part, size_t recipients)
{
	struct group g = { 0 };
	struct slice line;
	size_t groups = 0;

	while (next_line(&part, &line)) {
		if (line.n == 0) {
			check_group(&g, groups++ == 0);
			g = (struct group){ 0 };
			continue;
		}
		check_field(line, g.fields++ == 0);
		g.final += slice_starts_nocase(line, SLICE_LIT("Final-Recipient:"));
		g.action += slice_starts_nocase(line, SLICE_LIT("Action:"));
		g.status += slice_starts_nocase(line, SLICE_LIT("Status:"));
		g.reporting += slice_starts_nocase(line, SLICE_LIT("Reporting-MTA:"));
	}
	check_group(&g, groups == 0);
	CHECK(groups == recipients);
}

/* The header section; whether it is 8-bit by its own word, and the boundary. */
static void check_header(struct slice *cur, bool utf8, char boundary[static 100])
{
	struct slice line;
	bool first = true;

	boundary[0] = 0;
	for (; next_line(cur, &line) && line.n > 0; first = false) {
		struct slice value = line;

		check_field(line, first);
		CHECK(utf8 || !slice_has_8bit(line));
		/* The last one counts: words of others stand in the fields before Content-Type. */
		if (cur_word(&value, SLICE_LIT(" boundary=\"")) && value.n > 1)
			slice_copy(slice_head(value, value.n - 1), boundary, 100);
	}
	CHECK(boundary[0]);
}

static void check(struct slice text, const struct dsn *d, const struct dsn_facts *facts)
{
	char boundary[100];
	struct slice line, rest, part[4], at;
	size_t parts = 0;
	bool ended = false;

	CHECK(facts->eightbit == slice_has_8bit(text));
	check_header(&text, d->smtputf8, boundary);
	for (rest = at = text; next_line(&rest, &line); at = rest) {
		if (!slice_starts(line, SLICE_LIT("--")) ||
		    !slice_starts(slice_tail(line, 2), slice_str(boundary)))
			continue;
		CHECK(!ended);
		ended = line.n == 4 + strlen(boundary);
		CHECK(ended || line.n == 2 + strlen(boundary));
		CHECK(parts < 4);
		if (parts > 0) /* up to the CRLF that belongs to the boundary */
			part[parts - 1].n -= at.n + 2;
		part[parts++] = rest;
	}
	CHECK(ended && rest.n == 0 && (parts == 3 || parts == 4));
	for (size_t i = 0; i + 1 < parts; i++) {
		bool first = true;

		for (; next_line(&part[i], &line) && line.n > 0; first = false)
			check_field(line, first);
	}
	check_programs(part[1], d->recipients);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice in = slice_of(data, n);
	struct dsn_recipient r[3];
	unsigned flags = octet(&in);
	struct dsn d = { .hostname = SLICE_LIT("mx.test"),
			 .id = SLICE_LIT("0"),
			 .message_id = SLICE_LIT("<x@mx.test>"),
			 .now_ms = 1795304383000,
			 .about_id = SLICE_LIT("1"),
			 .arrived_ms = 1795304383000,
			 .smtputf8 = flags & 1,
			 .eightbit = flags & 2,
			 .recipient = r,
			 .recipients = 1 + flags / 64 % 3 };
	struct dsn_facts facts;
	struct buf b;

	d.to = piece(&in);
	d.envid = piece(&in);
	d.about_message_id = piece(&in);
	for (size_t i = 0; i < d.recipients; i++) {
		unsigned what = octet(&in);

		r[i] = (struct dsn_recipient){ .action = what % DSN_ACTIONS,
					       .what = what / DSN_ACTIONS % DSN_WHATS,
					       .expired = what & 128,
					       .code = what & 1 ? 550 : 0,
					       .last_attempt_ms = what & 2 ? 1795304383000 : 0,
					       .retry_until_ms = what & 4 ? 1795304383000 : 0 };
		r[i].address = piece(&in);
		r[i].final = piece(&in);
		r[i].orcpt = piece(&in);
		r[i].status = piece(&in);
		r[i].remote = piece(&in);
		r[i].said = piece(&in);
		r[i].meaning = flags & 8 ? r[i].said : (struct slice){ 0 };
		CHECK(dsn_what_of(r[i].status) < DSN_WHATS);
	}
	d.help = flags & 8 ? "Ask postmaster@mx.test \xc3\xbc" : NULL;
	d.header = in;
	if (flags & 4)
		d.whole = in;
	buf_init(&b, DSN_MAX);
	dsn_put(&d, &b, &facts);
	if (buf_ok(&b))
		check(buf_slice(&b), &d, &facts);
	else
		CHECK(n > 10000); /* only what holds a thousand boundaries */
	buf_done(&b);
	return 0;
}
