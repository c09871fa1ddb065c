/* schedule_small.h - for tests only: a schedule with mailboxes alone, and messages to them.
 *
 * For what one call does to a few messages; a world of servers and hours is schedule_world.h.
 */
#ifndef POSTERN_QUEUE_SCHEDULE_SMALL_H
#define POSTERN_QUEUE_SCHEDULE_SMALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queue/schedule.h"

#define T0     UINT64_C(1800000000000)
#define MINUTE UINT64_C(60000)
#define HOUR   (60 * MINUTE)

static struct id id_of(unsigned n)
{
	struct id_source src = { .last_ms = 1000 + n, .counter = n & 0x7fff };

	return id_next(&src, 0);
}

/* Mailboxes take jobs, or do not. */
static void set_local(struct schedule *s, bool takes)
{
	schedule_carrier(s, SCHEDULE_CARRIER_LOCAL, takes, T0);
}

static struct schedule *make(unsigned jobs)
{
	struct schedule *s;

	assert_int_equal(schedule_new(jobs, &s), 0);
	set_local(s, true);
	assert_true(schedule_lane_attach(s, SCHEDULE_CARRIER_LOCAL, jobs, T0) != 0);
	return s;
}

static bool next_doomed(struct schedule *s, uint64_t now, struct schedule_job *ret)
{
	struct schedule_doom why;

	return schedule_next_doomed(s, now, ret, &why);
}

static bool next(struct schedule *s, uint64_t now, struct schedule_job *ret)
{
	return schedule_next_job(s, now, ret) || next_doomed(s, now, ret);
}

static struct id add(struct schedule *s, unsigned n, const uint8_t *rcpt, uint32_t recipients, uint64_t now)
{
	struct schedule_message m = {
		.id = id_of(n), .accepted_ms = now, .rcpt = rcpt, .recipients = recipients
	};

	assert_int_equal(schedule_add(s, &m, now), 0);
	return m.id;
}

#endif
