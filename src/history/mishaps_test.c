#include "history/mishaps.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "history/remedy.h"
#include "ipc/message.h"

static char dir[64], path[128], why[256];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/postern-history-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/mishaps.db", dir);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const end[] = { "", "-wal", "-shm", ".damaged", ".damaged-wal", ".damaged-shm" };
	char name[160];

	(void)state;
	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, end[i]);
		unlink(name);
	}
	return rmdir(dir);
}

static struct mishaps *open_it(size_t rows_max)
{
	struct mishaps *m;
	bool aside;

	assert_int_equal(mishaps_open(path, rows_max, &m, &aside, why, sizeof(why)), 0);
	return m;
}

static void add(struct mishaps *m, unsigned kind, const char *ip, const char *account, const char *helo,
		int64_t now)
{
	struct mishap what = { .kind = kind,
			       .port = 587,
			       .listener = SLICE_LIT("submission"),
			       .account = slice_str(account),
			       .helo = slice_str(helo) };

	if (*ip)
		assert_true(ip_parse(slice_str(ip), &what.ip));
	mishaps_add(m, &what, now);
}

static bool print_row(void *arg, const struct mishap_row *row)
{
	char ip[IP_TEXT_MAX];

	buf_fmt(arg, "%s %.*s:%u %s <%.*s> [%.*s] %lu %ld-%ld\n", ipc_mishap_name(row->what.kind),
		SLICE_ARG(row->what.listener), row->what.port, ip_format(&row->what.ip, ip),
		SLICE_ARG(row->what.account), SLICE_ARG(row->what.helo), (unsigned long)row->count,
		(long)row->first, (long)row->last);
	return true;
}

static void assert_rows(struct mishaps *m, int64_t since, unsigned kind, size_t limit, const char *expect)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_int_equal(mishaps_list(m, since, kind, limit, print_row, &b), 0);
	buf_byte(&b, 0);
	assert_string_equal((const char *)buf_slice(&b).p, expect);
	buf_done(&b);
}

static void test_one_row_a_client(void **state)
{
	struct mishaps *m = open_it(1000);

	(void)state;
	add(m, IPC_MISHAP_TLS_ON_STARTTLS, "192.0.2.1", "ann@example.org", "", 100);
	add(m, IPC_MISHAP_TLS_ON_STARTTLS, "192.0.2.1", "ann@example.org", "pc\x1b[31m\xff", 110);
	add(m, IPC_MISHAP_TLS_ON_STARTTLS, "192.0.2.1", "ann@example.org", "", 120);
	add(m, IPC_MISHAP_TLS_ON_STARTTLS, "192.0.2.1", "bob@example.org", "", 130);
	add(m, IPC_MISHAP_NO_AUTH, "2001:db8::1", "", "printer", 140);
	add(m, IPC_MISHAP_NO_AUTH, "", "", "cron", 150);
	assert_rows(m, 0, 0, 10, ""); /* not yet written */
	assert_int_equal(mishaps_flush(m), 0);
	assert_int_equal(mishaps_flush(m), 0);
	mishaps_free(m);
	m = open_it(1000);
	assert_rows(m, 0, 0, 10,
		    "no-auth submission:587 local <> [cron] 1 150-150\n"
		    "no-auth submission:587 2001:db8::1 <> [printer] 1 140-140\n"
		    "tls-on-starttls submission:587 192.0.2.1 <bob@example.org> [] 1 130-130\n"
		    "tls-on-starttls submission:587 192.0.2.1 <ann@example.org> [pc?[31m?] 3 100-120\n");
	assert_rows(m, 130, IPC_MISHAP_TLS_ON_STARTTLS, 10,
		    "tls-on-starttls submission:587 192.0.2.1 <bob@example.org> [] 1 130-130\n");
	assert_rows(m, 0, 0, 1, "no-auth submission:587 local <> [cron] 1 150-150\n");
	mishaps_free(m);
}

