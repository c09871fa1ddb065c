/* bench-fill DIR N - puts N deferred messages into the spool in DIR, as a long outage of large sites leaves
 * them.
 *
 * One recipient each, of a thousand domains d0.test to d999.test, three attempts behind them, not due for an
 * hour; answered with one of a hundred texts.  Written by the product's own spool code, by a process that
 * ends before the server starts.  Not a part of what is measured. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipc/message.h"
#include "queue/envelope.h"
#include "spool/spool.h"

#define DOMAINS 1000
#define TEXTS	100
#define BATCH	1000 /* messages a sync */
#define HOUR_MS 3600000

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench-fill: %s: %s\n", what, strerror(-r));
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void put_message(struct spool *sp, struct id_source *ids, unsigned n, uint64_t now)
{
	char address[64];
	struct envelope e = { .sender = SLICE_LIT("news@example.org"),
			      .listener = SLICE_LIT("relay"),
			      .message_id = SLICE_LIT("2026.1234@example.org"),
			      .recipients = 1 };
	struct envelope_rcpt r = { .kind = IPC_TARGET_REMOTE };
	struct spool_message m = { .id = id_next(ids, now), .time_ms = now, .recipients = 1 };
	struct spool_body *body;
	struct buf envelope;

	snprintf(address, sizeof(address), "user%u@d%u.test", n, n % DOMAINS);
	r.address = r.original = slice_str(address);
	buf_init(&envelope, ENVELOPE_MAX);
	envelope_put(&e, &envelope);
	envelope_put_rcpt(&r, &envelope);
	m.envelope = buf_slice(&envelope);
	m.headers =
		SLICE_LIT("Received: from somewhere by mx.example.org; Sun, 1 Nov 2026 12:00:00 +0000\r\n");
	must(buf_ok(&envelope) ? 0 : -ENOMEM, "envelope");
	must(spool_body_new(sp, &body), "body");
	must(spool_body_put(body, SLICE_LIT("Subject: news\r\n\r\nNews.\r\n")), "body");
	must(spool_commit(sp, body, &m, n), "commit");
	buf_done(&envelope);
}

static void defer(struct spool *sp, const struct id *id, unsigned n, uint64_t now)
{
	char text[128];
	struct envelope_reason why = { .attempts = 3,
				       .next_ms = now + HOUR_MS + n,
				       .code = 450,
				       .status = SLICE_LIT("4.7.1"),
				       .remote = SLICE_LIT("mx1.example.net") };
	unsigned char room[1024];
	struct buf detail;

	snprintf(text, sizeof(text), "450 4.7.1 try again later, please (rule %u)", n % TEXTS);
	why.text = slice_str(text);
	buf_init_in(&detail, room, sizeof(room));
	envelope_put_reason(&why, &detail);
	must(spool_mark(sp, id, 0, SPOOL_MARK_ATTEMPT, SLICE_LIT("")), "mark");
	must(spool_mark(sp, id, 0, SPOOL_MARK_DEFERRED, buf_slice(&detail)), "mark");
}

int main(int argc, char **argv)
{
	struct spool_setup setup = { .disk = disk_real(),
				     .memory_max = 64U << 20,
				     .body_memory_max = 256U << 10,
				     .segment_max = 64U << 20,
				     .manual_sync = true };
	unsigned messages = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0, n = 0;
	uint64_t now = now_ms();
	struct id_source ids;
	struct spool *sp;
	struct spool_done done;
	struct spool_info info;

	if (messages == 0) {
		fprintf(stderr, "usage: bench-fill DIR N\n");
		return 2;
	}
	setup.dir = argv[1];
	must(spool_open(&setup, &sp), argv[1]);
	id_source_init(&ids, 1);
	while (n < messages) {
		for (unsigned i = 0; i < BATCH && n < messages; i++, n++)
			put_message(sp, &ids, n, now - messages + n);
		must(spool_sync_now(sp), "sync");
		while (spool_next_done(sp, &done))
			must(done.result, "commit");
	}
	n = 0;
	for (bool more = spool_next(sp, NULL, &info); more; more = spool_next(sp, &info.id, &info))
		defer(sp, &info.id, n++, now);
	must(spool_sync_now(sp), "sync");
	spool_close(sp);
	return n == messages ? 0 : 1;
}
