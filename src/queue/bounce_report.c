#include "queue/bounce_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/message.h"
#include "smtp/path.h"

#define HEADERS_MAX 65536

const char *bounce_kind_name(enum bounce_kind kind)
{
	static const char *const names[BOUNCE_KINDS] = { "failed", "delivered", "delayed" };

	return names[kind];
}

/* ---- what happened to one ---- */

static enum dsn_what what_of_class(enum route_class class)
{
	static const enum dsn_what rows[ROUTE_CLASSES] = {
		[ROUTE_CLASS_OTHER] = DSN_OTHER,
		[ROUTE_CLASS_GREYLIST] = DSN_BUSY,
		[ROUTE_CLASS_RATE_LIMIT] = DSN_BUSY,
		[ROUTE_CLASS_CONNECTIONS] = DSN_BUSY,
		[ROUTE_CLASS_REPUTATION] = DSN_REFUSED,
		[ROUTE_CLASS_IDENTITY] = DSN_REFUSED,
		[ROUTE_CLASS_UNVERIFIED] = DSN_REFUSED,
		[ROUTE_CLASS_POLICY] = DSN_REFUSED,
		[ROUTE_CLASS_CONTENT] = DSN_CONTENT,
		[ROUTE_CLASS_VIRUS] = DSN_CONTENT,
		[ROUTE_CLASS_SIZE] = DSN_TOO_LARGE,
		[ROUTE_CLASS_RECIPIENTS] = DSN_OTHER,
		[ROUTE_CLASS_MAILBOX_FULL] = DSN_MAILBOX_FULL,
		[ROUTE_CLASS_MAILBOX_DISABLED] = DSN_SWITCHED_OFF,
		[ROUTE_CLASS_MAILBOX_BUSY] = DSN_BUSY,
		[ROUTE_CLASS_NO_SUCH_USER] = DSN_NO_SUCH_ADDRESS,
		[ROUTE_CLASS_NO_SUCH_DOMAIN] = DSN_NO_SUCH_DOMAIN,
		[ROUTE_CLASS_SENDER] = DSN_REFUSED,
		[ROUTE_CLASS_RELAY_DENIED] = DSN_REFUSED,
		[ROUTE_CLASS_QUOTA] = DSN_BUSY,
		[ROUTE_CLASS_AUTH] = DSN_REFUSED,
		[ROUTE_CLASS_TLS] = DSN_INSECURE,
		[ROUTE_CLASS_LACKS_FEATURE] = DSN_LACKS,
		[ROUTE_CLASS_PROTOCOL] = DSN_OTHER,
		[ROUTE_CLASS_SYSTEM] = DSN_BUSY,
		[ROUTE_CLASS_LOOP] = DSN_LOOP,
		[ROUTE_CLASS_DNS] = DSN_UNREACHABLE,
		[ROUTE_CLASS_UNREACHABLE] = DSN_UNREACHABLE,
		[ROUTE_CLASS_TIMEOUT] = DSN_UNREACHABLE,
		[ROUTE_CLASS_CONNECTION_LOST] = DSN_UNREACHABLE,
	};

	return rows[class];
}

static enum dsn_what what_happened(const struct meanings *meanings, const struct envelope_reason *why)
{
	bool answered = why->code > 0 || meanings_reply(why->text, SMTP_CLIENT_IDLE).code > 0;
	enum dsn_what what;

	if (why->delivered)
		return DSN_NOTHING;
	if (why->by_administrator)
		return DSN_BY_ADMINISTRATOR;
	if (why->blocked)
		return DSN_OUR_NETWORK;
	if (why->failed && why->remote.n == 0 && !answered && slice_eq(why->status, SLICE_LIT("5.7.1")))
		return DSN_NOT_SENT;
	if (why->status.n == 0 && why->text.n == 0)
		return DSN_UNREACHABLE; /* nothing was heard at all */
	what = what_of_class(meanings_of_reason(meanings, why).class);
	if (what == DSN_OTHER || (!answered && dsn_what_of(why->status) != DSN_OTHER))
		what = dsn_what_of(why->status);
	if (what == DSN_BUSY && why->failed && !why->expired)
		what = DSN_OTHER; /* "later" is no answer to what failed for good */
	return what == DSN_NOTHING ? DSN_OTHER : what;
}

/* A stranger is not told where an address of ours leads (RFC 3464 4.2), nor in whose words. */
static bool is_secret(const struct envelope *e, const struct envelope_rcpt *r)
{
	return e->account == 0 && !slice_eq_nocase(r->address, r->original);
}

/* The configuration's words for it, kept: that may be another one by the time the report is written. */
static void put_meaning(const struct meanings *meanings, const struct envelope_reason *why,
			struct bounce_rcpt *to)
{
	struct route_meaning m = meanings_of_reason(meanings, why);

	if (why->delivered || why->by_administrator || why->blocked || !m.own_words)
		return;
	to->meaning = strdup(m.what);
	to->dsn.meaning = slice_str(to->meaning ? to->meaning : "");
}

