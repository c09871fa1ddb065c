#include "queue/paces.h"

#include <errno.h>

#include "base/log.h"
#include "base/wire.h"

const char *paces_take(struct paces *p, struct schedule *s, const struct ipc_paces *m, uint64_t now_ms)
{
	struct slice cur = m->list;
	bool whole = true;

	if (m->first) {
		*p = (struct paces){ .begun = true };
		schedule_paces_begin(s);
	}
	if (!p->begun)
		return "the paces of accounts, without their beginning";
	while (cur.n > 0) {
		uint64_t account;
		uint32_t per_minute;

		if (!wire_u64(&cur, &account) || !wire_u32(&cur, &per_minute) || account == 0)
			return "paces of accounts that are none";
		if (++p->n > IPC_PACES_MAX)
			return "paces of more accounts than may have one";
		whole = schedule_account_pace(s, account, per_minute, now_ms) == 0 && whole;
	}
	if (!whole) /* then they have the configuration's */
		LOG(LOG_ERR, "paces-not-taken", LOG_ERRNO(-ENOMEM));
	if (m->last) {
		schedule_paces_end(s, now_ms);
		p->begun = false;
	}
	return NULL;
}
