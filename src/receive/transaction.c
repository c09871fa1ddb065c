#include "receive/transaction.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the channel to queue keeps free, so that commits and drops always pass. */
#define ROOM_KEPT    (512U << 10)
#define CHUNK	     (32U << 10)
#define GATHERED_MIN 4096	  /* smaller pieces of body are gathered first */
#define WAITING_MAX  (256U << 10) /* never met: at most one input buffer waits */

int transaction_init(struct transaction *t)
{
	*t = (struct transaction){ 0 };
	list_init(&t->in_order);
	buf_init(&t->sender, IPC_ADDRESS_MAX);
	buf_init(&t->envid, 128);
	buf_init(&t->waiting, WAITING_MAX);
	return map_init(&t->targets);
}

static void forget(struct transaction *t)
{
	for (struct map_node *node; (node = map_take_any(&t->targets));)
		free(container_of(node, struct target, node));
	list_init(&t->in_order);
	buf_done(&t->sender);
	buf_done(&t->envid);
	buf_done(&t->waiting);
	buf_init(&t->sender, IPC_ADDRESS_MAX);
	buf_init(&t->envid, 128);
	buf_init(&t->waiting, WAITING_MAX);
	t->opened = t->lost = false;
	t->recipients = 0;
	t->size = t->credit = 0;
	t->class = IPC_CLASS_NORMAL;
	t->relax = false;
	t->params = (struct smtp_mail_params){ 0 };
}

void transaction_drop(struct transaction *t, struct receive *rx)
{
	if (t->opened && rx->queue) {
		struct ipc_message m = { .type = IPC_TYPE_drop, .drop = { .tx = t->wait.number } };

		channel_send(rx->queue, &m, -1);
	}
	receive_wait_end(&rx->transactions, &t->wait);
	forget(t);
}

void transaction_done(struct transaction *t, struct receive *rx)
{
	transaction_drop(t, rx);
	map_done(&t->targets);
}

int transaction_begin(struct transaction *t, const struct smtp_path *sender,
		      const struct smtp_mail_params *params)
{
	forget(t);
	smtp_path_put(sender, &t->sender);
	buf_put(&t->envid, params->envid);
	t->params = *params;
	/* Kept apart, or of no use to us. */
	t->params.envid = t->params.auth = (struct slice){ NULL, 0 };
	return buf_ok(&t->sender) && buf_ok(&t->envid) ? 0 : -ENOMEM;
}

static struct slice keep(struct slice s, unsigned char **at)
{
	struct slice kept = { *at, s.n };

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return kept;
}

int transaction_add(struct transaction *t, const struct ipc_target *target, struct slice original,
		    const struct smtp_rcpt_params *params)
{
	bool mailbox = target->kind == IPC_TARGET_MAILBOX;
	struct target *e;
	unsigned char *at;

	if (map_find(&t->targets, mailbox ? target->mailbox : target->address))
		return 0;
	if (t->targets.n >= TRANSACTION_TARGETS_MAX)
		return -E2BIG;
	e = calloc(1, sizeof(*e) + target->address.n + target->mailbox.n + target->sender.n + original.n +
			      params->orcpt.n);
	if (!e)
		return -ENOMEM;
	at = e->text;
	e->kind = target->kind;
	e->notify = params->notify;
	e->address = keep(target->address, &at);
	e->mailbox = keep(target->mailbox, &at);
	e->sender = keep(target->sender, &at);
	e->original = keep(original, &at);
	e->orcpt = keep(params->orcpt, &at);
	map_insert(&t->targets, &e->node, mailbox ? e->mailbox : e->address);
	list_push_back(&t->in_order, &e->link);
	return 0;
}

static bool send_chunk(struct transaction *t, struct receive *rx, struct slice data)
{
	struct ipc_message m = { .type = IPC_TYPE_body, .body = { .tx = t->wait.number, .data = data } };

	if (!rx->queue || channel_send(rx->queue, &m, -1) < 0) {
		t->lost = true;
		return false;
	}
	t->credit -= data.n;
	return true;
}

