#include "mime/address.h"

#include "smtp/path.h"

/* All reading is at a->at; on failure it stays at what could not be read. */

static int peek(const struct mime_addresses *a)
{
	return a->at < a->value.n ? a->value.p[a->at] : -1;
}

static bool take(struct mime_addresses *a, unsigned char c)
{
	if (peek(a) != c)
		return false;
	a->at++;
	return true;
}

static bool is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_atext(int c)
{
	return c > 32 && c != 127 && !strchr("()<>[]:;@\\,.\"", c);
}

/* After its "(": up to the ")" that belongs to it.  Of nested ones the text is kept, too. */
static bool take_comment(struct mime_addresses *a)
{
	size_t depth = 1, begin = a->at - 1;

	buf_reset(&a->comment);
	for (int c; (c = peek(a)) >= 0; a->at++) {
		depth += c == '(';
		depth -= c == ')';
		if (depth == 0) {
			a->at++;
			return true;
		}
		if (c == '\\' && a->at + 1 < a->value.n)
			c = a->value.p[++a->at];
		if (c != '\r' && c != '\n')
			buf_byte(&a->comment, (unsigned char)c);
	}
	a->at = begin;
	return false;
}

/* [CFWS]; *ret_any: there was some. */
static bool skip(struct mime_addresses *a, bool *ret_any)
{
	size_t begin = a->at;

	for (;;) {
		if (is_blank(peek(a)))
			a->at++;
		else if (!take(a, '('))
			break;
		else if (!take_comment(a))
			return false;
	}
	*ret_any = a->at > begin;
	return true;
}

static void put_raw(struct mime_addresses *a, size_t begin)
{
	for (size_t i = begin; i < a->at; i++)
		if (a->value.p[i] != '\r' && a->value.p[i] != '\n')
			buf_byte(&a->address, a->value.p[i]);
}

/* quoted-string: its text to the name, all of it to the address. */
static bool take_quoted(struct mime_addresses *a)
{
	size_t begin = a->at++;

	for (int c; (c = peek(a)) >= 0; a->at++) {
		if (c == '"') {
			a->at++;
			put_raw(a, begin);
			return true;
		}
		if (c == '\\' && a->at + 1 < a->value.n)
			c = a->value.p[++a->at];
		if (c != '\r' && c != '\n')
			buf_byte(&a->name, (unsigned char)c);
	}
	a->at = begin;
	return false;
}

static bool take_atom(struct mime_addresses *a)
{
	size_t begin = a->at;

	while (is_atext(peek(a)))
		a->at++;
	buf_put(&a->name, slice_head(slice_tail(a->value, begin), a->at - begin));
	put_raw(a, begin);
	return a->at > begin;
}

/* Words and dots, as a phrase and a local part share them. */
struct words {
	size_t n;
	bool is_local; /* words with one dot between */
	size_t end;    /* behind the last one, in the value */
};

static bool take_words(struct mime_addresses *a, struct words *ret)
{
	struct words w = { .is_local = true };
	bool dot = true, blank;

	buf_reset(&a->name);
	buf_reset(&a->address);
	if (!skip(a, &blank))
		return false;
	for (;; w.n++) {
		int c = peek(a);

		if (w.n > 0 && blank && (c == '.' || c == '"' || is_atext(c)))
			buf_byte(&a->name, ' ');
		if (c == '.') {
			w.is_local = w.is_local && !dot;
			dot = true;
			a->at++;
			buf_byte(&a->name, '.');
			buf_byte(&a->address, '.');
		} else if (c == '"' || is_atext(c)) {
			w.is_local = w.is_local && dot;
			dot = false;
			if (c == '"' ? !take_quoted(a) : !take_atom(a))
				return false;
		} else {
			break;
		}
		w.end = a->at;
		if (!skip(a, &blank))
			return false;
	}
	w.is_local = w.is_local && !dot;
	*ret = w;
	return true;
}

/* Behind the "@". */
static bool take_domain(struct mime_addresses *a)
{
	bool blank, dot = true;

	if (!skip(a, &blank))
		return false;
	buf_byte(&a->address, '@');
	if (peek(a) == '[') {
		size_t n = slice_find(slice_tail(a->value, a->at), ']'), begin = a->at;

		if (n == a->value.n - a->at)
			return false;
		a->at += n + 1;
		put_raw(a, begin);
		return skip(a, &blank);
	}
	for (;;) {
		size_t begin = a->at;

		if (peek(a) == '.' && !dot) {
			a->at++;
			dot = true;
		} else if (is_atext(peek(a)) && dot) {
			while (is_atext(peek(a)))
				a->at++;
			dot = false;
		} else {
			return !dot;
		}
		put_raw(a, begin);
		if (!skip(a, &blank))
			return false;
	}
}

