#include "mime/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* What comes out of a list: "name|address" of each mailbox (~ behind one that has no domain), "name:" and ";"
 * of groups, one blank between; or where it cannot be read: "!" and what stands there. */
static const struct {
	const char *value, *read;
} rows[] = {
	{ "bob@example.org", "|bob@example.org" },
	{ "<bob@example.org>", "|bob@example.org" },
	{ "Bob Roe <bob@example.org>, carol@example.net", "Bob Roe|bob@example.org |carol@example.net" },
	{ "\"Roe, Bob\" <bob@example.org>", "Roe, Bob|bob@example.org" },
	{ "\"a \\\"b\\\" c\" <x@y>", "a \"b\" c|x@y" },
	{ "John Q. Public <jqp@example.org>", "John Q. Public|jqp@example.org" },
	{ "J.R.R. Tolkien <j@x>", "J.R.R. Tolkien|j@x" },
	{ "root (Cron Daemon)", "Cron Daemon|root~" },
	{ "root", "|root~" },
	{ "<root>", "|root~" },
	{ "Bob (work) <bob@x> (really (nested) \\))", "Bob|bob@x" },
	{ "bob@x (Bob (the) Builder)", "Bob (the) Builder|bob@x" },
	{ "", "" },
	{ " \r\n ", "" },
	{ ", ,a@x,, b@y,", "|a@x |b@y" },
	{ "undisclosed-recipients:;", "undisclosed-recipients: ;" },
	{ "Friends: a@x, B <b@y>;, c@z", "Friends: |a@x B|b@y ; |c@z" },
	{ "A:a@x; B:b@y;", "A: |a@x ; !B:b@y;" },
	{ "A: B: c@x;;", "A: |B~ !: c@x;;" },
	{ "A: a@x", "A: |a@x !" },
	{ "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "Pete|pete@silly.test" },
	{ "\"Giant; \\\"Big\\\" Box\" <b@x>", "Giant; \"Big\" Box|b@x" },
	{ "<@a.test,@b.test:joe@c.test>", "|joe@c.test" },
	{ "joe . smith @ example . org", "|joe.smith@example.org" },
	{ "\"joe smith\"@example.org", "|\"joe smith\"@example.org" },
	{ "joe@[192.0.2.1]", "|joe@[192.0.2.1]" },
	{ "joe@[IPv6:2001:db8::1]", "|joe@[IPv6:2001:db8::1]" },
	{ "Bob\r\n Roe\r\n <bob@x>", "Bob Roe|bob@x" },
	{ "j\xc3\xb6rg@\xc3\xbc.test", "|j\xc3\xb6rg@\xc3\xbc.test" },
	{ "J\xc3\xb6rg <j@x>", "J\xc3\xb6rg|j@x" },
	{ "=?utf-8?q?J=C3=B6rg?= <j@x>", "=?utf-8?q?J=C3=B6rg?=|j@x" },
	{ "Foo, Inc. <foo@x>", "|Foo~ Inc.|foo@x" },
	/* what is no list */
	{ "bob@", "!" },
	{ "@example.org", "!@example.org" },
	{ "bob@@x", "!@x" },
	{ "Bob Roe", "!Bob Roe" },
	{ "a@x b@y", "|a@x !b@y" },
	{ "a@x; b@y", "|a@x !; b@y" },
	{ "<bob@x", "!" },
	{ "bob@x>", "|bob@x !>" },
	{ "<>", "!>" },
	{ "\"open <a@x>", "!\"open <a@x>" },
	{ "(open a@x", "!(open a@x" },
	{ "a..b@x", "!a..b@x" },
	{ ".a@x", "!.a@x" },
	{ "a@x..y", "!.y" },
	{ "a@[1.2.3.4", "![1.2.3.4" },
	{ "a\x01@x", "|a~ !\x01@x" },
	{ "<@a.test:>", "!>" },
	{ ":;", "!:;" },
};

static void read_list(struct mime_addresses *a, struct buf *got)
{
	enum mime_address_item item;

	while ((item = mime_addresses_next(a)) != MIME_ADDRESS_END) {
		if (buf_slice(got).n > 0)
			buf_byte(got, ' ');
		if (item == MIME_ADDRESS_BAD) {
			buf_byte(got, '!');
			buf_put(got, slice_tail(a->value, a->at));
			assert_int_equal(mime_addresses_next(a), MIME_ADDRESS_BAD);
			return;
		}
		if (item == MIME_ADDRESS_GROUP_END) {
			buf_byte(got, ';');
			continue;
		}
		buf_put(got, buf_slice(&a->name));
		buf_byte(got, item == MIME_ADDRESS_GROUP ? ':' : '|');
		if (item == MIME_ADDRESS_MAILBOX)
			buf_put(got, buf_slice(&a->address));
		if (item == MIME_ADDRESS_MAILBOX && a->bare)
			buf_byte(got, '~');
	}
	assert_int_equal(mime_addresses_next(a), MIME_ADDRESS_END);
}

static void lists(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mime_addresses a;
		struct buf got;

		buf_init(&got, 1000);
		mime_addresses_init(&a, slice_str(rows[i].value));
		read_list(&a, &got);
		if (!slice_eq(buf_slice(&got), slice_str(rows[i].read)))
			fail_msg("%s: \"%.*s\", not \"%s\"", rows[i].value, SLICE_ARG(buf_slice(&got)),
				 rows[i].read);
		mime_addresses_done(&a);
		buf_done(&got);
	}
}

/* Where a domain is put to an address that has none. */
static void local_end(void **state)
{
	static const struct {
		const char *value;
		size_t end;
	} ends[] = { { "root (Cron Daemon)", 4 },
		     { " <root >", 6 },
		     { "\"a b\" (x)", 5 },
		     { "Bob <r . s (t) >", 10 } };

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct mime_addresses a;

		mime_addresses_init(&a, slice_str(ends[i].value));
		assert_int_equal(mime_addresses_next(&a), MIME_ADDRESS_MAILBOX);
		assert_true(a.bare);
		assert_int_equal(a.local_end, ends[i].end);
		mime_addresses_done(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lists), cmocka_unit_test(local_end) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
