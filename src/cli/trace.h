/* trace.h - between the files of `postern trace` only. */
#ifndef POSTERN_CLI_TRACE_H
#define POSTERN_CLI_TRACE_H

#include "cli/text.h"

struct trace {
	bool as_json, transcript;
	const char *what; /* as it was asked for */
	const char *id;	  /* it was a queue id */
	json_t *question;
	json_t *events;	     /* as they came */
	json_t *messages;    /* [{"id":, "events":, "reports": [], "queue": {} or null}], oldest first */
	const json_t *meant; /* of messages: the one whose Message-ID was asked for; NULL: none, or several */
	json_t *about;	     /* of the history: keep_s, oldest_ms, lost, cut, more */
	uint64_t now_ms;
};

/* When an event began, in ms since 1970; and all of a life in that order. */
json_int_t trace_when(const json_t *event);
void trace_sort(json_t *events);
/* Its whole life is printed, not only a line of it. */
bool trace_is_whole(const struct trace *t, const json_t *message);

/* The exit status. */
int trace_print(const struct trace *t);

#endif
