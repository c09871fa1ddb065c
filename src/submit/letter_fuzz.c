/* letter_fuzz.c - however a message comes in pieces, the same comes out; its lines end with CRLF, no Bcc is
 * in it, it has what every message must have, recipients are addresses; and what came out, fed again, comes
 * out as it is.  Where every sender is rewritten, nobody but the own one is left in From and envelope; where
 * local recipients are redirected, none is left. */
#include "mime/address.h"
#include "mime/header.h"
#include "smtp/path.h"
#include "submit/letter.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define ROOM (16U << 20)

struct result {
	struct submit_envelope envelope;
	struct buf out;
	struct letter_facts facts;
	enum mime_fault fault;
	struct mime_problem problem;
};

static void run(const struct letter_setup *s, struct slice text, size_t cut, struct result *r)
{
	struct letter *l;

	*r = (struct result){ 0 };
	buf_init(&r->out, ROOM);
	CHECK(submit_envelope_init(&r->envelope) == 0);
	if (!s->recipients_from_header)
		CHECK(submit_envelope_add(&r->envelope, SLICE_LIT("bob@example.org"), s->domain,
					  SLICE_LIT("x"), NULL) == MIME_FINE);
	l = letter_new(s, &r->envelope);
	CHECK(l);
	for (; text.n > 0 && !letter_is_over(l) && r->fault == MIME_FINE; text = slice_tail(text, cut))
		r->fault = letter_feed(l, slice_head(text, cut), &r->out, &r->problem);
	if (r->fault == MIME_FINE)
		r->fault = letter_end(l, &r->out, &r->problem);
	r->facts = *letter_facts(l);
	letter_free(l);
}

static void done(struct result *r)
{
	buf_done(&r->out);
	submit_envelope_done(&r->envelope);
}

static void check_lines(struct slice out, uint64_t longest)
{
	struct slice line;
	size_t most = 0;

	while (out.n > 0) {
		CHECK(cur_until(&out, '\n', &line));
		CHECK(line.n > 0 && line.p[line.n - 1] == '\r');
		line.n--;
		CHECK(slice_find(line, '\r') == line.n && slice_find(line, 0) == line.n);
		most = line.n > most ? line.n : most;
	}
	CHECK(most == longest || longest < 4096); /* lines of the header grow */
}

static bool has_name(struct slice line, const char *name)
{
	if (!cur_word(&line, slice_str(name)))
		return false;
	cur_blanks(&line);
	return line.n > 0 && line.p[0] == ':';
}

static void check_header(const struct result *r)
{
	struct slice out = buf_slice(&r->out), line;
	struct mime_header h;

	mime_header_init(&h);
	mime_header_feed(&h, out);
	mime_header_end(&h);
	CHECK(h.end == MIME_HEADER_EMPTY);
	CHECK(h.count[MIME_BCC] == 0 && h.count[MIME_RETURN_PATH] == 0);
	CHECK(h.count[MIME_FROM] > 0);
	CHECK(h.count[MIME_RESENT] > 0 || (h.count[MIME_DATE] > 0 && h.count[MIME_MESSAGE_ID] > 0));
	CHECK(r->facts.header_eightbit == h.eightbit || r->facts.header_eightbit);
	CHECK(r->facts.eightbit || !slice_has_8bit(out) || r->envelope.smtputf8);
	out = slice_head(out, h.octets);
	while (cur_until(&out, '\n', &line))
		CHECK(!has_name(line, "Resent-Bcc") && !has_name(line, "Bcc"));
	mime_header_done(&h);
}

/* Mailboxes of the own one and nothing else; in a group, too (RFC 6854). */
static void check_from(struct slice value, struct slice own)
{
	enum mime_address_item item;
	struct mime_addresses a;
	size_t n = 0;

	mime_addresses_init(&a, value);
	while ((item = mime_addresses_next(&a)) != MIME_ADDRESS_END) {
		CHECK(item == MIME_ADDRESS_MAILBOX || item == MIME_ADDRESS_GROUP ||
		      item == MIME_ADDRESS_GROUP_END);
		CHECK(item != MIME_ADDRESS_MAILBOX || slice_eq_nocase(buf_slice(&a.address), own));
		n += item == MIME_ADDRESS_MAILBOX;
	}
	CHECK(n > 0);
	mime_addresses_done(&a);
}

