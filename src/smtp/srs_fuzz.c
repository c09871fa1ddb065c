/* srs_fuzz.c - what is made opens to the same sender, is an address, and is opened by nobody else's
 * key; and what a stranger wrote opens never.
 *
 * Beside a long sender there is room for four digits of the hash only, and one in a million is right by luck,
 * which is soon met here: what must be refused is tried in two ways, and may be opened in one of them. */
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

static const unsigned char third[SRS_KEY] = "and one more, which nobody has..";

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

static bool is_forged(struct slice local, const unsigned char k[static SRS_KEY], uint64_t day)
{
	char room[600];
	struct buf to;

	buf_init_in(&to, room, sizeof(room));
	return srs_open(local, k, day, &to) == SRS_FORGED;
}

/* What a stranger wrote. */
static void check_stranger(struct slice local, uint64_t day)
{
	char room[600];
	struct buf to;

	buf_init_in(&to, room, sizeof(room));
	if (srs_open(local, key, day, &to) == SRS_OK)
		CHECK(is_forged(local, other, day) || is_forged(local, third, day));
	else
		CHECK(to.n == 0);
}

/* With one octet changed it is not ours any more. */
static void check_changed(struct slice made, unsigned char *octet, uint64_t day)
{
	bool forged;

	*octet ^= 1;
	forged = is_forged(local_of(made), key, day);
	*octet ^= 1 ^ 2;
	CHECK(forged || is_forged(local_of(made), key, day));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char room[600], back_room[600], again_room[600];
	struct buf made, back, again;
	struct slice in, local;
	uint64_t day;

	if (n < 1)
		return 0;
	in = slice_of(data + 1, n - 1);
	day = 20000 + data[0] * 5U;
	buf_init_in(&made, room, sizeof(room));
	buf_init_in(&back, back_room, sizeof(back_room));
	buf_init_in(&again, again_room, sizeof(again_room));
	check_stranger(in, day);
	if (!is_address(in) || !srs_make(in, SLICE_LIT("our.example"), key, day, &made))
		return 0;
	CHECK(is_address(buf_slice(&made)));
	local = local_of(buf_slice(&made));
	CHECK(is_forged(local, other, day) || is_forged(local, third, day));
	CHECK(srs_open(local, key, day + SRS_DAYS, &back) == SRS_OK);
	if (!srs_is(local_of(in))) {
		CHECK(slice_eq(buf_slice(&back), in));
		CHECK(srs_open(local, key, day + SRS_DAYS + 1, &again) == SRS_EXPIRED);
		CHECK(srs_open(local, key, day - 1, &again) == SRS_EXPIRED);
	} else if (in.p[3] == '0') {
		CHECK(slice_eq_nocase(buf_slice(&back), in));
	}
	check_changed(buf_slice(&made), made.p + 5 + data[0] % (made.n > 40 ? 20 : 5), day);
	return 0;
}
