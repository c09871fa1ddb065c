#include "queue/intake.h"

#include <errno.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "queue/admit.h"

#define CREDIT_AT 32768 /* octets taken before credit for them goes back */

struct transaction {
	struct map_node node;
	uint64_t tx; /* the map's key */
	struct spool_body *body;
	struct buf recipients; /* encoded */
	uint32_t n;	       /* of them */
	uint32_t owed;	       /* credit not given back yet */
	int failed;	       /* 0, or the errno that its commit is answered with */
};

/* Waits for the disk.  Belongs to no channel: it may outlive it. */
struct commit {
	struct map_node node; /* by id: the same id must not be taken twice */
	struct id id;
	unsigned peer;
	uint64_t link, tx;
	uint64_t size;
	struct buf envelope; /* by which it is planned when it is on the disk */
};

struct peer {
	struct channel *ch; /* NULL: away */
	uint64_t link;	    /* differs for every channel there ever was */
	struct map open;
	uint64_t refused; /* up to this number, what is not open was refused: see open_transaction() */
};

struct intake {
	struct spool *sp;
	struct schedule *schedule;
	const struct ways *ways;
	struct peer peer[INTAKE_PEERS + 1]; /* the last one: what queue itself writes */
	void (*own)(void *arg, uint64_t tx, int error);
	void *own_arg;
	struct map committing;
	uint64_t last_link;
	int accepting; /* as the smtp processes were told: 0 or an errno */
	struct intake_counters count;
};

static void log_refusing(int error)
{
	LOG(LOG_ERR, "not-accepting", LOG_ERRNO(error),
	    LOG_STR("advice", error == ENOSPC
				      ? "make room where state_dir lies, or lower spool.free_min"
				      : "the spool's disk failed: look into the kernel's log, then restart"));
}

int intake_new(struct spool *sp, struct schedule *schedule, const struct ways *ways, struct intake **ret)
{
	struct intake *in = calloc(1, sizeof(*in));
	int r = in ? map_init(&in->committing) : -ENOMEM;

	for (unsigned i = 0; r == 0 && i <= INTAKE_OWN; i++)
		r = map_init(&in->peer[i].open);
	if (r < 0) {
		intake_free(in);
		return r;
	}
	in->sp = sp;
	in->schedule = schedule;
	in->ways = ways;
	in->accepting = -spool_accepting(sp);
	if (in->accepting)
		log_refusing(in->accepting);
	*ret = in;
	return 0;
}

static void close_transaction(struct intake *in, struct peer *p, struct transaction *t)
{
	map_remove(&p->open, &t->node);
	in->count.transactions--;
	in->count.memory -= t->recipients.n;
	spool_body_drop(t->body);
	buf_done(&t->recipients);
	free(t);
}

static void commit_free(struct intake *in, struct commit *c)
{
	map_remove(&in->committing, &c->node);
	in->count.committing--;
	in->count.memory -= c->envelope.n;
	buf_done(&c->envelope);
	free(c);
}

static void drop_all(struct intake *in, struct peer *p)
{
	struct map_node *node;

	while (p->open.bucket && (node = map_next(&p->open, NULL)))
		close_transaction(in, p, container_of(node, struct transaction, node));
}

void intake_free(struct intake *in)
{
	struct map_node *node;

	if (!in)
		return;
	for (unsigned i = 0; i <= INTAKE_OWN; i++) {
		drop_all(in, &in->peer[i]);
		map_done(&in->peer[i].open);
	}
	while (in->committing.bucket && (node = map_next(&in->committing, NULL)))
		commit_free(in, container_of(node, struct commit, node));
	map_done(&in->committing);
	free(in);
}

static void tell_accepting(const struct intake *in, struct channel *ch)
{
	struct ipc_message m = { .type = IPC_TYPE_accepting,
				 .accepting = { .result = (uint32_t)in->accepting } };

	channel_send(ch, &m, -1);
}

void intake_peer(struct intake *in, unsigned index, struct channel *ch)
{
	struct peer *p = &in->peer[index];

	drop_all(in, p);
	p->refused = 0;
	p->ch = ch;
	p->link = ++in->last_link;
	if (ch)
		tell_accepting(in, ch);
}

void intake_own(struct intake *in, void (*stored)(void *arg, uint64_t tx, int error), void *arg)
{
	in->own = stored;
	in->own_arg = arg;
}

void intake_accepting(struct intake *in)
{
	int now = -spool_accepting(in->sp);

	if (now == in->accepting)
		return;
	in->accepting = now;
	if (now)
		log_refusing(now);
	else
		LOG(LOG_NOTICE, "accepting-again", LOG_U("messages", in->count.stored));
	for (unsigned i = 0; i < INTAKE_PEERS; i++)
		if (in->peer[i].ch)
			tell_accepting(in, in->peer[i].ch);
}

/* ---- one transaction ---- */

static struct transaction *find(const struct peer *p, uint64_t tx)
{
	struct map_node *node = map_find(&p->open, slice_of(&tx, sizeof(tx)));

