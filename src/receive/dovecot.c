#include "receive/dovecot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dovecot/dict.h"
#include "receive/private.h"

#define BACKLOG		 128
#define READ_SIZE	 4096
#define INPUT_MAX	 16384 /* read and not looked at yet */
#define ASK_MS		 30000
#define REFUSED_EVERY_MS 10000

struct dovecot_door {
	struct receive *rx;
	uv_pipe_t pipe;
	char *mail_dir;
	struct list conns;
	struct map asks;
	size_t n_conns;
	int closing; /* handles: the last one frees us */
	bool freed;
	uint64_t logins, refused, later, users, turned_away, turned_away_ms;
};

struct door_conn {
	struct list link;
	struct dovecot_door *door;
	uv_pipe_t pipe;
	uv_timer_t patience;
	uv_write_t write;
	struct dovecot_dict dict;
	struct receive_wait ask;
	struct buf in;
	int closing; /* handles */
	bool writing, asked, over;
};

static void conn_run(struct door_conn *c);

/* ---- the end ---- */

static void door_gone(struct dovecot_door *d)
{
	if (d->freed && d->closing == 0) {
		struct receive *rx = d->rx;

		map_done(&d->asks);
		free(d->mail_dir);
		free(d);
		receive_handle_closed(rx);
	}
}

static void on_conn_closed(uv_handle_t *h)
{
	struct door_conn *c = h->data;
	struct dovecot_door *d = c->door;

	if (--c->closing > 0)
		return;
	dovecot_dict_done(&c->dict);
	buf_wipe(&c->in);
	free(c);
	d->closing--;
	door_gone(d);
}

static void conn_close(struct door_conn *c)
{
	struct dovecot_door *d = c->door;
	struct ipc_message m = { .type = IPC_TYPE_auth_abort, .auth_abort = { .req = c->ask.number } };

	if (c->over)
		return;
	c->over = true;
	if (c->ask.number && dovecot_dict_want(&c->dict)->want == DOVECOT_LOGIN && d->rx->keeper)
		channel_send(d->rx->keeper, &m, -1);
	receive_wait_end(&d->asks, &c->ask);
	list_remove(&c->link);
	d->n_conns--;
	c->closing = 2;
	uv_close((uv_handle_t *)&c->pipe, on_conn_closed);
	uv_close((uv_handle_t *)&c->patience, on_conn_closed);
}

static void on_door_closed(uv_handle_t *h)
{
	struct dovecot_door *d = h->data;

	d->closing--;
	door_gone(d);
}

void dovecot_door_free(struct dovecot_door *d)
{
	struct list *at, *after;

	if (!d)
		return;
	LIST_EACH (&d->conns, at, after)
		conn_close(container_of(at, struct door_conn, link));
	d->freed = true;
	uv_close((uv_handle_t *)&d->pipe, on_door_closed);
}

/* ---- questions to keeper ---- */

static void answer(struct door_conn *c, enum dovecot_answer what, struct slice value)
{
	struct dovecot_door *d = c->door;

	uv_timer_stop(&c->patience);
	receive_wait_end(&d->asks, &c->ask);
	c->asked = false;
	if (what == DOVECOT_LATER)
		d->later++;
	dovecot_dict_answer(&c->dict, what, value);
}

static void answer_json(struct door_conn *c, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

	if (text && strlen(text) <= DOVECOT_VALUE_MAX)
		answer(c, DOVECOT_YES, slice_str(text));
	else
		answer(c, DOVECOT_LATER, SLICE_LIT("out of memory, or a name that is no UTF-8"));
	free(text);
	json_decref(value);
}

static void on_patience_over(uv_timer_t *t)
{
	struct door_conn *c = t->data;

	if (!c->asked)
		return;
	answer(c, DOVECOT_LATER, SLICE_LIT("keeper does not answer"));
	conn_run(c);
}

static bool has_nul(struct slice s)
{
	return slice_find(s, 0) < s.n;
}

/* As AUTH PLAIN has it (RFC 4616): what keeper knows of logins holds here, too. */
static void ask_login(struct door_conn *c, const struct dovecot_ask *a)
{
	struct dovecot_door *d = c->door;
	struct ipc_message m = { .type = IPC_TYPE_auth_start };
	struct buf initial;
	struct ip ip;

	d->logins++;
	if (a->password.n == 0 || a->user.n > IPC_ADDRESS_MAX || a->password.n > IPC_SECRET_MAX ||
	    has_nul(a->user) || has_nul(a->password)) {
		d->refused++;
		answer(c, DOVECOT_NO, SLICE_LIT(""));
		return;
	}
	buf_init(&initial, IPC_SECRET_MAX * 3);
	buf_byte(&initial, 0);
	buf_put(&initial, a->user);
	buf_byte(&initial, 0);
	buf_put(&initial, a->password);
	m.auth_start = (struct ipc_auth_start){ .req = c->ask.number,
						.mech = SLICE_LIT("PLAIN"),
						.has_initial = 1,
						.initial = buf_slice(&initial),
						.listener = SLICE_LIT(DOVECOT_LISTENER) };
	if (ip_parse(a->ip, &ip))
		m.auth_start.ip = slice_of(ip.byte, ip.family == 4 ? 4 : 16);
	if (!buf_ok(&initial) || channel_send(d->rx->keeper, &m, -1) < 0)
		answer(c, DOVECOT_LATER, SLICE_LIT("keeper is busy"));
	buf_wipe(&initial);
}

