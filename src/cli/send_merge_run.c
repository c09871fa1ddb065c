/* Sends row after row, as fast as it may, and writes down what becomes of each before and after. */
#include "cli/send_merge.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/id.h"
#include "cli/cli.h"
#include "cli/send.h"
#include "cli/send_merge_judge.h"
#include "cli/text.h"

#define PAUSE_S	      10
#define DOUBLINGS     5	 /* of it: then it stays */
#define IN_A_ROW      8	 /* pauses without a message that got through between */
#define SAME	      5	 /* refusals of whole messages by the same code: then it is us */
#define EASE	      20 /* messages that got through, until it is tried faster again */
#define WORDS_MAX     4096
#define SLOW_LEAST_US 50000
#define SLOW_MOST_US  60000000

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	static const char words[] = "\npostern send: ends behind this message; once more ends at once\n";
	ssize_t n = write(STDERR_FILENO, words, sizeof(words) - 1);

	(void)signal, (void)n;
	interrupted = 1;
}

/* The second one does what it always does. */
static void watch_signals(bool on)
{
	struct sigaction act = { .sa_flags = (int)SA_RESETHAND };

	act.sa_handler = on ? on_signal : SIG_DFL;
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
}

static int stop_here(struct cli_merge_run *r, enum cli_merge_stop stop, int status, const char *why)
{
	r->stop = stop;
	r->status = status;
	(void)slice_copy(slice_head(slice_str(why), sizeof(r->why) - 1), r->why, sizeof(r->why));
	return -ECANCELED;
}

/* ---- how fast ---- */

struct pace {
	uint64_t gap_us;  /* between messages, as the user wants it */
	uint64_t slow_us; /* as the server wants it, besides */
	uint64_t next_us; /* the next message may go */
	uint64_t pause_us;
	unsigned in_a_row, well;
	/* Refusals of the message itself, one like the other. */
	unsigned same, same_code;
};

static uint64_t clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* False: interrupted meanwhile. */
static bool wait_until(struct cli_merge_run *r, uint64_t us)
{
	bool synced = false;

	while (!interrupted) {
		uint64_t now = clock_us(), left = us > now ? us - now : 0;
		struct timespec t = { 0, (long)(left < 200000 ? left : 200000) * 1000 };

		if (left == 0)
			return true;
		if (left > 100000 && !synced)
			(void)merge_journal_sync(r->journal); /* its error comes again with the next line */
		synced = true;
		nanosleep(&t, NULL);
		cli_merge_print_progress(r, false);
	}
	return false;
}

/* By the clock, not by when the one before was through; what was lost to a slow server is not made up for. */
static void count_gap(struct pace *p)
{
	uint64_t gap = p->gap_us > p->slow_us ? p->gap_us : p->slow_us, now = clock_us();

	p->next_us = (p->next_us > 0 && now - p->next_us < gap ? p->next_us : now) + gap;
}

static void went_well(struct pace *p)
{
	p->in_a_row = p->same = 0;
	if (p->slow_us == 0 || ++p->well < EASE)
		return;
	p->well = 0;
	p->slow_us = p->slow_us > SLOW_LEAST_US ? p->slow_us / 2 : 0;
}

/* More time between messages from now on: four times what it took until now, at first. */
static void widen_gap(const struct cli_merge_run *r, struct pace *p)
{
	uint64_t spent = (cli_now_ms() - r->begun_ms) * 1000;

	p->well = 0;
	p->slow_us = p->slow_us ? p->slow_us * 2 : 4 * spent / (r->done ? r->done : 1);
	if (p->slow_us < SLOW_LEAST_US)
		p->slow_us = SLOW_LEAST_US;
	if (p->slow_us > SLOW_MOST_US)
		p->slow_us = SLOW_MOST_US;
}

