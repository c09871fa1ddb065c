/* The questions to keeper - who is this, may it send so, where does that lead -
 * and what becomes of the answers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "receive/session.h"

/* Targets of one address, until its verdict comes. */
#define ADDRESS_TARGETS_MAX 1000

struct told {
	struct list link;
	uint8_t kind;
	size_t n_address;
	size_t n_mailbox;
	size_t n_sender;
	unsigned char text[]; /* all three */
};

void session_forget_targets(struct session *s)
{
	struct list *at, *after;

	LIST_EACH (&s->targets, at, after)
		free(container_of(at, struct told, link));
	list_init(&s->targets);
	s->n_targets = 0;
	s->targets_lost = false;
}

struct policy_facts session_facts(const struct session *s)
{
	struct policy_facts f = { .role = s->rules->role,
				  .authenticated = s->account != 0,
				  .trusted = s->trusted,
				  .login = buf_slice(&s->login),
				  .advice = s->rules->engine.advice,
				  .limited = s->room.refused,
				  .limit_max = s->room.refused_max,
				  .limit_period_s = s->rules->limit_period_s,
				  .retry_s = s->room.retry_s,
				  .draining = s->rx->draining,
				  .queue_result = s->rx->queue_result,
				  .queue_away = !s->rx->queue,
				  .keeper_away = !s->rx->keeper };

	return f;
}

static bool send_to_keeper(struct session *s, const struct ipc_message *m)
{
	return s->rx->keeper && channel_send(s->rx->keeper, m, -1) == 0;
}

/* ---- AUTH ---- */

static struct slice ip_bytes(const struct ip *ip)
{
	return slice_of(ip->byte, ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0);
}

static void auth_over(struct session *s)
{
	receive_wait_end(&s->rx->asks, &s->ask);
	s->auth_running = false;
	s->wait = SESSION_WAITS_FOR_PEER;
	session_deadline(s, s->rules->command_timeout_s);
}

static bool auth_later(struct session *s)
{
	auth_over(s);
	session_log_auth(s, 454, false, (struct slice){ NULL, 0 });
	smtp_server_auth_done(s->engine, 454, "4.7.0",
			      "logins cannot be checked at the moment, please try again later");
	return true;
}

bool session_auth(struct session *s, const struct smtp_server_ask *ask)
{
	unsigned char exporter[32];
	struct ipc_message m = { .type = IPC_TYPE_auth_start };
	bool sent;

	if (!slice_copy(ask->name, s->mech, sizeof(s->mech)))
		s->mech[0] = 0;
	receive_wait_for(s->rx, &s->rx->asks, &s->ask);
	s->auth_running = true;
	m.auth_start = (struct ipc_auth_start){ .req = s->ask.number,
						.mech = ask->name,
						.has_initial = ask->has_initial,
						.initial = ask->data,
						.listener = slice_str(s->listener->name),
						.ip = ip_bytes(&s->ip) };
	if (conn_tls_exporter(s->conn, exporter) == 0)
		m.auth_start.exporter = slice_of(exporter, sizeof(exporter));
	sent = send_to_keeper(s, &m);
	explicit_bzero(exporter, sizeof(exporter));
	return sent ? false : auth_later(s);
}

bool session_auth_step(struct session *s, const struct smtp_server_ask *ask)
{
	struct ipc_message m = { .type = IPC_TYPE_auth_step,
				 .auth_step = { .req = s->ask.number, .data = ask->data } };

	return s->auth_running && send_to_keeper(s, &m) ? false : auth_later(s);
}

void session_auth_abort(struct session *s)
{
	struct ipc_message m = { .type = IPC_TYPE_auth_abort, .auth_abort = { .req = s->ask.number } };

	if (!s->auth_running)
		return;
	send_to_keeper(s, &m);
	auth_over(s);
}

void session_exposed(struct session *s, const struct smtp_server_ask *ask)
{
	struct ipc_message m = { .type = IPC_TYPE_exposed,
				 .exposed = { .mech = ask->name,
					      .has_initial = ask->has_initial,
					      .data = ask->data,
					      .listener = slice_str(s->listener->name),
					      .ip = ip_bytes(&s->ip) } };

	send_to_keeper(s, &m);
}

static void on_challenge(struct session *s, const struct ipc_auth_challenge *m)
{
	if (!s->auth_running || s->wait != SESSION_WAITS_FOR_KEEPER)
		return;
	s->wait = SESSION_WAITS_FOR_PEER;
	session_deadline(s, s->rules->command_timeout_s);
	smtp_server_challenge(s->engine, m->data);
}

