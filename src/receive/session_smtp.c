/* The engine's wants, and what is done about each. */
#include <errno.h>

#include "receive/session.h"

/* A turn's work: then other sessions have theirs. */
#define QUANTUM_OCTETS (128U << 10)
#define ASK_COST       2048 /* a question weighs as much as so many octets */
#define OUTPUT_HIGH    8192 /* replies gather up to this while input lasts */
#define ANSWER_S       30   /* what keeper and queue have for an answer */
#define RETURN_S       1    /* what they have for a restart, which takes a tenth of that */
/* A disk may take long to sync, and who gives up too early gets the message twice
 * (RFC 5321 4.5.3.2.6: clients wait for ten minutes). */
#define COMMIT_S 240

bool session_flush(struct session *s)
{
	for (;;) {
		struct slice out = smtp_server_output(s->engine);
		size_t room = conn_write_room(s->conn);

		if (out.n == 0)
			return true;
		if (s->broken || room == 0)
			return false;
		out = slice_head(out, room);
		if (conn_write(s->conn, out) < 0) {
			s->broken = true;
			return false;
		}
		smtp_server_sent(s->engine, out.n);
		session_told(s);
	}
}

/* The engine's slices point into the input while it hands out a body; until it
 * wants something else the bytes stay where they are. */
static void settle_input(struct session *s)
{
	if (s->fed > 0)
		conn_consume(s->conn, s->fed);
	s->fed = 0;
}

static void wipe_input(struct session *s)
{
	settle_input(s);
	conn_wipe_consumed(s->conn);
}

/* Leave the rest for the next turn of the loop. */
static bool turn_is_over(struct session *s)
{
	if (s->work < QUANTUM_OCTETS)
		return false;
	settle_input(s);
	session_flush(s);
	receive_again(s->rx, s);
	return true;
}

static void new_command_time(struct session *s)
{
	session_deadline(s,
			 session_patience(s, smtp_server_in_body(s->engine) ? s->rules->data_timeout_s
									    : s->rules->command_timeout_s));
}

static bool on_input(struct session *s)
{
	struct slice in;
	size_t n;

	settle_input(s);
	session_take_faults(s);
	if (s->rx->draining && !s->in_mail && !s->hung_up) {
		session_say_goodbye(s);
		return true;
	}
	in = conn_input(s->conn);
	if (smtp_server_output(s->engine).n >= OUTPUT_HIGH && !session_flush(s))
		return false;
	if (in.n > 0 && !s->spoke) {
		s->spoke = true;
		if (session_proxy_unexpected(s))
			return true;
	}
	if (in.n > 0) {
		size_t said = smtp_server_output(s->engine).n;

		n = smtp_server_feed(s->engine, in);
		s->fed = n;
		s->work += n;
		/* Body came, or a whole command; octets of a command begin no new time. */
		if (smtp_server_in_body(s->engine) || smtp_server_output(s->engine).n > said)
			new_command_time(s);
		if (s->begun && !s->hung_up && !session_pace(s, n))
			return true;
		if (n > 0 || smtp_server_want(s->engine)->want != SMTP_SERVER_INPUT)
			return true;
	}
	session_flush(s);
	if (s->eof) {
		s->why = "eof";
		session_close(s);
	}
	return false;
}

static bool on_helo(struct session *s, const struct smtp_server_ask *ask)
{
	(void)ask;
	/* A start in clear, complete: this address need not wait for its greeting again. */
	if (s->rules->hold_ms > 0 && !smtp_server_in_tls(s->engine))
		known_plain(&s->listener->known, &s->ip, receive_now_ms(s->rx));
	smtp_server_answer(s->engine, 250, NULL, NULL);
	return true;
}

static bool on_data(struct session *s)
{
	s->facts = session_facts(s);
	if (policy_start(&s->check, POLICY_DATA, &s->facts) == POLICY_REFUSE) {
		struct policy_reply reply;

		policy_reply(&s->check, &reply);
		session_refuse(s, COUNT_AT_DATA, reply.code, reply.enhanced, reply.text, NULL,
			       policy_name(&s->check));
		smtp_server_answer(s->engine, reply.code, reply.enhanced, reply.text);
		return true;
	}
	session_message_begin(s);
	session_pace_begin(s);
	smtp_server_answer(s->engine, 354, NULL, NULL);
	session_deadline(s, session_patience(s, s->rules->data_timeout_s));
	return true;
}

/* RFC 3207 4.2 and CVE-2011-0411: what came before TLS must not be read after it. */
static bool on_starttls(struct session *s)
{
	settle_input(s);
	if (conn_has_unread(s->conn))
		smtp_server_answer(s->engine, 554, "5.5.0",
				   "bytes behind STARTTLS before TLS began: this looks like an attack");
	else if (!s->rx->tls_ready)
		smtp_server_answer(s->engine, 454, "4.7.0", "TLS is not available at the moment");
	else
		smtp_server_answer(s->engine, 220, NULL, NULL);
	return true;
}

