#include "queue/handout.h"

#include <errno.h>

#include "base/list.h"
#include "base/log.h"
#include "queue/envelope.h"

#define BODY_MAX (2U << 20) /* in memory: the ceiling of spool.body_memory */
#define JOB_ROOM (3U << 20) /* that the channel must have before a job is begun */
#define ROOM_MS	 20	    /* then it is asked again */

struct out {
	uint32_t n;		       /* the recipient's number */
	struct slice address, mailbox; /* in the job's text */
};

/* A job under way: what the log will say about it. */
struct job {
	struct list link;
	struct id id;
	uint64_t number, accepted_ms, size;
	size_t cost; /* credit that comes back when it is over */
	struct buf envelope;
	uint32_t n;
	struct out out[SCHEDULE_JOB_MAX];
};

struct handout {
	struct spool *sp;
	struct schedule *schedule;
	struct channel *local;
	int64_t credit;
	struct list jobs;
	struct handout_counters count;
};

int handout_new(struct spool *sp, struct schedule *schedule, struct handout **ret)
{
	struct handout *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->sp = sp;
	h->schedule = schedule;
	list_init(&h->jobs);
	*ret = h;
	return 0;
}

static void job_free(struct job *j)
{
	list_remove(&j->link);
	buf_done(&j->envelope);
	free(j);
}

static void forget_jobs(struct handout *h)
{
	while (!list_empty(&h->jobs))
		job_free(container_of(h->jobs.next, struct job, link));
}

void handout_free(struct handout *h)
{
	if (!h)
		return;
	forget_jobs(h);
	free(h);
}

/* Local died with these in its hands: any of them may be in its mailbox already. */
static void log_in_doubt(struct handout *h)
{
	struct list *at, *after;

	LIST_EACH (&h->jobs, at, after) {
		const struct job *j = container_of(at, struct job, link);

		for (uint32_t i = 0; i < j->n; i++) {
			if (schedule_look_rcpt(h->schedule, &j->id, j->out[i].n) != SCHEDULE_ACTIVE)
				continue; /* removed by an operator */
			LOG(LOG_NOTICE, "possibly-twice", LOG_S("id", id_slice(&j->id)),
			    LOG_S("to", j->out[i].address));
			h->count.possibly_twice++;
		}
	}
}

void handout_peer(struct handout *h, struct channel *ch, uint64_t now_ms)
{
	log_in_doubt(h);
	forget_jobs(h);
	h->local = ch;
	h->credit = 0; /* local says how much it takes */
	schedule_local(h->schedule, ch != NULL, now_ms);
}

/* ---- handing over ---- */

static void put_mailbox(struct handout *h, struct job *j, const struct envelope_rcpt *r, uint32_t n)
{
	struct ipc_message m = { .type = IPC_TYPE_job_mailbox,
				 .job_mailbox = { .job = j->number,
						  .recipient = n,
						  .mailbox = r->mailbox,
						  .address = r->address,
						  .original = r->original } };

	j->out[j->n++] = (struct out){ .n = n, .address = r->address, .mailbox = r->mailbox };
	j->cost += r->mailbox.n + r->address.n + r->original.n;
	channel_send(h->local, &m, -1);
}

/* All of a body that is not in a file of its own. */
static int read_body(struct handout *h, const struct job *j, struct buf *to)
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

static void send_body(struct handout *h, struct job *j, struct slice body, int fd)
{
	struct ipc_message m = { .type = IPC_TYPE_job_body,
				 .job_body = { .job = j->number, .in_file = fd >= 0 } };

	if (fd >= 0)
		channel_send(h->local, &m, fd);
	for (; body.n > 0; body = slice_tail(body, m.job_body.data.n)) {
		m.job_body.data = slice_head(body, IPC_CHUNK_MAX);
		j->cost += m.job_body.data.n;
		channel_send(h->local, &m, -1);
	}
}

static void send_job(struct handout *h, struct job *j, const struct schedule_job *due,
		     const struct envelope *e, struct slice recipients, struct slice headers,
		     struct slice body, int fd)
{
	struct ipc_message m = { .type = IPC_TYPE_job,
				 .job = { .job = j->number,
					  .id = id_slice(&j->id),
					  .time_ms = j->accepted_ms,
					  .sender = e->sender,
					  .body_size = j->size,
					  .headers = headers } };
	struct ipc_message end = { .type = IPC_TYPE_job_end, .job_end = { .job = j->number } };
	struct envelope_rcpt r;

	j->cost = e->sender.n + headers.n;
	channel_send(h->local, &m, -1);
	/* The job's recipients are in order, as those of the envelope. */
	for (uint32_t i = 0; i < e->recipients && j->n < due->n; i++) {
		if (!envelope_get_rcpt(&recipients, &r))
			break;
		if (due->rcpt[j->n] == i)
			put_mailbox(h, j, &r, i);
	}
	send_body(h, j, body, fd);
	channel_send(h->local, &end, -1);
	h->credit -= (int64_t)j->cost;
}

