#include <time.h>

#include "ipc/event.h"
#include "send/private.h"
#include "send/report.h"

static void tell_queue(const struct lane *l, const struct ipc_message *m)
{
	if (l->send->queue)
		channel_send(l->send->queue, m, -1);
}

static struct slice ip_slice(const struct ip *ip)
{
	return slice_of(ip->byte, ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0);
}

enum ipc_security lane_security(const struct lane *l)
{
	if (!l->tls_up)
		return IPC_SECURITY_CLEAR;
	if (!l->facts.verified)
		return IPC_SECURITY_ENCRYPTED;
	return l->facts.how == TLS_VERIFY_DANE ? IPC_SECURITY_DANE : IPC_SECURITY_VERIFIED;
}

static void tls_text(const struct lane *l, char *to, size_t size)
{
	to[0] = '\0';
	if (l->tls_up)
		snprintf(to, size, "%s %s", l->facts.version, l->facts.cipher);
}

void lane_tell_ready(struct lane *l)
{
	const struct smtp_client_offers *o = smtp_client_offers(l->engine);
	char host[256], tls[128];
	struct ipc_message m = { .type = IPC_TYPE_lane_ready,
				 .lane_ready = { .lane = l->number,
						 .ip = ip_slice(&l->try.ip),
						 .port = l->try.port,
						 .security = (uint8_t)lane_security(l),
						 .rcpt_max = o->rcpt_max,
						 .mail_max = o->mail_max,
						 .fell_back =
							 l->try.fallback || (l->try.tls == DIAL_TLS_MAY &&
									     o->starttls && !l->tls_up) } };

	host_name(l->way, l->try.host, host);
	tls_text(l, tls, sizeof(tls));
	m.lane_ready.host = slice_str(host);
	m.lane_ready.tls = slice_str(tls);
	l->send->count.fell_back += m.lane_ready.fell_back;
	tell_queue(l, &m);
	report_ready(l);
}

void lane_tell_closed(const struct lane *l, enum ipc_lane_end end, const char *enhanced, struct slice text,
		      const struct dial_try *t)
{
	struct ipc_message m = { .type = IPC_TYPE_lane_closed,
				 .lane_closed = { .lane = l->number,
						  .failed = end != IPC_LANE_IN_ORDER,
						  .enhanced = slice_str(enhanced),
						  .text = slice_head(text, IPC_TEXT_MAX),
						  .end = (uint8_t)end } };
	char host[256] = "";

	if (t && l->way && t->host < l->way->n_hosts) {
		host_name(l->way, t->host, host);
		m.lane_closed.ip = ip_slice(&t->ip);
		m.lane_closed.port = t->port;
	}
	m.lane_closed.host = slice_str(host);
	tell_queue(l, &m);
}

static uint64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const char *const securities[] = { "clear", "encrypted", "verified", "dane" };

static void tell_transcript(const struct lane *l, struct event_sink *e)
{
	unsigned char room[SMTP_CLIENT_TRANSCRIPT_MAX];
	struct buf text;

	buf_init_in(&text, room, sizeof(room));
	smtp_client_transcript(l->engine, &text);
	if (buf_ok(&text))
		event_text(e, EVENT_KEY_TRANSCRIPT, buf_slice(&text));
}

static const char *step_of(const struct lane *l, enum dial_how how, bool talked)
{
	switch (how) {
	case DIAL_NO_HOST:
		return "dns";
	case DIAL_NO_STARTTLS:
	case DIAL_TLS_REFUSED:
	case DIAL_TLS_FAILED:
	case DIAL_TLS_STALLED:
	case DIAL_CERTIFICATE:
		return "tls";
	default:
		return talked ? smtp_client_step_name(smtp_client_want(l->engine)->step) : "connect";
	}
}

void lane_tell_attempt(const struct lane *l, const struct dial_try *t, enum dial_how how,
		       const struct send_job *j, struct slice text, uint64_t since_ms)
{
	struct event_sink *e = l->send->setup.events;
	bool talked = l->engine && l->conn && t->number == l->try.number;
	char host[256], ip[IP_TEXT_MAX];

	report_failed(l, t, how);
	event_begin(e, EVENT_ATTEMPTED, wall_ms(), j ? id_slice(&j->id) : SLICE_LIT(""), EVENT_NO_RECIPIENT);
	event_text(e, EVENT_KEY_ROUTE, slice_str(l->way->route));
	event_text(e, EVENT_KEY_DOMAIN, slice_str(l->way->domain));
	event_text(e, EVENT_KEY_SITE_NAME, slice_str(l->way->site));
	event_text(e, EVENT_KEY_HOST, slice_str(host_name(l->way, t->host, host)));
	if (t->ip.family) {
		event_text(e, EVENT_KEY_IP, slice_str(ip_format(&t->ip, ip)));
		event_number(e, EVENT_KEY_PORT, t->port);
	}
	if (lane_source(l, &t->ip))
		event_text(e, EVENT_KEY_SOURCE, slice_str(ip_format(lane_source(l, &t->ip), ip)));
	if (talked && l->tls_up) {
		event_text(e, EVENT_KEY_TLS, slice_str(l->facts.version));
		event_text(e, EVENT_KEY_CIPHER, slice_str(l->facts.cipher));
	}
	if (talked) {
		event_text(e, EVENT_KEY_SECURITY, slice_str(securities[lane_security(l)]));
		event_text(e, EVENT_KEY_POLICY, slice_str(l->look.policy.name));
	}
	if (t->fallback)
		event_number(e, EVENT_KEY_FELL_BACK, 1);
	if (how != DIAL_READY || text.n > 0)
		event_text(e, EVENT_KEY_STEP, slice_str(step_of(l, how, talked)));
	event_text(e, EVENT_KEY_WHAT, slice_str(dial_how_name(how)));
	event_text(e, EVENT_KEY_REASON, text);
	if (talked)
		tell_transcript(l, e);
	event_number(e, EVENT_KEY_DURATION, uv_now(l->send->loop) - since_ms);
	event_send(e);
}
