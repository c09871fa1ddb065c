/* Whatever the facts and whatever keeper says, a stranger relays nothing, nobody
 * sends as somebody else, and a refusal is one proper reply line.
 *
 * Input: bytes of facts and verdict, then the local part and the domain of a path. */
#include <stdlib.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FACTS 8

static void check_reply(const struct policy_check *check)
{
	struct policy_reply r;
	struct slice text;

	policy_reply(check, &r);
	text = slice_str(r.text);
	if (r.code < 400 || r.code > 599 || r.enhanced[0] != '0' + r.code / 100)
		abort();
	if (text.n == 0 || text.n > 490)
		abort();
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] == 0x7f)
			abort();
	if (policy_name(check)[0] == 0)
		abort();
}

/* What the contract of the ports says, without the table. */
static bool may_pass(enum policy_stage stage, const struct policy_facts *f, enum policy_verdict v, bool asked)
{
	bool may_relay = f->authenticated || f->trusted || f->role == SMTP_LOCAL;

	switch (stage) {
	case POLICY_CONNECT:
		return !f->draining && f->limited == LIMIT_NONE;
	case POLICY_MAIL:
		if (f->queue_away || f->queue_result != 0 || f->limited != LIMIT_NONE)
			return false;
		if (f->role == SMTP_SUBMISSION && !f->authenticated && !f->trusted)
			return false;
		if (f->role == SMTP_SUBMISSION && f->authenticated && !f->path->null)
			return asked && v == POLICY_VERDICT_OK;
		return true;
	case POLICY_RCPT:
		return f->limited == LIMIT_NONE && asked &&
		       (v == POLICY_VERDICT_OK || (v == POLICY_VERDICT_NOT_LOCAL && may_relay));
	case POLICY_DATA:
		return !f->queue_away && f->queue_result == 0;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size), rest;
	struct smtp_path path = { 0 };
	struct policy_facts f = { 0 };
	struct policy_check check;
	enum policy_stage stage;
	enum policy_verdict verdict;
	enum policy_step step;
	bool asked = false;

	if (size < FACTS)
		return 0;
	rest = slice_tail(in, FACTS);
	path.null = data[0] & 1;
	path.local = slice_head(rest, rest.n / 2);
	path.domain = slice_tail(rest, rest.n / 2);
	f.path = &path;
	f.role = (enum smtp_role)(data[1] % 3);
	f.authenticated = data[0] & 2;
	f.trusted = data[0] & 4;
	f.draining = data[0] & 8;
	f.queue_away = data[0] & 16;
	f.keeper_away = data[0] & 32;
	f.queue_result = data[2] & 3 ? 0 : data[2];
	f.limited = data[3] & 1 ? (enum limit_kind)(data[3] / 2 % LIMIT_KINDS) : LIMIT_NONE;
	f.limit_max = data[4];
	f.limit_period_s = data[5] * 60U;
	f.retry_s = data[6] * 100U;
	f.login = path.local;
	f.advice = path.domain;
	stage = (enum policy_stage)(data[7] % 4);
	verdict = (enum policy_verdict)(data[7] / 4 % 7);

	step = policy_start(&check, stage, &f);
	if (step == POLICY_ASK) {
		if (policy_question(&check) == POLICY_ASKS_NOTHING)
			abort();
		asked = true;
		step = policy_answer(&check, verdict);
	}
	if (step == POLICY_ASK) /* a stage has one question */
		abort();
	if ((step == POLICY_PASS) != may_pass(stage, &f, verdict, asked))
		abort();
	if (step == POLICY_REFUSE)
		check_reply(&check);
	/* No answer is not a reason to lose mail. */
	if (step == POLICY_REFUSE && asked && verdict == POLICY_VERDICT_TRY_LATER) {
		struct policy_reply r;

		policy_reply(&check, &r);
		if (r.code >= 500)
			abort();
	}
	return 0;
}
