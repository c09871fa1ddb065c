/* log.h - one structured line an outcome.
 *
 * Only drivers, roles and the command line log; engines and services return
 * what happened instead.  A line is an event name and fields, written as
 * key=value or JSON, to standard error, the journal or syslog; the place is
 * opened by log_open(), before any sandbox.  Event and field names are an
 * interface (fail2ban reads them): rename none.
 *
 *	LOG(LOG_NOTICE, "accepted", LOG_S("id", id), LOG_U("size", n));
 *
 * Secrets are never given to this file.
 */
#ifndef POSTERN_BASE_LOG_H
#define POSTERN_BASE_LOG_H

#include <syslog.h> /* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG */

#include "base/slice.h"

enum log_to { LOG_TO_STDERR, LOG_TO_JOURNAL, LOG_TO_SYSLOG };
enum log_format { LOG_AS_KV, LOG_AS_JSON };

struct log_field {
	const char *key;
	enum { LOG_FIELD_SLICE, LOG_FIELD_U64, LOG_FIELD_I64 } type;
	struct slice s;
	uint64_t u;
	int64_t i;
};

#define LOG_S(k, v)                                           \
	{                                                     \
		.key = (k), .type = LOG_FIELD_SLICE, .s = (v) \
	}
#define LOG_STR(k, v)                                                  \
	{                                                              \
		.key = (k), .type = LOG_FIELD_SLICE, .s = slice_str(v) \
	}
#define LOG_U(k, v)                                         \
	{                                                   \
		.key = (k), .type = LOG_FIELD_U64, .u = (v) \
	}
#define LOG_I(k, v)                                         \
	{                                                   \
		.key = (k), .type = LOG_FIELD_I64, .i = (v) \
	}
/* An errno, negative or not, as its text: err="No space left on device". */
#define LOG_ERRNO(v)                                                                                         \
	{                                                                                                    \
		.key = "err", .type = LOG_FIELD_SLICE, .s = slice_str(strerrordesc_np((v) < 0 ? -(v) : (v))) \
	}

/* role: "smtp", with an index where there are several, or -1.  Returns 0 or
 * negative errno (no journal, no syslog); lines then go to standard error. */
int log_open(enum log_to to, enum log_format format, const char *role, int index);
void log_level(int max); /* LOG_INFO unless told */

bool log_wants(int level); /* so that nobody looks up what nobody reads */
void log_write(int level, const char *event, const struct log_field *fields, size_t n);

/* The fields are not even computed when the level is off. */
#define LOG(level, event, ...)                                                                 \
	do {                                                                                   \
		if (log_wants(level))                                                          \
			log_write((level), (event), (const struct log_field[]){ __VA_ARGS__ }, \
				  sizeof((const struct log_field[]){ __VA_ARGS__ }) /          \
					  sizeof(struct log_field));                           \
	} while (0)

#endif
