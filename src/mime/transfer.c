#include "mime/transfer.h"

#include "mime/header.h"

#define QP_LINE	    76
#define BASE64_LINE 76

const char *mime_transfer_name(enum mime_transfer t)
{
	static const char *const names[] = { "7bit", "8bit", "quoted-printable", "base64" };

	return names[t];
}

static bool is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

/* A line that arrives as it was sent. */
static bool is_safe(struct slice line)
{
	return line.n <= MIME_LINE_MAX && slice_find(line, 0) == line.n && slice_find(line, '\r') == line.n &&
	       !slice_starts(line, SLICE_LIT("From ")) && (line.n == 0 || !is_blank(line.p[line.n - 1]));
}

/* Takes a line without its CRLF; the last one may have none. */
static struct slice take_line(struct slice *text, bool *ret_ends)
{
	struct slice line;
	size_t n = 0;

	for (;;) {
		n += slice_find(slice_tail(*text, n), '\r');
		if (n >= text->n || (n + 1 < text->n && text->p[n + 1] == '\n'))
			break;
		n++;
	}
	*ret_ends = n < text->n;
	line = slice_head(*text, n);
	*text = slice_tail(*text, n + 2);
	return line;
}

enum mime_transfer mime_transfer_of(struct slice text, bool eightbit)
{
	bool high = slice_has_8bit(text), safe = !high || eightbit, ends;
	size_t qp = 0;

	for (struct slice rest = text; rest.n > 0;) {
		struct slice line = take_line(&rest, &ends);

		safe = safe && is_safe(line) && slice_find(line, '\n') == line.n;
		qp += line.n / QP_LINE * 3;
		for (size_t i = 0; i < line.n; i++)
			qp += line.p[i] > 126 || line.p[i] == '=' || (line.p[i] < 32 && line.p[i] != '\t')
				      ? 3
				      : 1;
	}
	if (safe)
		return high ? MIME_8BIT : MIME_7BIT;
	return qp <= text.n / 3 * 4 + 8 ? MIME_QUOTED_PRINTABLE : MIME_BASE64;
}

void mime_put_crlf(struct slice text, struct buf *to)
{
	while (text.n > 0) {
		size_t n = 0, ends = 0;

		while (n < text.n && text.p[n] != '\r' && text.p[n] != '\n')
			n++;
		buf_put(to, slice_head(text, n));
		text = slice_tail(text, n);
		while (ends < text.n && text.p[ends] == '\r')
			ends++;
		if (ends < text.n && text.p[ends] == '\n') /* however many CRs stand before it */
			n = 1, ends++;
		else
			n = ends > 0 ? ends : 1;
		for (; n > 0; n--)
			buf_str(to, "\r\n");
		text = slice_tail(text, ends);
	}
}

static void put_hex(struct buf *to, unsigned char c)
{
	static const char hex[] = "0123456789ABCDEF";

	buf_byte(to, '=');
	buf_byte(to, (unsigned char)hex[c >> 4]);
	buf_byte(to, (unsigned char)hex[c & 15]);
}

static void put_qp_line(struct slice line, struct buf *to)
{
	bool from = slice_starts(line, SLICE_LIT("From "));
	size_t column = 0;

	for (size_t i = 0; i < line.n; i++) {
		unsigned char c = line.p[i];
		bool last = i + 1 == line.n;
		/* A dot alone, or "From ", at a line's beginning is touched by some (RFC 2049 3). */
		bool plain = (c > 32 && c < 127 && c != '=') || (is_blank(c) && !last);

		plain = plain && !(i == 0 && (from || (c == '.' && last)));
		if (column + (plain ? 1 : 3) > (last ? QP_LINE : QP_LINE - 1U)) {
			buf_str(to, "=\r\n");
			column = 0;
		}
		if (plain)
			buf_byte(to, c);
		else
			put_hex(to, c);
		column += plain ? 1 : 3;
	}
}

void mime_put_quoted_printable(struct slice text, struct buf *to)
{
	bool ends;

	while (text.n > 0) {
		put_qp_line(take_line(&text, &ends), to);
		if (ends)
			buf_str(to, "\r\n");
	}
}

static void put_four(struct mime_base64 *b, struct buf *to)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned v = (unsigned)b->left[0] << 16 | (unsigned)b->left[1] << 8 | b->left[2];
	unsigned char out[4];

	for (unsigned i = 0; i < 4; i++)
		out[i] = i <= b->lefts ? (unsigned char)digits[v >> (18 - 6 * i) & 63] : '=';
	buf_put(to, slice_of(out, 4));
	*b = (struct mime_base64){ .column = (uint8_t)(b->column + 4) };
	if (b->column == BASE64_LINE) {
		buf_str(to, "\r\n");
		b->column = 0;
	}
}

void mime_base64_feed(struct mime_base64 *b, struct slice piece, struct buf *to)
{
	for (size_t i = 0; i < piece.n; i++) {
		b->left[b->lefts++] = piece.p[i];
		if (b->lefts == 3)
			put_four(b, to);
	}
}

void mime_base64_end(struct mime_base64 *b, struct buf *to)
{
	if (b->lefts > 0)
		put_four(b, to);
	if (b->column > 0)
		buf_str(to, "\r\n");
	*b = (struct mime_base64){ 0 };
}