static void test_full_batch(void **state)
{
	struct mishap what = { .kind = IPC_MISHAP_NOT_SMTP };
	struct mishaps *m = open_it(1000);
	struct mishaps_counters n;

	(void)state;
	for (int i = 1; i < MISHAPS_BATCH; i++)
		assert_false(mishaps_add(m, &what, i));
	assert_true(mishaps_add(m, &what, 1)); /* now it is due */
	assert_true(mishaps_add(m, &what, 1)); /* and this one is lost */
	mishaps_count(m, &n);
	assert_int_equal(n.waiting, MISHAPS_BATCH);
	assert_int_equal(n.dropped, 1);
	assert_int_equal(mishaps_flush(m), 0);
	mishaps_count(m, &n);
	assert_int_equal(n.rows, 1);
	assert_int_equal(n.written, MISHAPS_BATCH);
	assert_int_equal(n.waiting, 0);
	mishaps_free(m);
}

/* Noise of one kind fills the table; the few of another kind stay, though they are older. */
static void test_oldest_of_the_largest_kind_go(void **state)
{
	struct mishaps *m = open_it(100);
	struct mishaps_counters n;
	struct buf b;

	(void)state;
	add(m, IPC_MISHAP_NO_AUTH, "192.0.2.1", "", "", 1);
	for (int i = 0; i < 250; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "198.51.100.%d", i);
		add(m, IPC_MISHAP_NOT_SMTP, ip, "", "", 100 + i);
	}
	assert_int_equal(mishaps_flush(m), 0);
	mishaps_count(m, &n);
	assert_int_equal(n.rows, 90);
	assert_int_equal(n.taken_out, 161);
	assert_rows(m, 0, IPC_MISHAP_NO_AUTH, 10, "no-auth submission:587 192.0.2.1 <> [] 1 1-1\n");
	buf_init(&b, 1 << 20);
	assert_int_equal(mishaps_list(m, 0, 0, 1000, print_row, &b), 0);
	buf_byte(&b, 0);
	assert_non_null(strstr((const char *)buf_slice(&b).p, "198.51.100.249 "));
	assert_null(strstr((const char *)buf_slice(&b).p, "198.51.100.160 "));
	buf_done(&b);
	mishaps_free(m);
}

static void test_damaged_file_is_set_aside(void **state)
{
	FILE *f = fopen(path, "w");
	char name[160];
	struct mishaps *m;

	(void)state;
	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", f);
	fclose(f);
	m = open_it(100);
	add(m, IPC_MISHAP_NO_AUTH, "192.0.2.1", "", "", 1);
	assert_int_equal(mishaps_flush(m), 0);
	mishaps_free(m);
	snprintf(name, sizeof(name), "%s.damaged", path);
	assert_int_equal(access(name, F_OK), 0);
}

static void test_no_folder(void **state)
{
	struct mishaps *m;
	bool aside;

	(void)state;
	assert_true(mishaps_open("/nonexistent/mishaps.db", 10, &m, &aside, why, sizeof(why)) < 0);
	assert_true(strlen(why) > 0);
}

static void test_every_kind_has_words(void **state)
{
	static const struct remedy_ports ports = { 1587, 1465 };
	struct buf b;

	(void)state;
	for (unsigned kind = 1; kind < IPC_MISHAP_KINDS; kind++) {
		buf_init(&b, 4096);
		remedy_what(kind, 10025, &b);
		assert_true(b.n > 20);
		assert_non_null(memmem(buf_slice(&b).p, b.n, "10025", 5));
		remedy_advice(kind, 10025, &ports, &b);
		buf_byte(&b, 0);
		assert_null(strchr((const char *)buf_slice(&b).p, '%'));
		assert_int_equal(remedy_kind(slice_str(ipc_mishap_name(kind))), kind);
		buf_done(&b);
	}
	assert_int_equal(remedy_kind(SLICE_LIT("unknown")), 0);
	buf_init(&b, 4096);
	remedy_advice(IPC_MISHAP_AUTH_ON_RELAY, 25, &ports, &b);
	assert_true(slice_eq(
		buf_slice(&b),
		SLICE_LIT("Change the port of its outgoing server. What works: port 1587 with STARTTLS or "
			  "port 1465 with SSL/TLS.")));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_row_a_client, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_full_batch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_oldest_of_the_largest_kind_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged_file_is_set_aside, set_up, tear_down),
		cmocka_unit_test(test_no_folder),
		cmocka_unit_test(test_every_kind_has_words),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