static void open_at_queue(struct transaction *t, struct receive *rx)
{
	if (t->opened || t->lost)
		return;
	receive_wait_for(rx, &rx->transactions, &t->wait);
	t->opened = true;
	t->credit = IPC_BODY_WINDOW;
}

static size_t may_send(const struct transaction *t, const struct receive *rx)
{
	size_t room = channel_room(rx->queue);
	uint64_t n = t->credit < CHUNK ? t->credit : CHUNK;

	return room < ROOM_KEPT + CHUNK ? 0 : (size_t)n;
}

bool transaction_push(struct transaction *t, struct receive *rx)
{
	while (t->waiting.n > 0 && !t->lost) {
		struct slice next;

		if (!rx->queue) {
			t->lost = true;
			break;
		}
		next = slice_head(buf_slice(&t->waiting), may_send(t, rx));
		if (next.n == 0)
			return t->credit == 0; /* else it is room that lacks */
		if (send_chunk(t, rx, next))
			buf_consume(&t->waiting, next.n);
	}
	if (t->lost)
		buf_reset(&t->waiting);
	return true;
}

void transaction_body(struct transaction *t, struct receive *rx, struct slice data)
{
	t->size += data.n;
	open_at_queue(t, rx);
	if (t->lost)
		return;
	buf_put(&t->waiting, data);
	if (!buf_ok(&t->waiting)) {
		/* The rest of the body is still read, and the commit refused. */
		t->lost = true;
		buf_reset(&t->waiting);
	}
}

bool transaction_blocked(const struct transaction *t)
{
	return t->waiting.n >= GATHERED_MIN;
}

static int send_targets(struct transaction *t, struct receive *rx)
{
	struct list *at, *after;
	int r = 0;

	LIST_EACH (&t->in_order, at, after) {
		const struct target *e = container_of(at, struct target, link);
		struct ipc_message m = { .type = IPC_TYPE_rcpt,
					 .rcpt = { .tx = t->wait.number,
						   .kind = e->kind,
						   .notify = (uint8_t)e->notify,
						   .address = e->address,
						   .original = e->original,
						   .orcpt = e->orcpt,
						   .mailbox = e->mailbox,
						   .sender = e->sender } };

		r = channel_send(rx->queue, &m, -1);
		if (r < 0)
			break;
	}
	return r;
}

/* 0 too where that time has passed already. */
static uint64_t hold_until(const struct transaction *t, uint64_t now_ms)
{
	uint64_t until = t->params.hold_for_s > 0 ? now_ms + t->params.hold_for_s * UINT64_C(1000)
						  : t->params.hold_until_s * UINT64_C(1000);

	return until > now_ms ? until : 0;
}

int transaction_commit(struct transaction *t, struct receive *rx, const struct id *id, uint64_t time_ms,
		       uint64_t account, struct slice account_name, const char *listener,
		       struct slice headers)
{
	struct ipc_message m = { .type = IPC_TYPE_commit };
	int r;

	open_at_queue(t, rx);
	if (t->lost || !rx->queue)
		return -EPIPE;
	/* A message without a body still opens its transaction by one. */
	if (t->size == 0 && !send_chunk(t, rx, (struct slice){ NULL, 0 }))
		return -EPIPE;
	r = send_targets(t, rx);
	if (r < 0)
		return r;
	m.commit = (struct ipc_commit){
		.tx = t->wait.number,
		.id = id_slice(id),
		.time_ms = time_ms,
		.body_size = t->size,
		.sender = buf_slice(&t->sender),
		.smtputf8 = t->params.smtputf8,
		.eightbit = t->params.body == SMTP_BODY_8BITMIME,
		.ret = (uint8_t)t->params.ret,
		.envid = buf_slice(&t->envid),
		.account = account,
		.account_name = account_name,
		.message_id = slice_str(t->message_id),
		.listener = slice_str(listener),
		.class = t->class,
		.mt_priority = t->params.mt_priority,
		.hold_until_ms = hold_until(t, time_ms),
		.requiretls = t->params.requiretls,
		.relax = t->relax && !t->params.requiretls, /* RFC 8689 5: the parameter counts more */
		.headers = headers,
	};
	return channel_send(rx->queue, &m, -1);
}
