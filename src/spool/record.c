#include "spool/record.h"

#include <string.h>

#include "base/wire.h"
#include "base/crc32c.h"

static const char file_magic[8] = { 'P', 'o', 's', 't', 'e', 'r', 'n', '1' };
static const char seal_magic[8] = { 'P', 'o', 's', 't', 'S', 'e', 'a', 'l' };

#define EVENT_DETAIL_MAX 1024

/* Fixed heads are written through a buf on the caller's bytes: no allocation,
 * and the same little-endian writers everywhere. */
static void le(unsigned char *to, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t un_le(const unsigned char *from, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)from[i] << (8 * i);
	return v;
}

static void close_head(unsigned char to[static 32])
{
	le(to + 28, crc32c(0, slice_of(to, 28)), 4);
}

static bool head_intact(const unsigned char *p)
{
	return un_le(p + 28, 4) == crc32c(0, slice_of(p, 28));
}

void record_file_head(unsigned char to[static RECORD_FILE_HEAD], enum record_file kind, uint64_t number,
		      uint64_t nonce)
{
	memcpy(to, file_magic, 8);
	le(to + 8, nonce, 8);
	le(to + 16, number, 8);
	le(to + 24, kind, 4);
	close_head(to);
}

bool record_file_nonce(struct slice file, enum record_file kind, uint64_t number, uint64_t *ret)
{
	const unsigned char *p = file.p;

	if (file.n < RECORD_FILE_HEAD)
		return false;
	if (head_intact(p) && memcmp(p, file_magic, 8) == 0 && un_le(p + 16, 8) == number &&
	    un_le(p + 24, 4) == kind) {
		*ret = un_le(p + 8, 8);
		return true;
	}
	/* The first record stands at a known place, where no stranger's bytes can be. */
	p += RECORD_FILE_HEAD;
	if (file.n < RECORD_FILE_HEAD + RECORD_HEAD || !head_intact(p))
		return false;
	*ret = un_le(p, 8);
	return true;
}

void record_head(unsigned char to[static RECORD_HEAD], uint64_t nonce, enum record_type type, size_t length,
		 uint64_t durable, uint32_t payload_crc)
{
	le(to, nonce, 8);
	le(to + 8, durable, 8);
	le(to + 16, type, 4);
	le(to + 20, length, 4);
	le(to + 24, payload_crc, 4);
	close_head(to);
}

/* Whether a record's head stands at this offset, whole with its payload. */
static bool head_at(const struct record_scanner *s, uint64_t at, struct record *ret)
{
	struct slice rest = slice_tail(s->file, (size_t)at);
	uint64_t length;

	if (rest.n < RECORD_HEAD || un_le(rest.p, 8) != s->nonce || !head_intact(rest.p))
		return false;
	length = un_le(rest.p + 20, 4);
	if (length > RECORD_PAYLOAD_MAX || record_size((size_t)length) > rest.n)
		return false;
	ret->type = (enum record_type)un_le(rest.p + 16, 4);
	ret->durable = un_le(rest.p + 8, 8);
	ret->at = at;
	ret->n = record_size((size_t)length);
	ret->payload = slice_of(rest.p + RECORD_HEAD, (size_t)length);
	return true;
}

static bool payload_intact(const struct record_scanner *s, const struct record *r)
{
	return un_le(s->file.p + r->at + 24, 4) == crc32c(0, r->payload);
}

enum record_scan record_next(struct record_scanner *s, struct record *ret)
{
	struct record r = { 0 };

	if (s->at >= s->file.n)
		return RECORD_END;
	if (head_at(s, s->at, &r)) {
		s->at += r.n;
		*ret = r;
		return payload_intact(s, &r) ? RECORD_GOOD : RECORD_BROKEN;
	}
	/* Only a whole record ends a hole: a head alone may be what a torn write left. */
	for (r.n = 8; s->at + r.n < s->file.n; r.n += 8) {
		struct record found;

		if (head_at(s, s->at + r.n, &found) && payload_intact(s, &found))
			break;
	}
	if (r.n > s->file.n - s->at)
		r.n = s->file.n - s->at;
	*ret = (struct record){ .at = s->at, .n = r.n };
	s->at += r.n;
	return RECORD_HOLE;
}

