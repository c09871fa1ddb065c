/* What a row of the table makes of the template. */
#include "submit/merge_private.h"

#include <errno.h>

#include "mime/address.h"

static int say_problem(const struct mime_problem *p, struct buf *words)
{
	if (p->fault == MIME_NO_MEMORY)
		return -ENOMEM;
	mime_problem_put(p, words);
	return -EBADMSG;
}

static int fill(struct merge_filled *f, const struct slice *cells, const char *file, struct buf *words)
{
	struct template_problem p;

	if (!f->t)
		return 0;
	buf_reset(&f->value);
	if (template_put(f->t, cells, &f->value, &p) == TEMPLATE_FINE)
		return 0;
	if (p.fault == TEMPLATE_NO_MEMORY && template_most(f->t, cells) > f->value.max) {
		merge_put_said(words, p.name);
		buf_str(words, ": what it makes is too long");
		return -EBADMSG;
	}
	return merge_say_template(&p, file, words);
}

/* Line ends in it are the template's own folds: no cell brought one. */
static struct slice unfold(struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		if (b->p[b->from + i] != '\r' && b->p[b->from + i] != '\n')
			b->p[b->from + n++] = b->p[b->from + i];
	b->n = n;
	return slice_trim(buf_slice(b));
}

static int fill_all(struct merge *m, const struct slice *cells, struct buf *words)
{
	int r = 0;

	for (size_t i = 0; i < MERGE_PARTS && r == 0; i++)
		r = fill(&m->part[i], cells, "the template", words);
	for (size_t i = 0; i < m->extras && r == 0; i++)
		r = fill(&m->extra[i], cells, "the template", words);
	for (size_t i = 0; i < m->attaches && r == 0; i++)
		r = fill(&m->attach[i], cells, "the template", words);
	if (r == 0)
		r = fill(&m->text, cells, "the template", words);
	if (r == 0)
		r = fill(&m->html, cells, m->setup.has_html ? "the HTML part" : "the template", words);
	return r;
}

/* "<https://...>, <mailto:...>" */
static int take_urls(struct merge *m, struct slice value, struct mime_message *to, struct buf *words)
{
	size_t n = 0;

	while (value.n > 0) {
		struct slice url;

		if (n == MERGE_URLS_MAX || !cur_byte(&value, '<') || !cur_until(&value, '>', &url)) {
			buf_str(words, "List-Unsubscribe: it is a list of <https:...> and <mailto:...>");
			return -EBADMSG;
		}
		m->url[n++] = url;
		cur_blanks(&value);
		if (cur_byte(&value, ','))
			cur_blanks(&value);
	}
	to->unsubscribe = m->url;
	to->unsubscribes = n;
	to->one_click = m->one_click;
	return 0;
}

static void take_extras(struct merge *m, struct draft_parts *ret)
{
	struct mime_message *to = &ret->message;

	for (size_t i = 0; i < m->extras; i++) {
		struct slice value = unfold(&m->extra[i].value);

		if (value.n > 0)
			m->header[to->headers++] = (struct mime_extra){ m->extra[i].name, value };
	}
	to->header = m->header;
}

/* Paths end with NUL, and begin in the template's folder. */
static int take_files(struct merge *m, struct draft_parts *ret)
{
	for (size_t i = 0; i < m->attaches; i++) {
		struct slice path = unfold(&m->attach[i].value);
		char *copy;
		struct buf whole;

		if (path.n == 0)
			continue;
		buf_init(&whole, MERGE_VALUE_MAX);
		if (path.p[0] != '/' && *m->setup.folder)
			buf_fmt(&whole, "%s/", m->setup.folder);
		buf_put(&whole, path);
		copy = buf_ok(&whole) ? slice_dup(buf_slice(&whole)) : NULL;
		buf_done(&whole);
		if (!copy)
			return -ENOMEM;
		buf_reset(&m->attach[i].value);
		buf_put(&m->attach[i].value, slice_of(copy, strlen(copy) + 1));
		free(copy);
		if (!buf_ok(&m->attach[i].value))
			return -ENOMEM;
		m->file[ret->files++] =
			(struct draft_file){ .path = (const char *)buf_slice(&m->attach[i].value).p };
	}
	ret->file = m->file;
	return 0;
}

