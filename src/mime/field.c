#include "mime/field.h"

#include "base/utf8.h"
#include "mime/address.h"
#include "smtp/path.h"

#define FOLD	  75  /* and up to three marks behind it, ":;,": RFC 5322 2.1.1 wants no more than 78 */
#define WORD	  72  /* octets of an encoded-word: RFC 2047 2 allows 75, and lines of 76 */
#define FRAME	  12  /* of them "=?utf-8?q?" and "?=" */
#define LEAST	  12  /* room for one character at the end of a line is no room */
#define UNFOLDED  900 /* octets that may stand without a blank */
#define BLANKS	  30
#define QUOTED	  60 /* a longer name is encoded, because that can be folded */
#define ATTR_PART 56 /* octets of a part of an RFC 2231 parameter */

/* A field that grows: where it began in the buffer, and how long its last line is. */
struct line {
	struct buf *to;
	size_t begin, column;
	bool fresh; /* nothing but the name stands in it */
};

static struct line begin(struct slice name, struct buf *to)
{
	struct line l = { .to = to, .begin = buf_slice(to).n, .column = name.n + 1, .fresh = true };

	buf_put(to, name);
	buf_byte(to, ':');
	return l;
}

/* Takes back what a failed field has written. */
static void take_back(struct line *l)
{
	if (l->to->n > l->begin)
		l->to->n = l->begin;
}

static enum mime_fault finish(struct line *l, enum mime_fault fault, struct slice name,
			      struct mime_problem *ret)
{
	buf_str(l->to, "\r\n");
	if (fault == MIME_FINE && !buf_ok(l->to))
		fault = mime_problem_set(ret, MIME_NO_MEMORY, name, SLICE_LIT(""));
	if (fault != MIME_FINE)
		take_back(l);
	return fault;
}

static void put_blank(struct line *l, struct slice blanks, bool fold)
{
	if (fold) {
		buf_str(l->to, "\r\n");
		l->column = 0;
	}
	buf_put(l->to, blanks);
	l->column += blanks.n;
}

/* A word that stays whole, behind these blanks. */
static void put_word(struct line *l, struct slice blanks, struct slice word)
{
	put_blank(l, blanks, !l->fresh && l->column + blanks.n + word.n > FOLD);
	buf_put(l->to, word);
	l->column += word.n;
	l->fresh = false;
}

static enum mime_fault check(struct slice s)
{
	for (struct slice rest = s; rest.n > 0;) {
		size_t n = utf8_length(rest);
		unsigned char c = rest.p[0];

		if (c == '\r' || c == '\n')
			return MIME_LINE_END;
		if ((c < 32 && c != '\t') || c == 127)
			return MIME_CONTROL;
		if (n == 0)
			return MIME_NOT_UTF8;
		rest = slice_tail(rest, n);
	}
	return s.n > MIME_VALUE_MAX ? MIME_TOO_LONG : MIME_FINE;
}

/* RFC 2047 5 (3): what may stand as it is wherever an encoded-word may. */
static bool is_plain(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c > 0 && c < 128 && strchr("!*+-/", c));
}

static size_t q_cost(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += is_plain(s.p[i]) || s.p[i] == ' ' ? 1 : 3;
	return n;
}

static void put_q(struct buf *to, struct slice s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (is_plain(c)) {
			buf_byte(to, c);
		} else if (c == ' ') {
			buf_byte(to, '_');
		} else {
			buf_byte(to, '=');
			buf_byte(to, (unsigned char)hex[c >> 4]);
			buf_byte(to, (unsigned char)hex[c & 15]);
		}
	}
}

static void put_b(struct buf *to, struct slice s)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (; s.n > 0; s = slice_tail(s, 3)) {
		unsigned v = (unsigned)s.p[0] << 16 | (unsigned)(s.n > 1 ? s.p[1] : 0) << 8 |
			     (s.n > 2 ? s.p[2] : 0);

		buf_byte(to, (unsigned char)digits[v >> 18]);
		buf_byte(to, (unsigned char)digits[v >> 12 & 63]);
		buf_byte(to, s.n > 1 ? (unsigned char)digits[v >> 6 & 63] : '=');
		buf_byte(to, s.n > 2 ? (unsigned char)digits[v & 63] : '=');
	}
}

/* As much of the text as an encoded-word of so many octets holds. */
static struct slice fitting(struct slice text, size_t room, bool q)
{
	size_t n = 0, cost = 0;

	while (n < text.n) {
		size_t len = utf8_length(slice_tail(text, n));

		cost += q ? q_cost(slice_head(slice_tail(text, n), len)) : 0;
		if (q ? cost > room : (n + len + 2) / 3 * 4 > room)
			break;
		n += len;
	}
	return slice_head(text, n);
}

