#include "dns/dns.h"

#include <errno.h>
#include <idn2.h>

#define USER_TEXT_MAX 1024 /* octets of a name in UTF-8, before it is mapped */

static char lower(unsigned char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool dns_name_parse(struct slice text, struct dns_name *ret)
{
	struct dns_name n = { 0 };
	size_t label = 0;

	if (text.n > 0 && text.p[text.n - 1] == '.')
		text.n--;
	else if (text.n == 0)
		return false; /* the root is written "." */
	if (text.n > DNS_NAME_MAX)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = text.p[i];

		if (c <= ' ' || c > '~' || c == '\\')
			return false;
		if (c == '.' && label == 0)
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > DNS_LABEL_MAX)
			return false;
		n.text[n.n++] = lower(c);
	}
	if (n.n > 0 && label == 0)
		return false;
	*ret = n;
	return true;
}

int dns_name_from_user(struct slice text, struct dns_name *ret)
{
	char utf8[USER_TEXT_MAX + 1];
	uint8_t *ascii = NULL;
	bool ok;
	int r;

	if (!slice_has_8bit(text))
		return dns_name_parse(text, ret) ? 0 : -EINVAL;
	if (!slice_copy(text, utf8, sizeof(utf8)))
		return -EINVAL;
	r = idn2_lookup_u8((const uint8_t *)utf8, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (r != IDN2_OK)
		return r == IDN2_MALLOC ? -ENOMEM : -EINVAL;
	/* The mapping can yield any ASCII: it is parsed as if it had come so. */
	ok = dns_name_parse(slice_str((const char *)ascii), ret);
	idn2_free(ascii);
	return ok ? 0 : -EINVAL;
}

bool dns_name_eq(const struct dns_name *a, const struct dns_name *b)
{
	return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

struct slice dns_name_slice(const struct dns_name *n)
{
	return slice_of(n->text, n->n);
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool is_label(struct slice s)
{
	if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!(is_digit(s.p[i]) || (s.p[i] >= 'a' && s.p[i] <= 'z') || s.p[i] == '-' || s.p[i] == '_'))
			return false;
	return true;
}

bool dns_name_is_host(const struct dns_name *n)
{
	struct slice rest = dns_name_slice(n), label;

	do {
		label = slice_head(rest, slice_find(rest, '.'));
		if (!is_label(label))
			return false;
		rest = slice_tail(rest, label.n + 1);
	} while (rest.n > 0);
	/* RFC 1123 2.1: what ends with a number is an address, if anything. */
	for (size_t i = 0; i < label.n; i++)
		if (!is_digit(label.p[i]))
			return true;
	return false;
}

bool dns_name_tlsa(const struct dns_name *host, uint16_t port, struct dns_name *ret)
{
	char text[DNS_NAME_MAX + 20];
	int n = snprintf(text, sizeof(text), "_%u._tcp.%s", port, host->text);

	return host->n > 0 && dns_name_parse(slice_of(text, (size_t)n), ret);
}

void dns_name_reverse(const struct ip *ip, struct dns_name *ret)
{
	static const char hex[] = "0123456789abcdef";
	struct dns_name n = { 0 };
	int len;

	if (ip->family == 4) {
		len = snprintf(n.text, sizeof(n.text), "%u.%u.%u.%u.in-addr.arpa", ip->byte[3], ip->byte[2],
			       ip->byte[1], ip->byte[0]);
	} else {
		for (size_t i = 0; i < 16; i++) {
			n.text[4 * i] = hex[ip->byte[15 - i] & 15];
			n.text[4 * i + 2] = hex[ip->byte[15 - i] >> 4];
			n.text[4 * i + 1] = n.text[4 * i + 3] = '.';
		}
		len = 64 + snprintf(n.text + 64, sizeof(n.text) - 64, "ip6.arpa");
	}
	n.n = (uint8_t)len;
	*ret = n;
}

const char *dns_type_name(enum dns_type t)
{
	switch (t) {
	case DNS_A:
		return "A";
	case DNS_CNAME:
		return "CNAME";
	case DNS_PTR:
		return "PTR";
	case DNS_MX:
		return "MX";
	case DNS_TXT:
		return "TXT";
	case DNS_AAAA:
		return "AAAA";
	case DNS_SRV:
		return "SRV";
	case DNS_TLSA:
		return "TLSA";
	}
	return "?";
}

const char *dns_status_name(enum dns_status s)
{
	static const char *const names[] = {
		[DNS_OK] = "found",
		[DNS_NXDOMAIN] = "no such name",
		[DNS_NODATA] = "no such record",
		[DNS_SERVFAIL] = "its name servers fail",
		[DNS_BOGUS] = "its DNSSEC signatures are missing or wrong",
		[DNS_TIMEOUT] = "no answer in time",
		[DNS_NO_MEMORY] = "too much to do here",
	};

	return (size_t)s < sizeof(names) / sizeof(names[0]) ? names[s] : "?";
}
