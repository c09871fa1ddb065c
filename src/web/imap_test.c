/* imap_test.c - what IMAP servers answer to LIST and SEARCH: a row each. */
#include "web/imap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *line;
	bool ok;
	struct imap_folder want;
} lists[] = {
	{ "* LIST (\\HasNoChildren) \".\" INBOX", true, { "INBOX", false, false } },
	{ "* LIST (\\HasNoChildren \\Junk) \"/\" \"Unwanted things\"",
	  true,
	  { "Unwanted things", true, false } },
	{ "* list (\\NoInferiors \\UnMarked) NIL Spam", true, { "Spam", true, false } },
	{ "* LIST (\\HasNoChildren \\All) \"/\" \"[Gmail]/All Mail\"",
	  true,
	  { "[Gmail]/All Mail", false, true } },
	{ "* LIST () \"/\" \"a \\\"b\\\" \\\\c\"", true, { "a \"b\" \\c", false, false } },
	{ "* LIST (\\Junk) \"\\\\\" INBOX\\Junk", true, { "INBOX\\Junk", true, false } },
	{ "* LIST () \"/\" \"junk E-MAIL\" (\"CHILDINFO\" (\"SUBSCRIBED\"))",
	  true,
	  { "junk E-MAIL", true, false } },
	{ "* LIST (\\Noselect \\HasChildren) \"/\" \"[Gmail]\"", false, { .name = "" } },
	{ "* LIST (\\HasNoChildren) \"/\" {5}", false, { .name = "" } },
	{ "* LIST (\\HasNoChildren) \"/\" \"never closed", false, { .name = "" } },
	{ "* LIST () NIL \"a\x01 b\"", false, { .name = "" } },
	{ "* LIST (\\HasNoChildren", false, { .name = "" } },
	{ "* LIST () \"/\"", false, { .name = "" } },
	{ "* LSUB () \"/\" INBOX", false, { .name = "" } },
	{ "A1 OK LIST completed", false, { .name = "" } },
	{ "", false, { .name = "" } },
};

static const struct {
	const char *text;
	uint32_t want;
} searches[] = {
	{ "* SEARCH 4 17 9\r\n", 17 },	     { "* SEARCH\r\n", 0 }, { "* 3 EXISTS\r\n* search 5\r\n", 5 },
	{ "* SEARCH 99999999999 7\r\n", 0 }, { "* SEARCH x\n", 0 }, { "", 0 },
};

static void folders(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct imap_folder f = { .name = "untouched" };
		bool ok = imap_list_read(slice_str(lists[i].line), &f);

		if (ok != lists[i].ok || strcmp(f.name, ok ? lists[i].want.name : "untouched") != 0 ||
		    (ok && (f.junk != lists[i].want.junk || f.all != lists[i].want.all)))
			fail_msg("%s: %d '%s' %d %d", lists[i].line, ok, f.name, f.junk, f.all);
	}
}

static void long_names(void **state)
{
	char line[IMAP_NAME_MAX + 40] = "* LIST () \"/\" ";
	size_t n = strlen(line);
	struct imap_folder f;

	(void)state;
	memset(line + n, 'a', IMAP_NAME_MAX);
	line[n + IMAP_NAME_MAX] = '\0';
	assert_false(imap_list_read(slice_str(line), &f));
	line[n + IMAP_NAME_MAX - 1] = '\0';
	assert_true(imap_list_read(slice_str(line), &f));
}

static void numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]); i++)
		assert_int_equal(imap_search_read(slice_str(searches[i].text)), searches[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(folders), cmocka_unit_test(long_names),
					    cmocka_unit_test(numbers) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
