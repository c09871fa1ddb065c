/* message/delivery-status (RFC 3464 2.1) and message/global-delivery-status (RFC 6533 4.1). */
#include "base/ip.h"
#include "mime/date.h"
#include "mime/dsn_private.h"

#define VALUE_MAX 1200

static void put_date(struct buf *to, const char *name, uint64_t ms)
{
	struct buf date;
	char room[64];

	buf_init_in(&date, room, sizeof(room));
	mime_date_put(ms, &date);
	dsn_field(to, name, buf_slice(&date));
}

/* utf-8-addr-xtext: printable ASCII, whatever the address holds. */
static void put_xtext(struct buf *to, struct slice address)
{
	while (address.n > 0) {
		size_t len = dsn_utf8(address);
		struct slice c = slice_head(address, len > 0 ? len : 1);
		uint32_t point = len > 1 ? c.p[0] & (0xffU >> (len + 1)) : c.p[0];

		for (size_t i = 1; i < len; i++)
			point = point << 6 | (c.p[i] & 0x3fU);
		address = slice_tail(address, c.n);
		if (len == 0 || (len == 1 && (c.p[0] < 32 || c.p[0] == 127)))
			buf_byte(to, '?');
		else if (len > 1 || strchr(" \\+=", (int)point))
			buf_fmt(to, "\\x{%X}", point);
		else
			buf_put(to, c);
	}
}

/* "rfc822; bob@example.org"; "utf-8; ..." for what is not ASCII. */
static void put_address(struct buf *to, const char *name, struct slice address, bool utf8)
{
	struct buf value;

	buf_init(&value, 16 * VALUE_MAX);
	address = slice_head(address, VALUE_MAX);
	if (slice_has_8bit(address)) {
		buf_str(&value, "utf-8; ");
		if (utf8)
			dsn_clean(address, true, VALUE_MAX, &value);
		else
			put_xtext(&value, address);
	} else {
		buf_str(&value, "rfc822; ");
		dsn_clean(address, false, VALUE_MAX, &value);
	}
	dsn_field(to, name, buf_slice(&value));
	if (!buf_ok(&value))
		to->failed = true;
	buf_done(&value);
}

static bool hex(unsigned char c, unsigned *ret)
{
	if (c >= '0' && c <= '9')
		*ret = c - '0';
	else if (c >= 'A' && c <= 'F')
		*ret = c - 'A' + 10U;
	else
		return false;
	return true;
}

/* RFC 3461 4: "+2B" is '+'. */
static void put_unxtext(struct buf *to, struct slice s)
{
	unsigned high, low;

	while (s.n > 0) {
		if (s.n >= 3 && s.p[0] == '+' && hex(s.p[1], &high) && hex(s.p[2], &low)) {
			buf_byte(to, (unsigned char)(high << 4 | low));
			s = slice_tail(s, 3);
		} else {
			buf_byte(to, s.p[0]);
			s = slice_tail(s, 1);
		}
	}
}

/* RFC 6533 3: "\x{E9}" is that character, where it may stand as it is. */
static void put_ununitext(struct buf *to, struct slice s)
{
	while (s.n > 0) {
		struct slice c = s;
		uint32_t point = 0;
		unsigned digit, n = 0;

		if (cur_byte(&c, '\\') && cur_byte(&c, 'x') && cur_byte(&c, '{'))
			for (; n < 6 && c.n > 0 && hex(c.p[0], &digit); n++, c = slice_tail(c, 1))
				point = point << 4 | digit;
		if (n < 2 || !cur_byte(&c, '}') || point < 0x80 || point > 0x10ffff ||
		    (point >= 0xd800 && point < 0xe000)) {
			buf_byte(to, s.p[0]);
			s = slice_tail(s, 1);
			continue;
		}
		if (point < 0x800) {
			buf_byte(to, (unsigned char)(0xc0 | point >> 6));
		} else {
			if (point < 0x10000) {
				buf_byte(to, (unsigned char)(0xe0 | point >> 12));
			} else {
				buf_byte(to, (unsigned char)(0xf0 | point >> 18));
				buf_byte(to, (unsigned char)(0x80 | (point >> 12 & 0x3f)));
			}
			buf_byte(to, (unsigned char)(0x80 | (point >> 6 & 0x3f)));
		}
		buf_byte(to, (unsigned char)(0x80 | (point & 0x3f)));
		s = c;
	}
}

static bool is_atom(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 32 || s.p[i] > 126 || strchr("()<>@,;:\\\".[]", s.p[i]))
			return false;
	return s.n > 0 && s.n <= 32;
}

static void put_orcpt(struct buf *to, const struct dsn *d, struct slice orcpt)
{
	struct slice type;
	struct buf plain, value;

	if (!cur_until(&orcpt, ';', &type) || !is_atom(type) || orcpt.n == 0)
		return;
	buf_init(&plain, 4 * VALUE_MAX);
	buf_init(&value, 8 * VALUE_MAX);
	orcpt = slice_head(orcpt, VALUE_MAX);
	if (!slice_eq_nocase(type, SLICE_LIT("utf-8")))
		put_unxtext(&plain, orcpt);
	else if (d->smtputf8)
		put_ununitext(&plain, orcpt);
	else
		buf_put(&plain, orcpt);
	buf_put(&value, type);
	buf_str(&value, "; ");
	if (slice_has_8bit(buf_slice(&plain)) && !d->smtputf8 && slice_eq_nocase(type, SLICE_LIT("utf-8")))
		put_xtext(&value, buf_slice(&plain));
	else
		dsn_clean(buf_slice(&plain), d->smtputf8, VALUE_MAX, &value);
	dsn_field(to, "Original-Recipient", buf_slice(&value));
	if (!buf_ok(&plain) || !buf_ok(&value))
		to->failed = true;
	buf_done(&plain);
	buf_done(&value);
}

