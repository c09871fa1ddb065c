/* outbox_flush.c - what waits in the outbox is sent: all of it by server, or what is for one that was
 * reached. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/maillog.h"
#include "cli/outbox_private.h"
#include "cli/text.h"

#define NOT_AGAIN_MS (UINT64_C(300000)) /* a message that was told to come later, beside another one */
#define DAYS	     5			/* OUTBOX_AGE_MS, in words */

/* One message, as it is being sent. */
struct sending {
	struct outbox *o;
	struct outbox_message m;
	size_t *rcpt; /* its recipients that wait, by their number there */
	bool *noted;  /* what came of it is in the file already */
	size_t n;
	int error; /* of noting it */
};

struct flush {
	const char *program;
	struct outbox *o;
	struct cli_carrier *carrier;
	unsigned verbose;
	bool quiet; /* beside another message */
	json_t *told;
	int status;
	size_t sent;
};

static void worse(struct flush *f, int status)
{
	/* What needs somebody stands before what passes by itself. */
	static const int order[] = { CLI_FAILED, CLI_USAGE, CLI_LATER, CLI_NO_SERVER, CLI_OK };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (f->status == order[i] || status == order[i]) {
			f->status = order[i];
			return;
		}
}

/* ---- one message ---- */

static int note(struct sending *s, const struct carry_result *r, bool unsure, const char *text)
{
	struct outbox_outcome *o = calloc(s->n, sizeof(*o));
	size_t n = 0;
	int error = 0;

	if (!o)
		return -ENOMEM;
	for (size_t i = 0; i < s->n && i < r->n; i++) {
		const struct carry_rcpt *t = &r->rcpt[i];

		if (s->noted[i] || !t->tried || t->result == IPC_JOB_DEFERRED)
			continue;
		s->noted[i] = true;
		o[n++] = (struct outbox_outcome){
			s->rcpt[i], t->result == IPC_JOB_DELIVERED ? OUTBOX_TAKEN : OUTBOX_REFUSED, t->text
		};
	}
	if (n > 0 || unsure)
		error = outbox_outcomes(s->o, &s->m, o, n, unsure, true, text, cli_now_ms());
	else if (text)
		error = outbox_waits(s->o, &s->m, r->reached, text, cli_now_ms());
	free(o);
	return error;
}

/* Before the server can have it: what is known of those before, and that it is on its way.  When that cannot
 * be written down it is not sent. */
static int on_before(void *arg, const struct carry_result *so_far)
{
	struct sending *s = arg;

	s->error = note(s, so_far, false, NULL);
	if (s->error == 0)
		s->error = outbox_sending(s->o, &s->m, cli_now_ms());
	return s->error;
}

/* What is told of those that were not taken. */
static const char *reason(const struct sending *s, const struct carry_result *r)
{
	for (size_t i = 0; i < s->n && i < r->n; i++)
		if (r->rcpt[i].tried && r->rcpt[i].result == IPC_JOB_DEFERRED)
			return r->rcpt[i].text;
	return r->text;
}

static bool is_in_doubt(const struct sending *s, const struct carry_result *r)
{
	for (size_t i = 0; i < s->n && i < r->n; i++)
		if (r->rcpt[i].tried && r->rcpt[i].in_doubt)
			return true;
	return false;
}

static bool took_all(const struct sending *s, const struct carry_result *r)
{
	for (size_t i = 0; i < s->m.n; i++)
		if (s->m.rcpt[i].state == OUTBOX_REFUSED)
			return false;
	for (size_t i = 0; i < s->n && i < r->n; i++)
		if (!s->noted[i] && (!r->rcpt[i].tried || r->rcpt[i].result != IPC_JOB_DELIVERED))
			return false;
	return s->n == r->n;
}

static int expire(struct sending *s)
{
	char text[OUTBOX_TEXT_MAX + 1];
	uint64_t now = cli_now_ms();

	if (outbox_message_state(&s->m) != OUTBOX_WAITING || now < s->m.since_ms ||
	    now - s->m.since_ms < OUTBOX_AGE_MS)
		return 0;
	snprintf(text, sizeof(text), "given up after %d days; at last: %.400s", DAYS, s->m.text);
	return outbox_expired(s->o, &s->m, text, now);
}

