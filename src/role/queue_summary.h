/* queue_summary.h - the queue by site, for `postern queue summary`. */
#ifndef POSTERN_ROLE_QUEUE_SUMMARY_H
#define POSTERN_ROLE_QUEUE_SUMMARY_H

#include "queue/schedule.h"
#include "role/role.h"

/* Answers req at once, in parts: those with most that waits, a thousand at most. */
void queue_summary(const struct schedule *s, uint64_t now_ms, struct role_request *req);

#endif
