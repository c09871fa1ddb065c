/* A server's reply within a pasted text: "535 5.7.8 ...", "(535, b'5.7.8 ...", "550-5.1.1 ...", "SMTP code:
 * 550 Additional ...". */
#include "advise/explain_private.h"

#include <string.h>

#define REPLY_TEXT_MAX ROUTE_TEXT_MAX

/* What stands before a code that has no enhanced one behind it; without it three digits are only digits. */
static const char *const before[] = {
	"said: ",    "message: ", "response: ",	 "responsecode: ", "reply: ",	  "code: ",    "code ",
	"failed: ",  "error: ",	  "(",		 "got: ",	   "login: ",	  "server: ",  "rejected: ",
	"returned ", "status ",	  "<- ",	 "<** ",	   "s: ",	  "refused: ", "greeting: ",
	"code=",     "client: ",  "exception: ", "error ",	   "mailerror: ", "answer: ",  "\"",
};

static bool digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

/* RFC 5321 4.2.3, RFC 4954, and what servers say besides. */
static bool is_reply_code(unsigned code)
{
	static const unsigned short known[] = { 421, 432, 450, 451, 452, 453, 454, 455, 471, 500,
						501, 502, 503, 504, 510, 511, 512, 515, 521, 523,
						525, 530, 531, 533, 534, 535, 538, 541, 550, 551,
						552, 553, 554, 555, 556, 557, 571, 572 };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == code)
			return true;
	return false;
}

static struct slice rest(const struct advise_paste *t, size_t from)
{
	return slice_of(t->p + from, t->n - from);
}

/* "5.7.8" of that class at the front. */
static bool take_enhanced(struct slice *cur, unsigned class, struct slice *ret)
{
	struct slice c = *cur;
	uint64_t n;

	if (!cur_u64(&c, 5, &n) || n != class || !cur_byte(&c, '.') || !cur_u64(&c, 999, &n) ||
	    !cur_byte(&c, '.') || !cur_u64(&c, 999, &n) || (c.n > 0 && c.p[0] == '.'))
		return false;
	*ret = slice_head(*cur, cur->n - c.n);
	*cur = c;
	return true;
}

/* To the line's end, and over it where the next one goes on with the same code. */
static struct slice to_end(struct slice c, const unsigned char *code, bool quoted)
{
	struct slice all = slice_head(c, REPLY_TEXT_MAX);
	size_t n = 0;

	while (n < all.n) {
		if (quoted && (all.p[n] == '\'' || all.p[n] == '"') && n + 1 < all.n &&
		    (all.p[n + 1] == ',' || all.p[n + 1] == ')'))
			break;
		if (all.p[n] == '\n') {
			struct slice next = slice_head(slice_tail(all, n + 1), 40);

			if (next.n < 3 || !memmem(next.p, next.n, code, 3))
				break;
		}
		n++;
	}
	return slice_head(all, n);
}

static bool stands_before(const struct advise_paste *t, size_t at)
{
	if (at == 0 || t->p[at - 1] == '\n')
		return true;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		size_t n = strlen(before[i]);

		if (n <= at && memcmp(t->p + at - n, before[i], n) == 0)
			return true;
	}
	return false;
}

/* Three digits at that place.  Returns how sure it is that they are a reply's: 0 to 2. */
static unsigned reply_at(const struct advise_paste *t, size_t at, struct route_reply *ret)
{
	struct slice c = rest(t, at + 3), gap;
	unsigned class = t->p[at] - (unsigned)'0';
	unsigned code = class * 100 + (t->p[at + 1] - (unsigned)'0') * 10 + (t->p[at + 2] - (unsigned)'0');
	struct route_reply r = { .code = (int)code, .step = SMTP_CLIENT_IDLE };
	size_t n = 0;

	if (c.n > 0 && !strchr(" -,:);#'\"\n", c.p[0]))
		return 0;
	while (n < c.n && n < 5 && strchr(" -,:b'\"#", c.p[n]) && !digit(c.p[n]))
		n++;
	gap = slice_head(c, n);
	c = slice_tail(c, n);
	if (take_enhanced(&c, class, &r.enhanced)) {
		r.text = to_end(c, t->p + at, memchr(gap.p, '\'', gap.n) || memchr(gap.p, '"', gap.n));
		*ret = r;
		return 2;
	}
	if (!is_reply_code(code) || !stands_before(t, at))
		return 0;
	r.text = to_end(c, t->p + at, memchr(gap.p, '\'', gap.n) || memchr(gap.p, '"', gap.n));
	*ret = r;
	return 1;
}

/* PHPMailer: "... Detail: no such user SMTP code: 550 Additional SMTP info: 5.1.1" */
static bool phpmailer_reply(const struct advise_paste *t, struct route_reply *ret)
{
	size_t at = advise_find(t, 0, SLICE_LIT("smtp code: ")), detail, from;
	struct route_reply r = { .step = SMTP_CLIENT_IDLE };
	struct slice c;
	uint64_t code;

	if (at == t->n)
		return false;
	c = rest(t, at + strlen("smtp code: "));
	if (!cur_u64(&c, 599, &code) || code < 400)
		return false;
	r.code = (int)code;
	if (cur_word(&c, SLICE_LIT(" additional smtp info: ")))
		(void)take_enhanced(&c, (unsigned)code / 100, &r.enhanced);
	from = at > REPLY_TEXT_MAX ? at - REPLY_TEXT_MAX : 0;
	detail = advise_find(t, from, SLICE_LIT("detail: "));
	if (detail < at)
		r.text = slice_of(t->p + detail, at - detail);
	*ret = r;
	return true;
}

/* git send-email keeps the code to itself: "5.1.1 no such user" on a line of its own.  So does .NET: "The
 * server response was: 5.7.57 Client not authenticated". */
static bool bare_reply(const struct advise_paste *t, struct route_reply *ret)
{
	for (size_t i = 0; i + 6 <= t->n; i++) {
		struct route_reply r = { .step = SMTP_CLIENT_IDLE };
		struct slice c = rest(t, i);

		if ((i > 0 && t->p[i - 1] != '\n' && (i < 5 || memcmp(t->p + i - 5, "was: ", 5) != 0)) ||
		    (c.p[0] != '4' && c.p[0] != '5') ||
		    !take_enhanced(&c, c.p[0] - (unsigned)'0', &r.enhanced) || !cur_byte(&c, ' '))
			continue;
		r.text = slice_head(slice_head(c, slice_find(c, '\n')), REPLY_TEXT_MAX);
		*ret = r;
		return true;
	}
	return false;
}

bool advise_reply(const struct advise_paste *t, struct route_reply *ret)
{
	struct route_reply r;
	bool found = false;

	for (size_t i = 0; i + 3 <= t->n; i++) {
		unsigned sure;

		if ((t->p[i] != '4' && t->p[i] != '5') || !digit(t->p[i + 1]) || !digit(t->p[i + 2]))
			continue;
		if (i > 0 &&
		    (digit(t->p[i - 1]) || t->p[i - 1] == '.' || (t->p[i - 1] >= 'a' && t->p[i - 1] <= 'z')))
			continue;
		sure = reply_at(t, i, &r);
		if (sure == 2) {
			*ret = r;
			return true;
		}
		if (sure == 1 && !found) {
			*ret = r;
			found = true;
		}
	}
	return phpmailer_reply(t, ret) || found || bare_reply(t, ret);
}
