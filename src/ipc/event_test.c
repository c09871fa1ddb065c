/* Events there and back over a real channel; what is dropped is counted and told. */
#include "ipc/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/id.h"

struct got {
	unsigned n, lost, fields;
	bool sound;
	struct ipc_event last;
	char text[IPC_EVENT_MAX];
	size_t text_n;
	uint64_t number;
};

static void on_message(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	struct got *g = arg;
	struct slice cur = m->event.fields;
	struct event_field f;

	(void)ch;
	(void)fd;
	assert_int_equal(m->type, IPC_TYPE_event);
	g->n++;
	g->lost += m->event.lost;
	g->last = m->event;
	g->sound = event_is_sound(&m->event);
	g->fields = 0;
	while (event_take(&cur, &f)) {
		g->fields++;
		if (f.is_text) {
			memcpy(g->text, f.text.p, f.text.n);
			g->text_n = f.text.n;
		} else {
			g->number = f.number;
		}
	}
}

static void on_closed(void *arg, struct channel *ch, const char *why)
{
	(void)arg;
	(void)ch;
	(void)why;
}

static const struct channel_handlers handlers = { on_message, on_closed };

struct world {
	uv_loop_t loop;
	struct channel *from, *to;
	struct event_sink sink;
	struct got got;
};

static void world_init(struct world *w, size_t room)
{
	int fd[2];

	memset(w, 0, sizeof(*w));
	uv_loop_init(&w->loop);
	assert_int_equal(channel_pair(fd), 0);
	assert_int_equal(channel_new(&w->loop, fd[0], room, &handlers, NULL, &w->from), 0);
	assert_int_equal(channel_new(&w->loop, fd[1], room, &handlers, &w->got, &w->to), 0);
	event_sink_init(&w->sink);
	w->sink.ledger = w->from;
}

/* Events wait for company a little. */
static void turn(struct world *w)
{
	uv_run(&w->loop, UV_RUN_NOWAIT);
	uv_sleep(15);
	for (int i = 0; i < 20; i++)
		uv_run(&w->loop, UV_RUN_NOWAIT);
}

