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

#include "base/list.h"
#include "base/log.h"
#include "base/turn.h"
#include "deliver/rounds.h"
#include "role/role.h"
#include "role/usage.h"

#define JOBS_MAX      64
#define MAILBOXES_MAX 128
#define BODY_MAX      (2U << 20) /* in memory; larger ones come as a descriptor */
#define WINDOW	      (2U << 20) /* octets of jobs that queue may have under way; the last may pass it */
#define QUOTA_MS      2000	 /* then keeper does not answer, and mail goes first */
#define NICE	      5 /* where both want a processor acceptance goes first; delivery has a quarter of it */

struct job;

struct target {
	struct rounds_item delivery;
	struct job *job;
	struct target *next;
	uint32_t recipient;
	uint64_t quota;				 /* octets; 0: any */
	bool asked;				 /* keeper has not told it yet */
	struct slice mailbox, address, original; /* in bytes */
	unsigned char bytes[];
};

struct job {
	struct list link;
	struct local *local;
	bool lost; /* its queue is gone: answer nobody */
	uint64_t number;
	uint64_t body_size;
	int body_fd;
	struct buf body, text; /* text: id, sender, headers */
	size_t sender_n;
	struct target *targets, **last;
	unsigned n, working;
	size_t cost;
	unsigned asking; /* quotas that keeper has not told yet */
	uint64_t asked_ms;
	bool complete;
	bool lacking; /* something of it could not be kept: every mailbox is deferred */
	atomic_bool give_up;
};

/* A job that there was no memory for at all: answered as it comes. */
struct turned_down {
	uint64_t number;
	size_t cost;
	bool open;
};

struct local {
	struct role *role;
	struct maildir_setup maildir;
	char hostname[256];
	struct rounds *rounds;
	bool full_is_final;
	bool quotas; /* keeper says that there are some */
	uv_timer_t patience;
	uint64_t quotas_unknown;
	struct list jobs;
	struct turned_down turned_down[JOBS_MAX];
	unsigned n_jobs;    /* of the queue that is there */
	unsigned n_working; /* begun and not finished, lost ones too */
	bool draining;
	uint64_t delivered, deferred, failed, octets;
};