static void describe(const struct bounce_report *b, const struct envelope_rcpt *r,
		     const struct envelope_reason *why, const struct spool_recipient *known,
		     const struct bounce_times *t, struct dsn_recipient *d)
{
	struct route_reply reply;

	d->action = b->kind == BOUNCE_FAILED	? DSN_FAILED
		    : b->kind == BOUNCE_DELAYED ? DSN_DELAYED
		    : why->relayed		? DSN_RELAYED
						: DSN_DELIVERED;
	d->what = what_happened(t->meanings, why);
	d->expired = why->expired;
	d->address = r->original.n > 0 ? r->original : r->address;
	d->orcpt = r->orcpt;
	d->status = why->status;
	d->last_attempt_ms = why->attempts > 0 ? known->marked_ms : 0;
	if (b->kind == BOUNCE_DELAYED)
		d->retry_until_ms = b->begins_ms + t->lifetime_ms;
	if (is_secret(&b->e, r)) {
		if (b->kind != BOUNCE_DELIVERED)
			d->said = SLICE_LIT("the server that this address leads to did not take the message");
		return;
	}
	reply = route_reply_of(why->text, SMTP_CLIENT_IDLE);
	d->final = r->address;
	d->remote = why->remote;
	d->code = (uint16_t)(reply.code > 0 ? reply.code : why->code);
	d->said = reply.text;
}

/* ---- all of them ---- */

static bool is_of_kind(enum bounce_kind kind, enum schedule_rcpt state, const struct envelope_reason *why)
{
	switch (kind) {
	case BOUNCE_FAILED:
		return state == SCHEDULE_FAILED && why->failed;
	case BOUNCE_DELIVERED:
		return state == SCHEDULE_DONE && why->delivered;
	default:
		return state != SCHEDULE_FAILED && state != SCHEDULE_DONE && !why->delivered;
	}
}

/* RFC 3461 4.1 and 5.2; without NOTIFY failures and delays are told. */
static bool is_wanted(const struct bounce_report *b, uint8_t notify)
{
	static const uint8_t flag[BOUNCE_KINDS] = { SMTP_NOTIFY_FAILURE, SMTP_NOTIFY_SUCCESS,
						    SMTP_NOTIFY_DELAY };

	if (notify == SMTP_NOTIFY_UNSET)
		return b->kind != BOUNCE_DELIVERED;
	return notify & flag[b->kind];
}

static bool grow(void **array, size_t *room, size_t n, size_t size)
{
	size_t more = *room > 0 ? *room * 2 : 8;
	void *p;

	if (n < *room)
		return true;
	p = reallocarray(*array, more, size);
	if (!p)
		return false;
	*array = p;
	*room = more;
	return true;
}

/* What is late need not have been tried: its site is waited for, or the whole network.  Slices are the
 * schedule's, which does not change while the report is made. */
static void why_waiting(const struct bounce_report *b, const struct schedule *s, uint32_t number,
			struct envelope_reason *why)
{
	struct schedule_rcpt_view v;

	if (b->kind != BOUNCE_DELAYED || !schedule_look_route(s, &b->about, number, &v))
		return;
	why->blocked = why->blocked || v.blocked;
	if (why->text.n == 0) {
		why->status = v.status;
		why->text = v.text;
	}
}

static int add(struct bounce_report *b, const struct schedule *s, uint32_t number,
	       const struct envelope_rcpt *r, const struct spool_recipient *known, struct slice detail,
	       const struct bounce_times *t)
{
	struct envelope_reason why = { 0 };
	struct bounce_rcpt *to;
	void *copy;

	if (!is_wanted(b, r->notify) && b->e.sender.n > 0) {
		if (!grow((void **)&b->unwanted, &b->room_unwanted, b->n_unwanted, sizeof(*b->unwanted)))
			return -ENOMEM;
		b->unwanted[b->n_unwanted++] = number;
		return 0;
	}
	copy = malloc(detail.n + 1);
	if (!copy || !grow((void **)&b->rcpt, &b->room, b->n, sizeof(*b->rcpt))) {
		free(copy);
		return -ENOMEM;
	}
	if (detail.n > 0)
		memcpy(copy, detail.p, detail.n);
	(void)envelope_get_reason(slice_of(copy, detail.n), &why); /* none when it never was tried */
	why_waiting(b, s, number, &why);
	to = &b->rcpt[b->n++];
	*to = (struct bounce_rcpt){ .number = number, .detail = copy };
	describe(b, r, &why, known, t, &to->dsn);
	if (!is_secret(&b->e, r))
		put_meaning(t->meanings, &why, to);
	return 0;
}

static int look(struct spool *sp, const struct schedule *s, struct bounce_report *b, uint32_t number,
		const struct envelope_rcpt *r, const struct bounce_times *t)
{
	struct spool_recipient known = { 0 };
	struct envelope_reason why = { 0 };
	unsigned char room[1024];
	struct buf detail;

	buf_init_in(&detail, room, sizeof(room));
	if (spool_recipient(sp, &b->about, number, &known, &detail) < 0 || known.done)
		return 0;
	(void)envelope_get_reason(buf_slice(&detail), &why);
	if (!is_of_kind(b->kind, schedule_look_rcpt(s, &b->about, number), &why))
		return 0;
	return add(b, s, number, r, &known, buf_slice(&detail), t);
}