/* The obsolete "@a,@b:" within angle brackets: read, and forgotten. */
static bool skip_route(struct mime_addresses *a)
{
	size_t n = slice_find(slice_tail(a->value, a->at), ':');

	for (size_t i = 0; i < n; i++) {
		int c = a->at + i < a->value.n ? a->value.p[a->at + i] : '>';

		if (c != '@' && c != ',' && c != '.' && !is_blank(c) && !is_atext(c))
			return false;
	}
	a->at += n + 1;
	return true;
}

/* local [ "@" domain ]; the words are read already. */
static bool take_spec(struct mime_addresses *a, const struct words *w)
{
	if (w->n == 0 || !w->is_local)
		return false;
	a->local_end = w->end;
	a->bare = !take(a, '@');
	return a->bare || take_domain(a);
}

/* Behind the "<". */
static bool take_angle(struct mime_addresses *a)
{
	struct buf name = a->name;
	struct words w;
	bool blank, good;

	a->name = (struct buf){ .max = name.max };
	good = skip(a, &blank) && (peek(a) != '@' || skip_route(a)) && take_words(a, &w) &&
	       take_spec(a, &w) && take(a, '>');
	if (!buf_ok(&a->name))
		name.failed = true;
	buf_done(&a->name);
	a->name = name;
	return good && skip(a, &blank);
}

static enum mime_address_item take_mailbox(struct mime_addresses *a)
{
	size_t begin = a->at;
	struct words w;

	a->local_end = 0;
	if (!take_words(a, &w))
		return MIME_ADDRESS_BAD;
	if (peek(a) == ':' && w.n > 0 && !a->in_group) {
		a->at++;
		a->in_group = true;
		return MIME_ADDRESS_GROUP;
	}
	if (take(a, '<')) {
		if (!take_angle(a))
			return MIME_ADDRESS_BAD;
	} else {
		buf_reset(&a->name);
		if (!w.is_local)
			a->at = begin;
		if (!take_spec(a, &w))
			return MIME_ADDRESS_BAD;
	}
	if (buf_slice(&a->name).n == 0)
		buf_put(&a->name, slice_trim(buf_slice(&a->comment)));
	a->wants_comma = true;
	return MIME_ADDRESS_MAILBOX;
}

static enum mime_address_item take_item(struct mime_addresses *a)
{
	bool blank;

	buf_reset(&a->comment);
	for (;;) {
		if (!skip(a, &blank))
			return MIME_ADDRESS_BAD;
		if (!take(a, ','))
			break;
		a->wants_comma = false;
	}
	if (a->in_group && take(a, ';')) {
		a->in_group = false;
		a->wants_comma = true;
		return MIME_ADDRESS_GROUP_END;
	}
	if (peek(a) < 0)
		return a->in_group ? MIME_ADDRESS_BAD : MIME_ADDRESS_END;
	if (a->wants_comma)
		return MIME_ADDRESS_BAD;
	return take_mailbox(a);
}

void mime_addresses_init(struct mime_addresses *a, struct slice value)
{
	*a = (struct mime_addresses){ .value = value };
	/* None can grow past what is read (blanks between words included): so they fail for memory only. */
	buf_init(&a->name, value.n * 2 + 1);
	buf_init(&a->address, value.n + 1);
	buf_init(&a->comment, value.n + 1);
}

void mime_addresses_done(struct mime_addresses *a)
{
	buf_done(&a->name);
	buf_done(&a->address);
	buf_done(&a->comment);
}

enum mime_address_item mime_addresses_next(struct mime_addresses *a)
{
	if (a->over)
		return a->last;
	a->last = take_item(a);
	if (!buf_ok(&a->name) || !buf_ok(&a->address) || !buf_ok(&a->comment))
		a->last = MIME_ADDRESS_NO_MEMORY;
	a->over = a->last == MIME_ADDRESS_END || a->last == MIME_ADDRESS_BAD ||
		  a->last == MIME_ADDRESS_NO_MEMORY;
	return a->last;
}

enum mime_fault mime_address_canonical(struct slice address, struct slice domain, struct buf *to)
{
	struct smtp_path path;
	struct buf whole;
	enum mime_fault fault = MIME_FINE;
	size_t at;

	buf_init(&whole, address.n + 1 + domain.n);
	buf_put(&whole, address);
	if (domain.n > 0) {
		buf_byte(&whole, '@');
		buf_put(&whole, domain);
	}
	if (!buf_ok(&whole))
		fault = MIME_NO_MEMORY;
	else if (smtp_parse_address(buf_slice(&whole), &path, &at) != SMTP_PARSE_OK)
		fault = MIME_NO_ADDRESS;
	else if (!smtp_path_put_canonical(&path, to))
		fault = buf_ok(to) ? MIME_NO_ADDRESS : MIME_NO_MEMORY;
	buf_done(&whole);
	return fault;
}