/* A pause; and where the server wants it slower, and is not just away, that too. */
static void slow_down(struct cli_merge_run *r, struct pace *p, const struct merge_line *l)
{
	unsigned n = p->in_a_row < DOUBLINGS ? p->in_a_row : DOUBLINGS;
	uint64_t pause = p->pause_us << n;

	if (l->code > 0)
		widen_gap(r, p);
	if (++p->in_a_row > IN_A_ROW) {
		stop_here(r, CLI_MERGE_NOT_NOW, CLI_LATER, l->text);
		return;
	}
	p->next_us = clock_us() + pause;
	cli_merge_say(r, "line %u, not now: %s; waiting for %llu s", l->line, l->text,
		      (unsigned long long)(pause + 999999) / 1000000);
}

/* ---- one row ---- */

struct sending {
	struct cli_merge_run *r;
	struct pace *pace;
	uint32_t row;
	struct merge_line line;
	char id[400];
	json_t *recipients;
};

/* Who has it already, or is not asked for again. */
static void leave_out(const struct cli_merge_run *r, uint32_t row, struct submit_envelope *e)
{
	const json_t *list = merge_journal_recipients(r->journal, row);
	size_t i;
	json_t *one;

	json_array_foreach((json_t *)list, i, one)
	{
		const char *result = cli_member_text(one, "result");
		bool refused = !strcmp(result, "refused") && !r->plan->o->retry_refused;
		bool doubtful = !strcmp(result, "doubtful") && !r->plan->o->retry_doubtful;

		if (refused || doubtful || !strcmp(result, "sent"))
			submit_envelope_remove(e, slice_str(cli_member_text(one, "address")));
	}
}

static json_t *recipient_json(const char *address, const struct carry_rcpt *t, const char *text)
{
	struct route_meaning m = cli_merge_meaning(t);
	const char *state = merge_state_name(cli_merge_state(t, &m));
	json_t *one = json_pack("{s:s, s:s, s:i, s:s, s:s}", "address", address, "result", state, "code",
				t->code, "status", t->enhanced, "text", text);

	/* Servers say what they like; JSON is UTF-8. */
	return one ? one : json_pack("{s:s, s:s, s:i}", "address", address, "result", state, "code", t->code);
}

/* What was known of the row's recipients, and what is known now.  NULL: out of memory. */
static json_t *recipients_of(const struct cli_merge_run *r, uint32_t row, const struct draft *d,
			     const struct carry_result *res)
{
	const json_t *before = merge_journal_recipients(r->journal, row);
	json_t *list = before ? json_deep_copy(before) : json_array();
	int bad = list ? 0 : -1;

	for (size_t i = 0; i < res->n && bad == 0; i++) {
		const struct carry_rcpt *t = &res->rcpt[i];
		const char *address = d->envelope.recipient[i]->address;
		json_t *one = recipient_json(address, t, t->tried ? t->text : res->text);
		size_t k = 0;

		while (k < json_array_size(list) &&
		       strcmp(cli_member_text(json_array_get(list, k), "address"), address) != 0)
			k++;
		bad = k < json_array_size(list) ? json_array_set_new(list, k, one)
						: json_array_append_new(list, one);
	}
	if (bad == 0)
		return list;
	json_decref(list);
	return NULL;
}

/* The worst state among all recipients of the row. */
static enum merge_state worst_of(const json_t *recipients)
{
	static const enum merge_state order[] = { MERGE_DOUBTFUL, MERGE_DEFERRED, MERGE_REFUSED };

	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
		size_t i;
		json_t *one;

		json_array_foreach((json_t *)recipients, i,
				   one) if (!strcmp(cli_member_text(one, "result"),
						    merge_state_name(order[k]))) return order[k];
	}
	return MERGE_SENT;
}

static int put(struct sending *s, enum merge_state state)
{
	int r;

	s->line.state = state;
	r = merge_journal_put(s->r->journal, &s->line, cli_now_ms());
	if (r == 0 && state == MERGE_SENDING)
		r = merge_journal_sync(s->r->journal);
	if (r == 0)
		return 0;
	if (state != MERGE_SENDING && state != MERGE_DEFERRED)
		cli_merge_say(s->r, "line %u: this could not be written down: %s", s->line.line,
			      s->line.text ? s->line.text : "");
	return stop_here(s->r, CLI_MERGE_MACHINE, CLI_LATER, strerror(-r));
}

