#include "receive/receive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "receive/dovecot.h"
#include "receive/listener.h"
#include "receive/private.h"
#include "receive/session.h"

#define STARVED_MS    5
#define LAST_WORDS_MS 200

/* ---- small things that sessions ask for ---- */

uint64_t receive_now_ms(const struct receive *rx)
{
	return uv_now(rx->loop);
}

uint64_t receive_wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void receive_wait_for(struct receive *rx, struct map *map, struct receive_wait *w)
{
	receive_wait_end(map, w);
	w->number = ++rx->last_number;
	map_insert(map, &w->node, slice_of(&w->number, sizeof(w->number)));
}

void receive_wait_end(struct map *map, struct receive_wait *w)
{
	if (w->number == 0)
		return;
	map_remove(map, &w->node);
	w->number = 0;
}

void receive_reserve(struct receive *rx)
{
	rx->reserve_fd = fcntl(uv_backend_fd(rx->loop), F_DUPFD_CLOEXEC, 3);
}

static void on_idle(uv_idle_t *h)
{
	struct receive *rx = h->data;
	struct list now;

	/* Those that are not through after this turn queue up for the next. */
	list_init(&now);
	while (!list_empty(&rx->again)) {
		struct list *link = rx->again.next;

		list_remove(link);
		list_push_back(&now, link);
	}
	uv_idle_stop(h);
	while (!list_empty(&now))
		session_run(container_of(now.next, struct session, again));
}

void receive_again(struct receive *rx, struct session *s)
{
	list_remove(&s->again);
	list_push_back(&rx->again, &s->again);
	uv_idle_start(&rx->idle, on_idle);
}

static void on_starved(uv_timer_t *h)
{
	struct receive *rx = h->data;
	struct list now;

	list_init(&now);
	while (!list_empty(&rx->starved)) {
		struct list *link = rx->starved.next;

		list_remove(link);
		list_push_back(&now, link);
	}
	while (!list_empty(&now)) {
		struct session *s = container_of(now.next, struct session, starved);

		list_remove(&s->starved);
		session_run(s);
	}
}

void receive_starved(struct receive *rx, struct session *s)
{
	list_remove(&s->starved);
	list_push_back(&rx->starved, &s->starved);
	if (!uv_is_active((uv_handle_t *)&rx->starved_timer))
		uv_timer_start(&rx->starved_timer, on_starved, STARVED_MS, 0);
}

/* ---- life ---- */

void receive_handle_closed(struct receive *rx)
{
	rx->closing--;
	if (rx->freed && rx->closing == 0)
		free(rx);
}

static void on_closed(uv_handle_t *h)
{
	receive_handle_closed(h->data);
}

int receive_new(const struct receive_setup *setup, struct receive **ret)
{
	struct receive *rx = calloc(1, sizeof(*rx));
	int r;

	if (!rx)
		return -ENOMEM;
	rx->setup = *setup;
	rx->loop = setup->loop;
	list_init(&rx->listeners);
	list_init(&rx->again);
	list_init(&rx->starved);
	buf_init(&rx->mechs, 256);
	buf_init(&rx->mechs_tls, 256);
	buf_str(&rx->mechs, "PLAIN LOGIN");
	id_source_init(&rx->ids, (uint8_t)setup->index);
	r = map_init(&rx->asks);
	if (r == 0)
		r = map_init(&rx->transactions);
	if (r == 0)
		r = tls_server_new(&rx->tls);
	if (r == 0 && !buf_ok(&rx->mechs))
		r = -ENOMEM;
	if (r == 0)
		r = receive_limits_new(rx);
	if (r < 0) {
		limits_free(rx->limits);
		tls_server_free(rx->tls);
		map_done(&rx->asks);
		map_done(&rx->transactions);
		buf_done(&rx->mechs);
		free(rx);
		return r;
	}
	receive_reserve(rx);
	/* libuv keeps a descriptor of its own for a lack of them, and opens it with its
	 * first stream: now, while files may be opened, and not for each connection in vain. */
	uv_tcp_init(rx->loop, &rx->first_stream);
	rx->first_stream.data = rx;
	rx->closing++;
	uv_close((uv_handle_t *)&rx->first_stream, on_closed);
	uv_idle_init(rx->loop, &rx->idle);
	uv_timer_init(rx->loop, &rx->starved_timer);
	uv_timer_init(rx->loop, &rx->drain_timer);
	rx->idle.data = rx->starved_timer.data = rx->drain_timer.data = rx;
	*ret = rx;
	return 0;
}

