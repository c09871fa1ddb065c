#include "receive/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "smtp/advice.h"

#define INPUT_MAX (16U << 10)

/* An address that lately began in clear text waits no longer than this for its greeting.
 * Not at all would be quicker, and would break the TLS-first client that shares the
 * address with a right one (one machine, a NAT): its hello comes within a millisecond. */
#define KNOWN_HOLD_MS 10

#define SILENCE_MS 8000 /* on an implicit TLS port: then it waits for a greeting */
/* Beyond a listener's limits a session is told so, which needs TLS first on some ports;
 * so many beyond them are only closed.  Else one address could fill the listener with
 * connections that never come to be greeted. */
#define REFUSED_MAX	   64
#define REFUSED_PER_IP_MAX 16

static void on_conn(void *arg, struct conn *c, enum conn_event event);

static void on_timer_closed(uv_handle_t *h)
{
	struct session *s = h->data;
	struct receive *rx = s->rx;

	free(s);
	receive_handle_closed(rx);
}

static void count_out(struct session *s)
{
	if (s->counted)
		ip_count_remove(&s->listener->by_ip, &s->ip, s->uid);
	s->listener->n_sessions--;
}

/* A reply that there was no memory for must not look like a connection that broke. */
static void last_words(struct session *s)
{
	if (s->conn && s->phase == SESSION_SMTP &&
	    (smtp_server_failed(s->engine) || conn_lacks_memory(s->conn)))
		conn_last_words(s->conn, SLICE_LIT("421 4.3.2 out of memory, please try again later\r\n"));
}

/* The one place where a session ends. */
static void session_free(struct session *s)
{
	struct receive *rx = s->rx;

	last_words(s);
	session_mishap_served(s);
	session_log_end(s);
	if (s->conn)
		conn_close(s->conn);
	session_auth_abort(s);
	session_forget_held(s->held);
	receive_wait_end(&rx->asks, &s->ask);
	session_forget_targets(s);
	session_message_over(s);
	transaction_done(&s->tx, rx);
	smtp_server_free(s->engine);
	buf_wipe(&s->login);
	session_limits_end(s);
	buf_done(&s->owner);
	count_out(s);
	list_remove(&s->link);
	list_remove(&s->again);
	list_remove(&s->starved);
	rules_unref(s->rules);
	rx->closing++;
	s->timer.data = s;
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
	receive_session_gone(rx);
}

/* ---- the opening ---- */

void session_close_saying(struct session *s, struct buf *line)
{
	buf_str(line, "\r\n");
	if (buf_ok(line))
		(void)conn_write(s->conn, buf_slice(line));
	session_close(s);
}

static void explain_plain(struct session *s)
{
	struct buf line;

	buf_init(&line, 1024);
	buf_str(&line, "554 5.7.0 ");
	smtp_advice_plain_on_implicit(s->port, s->rules->engine.advice, &line);
	session_close_saying(s, &line);
	buf_done(&line);
}

bool session_start_tls(struct session *s)
{
	int r = s->rx->tls_ready ? conn_start_tls(s->conn, s->rx->tls, (enum tls_min)s->rules->tls_min)
				 : -ENODATA;

	if (r < 0) {
		session_log_tls_failed(s, r == -ENODATA ? "no certificate is loaded" : strerrordesc_np(-r));
		s->over = true;
		return false;
	}
	s->phase = SESSION_HANDSHAKE;
	s->wait = SESSION_WAITS_FOR_PEER;
	session_deadline(s, session_patience(s, s->rules->tls_timeout_s));
	return true;
}

static void refuse_opening(struct session *s)
{
	struct policy_reply reply;

	policy_reply(&s->check, &reply);
	s->listener->count.sessions_refused++;
	session_refuse(s, COUNT_AT_CONNECT, reply.code, reply.enhanced, reply.text, NULL,
		       policy_name(&s->check));
	smtp_server_refuse(s->engine, reply.code, reply.enhanced, reply.text);
}

static void explain_in_tls(struct session *s)
{
	struct buf text;

	buf_init(&text, 1024);
	if (s->wrong.setup.kind == WRONG_PORT_RELAY)
		smtp_advice_tls_on_relay(s->port, s->rules->engine.advice, &text);
	else
		smtp_advice_tls_on_starttls(s->port, s->rules->engine.advice, &text);
	buf_byte(&text, 0);
	smtp_server_refuse(s->engine, 554, "5.7.0",
			   buf_ok(&text) ? (const char *)buf_slice(&text).p : "wrong port for TLS");
	buf_done(&text);
}