void session_auth_result(struct session *s, const struct ipc_auth_result *m)
{
	char enhanced[16 + 1], text[IPC_TEXT_MAX + 1];

	if (!s->auth_running || s->held || s->wait != SESSION_WAITS_FOR_KEEPER || session_hold_auth(s, m))
		return;
	auth_over(s);
	if (!slice_copy(m->enhanced, enhanced, sizeof(enhanced)) ||
	    !slice_copy(m->text, text, sizeof(text))) {
		auth_later(s);
		return;
	}
	if (m->code == 235) {
		s->account = m->account;
		s->key = m->key;
		buf_reset(&s->login);
		buf_put(&s->login, m->name);
		if (!buf_ok(&s->login)) {
			s->account = s->key = 0;
			auth_later(s);
			return;
		}
		buf_reset(&s->owner);
		buf_put(&s->owner, m->owner);
		s->account_class = m->class <= IPC_CLASSES ? m->class : 0;
	}
	session_log_auth(s, m->code, m->locked, m->name);
	if (m->code == 235)
		session_mishap_served(s);
	smtp_server_auth_done(s->engine, m->code, enhanced[0] ? enhanced : NULL, text[0] ? text : NULL);
}

/* ---- MAIL and RCPT ---- */

static bool ask_keeper(struct session *s, const struct smtp_path *path)
{
	struct ipc_message m = { 0 };
	char room[IPC_ADDRESS_MAX];
	struct buf address;

	buf_init_in(&address, room, sizeof(room));
	if (!smtp_path_put_canonical(path, &address) || !buf_ok(&address))
		return false;
	receive_wait_for(s->rx, &s->rx->asks, &s->ask);
	if (policy_question(&s->check) == POLICY_ASKS_SENDER) {
		m.type = IPC_TYPE_sender;
		m.sender = (struct ipc_sender){ .req = s->ask.number,
						.account = s->account,
						.key = s->key,
						.address = buf_slice(&address) };
	} else {
		m.type = IPC_TYPE_recipient;
		m.recipient = (struct ipc_recipient){ .req = s->ask.number,
						      .address = buf_slice(&address),
						      .sender = buf_slice(&s->tx.sender) };
	}
	return send_to_keeper(s, &m);
}

static void answer_policy(struct session *s, enum count_stage stage, const struct smtp_path *path)
{
	struct policy_reply reply;

	policy_reply(&s->check, &reply);
	session_refuse(s, stage, reply.code, reply.enhanced, reply.text, path, policy_name(&s->check));
	if (strcmp(policy_name(&s->check), "relay") == 0)
		session_mishap(s, IPC_MISHAP_RELAY_DENIED, false);
	smtp_server_answer(s->engine, reply.code, reply.enhanced, reply.text);
}

static void refuse_plainly(struct session *s, enum count_stage stage, int code, const char *enhanced,
			   const char *text, const struct smtp_path *path)
{
	session_refuse(s, stage, code, enhanced, text, path, "form");
	smtp_server_answer(s->engine, code, enhanced, text);
}

static void refuse_for_memory(struct session *s, enum count_stage stage, const struct smtp_path *path)
{
	refuse_plainly(s, stage, 452, "4.3.1", "out of memory, please try again later", path);
}

/* Else it is refused, with the words that are given. */
static bool is_canonical(struct session *s, enum count_stage stage, const struct smtp_path *path,
			 const char *enhanced, const char *text)
{
	char room[IPC_ADDRESS_MAX];
	struct buf address;

	buf_init_in(&address, room, sizeof(room));
	if (smtp_path_put_canonical(path, &address) && buf_ok(&address))
		return true;
	if (buf_ok(&address))
		refuse_plainly(s, stage, 553, enhanced, text, path);
	else
		refuse_for_memory(s, stage, path);
	return false;
}

/* Before the client says anything: bulk is bulk whoever says so; else the account's, for it is known
 * better; else the listener's. */
static uint8_t own_class(const struct session *s)
{
	if (s->rules->class == IPC_CLASS_BULK || s->account_class == 0)
		return s->rules->class;
	return (uint8_t)(s->account_class - 1);
}

/* A client may always ask for less; for more only where its own class is not bulk, else the
 * priority is lowered, and the client told so (X.3.6, and the new one in front; RFC 6710 4.1).  What lies
 * between is its own class. */
static uint8_t class_of(const struct session *s, uint8_t *mt_priority)
{
	int value = *mt_priority > 0 ? *mt_priority - 10 : 0;
	uint8_t own = own_class(s);

	if (value <= -3)
		return IPC_CLASS_BULK;
	if (own == IPC_CLASS_BULK && value > 0)
		*mt_priority = 0;
	return own != IPC_CLASS_BULK && value >= 3 ? IPC_CLASS_URGENT : own;
}

