#include "conf/directives.h"

#include <assert.h>
#include <errno.h>

#include "base/endpoint.h"

struct unit {
	const char *suffix;
	uint64_t factor;
};
static const struct unit size_units[] = {
	{ "G", UINT64_C(1) << 30 },
	{ "M", UINT64_C(1) << 20 },
	{ "K", UINT64_C(1) << 10 },
	{ "", 1 },
	{ NULL, 0 },
};
static const struct unit second_units[] = {
	{ "d", 86400 }, { "h", 3600 }, { "m", 60 }, { "s", 1 }, { NULL, 0 },
};
static const struct unit millisecond_units[] = {
	{ "s", 1000 },
	{ "ms", 1 },
	{ NULL, 0 },
};

static const struct unit *units_of(enum conf_type type)
{
	switch (type) {
	case CONF_T_SIZE:
		return size_units;
	case CONF_T_SECONDS:
		return second_units;
	case CONF_T_MILLISECONDS:
		return millisecond_units;
	default:
		return NULL;
	}
}

/* --- texts --- */

static const char *text_fault(const struct conf_directive *d, struct slice s)
{
	struct endpoint e;

	if (!conf_text_ok(s))
		return "holds characters that cannot be shown on one line";
	if (s.n < d->min)
		return "is empty";
	if (s.n > (d->max ? d->max : CONF_STRING_MAX))
		return "is too long";
	switch (d->type) {
	case CONF_T_HOST:
		return conf_host_ok(s) ? NULL : "is not a host name";
	case CONF_T_PATH:
		return s.n > 0 && s.p[0] == '/' ? NULL : "is not an absolute path";
	case CONF_T_EMAIL:
		return s.n == 0 || conf_email_ok(s) ? NULL : "is not a mail address";
	case CONF_T_ENDPOINT:
		return s.n == 0 || endpoint_parse(s, &e) ? NULL : "is no place to connect to";
	case CONF_T_ACCOUNT_NAME:
		return s.n == 0 || conf_account_name_ok(s) ? NULL : "is not the name of a user or group";
	default:
		return NULL;
	}
}

