/* sendmail_fuzz.c - whatever a program puts on sendmail's command line, part of which a stranger may have
 * written: what is understood points into it, is what SMTP may be told, and does not depend on where the
 * recipients stand; what is refused is refused with words, and leaves nothing behind. */
#include <sysexits.h>

#include "smtp/path.h"
#include "submit/sendmail.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define ARGS_MAX 40

struct line {
	int argc;
	char *argv[ARGS_MAX];
	size_t length[ARGS_MAX];
};

/* One argument a line; each in memory of its own, so that a step too far is seen. */
static void split(struct slice text, struct line *l)
{
	struct slice arg;

	for (*l = (struct line){ 0 }; l->argc < ARGS_MAX && text.n > 0; l->argc++) {
		arg = slice_head(text, slice_find(text, '\n'));
		text = slice_tail(text, arg.n + 1);
		arg = slice_head(arg, slice_find(arg, 0));
		l->argv[l->argc] = slice_dup(arg);
		CHECK(l->argv[l->argc]);
		l->length[l->argc] = arg.n;
	}
}

/* Which argument it points into; argc: none. */
static int place(const struct line *l, const char *p)
{
	int i = 0;

	while (i < l->argc && (p < l->argv[i] || p > l->argv[i] + l->length[i]))
		i++;
	return i;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void check_means(const struct line *l, const struct sendmail *s)
{
	const char *strings[] = { s->sender, s->full_name, s->envid, s->flush_id, s->flush_site };

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		CHECK(!strings[i] || place(l, strings[i]) < l->argc);
	CHECK(s->mode != SENDMAIL_SEND || s->recipients > 0 || s->recipients_from_header);
	CHECK(s->mode == SENDMAIL_SEND || !s->recipients_from_header);
	CHECK(!(s->notify & SMTP_NOTIFY_NEVER) || s->notify == SMTP_NOTIFY_NEVER);
	CHECK(s->ret == SMTP_RET_UNSET || s->ret == SMTP_RET_FULL || s->ret == SMTP_RET_HDRS);
}

/* In xtext it fits, and reads back as it was. */
static void check_envid(const struct sendmail *s)
{
	const char *want = s->envid ? s->envid : "";
	struct slice text;
	struct buf b;

	buf_init(&b, 1000);
	sendmail_put_envid(s, &b);
	text = buf_slice(&b);
	CHECK(buf_ok(&b) && text.n <= 100);
	while (text.n > 0) {
		unsigned char c = text.p[0];
		bool escaped = c == '+';

		CHECK(c > 32 && c < 127 && c != '=' && (!escaped || text.n >= 3));
		if (escaped)
			c = text.p[2] == 'B' ? '+' : '=';
		CHECK(c == (unsigned char)*want++);
		text = slice_tail(text, escaped ? 3 : 1);
	}
	CHECK(!*want);
	buf_done(&b);
}

/* All recipients behind all options. */
static void check_order(const struct line *l, const struct sendmail *s, const char **recipient)
{
	char *argv[ARGS_MAX], error[SENDMAIL_ERROR_MAX] = "";
	const char *again[ARGS_MAX];
	struct sendmail t;
	int argc = 0;

	for (int i = 0; i < l->argc; i++) {
		bool is_recipient = false;

		for (size_t k = 0; k < s->recipients; k++)
			is_recipient = is_recipient || recipient[k] == l->argv[i];
		if (!is_recipient)
			argv[argc++] = l->argv[i];
	}
	for (size_t k = 0; k < s->recipients; k++)
		argv[argc++] = l->argv[place(l, recipient[k])];
	CHECK(argc == l->argc);
	CHECK(sendmail_parse(argc, argv, again, &t, error) == EX_OK);
	CHECK(t.mode == s->mode && t.dot_ends == s->dot_ends && t.verbose == s->verbose);
	CHECK(t.recipients_from_header == s->recipients_from_header && t.eightbit == s->eightbit);
	CHECK(t.notify == s->notify && t.ret == s->ret && t.recipients == s->recipients);
	CHECK(same(t.sender, s->sender) && same(t.full_name, s->full_name) && same(t.envid, s->envid));
	CHECK(same(t.flush_id, s->flush_id) && same(t.flush_site, s->flush_site));
	for (size_t k = 0; k < s->recipients; k++)
		CHECK(again[k] == recipient[k]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sendmail untouched = { .verbose = 77 };
	char error[SENDMAIL_ERROR_MAX] = "";
	const char *recipient[ARGS_MAX];
	struct sendmail s = untouched;
	struct line l;

	split(slice_of(data, size), &l);
	if (sendmail_parse(l.argc, l.argv, recipient, &s, error) == EX_OK) {
		CHECK(!error[0] && s.recipients <= (size_t)l.argc);
		check_means(&l, &s);
		check_envid(&s);
		check_order(&l, &s, recipient);
	} else {
		CHECK(error[0] && memchr(error, 0, sizeof(error)));
		CHECK(memcmp(&s, &untouched, sizeof(s)) == 0);
	}
	for (int i = 0; i < l.argc; i++)
		free(l.argv[i]);
	return 0;
}
