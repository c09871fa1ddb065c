#include "account/address.h"

#include "smtp/path.h"

/* Keeps UTF-8 as it is: RFC 6530 knows no case for it that two hosts agree on. */
static void fold(char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] >= 'A' && s[i] <= 'Z')
			s[i] = (char)(s[i] - 'A' + 'a');
}

bool account_address_parse(struct slice text, struct account_address *ret)
{
	struct smtp_path path;
	struct account_address a;
	char room[ACCOUNT_ADDRESS_MAX];
	struct buf b;
	size_t at;
	bool ok;

	if (smtp_parse_address(text, &path, &at) != SMTP_PARSE_OK || path.null || path.domain.n == 0)
		return false;
	buf_init_in(&b, room, sizeof(room)); /* a lack of memory would make it no address */
	ok = smtp_path_put_canonical(&path, &b) && buf_ok(&b) &&
	     slice_copy(buf_slice(&b), a.text, sizeof(a.text));
	if (ok) {
		size_t n = buf_slice(&b).n;

		memcpy(a.key, a.text, n + 1);
		/* A quoted local part may hold an '@', a domain never. */
		a.local_n = slice_rfind(buf_slice(&b), '@');
		/* A-labels can be longer than what came; and what is stored must parse again. */
		ok = a.local_n > 0 && a.local_n <= ACCOUNT_LOCAL_MAX && a.local_n + 1 < n &&
		     n + 2 <= SMTP_PATH_MAX;
		fold(a.key, a.local_n);
	}
	if (ok)
		*ret = a;
	return ok;
}

struct slice account_address_local(const struct account_address *a)
{
	return slice_of(a->text, a->local_n);
}

struct slice account_address_local_key(const struct account_address *a)
{
	return slice_of(a->key, a->local_n);
}

struct slice account_address_domain(const struct account_address *a)
{
	return slice_str(a->key + a->local_n + 1);
}

bool account_domain_parse(struct slice text, char ret[static ACCOUNT_DOMAIN_MAX + 1])
{
	struct account_address a;
	char with_local[2 + 2 * ACCOUNT_DOMAIN_MAX];
	struct slice domain;

	if (text.n == 0 || text.n > sizeof(with_local) - 2 || slice_find(text, '@') < text.n)
		return false;
	with_local[0] = 'x';
	with_local[1] = '@';
	memcpy(with_local + 2, text.p, text.n);
	if (!account_address_parse(slice_of(with_local, text.n + 2), &a))
		return false;
	domain = account_address_domain(&a);
	return domain.p[0] != '[' && domain.p[0] != '.' && slice_find(domain, '/') == domain.n &&
	       slice_copy(domain, ret, ACCOUNT_DOMAIN_MAX + 1);
}

bool account_local_next(struct slice local, struct slice delimiters, size_t *n)
{
	if (*n == 0) {
		*n = local.n;
		return local.n > 0;
	}
	if (local.p[0] == '"')
		return false;
	for (size_t i = *n - 1; i > 0; i--) {
		if (slice_find(delimiters, local.p[i]) < delimiters.n) {
			*n = i;
			return true;
		}
	}
	return false;
}

bool account_local_is_safe(struct slice local)
{
	if (local.n == 0 || local.n > ACCOUNT_LOCAL_MAX || local.p[0] == '.' || local.p[0] == '"')
		return false;
	for (size_t i = 0; i < local.n; i++)
		if (local.p[i] == '/' || local.p[i] <= ' ' || local.p[i] == 0x7f)
			return false;
	return true;
}

void account_mailbox_path(struct slice local_key, struct slice domain, struct buf *to)
{
	buf_put(to, domain);
	buf_byte(to, '/');
	buf_put(to, local_key);
}

void account_postmaster_path(struct slice domain, struct buf *to)
{
	buf_str(to, "_postmaster/");
	buf_put(to, domain);
}
