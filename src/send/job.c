#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "send/private.h"

static struct send_job *find(struct send *s, uint64_t number)
{
	struct list *bucket = send_table_bucket(&s->job_by, number), *at, *after;

	LIST_EACH (bucket, at, after) {
		struct send_job *j = container_of(at, struct send_job, bucket);

		if (j->number == number)
			return j;
	}
	return NULL;
}

void send_job_free(struct send_job *j)
{
	while (j->rcpts) {
		struct send_rcpt *r = j->rcpts;

		j->rcpts = r->next;
		free(r);
	}
	if (j->body_fd >= 0)
		close(j->body_fd);
	buf_done(&j->text);
	buf_done(&j->body);
	free(j->to);
	free(j->number_of);
	list_remove(&j->link);
	list_remove(&j->bucket);
	if (j->lane) {
		list_remove(&j->in_lane);
		j->lane->n_jobs--;
	}
	j->send->n_jobs--;
	free(j);
}

/* ---- what queue says ---- */

/* No memory even to know it by: only what it costs is remembered, so that it can go back. */
static struct send_lost *find_lost(struct send *s, uint64_t number)
{
	for (size_t i = 0; i < SEND_LOST_MAX; i++)
		if (s->lost[i].number == number)
			return &s->lost[i];
	return NULL;
}

static void tell_back(struct send *s, uint64_t number, const char *enhanced, struct slice text)
{
	struct ipc_message m = { .type = IPC_TYPE_job_back,
				 .job_back = { .job = number,
					       .enhanced = slice_str(enhanced),
					       .text = slice_head(text, IPC_TEXT_MAX) } };

	if (s->queue)
		channel_send(s->queue, &m, -1);
}

static void tell_credit(struct send *s, uint64_t number, size_t cost)
{
	struct ipc_message m = { .type = IPC_TYPE_job_credit,
				 .job_credit = { .job = number, .octets = (uint32_t)cost } };

	if (s->queue)
		channel_send(s->queue, &m, -1);
}

static const char *begin_lost(struct send *s, const struct ipc_job *m)
{
	struct send_lost *lost = find_lost(s, 0);

	if (!lost)
		return "out of memory, many times";
	lost->number = m->job;
	lost->cost = m->sender.n + m->envid.n + m->headers.n;
	return NULL;
}

static const char *end_lost(struct send *s, struct send_lost *lost)
{
	tell_back(s, lost->number, "4.3.0", SLICE_LIT("out of memory"));
	tell_credit(s, lost->number, lost->cost);
	*lost = (struct send_lost){ 0 };
	return NULL;
}

/* Queue counts those that it has not had every result of.  Of the one under way all recipients may have
 * been refused, while the server has yet to answer the end of it. */
static bool has_too_many(const struct lane *l)
{
	bool told = l->job && l->job->told == l->job->n;

	return l->n_jobs >= SEND_JOBS_IN_LANE + (told ? 1U : 0U);
}

const char *send_job_begin(struct send *s, const struct ipc_job *m)
{
	struct lane *l = lane_find(s, m->lane);
	struct send_job *j;
	struct id id;

	if (s->n_jobs >= SEND_JOBS_MAX || m->job == 0 || find(s, m->job) || find_lost(s, m->job) ||
	    !id_parse(m->id, &id) || (l && has_too_many(l)))
		return "a job too many, or twice";
	j = calloc(1, sizeof(*j));
	if (!j)
		return begin_lost(s, m);
	j->send = s;
	j->number = m->job;
	j->id = id;
	j->body_size = m->body_size;
	j->body_fd = -1;
	j->last = &j->rcpts;
	j->sender_n = m->sender.n;
	j->envid_n = m->envid.n;
	j->smtputf8 = m->smtputf8;
	j->eightbit = m->eightbit;
	j->requiretls = m->requiretls;
	j->mt_priority = m->mt_priority;
	j->ret = m->ret;
	j->cost = m->sender.n + m->envid.n + m->headers.n;
	buf_init(&j->body, SEND_BODY_MAX);
	buf_init(&j->text, IPC_ADDRESS_MAX + 128 + IPC_CHUNK_MAX);
	buf_put(&j->text, m->sender);
	buf_put(&j->text, m->envid);
	buf_put(&j->text, m->headers);
	list_push_back(&s->jobs, &j->link);
	list_push_back(send_table_bucket(&s->job_by, j->number), &j->bucket);
	list_init(&j->in_lane);
	j->lane = l;
	if (l) {
		list_push_back(&l->jobs, &j->in_lane);
		l->n_jobs++;
	}
	s->n_jobs++;
	j->no_memory = !buf_ok(&j->text);
	return NULL;
}

