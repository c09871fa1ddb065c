/* ledger_events_private.h - between the files of the history of events only. */
#ifndef POSTERN_ROLE_LEDGER_EVENTS_PRIVATE_H
#define POSTERN_ROLE_LEDGER_EVENTS_PRIVATE_H

#include "role/ledger_events.h"

struct question;

struct ledger_events {
	struct role *role;
	char path[4096];
	struct events *events; /* the thread's while busy; NULL: unusable */
	struct list batches;   /* oldest first; the last one is being filled */
	unsigned n_batches;
	uint64_t next;	/* number of the next event in this life */
	uint64_t epoch; /* which life */
	uint64_t received, dropped, lost;
	uint64_t untold; /* lost, and no event says so yet */
	uint64_t complained_ms;
	uv_timer_t flush, pace;
	bool started, flush_set, write_due;

	/* The thread, and what it does now. */
	uv_work_t work;
	bool busy, anew;
	struct events_part parts[EVENTS_PARTS_MAX];
	size_t n_parts;
	struct events_keep keep;
	int result;
	struct question *asking; /* else it writes */
	struct events_counters counters;

	struct list questions; /* that wait for the thread */
	struct list sending;   /* whose answer is under way */
	struct list followers;
	unsigned n_questions;

	void (*closed)(struct role *r);
	struct event_sink own;
};

/* Gives the thread its next work, if it has none and there is some. */
void ledger_events_work(struct ledger_events *l);

/* ---- ledger_events_ask.c ---- */

struct question *ledger_question_next(struct ledger_events *l); /* one waits */
void ledger_question_run(struct question *q, struct events *e); /* on the thread */
void ledger_question_found(struct question *q);			/* back on the loop */
/* An event came that somebody follows. */
void ledger_follow(struct ledger_events *l);
/* How many wait for the next one. */
unsigned ledger_followers(struct ledger_events *l);
/* Nothing more is answered. */
void ledger_questions_end(struct ledger_events *l);

#endif