int bounce_report_read(struct spool *sp, const struct schedule *s, const struct id *id, enum bounce_kind kind,
		       const struct bounce_times *t, struct bounce_report *ret)
{
	struct bounce_report *b = ret;
	struct envelope_rcpt r;
	struct schedule_view v;
	struct spool_info info;
	struct slice cur;
	int err;

	*b = (struct bounce_report){ .about = *id, .kind = kind };
	buf_init(&b->meta, ENVELOPE_MAX);
	buf_init(&b->headers, HEADERS_MAX);
	err = spool_info(sp, id, &info);
	if (err < 0)
		return err;
	b->time_ms = b->begins_ms = info.time_ms;
	b->body_size = info.body_size;
	err = info.damaged ? -EBADMSG : spool_read_meta(sp, id, &b->meta, &b->headers);
	if (err < 0)
		return err;
	cur = buf_slice(&b->meta);
	if (!envelope_get(&cur, &b->e))
		return -EBADMSG;
	if (schedule_look(s, id, &v))
		b->begins_ms = v.since_ms; /* the spool's time is that of a clock that may have been set */
	else if (b->e.hold_until_ms > b->begins_ms)
		b->begins_ms = b->e.hold_until_ms;
	for (uint32_t i = 0; err == 0 && i < b->e.recipients; i++)
		err = envelope_get_rcpt(&cur, &r) ? look(sp, s, b, i, &r, t) : -EBADMSG;
	return err;
}

void bounce_report_done(struct bounce_report *b)
{
	for (size_t i = 0; i < b->n; i++) {
		free(b->rcpt[i].detail);
		free(b->rcpt[i].meaning);
	}
	free(b->rcpt);
	free(b->unwanted);
	buf_done(&b->meta);
	buf_done(&b->headers);
}

/* ---- the report ---- */

/* Headers that we computed, and as much of the message as may be returned.  What cannot be read is not
 * returned; the report goes out all the same. */
static void read_message(struct spool *sp, const struct bounce_report *b, struct buf *to)
{
	uint64_t at = 0;

	buf_put(to, slice_head(buf_slice(&b->headers), to->max));
	while (at < b->body_size && buf_room(to) > 0) {
		unsigned char *p;
		size_t room = buf_reserve(to, buf_room(to), &p);
		ssize_t got = room > 0 ? spool_read_body(sp, &b->about, at, p, room) : 0;

		if (got <= 0)
			return;
		buf_filled(to, (size_t)got);
		at += (uint64_t)got;
	}
}

static struct dsn_recipient *flat(const struct bounce_report *b)
{
	struct dsn_recipient *d = calloc(b->n, sizeof(*d));

	for (size_t i = 0; d && i < b->n; i++)
		d[i] = b->rcpt[i].dsn;
	return d;
}

int bounce_report_put(struct spool *sp, const struct bounce_report *b, const char *hostname,
		      const struct id *id, const struct bounce_times *t, struct buf *to,
		      struct dsn_facts *ret)
{
	/* RFC 8689 5: of a message that asked for TLS only the header is returned. */
	bool whole =
		b->e.ret == SMTP_RET_FULL && !b->e.requiretls && b->headers.n + b->body_size <= DSN_WHOLE_MAX;
	struct dsn_recipient *d = flat(b);
	char message_id[300], about[300];
	struct buf text;
	struct dsn dsn;

	if (!d)
		return -ENOMEM;
	buf_init(&text, whole ? DSN_WHOLE_MAX : DSN_HEADER_MAX);
	read_message(sp, b, &text);
	snprintf(message_id, sizeof(message_id), "<%s.%s.%u@%s>", b->about.text, bounce_kind_name(b->kind),
		 b->rcpt[0].number, hostname);
	about[0] = 0;
	if (b->e.message_id.n > 0)
		snprintf(about, sizeof(about), "<%.*s>", SLICE_ARG(b->e.message_id));
	dsn = (struct dsn){ .hostname = slice_str(hostname),
			    .id = id_slice(id),
			    .to = b->e.sender,
			    .message_id = slice_str(message_id),
			    .now_ms = t->now_ms,
			    .about_id = id_slice(&b->about),
			    .about_message_id = slice_str(about),
			    .envid = b->e.envid,
			    .arrived_ms = b->time_ms,
			    .smtputf8 = b->e.smtputf8,
			    .eightbit = b->e.eightbit,
			    .header = buf_slice(&text),
			    .recipient = d,
			    .recipients = b->n };
	if (whole && text.n == b->headers.n + b->body_size)
		dsn.whole = buf_slice(&text);
	dsn_put(&dsn, to, ret);
	buf_done(&text);
	free(d);
	return buf_ok(to) ? 0 : -ENOMEM;
}