bool record_whole(struct slice bytes, struct record *ret)
{
	struct record_scanner s = { .file = bytes };
	struct record r;

	if (bytes.n < RECORD_HEAD)
		return false;
	s.nonce = un_le(bytes.p, 8);
	if (record_next(&s, &r) != RECORD_GOOD || r.n != bytes.n)
		return false;
	*ret = r;
	return true;
}

void record_put_message(struct buf *to, const struct record_message *m, const uint32_t *block,
			struct slice envelope, struct slice headers)
{
	struct slice whole;
	size_t start = to->n;
	uint32_t crc;

	buf_put(to, id_slice(&m->id));
	wire_put_u8(to, m->own_file);
	wire_put_u16(to, 0);
	wire_put_u32(to, m->recipients);
	wire_put_u64(to, m->time_ms);
	wire_put_u64(to, m->body_size);
	wire_put_u32(to, m->envelope);
	wire_put_u32(to, m->headers);
	wire_put_u32(to, m->blocks);
	wire_put_u32(to, m->meta_crc);
	wire_put_u32(to, 0); /* the checksum of this head and the blocks', below */
	for (uint32_t i = 0; i < m->blocks; i++)
		wire_put_u32(to, block[i]);
	if (!buf_ok(to))
		return;
	whole = slice_tail(buf_slice(to), start);
	crc = crc32c(0, slice_head(whole, RECORD_MESSAGE_HEAD - 4));
	crc = crc32c(crc, slice_tail(whole, RECORD_MESSAGE_HEAD));
	le(to->p + to->from + start + RECORD_MESSAGE_HEAD - 4, crc, 4);
	buf_put(to, envelope);
	buf_put(to, headers);
}

bool record_message_intact(struct slice s)
{
	uint32_t crc;

	if (s.n < RECORD_MESSAGE_HEAD)
		return false;
	crc = crc32c(0, slice_head(s, RECORD_MESSAGE_HEAD - 4));
	crc = crc32c(crc, slice_tail(s, RECORD_MESSAGE_HEAD));
	return crc == un_le(s.p + RECORD_MESSAGE_HEAD - 4, 4);
}

bool record_get_message(struct slice c, struct record_message *ret)
{
	struct record_message m = { 0 };
	struct slice id;
	uint32_t crc;
	uint16_t zero;
	uint8_t own_file;

	if (!cur_take(&c, ID_LEN, &id) || !id_parse(id, &m.id) || !wire_u8(&c, &own_file) || own_file > 1 ||
	    !wire_u16(&c, &zero) || zero != 0 || !wire_u32(&c, &m.recipients) || !wire_u64(&c, &m.time_ms) ||
	    !wire_u64(&c, &m.body_size) || !wire_u32(&c, &m.envelope) || !wire_u32(&c, &m.headers) ||
	    !wire_u32(&c, &m.blocks) || !wire_u32(&c, &m.meta_crc) || !wire_u32(&c, &crc))
		return false;
	if (m.recipients == 0 || m.recipients > RECORD_RECIPIENTS ||
	    m.body_size > UINT64_MAX - RECORD_BLOCK ||
	    m.blocks != (m.body_size + RECORD_BLOCK - 1) / RECORD_BLOCK)
		return false;
	m.own_file = own_file;
	*ret = m;
	return true;
}

#define LINE_OWN_FILE 1
#define LINE_DAMAGED  2