/* Text as encoded-words: readers leave out the blanks between them. */
static void put_encoded(struct line *l, struct slice text)
{
	/* Q can be read by people as it is: so it may be somewhat longer. */
	bool q = q_cost(text) * 2 <= (text.n + 2) / 3 * 4 * 3;

	while (text.n > 0) {
		size_t room = l->column + 1 + FRAME + LEAST <= FOLD ? FOLD - l->column - 1 : 0;
		struct slice part;

		put_blank(l, SLICE_LIT(" "), room == 0);
		room = room == 0 || room > WORD ? WORD : room;
		part = fitting(text, room - FRAME, q);
		buf_str(l->to, q ? "=?utf-8?q?" : "=?utf-8?b?");
		l->column += FRAME + (q ? q_cost(part) : (part.n + 2) / 3 * 4);
		(q ? put_q : put_b)(l->to, part);
		buf_str(l->to, "?=");
		text = slice_tail(text, part.n);
		l->fresh = false;
		if (!buf_ok(l->to))
			return;
	}
}

static bool has_encoded_word(struct slice s)
{
	return s.n > 1 && memmem(s.p, s.n, "=?", 2);
}

static bool needs_encoding(struct slice word)
{
	return slice_has_8bit(word) || word.n > UNFOLDED || has_encoded_word(word);
}

/* Blanks, and the word behind them.  False: nothing is left. */
static bool next_word(struct slice *cur, struct slice *blanks, struct slice *word)
{
	size_t b = 0, n = 0;

	while (b < cur->n && (cur->p[b] == ' ' || cur->p[b] == '\t'))
		b++;
	while (b + n < cur->n && cur->p[b + n] != ' ' && cur->p[b + n] != '\t')
		n++;
	*blanks = slice_head(*cur, b);
	*word = slice_head(slice_tail(*cur, b), n);
	*cur = slice_tail(*cur, b + n);
	return n > 0;
}

/* Which part of the text has to be encoded, if any: from the first word that must be to the last. */
static struct slice encoded_part(struct slice text)
{
	struct slice cur = text, blanks, word;
	size_t first = text.n, last = 0;
	bool even = true, far = false;

	while (next_word(&cur, &blanks, &word)) {
		even = even && slice_eq(blanks, word.p == text.p ? SLICE_LIT("") : SLICE_LIT(" "));
		far = far || blanks.n > BLANKS;
		if (needs_encoding(word)) {
			size_t at = (size_t)(word.p - text.p);

			first = first < at ? first : at;
			last = at + word.n;
		}
	}
	/* Beside an encoded-word only a single blank is sure to be kept. */
	if (far || (last > 0 && !even))
		return text;
	return last > 0 ? slice_head(slice_tail(text, first), last - first) : (struct slice){ 0 };
}

static void put_text(struct line *l, struct slice text)
{
	struct slice part = encoded_part(text), blanks, word;

	while (text.n > 0) {
		if (part.n > 0 && text.p + 1 >= part.p && text.p <= part.p) {
			size_t ahead = (size_t)(part.p - text.p);

			put_encoded(l, part);
			text = slice_tail(text, ahead + part.n);
			part = (struct slice){ 0 };
		} else if (next_word(&text, &blanks, &word)) {
			put_word(l, l->fresh ? SLICE_LIT(" ") : blanks, word);
		}
	}
}

bool mime_is_field_name(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= 32 || name.p[i] >= 127 || name.p[i] == ':')
			return false;
	return name.n > 0 && name.n <= MIME_FIELD_NAME_MAX;
}

enum mime_fault mime_put_text(struct slice name, struct slice value, struct buf *to, struct mime_problem *ret)
{
	enum mime_fault fault = check(value);
	struct line l;

	if (fault != MIME_FINE)
		return mime_problem_set(ret, fault, name, SLICE_LIT(""));
	l = begin(name, to);
	put_text(&l, slice_trim(value));
	return finish(&l, MIME_FINE, name, ret);
}

static bool is_atom_text(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 32 || s.p[i] > 126 || strchr("()<>[]:;@\\,.\"", s.p[i]))
			return false;
	return true;
}