/* Whether each of the job's recipients is really there. */
static bool has_all(const struct schedule_job *due, const struct envelope *e, struct slice recipients)
{
	struct envelope_rcpt r;
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->recipients && n < due->n; i++) {
		if (!envelope_get_rcpt(&recipients, &r))
			return false;
		n += due->rcpt[n] == i;
	}
	return n == due->n;
}

/* Before local hears of it.  A spool that takes no marks would take no outcome
 * either, and the message would be delivered again after each restart. */
static int mark_attempts(struct handout *h, const struct schedule_job *due)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < due->n; i++)
		r = spool_mark(h->sp, &due->id, due->rcpt[i], SPOOL_MARK_ATTEMPT, SLICE_LIT(""));
	return r;
}

/* Everything that can fail is read before the first octet goes to local: a job is
 * handed over whole or not at all. */
static int hand_over(struct handout *h, const struct schedule_job *due, struct job *j)
{
	struct buf headers, body;
	struct spool_info info;
	struct envelope e;
	struct slice cur;
	int fd = -1, r = spool_info(h->sp, &due->id, &info);

	if (r < 0)
		return r;
	j->id = due->id;
	j->number = due->number;
	j->accepted_ms = info.time_ms;
	j->size = info.body_size;
	buf_init(&headers, IPC_CHUNK_MAX);
	buf_init(&body, BODY_MAX);
	r = spool_read_meta(h->sp, &j->id, &j->envelope, &headers);
	cur = buf_slice(&j->envelope);
	if (r == 0 && (!envelope_get(&cur, &e) || !has_all(due, &e, cur)))
		r = -EBADMSG;
	if (r == 0)
		fd = spool_body_fd(h->sp, &j->id);
	if (r == 0 && fd < 0)
		r = fd == -ENODATA ? read_body(h, j, &body) : fd;
	if (r == 0)
		r = mark_attempts(h, due);
	if (r == 0)
		send_job(h, j, due, &e, cur, buf_slice(&headers), buf_slice(&body), fd);
	if (fd >= 0)
		close(fd);
	buf_done(&headers);
	buf_done(&body);
	return r;
}

static void record(struct handout *h, const struct job *j, const struct out *o, uint32_t recipient,
		   enum schedule_result said, struct slice status, struct slice text, uint64_t now_ms);

/* The message cannot be read back.  Nothing is tried with a damaged one until an
 * operator has looked at it; other errors may pass. */
static void not_handed_over(struct handout *h, const struct schedule_job *due, const struct job *j, int error,
			    uint64_t now_ms)
{
	LOG(LOG_ERR, "not-handed-over", LOG_S("id", id_slice(&due->id)), LOG_ERRNO(error));
	if (error == -ENOENT) {
		schedule_remove(h->schedule, &due->id);
		return;
	}
	if (error != -EBADMSG) {
		schedule_give_back(h->schedule, due->number, now_ms);
		return;
	}
	for (uint32_t i = 0; i < due->n; i++)
		record(h, j, NULL, due->rcpt[i], SCHEDULE_SAID_FAILED, SLICE_LIT("5.3.0"),
		       SLICE_LIT("the stored message is damaged"), now_ms);
}

static void begin(struct handout *h, const struct schedule_job *due, uint64_t now_ms)
{
	struct job *j = calloc(1, sizeof(*j));
	int r;

	if (!j) {
		schedule_give_back(h->schedule, due->number, now_ms);
		return;
	}
	list_init(&j->link);
	buf_init(&j->envelope, ENVELOPE_MAX);
	j->number = due->number;
	j->id = due->id;
	r = hand_over(h, due, j);
	if (r < 0) {
		not_handed_over(h, due, j, r, now_ms);
		job_free(j);
		return;
	}
	h->count.jobs++;
	list_push_back(&h->jobs, &j->link);
}

uint64_t handout_run(struct handout *h, uint64_t now_ms)
{
	struct schedule_job due;

	while (h->local && h->credit > 0) {
		if (channel_room(h->local) < JOB_ROOM)
			return schedule_wait_ms(h->schedule, now_ms) == UINT64_MAX ? UINT64_MAX : ROOM_MS;
		if (!schedule_next(h->schedule, now_ms, &due))
			return schedule_wait_ms(h->schedule, now_ms);
		begin(h, &due, now_ms);
	}
	return UINT64_MAX; /* credit or local will wake us */
}

/* ---- outcomes ---- */

static void record_answer(struct handout *h, const struct schedule_answer *a, uint32_t recipient,
			  struct slice status, struct slice text)
{
	struct envelope_reason why = { .failed = a->now == SCHEDULE_FAILED,
				       .attempts = a->attempts,
				       .next_ms = a->next_ms,
				       .status = status,
				       .text = text };
	struct buf detail;
	int r;

