/* test_deferred.h - for tests and measurements only: a spool full of deferred messages, as a long outage of
 * large sites leaves them.
 *
 * One recipient each, of a thousand domains, three attempts behind them, not due for an hour; answered with
 * one of a hundred texts.  By the product's own spool code.
 */
#ifndef POSTERN_QUEUE_TEST_DEFERRED_H
#define POSTERN_QUEUE_TEST_DEFERRED_H

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "ipc/message.h"
#include "queue/envelope.h"
#include "spool/spool.h"

#define DEFERRED_DOMAINS 1000
#define DEFERRED_TEXTS	 100
#define DEFERRED_BATCH	 1000 /* messages a sync */
#define DEFERRED_MS	 3600000

static inline uint64_t deferred_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 0 or negative errno, as all of these. */
static inline int deferred_open(const char *dir, struct spool **ret)
{
	struct spool_setup setup = { .dir = dir,
				     .disk = disk_real(),
				     .memory_max = 64U << 20,
				     .body_memory_max = 256U << 10,
				     .segment_max = 64U << 20,
				     .manual_sync = true };

	return spool_open(&setup, ret);
}

/* top: the domains are d0.TOP to d999.TOP.  accounts: seven of them sent it; or it came by relay. */
static inline int deferred_put(struct spool *sp, struct id_source *ids, unsigned n, const char *top,
			       bool accounts, uint64_t now)
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
	int err;

	if (accounts) {
		e.account = 1 + n % 7;
		e.account_name = SLICE_LIT("news@example.org");
		e.listener = SLICE_LIT("submission");
	}
	snprintf(address, sizeof(address), "user%u@d%u.%s", n, n % DEFERRED_DOMAINS, top);
	r.address = r.original = slice_str(address);
	buf_init(&envelope, ENVELOPE_MAX);
	envelope_put(&e, &envelope);
	envelope_put_rcpt(&r, &envelope);
	m.envelope = buf_slice(&envelope);
	m.headers =
		SLICE_LIT("Received: from somewhere by mx.example.org; Sun, 1 Nov 2026 12:00:00 +0000\r\n");
	err = buf_ok(&envelope) ? spool_body_new(sp, &body) : -ENOMEM;
	if (err == 0)
		err = spool_body_put(body, SLICE_LIT("Subject: news\r\n\r\nNews.\r\n"));
	if (err == 0)
		err = spool_commit(sp, body, &m, n);
	buf_done(&envelope);
	return err;
}

static inline int deferred_answer(struct spool *sp, const struct id *id, unsigned n, uint64_t now)
{
	char text[128];
	struct envelope_reason why = { .attempts = 3,
				       .next_ms = now + DEFERRED_MS + n,
				       .code = 450,
				       .status = SLICE_LIT("4.7.1"),
				       .remote = SLICE_LIT("mx1.example.net") };
	unsigned char room[1024];
	struct buf detail;
	int err;

	snprintf(text, sizeof(text), "450 4.7.1 try again later, please (rule %u)", n % DEFERRED_TEXTS);
	why.text = slice_str(text);
	buf_init_in(&detail, room, sizeof(room));
	envelope_put_reason(&why, &detail);
	err = spool_mark(sp, id, 0, SPOOL_MARK_ATTEMPT, SLICE_LIT(""));
	return err < 0 ? err : spool_mark(sp, id, 0, SPOOL_MARK_DEFERRED, buf_slice(&detail));
}

/* So many of them, accepted one a millisecond before now. */
static inline int deferred_fill(struct spool *sp, unsigned messages, const char *top, bool accounts,
				uint64_t now)
{
	struct id_source ids;
	struct spool_done done;
	struct spool_info info;
	unsigned n = 0;
	int err = 0;

	id_source_init(&ids, 1);
	while (n < messages && err >= 0) {
		for (unsigned i = 0; i < DEFERRED_BATCH && n < messages && err >= 0; i++, n++)
			err = deferred_put(sp, &ids, n, top, accounts, now - messages + n);
		if (err >= 0)
			err = spool_sync_now(sp);
		while (err >= 0 && spool_next_done(sp, &done))
			err = done.result;
	}
	n = 0;
	for (bool more = spool_next(sp, NULL, &info); more && err >= 0;
	     more = spool_next(sp, &info.id, &info))
		err = deferred_answer(sp, &info.id, n++, now);
	return err < 0 ? err : n == messages ? 0 : -EIO;
}

#endif
