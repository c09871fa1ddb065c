/* A proxy in front of us: whose connection this is, and both ways to have that wrong. */
#include "base/log.h"
#include "net/proxy_header.h"
#include "receive/session.h"

#define LOG_EVERY_MS 10000

/* A proxy that is set up wrongly is so for each client, and a stranger who sends headers
 * must not write the log full. */
static bool may_log(struct session *s)
{
	struct listener *l = s->listener;
	uint64_t now = receive_now_ms(s->rx);

	if (l->proxy_logged_ms && now - l->proxy_logged_ms < LOG_EVERY_MS) {
		l->proxy_unlogged++;
		return false;
	}
	l->proxy_logged_ms = now;
	return true;
}

static void log_wrong(struct session *s, const char *event, const char *why, struct slice advice)
{
	const struct ip_net *net = rules_proxy(s->rules, &s->ip);
	char ip[IP_TEXT_MAX], text[IP_TEXT_MAX], network[IP_TEXT_MAX + 4] = "";

	if (net)
		snprintf(network, sizeof(network), "%s/%u", ip_format(&net->ip, text), net->bits);
	if (!may_log(s))
		return;
	LOG(LOG_WARNING, event, LOG_STR("listener", s->listener->name), LOG_STR("ip", ip_format(&s->ip, ip)),
	    LOG_STR("proxy_from", network), LOG_STR("why", why), LOG_S("advice", advice),
	    LOG_U("unlogged", s->listener->proxy_unlogged));
	s->listener->proxy_unlogged = 0;
}

/* ---- a proxy that does not say it ---- */

/* 4xx: mail of other servers waits until the proxy is set right. */
static void close_saying(struct session *s, struct slice text)
{
	struct buf line;

	buf_init(&line, 512);
	buf_str(&line, "421 4.3.5 ");
	buf_put(&line, text);
	session_close_saying(s, &line);
	buf_done(&line);
}

/* What its client reads is mostly all that anybody sees of it. */
static void refuse(struct session *s, const char *why)
{
	struct slice in = conn_input(s->conn);
	struct buf text;

	buf_init(&text, 512);
	buf_fmt(&text,
		"the proxy must begin with a PROXY header: switch it on there (HAProxy: send-proxy-v2, "
		"nginx: proxy_protocol on), or take its address out of listeners.%s.proxy_from",
		s->listener->name);
	log_wrong(s, "proxy-header-missing", why, buf_slice(&text));
	session_mishap(s, IPC_MISHAP_PROXY_MISSING, false);
	s->why = "no PROXY header";
	/* No words in clear for who speaks TLS. */
	if (in.n > 0 && in.p[0] == 0x16) {
		s->over = true;
	} else {
		close_saying(s, buf_slice(&text));
	}
	buf_done(&text);
}

void session_proxy_timeout(struct session *s)
{
	refuse(s, conn_input(s->conn).n > 0 ? "the header was begun and never ended" : "nothing came");
}

/* The proxy's word on who its client is.  It cannot lend its own rights: nobody has any
 * for being the proxy. */
static void believe(struct session *s, const struct proxy_header *h)
{
	s->proxy = s->ip;
	if (!proxy_header_names_client(h, &s->proxy)) {
		s->trusted = s->rules->trust_all;
		return;
	}
	s->ip = h->client;
	s->peer_port = h->client_port;
	if (h->server_port)
		s->port = h->server_port; /* the one that the client was given, for what it is told */
	s->trusted = rules_trust(s->rules, &s->ip);
}

bool session_proxy(struct session *s)
{
	struct proxy_header h;

	switch (proxy_header_parse(conn_input(s->conn), &h)) {
	case PROXY_HEADER_MORE:
		/* A proxy that only looks whether we are there closes without a word. */
		if (s->eof && conn_input(s->conn).n > 0)
			refuse(s, "the header was begun and never ended");
		s->over |= s->eof;
		return false;
	case PROXY_HEADER_DONE:
		break;
	case PROXY_HEADER_NONE:
	case PROXY_HEADER_BAD:
		refuse(s, h.why);
		return false;
	}
	conn_consume(s->conn, h.n);
	believe(s, &h);
	if (session_known(s) < 0) {
		s->over = true;
		return false;
	}
	/* The client's time begins now, and so does the hold of the greeting. */
	s->opened_ms = receive_now_ms(s->rx);
	s->phase = SESSION_SNIFF;
	return true;
}

/* ---- a header that nobody asked for ---- */

bool session_proxy_unexpected(struct session *s)
{
	char ip[IP_TEXT_MAX];
	struct buf text;

	if (s->proxy.family || !proxy_header_begins(conn_input(s->conn)))
		return false;
	ip_format(&s->ip, ip);
	buf_init(&text, 512);
	buf_fmt(&text,
		"a PROXY header is not expected from %s: add that address to listeners.%s.proxy_from, "
		"or switch the header off in the proxy",
		ip, s->listener->name);
	log_wrong(s, "proxy-header-unexpected", "not in proxy_from", buf_slice(&text));
	session_mishap(s, IPC_MISHAP_PROXY_UNEXPECTED, false);
	s->why = "a PROXY header";
	if (s->phase == SESSION_SMTP) {
		buf_byte(&text, 0);
		session_hang_up(s, "4.3.5",
				buf_ok(&text) ? (const char *)buf_slice(&text).p : "no PROXY header here");
	} else {
		close_saying(s, buf_slice(&text));
	}
	buf_done(&text);
	return true;
}
