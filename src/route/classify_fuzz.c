/* classify_fuzz.c - whatever a server says, its first digit decides but for the exceptions that classify.h
 * states; a pattern matches what a slow and simple-minded matcher finds; letters' case and what stands behind
 * ROUTE_TEXT_MAX change nothing. */
#include <stdlib.h>
#include <string.h>

#include "route/classify.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define TEXT_MAX 120 /* of what patterns are tried on */

static unsigned char fold(unsigned char c)
{
	return c >= 'a' && c <= 'z' ? (unsigned char)(c - 'a' + 'A') : c;
}

/* Whether that stands somewhere in the text, "*" being anything: by where in the text one may be after each
 * letter of it.  Trying each star's lengths would take longer than anybody waits. */
static bool stands(struct slice text, struct slice one)
{
	bool at[TEXT_MAX + 1], any = true;

	memset(at, true, sizeof(at));
	for (size_t k = 0; k < one.n; k++) {
		bool next[TEXT_MAX + 1] = { false }, before = false;

		any = false;
		for (size_t i = 0; i <= text.n; i++) {
			if (one.p[k] == '*')
				before = next[i] = before || at[i];
			else
				next[i] = i > 0 && at[i - 1] && fold(text.p[i - 1]) == fold(one.p[k]);
			any = any || next[i];
		}
		memcpy(at, next, sizeof(at));
	}
	return any;
}

/* Only stars and nothing: "*" matches everything, and "" nothing. */
static bool slow_match(struct slice text, struct slice pattern)
{
	for (;;) {
		struct slice one = slice_head(pattern, slice_find(pattern, '|'));

		if (one.n > 0 && stands(text, one))
			return true;
		if (one.n >= pattern.n)
			return false;
		pattern = slice_tail(pattern, one.n + 1);
	}
}

static void same(const struct route_meaning *a, const struct route_meaning *b)
{
	CHECK(a->class == b->class && a->action == b->action && a->pause_s == b->pause_s &&
	      a->what == b->what && a->turn == b->turn && a->todo == b->todo);
}

static void check_said(const struct route_reply *r)
{
	static unsigned char room[ROUTE_TEXT_MAX + 64];
	struct route_meaning m = route_classify(r, NULL, 0), again;
	struct route_reply loud = *r;
	enum route_class class = ROUTE_CLASSES;
	size_t n = r->text.n < ROUTE_TEXT_MAX ? r->text.n : ROUTE_TEXT_MAX;

	CHECK(m.class < ROUTE_CLASSES && m.action < ROUTE_ACTIONS && *m.what && *m.turn && *m.todo);
	CHECK(route_class_parse(slice_str(m.name), &class) && class == m.class);
	CHECK((m.pause_s > 0) == (m.action == ROUTE_DEFER_PAUSE));
	if (r->code / 100 == 4 || (r->code == 0 && !slice_starts(r->enhanced, SLICE_LIT("5"))))
		CHECK(m.action != ROUTE_FAIL);
	if (r->code / 100 == 5 && r->code != 521 && r->code != 556 &&
	    (r->step == SMTP_CLIENT_AT_GREETING || r->step == SMTP_CLIENT_AT_HELO ||
	     r->step == SMTP_CLIENT_AT_STARTTLS))
		CHECK(m.action == ROUTE_DEFER_PAUSE || m.action == ROUTE_DEFER ||
		      m.action == ROUTE_DEFER_SLOW);
	for (size_t i = 0; i < n; i++)
		room[i] = fold(r->text.p[i]);
	loud.text = slice_of(room, n);
	if (n == ROUTE_TEXT_MAX) {
		memcpy(room + n, "user unknown, greylisted, spam", 30);
		loud.text.n = n + 30;
	}
	again = route_classify(&loud, NULL, 0);
	same(&m, &again);
}

/* A user's row counts before ours, if and only if it matches. */
static void check_rule(const struct route_reply *r, struct slice pattern)
{
	char text[ROUTE_PATTERN_MAX + 1];
	struct route_rule rule = { .code = 5,
				   .enhanced = "",
				   .text = text,
				   .class = "mine",
				   .action = ROUTE_DEFER_PAUSE,
				   .meaning = "" };
	struct route_meaning m;
	bool matches;

	pattern = slice_head(pattern, ROUTE_PATTERN_MAX);
	if (pattern.n == 0 || r->text.n > TEXT_MAX || memchr(pattern.p, '\0', pattern.n))
		return;
	slice_copy(pattern, text, sizeof(text));
	matches = slow_match(r->text, pattern);
	CHECK(route_text_matches(r->text, pattern) == matches);
	m = route_classify(r, &rule, 1);
	CHECK((strcmp(m.name, "mine") == 0) == (matches && r->code / 100 == 5));
	if (matches && r->code / 100 == 5)
		CHECK(m.action == ROUTE_DEFER_PAUSE && m.pause_s == ROUTE_PAUSE_S);
}

static void check_taken_apart(struct slice text)
{
	struct route_reply r = route_reply_of(text, SMTP_CLIENT_IDLE);
	size_t used = (size_t)(r.text.n > 0 ? r.text.p - text.p : (ptrdiff_t)text.n);

	CHECK(r.text.n + used == text.n && (r.code == 0 || (r.code >= 200 && r.code <= 599)));
	CHECK(r.enhanced.n == 0 || slice_find(r.enhanced, '.') < r.enhanced.n);
	if (r.code > 0)
		CHECK(slice_find(text, (unsigned char)('0' + r.code % 10)) < text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Step and code, the pattern's line, then what the server said. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int codes[] = { 0,	  250, 421, 450, 451, 452, 454, 500, 501,
				     521, 530, 535, 550, 551, 552, 553, 554, 556 };
	struct slice in = slice_of(data, size), pattern, text;
	struct route_reply r;

	if (size < 3 || size > 2000)
		return 0;
	in = slice_tail(in, 2);
	pattern = slice_head(in, slice_find(in, '\n'));
	text = slice_tail(in, slice_find(in, '\n') + 1);
	check_taken_apart(text);
	r = route_reply_of(text, (enum smtp_client_step)(data[0] % SMTP_CLIENT_STEPS));
	r.code = codes[data[1] % (sizeof(codes) / sizeof(codes[0]))];
	check_said(&r);
	check_rule(&r, pattern);
	return 0;
}