/* Each From of a header section. */
static void check_froms(struct slice header, struct slice own)
{
	size_t n = 0;

	while (header.n > 0) {
		struct slice field;
		size_t end = 0;

		do
			end += slice_find(slice_tail(header, end), '\n') + 1;
		while (end < header.n && (header.p[end] == ' ' || header.p[end] == '\t'));
		field = slice_head(header, end);
		header = slice_tail(header, end);
		if (!has_name(field, "From"))
			continue;
		check_from(slice_tail(field, slice_find(field, ':') + 1), own);
		n++;
	}
	CHECK(n > 0);
}

static void check_rewritten(const struct letter_setup *s, const struct result *r)
{
	struct mime_header h;

	for (size_t i = 0; s->local_to.n > 0 && i < r->envelope.recipients; i++) {
		struct slice address = slice_str(r->envelope.recipient[i]->address);

		CHECK(!slice_eq_nocase(slice_tail(address, slice_rfind(address, '@') + 1), s->domain));
	}
	if (s->rewrite != LETTER_ALL)
		return;
	CHECK(slice_eq_nocase(slice_str(r->envelope.sender), s->own));
	mime_header_init(&h);
	mime_header_feed(&h, buf_slice(&r->out));
	mime_header_end(&h);
	check_froms(slice_head(buf_slice(&r->out), h.octets), s->own);
	mime_header_done(&h);
}

static void check_same(const struct result *a, const struct result *b)
{
	CHECK(a->fault == b->fault);
	if (a->fault != MIME_FINE)
		return;
	CHECK(slice_eq(buf_slice(&a->out), buf_slice(&b->out)));
	CHECK(a->facts.octets == b->facts.octets && a->facts.eightbit == b->facts.eightbit);
	CHECK(strcmp(a->envelope.sender, b->envelope.sender) == 0);
	CHECK(a->envelope.recipients == b->envelope.recipients);
	for (size_t i = 0; i < a->envelope.recipients; i++)
		CHECK(strcmp(a->envelope.recipient[i]->address, b->envelope.recipient[i]->address) == 0);
}

static void check(const struct letter_setup *s, const struct result *r)
{
	struct letter_setup again = *s;
	struct result second;
	struct smtp_path path;
	size_t at;

	CHECK(buf_ok(&r->out) && r->facts.octets == buf_slice(&r->out).n);
	CHECK(r->envelope.sender && r->envelope.recipients > 0);
	for (size_t i = 0; i < r->envelope.recipients; i++)
		CHECK(smtp_parse_address(slice_str(r->envelope.recipient[i]->address), &path, &at) ==
		      SMTP_PARSE_OK);
	check_lines(buf_slice(&r->out), r->facts.longest);
	check_header(r);
	check_rewritten(s, r);
	again.dot_ends = again.recipients_from_header = false;
	run(&again, buf_slice(&r->out), SIZE_MAX, &second);
	CHECK(second.fault == MIME_FINE && slice_eq(buf_slice(&r->out), buf_slice(&second.out)));
	CHECK(second.facts.added == 0);
	done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	unsigned flags = n > 0 ? data[0] : 0;
	struct letter_setup s = { .dot_ends = flags & 1,
				  .recipients_from_header = flags & 2,
				  .sender_from_header = flags & 4,
				  .has_sender = flags & 8,
				  .sender = flags & 16 ? SLICE_LIT("root") : SLICE_LIT(""),
				  .fallback = SLICE_LIT("www-data"),
				  .full_name = SLICE_LIT("Web, the"),
				  .domain = SLICE_LIT("h.example"),
				  .hostname = SLICE_LIT("h.example"),
				  .id = SLICE_LIT("1"),
				  .rewrite = n > 1 ? data[n - 1] % 3 : LETTER_AS_IT_IS,
				  .own = SLICE_LIT("own@x.example"),
				  .local_to = n > 1 && data[n - 1] & 4 ? SLICE_LIT("ann@y.example")
								       : SLICE_LIT(""),
				  .time_ms = 1795304383000 };
	struct slice text = n > 0 ? slice_of(data + 1, n - 1) : (struct slice){ 0 };
	struct result whole, cut;

	if (s.rewrite != LETTER_AS_IT_IS)
		s.fallback = s.own;
	run(&s, text, SIZE_MAX, &whole);
	run(&s, text, 1 + flags / 32, &cut);
	check_same(&whole, &cut);
	if (whole.fault == MIME_FINE)
		check(&s, &whole);
	done(&whole);
	done(&cut);
	return 0;
}