void record_put_line(struct buf *to, const struct record_line *line)
{
	buf_put(to, id_slice(&line->id));
	wire_put_u8(to, (uint8_t)((line->own_file ? LINE_OWN_FILE : 0) | (line->damaged ? LINE_DAMAGED : 0)));
	wire_put_u16(to, 0);
	wire_put_u32(to, line->recipients);
	wire_put_u64(to, line->time_ms);
	wire_put_u64(to, line->body_size);
	wire_put_u32(to, line->at);
	wire_put_u32(to, line->length);
}

bool record_get_line(struct slice *cur, struct record_line *ret)
{
	struct record_line l = { 0 };
	struct slice c = *cur, id;
	uint16_t zero;
	uint8_t flags;

	if (!cur_take(&c, ID_LEN, &id) || !id_parse(id, &l.id) || !wire_u8(&c, &flags) || flags > 3 ||
	    !wire_u16(&c, &zero) || zero != 0 || !wire_u32(&c, &l.recipients) || !wire_u64(&c, &l.time_ms) ||
	    !wire_u64(&c, &l.body_size) || !wire_u32(&c, &l.at) || !wire_u32(&c, &l.length) ||
	    l.recipients == 0 || l.recipients > RECORD_RECIPIENTS || l.length > RECORD_PAYLOAD_MAX)
		return false;
	l.own_file = flags & LINE_OWN_FILE;
	l.damaged = flags & LINE_DAMAGED;
	*cur = c;
	*ret = l;
	return true;
}

void record_put_index(struct buf *to, uint32_t lines, uint32_t holes)
{
	wire_put_u32(to, lines);
	wire_put_u32(to, holes);
}

bool record_get_index(struct slice *cur, uint32_t *ret_lines, uint32_t *ret_holes)
{
	struct slice c = *cur;

	if (!wire_u32(&c, ret_lines) || !wire_u32(&c, ret_holes))
		return false;
	*cur = c;
	return true;
}

void record_trailer(unsigned char to[static RECORD_TRAILER], uint64_t nonce, uint64_t index_at)
{
	memcpy(to, seal_magic, 8);
	le(to + 8, nonce, 8);
	le(to + 16, index_at, 8);
	le(to + 24, 0, 4);
	close_head(to);
}

bool record_get_trailer(struct slice t, uint64_t *ret_nonce, uint64_t *ret_index_at)
{
	if (t.n != RECORD_TRAILER || memcmp(t.p, seal_magic, 8) != 0 || !head_intact(t.p))
		return false;
	*ret_nonce = un_le(t.p + 8, 8);
	*ret_index_at = un_le(t.p + 16, 8);
	return true;
}

void record_put_event(struct buf *to, const struct record_event *e)
{
	static const unsigned char no_id[ID_LEN];
	bool about_message = e->type == RECORD_OUTCOME || e->type == RECORD_MARK || e->type == RECORD_GONE;

	buf_put(to, about_message ? id_slice(&e->id) : slice_of(no_id, ID_LEN));
	wire_put_u8(to, e->what);
	wire_put_u16(to, 0);
	wire_put_u32(to, e->recipient);
	wire_put_u64(to, e->number);
	buf_put(to, e->detail);
}

bool record_get_event(enum record_type type, struct slice c, struct record_event *ret)
{
	struct record_event e = { .type = type };
	struct slice id;
	uint16_t zero;
	bool about_message = type == RECORD_OUTCOME || type == RECORD_MARK || type == RECORD_GONE;

	if (!about_message && type != RECORD_SEGMENT && type != RECORD_SNAPSHOT)
		return false;
	if (!cur_take(&c, ID_LEN, &id) || (about_message && !id_parse(id, &e.id)) || !wire_u8(&c, &e.what) ||
	    !wire_u16(&c, &zero) || zero != 0 || !wire_u32(&c, &e.recipient) || !wire_u64(&c, &e.number) ||
	    c.n > EVENT_DETAIL_MAX)
		return false;
	if (!about_message)
		for (size_t i = 0; i < ID_LEN; i++)
			if (id.p[i] != 0)
				return false;
	e.detail = c;
	*ret = e;
	return true;
}
