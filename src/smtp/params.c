/* params.c - the parameters of MAIL and RCPT: tables of what may come. */
#include "smtp/path.h"
#include "smtp/path_private.h"
#include "smtp/utc.h"

#define ENVID_MAX 100 /* RFC 3461 4.4 */
#define ORCPT_MAX 500 /* RFC 3461 4.2 */
#define AUTH_MAX  500 /* RFC 4954 11 */

struct value {
	struct slice text;
	bool present; /* there was a "=" */
};

static bool is_keyword(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

/* esmtp-param = esmtp-keyword ["=" esmtp-value], after its blank.  RFC 6531 3.3
 * lets UTF-8 into values. */
static enum smtp_parse take_param(struct slice *cur, struct slice *ret_key, struct value *ret_value)
{
	struct slice start = *cur;

	while (cur->n > 0 && is_keyword(cur->p[0]))
		*cur = slice_tail(*cur, 1);
	*ret_key = slice_head(start, start.n - cur->n);
	if (ret_key->n == 0 || ret_key->p[0] == '-') {
		*cur = start;
		return SMTP_PARSE_SYNTAX;
	}
	*ret_value = (struct value){ .present = cur_byte(cur, '=') };
	start = *cur;
	while (ret_value->present && cur->n > 0 && cur->p[0] != ' ' && cur->p[0] != '\t') {
		if (cur->p[0] >= 0x80) {
			if (!smtp_utf8_take(cur))
				return SMTP_PARSE_UTF8;
		} else if (cur->p[0] < 33 || cur->p[0] == '=' || cur->p[0] == 127) {
			return SMTP_PARSE_SYNTAX;
		} else {
			*cur = slice_tail(*cur, 1);
		}
	}
	ret_value->text = slice_head(start, start.n - cur->n);
	if (cur->n > 0 && cur->p[0] != ' ' && cur->p[0] != '\t')
		return SMTP_PARSE_SYNTAX;
	return SMTP_PARSE_OK;
}

static bool is_hex_upper(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F');
}

/* xtext, RFC 3461 4 */
static bool is_xtext(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '+') {
			if (s.n - i < 3 || !is_hex_upper(s.p[i + 1]) || !is_hex_upper(s.p[i + 2]))
				return false;
			i += 2;
		} else if (s.p[i] < 33 || s.p[i] > 126 || s.p[i] == '=') {
			return false;
		}
	}
	return true;
}

/* utf-8-addr-xtext and utf-8-addr-unitext, RFC 6533 3: characters as they are,
 * or as \x{HEX}. */
static bool is_utf8_xtext(struct slice s, bool smtputf8)
{
	while (s.n > 0) {
		size_t hex = 0;

		if (s.p[0] >= 0x80) {
			if (!smtputf8 || !smtp_utf8_take(&s))
				return false;
			continue;
		}
		if (cur_word(&s, SLICE_LIT("\\x{"))) {
			for (; s.n > 0 && is_hex_upper(s.p[0]); hex++)
				s = slice_tail(s, 1);
			if (hex < 2 || hex > 6 || !cur_byte(&s, '}'))
				return false;
			continue;
		}
		if (s.p[0] < 33 || s.p[0] > 126 || s.p[0] == '+' || s.p[0] == '=' || s.p[0] == '\\')
			return false;
		s = slice_tail(s, 1);
	}
	return true;
}

/* MAIL */

enum mail_key {
	MAIL_SIZE,
	MAIL_BODY,
	MAIL_SMTPUTF8,
	MAIL_RET,
	MAIL_ENVID,
	MAIL_AUTH,
	MAIL_REQUIRETLS,
	MAIL_HOLDFOR,
	MAIL_HOLDUNTIL,
	MAIL_MT_PRIORITY,
	MAIL_KEYS
};

static const struct slice mail_keys[MAIL_KEYS] = {
	[MAIL_SIZE] = SLICE_INIT("SIZE"),
	[MAIL_BODY] = SLICE_INIT("BODY"),
	[MAIL_RET] = SLICE_INIT("RET"),
	[MAIL_SMTPUTF8] = SLICE_INIT("SMTPUTF8"),
	[MAIL_ENVID] = SLICE_INIT("ENVID"),
	[MAIL_AUTH] = SLICE_INIT("AUTH"),
	[MAIL_REQUIRETLS] = SLICE_INIT("REQUIRETLS"),
	[MAIL_HOLDFOR] = SLICE_INIT("HOLDFOR"),
	[MAIL_HOLDUNTIL] = SLICE_INIT("HOLDUNTIL"),
	[MAIL_MT_PRIORITY] = SLICE_INIT("MT-PRIORITY"),
};

