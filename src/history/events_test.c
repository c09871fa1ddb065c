/* The history on the disk: there again after a restart, found by each name, bounded, and begun
 * anew when its file is damaged. */
#include "history/events.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/id.h"
#include "history/event_json.h"

#define DAY_MS UINT64_C(86400000)
#define NOW_MS (UINT64_C(20600) * DAY_MS)

static char dir[64], path[128], why[256];
static struct id_source ids;

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/postern-events-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/events.db", dir);
	id_source_init(&ids, 1);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const end[] = { "", "-wal", "-shm", ".damaged", ".damaged-wal", ".damaged-shm" };
	char name[160];

	(void)state;
	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++) {
		snprintf(name, sizeof(name), "%s%s", path, end[i]);
		unlink(name);
	}
	return rmdir(dir);
}

static struct events *open_it(bool aside)
{
	struct events *e;
	bool was;

	assert_int_equal(events_open(path, &e, &was, why, sizeof(why)), 0);
	assert_int_equal(was, aside);
	return e;
}

struct row {
	enum event_kind kind;
	struct slice id;
	uint64_t ms;
	const char *from, *to, *account, *message_id;
};

static void add(struct batch *b, const struct row *r)
{
	struct event_sink s;
	struct buf copy;

	event_sink_init(&s);
	s.local = true;
	event_begin(&s, r->kind, r->ms, r->id, EVENT_NO_RECIPIENT);
	event_text(&s, EVENT_KEY_FROM, slice_str(r->from));
	event_text(&s, EVENT_KEY_TO, slice_str(r->to));
	event_text(&s, EVENT_KEY_ACCOUNT, slice_str(r->account));
	event_text(&s, EVENT_KEY_MESSAGE_ID, slice_str(r->message_id));
	buf_init(&copy, 1000);
	assert_true(batch_add(b, event_made(&s)));
	buf_done(&copy);
}

static int write_keeping(struct events *e, struct batch *b, const struct events_keep *keep)
{
	struct events_part p = { b, b->first_ms, b->last_ms, b->n, b->n_hashes, b->octets };
	int r = events_write(e, &p, 1, keep);

	if (r == 0)
		b->stored = b->n;
	return r;
}

static void write_it(struct events *e, struct batch *b)
{
	struct events_keep keep = { NOW_MS, 14 * DAY_MS, UINT64_C(1) << 30 };

	assert_int_equal(write_keeping(e, b, &keep), 0);
}

struct found {
	struct batch_match match;
	unsigned looked, n;
	char ids[2000]; /* of those that match, with blanks */
};

static bool each(void *arg, const struct ipc_event *e)
{
	struct found *f = arg;

	f->looked++;
	if (!batch_matches(&f->match, e))
		return true;
	f->n++;
	snprintf(f->ids + strlen(f->ids), sizeof(f->ids) - strlen(f->ids), "%.*s ", SLICE_ARG(e->id));
	return true;
}

static struct found find(struct events *e, struct batch_match match, bool forward)
{
	uint32_t hash[2];
	struct events_scan s = { .hashes = hash, .n_hashes = 1, .forward = forward };
	struct found f = { .match = match };

	if (match.id.n) {
		hash[0] = batch_hash(BATCH_ID, match.id);
	} else if (match.name.n) {
		hash[0] = batch_hash(BATCH_ADDRESS, match.name);
		hash[1] = batch_hash(BATCH_MESSAGE_ID, match.name);
		s.n_hashes = 2;
	} else if (match.account.n) {
		hash[0] = batch_hash(BATCH_ACCOUNT, match.account);
	} else {
		s.hashes = NULL;
	}
	s.since_ms = match.since_ms;
	assert_int_equal(events_scan(e, &s, each, &f), 0);
	return f;
}

