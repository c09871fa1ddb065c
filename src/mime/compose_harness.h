/* compose_harness.h - for tests and fuzzers: a message read back, strictly, by a reader that shares no code
 * with what wrote it.  What a message must not be ends the program.  Included once by a program. */
#ifndef POSTERN_MIME_COMPOSE_HARNESS_H
#define POSTERN_MIME_COMPOSE_HARNESS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"

#define CHECK(what)                                                                \
	do {                                                                       \
		if (!(what)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                   \
		}                                                                  \
	} while (0)

struct part {
	struct slice header, body;
};

static __attribute__((unused)) bool is_utf8(struct slice s)
{
	while (s.n > 0) {
		size_t n = utf8_length(s);

		if (n == 0)
			return false;
		s = slice_tail(s, n);
	}
	return true;
}

/* Lines end with CRLF, no other CR or LF, no NUL, at most 998 octets. */
static __attribute__((unused)) void check_lines(struct slice message, bool eightbit)
{
	struct slice line;

	while (message.n > 0) {
		CHECK(cur_until(&message, '\n', &line));
		CHECK(line.n > 0 && line.p[line.n - 1] == '\r' && line.n <= 999);
		line.n--;
		CHECK(slice_find(line, '\r') == line.n && slice_find(line, 0) == line.n);
		CHECK(eightbit || !slice_has_8bit(line));
	}
}

/* A header line is no longer than 78 octets, but for a word that is itself. */
static __attribute__((unused)) void check_header(struct slice header)
{
	struct slice line;

	while (cur_until(&header, '\n', &line)) {
		line.n--;
		CHECK(slice_trim(line).n > 0);
		if (line.n > 78) { /* behind the name or the first blank there is no other place to fold */
			struct slice rest = slice_trim(line);

			rest = slice_tail(rest, slice_find(rest, ' ') + 1);
			CHECK(line.p[0] == ' ' || line.p[0] == '\t' || slice_find(rest, ' ') == rest.n);
		}
	}
}

static __attribute__((unused)) struct part split(struct slice message)
{
	const unsigned char *at = memmem(message.p, message.n, "\r\n\r\n", 4);
	struct part p;

	CHECK(at);
	p.header = slice_head(message, (size_t)(at - message.p) + 2);
	p.body = slice_tail(message, p.header.n + 2);
	return p;
}

/* The value of the only such field, unfolded, from its first octet that is no blank; false: there is none. */
static __attribute__((unused)) bool field(struct slice header, const char *name, struct buf *ret)
{
	struct slice line, value;
	bool found = false, in = false;

	buf_reset(ret);
	while (cur_until(&header, '\n', &line)) {
		line.n--;
		CHECK(line.n > 0);
		value = line;
		if (line.p[0] == ' ' || line.p[0] == '\t') {
			if (in)
				buf_put(ret, line);
			continue;
		}
		in = cur_word(&value, slice_str(name)) && cur_byte(&value, ':');
		CHECK(!in || !found);
		found = found || in;
		if (in)
			buf_put(ret, value);
	}
	while (buf_slice(ret).n > 0 && (buf_slice(ret).p[0] == ' ' || buf_slice(ret).p[0] == '\t'))
		buf_consume(ret, 1);
	return found;
}

static int hex(unsigned char c)
{
	CHECK((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'));
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

static void base64(struct slice s, struct buf *to)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned v = 0, n = 0, pads = 0;

	for (size_t i = 0; i < s.n; i++) {
		const char *at = strchr(digits, s.p[i]);

		if (s.p[i] == '\r' || s.p[i] == '\n')
			continue;
		CHECK(s.p[i] && (at || s.p[i] == '=') && (!at || pads == 0));
		pads += !at;
		v = v << 6 | (at ? (unsigned)(at - digits) : 0);
		if (++n % 4 == 0) {
			for (unsigned k = 0; k < 3 - pads; k++)
				buf_byte(to, (unsigned char)(v >> (16 - 8 * k)));
			v = 0;
		}
	}
	CHECK(n % 4 == 0 && pads < 3);
}

static void quoted(struct slice s, bool q, struct buf *to)
{
	for (size_t i = 0; i < s.n; i++) {
		if (q && s.p[i] == '_') {
			buf_byte(to, ' ');
		} else if (s.p[i] != '=') {
			buf_byte(to, s.p[i]);
		} else if (!q && i + 2 < s.n && s.p[i + 1] == '\r' && s.p[i + 2] == '\n') {
			i += 2;
		} else {
			CHECK(i + 2 < s.n);
			buf_byte(to, (unsigned char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2])));
			i += 2;
		}
	}
}

/* One encoded-word in front (RFC 2047 2): nothing in it is cut. */
static bool encoded_word(struct slice *cur, struct buf *to)
{
	struct slice c = *cur, text;
	size_t before = buf_slice(to).n, n;
	bool b;

	if (!cur_word(&c, SLICE_LIT("=?utf-8?")) || c.n < 2 || c.p[1] != '?')
		return false;
	b = c.p[0] == 'b';
	CHECK(b || c.p[0] == 'q');
	c = slice_tail(c, 2);
	n = slice_find(c, '?');
	CHECK(n + 1 < c.n && c.p[n + 1] == '=' && n > 0);
	text = slice_head(c, n);
	CHECK(slice_find(text, ' ') == text.n && n + 12 <= 75);
	(b ? base64(text, to) : quoted(text, true, to));
	CHECK(is_utf8(slice_tail(buf_slice(to), before)));
	c = slice_tail(c, n + 2);
	CHECK(c.n == 0 || c.p[0] == ' ' || c.p[0] == '\t');
	*cur = c;
	return true;
}