/* A bit for each keyword that this session announced. */
static unsigned mail_offered(const struct smtp_params_offered *o)
{
	return (unsigned)o->size << MAIL_SIZE | (unsigned)o->eightbitmime << MAIL_BODY |
	       (unsigned)o->smtputf8 << MAIL_SMTPUTF8 | (unsigned)o->dsn << MAIL_RET |
	       (unsigned)o->dsn << MAIL_ENVID | (unsigned)o->auth << MAIL_AUTH |
	       (unsigned)o->requiretls << MAIL_REQUIRETLS | (unsigned)o->hold << MAIL_HOLDFOR |
	       (unsigned)o->hold << MAIL_HOLDUNTIL | (unsigned)o->mt_priority << MAIL_MT_PRIORITY;
}

static bool set_body(struct slice v, struct smtp_mail_params *p)
{
	p->body = slice_eq_nocase(v, SLICE_LIT("8BITMIME")) ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT;
	return p->body == SMTP_BODY_8BITMIME || slice_eq_nocase(v, SLICE_LIT("7BIT"));
}

static bool set_ret(struct slice v, struct smtp_mail_params *p)
{
	p->ret = slice_eq_nocase(v, SLICE_LIT("FULL"))	 ? SMTP_RET_FULL
		 : slice_eq_nocase(v, SLICE_LIT("HDRS")) ? SMTP_RET_HDRS
							 : SMTP_RET_UNSET;
	return p->ret != SMTP_RET_UNSET;
}

/* RFC 4865 3: one to nine digits, no zero in front; a point of time; and only one of both. */
static bool set_hold(size_t key, struct slice v, struct smtp_mail_params *p)
{
	uint64_t s;

	if (p->hold_for_s > 0 || p->hold_until_s > 0)
		return false;
	if (key == MAIL_HOLDUNTIL)
		return smtp_utc_parse(v, &p->hold_until_s) && p->hold_until_s > 0;
	if (v.p[0] == '0' || !cur_u64(&v, 999999999, &s) || v.n > 0)
		return false;
	p->hold_for_s = (uint32_t)s;
	return true;
}

/* A digit, with or without "-": RFC 6710 4 */
static bool set_priority(struct slice v, struct smtp_mail_params *p)
{
	bool minus = cur_byte(&v, '-');

	if (v.n != 1 || v.p[0] < (minus ? '1' : '0') || v.p[0] > '9')
		return false;
	p->mt_priority = (uint8_t)(minus ? 10 - (v.p[0] - '0') : 10 + (v.p[0] - '0'));
	return true;
}

static bool set_mail(size_t key, struct value v, struct smtp_mail_params *p)
{
	struct slice c = v.text;

	if (key == MAIL_SMTPUTF8)
		return p->smtputf8 = !v.present;
	if (key == MAIL_REQUIRETLS)
		return p->requiretls = !v.present;
	if (v.text.n == 0)
		return false;
	switch (key) {
	case MAIL_SIZE:
		return c.n <= 20 && cur_u64(&c, UINT64_MAX, &p->size) && c.n == 0;
	case MAIL_BODY:
		return set_body(v.text, p);
	case MAIL_RET:
		return set_ret(v.text, p);
	case MAIL_ENVID:
		p->envid = v.text;
		return v.text.n <= ENVID_MAX && is_xtext(v.text);
	case MAIL_HOLDFOR:
	case MAIL_HOLDUNTIL:
		return set_hold(key, v.text, p);
	case MAIL_MT_PRIORITY:
		return set_priority(v.text, p);
	default:
		p->auth = v.text;
		return v.text.n <= AUTH_MAX && is_xtext(v.text);
	}
}

/* RCPT */

enum rcpt_key { RCPT_NOTIFY, RCPT_ORCPT, RCPT_KEYS };

static const struct slice rcpt_keys[RCPT_KEYS] = {
	[RCPT_NOTIFY] = SLICE_INIT("NOTIFY"),
	[RCPT_ORCPT] = SLICE_INIT("ORCPT"),
};

/* NEVER, or a list of the others (RFC 3461 4.1); a word twice does no harm. */
static bool set_notify(struct slice v, struct smtp_rcpt_params *p)
{
	p->notify = 0;
	if (slice_eq_nocase(v, SLICE_LIT("NEVER"))) {
		p->notify = SMTP_NOTIFY_NEVER;
		return true;
	}
	do {
		size_t n = slice_find(v, ',');
		struct slice word = slice_head(v, n);

		if (slice_eq_nocase(word, SLICE_LIT("SUCCESS")))
			p->notify |= SMTP_NOTIFY_SUCCESS;
		else if (slice_eq_nocase(word, SLICE_LIT("FAILURE")))
			p->notify |= SMTP_NOTIFY_FAILURE;
		else if (slice_eq_nocase(word, SLICE_LIT("DELAY")))
			p->notify |= SMTP_NOTIFY_DELAY;
		else
			return false;
		v = slice_tail(v, n);
	} while (cur_byte(&v, ','));
	return true;
}

