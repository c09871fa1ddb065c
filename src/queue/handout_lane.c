/* handout_lane.c - where mail goes, asked of smtp processes; and the lanes that they hold for us. */
#include <time.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "ipc/event.h"
#include "queue/handout_private.h"

#define ASK_ROOM    65536 /* that a channel must have before a question */
#define LMTP_TTL_MS (UINT64_C(24) * 3600 * 1000)

/* ---- where to ---- */

/* The server that the configuration names, for our mailboxes: nobody needs to be asked. */
static void resolve_lmtp(struct handout *h, const struct schedule_question *q, const struct way *way,
			 uint64_t now_ms)
{
	struct schedule_site site = { .pool = SCHEDULE_NONE };
	char text[ENDPOINT_TEXT_MAX];
	uint32_t sum;

	endpoint_format(&h->ways.lmtp, text);
	sum = crc32c(0, slice_str(text));
	memcpy(site.key, "mailboxes", 9);
	memcpy(site.key + 12, &sum, sizeof(sum));
	site.name = slice_str(text);
	ways_limits(&h->ways, way, &site);
	schedule_resolved(h->schedule, q->number, &site, LMTP_TTL_MS, now_ms);
}

static void begin_question(struct handout *h, const struct schedule_question *q, uint64_t now_ms)
{
	struct way way;

	ways_find(&h->ways, q->destination, &way);
	switch (way.kind) {
	case WAY_LMTP:
		resolve_lmtp(h, q, &way, now_ms);
		return;
	case WAY_DISCARD:
		schedule_unresolved(h->schedule, q->number, true, SLICE_LIT("2.0.0"),
				    SLICE_LIT("discarded, as the configuration's route says"), now_ms);
		return;
	case WAY_REFUSE:
		schedule_unresolved(h->schedule, q->number, true, SLICE_LIT("5.7.1"),
				    way.route->text[0] ? slice_str(way.route->text)
						       : SLICE_LIT("the configuration's route refuses it"),
				    now_ms);
		return;
	case WAY_RELAY:
		if (!asks_add(&h->asks, q->number, q->destination))
			schedule_unresolved(h->schedule, q->number, false, SLICE_LIT("4.3.0"),
					    SLICE_LIT("out of memory"), now_ms);
		return;
	case WAY_NONE:
	case WAY_LOCAL:
		break;
	}
	schedule_unresolved(h->schedule, q->number, false, SLICE_LIT("4.3.5"),
			    SLICE_LIT("no route of the configuration leads there"), now_ms);
}

/* A process that can be asked, each in turn; LANES_CARRIERS: none. */
static unsigned whom_to_ask(struct handout *h)
{
	for (unsigned i = 0; i < LANES_CARRIERS; i++) {
		unsigned at = (h->asks.next + i) % LANES_CARRIERS;

		if (h->smtp[at].ch && channel_room(h->smtp[at].ch) >= ASK_ROOM) {
			h->asks.next = at + 1;
			return at;
		}
	}
	return LANES_CARRIERS;
}

static void send_questions(struct handout *h)
{
	while (!list_empty(&h->asks.waiting)) {
		unsigned at = whom_to_ask(h);
		struct asks_one *q = at < LANES_CARRIERS ? asks_take(&h->asks, at) : NULL;
		struct ipc_message m = { .type = IPC_TYPE_resolve };
		struct way way;

		if (!q)
			return;
		ways_find(&h->ways, slice_str(q->destination), &way);
		m.resolve.req = q->number;
		m.resolve.route = slice_str(way.route ? way.route->name : "");
		m.resolve.domain = way.domain;
		m.resolve.relax = way.relax;
		channel_send(h->smtp[at].ch, &m, -1);
		h->count.resolves++;
	}
}

void handout_ask(struct handout *h, uint64_t now_ms)
{
	struct schedule_question q;

	while (schedule_next_resolve(h->schedule, now_ms, &q))
		begin_question(h, &q, now_ms);
	send_questions(h);
}

static uint32_t pool_of(const struct handout *h, const struct way *way)
{
	const char *name = ways_pool(&h->ways, way);

	for (size_t i = 0; name[0] && i < h->n_pools; i++)
		if (!strcmp(h->pool[i].name, name))
			return h->pool[i].number;
	return SCHEDULE_NONE;
}