/* "5.1.1"; the class must be one that goes with the action. */
static void put_status(struct buf *to, const struct dsn_recipient *r)
{
	static const char *const classes[DSN_ACTIONS] = { "54", "4", "2", "2" };
	struct slice cur = slice_tail(r->status, 1);
	uint64_t subject, detail;
	char text[16];
	bool ok = r->status.n > 0 && r->status.p[0] >= '2' && r->status.p[0] <= '5' && cur_byte(&cur, '.') &&
		  cur_u64(&cur, 999, &subject) && cur_byte(&cur, '.') && cur_u64(&cur, 999, &detail) &&
		  cur.n == 0;
	char class = ok && strchr(classes[r->action], r->status.p[0]) ? (char)r->status.p[0]
								      : classes[r->action][0];

	snprintf(text, sizeof(text), "%c.%u.%u", class, ok ? (unsigned)subject : 0,
		 ok ? (unsigned)detail : 0);
	dsn_field(to, "Status", slice_str(text));
}

static void put_said(struct buf *to, const struct dsn *d, const struct dsn_recipient *r)
{
	struct buf value;

	if (r->said.n == 0 && r->code == 0)
		return;
	buf_init(&value, 4 * DSN_QUOTED);
	/* Of type smtp are a server's replies only: what we say of a connection is ours. */
	if (r->code > 0) {
		buf_fmt(&value, "smtp; %03u ", r->code % 1000U);
		if (r->status.n > 0 && r->status.n < 12 && !slice_has_8bit(r->status)) {
			dsn_clean(r->status, false, 12, &value);
			buf_byte(&value, ' ');
		}
	} else {
		buf_str(&value, "X-Postern; ");
	}
	dsn_clean(r->said, d->smtputf8, DSN_QUOTED, &value);
	dsn_field(to, "Diagnostic-Code", buf_slice(&value));
	if (!buf_ok(&value))
		to->failed = true;
	buf_done(&value);
}

static void put_named(struct buf *to, const char *name, const char *type, struct slice value)
{
	struct buf b;

	buf_init(&b, VALUE_MAX);
	buf_str(&b, type);
	dsn_clean(value, false, 500, &b);
	dsn_field(to, name, buf_slice(&b));
	if (!buf_ok(&b))
		to->failed = true;
	buf_done(&b);
}

/* As the sender chose it, not as SMTP had to write it (RFC 3461 6.3, RFC 3464 2.2.1). */
static void put_envid(struct buf *to, struct slice envid)
{
	struct buf plain;

	buf_init(&plain, VALUE_MAX);
	put_unxtext(&plain, slice_head(envid, VALUE_MAX));
	if (plain.n > 0)
		put_named(to, "Original-Envelope-Id", "", buf_slice(&plain));
	if (!buf_ok(&plain))
		to->failed = true;
	buf_done(&plain);
}

/* A host that has no name is its address literal (RFC 5321 4.1.3). */
static void put_remote(struct buf *to, struct slice host)
{
	struct ip ip;
	char text[IP_TEXT_MAX + 10];

	if (ip_parse(host, &ip)) {
		snprintf(text, sizeof(text), ip.family == 6 ? "[IPv6:%.*s]" : "[%.*s]", SLICE_ARG(host));
		host = slice_str(text);
	}
	put_named(to, "Remote-MTA", "dns; ", host);
}

static void put_recipient(struct buf *to, const struct dsn *d, const struct dsn_recipient *r)
{
	static const char *const actions[DSN_ACTIONS] = { "failed", "delayed", "delivered", "relayed" };

	buf_str(to, "\r\n");
	put_orcpt(to, d, r->orcpt);
	put_address(to, "Final-Recipient", r->final.n > 0 ? r->final : r->address, d->smtputf8);
	dsn_field(to, "Action", slice_str(actions[r->action]));
	put_status(to, r);
	if (r->remote.n > 0)
		put_remote(to, r->remote);
	put_said(to, d, r);
	if (r->last_attempt_ms > 0)
		put_date(to, "Last-Attempt-Date", r->last_attempt_ms);
	if (r->action == DSN_DELAYED && r->retry_until_ms > 0)
		put_date(to, "Will-Retry-Until", r->retry_until_ms);
}

void dsn_programs(const struct dsn *d, struct buf *to)
{
	put_envid(to, d->envid);
	put_named(to, "Reporting-MTA", "dns; ", d->hostname);
	if (d->arrived_ms > 0)
		put_date(to, "Arrival-Date", d->arrived_ms);
	put_named(to, "X-Postern-Queue-ID", "", d->about_id);
	for (size_t i = 0; i < d->recipients; i++)
		put_recipient(to, d, &d->recipient[i]);
}