	return node ? container_of(node, struct transaction, node) : NULL;
}

/* Finds it, or opens it.  NULL: there is no memory for one more, or there are too many.
 * Then it must not be opened by what comes later of it either, for that would be the
 * message without its beginning.  Numbers only grow, so remembering one is enough; a
 * smaller one that only now begins is refused with it, and comes again. */
static struct transaction *open_transaction(struct intake *in, struct peer *p, uint64_t tx)
{
	struct transaction *t = find(p, tx);

	if (t || tx <= p->refused)
		return t;
	t = p->open.n < INTAKE_TRANSACTIONS ? calloc(1, sizeof(*t)) : NULL;
	if (!t) {
		p->refused = tx;
		return NULL;
	}
	t->tx = tx;
	buf_init(&t->recipients, ENVELOPE_MAX);
	t->failed = -spool_body_new(in->sp, &t->body);
	map_insert(&p->open, &t->node, slice_of(&t->tx, sizeof(t->tx)));
	in->count.transactions++;
	return t;
}

/* Its memory goes at once; the rest of what comes for it is only waited for. */
static void fail(struct intake *in, struct transaction *t, int error)
{
	t->failed = error;
	in->count.memory -= t->recipients.n;
	buf_done(&t->recipients);
	spool_body_drop(t->body);
	t->body = NULL;
}

static void send_credit(struct peer *p, uint64_t tx, uint32_t octets)
{
	struct ipc_message m = { .type = IPC_TYPE_credit, .credit = { .tx = tx, .octets = octets } };

	if (octets > 0 && p->ch)
		channel_send(p->ch, &m, -1);
}

static void on_body(struct intake *in, struct peer *p, const struct ipc_body *m)
{
	struct transaction *t = open_transaction(in, p, m->tx);

	if (!t) {
		send_credit(p, m->tx, (uint32_t)m->data.n); /* the rest is for nobody, but has to come */
		return;
	}
	if (!t->failed) {
		int r = spool_body_put(t->body, m->data);

		if (r < 0)
			fail(in, t, -r);
	}
	t->owed += (uint32_t)m->data.n;
	if (t->owed < CREDIT_AT)
		return;
	send_credit(p, m->tx, t->owed);
	t->owed = 0;
}

static const char *on_rcpt(struct intake *in, struct peer *p, const struct ipc_rcpt *m)
{
	struct envelope_rcpt r = { .kind = m->kind,
				   .notify = m->notify,
				   .address = m->address,
				   .original = m->original,
				   .orcpt = m->orcpt,
				   .mailbox = m->mailbox,
				   .sender = m->sender };
	bool here = m->kind == IPC_TARGET_MAILBOX;
	struct transaction *t;

	if (!here && m->kind != IPC_TARGET_REMOTE)
		return "a recipient of no known kind";
	if (m->address.n == 0 || (here && m->mailbox.n == 0))
		return "a recipient without an address, or without a mailbox";
	t = open_transaction(in, p, m->tx);
	if (!t || t->failed)
		return NULL;
	in->count.memory -= t->recipients.n;
	envelope_put_rcpt(&r, &t->recipients);
	t->n++;
	in->count.memory += t->recipients.n;
	if (!buf_ok(&t->recipients) || t->n > ENVELOPE_RECIPIENTS_MAX || in->count.memory > INTAKE_MEMORY)
		fail(in, t, ENOBUFS);
	return NULL;
}

/* ---- commit ---- */

static void answer(struct intake *in, struct peer *p, uint64_t tx, int error)
{
	struct ipc_message m = { .type = IPC_TYPE_stored, .stored = { .tx = tx, .result = (uint32_t)error } };

	if (error)
		in->count.refused++;
	else
		in->count.stored++;
	if (p->ch)
		channel_send(p->ch, &m, -1);
	else if (p == &in->peer[INTAKE_OWN] && in->own)
		in->own(in->own_arg, tx, error);
}

static int check(struct intake *in, const struct peer *p, const struct transaction *t,
		 const struct ipc_commit *m, const struct id *id)
{
	struct spool_info info;

	if (!t)
		return m->tx <= p->refused ? ENOMEM : EPROTO;
	if (t->failed)
		return t->failed;
	if (t->n == 0 || spool_body_size(t->body) != m->body_size)
		return EPROTO;
	if (map_find(&in->committing, id_slice(id)) || spool_info(in->sp, id, &info) == 0)
		return EEXIST;
	return -spool_accepting(in->sp);
}

static int put_envelope(const struct transaction *t, const struct ipc_commit *m, struct buf *to)
{
	struct envelope e = {
		.sender = m->sender,
		.smtputf8 = m->smtputf8,
		.eightbit = m->eightbit,
		.ret = m->ret,
		.envid = m->envid,
		.account = m->account,
		.listener = m->listener,
		.account_name = m->account_name,
		.message_id = m->message_id,
		.class = m->class,
		.mt_priority = m->mt_priority,
		.hold_until_ms = m->hold_until_ms,
		.requiretls = m->requiretls,
		.relax = m->relax,
		.recipients = t->n,
	};

	envelope_put(&e, to);
	buf_put(to, buf_slice(&t->recipients));
	return buf_ok(to) ? 0 : ENOBUFS;
}

