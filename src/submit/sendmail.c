#include "submit/sendmail.h"

#include <stdarg.h>
#include <sysexits.h>

#include "smtp/path.h"

enum takes {
	NO_VALUE,
	VALUE,	  /* attached, or the next argument */
	ATTACHED, /* only attached */
};

/* Reading of one command line. */
struct reading {
	struct sendmail *s;
	char *error;
};

static bool fail(const struct reading *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool fail(const struct reading *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->error, SENDMAIL_ERROR_MAX, fmt, ap);
	va_end(ap);
	return false;
}

static bool on_ignored(struct reading *r, const char *value)
{
	(void)r;
	(void)value;
	return true;
}

static bool on_b(struct reading *r, const char *value)
{
	switch (value[0]) {
	case 'm':
		r->s->mode = SENDMAIL_SEND;
		return true;
	case 's':
		r->s->mode = SENDMAIL_SMTP;
		return true;
	case 'p':
		r->s->mode = SENDMAIL_LIST;
		return true;
	case 'i':
	case 'h':
	case 'H':
		r->s->mode = SENDMAIL_NOTHING;
		return true;
	case 'd':
	case 'D':
	case 'l':
		return fail(r, "-b%c: this is no daemon; the server is `postern serve`", value[0]);
	case 'v':
	case 't':
		return fail(
			r,
			"-b%c: addresses are not tested here; `postern route ADDRESS` says where mail goes",
			value[0]);
	default:
		return fail(r, "-b%.20s: no such mode", value);
	}
}

static bool on_body(struct reading *r, const char *value)
{
	struct slice s = slice_str(value);

	r->s->eightbit = slice_eq_nocase(s, SLICE_LIT("8BITMIME"));
	return r->s->eightbit || slice_eq_nocase(s, SLICE_LIT("7BIT")) ||
	       fail(r, "-B wants 7BIT or 8BITMIME, not '%.40s'", value);
}

static bool on_full_name(struct reading *r, const char *value)
{
	r->s->full_name = value;
	return true;
}

static bool on_sender(struct reading *r, const char *value)
{
	r->s->sender = value;
	return true;
}

static bool on_dots(struct reading *r, const char *value)
{
	(void)value;
	r->s->dot_ends = false;
	return true;
}

static bool on_aliases(struct reading *r, const char *value)
{
	(void)value;
	r->s->mode = SENDMAIL_NOTHING;
	return true;
}

static bool on_o(struct reading *r, const char *value)
{
	if (value[0] == 'i')
		r->s->dot_ends = false;
	return true;
}

/* RFC 3461 4.1: NEVER alone, or what is to be told. */
static bool on_notify(struct reading *r, const char *value)
{
	static const struct {
		struct slice word;
		unsigned flag;
	} rows[] = {
		{ SLICE_INIT("never"), SMTP_NOTIFY_NEVER },
		{ SLICE_INIT("success"), SMTP_NOTIFY_SUCCESS },
		{ SLICE_INIT("failure"), SMTP_NOTIFY_FAILURE },
		{ SLICE_INIT("delay"), SMTP_NOTIFY_DELAY },
	};
	struct slice rest = slice_str(value), word;
	unsigned notify = 0;

	while (rest.n > 0) {
		unsigned flag = 0;

		word = slice_head(rest, slice_find(rest, ','));
		rest = slice_tail(rest, word.n + 1);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			if (slice_eq_nocase(slice_trim(word), rows[i].word))
				flag = rows[i].flag;
		if (flag == 0)
			return fail(r, "-N wants never, or a list of success, failure, delay; not '%.60s'",
				    value);
		notify |= flag;
	}
	if (notify == 0 || (notify & SMTP_NOTIFY_NEVER && notify != SMTP_NOTIFY_NEVER))
		return fail(r, "-N wants never, or a list of success, failure, delay; not '%.60s'", value);
	r->s->notify = notify;
	return true;
}

static bool on_ret(struct reading *r, const char *value)
{
	struct slice s = slice_str(value);

	if (slice_eq_nocase(s, SLICE_LIT("full")))
		r->s->ret = SMTP_RET_FULL;
	else if (slice_eq_nocase(s, SLICE_LIT("hdrs")))
		r->s->ret = SMTP_RET_HDRS;
	else
		return fail(r, "-R wants full or hdrs, not '%.40s'", value);
	return true;
}

