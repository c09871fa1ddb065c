#include "queue/describe.h"

#include <errno.h>

#include "base/json_text.h"
#include "ipc/message.h"
#include "queue/port25.h"

#define BRIEF_TO	 5 /* recipients named in a row */
#define HEADERS_MAX	 32768
#define HEADERS_JSON_MAX 45000

bool describe_init(struct describe *d, struct spool *sp, const struct schedule *schedule,
		   const struct meanings *meanings, const struct id *id)
{
	*d = (struct describe){ .sp = sp, .schedule = schedule, .meanings = meanings };
	buf_init(&d->bytes, ENVELOPE_MAX);
	buf_init(&d->headers, 65536);
	if (spool_info(sp, id, &d->info) < 0)
		return false;
	d->scheduled = schedule_look(schedule, id, &d->view);
	if (spool_read_meta(sp, id, &d->bytes, &d->headers) < 0)
		return true;
	d->recipients = buf_slice(&d->bytes);
	d->readable = envelope_get(&d->recipients, &d->envelope);
	return true;
}

void describe_done(struct describe *d)
{
	buf_done(&d->bytes);
	buf_done(&d->headers);
}

const char *describe_state(const struct describe *d)
{
	if (d->scheduled)
		return schedule_state_name(d->view.state);
	return d->info.damaged || !d->readable ? "damaged" : "loading";
}

static const char *rcpt_state(const struct describe *d, uint32_t number)
{
	static const char *const names[SCHEDULE_RCPTS] = {
		[SCHEDULE_READY] = "queued",  [SCHEDULE_ACTIVE] = "active",  [SCHEDULE_DEFERRED] = "deferred",
		[SCHEDULE_FAILED] = "failed", [SCHEDULE_DONE] = "delivered",
	};

	struct spool_recipient known;

	if (!d->scheduled)
		return describe_state(d);
	if (spool_recipient(d->sp, &d->info.id, number, &known, NULL) == 0 && known.done &&
	    known.outcome == SPOOL_BOUNCED)
		return "bounced";
	return names[schedule_look_rcpt(d->schedule, &d->info.id, number)];
}

/* Its site, or its whole network, is waited for. */
static bool add_trouble(const struct describe *d, uint32_t number, json_t *to)
{
	struct schedule_rcpt_view v;

	if (!schedule_look_route(d->schedule, &d->info.id, number, &v) ||
	    (v.waits_until_ms == 0 && !v.blocked && !v.trouble))
		return false;
	if (v.blocked) {
		json_object_set_new(to, "reason", json_string(PORT25_TEXT));
	} else {
		json_object_set_new(to, "status", json_text(v.status));
		json_object_set_new(to, "reason", json_text(v.heard.n > 0 ? v.heard : v.text));
	}
	if (v.waits_until_ms > 0)
		json_object_set_new(to, "next", json_integer((json_int_t)v.waits_until_ms));
	return true;
}

static void add_route(const struct describe *d, uint32_t number, json_t *to)
{
	struct schedule_rcpt_view v;

	if (!d->scheduled || !schedule_look_route(d->schedule, &d->info.id, number, &v) ||
	    v.state == SCHEDULE_DONE)
		return;
	if (v.destination.n > 0)
		json_object_set_new(to, "destination", json_text(v.destination));
	if (v.site.n > 0)
		json_object_set_new(to, "site", json_text(v.site));
}

/* Why it is where it is, as far as anybody said so. */
static void add_reason(const struct describe *d, uint32_t number, json_t *to)
{
	const char *state = rcpt_state(d, number);
	struct spool_recipient known;
	struct envelope_reason why;
	struct buf detail;

	buf_init(&detail, 1024);
	if (!strcmp(state, "queued") && add_trouble(d, number, to)) {
		;
	} else if (spool_recipient(d->sp, &d->info.id, number, &known, &detail) == 0 && !known.done &&
		   envelope_get_reason(buf_slice(&detail), &why)) {
		json_object_set_new(to, "status", json_text(why.status));
		json_object_set_new(to, "reason", json_text(why.text));
		if (why.text.n > 0)
			json_object_set_new(to, "class",
					    json_string(meanings_of_reason(d->meanings, &why).name));
		json_object_set_new(to, "attempts", json_integer(why.attempts));
		if (why.next_ms > 0)
			json_object_set_new(to, "next", json_integer((json_int_t)why.next_ms));
	}
	buf_done(&detail);
}

/* Of what failed: does its sender know?  (Or did not want to, or there is none.) */
static void add_told(const struct describe *d, uint32_t number, json_t *to)
{
	const char *state = rcpt_state(d, number);

	if (!strcmp(state, "failed") || !strcmp(state, "bounced"))
		json_object_set_new(to, "told", json_boolean(state[0] == 'b'));
}

