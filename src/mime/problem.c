#include "mime/problem.h"

#include "base/utf8.h"

static const char *const said[MIME_FAULTS] = {
	[MIME_FINE] = "nothing is wrong",
	[MIME_LINE_END] = "a line end in it: that would begin another field",
	[MIME_CONTROL] = "a control character in it",
	[MIME_NOT_UTF8] = "not in UTF-8",
	[MIME_TOO_LONG] = "too long",
	[MIME_NO_ADDRESS] = "no address",
	[MIME_NO_DOMAIN] = "an address without a domain",
	[MIME_MISSING] = "missing",
	[MIME_FIELD_NAME] = "no name for a field",
	[MIME_FIELD_OURS] = "not to be given in this way",
	[MIME_NO_URL] = "neither <https:...> nor <mailto:...>",
	[MIME_NO_HTTPS] = "one click needs an https address (RFC 8058)",
	[MIME_TOO_MANY] = "too many",
	[MIME_NUL] = "a NUL octet in it",
	[MIME_NO_MEMORY] = "out of memory",
};

/* What people may see of somebody's octets: no control, nothing that is not UTF-8. */
static void keep(struct slice s, char *to, size_t size)
{
	size_t n = 0;

	while (s.n > 0) {
		size_t len = utf8_length(s);
		bool bad = len == 0 || s.p[0] < 32 || s.p[0] == 127 || (s.p[0] == 0xc2 && s.p[1] < 0xa0);

		len = len ? len : 1;
		if (n + len >= size)
			break;
		if (bad)
			to[n++] = '?';
		for (size_t i = 0; i < len && !bad; i++)
			to[n++] = (char)s.p[i];
		s = slice_tail(s, len);
	}
	to[n] = 0;
}

enum mime_fault mime_problem_set(struct mime_problem *p, enum mime_fault fault, struct slice field,
				 struct slice about)
{
	if (p) {
		p->fault = fault;
		keep(field, p->field, sizeof(p->field));
		keep(about, p->about, sizeof(p->about));
	}
	return fault;
}

void mime_problem_put(const struct mime_problem *p, struct buf *to)
{
	if (p->field[0])
		buf_fmt(to, "%s: ", p->field);
	if (p->about[0])
		buf_fmt(to, "'%s' is ", p->about);
	buf_str(to, said[p->fault < MIME_FAULTS ? p->fault : MIME_FINE]);
}
