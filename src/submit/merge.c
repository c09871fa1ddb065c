#include "submit/merge_private.h"

#include <errno.h>

#define ONE_CLICK "List-Unsubscribe=One-Click"

static const struct row {
	struct slice name;
	enum template_kind kind;
} rows[MERGE_PARTS] = {
	[MERGE_PART_FROM] = { SLICE_INIT("From"), TEMPLATE_ADDRESSES },
	[MERGE_PART_SENDER] = { SLICE_INIT("Sender"), TEMPLATE_ADDRESSES },
	[MERGE_PART_REPLY_TO] = { SLICE_INIT("Reply-To"), TEMPLATE_ADDRESSES },
	[MERGE_PART_TO] = { SLICE_INIT("To"), TEMPLATE_ADDRESSES },
	[MERGE_PART_CC] = { SLICE_INIT("Cc"), TEMPLATE_ADDRESSES },
	[MERGE_PART_BCC] = { SLICE_INIT("Bcc"), TEMPLATE_ADDRESSES },
	[MERGE_PART_SUBJECT] = { SLICE_INIT("Subject"), TEMPLATE_FIELD },
	[MERGE_PART_UNSUBSCRIBE] = { SLICE_INIT("List-Unsubscribe"), TEMPLATE_URLS },
};

/* ---- words ---- */

void merge_put_said(struct buf *to, struct slice s)
{
	struct mime_problem p;

	mime_problem_set(&p, MIME_FINE, SLICE_LIT(""), s);
	buf_fmt(to, "'%s'", p.about);
}

int merge_say_template(const struct template_problem *p, const char *file, struct buf *words)
{
	if (p->fault == TEMPLATE_NO_MEMORY)
		return -ENOMEM;
	buf_fmt(words, "%s, line %u, column %u: ", file, p->line, p->column);
	if (p->name.n > 0) {
		merge_put_said(words, p->name);
		buf_str(words, ": ");
	}
	buf_str(words, template_fault_text(p->fault));
	if (p->near.n > 0) {
		buf_str(words, "; is it ");
		merge_put_said(words, p->near);
		buf_str(words, "?");
	}
	return -EBADMSG;
}

static int say_line(struct buf *words, uint32_t line, struct slice name, const char *what)
{
	buf_fmt(words, "the template, line %u: ", line);
	if (name.n > 0) {
		merge_put_said(words, name);
		buf_byte(words, ' ');
	}
	buf_str(words, what);
	return -EBADMSG;
}

/* ---- the template ---- */

struct field {
	struct slice name, value; /* folded, with blanks in front, and without the last line end */
	uint32_t line, column;	  /* of the value */
};

static uint32_t characters(struct slice s)
{
	uint32_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += (s.p[i] & 0xc0) != 0x80;
	return n;
}

/* "name: value", and the lines behind it that begin with a blank.  Moves the line number, too. */
static int take_field(struct slice *cur, uint32_t *line, struct field *ret, struct buf *words)
{
	struct field f = { .line = *line };
	size_t n = 0, colon;

	do {
		n += slice_find(slice_tail(*cur, n), '\n');
		n += n < cur->n;
		++*line;
	} while (n < cur->n && (cur->p[n] == ' ' || cur->p[n] == '\t'));
	f.value = slice_head(*cur, n);
	*cur = slice_tail(*cur, n);
	while (f.value.n > 0 && (f.value.p[f.value.n - 1] == '\n' || f.value.p[f.value.n - 1] == '\r'))
		f.value.n--;
	colon = slice_find(f.value, ':');
	f.name = slice_trim(slice_head(f.value, colon));
	if (colon == f.value.n || !mime_is_field_name(f.name))
		return say_line(words, f.line, SLICE_LIT(""),
				"no field: before the body stand lines of the form \"Name: text\", and an "
				"empty line");
	f.column = characters(slice_head(f.value, colon + 1)) + 1;
	f.value = slice_tail(f.value, colon + 1);
	*ret = f;
	return 0;
}

