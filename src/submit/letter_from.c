/* letter_from.c - senders that the server would not take become the account's own.
 *
 * A provider lets the owner of an account send as himself; what the programs of a machine call themselves
 * ("root (Cron Daemon)", www-data@vm.internal) it refuses, or changes without a word.  So that the reader
 * still sees who wrote, the name stays beside the new address, with the old address in words behind it: not
 * as an address, because two of them in a From are what filters take for a forgery.
 */
#include "mime/address.h"
#include "mime/field.h"
#include "submit/letter_private.h"

#define NAME_MAX_PUT 1000 /* octets of a display name that is kept */

/* ---- which ---- */

static struct slice domain_of(struct slice address)
{
	size_t at = slice_rfind(address, '@');

	return slice_tail(address, at < address.n ? at + 1 : address.n);
}

static bool ends_nocase(struct slice s, struct slice end)
{
	return s.n >= end.n && slice_eq_nocase(slice_tail(s, s.n - end.n), end);
}

/* Names that only a network of one's own has: RFC 6761, 6762 and its appendix G, 8375; and ICANN's .internal.
 */
static bool is_private(struct slice domain)
{
	static const struct slice ends[] = {
		SLICE_INIT(".local"),	  SLICE_INIT(".localdomain"), SLICE_INIT(".localhost"),
		SLICE_INIT(".internal"),  SLICE_INIT(".intranet"),    SLICE_INIT(".private"),
		SLICE_INIT(".lan"),	  SLICE_INIT(".home"),	      SLICE_INIT(".corp"),
		SLICE_INIT(".home.arpa"),
	};

	if (slice_find(domain, '.') == domain.n || domain.p[0] == '[')
		return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends_nocase(domain, ends[i]))
			return true;
	return false;
}

/* The address, or one without a domain, is of this machine. */
static bool is_local(const struct letter_setup *s, struct slice address)
{
	struct slice domain = domain_of(address);

	if (slice_rfind(address, '@') == address.n)
		domain = s->domain;
	if (s->own.n > 0 && slice_eq_nocase(domain, domain_of(s->own)))
		return false;
	return domain.n == 0 || slice_eq_nocase(domain, s->domain) || slice_eq_nocase(domain, s->machine) ||
	       is_private(domain);
}

static bool is_rewritten(const struct letter_setup *s, struct slice address)
{
	if (s->rewrite == LETTER_ALL)
		return !slice_eq_nocase(address, s->own) &&
		       (s->login.n == 0 || !slice_eq_nocase(address, s->login));
	return s->rewrite == LETTER_LOCAL && address.n > 0 && is_local(s, address);
}

/* What a field's mailboxes are. */
struct look {
	size_t mailboxes, rewritten, local;
	bool readable;
};

static enum mime_fault look_at(const struct letter_setup *s, struct slice value, struct look *ret)
{
	enum mime_address_item item;
	struct mime_addresses a;

	*ret = (struct look){ 0 };
	mime_addresses_init(&a, value);
	while ((item = mime_addresses_next(&a)) == MIME_ADDRESS_MAILBOX || item == MIME_ADDRESS_GROUP ||
	       item == MIME_ADDRESS_GROUP_END) {
		struct slice address = buf_slice(&a.address);

		ret->mailboxes += item == MIME_ADDRESS_MAILBOX;
		ret->rewritten += item == MIME_ADDRESS_MAILBOX && is_rewritten(s, address);
		ret->local += item == MIME_ADDRESS_MAILBOX && is_local(s, address);
	}
	ret->readable = item == MIME_ADDRESS_END && ret->mailboxes > 0;
	mime_addresses_done(&a);
	return item == MIME_ADDRESS_NO_MEMORY ? MIME_NO_MEMORY : MIME_FINE;
}

/* Of what cannot be read nobody knows that it is of this machine ("From: Foo, Inc. <foo@example.org>" is two
 * mailboxes, too, and one of them is not); but it is not the own one either. */
