#include "queue/carrier.h"

#include <stdlib.h>

#define JOB_ROOM (3U << 20) /* that the channel must have before a job is begun */

int carrier_init(struct carrier *c)
{
	*c = (struct carrier){ 0 };
	return map_init(&c->jobs);
}

void carrier_done(struct carrier *c)
{
	if (c->jobs.bucket)
		carrier_peer(c, NULL);
	map_done(&c->jobs);
}

void carrier_peer(struct carrier *c, struct channel *ch)
{
	struct map_node *node;

	while ((node = map_next(&c->jobs, NULL)))
		carrier_job_free(container_of(node, struct carrier_job, node));
	c->ch = ch;
	c->credit = 0; /* it says how much it takes */
}

bool carrier_ready(const struct carrier *c)
{
	return c->ch && c->credit > 0;
}

bool carrier_has_room(const struct carrier *c)
{
	return carrier_ready(c) && c->jobs.n < CARRIER_JOBS && channel_room(c->ch) >= JOB_ROOM;
}

/* ---- jobs ---- */

struct carrier_job *carrier_job_new(const struct schedule_job *due)
{
	struct carrier_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	list_init(&j->in_lane);
	buf_init(&j->envelope, ENVELOPE_MAX);
	j->number = due->number;
	j->id = due->id;
	j->attempt = due->attempt;
	return j;
}

void carrier_job_free(struct carrier_job *j)
{
	if (j->carrier)
		map_remove(&j->carrier->jobs, &j->node);
	list_remove(&j->in_lane);
	buf_done(&j->envelope);
	free(j);
}

struct carrier_job *carrier_find(struct carrier *c, uint64_t number)
{
	struct map_node *node = map_find(&c->jobs, slice_of(&number, sizeof(number)));

	return node ? container_of(node, struct carrier_job, node) : NULL;
}

bool carrier_job_take(struct carrier_job *j, uint32_t recipient, struct carrier_rcpt *ret)
{
	for (uint32_t i = 0; i < j->n; i++)
		if (j->out[i].n == recipient) {
			*ret = j->out[i];
			j->out[i] = j->out[--j->n]; /* once is enough */
			return true;
		}
	return false;
}

bool carrier_job_names(struct carrier_job *j, struct carrier_load *load)
{
	struct slice cur = load->recipients, sender = load->e.sender;
	struct envelope_rcpt r;
	uint32_t at = 0;

	/* The job's recipients are in order, as those of the envelope. */
	for (uint32_t i = 0; i < load->e.recipients && at < load->due->n; i++) {
		if (!envelope_get_rcpt(&cur, &r))
			return false;
		if (load->due->rcpt[at] != i)
			continue;
		at++;
		if (j->n == 0 && r.sender.n > 0)
			sender = r.sender;
		if (!load->any_sender && !slice_eq(r.sender.n > 0 ? r.sender : load->e.sender, sender))
			load->other[load->others++] = i;
		else
			j->out[j->n++] = (struct carrier_rcpt){ .n = i,
								.address = r.address,
								.mailbox = r.mailbox,
								.original = r.original,
								.orcpt = r.orcpt,
								.notify = r.notify };
	}
	load->e.sender = sender;
	return at == load->due->n;
}

/* ---- handing over ---- */

static void put_mailbox(struct carrier *c, struct carrier_job *j, const struct envelope_rcpt *r, uint32_t n)
{
	struct ipc_message m = { .type = IPC_TYPE_job_mailbox,
				 .job_mailbox = { .job = j->number,
						  .recipient = n,
						  .mailbox = r->mailbox,
						  .address = r->address,
						  .original = r->original } };

	j->cost += r->mailbox.n + r->address.n + r->original.n;
	channel_send(c->ch, &m, -1);
}

/* Another server that writes our mailboxes may sort by what stands behind the name: it gets the address
 * as the client wrote it, if that leads to the same account by itself (ann+list@ for ann@, but no
 * alias). */
static struct slice with_detail(const struct envelope_rcpt *r, char delimiter)
{
	size_t at = slice_rfind(r->address, '@'), was = slice_rfind(r->original, '@');

