#include "route/sts.h"

#include <string.h>

#include "base/buf.h"

/* ---- the record ---- */

static bool is_alnum(unsigned char c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* RFC 8461 3.1: sts-field-delim = *WSP ";" *WSP */
static bool take_delimiter(struct slice *cur)
{
	struct slice c = *cur;

	cur_blanks(&c);
	if (!cur_byte(&c, ';'))
		return false;
	cur_blanks(&c);
	*cur = c;
	return true;
}

static bool is_field(struct slice f)
{
	size_t eq = slice_find(f, '=');

	if (eq == 0 || eq > 32 || eq + 1 >= f.n || !is_alnum(f.p[0]))
		return false;
	for (size_t i = 0; i < eq; i++)
		if (!is_alnum(f.p[i]) && f.p[i] != '_' && f.p[i] != '-' && f.p[i] != '.')
			return false;
	for (size_t i = eq + 1; i < f.n; i++)
		if (f.p[i] <= ' ' || f.p[i] > '~' || f.p[i] == '=')
			return false;
	return true;
}

static bool take_id(struct slice field, char ret[STS_ID_MAX + 1])
{
	struct slice id = slice_tail(field, 3);

	if (!slice_starts(field, SLICE_LIT("id=")) || id.n == 0 || id.n > STS_ID_MAX)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!is_alnum(id.p[i]))
			return false;
	return slice_copy(id, ret, STS_ID_MAX + 1);
}

bool sts_record_parse(struct slice txt, char ret_id[STS_ID_MAX + 1])
{
	static const struct slice version = SLICE_INIT("v=STSv1");
	char id[STS_ID_MAX + 1] = "";
	struct slice c = txt;

	if (!slice_starts(c, version))
		return false;
	c = slice_tail(c, version.n);
	while (take_delimiter(&c) && c.n > 0) {
		struct slice field = slice_trim(slice_head(c, slice_find(c, ';')));

		if (!is_field(field))
			return false;
		if (slice_starts(field, SLICE_LIT("id=")) && !id[0] && !take_id(field, id))
			return false;
		c = slice_tail(c, slice_find(c, ';'));
	}
	if (c.n > 0 || !id[0])
		return false;
	memcpy(ret_id, id, sizeof(id));
	return true;
}

enum sts_record sts_record(const struct dns_answer *a, char ret_id[STS_ID_MAX + 1])
{
	const struct dns_record *ours = NULL;

	if (a->status == DNS_NXDOMAIN || a->status == DNS_NODATA)
		return STS_RECORD_NONE;
	if (a->status != DNS_OK)
		return STS_RECORD_UNKNOWN;
	/* Others are discarded; if then there is not exactly one, there is none. */
	for (size_t i = 0; i < a->n; i++) {
		if (!slice_starts(a->records[i].txt, SLICE_LIT("v=STSv1")))
			continue;
		if (ours)
			return STS_RECORD_NONE;
		ours = &a->records[i];
	}
	return ours && sts_record_parse(ours->txt, ret_id) ? STS_RECORD_FOUND : STS_RECORD_NONE;
}

static bool name_below(const char *prefix, const struct dns_name *domain, struct dns_name *ret)
{
	size_t n = strlen(prefix);

	if (domain->n == 0 || n + domain->n > DNS_NAME_MAX)
		return false;
	*ret = (struct dns_name){ .n = (uint8_t)(n + domain->n) };
	memcpy(ret->text, prefix, n);
	memcpy(ret->text + n, domain->text, domain->n);
	return true;
}

bool sts_record_name(const struct dns_name *domain, struct dns_name *ret)
{
	return name_below("_mta-sts.", domain, ret);
}

bool sts_host_name(const struct dns_name *domain, struct dns_name *ret)
{
	return name_below("mta-sts.", domain, ret);
}

/* ---- the policy ---- */

