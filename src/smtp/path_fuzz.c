/* path_fuzz.c - what parses prints back, and parses to the same; the stored form
 * of an address is its own stored form. */
#include "smtp/path.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static void canonical(const struct smtp_path *path, struct buf *to)
{
	buf_init(to, 2048);
	if (!smtp_path_put_canonical(path, to))
		buf_reset(to);
	CHECK(buf_ok(to));
}

static void check_path(const struct smtp_path *path)
{
	struct smtp_path again;
	struct buf text, first, second;
	size_t at = 0;

	if (path->null || path->domain.n == 0)
		return;
	buf_init(&text, 2048);
	smtp_path_put(path, &text);
	CHECK(buf_ok(&text));
	CHECK(smtp_parse_address(buf_slice(&text), &again, &at) == SMTP_PARSE_OK);
	CHECK(slice_eq(path->local, again.local) && slice_eq(path->domain, again.domain));
	CHECK(path->quoted == again.quoted && path->literal == again.literal && path->utf8 == again.utf8);
	canonical(path, &first);
	/* An A-label can be longer than its U-label: then the printed form may be too long to come again. */
	if (first.n > 0 && smtp_parse_address(buf_slice(&first), &again, &at) != SMTP_PARSE_TOO_LONG) {
		CHECK(smtp_parse_address(buf_slice(&first), &again, &at) == SMTP_PARSE_OK);
		CHECK(!slice_has_8bit(again.domain));
		canonical(&again, &second);
		CHECK(slice_eq(buf_slice(&first), buf_slice(&second)));
		buf_done(&second);
	}
	buf_done(&first);
	buf_done(&text);
}

static void check_address(struct slice text)
{
	struct smtp_path path = { .null = true };
	size_t at = 0;

	if (smtp_parse_address(text, &path, &at) != SMTP_PARSE_OK) {
		CHECK(path.null && at <= text.n);
		return;
	}
	CHECK(path.local.n + 1 + path.domain.n == text.n);
	check_path(&path);
}

/* Print MAIL's arguments in a form of our own. */
static void put_mail(const struct smtp_path *path, const struct smtp_mail_params *p, struct buf *to)
{
	buf_init(to, 4096);
	buf_str(to, "FROM:<");
	smtp_path_put(path, to);
	buf_fmt(to, "> SIZE=%llu BODY=%s", (unsigned long long)p->size,
		p->body == SMTP_BODY_8BITMIME ? "8BITMIME" : "7BIT");
	if (p->smtputf8)
		buf_str(to, " SMTPUTF8");
	if (p->ret)
		buf_str(to, p->ret == SMTP_RET_FULL ? " RET=FULL" : " RET=HDRS");
	if (p->envid.n)
		buf_fmt(to, " ENVID=%.*s", SLICE_ARG(p->envid));
	if (p->auth.n)
		buf_fmt(to, " AUTH=%.*s", SLICE_ARG(p->auth));
	CHECK(buf_ok(to));
}

static const struct smtp_params_offered all = { true, true, true, true, true, true, true, true };

static void check_mail(struct slice text)
{
	struct smtp_path path, again;
	struct smtp_mail_params p, q;
	struct buf first, second;
	size_t at = 0;

	if (smtp_parse_mail(text, &all, &path, &p, &at) != SMTP_PARSE_OK) {
		CHECK(at <= text.n);
		return;
	}
	CHECK(!path.utf8 || p.smtputf8);
	check_path(&path);
	put_mail(&path, &p, &first);
	CHECK(smtp_parse_mail(buf_slice(&first), &all, &again, &q, &at) == SMTP_PARSE_OK);
	put_mail(&again, &q, &second);
	CHECK(slice_eq(buf_slice(&first), buf_slice(&second)));
	buf_done(&first);
	buf_done(&second);
}

static void check_rcpt(struct slice text, bool utf8)
{
	struct smtp_path path, again;
	struct smtp_rcpt_params p, q;
	struct buf b;
	size_t at = 0;

	if (smtp_parse_rcpt(text, &all, utf8, &path, &p, &at) != SMTP_PARSE_OK) {
		CHECK(at <= text.n);
		return;
	}
	CHECK(!path.null && (utf8 || !path.utf8));
	CHECK(!(p.notify & SMTP_NOTIFY_NEVER) || p.notify == SMTP_NOTIFY_NEVER);
	check_path(&path);
	buf_init(&b, 4096);
	buf_str(&b, "TO:<");
	smtp_path_put(&path, &b);
	buf_str(&b, ">");
	if (p.orcpt.n)
		buf_fmt(&b, " ORCPT=%.*s", SLICE_ARG(p.orcpt));
	CHECK(smtp_parse_rcpt(buf_slice(&b), &all, utf8, &again, &q, &at) == SMTP_PARSE_OK);
	CHECK(slice_eq(path.local, again.local) && slice_eq(path.domain, again.domain));
	CHECK(slice_eq(p.orcpt, q.orcpt) && q.notify == 0);
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice text;
	unsigned char *copy;

	if (n < 1 || n > 2048)
		return 0;
	/* Exactly as large: the sanitizer sees each look too far. */
	copy = malloc(n - 1);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, n - 1);
	text = slice_of(copy, n - 1);
	switch (data[0] % 4) {
	case 0:
		check_address(text);
		break;
	case 1:
		check_mail(text);
		break;
	default:
		check_rcpt(text, data[0] % 4 == 2);
	}
	free(copy);
	return 0;
}
