/* Who is taken when: rows of what waits, and what each worker gets. */
#include "deliver/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define ITEMS 16

static struct {
	struct order o;
	struct order_item item[ITEMS];
} w;

static int setup(void **state)
{
	(void)state;
	return order_init(&w.o);
}

static int teardown(void **state)
{
	(void)state;
	order_done(&w.o);
	return 0;
}

/* Item i is for the mailbox named by the ith letter; a capital one is a large message. */
static void put(const char *boxes)
{
	for (size_t i = 0; boxes[i]; i++) {
		char box = (char)(boxes[i] | 0x20);

		assert_int_equal(order_put(&w.o, &w.item[i], slice_of(&box, 1), boxes[i] < 'a' ? 1000 : 10),
				 0);
	}
}

/* Takes, and compares with the items' numbers in hexadecimal. */
static void takes_enough(size_t max, size_t enough, const char *want)
{
	const struct order_limits limits = { .items = max, .enough = enough, .octets = 100 };
	struct order_item *got[ITEMS];
	char text[ITEMS + 1] = "";
	size_t n = order_take(&w.o, got, &limits);

	for (size_t i = 0; i < n; i++)
		text[i] = "0123456789abcdef"[got[i] - w.item];
	assert_string_equal(text, want);
}

static void takes(size_t max, const char *want)
{
	takes_enough(max, max, want);
}

static void over(const char *items)
{
	for (; *items; items++)
		order_over(&w.o, &w.item[*items <= '9' ? *items - '0' : *items - 'a' + 10]);
}

static void mailboxes_are_not_shared(void **state)
{
	(void)state;
	put("aabba");
	assert_int_equal(w.o.waiting, 5);
	takes(2, "01");
	takes(8, "23"); /* 4 waits for a */
	takes(8, "");
	over("23");
	takes(8, "");
	over("0");
	takes(8, "");
	over("1");
	takes(8, "4");
	over("4");
	assert_int_equal(w.o.waiting, 0);
	assert_int_equal(w.o.boxes.n, 0);
}

static void mailboxes_take_turns(void **state)
{
	(void)state;
	put("aaaab");
	takes(2, "01");
	over("01");
	takes(2, "42"); /* b came before the rest of a */
	over("42");
	takes(2, "3");
	over("3");
}

static void enough_is_whole_mailboxes(void **state)
{
	(void)state;
	put("aaabc");
	takes_enough(8, 2, "012");
	takes_enough(8, 2, "34");
	over("01234");
}

static void late_ones_join_their_mailbox(void **state)
{
	char a = 'a';

	(void)state;
	put("a");
	takes(8, "0");
	assert_int_equal(order_put(&w.o, &w.item[1], slice_of(&a, 1), 10), 0);
	takes(8, "");
	over("0");
	takes(8, "1");
	over("1");
}

static void large_ones_go_alone(void **state)
{
	(void)state;
	put("aAbcB");
	takes(8, "023"); /* the large ones do not go with them */
	takes(8, "");
	over("0");
	takes(8, "1");
	over("2");
	takes(8, "4");
	over("134");
	assert_int_equal(w.o.boxes.n, 0);
	put("aBc");
	takes(8, "0"); /* b has nothing else */
	takes(8, "1");
	takes(8, "2");
	over("012");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(mailboxes_are_not_shared),	 T(mailboxes_take_turns), T(enough_is_whole_mailboxes),
		T(late_ones_join_their_mailbox), T(large_ones_go_alone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