static void end_all_sessions(struct receive *rx)
{
	struct list *at, *after;

	LIST_EACH (&rx->listeners, at, after) {
		struct listener *l = container_of(at, struct listener, link);

		while (!list_empty(&l->sessions)) {
			struct session *s = container_of(l->sessions.next, struct session, link);

			s->over = true;
			session_run(s);
		}
	}
}

static void close_dovecot(struct receive *rx)
{
	dovecot_door_free(rx->dovecot);
	rx->dovecot = NULL;
}

void receive_free(struct receive *rx)
{
	struct list *at, *after;

	if (!rx)
		return;
	rx->setup.drained = NULL;
	close_dovecot(rx);
	end_all_sessions(rx);
	LIST_EACH (&rx->listeners, at, after) {
		struct listener *l = container_of(at, struct listener, link);

		listener_remove_all(l);
		listener_free(l);
	}
	receive_certificates_forget(rx);
	tls_server_free(rx->tls);
	buf_done(&rx->mechs);
	buf_done(&rx->mechs_tls);
	map_done(&rx->asks);
	map_done(&rx->transactions);
	if (rx->reserve_fd >= 0)
		close(rx->reserve_fd);
	rx->freed = true;
	limits_free(rx->limits);
	rx->closing += 4;
	uv_close((uv_handle_t *)&rx->limits_timer, on_closed);
	uv_close((uv_handle_t *)&rx->idle, on_closed);
	uv_close((uv_handle_t *)&rx->starved_timer, on_closed);
	uv_close((uv_handle_t *)&rx->drain_timer, on_closed);
}

/* ---- configuration, sockets, certificates ---- */

static struct listener *find_listener(struct receive *rx, struct slice name)
{
	struct list *at, *after;

	LIST_EACH (&rx->listeners, at, after) {
		struct listener *l = container_of(at, struct listener, link);

		if (slice_eq(slice_str(l->name), name))
			return l;
	}
	return NULL;
}

static void listener_gone(struct listener *l)
{
	if (!l->rules && list_empty(&l->sockets) && l->n_sessions == 0)
		listener_free(l);
}

int receive_configure(struct receive *rx, const struct conf *conf)
{
	struct list *at, *after;

	LIST_EACH (&rx->listeners, at, after) {
		struct listener *l = container_of(at, struct listener, link);
		struct rules *r;
		int err = rules_new(conf, slice_str(l->name), buf_slice(&rx->mechs),
				    buf_slice(&rx->mechs_tls), &r);

		if (err == -ENOENT)
			r = NULL;
		else if (err < 0)
			return err; /* the old rules stay */
		rules_unref(l->rules);
		l->rules = r;
		/* Before main hears that the configuration is in force here. */
		if (!r)
			listener_remove_all(l);
		listener_gone(l);
	}
	return 0;
}

int receive_listen(struct receive *rx, const struct conf *conf, const struct ipc_listen *m, int *fd)
{
	struct listener *l = find_listener(rx, m->listener);
	int taken = *fd, r = 0;

	if (taken < 0)
		return -EBADF;
	if (slice_eq(m->listener, SLICE_LIT(DOVECOT_LISTENER)) && !rx->dovecot && !rx->draining) {
		*fd = -1;
		return dovecot_door_new(rx, conf, taken, &rx->dovecot);
	}
	if (!l)
		r = listener_new(rx, m->listener, &l);
	if (r == 0 && !l->rules)
		r = rules_new(conf, m->listener, buf_slice(&rx->mechs), buf_slice(&rx->mechs_tls), &l->rules);
	if (r < 0) {
		if (l)
			listener_gone(l);
		return r;
	}
	*fd = -1;
	if (rx->draining) {
		close(taken);
		return 0;
	}
	return listener_add(l, taken, m->address, m->port);
}

