/* When silence at port 25 is our own network's doing, and when it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "queue/port25.h"

#define NOW    UINT64_C(1800000000000)
#define MINUTE (UINT64_C(60) * 1000)

static struct ip at(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(slice_str(text), &ip));
	return ip;
}

/* What is seen, a minute apart: "-" time-out, "+" connected, "=" of use still; whether it counts as blocked
 * at the end. */
static const struct {
	const char *what, *seen;
	bool blocked;
} rows[] = {
	{ "three networks", "-192.0.2.1 -198.51.100.1 -203.0.113.1", true },
	{ "two networks", "-192.0.2.1 -198.51.100.1 -198.51.100.2 -192.0.3.9", false },
	{ "one connected lately", "+192.0.2.1 -192.0.2.1 -198.51.100.1 -203.0.113.1", false },
	{ "but not for a while",
	  "+192.0.2.1 -192.0.2.1 -198.51.100.1 -203.0.113.1 -192.0.2.1 -198.51.100.1 -203.0.113.1 -192.0.2.1 "
	  "-198.51.100.1 -203.0.113.1 -192.0.2.1",
	  true },
	{ "a server here and there is away, and mail flows all the same",
	  "-192.0.2.1 -198.51.100.1 =100.0.0.1 -203.0.113.1 -192.88.0.1 -198.18.0.1 =100.0.0.1 -198.51.100.1",
	  false },
	{ "what works within the house says nothing of outside",
	  "-192.0.2.1 -198.51.100.1 =10.0.0.1 -203.0.113.1", true },
	{ "one connected in between", "-192.0.2.1 -198.51.100.1 +192.0.2.7 -203.0.113.1", false },
	{ "one connected behind", "-192.0.2.1 -198.51.100.1 -203.0.113.1 +192.0.2.7", false },
	{ "IPv6", "-2001:db8::1 -2001:db9::1 -2001:dba::1", true },
	{ "IPv6 of one provider", "-2001:db8::1 -2001:db8:1::1 -2001:db8:2::1", false },
	{ "both", "-2001:db8::1 -192.0.2.1 -198.51.100.1", true },
	{ "loopback says nothing", "-127.0.0.1 -192.0.2.1 -198.51.100.1", false },
	{ "nor does it connecting", "-192.0.2.1 -198.51.100.1 +127.0.0.1 -203.0.113.1", true },
	{ "nor link-local", "-fe80::1 -169.254.1.1 -192.0.2.1 -198.51.100.1", false },
	{ "a relay within the house", "-192.0.2.1 -198.51.100.1 +10.0.0.5 -203.0.113.1", true },
	{ "and later", "-192.0.2.1 -198.51.100.1 -203.0.113.1 +10.0.0.5", true },
	{ "only within the house", "-10.1.0.1 -10.2.0.1 -10.3.0.1", true },
	{ "which is not so", "-10.1.0.1 -10.2.0.1 -10.3.0.1 +10.1.0.1", false },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct port25 p = { 0 };
		char text[256], *rest = text, *word;
		uint64_t now = NOW;

		snprintf(text, sizeof(text), "%s", rows[i].seen);
		while ((word = strsep(&rest, " "))) {
			struct ip ip = at(word + 1);
			bool was = p.blocked, changed = false;

			if (*word == '=') {
				port25_worked(&p, &ip, now);
				now += MINUTE;
				continue;
			}
			changed = *word == '-' ? port25_timed_out(&p, &ip, now)
					       : port25_connected(&p, &ip, now);
			assert_int_equal(changed, was != p.blocked);
			now += MINUTE;
		}
		if (p.blocked != rows[i].blocked)
			fail_msg("%s", rows[i].what);
	}
}

static void test_window(void **state)
{
	struct ip a = at("192.0.2.1"), b = at("198.51.100.1"), c = at("203.0.113.1");
	struct port25 p = { 0 };

	(void)state;
	port25_timed_out(&p, &a, NOW);
	port25_timed_out(&p, &b, NOW);
	assert_false(port25_timed_out(&p, &c, NOW + PORT25_WINDOW_MS));
	assert_false(port25_timed_out(&p, &a, NOW + PORT25_WINDOW_MS));
	assert_true(port25_timed_out(&p, &b, NOW + PORT25_WINDOW_MS));
}

static void test_restored(void **state)
{
	struct ip inside = at("10.0.0.1"), outside = at("192.0.2.1");
	struct port25 p;

	(void)state;
	port25_restore(&p, NOW - 1000);
	assert_false(port25_timed_out(&p, &outside, NOW)); /* it is said already */
	assert_false(port25_connected(&p, &inside, NOW));
	assert_true(port25_connected(&p, &outside, NOW));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_restored),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
