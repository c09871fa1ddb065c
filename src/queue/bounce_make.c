/* Where a report goes, and how it gets into the spool. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/wire.h"
#include "ipc/event.h"
#include "queue/bounce_private.h"
#include "smtp/path.h"

#define ASK_MS	    10000 /* keeper answers in less, or is asked again */
#define AWAY_MS	    1000
#define OPEN_MAX    64	  /* reports under way at once */
#define TARGETS_MAX 65536 /* octets of where a sender's address leads to */
#define CHUNK	    32768

static void tell_stored(struct bounce *b, const struct pending *p)
{
	static const char *const logged[BOUNCE_KINDS] = { "bounced", "confirmed", "warned" };
	static const enum event_kind kinds[BOUNCE_KINDS] = { EVENT_BOUNCED, EVENT_CONFIRMED, EVENT_WARNED };
	uint64_t *const counters[BOUNCE_KINDS] = { &b->count.failed, &b->count.delivered, &b->count.delayed };

	++*counters[p->kind];
	b->count.recipients += p->n;
	LOG(LOG_NOTICE, logged[p->kind], LOG_S("id", id_slice(&p->id)), LOG_S("dsn", id_slice(&p->dsn)),
	    LOG_S("to", p->sender), LOG_U("recipients", p->n));
	event_begin(b->events, kinds[p->kind], b->now_ms, id_slice(&p->id), EVENT_NO_RECIPIENT);
	event_text(b->events, EVENT_KEY_TO, p->sender);
	event_text(b->events, EVENT_KEY_DSN, id_slice(&p->dsn));
	event_number(b->events, EVENT_KEY_RCPTS, p->n);
	event_send(b->events);
	event_begin(b->events, EVENT_ACCEPTED, b->now_ms, id_slice(&p->dsn), EVENT_NO_RECIPIENT);
	event_text(b->events, EVENT_KEY_BY, SLICE_LIT("queue"));
	event_text(b->events, EVENT_KEY_FROM, SLICE_LIT("<>"));
	event_text(b->events, EVENT_KEY_OF, id_slice(&p->id));
	event_text(b->events, EVENT_KEY_TO, p->sender);
	event_number(b->events, EVENT_KEY_RCPTS, 1);
	event_send(b->events);
}

/* ---- storing ---- */

void bounce_stored(void *arg, uint64_t tx, int error)
{
	struct bounce *b = arg;
	struct list *at, *after;

	LIST_EACH (&b->open, at, after) {
		struct pending *p = container_of(at, struct pending, open);

		if (p->stage != STAGE_STORES || p->number != tx)
			continue;
		if (error) {
			bounce_try_again(b, p, "store", error);
			return;
		}
		for (size_t i = 0; i < p->n; i++)
			bounce_settle(b, &p->id, p->rcpt[i], p->kind);
		if (p->kind == BOUNCE_DELAYED) {
			p->late = false;
			spool_mark(b->sp, &p->id, SPOOL_ALL_RECIPIENTS, SPOOL_MARK_WARNED, SLICE_LIT(""));
		}
		tell_stored(b, p);
		p->paced = false;
		p->errors = 0;
		p->first_ms = b->now_ms;
		bounce_wait_until(b, p, b->now_ms); /* there may be more to say by now */
		return;
	}
}

static bool next_target(struct slice *cur, struct ipc_target *ret)
{
	return wire_u8(cur, &ret->kind) && wire_bytes(cur, IPC_ADDRESS_MAX, &ret->address) &&
	       wire_bytes(cur, 512, &ret->mailbox);
}

static const char *send_own(struct bounce *b, const struct ipc_message *m)
{
	return intake_message(b->intake, INTAKE_OWN, m, b->now_ms);
}

