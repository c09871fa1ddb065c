/* What the ledger is told of a message that was accepted. */
#include <string.h>

#include "ipc/event.h"
#include "receive/session.h"

#define NAMED_MAX 10 /* recipients; those after them are found by what becomes of them */

/* RFC 5322 3.6.4 has one <...>; what else stands there (a comment, a blank) is no part of it. */
void session_find_message_id(struct session *s)
{
	char *to = s->tx.message_id;
	size_t max = sizeof(s->tx.message_id);
	struct slice field = mime_header_message_id(&s->header), id = field;

	to[0] = '\0';
	if (s->header.count[MIME_MESSAGE_ID] == 0) {
		if (s->rules->role != SMTP_RELAY) /* as mime/submission.c adds it */
			snprintf(to, max, "%s@%.*s", s->id.text, SLICE_ARG(s->rules->engine.hostname));
		return;
	}
	if (cur_until(&field, '<', &id) && !cur_until(&field, '>', &id))
		id = field;
	id = slice_head(slice_trim(id), max - 1);
	if (!slice_copy(id, to, max))
		to[0] = '\0';
}

/* As the client named them; an alias that leads to many places is one. */
static void tell_recipients(struct session *s, struct event_sink *events)
{
	struct slice last = { NULL, 0 };
	unsigned n = 0;

	for (struct list *l = s->tx.in_order.next; l != &s->tx.in_order && n < NAMED_MAX; l = l->next) {
		const struct target *t = container_of(l, struct target, link);

		if (n > 0 && slice_eq(t->original, last))
			continue;
		last = t->original;
		event_text(events, EVENT_KEY_TO, last);
		n++;
	}
}

void session_tell_accepted(struct session *s)
{
	struct event_sink *events = s->rx->setup.events;
	struct tls_facts tls = { 0 };
	char text[IP_TEXT_MAX];

	if (!events)
		return;
	event_begin(events, EVENT_ACCEPTED, id_time_ms(&s->id), id_slice(&s->id), EVENT_NO_RECIPIENT);
	if (!events->open)
		return;
	if (!s->broken)
		conn_tls_facts(s->conn, &tls);
	event_text(events, EVENT_KEY_FROM, s->tx.sender.n > 0 ? buf_slice(&s->tx.sender) : SLICE_LIT("<>"));
	event_number(events, EVENT_KEY_RCPTS, s->tx.recipients);
	event_number(events, EVENT_KEY_SIZE, s->tx.size);
	event_text(events, EVENT_KEY_MESSAGE_ID, slice_str(s->tx.message_id));
	event_text(events, EVENT_KEY_LISTENER, slice_str(s->listener->name));
	event_number(events, EVENT_KEY_PORT, s->port);
	event_text(events, EVENT_KEY_IP, slice_str(ip_format(&s->ip, text)));
	if (s->proxy.family)
		event_text(events, EVENT_KEY_VIA, slice_str(ip_format(&s->proxy, text)));
	if (s->rules->role == SMTP_LOCAL) {
		snprintf(text, sizeof(text), "%u", s->uid);
		event_text(events, EVENT_KEY_UID, slice_str(text));
	}
	event_text(events, EVENT_KEY_ACCOUNT, buf_slice(&s->login));
	if (smtp_server_authenticated(s->engine))
		event_text(events, EVENT_KEY_AUTH, slice_str(s->mech));
	event_text(events, EVENT_KEY_PROTO, slice_str(smtp_server_protocol(s->engine)));
	event_text(events, EVENT_KEY_HELO, smtp_server_helo(s->engine));
	if (s->tx.class != IPC_CLASS_NORMAL)
		event_text(events, EVENT_KEY_PRIORITY, slice_str(ipc_class_name(s->tx.class)));
	event_text(events, EVENT_KEY_TLS, slice_str(tls.version));
	event_text(events, EVENT_KEY_CIPHER, slice_str(tls.cipher));
	tell_recipients(s, events);
	event_send(events);
}
