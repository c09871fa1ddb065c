/* local_quota.c - role local asks keeper for the quotas of a job's mailboxes, where there are any.
 *
 * Mail goes first: a keeper that is gone, or takes too long, means a delivery without a look at them.
 */
#include "role/local_private.h"

#define QUOTA_MS 2000 /* then keeper does not answer */

/* Keeper is silent or gone. */
static void ask_no_more(struct local *l, struct local_job *j)
{
	for (struct local_target *t = j->targets; t; t = t->next) {
		l->quotas_unknown += t->asked;
		t->asked = false;
	}
	j->asking = 0;
	local_job_begin(l, j);
}

void local_quota_give_up(struct local *l, uint64_t patience_ms)
{
	uint64_t now = uv_now(l->role->loop);
	struct list *at, *after;

	LIST_EACH (&l->jobs, at, after) {
		struct local_job *j = container_of(at, struct local_job, link);

		if (j->asking > 0 && now - j->asked_ms >= patience_ms)
			ask_no_more(l, j);
	}
}

static void on_patience(uv_timer_t *t)
{
	struct local *l = t->data;
	struct list *at, *after;

	local_quota_give_up(l, QUOTA_MS / 2);
	LIST_EACH (&l->jobs, at, after)
		if (container_of(at, struct local_job, link)->asking > 0) {
			uv_timer_start(t, on_patience, QUOTA_MS / 2, 0);
			return;
		}
}

void local_quota_ask(struct local *l, struct local_job *j)
{
	struct channel *keeper = role_peer(l->role, IPC_KEEPER, 0);

	j->complete = true;
	l->n_working++;
	j->asked_ms = uv_now(l->role->loop);
	for (struct local_target *t = j->targets; t && l->quotas && keeper; t = t->next) {
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
		local_job_begin(l, j);
	else if (!uv_is_active((uv_handle_t *)&l->patience))
		uv_timer_start(&l->patience, on_patience, QUOTA_MS, 0);
}

void local_quota_is(struct local *l, const struct ipc_quota_is *m)
{
	struct local_job *j = local_job_find(l, m->job);
	struct local_target *t = j ? j->targets : NULL;

	while (t && !(t->recipient == m->recipient && t->asked))
		t = t->next;
	if (!t)
		return; /* too late */
	t->asked = false;
	t->quota = m->octets;
	if (--j->asking == 0)
		local_job_begin(l, j);
}

void local_quota_start(struct local *l)
{
	uv_timer_init(l->role->loop, &l->patience);
	l->patience.data = l;
	uv_unref((uv_handle_t *)&l->patience);
}
