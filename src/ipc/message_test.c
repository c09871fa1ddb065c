/* Every type of message there and back; the table of message.h is the table of this test. */
#include "ipc/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static unsigned char filler[IPC_CHUNK_MAX + 1];

/* Values that differ from field to field, so that two swapped ones are seen. */
static uint64_t next_value;

static struct slice some_bytes(size_t max)
{
	size_t n = 200 + ++next_value;

	return slice_of(filler + next_value, n < max ? n : max);
}

#define FILL_U8(name)	   f->name = (uint8_t)++next_value;
#define FILL_U16(name)	   f->name = (uint16_t)(++next_value * 0x0101);
#define FILL_U32(name)	   f->name = (uint32_t)(++next_value * 0x01010101);
#define FILL_U64(name)	   f->name = ++next_value * UINT64_C(0x0101010101010101);
#define FILL_B(name, max)  f->name = some_bytes(max);
#define EQUAL_NUMBER(name) assert_true(a->name == b->name);
#define EQUAL_B(name, max) assert_true(slice_eq(a->name, b->name));

#define MAKE_HELPERS(number, msg)                                                                 \
	static void fill_##msg(struct ipc_message *m)                                             \
	{                                                                                         \
		struct ipc_##msg *f = &m->msg;                                                    \
		m->type = IPC_TYPE_##msg;                                                         \
		IPC_FIELDS_##msg(FILL_U8, FILL_U16, FILL_U32, FILL_U64, FILL_B)                   \
	}                                                                                         \
	static void equal_##msg(const struct ipc_message *x, const struct ipc_message *y)         \
	{                                                                                         \
		const struct ipc_##msg *a = &x->msg, *b = &y->msg;                                \
		IPC_FIELDS_##msg(EQUAL_NUMBER, EQUAL_NUMBER, EQUAL_NUMBER, EQUAL_NUMBER, EQUAL_B) \
	}
IPC_MESSAGES(MAKE_HELPERS)

#define ROW(number, msg) { number, #msg, fill_##msg, equal_##msg },
static const struct {
	unsigned number;
	const char *name;
	void (*fill)(struct ipc_message *m);
	void (*equal)(const struct ipc_message *a, const struct ipc_message *b);
} rows[] = { IPC_MESSAGES(ROW) };
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void make(size_t row, struct buf *b, struct ipc_message *ret)
{
	memset(ret, 0, sizeof(*ret));
	next_value = row;
	rows[row].fill(ret);
	buf_init(b, IPC_PACKET_MAX);
	ipc_encode(ret, b);
	assert_true(buf_ok(b));
}

static void round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		struct ipc_message m, back;
		struct buf b;

		make(i, &b, &m);
		if (!ipc_decode(buf_slice(&b), &back))
			fail_msg("%s does not decode", rows[i].name);
		assert_int_equal(back.type, rows[i].number);
		rows[i].equal(&m, &back);
		assert_string_equal(ipc_type_name(rows[i].number), rows[i].name);
		buf_done(&b);
	}
	assert_string_equal(ipc_type_name(9999), "unknown");
}

/* Cut anywhere, or with something behind it, it is no message. */
static void neither_short_nor_long(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ROWS; i++) {
		struct ipc_message m, back = { .type = 0 };
		struct buf b;

		make(i, &b, &m);
		for (size_t n = 0; n < b.n; n++)
			if (ipc_decode(slice_head(buf_slice(&b), n), &back))
				fail_msg("%s decodes from %zu of %zu octets", rows[i].name, n, b.n);
		buf_byte(&b, 0);
		if (ipc_decode(buf_slice(&b), &back))
			fail_msg("%s decodes with an octet left over", rows[i].name);
		assert_int_equal(back.type, 0); /* untouched */
		buf_done(&b);
	}
}

/* One octet over a field's ceiling: the encoder refuses, and so does the decoder. */
static void fields_have_ceilings(void **state)
{
	static const struct {
		struct ipc_message m;
		size_t max;
	} cases[] = {
		{ { .type = IPC_TYPE_body, .body = { .data = { filler, IPC_CHUNK_MAX + 1 } } },
		  IPC_CHUNK_MAX },
		{ { .type = IPC_TYPE_ticket_secret, .ticket_secret = { { filler, 33 } } }, 32 },
		{ { .type = IPC_TYPE_account, .account = { .name = { filler, IPC_ADDRESS_MAX + 1 } } },
		  IPC_ADDRESS_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ipc_message back;
		struct buf b;

		buf_init(&b, IPC_PACKET_MAX);
		ipc_encode(&cases[i].m, &b);
		assert_false(buf_ok(&b));
		buf_done(&b);

		/* The same by hand: type, the number if there is one, length, octets. */
		buf_init(&b, IPC_PACKET_MAX);
		for (unsigned over = 0; over < 2; over++) {
			uint32_t n = (uint32_t)(cases[i].max + over);

			buf_reset(&b);
			buf_byte(&b, (unsigned char)cases[i].m.type);
			buf_byte(&b, 0);
			for (int k = 0; k < 8 && cases[i].m.type != IPC_TYPE_ticket_secret; k++)
				buf_byte(&b, 0);
			for (int k = 0; k < 4; k++)
				buf_byte(&b, (unsigned char)(n >> (8 * k)));
			buf_put(&b, slice_of(filler, n));
			assert_true(buf_ok(&b));
			assert_int_equal(ipc_decode(buf_slice(&b), &back), over == 0);
		}
		buf_done(&b);
	}
}

static void names(void **state)
{
	(void)state;
	for (unsigned i = 1; i < IPC_ROLES; i++)
		assert_string_not_equal(ipc_role_name(i), "unknown");
	assert_string_equal(ipc_role_name(0), "unknown");
	assert_string_equal(ipc_role_name(IPC_ROLES), "unknown");
	for (unsigned i = 1; i < IPC_MISHAP_KINDS; i++)
		assert_string_not_equal(ipc_mishap_name(i), "unknown");
	assert_string_equal(ipc_mishap_name(IPC_MISHAP_KINDS), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(neither_short_nor_long),
		cmocka_unit_test(fields_have_ceilings),
		cmocka_unit_test(names),
	};

	for (size_t i = 0; i < sizeof(filler); i++)
		filler[i] = (unsigned char)(i * 7);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
