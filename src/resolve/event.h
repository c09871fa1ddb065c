/* event.h - libunbound's events on our loop; private to resolve/.
 *
 * libunbound asks for an event base of a shape of its own (unbound-event.h).  Ours has one poll
 * handle for each descriptor and one timer for each time limit that is wanted at the moment.
 */
#ifndef POSTERN_RESOLVE_EVENT_H
#define POSTERN_RESOLVE_EVENT_H

#include <stdbool.h>
#include <sys/time.h>
#include <uv.h>
/* Wants the types above. */
#include <unbound-event.h>

struct event_base {
	struct ub_event_base face;
	uv_loop_t *loop;
};

/* In the caller's storage; it must be there until the last event is freed, which
 * ub_ctx_delete() does. */
void event_base_init(struct event_base *b, uv_loop_t *loop);

#endif
