/* outbox_crash_test.c - the power fails before each operation on the disk, and within each write, while
 * messages are taken, sent, deferred, refused, removed; and the disk fails at each operation in turn.
 *
 * Whatever is left: what was promised is there; what a server may have is never found waiting to be sent
 * again; and nothing is in doubt that never was on its way.  POSTERN_FULL=1 tears at every octet.
 */
#include "submit/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>

#include "spool/disk_sim.h"

#define NOW	 UINT64_C(1790000000000)
#define MESSAGES 8
#define RCPTS	 3

enum found { GONE = 1, WAITING = 2, UNSURE = 4, FAILED = 8 };

struct expected {
	char id[ID_LEN + 1]; /* "": not told yet */
	unsigned may;	     /* be found as */
	bool handed[RCPTS];  /* a server may have it for him */
	size_t octets;
};

struct day {
	struct disk_sim *sim;
	struct outbox *o;
	struct expected m[MESSAGES];
	size_t n;
	uint32_t seed;
	uint64_t cuts;
	bool full;
	size_t fails; /* of operations that were let fail */
};

static uint32_t random_of(struct day *d)
{
	d->seed = d->seed * 1664525 + 1013904223;
	return d->seed >> 8;
}

static struct outbox *open_on(struct disk_sim *sim)
{
	char why[OUTBOX_ERROR_MAX];
	struct outbox *o = NULL;

	assert_int_equal(outbox_open("sim", disk_sim_disk(sim), true, &o, why), 0);
	return o;
}

static unsigned char octet(size_t i, size_t size)
{
	return (unsigned char)('!' + (i * 31 + size) % 90);
}

static void make_draft(struct draft *d, size_t size)
{
	static const char people[] = "a@x.example, b@x.example, c@x.example";

	assert_int_equal(draft_init(d), 0);
	assert_int_equal(draft_begin(d), 0);
	for (size_t i = 0; i < size; i++) {
		unsigned char c = octet(i, size);

		assert_int_equal(draft_append(d, slice_of(&c, 1)), 0);
	}
	assert_int_equal(submit_envelope_sender(&d->envelope, SLICE_LIT("us@x.example"), SLICE_LIT(""), NULL),
			 MIME_FINE);
	assert_int_equal(submit_envelope_add(&d->envelope, slice_str(people), SLICE_LIT(""), SLICE_LIT("To"),
					     NULL),
			 MIME_FINE);
}

/* ---- what is found ---- */

static void check_body(struct outbox *o, const struct outbox_message *m, const struct expected *e)
{
	unsigned char room[4096];
	struct draft d;

	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(outbox_draft(o, m, &d), 0);
	assert_int_equal(d.octets, e->octets);
	assert_int_equal(d.envelope.recipients, outbox_message_waits(m));
	assert_int_equal(draft_chunk(&d, 0, room, sizeof(room)), (ssize_t)e->octets);
	for (size_t i = 0; i < e->octets; i++)
		assert_int_equal(room[i], octet(i, e->octets));
	draft_done(&d);
}

static void check_one(struct outbox *o, const struct expected *e)
{
	static const unsigned as[] = { [OUTBOX_WAITING] = WAITING,
				       [OUTBOX_UNSURE] = UNSURE,
				       [OUTBOX_FAILED] = FAILED,
				       [OUTBOX_DONE] = UNSURE };
	struct outbox_message m;
	enum outbox_state s;
	int r = outbox_read(o, e->id, &m);

	if (r == -ENOENT) {
		assert_true(e->may & GONE);
		return;
	}
	assert_int_equal(r, 0);
	s = outbox_message_state(&m);
	if (!(e->may & as[s]))
		fail_msg("%s is found in state %d, and may be %x", e->id, s, e->may);
	for (size_t i = 0; i < m.n; i++)
		if (s == OUTBOX_WAITING && m.rcpt[i].state == OUTBOX_WAITS && e->handed[i])
			fail_msg("%s would come twice to %s", e->id, m.rcpt[i].address);
	if (outbox_message_waits(&m) > 0)
		check_body(o, &m, e);
	outbox_message_done(&m);
}