static bool on_envid(struct reading *r, const char *value)
{
	size_t n = 0;

	for (const char *p = value; *p; p++) {
		if (*p < 33 || *p > 126)
			return fail(r, "-V wants printable ASCII without blanks");
		n += *p == '+' || *p == '=' ? 3 : 1; /* in xtext */
	}
	if (n == 0 || n > 100)
		return fail(r, "-V wants 1 to 100 characters, and counts + and = as three");
	r->s->envid = value;
	return true;
}

static bool on_q(struct reading *r, const char *value)
{
	if (value[0] == 'I' && value[1])
		r->s->flush_id = value + 1;
	else if (value[0] == 'R' && value[1])
		r->s->flush_site = value + 1;
	else if (value[0] && (value[0] < '0' || value[0] > '9'))
		return fail(r, "-q%.20s: what is to be sent is -q, -qIID or -qRDOMAIN", value);
	/* An interval is for a daemon: the queue looks after itself. */
	r->s->mode = value[0] >= '0' && value[0] <= '9' ? SENDMAIL_NOTHING : SENDMAIL_FLUSH;
	return true;
}

static bool on_t(struct reading *r, const char *value)
{
	(void)value;
	r->s->recipients_from_header = true;
	return true;
}

static bool on_v(struct reading *r, const char *value)
{
	(void)value;
	r->s->verbose++;
	return true;
}

static bool on_x(struct reading *r, const char *value)
{
	if (value[0] == 'V')
		return fail(r, "-XV: no sender of its own for each recipient (VERP)");
	return true;
}

/* All that is known; what is not, is refused. */
static const struct option {
	char letter;
	enum takes takes;
	bool (*on)(struct reading *r, const char *value);
} options[] = {
	{ 'A', VALUE, on_ignored },    { 'B', VALUE, on_body },	      { 'C', VALUE, on_ignored },
	{ 'F', VALUE, on_full_name },  { 'G', NO_VALUE, on_ignored }, { 'I', NO_VALUE, on_aliases },
	{ 'L', VALUE, on_ignored },    { 'N', VALUE, on_notify },     { 'O', VALUE, on_ignored },
	{ 'R', VALUE, on_ret },	       { 'U', NO_VALUE, on_ignored }, { 'V', VALUE, on_envid },
	{ 'X', VALUE, on_x },	       { 'b', VALUE, on_b },	      { 'c', NO_VALUE, on_ignored },
	{ 'd', ATTACHED, on_ignored }, { 'e', VALUE, on_ignored },    { 'f', VALUE, on_sender },
	{ 'h', VALUE, on_ignored },    { 'i', NO_VALUE, on_dots },    { 'm', NO_VALUE, on_ignored },
	{ 'n', NO_VALUE, on_ignored }, { 'o', VALUE, on_o },	      { 'p', VALUE, on_ignored },
	{ 'q', ATTACHED, on_q },       { 'r', VALUE, on_sender },     { 't', NO_VALUE, on_t },
	{ 'v', NO_VALUE, on_v },       { 'x', NO_VALUE, on_ignored },
};

static const struct option *find(char letter)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].letter == letter)
			return &options[i];
	return NULL;
}

/* An argument that begins with "-": letters one behind the other, the last of which may have a value. */
static bool read_letters(struct reading *r, int argc, char *const *argv, int *at)
{
	for (const char *p = argv[*at] + 1; *p; p++) {
		const struct option *o = find(*p);
		const char *value = p + 1;

		if (!o)
			return fail(r, "-%c: no such option", *p > 32 && *p < 127 ? *p : '?');
		if (o->takes == NO_VALUE) {
			if (!o->on(r, ""))
				return false;
			continue;
		}
		if (o->takes == VALUE && !*value) {
			if (*at + 1 >= argc)
				return fail(r, "-%c wants a value", *p);
			value = argv[++*at];
		}
		return o->on(r, value);
	}
	return true;
}

static bool check(const struct reading *r)
{
	const struct sendmail *s = r->s;

	if (s->mode == SENDMAIL_SEND)
		return s->recipients > 0 || s->recipients_from_header ||
		       fail(r, "no recipient: name some, or take those of the message's header by -t");
	if (s->recipients_from_header)
		return fail(r, "-t is for sending a message");
	if (s->recipients > 0 && s->mode != SENDMAIL_NOTHING)
		return fail(r, "recipients are for sending a message");
	return true;
}

static bool is_named(const char *argv0, const char *name)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;

	return argv0 && strcmp(slash ? slash + 1 : argv0, name) == 0;
}

