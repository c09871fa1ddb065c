#include "base/wire.h"

static void put(struct buf *b, uint64_t v, size_t n)
{
	unsigned char le[8];

	for (size_t i = 0; i < n; i++)
		le[i] = (unsigned char)(v >> (8 * i));
	buf_put(b, slice_of(le, n));
}

void wire_put_u8(struct buf *b, uint8_t v)
{
	put(b, v, 1);
}

void wire_put_u16(struct buf *b, uint16_t v)
{
	put(b, v, 2);
}

void wire_put_u32(struct buf *b, uint32_t v)
{
	put(b, v, 4);
}

void wire_put_u64(struct buf *b, uint64_t v)
{
	put(b, v, 8);
}

void wire_put_bytes(struct buf *b, struct slice s)
{
	if (s.n > UINT32_MAX) {
		b->failed = true;
		return;
	}
	wire_put_u32(b, (uint32_t)s.n);
	buf_put(b, s);
}

static bool get(struct slice *cur, size_t n, uint64_t *ret)
{
	struct slice s;
	uint64_t v = 0;

	if (!cur_take(cur, n, &s))
		return false;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)s.p[i] << (8 * i);
	*ret = v;
	return true;
}

bool wire_u8(struct slice *cur, uint8_t *ret)
{
	uint64_t v;

	if (!get(cur, 1, &v))
		return false;
	*ret = (uint8_t)v;
	return true;
}

bool wire_u16(struct slice *cur, uint16_t *ret)
{
	uint64_t v;

	if (!get(cur, 2, &v))
		return false;
	*ret = (uint16_t)v;
	return true;
}

bool wire_u32(struct slice *cur, uint32_t *ret)
{
	uint64_t v;

	if (!get(cur, 4, &v))
		return false;
	*ret = (uint32_t)v;
	return true;
}

bool wire_u64(struct slice *cur, uint64_t *ret)
{
	return get(cur, 8, ret);
}

bool wire_bytes(struct slice *cur, size_t max, struct slice *ret)
{
	struct slice c = *cur;
	uint32_t n;

	if (!wire_u32(&c, &n) || n > max || !cur_take(&c, n, ret))
		return false;
	*cur = c;
	return true;
}