json_t *describe_rcpt(const struct describe *d, uint32_t number, const struct envelope_rcpt *r)
{
	json_t *j = json_object();

	if (!j)
		return NULL;
	json_object_set_new(j, "number", json_integer(number));
	json_object_set_new(j, "address", json_text(r->address));
	json_object_set_new(j, "original", json_text(r->original));
	json_object_set_new(j, "kind", json_string(r->kind == IPC_TARGET_REMOTE ? "remote" : "mailbox"));
	if (r->mailbox.n > 0)
		json_object_set_new(j, "mailbox", json_text(r->mailbox));
	if (r->orcpt.n > 0)
		json_object_set_new(j, "orcpt", json_text(r->orcpt));
	if (r->sender.n > 0)
		json_object_set_new(j, "sender", json_text(r->sender));
	json_object_set_new(j, "notify", json_integer(r->notify));
	json_object_set_new(j, "state", json_string(rcpt_state(d, number)));
	add_route(d, number, j);
	add_reason(d, number, j);
	add_told(d, number, j);
	return j;
}

static json_t *common(const struct describe *d)
{
	json_t *j = json_object();

	if (!j)
		return NULL;
	json_object_set_new(j, "id", json_string(d->info.id.text));
	json_object_set_new(j, "time", json_integer((json_int_t)d->info.time_ms));
	json_object_set_new(j, "size", json_integer((json_int_t)d->info.body_size));
	json_object_set_new(j, "state", json_string(describe_state(d)));
	json_object_set_new(j, "recipients", json_integer(d->info.recipients));
	json_object_set_new(j, "open", json_integer(d->info.open));
	json_object_set_new(j, "held", json_boolean(d->info.held));
	if (d->readable)
		json_object_set_new(j, "sender", json_text(d->envelope.sender));
	if (d->scheduled) {
		json_object_set_new(j, "attempts", json_integer(d->view.attempts));
		if (d->view.due_ms > 0)
			json_object_set_new(j, "next", json_integer((json_int_t)d->view.due_ms));
	}
	return j;
}

json_t *describe_brief(const struct describe *d)
{
	json_t *j = common(d), *to = json_array(), *why = json_object();
	struct slice cur = d->recipients;
	struct envelope_rcpt r;

	if (!j || !to || !why) {
		json_decref(j);
		json_decref(to);
		json_decref(why);
		return NULL;
	}
	for (uint32_t i = 0; d->readable && i < d->envelope.recipients && json_array_size(to) < BRIEF_TO;
	     i++) {
		if (!envelope_get_rcpt(&cur, &r))
			break;
		if (d->scheduled && schedule_look_rcpt(d->schedule, &d->info.id, i) == SCHEDULE_DONE)
			continue;
		json_array_append_new(to, json_text(r.address));
		if (!json_object_get(why, "reason"))
			add_reason(d, i, why);
	}
	json_object_set_new(j, "to", to);
	if (json_object_get(why, "reason"))
		json_object_set(j, "reason", json_object_get(why, "reason"));
	json_decref(why);
	return j;
}

json_t *describe_full(const struct describe *d)
{
	json_t *j = common(d);

	if (!j || !d->readable)
		return j;
	json_object_set_new(j, "listener", json_text(d->envelope.listener));
	json_object_set_new(j, "account", json_integer((json_int_t)d->envelope.account));
	json_object_set_new(j, "account_name", json_text(d->envelope.account_name));
	json_object_set_new(j, "message_id", json_text(d->envelope.message_id));
	if (d->envelope.hold_until_ms > 0)
		json_object_set_new(j, "hold_until", json_integer((json_int_t)d->envelope.hold_until_ms));
	json_object_set_new(j, "requiretls", json_boolean(d->envelope.requiretls));
	json_object_set_new(j, "relax", json_boolean(d->envelope.relax));
	json_object_set_new(j, "class", json_string(ipc_class_name(d->envelope.class)));
	json_object_set_new(j, "smtputf8", json_boolean(d->envelope.smtputf8));
	json_object_set_new(j, "eightbit", json_boolean(d->envelope.eightbit));
	json_object_set_new(j, "ret", json_integer(d->envelope.ret));
	if (d->envelope.envid.n > 0)
		json_object_set_new(j, "envid", json_text(d->envelope.envid));
	return j;
}

json_t *describe_headers(const struct describe *d)
{
	struct buf text;
	struct slice all;
	unsigned char *p;
	size_t room;
	json_t *j;

	buf_init(&text, HEADERS_MAX);
	buf_put(&text, slice_head(buf_slice(&d->headers), HEADERS_MAX));
	room = buf_reserve(&text, HEADERS_MAX, &p);
	if (room > 0) {
		ssize_t got = spool_read_body(d->sp, &d->info.id, 0, p, room);

		buf_filled(&text, got > 0 ? (size_t)got : 0);
	}
	all = buf_slice(&text);
	for (size_t i = 0; i + 4 <= all.n; i++)
		if (!memcmp(all.p + i, "\r\n\r\n", 4)) {
			all.n = i + 2;
			break;
		}
	/* Control characters grow sixfold as JSON, and the answer is one message. */
	j = json_text(all);
	while (j && json_dumpb(j, NULL, 0, JSON_ENCODE_ANY) > HEADERS_JSON_MAX) {
		json_decref(j);
		all.n /= 2;
		j = json_text(all);
	}
	buf_done(&text);
	return j;
}

