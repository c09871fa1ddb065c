/* handout_job.c - a message from the spool to its carrier. */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "queue/handout_private.h"

#define BODY_MAX  (2U << 20) /* in memory: the ceiling of spool.body_memory */
#define FULL_MS	  1000	     /* then a full disk is tried again */
#define WHOLE_MAX 65536	     /* octets of a message that is read with one call */

/* All of a body that is not in a file of its own. */
static int read_body(struct handout *h, const struct carrier_job *j, struct buf *to)
{
	if (j->size > to->max)
		return -EBADMSG; /* such a body has a file */
	while (to->n < j->size) {
		unsigned char *p;
		size_t room = buf_reserve(to, (size_t)j->size - to->n, &p);
		ssize_t got = room > 0 ? spool_read_body(h->sp, &j->id, to->n, p, room) : -ENOMEM;

		if (got <= 0)
			return got < 0 ? (int)got : -EBADMSG;
		buf_filled(to, (size_t)got);
	}
	return 0;
}

/* Before the carrier hears of it.  A spool that takes no marks would take no outcome
 * either, and the message would be delivered again after each restart. */
static int mark_attempts(struct handout *h, const struct carrier_job *j)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < j->n; i++)
		r = spool_mark(h->sp, &j->id, j->out[i].n, SPOOL_MARK_ATTEMPT, SLICE_LIT(""));
	return r;
}

/* Everything that can fail is read before the first octet goes over: a job is
 * handed over whole or not at all.  load->fd is the caller's to close. */
static int read_job(struct handout *h, struct carrier_job *j, struct carrier_load *load, struct buf *headers,
		    struct buf *body)
{
	struct spool_info info;
	int r = spool_info(h->sp, &j->id, &info);
	bool whole;

	if (r < 0)
		return r;
	j->accepted_ms = info.time_ms;
	j->size = info.body_size;
	r = body ? spool_read_whole(h->sp, &j->id, WHOLE_MAX, &j->envelope, headers, body) : -ENODATA;
	whole = r == 0;
	if (r == -ENODATA)
		r = spool_read_meta(h->sp, &j->id, &j->envelope, headers);
	if (r < 0)
		return r;
	load->recipients = buf_slice(&j->envelope);
	load->headers = buf_slice(headers);
	if (!envelope_get(&load->recipients, &load->e) || !carrier_job_names(j, load))
		return -EBADMSG;
	if (!body)
		return 0;
	if (!whole)
		load->fd = spool_body_fd(h->sp, &j->id);
	if (!whole && load->fd < 0)
		r = load->fd == -ENODATA ? read_body(h, j, body) : load->fd;
	load->body = buf_slice(body);
	return r;
}

static int hand_over(struct handout *h, const struct schedule_job *due, struct carrier *c,
		     struct carrier_job *j, uint64_t now_ms)
{
	struct carrier_load load = {
		.due = due, .fd = -1, .delimiter = h->ways.conf ? h->ways.conf->recipient_delimiter[0] : '\0'
	};
	struct buf headers, body;
	int r;

	buf_init(&headers, IPC_CHUNK_MAX);
	buf_init(&body, BODY_MAX);
	r = read_job(h, j, &load, &headers, &body);
	if (r == 0)
		r = mark_attempts(h, j);
	if (r == 0) {
		for (uint32_t i = 0; i < load.others; i++)
			schedule_put_back(h->schedule, due->number, load.other[i], now_ms);
		carrier_send(c, j, &load);
	}
	if (load.fd >= 0)
		close(load.fd);
	buf_done(&headers);
	buf_done(&body);
	return r;
}

/* The message cannot be read back.  Nothing is tried with a damaged one until an
 * operator has looked at it; other errors may pass. */