/* What fails for good is told of each recipient; this would be told of nobody. */
static void tell_unresolved(struct handout *h, const struct asks_one *q, const struct ipc_resolved *m,
			    uint64_t now_ms)
{
	LOG(LOG_NOTICE, "site-unknown", LOG_STR("destination", q->destination), LOG_S("status", m->enhanced),
	    LOG_S("reason", m->text));
	event_begin(h->events, EVENT_SITE, now_ms, SLICE_LIT(""), EVENT_NO_RECIPIENT);
	event_text(h->events, EVENT_KEY_WHAT, SLICE_LIT("unknown"));
	event_text(h->events, EVENT_KEY_SITE_NAME, slice_str(q->destination));
	event_text(h->events, EVENT_KEY_STATUS, m->enhanced);
	event_text(h->events, EVENT_KEY_REASON, m->text);
	event_send(h->events);
}

const char *handout_resolved(struct handout *h, unsigned index, const struct ipc_resolved *m, uint64_t now_ms)
{
	struct asks_one *q = asks_find(&h->asks, m->req);
	struct schedule_site site = { .pool = SCHEDULE_NONE };
	struct way way;

	if (!q) /* it was given up, if it ever was asked */
		return m->req > h->asks.last ? "an answer to what nobody asked" : NULL;
	if (q->carrier != index || m->what < IPC_RESOLVED_OK || m->what > IPC_RESOLVED_TEMPORARY ||
	    (m->what == IPC_RESOLVED_OK && m->key.n != SCHEDULE_KEY))
		return "an answer to what it was not asked, or no answer";
	ways_find(&h->ways, slice_str(q->destination), &way);
	if (m->what == IPC_RESOLVED_TEMPORARY)
		tell_unresolved(h, q, m, now_ms);
	if (m->what != IPC_RESOLVED_OK) {
		schedule_unresolved(h->schedule, m->req, m->what == IPC_RESOLVED_PERMANENT, m->enhanced,
				    m->text, now_ms);
	} else {
		memcpy(site.key, m->key.p, SCHEDULE_KEY);
		site.name = m->site;
		ways_limits(&h->ways, &way, &site);
		site.pool = pool_of(h, &way);
		schedule_resolved(h->schedule, m->req, &site, m->ttl_s * UINT64_C(1000), now_ms);
	}
	asks_over(&h->asks, q);
	return NULL;
}

/* ---- lanes ---- */

void handout_open_lanes(struct handout *h, uint64_t now_ms)
{
	struct schedule_lane l;
	unsigned at;

	while ((at = lanes_best_carrier(&h->lanes)) < LANES_CARRIERS &&
	       schedule_next_lane(h->schedule, now_ms, &l)) {
		struct way way;

		ways_find(&h->ways, l.destination, &way);
		if ((way.kind == WAY_LMTP || way.kind == WAY_RELAY) &&
		    lanes_open(&h->lanes, at, &l, &way, &h->ways))
			schedule_lane_opened(h->schedule, l.number, at);
		else
			schedule_lane_closed(h->schedule, l.number,
					     way.kind == WAY_RELAY ? SCHEDULE_LANE_GONE : SCHEDULE_LANE_MOVED,
					     SLICE_LIT("4.3.0"), SLICE_LIT("out of memory"), now_ms);
	}
}

static void port25_told(struct handout *h, bool blocked, uint64_t now_ms)
{
	h->port25_changed = true;
	schedule_block(h->schedule, blocked, now_ms);
	if (blocked)
		LOG(LOG_CRIT, "port-25-blocked", LOG_STR("reason", PORT25_TEXT));
	else
		LOG(LOG_NOTICE, "port-25-open", LOG_STR("reason", "connections to port 25 succeed again"),
		    LOG_U("blocked_s", (now_ms - h->port25.since_ms) / 1000));
	event_begin(h->events, EVENT_ALARM, now_ms, SLICE_LIT(""), EVENT_NO_RECIPIENT);
	event_text(h->events, EVENT_KEY_WHAT,
		   blocked ? SLICE_LIT("port-25-blocked") : SLICE_LIT("port-25-open"));
	event_text(h->events, EVENT_KEY_TEXT,
		   blocked ? SLICE_LIT(PORT25_TEXT) : SLICE_LIT("connections to port 25 succeed again"));
	event_send(h->events);
}

/* A connection to port 25 stood. */
static void port25_works(struct handout *h, const struct ip *ip, uint64_t now_ms)
{
	if (port25_connected(&h->port25, ip, now_ms))
		port25_told(h, false, now_ms);
}