static void check_all(struct disk_sim *sim, const struct day *d)
{
	struct outbox *o = open_on(sim);
	struct outbox_item *list;
	size_t n, known = 0;
	bool more;

	for (size_t i = 0; i < d->n; i++)
		if (d->m[i].id[0])
			check_one(o, &d->m[i]);
	assert_int_equal(outbox_list(o, &list, &n, &more), 0);
	for (size_t i = 0; i < n; i++) {
		bool found = false;

		assert_true(list[i].kind == OUTBOX_MESSAGE || list[i].kind == OUTBOX_UNFINISHED);
		for (size_t k = 0; k < d->n; k++)
			found = found || !strncmp(list[i].name, d->m[k].id, ID_LEN);
		/* The one whose call has not returned. */
		known += !found;
		assert_true(found || (list[i].kind == OUTBOX_UNFINISHED || d->m[d->n - 1].id[0] == '\0'));
	}
	assert_true(known <= 1 + d->fails);
	outbox_list_free(list, n);
	outbox_close(o);
}

/* ---- what is done ---- */

static int put(struct day *d, size_t size)
{
	static const struct outbox_way way = { .url = "smtp://us@x.example" };
	struct outbox_new new = { .way = &way, .text = "unreachable", .now_ms = NOW + d->n };
	struct expected *e = &d->m[d->n++];
	struct draft draft;
	struct id id;
	int r;

	assert_true(d->n <= MESSAGES);
	*e = (struct expected){ .octets = size };
	make_draft(&draft, size);
	new.draft = &draft;
	r = outbox_put(d->o, &new, &id);
	draft_done(&draft);
	if (r == 0) {
		memcpy(e->id, id.text, sizeof(e->id));
		e->may = WAITING;
	} else {
		d->n--;
	}
	return r;
}

enum doing { DEFER, REFUSE_ONE, TAKE_ONE, TAKE_ALL, ANSWER_LOST };

/* Each changes what may be found before it does anything, and what must be found after it went well. */

static int begin(struct day *d, struct outbox_message *m, struct expected *e)
{
	int r;

	e->may |= UNSURE;
	r = outbox_sending(d->o, m, NOW);
	if (r == 0) {
		e->may = UNSURE;
		for (size_t i = 0; i < m->n; i++)
			e->handed[i] = e->handed[i] || m->rcpt[i].state == OUTBOX_WAITS;
	}
	return r;
}

static int end(struct day *d, struct outbox_message *m, struct expected *e, enum doing what)
{
	struct outbox_outcome o = { .rcpt = what == TAKE_ONE ? 0 : 1,
				    .state = what == TAKE_ONE ? OUTBOX_TAKEN : OUTBOX_REFUSED,
				    .text = "550 no" };
	unsigned after = what == ANSWER_LOST ? UNSURE : what == TAKE_ALL ? GONE : WAITING;
	int r;

	/* Those whom the server did not take are no longer its. */
	for (size_t i = 0; i < m->n && after == WAITING; i++)
		e->handed[i] = m->rcpt[i].state == OUTBOX_TAKEN || (what == TAKE_ONE && i == 0);
	e->may |= after;
	if (what == TAKE_ALL)
		r = outbox_remove(d->o, m);
	else if (what == DEFER)
		r = outbox_waits(d->o, m, true, "451 later", NOW);
	else
		r = outbox_outcomes(d->o, m, &o, what != ANSWER_LOST, what == ANSWER_LOST, true, "451 later",
				    NOW);
	if (r == 0)
		e->may = after;
	return r;
}

static void send_one(struct day *d, size_t i, enum doing what)
{
	struct expected *e = &d->m[i];
	struct outbox_message m;
	int r = outbox_read(d->o, e->id, &m);

	if (r < 0) {
		d->fails++;
		return;
	}
	r = begin(d, &m, e);
	if (r == 0)
		r = end(d, &m, e, what);
	d->fails += r < 0;
	outbox_message_done(&m);
}

static void tell(struct day *d, size_t i, bool again)
{
	struct expected *e = &d->m[i];
	struct outbox_message m;
	int r = outbox_read(d->o, e->id, &m);

	if (r == 0) {
		if (again) /* its owner said so */
			memset(e->handed, 0, sizeof(e->handed));
		for (size_t k = 0; k < m.n && again; k++)
			e->handed[k] = m.rcpt[k].state == OUTBOX_TAKEN;
		e->may |= again ? WAITING : FAILED;
		r = again ? outbox_again(d->o, &m, NOW) : outbox_expired(d->o, &m, "five days", NOW);
		if (r == 0)
			e->may = again ? WAITING : FAILED;
		outbox_message_done(&m);
	}
	d->fails += r < 0;
}

