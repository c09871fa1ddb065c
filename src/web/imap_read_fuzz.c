/* imap_read_fuzz.c - whatever a server answers to LIST and SEARCH: a name that is read ends within its place
 * and holds no control; a name that we quote is read as it was; and of two lists of numbers the highest is
 * taken. */
#include <stdlib.h>
#include <string.h>

#include "web/imap.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static void check(const struct imap_folder *f)
{
	size_t n = strnlen(f->name, sizeof(f->name));

	CHECK(n < sizeof(f->name));
	for (size_t i = 0; i < n; i++)
		CHECK((unsigned char)f->name[i] >= 0x20);
}

static void there_and_back(struct slice name, bool junk)
{
	struct imap_folder f;
	bool plain = true;
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_str(&b, junk ? "* LIST (\\HasNoChildren \\Junk) \"/\" \"" : "* LIST () NIL \"");
	for (size_t i = 0; i < name.n; i++) {
		plain = plain && name.p[i] >= 0x20;
		if (name.p[i] == '"' || name.p[i] == '\\')
			buf_byte(&b, '\\');
		buf_byte(&b, name.p[i]);
	}
	buf_byte(&b, '"');
	if (imap_list_read(buf_slice(&b), &f)) {
		check(&f);
		CHECK(plain && slice_eq(slice_str(f.name), name) && (!junk || f.junk) && !f.all);
	} else {
		CHECK(!plain || name.n >= IMAP_NAME_MAX);
	}
	buf_done(&b);
}

static void numbers(const uint8_t *data, size_t n)
{
	uint32_t most = 0;
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_str(&b, "* 7 EXISTS\r\n* SEARCH");
	for (size_t i = 0; i + 4 <= n && i < 400; i += 4) {
		uint32_t v = (uint32_t)data[i] << 24 | (uint32_t)data[i + 1] << 16 |
			     (uint32_t)data[i + 2] << 8 | data[i + 3];

		most = v > most ? v : most;
		buf_fmt(&b, i % 40 == 36 ? "\r\n* SEARCH %u" : " %u", v);
	}
	buf_str(&b, "\r\n");
	CHECK(imap_search_read(buf_slice(&b)) == most);
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct imap_folder f;

	if (imap_list_read(slice_of(data, n), &f))
		check(&f);
	(void)imap_search_read(slice_of(data, n));
	if (n > 0)
		there_and_back(slice_of(data + 1, n - 1), data[0] & 1);
	numbers(data, n);
	return 0;
}