static bool is_field_rewritten(const struct letter_setup *s, const struct look *l)
{
	if (s->rewrite == LETTER_ALL)
		return !l->readable || l->rewritten > 0;
	return s->rewrite == LETTER_LOCAL && l->readable && l->rewritten == l->mailboxes;
}

enum mime_fault letter_from_look(struct letter_from *f, struct slice name, struct slice value)
{
	enum mime_fault fault = MIME_FINE;
	struct look l;

	f->has_reply_to = f->has_reply_to || slice_eq_nocase(name, SLICE_LIT("Reply-To"));
	if (f->s->rewrite == LETTER_AS_IT_IS || !slice_eq_nocase(name, SLICE_LIT("From")))
		return MIME_FINE;
	fault = look_at(f->s, value, &l);
	f->rewritten = f->rewritten || (fault == MIME_FINE && is_field_rewritten(f->s, &l));
	return fault;
}

/* ---- the new From ---- */

/* "root at vm.internal"; with a name before it that says more than this, "Cron Daemon (root at vm.internal)".
 */
static void put_words(const struct letter_setup *s, struct slice name, struct slice address, struct buf *to)
{
	size_t at = slice_rfind(address, '@');
	struct slice local = slice_head(address, at);
	struct slice domain = at < address.n ? domain_of(address) : s->domain;
	bool named = name.n > 0 && name.n <= NAME_MAX_PUT && !slice_eq_nocase(name, local) &&
		     !slice_eq_nocase(name, address);

	if (address.n == 0)
		return;
	if (named) {
		buf_put(to, name);
		buf_str(to, " (");
	}
	buf_put(to, local);
	if (domain.n > 0) {
		buf_str(to, " at ");
		buf_put(to, domain);
	}
	buf_str(to, named ? ")" : "");
}

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* What stands before the "<", blanks and folds apart: a name that is encoded already is not encoded once
 * more, and the words come behind it as one of their own. */
static struct slice phrase_of(struct slice value)
{
	struct slice s = slice_head(value, slice_find(value, '<'));

	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_tail(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool has_encoded_word(struct slice s)
{
	return s.n > 1 && memmem(s.p, s.n, "=?", 2);
}

/* It can stand behind another "From:" as it is: words; or all of them in quotes, as some write them. */
static bool is_plain_phrase(struct slice s)
{
	bool quoted = s.n > 1 && s.p[0] == '"' && s.p[s.n - 1] == '"';

	s = quoted ? slice_head(slice_tail(s, 1), s.n - 2) : s;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] > 126 || strchr("()<>[]:;@\\,\"", s.p[i]))
			return false;
	return s.n > 0;
}

/* A phrase goes on a line of its own, folded as it came. */
static enum mime_fault put_encoded(const struct letter_setup *s, struct slice value, struct slice words,
				   struct buf *to)
{
	buf_str(to, "From: ");
	buf_put(to, phrase_of(value));
	buf_str(to, "\r\n \"");
	for (size_t i = 0; i < words.n; i++) {
		if (words.p[i] == '"' || words.p[i] == '\\')
			buf_byte(to, '\\');
		buf_byte(to, words.p[i]);
	}
	buf_str(to, "\"\r\n <");
	buf_put(to, s->own);
	buf_str(to, ">\r\n");
	return buf_ok(to) ? MIME_FINE : MIME_NO_MEMORY;
}

static enum mime_fault put_named(const struct letter_setup *s, struct slice name, struct slice address,
				 struct buf *to)
{
	struct mime_needs needs = { 0 };
	enum mime_fault fault;
	struct buf words;

	buf_init(&words, NAME_MAX_PUT + address.n + s->domain.n + 10);
	put_words(s, name, address, &words);
	fault = buf_ok(&words)
			? mime_put_mailbox(SLICE_LIT("From"), buf_slice(&words), s->own, to, &needs, NULL)
			: MIME_NO_MEMORY;
	/* In an old character set, or with a tab that is a control character there. */
	if (fault != MIME_FINE && fault != MIME_NO_MEMORY && name.n > 0)
		fault = put_named(s, SLICE_LIT(""), address, to);
	else if (fault != MIME_FINE && fault != MIME_NO_MEMORY)
		fault = mime_put_mailbox(SLICE_LIT("From"), SLICE_LIT(""), s->own, to, &needs, NULL);
	buf_done(&words);
	return fault;
}