static void found_by_each_name(void **state)
{
	struct events *e = open_it(false);
	struct batch *one = batch_new(), *two = batch_new();
	struct id a = id_next(&ids, NOW_MS), b = id_next(&ids, NOW_MS);
	static const struct {
		const char *what;
		struct batch_match match;
		unsigned n, looked;
	} rows[] = {
		{ "sender", { .name = SLICE_INIT("ann@example.org") }, 1, 2 },
		{ "recipient, in another case", { .name = SLICE_INIT("Bob@Example.NET") }, 2, 3 },
		{ "Message-ID", { .name = SLICE_INIT("Abc@host") }, 1, 2 },
		{ "Message-ID in another case is another one", { .name = SLICE_INIT("abc@host") }, 0, 0 },
		{ "account", { .account = SLICE_INIT("ann") }, 1, 2 },
		{ "an account is no address", { .name = SLICE_INIT("ann") }, 0, 0 },
		{ "domain", { .domain = SLICE_INIT("example.net") }, 2, 3 },
		{ "kind", { .kinds = 1U << EVENT_DEFERRED }, 1, 3 },
		{ "nobody", { .name = SLICE_INIT("nobody@example.org") }, 0, 0 },
		{ "since", { .since_ms = NOW_MS + 3600000 }, 1, 1 },
	};

	(void)state;
	add(one, &(struct row){ EVENT_ACCEPTED, id_slice(&a), NOW_MS, "ann@example.org", "bob@example.net",
				"ann", "Abc@host" });
	add(one, &(struct row){ EVENT_DEFERRED, id_slice(&a), NOW_MS + 1, "", "", "", "" });
	write_it(e, one);
	add(two, &(struct row){ EVENT_ACCEPTED, id_slice(&b), NOW_MS + 7200000, "eve@example.com",
				"bob@example.net", "", "" });
	write_it(e, two);
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct found f = find(e, rows[i].match, i % 2);

			if (f.n != rows[i].n || f.looked != rows[i].looked)
				fail_msg("%s: %u of %u", rows[i].what, f.n, f.looked);
		}
		assert_int_equal(find(e, (struct batch_match){ .id = id_slice(&a) }, true).n, 2);
		events_free(e); /* and after a restart */
		e = open_it(false);
	}
	/* A batch that is not full is written again, larger. */
	add(two,
	    &(struct row){ EVENT_DELIVERED, id_slice(&b), NOW_MS + 7200001, "", "bob@example.net", "", "" });
	write_it(e, two);
	assert_int_equal(find(e, (struct batch_match){ .id = id_slice(&b) }, true).n, 2);
	events_free(e);
	free(one);
	free(two);
}

/* Row by row, oldest first: what is young and has room stays. */
static void bounded(void **state)
{
	struct events *e = open_it(false);
	struct events_keep keep = { NOW_MS, 14 * DAY_MS, UINT64_C(1) << 30 };
	struct events_counters n;
	uint64_t rows = 0;

	(void)state;
	for (int day = 20; day >= 0; day--) {
		struct batch *b = batch_new();
		struct id id = id_next(&ids, NOW_MS - (unsigned)day * DAY_MS);

		add(b, &(struct row){ EVENT_ACCEPTED, id_slice(&id), NOW_MS - (unsigned)day * DAY_MS,
				      "ann@example.org", "bob@example.net", "", "" });
		assert_int_equal(write_keeping(e, b, &keep), 0);
		free(b);
	}
	events_count(e, &n);
	assert_int_equal(n.rows, 15);
	assert_int_equal(n.events, 15);
	assert_int_equal(n.taken_out, 6);
	assert_int_equal(n.oldest_ms, NOW_MS - 14 * DAY_MS);

	/* Texts that do not compress, until the room is used up. */
	keep.octets_max = 2 << 20;
	for (unsigned i = 0; i < 100; i++) {
		struct batch *b = batch_new();
		struct id id = id_next(&ids, NOW_MS);
		uint64_t x = 88172645463325252U + i;
		char text[1000];

		for (int k = 0; k < 55; k++) {
			for (size_t at = 0; at < sizeof(text) - 1; at++) {
				x ^= x << 13, x ^= x >> 7, x ^= x << 17;
				text[at] = (char)(33 + x % 90);
			}
			text[sizeof(text) - 1] = 0;
			add(b, &(struct row){ EVENT_ACCEPTED, id_slice(&id), NOW_MS, text, "", "", "" });
		}
		assert_int_equal(write_keeping(e, b, &keep), 0);
		free(b);
	}
	events_count(e, &n);
	assert_true(n.octets <= keep.octets_max);
	assert_true(n.rows > 20);
	rows = n.rows;
	events_free(e);
	e = open_it(false);
	events_count(e, &n);
	assert_int_equal(n.rows, rows);
	assert_true(n.oldest_ms == NOW_MS);
	events_free(e);
}