void receive_unlisten(struct receive *rx, const struct ipc_unlisten *m)
{
	struct listener *l = find_listener(rx, m->listener);

	if (slice_eq(m->listener, SLICE_LIT(DOVECOT_LISTENER)))
		close_dovecot(rx);
	if (!l)
		return;
	listener_remove(l, m->address, m->port);
	listener_gone(l);
}

int receive_ticket_secret(struct receive *rx, struct slice secret)
{
	return tls_server_ticket_secret(rx->tls, secret);
}

/* ---- the other processes ---- */

typedef void session_fn(struct session *s);

static void each_session(struct receive *rx, session_fn *fn)
{
	struct list *l_at, *l_after, *at, *after;

	LIST_EACH (&rx->listeners, l_at, l_after) {
		struct listener *l = container_of(l_at, struct listener, link);

		LIST_EACH (&l->sessions, at, after)
			fn(container_of(at, struct session, link));
	}
}

static void each_session_back(struct receive *rx, enum ipc_role who)
{
	struct list *l_at, *l_after, *at, *after;

	LIST_EACH (&rx->listeners, l_at, l_after) {
		struct listener *l = container_of(l_at, struct listener, link);

		LIST_EACH (&l->sessions, at, after)
			session_role_back(container_of(at, struct session, link), who);
	}
}

void receive_peer(struct receive *rx, enum ipc_role who, struct channel *ch)
{
	switch (who) {
	case IPC_QUEUE:
		rx->queue = ch;
		rx->queue_result = 0;
		/* Even when it came back at once: what the old one knew is lost. */
		each_session(rx, session_queue_gone);
		break;
	case IPC_KEEPER:
		rx->keeper = ch;
		dovecot_door_keeper_gone(rx->dovecot);
		each_session(rx, session_keeper_gone);
		break;
	case IPC_LEDGER:
		rx->ledger = ch;
		receive_limits_ledger(rx);
		break;
	default:
		break;
	}
	if (ch && (who == IPC_QUEUE || who == IPC_KEEPER))
		each_session_back(rx, who);
}

void receive_peer_silent(struct receive *rx, enum ipc_role who)
{
	if (rx->setup.peer_silent)
		rx->setup.peer_silent(rx->setup.arg, who);
}

static struct receive_wait *find_wait(const struct map *map, uint64_t number)
{
	struct map_node *node = map_find(map, slice_of(&number, sizeof(number)));

	return node ? container_of(node, struct receive_wait, node) : NULL;
}

static void from_keeper(struct receive *rx, uint64_t req, const struct ipc_message *m)
{
	struct receive_wait *w = find_wait(&rx->asks, req);

	if (w)
		session_on_keeper(container_of(w, struct session, ask), m);
}

static void from_queue(struct receive *rx, uint64_t tx, const struct ipc_message *m)
{
	struct receive_wait *w = find_wait(&rx->transactions, tx);

	if (w)
		session_on_queue(container_of(w, struct session, tx.wait), m);
}

static void on_mechs(struct receive *rx, const struct conf *conf, const struct ipc_mechs *m)
{
	buf_reset(&rx->mechs);
	buf_reset(&rx->mechs_tls);
	buf_put(&rx->mechs, m->mechs);
	buf_put(&rx->mechs_tls, m->mechs_tls);
	receive_configure(rx, conf);
}