/* ---- which ones ---- */

static bool is_message_class(const char *name)
{
	for (unsigned i = 0; i < IPC_CLASSES; i++)
		if (!strcmp(name, ipc_class_name(i)))
			return true;
	return false;
}

static bool is_reply_class(const char *name, const struct meanings *meanings)
{
	enum route_class class;
	bool is = route_class_parse(slice_str(name), &class);

	for (size_t i = 0; meanings && !is && i < meanings->n; i++)
		is = !strcmp(name, meanings->rule[i].class);
	return is;
}

static bool was_told(const struct describe *d, uint32_t number, const char *class)
{
	struct spool_recipient known;
	struct envelope_reason why;
	struct buf detail;
	bool is = false;

	buf_init(&detail, 1024);
	if (spool_recipient(d->sp, &d->info.id, number, &known, &detail) == 0 && !known.done &&
	    envelope_get_reason(buf_slice(&detail), &why))
		is = !strcmp(meanings_of_reason(d->meanings, &why).name, class);
	buf_done(&detail);
	return is;
}

static bool matches_class(const struct describe *d, const char *class)
{
	if (is_message_class(class))
		return d->readable && !strcmp(ipc_class_name(d->envelope.class), class);
	for (uint32_t i = 0; i < d->info.recipients; i++)
		if (was_told(d, i, class))
			return true;
	return false;
}

static bool matches_site(const struct describe *d, struct slice site)
{
	struct schedule_rcpt_view v;

	for (uint32_t i = 0; d->scheduled && i < d->info.recipients; i++)
		if (schedule_look_route(d->schedule, &d->info.id, i, &v) && v.state != SCHEDULE_DONE &&
		    (slice_eq_nocase(v.site, site) || slice_eq_nocase(v.destination, site)))
			return true;
	return false;
}

const char *describe_filter_get(const json_t *ask, const struct meanings *meanings,
				struct describe_filter *ret)
{
	const struct {
		const char *name, **to;
	} fields[] = {
		{ "state", &ret->state },   { "sender", &ret->sender }, { "recipient", &ret->recipient },
		{ "domain", &ret->domain }, { "site", &ret->site },	{ "class", &ret->class },
		{ "id", &ret->id }
	};

	*ret = (struct describe_filter){ 0 };
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		json_t *v = json_object_get(ask, fields[i].name);

		if (v && !json_is_string(v))
			return "a filter must be a string";
		*fields[i].to = json_string_value(v);
	}
	if (ret->class && !is_message_class(ret->class) && !is_reply_class(ret->class, meanings))
		return "no such class; messages are normal, bulk or urgent, answers greylist, rate-limit, "
		       "mailbox-full ...";
	if (!ret->state || !strcmp(ret->state, "damaged") || !strcmp(ret->state, "loading"))
		return NULL;
	for (unsigned s = 0; s < SCHEDULE_STATES; s++)
		if (!strcmp(ret->state, schedule_state_name((enum schedule_state)s)))
			return NULL;
	return "no such state; there are active, held, queued, deferred, failed, damaged and "
	       "loading";
}

static bool is_domain_of(struct slice address, struct slice domain)
{
	return slice_eq_nocase(slice_tail(address, slice_rfind(address, '@') + 1), domain);
}

static bool matches_rcpt(const struct describe *d, const struct describe_filter *f)
{
	struct slice cur = d->recipients, to = slice_str(f->recipient), domain = slice_str(f->domain);
	struct envelope_rcpt r;

	for (uint32_t i = 0; d->readable && i < d->envelope.recipients && envelope_get_rcpt(&cur, &r); i++)
		if ((!f->recipient || slice_eq_nocase(r.address, to) || slice_eq_nocase(r.original, to)) &&
		    (!f->domain || is_domain_of(r.address, domain)))
			return true;
	return false;
}

bool describe_matches(const struct describe *d, const struct describe_filter *f)
{
	struct slice sender = slice_str(f->sender);

	if (f->id && !slice_starts_nocase(id_slice(&d->info.id), slice_str(f->id)))
		return false;
	if (f->state && strcmp(f->state, describe_state(d)) != 0)
		return false;
	if (f->sender && !strcmp(f->sender, "<>"))
		sender.n = 0;
	if (f->sender && !(d->readable && slice_eq_nocase(d->envelope.sender, sender)))
		return false;
	if (f->site && !matches_site(d, slice_str(f->site)))
		return false;
	if (f->class && !matches_class(d, f->class))
		return false;
	return (!f->recipient && !f->domain) || matches_rcpt(d, f);
}
