/* What a session takes of the limits of the whole server: room for itself when it begins,
 * then each message and recipient.  The counts are policy/limit.h's; here is who is counted,
 * the channel to ledger, and a wait of at most LIMIT_WAIT_MS when a count needs ledger's
 * word: mostly while the greeting is held anyway.  A ledger that is away or slow costs
 * nobody more: then each process decides by its share.
 *
 * Messages and recipients are paid for before they are taken; what then is refused, or
 * given up before it is stored, pays for the next one, and goes back at the end.
 *
 * Hosts in relay_from and in limits.exempt_networks are held to max_sessions and
 * max_sessions_per_ip alone.  Only accounts, their owners and local users have limits on
 * messages: a relay's clients are strangers, or trusted. */
#include <stdlib.h>

#include "receive/session.h"

#define LIMIT_WAIT_MS 40
#define SLOW_MS	      1000 /* a ledger that did not answer in time is not waited for so long */
#define MINUTE_MS     60000

/* ---- the channel to ledger ---- */

static bool in_hurry(const struct receive *rx)
{
	return !rx->ledger || receive_now_ms(rx) < rx->ledger_slow_ms ||
	       channel_room(rx->ledger) <= IPC_PACKET_MAX;
}

static void on_sweep(uv_timer_t *t);

static void pump(struct receive *rx)
{
	struct limit_claim c;

	while (rx->ledger && channel_room(rx->ledger) > IPC_PACKET_MAX &&
	       limits_next(rx->limits, receive_now_ms(rx), &c)) {
		struct ipc_message m = { .type = IPC_TYPE_claim,
					 .claim = { .key = c.key,
						    .use = c.use,
						    .limit = c.limit,
						    .want = c.want,
						    .have = c.have,
						    .pool = c.pool,
						    .refused_s = c.refused_s,
						    .answer = c.answer } };

		channel_send(rx->ledger, &m, -1);
		if (c.answer && !uv_is_active((uv_handle_t *)&rx->limits_timer))
			uv_timer_start(&rx->limits_timer, on_sweep, LIMITS_SWEEP_MS, LIMITS_SWEEP_MS);
	}
}

static void on_sweep(uv_timer_t *t)
{
	struct receive *rx = t->data;

	if (!limits_sweep(rx->limits, receive_now_ms(rx)))
		uv_timer_stop(t);
	pump(rx);
}

static void wait_over(struct session *s)
{
	if (!s->room.waits)
		return;
	limit_unpin(s->rx->limits, s->room.waits);
	s->room.waits = NULL;
	list_remove(&s->room.link);
}

/* Decide again, with what is known now.  True if the session waited for it, and is to be run. */
static bool go_on(struct session *s)
{
	wait_over(s);
	if (s->wait != SESSION_WAITS_FOR_LEDGER) {
		session_limits_connect(s);
		return false;
	}
	s->wait = SESSION_WAITS_FOR_PEER;
	session_deadline(s, s->rules->command_timeout_s);
	if (s->room.greets) {
		s->room.greets = false;
		session_greet(s, s->room.greet_tls);
	}
	return true;
}

/* u: those that wait for this count; NULL: all. */
static void wake(struct receive *rx, const struct limit_use *u)
{
	struct list *at, *after, now;

	list_init(&now);
	LIST_EACH (&rx->limit_waits, at, after) {
		struct session *s = container_of(at, struct session, room.link);

		if (u && s->room.waits != u)
			continue;
		list_remove(at);
		list_push_back(&now, at);
	}
	while (!list_empty(&now)) {
		struct session *s = container_of(now.next, struct session, room.link);

		list_remove(&s->room.link);
		if (go_on(s))
			session_run(s);
	}
}

void receive_limits_granted(struct receive *rx, const struct ipc_grant *m)
{
	struct limit_use *u = limits_granted(rx->limits, receive_now_ms(rx), m->key, m->claim, m->full != 0);

	rx->ledger_slow_ms = 0;
	if (u)
		wake(rx, u);
	pump(rx);
}

void receive_limits_ledger(struct receive *rx)
{
	rx->ledger_slow_ms = 0;
	limits_ledger_new(rx->limits);
	pump(rx);
	wake(rx, NULL);
}

void session_limits_slow(struct session *s)
{
	s->rx->ledger_slow_ms = receive_now_ms(s->rx) + SLOW_MS;
	s->rx->limits_late++;
	s->room.hurry = true;
	go_on(s);
}

/* ---- taking ---- */

