/* record_fuzz.c - whatever lies in the spool's files.
 *
 * The input is a list of records for a segment and a log, with right checksums
 * unless it asks for wrong ones: random bytes would never get past those.  What
 * decodes must encode to the same bytes.  A spool opened on the files must open,
 * and opened again it must hold the same: what recovery decided once, it wrote
 * down. */
#include <sodium.h>

#include "base/crc32c.h"
#include "spool/disk_sim.h"
#include "spool/record.h"
#include "spool/spool.h"

#define NONCE	  UINT64_C(0x1122334455667788)
#define FILE_SIZE 60000U
#define KEEP_CRC  1 /* of the flags of a record in the input */
#define KEEP_BODY 2
#define IN_LOG	  4
#define RAW	  8
#define DURABLE	  16
#define FIX_ID	  32

static void require(bool it)
{
	if (!it)
		abort();
}

static void reencode(const struct record *r)
{
	struct record_message m;
	struct record_event e;
	struct record_line l;
	struct slice cur = r->payload;
	struct buf b;

	buf_init(&b, FILE_SIZE);
	if (r->type == RECORD_MESSAGE && record_get_message(cur, &m) && record_meta_at(&m) <= cur.n &&
	    record_message_intact(slice_head(cur, (size_t)record_meta_at(&m)))) {
		uint32_t block[64];

		require(m.blocks <= 64 * 1024);
		for (uint32_t i = 0; i < m.blocks && i < 64; i++) {
			const unsigned char *p = cur.p + RECORD_MESSAGE_HEAD + 4 * i;

			block[i] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
				   (uint32_t)p[3] << 24;
		}
		if (m.blocks <= 64) {
			record_put_message(&b, &m, block, slice_of(NULL, 0), slice_of(NULL, 0));
			require(slice_eq(buf_slice(&b), slice_head(cur, (size_t)record_meta_at(&m))));
		}
	} else if (record_get_event(r->type, cur, &e)) {
		record_put_event(&b, &e);
		require(slice_eq(buf_slice(&b), cur));
	} else if (r->type == RECORD_INDEX && cur.n >= 8) {
		for (cur = slice_tail(cur, 8); record_get_line(&cur, &l);)
			record_put_line(&b, &l);
		require(slice_eq(buf_slice(&b), slice_head(slice_tail(r->payload, 8), b.n)));
	}
	buf_done(&b);
}

/* The pieces of a scan, put together, are the file. */
static void scan(struct slice file)
{
	struct record_scanner s = { .file = file, .nonce = NONCE, .at = RECORD_FILE_HEAD };
	uint64_t at = RECORD_FILE_HEAD;
	enum record_scan what;
	struct record r;

	while ((what = record_next(&s, &r)) != RECORD_END) {
		require(r.at == at && r.n > 0);
		at += r.n;
		if (what == RECORD_GOOD)
			reencode(&r);
	}
	require(at == file.n || file.n < RECORD_FILE_HEAD);
}

static void le32(unsigned char *to, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		to[i] = (unsigned char)(v >> (8 * i));
}

/* Makes the inner checksum fit, so that a message gets as far as the index. */
static void fix_message(unsigned char *p, size_t n, uint8_t flags, unsigned char id)
{
	struct record_message m;
	uint32_t crc;
	size_t head;

	if (n < RECORD_MESSAGE_HEAD)
		return;
	if (flags & FIX_ID)
		for (size_t i = 0; i < ID_LEN; i++)
			p[i] = (unsigned char)(i + 1 < ID_LEN ? '1' : '0' + id % 8);
	if (!record_get_message(slice_of(p, n), &m) || record_meta_at(&m) > n)
		return;
	head = (size_t)record_meta_at(&m);
	crc = crc32c(0, slice_of(p, RECORD_MESSAGE_HEAD - 4));
	crc = crc32c(crc, slice_of(p + RECORD_MESSAGE_HEAD, head - RECORD_MESSAGE_HEAD));
	le32(p + RECORD_MESSAGE_HEAD - 4, crc);
}

