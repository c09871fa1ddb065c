/* smtp.c - the process that talks to the network: all SMTP sessions, in and out.
 *
 * Only wiring: what main and the other processes say goes to receive/, or to send/.
 */
#include <errno.h>
#include <sodium.h>

#include "base/log.h"
#include "ipc/event.h"
#include "ipc/memory.h"
#include "net/tls_client.h"
#include "receive/receive.h"
#include "role/dns.h"
#include "role/role.h"
#include "send/explain.h"
#include "send/sts.h"

#define HTTPS_PORT 443

struct smtp {
	struct role *role;
	struct receive *rx;
	struct send *tx;
	struct tls_client *trust;
	struct resolve *resolve;
	struct dns_files dns;	   /* as last read */
	unsigned char trusted[16]; /* a hash of the authorities */
	struct sts *sts;	   /* asked while relay.mta_sts is on */
	struct event_sink events;  /* of both */
	unsigned draining;	   /* of the two, how many are not through */
};

static struct receive *rx_of(const struct role *r)
{
	return ((struct smtp *)r->state)->rx;
}

static struct send *tx_of(const struct role *r)
{
	return ((struct smtp *)r->state)->tx;
}

static void one_drained(struct smtp *s)
{
	if (--s->draining == 0)
		role_exit(s->role);
}

static void on_drained(void *arg)
{
	one_drained(((struct role *)arg)->state);
}

static void on_sent(void *arg)
{
	one_drained(arg);
}

static void on_peer_broken(void *arg, enum ipc_role who, const char *why)
{
	role_peer_broken(arg, who, 0, why);
}

static void on_peer_silent(void *arg, enum ipc_role who)
{
	role_peer_silent(arg, who, 0);
}

static void on_stale(void *arg, struct slice route, uint64_t generation)
{
	struct role *r = arg;
	struct ipc_message m = { .type = IPC_TYPE_credential_stale,
				 .credential_stale = { route, generation } };

	if (r->main)
		channel_send(r->main, &m, -1);
}

static void hash_of(struct slice text, unsigned char ret[static 16])
{
	crypto_generichash(ret, 16, text.p, text.n, NULL, 0);
}

/* Whom lanes trust.  Files of the system cannot be read later. */
static int read_authorities(struct role *r, struct smtp *s)
{
	const char *file = *r->conf->relay_ca_file ? r->conf->relay_ca_file : NULL;
	struct buf pem;
	int err;

	buf_init(&pem, 0);
	err = tls_ca_read(file, &pem);

	if (err < 0)
		LOG(LOG_WARNING, "authorities-unreadable", LOG_ERRNO(err),
		    LOG_STR("file", file ? file : "of the system"),
		    LOG_STR("note", "no server's certificate can be verified"));
	hash_of(buf_slice(&pem), s->trusted);
	err = tls_client_new(buf_slice(&pem), &s->trust);
	if (err == -EINVAL)
		err = tls_client_new(SLICE_LIT(""), &s->trust);
	buf_done(&pem);
	return err;
}

static int open_send(struct role *r, struct smtp *s)
{
	struct send_setup setup = { .loop = r->loop, .events = &s->events, .stale = on_stale, .arg = r };
	int err = read_authorities(r, s);

	if (err == 0)
		err = dns_open(r->loop, r->conf, r->index == 0, &s->dns, &s->resolve);
	setup.resolve = s->resolve;
	if (err == 0)
		err = sts_new(r->loop, s->resolve, HTTPS_PORT, &s->sts);
	setup.sts = s->sts;
	if (err == 0)
		err = send_new(&setup, &s->tx);
	if (err == 0)
		err = send_configure(s->tx, r->conf);
	if (err == 0)
		send_trust(s->tx, s->trust);
	return err;
}

