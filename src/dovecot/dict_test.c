#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dovecot/dict.h"

#define HELLO "H3\t2\t0\t\tpostern\n"

/* What a client sends, what is asked (user|password|service|ip), what is answered
 * to each question, what it reads; "!" at the end: the engine gives the client up. */
static const struct row {
	const char *name, *in, *asked, *answer, *out;
} rows[] = {
	{ "a user", HELLO "Lshared/userdb/ann@example.org\tann@example.org\n", "ann@example.org|||;", "O{}",
	  "O{}\n" },
	{ "unknown", HELLO "Lshared/userdb/x\n", "x|||;", "N", "N\n" },
	{ "later", HELLO "Lshared/userdb/x\n", "x|||;", "Fkeeper is away", "Fkeeper is away\n" },
	{ "two in a row", HELLO "Lshared/userdb/a\ta\nLshared/userdb/b\tb\n", "a|||;b|||;", "N", "N\nN\n" },
	{ "a login", HELLO "Pann\tse cret\timap\t192.0.2.1\n", "ann|se cret|imap|192.0.2.1;",
	  "O{\"user\":\"ann\"}", "O{\"user\":\"ann\"}\n" },
	{ "all escapes", HELLO "Pa\x01ta\t\x01l\x01r\x01\x31x\timap\t\n", "a\ta|\n\r\x01x|imap|;", "N",
	  "N\n" },
	{ "an answer is escaped", HELLO "Lshared/userdb/x\n", "x|||;", "Oa\tb\n\x01",
	  "Oa\x01tb\x01l\x01\x31\n" },
	{ "an empty password", HELLO "Pann\t\timap\t\n", "ann||imap|;", "N", "N\n" },
	{ "dict version 4", "H4\t0\t0\t\tx\nLshared/userdb/x\n", "x|||;", "N", "N\n" },
	{ "another key", HELLO "Lpriv/quota\tx\nLshared/userdb/x\n", "x|||;", "N",
	  "Fthere are no such keys here\nN\n" },
	{ "no hello", "Lshared/userdb/x\n", "", "N", "!" },
	{ "a hello too many", HELLO HELLO, "", "N", "!" },
	{ "version 2", "H2\t0\n", "", "N", "!" },
	{ "version 31", "H31\t0\n", "", "N", "!" },
	{ "version 3x", "H3x\t0\n", "", "N", "!" },
	{ "an empty line", HELLO "\n", "", "N", "!" },
	{ "an empty hello", "H\n", "", "N", "!" },
	{ "a command that is not there", HELLO "Bx\n", "", "N", "!" },
	{ "too few fields", HELLO "Pann\tx\timap\n", "", "N", "!" },
	{ "too many fields", HELLO "Pann\tx\timap\t1\t2\n", "", "N", "!" },
	{ "far too many", HELLO "L1\t2\t3\t4\t5\t6\t7\t8\t9\n", "", "N", "!" },
	{ "an escape of nothing", HELLO "Pa\x01\tb\tc\td\n", "", "N", "!" },
	{ "an escape that is not there", HELLO "Pa\x01zb\tb\tc\td\n", "", "N", "!" },
	{ "half a line", HELLO "Lshared/user", "", "N", "" },
};

static void play(const struct row *r, size_t piece, struct buf *asked, struct buf *out)
{
	struct slice in = slice_str(r->in);
	struct dovecot_dict d;

	dovecot_dict_init(&d);
	for (;;) {
		const struct dovecot_ask *a = dovecot_dict_want(&d);
		size_t n;

		if (a->want == DOVECOT_CLOSE)
			break;
		if (a->want != DOVECOT_INPUT) {
			buf_put(asked, a->user);
			buf_byte(asked, '|');
			buf_put(asked, a->password);
			buf_byte(asked, '|');
			buf_put(asked, a->service);
			buf_byte(asked, '|');
			buf_put(asked, a->ip);
			buf_byte(asked, ';');
			assert_int_equal(dovecot_dict_feed(&d, SLICE_LIT("x")), 0);
			dovecot_dict_answer(&d, (enum dovecot_answer)r->answer[0], slice_str(r->answer + 1));
		}
		buf_put(out, dovecot_dict_output(&d));
		dovecot_dict_sent(&d, dovecot_dict_output(&d).n);
		n = dovecot_dict_feed(&d, slice_head(in, piece));
		in = slice_tail(in, n);
		if (n == 0 && in.n == 0 && dovecot_dict_want(&d)->want == DOVECOT_INPUT &&
		    dovecot_dict_output(&d).n == 0)
			break;
	}
	if (dovecot_dict_want(&d)->want == DOVECOT_CLOSE)
		buf_byte(out, '!');
	dovecot_dict_done(&d);
}