static void run(struct day *d)
{
	(void)put(d, 1000);
	(void)put(d, 0);
	(void)put(d, 3000);
	if (d->n < 3) {
		d->fails++; /* the others' steps are for all of them */
		return;
	}
	send_one(d, 0, DEFER);
	send_one(d, 0, DEFER);
	send_one(d, 0, TAKE_ONE);
	send_one(d, 1, ANSWER_LOST);
	send_one(d, 2, REFUSE_ONE);
	tell(d, 1, true);
	send_one(d, 2, DEFER);
	tell(d, 2, false);
	send_one(d, 1, TAKE_ALL);
	(void)put(d, 700);
	send_one(d, 0, DEFER);
	send_one(d, 0, ANSWER_LOST);
	tell(d, 2, true);
	send_one(d, 2, TAKE_ALL);
	tell(d, 0, true);
	send_one(d, 0, TAKE_ALL);
}

static void begin_day(struct day *d, disk_sim_hook *hook)
{
	*d = (struct day){ .seed = 7, .sim = disk_sim_new() };
	d->full = getenv("POSTERN_FULL") != NULL;
	d->o = open_on(d->sim);
	disk_sim_set_hook(d->sim, hook, d);
}

static void end_day(struct day *d)
{
	disk_sim_set_hook(d->sim, NULL, NULL);
	outbox_close(d->o);
	assert_int_equal(disk_sim_open_files(d->sim), 0);
	disk_sim_free(d->sim);
}

/* ---- the power ---- */

static void cut_here(struct day *d, struct disk_sim *sim, size_t first, enum disk_sim_cut how)
{
	struct disk_sim *copy = disk_sim_clone_torn(sim, first);

	disk_sim_reboot(copy, how, random_of(d));
	check_all(copy, d);
	disk_sim_free(copy);
	d->cuts++;
}

static void cut_everywhere(void *arg, struct disk_sim *sim, size_t n)
{
	struct day *d = arg;
	size_t step = d->full ? 1 : 1 + n / 7;
	bool during_put = d->n > 0 && d->m[d->n - 1].id[0] == '\0';

	cut_here(d, sim, 0, DISK_SIM_LOSE);
	cut_here(d, sim, 0, DISK_SIM_KEEP);
	for (int i = 0; i < (d->full ? 16 : 4); i++)
		cut_here(d, sim, 0, DISK_SIM_SOME);
	for (size_t first = 1 + random_of(d) % step; first <= n; first += during_put ? 4 * step : step) {
		cut_here(d, sim, first, DISK_SIM_KEEP);
		cut_here(d, sim, first, DISK_SIM_SOME);
	}
}

static void the_power_fails_everywhere(void **state)
{
	struct day d;

	(void)state;
	begin_day(&d, cut_everywhere);
	run(&d);
	disk_sim_set_hook(d.sim, NULL, NULL);
	assert_true(d.n == 4 && d.fails == 0);
	for (size_t i = 0; i < d.n; i++)
		check_one(d.o, &d.m[i]);
	assert_int_equal(d.m[0].may | d.m[1].may | d.m[2].may, GONE);
	assert_true(d.cuts > 500);
	end_day(&d);
}

/* ---- the disk ---- */

static void the_disk_fails_at_each_operation(void **state)
{
	static const int errors[] = { -ENOSPC, -EIO };

	(void)state;
	for (unsigned op = 0; op < DISK_SIM_OPS; op++)
		for (unsigned after = 0; after < 60; after++)
			for (unsigned times = 1; times < 1000; times += 900) {
				struct day d;

				begin_day(&d, NULL);
				disk_sim_fail(d.sim, op, after, times, errors[after % 2]);
				run(&d);
				disk_sim_fail(d.sim, op, 0, 0, 0);
				check_all(d.sim, &d);
				end_day(&d);
			}
}

static void a_full_disk_keeps_what_it_has(void **state)
{
	struct day d;

	(void)state;
	for (uint64_t room = 0; room < 9000; room += 97) {
		begin_day(&d, NULL);
		disk_sim_capacity(d.sim, room);
		run(&d);
		check_all(d.sim, &d);
		disk_sim_capacity(d.sim, 0);
		check_all(d.sim, &d);
		end_day(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_power_fails_everywhere),
		cmocka_unit_test(the_disk_fails_at_each_operation),
		cmocka_unit_test(a_full_disk_keeps_what_it_has),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