/* The first of several, if they are several. */
static enum mime_fault put_from(const struct letter_setup *s, struct slice value, struct buf *to)
{
	struct slice phrase = phrase_of(value), name;
	enum mime_address_item item;
	enum mime_fault fault;
	struct mime_addresses a;
	struct buf words;

	mime_addresses_init(&a, value);
	do
		item = mime_addresses_next(&a);
	while (item == MIME_ADDRESS_GROUP);
	name = buf_slice(&a.name);
	buf_init(&words, value.n + s->domain.n + 10);
	if (item == MIME_ADDRESS_NO_MEMORY) {
		fault = MIME_NO_MEMORY;
	} else if (item != MIME_ADDRESS_MAILBOX) {
		fault = put_named(s, SLICE_LIT(""), SLICE_LIT(""), to);
	} else if (has_encoded_word(name) && slice_find(value, '<') < value.n && is_plain_phrase(phrase)) {
		put_words(s, SLICE_LIT(""), buf_slice(&a.address), &words);
		fault = buf_ok(&words) ? put_encoded(s, value, buf_slice(&words), to) : MIME_NO_MEMORY;
	} else {
		fault = put_named(s, has_encoded_word(name) ? SLICE_LIT("") : name, buf_slice(&a.address),
				  to);
	}
	buf_done(&words);
	mime_addresses_done(&a);
	return fault;
}

enum mime_fault letter_from_put(struct letter_from *f, struct slice name, struct slice value, struct buf *to)
{
	bool from = slice_eq_nocase(name, SLICE_LIT("From"));
	enum mime_fault fault = MIME_FINE;
	struct look l;

	if (f->s->rewrite == LETTER_AS_IT_IS || (from && !f->rewritten) ||
	    (!from && !slice_eq_nocase(name, SLICE_LIT("Sender"))))
		return MIME_FINE;
	fault = look_at(f->s, value, &l);
	if (fault != MIME_FINE || (!from && !is_field_rewritten(f->s, &l)))
		return fault;
	if (from && !f->put) {
		f->put = true;
		fault = put_from(f->s, value, to);
		/* Nobody can answer to an address of this machine. */
		if (fault == MIME_FINE && !f->has_reply_to && l.readable && l.local == 0) {
			buf_str(to, "Reply-To:");
			buf_put(to, value);
			buf_str(to, "\r\n");
		}
	}
	buf_str(to, "X-Original-");
	return fault;
}

/* ---- the envelope ---- */

/* A local address that somebody has taken on himself; others may be so, too, and each comes once. */
static enum mime_fault redirect(const struct letter_setup *s, struct submit_envelope *e,
				struct mime_problem *ret)
{
	uint8_t notify = e->notify;
	enum mime_fault fault = MIME_FINE;

	for (size_t i = 0, left = e->recipients; left > 0 && fault == MIME_FINE; left--) {
		struct submit_recipient *r = e->recipient[i];
		struct slice address = slice_str(r->address);

		if (!is_local(s, address)) {
			i++;
			continue;
		}
		e->notify = r->notify;
		submit_envelope_remove(e, address);
		fault = submit_envelope_add(e, s->local_to, SLICE_LIT(""), SLICE_LIT("local_to"), ret);
	}
	e->notify = notify;
	return fault;
}

enum mime_fault letter_from_envelope(const struct letter_setup *s, struct submit_envelope *e,
				     struct mime_problem *ret)
{
	enum mime_fault fault = MIME_FINE;

	if (s->local_to.n > 0)
		fault = redirect(s, e, ret);
	if (fault == MIME_FINE && is_rewritten(s, slice_str(e->sender)))
		fault = submit_envelope_sender(e, s->own, SLICE_LIT(""), ret);
	return fault;
}
