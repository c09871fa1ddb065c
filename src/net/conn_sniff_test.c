#include "net/conn.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_sniff(void **state)
{
	static const struct {
		struct slice in;
		enum conn_sniff verdict;
	} cases[] = {
		{ SLICE_INIT(""), CONN_SNIFF_MORE },
		{ SLICE_INIT("E"), CONN_SNIFF_PLAIN },
		{ SLICE_INIT("EHLO x\r\n"), CONN_SNIFF_PLAIN },
		{ SLICE_INIT("GET / HTTP/1.1\r\n"), CONN_SNIFF_PLAIN },
		{ SLICE_INIT("\r\n"), CONN_SNIFF_PLAIN },
		{ SLICE_INIT("\x16"), CONN_SNIFF_MORE },
		{ SLICE_INIT("\x16\x03"), CONN_SNIFF_MORE },
		{ SLICE_INIT("\x16\x03\x01\x02\x00"), CONN_SNIFF_MORE },
		{ SLICE_INIT("\x16\x03\x01\x02\x00\x01"), CONN_SNIFF_TLS },
		{ SLICE_INIT("\x16\x03\x00\x00\x41\x01"), CONN_SNIFF_TLS },
		{ SLICE_INIT("\x16\x03\x03\x40\x00\x01"), CONN_SNIFF_TLS },
		{ SLICE_INIT("\x16\x03\x03\x40\x01"), CONN_SNIFF_PLAIN }, /* longer than a record may be */
		{ SLICE_INIT("\x16\x03\x01\x00\x00"), CONN_SNIFF_PLAIN }, /* empty */
		{ SLICE_INIT("\x16\x02"), CONN_SNIFF_PLAIN },		  /* no such version */
		{ SLICE_INIT("\x16\x03\x05"), CONN_SNIFF_PLAIN },	  /* nor this */
		{ SLICE_INIT("\x16\x03\x01\x02\x00\x02"), CONN_SNIFF_PLAIN }, /* a ServerHello */
		{ SLICE_INIT("\x15\x03\x01\x00\x02"), CONN_SNIFF_PLAIN },     /* an alert */
		{ SLICE_INIT("\x80"), CONN_SNIFF_MORE },
		{ SLICE_INIT("\x80\x2e\x01\x03\x01"), CONN_SNIFF_TLS }, /* SSLv2 hello for TLS 1.0 */
		{ SLICE_INIT("\x80\x2e\x01\x00\x02"), CONN_SNIFF_TLS }, /* SSLv2 itself */
		{ SLICE_INIT("\x80\x2e\x04"), CONN_SNIFF_PLAIN },
		{ SLICE_INIT("\xc3\xa4h"), CONN_SNIFF_PLAIN }, /* UTF-8 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(conn_sniff(cases[i].in), cases[i].verdict);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_sniff) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