static const struct carry_rcpt *worst_rcpt(const struct carry_result *res)
{
	static const enum merge_state order[] = { MERGE_DOUBTFUL, MERGE_DEFERRED, MERGE_REFUSED };

	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++)
		for (size_t i = 0; i < res->n; i++) {
			struct route_meaning m = cli_merge_meaning(&res->rcpt[i]);

			if (cli_merge_state(&res->rcpt[i], &m) == order[k])
				return &res->rcpt[i];
		}
	return res->n > 0 ? &res->rcpt[0] : NULL;
}

/* Five in a row that are refused as a whole, or because we may not: so will the others be. */
static void count_same(struct cli_merge_run *r, struct pace *p, const struct merge_line *l,
		       enum route_class class)
{
	if (!cli_merge_is_same(l, class))
		return;
	p->same = p->same_code == l->code ? p->same + 1 : 1;
	p->same_code = l->code;
	if (p->same < SAME)
		return;
	r->stop = CLI_MERGE_FAILED;
	r->status = CLI_FAILED;
	snprintf(r->why, sizeof(r->why),
		 "%u messages in a row were refused in the same way (once it is mended, --retry-refused): %s",
		 SAME, l->text);
}

static void obey(struct sending *s, enum cli_merge_verdict v, enum route_class class)
{
	struct cli_merge_run *r = s->r;
	const char *text = s->line.text ? s->line.text : "";

	if (v == CLI_MERGE_US || v == CLI_MERGE_ENDED)
		stop_here(r, CLI_MERGE_FAILED, CLI_FAILED, text);
	else if (v == CLI_MERGE_NO_SERVER)
		stop_here(r, CLI_MERGE_FAILED, CLI_NO_SERVER, text);
	else if (v == CLI_MERGE_SLOW)
		slow_down(r, s->pace, &s->line);
	else if (s->line.state == MERGE_SENT)
		went_well(s->pace);
	else
		count_same(r, s->pace, &s->line, class);
}

static void show_tries(const struct sending *s, const struct draft *d, const struct carry_result *res,
		       enum cli_merge_verdict v)
{
	const struct cli_merge *o = s->r->plan->o;
	struct cli_sent sent = { cli_carrier_provider(o->carrier), d, res, o->verbose,
				 cli_carrier_by(o->carrier) };

	if (o->verbose > 0)
		cli_send_print_tries(&sent);
	if (v == CLI_MERGE_ENDED || v == CLI_MERGE_NO_SERVER)
		cli_send_advise(&sent);
}

/* The draft went, or not. */
static void take_result(struct sending *s, const struct draft *d, const struct carry_result *res)
{
	const struct carry_rcpt *worst = worst_rcpt(res);
	struct route_meaning m = worst ? cli_merge_meaning(worst) : (struct route_meaning){ 0 };
	bool tried = worst && worst->tried;
	enum cli_merge_verdict v;

	s->line.state = worst ? cli_merge_state(worst, &m) : MERGE_DEFERRED;
	s->line.code = tried ? worst->code : 0;
	s->line.status = tried ? worst->enhanced : res->enhanced;
	s->line.text = tried ? worst->text : res->text;
	s->line.step = tried ? worst->step : NULL;
	s->line.host = res->host;
	v = cli_merge_judge(res, worst, &m, merge_has_one_sender(s->r->plan->merge), s->r->done > 0);
	if (v == CLI_MERGE_US)
		s->line.state = MERGE_DEFERRED; /* it was not refused for its own sake */
	if (s->line.to->recipients > 1) {
		s->recipients = recipients_of(s->r, s->row, d, res);
		s->line.recipients = s->recipients;
		if (!s->recipients) /* who has it cannot be told any more: nobody gets it unasked */
			s->line.state = MERGE_DOUBTFUL;
		else if (v != CLI_MERGE_US)
			s->line.state = worst_of(s->recipients);
	}
	s->r->done += tried;
	if (put(s, s->line.state) < 0)
		return;
	if (s->r->plan->o->verbose > 1 || v == CLI_MERGE_ENDED || v == CLI_MERGE_NO_SERVER)
		show_tries(s, d, res, v);
	if (v != CLI_MERGE_SLOW) /* which is told with how long it waits then */
		cli_merge_print_row(s->r, &s->line);
	obey(s, v, m.class);
}

