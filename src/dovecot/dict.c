#include "dovecot/dict.h"

#include <string.h>

#define FIELDS_MAX 8
#define USER_KEY   SLICE_LIT("shared/userdb/")
#define ESCAPE	   0x01

static const char escapes[][2] = { { '0', 0 }, { '1', ESCAPE }, { 't', '\t' }, { 'r', '\r' }, { 'l', '\n' } };
#define N_ESCAPES (sizeof(escapes) / sizeof(escapes[0]))

void dovecot_escape(struct slice text, struct buf *to)
{
	for (size_t i = 0; i < text.n; i++) {
		size_t k = 0;

		while (k < N_ESCAPES && (unsigned char)escapes[k][1] != text.p[i])
			k++;
		if (k < N_ESCAPES)
			buf_byte(to, ESCAPE);
		buf_byte(to, k < N_ESCAPES ? (unsigned char)escapes[k][0] : text.p[i]);
	}
}

bool dovecot_unescape(unsigned char *p, size_t *n)
{
	size_t to = 0;

	for (size_t i = 0; i < *n; i++, to++) {
		size_t k = 0;

		p[to] = p[i];
		if (p[i] != ESCAPE)
			continue;
		if (++i == *n)
			return false;
		while (k < N_ESCAPES && (unsigned char)escapes[k][0] != p[i])
			k++;
		if (k == N_ESCAPES)
			return false;
		p[to] = (unsigned char)escapes[k][1];
	}
	*n = to;
	return true;
}

void dovecot_dict_init(struct dovecot_dict *d)
{
	memset(d, 0, sizeof(*d));
	buf_init(&d->line, DOVECOT_LINE_MAX);
	buf_init(&d->output, 2 * DOVECOT_VALUE_MAX + 2);
}

void dovecot_dict_done(struct dovecot_dict *d)
{
	buf_wipe(&d->line);
	buf_done(&d->output);
}

/* The line's fields, unescaped.  0: one is not well formed, or there are too many. */
static size_t split(struct dovecot_dict *d, struct slice field[static FIELDS_MAX])
{
	unsigned char *p = d->line.p + d->line.from + 1;
	size_t left = d->line.n - 2, n = 0; /* the command's letter, LF */

	for (;;) {
		unsigned char *tab = memchr(p, '\t', left);
		size_t whole = tab ? (size_t)(tab - p) : left, size = whole;

		if (n == FIELDS_MAX || !dovecot_unescape(p, &size))
			return 0;
		field[n++] = slice_of(p, size);
		if (!tab)
			return n;
		p = tab + 1;
		left -= whole + 1;
	}
}

static void reply(struct dovecot_dict *d, enum dovecot_answer what, struct slice value)
{
	buf_byte(&d->output, (unsigned char)what);
	dovecot_escape(value, &d->output);
	buf_byte(&d->output, '\n');
	if (!buf_ok(&d->output))
		d->ask.want = DOVECOT_CLOSE;
}

static void forget_line(struct dovecot_dict *d)
{
	buf_wipe(&d->line);
	buf_init(&d->line, DOVECOT_LINE_MAX);
}

static bool hello(struct dovecot_dict *d, struct slice version)
{
	uint64_t major;

	if (d->greeted || !cur_u64(&version, 99, &major) || version.n > 0 || (major != 3 && major != 4))
		return false;
	d->greeted = true;
	return true;
}

static bool lookup(struct dovecot_dict *d, struct slice key)
{
	if (!slice_starts(key, USER_KEY)) {
		reply(d, DOVECOT_LATER, SLICE_LIT("there are no such keys here"));
		return true;
	}
	d->ask = (struct dovecot_ask){ .want = DOVECOT_USER, .user = slice_tail(key, USER_KEY.n) };
	return true;
}

static bool login(struct dovecot_dict *d, const struct slice *field, size_t n)
{
	if (n != 4)
		return false;
	d->ask = (struct dovecot_ask){ .want = DOVECOT_LOGIN,
				       .user = field[0],
				       .password = field[1],
				       .service = field[2],
				       .ip = field[3] };
	return true;
}

/* A whole line is here. */
static void command(struct dovecot_dict *d)
{
	struct slice field[FIELDS_MAX];
	unsigned char letter = d->line.p[d->line.from];
	size_t n = d->line.n > 1 ? split(d, field) : 0;
	bool ok = false;

	if (n > 0 && letter == 'H')
		ok = hello(d, field[0]);
	else if (n > 0 && d->greeted && letter == 'L')
		ok = lookup(d, field[0]);
	else if (n > 0 && d->greeted && letter == 'P')
		ok = login(d, field, n);
	if (!ok)
		d->ask.want = DOVECOT_CLOSE;
	if (d->ask.want != DOVECOT_LOGIN && d->ask.want != DOVECOT_USER)
		forget_line(d);
}

size_t dovecot_dict_feed(struct dovecot_dict *d, struct slice in)
{
	size_t taken = 0;

	while (taken < in.n && d->ask.want == DOVECOT_INPUT && d->output.n == 0) {
		struct slice rest = slice_tail(in, taken);
		size_t n = slice_find(rest, '\n');
		bool whole = n < rest.n;

		n += whole;
		buf_put(&d->line, slice_head(rest, n));
		taken += n;
		if (!buf_ok(&d->line)) {
			d->ask.want = DOVECOT_CLOSE;
			forget_line(d);
		} else if (whole) {
			command(d);
		}
	}
	return taken;
}

const struct dovecot_ask *dovecot_dict_want(const struct dovecot_dict *d)
{
	return &d->ask;
}

void dovecot_dict_answer(struct dovecot_dict *d, enum dovecot_answer what, struct slice value)
{
	d->ask = (struct dovecot_ask){ .want = DOVECOT_INPUT };
	forget_line(d);
	reply(d, what, value);
}

struct slice dovecot_dict_output(const struct dovecot_dict *d)
{
	return buf_slice(&d->output);
}

void dovecot_dict_sent(struct dovecot_dict *d, size_t n)
{
	buf_consume(&d->output, n);
}
