#include "route/classify.h"

#include <string.h>

#include "route/classify_rows.h"

/* ---- texts ---- */

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 'a' - 'A') : c;
}

static struct slice lowered(struct slice s, unsigned char *room, size_t size)
{
	s = slice_head(s, size);
	for (size_t i = 0; i < s.n; i++)
		room[i] = lower(s.p[i]);
	return slice_of(room, s.n);
}

/* Parts between "*", each behind the one before; both in lower case. */
static bool parts_match(struct slice text, struct slice parts)
{
	while (parts.n > 0) {
		struct slice part = slice_head(parts, slice_find(parts, '*'));
		const unsigned char *at;

		parts = slice_tail(parts, part.n + 1);
		if (part.n == 0)
			continue;
		at = text.n > 0 ? memmem(text.p, text.n, part.p, part.n) : NULL;
		if (!at)
			return false;
		text = slice_tail(text, (size_t)(at - text.p) + part.n);
	}
	return true;
}

static bool lower_matches(struct slice text, struct slice pattern)
{
	while (pattern.n > 0) {
		struct slice one = slice_head(pattern, slice_find(pattern, '|'));

		pattern = slice_tail(pattern, one.n + 1);
		if (one.n > 0 && parts_match(text, one))
			return true;
	}
	return false;
}

bool route_text_matches(struct slice text, struct slice pattern)
{
	unsigned char t[ROUTE_TEXT_MAX], p[ROUTE_PATTERN_MAX];

	return lower_matches(lowered(text, t, sizeof(t)), lowered(pattern, p, sizeof(p)));
}

/* "5.7" is the beginning of "5.7.1", and not of "5.71.1". */
static bool enhanced_matches(struct slice enhanced, struct slice want)
{
	struct slice rest = slice_tail(enhanced, want.n);

	return slice_starts(enhanced, want) &&
	       (want.n == 0 || rest.n == 0 || rest.p[0] == '.' || want.p[want.n - 1] == '.');
}

/* ---- codes ---- */

static bool code_matches(const struct route_reply *r, unsigned want)
{
	if (want == 0)
		return true;
	return want < 10 ? r->code / 100 == (int)want : r->code == (int)want;
}

/* What the server, or where it said nothing our own words, make of it. */
static bool is_permanent(const struct route_reply *r)
{
	if (r->code > 0)
		return r->code / 100 == 5;
	return r->enhanced.n > 0 && r->enhanced.p[0] == '5';
}

static bool is_before_mail(enum smtp_client_step step)
{
	return step == SMTP_CLIENT_AT_GREETING || step == SMTP_CLIENT_AT_HELO ||
	       step == SMTP_CLIENT_AT_STARTTLS;
}

/* ---- rows ---- */

static struct route_meaning of_class(enum route_class class)
{
	const struct route_class_row *c = &route_classes[class];

	return (struct route_meaning){
		.class = class, .name = c->name, .what = c->what, .turn = c->turn, .todo = c->todo
	};
}

static bool by_rules(const struct route_reply *r, struct slice text, const struct route_rule *rules, size_t n,
		     struct route_meaning *ret)
{
	for (size_t i = 0; i < n; i++) {
		const struct route_rule *u = &rules[i];
		enum route_class class = ROUTE_CLASS_OTHER;

		if (!code_matches(r, u->code) || !enhanced_matches(r->enhanced, slice_str(u->enhanced)) ||
		    (u->text && *u->text && !route_text_matches(text, slice_str(u->text))))
			continue;
		(void)route_class_parse(slice_str(u->class), &class);
		*ret = of_class(class);
		if (u->class && *u->class)
			ret->name = u->class;
		if (u->meaning && *u->meaning)
			ret->what = u->meaning;
		ret->by_user = true;
		ret->own_words = u->meaning && *u->meaning;
		ret->action = u->action;
		if (u->action == ROUTE_DEFER_PAUSE)
			ret->pause_s = u->pause_s > 0 ? u->pause_s : ROUTE_PAUSE_S;
		return true;
	}
	return false;
}

static bool row_matches(const struct route_row *w, const struct route_reply *r, struct slice text)
{
	if (!code_matches(r, w->code) || !enhanced_matches(r->enhanced, slice_str(w->enhanced)))
		return false;
	if (w->steps != 0 && !(w->steps & 1U << (r->step & 31)))
		return false;
	return !w->words || lower_matches(text, slice_str(w->words));
}

static struct route_meaning by_ours(const struct route_reply *r, struct slice text)
{
	struct route_meaning m = of_class(ROUTE_CLASS_OTHER);
	const struct route_row *w = NULL;
	const struct route_class_row *c;

	for (size_t i = 0; i < route_rows_n && !w; i++)
		if (row_matches(&route_rows[i], r, text))
			w = &route_rows[i];
	if (w)
		m = of_class(w->class);
	c = &route_classes[m.class];
	m.action = is_permanent(r) ? ROUTE_FAIL : c->action;
	m.pause_s = c->pause_s;
	if (w && w->forced) {
		m.action = w->action;
		m.pause_s = w->pause_s;
	}
	/* Nothing of the message was said yet. */
	if (m.action == ROUTE_FAIL && r->code > 0 && is_before_mail(r->step) && r->code != 521 &&
	    r->code != 556) {
		m.action = ROUTE_DEFER_PAUSE;
		m.pause_s = 0;
	}
	if (m.action == ROUTE_DEFER_PAUSE && m.pause_s == 0)
		m.pause_s = ROUTE_PAUSE_S;
	if (m.action != ROUTE_DEFER_PAUSE)
		m.pause_s = 0;
	return m;
}

struct route_meaning route_classify(const struct route_reply *r, const struct route_rule *rules, size_t n)
{
	unsigned char room[ROUTE_TEXT_MAX];
	struct slice text = lowered(r->text, room, sizeof(room));
	struct route_meaning m;

	if (!by_rules(r, text, rules, n, &m))
		m = by_ours(r, text);
	if (m.action == ROUTE_FAIL && m.turn == route_nobody) {
		m.turn = "The administrator of the recipient's server.";
		m.todo = "Tell its operator what it said, and send the message again.";
	}
	return m;
}

/* ---- names ---- */

const char *route_class_name(enum route_class class)
{
	return class < ROUTE_CLASSES ? route_classes[class].name : "other";
}

bool route_class_parse(struct slice name, enum route_class *ret)
{
	for (unsigned i = 0; i < ROUTE_CLASSES; i++)
		if (slice_eq_nocase(name, slice_str(route_classes[i].name))) {
			*ret = (enum route_class)i;
			return true;
		}
	return false;
}

const char *route_action_name(enum route_action action)
{
	static const char *const names[ROUTE_ACTIONS] = { "defer", "slow", "pause", "fail" };

	return action < ROUTE_ACTIONS ? names[action] : "defer";
}

struct route_reply route_reply_of(struct slice text, enum smtp_client_step step)
{
	struct route_reply r = { .step = step, .text = text };
	struct slice c = text, word;
	uint64_t code;

	if (cur_u64(&c, 599, &code) && code >= 200 && cur_byte(&c, ' ')) {
		r.code = (int)code;
		r.text = c;
	}
	word = slice_head(r.text, slice_find(r.text, ' '));
	c = word;
	if (cur_u64(&c, 5, &code) && cur_byte(&c, '.') && cur_u64(&c, 999, &code) && cur_byte(&c, '.') &&
	    cur_u64(&c, 999, &code) && c.n == 0) {
		r.enhanced = word;
		r.text = slice_tail(r.text, word.n + 1);
	}
	return r;
}