static void mail_taken(struct session *s, const struct smtp_server_ask *ask)
{
	if (transaction_begin(&s->tx, &ask->path, &ask->mail) < 0) {
		refuse_for_memory(s, COUNT_AT_MAIL, &ask->path);
		return;
	}
	s->in_mail = true;
	s->tx.class = class_of(s, &s->tx.params.mt_priority);
	if (s->tx.params.mt_priority == ask->mail.mt_priority)
		smtp_server_answer(s->engine, 250, NULL, NULL);
	else
		smtp_server_answer(s->engine, 250, "2.3.6",
				   s->rules->class == IPC_CLASS_BULK
					   ? "0 is its priority now: this listener is for bulk mail"
					   : "0 is its priority now: this account is for bulk mail");
}

bool session_mail(struct session *s, const struct smtp_server_ask *ask)
{
	if (!ask->path.null &&
	    !is_canonical(s, COUNT_AT_MAIL, &ask->path, "5.1.7", "the sender's domain is not a valid name"))
		return true;
	if (!session_limits_mail(s))
		return false;
	s->facts = session_facts(s);
	s->facts.path = &ask->path;
	switch (policy_start(&s->check, POLICY_MAIL, &s->facts)) {
	case POLICY_ASK:
		if (ask_keeper(s, &ask->path))
			return false;
		session_keeper_failed(s);
		return true;
	case POLICY_REFUSE:
		answer_policy(s, COUNT_AT_MAIL, &ask->path);
		return true;
	case POLICY_PASS:
		break;
	}
	mail_taken(s, ask);
	return true;
}

bool session_rcpt(struct session *s, const struct smtp_server_ask *ask)
{
	if (!is_canonical(s, COUNT_AT_RCPT, &ask->path, "5.1.3",
			  "the recipient's domain is not a valid name"))
		return true;
	if (!session_limits_rcpt(s))
		return false;
	session_forget_targets(s);
	s->facts = session_facts(s);
	s->facts.path = &ask->path;
	if (policy_start(&s->check, POLICY_RCPT, &s->facts) == POLICY_ASK) {
		if (ask_keeper(s, &ask->path))
			return false;
		session_keeper_failed(s);
		return true;
	}
	answer_policy(s, COUNT_AT_RCPT, &ask->path);
	return true;
}

static void on_target(struct session *s, const struct ipc_target *m)
{
	struct told *t;

	if (s->wait != SESSION_WAITS_FOR_KEEPER)
		return;
	t = s->n_targets < ADDRESS_TARGETS_MAX
		    ? malloc(sizeof(*t) + m->address.n + m->mailbox.n + m->sender.n)
		    : NULL;
	if (!t) {
		s->targets_lost = true;
		return;
	}
	t->kind = m->kind;
	t->n_address = m->address.n;
	t->n_mailbox = m->mailbox.n;
	t->n_sender = m->sender.n;
	if (m->address.n > 0)
		memcpy(t->text, m->address.p, m->address.n);
	if (m->mailbox.n > 0)
		memcpy(t->text + m->address.n, m->mailbox.p, m->mailbox.n);
	if (m->sender.n > 0)
		memcpy(t->text + m->address.n + m->mailbox.n, m->sender.p, m->sender.n);
	list_push_back(&s->targets, &t->link);
	s->n_targets++;
}

/* All the places that this recipient leads to; or the recipient itself, elsewhere. */
static int take_targets(struct session *s, const struct smtp_server_ask *ask, bool remote)
{
	char original_room[IPC_ADDRESS_MAX], room[IPC_ADDRESS_MAX];
	struct buf original, address;
	struct list *at, *after;
	int r = 0;

	buf_init_in(&original, original_room, sizeof(original_room));
	buf_init_in(&address, room, sizeof(room));
	smtp_path_put(&ask->path, &original);
	if (!smtp_path_put_canonical(&ask->path, &address) || !buf_ok(&original) || !buf_ok(&address))
		r = -ENOMEM;
	if (r == 0 && remote) {
		struct ipc_target t = { .kind = IPC_TARGET_REMOTE, .address = buf_slice(&address) };

		r = transaction_add(&s->tx, &t, buf_slice(&original), &ask->rcpt);
	}
	if (r == 0 && !remote && (list_empty(&s->targets) || s->targets_lost))
		r = -ENOMEM;
	LIST_EACH (&s->targets, at, after) {
		const struct told *told = container_of(at, struct told, link);
		struct ipc_target t = { .kind = told->kind,
					.address = { told->text, told->n_address },
					.mailbox = { told->text + told->n_address, told->n_mailbox },
					.sender = { told->text + told->n_address + told->n_mailbox,
						    told->n_sender } };

		if (r == 0 && !remote)
			r = transaction_add(&s->tx, &t, buf_slice(&original), &ask->rcpt);
	}
	return r;
}

