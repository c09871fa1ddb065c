#include "queue/envelope.h"

#include "base/wire.h"
#include "ipc/message.h"
#include "smtp/client.h"

#define VERSION	       2
#define REASON_VERSION 3

#define FLAG_SMTPUTF8	0x01
#define FLAG_EIGHTBIT	0x02
#define FLAG_REQUIRETLS 0x04
#define FLAG_RELAX	0x08
#define FLAGS		(FLAG_SMTPUTF8 | FLAG_EIGHTBIT | FLAG_REQUIRETLS | FLAG_RELAX)

#define ENVID_MAX      128
#define LISTENER_MAX   64
#define ORCPT_MAX      1024
#define MAILBOX_MAX    512
#define MESSAGE_ID_MAX 255
#define STATUS_MAX     16

static void put_bytes(struct buf *to, struct slice s, size_t max)
{
	if (s.n > max)
		to->failed = true;
	else
		wire_put_bytes(to, s);
}

static bool class_ok(uint8_t class)
{
	return class < IPC_CLASSES;
}

void envelope_put(const struct envelope *e, struct buf *to)
{
	if (e->recipients > ENVELOPE_RECIPIENTS_MAX || !class_ok(e->class) ||
	    e->mt_priority > ENVELOPE_PRIORITY_MAX)
		to->failed = true;
	wire_put_u8(to, VERSION);
	wire_put_u8(to, (uint8_t)((e->smtputf8 ? FLAG_SMTPUTF8 : 0) | (e->eightbit ? FLAG_EIGHTBIT : 0) |
				  (e->requiretls ? FLAG_REQUIRETLS : 0) | (e->relax ? FLAG_RELAX : 0)));
	wire_put_u8(to, e->ret);
	wire_put_u8(to, e->class);
	wire_put_u8(to, e->mt_priority);
	wire_put_u64(to, e->hold_until_ms);
	wire_put_u64(to, e->account);
	put_bytes(to, e->sender, IPC_ADDRESS_MAX);
	put_bytes(to, e->envid, ENVID_MAX);
	put_bytes(to, e->listener, LISTENER_MAX);
	put_bytes(to, e->account_name, IPC_ADDRESS_MAX);
	put_bytes(to, e->message_id, MESSAGE_ID_MAX);
	wire_put_u32(to, e->recipients);
}

static bool kind_ok(uint8_t kind)
{
	return kind == IPC_TARGET_MAILBOX || kind == IPC_TARGET_REMOTE;
}

void envelope_put_rcpt(const struct envelope_rcpt *r, struct buf *to)
{
	if (!kind_ok(r->kind))
		to->failed = true;
	wire_put_u8(to, r->kind);
	wire_put_u8(to, r->notify);
	put_bytes(to, r->address, IPC_ADDRESS_MAX);
	put_bytes(to, r->original, IPC_ADDRESS_MAX);
	put_bytes(to, r->orcpt, ORCPT_MAX);
	put_bytes(to, r->mailbox, MAILBOX_MAX);
	put_bytes(to, r->sender, IPC_ADDRESS_MAX);
}

bool envelope_get(struct slice *cur, struct envelope *ret)
{
	struct slice c = *cur;
	struct envelope e;
	uint8_t version, flags;

	if (!wire_u8(&c, &version) || version != VERSION || !wire_u8(&c, &flags) || (flags & ~FLAGS) != 0 ||
	    !wire_u8(&c, &e.ret) || !wire_u8(&c, &e.class) || !class_ok(e.class) ||
	    !wire_u8(&c, &e.mt_priority) || e.mt_priority > ENVELOPE_PRIORITY_MAX ||
	    !wire_u64(&c, &e.hold_until_ms) || !wire_u64(&c, &e.account) ||
	    !wire_bytes(&c, IPC_ADDRESS_MAX, &e.sender) || !wire_bytes(&c, ENVID_MAX, &e.envid) ||
	    !wire_bytes(&c, LISTENER_MAX, &e.listener) || !wire_bytes(&c, IPC_ADDRESS_MAX, &e.account_name) ||
	    !wire_bytes(&c, MESSAGE_ID_MAX, &e.message_id) || !wire_u32(&c, &e.recipients) ||
	    e.recipients > ENVELOPE_RECIPIENTS_MAX)
		return false;
	e.requiretls = flags & FLAG_REQUIRETLS;
	e.relax = flags & FLAG_RELAX;
	e.smtputf8 = flags & FLAG_SMTPUTF8;
	e.eightbit = flags & FLAG_EIGHTBIT;
	*cur = c;
	*ret = e;
	return true;
}