static int set_text(const struct conf_directive *d, char **to, struct slice text, struct buf *why)
{
	const char *fault = text_fault(d, text);
	char *copy;

	if (fault) {
		buf_str(why, fault);
		return -EINVAL;
	}
	copy = slice_dup(text);
	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

/* --- numbers and words --- */

static uint64_t load_number(const struct conf_directive *d, const void *at)
{
	switch (d->width) {
	case 1:
		return *(const uint8_t *)at;
	case 2:
		return *(const uint16_t *)at;
	case 4:
		return *(const uint32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

static void store_number(const struct conf_directive *d, void *at, uint64_t v)
{
	switch (d->width) {
	case 1:
		*(uint8_t *)at = (uint8_t)v;
		return;
	case 2:
		*(uint16_t *)at = (uint16_t)v;
		return;
	case 4:
		*(uint32_t *)at = (uint32_t)v;
		return;
	default:
		*(uint64_t *)at = v;
	}
}

static uint64_t number_max(const struct conf_directive *d)
{
	return d->max ? d->max : UINT32_MAX;
}

static const struct unit *find_unit(const struct unit *u, struct slice suffix)
{
	for (; u->suffix; u++)
		if (slice_eq_nocase(suffix, slice_str(u->suffix)))
			return u;
	return NULL;
}

static int set_number(const struct conf_directive *d, void *at, struct slice text, struct buf *why)
{
	const struct unit *units = units_of(d->type), *unit;
	uint64_t v, factor = 1;

	if (!cur_u64(&text, UINT64_MAX, &v)) {
		buf_str(why, "is not a number");
		return -EINVAL;
	}
	if (units) {
		unit = find_unit(units, text);
		/* A zero needs no unit. */
		if (!unit && !(text.n == 0 && v == 0)) {
			buf_str(why, text.n ? "has an unknown unit" : "lacks its unit");
			return -EINVAL;
		}
		factor = unit ? unit->factor : 1;
	} else if (text.n > 0) {
		buf_str(why, "is not a number");
		return -EINVAL;
	}
	if (v > number_max(d) / factor || v * factor < d->min) {
		buf_str(why, v > number_max(d) / factor ? "is too large" : "is too small");
		return -EINVAL;
	}
	store_number(d, at, v * factor);
	return 0;
}

static int set_bool(bool *at, struct slice text, struct buf *why)
{
	static const char *const yes[] = { "yes", "true", "on" }, *const no[] = { "no", "false", "off" };

	for (size_t i = 0; i < 3; i++) {
		if (slice_eq_nocase(text, slice_str(yes[i])) || slice_eq_nocase(text, slice_str(no[i]))) {
			*at = slice_eq_nocase(text, slice_str(yes[i]));
			return 0;
		}
	}
	buf_str(why, "is neither yes nor no");
	return -EINVAL;
}

static int set_word(const struct conf_directive *d, int *at, struct slice text, struct buf *why)
{
	for (const struct conf_word *w = d->words; w->word; w++) {
		if (slice_eq_nocase(text, slice_str(w->word))) {
			*at = w->value;
			return 0;
		}
	}
	buf_str(why, "is none of its words");
	return -EINVAL;
}

/* --- lists --- */

static bool is_texts(const struct conf_directive *d)
{
	return d->type >= CONF_T_STRINGS;
}

static const char *element_fault(const struct conf_directive *d, struct slice s)
{
	if (!conf_text_ok(s))
		return "holds characters that cannot be shown on one line";
	if (s.n == 0)
		return "is empty";
	if (s.n > CONF_STRING_MAX)
		return "is too long";
	switch (d->type) {
	case CONF_T_PATTERNS:
		return conf_pattern_ok(s) ? NULL : "is neither a domain nor a mail address";
	case CONF_T_HOSTS:
		return conf_place_ok(s) ? NULL : "is neither a host name nor an address";
	case CONF_T_FINGERPRINTS:
		return conf_fingerprint_ok(s) ? NULL : "is no SHA-256 in hexadecimal";
	default:
		return NULL;
	}
}

static int one_too_many(const struct conf_directive *d, struct buf *why)
{
	buf_fmt(why, "is one too many, %llu at most", (unsigned long long)d->max);
	return -EINVAL;
}

static int set_text_element(const struct conf_directive *d, unsigned char *in, struct slice text,
			    struct buf *why)
{
	char ***list = (void *)(in + d->at), **more, *copy;
	size_t *n = (void *)(in + d->at_n);
	const char *fault = element_fault(d, text);

	if (fault) {
		buf_str(why, fault);
		return -EINVAL;
	}
	if (*n >= d->max)
		return one_too_many(d, why);
	more = reallocarray(*list, *n + 1, sizeof(**list));
	if (!more)
		return -ENOMEM;
	*list = more;
	copy = slice_dup(text);
	if (!copy)
		return -ENOMEM;
	more[(*n)++] = copy;
	return 0;
}

static int set_element(const struct conf_directive *d, unsigned char *in, struct slice text, struct buf *why)
{
	void **list = (void *)(in + d->at);
	size_t *n = (void *)(in + d->at_n);
	bool nets = d->type == CONF_T_NETWORKS;
	size_t size = nets ? sizeof(struct ip_net) : sizeof(struct ip);
	struct ip_net net = { 0 };
	void *more;

	if (nets ? !ip_net_parse(text, &net) : !ip_parse(text, &net.ip)) {
		buf_str(why, nets ? "is not a network" : "is not an IP address");
		if (nets && slice_find(text, '/') < text.n)
			buf_str(why, " (or bits are set behind its prefix)");
		return -EINVAL;
	}
	if (*n >= d->max)
		return one_too_many(d, why);
	more = reallocarray(*list, *n + 1, size);
	if (!more)
		return -ENOMEM;
	*list = more;
	if (nets)
		((struct ip_net *)more)[(*n)++] = net;
	else
		((struct ip *)more)[(*n)++] = net.ip;
	return 0;
}

/* --- the face --- */

int conf_value_set(const struct conf_directive *d, void *in, struct slice text, struct buf *why)
{
	unsigned char *at = (unsigned char *)in + d->at;

	switch (d->type) {
	case CONF_T_STRING:
	case CONF_T_ACCOUNT_NAME:
	case CONF_T_HOST:
	case CONF_T_PATH:
	case CONF_T_EMAIL:
	case CONF_T_ENDPOINT:
		return set_text(d, (void *)at, text, why);
	case CONF_T_BOOL:
		return set_bool((void *)at, text, why);
	case CONF_T_NUMBER:
	case CONF_T_PORT:
	case CONF_T_SIZE:
	case CONF_T_SECONDS:
	case CONF_T_MILLISECONDS:
		return set_number(d, at, text, why);
	case CONF_T_WORD:
		return set_word(d, (void *)at, text, why);
	case CONF_T_ADDRESSES:
	case CONF_T_NETWORKS:
		return set_element(d, in, text, why);
	case CONF_T_STRINGS:
	case CONF_T_PATTERNS:
	case CONF_T_HOSTS:
	case CONF_T_FINGERPRINTS:
		return set_text_element(d, in, text, why);
	}
	assert(false);
	return -EINVAL;
}

void conf_value_clear(const struct conf_directive *d, void *in)
{
	void **at = (void *)((unsigned char *)in + d->at);

	if (is_texts(d))
		for (size_t i = 0; i < *(size_t *)(void *)((unsigned char *)in + d->at_n); i++)
			free(((char **)*at)[i]);
	if (d->type <= CONF_T_ENDPOINT || conf_is_list(d->type)) {
		free(*at);
		*at = NULL;
	}
	if (conf_is_list(d->type))
		*(size_t *)(void *)((unsigned char *)in + d->at_n) = 0;
}

static void show_number(const struct conf_directive *d, uint64_t v, struct buf *to)
{
	const struct unit *u = units_of(d->type);

	while (u && u[1].suffix && (v % u->factor != 0 || v == 0))
		u++;
	buf_fmt(to, "%llu%s", (unsigned long long)(u ? v / u->factor : v), u ? u->suffix : "");
}

static void show_list(const struct conf_directive *d, const unsigned char *in, struct buf *to)
{
	const void *list = *(const void *const *)(const void *)(in + d->at);
	size_t n = *(const size_t *)(const void *)(in + d->at_n);
	char text[IP_TEXT_MAX];

	buf_byte(to, '[');
	for (size_t i = 0; is_texts(d) && i < n; i++) {
		buf_str(to, i ? ", " : "");
		conf_quote_always(slice_str(((char *const *)list)[i]), to);
	}
	for (size_t i = 0; !is_texts(d) && i < n; i++) {
		bool nets = d->type == CONF_T_NETWORKS;
		const struct ip *ip =
			nets ? &((const struct ip_net *)list)[i].ip : &((const struct ip *)list)[i];

		/* Quoted, for a colon means something to YAML. */
		buf_fmt(to, "%s\"%s", i ? ", " : "", ip_format(ip, text));
		if (nets)
			buf_fmt(to, "/%u", ((const struct ip_net *)list)[i].bits);
		buf_byte(to, '"');
	}
	buf_byte(to, ']');
}

void conf_value_show(const struct conf_directive *d, const void *in, struct buf *to)
{
	const unsigned char *at = (const unsigned char *)in + d->at;

	if (d->type <= CONF_T_ENDPOINT) {
		conf_quote(slice_str(*(const char *const *)(const void *)at), to);
	} else if (d->type == CONF_T_BOOL) {
		buf_str(to, *(const bool *)at ? "yes" : "no");
	} else if (d->type == CONF_T_WORD) {
		for (const struct conf_word *w = d->words; w->word; w++)
			if (w->value == *(const int *)(const void *)at)
				buf_str(to, w->word);
	} else if (conf_is_list(d->type)) {
		show_list(d, in, to);
	} else {
		show_number(d, load_number(d, at), to);
	}
}

void conf_value_show_json(const struct conf_directive *d, const void *in, struct buf *to)
{
	const unsigned char *at = (const unsigned char *)in + d->at;
	/* Numbers, truth values and lists of quoted texts are written alike. */
	bool alike = d->type == CONF_T_NUMBER || d->type == CONF_T_PORT || conf_is_list(d->type);

	if (d->type <= CONF_T_ENDPOINT) {
		conf_quote_always(slice_str(*(const char *const *)(const void *)at), to);
	} else if (d->type == CONF_T_BOOL) {
		buf_str(to, *(const bool *)at ? "true" : "false");
	} else {
		buf_str(to, alike ? "" : "\"");
		conf_value_show(d, in, to);
		buf_str(to, alike ? "" : "\"");
	}
}

static bool same_list(const struct conf_directive *d, const unsigned char *a, const unsigned char *b)
{
	const void *x = *(const void *const *)(const void *)(a + d->at);
	const void *y = *(const void *const *)(const void *)(b + d->at);
	size_t n = *(const size_t *)(const void *)(a + d->at_n);
	bool same = n == *(const size_t *)(const void *)(b + d->at_n);

	for (size_t i = 0; is_texts(d) && i < n && same; i++)
		same = strcmp(((char *const *)x)[i], ((char *const *)y)[i]) == 0;
	for (size_t i = 0; !is_texts(d) && i < n && same; i++) {
		const struct ip_net *p = (const struct ip_net *)x + i, *q = (const struct ip_net *)y + i;

		same = d->type == CONF_T_NETWORKS ? ip_eq(&p->ip, &q->ip) && p->bits == q->bits
						  : ip_eq((const struct ip *)x + i, (const struct ip *)y + i);
	}
	return same;
}

/* By what is stored, not by how it is shown: so showing can be tested by it. */
bool conf_value_same(const struct conf_directive *d, const void *a, const void *b)
{
	const unsigned char *x = (const unsigned char *)a + d->at, *y = (const unsigned char *)b + d->at;

	if (conf_is_list(d->type))
		return same_list(d, a, b);
	if (d->type <= CONF_T_ENDPOINT)
		return strcmp(*(const char *const *)(const void *)x, *(const char *const *)(const void *)y) ==
		       0;
	return memcmp(x, y, d->width) == 0;
}

int conf_value_copy(const struct conf_directive *d, const void *from, void *to)
{
	const unsigned char *x = (const unsigned char *)from + d->at;
	unsigned char *y = (unsigned char *)to + d->at;
	char *text;

	assert(!conf_is_list(d->type));
	if (d->type > CONF_T_ENDPOINT) {
		memcpy(y, x, d->width);
		return 0;
	}
	text = strdup(*(const char *const *)(const void *)x);
	if (!text)
		return -ENOMEM;
	conf_value_clear(d, to);
	memcpy(y, &text, sizeof(text));
	return 0;
}

/* --- what may be written --- */

static void allowed_number(const struct conf_directive *d, const char *what, struct buf *to)
{
	buf_str(to, what);
	buf_str(to, ", ");
	show_number(d, d->min, to);
	buf_str(to, " to ");
	show_number(d, number_max(d), to);
}

void conf_value_allowed(const struct conf_directive *d, struct buf *to)
{
	switch (d->type) {
	case CONF_T_STRING:
		if (d->max == 1)
			buf_str(to, "one character, or \"\"");
		else
			buf_fmt(to, "a text of up to %llu octets",
				(unsigned long long)(d->max ? d->max : CONF_STRING_MAX));
		return;
	case CONF_T_ACCOUNT_NAME:
		buf_str(to,
			d->min ? "the name of a system user" : "the name of a system user or group, or \"\"");
		return;
	case CONF_T_HOST:
		buf_str(to, "a host name of letters, digits, hyphens and dots");
		return;
	case CONF_T_PATH:
		buf_fmt(to, "a path that begins with /, of up to %llu octets", (unsigned long long)d->max);
		return;
	case CONF_T_EMAIL:
		buf_str(to, "a mail address, or \"\"");
		return;
	case CONF_T_ENDPOINT:
		buf_str(to, "unix:/path, ADDRESS:PORT or [IPV6]:PORT, or \"\"");
		return;
	case CONF_T_BOOL:
		buf_str(to, "yes or no");
		return;
	case CONF_T_WORD:
		for (const struct conf_word *w = d->words; w->word; w++)
			buf_fmt(to, "%s%s", w == d->words ? "" : w[1].word ? ", " : " or ", w->word);
		return;
	case CONF_T_NUMBER:
		allowed_number(d, "a number", to);
		return;
	case CONF_T_PORT:
		allowed_number(d, "a port", to);
		return;
	case CONF_T_SIZE:
		allowed_number(d, "a size such as 512K, 20M or 1G", to);
		return;
	case CONF_T_SECONDS:
		allowed_number(d, "a duration such as 30s, 5m, 2h or 1d", to);
		return;
	case CONF_T_MILLISECONDS:
		allowed_number(d, "a duration such as 250ms or 1s", to);
		return;
	case CONF_T_ADDRESSES:
		buf_str(to, "a list of IP addresses such as [192.0.2.1, \"2001:db8::1\"]");
		return;
	case CONF_T_NETWORKS:
		buf_str(to, "a list of networks such as [10.0.0.0/8, \"2001:db8::/32\"]");
		return;
	case CONF_T_STRINGS:
		buf_str(to, "a list of texts");
		return;
	case CONF_T_PATTERNS:
		buf_str(to, "a list of domains and addresses such as [example.org, .example.org, "
			    "ann@example.net, \"*\"]");
		return;
	case CONF_T_HOSTS:
		buf_str(to, "a list of host names and IP addresses");
		return;
	case CONF_T_FINGERPRINTS:
		buf_str(to,
			"a list of SHA-256 fingerprints, 64 hexadecimal digits each, colons between or not");
		return;
	}
}