static void ask_user(struct door_conn *c, const struct dovecot_ask *a)
{
	struct ipc_message m = { .type = IPC_TYPE_account,
				 .account = { .req = c->ask.number, .name = a->user } };

	c->door->users++;
	if (a->user.n > IPC_ADDRESS_MAX || has_nul(a->user))
		answer(c, DOVECOT_NO, SLICE_LIT(""));
	else if (channel_send(c->door->rx->keeper, &m, -1) < 0)
		answer(c, DOVECOT_LATER, SLICE_LIT("keeper is busy"));
}

static void ask(struct door_conn *c, const struct dovecot_ask *a)
{
	c->asked = true;
	if (!c->door->rx->keeper) {
		answer(c, DOVECOT_LATER, SLICE_LIT("keeper is away"));
		return;
	}
	receive_wait_for(c->door->rx, &c->door->asks, &c->ask);
	uv_timer_start(&c->patience, on_patience_over, ASK_MS, 0);
	if (a->want == DOVECOT_LOGIN)
		ask_login(c, a);
	else
		ask_user(c, a);
}

static struct door_conn *find(const struct dovecot_door *d, uint64_t number)
{
	struct map_node *node = map_find(&d->asks, slice_of(&number, sizeof(number)));
	struct receive_wait *w = node ? container_of(node, struct receive_wait, node) : NULL;

	return w ? container_of(w, struct door_conn, ask) : NULL;
}

static void on_login(struct door_conn *c, const struct ipc_auth_result *m)
{
	const struct dovecot_ask *a = dovecot_dict_want(&c->dict);

	if (m->code == 235) {
		LOG(LOG_INFO, "auth", LOG_STR("listener", DOVECOT_LISTENER), LOG_S("ip", a->ip),
		    LOG_S("service", a->service), LOG_S("account", m->name), LOG_U("key", m->key));
		answer_json(c, json_pack("{s:s%}", "user", m->name.p, m->name.n));
	} else if (m->code == 454) {
		answer(c, DOVECOT_LATER, m->text);
	} else {
		c->door->refused++;
		LOG(LOG_NOTICE, "auth-failed", LOG_STR("listener", DOVECOT_LISTENER), LOG_S("ip", a->ip),
		    LOG_S("service", a->service), LOG_S("account", slice_head(a->user, IPC_ADDRESS_MAX)),
		    LOG_U("code", m->code));
		answer(c, DOVECOT_NO, SLICE_LIT(""));
	}
}

static void on_user(struct door_conn *c, const struct ipc_account_is *m)
{
	char home[1024], quota[64];
	json_t *value;

	if (m->what != IPC_VERDICT_OK) {
		answer(c, m->what == IPC_VERDICT_NO_SUCH_USER ? DOVECOT_NO : DOVECOT_LATER,
		       m->what == IPC_VERDICT_NO_SUCH_USER ? SLICE_LIT("")
							   : SLICE_LIT("no answer from the accounts"));
		return;
	}
	snprintf(home, sizeof(home), "%s/%.*s", c->door->mail_dir, SLICE_ARG(m->mailbox));
	value = json_pack("{s:s%, s:s}", "user", m->name.p, m->name.n, "home", home);
	if (value && m->quota > 0) {
		snprintf(quota, sizeof(quota), "*:bytes=%llu", (unsigned long long)m->quota);
		json_object_set_new(value, "quota_rule", json_string(quota));
	}
	answer_json(c, value);
}

bool dovecot_door_answer(struct dovecot_door *d, const struct ipc_message *m)
{
	bool user = m->type == IPC_TYPE_account_is;
	uint64_t req = user				    ? m->account_is.req
		       : m->type == IPC_TYPE_auth_result    ? m->auth_result.req
		       : m->type == IPC_TYPE_auth_challenge ? m->auth_challenge.req
							    : 0;
	struct door_conn *c = d ? find(d, req) : NULL;

	if (!c)
		return false;
	if (user != (dovecot_dict_want(&c->dict)->want == DOVECOT_USER) || m->type == IPC_TYPE_auth_challenge)
		answer(c, DOVECOT_LATER, SLICE_LIT("an answer to something else"));
	else if (user)
		on_user(c, &m->account_is);
	else
		on_login(c, &m->auth_result);
	conn_run(c);
	return true;
}

void dovecot_door_keeper_gone(struct dovecot_door *d)
{
	struct list *at, *after;

	if (!d)
		return;
	LIST_EACH (&d->conns, at, after) {
		struct door_conn *c = container_of(at, struct door_conn, link);

		if (c->asked) {
			answer(c, DOVECOT_LATER, SLICE_LIT("keeper was started anew"));
			conn_run(c);
		}
	}
}

