/* sts_fuzz.c - a policy that can be read says the same when it is written and read again; what
 * it is, an independent and simple-minded reading finds too; and it lists just the hosts that have
 * one of its patterns. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "route/sts.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

/* The value of the first line with this key; n: which one of them, from 0. */
static bool value_of(struct slice text, const char *key, size_t nth, struct slice *ret)
{
	size_t len = strlen(key);

	while (text.n > 0) {
		size_t end = slice_find(text, '\n');
		struct slice line = slice_head(text, end);

		text = slice_tail(text, end + 1);
		if (line.n > 0 && line.p[line.n - 1] == '\r' && end < line.n + text.n + 1)
			line.n--;
		line = slice_trim(line);
		if (line.n <= len || memcmp(line.p, key, len) != 0 || line.p[len] != ':' || nth-- > 0)
			continue;
		*ret = slice_trim(slice_tail(line, len + 1));
		return true;
	}
	return false;
}

static void check_said(struct slice text, const struct sts_policy *p)
{
	struct slice v, mx = slice_of(p->mx, p->mx_n);
	uint64_t age;
	size_t n = 0;

	CHECK(value_of(text, "version", 0, &v) && slice_eq(v, SLICE_LIT("STSv1")));
	CHECK(value_of(text, "mode", 0, &v) && slice_eq(v, slice_str(sts_mode_name(p->mode))));
	CHECK(value_of(text, "max_age", 0, &v) && cur_u64(&v, UINT64_MAX, &age) && v.n == 0);
	CHECK(p->max_age == (age > STS_MAX_AGE ? STS_MAX_AGE : age));
	for (; value_of(text, "mx", n, &v); n++) {
		struct slice one = slice_head(mx, slice_find(mx, ' '));

		/* A final dot is let pass, and left out. */
		CHECK(slice_eq_nocase(one, v) || slice_eq_nocase(one, slice_head(v, v.n - 1)));
		mx = slice_tail(mx, one.n + 1);
	}
	CHECK(mx.n == 0);
	CHECK(n > 0 || p->mode == STS_MODE_NONE);
}

static void check_lists(const struct sts_policy *p)
{
	struct slice rest = slice_of(p->mx, p->mx_n);

	while (rest.n > 0) {
		struct slice one = slice_head(rest, slice_find(rest, ' '));
		bool wild = slice_starts(one, SLICE_LIT("*."));
		char host[600];

		snprintf(host, sizeof(host), "%s%.*s", wild ? "x" : "", SLICE_ARG(slice_tail(one, wild)));
		CHECK(sts_policy_lists(p, slice_str(host)));
		if (wild) {
			static struct sts_policy alone;

			/* By itself, it is for one label and no more. */
			alone.mx_n = one.n;
			memcpy(alone.mx, one.p, one.n);
			CHECK(sts_policy_lists(&alone, slice_str(host)));
			snprintf(host, sizeof(host), "y.x%.*s", SLICE_ARG(slice_tail(one, 1)));
			CHECK(!sts_policy_lists(&alone, slice_str(host)));
			CHECK(!sts_policy_lists(&alone, slice_tail(one, 2)));
		}
		rest = slice_tail(rest, one.n + 1);
	}
}

static void check_record(struct slice text)
{
	char id[STS_ID_MAX + 1], again[STS_ID_MAX + 1], plain[64];

	if (!sts_record_parse(text, id))
		return;
	CHECK(id[0] && strlen(id) <= STS_ID_MAX && slice_starts(text, SLICE_LIT("v=STSv1")));
	snprintf(plain, sizeof(plain), "v=STSv1; id=%s;", id);
	CHECK(sts_record_parse(slice_str(plain), again) && strcmp(id, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sts_policy p, again;
	struct slice text = slice_of(data, size);
	struct buf b;

	check_record(text);
	if (sts_policy_parse(text, &p) != NULL)
		return 0;
	CHECK(p.mx_n <= STS_MX_TEXT_MAX && strlen(p.mx) == p.mx_n);
	check_said(text, &p);
	check_lists(&p);
	buf_init(&b, STS_POLICY_MAX);
	sts_policy_text(&p, &b);
	CHECK(buf_ok(&b));
	CHECK(sts_policy_parse(buf_slice(&b), &again) == NULL);
	CHECK(again.mode == p.mode && again.max_age == p.max_age && again.mx_n == p.mx_n &&
	      memcmp(again.mx, p.mx, p.mx_n) == 0);
	buf_done(&b);
	return 0;
}