static int smtp_open(struct role *r)
{
	struct receive_setup setup = { .loop = r->loop,
				       .index = r->index,
				       .processes = conf_smtp_processes(r->conf),
				       .drained = on_drained,
				       .peer_broken = on_peer_broken,
				       .peer_silent = on_peer_silent,
				       .arg = r };
	struct smtp *s = calloc(1, sizeof(*s));
	int err = s ? tls_process_begin() : -ENOMEM;

	if (err == 0) {
		event_sink_init(&s->events);
		setup.events = &s->events;
		err = receive_new(&setup, &s->rx);
	}
	if (err == 0)
		err = open_send(r, s);
	if (err < 0) {
		LOG(LOG_ERR, "start-failed", LOG_ERRNO(err));
		free(s);
		return err; /* and with it the process */
	}
	s->role = r;
	r->state = s;
	return 0;
}

static void smtp_reconfigured(struct role *r, const struct conf *old)
{
	int err = receive_configure(rx_of(r), r->conf);

	struct smtp *s = r->state;

	(void)old;
	if (err == 0)
		err = send_configure(tx_of(r), r->conf);
	(void)dns_configure(s->resolve, r->conf, &s->dns); /* files follow, if they are others */
	if (err < 0)
		LOG(LOG_ERR, "reload-failed", LOG_ERRNO(err));
}

static void on_listen(struct role *r, const struct ipc_listen *m, int *fd)
{
	int err = receive_listen(rx_of(r), r->conf, m, fd);

	if (err < 0)
		LOG(LOG_ERR, "listen-failed", LOG_S("listener", m->listener), LOG_S("address", m->address),
		    LOG_U("port", m->port), LOG_ERRNO(err));
	else
		LOG(LOG_INFO, "listening", LOG_S("listener", m->listener), LOG_S("address", m->address),
		    LOG_U("port", m->port));
}

static void trust(struct smtp *s, struct slice pem)
{
	struct tls_client *now, *old = s->trust;
	unsigned char hash[sizeof(s->trusted)];
	int err;

	/* To read them takes long. */
	hash_of(pem, hash);
	if (memcmp(hash, s->trusted, sizeof(hash)) == 0)
		return;
	err = tls_client_new(pem, &now);
	if (err < 0) {
		LOG(LOG_ERR, "authorities-refused", LOG_ERRNO(err), LOG_STR("note", "it goes on as before"));
		return;
	}
	memcpy(s->trusted, hash, sizeof(hash));
	s->trust = now;
	send_trust(s->tx, now);
	tls_client_free(old); /* once its last connection is through */
}

/* Read anew by main. */
static void on_file(struct role *r, const struct ipc_file *m, int fd)
{
	struct smtp *s = r->state;
	struct buf *const to[IPC_FILES] = { [IPC_FILE_ANCHORS] = &s->dns.anchors,
					    [IPC_FILE_RESOLV_CONF] = &s->dns.resolv_conf,
					    [IPC_FILE_HOSTS] = &s->dns.hosts };
	struct buf text, *old;
	int err;

	buf_init(&text, m->which == IPC_FILE_AUTHORITIES ? TLS_CA_MAX : DNS_FILE_MAX);
	err = m->there ? ipc_memory_read(fd, &text) : 0;
	if (err < 0 || m->which >= IPC_FILES) {
		LOG(LOG_ERR, "file-unreadable", LOG_U("which", m->which), LOG_ERRNO(err));
		buf_done(&text);
		return;
	}
	if (m->which == IPC_FILE_AUTHORITIES) {
		trust(s, buf_slice(&text));
		buf_done(&text);
		return;
	}
	old = to[m->which];
	if (slice_eq(buf_slice(old), buf_slice(&text))) {
		buf_done(&text);
		return;
	}
	buf_done(old);
	*old = text;
	(void)dns_configure(s->resolve, r->conf, &s->dns);
}