static struct slice keep(struct send_rcpt *r, size_t *at, struct slice s)
{
	unsigned char *p = r->bytes + *at;

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	*at += s.n;
	return slice_of(p, s.n);
}

const char *send_job_rcpt(struct send *s, const struct ipc_job_rcpt *m)
{
	struct send_job *j = find(s, m->job);
	struct send_lost *lost = find_lost(s, m->job);
	struct send_rcpt *r;
	size_t at = 0;

	if (lost && m->job > 0) {
		lost->cost += m->address.n + m->orcpt.n;
		return NULL;
	}
	if (!j || j->complete || j->n >= SEND_RCPTS_MAX)
		return "a recipient of no open job, or one too many";
	j->cost += m->address.n + m->orcpt.n;
	j->n++;
	r = calloc(1, sizeof(*r) + m->address.n + m->orcpt.n);
	if (!r) {
		j->no_memory = true;
		return NULL;
	}
	r->recipient = m->recipient;
	r->notify = m->notify;
	r->address = keep(r, &at, m->address);
	r->orcpt = keep(r, &at, m->orcpt);
	*j->last = r;
	j->last = &r->next;
	return NULL;
}

const char *send_job_body(struct send *s, const struct ipc_job_body *m, int *fd)
{
	struct send_job *j = find(s, m->job);
	struct send_lost *lost = find_lost(s, m->job);
	struct stat st;

	if (lost && m->job > 0) {
		lost->cost += m->in_file ? 0 : m->data.n;
		return NULL;
	}
	if (!j || j->complete || j->body_fd >= 0)
		return "a body of no open job";
	if (!m->in_file) {
		if (j->body.n + m->data.n > SEND_BODY_MAX || (j->no_memory && j->cost > 2 * SEND_BODY_MAX))
			return "a body too long";
		buf_put(&j->body, m->data);
		j->cost += m->data.n;
		j->no_memory |= !buf_ok(&j->body);
		return NULL;
	}
	if (*fd < 0 || fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode))
		return "a body that is no file";
	j->body_fd = *fd;
	*fd = -1;
	return NULL;
}

const char *send_job_end(struct send *s, const struct ipc_job_end *m)
{
	struct send_job *j = find(s, m->job);
	struct send_lost *lost = find_lost(s, m->job);

	if (lost && m->job > 0)
		return end_lost(s, lost);
	if (!j || j->complete || j->n == 0)
		return "the end of no open job";
	if (j->body_fd < 0 && j->body.n != j->body_size && !j->no_memory)
		return "a body of another size than was said";
	j->complete = true;
	if (j->lane && !j->no_memory) {
		lane_work(j->lane);
		return NULL;
	}
	if (j->no_memory)
		send_job_back(j, "4.3.0", SLICE_LIT("out of memory"));
	else
		send_job_back(j, "4.4.2", SLICE_LIT("the connection is closed already"));
	send_job_over(j);
	return NULL;
}

/* ---- under way ---- */