static bool on_tls(struct session *s)
{
	settle_input(s);
	if (!session_flush(s))
		return false;
	s->starting_tls = true;
	return session_start_tls(s);
}

static bool on_close(struct session *s)
{
	settle_input(s);
	session_take_faults(s);
	if (!session_flush(s) && !s->broken)
		return false;
	session_close(s);
	return false;
}

/* Ask keeper's answer with a time to wait for it. */
static bool asked(struct session *s, bool goes_on)
{
	if (!goes_on && s->wait != SESSION_WAITS_FOR_LEDGER) {
		s->wait = SESSION_WAITS_FOR_KEEPER;
		session_deadline(s, ANSWER_S);
	}
	return goes_on;
}

static bool to_queue(struct session *s, bool goes_on)
{
	if (!goes_on && !s->over) {
		s->wait = SESSION_WAITS_FOR_QUEUE;
		session_deadline(s, s->committing ? COMMIT_S : ANSWER_S);
	}
	return goes_on;
}

bool session_await(struct session *s, enum ipc_role who)
{
	bool there = who == IPC_QUEUE ? s->rx->queue != NULL : s->rx->keeper != NULL;

	if (there || s->tired || s->rx->draining)
		return false;
	s->wait = SESSION_WAITS_FOR_ROLE;
	s->awaited = who;
	session_deadline(s, RETURN_S);
	return true;
}

void session_role_back(struct session *s, enum ipc_role who)
{
	if (s->wait != SESSION_WAITS_FOR_ROLE || s->awaited != who)
		return;
	s->wait = SESSION_WAITS_FOR_PEER;
	session_run(s);
}

static bool act(struct session *s, const struct smtp_server_ask *ask)
{
	switch (ask->want) {
	case SMTP_SERVER_INPUT:
		s->tired = false;
		return on_input(s);
	case SMTP_SERVER_BODY:
		return to_queue(s, session_body(s, ask));
	case SMTP_SERVER_TLS:
		return on_tls(s);
	case SMTP_SERVER_CLOSE:
		return on_close(s);
	default:
		break;
	}
	settle_input(s);
	s->work += ASK_COST;
	new_command_time(s);
	switch (ask->want) {
	case SMTP_SERVER_HELO:
		return on_helo(s, ask);
	case SMTP_SERVER_EXPOSED:
		session_exposed(s, ask);
		wipe_input(s);
		smtp_server_go_on(s->engine);
		return true;
	case SMTP_SERVER_AUTH:
		wipe_input(s);
		if (session_await(s, IPC_KEEPER))
			return false;
		return asked(s, session_auth(s, ask));
	case SMTP_SERVER_AUTH_STEP:
		wipe_input(s);
		return asked(s, session_auth_step(s, ask));
	case SMTP_SERVER_AUTH_ABORT:
		session_auth_abort(s);
		smtp_server_go_on(s->engine);
		return true;
	case SMTP_SERVER_MAIL:
		if (session_await(s, IPC_QUEUE) || session_await(s, IPC_KEEPER))
			return false;
		return asked(s, session_mail(s, ask));
	case SMTP_SERVER_RCPT:
		if (session_await(s, IPC_KEEPER))
			return false;
		return asked(s, session_rcpt(s, ask));
	case SMTP_SERVER_DATA:
		if (session_await(s, IPC_QUEUE))
			return false;
		return on_data(s);
	case SMTP_SERVER_COMMIT:
		return to_queue(s, session_commit(s));
	case SMTP_SERVER_RESET:
		session_message_refused(s);
		session_message_over(s);
		smtp_server_go_on(s->engine);
		return true;
	case SMTP_SERVER_STARTTLS:
		return on_starttls(s);
	default:
		return false;
	}
}

bool session_smtp(struct session *s)
{
	if (s->wait == SESSION_WAITS_FOR_KEEPER || s->wait == SESSION_WAITS_FOR_ROLE ||
	    s->wait == SESSION_WAITS_FOR_LEDGER)
		return false;
	if (s->wait == SESSION_WAITS_FOR_QUEUE) {
		/* Bytes that come meanwhile stay with the connection, and so with TCP. */
		if (s->committing || !session_push(s))
			return false;
		s->wait = SESSION_WAITS_FOR_PEER;
		session_pace_begin(s); /* it was held back */
		new_command_time(s);
	}
	if (turn_is_over(s))
		return false;
	return act(s, smtp_server_want(s->engine));
}