/* ---- a connection ---- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret)
{
	struct door_conn *c = h->data;
	unsigned char *p = NULL;
	size_t n = buf_reserve(&c->in, READ_SIZE, &p);

	(void)suggested;
	*ret = uv_buf_init((char *)p, (unsigned)n);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct door_conn *c = stream->data;

	(void)buf;
	if (n < 0) {
		conn_close(c);
		return;
	}
	buf_filled(&c->in, (size_t)n);
	conn_run(c);
}

static void on_written(uv_write_t *req, int status)
{
	struct door_conn *c = req->data;

	c->writing = false;
	if (c->over)
		return;
	if (status < 0) {
		conn_close(c);
		return;
	}
	dovecot_dict_sent(&c->dict, dovecot_dict_output(&c->dict).n);
	conn_run(c);
}

static void conn_write(struct door_conn *c, struct slice out)
{
	uv_buf_t b = uv_buf_init((char *)(uintptr_t)out.p, (unsigned)out.n);

	uv_read_stop((uv_stream_t *)&c->pipe);
	c->write.data = c;
	if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &b, 1, on_written) < 0)
		conn_close(c);
	else
		c->writing = true;
}

static void forget_input(struct door_conn *c)
{
	if (c->in.n > 0 || c->in.cap == 0)
		return;
	buf_wipe(&c->in);
	buf_init(&c->in, INPUT_MAX);
}

static void conn_run(struct door_conn *c)
{
	while (!c->over && !c->writing) {
		const struct dovecot_ask *a = dovecot_dict_want(&c->dict);
		size_t n;

		if (dovecot_dict_output(&c->dict).n > 0) {
			conn_write(c, dovecot_dict_output(&c->dict));
		} else if (a->want == DOVECOT_CLOSE) {
			conn_close(c);
		} else if (a->want == DOVECOT_INPUT) {
			n = dovecot_dict_feed(&c->dict, buf_slice(&c->in));
			buf_consume(&c->in, n);
			forget_input(c);
			if (n > 0)
				continue;
			if (!uv_is_active((uv_handle_t *)&c->pipe) &&
			    uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) < 0)
				conn_close(c);
			return;
		} else if (!c->asked) {
			uv_read_stop((uv_stream_t *)&c->pipe);
			ask(c, a);
		} else {
			return;
		}
	}
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct dovecot_door *d = stream->data;
	struct door_conn *c = status == 0 ? calloc(1, sizeof(*c)) : NULL;
	uint64_t now = receive_now_ms(d->rx);
	bool full = d->n_conns >= DOVECOT_CONNS_MAX;

	if (!c)
		return;
	c->door = d;
	c->pipe.data = c->patience.data = c;
	list_init(&c->link);
	dovecot_dict_init(&c->dict);
	buf_init(&c->in, INPUT_MAX);
	uv_pipe_init(d->rx->loop, &c->pipe, 0);
	uv_timer_init(d->rx->loop, &c->patience);
	d->n_conns++;
	d->closing++;
	list_push_back(&d->conns, &c->link);
	if (uv_accept(stream, (uv_stream_t *)&c->pipe) < 0 || full) {
		d->turned_away++;
		if (!d->turned_away_ms || now - d->turned_away_ms > REFUSED_EVERY_MS)
			LOG(LOG_WARNING, "dovecot-turned-away", LOG_U("connections", d->n_conns - 1),
			    LOG_U("so_far", d->turned_away));
		d->turned_away_ms = d->turned_away_ms && now - d->turned_away_ms <= REFUSED_EVERY_MS
					    ? d->turned_away_ms
					    : now;
		conn_close(c);
		return;
	}
	conn_run(c);
}

/* ---- the door ---- */

int dovecot_door_new(struct receive *rx, const struct conf *conf, int fd, struct dovecot_door **ret)
{
	struct dovecot_door *d = calloc(1, sizeof(*d));
	int r = d ? map_init(&d->asks) : -ENOMEM;

	if (r == 0) {
		d->mail_dir = slice_dup(slice_str(conf->mail_dir));
		r = d->mail_dir ? 0 : -ENOMEM;
	}
	if (r < 0) {
		if (d)
			map_done(&d->asks);
		free(d);
		close(fd);
		return r;
	}
	d->rx = rx;
	list_init(&d->conns);
	d->pipe.data = d;
	d->closing = 1;
	rx->closing++;
	uv_pipe_init(rx->loop, &d->pipe, 0);
	r = uv_pipe_open(&d->pipe, fd);
	if (r < 0)
		close(fd);
	else
		r = uv_listen((uv_stream_t *)&d->pipe, BACKLOG, on_connection);
	if (r < 0) {
		dovecot_door_free(d);
		return r;
	}
	*ret = d;
	return 0;
}

json_t *dovecot_door_json(const struct dovecot_door *d)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "connections", (json_int_t)d->n_conns, "logins",
			 (json_int_t)d->logins, "refused", (json_int_t)d->refused, "later",
			 (json_int_t)d->later, "users", (json_int_t)d->users, "turned_away",
			 (json_int_t)d->turned_away);
}