static void job_free(struct job *j)
{
	while (j->targets) {
		struct target *t = j->targets;

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

static struct slice job_id(const struct job *j)
{
	return slice_head(buf_slice(&j->text), IPC_ID_LEN);
}

static struct slice job_sender(const struct job *j)
{
	return slice_head(slice_tail(buf_slice(&j->text), IPC_ID_LEN), j->sender_n);
}

static struct slice job_headers(const struct job *j)
{
	return slice_tail(buf_slice(&j->text), IPC_ID_LEN + j->sender_n);
}

static struct job *find(struct local *l, uint64_t number)
{
	struct list *at, *after;

	LIST_EACH (&l->jobs, at, after) {
		struct job *j = container_of(at, struct job, link);

		if (j->number == number)
			return j;
	}
	return NULL;
}

/* ---- the outcome ---- */

static void send_credit(struct local *l, uint64_t job, size_t octets)
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

static void answer(struct local *l, const struct target *t)
{
	static const uint8_t kinds[] = { [MAILDIR_DELIVERED] = IPC_JOB_DELIVERED,
					 [MAILDIR_DEFERRED] = IPC_JOB_DEFERRED,
					 [MAILDIR_FAILED] = IPC_JOB_FAILED };

	send_result(l, t->job->number, t->recipient, kinds[t->delivery.outcome.result],
		    t->delivery.outcome.status, t->delivery.outcome.text);
}

/* For want of memory: nobody waits for more than this one recipient. */
static void defer(struct local *l, uint64_t job, uint32_t recipient)
{
	l->deferred++;
	send_result(l, job, recipient, IPC_JOB_DEFERRED, "4.3.0", "local delivery is out of memory");
}

static void count_outcome(struct local *l, const struct target *t)
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

static void job_over(struct job *j)
{
	struct local *l = j->local;

	if (!j->lost) {
		l->n_jobs--;
		send_credit(l, j->number, j->cost);
	}
	if (j->complete)
		l->n_working--;
	job_free(j);
	if (l->draining && l->n_working == 0)
		role_exit(l->role);
}

static void on_delivered(void *arg, struct rounds_item *item)
{
	struct target *t = container_of(item, struct target, delivery);
	struct job *j = t->job;
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

static void set_message(const struct target *t, struct maildir_message *m)
{
	const struct job *j = t->job;
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

/* All of it is here, and the quotas are known or will not be. */
static void begin(struct local *l, struct job *j)
{
	struct target *next;

	j->working = 1; /* ours, so that the job outlives this loop */
	for (struct target *t = j->targets; t; t = next) {
		next = t->next;
		j->working++;
		if (j->lacking) {
			defer(l, j->number, t->recipient);
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

/* ---- quotas ---- */

/* Keeper is silent or gone: what it has not told counts as no quota. */
static void ask_no_more(struct local *l, struct job *j)
{
	for (struct target *t = j->targets; t; t = t->next) {
		l->quotas_unknown += t->asked;
		t->asked = false;
	}
	j->asking = 0;
	begin(l, j);
}

static void ask_no_more_after(struct local *l, uint64_t patience_ms)
{
	uint64_t now = uv_now(l->role->loop);
	struct list *at, *after;

	LIST_EACH (&l->jobs, at, after) {
		struct job *j = container_of(at, struct job, link);

		if (j->asking > 0 && now - j->asked_ms >= patience_ms)
			ask_no_more(l, j);
	}
}

static void on_patience(uv_timer_t *t)
{
	struct local *l = t->data;
	struct list *at, *after;

	ask_no_more_after(l, QUOTA_MS / 2);
	LIST_EACH (&l->jobs, at, after)
		if (container_of(at, struct job, link)->asking > 0) {
			uv_timer_start(t, on_patience, QUOTA_MS / 2, 0);
			return;
		}
}

static void ask_quotas(struct local *l, struct job *j)
{
	struct channel *keeper = role_peer(l->role, IPC_KEEPER, 0);

	j->complete = true;
	l->n_working++;
	j->asked_ms = uv_now(l->role->loop);
	for (struct target *t = j->targets; t && l->quotas && keeper; t = t->next) {
		struct ipc_message m = {
			.type = IPC_TYPE_quota,
			.quota = { .job = j->number, .recipient = t->recipient, .mailbox = t->mailbox }
		};

		if (channel_send(keeper, &m, -1) < 0)
			break;
		t->asked = true;
		j->asking++;
	}
	if (j->asking == 0)
		begin(l, j);
	else if (!uv_is_active((uv_handle_t *)&l->patience))
		uv_timer_start(&l->patience, on_patience, QUOTA_MS, 0);
}

static const char *on_quota_is(struct local *l, const struct ipc_quota_is *m)
{
	struct job *j = find(l, m->job);
	struct target *t = j ? j->targets : NULL;

	while (t && !(t->recipient == m->recipient && t->asked))
		t = t->next;
	if (!t)
		return NULL; /* too late */
	t->asked = false;
	t->quota = m->octets;
	if (--j->asking == 0)
		begin(l, j);
	return NULL;
}

/* ---- what queue says ---- */

static struct turned_down *find_turned_down(struct local *l, uint64_t number)
{
	for (unsigned i = 0; i < JOBS_MAX; i++)
		if (l->turned_down[i].open && l->turned_down[i].number == number)
			return &l->turned_down[i];
	return NULL;
}

static const char *turn_down(struct local *l, uint64_t number, size_t cost)
{
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		struct turned_down *t = &l->turned_down[i];

		if (t->open)
			continue;
		*t = (struct turned_down){ .number = number, .cost = cost, .open = true };
		return NULL;
	}
	return "more open jobs than there can be";
}

static const char *on_job(struct local *l, const struct ipc_job *m)
{
	struct job *j;

	if (l->n_jobs >= JOBS_MAX || find(l, m->job) || find_turned_down(l, m->job) || m->id.n != IPC_ID_LEN)
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

static struct slice keep(struct target *t, size_t *at, struct slice s)
{
	unsigned char *p = t->bytes + *at;

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	*at += s.n;
	return slice_of(p, s.n);
}

static const char *on_mailbox(struct local *l, const struct ipc_job_mailbox *m)
{
	struct job *j = find(l, m->job);
	struct turned_down *no = find_turned_down(l, m->job);
	size_t size = m->mailbox.n + m->address.n + m->original.n, at = 0;
	struct target *t;

	if (no) {
		no->cost += size;
		defer(l, m->job, m->recipient);
		return NULL;
	}
	if (!j || j->complete || j->n >= MAILBOXES_MAX)
		return "a mailbox of no open job, or one too many";
	j->n++;
	j->cost += size;
	t = calloc(1, sizeof(*t) + size);
	if (!t) {
		defer(l, m->job, m->recipient);
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
	struct job *j = find(l, m->job);
	struct turned_down *no = find_turned_down(l, m->job);
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
	struct job *j = find(l, m->job);
	struct turned_down *no = find_turned_down(l, m->job);

	if (no) {
		no->open = false;
		send_credit(l, no->number, no->cost);
		return NULL;
	}
	if (!j || j->complete || j->n == 0)
		return "the end of no open job";
	if (!j->lacking && j->body_fd < 0 && j->body.n != j->body_size)
		return "a body of another size than was said";
	ask_quotas(l, j);
	return NULL;
}

static void local_message(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m,
			  int *fd)
{
	struct local *l = r->state;
	const char *broken = "a message that local does not know";

	if (who == IPC_QUEUE && l->draining)
		return; /* queue sees our channel close and hands it out again */
	if (who == IPC_KEEPER && m->type == IPC_TYPE_quotas) {
		l->quotas = m->quotas.any != 0;
		return;
	}
	if (who == IPC_KEEPER && m->type == IPC_TYPE_quota_is)
		broken = on_quota_is(l, &m->quota_is);
	if (who == IPC_QUEUE && m->type == IPC_TYPE_job)
		broken = on_job(l, &m->job);
	else if (who == IPC_QUEUE && m->type == IPC_TYPE_job_mailbox)
		broken = on_mailbox(l, &m->job_mailbox);
	else if (who == IPC_QUEUE && m->type == IPC_TYPE_job_body)
		broken = on_body(l, &m->job_body, fd);
	else if (who == IPC_QUEUE && m->type == IPC_TYPE_job_end)
		broken = on_end(l, &m->job_end);
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
		ask_no_more_after(l, 0);
	}
	if (who != IPC_QUEUE)
		return;
	if (ch) {
		send_credit(l, 0, WINDOW);
		return;
	}
	LIST_EACH (&l->jobs, at, after) {
		struct job *j = container_of(at, struct job, link);

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
	struct local *l = r->state;

	uv_timer_init(r->loop, &l->patience);
	l->patience.data = l;
	uv_unref((uv_handle_t *)&l->patience);
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