	if (a->now == SCHEDULE_DONE) {
		r = spool_outcome(h->sp, &a->id, recipient, SPOOL_DELIVERED);
	} else {
		buf_init(&detail, 1024);
		envelope_put_reason(&why, &detail);
		r = spool_mark(h->sp, &a->id, recipient, SPOOL_MARK_DEFERRED, buf_slice(&detail));
		buf_done(&detail);
	}
	if (r < 0)
		LOG(LOG_ERR, "outcome-not-recorded", LOG_S("id", id_slice(&a->id)),
		    LOG_U("recipient", recipient), LOG_ERRNO(r));
}

static void log_answer(const struct job *j, const struct out *o, const struct schedule_answer *a,
		       struct slice status, struct slice text, uint64_t now_ms)
{
	struct slice to = o ? o->address : SLICE_LIT("");

	if (a->now == SCHEDULE_DONE)
		LOG(LOG_NOTICE, "delivered", LOG_S("id", id_slice(&a->id)), LOG_S("to", to),
		    LOG_S("mailbox", o ? o->mailbox : SLICE_LIT("")),
		    LOG_U("delay_ms", now_ms > j->accepted_ms ? now_ms - j->accepted_ms : 0),
		    LOG_U("size", j->size));
	else if (a->now == SCHEDULE_DEFERRED)
		LOG(LOG_WARNING, "deferred", LOG_S("id", id_slice(&a->id)), LOG_S("to", to),
		    LOG_S("status", status), LOG_S("reason", text), LOG_U("attempts", a->attempts),
		    LOG_U("next_s", (a->next_ms - now_ms) / 1000));
	else
		LOG(LOG_ERR, "failed", LOG_S("id", id_slice(&a->id)), LOG_S("to", to),
		    LOG_S("status", status), LOG_S("reason", text), LOG_U("expired", a->expired));
}

/* o: NULL when the envelope could not be read. */
static void record(struct handout *h, const struct job *j, const struct out *o, uint32_t recipient,
		   enum schedule_result said, struct slice status, struct slice text, uint64_t now_ms)
{
	struct schedule_answer a;

	if (!schedule_answer(h->schedule, j->number, recipient, said, now_ms, &a)) {
		if (said == SCHEDULE_SAID_DELIVERED) /* removed by an operator, but too late */
			LOG(LOG_NOTICE, "delivered-after-removal", LOG_S("id", id_slice(&j->id)),
			    LOG_S("to", o ? o->address : SLICE_LIT("")));
		return;
	}
	if (a.now == SCHEDULE_DONE)
		h->count.delivered++;
	else if (a.now == SCHEDULE_DEFERRED)
		h->count.deferred++;
	else
		h->count.failed++;
	record_answer(h, &a, recipient, status, text);
	log_answer(j, o, &a, status, text, now_ms);
}

static struct job *find(struct handout *h, uint64_t number)
{
	struct list *at, *after;

	LIST_EACH (&h->jobs, at, after) {
		struct job *j = container_of(at, struct job, link);

		if (j->number == number)
			return j;
	}
	return NULL;
}

static const char *on_result(struct handout *h, const struct ipc_job_result *m, uint64_t now_ms)
{
	static const enum schedule_result said[] = { [IPC_JOB_DELIVERED] = SCHEDULE_SAID_DELIVERED,
						     [IPC_JOB_DEFERRED] = SCHEDULE_SAID_DEFERRED,
						     [IPC_JOB_FAILED] = SCHEDULE_SAID_FAILED };
	struct job *j = find(h, m->job);

	if (!j || m->result < IPC_JOB_DELIVERED || m->result > IPC_JOB_FAILED)
		return "a result of no job, or of no known kind";
	for (uint32_t i = 0; i < j->n; i++)
		if (j->out[i].n == m->recipient) {
			struct out o = j->out[i];

			j->out[i] = j->out[--j->n]; /* once is enough */
			record(h, j, &o, m->recipient, said[m->result], m->enhanced, m->text, now_ms);
			return NULL;
		}
	return "a result of nobody in this job";
}

static const char *on_credit(struct handout *h, const struct ipc_job_credit *m)
{
	struct job *j;

	if (m->job == 0) {
		h->credit += m->octets;
		return h->credit <= UINT32_MAX ? NULL : "too much credit";
	}
	j = find(h, m->job);
	if (!j || j->n > 0 || m->octets != j->cost)
		return "credit for a job that is not over, or another one";
	h->credit += m->octets;
	job_free(j);
	return NULL;
}

const char *handout_message(struct handout *h, const struct ipc_message *m, uint64_t now_ms)
{
	if (m->type == IPC_TYPE_job_result)
		return on_result(h, &m->job_result, now_ms);
	if (m->type == IPC_TYPE_job_credit)
		return on_credit(h, &m->job_credit);
	return "a message that local may not send";
}

void handout_count(const struct handout *h, struct handout_counters *ret)
{
	*ret = h->count;
}
