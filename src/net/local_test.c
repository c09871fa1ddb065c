#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/local.h"

static bool local(const char *text)
{
	struct ip ip;

	assert_true(ip_parse(slice_str(text), &ip));
	return net_is_local(&ip);
}

/* Of a documentation network nobody has addresses; the loopback is everybody's. */
static void addresses(void **state)
{
	struct ip own;
	struct sockaddr_storage sa;
	socklen_t n;
	int fd;

	(void)state;
	assert_true(local("127.0.0.1"));
	assert_true(local("127.9.8.7"));
	assert_true(local("::1"));
	assert_false(local("203.0.113.77"));
	assert_false(local("2001:db8::77"));
	/* Where the machine has another one, it is what goes out to there. */
	assert_true(ip_parse(SLICE_LIT("203.0.113.77"), &own));
	n = ip_to_sockaddr(&own, 9, &sa);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, n) == 0 &&
	    getsockname(fd, (struct sockaddr *)&sa, &n) == 0 &&
	    ip_from_sockaddr((struct sockaddr *)&sa, &own))
		assert_true(net_is_local(&own));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(addresses) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
