/* What a program says by a pipe, and what goes on of it; whole, and octet by octet. */
#include "submit/pipe_lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* What the server says stands between { and }. */
static const struct {
	const char *name, *in, *out;
	bool refused;
} rows[] = {
	{ "CRLF goes as it comes", "EHLO x\r\nDATA\r\na\n.\nb\rc\r\n.\r\n",
	  "EHLO x\r\nDATA\r\na\n.\nb\rc\r\n.\r\n", false },
	{ "CRLF from a dot on", ".\r\nQUIT\n", ".\r\nQUIT\n", false },
	{ "CRLF, and BDAT", "EHLO x\r\nBDAT 2 LAST\r\n\n\n", "EHLO x\r\nBDAT 2 LAST\r\n\n\n", false },
	{ "LF", "EHLO x\nDATA\na\n\n.\nQUIT\n", "EHLO x\r\nDATA\r\na\r\n\r\n.\r\nQUIT\r\n", false },
	{ "a dot of the other kind is text", "EHLO x\nDATA\na\r\n.\r\nMAIL FROM:<evil@x>\r\n.\n",
	  "EHLO x\r\nDATA\r\na\r\n..\r\nMAIL FROM:<evil@x>\r\n.\r\n", false },
	{ "a message by CRLF between commands by LF", "EHLO x\nDATA\nSubject: x\r\n\r\nx\r\n.\nQUIT\n",
	  "EHLO x\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n", false },
	{ "dots that are stuffed stay so", "EHLO x\nDATA\n..\n..\r\n.x\n.\n",
	  "EHLO x\r\nDATA\r\n..\r\n..\r\n.x\r\n.\r\n", false },
	{ "CRs alone are for the server to judge", "EHLO x\nDATA\na\rb\n\r\r\n.\r\r\n.\n",
	  "EHLO x\r\nDATA\r\na\rb\r\n\r\r\n.\r\r\n.\r\n", false },
	{ "no end", "EHLO x\nQUIT", "EHLO x\r\nQUIT", false },
	{ "LF first, CRLF then", "EHLO x\nMAIL FROM:<a@b>\r\n", "EHLO x\r\nMAIL FROM:<a@b>\r\n", false },
	{ "CRLF first, LF then", "EHLO x\r\nMAIL FROM:<a@b>\n", "EHLO x\r\nMAIL FROM:<a@b>\n", false },
	{ "BDAT", "EHLO x\nbdat 5\nMAIL\n", "EHLO x\r\nbdat ", true },
	{ "a line that begins so", "EHLO x\nBDATA 5\n", "EHLO x\r\nBDATA 5\r\n", false },
	{ "a message's line that begins so", "EHLO x\nDATA\n{354 go}BDAT 5\n.\nNOOP\nBDAT 5\n",
	  "EHLO x\r\nDATA\r\nBDAT 5\r\n.\r\nNOOP\r\nBDAT ", true },
	{ "without waiting for the answer", "EHLO x\ndata \nBDAT 5\n{250 x}.\nBDAT 5\n",
	  "EHLO x\r\ndata \r\nBDAT 5\r\n.\r\nBDAT ", true },
	{ "DATA was refused", "EHLO x\nDATA\n{503 no}BDAT 5\n", "EHLO x\r\nDATA\r\nBDAT ", true },
	{ "a recipient was refused, DATA not", "EHLO x\nDATA\n{550-no}{550 no}{354 go}BDAT 5\n",
	  "EHLO x\r\nDATA\r\nBDAT 5\r\n", false },
};

static struct slice next(struct slice *in, size_t cut, bool *ret_answer)
{
	struct slice s;

	*ret_answer = cur_byte(in, '{');
	if (*ret_answer) {
		(void)cur_until(in, '}', &s);
		return s;
	}
	s = slice_head(slice_head(*in, slice_find(*in, '{')), cut);
	*in = slice_tail(*in, s.n);
	return s;
}

static void goes_on(void **state)
{
	static const size_t cuts[] = { SIZE_MAX, 3, 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * 3; i++) {
		struct slice in = slice_str(rows[i / 3].in);
		struct pipe_lines p;
		struct buf out;
		bool ok = true;

		pipe_lines_init(&p);
		buf_init(&out, 10000);
		while (in.n > 0 && ok) {
			bool answer;
			struct slice s = next(&in, cuts[i % 3], &answer);

			if (answer) {
				pipe_lines_answer(&p, s);
				pipe_lines_answer(&p, SLICE_LIT("\r\n"));
			} else {
				ok = pipe_lines_feed(&p, s, &out);
			}
		}
		if (ok == rows[i / 3].refused || !slice_eq(buf_slice(&out), slice_str(rows[i / 3].out)))
			fail_msg("%s: came out as\n%.*s\nnot as\n%s", rows[i / 3].name,
				 SLICE_ARG(buf_slice(&out)), rows[i / 3].out);
		buf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(goes_on) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