/* type, flags, id, length (2), payload */
static bool add_record(struct slice *in, struct buf *segment, struct buf *log)
{
	static const unsigned char zeros[8];
	unsigned char head[RECORD_HEAD], *copy;
	struct slice fixed, payload;
	struct buf *to;
	uint8_t flags;
	size_t n;

	if (!cur_take(in, 5, &fixed))
		return false;
	flags = fixed.p[1];
	n = fixed.p[3] | (size_t)fixed.p[4] << 8;
	payload = slice_head(*in, n);
	*in = slice_tail(*in, n);
	to = flags & IN_LOG ? log : segment;
	if (flags & RAW) {
		buf_put(to, payload);
		return true;
	}
	copy = malloc(payload.n + 1);
	require(copy);
	for (size_t i = 0; i < payload.n; i++)
		copy[i] = payload.p[i];
	if (!(flags & KEEP_BODY) && fixed.p[0] % 8 == RECORD_MESSAGE)
		fix_message(copy, payload.n, flags, fixed.p[2]);
	else if (flags & FIX_ID)
		for (size_t i = 0; i < ID_LEN && i < payload.n; i++)
			copy[i] = (unsigned char)(i + 1 < ID_LEN ? '1' : '0' + fixed.p[2] % 8);
	record_head(head, NONCE, (enum record_type)(fixed.p[0] % 8), payload.n,
		    flags & DURABLE ? to->n : RECORD_FILE_HEAD,
		    flags & KEEP_CRC ? 7 : crc32c(0, slice_of(copy, payload.n)));
	buf_put(to, slice_of(head, sizeof(head)));
	buf_put(to, slice_of(copy, payload.n));
	buf_put(to, slice_of(zeros, record_size(payload.n) - RECORD_HEAD - payload.n));
	free(copy);
	return true;
}

/* A checksum of all that the spool says, and how much that is. */
static uint32_t opinion(struct spool *sp, size_t *ret_n)
{
	static unsigned char body[4096];
	struct spool_info info;
	struct id last;
	uint32_t crc = 0;
	size_t n = 0;

	while (spool_next(sp, n ? &last : NULL, &info)) {
		struct spool_recipient r = { 0 };
		struct buf meta;
		int64_t said[8];

		last = info.id;
		n++;
		buf_init(&meta, FILE_SIZE);
		said[0] = spool_read_meta(sp, &info.id, &meta, &meta);
		said[1] = spool_read_body(sp, &info.id, 0, body, sizeof(body));
		said[2] = spool_recipient(sp, &info.id, 0, &r, &meta);
		require(spool_info(sp, &info.id, &info) == 0);
		require(info.open > 0 && info.open <= info.recipients);
		require((said[0] != -74 && said[1] != -74) || info.damaged); /* -EBADMSG */
		said[3] = info.open;
		said[4] = info.held | info.damaged << 1 | r.done << 2 | r.attempted << 3 | r.deferred << 4;
		said[5] = (int64_t)info.body_size;
		said[6] = (int64_t)info.time_ms;
		said[7] = (int64_t)r.marked_ms;
		crc = crc32c(crc, id_slice(&info.id));
		crc = crc32c(crc, slice_of(said, sizeof(said)));
		crc = crc32c(crc, buf_slice(&meta));
		if (said[1] > 0)
			crc = crc32c(crc, slice_of(body, (size_t)said[1]));
		buf_done(&meta);
	}
	*ret_n = n;
	return crc;
}

static void open_often(struct slice segment, struct slice log)
{
	struct disk_sim *sim = disk_sim_new();
	struct spool_setup setup = { .dir = "fuzz", .segment_max = 8192, .manual_sync = true };
	uint32_t first = 0;
	size_t messages = 0;

	require(sim);
	setup.disk = disk_sim_disk(sim);
	disk_sim_put(sim, "0000000000000001.seg", segment.p, segment.n);
	disk_sim_put(sim, "0000000000000001.log", log.p, log.n);
	for (int i = 0; i < 3; i++) {
		struct spool *sp;
		uint32_t crc;
		size_t n;

		require(spool_open(&setup, &sp) == 0);
		crc = opinion(sp, &n);
		require(i == 0 || (crc == first && n == messages));
		first = crc;
		messages = n;
		if (i == 1) /* compacting must not change it either */
			for (int k = 0; k < 6; k++) {
				struct spool_done done;

				spool_tick(sp, 0);
				spool_sync_now(sp);
				require(!spool_next_done(sp, &done));
			}
		crc = opinion(sp, &n);
		require(crc == first && n == messages);
		spool_close(sp);
	}
	require(disk_sim_open_files(sim) == 0);
	disk_sim_free(sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	unsigned char head[RECORD_FILE_HEAD];
	struct slice in = slice_of(data, n);
	struct buf segment, log;

	require(sodium_init() >= 0);
	buf_init(&segment, FILE_SIZE);
	buf_init(&log, FILE_SIZE);
	record_file_head(head, RECORD_FILE_SEGMENT, 1, NONCE);
	buf_put(&segment, slice_of(head, sizeof(head)));
	record_file_head(head, RECORD_FILE_LOG, 1, NONCE);
	buf_put(&log, slice_of(head, sizeof(head)));
	while (add_record(&in, &segment, &log))
		;
	if (buf_ok(&segment) && buf_ok(&log)) {
		scan(buf_slice(&segment));
		scan(buf_slice(&log));
		open_often(buf_slice(&segment), buf_slice(&log));
	}
	buf_done(&segment);
	buf_done(&log);
	return 0;
}
