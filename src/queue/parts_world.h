/* parts_world.h - for tests only: queue's parts without its process, and the other ends of its channels.
 *
 * Intake, schedule, handout and, where keeper is there, bounce, over one spool; what a test makes of the
 * processes at the other ends is its own. Nothing turns by itself: time is the test's, and so is each step.
 */
#ifndef POSTERN_QUEUE_PARTS_WORLD_H
#define POSTERN_QUEUE_PARTS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/log.h"
#include "ipc/raw.h"
#include "queue/bounce.h"
#include "queue/handout.h"
#include "queue/intake.h"
#include "queue/load.h"

#define PARTS_NOW      UINT64_C(1800000000000)
#define PARTS_CREDIT   (1U << 20)
#define PARTS_LIFETIME (UINT64_C(5) * 24 * 3600 * 1000)

enum parts_end { PARTS_SMTP, PARTS_SMTP_2, PARTS_LOCAL, PARTS_KEEPER, PARTS_ENDS };

struct parts {
	uv_loop_t loop;
	struct spool *sp;
	struct schedule *schedule;
	struct intake *intake;
	struct handout *handout;
	struct bounce *bounce; /* NULL without keeper */
	struct conf *conf;
	struct channel *to[PARTS_ENDS]; /* NULL: that one is not there */
	int fd[PARTS_ENDS];		/* their ends */
	struct id_source ids;
	uint64_t tx;
};

/* ---- a folder ---- */

/* ret: 64 octets.  in_memory: where that is quicker, and no disk is asked for. */
static __attribute__((unused)) void parts_folder(const char *name, bool in_memory, char *ret)
{
	log_level(getenv("TEST_LOG") ? LOG_DEBUG : LOG_CRIT);
	snprintf(ret, 64, "/dev/shm/%s-XXXXXX", name);
	if (in_memory && mkdtemp(ret))
		return;
	snprintf(ret, 64, "/tmp/%s-XXXXXX", name);
	assert_non_null(mkdtemp(ret));
}

static __attribute__((unused)) int parts_remove_one(const char *path, const struct stat *st, int type,
						    struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static __attribute__((unused)) int parts_remove(const char *dir)
{
	return nftw(dir, parts_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- begin and end ---- */

static void parts_on_message(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	(void)arg, (void)ch, (void)m, (void)fd;
}

static void parts_on_closed(void *arg, struct channel *ch, const char *why)
{
	(void)arg, (void)ch;
	fail_msg("a channel closed: %s", why);
}

static void parts_peer(struct parts *p, enum parts_end who, uint64_t now)
{
	static const struct channel_handlers handlers = { parts_on_message, parts_on_closed };
	struct ipc_message credit = { .type = IPC_TYPE_job_credit, .job_credit = { 0, PARTS_CREDIT } };
	int fd[2];

	assert_int_equal(channel_pair(fd), 0);
	assert_int_equal(channel_new(&p->loop, fd[0], 8U << 20, &handlers, NULL, &p->to[who]), 0);
	p->fd[who] = fd[1];
	if (who == PARTS_SMTP)
		intake_peer(p->intake, 0, p->to[who]);
	if (who == PARTS_KEEPER) {
		bounce_keeper(p->bounce, p->to[who], now);
	} else if (who == PARTS_LOCAL) {
		handout_local_peer(p->handout, p->to[who], now);
		assert_null(handout_local_message(p->handout, &credit, now));
	} else {
		handout_smtp_peer(p->handout, who, p->to[who], now);
		assert_null(handout_smtp_message(p->handout, who, &credit, now));
	}
}

/* who: a bit each of those that are there. */
static __attribute__((unused)) void parts_begin(struct parts *p, const struct spool_setup *spool,
						unsigned who, uint64_t now)
{
	struct bounce_setup bounce = { .hostname = "mx.test", .lifetime_ms = PARTS_LIFETIME };
	struct conf_setup text = { .file = "test.conf" };
	struct conf_finding *findings = NULL;

	assert_int_equal(uv_loop_init(&p->loop), 0);
	assert_int_equal(spool_open(spool, &p->sp), 0);
	assert_int_equal(schedule_new(HANDOUT_JOBS, &p->schedule), 0);
	assert_int_equal(conf_parse(SLICE_LIT("hostname: mx.test\n"), &text, &p->conf, &findings), 0);
	conf_findings_free(findings);
	assert_int_equal(handout_new(p->sp, p->schedule, &p->handout), 0);
	assert_int_equal(intake_new(p->sp, p->schedule, handout_ways(p->handout), &p->intake), 0);
	p->bounce = NULL;
	if (who & 1U << PARTS_KEEPER) {
		assert_int_equal(bounce_new(p->sp, p->schedule, p->intake, &p->bounce), 0);
		assert_int_equal(bounce_configure(p->bounce, &bounce), 0);
		handout_bounce(p->handout, p->bounce);
	}
	assert_int_equal(handout_configure(p->handout, p->conf, now), 0);
	for (unsigned i = 0; i < PARTS_ENDS; i++) {
		p->to[i] = NULL;
		if (who & 1U << i)
			parts_peer(p, (enum parts_end)i, now);
	}
}

static __attribute__((unused)) void parts_end(struct parts *p, uint64_t now)
{
	handout_local_peer(p->handout, NULL, now);
	for (unsigned i = 0; i < 2; i++)
		handout_smtp_peer(p->handout, i, NULL, now);
	if (p->bounce)
		bounce_keeper(p->bounce, NULL, now);
	intake_peer(p->intake, 0, NULL);
	for (unsigned i = 0; i < PARTS_ENDS; i++)
		if (p->to[i]) {
			channel_free(p->to[i]);
			close(p->fd[i]);
		}
	bounce_free(p->bounce);
	handout_free(p->handout);
	intake_free(p->intake);
	schedule_free(p->schedule);
	conf_free(p->conf);
	spool_close(p->sp);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&p->loop), 0);
}

/* ---- what smtp says of a message that comes in ---- */

static __attribute__((unused)) struct ipc_message parts_body(uint64_t tx, struct slice data)
{
	return (struct ipc_message){ .type = IPC_TYPE_body, .body = { .tx = tx, .data = data } };
}

/* mailbox: of IPC_TARGET_MAILBOX; else "". */
static __attribute__((unused)) struct ipc_message parts_rcpt(uint64_t tx, uint8_t kind, const char *address,
							     const char *mailbox)
{
	return (struct ipc_message){ .type = IPC_TYPE_rcpt,
				     .rcpt = { .tx = tx,
					       .kind = kind,
					       .address = slice_str(address),
					       .original = slice_str(address),
					       .mailbox = slice_str(mailbox) } };
}

#define PARTS_HEADERS SLICE_LIT("Received: by the test\r\n")

static __attribute__((unused)) struct ipc_message parts_commit(uint64_t tx, const struct id *id, size_t size,
							       const char *sender, uint64_t now)
{
	return (struct ipc_message){ .type = IPC_TYPE_commit,
				     .commit = { .tx = tx,
						 .id = id_slice(id),
						 .time_ms = now,
						 .body_size = size,
						 .sender = slice_str(sender),
						 .listener = SLICE_LIT("submission"),
						 .headers = PARTS_HEADERS } };
}

#endif
