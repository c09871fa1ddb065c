/* template_fuzz.c - whatever stands in a cell, it is words: a header's value gets no line end from it, a list
 * of addresses no further mailbox, and of the others none is another than it was, HTML no tag and no end of
 * an attribute, a URL no further one, a path no folder. The first octet says the kind, the next line is the
 * cell's, the rest the template. */
#include "mime/address.h"
#include "submit/template.h"

#include <stdlib.h>
#include <string.h>

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define COLUMNS 3
/* What a harmless cell holds. */
#define WORD "zqx"

static const struct slice columns[COLUMNS] = { SLICE_INIT("a"), SLICE_INIT("mail"), SLICE_INIT("none") };

static size_t count(struct slice s, unsigned char c)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == c;
	return n;
}

static bool make(const struct template *t, struct slice cell, struct slice mail, struct buf *to)
{
	const struct slice cells[COLUMNS] = { cell, mail, { 0 } };
	struct template_problem p = { 0 };
	enum template_fault f;

	buf_init(to, 64U << 20);
	f = template_put(t, cells, to, &p);
	CHECK(f == TEMPLATE_FINE || (p.fault == f && p.cell < COLUMNS && p.line >= 1 && p.column >= 1));
	CHECK(f != TEMPLATE_NO_MEMORY);
	CHECK(f != TEMPLATE_FINE || to->n <= template_most(t, cells));
	return f == TEMPLATE_FINE;
}

static bool is_list(struct slice list)
{
	enum mime_address_item item = MIME_ADDRESS_MAILBOX;
	struct mime_addresses a;

	mime_addresses_init(&a, list);
	while (item == MIME_ADDRESS_MAILBOX || item == MIME_ADDRESS_GROUP || item == MIME_ADDRESS_GROUP_END)
		item = mime_addresses_next(&a);
	mime_addresses_done(&a);
	return item == MIME_ADDRESS_END;
}

/* Of what the harmless list has: without its word in it, nothing of it is the cell's. */
static void check_same(const struct buf *got, const struct buf *harmless)
{
	struct slice s = buf_slice(harmless);

	CHECK((s.n > 0 && memmem(s.p, s.n, WORD, strlen(WORD))) || slice_eq(buf_slice(got), s));
}

/* Octets that would mean something, with this cell and with a harmless one. */
static void check_marks(struct slice got, struct slice harmless, const char *marks)
{
	for (; *marks; marks++)
		CHECK(count(got, (unsigned char)*marks) == count(harmless, (unsigned char)*marks));
}

static void check_addresses(struct slice got, struct slice harmless)
{
	enum mime_address_item item;
	struct mime_addresses a, b;

	check_marks(got, harmless, "\r\n");
	/* Two @ in an address are none at all, and no message is made of it. */
	if (!is_list(got) || !is_list(harmless))
		return;
	mime_addresses_init(&a, got);
	mime_addresses_init(&b, harmless);
	do {
		item = mime_addresses_next(&a);
		CHECK(item == mime_addresses_next(&b));
		check_same(&a.name, &b.name);
		check_same(&a.address, &b.address);
	} while (item != MIME_ADDRESS_END);
	mime_addresses_done(&a);
	mime_addresses_done(&b);
}

/* References back to what they stand for. */
static void unescape(struct slice s, struct buf *to)
{
	static const struct {
		struct slice text;
		unsigned char c;
	} rows[] = { { SLICE_INIT("&amp;"), '&' },
		     { SLICE_INIT("&lt;"), '<' },
		     { SLICE_INIT("&gt;"), '>' },
		     { SLICE_INIT("&quot;"), '"' },
		     { SLICE_INIT("&#39;"), '\'' } };

	while (s.n > 0) {
		size_t i = 0;

		while (i < 5 && !slice_starts(s, rows[i].text))
			i++;
		buf_byte(to, i < 5 ? rows[i].c : s.p[0]);
		s = slice_tail(s, i < 5 ? rows[i].text.n : 1);
	}
}

static void check_html(const struct template *t, struct slice cell, struct slice got, struct slice harmless)
{
	struct template *plain = NULL;
	struct buf back, as_is;

	(void)t;
	check_marks(got, harmless, "<>\"'");
	/* Alone it comes back as it was. */
	CHECK(template_new(&plain, TEMPLATE_HTML, SLICE_LIT("{{a|}}"), columns, COLUMNS, 1, 1, NULL) ==
	      TEMPLATE_FINE);
	buf_init(&back, 64U << 20);
	if (make(plain, cell, SLICE_LIT("x"), &as_is)) {
		unescape(buf_slice(&as_is), &back);
		CHECK(slice_eq(buf_slice(&back), slice_trim(cell).n > 0 ? cell : SLICE_LIT("")));
	}
	template_free(plain);
	buf_done(&back);
	buf_done(&as_is);
}

static void check(enum template_kind kind, const struct template *t, struct slice cell, struct slice got,
		  struct slice harmless)
{
	switch (kind) {
	case TEMPLATE_TEXT:
		break;
	case TEMPLATE_HTML:
		check_html(t, cell, got, harmless);
		break;
	case TEMPLATE_FIELD:
		check_marks(got, harmless, "\r\n");
		break;
	case TEMPLATE_ADDRESSES:
		check_addresses(got, harmless);
		break;
	case TEMPLATE_URLS:
		check_marks(got, harmless, "\r\n<>, ");
		break;
	case TEMPLATE_PATH:
		check_marks(got, harmless, "\r\n/");
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum template_kind kind = n > 0 ? (enum template_kind)(data[0] % 6) : TEMPLATE_TEXT;
	struct slice text = n > 0 ? slice_of(data + 1, n - 1) : (struct slice){ 0 }, cell;
	struct template_problem p = { 0 };
	struct template *t = NULL;
	struct buf got, harmless;
	enum template_fault f;

	/* A cell may have line ends, too: it ends with NUL, which none has. */
	if (!cur_until(&text, 0, &cell) || slice_find(text, 0) < text.n)
		return 0;
	f = template_new(&t, kind, text, columns, COLUMNS, 1, 1, &p);
	CHECK(f != TEMPLATE_NO_MEMORY);
	if (f != TEMPLATE_FINE) {
		CHECK(p.fault == f && p.line >= 1 && p.line <= 1 + count(text, '\n') && p.column >= 1 &&
		      p.column <= text.n + 1);
		return 0;
	}
	if (template_places(t) == 0)
		CHECK(make(t, cell, cell, &got) && got.n <= text.n);
	else
		(void)make(t, cell, SLICE_LIT("x@x.test"), &got);
	/* As long as the cell is words, and not nothing: for that the template has words of its own. */
	if (make(t, slice_trim(cell).n > 0 ? SLICE_LIT(WORD) : SLICE_LIT(""), SLICE_LIT("x@x.test"),
		 &harmless)) {
		struct buf again;

		if (make(t, cell, SLICE_LIT("x@x.test"), &again))
			check(kind, t, cell, buf_slice(&again), buf_slice(&harmless));
		buf_done(&again);
	}
	template_free(t);
	buf_done(&got);
	buf_done(&harmless);
	return 0;
}