/* addr-type ";" xtext (RFC 3461 4.2), "utf-8;" with its own encoding (RFC 6533 3) */
static bool set_orcpt(struct slice v, bool smtputf8, struct smtp_rcpt_params *p)
{
	struct slice c = v, type;

	if (v.n > ORCPT_MAX || !cur_until(&c, ';', &type) || type.n == 0 || c.n == 0)
		return false;
	for (size_t i = 0; i < type.n; i++)
		if (!is_keyword(type.p[i]))
			return false;
	p->orcpt = v;
	return slice_eq_nocase(type, SLICE_LIT("utf-8")) ? is_utf8_xtext(c, smtputf8) : is_xtext(c);
}

static bool set_rcpt(size_t key, struct slice v, bool smtputf8, struct smtp_rcpt_params *p)
{
	return key == RCPT_NOTIFY ? set_notify(v, p) : set_orcpt(v, smtputf8, p);
}

/* Take the next parameter if it is one of n keys, offered (a bit each) and not seen
 * yet.  A keyword that is none of it stays where it is. */
static enum smtp_parse next_param(struct slice *cur, const struct slice *keys, size_t n, unsigned offered,
				  unsigned *seen, size_t *ret_key, struct value *ret_value)
{
	struct slice at = *cur, key;
	enum smtp_parse r = take_param(cur, &key, ret_value);
	size_t i = 0;

	if (r != SMTP_PARSE_OK)
		return r;
	while (i < n && !slice_eq_nocase(keys[i], key))
		i++;
	if (i == n || !(offered & 1U << i))
		r = SMTP_PARSE_PARAM_UNKNOWN;
	else if (*seen & 1U << i)
		r = SMTP_PARSE_PARAM_TWICE;
	if (r != SMTP_PARSE_OK) {
		*cur = at;
		return r;
	}
	*seen |= 1U << i;
	*ret_key = i;
	return SMTP_PARSE_OK;
}

/* "FROM:" or "TO:".  A blank behind the colon is forbidden (RFC 5321 3.3), yet
 * printers and scanners send it and mean nothing else. */
static bool cur_intro(struct slice *cur, struct slice word)
{
	if (!cur_word(cur, word))
		return false;
	cur_blanks(cur);
	return true;
}

enum smtp_parse smtp_parse_mail(struct slice args, const struct smtp_params_offered *offered,
				struct smtp_path *ret, struct smtp_mail_params *ret_params, size_t *reterr_at)
{
	struct slice c = args, at = args;
	struct smtp_path path = { 0 };
	struct smtp_mail_params params = { 0 };
	unsigned seen = 0;
	enum smtp_parse r = cur_intro(&c, SLICE_LIT("FROM:")) ? smtp_path_take(&c, SMTP_PATH_REVERSE, &path)
							      : SMTP_PARSE_SYNTAX;

	while (r == SMTP_PARSE_OK && cur_blanks(&c) && c.n > 0) {
		struct value value;
		size_t key;

		at = c;
		r = next_param(&c, mail_keys, MAIL_KEYS, mail_offered(offered), &seen, &key, &value);
		if (r == SMTP_PARSE_OK && !set_mail(key, value, &params)) {
			r = SMTP_PARSE_PARAM_BAD;
			c = at;
		}
	}
	if (r == SMTP_PARSE_OK && c.n > 0)
		r = SMTP_PARSE_SYNTAX;
	if (r == SMTP_PARSE_OK && path.utf8 && !params.smtputf8)
		r = SMTP_PARSE_NEEDS_UTF8;
	if (r != SMTP_PARSE_OK) {
		*reterr_at = args.n - c.n;
		return r;
	}
	*ret = path;
	*ret_params = params;
	return SMTP_PARSE_OK;
}

enum smtp_parse smtp_parse_rcpt(struct slice args, const struct smtp_params_offered *offered, bool smtputf8,
				struct smtp_path *ret, struct smtp_rcpt_params *ret_params, size_t *reterr_at)
{
	struct slice c = args, at = args;
	struct smtp_path path = { 0 };
	struct smtp_rcpt_params params = { 0 };
	unsigned seen = 0;
	enum smtp_parse r = cur_intro(&c, SLICE_LIT("TO:")) ? smtp_path_take(&c, SMTP_PATH_FORWARD, &path)
							    : SMTP_PARSE_SYNTAX;

	while (r == SMTP_PARSE_OK && cur_blanks(&c) && c.n > 0) {
		struct value value;
		size_t key;

		at = c;
		r = next_param(&c, rcpt_keys, RCPT_KEYS, offered->dsn ? ~0U : 0, &seen, &key, &value);
		if (r == SMTP_PARSE_OK && !set_rcpt(key, value.text, smtputf8, &params)) {
			r = SMTP_PARSE_PARAM_BAD;
			c = at;
		}
	}
	if (r == SMTP_PARSE_OK && c.n > 0)
		r = SMTP_PARSE_SYNTAX;
	if (r == SMTP_PARSE_OK && path.utf8 && !smtputf8)
		r = SMTP_PARSE_NEEDS_UTF8;
	if (r != SMTP_PARSE_OK) {
		*reterr_at = args.n - c.n;
		return r;
	}
	*ret = path;
	*ret_params = params;
	return SMTP_PARSE_OK;
}
