/* Passwords and tokens by route: main reads them, this process only keeps and uses them. */
#include <errno.h>
#include <stdlib.h>

#include "send/private.h"

const struct send_secret *send_secret_find(const struct send *s, const char *route)
{
	struct list *at, *after;

	LIST_EACH (&s->secrets, at, after) {
		const struct send_secret *x = container_of(at, struct send_secret, link);

		if (slice_eq(slice_str(x->route), slice_str(route)))
			return x;
	}
	return NULL;
}

static void drop(struct send *s, struct send_secret *x)
{
	buf_wipe(&x->secret);
	list_remove(&x->link);
	s->n_secrets--;
	free(x);
}

void send_secrets_drop(struct send *s)
{
	while (!list_empty(&s->secrets))
		drop(s, container_of(s->secrets.next, struct send_secret, link));
}

/* Lanes that wait for it go on, whatever came. */
static void wake(struct send *s, const char *route)
{
	struct list *at, *after;

	LIST_EACH (&s->lanes, at, after) {
		struct lane *l = container_of(at, struct lane, link);

		if (!l->waits_for_secret || !slice_eq(slice_str(l->way->route), slice_str(route)))
			continue;
		l->waits_for_secret = false;
		lane_run(l);
	}
}

int send_secret(struct send *s, const struct ipc_credential *m)
{
	struct send_secret *x = calloc(1, sizeof(*x)), *old;

	if (!x || !slice_copy(m->route, x->route, sizeof(x->route))) {
		free(x);
		return -ENOMEM;
	}
	x->generation = m->generation;
	x->there = m->there;
	buf_init(&x->secret, IPC_SECRET_MAX);
	buf_put(&x->secret, m->secret);
	(void)slice_copy(slice_head(m->why, sizeof(x->why) - 1), x->why, sizeof(x->why));
	old = (struct send_secret *)(uintptr_t)send_secret_find(s, x->route);
	if (old)
		drop(s, old);
	else if (s->n_secrets >= SEND_SECRETS_MAX)
		drop(s, container_of(s->secrets.next, struct send_secret, link));
	list_push_back(&s->secrets, &x->link);
	s->n_secrets++;
	if (!buf_ok(&x->secret)) {
		x->there = false;
		(void)slice_copy(SLICE_LIT("out of memory"), x->why, sizeof(x->why));
	}
	wake(s, x->route);
	return 0;
}
