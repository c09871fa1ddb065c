/* What the lanes tell of a connection: events, as the ledger would get them. */
#include "submit/carry_private.h"

#include <stdlib.h>

#include "ipc/event.h"

void carry_copy(struct slice s, char *to, size_t size)
{
	if (!slice_copy(slice_head(s, size - 1), to, size))
		to[0] = '\0';
}

static void take_field(struct carry_try *t, const struct event_field *f)
{
	switch (f->key) {
	case EVENT_KEY_HOST:
		carry_copy(f->text, t->host, sizeof(t->host));
		break;
	case EVENT_KEY_IP:
		carry_copy(f->text, t->ip, sizeof(t->ip));
		break;
	case EVENT_KEY_PORT:
		t->port = (uint16_t)f->number;
		break;
	case EVENT_KEY_STEP:
		carry_copy(f->text, t->step, sizeof(t->step));
		break;
	case EVENT_KEY_WHAT:
		carry_copy(f->text, t->what, sizeof(t->what));
		break;
	case EVENT_KEY_REASON:
		carry_copy(f->text, t->reason, sizeof(t->reason));
		break;
	case EVENT_KEY_TLS:
		carry_copy(f->text, t->tls, sizeof(t->tls));
		break;
	case EVENT_KEY_CIPHER:
		carry_copy(f->text, t->cipher, sizeof(t->cipher));
		break;
	case EVENT_KEY_SECURITY:
		carry_copy(f->text, t->security, sizeof(t->security));
		break;
	case EVENT_KEY_DURATION:
		t->ms = (unsigned)f->number;
		break;
	case EVENT_KEY_TRANSCRIPT:
		free(t->transcript);
		t->transcript = slice_dup(f->text);
		break;
	default:
		break;
	}
}

void carry_try_take(struct carry_try *t, const struct ipc_event *e)
{
	struct slice cur = e->fields;
	struct event_field f;

	while (event_take(&cur, &f))
		take_field(t, &f);
}