bool send_job_ready(struct send_job *j)
{
	struct slice text = buf_slice(&j->text);
	uint32_t i = 0;

	free(j->to);
	free(j->number_of);
	j->to = calloc(j->n, sizeof(*j->to));
	j->number_of = calloc(j->n, sizeof(*j->number_of));
	if (!j->to || !j->number_of)
		return false;
	for (struct send_rcpt *r = j->rcpts; r; r = r->next, i++) {
		j->to[i] = (struct smtp_client_rcpt){ r->address, r->notify, r->orcpt };
		j->number_of[i] = r->recipient;
	}
	j->message = (struct smtp_client_message){
		.sender = slice_head(text, j->sender_n),
		.envid = slice_head(slice_tail(text, j->sender_n), j->envid_n),
		.size = text.n - j->sender_n - j->envid_n + j->body_size,
		.eightbit = j->eightbit,
		.smtputf8 = j->smtputf8,
		.requiretls = j->requiretls,
		.mt_priority = j->mt_priority,
		.ret = j->ret,
		.rcpt = j->to,
		.recipients = j->n,
	};
	return true;
}

ssize_t send_job_read(struct send_job *j, unsigned char *room, size_t size, struct slice *ret)
{
	struct slice headers = slice_tail(buf_slice(&j->text), j->sender_n + j->envid_n);
	uint64_t at = j->sent - headers.n, left;
	ssize_t n;

	if (j->sent < headers.n) {
		*ret = slice_tail(headers, (size_t)j->sent);
		return (ssize_t)ret->n;
	}
	if (j->body_fd < 0) {
		*ret = slice_tail(buf_slice(&j->body), (size_t)at);
		return (ssize_t)ret->n;
	}
	left = j->body_size - at;
	if (left == 0)
		return 0;
	n = pread(j->body_fd, room, left < size ? (size_t)left : size, (off_t)at);
	if (n <= 0)
		return n < 0 ? -errno : -EBADMSG;
	*ret = slice_of(room, (size_t)n);
	return n;
}

/* ---- what came of it ---- */

static void count(struct send *s, const struct smtp_client_ask *a)
{
	if (a->result == SMTP_CLIENT_DELIVERED)
		s->count.delivered++;
	else if (a->result == SMTP_CLIENT_DEFERRED)
		s->count.deferred++;
	else
		s->count.failures++;
	s->count.in_doubt += a->in_doubt;
}

/* In the server's own words, code and all. */
void send_job_result(struct send_job *j, const struct smtp_client_ask *a)
{
	static const uint8_t kinds[] = { [SMTP_CLIENT_DELIVERED] = IPC_JOB_DELIVERED,
					 [SMTP_CLIENT_DEFERRED] = IPC_JOB_DEFERRED,
					 [SMTP_CLIENT_FAILED] = IPC_JOB_FAILED };
	struct ipc_message m = { .type = IPC_TYPE_job_result,
				 .job_result = { .job = j->number,
						 .recipient = j->number_of[a->recipient],
						 .result = kinds[a->result],
						 .in_doubt = a->in_doubt,
						 .relayed = a->relayed,
						 .enhanced = slice_str(a->enhanced),
						 .code = (uint16_t)a->code,
						 .step = (uint8_t)a->step } };
	char text[IPC_TEXT_MAX];

	if (a->code > 0)
		snprintf(text, sizeof(text), "%d %s %.*s", a->code, a->enhanced, SLICE_ARG(a->text));
	else
		snprintf(text, sizeof(text), "%.*s%s", SLICE_ARG(a->text),
			 a->in_doubt ? " (it may have been delivered)" : "");
	m.job_result.text = slice_str(text);
	count(j->send, a);
	j->told++;
	if (j->send->queue)
		channel_send(j->send->queue, &m, -1);
}

void send_job_back(struct send_job *j, const char *enhanced, struct slice text)
{
	tell_back(j->send, j->number, enhanced, text);
}

void send_job_over(struct send_job *j)
{
	tell_credit(j->send, j->number, j->cost);
	send_job_free(j);
}