/* An unfolded value as people see it. */
static __attribute__((unused)) void decode(struct slice raw, struct buf *to)
{
	bool was = false;

	buf_reset(to);
	while (raw.n > 0) {
		size_t blanks = 0, n = 0;
		struct slice rest;

		while (blanks < raw.n && (raw.p[blanks] == ' ' || raw.p[blanks] == '\t'))
			blanks++;
		rest = slice_tail(raw, blanks);
		if (!was || !slice_starts(rest, SLICE_LIT("=?utf-8?")))
			buf_put(to, slice_head(raw, blanks));
		was = encoded_word(&rest, to);
		if (!was) {
			while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != '\t')
				n++;
			CHECK(!memmem(rest.p ? rest.p : (const void *)"", n, "=?", 2));
			buf_put(to, slice_head(rest, n));
			rest = slice_tail(rest, n);
		}
		raw = rest;
	}
}

/* One parameter, quoted or of RFC 2231, from an unfolded value. */
static __attribute__((unused)) bool param(struct slice value, const char *name, struct buf *ret)
{
	unsigned next = 0;
	bool found = false;

	buf_reset(ret);
	while (slice_find(value, ';') < value.n) {
		struct slice word, text;
		char extended[40];

		value = slice_trim(slice_tail(value, slice_find(value, ';') + 1));
		snprintf(extended, sizeof(extended), "%s*%u*=", name, next);
		word = value;
		if (cur_word(&word, slice_str(name)) && cur_byte(&word, '=')) {
			CHECK(cur_byte(&word, '"') && cur_until(&word, '"', &text) && !found);
			buf_put(ret, text);
			found = true;
			continue;
		}
		word = value;
		if (!cur_word(&word, slice_str(extended)))
			continue;
		CHECK(next > 0 || cur_word(&word, SLICE_LIT("utf-8''")));
		word = slice_head(word, slice_find(word, ';'));
		for (size_t i = 0; i < word.n; i++) {
			CHECK(word.p[i] > 32 && word.p[i] < 127 && !strchr("()<>@,;:\\\"/[]?=*'", word.p[i]));
			if (word.p[i] == '%') {
				CHECK(i + 2 < word.n);
				buf_byte(ret, (unsigned char)(hex(word.p[i + 1]) << 4 | hex(word.p[i + 2])));
				i += 2;
			} else {
				buf_byte(ret, word.p[i]);
			}
		}
		next++;
		found = true;
	}
	return found;
}

/* The parts between boundaries: how many. */
static __attribute__((unused)) size_t parts(struct slice body, struct slice boundary, struct part *ret,
					    size_t max)
{
	struct slice rest = body, line, content = { 0 };
	size_t n = 0;
	bool ended = false, in = false;

	CHECK(boundary.n > 0 && boundary.n <= 70);
	while (rest.n > 0) {
		struct slice at = rest;

		CHECK(cur_until(&rest, '\n', &line));
		line.n--;
		if (!slice_starts(line, SLICE_LIT("--")) || !slice_starts(slice_tail(line, 2), boundary))
			continue;
		CHECK(!ended);
		ended = slice_eq(slice_tail(line, 2 + boundary.n), SLICE_LIT("--"));
		CHECK(ended || line.n == 2 + boundary.n);
		if (in) {
			content.n -= at.n;
			CHECK(content.n >= 2);
			content.n -= 2;
			CHECK(n < max);
			/* A part of no content has its empty line directly before the boundary's CRLF. */
			ret[n++] = split(slice_of(content.p, content.n + 2));
			ret[n - 1].body.n -= ret[n - 1].body.n >= 2 ? 2 : 0;
		}
		content = rest;
		in = true;
	}
	CHECK(ended);
	return n;
}

/* What is in a part, by its Content-Transfer-Encoding. */
static __attribute__((unused)) void content(const struct part *p, struct buf *to)
{
	struct buf value;
	struct slice line, rest;

	buf_init(&value, 1000);
	buf_reset(to);
	CHECK(field(p->header, "Content-Transfer-Encoding", &value));
	if (slice_eq(buf_slice(&value), SLICE_LIT("base64")) ||
	    slice_eq(buf_slice(&value), SLICE_LIT("quoted-printable")))
		for (rest = p->body; cur_until(&rest, '\n', &line);)
			CHECK(line.n <= 77);
	if (slice_eq(buf_slice(&value), SLICE_LIT("base64"))) {
		base64(p->body, to);
	} else if (slice_eq(buf_slice(&value), SLICE_LIT("quoted-printable"))) {
		quoted(p->body, false, to);
	} else {
		CHECK(slice_eq(buf_slice(&value), SLICE_LIT("7bit")) ||
		      slice_eq(buf_slice(&value), SLICE_LIT("8bit")));
		CHECK(slice_eq(buf_slice(&value), SLICE_LIT("8bit")) || !slice_has_8bit(p->body));
		buf_put(to, p->body);
	}
	buf_done(&value);
}

#endif
