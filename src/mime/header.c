#include "mime/header.h"

enum at {
	AT_LINE, /* at the beginning of one */
	AT_CR,	 /* a CR is all of the line so far */
	AT_NAME,
	AT_BLANK, /* behind the name, before the colon: obsolete syntax, RFC 5322 4.5.8 */
	AT_VALUE,
};

static const struct slice names[MIME_FIELDS] = {
	[MIME_DATE] = SLICE_INIT("Date"),
	[MIME_FROM] = SLICE_INIT("From"),
	[MIME_SENDER] = SLICE_INIT("Sender"),
	[MIME_REPLY_TO] = SLICE_INIT("Reply-To"),
	[MIME_TO] = SLICE_INIT("To"),
	[MIME_CC] = SLICE_INIT("Cc"),
	[MIME_BCC] = SLICE_INIT("Bcc"),
	[MIME_SUBJECT] = SLICE_INIT("Subject"),
	[MIME_MESSAGE_ID] = SLICE_INIT("Message-ID"),
	[MIME_RECEIVED] = SLICE_INIT("Received"),
	[MIME_RETURN_PATH] = SLICE_INIT("Return-Path"),
	[MIME_DELIVERED_TO] = SLICE_INIT("Delivered-To"),
	[MIME_TLS_REQUIRED] = SLICE_INIT("TLS-Required"),
};

void mime_header_init(struct mime_header *h)
{
	*h = (struct mime_header){ .at = AT_LINE };
	buf_init(&h->message_id, MIME_LINE_MAX);
	buf_init(&h->from, MIME_LINE_MAX);
	buf_init(&h->tls_required, 16);
}

void mime_header_done(struct mime_header *h)
{
	buf_done(&h->message_id);
	buf_done(&h->from);
	buf_done(&h->tls_required);
}

static enum mime_field lookup(const struct mime_header *h)
{
	struct slice name = slice_of(h->name, h->name_n < sizeof(h->name) ? h->name_n : sizeof(h->name));

	if (slice_starts_nocase(name, SLICE_LIT("Resent-")))
		return MIME_RESENT;
	for (size_t i = 0; i < MIME_RESENT; i++)
		if (h->name_n == names[i].n && slice_eq_nocase(name, names[i]))
			return (enum mime_field)i;
	return MIME_FIELDS;
}

/* Where the value of the field at hand is copied to, if it is. */
static struct buf *copy_of(struct mime_header *h)
{
	if (!h->wanted)
		return NULL;
	return h->field == MIME_MESSAGE_ID     ? &h->message_id
	       : h->field == MIME_TLS_REQUIRED ? &h->tls_required
					       : &h->from;
}

static void keep(struct mime_header *h, struct slice s)
{
	struct buf *to = copy_of(h);

	if (to)
		buf_put(to, slice_head(s, buf_room(to)));
}

static void end_section(struct mime_header *h, enum mime_header_end how)
{
	h->end = how;
	h->at = AT_LINE;
}

static void begin_value(struct mime_header *h)
{
	h->field = lookup(h);
	h->fields += h->fields < UINT32_MAX;
	if (h->field < MIME_FIELDS && h->count[h->field] < UINT32_MAX)
		h->count[h->field]++;
	h->wanted = (h->field == MIME_MESSAGE_ID || h->field == MIME_FROM || h->field == MIME_TLS_REQUIRED) &&
		    h->count[h->field] == 1;
	h->at = AT_VALUE;
	h->cr = false;
}

/* The octets of a value up to its line's end.  A CR is held back: the one
 * before LF is not of the value. */
static size_t feed_value(struct mime_header *h, struct slice in)
{
	size_t n = slice_find(in, '\n');
	struct slice text = slice_head(in, n);
	bool ends = n < in.n;

	if (text.n > 0) {
		if (h->cr)
			keep(h, SLICE_LIT("\r"));
		h->cr = text.p[text.n - 1] == '\r';
		keep(h, slice_head(text, text.n - h->cr));
		h->eightbit = h->eightbit || slice_has_8bit(text);
	}
	h->line += n + ends;
	if (ends) {
		h->octets += h->line;
		h->line = 0;
		h->cr = false;
		h->at = AT_LINE;
	}
	return n + ends;
}

/* One octet before the value. */
static void feed_octet(struct mime_header *h, unsigned char c)
{
	bool blank = c == ' ' || c == '\t';

	h->line++;
	if (h->at == AT_LINE && blank && h->fields > 0) { /* a folded line goes on with its field */
		h->at = AT_VALUE;
		keep(h, slice_of(&c, 1));
	} else if (h->at == AT_LINE && c == '\r') {
		h->at = AT_CR;
	} else if ((h->at == AT_LINE || h->at == AT_CR) && c == '\n') {
		end_section(h, MIME_HEADER_EMPTY);
	} else if ((h->at == AT_NAME || h->at == AT_BLANK) && c == ':') {
		begin_value(h);
	} else if ((h->at == AT_NAME || h->at == AT_BLANK) && blank) {
		h->at = AT_BLANK;
	} else if ((h->at == AT_LINE || h->at == AT_NAME) && c > 32 && c < 127 && c != ':') {
		if (h->at == AT_LINE)
			h->name_n = 0;
		if (h->name_n < sizeof(h->name))
			h->name[h->name_n] = (char)c;
		h->name_n++;
		h->at = AT_NAME;
	} else {
		end_section(h, MIME_HEADER_BAD_LINE);
	}
}

void mime_header_feed(struct mime_header *h, struct slice piece)
{
	while (piece.n > 0 && h->end == MIME_HEADER_OPEN) {
		if (h->at == AT_VALUE) {
			piece = slice_tail(piece, feed_value(h, piece));
		} else {
			feed_octet(h, piece.p[0]);
			if (h->end == MIME_HEADER_BAD_LINE)
				break; /* this octet is the body's */
			piece = slice_tail(piece, 1);
		}
	}
	if (h->end != MIME_HEADER_OPEN && !h->body_eightbit)
		h->body_eightbit = slice_has_8bit(piece);
}

void mime_header_end(struct mime_header *h)
{
	if (h->end != MIME_HEADER_OPEN)
		return;
	if (h->at == AT_VALUE) { /* the last line has no end */
		h->octets += h->line;
		end_section(h, MIME_HEADER_NO_BODY);
	} else {
		end_section(h, h->at == AT_LINE ? MIME_HEADER_NO_BODY
			       : h->at == AT_CR ? MIME_HEADER_EMPTY
						: MIME_HEADER_BAD_LINE);
	}
}

struct slice mime_header_message_id(const struct mime_header *h)
{
	return slice_trim(buf_slice(&h->message_id));
}

struct slice mime_header_from(const struct mime_header *h)
{
	return slice_trim(buf_slice(&h->from));
}

bool mime_header_relaxes_tls(const struct mime_header *h)
{
	return h->count[MIME_TLS_REQUIRED] == 1 &&
	       slice_eq_nocase(slice_trim(buf_slice(&h->tls_required)), SLICE_LIT("No"));
}

bool mime_header_missing(const struct mime_header *h)
{
	return h->fields == 0 && h->end != MIME_HEADER_EMPTY;
}
