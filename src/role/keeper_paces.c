#include "role/keeper_paces.h"

#include "base/log.h"
#include "base/wire.h"
#include "role/keeper_recipient.h"

#define EACH	  12 /* octets of one */
#define AT_A_TIME (IPC_CHUNK_MAX / EACH)

/* In the order of their numbers, so that the sum is one of all of them. */
static uint64_t add(uint64_t sum, const struct account_pace *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		sum = (sum ^ v[i].account) * UINT64_C(0x100000001b3);
		sum = (sum ^ v[i].per_minute) * UINT64_C(0x9e3779b97f4a7c15);
	}
	return sum ^ n;
}

static void tell(struct role *r, const struct account_pace *v, size_t n, bool first, bool last)
{
	struct ipc_message m = { .type = IPC_TYPE_paces, .paces = { .first = first, .last = last } };
	struct buf list;

	buf_init(&list, IPC_CHUNK_MAX);
	for (size_t i = 0; i < n; i++) {
		wire_put_u64(&list, v[i].account);
		wire_put_u32(&list, v[i].per_minute);
	}
	m.paces.list = buf_slice(&list);
	if (buf_ok(&list))
		keeper_send(r, IPC_QUEUE, 0, &m);
	buf_done(&list);
}

/* Their sum; send: and queue is told of them. */
static uint64_t walk(struct role *r, struct account_store *store, bool send)
{
	struct account_pace *v = malloc(AT_A_TIME * sizeof(*v));
	uint64_t sum = 1, after = 0;
	int got = v ? AT_A_TIME : 0;

	for (size_t n = 0; got == AT_A_TIME && n < IPC_PACES_MAX; n += (size_t)got) {
		size_t most = IPC_PACES_MAX - n < AT_A_TIME ? IPC_PACES_MAX - n : AT_A_TIME;

		got = account_paces(store, after, v, most);
		if (got < 0)
			break;
		sum = add(sum, v, (size_t)got);
		if (send)
			tell(r, v, (size_t)got, n == 0, got < AT_A_TIME || n + (size_t)got >= IPC_PACES_MAX);
		if (got > 0)
			after = v[got - 1].account;
	}
	if (!v || got < 0)
		LOG(LOG_ERR, "accounts-failed",
		    LOG_STR("why", v ? db_error(account_store_db(store)) : "out of memory"));
	free(v);
	return sum;
}

void keeper_paces_send(struct keeper_paces *p, struct role *r, struct account_store *store)
{
	p->sum = walk(r, store, true);
}

void keeper_paces_review(struct keeper_paces *p, struct role *r, struct account_store *store)
{
	if (walk(r, store, false) != p->sum)
		keeper_paces_send(p, r, store);
}