static void dialogs(void **state)
{
	static const size_t pieces[] = { SIZE_MAX, 1, 3 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t k = 0; k < 3; k++) {
			const struct row *r = &rows[i];
			struct buf asked, out;

			buf_init(&asked, 1000);
			buf_init(&out, 1000);
			play(r, pieces[k], &asked, &out);
			if (!slice_eq(buf_slice(&out), slice_str(r->out)))
				fail_msg("%s, in pieces of %zu: said \"%.*s\"", r->name, pieces[k],
					 SLICE_ARG(buf_slice(&out)));
			if (!slice_eq(buf_slice(&asked), slice_str(r->asked)))
				fail_msg("%s, in pieces of %zu: asked \"%.*s\"", r->name, pieces[k],
					 SLICE_ARG(buf_slice(&asked)));
			buf_done(&asked);
			buf_done(&out);
		}
}

static void a_line_has_an_end(void **state)
{
	static const char x[1000] = { [0 ... 999] = 'x' };
	struct dovecot_dict d;
	size_t taken = 0, n;

	(void)state;
	dovecot_dict_init(&d);
	dovecot_dict_feed(&d, SLICE_LIT(HELLO "Lshared/userdb/"));
	do
		taken += n = dovecot_dict_feed(&d, slice_of(x, sizeof(x)));
	while (n > 0);
	assert_int_equal(dovecot_dict_want(&d)->want, DOVECOT_CLOSE);
	assert_in_range(taken, DOVECOT_LINE_MAX - 1000, DOVECOT_LINE_MAX + 1000);
	assert_int_equal(d.line.n, 0);
	dovecot_dict_done(&d);
}

static void nul_is_an_octet(void **state)
{
	struct dovecot_dict d;

	(void)state;
	dovecot_dict_init(&d);
	dovecot_dict_feed(&d, SLICE_LIT(HELLO "Pa\0b\tc\x01"
					      "0d\timap\t\n"));
	assert_true(slice_eq(dovecot_dict_want(&d)->user, SLICE_LIT("a\0b")));
	assert_true(slice_eq(dovecot_dict_want(&d)->password, SLICE_LIT("c\0d")));
	dovecot_dict_done(&d);
}

/* The memory of a line that was answered holds no password any more. */
static void passwords_are_wiped(void **state)
{
	struct dovecot_dict d;

	(void)state;
	dovecot_dict_init(&d);
	dovecot_dict_feed(&d, SLICE_LIT(HELLO "Pann\tsecret-secret\timap\t\n"));
	assert_true(slice_eq(dovecot_dict_want(&d)->password, SLICE_LIT("secret-secret")));
	dovecot_dict_answer(&d, DOVECOT_NO, SLICE_LIT(""));
	assert_int_equal(d.line.n, 0);
	assert_null(d.line.p);
	assert_int_equal(dovecot_dict_want(&d)->password.n, 0);
	dovecot_dict_done(&d);
}

static void too_long_an_answer_closes(void **state)
{
	static const char tabs[2 * DOVECOT_VALUE_MAX] = { [0 ... 2 * DOVECOT_VALUE_MAX - 1] = '\t' };
	struct dovecot_dict d;

	(void)state;
	dovecot_dict_init(&d);
	dovecot_dict_feed(&d, SLICE_LIT(HELLO "Lshared/userdb/x\n"));
	dovecot_dict_answer(&d, DOVECOT_YES, slice_of(tabs, DOVECOT_VALUE_MAX));
	assert_int_equal(dovecot_dict_output(&d).n, 2 * DOVECOT_VALUE_MAX + 2);
	dovecot_dict_sent(&d, dovecot_dict_output(&d).n);
	dovecot_dict_feed(&d, SLICE_LIT("Lshared/userdb/x\n"));
	dovecot_dict_answer(&d, DOVECOT_YES, slice_of(tabs, sizeof(tabs)));
	assert_int_equal(dovecot_dict_want(&d)->want, DOVECOT_CLOSE);
	dovecot_dict_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogs),
		cmocka_unit_test(nul_is_an_octet),
		cmocka_unit_test(a_line_has_an_end),
		cmocka_unit_test(passwords_are_wiped),
		cmocka_unit_test(too_long_an_answer_closes),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