/* The first words: in clear, or inside TLS. */
void session_greet(struct session *s, bool tls)
{
	struct policy_facts facts;

	s->phase = SESSION_SMTP;
	if (!session_limits_greet(s, tls))
		return;
	facts = session_facts(s);
	s->wait = SESSION_WAITS_FOR_PEER;
	session_deadline(s, s->rules->command_timeout_s);
	s->facts = facts;
	smtp_server_clock(s->engine, receive_wall_ms() / 1000);
	if (policy_start(&s->check, POLICY_CONNECT, &s->facts) == POLICY_REFUSE)
		refuse_opening(s);
	else if (s->opening == WRONG_PORT_EXPLAIN_TLS)
		explain_in_tls(s);
	else
		smtp_server_greet(s->engine, tls);
}

static bool sniff(struct session *s)
{
	if (session_proxy_unexpected(s))
		return false;
	if (s->opening == WRONG_PORT_WAIT)
		s->opening = wrong_port_bytes(&s->wrong, conn_input(s->conn));
	if (s->opening == WRONG_PORT_WAIT) {
		uint64_t until = s->opened_ms + wrong_port_wait_ms(&s->wrong);

		s->deadline_ms = until;
		if (s->eof)
			s->over = true;
		return false;
	}
	if (s->opening == WRONG_PORT_SERVE || s->opening == WRONG_PORT_EXPLAIN_TLS)
		known_tls(&s->listener->known, &s->ip, s->opened_ms);
	if (s->wrong.mishap == IPC_MISHAP_TLS_ON_STARTTLS && s->opening == WRONG_PORT_SERVE)
		s->served = s->wrong.mishap;
	else if (s->wrong.mishap)
		session_mishap(s, s->wrong.mishap, false);
	switch (s->opening) {
	case WRONG_PORT_GREET:
		session_greet(s, false);
		return true;
	case WRONG_PORT_HANDSHAKE:
	case WRONG_PORT_SERVE:
	case WRONG_PORT_EXPLAIN_TLS:
		return session_start_tls(s);
	case WRONG_PORT_EXPLAIN_PLAIN:
		explain_plain(s);
		return false;
	case WRONG_PORT_CLOSE:
	case WRONG_PORT_WAIT:
		break;
	}
	s->over = true;
	return false;
}

static void tls_done(struct session *s)
{
	unsigned char exporter[32];
	bool again = s->starting_tls;
	bool binding = conn_tls_exporter(s->conn, exporter) == 0;

	explicit_bzero(exporter, sizeof(exporter));
	session_log_tls(s);
	s->starting_tls = false;
	if (!again) {
		smtp_server_channel_binding(s->engine, binding);
		session_greet(s, true);
		return;
	}
	s->phase = SESSION_SMTP;
	session_deadline(s, s->rules->command_timeout_s);
	/* RFC 3207 4.2; on a closed test network somebody may have logged in before. */
	session_limits_refund(s);
	s->account = s->key = 0;
	s->account_class = 0;
	buf_wipe(&s->login);
	smtp_server_tls_started(s->engine, binding);
}

static void set_wrong_port(struct session *s)
{
	struct rules *r = s->rules;
	struct wrong_port_setup setup = { .kind = r->kind,
					  .serve = r->serve,
					  .hold_ms = r->hold_ms,
					  .silence_ms = SILENCE_MS,
					  .rest_of_hello_ms = r->tls_timeout_s * 1000 };

	if (setup.kind != WRONG_PORT_IMPLICIT && setup.hold_ms > 0) {
		if (known_has(&s->listener->known, &s->ip, s->opened_ms)) {
			if (setup.hold_ms > KNOWN_HOLD_MS)
				setup.hold_ms = KNOWN_HOLD_MS;
			s->listener->count.held_briefly++;
		} else {
			s->listener->count.held++;
		}
	}
	s->opening = wrong_port_init(&s->wrong, &setup);
}

/* ---- the one entry point ---- */

void session_run(struct session *s)
{
	bool more = true;

	s->work = 0;
	list_remove(&s->again);
	while (!s->over && more) {
		switch (s->phase) {
		case SESSION_PROXY:
			more = session_proxy(s);
			if (more)
				set_wrong_port(s);
			break;
		case SESSION_SNIFF:
			more = sniff(s);
			break;
		case SESSION_HANDSHAKE:
			more = false;
			break;
		case SESSION_SMTP:
			more = session_smtp(s);
			break;
		}
	}
	if (s->over)
		session_free(s);
	else
		session_arm(s);
}

void session_close(struct session *s)
{
	last_words(s);
	conn_close_gently(s->conn);
	s->conn = NULL;
	s->over = true;
}

