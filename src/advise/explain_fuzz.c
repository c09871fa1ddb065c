/* explain_fuzz.c - whatever is pasted: guesses are sorted, each cause once, known by its name; capitals, line
 * ends and typographic quotes change nothing; host and port stand in the text; and of a secret in a URL, a
 * setting or a dialogue nothing comes out.  The same as a reply that we got ourselves: place and client are
 * those that we know, whatever the text says. */
#include <stdlib.h>
#include <string.h>

#include "advise/explain.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define TEXT_MAX 2000
#define SECRET	 "zq9x7.vkw8j:4711"
#define LEFT	 "zq9x7"
#define RIGHT	 "vkw8j"

static void sound(const struct advise_explained *e)
{
	CHECK(e->n <= ADVISE_GUESSES_MAX && e->client < ADVISE_CLIENTS);
	for (size_t i = 0; i < e->n; i++) {
		CHECK(e->guess[i].cause < ADVISE_CAUSES && e->guess[i].weight > 0 &&
		      e->guess[i].weight < 100);
		CHECK(i == 0 || e->guess[i].weight <= e->guess[i - 1].weight);
		for (size_t j = 0; j < i; j++)
			CHECK(e->guess[j].cause != e->guess[i].cause);
	}
	CHECK(memchr(e->host, 0, sizeof(e->host)) && memchr(e->enhanced, 0, sizeof(e->enhanced)));
	for (const char *s = e->host; *s; s++)
		CHECK((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '.' || *s == '-' ||
		      *s == ':');
	CHECK(e->code == 0 || (e->code >= 400 && e->code <= 599));
	CHECK(!e->class == (e->code == 0 && !e->enhanced[0]));
}

static bool same(const struct advise_explained *a, const struct advise_explained *b)
{
	if (a->n != b->n || a->client != b->client || a->port != b->port || a->code != b->code ||
	    a->secret != b->secret)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->guess[i].cause != b->guess[i].cause || a->guess[i].weight != b->guess[i].weight)
			return false;
	return strcmp(a->host, b->host) == 0 && strcmp(a->enhanced, b->enhanced) == 0;
}

/* The same in capitals, with CRLF for LF, and other quotes. */
static void retyped(struct slice in, struct buf *to)
{
	for (size_t i = 0; i < in.n; i++) {
		unsigned char c = in.p[i];

		if (c == '\n')
			buf_str(to, "\r\n");
		else if (c == '\'')
			buf_str(to, "\xe2\x80\x99");
		else if (c == '"')
			buf_str(to, i % 2 ? "\xe2\x80\x9c" : "\xe2\x80\x9d");
		else
			buf_byte(to, c >= 'a' && c <= 'z' ? (unsigned char)(c - 'a' + 'A') : c);
	}
}

/* Behind the text, on a line of its own, in one of the ways in which it can be pasted along. */
static void hidden(struct slice in, struct buf *text)
{
	static const char *const ways[] = {
		"\nsmtps://ann:" SECRET "@smtp.example.org:465/\n",
		"\nsmtp://ann:a@" SECRET "@smtp.example.org\n",
		"\n{ user: 'ann', pass: '" SECRET "' }\n",
		"\nMAIL_PASSWORD=" SECRET "\n",
		"\n--user ann:" SECRET "\n",
		"\nsmtp://ann.x:12," SECRET "@smtp.example.org:587\n",
		"\nann:" SECRET "@example.org\n",
		"\nAUTH PLAIN " SECRET "@\n",
	};
	struct advise_explained e;
	unsigned way = 0;

	/* One way for each text: an explanation looks for more than a thousand words, and all of them
	 * after each other would make a run three times as long. */
	for (size_t i = 0; i < in.n; i++)
		way += in.p[i];
	buf_reset(text);
	buf_put(text, in);
	buf_str(text, ways[way % (sizeof(ways) / sizeof(ways[0]))]);
	advise_explain(buf_slice(text), &e);
	sound(&e);
	CHECK(!strstr(e.host, LEFT) && !strstr(e.host, RIGHT) && e.port != 4711);
}

/* As an answer at a server of ours. */
static void explain_own(struct slice text, unsigned which, struct advise_explained *ret)
{
	static const struct {
		int code;
		const char *enhanced, *host;
		enum smtp_client_step step;
		bool known; /* what it means, whatever the words are */
	} rows[] = {
		{ 535, "5.7.8", "smtp.gmail.com", SMTP_CLIENT_AT_AUTH, true },
		{ 535, "5.7.3", "smtp.office365.com", SMTP_CLIENT_AT_AUTH, true },
		{ 550, "5.7.60", "smtp.office365.com", SMTP_CLIENT_AT_MAIL, true },
		{ 421, "4.3.2", "smtp.gmail.com", SMTP_CLIENT_AT_GREETING, false },
	};
	struct route_reply r = { .text = text };

	which %= sizeof(rows) / sizeof(rows[0]);
	r.code = rows[which].code;
	r.enhanced = slice_str(rows[which].enhanced);
	r.step = rows[which].step;
	advise_explain_reply(&r, rows[which].host, 587, ADVISE_BY_POSTERN, ret);
	sound(ret);
	CHECK(ret->n > 0 || !rows[which].known);
	CHECK(ret->code == r.code && strcmp(ret->enhanced, rows[which].enhanced) == 0);
	CHECK(strcmp(ret->host, rows[which].host) == 0 && ret->port == 587);
	CHECK(ret->provider && ret->client == ADVISE_BY_POSTERN);
}

static void own(struct slice in, struct buf *text)
{
	struct advise_explained e, again;
	unsigned which = in.n > 0 ? in.p[in.n / 2] : 0;

	explain_own(in, which, &e);
	if (in.n > ROUTE_TEXT_MAX / 3) /* retyped it may be longer, and is cut elsewhere */
		return;
	buf_reset(text);
	retyped(in, text);
	explain_own(buf_slice(text), which, &again);
	CHECK(same(&e, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct advise_explained e, again;
	struct buf text;

	if (size > TEXT_MAX)
		return 0;
	advise_explain(in, &e);
	sound(&e);
	CHECK(!e.cut);
	buf_init(&text, 3 * TEXT_MAX + 200);
	retyped(in, &text);
	advise_explain(buf_slice(&text), &again);
	CHECK(buf_ok(&text) && same(&e, &again));
	own(in, &text);
	/* The input must not hold it, or its parts, itself. */
	if (!memmem(data, size, "4711", 4) && !memmem(data, size, LEFT, 5) && !memmem(data, size, RIGHT, 5) &&
	    !strstr(e.host, LEFT))
		hidden(in, &text);
	buf_done(&text);
	return 0;
}
