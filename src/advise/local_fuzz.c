/* local_fuzz.c - whatever a file holds: what comes out is printable and known, its lines are in the file, an
 * empty line in front moves each by one and changes nothing else; and of a password that stands in it, in
 * each way in which one can, nothing comes out. */
#include <stdlib.h>
#include <string.h>

#include "advise/local.h"
#include "base/buf.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define SECRET "zq9x7vkw8j"

static void printable(const char *s, size_t size)
{
	CHECK(memchr(s, 0, size));
	for (; *s; s++)
		CHECK(*s >= ' ' && *s <= '~');
}

static unsigned lines_of(struct slice s)
{
	unsigned n = 1;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static void server_sound(const struct advise_local *l, const struct advise_local_server *s, unsigned lines)
{
	struct advise_change c[ADVISE_LOCAL_CHANGES];
	struct advise_target t;
	char text[600];

	printable(s->name, sizeof(s->name));
	printable(s->host, sizeof(s->host));
	printable(s->program, sizeof(s->program));
	printable(s->passwords, sizeof(s->passwords));
	CHECK((uint64_t)s->wrong >> ADVISE_WRONGS == 0);
	CHECK(!advise_wrong_has(s, ADVISE_WRONG_PASSWORD_IN_CLEAR) ||
	      (s->login && s->security == ADVISE_SECURITY_NONE));
	CHECK(!advise_wrong_has(s, ADVISE_WRONG_TLS_ON_587) || s->security == ADVISE_SECURITY_IMPLICIT);
	CHECK(!advise_wrong_has(s, ADVISE_WRONG_STARTTLS_ON_465) || s->security != ADVISE_SECURITY_IMPLICIT);
	CHECK(s->n_sets <= ADVISE_LOCAL_SETS && s->line <= lines);
	for (size_t i = 0; i < s->n_sets; i++) {
		printable(s->set[i].value, sizeof(s->set[i].value));
		CHECK(s->set[i].line >= 1 && s->set[i].line <= lines);
	}
	for (unsigned w = 0; w < ADVISE_WRONGS; w++)
		if (advise_wrong_has(s, (enum advise_wrong)w))
			printable(advise_wrong_what((enum advise_wrong)w, l, s, text, sizeof(text)),
				  sizeof(text));
	if (!advise_local_target(l, s, &t))
		return;
	CHECK(s->host[0] && t.port > 0 && t.port != 25 && (t.port != 465 || t.implicit));
	for (size_t i = advise_local_changes(l, s, &t, c); i > 0; i--) {
		printable(c[i - 1].text, sizeof(c[i - 1].text));
		CHECK(c[i - 1].line <= lines && (c[i - 1].line > 0 || c[i - 1].add));
	}
}

static void sound(const struct advise_local *l, struct slice text)
{
	CHECK(l->n <= ADVISE_LOCAL_SERVERS);
	for (size_t i = 0; i < l->n; i++)
		server_sound(l, &l->server[i], lines_of(text));
}

/* One line further down, and nothing else. */
static void same_below(const struct advise_local *l, const struct advise_local *below)
{
	CHECK(l->n == below->n && l->cut == below->cut);
	for (size_t i = 0; i < l->n; i++) {
		const struct advise_local_server *s = &l->server[i], *t = &below->server[i];

		CHECK(!strcmp(s->name, t->name) && !strcmp(s->host, t->host) &&
		      !strcmp(s->program, t->program));
		CHECK(s->port == t->port && s->port_set == t->port_set && s->security == t->security);
		CHECK(s->login == t->login && s->password == t->password && s->wrong == t->wrong);
		CHECK(t->line == s->line + (s->line > 0) && s->n_sets == t->n_sets);
		for (size_t k = 0; k < s->n_sets; k++)
			CHECK(s->set[k].key == t->set[k].key && s->set[k].line + 1 == t->set[k].line &&
			      !strcmp(s->set[k].value, t->set[k].value));
	}
}

static void hidden(enum advise_local_kind kind, struct slice in, struct buf *text)
{
	static const char *const ways[] = {
		"\nsmtp_sasl_password_maps = static:ann:" SECRET "\nrelayhost = [h.example]:587\n",
		"\nhost h.example\npassword " SECRET "\n",
		"\nMAIL_HOST=h.example\nMAIL_USERNAME=" SECRET "\nMAIL_PASSWORD='" SECRET "'\n",
		"\nMAILER_DSN=smtp://ann:" SECRET "@h.example:587\n",
		"\nMAILER_DSN=smtp://ann:a@" SECRET "@h.example:587\n",
		"\nMAILER_DSN=smtp://ann:a:" SECRET "@h.example:587\n",
		"\nMAILER_DSN=smtp://ann:a@" SECRET "/b@h.example:587?verify_peer=0\n",
		"\nMAILER_DSN=smtp://" SECRET "?a/" SECRET "@h.example\n",
		"\nEMAIL_URL=smtp+tls://" SECRET ":a@h.example:587?x=" SECRET "\n",
		"\ndefine('WPMS_SMTP_PASS', '" SECRET "');\ndefine('WPMS_SMTP_HOST', 'h');\n",
		"\nEMAIL_HOST = 'h'\nEMAIL_HOST_PASSWORD = '" SECRET "'\n",
		"\n[sendemail]\nsmtpserver = h\nsmtppass = " SECRET "\n",
		"\n[mail function]\nsendmail_path = /x/sendmail -t -ap" SECRET "\n",
		"\nbegin authenticators\na:\n  client_send = : ann : " SECRET "\n",
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct advise_local l;

		buf_reset(text);
		buf_put(text, in);
		buf_str(text, ways[i]);
		advise_local_read(kind, buf_slice(text), (struct slice){ 0 }, &l);
		sound(&l, buf_slice(text));
		CHECK(!memmem(&l, sizeof(l), SECRET, strlen(SECRET)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct advise_local l, again;
	enum advise_local_kind kind;
	struct slice in;
	struct buf text;
	size_t mark;

	if (size < 1 || size > 3000)
		return 0;
	kind = (enum advise_local_kind)(data[0] % ADVISE_LOCAL_KINDS);
	in = slice_of(data + 1, size - 1);
	advise_local_read(kind, in, (struct slice){ 0 }, &l);
	sound(&l, in);
	buf_init(&text, 4000);
	/* A byte order mark is one only where the file begins. */
	mark = slice_starts(in, SLICE_LIT("\xef\xbb\xbf")) ? 3 : 0;
	buf_put(&text, slice_head(in, mark));
	buf_str(&text, "\n");
	buf_put(&text, slice_tail(in, mark));
	advise_local_read(kind, buf_slice(&text), (struct slice){ 0 }, &again);
	CHECK(buf_ok(&text));
	same_below(&l, &again);
	advise_local_read(ADVISE_LOCAL_POSTFIX, in, in, &again);
	sound(&again, in);
	(void)advise_local_kind_by(in);
	(void)advise_local_has_password(&l.server[0], in);
	/* The end of the input may begin what takes the secret for a host's name: so only behind a whole
	 * line. */
	if (in.n > 0 && !memmem(in.p, in.n, SECRET, strlen(SECRET)) && in.p[in.n - 1] == '\n' &&
	    !memchr(in.p, '"', in.n) && !memchr(in.p, '\'', in.n) && !memchr(in.p, '\\', in.n))
		hidden(kind, in, &text);
	buf_done(&text);
	return 0;
}
