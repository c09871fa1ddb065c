/* test_table.h - for tests only: a table of texts, and what becomes of each, as a text too.
 *
 * A row has at least a name and out, what must become of it; the test has a function that writes what did.
 */
#ifndef POSTERN_SUBMIT_TEST_TABLE_H
#define POSTERN_SUBMIT_TEST_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

#define TEST_TABLE_MAX (1U << 20)

/* put: void put(const struct row *, struct buf *) */
#define TEST_TABLE(rows, put)                                                                     \
	for (size_t i_ = 0; i_ < sizeof(rows) / sizeof((rows)[0]); i_++) {                        \
		struct buf got_;                                                                  \
                                                                                                  \
		buf_init(&got_, TEST_TABLE_MAX);                                                  \
		put(&(rows)[i_], &got_);                                                          \
		if (!slice_eq(buf_slice(&got_), slice_str((rows)[i_].out)))                       \
			fail_msg("%s: got '%.*s'", (rows)[i_].name, SLICE_ARG(buf_slice(&got_))); \
		buf_done(&got_);                                                                  \
	}

#endif