int merge_make(struct merge *m, const struct slice *cells, struct draft_parts *ret, struct buf *words)
{
	struct draft_parts p = { 0 };
	struct slice value[MERGE_PARTS] = { 0 };
	int r = fill_all(m, cells, words);

	if (r < 0)
		return r;
	for (size_t i = 0; i < MERGE_PARTS; i++)
		if (m->part[i].t)
			value[i] = unfold(&m->part[i].value);
	p.message = (struct mime_message){ .from = m->part[MERGE_PART_FROM].t ? value[MERGE_PART_FROM]
									      : slice_str(m->setup.from),
					   .sender = value[MERGE_PART_SENDER],
					   .reply_to = value[MERGE_PART_REPLY_TO],
					   .to = value[MERGE_PART_TO],
					   .cc = value[MERGE_PART_CC],
					   .subject = value[MERGE_PART_SUBJECT],
					   .has_subject = m->part[MERGE_PART_SUBJECT].t != NULL,
					   .has_text = m->text.t != NULL,
					   .has_html = m->html.t != NULL,
					   .text = buf_slice(&m->text.value),
					   .html = buf_slice(&m->html.value) };
	p.bcc = value[MERGE_PART_BCC];
	take_extras(m, &p);
	r = take_urls(m, value[MERGE_PART_UNSUBSCRIBE], &p.message, words);
	if (r == 0)
		r = take_files(m, &p);
	if (r == 0)
		*ret = p;
	return r;
}

static int address(const struct draft_parts *parts, struct submit_envelope *e, struct mime_problem *p)
{
	const struct mime_message *m = &parts->message;
	const struct {
		struct slice name, list;
	} lists[] = {
		{ SLICE_INIT("To"), m->to },
		{ SLICE_INIT("Cc"), m->cc },
		{ SLICE_INIT("Bcc"), parts->bcc },
	};
	enum mime_fault fault = MIME_FINE;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && fault == MIME_FINE; i++)
		fault = submit_envelope_add(e, lists[i].list, SLICE_LIT(""), lists[i].name, p);
	if (fault == MIME_FINE && e->recipients == 0)
		fault = mime_problem_set(p, MIME_MISSING, SLICE_LIT("recipient"), SLICE_LIT(""));
	if (fault == MIME_FINE)
		fault = submit_envelope_sender(e, m->sender.n > 0 ? m->sender : m->from, SLICE_LIT(""), p);
	return fault == MIME_FINE ? 0 : -EBADMSG;
}

int merge_check(struct merge *m, const struct draft_parts *parts, struct submit_envelope *ret,
		struct buf *words)
{
	struct mime_message head = parts->message;
	struct mime_problem p = { 0 };
	struct mime_compose c;

	if (address(parts, ret, &p) < 0)
		return say_problem(&p, words);
	/* All that can be wrong with the bodies was seen when they were made. */
	head.has_text = true;
	head.has_html = false;
	head.text = SLICE_LIT("");
	head.unique = SLICE_LIT("x");
	buf_reset(&m->scratch);
	if (mime_compose_begin(&c, &head, &m->scratch, &p) != MIME_FINE)
		return say_problem(&p, words);
	return 0;
}

int merge_key(struct merge *m, const struct draft_parts *parts, struct buf *to)
{
	const struct slice lists[] = { parts->message.to, parts->message.cc, parts->bcc };
	enum mime_address_item item = MIME_ADDRESS_END;
	struct mime_addresses a;
	size_t i = 0;

	while (i < 2 && !(m->part[MERGE_PART_TO + i].t && template_places(m->part[MERGE_PART_TO + i].t) > 0))
		i++;
	mime_addresses_init(&a, lists[i]);
	while ((item = mime_addresses_next(&a)) == MIME_ADDRESS_MAILBOX || item == MIME_ADDRESS_GROUP ||
	       item == MIME_ADDRESS_GROUP_END) {
		struct slice s = buf_slice(&a.address);

		for (size_t k = 0; item == MIME_ADDRESS_MAILBOX && k < s.n; k++)
			buf_byte(to,
				 s.p[k] >= 'A' && s.p[k] <= 'Z' ? (unsigned char)(s.p[k] | 0x20) : s.p[k]);
		buf_byte(to, ' ');
	}
	mime_addresses_done(&a);
	return item == MIME_ADDRESS_NO_MEMORY || !buf_ok(to) ? -ENOMEM : 0;
}
