#include "net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

static struct ip loopback(void)
{
	struct ip ip;

	assert_true(ip_parse(SLICE_LIT("127.0.0.1"), &ip));
	return ip;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t n = sizeof(at);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	return ntohs(at.sin_port);
}

static void one_port_for_several_processes(void **state)
{
	struct ip ip = loopback();
	char who[64], mine[32];
	uint16_t port;
	int a, b;

	(void)state;
	assert_int_equal(listen_tcp(&ip, 0, &a), 0);
	port = port_of(a);
	assert_true(fcntl(a, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(listen_tcp(&ip, port, &b), 0);
	assert_int_equal(listen_probe(&ip, port), -EADDRINUSE);
	assert_true(listen_holder(port, who, sizeof(who)));
	snprintf(mine, sizeof(mine), "%d (", getpid());
	assert_memory_equal(who, mine, strlen(mine));
	close(a);
	close(b);
	assert_int_equal(listen_probe(&ip, port), 0);
	assert_false(listen_holder(port, who, sizeof(who)));
}

/* A peer that is gone without a word is noticed, on every connection that comes in. */
static void what_is_accepted_has_patience_with_limits(void **state)
{
	static const struct {
		int level, name, least, most;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, 60, 300 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 30000, 300000 },
	};
	struct ip ip = loopback();
	struct sockaddr_storage at;
	int fd, client = socket(AF_INET, SOCK_STREAM, 0), accepted;

	(void)state;
	assert_int_equal(listen_tcp(&ip, 0, &fd), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&at, ip_to_sockaddr(&ip, port_of(fd), &at)), 0);
	accepted = accept(fd, NULL, NULL);
	assert_true(accepted >= 0);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int value = 0;
		socklen_t n = sizeof(value);

		assert_int_equal(getsockopt(accepted, options[i].level, options[i].name, &value, &n), 0);
		assert_in_range(value, options[i].least, options[i].most);
	}
	close(accepted);
	close(client);
	close(fd);
}

static void foreign_address_is_named(void **state)
{
	struct ip ip;

	(void)state;
	assert_true(ip_parse(SLICE_LIT("192.0.2.77"), &ip));
	assert_int_equal(listen_probe(&ip, 0), -EADDRNOTAVAIL);
}

static void unix_sockets(void **state)
{
	char dir[] = "/tmp/postern-test-XXXXXX", path[64], longer[200];
	struct stat st;
	int a, b, file;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	assert_int_equal(listen_unix(path, SOCK_SEQPACKET, 0660, &a), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(listen_unix(path, SOCK_SEQPACKET, 0660, &b), -EADDRINUSE);
	close(a); /* as after a crash: the file is left */
	assert_int_equal(listen_unix(path, SOCK_SEQPACKET, 0660, &a), 0);
	close(a);
	unlink(path);
	file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(listen_unix(path, SOCK_STREAM, 0660, &a), -EEXIST); /* never removes a file */
	unlink(path);
	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(listen_unix(longer, SOCK_STREAM, 0660, &a), -ENAMETOOLONG);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_port_for_several_processes),
		cmocka_unit_test(what_is_accepted_has_patience_with_limits),
		cmocka_unit_test(foreign_address_is_named),
		cmocka_unit_test(unix_sockets),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
