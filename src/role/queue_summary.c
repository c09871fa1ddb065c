#include "role/queue_summary.h"

#include <stdlib.h>

#include "base/json_text.h"
#include "queue/describe.h"

#define ROWS_MAX  1000
#define PART_ROWS 20 /* with long texts still far below IPC_CHUNK_MAX */

/* Of the sites with most that waits: where to find each again, and how much it is. */
struct top {
	uint64_t cursor, parts;
};

static int by_parts(const void *a, const void *b)
{
	const struct top *x = a, *y = b;

	return x->parts > y->parts ? -1 : x->parts < y->parts;
}

/* Halved when it is full, so that a million sites cost no more than what is shown. */
static size_t find_top(const struct schedule *s, uint64_t now_ms, struct top *top, uint64_t *ret_sites)
{
	uint64_t cursor = 0, before = 0;
	struct schedule_site_view v;
	size_t n = 0;

	*ret_sites = 0;
	for (; schedule_next_site(s, &cursor, now_ms, &v); before = cursor) {
		if (v.parts == 0)
			continue;
		++*ret_sites;
		top[n++] = (struct top){ before, v.parts };
		if (n == 2 * ROWS_MAX) {
			qsort(top, n, sizeof(*top), by_parts);
			n = ROWS_MAX;
		}
	}
	qsort(top, n, sizeof(*top), by_parts);
	return n < ROWS_MAX ? n : ROWS_MAX;
}

static json_t *row_of(const struct schedule_site_view *v)
{
	json_t *ages = json_array();
	json_t *j = json_pack("{s:o, s:b, s:I, s:I, s:I, s:I, s:i, s:i, s:b, s:o, s:o, s:o}", "site",
			      json_text(v->name), "known", (int)(v->key != NULL), "messages",
			      (json_int_t)v->parts, "ready", (json_int_t)v->ready, "active",
			      (json_int_t)v->active, "deferred", (json_int_t)v->deferred, "lanes",
			      (int)v->lanes, "lanes_limit", (int)v->lanes_limit, "blocked", (int)v->blocked,
			      "status", json_text(v->status), "reply", json_text(v->text), "ages", ages);

	for (unsigned i = 0; j && i < SCHEDULE_AGES; i++)
		json_array_append_new(ages, json_integer((json_int_t)v->age[i]));
	if (j && v->until_ms > 0)
		json_object_set_new(j, "until", json_integer((json_int_t)v->until_ms));
	return j;
}

void queue_summary(const struct schedule *s, uint64_t now_ms, struct role_request *req)
{
	struct top *top = calloc(2 * ROWS_MAX, sizeof(*top));
	json_t *rows = json_array();
	struct schedule_site_view v;
	uint64_t sites = 0;
	size_t n;

	if (!top || !rows) {
		free(top);
		json_decref(rows);
		role_answer_error(req, "out of memory", NULL);
		return;
	}
	n = find_top(s, now_ms, top, &sites);
	for (size_t i = 0; i < n; i++) {
		uint64_t cursor = top[i].cursor;

		if (schedule_next_site(s, &cursor, now_ms, &v))
			json_array_append_new(rows, row_of(&v));
		if (json_array_size(rows) == PART_ROWS) {
			role_answer(req, json_pack("{s:o}", "sites", rows), false);
			rows = json_array();
		}
	}
	free(top);
	role_answer(req, json_pack("{s:o, s:I}", "sites", rows, "all", (json_int_t)sites), true);
}