static int commit(struct intake *in, struct peer *p, struct transaction *t, const struct ipc_commit *m,
		  const struct id *id)
{
	struct spool_message sm = {
		.id = *id, .time_ms = m->time_ms, .recipients = t->n, .headers = m->headers
	};
	struct commit *c = calloc(1, sizeof(*c));
	struct spool_body *body = t->body;
	struct buf envelope;
	int r = c ? 0 : ENOMEM;

	buf_init(&envelope, ENVELOPE_MAX);
	if (r == 0)
		r = put_envelope(t, m, &envelope);
	if (r != 0) {
		free(c);
		buf_done(&envelope);
		return r;
	}
	sm.envelope = buf_slice(&envelope);
	*c = (struct commit){ .id = *id,
			      .peer = (unsigned)(p - in->peer),
			      .link = p->link,
			      .tx = m->tx,
			      .size = m->body_size };
	t->body = NULL; /* the spool's, whatever it answers */
	r = -spool_commit(in->sp, body, &sm, (uint64_t)(uintptr_t)c);
	if (r != 0) {
		buf_done(&envelope);
		free(c);
		return r;
	}
	c->envelope = envelope;
	in->count.memory += c->envelope.n;
	map_insert(&in->committing, &c->node, id_slice(&c->id));
	in->count.committing++;
	return 0;
}

static const char *on_commit(struct intake *in, struct peer *p, const struct ipc_commit *m)
{
	struct transaction *t = find(p, m->tx);
	struct id id;
	int r;

	if (!id_parse(m->id, &id))
		return "a commit without a proper id";
	if (m->class >= IPC_CLASSES || m->mt_priority > ENVELOPE_PRIORITY_MAX)
		return "a commit of no known class or priority";
	r = check(in, p, t, m, &id);
	if (r == 0)
		r = commit(in, p, t, m, &id);
	if (r != 0) {
		answer(in, p, m->tx, r);
		LOG(LOG_WARNING, "not-stored", LOG_S("id", id_slice(&id)), LOG_ERRNO(r));
	}
	if (t)
		close_transaction(in, p, t);
	return NULL;
}

const char *intake_message(struct intake *in, unsigned index, const struct ipc_message *m, uint64_t now_ms)
{
	struct peer *p = &in->peer[index];
	struct transaction *t;

	(void)now_ms;
	switch (m->type) {
	case IPC_TYPE_body:
		on_body(in, p, &m->body);
		return NULL;
	case IPC_TYPE_rcpt:
		return on_rcpt(in, p, &m->rcpt);
	case IPC_TYPE_commit:
		return on_commit(in, p, &m->commit);
	case IPC_TYPE_drop:
		t = find(p, m->drop.tx);
		if (t)
			close_transaction(in, p, t);
		return NULL;
	default:
		return "a message that queue does not take";
	}
}

/* On the disk: from now on it is handed out.  Its life begins now: the time that smtp gave it is that of a
 * clock that may have been set while it was on its way. */
static void plan(struct intake *in, const struct commit *c, uint64_t now_ms)
{
	struct envelope e;
	struct admit a = {
		.id = c->id, .accepted_ms = now_ms, .envelope = &e, .recipients = buf_slice(&c->envelope)
	};
	int r = envelope_get(&a.recipients, &e) ? admit(in->schedule, in->ways, &a, now_ms) : -EBADMSG;

	LOG(LOG_DEBUG, "queued", LOG_S("id", id_slice(&c->id)), LOG_U("size", c->size),
	    LOG_U("recipients", e.recipients));
	in->count.unscheduled += r < 0;
	if (r < 0) /* it is safe on the disk, and looked for there: see load.h */
		LOG(LOG_ERR, "not-scheduled", LOG_S("id", id_slice(&c->id)), LOG_ERRNO(r));
}

static void commit_over(struct intake *in, struct commit *c, int error, uint64_t now_ms)
{
	struct peer *p = &in->peer[c->peer];

	if (p->link == c->link)
		answer(in, p, c->tx, error);
	if (error) {
		LOG(LOG_ERR, "not-stored", LOG_S("id", id_slice(&c->id)), LOG_ERRNO(error));
		intake_accepting(in);
	} else {
		plan(in, c, now_ms);
	}
	commit_free(in, c);
}

unsigned intake_done(struct intake *in, uint64_t now_ms)
{
	struct spool_done done;
	unsigned n = 0;

	while (spool_next_done(in->sp, &done)) {
		commit_over(in, (struct commit *)(uintptr_t)done.token, -done.result, now_ms);
		n++;
	}
	return n;
}

void intake_count(const struct intake *in, struct intake_counters *ret)
{
	*ret = in->count;
}
