/* header_fuzz.c - however a message is cut, the scanner learns the same; and
 * what it learns is what a plain reading of the lines shows. */
#include "mime/header.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static void scan(struct mime_header *h, struct slice text, size_t cut)
{
	mime_header_init(h);
	for (; text.n > 0; text = slice_tail(text, cut))
		mime_header_feed(h, slice_head(text, cut));
	mime_header_end(h);
}

/* The number of fields of a section that ended well, counted line by line. */
static void check_fields(const struct mime_header *h, struct slice text)
{
	struct slice section = slice_head(text, h->octets), line;
	uint32_t fields = 0, received = 0;

	CHECK(h->octets <= text.n);
	CHECK(section.n == 0 || section.p[section.n - 1] == '\n');
	while (cur_until(&section, '\n', &line)) {
		bool folded = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');

		CHECK(folded || slice_find(line, ':') < line.n);
		fields += !folded;
		received += slice_starts_nocase(line, SLICE_LIT("Received:"));
	}
	CHECK(h->fields == fields);
	CHECK(h->count[MIME_RECEIVED] >= received);
	CHECK(h->eightbit == slice_has_8bit(slice_head(text, h->octets)));
	section = slice_tail(text, h->octets);
	CHECK(slice_starts(section, SLICE_LIT("\r\n")) || slice_starts(section, SLICE_LIT("\n")) ||
	      (section.n == 1 && section.p[0] == '\r'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct mime_header whole, cut;
	struct slice text;

	if (n < 1)
		return 0;
	text = slice_of(data + 1, n - 1);
	scan(&whole, text, SIZE_MAX);
	scan(&cut, text, 1 + data[0] % 9);
	CHECK(whole.end == cut.end && whole.end != MIME_HEADER_OPEN);
	CHECK(whole.fields == cut.fields && whole.octets == cut.octets);
	CHECK(memcmp(whole.count, cut.count, sizeof(whole.count)) == 0);
	CHECK(whole.eightbit == cut.eightbit && whole.body_eightbit == cut.body_eightbit);
	CHECK(slice_eq(mime_header_message_id(&whole), mime_header_message_id(&cut)));
	CHECK(slice_eq(mime_header_from(&whole), mime_header_from(&cut)));
	CHECK(mime_header_relaxes_tls(&whole) == mime_header_relaxes_tls(&cut));
	CHECK(!mime_header_relaxes_tls(&whole) || whole.count[MIME_TLS_REQUIRED] == 1);
	CHECK(mime_header_from(&whole).n == 0 || whole.count[MIME_FROM] > 0);
	CHECK(mime_header_message_id(&whole).n <= MIME_LINE_MAX);
	if (whole.end == MIME_HEADER_EMPTY)
		check_fields(&whole, text);
	mime_header_done(&whole);
	mime_header_done(&cut);
	return 0;
}
