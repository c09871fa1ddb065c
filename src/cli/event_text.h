/* event_text.h - an event in words, for `postern trace` and `postern events`. */
#ifndef POSTERN_CLI_EVENT_TEXT_H
#define POSTERN_CLI_EVENT_TEXT_H

#include <jansson.h>

#include "base/buf.h"

/* What it says beside its time, kind and id; no line end. */
void cli_event_words(const json_t *event, struct buf *to);

#endif
