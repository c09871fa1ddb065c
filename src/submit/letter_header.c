#include "mime/address.h"
#include "mime/date.h"
#include "mime/field.h"
#include "mime/submission.h"
#include "submit/letter_private.h"

#define COMPLETED_MAX (4 * LETTER_HEADER_MAX) /* octets of header once its addresses have domains */

enum what {
	BARE = 1,    /* addresses in it are completed */
	TO = 2,	     /* recipients */
	AUTHOR = 4,  /* From or Sender */
	DROP = 8,    /* not passed on */
	RESENT = 16, /* of a Resent- block */
	TRACE = 32,  /* the end of such a block */
	FROM = 64,   /* From */
	DATE = 128,  /* Date */
	MESSAGE_ID = 256,
};

static const struct row {
	struct slice name;
	unsigned what;
} rows[] = {
	{ SLICE_INIT("From"), BARE | AUTHOR | FROM },
	{ SLICE_INIT("Sender"), BARE | AUTHOR },
	{ SLICE_INIT("Reply-To"), BARE },
	{ SLICE_INIT("To"), BARE | TO },
	{ SLICE_INIT("Cc"), BARE | TO },
	{ SLICE_INIT("Bcc"), TO | DROP },
	{ SLICE_INIT("Date"), DATE },
	{ SLICE_INIT("Message-ID"), MESSAGE_ID },
	{ SLICE_INIT("Return-Path"), DROP | TRACE },
	{ SLICE_INIT("Received"), TRACE },
	{ SLICE_INIT("Content-Length"), DROP },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

struct field {
	struct slice whole; /* to its CRLF, folded lines and all */
	struct slice name, value;
	size_t row; /* ROWS: none of those */
	unsigned what;
};

/* Lines end with CRLF, and the section was found to be made of fields. */
static bool next_field(struct slice *cur, struct field *ret)
{
	struct field f = { .row = ROWS };
	struct slice name;
	size_t n = 0;

	if (cur->n == 0)
		return false;
	do
		n += slice_find(slice_tail(*cur, n), '\n') + 1;
	while (n < cur->n && (cur->p[n] == ' ' || cur->p[n] == '\t'));
	f.whole = slice_head(*cur, n);
	*cur = slice_tail(*cur, n);
	n = slice_find(f.whole, ':');
	f.name = name = slice_trim(slice_head(f.whole, n));
	f.value = slice_tail(f.whole, n + 1);
	f.value = slice_head(f.value, f.value.n - 2);
	if (cur_word(&name, SLICE_LIT("Resent-")))
		f.what |= RESENT;
	for (size_t i = 0; i < ROWS; i++)
		if (slice_eq_nocase(name, rows[i].name)) {
			f.row = i;
			f.what |= rows[i].what;
		}
	*ret = f;
	return true;
}

/* The latest Resent- block: it ends where one of its fields would come twice, or where another
 * server put its mark (RFC 5322 3.6.6, 3.6.7). */
struct block {
	bool begun, ended;
	unsigned seen; /* 1 << row */
	size_t at;     /* octets of what is passed on before it */
};

static bool is_in_block(struct block *b, const struct field *f, size_t at)
{
	unsigned bit = f->row < ROWS ? 1U << f->row : 0;

	if (!(f->what & RESENT)) {
		b->ended = b->ended || (b->begun && f->what & TRACE);
		return false;
	}
	if (b->begun && b->seen & bit)
		b->ended = true;
	if (b->ended)
		return false;
	if (!b->begun)
		b->at = at;
	b->begun = true;
	b->seen |= bit;
	return true;
}

/* Appends the field, with the domain behind each address that has none. */
static enum mime_fault put_completed(const struct field *f, struct slice domain, struct buf *to)
{
	struct mime_addresses a;
	enum mime_address_item item;
	struct buf done;
	size_t copied = 0, mailboxes = 0, bare = 0;
	bool good;

	buf_init(&done, COMPLETED_MAX);
	mime_addresses_init(&a, f->value);
	while ((item = mime_addresses_next(&a)) == MIME_ADDRESS_MAILBOX || item == MIME_ADDRESS_GROUP ||
	       item == MIME_ADDRESS_GROUP_END) {
		mailboxes += item == MIME_ADDRESS_MAILBOX;
		if (item != MIME_ADDRESS_MAILBOX || !a.bare)
			continue;
		bare++;
		buf_put(&done, slice_head(slice_tail(f->value, copied), a.local_end - copied));
		buf_byte(&done, '@');
		buf_put(&done, domain);
		copied = a.local_end;
	}
	mime_addresses_done(&a);
	/* "From: Foo, Inc. <foo@example.org>" is one address and a comma too much, not two. */
	good = item == MIME_ADDRESS_END && bare > 0 && domain.n > 0 && !(f->what & AUTHOR && mailboxes > 1);
	if (good) {
		buf_put(to, slice_head(f->whole, f->whole.n - f->value.n - 2));
		buf_put(to, buf_slice(&done));
		buf_put(to, slice_tail(f->value, copied));
		buf_str(to, "\r\n");
	} else {
		buf_put(to, f->whole);
	}
	if (good && !buf_ok(&done))
		item = MIME_ADDRESS_NO_MEMORY;
	buf_done(&done);
	return item == MIME_ADDRESS_NO_MEMORY ? MIME_NO_MEMORY : MIME_FINE;
}

/* What a message's fields have said so far. */
struct reading {
	bool resent;
	struct block block;
	struct buf kept;   /* the fields that are passed on */
	struct buf author; /* Sender, or the first of From */
	bool by_sender;	   /* it is Sender's */
	struct letter_from from;
};

static enum mime_fault note_author(struct reading *r, const struct field *f)
{
	struct mime_addresses a;
	bool sender = !(f->what & FROM);
	enum mime_address_item item;

	if (r->by_sender || (!sender && buf_slice(&r->author).n > 0))
		return MIME_FINE;
	mime_addresses_init(&a, f->value);
	do
		item = mime_addresses_next(&a);
	while (item == MIME_ADDRESS_GROUP || item == MIME_ADDRESS_GROUP_END);
	if (item == MIME_ADDRESS_MAILBOX) {
		buf_reset(&r->author);
		buf_put(&r->author, buf_slice(&a.address));
		r->by_sender = sender;
	}
	mime_addresses_done(&a);
	return item == MIME_ADDRESS_NO_MEMORY || !buf_ok(&r->author) ? MIME_NO_MEMORY : MIME_FINE;
}

static enum mime_fault read_field(struct letter *l, struct reading *r, const struct field *f)
{
	bool in_block = is_in_block(&r->block, f, buf_slice(&r->kept).n);
	bool counts = r->resent ? in_block : !(f->what & RESENT);
	enum mime_fault fault = MIME_FINE;

	if (counts && f->what & TO && l->setup->recipients_from_header)
		fault = submit_envelope_add(l->envelope, f->value, l->setup->domain, f->name, &l->problem);
	if (fault == MIME_FINE && counts && f->what & AUTHOR)
		fault = note_author(r, f);
	if (fault == MIME_FINE)
		fault = letter_from_put(&r->from, f->name, f->value, &r->kept);
	if (fault == MIME_FINE && f->what & BARE)
		fault = put_completed(f, l->setup->domain, &r->kept);
	else if (!(f->what & DROP))
		buf_put(&r->kept, f->whole);
	return fault;
}

static enum mime_fault decide_sender(struct letter *l, const struct reading *r)
{
	const struct letter_setup *s = l->setup;
	struct slice author = buf_slice(&r->author);

	if (s->has_sender)
		return submit_envelope_sender(l->envelope, s->sender, s->domain, &l->problem);
	if (s->sender_from_header && author.n > 0)
		return submit_envelope_sender(l->envelope, author, s->domain, &l->problem);
	if (s->fallback.n == 0)
		return mime_problem_set(&l->problem, MIME_MISSING, SLICE_LIT("sender"), SLICE_LIT(""));
	return submit_envelope_sender(l->envelope, s->fallback, s->domain, &l->problem);
}

/* Whom a From names that is added: the sender; and who runs the program if that is nobody. */
static enum mime_fault put_from(struct letter *l, const char *name, struct buf *to)
{
	const struct letter_setup *s = l->setup;
	struct slice address = slice_str(l->envelope->sender);
	struct mime_needs needs = { 0 };
	enum mime_fault fault;
	struct buf b;

	buf_init(&b, s->fallback.n + 1 + s->domain.n);
	if (address.n == 0) {
		buf_put(&b, s->fallback);
		if (slice_find(s->fallback, '@') == s->fallback.n && s->domain.n > 0) {
			buf_byte(&b, '@');
			buf_put(&b, s->domain);
		}
		address = buf_slice(&b);
	}
	if (s->fallback.n == 0 && address.n == b.n)
		fault = mime_problem_set(&l->problem, MIME_MISSING, slice_str(name), SLICE_LIT(""));
	else
		fault = mime_put_mailbox(slice_str(name), s->full_name, address, to, &needs, &l->problem);
	/* A name of /etc/passwd in an old character set is no reason to keep the mail. */
	if (fault == MIME_NOT_UTF8) {
		mime_problem_set(&l->problem, MIME_FINE, SLICE_LIT(""), SLICE_LIT(""));
		fault = mime_put_mailbox(slice_str(name), SLICE_LIT(""), address, to, &needs, &l->problem);
	}
	buf_done(&b);
	return fault;
}

/* What the latest block lacks of what it must have, or should. */
static enum mime_fault put_resent(struct letter *l, const struct reading *r, struct buf *to)
{
	const struct letter_setup *s = l->setup;
	enum mime_fault fault = MIME_FINE;
	unsigned seen = 0;

	for (size_t i = 0; i < ROWS; i++)
		seen |= r->block.seen & 1U << i ? rows[i].what : 0;
	if (!(seen & DATE)) {
		buf_str(to, "Resent-Date: ");
		mime_date_put(s->time_ms, to);
		buf_str(to, "\r\n");
	}
	if (!(seen & FROM))
		fault = put_from(l, "Resent-From", to);
	if (!(seen & MESSAGE_ID))
		buf_fmt(to, "Resent-Message-ID: <%.*s@%.*s>\r\n", SLICE_ARG(s->id), SLICE_ARG(s->hostname));
	return fault;
}

/* The header as it goes out. What a block lacks stands at its beginning: above a Received that comes before
 * the block it would be a block of its own. */
static enum mime_fault put_header(struct letter *l, const struct reading *r, struct buf *to)
{
	const struct letter_setup *s = l->setup;
	struct mime_submission add = { .hostname = s->hostname, .id = s->id, .time_ms = s->time_ms };
	struct slice kept = buf_slice(&r->kept);
	enum mime_fault fault = MIME_FINE;

	if (l->scan.count[MIME_FROM] == 0) {
		fault = put_from(l, "From", to);
		l->facts.added |= MIME_ADDED_FROM;
	}
	if (!r->resent) /* else they would claim to be the original's */
		l->facts.added |= mime_submission_put(&l->scan, &add, to);
	buf_put(to, slice_head(kept, r->block.at));
	if (fault == MIME_FINE && r->resent)
		fault = put_resent(l, r, to);
	buf_put(to, slice_tail(kept, r->block.at));
	return fault;
}

static enum mime_fault look(struct reading *r, struct slice section)
{
	enum mime_fault fault = MIME_FINE;
	struct field f;

	while (fault == MIME_FINE && next_field(&section, &f)) {
		r->resent = r->resent || (f.what & RESENT && f.row < ROWS);
		fault = letter_from_look(&r->from, f.name, f.value);
	}
	return fault;
}

enum mime_fault letter_header(struct letter *l, struct slice section, struct buf *to)
{
	struct reading r = { .from = { .s = l->setup } };
	enum mime_fault fault = look(&r, section);
	struct field f;

	buf_init(&r.kept, COMPLETED_MAX);
	buf_init(&r.author, section.n + 1);
	while (fault == MIME_FINE && next_field(&section, &f))
		fault = read_field(l, &r, &f);
	if (fault == MIME_FINE && l->envelope->recipients == 0)
		fault = mime_problem_set(&l->problem, MIME_MISSING, SLICE_LIT("recipient"), SLICE_LIT(""));
	if (fault == MIME_FINE)
		fault = decide_sender(l, &r);
	if (fault == MIME_FINE)
		fault = letter_from_envelope(l->setup, l->envelope, &l->problem);
	if (fault == MIME_FINE)
		fault = put_header(l, &r, to);
	if (fault == MIME_FINE && (!buf_ok(&r.kept) || !buf_ok(to)))
		fault = MIME_NO_MEMORY;
	if (fault == MIME_NO_MEMORY || (fault != MIME_FINE && l->problem.fault == MIME_FINE))
		mime_problem_set(&l->problem, fault, SLICE_LIT("header"), SLICE_LIT(""));
	buf_done(&r.kept);
	buf_done(&r.author);
	return fault;
}
