#include "cli/send_merge_judge.h"

static bool is_slow_class(enum route_class c)
{
	return c == ROUTE_CLASS_RATE_LIMIT || c == ROUTE_CLASS_CONNECTIONS || c == ROUTE_CLASS_QUOTA ||
	       c == ROUTE_CLASS_SYSTEM;
}

static bool is_of_recipient(enum route_class c)
{
	return c == ROUTE_CLASS_GREYLIST || c == ROUTE_CLASS_MAILBOX_FULL ||
	       c == ROUTE_CLASS_MAILBOX_DISABLED || c == ROUTE_CLASS_MAILBOX_BUSY ||
	       c == ROUTE_CLASS_NO_SUCH_USER || c == ROUTE_CLASS_NO_SUCH_DOMAIN || c == ROUTE_CLASS_DNS;
}

struct route_meaning cli_merge_meaning(const struct carry_rcpt *t)
{
	struct route_reply reply = { .code = t->code,
				     .enhanced = slice_str(t->enhanced),
				     .text = slice_str(t->text),
				     .step = SMTP_CLIENT_AT_RCPT };

	for (unsigned i = 0; t->step && i < SMTP_CLIENT_STEPS; i++)
		if (!strcmp(smtp_client_step_name((enum smtp_client_step)i), t->step))
			reply.step = (enum smtp_client_step)i;
	return route_classify(&reply, NULL, 0);
}

/* Of what is not for good: that it means us and now, not this recipient. */
static bool asks_for_patience(const struct carry_rcpt *t, const struct route_meaning *m)
{
	if (t->in_doubt || t->code == 0)
		return false;
	if (t->code == 421 || (t->step && !strcmp(t->step, "mail")))
		return true; /* no recipient was named yet */
	if (is_of_recipient(m->class))
		return false;
	if (t->code >= 500)
		return true; /* what it says is that we send too much */
	return t->code == 451 || t->code == 454 || !strncmp(t->enhanced, "4.7.", 4) ||
	       is_slow_class(m->class);
}

enum merge_state cli_merge_state(const struct carry_rcpt *t, const struct route_meaning *m)
{
	if (!t->tried)
		return MERGE_DEFERRED;
	if (t->result == IPC_JOB_DELIVERED)
		return MERGE_SENT;
	if (t->in_doubt)
		return MERGE_DOUBTFUL;
	return t->result == IPC_JOB_FAILED && m->action == ROUTE_FAIL ? MERGE_REFUSED : MERGE_DEFERRED;
}

static bool is_refusal_of_us(const struct carry_rcpt *t, const struct route_meaning *m, bool one_sender)
{
	/* A size, or what the server lacks, is of this message. */
	return one_sender && t->tried && t->code >= 500 && t->step && !strcmp(t->step, "mail") &&
	       m->class != ROUTE_CLASS_SIZE && m->class != ROUTE_CLASS_LACKS_FEATURE;
}

enum cli_merge_verdict cli_merge_judge(const struct carry_result *res, const struct carry_rcpt *worst,
				       const struct route_meaning *m, bool one_sender, bool worked)
{
	enum merge_state state;

	if (res->end == IPC_LANE_TLS || res->end == IPC_LANE_AUTH || res->end == IPC_LANE_NOWHERE)
		return CLI_MERGE_ENDED;
	if (!worst || !worst->tried) /* where it worked before, it will again: the server starts anew */
		return worked || res->reached ? CLI_MERGE_SLOW : CLI_MERGE_NO_SERVER;
	if (is_refusal_of_us(worst, m, one_sender))
		return CLI_MERGE_US;
	state = cli_merge_state(worst, m);
	if (state == MERGE_DEFERRED && (asks_for_patience(worst, m) || worst->code == 0))
		return CLI_MERGE_SLOW;
	return CLI_MERGE_NEXT;
}

bool cli_merge_is_same(const struct merge_line *l, enum route_class class)
{
	bool whole = l->step && strcmp(l->step, "rcpt") != 0;

	return l->state == MERGE_REFUSED && l->code > 0 &&
	       (whole || class == ROUTE_CLASS_AUTH || class == ROUTE_CLASS_RELAY_DENIED ||
		class == ROUTE_CLASS_SENDER);
}