static void damage(off_t at, size_t octets)
{
	unsigned char rubbish[4096];
	int fd = open(path, O_WRONLY);

	memset(rubbish, 0xa5, sizeof(rubbish));
	assert_true(fd >= 0);
	for (; octets > 0; octets -= octets < sizeof(rubbish) ? octets : sizeof(rubbish)) {
		size_t n = octets < sizeof(rubbish) ? octets : sizeof(rubbish);

		assert_int_equal(pwrite(fd, rubbish, n, at), (ssize_t)n);
		at += (off_t)n;
	}
	close(fd);
}

static void damaged_files(void **state)
{
	struct batch_match all = { 0 };
	struct batch *b = batch_new();
	struct id id = id_next(&ids, NOW_MS);
	struct events *e = open_it(false);
	struct stat st;

	(void)state;
	add(b, &(struct row){ EVENT_ACCEPTED, id_slice(&id), NOW_MS, "ann@example.org", "bob@example.net", "",
			      "" });
	write_it(e, b);
	events_free(e);
	assert_int_equal(stat(path, &st), 0);
	damage(0, (size_t)st.st_size);
	e = open_it(true);
	b->row = 0;
	b->stored = 0;
	assert_int_equal(find(e, all, true).n, 0);
	write_it(e, b);
	assert_int_equal(find(e, all, true).n, 1);
	events_free(e);

	/* Cut short. */
	assert_int_equal(truncate(path, 100), 0);
	e = open_it(true);
	events_free(e);
	free(b);
}

static void a_full_batch(void **state)
{
	struct batch *b = batch_new();
	struct id id = id_next(&ids, NOW_MS);
	struct event_sink s;
	struct ipc_event e;
	struct slice cur;
	unsigned n = 0;

	(void)state;
	event_sink_init(&s);
	s.local = true;
	/* As many names as an event can have. */
	event_begin(&s, EVENT_ACCEPTED, NOW_MS, id_slice(&id), 0);
	for (int i = 0; i < 5000; i++)
		event_text(&s, EVENT_KEY_TO, slice_of(&"abcdefghijklmnopqrstuvwxyz"[i % 26], 1));
	while (batch_add(b, event_made(&s)))
		n++;
	assert_true(n > 1);
	assert_int_equal(b->n, n);
	assert_true(b->n_hashes <= BATCH_HASHES);
	cur = slice_of(b->bytes, b->octets);
	for (unsigned i = 0; i < n; i++) {
		assert_true(batch_take(&cur, &e));
		assert_true(slice_eq(e.fields, s.m.event.fields));
	}
	assert_int_equal(cur.n, 0);
	free(b);
}