static int settle(struct sending *s, const struct carry_result *r)
{
	int error;

	if (s->error < 0)
		return s->error;
	if (took_all(s, r))
		return outbox_remove(s->o, &s->m);
	error = note(s, r, is_in_doubt(s, r), reason(s, r));
	return error < 0 ? error : expire(s);
}

static bool prepare(struct sending *s, struct outbox *o, const char *id, struct draft *d, int *ret_error)
{
	int error = outbox_read(o, id, &s->m);

	*ret_error = error == -ENOENT ? 0 : error;
	if (error < 0 || outbox_message_state(&s->m) != OUTBOX_WAITING)
		return false;
	s->o = o;
	s->rcpt = calloc(s->m.n, sizeof(*s->rcpt));
	s->noted = calloc(s->m.n, sizeof(*s->noted));
	*ret_error = s->rcpt && s->noted ? outbox_draft(o, &s->m, d) : -ENOMEM;
	for (size_t i = 0; i < s->m.n && s->rcpt; i++)
		if (s->m.rcpt[i].state == OUTBOX_WAITS)
			s->rcpt[s->n++] = i;
	return *ret_error == 0;
}

/* ---- what is said ---- */

static void say(struct flush *f, const struct outbox_message *m, bool sent)
{
	enum outbox_state state = sent ? OUTBOX_DONE : outbox_message_state(m);
	FILE *to = sent ? stdout : stderr;

	cli_maillog_waited(m, state);
	if (f->told) {
		json_t *j = cli_outbox_json(m);

		if (j && sent)
			json_object_set_new(j, "state", json_string("sent"));
		json_array_append_new(f->told, j);
	}
	if (f->quiet || f->told)
		return;
	fprintf(to, "%s to ", m->id);
	cli_outbox_put_people(m, !sent, to);
	switch (state) {
	case OUTBOX_DONE:
		fputs(": sent\n", to);
		return;
	case OUTBOX_WAITING:
		fputs(": still waits: ", to);
		break;
	case OUTBOX_UNSURE:
		fputs(": perhaps sent: ", to);
		break;
	default:
		fputs(": failed: ", to);
	}
	cli_put_clean(to, cli_outbox_why(m), false);
	fputc('\n', to);
}

static int status_of(const struct outbox_message *m, const struct carry_result *r)
{
	if (outbox_message_state(m) != OUTBOX_WAITING)
		return CLI_FAILED;
	if (cli_outbox_is_final(r->end))
		return CLI_FAILED;
	return r->reached ? CLI_LATER : CLI_NO_SERVER;
}

/* False: with this server there is no sense in going on; *ret_text then says why, for the others.  */
static bool send_one(struct flush *f, const char *id, char ret_text[static OUTBOX_TEXT_MAX + 1])
{
	const struct carry_result *r = NULL;
	struct sending s = { 0 };
	struct draft d;
	bool on = true, sent = false;
	int error = draft_init(&d), status;

	if (error == 0 && prepare(&s, f->o, id, &d, &error)) {
		cli_carrier_before(f->carrier, on_before, &s);
		status = cli_carrier_send(f->carrier, &d, &r);
		cli_carrier_before(f->carrier, NULL, NULL);
		if (status != CLI_OK) {
			worse(f, status);
			on = false;
		} else {
			sent = s.error == 0 && took_all(&s, r);
			error = settle(&s, r);
			on = r->reached && !cli_outbox_is_final(r->end) && r->end != IPC_LANE_LOCAL;
			(void)slice_copy(slice_head(slice_str(r->text), OUTBOX_TEXT_MAX), ret_text,
					 OUTBOX_TEXT_MAX + 1);
			f->sent += sent;
			if (!sent)
				worse(f, status_of(&s.m, r));
			if (error == 0 || sent)
				say(f, &s.m, sent);
		}
	}
	if (error < 0) {
		worse(f, CLI_FAILED);
		if (!f->quiet)
			cli_outbox_error(f->program, id, error);
	}
	draft_done(&d);
	free(s.rcpt);
	free(s.noted);
	outbox_message_done(&s.m);
	return on;
}

/* Not asked once more for each of them. */
static void say_of_rest(struct flush *f, const char *id, const char *text)
{
	struct outbox_message m;

	if (!*text || outbox_read(f->o, id, &m) < 0)
		return;
	if (outbox_message_state(&m) == OUTBOX_WAITING &&
	    outbox_waits(f->o, &m, false, text, cli_now_ms()) == 0) {
		struct sending s = { .o = f->o, .m = m };

		(void)expire(&s);
		m = s.m;
		say(f, &m, false);
	}
	outbox_message_done(&m);
}