static int make_draft(struct sending *s, struct draft *d)
{
	struct cli_merge_run *r = s->r;
	const char *before = merge_journal_id(r->journal, s->row);
	struct draft_parts parts;
	struct mime_problem problem = { 0 };
	char room[WORDS_MAX], bracketed[404];
	struct buf words;
	struct id id;
	int err;

	buf_init_in(&words, room, sizeof(room) - 1);
	err = cli_merge_parts(r->plan, s->row, &parts, &words);
	if (err == 0) {
		id = id_next(&r->ids, cli_now_ms());
		parts.message.date_ms = cli_now_ms();
		/* What may have come already comes again as the same message. */
		if (before)
			snprintf(s->id, sizeof(s->id), "%s", before);
		else
			snprintf(s->id, sizeof(s->id), "%s@%.*s", id.text, SLICE_ARG(parts.message.hostname));
		snprintf(bracketed, sizeof(bracketed), "<%s>", s->id);
		parts.message.message_id = slice_str(bracketed);
		err = draft_compose(d, &parts, &problem);
		if (err == -EBADMSG)
			mime_problem_put(&problem, &words);
		else if (err < 0)
			buf_fmt(&words, "%s%s%s", problem.about, problem.about[0] ? ": " : "",
				strerror(-err));
	}
	room[words.n] = '\0';
	return err == 0 ? 0 : stop_here(r, CLI_MERGE_MACHINE, CLI_FAILED, *room ? room : strerror(-err));
}

static void send_draft(struct sending *s, struct draft *d)
{
	const struct carry_result *res = NULL;
	struct submit_envelope all;
	int status;

	/* The file names all of them, also where only some get it now. */
	if (submit_envelope_init(&all) < 0) {
		stop_here(s->r, CLI_MERGE_MACHINE, CLI_LATER, strerror(ENOMEM));
		return;
	}
	for (size_t i = 0; i < d->envelope.recipients; i++)
		(void)submit_envelope_add(&all, slice_str(d->envelope.recipient[i]->address), SLICE_LIT(""),
					  SLICE_LIT("To"), NULL);
	leave_out(s->r, s->row, &d->envelope);
	s->line = (struct merge_line){
		.row = s->row, .line = s->r->plan->row[s->row - 1].line, .to = &all, .id = s->id
	};
	if (put(s, MERGE_SENDING) == 0) {
		status = cli_carrier_send(s->r->plan->o->carrier, d, &res);
		if (status == CLI_OK) {
			take_result(s, d, res);
		} else {
			s->line.text = "it was not tried";
			if (put(s, MERGE_DEFERRED) == 0)
				stop_here(s->r, CLI_MERGE_MACHINE, status, "it cannot go on");
		}
	}
	json_decref(s->recipients);
	submit_envelope_done(&all);
}

static void send_row(struct cli_merge_run *r, struct pace *p, uint32_t row)
{
	struct sending s = { .r = r, .pace = p, .row = row };
	struct draft d;

	count_gap(p);
	if (draft_init(&d) < 0)
		stop_here(r, CLI_MERGE_MACHINE, CLI_LATER, strerror(ENOMEM));
	else if (make_draft(&s, &d) == 0)
		send_draft(&s, &d);
	draft_done(&d);
}

/* ---- all rows ---- */

