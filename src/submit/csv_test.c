#include "submit/csv.h"
#include "submit/test_table.h"

/* What is in a text: names, then rows; cells with | between, rows with a line end.  A fault is told as
 * "fault N at line:column". */
static const struct row {
	const char *name, *in, *out;
} rows[] = {
	{ "plain", "a,b\r\n1,2\r\n3,4\r\n", "a|b\n1|2\n3|4\n" },
	{ "LF alone, no end", "a,b\n1,2\n3,4", "a|b\n1|2\n3|4\n" },
	{ "a byte order mark",
	  "\xef\xbb\xbf"
	  "a,b\n1,2\n",
	  "a|b\n1|2\n" },
	{ "quotation marks", "a,b\n\"x, y\",\"say \"\"hi\"\"\"\n", "a|b\nx, y|say \"hi\"\n" },
	{ "line ends within", "a,b\r\n\"1\r\n2\",\"\n\"\r\n3,4\r\n", "a|b\n1\r\n2|\n\n3|4\n" },
	{ "a CR within", "a\n\"1\r2\"\n", "a\n1\r2\n" },
	{ "empty cells", "a,b,c\n,,x\n\"\",y,\n", "a|b|c\n||x\n|y|\n" },
	{ "blanks stay", "a,b\n 1 , 2\n", "a|b\n 1 | 2\n" },
	{ "blanks around names", " a ,\tb\n1,2\n", "a|b\n1|2\n" },
	{ "semicolons", "a;b;c,d\n1,5;2;3\n", "a|b|c,d\n1,5|2|3\n" },
	{ "tabs", "a\tb\n1,2\t3;4\n", "a|b\n1,2|3;4\n" },
	{ "a comma in a quoted name", "\"a,b,c\";d\n1;2\n", "a,b,c|d\n1|2\n" },
	{ "one column", "mail\na@b.test\n\nc@d.test\n", "mail\na@b.test\nc@d.test\n" },
	{ "rows with nothing", "\n\r\na,b\n\n,\n1,2\n,\n;\n\n", "a|b\n1|2\nfault 8 at 8:0\n" },
	{ "rows with nothing in them", "a,b\n,\n1,2\n,,,\n\"\",\"\"\n", "a|b\n1|2\n" },
	{ "UTF-8", "n\xc3\xa4me,b\nJ\xc3\xb6rg,\xf0\x9f\x98\x80\n",
	  "n\xc3\xa4me|b\nJ\xc3\xb6rg|\xf0\x9f\x98\x80\n" },
	{ "no row", "a,b\n", "a|b\n" },
	/* faults */
	{ "nothing", "", "fault 12 at 1:0\n" },
	{ "only line ends", "\r\n\n", "fault 12 at 1:0\n" },
	{ "no UTF-8", "a,b\n1,\xc3\xb6\xff\n", "fault 1 at 2:4\n" },
	{ "UTF-16",
	  "\xff\xfe"
	  "a\0,\0",
	  "fault 2 at 1:1\n" },
	{ "a bare CR", "a,b\n1\r2,3\n", "a|b\nfault 4 at 2:2\n" },
	{ "a quotation mark within", "a,b\nx,5\" disk\n", "a|b\nfault 5 at 2:4\n" },
	{ "behind the closing one", "a,b\n\"x\"y,1\n", "a|b\nfault 6 at 2:4\n" },
	{ "a blank behind it", "a,b\n\"x\" ,1\n", "a|b\nfault 6 at 2:4\n" },
	{ "never closed", "a,b\n1,2\n\xc3\xb6,\"x\n3,4\n", "a|b\n1|2\nfault 7 at 3:3\n" },
	{ "too few, and it goes on", "a,b,c\n1,2\n3,4,5\n", "a|b|c\nfault 8 at 2:0\n3|4|5\n" },
	{ "too many", "a,b\n\"1\n\",2,3\n3,4\n", "a|b\nfault 9 at 2:0\n3|4\n" },
	{ "a name lacks", "a,,b\n", "fault 13 at 1:0\n" },
	{ "a name of blanks", "a, ,b\n", "fault 13 at 1:0\n" },
	{ "a name twice", "a,b,A\n", "fault 14 at 1:0\n" },
};