/* As an smtp process would: the body, where it goes, and the commit. */
static int hand_in(struct bounce *b, struct pending *p, const struct bounce_report *r, struct slice text,
		   const struct dsn_facts *facts)
{
	struct ipc_message m = { .type = IPC_TYPE_body };
	struct slice cur = buf_slice(&p->targets), rest = text;
	struct ipc_target t;
	const char *wrong = NULL;

	for (; !wrong && rest.n > 0; rest = slice_tail(rest, CHUNK)) {
		m.body = (struct ipc_body){ .tx = p->number, .data = slice_head(rest, CHUNK) };
		wrong = send_own(b, &m);
	}
	while (!wrong && next_target(&cur, &t)) {
		m = (struct ipc_message){ .type = IPC_TYPE_rcpt,
					  .rcpt = { .tx = p->number,
						    .kind = t.kind,
						    .notify = SMTP_NOTIFY_NEVER,
						    .address = t.address,
						    .original = r->e.sender,
						    .mailbox = t.mailbox } };
		wrong = send_own(b, &m);
	}
	p->stage = STAGE_STORES;
	m = (struct ipc_message){ .type = IPC_TYPE_commit,
				  .commit = { .tx = p->number,
					      .id = id_slice(&p->dsn),
					      .time_ms = b->now_ms,
					      .body_size = text.n,
					      .smtputf8 = facts->smtputf8,
					      .eightbit = facts->eightbit,
					      .requiretls = r->e.requiretls } };
	if (!wrong)
		wrong = send_own(b, &m);
	if (!wrong)
		return 0;
	m = (struct ipc_message){ .type = IPC_TYPE_drop, .drop = { .tx = p->number } };
	send_own(b, &m);
	LOG(LOG_ERR, "report-refused", LOG_S("id", id_slice(&p->id)), LOG_STR("why", wrong));
	return -EPROTO;
}

static bool remember(struct pending *p, const struct bounce_report *r)
{
	p->rcpt = calloc(r->n, sizeof(*p->rcpt));
	p->sender_p = malloc(r->e.sender.n);
	if (!p->rcpt || !p->sender_p)
		return false;
	for (size_t i = 0; i < r->n; i++)
		p->rcpt[p->n++] = r->rcpt[i].number;
	memcpy(p->sender_p, r->e.sender.p, r->e.sender.n);
	p->sender = slice_of(p->sender_p, r->e.sender.n);
	return true;
}

static void compose(struct bounce *b, struct pending *p)
{
	struct bounce_times t = { b->now_ms, b->setup.lifetime_ms, b->setup.meanings };
	struct bounce_report r;
	struct dsn_facts facts;
	struct buf text;
	int err;

	buf_init(&text, DSN_MAX);
	err = bounce_report_read(b->sp, b->schedule, &p->id, p->kind, &t, &r);
	if (err == 0 && r.n > 0) {
		p->dsn = id_next(&b->ids, b->now_ms);
		p->number = ++b->last_number;
		err = bounce_report_put(b->sp, &r, b->hostname, &p->dsn, &t, &text, &facts);
		if (err == 0)
			err = remember(p, &r) ? hand_in(b, p, &r, buf_slice(&text), &facts) : -ENOMEM;
	} else if (err == 0 || err == -ENOENT) {
		bounce_wait_until(b, p, b->now_ms); /* an operator was faster */
		err = 0;
	}
	if (err < 0)
		bounce_try_again(b, p, "compose", err);
	bounce_report_done(&r);
	buf_done(&text);
}

/* ---- keeper ---- */

static void undeliverable(struct bounce *b, struct pending *p)
{
	struct bounce_times t = { b->now_ms, b->setup.lifetime_ms, b->setup.meanings };
	struct bounce_report r;
	int err = bounce_report_read(b->sp, b->schedule, &p->id, p->kind, &t, &r);

	if (err == 0 && r.n > 0)
		bounce_settle_untold(b, &r, "the sender's address is none of ours any more",
				     &b->count.undeliverable);
	if (p->kind == BOUNCE_DELAYED)
		p->late = false;
	bounce_report_done(&r);
	p->paced = false;
	bounce_wait_until(b, p, b->now_ms);
}

static struct pending *asked(struct bounce *b, uint64_t req)
{
	struct list *at, *after;

