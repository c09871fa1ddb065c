/* What is a reply, and what is not; each row whole and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/reply.h"

static const struct {
	const char *in;
	int code; /* 0: not a reply; -1: more is needed */
	const char *enhanced, *text;
} rows[] = {
	{ "250 2.1.0 OK\r\n", 250, "2.1.0", "OK" },
	{ "250 OK\r\n", 250, "2.0.0", "OK" },
	{ "250\r\n", 250, "2.0.0", "" },
	{ "250 \r\n", 250, "2.0.0", "" },
	{ "250 lf alone\n", 250, "2.0.0", "lf alone" },
	{ "354 go on\r\n", 354, "", "go on" },
	{ "550-5.1.1 no such user\r\n550 5.1.1 here\r\n", 550, "5.1.1", "no such user here" },
	{ "550-no status\r\n550 5.7.1 in the first\r\n", 550, "5.7.1", "no status in the first" },
	{ "550-5.7.1 status\r\n550 in the first\r\n", 550, "5.7.1", "status in the first" },
	/* The code counts, not what stands behind it. */
	{ "452 5.2.2 full\r\n", 452, "4.2.2", "full" },
	{ "552 4.2.2 full\r\n", 552, "5.2.2", "full" },
	{ "250-first\r\n550 last\r\n", 550, "5.0.0", "first last" },
	/* Not quite a status. */
	{ "550 5.1 x\r\n", 550, "5.0.0", "5.1 x" },
	{ "550 5.1.1000 x\r\n", 550, "5.0.0", "5.1.1000 x" },
	{ "550 5.1.1x\r\n", 550, "5.0.0", "5.1.1x" },
	{ "550 3.1.1 x\r\n", 550, "5.0.0", "3.1.1 x" },
	{ "550 a\tb\x1b[1m\x7f\xc2\x9b\r\n", 550, "5.0.0", "a?b?[1m?\xc2?" },
	{ "250-goes on\r\n", -1, NULL, NULL },
	{ "25", -1, NULL, NULL },
	{ "\r\n", 0, NULL, NULL },
	{ "25\r\n", 0, NULL, NULL },
	{ "2500 x\r\n", 0, NULL, NULL },
	{ "250x\r\n", 0, NULL, NULL },
	{ "199 x\r\n", 0, NULL, NULL },
	{ "600 x\r\n", 0, NULL, NULL },
	{ " 250 x\r\n", 0, NULL, NULL },
	{ "HTTP/1.1 400 Bad Request\r\n", 0, NULL, NULL },
};

static void check(size_t i, size_t cut)
{
	struct slice in = slice_str(rows[i].in);
	enum smtp_reply_step step = SMTP_REPLY_MORE;
	struct smtp_reply r = { 0 };
	int code;

	while (in.n > 0 && (step == SMTP_REPLY_MORE || step == SMTP_REPLY_LINE))
		in = slice_tail(in, smtp_reply_feed(&r, slice_head(in, cut), &step));
	code = step == SMTP_REPLY_DONE ? r.code : step == SMTP_REPLY_BAD ? 0 : -1;
	if (code != rows[i].code)
		fail_msg("'%s', %zu at a time: %d", rows[i].in, cut, code);
	if (code <= 0)
		return;
	assert_string_equal(r.enhanced, rows[i].enhanced);
	if (!slice_eq(smtp_reply_text(&r), slice_str(rows[i].text)))
		fail_msg("'%s': '%.*s'", rows[i].in, SLICE_ARG(smtp_reply_text(&r)));
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t cut = 1; cut < 64; cut *= 2)
			check(i, cut);
}

/* Long lines are cut; replies that never end are none. */
static void test_ceilings(void **state)
{
	static char long_line[SMTP_REPLY_OCTETS_MAX + 100];
	struct smtp_reply r = { 0 };
	enum smtp_reply_step step;
	size_t lines = 0;

	(void)state;
	memset(long_line, 'x', sizeof(long_line));
	memcpy(long_line, "250 ", 4);
	long_line[4000] = '\n';
	assert_int_equal(smtp_reply_feed(&r, slice_of(long_line, sizeof(long_line)), &step), 4001);
	assert_int_equal(step, SMTP_REPLY_DONE);
	assert_int_equal(smtp_reply_text(&r).n, SMTP_REPLY_TEXT_MAX);
	long_line[4000] = 'x';
	(void)smtp_reply_feed(&r, slice_of(long_line, sizeof(long_line)), &step);
	assert_int_equal(step, SMTP_REPLY_BAD);
	r = (struct smtp_reply){ 0 };
	do {
		(void)smtp_reply_feed(&r, SLICE_LIT("250-x\r\n"), &step);
		lines++;
	} while (step == SMTP_REPLY_LINE);
	assert_int_equal(step, SMTP_REPLY_BAD);
	assert_int_equal(lines, SMTP_REPLY_LINES_MAX + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_ceilings) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