static bool is_to_do(const struct cli_merge_run *r, uint32_t row, bool second)
{
	const struct cli_merge *o = r->plan->o;
	enum merge_state s = merge_journal_state(r->journal, row);

	if (r->plan->row[row - 1].bad)
		return false;
	if (second)
		return s == MERGE_DEFERRED;
	return s == MERGE_NEW || s == MERGE_DEFERRED || s == MERGE_SKIPPED ||
	       (s == MERGE_DOUBTFUL && o->retry_doubtful) || (s == MERGE_REFUSED && o->retry_refused);
}

/* Nobody saw the end of it. */
static void settle_doubtful(struct sending *s)
{
	struct submit_envelope e;
	struct draft_parts parts;
	char room[WORDS_MAX];
	struct buf words;

	buf_init_in(&words, room, sizeof(room));
	if (submit_envelope_init(&e) == 0 && !s->r->plan->row[s->row - 1].bad &&
	    cli_merge_parts(s->r->plan, s->row, &parts, &words) == 0) {
		parts.message.id = SLICE_LIT("0");
		if (merge_check(s->r->plan->merge, &parts, &e, &words) == 0)
			s->line.to = &e;
	}
	s->line.id = merge_journal_id(s->r->journal, s->row);
	s->line.text = "the run before ended before the server's answer came";
	put(s, MERGE_DOUBTFUL);
	submit_envelope_done(&e);
}

/* Such rows, and those that are left out: written down, once. */
static void settle(struct cli_merge_run *r)
{
	for (uint32_t row = 1; row <= r->plan->rows && r->stop == CLI_MERGE_THROUGH; row++) {
		enum merge_state was = merge_journal_state(r->journal, row);
		struct sending s = { .r = r, .row = row };
		bool bad = r->plan->row[row - 1].bad;

		s.line = (struct merge_line){ .row = row, .line = r->plan->row[row - 1].line };
		if (was == MERGE_SENDING) {
			settle_doubtful(&s);
		} else if (bad && (was == MERGE_NEW || was == MERGE_DEFERRED)) {
			s.line.text = "left out: something is wrong with the row";
			put(&s, MERGE_SKIPPED);
		}
	}
}

static void count_to_do(struct cli_merge_run *r)
{
	for (uint32_t row = 1; row <= r->plan->rows; row++)
		r->to_do += is_to_do(r, row, false);
	r->before = merge_journal_count(r->journal, MERGE_SENT);
}

static void send_round(struct cli_merge_run *r, struct pace *p, bool second)
{
	for (uint32_t row = 1; row <= r->plan->rows && r->stop == CLI_MERGE_THROUGH; row++) {
		if (!is_to_do(r, row, second))
			continue;
		if (wait_until(r, p->next_us))
			send_row(r, p, row);
		else
			stop_here(r, CLI_MERGE_INTERRUPTED, CLI_LATER, "interrupted");
		cli_merge_print_progress(r, false);
	}
}

void cli_merge_send(struct cli_merge_run *r)
{
	const struct cli_merge *o = r->plan->o;
	struct pace p = { .gap_us = o->rate > 0 ? (uint64_t)(60e6 / o->rate) : 0,
			  .pause_us = (o->pause_s ? o->pause_s : PAUSE_S) * UINT64_C(1000000) };
	uint32_t sent;

	r->terminal = isatty(STDERR_FILENO);
	if (r->terminal)
		cli_merge_say_one_click(r->plan);
	id_source_init(&r->ids, 0);
	settle(r);
	count_to_do(r);
	sent = r->before;
	cli_carrier_keep(o->carrier);
	watch_signals(true);
	send_round(r, &p, false);
	/* Those that were not taken now: some minutes later, perhaps. */
	if (r->stop == CLI_MERGE_THROUGH && merge_journal_count(r->journal, MERGE_SENT) > sent)
		send_round(r, &p, true);
	watch_signals(false);
	cli_merge_print_progress(r, true);
	(void)merge_journal_sync(r->journal);
}
