#include "base/log.h"
#include "receive/session.h"

#include <string.h>

static struct slice ip_bytes(const struct ip *ip)
{
	return slice_of(ip->byte, ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0);
}

/* The proxy that it came through; empty if none. */
static const char *via(const struct session *s, char text[static IP_TEXT_MAX])
{
	return s->proxy.family ? ip_format(&s->proxy, text) : "";
}

void session_log_tls(struct session *s)
{
	struct tls_facts tls;
	char ip[IP_TEXT_MAX];

	conn_tls_facts(s->conn, &tls);
	counters_tls(&s->listener->count, tls.version, tls.resumed);
	LOG(LOG_INFO, "tls", LOG_STR("listener", s->listener->name), LOG_STR("ip", ip_format(&s->ip, ip)),
	    LOG_STR("version", tls.version), LOG_STR("cipher", tls.cipher), LOG_STR("sni", tls.sni),
	    LOG_U("resumed", tls.resumed));
}

void session_log_tls_failed(struct session *s, const char *why)
{
	char ip[IP_TEXT_MAX];

	s->listener->count.tls_failed++;
	LOG(LOG_NOTICE, "tls-failed", LOG_STR("listener", s->listener->name),
	    LOG_STR("ip", ip_format(&s->ip, ip)), LOG_STR("why", why));
	session_mishap(s, IPC_MISHAP_TLS_FAILED, false);
}

/* fail2ban reads auth-failed and auth-locked, and their ip. */
void session_log_auth(struct session *s, int code, bool locked, struct slice name)
{
	char ip[IP_TEXT_MAX];
	struct counters *count = &s->listener->count;

	ip_format(&s->ip, ip);
	if (code == 235) {
		count->auth_ok++;
		LOG(LOG_INFO, "auth", LOG_STR("listener", s->listener->name), LOG_STR("ip", ip),
		    LOG_STR("mech", s->mech), LOG_S("account", name), LOG_U("key", s->key));
	} else if (code >= 500) {
		count->auth_failed++;
		s->auth_failures++;
		LOG(LOG_NOTICE, "auth-failed", LOG_STR("listener", s->listener->name), LOG_STR("ip", ip),
		    LOG_STR("mech", s->mech), LOG_S("account", name), LOG_I("code", code));
	} else if (locked) {
		count->auth_locked++;
		LOG(LOG_NOTICE, "auth-locked", LOG_STR("listener", s->listener->name), LOG_STR("ip", ip),
		    LOG_STR("mech", s->mech), LOG_S("account", name), LOG_I("code", code));
	} else {
		count->auth_later++;
		LOG(LOG_WARNING, "auth-later", LOG_STR("listener", s->listener->name), LOG_STR("ip", ip),
		    LOG_STR("mech", s->mech), LOG_I("code", code));
	}
}

void session_log_accepted(struct session *s, uint32_t targets)
{
	struct tls_facts tls = { 0 };
	char ip[IP_TEXT_MAX], proxy[IP_TEXT_MAX], uid[16] = "";

	if (s->rules->role == SMTP_LOCAL)
		snprintf(uid, sizeof(uid), "%u", s->uid);
	if (!s->broken)
		conn_tls_facts(s->conn, &tls);
	LOG(LOG_NOTICE, "accepted", LOG_STR("id", s->id.text), LOG_S("from", buf_slice(&s->tx.sender)),
	    LOG_U("rcpts", s->tx.recipients), LOG_U("targets", targets), LOG_U("size", s->tx.size),
	    LOG_STR("listener", s->listener->name), LOG_STR("ip", ip_format(&s->ip, ip)), LOG_STR("uid", uid),
	    LOG_S("account", buf_slice(&s->login)),
	    LOG_STR("auth", smtp_server_authenticated(s->engine) ? s->mech : ""),
	    LOG_STR("proto", smtp_server_protocol(s->engine)), LOG_S("helo", smtp_server_helo(s->engine)),
	    LOG_STR("tls", tls.version), LOG_STR("cipher", tls.cipher), LOG_U("told", !s->broken),
	    LOG_STR("via", via(s, proxy)));
}

void session_refuse(struct session *s, enum count_stage stage, int code, const char *enhanced,
		    const char *text, const struct smtp_path *path, const char *rule)
{
	char ip[IP_TEXT_MAX];
	struct buf to;

	buf_init(&to, 1024);
	if (path)
		smtp_path_put(path, &to);
	s->rejected++;
	s->listener->count.rejected[stage]++;
	LOG(LOG_INFO, "rejected", LOG_STR("stage", count_stage_name(stage)), LOG_STR("rule", rule),
	    LOG_I("code", code), LOG_STR("enhanced", enhanced), LOG_STR("text", text),
	    LOG_STR("listener", s->listener->name), LOG_STR("ip", ip_format(&s->ip, ip)),
	    LOG_S("account", buf_slice(&s->login)), LOG_S("from", buf_slice(&s->tx.sender)),
	    LOG_S(stage == COUNT_AT_MAIL ? "sender" : "to", buf_slice(&to)),
	    LOG_S("helo", smtp_server_helo(s->engine)));
	buf_done(&to);
}

