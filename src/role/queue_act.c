/* queue_act.c - what an administrator does to a message of the queue. */
#include <errno.h>

#include "base/log.h"
#include "ipc/event.h"
#include "queue/bounce.h"
#include "role/queue_ask_private.h"

/* Written down, so that a restart does not forget what the operator asked for. */
static int retry(struct queue_ask *a, const struct id *id, const struct spool_info *info)
{
	uint64_t now = queue_now_ms();
	struct envelope_reason why = { .next_ms = now,
				       .step = SMTP_CLIENT_IDLE,
				       .text = SLICE_LIT("an operator asked to try it again") };
	struct schedule_view v;
	struct buf detail;
	int r = 0;

	if (!schedule_look(a->schedule, id, &v))
		return -ENOENT;
	why.attempts = v.attempts;
	buf_init(&detail, 1024);
	envelope_put_reason(&why, &detail);
	for (uint32_t i = 0; r == 0 && i < info->recipients; i++) {
		enum schedule_rcpt state = schedule_look_rcpt(a->schedule, id, i);

		if (state == SCHEDULE_FAILED || state == SCHEDULE_DEFERRED)
			r = spool_mark(a->sp, id, i, SPOOL_MARK_DEFERRED, buf_slice(&detail));
	}
	buf_done(&detail);
	return r < 0 ? r : schedule_retry_now(a->schedule, id, now);
}

static int act(struct queue_ask *a, const char *verb, const struct id *id)
{
	struct spool_info info;
	int r = spool_info(a->sp, id, &info);

	if (r < 0)
		return r;
	if (!strcmp(verb, "hold")) {
		r = spool_mark(a->sp, id, SPOOL_ALL_RECIPIENTS, SPOOL_MARK_HOLD, SLICE_LIT(""));
		if (r == 0)
			schedule_hold(a->schedule, id);
	} else if (!strcmp(verb, "release")) {
		r = spool_mark(a->sp, id, SPOOL_ALL_RECIPIENTS, SPOOL_MARK_RELEASE, SLICE_LIT(""));
		if (r == 0)
			schedule_release(a->schedule, id, queue_now_ms());
	} else if (!strcmp(verb, "remove")) {
		r = spool_outcome(a->sp, id, SPOOL_ALL_RECIPIENTS, SPOOL_REMOVED);
		if (r == 0)
			schedule_remove(a->schedule, id);
	} else if (!strcmp(verb, "bounce")) {
		r = bounce_give_up(a->bounce, id, queue_now_ms());
		if (r == 0)
			r = -EBUSY;
	} else {
		r = retry(a, id, &info);
	}
	return r < 0 ? r : 0;
}

static const char *past(const char *verb)
{
	static const struct {
		const char *verb, *event;
	} rows[] = {
		{ "hold", "held" },	{ "release", "released" }, { "remove", "removed" },
		{ "retry", "retried" }, { "bounce", "given-up" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].verb, verb))
			return rows[i].event;
	return "unknown";
}

/* What its first open recipient waits for: when it is gone its history is found by that. */
static void find_site(const struct queue_ask *a, const struct id *id, char site[static 256])
{
	struct schedule_rcpt_view v;
	struct spool_info info;

	site[0] = 0;
	if (spool_info(a->sp, id, &info) < 0)
		return;
	for (uint32_t i = 0; i < info.recipients && !site[0]; i++)
		if (schedule_look_route(a->schedule, id, i, &v) && v.state != SCHEDULE_DONE)
			(void)slice_copy(v.site.n > 0 ? v.site : v.destination, site, 256);
}

int queue_act(struct queue_ask *a, const char *verb, const struct id *id)
{
	unsigned kind = event_kind_find(slice_str(past(verb)));
	char site[256];
	int r;

	find_site(a, id, site);
	r = act(a, verb, id);
	if (r == 0 && kind) {
		event_begin(a->events, (enum event_kind)kind, queue_now_ms(), id_slice(id),
			    EVENT_NO_RECIPIENT);
		event_text(a->events, EVENT_KEY_BY, SLICE_LIT("administrator"));
		event_text(a->events, EVENT_KEY_SITE_NAME, slice_str(site));
		event_send(a->events);
	}
	if (r == 0)
		LOG(LOG_NOTICE, past(verb), LOG_S("id", id_slice(id)));
	else
		LOG(LOG_WARNING, "not-done", LOG_STR("verb", verb), LOG_S("id", id_slice(id)), LOG_ERRNO(r));
	return r;
}