/* A display name: atoms, a quoted string, or encoded-words. */
static void put_phrase(struct line *l, struct slice name)
{
	struct slice part = encoded_part(name), cur = name, blanks, word;
	bool even = slice_trim(name).n == name.n;

	while (next_word(&cur, &blanks, &word))
		even = even && slice_eq(blanks, word.p == name.p ? SLICE_LIT("") : SLICE_LIT(" "));
	if (part.n > 0 || name.n > QUOTED) {
		put_encoded(l, name);
	} else if (name.n > 0 && even && is_atom_text(name)) {
		while (next_word(&name, &blanks, &word))
			put_word(l, SLICE_LIT(" "), word);
	} else {
		unsigned char room[2 * QUOTED + 2];
		struct buf quoted;

		buf_init_in(&quoted, room, sizeof(room));
		buf_byte(&quoted, '"');
		for (size_t i = 0; i < name.n; i++) {
			if (name.p[i] == '"' || name.p[i] == '\\')
				buf_byte(&quoted, '\\');
			buf_byte(&quoted, name.p[i]);
		}
		buf_byte(&quoted, '"');
		put_word(l, SLICE_LIT(" "), buf_slice(&quoted));
	}
}

/* " name <address>", or " address" alone. */
static enum mime_fault put_mailbox(struct line *l, struct slice name, struct slice address,
				   struct slice domain, struct mime_needs *needs)
{
	struct buf spec;
	enum mime_fault fault;

	buf_init(&spec, SMTP_PATH_MAX * 4);
	if (name.n > 0)
		buf_byte(&spec, '<');
	fault = mime_address_canonical(address, domain, &spec);
	if (name.n > 0)
		buf_byte(&spec, '>');
	if (fault == MIME_FINE && !buf_ok(&spec))
		fault = MIME_NO_MEMORY;
	if (fault == MIME_FINE) {
		needs->smtputf8 = needs->smtputf8 || slice_has_8bit(buf_slice(&spec));
		if (name.n > 0)
			put_phrase(l, name);
		put_word(l, SLICE_LIT(" "), buf_slice(&spec));
	}
	buf_done(&spec);
	return fault;
}

static void put_mark(struct line *l, char c)
{
	buf_byte(l->to, (unsigned char)c);
	l->column++;
}

/* The fault is told with what it is about: the address, or what stands where the reading stopped. */
static enum mime_fault put_list(struct line *l, struct slice value, struct slice domain,
				struct mime_needs *needs, struct slice field, struct mime_problem *ret)
{
	struct mime_addresses a;
	enum mime_address_item item;
	enum mime_fault fault = MIME_FINE;
	struct slice about = { 0 };
	bool comma = false, any = false;

	mime_addresses_init(&a, value);
	while (fault == MIME_FINE && (item = mime_addresses_next(&a)) != MIME_ADDRESS_END) {
		if (comma && (item == MIME_ADDRESS_MAILBOX || item == MIME_ADDRESS_GROUP))
			put_mark(l, ',');
		comma = item != MIME_ADDRESS_GROUP;
		any = true;
		about = buf_slice(&a.address);
		if (item == MIME_ADDRESS_MAILBOX && a.bare && domain.n == 0) {
			fault = MIME_NO_DOMAIN;
		} else if (item == MIME_ADDRESS_MAILBOX) {
			fault = put_mailbox(l, buf_slice(&a.name), about, a.bare ? domain : SLICE_LIT(""),
					    needs);
		} else if (item == MIME_ADDRESS_GROUP) {
			put_phrase(l, buf_slice(&a.name));
			put_mark(l, ':');
		} else if (item == MIME_ADDRESS_GROUP_END) {
			put_mark(l, ';');
		} else {
			fault = item == MIME_ADDRESS_BAD ? MIME_NO_ADDRESS : MIME_NO_MEMORY;
			about = slice_tail(value, a.at);
		}
	}
	if (fault == MIME_FINE && !any)
		fault = MIME_NO_ADDRESS;
	if (fault != MIME_FINE)
		mime_problem_set(ret, fault, field, fault == MIME_NO_MEMORY ? SLICE_LIT("") : about);
	mime_addresses_done(&a);
	return fault;
}

enum mime_fault mime_put_addresses(struct slice name, struct slice value, struct slice domain, struct buf *to,
				   struct mime_needs *needs, struct mime_problem *ret)
{
	enum mime_fault fault = check(value);
	struct mime_needs more = *needs;
	struct line l;

	if (fault != MIME_FINE)
		return mime_problem_set(ret, fault, name, SLICE_LIT(""));
	l = begin(name, to);
	fault = finish(&l, put_list(&l, value, domain, &more, name, ret), name, ret);
	if (fault == MIME_FINE)
		*needs = more;
	return fault;
}

enum mime_fault mime_put_mailbox(struct slice name, struct slice display, struct slice address,
				 struct buf *to, struct mime_needs *needs, struct mime_problem *ret)
{
	enum mime_fault fault = check(display);
	struct mime_needs more = *needs;
	struct line l;

	if (fault != MIME_FINE)
		return mime_problem_set(ret, fault, name, SLICE_LIT(""));
	l = begin(name, to);
	fault = put_mailbox(&l, slice_trim(display), address, SLICE_LIT(""), &more);
	if (fault != MIME_FINE)
		mime_problem_set(ret, fault, name, address);
	fault = finish(&l, fault, name, ret);
	if (fault == MIME_FINE)
		*needs = more;
	return fault;
}

