/* smtp.c - the process that talks to the network: all SMTP sessions.
 *
 * Only wiring: what main and the other processes say goes to receive/.
 */
#include <errno.h>

#include "base/log.h"
#include "receive/receive.h"
#include "role/role.h"

static struct receive *rx_of(const struct role *r)
{
	return r->state;
}

static void on_drained(void *arg)
{
	role_exit(arg);
}

static void on_peer_broken(void *arg, enum ipc_role who, const char *why)
{
	role_peer_broken(arg, who, 0, why);
}

static void on_peer_silent(void *arg, enum ipc_role who)
{
	role_peer_silent(arg, who, 0);
}

static int smtp_open(struct role *r)
{
	struct receive_setup setup = { .loop = r->loop,
				       .index = r->index,
				       .drained = on_drained,
				       .peer_broken = on_peer_broken,
				       .peer_silent = on_peer_silent,
				       .arg = r };
	struct receive *rx;
	int err = receive_new(&setup, &rx);

	if (err < 0) {
		LOG(LOG_ERR, "start-failed", LOG_ERRNO(err));
		return err;
	}
	r->state = rx;
	return 0;
}

static void smtp_reconfigured(struct role *r, const struct conf *old)
{
	int err = receive_configure(rx_of(r), r->conf);

	(void)old;
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
	if (index == 0 && r->state)
		receive_peer(rx_of(r), who, ch);
}

static void smtp_message(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m,
			 int *fd)
{
	(void)fd;
	if (index == 0)
		receive_message(rx_of(r), r->conf, who, m);
}

static void smtp_status(struct role *r, json_t *to)
{
	receive_status(rx_of(r), to);
}

static void smtp_drain(struct role *r, unsigned seconds)
{
	receive_drain(rx_of(r), seconds);
}

const struct role_ops role_smtp = {
	.id = IPC_SMTP,
	.open = smtp_open,
	.reconfigured = smtp_reconfigured,
	.control = smtp_control,
	.peer = smtp_peer,
	.message = smtp_message,
	.status = smtp_status,
	.drain = smtp_drain,
};