static void smtp_control(struct role *r, const struct ipc_message *m, int *fd)
{
	int err = 0;

	switch (m->type) {
	case IPC_TYPE_listen:
		on_listen(r, &m->listen, fd);
		break;
	case IPC_TYPE_unlisten:
		receive_unlisten(rx_of(r), &m->unlisten);
		break;
	case IPC_TYPE_certificate:
		err = receive_certificate(rx_of(r), &m->certificate, *fd);
		if (err < 0)
			LOG(LOG_ERR, "certificate-failed", LOG_U("index", m->certificate.index),
			    LOG_ERRNO(err));
		break;
	case IPC_TYPE_credential:
		err = send_secret(tx_of(r), &m->credential);
		if (err < 0)
			LOG(LOG_ERR, "credential-failed", LOG_S("route", m->credential.route),
			    LOG_ERRNO(err));
		break;
	case IPC_TYPE_file:
		on_file(r, &m->file, *fd);
		break;
	case IPC_TYPE_ticket_secret:
		err = receive_ticket_secret(rx_of(r), m->ticket_secret.secret);
		if (err < 0)
			LOG(LOG_WARNING, "ticket-secret-refused", LOG_ERRNO(err));
		break;
	default:
		break;
	}
}

static void smtp_peer(struct role *r, enum ipc_role who, unsigned index, struct channel *ch)
{
	if (index != 0 || !r->state)
		return;
	receive_peer(rx_of(r), who, ch);
	if (who == IPC_LEDGER)
		((struct smtp *)r->state)->events.ledger = ch;
	if (((struct smtp *)r->state)->sts)
		sts_peer(((struct smtp *)r->state)->sts, who, ch);
	if (who == IPC_QUEUE)
		send_peer(tx_of(r), ch);
}

static void smtp_message(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m,
			 int *fd)
{
	struct smtp *s = r->state;
	const char *broken;

	if (index != 0)
		return;
	if (who == IPC_FETCH || sts_is_for(m)) {
		broken = s->sts && sts_is_for(m) ? sts_message(s->sts, who, m) : "nothing was asked of it";
	} else if (who == IPC_QUEUE && send_is_for(m)) {
		broken = send_message(s->tx, m, fd);
	} else {
		receive_message(s->rx, r->conf, who, m);
		return;
	}
	if (broken)
		role_peer_broken(r, who, index, broken);
}

/* ---- send.route: where would it go? ---- */

static void on_explained(void *arg, json_t *what)
{
	if (what)
		role_answer(arg, what, true);
	else
		role_answer_error(arg, "the process is being stopped, or out of memory", "Ask once more.");
}

static void smtp_request(struct role *r, struct role_request *req)
{
	const char *route = json_string_value(json_object_get(req->json, "route"));
	const char *domain = json_string_value(json_object_get(req->json, "domain"));
	bool relax = json_is_true(json_object_get(req->json, "relax"));
	struct role_request *kept;
	int err;

	if (strcmp(req->ask, "send.route") != 0 || !route || !domain) {
		role_answer_error(req, "smtp answers no such question", NULL);
		return;
	}
	kept = role_request_keep(req);
	if (!kept) {
		role_answer_error(req, "out of memory", NULL);
		return;
	}
	err = send_explain(tx_of(r), slice_str(route), slice_str(domain), relax, on_explained, kept);
	if (err < 0)
		role_answer_error(kept, err == -EBUSY ? "too many such questions at once" : "out of memory",
				  "Ask once more in a moment.");
}

static void smtp_status(struct role *r, json_t *to)
{
	const struct smtp *s = r->state;

	json_object_set_new(to, "events_sent", json_integer((json_int_t)s->events.sent));
	json_object_set_new(to, "events_dropped", json_integer((json_int_t)s->events.dropped));
	dns_status(s->resolve, to);
	if (r->conf->relay_mta_sts)
		sts_status(s->sts, to);
	receive_status(rx_of(r), to);
	send_status(tx_of(r), to);
}

static void smtp_drain(struct role *r, unsigned seconds)
{
	struct smtp *s = r->state;
	bool again = s->draining > 0;

	if (!again)
		s->draining = 2;
	receive_drain(s->rx, seconds);
	if (!again)
		send_drain(s->tx, seconds, on_sent, s);
}

const struct role_ops role_smtp = {
	.id = IPC_SMTP,
	.open = smtp_open,
	.reconfigured = smtp_reconfigured,
	.control = smtp_control,
	.peer = smtp_peer,
	.message = smtp_message,
	.request = smtp_request,
	.status = smtp_status,
	.drain = smtp_drain,
};