const char *handout_lane_ready(struct handout *h, unsigned index, const struct ipc_lane_ready *m,
			       uint64_t now_ms)
{
	struct lane *lane = lanes_find(&h->lanes, m->lane);
	struct ip ip;

	if (!lane || lane->carrier != index || lane->ready || !lanes_ip(m->ip, &ip))
		return "a lane ready that there is not, or twice";
	lanes_ready(lane, m);
	if (lane->over)
		return NULL;
	if (m->port == 25)
		port25_works(h, &ip, now_ms);
	schedule_lane_ready(h->schedule, m->lane, m->rcpt_max, m->mail_max, now_ms);
	return NULL;
}

/* What the schedule makes of it. */
static enum schedule_lane_end end_of(const struct lane *lane, const struct ipc_lane_closed *m,
				     const struct route_meaning *meaning)
{
	/* A server that ends a connection with nothing to do is in its right. */
	if (lane->ready && list_empty(&lane->jobs) &&
	    (m->end == IPC_LANE_BROKE || m->end == IPC_LANE_ANSWERED))
		return SCHEDULE_LANE_CLOSED;
	/* What waits for that destination fails, as the configuration's row has it. */
	if (!lane->ready && (m->end == IPC_LANE_ANSWERED || m->end == IPC_LANE_AUTH) && meaning->by_user &&
	    meaning->action == ROUTE_FAIL)
		return SCHEDULE_LANE_NOWHERE;
	switch (m->end) {
	case IPC_LANE_IN_ORDER:
		return m->failed ? SCHEDULE_LANE_BROKEN : SCHEDULE_LANE_CLOSED;
	case IPC_LANE_MOVED:
		return SCHEDULE_LANE_MOVED;
	case IPC_LANE_NOWHERE:
		return SCHEDULE_LANE_NOWHERE;
	case IPC_LANE_DNS:
		/* Its servers are known, their addresses are not.  To ask who they are would bring the same
		 * answer, without an end and without a word; a lane that is tried later notices if they
		 * moved. */
		return SCHEDULE_LANE_UNREACHABLE;
	case IPC_LANE_TIMED_OUT:
		return SCHEDULE_LANE_TIMED_OUT;
	case IPC_LANE_BROKE:
		return SCHEDULE_LANE_BROKEN;
	case IPC_LANE_ANSWERED:
		return meaning->class == ROUTE_CLASS_CONNECTIONS ? SCHEDULE_LANE_BUSY
								 : SCHEDULE_LANE_UNREACHABLE;
	case IPC_LANE_LOCAL:
		return SCHEDULE_LANE_GONE;
	case IPC_LANE_SOURCE:
		return SCHEDULE_LANE_SOURCE;
	default:
		return SCHEDULE_LANE_UNREACHABLE;
	}
}

/* In words that an administrator can do something with. */
static void words_of(const struct lane *lane, const struct ipc_lane_closed *m, char *to, size_t size)
{
	const char *what = m->end == IPC_LANE_AUTH  ? "it does not take our user and password: "
			   : m->end == IPC_LANE_TLS ? "not as secure as it must be: "
						    : "";

	if (m->end == IPC_LANE_SOURCE)
		snprintf(to, size, "source %s cannot be used: %.*s", lane->source, SLICE_ARG(m->text));
	else if (lane->way == CARRIER_RELAY && m->host.n > 0 &&
		 !memmem(m->text.p, m->text.n, m->host.p, m->host.n))
		snprintf(to, size, "%.*s port %u: %s%.*s", SLICE_ARG(m->host), (unsigned)m->port, what,
			 SLICE_ARG(m->text));
	else
		snprintf(to, size, "%s%.*s", what, SLICE_ARG(m->text));
}

static void trouble(struct handout *h, const struct lane *lane, struct slice status, const char *text,
		    uint64_t now_ms)
{
	unsigned failures = troubles_add(&h->troubles, slice_str(lane->site));

	h->lanes.failures++;
	if (!troubles_worth_a_line(failures))
		return;
	LOG(LOG_WARNING, "site-trouble", LOG_STR("site", lane->site), LOG_S("status", status),
	    LOG_STR("reason", text), LOG_U("failures", failures));
	event_begin(h->events, EVENT_SITE, now_ms, SLICE_LIT(""), EVENT_NO_RECIPIENT);
	event_text(h->events, EVENT_KEY_WHAT, SLICE_LIT("trouble"));
	event_text(h->events, EVENT_KEY_SITE_NAME, slice_str(lane->site));
	event_text(h->events, EVENT_KEY_STATUS, status);
	event_text(h->events, EVENT_KEY_REASON, slice_str(text));
	event_number(h->events, EVENT_KEY_COUNT, failures);
	event_send(h->events);
}