static enum limit_answer take(struct session *s, enum limit_kind kind, const struct limit_key *key,
			      uint32_t max, uint64_t window_ms, struct limit_use **ret)
{
	struct receive *rx = s->rx;
	struct limit limit = { .max = max,
			       .window_ms = window_ms,
			       .processes = s->rules->role == SMTP_LOCAL ? 1 : rx->setup.processes };
	enum limit_answer a = limit_take(rx->limits, receive_now_ms(rx), key, &limit, 1,
					 s->room.hurry || in_hurry(rx), ret);

	if (a == LIMIT_ASK) {
		limit_pin(*ret);
		s->room.waits = *ret;
		s->room.asked_ms = receive_now_ms(rx);
		list_push_back(&rx->limit_waits, &s->room.link);
	} else if (a == LIMIT_REFUSED) {
		s->room.refused = kind;
		s->room.refused_max = max;
		s->room.retry_s = limit_retry_s(*ret, receive_now_ms(rx));
		s->listener->count.limited[kind]++;
	}
	pump(rx);
	return a;
}

static bool exempt(const struct session *s)
{
	if (s->trusted)
		return true;
	for (size_t i = 0; i < s->rules->n_exempt; i++)
		if (ip_net_has(&s->rules->exempt[i], &s->ip))
			return true;
	return false;
}

static void make_key(const struct session *s, enum limit_kind kind, struct limit_key *key)
{
	const struct rules *r = s->rules;
	bool of_network = kind == LIMIT_SESSIONS_NETWORK || kind == LIMIT_RATE_NETWORK;
	struct ip_net net;
	char uid[16];

	if (kind == LIMIT_SESSIONS) {
		limit_key_text(key, kind, r->name, (struct slice){ NULL, 0 });
	} else if (s->ip.family == 0) {
		snprintf(uid, sizeof(uid), "%u", s->uid);
		limit_key_text(key, kind, r->name, slice_str(uid));
	} else {
		net = limit_net(&s->ip, s->ip.family == 4 ? (of_network ? r->ipv4_network : 32)
							  : (of_network ? r->ipv6_network : 64));
		limit_key_net(key, kind, r->name, &net);
	}
}

