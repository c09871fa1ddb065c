/* local.c - the process that writes mailboxes, and nothing else.
 *
 * Queue sends a job: a message and the mailboxes it is for.  Its body is collected
 * once, or comes as a descriptor.  Where there are quotas keeper is asked for those of the
 * mailboxes; without keeper mail is delivered without a look at them.  Each mailbox is then
 * a delivery of its own, made on a thread together with others that wait (deliver/rounds.h),
 * and answered by itself.  When queue goes away, jobs that are not in new/ yet are given
 * up: the next queue hands them out again.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/turn.h"
#include "role/local_private.h"
#include "role/usage.h"

#define WINDOW (2U << 20) /* octets of jobs that queue may have under way; the last may pass it */
#define NICE   5 /* where both want a processor acceptance goes first; delivery has a quarter of it */

static void job_free(struct local_job *j)
{
	while (j->targets) {
		struct local_target *t = j->targets;

		j->targets = t->next;
		free(t);
	}
	if (j->body_fd >= 0)
		close(j->body_fd);
	buf_done(&j->body);
	buf_done(&j->text);
	list_remove(&j->link);
	free(j);
}

static struct slice job_id(const struct local_job *j)
{
	return slice_head(buf_slice(&j->text), IPC_ID_LEN);
}

static struct slice job_sender(const struct local_job *j)
{
	return slice_head(slice_tail(buf_slice(&j->text), IPC_ID_LEN), j->sender_n);
}

static struct slice job_headers(const struct local_job *j)
{
	return slice_tail(buf_slice(&j->text), IPC_ID_LEN + j->sender_n);
}

struct local_job *local_job_find(struct local *l, uint64_t number)
{
	struct list *at, *after;

	LIST_EACH (&l->jobs, at, after) {
		struct local_job *j = container_of(at, struct local_job, link);

		if (j->number == number)
			return j;
	}
	return NULL;
}

/* ---- the outcome ---- */

void local_send_credit(struct local *l, uint64_t job, size_t octets)
{
	struct ipc_message m = { .type = IPC_TYPE_job_credit,
				 .job_credit = { .job = job, .octets = (uint32_t)octets } };
	struct channel *ch = role_peer(l->role, IPC_QUEUE, 0);

	if (ch)
		channel_send(ch, &m, -1);
}

static void send_result(struct local *l, uint64_t job, uint32_t recipient, uint8_t result,
			const char *enhanced, const char *text)
{
	struct ipc_message m = { .type = IPC_TYPE_job_result,
				 .job_result = { .job = job,
						 .recipient = recipient,
						 .result = result,
						 .enhanced = slice_str(enhanced),
						 .text = slice_str(text) } };
	struct channel *ch = role_peer(l->role, IPC_QUEUE, 0);

	if (ch)
		channel_send(ch, &m, -1);
}

static void answer(struct local *l, const struct local_target *t)
{
	static const uint8_t kinds[] = { [MAILDIR_DELIVERED] = IPC_JOB_DELIVERED,
					 [MAILDIR_DEFERRED] = IPC_JOB_DEFERRED,
					 [MAILDIR_FAILED] = IPC_JOB_FAILED };

	send_result(l, t->job->number, t->recipient, kinds[t->delivery.outcome.result],
		    t->delivery.outcome.status, t->delivery.outcome.text);
}

void local_defer(struct local *l, uint64_t job, uint32_t recipient)
{
	l->deferred++;
	send_result(l, job, recipient, IPC_JOB_DEFERRED, "4.3.0", "local delivery is out of memory");
}

static void count_outcome(struct local *l, const struct local_target *t)
{
	const struct maildir_outcome *o = &t->delivery.outcome;

	if (o->result == MAILDIR_DELIVERED) {
		l->delivered++;
		l->octets += o->size;
		return;
	}
	if (o->result == MAILDIR_DEFERRED)
		l->deferred++;
	else
		l->failed++;
	/* Queue logs what becomes of the recipient; here is what an administrator can do. */
	LOG(LOG_WARNING, "mailbox-trouble", LOG_S("id", job_id(t->job)), LOG_S("mailbox", t->mailbox),
	    LOG_STR("step", o->step), LOG_ERRNO(o->error), LOG_STR("advice", o->advice ? o->advice : ""));
}

static void job_over(struct local_job *j)
{
	struct local *l = j->local;

	if (!j->lost) {
		l->n_jobs--;
		local_send_credit(l, j->number, j->cost);
	}
	if (j->complete)
		l->n_working--;
	job_free(j);
	if (l->draining && l->n_working == 0)
		role_exit(l->role);
}

static void on_delivered(void *arg, struct rounds_item *item)
{
	struct local_target *t = container_of(item, struct local_target, delivery);
	struct local_job *j = t->job;
	const char *before = turn_doing("delivered messages");

	(void)arg;
	if (!j->lost) {
		count_outcome(j->local, t);
		answer(j->local, t);
	}
	if (--j->working == 0)
		job_over(j);
	turn_doing(before);
}

/* ---- the work ---- */

