/* local_intake.c - what queue says to role local: jobs, piece by piece.
 *
 * A job that there is no memory for is not a mistake of queue's: its recipients are deferred
 * as they come, and its end is waited for.
 */
#include <sys/stat.h>

#include "role/local_private.h"

#define MAILBOXES_MAX 128
#define BODY_MAX      (2U << 20) /* in memory; larger ones come as a descriptor */

static struct local_turned_down *find_turned_down(struct local *l, uint64_t number)
{
	for (unsigned i = 0; i < LOCAL_JOBS_MAX; i++)
		if (l->turned_down[i].open && l->turned_down[i].number == number)
			return &l->turned_down[i];
	return NULL;
}

static const char *turn_down(struct local *l, uint64_t number, size_t cost)
{
	for (unsigned i = 0; i < LOCAL_JOBS_MAX; i++) {
		struct local_turned_down *t = &l->turned_down[i];

		if (t->open)
			continue;
		*t = (struct local_turned_down){ .number = number, .cost = cost, .open = true };
		return NULL;
	}
	return "more open jobs than there can be";
}

static const char *on_job(struct local *l, const struct ipc_job *m)
{
	struct local_job *j;

	if (l->n_jobs >= LOCAL_JOBS_MAX || local_job_find(l, m->job) || find_turned_down(l, m->job) ||
	    m->id.n != IPC_ID_LEN)
		return "a job too many, or twice";
	j = calloc(1, sizeof(*j));
	if (!j)
		return turn_down(l, m->job, m->sender.n + m->headers.n);
	j->local = l;
	j->number = m->job;
	j->body_size = m->body_size;
	j->body_fd = -1;
	j->last = &j->targets;
	j->sender_n = m->sender.n;
	j->cost = m->sender.n + m->headers.n;
	buf_init(&j->body, BODY_MAX);
	buf_init(&j->text, IPC_ID_LEN + IPC_ADDRESS_MAX + IPC_CHUNK_MAX);
	buf_put(&j->text, m->id);
	buf_put(&j->text, m->sender);
	buf_put(&j->text, m->headers);
	list_push_back(&l->jobs, &j->link);
	l->n_jobs++;
	j->lacking = !buf_ok(&j->text);
	return NULL;
}

static struct slice keep(struct local_target *t, size_t *at, struct slice s)
{
	unsigned char *p = t->bytes + *at;

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	*at += s.n;
	return slice_of(p, s.n);
}

static const char *on_mailbox(struct local *l, const struct ipc_job_mailbox *m)
{
	struct local_job *j = local_job_find(l, m->job);
	struct local_turned_down *no = find_turned_down(l, m->job);
	size_t size = m->mailbox.n + m->address.n + m->original.n, at = 0;
	struct local_target *t;

	if (no) {
		no->cost += size;
		local_defer(l, m->job, m->recipient);
		return NULL;
	}
	if (!j || j->complete || j->n >= MAILBOXES_MAX)
		return "a mailbox of no open job, or one too many";
	j->n++;
	j->cost += size;
	t = calloc(1, sizeof(*t) + size);
	if (!t) {
		local_defer(l, m->job, m->recipient);
		return NULL;
	}
	t->job = j;
	t->recipient = m->recipient;
	t->mailbox = keep(t, &at, m->mailbox);
	t->address = keep(t, &at, m->address);
	t->original = keep(t, &at, m->original);
	*j->last = t;
	j->last = &t->next;
	return NULL;
}

static const char *on_body(struct local *l, const struct ipc_job_body *m, int *fd)
{
	struct local_job *j = local_job_find(l, m->job);
	struct local_turned_down *no = find_turned_down(l, m->job);
	struct stat st;

	if (no) {
		no->cost += m->data.n;
		return NULL;
	}
	if (!j || j->complete || j->body_fd >= 0)
		return "a body of no open job";
	if (!m->in_file) {
		j->cost += m->data.n;
		if (!j->lacking && m->data.n > buf_room(&j->body))
			return "a body too long";
		buf_put(&j->body, m->data);
		j->lacking |= !buf_ok(&j->body);
		return NULL;
	}
	if (*fd < 0) { /* the kernel had none for us: see channel.h */
		j->lacking = true;
		return NULL;
	}
	if (fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode))
		return "a body that is no file";
	j->body_fd = *fd;
	*fd = -1;
	return NULL;
}

static const char *on_end(struct local *l, const struct ipc_job_end *m)
{
	struct local_job *j = local_job_find(l, m->job);
	struct local_turned_down *no = find_turned_down(l, m->job);

	if (no) {
		no->open = false;
		local_send_credit(l, no->number, no->cost);
		return NULL;
	}
	if (!j || j->complete || j->n == 0)
		return "the end of no open job";
	if (!j->lacking && j->body_fd < 0 && j->body.n != j->body_size)
		return "a body of another size than was said";
	local_quota_ask(l, j);
	return NULL;
}

const char *local_intake(struct local *l, const struct ipc_message *m, int *fd)
{
	switch (m->type) {
	case IPC_TYPE_job:
		return on_job(l, &m->job);
	case IPC_TYPE_job_mailbox:
		return on_mailbox(l, &m->job_mailbox);
	case IPC_TYPE_job_body:
		return on_body(l, &m->job_body, fd);
	case IPC_TYPE_job_end:
		return on_end(l, &m->job_end);
	default:
		return "a message that local does not know";
	}
}