bool sendmail_is_called(const char *argv0)
{
	return is_named(argv0, "sendmail") || is_named(argv0, "mailq") || is_named(argv0, "newaliases");
}

int sendmail_parse(int argc, char *const *argv, const char **recipient, struct sendmail *ret,
		   char reterr[static SENDMAIL_ERROR_MAX])
{
	struct sendmail s = { .dot_ends = true };
	struct reading r = { .s = &s, .error = reterr };
	bool options_over = false;

	if (argc > 0 && is_named(argv[0], "mailq"))
		s.mode = SENDMAIL_LIST;
	else if (argc > 0 && is_named(argv[0], "newaliases"))
		s.mode = SENDMAIL_NOTHING;
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		if (options_over || arg[0] != '-' || !arg[1])
			recipient[s.recipients++] = arg;
		else if (strcmp(arg, "--") == 0)
			options_over = true;
		else if (!read_letters(&r, argc, argv, &i))
			return EX_USAGE;
	}
	if (!check(&r))
		return EX_USAGE;
	*ret = s;
	return EX_OK;
}

void sendmail_put_envid(const struct sendmail *s, struct buf *to)
{
	for (const char *p = s->envid ? s->envid : ""; *p; p++) {
		if (*p == '+' || *p == '=')
			buf_str(to, *p == '+' ? "+2B" : "+3D");
		else
			buf_byte(to, (unsigned char)*p);
	}
}

/* The first row that fits: what an enhanced status begins with, or a code. */
static const struct {
	struct slice enhanced;
	int code, status;
} exits[] = {
	{ SLICE_INIT("5.1.2"), 0, EX_NOHOST },	{ SLICE_INIT("5.1.10"), 0, EX_NOHOST },
	{ SLICE_INIT("5.4.4"), 0, EX_NOHOST },	{ SLICE_INIT("5.1.7"), 0, EX_DATAERR },
	{ SLICE_INIT("5.1.8"), 0, EX_DATAERR }, { SLICE_INIT("5.1."), 0, EX_NOUSER },
	{ SLICE_INIT("5.2.1"), 0, EX_NOUSER },	{ SLICE_INIT("5.3.4"), 0, EX_DATAERR },
	{ SLICE_INIT("5.2.3"), 0, EX_DATAERR }, { SLICE_INIT("5.6."), 0, EX_DATAERR },
	{ SLICE_INIT("5.7."), 0, EX_NOPERM },	{ SLICE_INIT(""), 530, EX_NOPERM },
	{ SLICE_INIT(""), 534, EX_NOPERM },	{ SLICE_INIT(""), 535, EX_NOPERM },
	{ SLICE_INIT(""), 538, EX_NOPERM },	{ SLICE_INIT("5."), 0, EX_UNAVAILABLE },
	{ SLICE_INIT(""), 550, EX_NOUSER },	{ SLICE_INIT(""), 551, EX_NOUSER },
	{ SLICE_INIT(""), 553, EX_NOUSER },	{ SLICE_INIT(""), 552, EX_DATAERR },
	{ SLICE_INIT(""), 556, EX_NOHOST },
};

int sendmail_exit(int code, struct slice enhanced)
{
	if (code >= 200 && code < 300)
		return EX_OK;
	if (code < 500)
		return EX_TEMPFAIL;
	if (slice_eq(enhanced, SLICE_LIT("5.0.0"))) /* it says nothing: the code says more */
		enhanced = SLICE_LIT("");
	for (size_t i = 0; i < sizeof(exits) / sizeof(exits[0]); i++) {
		struct slice e = exits[i].enhanced;
		bool whole = e.n > 0 && e.p[e.n - 1] != '.';

		if (exits[i].code ? exits[i].code == code
				  : (whole ? slice_eq(enhanced, e) : slice_starts(enhanced, e)))
			return exits[i].status;
	}
	return EX_UNAVAILABLE;
}

int sendmail_exit_fault(enum mime_fault fault)
{
	switch (fault) {
	case MIME_FINE:
		return EX_OK;
	case MIME_NO_MEMORY:
		return EX_TEMPFAIL;
	case MIME_MISSING:
	case MIME_FIELD_NAME:
	case MIME_FIELD_OURS:
	case MIME_NO_URL:
	case MIME_NO_HTTPS:
		return EX_USAGE;
	default:
		return EX_DATAERR;
	}
}

int sendmail_exit_worse(int a, int b)
{
	if (a == EX_OK || b == EX_OK)
		return a == EX_OK ? b : a;
	return a == EX_TEMPFAIL ? b : a;
}
