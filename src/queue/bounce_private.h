/* bounce_private.h - between bounce.c and bounce_make.c only. */
#ifndef POSTERN_QUEUE_BOUNCE_PRIVATE_H
#define POSTERN_QUEUE_BOUNCE_PRIVATE_H

#include "base/list.h"
#include "base/map.h"
#include "ipc/channel.h"
#include "queue/bounce.h"
#include "queue/bounce_pace.h"
#include "queue/bounce_report.h"
#include "queue/heap.h"

enum stage { STAGE_WAITS, STAGE_ASKS, STAGE_STORES };

/* A message about which there is something to say. */
struct pending {
	struct map_node node; /* by id */
	struct heap_node due;
	struct list open; /* in bounce.open but while it waits */
	struct id id;
	uint64_t first_ms;
	uint64_t number; /* of the question to keeper, and of the transaction */
	enum stage stage;
	enum bounce_kind kind; /* of the report under way */
	bool late;	       /* its delay is to be told */
	bool paced;	       /* its place in the pace is taken */
	unsigned errors;
	struct buf targets; /* of its sender: kind, address, mailbox */
	struct id dsn;
	struct slice sender; /* for the log; in memory of its own, as the numbers */
	unsigned char *sender_p;
	uint32_t *rcpt; /* that the report tells of */
	size_t n;
};

struct bounce {
	struct spool *sp;
	struct schedule *schedule;
	struct intake *intake;
	struct channel *keeper;
	unsigned unanswered; /* times in a row that keeper let questions lie, the last one then */
	uint64_t unanswered_ms;
	bool keeper_silent;
	struct event_sink *events;
	struct bounce_setup setup;
	char *hostname;
	struct map pending;
	struct heap due;
	struct list open;
	unsigned n_open;
	uint64_t last_number;
	struct bounce_pace pace;
	struct id_source ids;
	struct id look_at, late_at; /* the last message that was looked at */
	bool looking, look_begun, late_begun, loaded;
	uint64_t late_next_ms; /* then the next one comes of age; 0: to be looked for */
	bool overflow;	       /* something was not noted: to be looked for */
	uint64_t now_ms;
	struct bounce_counters count;
};

/* bounce.c */
void bounce_wait_until(struct bounce *b, struct pending *p, uint64_t ms); /* ends the report under way */
void bounce_try_again(struct bounce *b, struct pending *p, const char *what, int error);
void bounce_settle(struct bounce *b, const struct id *id, uint32_t number, enum bounce_kind kind);
/* There is nobody who could be told; counted there. */
void bounce_settle_untold(struct bounce *b, const struct bounce_report *r, const char *why,
			  uint64_t *counter);

/* bounce_make.c */
void bounce_ask(struct bounce *b, struct pending *p, struct slice sender); /* keeper: where does it lead? */
void bounce_stored(void *arg, uint64_t tx, int error);

#endif