static void not_handed_over(struct handout *h, const struct schedule_job *due, const struct carrier_job *j,
			    int error, uint64_t now_ms)
{
	struct outcome damaged = { .said = SCHEDULE_SAID_FAILED,
				   .step = SMTP_CLIENT_IDLE,
				   .status = SLICE_LIT("5.3.0"),
				   .text = SLICE_LIT("the stored message is damaged") };

	if (error == -ENOSPC) { /* whoever looks at the disk says so; it is the same for all messages */
		h->full_until_ms = now_ms + FULL_MS;
		schedule_give_back(h->schedule, due->number, h->full_until_ms);
		return;
	}
	LOG(LOG_ERR, "not-handed-over", LOG_S("id", id_slice(&due->id)), LOG_ERRNO(error));
	if (error == -ENOENT) {
		schedule_remove(h->schedule, &due->id);
		schedule_give_back(h->schedule, due->number, now_ms);
		return;
	}
	if (error != -EBADMSG) {
		schedule_give_back(h->schedule, due->number, now_ms + schedule_pause_ms(0));
		return;
	}
	for (uint32_t i = 0; i < due->n; i++)
		handout_record(h, j, NULL, due->rcpt[i], &damaged, now_ms);
}

struct carrier_job *handout_begin(struct handout *h, const struct schedule_job *due, struct carrier *c,
				  enum carrier_way way, uint64_t now_ms)
{
	struct carrier_job *j = carrier_job_new(due);
	int r;

	if (!j) {
		schedule_give_back(h->schedule, due->number, now_ms + schedule_pause_ms(0));
		return NULL;
	}
	j->lane = due->lane;
	j->way = way;
	r = hand_over(h, due, c, j, now_ms);
	if (r < 0) {
		not_handed_over(h, due, j, r, now_ms);
		carrier_job_free(j);
		return NULL;
	}
	h->count.jobs++;
	return j;
}

/* What its server last said of this recipient. */
static void last_said(struct handout *h, const struct schedule_job *due, uint32_t recipient, struct buf *room,
		      struct outcome *to)
{
	struct spool_recipient known;
	struct envelope_reason why;

	if (spool_recipient(h->sp, &due->id, recipient, &known, room) == 0 &&
	    envelope_get_reason(buf_slice(room), &why) && why.text.n > 0) {
		to->status = why.status;
		to->text = why.text;
		to->code = why.code;
		to->step = why.step;
	}
}

static void doom_one(struct handout *h, const struct carrier_job *j, const struct carrier_rcpt *o,
		     uint32_t recipient, const struct schedule_job *due, const struct schedule_doom *why,
		     uint64_t now_ms)
{
	struct outcome what = { .said = why->expired ? SCHEDULE_SAID_DEFERRED : SCHEDULE_SAID_FAILED,
				.step = SMTP_CLIENT_IDLE,
				.status = why->status,
				.text = why->text };
	unsigned char room[1024];
	struct buf last;
	struct way way;

	buf_init_in(&last, room, sizeof(room));
	ways_find(&h->ways, why->destination, &way);
	what.elsewhere = way.kind == WAY_RELAY;
	if (!why->expired && way.kind == WAY_DISCARD) {
		what.said = SCHEDULE_SAID_DELIVERED;
		what.discarded = true;
	} else if (why->expired && way.needs_25 && h->port25.blocked) {
		what.status = SLICE_LIT("4.4.1");
		what.text = SLICE_LIT(PORT25_TEXT);
	} else if (why->text.n == 0) {
		what.status = SLICE_LIT("4.4.7");
		what.text = SLICE_LIT("it waited for too long");
		last_said(h, due, recipient, &last, &what);
	}
	handout_record(h, j, o, recipient, &what, now_ms);
}

void handout_doomed(struct handout *h, const struct schedule_job *due, const struct schedule_doom *why,
		    uint64_t now_ms)
{
	struct carrier_load load = { .due = due, .fd = -1, .any_sender = true };
	struct carrier_job *j = carrier_job_new(due);
	struct carrier_rcpt o;
	struct buf headers;

	if (!j) {
		schedule_give_back(h->schedule, due->number, now_ms + schedule_pause_ms(0));
		return;
	}
	buf_init(&headers, IPC_CHUNK_MAX);
	(void)read_job(h, j, &load, &headers, NULL); /* for its names; it goes without */
	for (uint32_t i = 0; i < due->n; i++)
		doom_one(h, j, carrier_job_take(j, due->rcpt[i], &o) ? &o : NULL, due->rcpt[i], due, why,
			 now_ms);
	buf_done(&headers);
	carrier_job_free(j);
}