	LIST_EACH (&b->open, at, after) {
		struct pending *p = container_of(at, struct pending, open);

		if (p->stage == STAGE_ASKS && p->number == req)
			return p;
	}
	return NULL;
}

static void add_target(struct pending *p, uint8_t kind, struct slice address, struct slice mailbox)
{
	wire_put_u8(&p->targets, kind);
	wire_put_bytes(&p->targets, address);
	wire_put_bytes(&p->targets, mailbox);
}

/* The address itself, elsewhere.  0, or negative errno: it is not known now. */
static int add_remote(struct bounce *b, struct pending *p)
{
	struct bounce_times t = { b->now_ms, b->setup.lifetime_ms, b->setup.meanings };
	char room[IPC_ADDRESS_MAX];
	struct smtp_path path;
	struct bounce_report r;
	struct buf address;
	size_t at;
	int err = bounce_report_read(b->sp, b->schedule, &p->id, p->kind, &t, &r);

	buf_init_in(&address, room, sizeof(room));
	if (err == 0 && smtp_parse_address(r.e.sender, &path, &at) == SMTP_PARSE_OK &&
	    smtp_path_put_canonical(&path, &address) && buf_ok(&address))
		add_target(p, IPC_TARGET_REMOTE, buf_slice(&address), SLICE_LIT(""));
	bounce_report_done(&r);
	return err;
}

static void on_verdict(struct bounce *b, struct pending *p, uint8_t what)
{
	int err = what == IPC_VERDICT_TRY_LATER ? -EAGAIN : 0;

	if (what == IPC_VERDICT_NOT_LOCAL) {
		buf_reset(&p->targets);
		err = add_remote(b, p);
	}
	if (err == 0 && !buf_ok(&p->targets))
		err = -ENOMEM;
	if (err == -ENOENT) /* an operator was faster */
		bounce_wait_until(b, p, b->now_ms);
	else if (err < 0)
		bounce_try_again(b, p, "keeper", err);
	else if ((what != IPC_VERDICT_OK && what != IPC_VERDICT_NOT_LOCAL) || p->targets.n == 0)
		undeliverable(b, p);
	else
		compose(b, p);
}

bool bounce_is_for(const struct ipc_message *m)
{
	return m->type == IPC_TYPE_target || m->type == IPC_TYPE_verdict;
}

const char *bounce_keeper_message(struct bounce *b, const struct ipc_message *m, uint64_t now_ms)
{
	struct pending *p;

	b->now_ms = now_ms;
	if (m->type == IPC_TYPE_target) {
		p = asked(b, m->target.req);
		if (p)
			add_target(p, m->target.kind, m->target.address, m->target.mailbox);
	} else if (m->type == IPC_TYPE_verdict) {
		b->unanswered = 0;
		p = asked(b, m->verdict.req);
		if (p)
			on_verdict(b, p, m->verdict.what);
	} else {
		return "a message that keeper may not send";
	}
	return NULL;
}

void bounce_keeper(struct bounce *b, struct channel *ch, uint64_t now_ms)
{
	struct list *at, *after;

	b->keeper = ch;
	b->unanswered = 0;
	b->now_ms = now_ms;
	LIST_EACH (&b->open, at, after) { /* whoever was asked is no more */
		struct pending *p = container_of(at, struct pending, open);

		if (p->stage == STAGE_ASKS)
			bounce_wait_until(b, p, now_ms);
	}
}

void bounce_ask(struct bounce *b, struct pending *p, struct slice sender)
{
	struct ipc_message m = { .type = IPC_TYPE_recipient,
				 .recipient = { .req = ++b->last_number, .address = sender } };

	if (!b->keeper || b->n_open >= OPEN_MAX || channel_send(b->keeper, &m, -1) < 0) {
		bounce_wait_until(b, p, b->now_ms + AWAY_MS);
		return;
	}
	p->number = m.recipient.req;
	p->stage = STAGE_ASKS;
	b->n_open++;
	list_push_back(&b->open, &p->open);
	buf_init(&p->targets, TARGETS_MAX);
	heap_set(&b->due, &p->due, b->now_ms + ASK_MS);
}
