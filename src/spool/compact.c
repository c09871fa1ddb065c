/* compact.c - giving disk space back: emptied segments are deleted, living
 * messages move out of mostly dead ones.
 *
 * A copy goes through the sync thread like a commit; the old segment is deleted
 * by a later turn, so whenever the power fails the message is in one of them or
 * in both, and the newer record counts.
 */
#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "spool/state.h"

#define MOVES_MAX      256U
#define MOVE_BYTES     (4U << 20) /* a tick */
#define SMALL_SEGMENTS 16
#define LOOKS_MAX      65536U /* entries looked at in a tick */

static bool keeps_damage(const struct segment *s)
{
	for (size_t i = 0; i < s->entries; i++)
		if (!s->entry[i]->dead && s->entry[i]->where == s && s->entry[i]->damaged)
			return true;
	return false;
}

static void leave(struct spool *sp, struct segment *s)
{
	struct record_event gone = { .type = RECORD_SEGMENT, .what = 2, .number = s->number };
	struct job *j = job_new(JOB_SEGMENT);

	if (!j || outcome_event(sp, &gone) < 0) {
		job_free(j);
		return;
	}
	s->leaving = true;
	j->segment = s;
	j->number = s->number;
	j->aside = s->holes > 0;
	commit_submit(sp, j, false);
}

/* -EBADMSG: it is damaged, and stays where it is. */
static int move(struct spool *sp, struct segment *s, struct entry *e)
{
	unsigned char *to;
	struct record r;
	struct job *j = job_new(JOB_COPY);
	struct buf whole;
	int error = -ENOMEM;

	buf_init(&whole, RECORD_PAYLOAD_MAX + 64);
	if (!j || buf_reserve(&whole, (size_t)entry_size(e), &to) < entry_size(e))
		goto out;
	error = segment_read(sp, s, to, (size_t)entry_size(e), e->at);
	if (error < 0)
		goto out;
	buf_filled(&whole, (size_t)entry_size(e));
	if (!record_whole(buf_slice(&whole), &r) || r.type != RECORD_MESSAGE || r.payload.n != e->length ||
	    memcmp(r.payload.p, e->id, ID_LEN) != 0) {
		error = -EBADMSG;
		goto out;
	}
	buf_put(&j->payload, r.payload);
	error = buf_ok(&j->payload) ? 0 : -ENOMEM;
	if (error < 0)
		goto out;
	j->entry = e;
	j->length = e->length;
	j->payload_crc = crc32c(0, r.payload);
	j->line = (struct record_line){
		.own_file = e->own_file,
		.recipients = e->recipients,
		.time_ms = e->time_ms,
		.body_size = e->body_size,
		.length = e->length,
	};
	memcpy(j->line.id.text, e->id, ID_LEN);
	e->moving = true;
	sp->moving++;
	commit_submit(sp, j, false);
	buf_done(&whole);
	return 0;
out:
	job_free(j);
	buf_done(&whole);
	return error;
}

/* Starts moving living messages out, from where the last piece stopped. */
static void move_out(struct spool *sp, struct segment *s)
{
	uint64_t bytes = 0;

	for (size_t looks = 0; looks < LOOKS_MAX && s->look_at < s->entries; looks++) {
		struct entry *e = s->entry[s->look_at];
		int r;

		if (bytes >= MOVE_BYTES || sp->moving >= MOVES_MAX)
			return;
		s->look_at++;
		if (e->dead || e->where != s || e->damaged || e->moving)
			continue;
		bytes += entry_size(e);
		r = move(sp, s, e);
		if (r == -EBADMSG) {
			e->damaged = true;
			sp->count.damaged++;
		} else if (r < 0) {
			s->look_at = 0; /* from the start, another time */
			return;
		}
	}
	if (s->look_at == s->entries && sp->moving == 0)
		s->look_at = 0;
}

static bool worth_it(const struct spool *sp, const struct segment *s, size_t small)
{
	if (!s->sealed || s->leaving)
		return false;
	return s->doubted || s->live * 2 < s->size ||
	       (small > SMALL_SEGMENTS && s->size < sp->setup.segment_max / 16);
}

void compact_tick(struct spool *sp)
{
	struct segment *worst = NULL;
	size_t small = 0;

	for (size_t i = 0; i < sp->segments; i++)
		small += sp->segment[i]->sealed && sp->segment[i]->size < sp->setup.segment_max / 16;
	for (size_t i = 0; i < sp->segments; i++) {
		struct segment *s = sp->segment[i];

		if (!s->sealed || s->leaving)
			continue;
		if (s->live == 0)
			leave(sp, s);
		else if (worth_it(sp, s, small) && !keeps_damage(s) &&
			 (!worst || s->live * (worst->size / 256 + 1) < worst->live * (s->size / 256 + 1)))
			worst = s;
	}
	if (worst)
		move_out(sp, worst);
}