void receive_message(struct receive *rx, const struct conf *conf, enum ipc_role who,
		     const struct ipc_message *m)
{
	bool queue = who == IPC_QUEUE, keeper = who == IPC_KEEPER;

	if (keeper && dovecot_door_answer(rx->dovecot, m))
		return;
	if (keeper && m->type == IPC_TYPE_verdict)
		from_keeper(rx, m->verdict.req, m);
	else if (keeper && m->type == IPC_TYPE_target)
		from_keeper(rx, m->target.req, m);
	else if (keeper && m->type == IPC_TYPE_auth_challenge)
		from_keeper(rx, m->auth_challenge.req, m);
	else if (keeper && m->type == IPC_TYPE_auth_result)
		from_keeper(rx, m->auth_result.req, m);
	else if (keeper && m->type == IPC_TYPE_account_is)
		; /* for a connection that has gone */
	else if (keeper && m->type == IPC_TYPE_mechs)
		on_mechs(rx, conf, &m->mechs);
	else if (who == IPC_LEDGER && m->type == IPC_TYPE_grant)
		receive_limits_granted(rx, &m->grant);
	else if (who == IPC_LEDGER && m->type == IPC_TYPE_forget)
		limits_clear(rx->limits, m->forget.who);
	else if (queue && m->type == IPC_TYPE_credit)
		from_queue(rx, m->credit.tx, m);
	else if (queue && m->type == IPC_TYPE_stored)
		from_queue(rx, m->stored.tx, m);
	else if (queue && m->type == IPC_TYPE_accepting)
		rx->queue_result = (int)m->accepting.result;
	else if (rx->setup.peer_broken)
		rx->setup.peer_broken(rx->setup.arg, who, "a message that it may not send");
}

/* ---- the end ---- */

static void drained(struct receive *rx)
{
	void (*fn)(void *) = rx->setup.drained;

	rx->setup.drained = NULL;
	if (fn)
		fn(rx->setup.arg);
}

static void on_last_words(uv_timer_t *h)
{
	drained(h->data);
}

/* Replies are written at the end of the turn, and the kernel has to take them. */
static void all_gone(struct receive *rx)
{
	uv_timer_start(&rx->drain_timer, on_last_words, LAST_WORDS_MS, 0);
}

void receive_session_gone(struct receive *rx)
{
	rx->n_sessions--;
	if (rx->draining && rx->n_sessions == 0)
		all_gone(rx);
}

static void leave_softly(struct session *s)
{
	session_leave(s, false);
}

static void leave_now(struct session *s)
{
	session_leave(s, true);
}

static void on_drain_over(uv_timer_t *h)
{
	struct receive *rx = h->data;

	if (!rx->drain_hard) {
		/* What they are told must still get out. */
		rx->drain_hard = true;
		each_session(rx, leave_now);
		uv_timer_start(h, on_drain_over, 2 * LAST_WORDS_MS, 0);
		return;
	}
	drained(rx);
}

void receive_drain(struct receive *rx, unsigned seconds)
{
	struct list *at, *after;

	LIST_EACH (&rx->listeners, at, after)
		listener_remove_all(container_of(at, struct listener, link));
	close_dovecot(rx);
	rx->draining = true;
	uv_timer_start(&rx->drain_timer, on_drain_over, (uint64_t)seconds * 1000, 0);
	each_session(rx, leave_softly);
	if (rx->n_sessions == 0)
		all_gone(rx);
}

void receive_status(const struct receive *rx, json_t *to)
{
	json_t *all = json_array();
	struct list *at, *after;

	LIST_EACH (&rx->listeners, at, after)
		json_array_append_new(all, listener_json(container_of(at, struct listener, link)));
	json_object_set_new(to, "sessions", json_integer((json_int_t)rx->n_sessions));
	json_object_set_new(to, "tls_ready", json_boolean(rx->tls_ready));
	json_object_set_new(to, "accepting", json_boolean(rx->queue && rx->queue_result == 0));
	json_object_set_new(to, "listeners", all);
	json_object_set_new(to, "limits", receive_limits_json(rx));
	if (rx->dovecot)
		json_object_set_new(to, "dovecot", dovecot_door_json(rx->dovecot));
}