/* ---- all for one server ---- */

typedef bool picks(const struct outbox_message *m, const void *arg);

static void send_each(struct flush *f, const struct outbox_item *list, size_t n, picks *pick, const void *arg)
{
	char text[OUTBOX_TEXT_MAX + 1] = "";
	bool on = true;

	for (size_t i = 0; i < n; i++) {
		if (list[i].kind != OUTBOX_MESSAGE || outbox_message_state(&list[i].m) != OUTBOX_WAITING ||
		    !pick(&list[i].m, arg))
			continue;
		if (on)
			on = send_one(f, list[i].m.id, text);
		else
			say_of_rest(f, list[i].m.id, text);
	}
}

void cli_outbox_tally(struct outbox *o, struct cli_outbox_count *c)
{
	struct outbox_item *list;
	size_t n;
	bool more;

	if (outbox_list(o, &list, &n, &more) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		enum outbox_state s = outbox_message_state(&list[i].m);

		if (list[i].kind != OUTBOX_MESSAGE)
			continue;
		c->waiting += s == OUTBOX_WAITING;
		c->unsure += s == OUTBOX_UNSURE;
		c->failed += s == OUTBOX_FAILED;
	}
	outbox_list_free(list, n);
}

struct beside {
	const struct outbox_way *way;
	uint64_t now_ms;
};

static bool pick_beside(const struct outbox_message *m, const void *arg)
{
	const struct beside *b = arg;

	return cli_outbox_same_server(&m->way, b->way) &&
	       (!m->answered || b->now_ms - m->last_ms > NOT_AGAIN_MS);
}

void cli_outbox_also(const struct cli_outbox_by *by, struct cli_outbox_count *ret)
{
	struct cli_outbox_way *way = malloc(sizeof(*way));
	struct flush f = { .program = by->program, .carrier = by->carrier, .quiet = true };
	struct beside b = { .now_ms = cli_now_ms() };
	struct outbox_item *list;
	size_t n;
	bool none, more;
	int lock;

	*ret = (struct cli_outbox_count){ 0 };
	if (way && cli_outbox_way(by, way))
		f.o = cli_outbox_open(by->program, false, &none);
	if (f.o && outbox_lock(f.o, &way->way, &lock) == 0) {
		b.way = &way->way;
		if (outbox_list(f.o, &list, &n, &more) == 0) {
			cli_carrier_keep(by->carrier);
			send_each(&f, list, n, pick_beside, &b);
			outbox_list_free(list, n);
		}
		outbox_unlock(f.o, lock);
	}
	if (f.o)
		cli_outbox_tally(f.o, ret);
	ret->sent = f.sent;
	outbox_close(f.o);
	free(way);
}

/* ---- all ---- */

struct chosen {
	const struct cli_outbox_ask *ask;
	const struct outbox_way *way;
};

static bool pick_chosen(const struct outbox_message *m, const void *arg)
{
	const struct chosen *c = arg;

	return cli_outbox_wanted(c->ask, m->id) && outbox_way_same(&m->way, c->way);
}

/* As it was when the message was kept. */
static struct cli_carrier_setup setup_of(const struct cli_outbox_ask *ask, const struct outbox_way *w)
{
	struct cli_carrier_setup s = ask->by;

	s.program = ask->program;
	s.account = w->account;
	s.url = w->url;
	s.mechanism = w->mechanism;
	if (!s.password_file)
		s.password_file = w->password_file;
	if (!s.net.ca_file)
		s.net.ca_file = w->ca_file;
	s.pins = w->pins;
	for (size_t i = 0; i < w->pins; i++)
		s.pin[i] = w->pin[i];
	return s;
}