static int make(struct merge *m, struct merge_filled *to, enum template_kind kind, struct slice text,
		uint32_t line, uint32_t column, const char *file, struct buf *words)
{
	struct template_problem p;

	buf_init(&to->value,
		 kind == TEMPLATE_TEXT || kind == TEMPLATE_HTML ? DRAFT_TEXT_MAX : MERGE_VALUE_MAX);
	if (template_new(&to->t, kind, text, m->setup.columns, m->setup.n, line, column, &p) != TEMPLATE_FINE)
		return merge_say_template(&p, file, words);
	return 0;
}

static int add(struct merge *m, struct merge_filled *list, size_t *n, const struct field *f,
	       enum template_kind kind, struct buf *words)
{
	if (*n == MERGE_FIELDS_MAX)
		return say_line(words, f->line, f->name, "is one field too many");
	list[*n].name = f->name;
	return make(m, &list[(*n)++], kind, f->value, f->line, f->column, "the template", words);
}

static bool is_for_us(struct slice name)
{
	static const char *const ours[] = { "Date", "Message-ID", "Received", "Return-Path",
					    "DKIM-Signature" };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (slice_eq_nocase(name, slice_str(ours[i])))
			return true;
	return slice_starts_nocase(name, SLICE_LIT("Content-")) ||
	       slice_starts_nocase(name, SLICE_LIT("Resent-"));
}

/* ASCII is UTF-8, too. */
static bool is_charset_ours(struct slice value)
{
	size_t at = 0;

	while (at < value.n && !slice_starts_nocase(slice_tail(value, at), SLICE_LIT("charset=")))
		at++;
	value = slice_tail(value, at < value.n ? at + 8 : at);
	cur_byte(&value, '"');
	return value.n == 0 || slice_starts_nocase(value, SLICE_LIT("utf-8")) ||
	       slice_starts_nocase(value, SLICE_LIT("us-ascii"));
}

/* Fields that say something about the template; *ret_taken: it was one of those. */
static int take_own(struct merge *m, const struct field *f, bool *html, bool *ret_taken, struct buf *words)
{
	struct slice value = slice_trim(f->value);

	*ret_taken = true;
	if (slice_eq_nocase(f->name, SLICE_LIT("MIME-Version")))
		return 0;
	if (slice_eq_nocase(f->name, SLICE_LIT("Content-Type"))) {
		*html = slice_starts_nocase(value, SLICE_LIT("text/html"));
		if ((!*html && !slice_starts_nocase(value, SLICE_LIT("text/plain"))) ||
		    !is_charset_ours(value))
			return say_line(
				words, f->line, f->name,
				"is text/plain or text/html here, and both in UTF-8; what else goes with "
				"the message, stands in Attach");
		return 0;
	}
	if (slice_eq_nocase(f->name, SLICE_LIT("List-Unsubscribe-Post"))) {
		m->one_click = true;
		if (!slice_eq_nocase(value, SLICE_LIT(ONE_CLICK)))
			return say_line(words, f->line, f->name, "can say " ONE_CLICK " only (RFC 8058)");
		return 0;
	}
	*ret_taken = false;
	return 0;
}

static int take_one(struct merge *m, const struct field *f, bool *html, struct buf *words)
{
	bool taken, addresses;
	int r = take_own(m, f, html, &taken, words);

	if (r < 0 || taken)
		return r;
	if (slice_eq_nocase(f->name, SLICE_LIT("Attach")))
		return add(m, m->attach, &m->attaches, f, TEMPLATE_PATH, words);
	for (size_t i = 0; i < MERGE_PARTS; i++) {
		if (!slice_eq_nocase(f->name, rows[i].name))
			continue;
		if (m->part[i].t)
			return say_line(words, f->line, f->name, "is there already");
		m->part[i].name = rows[i].name;
		return make(m, &m->part[i], rows[i].kind, f->value, f->line, f->column, "the template",
			    words);
	}
	if (is_for_us(f->name))
		return say_line(words, f->line, f->name, "is made for each message, and is none to give");
	addresses = f->name.n > 3 && slice_eq_nocase(slice_tail(f->name, f->name.n - 3), SLICE_LIT("-To"));
	return add(m, m->extra, &m->extras, f, addresses ? TEMPLATE_ADDRESSES : TEMPLATE_FIELD, words);
}

static bool is_line_end(struct slice *cur)
{
	struct slice c = *cur;

	cur_byte(&c, '\r');
	if (!cur_byte(&c, '\n'))
		return false;
	*cur = c;
	return true;
}

