/* What came of a message that sendmail sent: the exit status, and the words. */
#include <errno.h>
#include <sysexits.h>

#include "cli/send.h"
#include "cli/sendmail.h"
#include "cli/text.h"

#define NAMED_MAX 20 /* recipients that are told of one by one */

static bool is_good(const struct carry_rcpt *t)
{
	return t->tried && t->result == IPC_JOB_DELIVERED;
}

/* A reply that ends in 4yz or 5yz is not always taken at its word (route/classify.h): what counts is whether
 * it will be so the next time. */
static int status_of(const struct carry_rcpt *t, const struct carry_result *r)
{
	if (is_good(t))
		return EX_OK;
	if (t->tried)
		return t->result == IPC_JOB_FAILED
			       ? sendmail_exit(t->code >= 500 ? t->code : 554, slice_str(t->enhanced))
			       : EX_TEMPFAIL;
	if (r->end == IPC_LANE_AUTH)
		return r->enhanced[0] == '4' ? EX_TEMPFAIL : EX_NOPERM;
	return r->end == IPC_LANE_TLS || r->end == IPC_LANE_NOWHERE ? EX_UNAVAILABLE : EX_TEMPFAIL;
}

int cli_sendmail_status(const struct carry_result *r)
{
	int worst = EX_OK;

	for (size_t i = 0; i < r->n; i++)
		worst = sendmail_exit_worse(worst, status_of(&r->rcpt[i], r));
	return worst;
}

int cli_sendmail_unread(int r, const struct mime_problem *problem, struct buf *words)
{
	if (r == -EBADMSG || r == -ENOMEM)
		mime_problem_put(problem, words);
	else
		buf_str(words, strerrordesc_np(-r));
	if (r == -EBADMSG)
		return sendmail_exit_fault(problem->fault);
	/* What stands in for the message is none. */
	return r == -EBADF || r == -EISDIR ? EX_NOINPUT : EX_TEMPFAIL;
}

/* ---- words ---- */

static void begin(void)
{
	fputs("postern sendmail: ", stderr);
}

/* Of how many nothing good can be said, and of how many it is not known. */
struct count {
	size_t sent, doubtful, unreported;
};

static struct count count(const struct carry_result *r)
{
	struct count n = { 0 };

	for (size_t i = 0; i < r->n; i++) {
		n.sent += is_good(&r->rcpt[i]);
		n.doubtful += r->rcpt[i].in_doubt;
		n.unreported += r->rcpt[i].unreported;
	}
	return n;
}

static void say_recipients(const struct draft *d, const struct carry_result *r)
{
	size_t named = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct carry_rcpt *t = &r->rcpt[i];

		if (!t->tried || is_good(t))
			continue;
		if (named++ == NAMED_MAX) {
			begin();
			fputs("others, too\n", stderr);
			return;
		}
		begin();
		cli_put_clean(stderr, d->envelope.recipient[i]->address, false);
		fputs(t->result == IPC_JOB_FAILED ? " was refused: "
		      : t->in_doubt		  ? " may have got it, or not: "
						  : " not now: ",
		      stderr);
		cli_put_clean(stderr, t->text, false);
		fputc('\n', stderr);
	}
}

static void say_connection(const struct provider *p, const struct carry_result *r)
{
	begin();
	cli_put_clean(stderr, r->text, false);
	fputc('\n', stderr);
	if (p->path[0])
		return;
	begin();
	fputs("to see which ports and settings work from here: postern check ", stderr);
	cli_put_clean(stderr, p->host, false);
	if (p->port)
		fprintf(stderr, " -p %u", p->port);
	fputc('\n', stderr);
}

void cli_sendmail_say(const struct provider *p, const struct draft *d, const struct carry_result *r,
		      unsigned verbose)
{
	struct cli_sent tries = { p, d, r, verbose, NULL };
	struct count n = count(r);

	if (verbose > 0)
		cli_send_print_tries(&tries);
	say_recipients(d, r);
	if (r->end != IPC_LANE_IN_ORDER)
		say_connection(p, r);
	if (n.unreported > 0) {
		begin();
		fputs("sent; but that server sends no reports of success (DSN)\n", stderr);
	}
	if (n.sent == r->n && verbose == 0)
		return;
	begin();
	if (n.sent > 0)
		fprintf(stderr, "sent to %zu of %zu recipients\n", n.sent, r->n);
	else
		fputs(n.doubtful > 0 ? "it is not known whether the message was sent\n"
				     : "the message was not sent\n",
		      stderr);
}

void cli_sendmail_put(const struct draft *d, const struct carry_result *r, struct buf *to)
{
	struct count n = count(r);

	if (n.sent == r->n) {
		buf_fmt(to, "sent by %s", r->host);
		return;
	}
	if (n.sent > 0)
		buf_fmt(to, "sent to %zu of %zu recipients; ", n.sent, r->n);
	for (size_t i = 0; i < r->n; i++)
		if (r->rcpt[i].tried && !is_good(&r->rcpt[i])) {
			buf_fmt(to, "%s: %s", d->envelope.recipient[i]->address, r->rcpt[i].text);
			return;
		}
	buf_str(to, r->text);
}
