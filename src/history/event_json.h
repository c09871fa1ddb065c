/* event_json.h - an event as the JSON object that doc/events.md describes. */
#ifndef POSTERN_HISTORY_EVENT_JSON_H
#define POSTERN_HISTORY_EVENT_JSON_H

#include "ipc/event.h"

/* One object, no line end.  A field that does not fit is left out, and "cut":true says so. */
void event_json_put(const struct ipc_event *e, struct buf *to);

#endif