void handout_site_works(struct handout *h, const struct lane *lane, uint64_t now_ms)
{
	unsigned failures = troubles_over(&h->troubles, slice_str(lane->site));

	if (failures == 0)
		return;
	LOG(LOG_NOTICE, "site-back", LOG_STR("site", lane->site), LOG_U("failures", failures));
	event_begin(h->events, EVENT_SITE, now_ms, SLICE_LIT(""), EVENT_NO_RECIPIENT);
	event_text(h->events, EVENT_KEY_WHAT, SLICE_LIT("back"));
	event_text(h->events, EVENT_KEY_SITE_NAME, slice_str(lane->site));
	event_number(h->events, EVENT_KEY_COUNT, failures);
	event_send(h->events);
}

/* Whether its end says something about port 25, and what. */
static void port25_look(struct handout *h, const struct ipc_lane_closed *m, const struct ip *ip,
			uint64_t now_ms)
{
	if (m->port != 25)
		return;
	if (m->end == IPC_LANE_TIMED_OUT) {
		if (port25_timed_out(&h->port25, ip, now_ms))
			port25_told(h, true, now_ms);
	} else if (m->end == IPC_LANE_BROKE || m->end == IPC_LANE_ANSWERED || m->end == IPC_LANE_TLS ||
		   m->end == IPC_LANE_AUTH) {
		port25_works(h, ip, now_ms);
	}
}

static void jobs_untried(struct handout *h, struct lane *lane, struct slice status, struct slice text,
			 uint64_t now_ms)
{
	struct list *at, *after;

	LIST_EACH (&lane->jobs, at, after) {
		struct carrier_job *j = container_of(at, struct carrier_job, in_lane);

		if (!j->back && !j->lost)
			handout_untried(h, j, status, text, now_ms);
	}
}

const char *handout_lane_closed(struct handout *h, unsigned index, const struct ipc_lane_closed *m,
				uint64_t now_ms)
{
	struct lane *lane = lanes_find(&h->lanes, m->lane);
	enum schedule_lane_end end;
	struct route_meaning meaning;
	char text[IPC_TEXT_MAX + 300];
	struct ip ip;

	if (!lane || lane->carrier != index || m->end >= IPC_LANE_ENDS || !lanes_ip(m->ip, &ip))
		return "the end of a lane that there is not";
	if (lane->over) {
		lanes_forget(&h->lanes, lane);
		return NULL;
	}
	meaning = meanings_of(&h->meanings, m->text, m->enhanced, 0,
			      m->end == IPC_LANE_AUTH ? SMTP_CLIENT_AT_AUTH : SMTP_CLIENT_AT_GREETING);
	end = end_of(lane, m, &meaning);
	words_of(lane, m, text, sizeof(text));
	port25_look(h, m, &ip, now_ms);
	/* Before the jobs may be begun anew elsewhere. */
	jobs_untried(h, lane, m->enhanced, slice_str(text), now_ms);
	if (h->port25.blocked && lane->needs_25 && m->end == IPC_LANE_TIMED_OUT)
		snprintf(text, sizeof(text), "%s", PORT25_TEXT);
	else if (end != SCHEDULE_LANE_CLOSED && end != SCHEDULE_LANE_MOVED && end != SCHEDULE_LANE_NOWHERE)
		trouble(h, lane, m->enhanced, text, now_ms);
	if (end != SCHEDULE_LANE_CLOSED && (m->end == IPC_LANE_ANSWERED || m->end == IPC_LANE_AUTH))
		schedule_pause(h->schedule, m->lane, meaning.pause_s * UINT64_C(1000), now_ms);
	schedule_lane_closed(h->schedule, m->lane, end, m->enhanced, slice_str(text), now_ms);
	lanes_forget(&h->lanes, lane);
	return NULL;
}

/* ---- what takes too long ---- */

static void blame(struct handout *h, unsigned carrier)
{
	if (carrier == SCHEDULE_CARRIER_LOCAL)
		h->local_silent = true;
	else if (carrier < LANES_CARRIERS)
		h->silent |= UINT64_C(1) << carrier;
}

/* The schedule is told that it is over; its process is told to close it, and may. */
static void give_up_lane(struct handout *h, struct lane *lane, uint64_t now_ms)
{
	lane->over = true;
	lanes_close(&h->lanes, lane);
	blame(h, lane->carrier);
	schedule_lane_closed(h->schedule, lane->number, SCHEDULE_LANE_GONE, SLICE_LIT("4.3.0"),
			     SLICE_LIT("the smtp process said nothing about it for too long"), now_ms);
}