bool envelope_get_rcpt(struct slice *cur, struct envelope_rcpt *ret)
{
	struct slice c = *cur;
	struct envelope_rcpt r;

	if (!wire_u8(&c, &r.kind) || !kind_ok(r.kind) || !wire_u8(&c, &r.notify) ||
	    !wire_bytes(&c, IPC_ADDRESS_MAX, &r.address) || !wire_bytes(&c, IPC_ADDRESS_MAX, &r.original) ||
	    !wire_bytes(&c, ORCPT_MAX, &r.orcpt) || !wire_bytes(&c, MAILBOX_MAX, &r.mailbox) ||
	    !wire_bytes(&c, IPC_ADDRESS_MAX, &r.sender))
		return false;
	*cur = c;
	*ret = r;
	return true;
}

enum {
	REASON_FAILED = 0x01,
	REASON_DELIVERED = 0x02,
	REASON_RELAYED = 0x04,
	REASON_EXPIRED = 0x08,
	REASON_BLOCKED = 0x10,
	REASON_BY_ADMINISTRATOR = 0x20,
	REASON_FLAGS = 0x3f,
};

void envelope_put_reason(const struct envelope_reason *r, struct buf *to)
{
	unsigned flags = (r->failed ? REASON_FAILED : 0U) | (r->delivered ? REASON_DELIVERED : 0U) |
			 (r->relayed ? REASON_RELAYED : 0U) | (r->expired ? REASON_EXPIRED : 0U) |
			 (r->blocked ? REASON_BLOCKED : 0U) |
			 (r->by_administrator ? REASON_BY_ADMINISTRATOR : 0U);

	wire_put_u8(to, REASON_VERSION);
	wire_put_u8(to, (uint8_t)flags);
	wire_put_u16(to, r->code);
	wire_put_u8(to, r->step);
	wire_put_u32(to, r->attempts);
	wire_put_u64(to, r->next_ms);
	wire_put_bytes(to, slice_head(r->status, STATUS_MAX));
	wire_put_bytes(to, slice_head(r->text, ENVELOPE_REASON_MAX));
	wire_put_bytes(to, slice_head(r->remote, ENVELOPE_REMOTE_MAX));
}

bool envelope_get_reason(struct slice bytes, struct envelope_reason *ret)
{
	struct envelope_reason r;
	uint8_t version, flags;

	if (!wire_u8(&bytes, &version) || version != REASON_VERSION || !wire_u8(&bytes, &flags) ||
	    flags > REASON_FLAGS || !wire_u16(&bytes, &r.code) || !wire_u8(&bytes, &r.step) ||
	    r.step >= SMTP_CLIENT_STEPS || !wire_u32(&bytes, &r.attempts) || !wire_u64(&bytes, &r.next_ms) ||
	    !wire_bytes(&bytes, STATUS_MAX, &r.status) || !wire_bytes(&bytes, ENVELOPE_REASON_MAX, &r.text) ||
	    !wire_bytes(&bytes, ENVELOPE_REMOTE_MAX, &r.remote) || bytes.n > 0)
		return false;
	r.failed = flags & REASON_FAILED;
	r.delivered = flags & REASON_DELIVERED;
	r.relayed = flags & REASON_RELAYED;
	r.expired = flags & REASON_EXPIRED;
	r.blocked = flags & REASON_BLOCKED;
	r.by_administrator = flags & REASON_BY_ADMINISTRATOR;
	*ret = r;
	return true;
}