/* RFC 2231 4.1: parts of filename*N*=, which cut no character either. */
static void put_extended(struct line *l, struct slice text)
{
	static const char hex[] = "0123456789ABCDEF";
	unsigned char room[ATTR_PART + 40];
	struct buf part;

	for (unsigned i = 0; text.n > 0; i++) {
		size_t n = 0, cost = 0;

		buf_init_in(&part, room, sizeof(room));
		buf_fmt(&part, "filename*%u*=%s", i, i == 0 ? "utf-8''" : "");
		while (n < text.n) {
			size_t len = utf8_length(slice_tail(text, n));
			bool plain = len == 1 && (is_plain(text.p[n]) || strchr("._", text.p[n])) &&
				     text.p[n] != '*' && text.p[n] != '/';

			cost += plain ? 1 : 3 * len;
			if (cost > ATTR_PART)
				break;
			for (size_t k = n; k < n + len; k++) {
				if (!plain) {
					buf_byte(&part, '%');
					buf_byte(&part, (unsigned char)hex[text.p[k] >> 4]);
				}
				buf_byte(&part, plain ? text.p[k] : (unsigned char)hex[text.p[k] & 15]);
			}
			n += len;
		}
		text = slice_tail(text, n);
		put_mark(l, ';');
		put_word(l, SLICE_LIT(" "), buf_slice(&part));
	}
}

enum mime_fault mime_put_filename(struct slice name, struct slice value, struct slice filename,
				  struct buf *to, struct mime_problem *ret)
{
	enum mime_fault fault = check(filename);
	struct line l;

	if (fault == MIME_FINE && filename.n > 1000)
		fault = MIME_TOO_LONG;
	if (fault != MIME_FINE)
		return mime_problem_set(ret, fault, SLICE_LIT("attachment"), filename);
	l = begin(name, to);
	put_word(&l, SLICE_LIT(" "), value);
	/* Backslashes in quoted strings are read in several ways, encoded-words as a surprise. */
	if (slice_has_8bit(filename) || filename.n > QUOTED || slice_find(filename, '"') < filename.n ||
	    slice_find(filename, '\\') < filename.n || slice_find(filename, '\t') < filename.n ||
	    has_encoded_word(filename)) {
		put_extended(&l, filename);
	} else {
		unsigned char room[QUOTED + 20];
		struct buf part;

		buf_init_in(&part, room, sizeof(room));
		buf_fmt(&part, "filename=\"%.*s\"", SLICE_ARG(filename));
		put_mark(&l, ';');
		put_word(&l, SLICE_LIT(" "), buf_slice(&part));
	}
	return finish(&l, MIME_FINE, name, ret);
}

static bool is_url(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 32 || s.p[i] >= 127 || s.p[i] == '<' || s.p[i] == '>' || s.p[i] == ',')
			return false;
	return s.n > 8 &&
	       (slice_starts_nocase(s, SLICE_LIT("https://")) ||
		slice_starts_nocase(s, SLICE_LIT("http://")) || slice_starts_nocase(s, SLICE_LIT("mailto:")));
}

enum mime_fault mime_put_unsubscribe(const struct slice *url, size_t urls, bool one_click, struct buf *to,
				     struct mime_problem *ret)
{
	struct slice name = SLICE_LIT("List-Unsubscribe");
	enum mime_fault fault = urls > 0 ? MIME_FINE : MIME_MISSING;
	bool https = false;
	struct line l = begin(name, to);
	size_t i;

	for (i = 0; i < urls && fault == MIME_FINE; i++) {
		if (!is_url(url[i]) || url[i].n > UNFOLDED) {
			fault = url[i].n > UNFOLDED ? MIME_TOO_LONG : MIME_NO_URL;
			mime_problem_set(ret, fault, name, url[i]);
			break;
		}
		https = https || slice_starts_nocase(url[i], SLICE_LIT("https://"));
		if (i > 0)
			put_mark(&l, ',');
		put_blank(&l, SLICE_LIT(" "), !l.fresh && l.column + url[i].n + 3 > FOLD);
		put_mark(&l, '<');
		buf_put(to, url[i]);
		l.column += url[i].n;
		put_mark(&l, '>');
		l.fresh = false;
	}
	if (fault == MIME_FINE && one_click && !https)
		fault = MIME_NO_HTTPS;
	if (fault != MIME_FINE && i == urls)
		mime_problem_set(ret, fault, name, SLICE_LIT(""));
	if (one_click)
		buf_str(to, "\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click");
	return finish(&l, fault, name, ret);
}