/* Whether it was delivered nobody knows. */
static void give_up_job(struct handout *h, struct carrier_job *j, uint64_t now_ms)
{
	for (uint32_t i = 0; i < j->n; i++)
		if (schedule_look_rcpt(h->schedule, &j->id, j->out[i].n) == SCHEDULE_ACTIVE)
			handout_in_doubt(h, j, &j->out[i], "the process that delivered it said nothing more",
					 now_ms);
	j->lost = true;
	schedule_give_back(h->schedule, j->number, now_ms + schedule_pause_ms(0));
}

void handout_overdue(struct handout *h, uint64_t now_ms)
{
	static const char *const what[] = { [SCHEDULE_OVERDUE_RESOLVE] = "question",
					    [SCHEDULE_OVERDUE_LANE] = "lane",
					    [SCHEDULE_OVERDUE_JOB] = "job" };
	struct schedule_overdue late;

	while (schedule_next_overdue(h->schedule, now_ms, &late)) {
		struct asks_one *q = NULL;
		struct carrier_job *j = NULL;
		struct lane *lane = NULL;

		LOG(LOG_ERR, "overdue", LOG_STR("what", what[late.kind]), LOG_U("age_s", late.age_ms / 1000));
		h->count.overdue++;
		if (late.kind == SCHEDULE_OVERDUE_RESOLVE) {
			q = asks_find(&h->asks, late.number);
			if (q) {
				blame(h, q->carrier);
				asks_over(&h->asks, q);
			}
			schedule_unresolved(h->schedule, late.number, false, SLICE_LIT("4.3.0"),
					    SLICE_LIT("no smtp process answered where it goes"), now_ms);
			continue;
		}
		lane = lanes_find(&h->lanes, late.kind == SCHEDULE_OVERDUE_JOB ? late.lane : late.number);
		if (late.kind == SCHEDULE_OVERDUE_JOB) {
			j = carrier_find(lane ? &h->smtp[lane->carrier] : &h->local, late.number);
			if (j)
				give_up_job(h, j, now_ms);
			if (!lane)
				blame(h, SCHEDULE_CARRIER_LOCAL);
		}
		if (lane && !lane->over)
			give_up_lane(h, lane, now_ms);
	}
}

/* ---- sources ---- */

static uint64_t day_ms(const char *day)
{
	struct tm tm = { 0 };

	return day && strptime(day, "%Y-%m-%d", &tm) ? (uint64_t)timegm(&tm) * 1000 : 0;
}

static unsigned days_until(const struct conf_source *s)
{
	uint64_t n = s->warm_up_first;
	unsigned days = 0;

	for (; n > 0 && n < s->warm_up_until && days < 1000; days++)
		n += n * s->warm_up_growth / 100 > 0 ? n * s->warm_up_growth / 100 : 1;
	return days;
}

static const char *pool_name(const struct conf_source *s)
{
	return s->pool && s->pool[0] ? s->pool : s->name;
}

/* All sources of the pool that the one at first is the first of. */
static size_t pool_sources(const struct conf *conf, size_t first, struct schedule_source *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->n_sources && n < HANDOUT_SOURCES; i++) {
		const struct conf_source *s = &conf->sources[i];

		if (strcmp(pool_name(s), pool_name(&conf->sources[first])) != 0)
			continue;
		if (i < first)
			return 0; /* it was made already */
		ret[n++] = (struct schedule_source){
			.address = slice_str(s->name),
			.helo = slice_str(s->helo ? s->helo : ""),
			.weight = s->weight > 0 ? s->weight : 1,
			.per_minute = s->messages_per_minute,
			.warm_begins_ms = day_ms(s->warm_up),
			.warm_first = s->warm_up_first,
			.warm_growth_percent = s->warm_up_growth,
			.warm_days = days_until(s),
		};
	}
	return n;
}

void handout_pools(struct handout *h, uint64_t now_ms)
{
	const struct conf *conf = h->ways.conf;
	struct schedule_source source[HANDOUT_SOURCES];

	h->n_pools = 0;
	for (size_t i = 0; i < conf->n_sources && h->n_pools < HANDOUT_POOLS; i++) {
		size_t n = pool_sources(conf, i, source);
		struct pool *p = &h->pool[h->n_pools];

		if (n == 0)
			continue;
		p->name = pool_name(&conf->sources[i]);
		p->number = schedule_pool(h->schedule, slice_str(p->name), source, n, now_ms);
		h->n_pools += p->number != SCHEDULE_NONE;
	}
}
