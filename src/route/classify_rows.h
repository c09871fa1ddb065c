/* classify_rows.h - the two tables behind route/classify.h.  Not for others. */
#ifndef POSTERN_ROUTE_CLASSIFY_ROWS_H
#define POSTERN_ROUTE_CLASSIFY_ROWS_H

#include "route/classify.h"

struct route_class_row {
	const char *name;
	enum route_action action; /* where the server says "later" */
	uint32_t pause_s;
	const char *what, *turn, *todo;
};
extern const char route_nobody[]; /* a turn: of those that are tried again */
extern const struct route_class_row route_classes[ROUTE_CLASSES];

struct route_row {
	unsigned code;	      /* 550; 4: all of 4xx; 0: any, and none */
	const char *enhanced; /* how it begins; NULL: any */
	unsigned steps;	      /* bits 1 << enum smtp_client_step; 0: any */
	const char *words;    /* in lower case, as for route_text_matches(); NULL: any */
	enum route_class class;
	bool forced;		  /* action and pause_s hold, whatever the first digit says */
	enum route_action action; /* where forced */
	uint32_t pause_s;
};
extern const struct route_row route_rows[];
extern const size_t route_rows_n;

#endif