	if (at >= r->address.n || was >= r->original.n || was <= at ||
	    !slice_eq_nocase(slice_tail(r->address, at), slice_tail(r->original, was)) ||
	    !slice_eq_nocase(slice_head(r->address, at), slice_head(r->original, at)) || delimiter == '\0' ||
	    r->original.p[at] != (unsigned char)delimiter)
		return r->address;
	return r->original;
}

static void put_rcpt(struct carrier *c, struct carrier_job *j, const struct carrier_load *load,
		     const struct envelope_rcpt *r, uint32_t n)
{
	struct slice to = j->way == CARRIER_LMTP ? with_detail(r, load->delimiter) : r->address;
	struct ipc_message m = { .type = IPC_TYPE_job_rcpt,
				 .job_rcpt = { .job = j->number,
					       .recipient = n,
					       .notify = r->notify,
					       .address = to,
					       .orcpt = r->orcpt } };

	j->cost += to.n + r->orcpt.n;
	channel_send(c->ch, &m, -1);
}

static void put_head(struct carrier *c, struct carrier_job *j, const struct carrier_load *load)
{
	struct ipc_message m = { .type = IPC_TYPE_job,
				 .job = { .job = j->number,
					  .id = id_slice(&j->id),
					  .time_ms = j->accepted_ms,
					  .sender = load->e.sender,
					  .body_size = j->size,
					  .headers = load->headers,
					  .lane = j->way == CARRIER_LOCAL ? 0 : j->lane } };

	if (j->way != CARRIER_LOCAL) {
		m.job.smtputf8 = load->e.smtputf8;
		m.job.eightbit = load->e.eightbit;
		m.job.ret = load->e.ret;
		m.job.envid = load->e.envid;
		m.job.requiretls = load->e.requiretls;
		m.job.mt_priority = load->e.mt_priority;
	}
	j->cost = m.job.sender.n + m.job.headers.n + m.job.envid.n;
	channel_send(c->ch, &m, -1);
}

static void put_body(struct carrier *c, struct carrier_job *j, struct slice body, int fd)
{
	struct ipc_message m = { .type = IPC_TYPE_job_body,
				 .job_body = { .job = j->number, .in_file = fd >= 0 } };

	if (fd >= 0)
		channel_send(c->ch, &m, fd);
	for (; body.n > 0; body = slice_tail(body, m.job_body.data.n)) {
		m.job_body.data = slice_head(body, IPC_CHUNK_MAX);
		j->cost += m.job_body.data.n;
		channel_send(c->ch, &m, -1);
	}
}

void carrier_send(struct carrier *c, struct carrier_job *j, const struct carrier_load *load)
{
	struct ipc_message end = { .type = IPC_TYPE_job_end, .job_end = { .job = j->number } };
	struct slice cur = load->recipients;
	struct envelope_rcpt r;
	uint32_t at = 0;

	put_head(c, j, load);
	for (uint32_t i = 0; at < j->n && envelope_get_rcpt(&cur, &r); i++) {
		if (j->out[at].n != i)
			continue;
		if (j->way != CARRIER_LOCAL)
			put_rcpt(c, j, load, &r, i);
		else
			put_mailbox(c, j, &r, i);
		at++;
	}
	put_body(c, j, load->body, load->fd);
	channel_send(c->ch, &end, -1);
	c->credit -= (int64_t)j->cost;
	j->carrier = c;
	map_insert(&c->jobs, &j->node, slice_of(&j->number, sizeof(j->number)));
}

const char *carrier_credit(struct carrier *c, const struct ipc_job_credit *m, struct carrier_job **ret_over)
{
	struct carrier_job *j;

	if (m->job == 0) {
		c->credit += m->octets;
		return c->credit <= UINT32_MAX ? NULL : "too much credit";
	}
	j = carrier_find(c, m->job);
	if (!j || (j->n > 0 && !j->lost) || m->octets != j->cost)
		return "credit for a job that is not over, or another one";
	c->credit += m->octets;
	c->losses = 0;
	*ret_over = j;
	return NULL;
}
