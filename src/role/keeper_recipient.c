#include "role/keeper_recipient.h"

#include <time.h>

#include "account/forward.h"
#include "base/log.h"
#include "smtp/path.h"

struct keeper_recipients keeper_recipients;

static uint64_t day_now(void)
{
	return (uint64_t)time(NULL) / 86400;
}

void keeper_send(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m)
{
	struct channel *ch = role_peer(r, who, index);

	if (ch) /* else its sessions are gone, too */
		channel_send(ch, m, -1);
}

static uint8_t verdict_kind(enum account_verdict v)
{
	static const uint8_t kinds[] = {
		[ACCOUNT_OK] = IPC_VERDICT_OK,
		[ACCOUNT_NOT_LOCAL] = IPC_VERDICT_NOT_LOCAL,
		[ACCOUNT_NO_SUCH_USER] = IPC_VERDICT_NO_SUCH_USER,
		[ACCOUNT_DISABLED] = IPC_VERDICT_DISABLED,
		[ACCOUNT_NOT_YOURS] = IPC_VERDICT_NOT_YOURS,
		[ACCOUNT_LOOP] = IPC_VERDICT_LOOP,
		[ACCOUNT_REPORTS_ONLY] = IPC_VERDICT_REPORTS_ONLY,
		[ACCOUNT_TRY_LATER] = IPC_VERDICT_TRY_LATER,
	};

	return kinds[v];
}

void keeper_verdict(struct role *r, enum ipc_role who, unsigned index, uint64_t req,
		    struct account_store *store, enum account_verdict v)
{
	struct ipc_message m = { .type = IPC_TYPE_verdict,
				 .verdict = { .req = req, .what = verdict_kind(v) } };

	if (v == ACCOUNT_TRY_LATER)
		LOG(LOG_ERR, "accounts-failed", LOG_STR("why", db_error(account_store_db(store))));
	keeper_send(r, who, index, &m);
}

static void send_target(struct role *r, enum ipc_role who, unsigned index, const struct ipc_target *t)
{
	struct ipc_message m = { .type = IPC_TYPE_target, .target = *t };

	keeper_send(r, who, index, &m);
}

/* An alias that leads elsewhere forwards: from there on the message has a sender of ours. */
static int send_targets(struct role *r, enum ipc_role who, unsigned index, struct account_store *store,
			const struct ipc_recipient *m, const struct account_targets *targets)
{
	char room[ACCOUNT_ADDRESS_MAX + SMTP_PATH_MAX];
	struct buf sender;
	int err;

	for (const struct account_target *t = targets->first; t; t = t->next) {
		struct ipc_target out = { .req = m->req,
					  .kind = t->remote ? IPC_TARGET_REMOTE : IPC_TARGET_MAILBOX,
					  .address = slice_str(t->address),
					  .mailbox = slice_str(t->mailbox) };

		buf_init_in(&sender, room, sizeof(room));
		err = t->remote && t->domain[0]
			      ? account_forward_sender(store, m->sender, slice_str(t->domain), day_now(),
						       &sender)
			      : 0;
		if (err < 0)
			return err;
		out.sender = buf_slice(&sender);
		keeper_recipients.rewritten += sender.n > 0;
		send_target(r, who, index, &out);
	}
	return 0;
}

/* Whom a rewritten address stands for, as often as it is one of ours. */
static enum account_verdict forward_back(struct account_store *store, const struct ipc_recipient *m,
					 struct buf *to)
{
	enum account_verdict v = account_forward_back(store, m->address, m->sender.n == 0, day_now(), to);

	for (unsigned i = 0; v == ACCOUNT_OK && i < ACCOUNT_DEPTH_MAX; i++) {
		char room[IPC_ADDRESS_MAX];
		struct buf next;
		enum account_verdict again;

		buf_init_in(&next, room, sizeof(room));
		again = account_forward_back(store, buf_slice(to), true, day_now(), &next);
		if (again == ACCOUNT_NOT_LOCAL)
			break;
		v = again;
		buf_reset(to);
		buf_put(to, buf_slice(&next));
	}
	return v;
}

void keeper_recipient(struct role *r, enum ipc_role who, unsigned index, struct account_store *store,
		      const struct ipc_recipient *m)
{
	struct account_targets targets = { 0 };
	char room[IPC_ADDRESS_MAX];
	struct buf back;
	enum account_verdict v;

	keeper_recipients.asked++;
	buf_init_in(&back, room, sizeof(room));
	v = forward_back(store, m, &back);
	if (v == ACCOUNT_OK) {
		v = account_resolve(store, buf_slice(&back), &targets);
		if (v == ACCOUNT_NOT_LOCAL) {
			struct ipc_target out = { .req = m->req,
						  .kind = IPC_TARGET_REMOTE,
						  .address = buf_slice(&back) };

			send_target(r, who, index, &out);
			v = ACCOUNT_OK;
		}
		keeper_recipients.returned++;
	} else if (v == ACCOUNT_NOT_LOCAL) {
		v = account_resolve(store, m->address, &targets);
	} else {
		keeper_recipients.forged++;
	}
	if (targets.first && send_targets(r, who, index, store, m, &targets) < 0)
		v = ACCOUNT_TRY_LATER;
	if (targets.first)
		account_targets_done(&targets);
	keeper_verdict(r, who, index, m->req, store, v);
}