static void flush_way(struct flush *f, const struct cli_outbox_ask *ask, const struct outbox_way *w,
		      const struct outbox_item *list, size_t n)
{
	struct cli_carrier_setup s = setup_of(ask, w);
	struct chosen c = { ask, w };
	int lock, r = outbox_lock(f->o, w, &lock), status;

	if (r == -EBUSY) {
		fprintf(stderr, "postern %s: another command is sending what waits for %s\n", f->program,
			cli_outbox_way_text(w));
		worse(f, CLI_LATER);
		return;
	}
	if (r < 0) {
		worse(f, cli_outbox_error(f->program, outbox_path(f->o), r));
		return;
	}
	status = cli_carrier_find(&f->carrier, &s);
	if (status == CLI_OK) {
		cli_carrier_keep(f->carrier);
		send_each(f, list, n, pick_chosen, &c);
		cli_carrier_free(f->carrier);
	} else {
		worse(f, CLI_FAILED);
	}
	f->carrier = NULL;
	outbox_unlock(f->o, lock);
}

static bool is_asked_for(const struct cli_outbox_ask *ask, const struct outbox_item *it)
{
	const struct cli_carrier_setup *by = &ask->by;

	return it->kind == OUTBOX_MESSAGE && outbox_message_state(&it->m) == OUTBOX_WAITING &&
	       cli_outbox_wanted(ask, it->m.id) &&
	       (!by->account || (it->m.way.account && !strcmp(by->account, it->m.way.account))) &&
	       (!by->url || (it->m.way.url && !strcmp(by->url, it->m.way.url)));
}

/* What a crash left between the last note and its end. */
static void sweep(struct flush *f, const struct outbox_item *it)
{
	int lock;

	if (it->kind != OUTBOX_MESSAGE || outbox_message_state(&it->m) != OUTBOX_DONE ||
	    outbox_lock(f->o, &it->m.way, &lock) < 0)
		return;
	(void)outbox_remove(f->o, &it->m);
	outbox_unlock(f->o, lock);
}

static void flush_list(struct flush *f, const struct cli_outbox_ask *ask, const struct outbox_item *list,
		       size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool first = is_asked_for(ask, &list[i]);

		sweep(f, &list[i]);
		for (size_t k = 0; k < i && first; k++)
			first = !is_asked_for(ask, &list[k]) ||
				!outbox_way_same(&list[k].m.way, &list[i].m.way);
		if (first)
			flush_way(f, ask, &list[i].m.way, list, n);
	}
}

static int told_json(struct flush *f, const char *path, const struct cli_outbox_count *c)
{
	json_t *j = json_pack("{s:s?, s:i, s:I, s:I, s:I, s:I, s:O}", "outbox", path, "exit", f->status,
			      "sent", (json_int_t)f->sent, "waiting", (json_int_t)c->waiting, "unsure",
			      (json_int_t)c->unsure, "failed", (json_int_t)c->failed, "messages", f->told);
	int status = cli_outbox_print_json(f->program, j);

	return status == CLI_OK ? f->status : status;
}

static int flush_asked(const struct cli_outbox_ask *ask)
{
	struct flush f = { .program = ask->program, .verbose = ask->verbose };
	struct cli_outbox_count c = { 0 };
	struct outbox_item *list;
	size_t n;
	bool none, more;
	int r;

	f.o = cli_outbox_open(ask->program, false, &none);
	if (!f.o && !none)
		return CLI_FAILED;
	if (ask->json)
		f.told = json_array();
	if (f.o) {
		r = outbox_list(f.o, &list, &n, &more);
		if (r == 0) {
			flush_list(&f, ask, list, n);
			outbox_list_free(list, n);
		} else {
			worse(&f, cli_outbox_error(ask->program, outbox_path(f.o), r));
		}
		cli_outbox_tally(f.o, &c);
	}
	if (ask->json)
		f.status = told_json(&f, f.o ? outbox_path(f.o) : NULL, &c);
	else
		cli_outbox_hint(ask->program,
				&(struct cli_outbox_count){ .unsure = c.unsure, .failed = c.failed });
	json_decref(f.told);
	outbox_close(f.o);
	return f.status;
}

int cli_outbox_flush(const struct cli_outbox_ask *ask)
{
	struct cli_outbox_way *way = calloc(1, sizeof(*way));
	struct cli_outbox_ask same = *ask;
	int status = CLI_USAGE;

	if (!way) {
		fprintf(stderr, "postern %s: out of memory\n", ask->program);
		return CLI_LATER;
	}
	if (!ask->by.url || cli_outbox_url(ask->program, ask->by.url, way)) {
		same.by.url = ask->by.url ? way->url : NULL;
		status = flush_asked(&same);
	}
	free(way);
	return status;
}