static void on_conn(void *arg, struct conn *c, enum conn_event event)
{
	struct session *s = arg;

	switch (event) {
	case CONN_INPUT:
	case CONN_CONNECTED: /* never: it was accepted */
		break;
	case CONN_DRAINED:
		s->unread_ms = 0;
		break;
	case CONN_TLS_DONE:
		tls_done(s);
		break;
	case CONN_TLS_FAILED:
		session_log_tls_failed(s, conn_error(c));
		/* The alert is on its way; a reset would eat it. */
		session_close(s);
		break;
	case CONN_EOF:
		s->eof = true;
		break;
	case CONN_ERROR:
		s->broken = true;
		/* A commit under way is not undone: its outcome is waited for and logged. */
		if (!s->committing)
			s->over = true;
		break;
	}
	session_run(s);
}

void session_say_goodbye(struct session *s)
{
	session_deadline(s, 5);
	s->why = "restart";
	session_hang_up(s, "4.3.2", "the server is being restarted, please try again in a minute");
}

void session_leave(struct session *s, bool hard)
{
	if (s->phase != SESSION_SMTP || s->room.greets)
		s->over = true;
	else if (hard || !s->in_mail)
		session_say_goodbye(s);
	session_run(s);
}

/* ---- birth ---- */

/* Each connection counts, whoever it is from; each client once it is known. */
static int count_in(struct session *s)
{
	struct listener *l = s->listener;

	if (l->n_sessions >= l->rules->max_sessions + REFUSED_MAX) {
		l->count.sessions_refused++;
		return -EUSERS;
	}
	l->n_sessions++;
	session_press(l);
	return 0;
}

int session_known(struct session *s)
{
	struct listener *l = s->listener;
	uint32_t of_ip = ip_count_add(&l->by_ip, &s->ip, s->uid);

	if (of_ip == 0)
		return -ENOMEM;
	s->counted = true;
	if (of_ip > s->rules->max_sessions_per_ip + REFUSED_PER_IP_MAX) {
		l->count.sessions_refused++;
		return -EUSERS;
	}
	l->count.sessions++;
	session_log_begin(s);
	session_limits_connect(s); /* what needs ledger's word is asked for while the greeting is held */
	return 0;
}

static int set_up(struct session *s)
{
	gid_t gid;
	uid_t uid;

	conn_peer(s->conn, &s->ip, &s->peer_port);
	if (s->rules->role == SMTP_LOCAL) {
		if (conn_peer_uid(s->conn, &uid, &gid) < 0)
			return -EPERM;
		s->uid = uid;
	}
	/* Reset before we came to it, as a proxy's look at the port is: nobody is there. */
	if (s->rules->role != SMTP_LOCAL && s->ip.family == 0)
		return -ENOTCONN;
	s->port = s->rules->port;
	s->phase = rules_proxy(s->rules, &s->ip) ? SESSION_PROXY : SESSION_SNIFF;
	s->trusted = s->phase == SESSION_SNIFF && rules_trust(s->rules, &s->ip);
	s->engine = smtp_server_new(&s->rules->engine);
	if (!s->engine)
		return -ENOMEM;
	return transaction_init(&s->tx);
}

int session_accept(struct listener *l, int fd)
{
	struct session *s = calloc(1, sizeof(*s));
	struct conn_setup setup = { .loop = l->rx->loop,
				    .input_max = INPUT_MAX,
				    .output_max = SESSION_OUTPUT_MAX,
				    .handler = on_conn,
				    .arg = s };
	int r = s ? conn_take(&setup, fd, l->rules->role == SMTP_LOCAL, &s->conn) : -ENOMEM;

	if (r < 0) {
		listener_sorry(l, fd);
		close(fd);
		free(s);
		return r;
	}
	s->rx = l->rx;
	s->listener = l;
	s->rules = rules_ref(l->rules);
	list_init(&s->link);
	list_init(&s->again);
	list_init(&s->starved);
	list_init(&s->targets);
	list_init(&s->room.link);
	buf_init(&s->login, IPC_ADDRESS_MAX);
	buf_init(&s->owner, 64);
	r = set_up(s);
	if (r == 0)
		r = count_in(s);
	if (r == 0 && s->phase != SESSION_PROXY) {
		r = session_known(s);
		if (r < 0)
			count_out(s);
	}
	if (r < 0) {
		if (r == -ENOMEM)
			listener_sorry(l, fd);
		conn_close(s->conn);
		smtp_server_free(s->engine);
		transaction_done(&s->tx, s->rx);
		rules_unref(s->rules);
		free(s);
		return r;
	}
	list_push_back(&l->sessions, &s->link);
	s->rx->n_sessions++;
	uv_timer_init(s->rx->loop, &s->timer);
	s->timer.data = s;
	s->began_ms = s->opened_ms = receive_now_ms(s->rx);
	s->end_ms = s->began_ms + (uint64_t)s->rules->session_timeout_s * 1000;
	if (s->phase == SESSION_PROXY)
		session_deadline(s, s->rules->proxy_timeout_s);
	else
		set_wrong_port(s);
	session_run(s);
	return 0;
}
