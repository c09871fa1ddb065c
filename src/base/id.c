#include "base/id.h"

#include <sodium.h>
#include <string.h>

#define EPOCH_MS     UINT64_C(1577836800000) /* 2020-01-01T00:00:00Z */
#define TIME_BITS    42
#define COUNTER_BITS 15
#define COUNTER_MASK ((1U << COUNTER_BITS) - 1)

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void id_source_init(struct id_source *src, uint8_t process)
{
	*src = (struct id_source){ .process = process, .counter = randombytes_random() & COUNTER_MASK };
}

struct id id_next(struct id_source *src, uint64_t now_ms)
{
	unsigned char bit[ID_LEN * 5];
	struct id id;
	uint64_t ms = now_ms > EPOCH_MS ? now_ms - EPOCH_MS : 0;
	uint64_t low;

	/* Within one millisecond the counter must not wrap onto itself: 32,768
	 * ids later the clock of this source moves on by itself. */
	src->counter = (src->counter + 1) & COUNTER_MASK;
	if (ms < src->last_ms)
		ms = src->last_ms;
	if (src->counter == 0 && ms == src->last_ms)
		ms++;
	src->last_ms = ms;
	ms &= (UINT64_C(1) << TIME_BITS) - 1;
	low = (uint64_t)src->process << COUNTER_BITS | src->counter;
	for (size_t i = 0; i < sizeof(bit); i++) {
		size_t from_end = sizeof(bit) - 1 - i;
		uint64_t from = from_end < 23 ? low >> from_end : ms >> (from_end - 23);

		bit[i] = (unsigned char)(from & 1);
	}
	for (size_t i = 0; i < ID_LEN; i++) {
		const unsigned char *b = bit + 5 * i;

		id.text[i] = digits[b[0] << 4 | b[1] << 3 | b[2] << 2 | b[3] << 1 | b[4]];
	}
	id.text[ID_LEN] = '\0';
	return id;
}

struct slice id_slice(const struct id *id)
{
	return slice_of(id->text, ID_LEN);
}

bool id_parse(struct slice text, struct id *ret)
{
	if (text.n != ID_LEN)
		return false;
	for (size_t i = 0; i < ID_LEN; i++)
		if (text.p[i] == 0 || !strchr(digits, text.p[i]))
			return false;
	memcpy(ret->text, text.p, ID_LEN);
	ret->text[ID_LEN] = '\0';
	return true;
}

uint64_t id_time_ms(const struct id *id)
{
	uint64_t ms = 0;

	/* 42 bits are the first eight digits and two bits of the ninth. */
	for (size_t i = 0; i < 9; i++)
		ms = ms << 5 | (uint64_t)(strchr(digits, id->text[i]) - digits);
	return (ms >> 3) + EPOCH_MS;
}