static void as_json(void **state)
{
	static const char expect[] = "{\"time\":\"2026-05-27T00:00:00.007Z\",\"time_ms\":1779840000007,"
				     "\"kind\":\"deferred\",\"id\":\"0123456789ABC\",\"recipient\":3,"
				     "\"to\":\"b\\\"\\ufffd\\u0007@\xc3\xa4\",\"code\":451}";
	struct ipc_event e;
	struct event_sink s;
	struct buf b;
	char room[300], small[150];

	(void)state;
	event_sink_init(&s);
	s.local = true;
	event_begin(&s, EVENT_DEFERRED, UINT64_C(1779840000007), SLICE_LIT("0123456789ABC"), 3);
	event_text(&s, EVENT_KEY_TO, SLICE_LIT("b\"\xff\x07@\xc3\xa4"));
	event_number(&s, EVENT_KEY_CODE, 451);
	event_number(&s, EVENT_KEY_CODE, 452); /* once is enough */
	e = *event_made(&s);
	buf_init_in(&b, room, sizeof(room));
	event_json_put(&e, &b);
	assert_int_equal(b.n, sizeof(expect) - 1);
	assert_memory_equal(room, expect, b.n);

	event_begin(&s, EVENT_ACCEPTED, UINT64_C(1779840000007), SLICE_LIT(""), EVENT_NO_RECIPIENT);
	event_text(&s, EVENT_KEY_TO, SLICE_LIT("a"));
	event_text(&s, EVENT_KEY_REPLY,
		   SLICE_LIT("too long for the room that there is, therefore it is left out, all of it"));
	event_text(&s, EVENT_KEY_TO, SLICE_LIT("b"));
	buf_init_in(&b, small, sizeof(small));
	event_json_put(event_made(&s), &b);
	assert_true(buf_ok(&b));
	buf_byte(&b, 0);
	assert_string_equal(small, "{\"time\":\"2026-05-27T00:00:00.007Z\",\"time_ms\":1779840000007,"
				   "\"kind\":\"accepted\",\"to\":[\"a\",\"b\"],\"cut\":true}");
}

/* Attempts that are of no message: found by their site, and not among those of messages. */
static void of_a_site(void **state)
{
	static const struct {
		const char *what, *site;
		bool no_message;
		uint64_t since, until;
		bool matches;
	} rows[] = {
		{ "the site", "mx.example.net", true, 0, 0, true },
		{ "in any case", "MX.Example.NET", true, 0, 0, true },
		{ "another", "mx.example.org", true, 0, 0, false },
		{ "in time", "mx.example.net", true, NOW_MS, NOW_MS, true },
		{ "too early", "mx.example.net", true, NOW_MS + 1, 0, false },
		{ "too late", "mx.example.net", true, 0, NOW_MS - 1, false },
	};
	struct batch *b = batch_new();
	struct event_sink s;

	(void)state;
	assert_non_null(b);
	event_sink_init(&s);
	s.local = true;
	event_begin(&s, EVENT_ATTEMPTED, NOW_MS, SLICE_LIT(""), EVENT_NO_RECIPIENT);
	event_text(&s, EVENT_KEY_SITE_NAME, SLICE_LIT("mx.example.net"));
	assert_true(batch_add(b, event_made(&s)));
	assert_int_equal(b->n_hashes, 1);
	assert_int_equal(b->hash[0], batch_hash(BATCH_SITE, SLICE_LIT("MX.example.net")));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct batch_match m = { .site = slice_str(rows[i].site),
					 .no_message = rows[i].no_message,
					 .since_ms = rows[i].since,
					 .until_ms = rows[i].until };

		if (batch_matches(&m, event_made(&s)) != rows[i].matches)
			fail_msg("%s", rows[i].what);
	}
	event_begin(&s, EVENT_RELAYED, NOW_MS, SLICE_LIT("0123456789ABC"), 0);
	event_text(&s, EVENT_KEY_SITE_NAME, SLICE_LIT("mx.example.net"));
	assert_true(batch_add(b, event_made(&s)));
	assert_int_equal(b->n_hashes, 2); /* its id; the site only costs */
	assert_false(batch_matches(&(struct batch_match){ .no_message = true }, event_made(&s)));
	assert_true(
		batch_matches(&(struct batch_match){ .site = SLICE_LIT("mx.example.net") }, event_made(&s)));
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(found_by_each_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_batch, set_up, tear_down),
		cmocka_unit_test(of_a_site),
		cmocka_unit_test(as_json),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
