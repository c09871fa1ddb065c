/* policy.h - who may do what on which listener, as an ordered list of checks.
 *
 * An engine: it is told facts and asked about one stage of a session; it
 * passes, refuses with a reply, or names the one question that its caller has to
 * put to the keeper of accounts.  It owns nothing and sees no socket:
 *
 *	step = policy_start(&check, stage, &facts)
 *	while step is POLICY_ASK:
 *		ask the keeper what policy_question() says
 *		step = policy_answer(&check, verdict)
 *	if step is POLICY_REFUSE: policy_reply(&check)
 *
 * The facts and what they point at must outlive the check.  All checks are rows of one
 * table in policy.c; a new rule is a new row.
 */
#ifndef POSTERN_POLICY_POLICY_H
#define POSTERN_POLICY_POLICY_H

#include "policy/limit.h"
#include "smtp/server.h"

enum policy_stage {
	POLICY_CONNECT, /* before the greeting */
	POLICY_MAIL,
	POLICY_RCPT,
	POLICY_DATA, /* before the body */
};

enum policy_step { POLICY_PASS, POLICY_ASK, POLICY_REFUSE };

enum policy_question {
	POLICY_ASKS_NOTHING,
	POLICY_ASKS_SENDER,    /* may this account send as this address? */
	POLICY_ASKS_RECIPIENT, /* who is this, here? */
};

/* What keeper says to either question. */
enum policy_verdict {
	POLICY_VERDICT_OK,
	POLICY_VERDICT_NOT_LOCAL,
	POLICY_VERDICT_NO_SUCH_USER,
	POLICY_VERDICT_DISABLED,
	POLICY_VERDICT_NOT_YOURS,
	POLICY_VERDICT_LOOP,
	POLICY_VERDICT_TRY_LATER, /* also: keeper is away, or did not answer in time */
	POLICY_VERDICT_REPORTS_ONLY,
};

struct policy_facts {
	enum smtp_role role;
	bool authenticated; /* its account is known */
	/* Whoever connects may send to anywhere: its network is in relay_from, or the
	 * listener is open by the override for closed test networks. */
	bool trusted;
	struct slice login;  /* of the account; for texts */
	struct slice advice; /* where users submit, as smtp_advice_where() wrote it */

	enum limit_kind limited; /* CONNECT, MAIL, RCPT: the limit that is reached; or none */
	uint32_t limit_max;
	unsigned limit_period_s, retry_s;
	bool draining; /* CONNECT: the server is being stopped */

	int queue_result;	      /* MAIL, DATA: 0, or the errno for which the queue takes nothing */
	bool queue_away, keeper_away; /* they are being restarted */
	const struct smtp_path *path; /* MAIL, RCPT */
};

struct policy_reply {
	int code;
	const char *enhanced;
	char text[448]; /* one line, fits a reply line of RFC 5321 4.5.3.1.5 */
};

struct policy_check {
	const struct policy_facts *facts;
	enum policy_stage stage;
	size_t row;
	enum policy_verdict verdict;
	bool answered;
};

enum policy_step policy_start(struct policy_check *check, enum policy_stage stage,
			      const struct policy_facts *facts);
enum policy_question policy_question(const struct policy_check *check);
enum policy_step policy_answer(struct policy_check *check, enum policy_verdict verdict);
/* After POLICY_REFUSE: what the client is told. */
void policy_reply(const struct policy_check *check, struct policy_reply *ret);
/* The name of the check that refused, for logs: "relay", "sender" ... */
const char *policy_name(const struct policy_check *check);

#endif