static void world_done(struct world *w)
{
	channel_free(w->from);
	channel_free(w->to);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static const char id_text[] = "0123456789ABC";

static void there_and_back(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	world_init(w, 4U << 20);
	event_begin(&w->sink, EVENT_DEFERRED, 1234, slice_str(id_text), 7);
	event_number(&w->sink, EVENT_KEY_CODE, 451);
	event_text(&w->sink, EVENT_KEY_REPLY, SLICE_LIT("later, please"));
	event_text(&w->sink, EVENT_KEY_HOST, SLICE_LIT(""));  /* empty: left out */
	event_text(&w->sink, EVENT_KEY_CODE, SLICE_LIT("x")); /* a number is no text */
	event_number(&w->sink, EVENT_KEY_HOST, 1);	      /* nor the other way */
	event_send(&w->sink);
	event_send(&w->sink); /* once is enough */
	turn(w);
	assert_int_equal(w->got.n, 1);
	assert_true(w->got.sound);
	assert_int_equal(w->got.last.kind, EVENT_DEFERRED);
	assert_int_equal(w->got.last.time_ms, 1234);
	assert_int_equal(w->got.last.recipient, 7);
	assert_int_equal(w->got.fields, 2);
	assert_int_equal(w->got.number, 451);
	assert_int_equal(w->got.text_n, 13);
	assert_memory_equal(w->got.text, "later, please", 13);
	assert_int_equal(w->sink.sent, 1);
	assert_int_equal(w->sink.dropped, 0);
	world_done(w);
	free(w);
}

/* Cut at its ceiling, not within a character; what does not fit any more is left out. */
static void texts_are_cut(void **state)
{
	struct world *w = malloc(sizeof(*w));
	static char big[IPC_PACKET_MAX];

	(void)state;
	world_init(w, 4U << 20);
	for (size_t i = 0; i < sizeof(big); i += 2)
		memcpy(big + i, "\xc3\xa4", 2);
	event_begin(&w->sink, EVENT_ATTEMPTED, 1, slice_str(""), EVENT_NO_RECIPIENT);
	event_text(&w->sink, EVENT_KEY_HOST, slice_of(big, sizeof(big)));
	event_send(&w->sink);
	turn(w);
	assert_int_equal(w->got.text_n, 254);

	event_begin(&w->sink, EVENT_ACCEPTED, 1, slice_str(id_text), EVENT_NO_RECIPIENT);
	for (int i = 0; i < 100; i++)
		event_text(&w->sink, EVENT_KEY_TO, slice_of(big, sizeof(big)));
	for (int i = 0; i < 2000; i++)
		event_number(&w->sink, EVENT_KEY_SIZE, 1);
	event_send(&w->sink);
	turn(w);
	assert_int_equal(w->got.n, 2);
	assert_true(w->got.sound);
	world_done(w);
	free(w);
}

/* The reader is asleep: a while it waits in memory, then it is dropped, and the channel lives. */
static void no_room_is_counted(void **state)
{
	struct world *w = malloc(sizeof(*w));
	static char big[4000];
	uint64_t lost;

	(void)state;
	world_init(w, (1U << 20) + 262144);
	memset(big, 'x', sizeof(big));
	for (int i = 0; i < 2000; i++) {
		event_begin(&w->sink, EVENT_ATTEMPTED, 1, slice_str(id_text), 0);
		event_text(&w->sink, EVENT_KEY_TRANSCRIPT, slice_of(big, sizeof(big)));
		event_send(&w->sink);
	}
	assert_true(w->sink.sent > 0);
	assert_true(w->sink.dropped > 0);
	assert_int_equal(w->sink.sent + w->sink.dropped, 2000);
	lost = w->sink.dropped;
	turn(w);
	turn(w);
	assert_int_equal(w->got.n, w->sink.sent);
	assert_int_equal(w->got.lost, 0);
	event_begin(&w->sink, EVENT_HELD, 1, slice_str(id_text), 0);
	event_send(&w->sink);
	turn(w);
	assert_int_equal(w->got.lost, lost); /* told once */
	event_begin(&w->sink, EVENT_HELD, 1, slice_str(id_text), 0);
	event_send(&w->sink);
	turn(w);
	assert_int_equal(w->got.lost, lost);
	w->sink.ledger = NULL;
	event_begin(&w->sink, EVENT_HELD, 1, slice_str(id_text), 0);
	event_send(&w->sink);
	assert_int_equal(w->sink.dropped, lost + 1);
	world_done(w);
	free(w);
}

static void unsound_ones(void **state)
{
	static const struct {
		const char *what;
		struct ipc_event e;
		bool sound;
	} rows[] = {
		{ "nothing but a kind", { .kind = EVENT_ALARM }, true },
		{ "no kind", { .kind = 0 }, false },
		{ "a kind of the future", { .kind = EVENT_KINDS_END }, false },
		{ "an id that is none", { .kind = EVENT_HELD, .id = SLICE_INIT("hello") }, false },
		{ "an id", { .kind = EVENT_HELD, .id = SLICE_INIT("0123456789ABC") }, true },
		{ "a field", { .kind = EVENT_HELD, .fields = SLICE_INIT("\x15\x01\0h") }, true },
		{ "no key", { .kind = EVENT_HELD, .fields = SLICE_INIT("\0\x01\0h") }, false },
		{ "a key of the future", { .kind = EVENT_HELD, .fields = SLICE_INIT("\xff\x01\0h") }, false },
		{ "empty text", { .kind = EVENT_HELD, .fields = SLICE_INIT("\x15\0\0") }, false },
		{ "cut text", { .kind = EVENT_HELD, .fields = SLICE_INIT("\x15\x02\0h") }, false },
		{ "text too long",
		  { .kind = EVENT_HELD,
		    .fields = SLICE_INIT("\x1b\x11\0"
					 "45678901234567890") },
		  false },
		{ "a number", { .kind = EVENT_HELD, .fields = SLICE_INIT("\x02\x01\0\0\0\0\0\0\0") }, true },
		{ "a cut number",
		  { .kind = EVENT_HELD, .fields = SLICE_INIT("\x02\x01\0\0\0\0\0\0") },
		  false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (event_is_sound(&rows[i].e) != rows[i].sound)
			fail_msg("%s", rows[i].what);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(event_kind_name(EVENT_WRONG_PORT), "wrong-port");
	assert_string_equal(event_kind_name(0), "unknown");
	assert_string_equal(event_kind_name(EVENT_KINDS_END), "unknown");
	assert_string_equal(event_key_name(EVENT_KEY_MESSAGE_ID), "message_id");
	assert_string_equal(event_key_name(255), "unknown");
	for (unsigned i = 1; i < EVENT_KINDS_END; i++) {
		const char *name = event_kind_name(i);

		/* A number that is used no more has no name. */
		assert_int_equal(event_kind_find(slice_str(name)), strcmp(name, "unknown") ? i : 0);
	}
	assert_int_equal(event_kind_find(SLICE_LIT("accept")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(texts_are_cut),
		cmocka_unit_test(no_room_is_counted),
		cmocka_unit_test(unsound_ones),
		cmocka_unit_test(names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
