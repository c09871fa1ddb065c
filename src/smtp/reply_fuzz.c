/* reply_fuzz.c - a reply is the same in whatever pieces it comes, and what it is, a simple-minded reading
 * of whole lines finds too.  Its words hold no control character.
 *
 * Input: an octet, from which the lengths of the pieces follow; then what the server says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smtp/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* The simple-minded reading: where it stands in one reply. */
struct model {
	size_t octets, lines;
	int code;
	bool has_enhanced;
	char enhanced[16];
};

static bool is_digit(struct slice s, size_t i)
{
	return i < s.n && s.p[i] >= '0' && s.p[i] <= '9';
}

/* Digits, however many, and what follows them; above 999 it is 1000. */
static bool number(struct slice *s, unsigned *ret)
{
	struct slice at = *s;

	for (*ret = 0; is_digit(at, 0); at = slice_tail(at, 1)) {
		*ret = *ret * 10 + at.p[0] - '0';
		*ret = *ret > 999 ? 1000 : *ret;
	}
	if (at.n == s->n)
		return false;
	*s = at;
	return true;
}

/* "5.1.2" and then a blank or nothing, by the form of RFC 3463. */
static bool model_enhanced(struct slice s, char ret[static 16])
{
	unsigned part[3];

	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_tail(s, 1);
	for (unsigned i = 0; i < 3; i++) {
		if (i > 0 && (s.n == 0 || s.p[0] != '.'))
			return false;
		s = slice_tail(s, i > 0);
		if (!number(&s, &part[i]) || part[i] > 999)
			return false;
	}
	if (part[0] != 2 && part[0] != 4 && part[0] != 5)
		return false;
	if (s.n > 0 && s.p[0] != ' ' && s.p[0] != '\t')
		return false;
	snprintf(ret, 16, "%u.%u.%u", part[0], part[1], part[2]);
	return true;
}

/* line: without its LF, whole. */
static enum smtp_reply_step model_line(struct model *m, struct slice line)
{
	char enhanced[16];

	m->octets += line.n + 1;
	m->lines++;
	if (m->octets > SMTP_REPLY_OCTETS_MAX || m->lines > SMTP_REPLY_LINES_MAX)
		return SMTP_REPLY_BAD;
	line = slice_head(line, SMTP_REPLY_LINE_MAX);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (!is_digit(line, 0) || !is_digit(line, 1) || !is_digit(line, 2) || line.p[0] < '2' ||
	    line.p[0] > '5')
		return SMTP_REPLY_BAD;
	if (line.n > 3 && line.p[3] != '-' && line.p[3] != ' ')
		return SMTP_REPLY_BAD;
	m->code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + line.p[2] - '0';
	if (line.p[0] == '3') {
		m->has_enhanced = false; /* none goes with it (RFC 2034 3), nor with what comes before it */
	} else if (model_enhanced(slice_tail(line, 4), enhanced)) {
		m->has_enhanced = true;
		memcpy(m->enhanced, enhanced, sizeof(enhanced));
	}
	return line.n > 3 && line.p[3] == '-' ? SMTP_REPLY_LINE : SMTP_REPLY_DONE;
}

static void check_words(const struct smtp_reply *r)
{
	struct slice text = smtp_reply_text(r);

	must(text.n <= SMTP_REPLY_TEXT_MAX);
	for (size_t i = 0; i < text.n; i++) {
		must(text.p[i] >= 0x20 && text.p[i] != 0x7f);
		must(i == 0 || text.p[i - 1] != 0xc2 || text.p[i] < 0x80 || text.p[i] >= 0xa0);
	}
}

static void check_done(const struct smtp_reply *r, const struct model *m)
{
	char want[16] = "";

	must(r->code == m->code);
	if (m->code / 100 != 3) {
		snprintf(want, sizeof(want), "%s", m->has_enhanced ? m->enhanced : "0.0.0");
		want[0] = (char)('0' + m->code / 100);
	}
	must(strcmp(r->enhanced, want) == 0);
	check_words(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size), said;
	static struct smtp_reply r;
	struct model m = { 0 };
	unsigned chance;
	size_t fed = 0, line = 0; /* octets that were fed, and where the line began */

	if (size == 0)
		return 0;
	chance = in.p[0];
	said = slice_tail(in, 1);
	memset(&r, 0, sizeof(r));
	while (fed < said.n) {
		struct slice piece;
		enum smtp_reply_step step, want = SMTP_REPLY_MORE;
		size_t n;

		chance = chance * 1103515245 + 12345;
		/* Copied to its end, so that a sanitizer sees who reads beyond it. */
		piece = slice_head(slice_tail(said, fed), chance % 8 == 0 ? said.n : 1 + (chance >> 16) % 61);
		unsigned char *copy = malloc(piece.n);
		must(copy != NULL);
		memcpy(copy, piece.p, piece.n);
		n = smtp_reply_feed(&r, slice_of(copy, piece.n), &step);
		must(n > 0 && n <= piece.n);
		fed += n;
		if (said.p[fed - 1] == '\n') {
			want = model_line(&m, slice_of(said.p + line, fed - 1 - line));
			line = fed;
		} else {
			must(n == piece.n);
			if (m.octets + (fed - line) > SMTP_REPLY_OCTETS_MAX)
				want = SMTP_REPLY_BAD;
		}
		must(step == want);
		if (step == SMTP_REPLY_LINE || step == SMTP_REPLY_DONE)
			must(r.full.n <= SMTP_REPLY_LINE_MAX && r.line.n <= r.full.n);
		free(copy);
		if (step == SMTP_REPLY_BAD)
			return 0;
		if (step == SMTP_REPLY_DONE) {
			check_done(&r, &m);
			m = (struct model){ 0 };
		}
	}
	return 0;
}
