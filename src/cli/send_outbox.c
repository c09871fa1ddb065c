#include "cli/send_outbox.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/maillog.h"
#include "cli/text.h"

bool cli_send_outbox_option(struct cli_send_outbox *x, int c, const char *arg, bool *ret_ok)
{
	*ret_ok = true;
	switch (c) {
	case CLI_SEND_QUEUE:
		x->queue = true;
		return true;
	case CLI_SEND_RETRY:
	case CLI_SEND_DROP:
		*ret_ok = x->ids < CLI_OUTBOX_IDS_MAX;
		if (*ret_ok)
			x->id[x->ids++] = arg;
		break;
	case CLI_SEND_FLUSH:
	case CLI_SEND_LIST:
		break;
	default:
		return false;
	}
	x->many = x->many || (x->what != 0 && x->what != c);
	x->what = c;
	return true;
}

int cli_send_outbox(const struct cli_send_outbox *x, const struct cli_carrier_setup *by, unsigned verbose,
		    bool json)
{
	struct cli_outbox_ask ask = {
		.program = by->program, .by = *by, .ids = x->ids, .verbose = verbose, .json = json
	};

	if (x->many || x->queue)
		return cli_usage(by->program,
				 "--queue, --flush, --list, --retry and --drop exclude each other");
	memcpy(ask.id, x->id, sizeof(ask.id));
	switch (x->what) {
	case CLI_SEND_FLUSH:
		return cli_outbox_flush(&ask);
	case CLI_SEND_RETRY:
		return cli_outbox_retry(&ask);
	case CLI_SEND_DROP:
		return cli_outbox_drop(&ask);
	default:
		return cli_outbox_list(&ask);
	}
}

/* ---- behind a message ---- */

static bool was_refused(const struct carry_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->rcpt[i].tried && r->rcpt[i].result == IPC_JOB_FAILED)
			return true;
	return false;
}

static bool was_tried(const struct carry_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->rcpt[i].tried)
			return true;
	return false;
}

static bool is_unsure(const struct carry_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->rcpt[i].tried && r->rcpt[i].in_doubt)
			return true;
	return false;
}

static void say_kept(const char *program, const struct id *id, const struct carry_result *r)
{
	if (is_unsure(r))
		fprintf(stderr,
			"postern %s: perhaps it was sent all the same, so it is not sent again by itself: "
			"kept in "
			"the outbox as %s, postern send --list says what to do\n",
			program, id->text);
	else
		fprintf(stderr,
			"postern %s: kept in the outbox as %s: it goes with the next `postern send` by that "
			"server, or with `postern send --flush`\n",
			program, id->text);
}

/* Why it is kept is one line: there is nothing to do, and cron sends every word. */
static void say(const char *program, const struct cli_sent *s, const struct id *kept)
{
	if (kept && s->verbose == 0 && !was_tried(s->r)) {
		fprintf(stderr, "postern %s: ", program);
		cli_put_clean(stderr, s->r->text, false);
		fputc('\n', stderr);
	} else {
		cli_send_print(s);
	}
	if (kept)
		say_kept(program, kept, s->r);
}

static int print(const struct cli_outbox_by *by, json_t *j, int status, const struct id *kept,
		 const struct cli_outbox_count *c)
{
	int bad = json_object_set_new(j, "exit", json_integer(status));

	bad |= json_object_set_new(j, "kept", *kept->text ? json_string(kept->text) : json_null());
	bad |= json_object_set_new(j, "outbox",
				   json_pack("{s:I, s:I, s:I, s:I}", "sent", (json_int_t)c->sent, "waiting",
					     (json_int_t)c->waiting, "unsure", (json_int_t)c->unsure,
					     "failed", (json_int_t)c->failed));
	if (bad || json_dumpf(j, stdout, JSON_INDENT(1)) < 0) {
		fprintf(stderr, "postern %s: out of memory\n", by->program);
		return CLI_LATER;
	}
	putchar('\n');
	return status;
}

int cli_send_finish(bool queue, const struct cli_outbox_by *by, const struct cli_sent *s, bool json)
{
	int status = cli_send_status(s);
	json_t *j = json ? cli_send_json(s) : NULL;
	struct cli_outbox_count c = { 0 };
	struct id kept = { "" };
	bool keeps;

	keeps = queue && cli_outbox_wants(s->r) && cli_outbox_keep(by, s->draft, s->r, &kept) == CLI_OK;
	if (keeps)
		status = was_refused(s->r) ? CLI_FAILED : CLI_OK;
	cli_maillog(&(struct cli_maillog){ .status = status,
					   .carrier = by->carrier,
					   .draft = s->draft,
					   .r = s->r,
					   .kept = keeps ? kept.text : NULL });
	if (!json)
		say(by->program, s, keeps ? &kept : NULL);
	if (s->r->reached && s->r->end == IPC_LANE_IN_ORDER)
		cli_outbox_also(by, &c); /* the answer is gone with that */
	if (json) {
		status = print(by, j, status, &kept, &c);
		json_decref(j);
	} else {
		cli_outbox_hint(by->program, &c);
	}
	return status;
}