static const struct slice modes[] = {
	[STS_MODE_NONE] = SLICE_INIT("none"),
	[STS_MODE_TESTING] = SLICE_INIT("testing"),
	[STS_MODE_ENFORCE] = SLICE_INIT("enforce"),
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

const char *sts_mode_name(enum sts_mode mode)
{
	return mode < MODES ? (const char *)modes[mode].p : "unknown";
}

struct reading {
	struct sts_policy *p;
	bool version, mode, max_age;
	size_t patterns;
};

static const char *take_version(struct reading *r, struct slice v)
{
	if (!r->version && !slice_eq(v, SLICE_LIT("STSv1")))
		return "its version is not STSv1";
	r->version = true;
	return NULL;
}

static const char *take_mode(struct reading *r, struct slice v)
{
	if (r->mode)
		return NULL;
	for (size_t i = 0; i < MODES; i++)
		if (slice_eq(v, modes[i])) {
			r->p->mode = (enum sts_mode)i;
			r->mode = true;
			return NULL;
		}
	return "its mode is none of enforce, testing and none";
}

static const char *take_max_age(struct reading *r, struct slice v)
{
	uint64_t age;

	if (r->max_age)
		return NULL;
	if (v.n > 10 || !cur_u64(&v, 9999999999, &age) || v.n > 0)
		return "its max_age is no number of seconds";
	r->p->max_age = age < STS_MAX_AGE ? (uint32_t)age : STS_MAX_AGE;
	r->max_age = true;
	return NULL;
}

static const char *take_mx(struct reading *r, struct slice v)
{
	struct slice name = slice_starts(v, SLICE_LIT("*.")) ? slice_tail(v, 2) : v;
	struct sts_policy *p = r->p;
	struct dns_name host;

	if (!dns_name_parse(name, &host) || host.n == 0 || !dns_name_is_host(&host))
		return "an mx of it is no host name";
	if (++r->patterns > STS_MX_MAX || p->mx_n + host.n + 4 > STS_MX_TEXT_MAX)
		return "it has too many mx";
	if (p->mx_n > 0)
		p->mx[p->mx_n++] = ' ';
	if (name.n < v.n) {
		p->mx[p->mx_n++] = '*';
		p->mx[p->mx_n++] = '.';
	}
	memcpy(p->mx + p->mx_n, host.text, host.n);
	p->mx_n += host.n;
	p->mx[p->mx_n] = '\0';
	return NULL;
}

static const struct key {
	struct slice name;
	const char *(*take)(struct reading *r, struct slice value);
} keys[] = {
	{ SLICE_INIT("version"), take_version },
	{ SLICE_INIT("mode"), take_mode },
	{ SLICE_INIT("max_age"), take_max_age },
	{ SLICE_INIT("mx"), take_mx },
};

static const char *take_line(struct reading *r, struct slice line)
{
	struct slice name, value = line;

	if (!cur_until(&value, ':', &name))
		return "a line of it has no colon";
	value = slice_trim(value);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (slice_eq(name, keys[i].name))
			return keys[i].take(r, value);
	return NULL;
}

const char *sts_policy_parse(struct slice text, struct sts_policy *ret)
{
	struct reading r = { .p = ret };

	if (text.n > STS_POLICY_MAX)
		return "it is larger than 64 KiB";
	ret->mx_n = 0;
	ret->mx[0] = '\0';
	while (text.n > 0) {
		size_t end = slice_find(text, '\n');
		struct slice line = slice_head(text, end);
		const char *wrong;

		if (end < text.n && line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		line = slice_trim(line);
		wrong = line.n > 0 ? take_line(&r, line) : NULL;
		if (wrong)
			return wrong;
		text = slice_tail(text, end + 1);
	}
	if (!r.version)
		return "it has no version";
	if (!r.mode)
		return "it has no mode";
	if (!r.max_age)
		return "it has no max_age";
	if (ret->mx_n == 0 && ret->mode != STS_MODE_NONE)
		return "it has no mx";
	return NULL;
}

void sts_policy_text(const struct sts_policy *p, struct buf *to)
{
	struct slice rest = slice_of(p->mx, p->mx_n);

	buf_str(to, "version:STSv1\nmode:");
	buf_str(to, sts_mode_name(p->mode));
	buf_str(to, "\nmax_age:");
	buf_dec(to, p->max_age, 1);
	buf_byte(to, '\n');
	while (rest.n > 0) {
		size_t end = slice_find(rest, ' ');

		buf_str(to, "mx:");
		buf_put(to, slice_head(rest, end));
		buf_byte(to, '\n');
		rest = slice_tail(rest, end + 1);
	}
}

static bool matches(struct slice pattern, struct slice host)
{
	if (!slice_starts(pattern, SLICE_LIT("*.")))
		return slice_eq_nocase(pattern, host);
	/* One label, and not an empty one. */
	return slice_find(host, '.') > 0 &&
	       slice_eq_nocase(slice_tail(pattern, 1), slice_tail(host, slice_find(host, '.')));
}

bool sts_policy_lists(const struct sts_policy *p, struct slice host)
{
	struct slice rest = slice_of(p->mx, p->mx_n);

	while (rest.n > 0) {
		size_t end = slice_find(rest, ' ');

		if (matches(slice_head(rest, end), host))
			return true;
		rest = slice_tail(rest, end + 1);
	}
	return false;
}