static void rcpt_passed(struct session *s, const struct smtp_server_ask *ask, enum policy_verdict verdict)
{
	int r = take_targets(s, ask, verdict == POLICY_VERDICT_NOT_LOCAL);

	session_forget_targets(s);
	if (r == -E2BIG) {
		refuse_plainly(s, COUNT_AT_RCPT, 452, "4.5.3",
			       "this message would go to too many mailboxes, send it to fewer at once",
			       &ask->path);
	} else if (r < 0) {
		refuse_for_memory(s, COUNT_AT_RCPT, &ask->path);
	} else {
		s->tx.recipients++;
		smtp_server_answer(s->engine, 250, NULL, NULL);
	}
}

/* keeper's verdict on what the engine asks now. */
static void judge(struct session *s, enum policy_verdict verdict)
{
	const struct smtp_server_ask *ask = smtp_server_want(s->engine);
	bool mail = ask->want == SMTP_SERVER_MAIL;

	receive_wait_end(&s->rx->asks, &s->ask);
	s->wait = SESSION_WAITS_FOR_PEER;
	session_deadline(s, s->rules->command_timeout_s);
	if (!mail && ask->want != SMTP_SERVER_RCPT)
		return;
	s->facts.path = &ask->path;
	if (policy_answer(&s->check, verdict) == POLICY_REFUSE)
		answer_policy(s, mail ? COUNT_AT_MAIL : COUNT_AT_RCPT, &ask->path);
	else if (mail)
		mail_taken(s, ask);
	else
		rcpt_passed(s, ask, verdict);
}

static enum policy_verdict verdict_of(uint8_t what)
{
	static const enum policy_verdict verdicts[] = {
		[IPC_VERDICT_OK] = POLICY_VERDICT_OK,
		[IPC_VERDICT_NOT_LOCAL] = POLICY_VERDICT_NOT_LOCAL,
		[IPC_VERDICT_NO_SUCH_USER] = POLICY_VERDICT_NO_SUCH_USER,
		[IPC_VERDICT_DISABLED] = POLICY_VERDICT_DISABLED,
		[IPC_VERDICT_NOT_YOURS] = POLICY_VERDICT_NOT_YOURS,
		[IPC_VERDICT_LOOP] = POLICY_VERDICT_LOOP,
		[IPC_VERDICT_TRY_LATER] = POLICY_VERDICT_TRY_LATER,
		[IPC_VERDICT_REPORTS_ONLY] = POLICY_VERDICT_REPORTS_ONLY,
	};

	if (what < IPC_VERDICT_OK || what > IPC_VERDICT_REPORTS_ONLY)
		return POLICY_VERDICT_TRY_LATER;
	return verdicts[what];
}

void session_keeper_failed(struct session *s)
{
	if (s->held) {
		session_let_go(s);
	} else if (s->auth_running) {
		session_auth_abort(s);
		auth_later(s);
	} else {
		judge(s, POLICY_VERDICT_TRY_LATER);
	}
}

/* The engine still holds the question, so the next keeper can be asked it; but for the
 * second step of a login, whose first one is lost. */
static bool ask_again(struct session *s)
{
	return smtp_server_want(s->engine)->want != SMTP_SERVER_AUTH_STEP && session_await(s, IPC_KEEPER);
}

void session_keeper_gone(struct session *s)
{
	bool waits = s->wait == SESSION_WAITS_FOR_KEEPER;

	if (s->held) /* its answer is here, and waits only for its time */
		return;
	if (s->auth_running && !waits) {
		/* Between two steps: the next one is answered "later". */
		receive_wait_end(&s->rx->asks, &s->ask);
		s->auth_running = false;
	} else if (waits && ask_again(s)) {
		receive_wait_end(&s->rx->asks, &s->ask);
		session_forget_targets(s);
		s->auth_running = false;
		session_arm(s); /* for a second; the timer stands at the time for an answer */
	} else if (waits) {
		session_keeper_failed(s);
		session_run(s);
	}
}

void session_on_keeper(struct session *s, const struct ipc_message *m)
{
	switch (m->type) {
	case IPC_TYPE_target:
		on_target(s, &m->target);
		return;
	case IPC_TYPE_verdict:
		if (s->auth_running || s->wait != SESSION_WAITS_FOR_KEEPER)
			return;
		judge(s, verdict_of(m->verdict.what));
		break;
	case IPC_TYPE_auth_challenge:
		on_challenge(s, &m->auth_challenge);
		break;
	case IPC_TYPE_auth_result:
		session_auth_result(s, &m->auth_result);
		break;
	default:
		return;
	}
	session_run(s);
}