/* An https address that says who unsubscribes has a place in it. */
static void look_at_unsubscribe(struct merge *m, struct slice value)
{
	struct slice one;

	while (cur_until(&value, '<', &one)) {
		struct slice rest = value;

		if (!cur_until(&value, '>', &one))
			one = rest;
		if (one.n > 4 && memmem(one.p, one.n, "{{", 2) &&
		    (slice_starts_nocase(one, SLICE_LIT("https://")) || slice_starts(one, SLICE_LIT("{{"))))
			m->https = true;
	}
}

static int take_template(struct merge *m, struct buf *words)
{
	struct slice cur = m->setup.text;
	uint32_t line = 1;
	bool html = false;
	struct field f;
	int r = 0;

	cur_word(&cur, SLICE_LIT("\xef\xbb\xbf"));
	while (r == 0 && cur.n > 0 && !is_line_end(&cur)) {
		r = take_field(&cur, &line, &f, words);
		if (r == 0)
			r = take_one(m, &f, &html, words);
		if (r == 0 && slice_eq_nocase(f.name, rows[MERGE_PART_UNSUBSCRIBE].name))
			look_at_unsubscribe(m, f.value);
	}
	if (r < 0)
		return r;
	line++;
	if (html && m->setup.has_html) {
		buf_str(words, "the template is HTML itself (Content-Type), and there is another HTML part");
		return -EBADMSG;
	}
	/* A template of fields only, beside an HTML part: there is no text. */
	if (!html && m->setup.has_html && slice_trim(cur).n == 0)
		return 0;
	return make(m, html ? &m->html : &m->text, html ? TEMPLATE_HTML : TEMPLATE_TEXT, cur, line, 1,
		    "the template", words);
}

static int check_template(const struct merge *m, struct buf *words)
{
	if (!m->part[MERGE_PART_FROM].t && !*m->setup.from) {
		buf_str(words, "the template has no From, and no --from was given");
		return -EBADMSG;
	}
	if (!m->part[MERGE_PART_TO].t && !m->part[MERGE_PART_CC].t && !m->part[MERGE_PART_BCC].t) {
		buf_str(words,
			"the template says not to whom: \"To: {{email}}\", if that column has the address");
		return -EBADMSG;
	}
	if (m->one_click && !m->https) {
		buf_str(words,
			"List-Unsubscribe-Post wants a List-Unsubscribe: <https://...{{column}}...> beside "
			"it: the address must say by itself who unsubscribes (RFC 8058)");
		return -EBADMSG;
	}
	return 0;
}

int merge_new(struct merge **ret, const struct merge_setup *setup, struct buf *words)
{
	struct merge *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->setup = *setup;
	buf_init(&m->scratch, DRAFT_TEXT_MAX);
	r = take_template(m, words);
	if (r == 0 && setup->has_html) {
		struct slice html = setup->html;

		cur_word(&html, SLICE_LIT("\xef\xbb\xbf"));
		r = make(m, &m->html, TEMPLATE_HTML, html, 1, 1, "the HTML part", words);
	}
	if (r == 0)
		r = check_template(m, words);
	if (r < 0)
		merge_free(m);
	else
		*ret = m;
	return r;
}

static void filled_done(struct merge_filled *f)
{
	template_free(f->t);
	buf_done(&f->value);
}

void merge_free(struct merge *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < MERGE_PARTS; i++)
		filled_done(&m->part[i]);
	for (size_t i = 0; i < m->extras; i++)
		filled_done(&m->extra[i]);
	for (size_t i = 0; i < m->attaches; i++)
		filled_done(&m->attach[i]);
	filled_done(&m->text);
	filled_done(&m->html);
	buf_done(&m->scratch);
	free(m);
}

bool merge_has_one_click(const struct merge *m)
{
	return m->one_click;
}

bool merge_could_one_click(const struct merge *m)
{
	return m->https && !m->one_click;
}

bool merge_has_one_sender(const struct merge *m)
{
	const struct merge_filled *from = &m->part[MERGE_PART_FROM], *sender = &m->part[MERGE_PART_SENDER];

	return (!from->t || template_places(from->t) == 0) && (!sender->t || template_places(sender->t) == 0);
}