/* The listener last: who is refused for himself takes nothing from the others. */
static const struct {
	enum limit_kind kind;
	size_t max; /* of struct rules */
	bool rate, for_exempt;
} steps[] = {
	{ LIMIT_SESSIONS_IP, offsetof(struct rules, max_sessions_per_ip), false, true },
	{ LIMIT_SESSIONS_NETWORK, offsetof(struct rules, max_sessions_per_network), false, false },
	{ LIMIT_RATE_IP, offsetof(struct rules, max_rate_per_ip), true, false },
	{ LIMIT_RATE_NETWORK, offsetof(struct rules, max_rate_per_network), true, false },
	{ LIMIT_SESSIONS, offsetof(struct rules, max_sessions), false, true },
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

bool session_limits_connect(struct session *s)
{
	bool free = exempt(s) || s->ip.family == 0;

	for (; s->room.step < STEPS && !s->room.refused; s->room.step++) {
		enum limit_kind kind = steps[s->room.step].kind;
		struct limit_use *u = NULL;
		struct limit_key key;
		uint32_t max;

		memcpy(&max, (const char *)s->rules + steps[s->room.step].max, sizeof(max));
		if (max == 0 || (free && !steps[s->room.step].for_exempt))
			continue;
		if (s->room.waits)
			return false;
		make_key(s, kind, &key);
		switch (take(s, kind, &key, max, steps[s->room.step].rate ? MINUTE_MS : 0, &u)) {
		case LIMIT_TAKEN:
			if (!steps[s->room.step].rate)
				s->room.held[s->room.n_held++] = u;
			break;
		case LIMIT_ASK:
			return false;
		case LIMIT_REFUSED:
			return true;
		}
	}
	return true;
}

static void wait_for_ledger(struct session *s)
{
	s->wait = SESSION_WAITS_FOR_LEDGER;
	s->deadline_ms = s->room.asked_ms + LIMIT_WAIT_MS;
}

bool session_limits_greet(struct session *s, bool tls)
{
	if (!session_limits_connect(s) && receive_now_ms(s->rx) >= s->room.asked_ms + LIMIT_WAIT_MS) {
		wait_over(s);
		s->room.hurry = true;
	}
	if (!session_limits_connect(s)) {
		s->room.greets = true;
		s->room.greet_tls = tls;
		wait_for_ledger(s);
		return false;
	}
	s->room.hurry = false;
	return true;
}

/* ---- messages and recipients ---- */

static bool make_mail_key(const struct session *s, enum limit_kind kind, struct limit_key *key,
			  uint32_t *ret_max)
{
	const struct rules *r = s->rules;
	char uid[16];

	*ret_max = 0;
	if (kind == LIMIT_UID_MESSAGES || kind == LIMIT_UID_RECIPIENTS) {
		snprintf(uid, sizeof(uid), "%u", s->uid);
		limit_key_text(key, kind, "", slice_str(uid));
		if (r->role == SMTP_LOCAL)
			*ret_max = kind == LIMIT_UID_MESSAGES ? r->uid_messages : r->uid_recipients;
	} else if (s->account == 0) {
		return false;
	} else if (kind == LIMIT_ACCOUNT_MESSAGES || kind == LIMIT_ACCOUNT_RECIPIENTS) {
		limit_key_text(key, kind, "", buf_slice(&s->login));
		*ret_max = kind == LIMIT_ACCOUNT_MESSAGES ? r->account_messages : r->account_recipients;
	} else {
		limit_key_text(key, kind, "", buf_slice(&s->owner));
		*ret_max = kind == LIMIT_OWNER_MESSAGES ? r->owner_messages : r->owner_recipients;
	}
	return *ret_max > 0;
}

#define MAIL_STEPS 3
static const enum limit_kind of_message[MAIL_STEPS] = { LIMIT_UID_MESSAGES, LIMIT_ACCOUNT_MESSAGES,
							LIMIT_OWNER_MESSAGES };
static const enum limit_kind of_recipient[MAIL_STEPS] = { LIMIT_UID_RECIPIENTS, LIMIT_ACCOUNT_RECIPIENTS,
							  LIMIT_OWNER_RECIPIENTS };

/* One more is paid for when all steps are; what was paid stays when a later one is refused. */
static bool pay(struct session *s, const enum limit_kind *kinds, unsigned *step, uint32_t *paid)
{
	s->room.refused = LIMIT_NONE;
	for (; *step < MAIL_STEPS; (*step)++) {
		struct limit_use *u;
		struct limit_key key;
		uint32_t max;

		if (!make_mail_key(s, kinds[*step], &key, &max))
			continue;
		switch (take(s, kinds[*step], &key, max, (uint64_t)s->rules->limit_period_s * 1000, &u)) {
		case LIMIT_TAKEN:
			break;
		case LIMIT_ASK:
			wait_for_ledger(s);
			return false;
		case LIMIT_REFUSED:
			s->room.hurry = false;
			return true;
		}
	}
	s->room.hurry = false;
	*step = 0;
	(*paid)++;
	return true;
}

bool session_limits_mail(struct session *s)
{
	s->room.refused = LIMIT_NONE;
	return s->room.messages > 0 || pay(s, of_message, &s->room.message_step, &s->room.messages);
}

bool session_limits_rcpt(struct session *s)
{
	s->room.refused = LIMIT_NONE;
	return s->room.recipients > s->tx.recipients ||
	       pay(s, of_recipient, &s->room.recipient_step, &s->room.recipients);
}

void session_limits_used(struct session *s)
{
	if (s->room.messages > 0)
		s->room.messages--;
	s->room.recipients -= s->tx.recipients < s->room.recipients ? s->tx.recipients : s->room.recipients;
}

static void give_back(struct session *s, const enum limit_kind *kinds, unsigned *step, uint32_t *paid)
{
	for (unsigned i = 0; i < MAIL_STEPS; i++) {
		uint32_t n = *paid + (i < *step), max;
		struct limit_key key;

		if (n > 0 && make_mail_key(s, kinds[i], &key, &max))
			limit_give_key(s->rx->limits, receive_now_ms(s->rx), &key, n);
	}
	*step = *paid = 0;
}

void session_limits_refund(struct session *s)
{
	give_back(s, of_message, &s->room.message_step, &s->room.messages);
	give_back(s, of_recipient, &s->room.recipient_step, &s->room.recipients);
}

void session_limits_end(struct session *s)
{
	wait_over(s);
	session_limits_refund(s);
	for (unsigned i = 0; i < s->room.n_held; i++)
		limit_give(s->rx->limits, receive_now_ms(s->rx), s->room.held[i], 1);
	if (s->room.n_held > 0)
		pump(s->rx);
	s->room.n_held = 0;
}

/* ---- the process ---- */

int receive_limits_new(struct receive *rx)
{
	int r = limits_new(&rx->limits);

	list_init(&rx->limit_waits);
	if (r < 0)
		return r;
	uv_timer_init(rx->loop, &rx->limits_timer);
	rx->limits_timer.data = rx;
	return 0;
}

json_t *receive_limits_json(const struct receive *rx)
{
	struct limits_counters n;

	limits_count(rx->limits, &n);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "counts", (json_int_t)n.counts, "claims",
			 (json_int_t)n.claims, "asked", (json_int_t)n.asked, "granted", (json_int_t)n.granted,
			 "denied", (json_int_t)n.denied, "by_share", (json_int_t)n.hurried, "late",
			 (json_int_t)rx->limits_late, "evicted", (json_int_t)n.evicted);
}