static void set_message(const struct local_target *t, struct maildir_message *m)
{
	const struct local_job *j = t->job;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*m = (struct maildir_message){
		.mailbox = t->mailbox,
		.sender = job_sender(j),
		.address = t->address,
		.original = t->original,
		.headers = job_headers(j),
		.body = buf_slice(&j->body),
		.body_fd = j->body_fd,
		.body_size = j->body_size,
		.now_us = now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000,
		.give_up = &j->give_up,
		.quota = t->quota,
		.full_is_final = j->local->full_is_final,
	};
}

void local_job_begin(struct local *l, struct local_job *j)
{
	struct local_target *next;

	j->working = 1; /* ours, so that the job outlives this loop */
	for (struct local_target *t = j->targets; t; t = next) {
		next = t->next;
		j->working++;
		if (j->lacking) {
			local_defer(l, j->number, t->recipient);
			j->working--;
			continue;
		}
		set_message(t, &t->delivery.message);
		rounds_put(l->rounds, &t->delivery);
	}
	if (--j->working == 0)
		job_over(j);
	rounds_go(l->rounds);
}

static void local_message(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m,
			  int *fd)
{
	struct local *l = r->state;
	const char *broken = NULL;

	if (who == IPC_QUEUE && l->draining)
		return; /* queue sees our channel close and hands it out again */
	if (who == IPC_KEEPER && m->type == IPC_TYPE_quotas) {
		l->quotas = m->quotas.any != 0;
		return;
	}
	if (who == IPC_KEEPER && m->type == IPC_TYPE_quota_is)
		local_quota_is(l, &m->quota_is);
	else if (who == IPC_QUEUE)
		broken = local_intake(l, m, fd);
	else
		broken = "a message that local does not know";
	if (broken)
		role_peer_broken(r, who, index, broken);
}

static void local_peer(struct role *r, enum ipc_role who, unsigned index, struct channel *ch)
{
	struct local *l = r->state;
	struct list *at, *after;

	(void)index;
	if (who == IPC_KEEPER) {
		l->quotas = false; /* until it says so */
		local_quota_give_up(l, 0);
	}
	if (who != IPC_QUEUE)
		return;
	if (ch) {
		local_send_credit(l, 0, WINDOW);
		return;
	}
	LIST_EACH (&l->jobs, at, after) {
		struct local_job *j = container_of(at, struct local_job, link);

		j->lost = true;
		atomic_store(&j->give_up, true);
		list_remove(&j->link);
		if (!j->complete || j->asking > 0)
			job_over(j);
	}
	l->n_jobs = 0;
	memset(l->turned_down, 0, sizeof(l->turned_down));
}

/* ---- the role ---- */

static void set_hostname(struct local *l, const struct conf *conf)
{
	snprintf(l->hostname, sizeof(l->hostname), "%s", conf->hostname);
}

static int local_open(struct role *r)
{
	struct local *l = calloc(1, sizeof(*l));
	const char *dir = r->conf->mail_dir;

	if (!l)
		return -ENOMEM;
	r->state = l;
	l->role = r;
	list_init(&l->jobs);
	set_hostname(l, r->conf);
	l->full_is_final = r->conf->mail_full == CONF_FULL_REFUSE;
	l->maildir.hostname = l->hostname;
	l->maildir.fs = deliver_fs_real();
	mkdir(dir, 0700); /* there already, or open() says what is wrong */
	l->maildir.root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->maildir.root < 0 || faccessat(l->maildir.root, ".", W_OK | X_OK, AT_EACCESS) < 0) {
		int err = errno;

		LOG(LOG_ERR, "mail-dir-unusable", LOG_STR("mail_dir", dir), LOG_ERRNO(err),
		    LOG_STR("advice",
			    "make mailboxes.dir and give it to mailboxes.user and mailboxes.group"));
		return -err;
	}
	setenv("UV_THREADPOOL_SIZE", ROUNDS_THREADS, 0);
	(void)!nice(NICE);
	return rounds_new(r->loop, &l->maildir, on_delivered, l, &l->rounds);
}

static int local_start(struct role *r)
{
	local_quota_start(r->state);
	return 0;
}

static void local_reconfigured(struct role *r, const struct conf *old)
{
	struct local *l = r->state;

	(void)old;
	l->full_is_final = r->conf->mail_full == CONF_FULL_REFUSE;
}

static void local_request(struct role *r, struct role_request *req)
{
	const struct local *l = r->state;

	usage_request(r, l->maildir.root, req);
}

static void local_status(struct role *r, json_t *to)
{
	const struct local *l = r->state;

	json_object_set_new(to, "jobs", json_integer(l->n_jobs));
	json_object_set_new(to, "delivered", json_integer((json_int_t)l->delivered));
	json_object_set_new(to, "deferred", json_integer((json_int_t)l->deferred));
	json_object_set_new(to, "failed", json_integer((json_int_t)l->failed));
	json_object_set_new(to, "octets", json_integer((json_int_t)l->octets));
	json_object_set_new(to, "quotas_unknown", json_integer((json_int_t)l->quotas_unknown));
}

static void local_drain(struct role *r, unsigned seconds)
{
	struct local *l = r->state;

	l->draining = true;
	if (l->n_working == 0 || seconds == 0)
		role_exit(r);
}

const struct role_ops role_local = {
	.id = IPC_LOCAL,
	.open = local_open,
	.start = local_start,
	.reconfigured = local_reconfigured,
	.peer = local_peer,
	.message = local_message,
	.request = local_request,
	.status = local_status,
	.drain = local_drain,
};
