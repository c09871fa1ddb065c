/* srs_fuzz.c - what is made opens to the same sender, is an address, and is opened by nobody else's
 * key; and what a stranger wrote opens never, but by the luck of guessing a hash. */
#include <stdlib.h>

#include "smtp/path.h"
#include "smtp/srs.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

static const unsigned char key[SRS_KEY] = "thirty-two octets of a secret ..";
static const unsigned char other[SRS_KEY] = "another secret of other servers.";

static bool is_address(struct slice s)
{
	struct smtp_path path;
	size_t at;

	return smtp_parse_address(s, &path, &at) == SMTP_PARSE_OK && path.domain.n > 0;
}

static struct slice local_of(struct slice address)
{
	return slice_head(address, slice_rfind(address, '@'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char room[600], back_room[600], again_room[600];
	struct buf made, back, again;
	struct slice in = slice_of(data + 1, n - 1);
	uint64_t day;

	if (n < 1)
		return 0;
	day = 20000 + data[0] * 5U;
	buf_init_in(&made, room, sizeof(room));
	buf_init_in(&back, back_room, sizeof(back_room));
	buf_init_in(&again, again_room, sizeof(again_room));
	CHECK(srs_open(in, key, day, &back) != SRS_OK);
	CHECK(back.n == 0);
	if (!is_address(in) || !srs_make(in, SLICE_LIT("our.example"), key, day, &made))
		return 0;
	CHECK(is_address(buf_slice(&made)));
	CHECK(srs_open(local_of(buf_slice(&made)), other, day, &back) == SRS_FORGED);
	CHECK(srs_open(local_of(buf_slice(&made)), key, day + SRS_DAYS, &back) == SRS_OK);
	if (!srs_is(local_of(in))) {
		CHECK(slice_eq(buf_slice(&back), in));
		CHECK(srs_open(local_of(buf_slice(&made)), key, day + SRS_DAYS + 1, &again) == SRS_EXPIRED);
		CHECK(srs_open(local_of(buf_slice(&made)), key, day - 1, &again) == SRS_EXPIRED);
	} else if (in.p[3] == '0') {
		CHECK(slice_eq_nocase(buf_slice(&back), in));
	}
	/* One octet changed, and it is not ours any more. */
	room[5 + data[0] % (made.n > 40 ? 20 : 5)] ^= 1;
	CHECK(srs_open(local_of(buf_slice(&made)), key, day, &again) == SRS_FORGED);
	return 0;
}