void session_log_begin(struct session *s)
{
	char ip[IP_TEXT_MAX], proxy[IP_TEXT_MAX];

	LOG(LOG_DEBUG, "connect", LOG_STR("listener", s->listener->name),
	    LOG_STR("ip", ip_format(&s->ip, ip)), LOG_U("port", s->peer_port), LOG_STR("via", via(s, proxy)),
	    LOG_U("sessions", s->listener->n_sessions), LOG_U("limits_wait", s->room.waits != NULL));
}

void session_log_end(struct session *s)
{
	const char *why = s->why;
	char ip[IP_TEXT_MAX];

	if (!why)
		why = s->broken && s->conn ? conn_error(s->conn) : "closed";
	LOG(LOG_DEBUG, "disconnect", LOG_STR("listener", s->listener->name),
	    LOG_STR("ip", ip_format(&s->ip, ip)), LOG_STR("why", why), LOG_U("messages", s->messages),
	    LOG_U("rejected", s->rejected), LOG_U("auth_failures", s->auth_failures),
	    LOG_U("ms", receive_now_ms(s->rx) - s->began_ms));
}

_Static_assert(IPC_MISHAP_KINDS <= 32, "a bit for each kind");

void session_mishap(struct session *s, enum ipc_mishap_kind kind, bool served)
{
	struct slice helo = slice_head(smtp_server_helo(s->engine), 255);
	char ip[IP_TEXT_MAX];
	struct ipc_message m = { .type = IPC_TYPE_mishap,
				 .mishap = { .kind = (uint8_t)kind,
					     .port = s->port,
					     .listener = slice_str(s->listener->name),
					     .ip = ip_bytes(&s->ip),
					     .account = buf_slice(&s->login),
					     .helo = helo,
					     .served = served } };

	/* A client that repeats itself is not a larger problem, and must not be able
	 * to write the log full. */
	if (s->told & UINT32_C(1) << kind)
		return;
	s->told |= UINT32_C(1) << kind;
	s->listener->count.mishaps[kind]++;
	LOG(LOG_NOTICE, "wrong-port", LOG_STR("kind", ipc_mishap_name(kind)),
	    LOG_STR("listener", s->listener->name), LOG_STR("ip", ip_format(&s->ip, ip)),
	    LOG_S("account", buf_slice(&s->login)), LOG_S("helo", helo), LOG_U("served", served));
	/* History may be lost; mail may not wait for it. */
	if (s->rx->ledger && channel_room(s->rx->ledger) > IPC_PACKET_MAX)
		channel_send(s->rx->ledger, &m, -1);
}

void session_mishap_served(struct session *s)
{
	if (s->served)
		session_mishap(s, s->served, true);
	s->served = (enum ipc_mishap_kind)0;
}

/* What the engine saw, and what it is called here. */
static const struct {
	unsigned fault;
	enum ipc_mishap_kind kind;
} faults[] = {
	{ SMTP_FAULT_AUTH_ON_RELAY, IPC_MISHAP_AUTH_ON_RELAY },
	{ SMTP_FAULT_NO_STARTTLS, IPC_MISHAP_NO_STARTTLS },
	{ SMTP_FAULT_NO_AUTH, IPC_MISHAP_NO_AUTH },
	{ SMTP_FAULT_PASSWORD_IN_CLEAR, IPC_MISHAP_PASSWORD_IN_CLEAR },
	{ SMTP_FAULT_NOT_SMTP, IPC_MISHAP_NOT_SMTP },
	{ SMTP_FAULT_TLS_TOO_LATE, IPC_MISHAP_TLS_TOO_LATE },
};

void session_take_faults(struct session *s)
{
	unsigned seen = smtp_server_take_faults(s->engine);

	for (size_t i = 0; seen && i < sizeof(faults) / sizeof(faults[0]); i++)
		if (seen & faults[i].fault)
			session_mishap(s, faults[i].kind, false);
	/* It was greeted at once because it used to speak plainly; now it shall be
	 * given the time again. */
	if (seen & SMTP_FAULT_TLS_TOO_LATE && s->rules->hold_ms > 0)
		known_tls(&s->listener->known, &s->ip, receive_now_ms(s->rx));
}
