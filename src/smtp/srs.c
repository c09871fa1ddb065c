#include "smtp/srs.h"

#include <sodium.h>

#include "smtp/path.h"

#define DAY_CYCLE  1024 /* two digits of base 32 */
#define HASH_LONG  8
#define HASH_LEAST 4

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"; /* RFC 4648 */

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

bool srs_is(struct slice local)
{
	return local.n > 5 && slice_starts_nocase(local, SLICE_LIT("SRS")) &&
	       (local.p[3] == '0' || local.p[3] == '1') && strchr("=+-", local.p[4]);
}

/* HMAC-SHA-256 of kind and text in lower case, as base 32. */
static void put_hash(char kind, struct slice text, const unsigned char key[static SRS_KEY], size_t n,
		     struct buf *to)
{
	unsigned char mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state st;

	crypto_auth_hmacsha256_init(&st, key, SRS_KEY);
	crypto_auth_hmacsha256_update(&st, (const unsigned char *)&kind, 1);
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = lower(text.p[i]);

		crypto_auth_hmacsha256_update(&st, &c, 1);
	}
	crypto_auth_hmacsha256_final(&st, mac);
	for (size_t i = 0; i < n; i++) /* five bits of each octet are as good as any */
		buf_byte(to, (unsigned char)digits[mac[i] & 31]);
}

static bool hash_fits(char kind, struct slice text, struct slice hash,
		      const unsigned char key[static SRS_KEY])
{
	char room[HASH_LONG];
	struct buf b;

	buf_init_in(&b, room, sizeof(room));
	put_hash(kind, text, key, HASH_LONG, &b);
	return slice_eq_nocase(slice_head(buf_slice(&b), hash.n), hash);
}

/* How long the hash is, by what stands with it. */
static size_t hash_length(size_t rest)
{
	return sizeof("SRS0==") - 1 + HASH_LONG + rest <= SMTP_LOCAL_PART_MAX ? HASH_LONG : HASH_LEAST;
}

static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 32 || s.p[i] == 127 || strchr("\"(),:;<>@[]\\", s.p[i]))
			return false;
	return s.n > 0;
}

/* "SRS0=HASH=text@domain" */
static bool put_address(char kind, struct slice text, struct slice domain,
			const unsigned char key[static SRS_KEY], struct buf *to)
{
	size_t hash = hash_length(text.n), local = sizeof("SRS0==") - 1 + hash + text.n;

	/* 256 with its angle brackets, RFC 5321 4.5.3.1.3. */
	if (local > SMTP_LOCAL_PART_SRS_MAX || local + 1 + domain.n + 2 > SMTP_PATH_MAX)
		return false;
	buf_fmt(to, "SRS%c=", kind);
	put_hash(kind, text, key, hash, to);
	buf_byte(to, '=');
	buf_put(to, text);
	buf_byte(to, '@');
	buf_put(to, domain);
	return buf_ok(to);
}

/* "first.domain=" and what its SRS0 goes on with. */
static bool split_1(struct slice text, struct slice *ret_domain, struct slice *ret_rest)
{
	if (!cur_until(&text, '=', ret_domain) || ret_domain->n == 0 || text.n < 2)
		return false;
	*ret_rest = text;
	return true;
}

bool srs_make(struct slice sender, struct slice domain, const unsigned char key[static SRS_KEY], uint64_t day,
	      struct buf *to)
{
	size_t at = slice_rfind(sender, '@');
	struct slice local = slice_head(sender, at), theirs = slice_tail(sender, at + 1), rest, first, tail;
	char room[SMTP_PATH_MAX + 8];
	struct buf text;

	buf_init_in(&text, room, sizeof(room));
	if (at >= sender.n || !is_plain(local) || !is_plain(theirs))
		return false;
	rest = slice_tail(local, 5);
	if (!srs_is(local)) {
		buf_byte(&text, (unsigned char)digits[day % DAY_CYCLE / 32]);
		buf_byte(&text, (unsigned char)digits[day % 32]);
		buf_byte(&text, '=');
		buf_put(&text, theirs);
		buf_byte(&text, '=');
		buf_put(&text, local);
		return buf_ok(&text) && put_address('0', buf_slice(&text), domain, key, to);
	}
	if (local.p[3] == '0') { /* with what parted it, which need not be '=' */
		buf_put(&text, theirs);
		buf_byte(&text, '=');
		buf_put(&text, slice_tail(local, 4));
	} else if (cur_until(&rest, '=', &first) && split_1(rest, &first, &tail)) {
		buf_put(&text, rest); /* their hash goes, the first forwarder stays */
	}
	return buf_ok(&text) && text.n > 0 && put_address('1', buf_slice(&text), domain, key, to);
}

static bool digit(unsigned char c, uint64_t *ret)
{
	const char *at = strchr(digits, c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);

	if (c == 0 || !at)
		return false;
	*ret = (uint64_t)(at - digits);
	return true;
}

static enum srs_result open_0(struct slice text, uint64_t day, struct buf *to)
{
	uint64_t high, low;
	struct slice stamp, domain;

	if (!cur_until(&text, '=', &stamp) || stamp.n != 2 || !digit(stamp.p[0], &high) ||
	    !digit(stamp.p[1], &low) || !cur_until(&text, '=', &domain) || domain.n == 0 || text.n == 0)
		return SRS_FORGED;
	if ((day + DAY_CYCLE - (high * 32 + low)) % DAY_CYCLE > SRS_DAYS)
		return SRS_EXPIRED;
	buf_put(to, text);
	buf_byte(to, '@');
	buf_put(to, domain);
	return SRS_OK;
}

/* Its age is for the first forwarder to look at, whose date it has. */
static enum srs_result open_1(struct slice text, struct buf *to)
{
	struct slice domain, rest;

	if (!split_1(text, &domain, &rest))
		return SRS_FORGED;
	buf_str(to, "SRS0");
	buf_put(to, rest);
	buf_byte(to, '@');
	buf_put(to, domain);
	return SRS_OK;
}

enum srs_result srs_open(struct slice local, const unsigned char key[static SRS_KEY], uint64_t day,
			 struct buf *to)
{
	struct slice text = slice_tail(local, 5), hash;
	char kind;

	if (!srs_is(local))
		return SRS_NONE;
	kind = (char)local.p[3];
	if (!cur_until(&text, '=', &hash) || hash.n != hash_length(text.n) ||
	    !hash_fits(kind, text, hash, key))
		return SRS_FORGED;
	return kind == '0' ? open_0(text, day, to) : open_1(text, to);
}