static void put_row(struct buf *to, const struct slice *cells, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_str(to, i ? "|" : "");
		buf_put(to, cells[i]);
	}
	buf_byte(to, '\n');
}

static void put_fault(struct buf *to, const struct csv *c)
{
	buf_fmt(to, "fault %d at %u:%u\n", (int)c->fault, c->fault_line, c->fault_column);
}

static void read_all(const struct row *row, struct buf *to)
{
	struct slice text = strcmp(row->name, "UTF-16") ? slice_str(row->in) : slice_of(row->in, 6);
	struct csv c;
	enum csv_result r = csv_init(&c, text);

	if (r == CSV_ROW)
		put_row(to, c.name, c.columns);
	while (r == CSV_ROW && (r = csv_next(&c)) != CSV_END) {
		if (r == CSV_ROW)
			put_row(to, c.cell, c.columns);
		else
			put_fault(to, &c);
		if (r == CSV_BAD && (c.fault == CSV_FEW || c.fault == CSV_MANY))
			r = CSV_ROW;
	}
	if (r == CSV_BAD && buf_slice(to).n == 0)
		put_fault(to, &c);
	csv_done(&c);
}

static void tables(void **state)
{
	(void)state;
	TEST_TABLE(rows, read_all);
}

static void a_nul(void **state)
{
	struct csv c;

	(void)state;
	assert_int_equal(csv_init(&c, slice_of("a,b\n1,\0\n", 8)), CSV_BAD);
	assert_int_equal(c.fault, CSV_CONTROL);
	assert_int_equal(c.fault_line, 2);
	csv_done(&c);
}

static void too_long(void **state)
{
	size_t n = CSV_ROW_MAX + 10;
	char *text = malloc(n);
	struct csv c;

	(void)state;
	memset(text, 'x', n);
	memcpy(text, "a\n", 2);
	assert_int_equal(csv_init(&c, slice_of(text, n)), CSV_ROW);
	assert_int_equal(csv_next(&c), CSV_BAD);
	assert_int_equal(c.fault, CSV_LONG);
	csv_done(&c);
	free(text);
}

static void too_wide(void **state)
{
	struct buf text;
	struct csv c;

	(void)state;
	buf_init(&text, 1 << 20);
	for (unsigned i = 0; i <= CSV_COLUMNS_MAX; i++)
		buf_fmt(&text, "%sc%u", i ? "," : "", i);
	assert_int_equal(csv_init(&c, buf_slice(&text)), CSV_BAD);
	assert_int_equal(c.fault, CSV_WIDE);
	csv_done(&c);
	buf_done(&text);
}

/* A row is found again where it was, with its line and number. */
static void back(void **state)
{
	struct csv c;
	struct csv_mark second;

	(void)state;
	assert_int_equal(csv_init(&c, SLICE_LIT("a\n\"1\n1\"\n2\n3\n")), CSV_ROW);
	assert_int_equal(csv_next(&c), CSV_ROW);
	second = csv_mark(&c);
	assert_int_equal(csv_next(&c), CSV_ROW);
	assert_int_equal(csv_next(&c), CSV_ROW);
	assert_int_equal(csv_next(&c), CSV_END);
	csv_seek(&c, second);
	assert_int_equal(csv_next(&c), CSV_ROW);
	assert_true(slice_eq(c.cell[0], SLICE_LIT("2")));
	assert_int_equal(c.line, 4);
	assert_int_equal(c.row, 2);
	assert_int_equal(csv_column(&c, SLICE_LIT("A")), 0);
	assert_int_equal(csv_column(&c, SLICE_LIT("b")), 1);
	csv_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),   cmocka_unit_test(a_nul), cmocka_unit_test(too_long),
		cmocka_unit_test(too_wide), cmocka_unit_test(back),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
