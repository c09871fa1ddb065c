#include "cli/maillog.h"

#include <pwd.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/outbox.h"
#include "cli/overheard.h"
#include "conf/file.h"
#include "mime/header.h"

#define FIELDS_MAX 20
#define TEXT_MAX   400
#define HEAD_MAX   65536 /* octets of a message in which its Message-ID is looked for */
#define UP_MAX	   4	 /* shells between a program and us */

static struct {
	const char *program; /* NULL: nothing is logged */
	bool any;
} state;

static bool is_attended(void)
{
	return isatty(STDIN_FILENO) || isatty(STDOUT_FILENO) || isatty(STDERR_FILENO);
}

void cli_maillog_begin(const char *program)
{
	/* Who uses sendmail is a program, whoever began that. */
	if (!strcmp(program, "send") && is_attended())
		return;
	state.program = program;
	cli_overhear();
}

/* ---- who ---- */

struct who {
	char user[64], by[64];
};

static bool is_shell(struct slice name)
{
	static const struct slice shells[] = { SLICE_INIT("sh"), SLICE_INIT("dash"), SLICE_INIT("bash"),
					       SLICE_INIT("env"), SLICE_INIT("timeout") };

	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++)
		if (slice_eq(name, shells[i]))
			return true;
	return false;
}

/* "PID (NAME) STATE PARENT ...": the name may have anything in it, a ")" too.  0: no such process. */
static uint64_t parent_of(uint64_t pid, char name[static 64])
{
	char path[40];
	struct slice text;
	struct buf b;
	size_t open, close;
	uint64_t parent = 0;

	snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	buf_init(&b, 4096);
	if (conf_file_read(path, &b) == 0) {
		text = buf_slice(&b);
		open = slice_find(text, '(');
		close = slice_rfind(text, ')');
		if (close < text.n && open < close && close - open <= 64)
			(void)slice_copy(slice_head(slice_tail(text, open + 1), close - open - 1), name, 64);
		text = slice_tail(text, close + 4); /* ") S " */
		(void)cur_u64(&text, 1U << 30, &parent);
	}
	buf_done(&b);
	return parent;
}

static void find_who(struct who *w)
{
	struct passwd entry, *found = NULL;
	uint64_t pid = (uint64_t)getppid();
	char room[4096];

	*w = (struct who){ 0 };
	if (getpwuid_r(getuid(), &entry, room, sizeof(room), &found) == 0 && found)
		(void)slice_copy(slice_str(found->pw_name), w->user, sizeof(w->user));
	for (int up = 0; up < UP_MAX && pid > 1; up++) {
		pid = parent_of(pid, w->by);
		if (!is_shell(slice_str(w->by)))
			break;
	}
}

/* ---- a line ---- */

struct line {
	struct log_field f[FIELDS_MAX];
	size_t n;
	struct who who;
	struct mime_header header;
	struct buf text;
	char text_room[TEXT_MAX];
};

static void put(struct line *l, const char *key, struct slice value)
{
	if (value.n > 0)
		l->f[l->n++] = (struct log_field)LOG_S(key, value);
}

static void put_number(struct line *l, const char *key, uint64_t value)
{
	l->f[l->n++] = (struct log_field)LOG_U(key, value);
}

static void begin(struct line *l, const char *result)
{
	l->n = 0;
	mime_header_init(&l->header);
	buf_init_in(&l->text, l->text_room, sizeof(l->text_room));
	put(l, "result", slice_str(result));
}

static void put_who(struct line *l)
{
	find_who(&l->who);
	put_number(l, "uid", getuid());
	put(l, "user", slice_str(l->who.user));
	put(l, "by", slice_str(l->who.by));
}

/* The log is opened for the line only: what the lanes of the relay say besides is for a server's. */
static void end(struct line *l, int level)
{
	if (log_open(LOG_TO_SYSLOG, LOG_AS_KV, state.program, -1) == 0) {
		log_level(LOG_INFO);
		log_write(level, "submission", l->f, l->n);
		closelog();
	}
	log_level(LOG_CRIT);
	(void)log_open(LOG_TO_STDERR, LOG_AS_KV, "postern", -1);
	mime_header_done(&l->header);
	state.any = true;
}

static void put_draft(struct line *l, const struct draft *d)
{
	char room[4096];
	ssize_t n;

	for (uint64_t at = 0; at < HEAD_MAX && d->fd >= 0 && l->header.end == MIME_HEADER_OPEN;
	     at += (uint64_t)n) {
		n = draft_chunk(d, at, room, sizeof(room));
		if (n <= 0)
			break;
		mime_header_feed(&l->header, slice_of(room, (size_t)n));
	}
	if (d->envelope.sender)
		put(l, "from", d->envelope.sender[0] ? slice_str(d->envelope.sender) : SLICE_LIT("<>"));
	if (d->envelope.recipients > 0) {
		put(l, "to", slice_str(d->envelope.recipient[0]->address));
		put_number(l, "recipients", d->envelope.recipients);
	}
	put(l, "message_id", mime_header_message_id(&l->header));
	put_number(l, "size", d->octets);
}

static void put_carrier(struct line *l, const struct cli_carrier *c, const struct carry_result *r)
{
	const struct submit_account *a = cli_carrier_account(c);
	const struct provider *p = cli_carrier_provider(c);

	put(l, "account", slice_str(a ? a->name : ""));
	put(l, "host", slice_str(r && r->host[0] ? r->host : p->path[0] ? p->path : p->host));
	if (r && r->port > 0 && r->ip[0])
		put_number(l, "port", r->port);
}

/* ---- what came of it ---- */

static bool is_sent(const struct carry_rcpt *t)
{
	return t->tried && t->result == IPC_JOB_DELIVERED;
}

/* What a server said of the one who did not get it; of the last, if all did; or why there is no answer. */
static struct slice said_of(const struct carry_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->rcpt[i].tried && !is_sent(&r->rcpt[i]))
			return slice_str(r->rcpt[i].text);
	if (r->end != IPC_LANE_IN_ORDER || r->n == 0)
		return slice_str(r->text);
	return slice_str(r->rcpt[r->n - 1].text);
}

static bool is_unsure(const struct carry_result *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->rcpt[i].tried && r->rcpt[i].in_doubt)
			return true;
	return false;
}

static int level_of(const char *result)
{
	return !strcmp(result, "sent")	   ? LOG_INFO
	       : !strcmp(result, "kept")   ? LOG_NOTICE
	       : !strcmp(result, "failed") ? LOG_ERR
					   : LOG_WARNING;
}

static const char *result_of(const struct cli_maillog *m)
{
	if (m->r && is_unsure(m->r))
		return "unsure";
	if (m->status == CLI_OK)
		return m->kept ? "kept" : "sent";
	return m->status == CLI_LATER || m->status == CLI_NO_SERVER ? "deferred" : "failed";
}

static void put_sent(struct line *l, const struct carry_result *r)
{
	size_t sent = 0;

	for (size_t i = 0; i < r->n; i++)
		sent += is_sent(&r->rcpt[i]);
	if (sent > 0 && sent < r->n)
		put_number(l, "sent", sent);
}

void cli_maillog(const struct cli_maillog *m)
{
	const char *result = result_of(m);
	struct line l;

	if (!state.program)
		return;
	begin(&l, result);
	put_number(&l, "status", (unsigned)m->status);
	put_who(&l);
	if (m->draft)
		put_draft(&l, m->draft);
	if (m->r)
		put_sent(&l, m->r);
	if (m->carrier)
		put_carrier(&l, m->carrier, m->r);
	put(&l, "kept", slice_str(m->kept));
	if (m->text)
		buf_put(&l.text, slice_head(slice_str(m->text), TEXT_MAX));
	else if (m->r)
		buf_put(&l.text, slice_head(said_of(m->r), TEXT_MAX));
	else
		cli_overheard_put(state.program, &l.text);
	put(&l, "text", buf_slice(&l.text));
	end(&l, level_of(result));
}

void cli_maillog_end(int status)
{
	if (!state.any)
		cli_maillog(&(struct cli_maillog){ .status = status });
}

void cli_maillog_waited(const struct outbox_message *m, enum outbox_state became)
{
	static const char *const results[] = {
		[OUTBOX_UNSURE] = "unsure", [OUTBOX_FAILED] = "failed", [OUTBOX_DONE] = "sent"
	};
	bool before = state.any;
	struct line l;

	if (!state.program || became == OUTBOX_WAITING)
		return;
	begin(&l, results[became]);
	put_who(&l);
	put(&l, "from", m->sender[0] ? slice_str(m->sender) : SLICE_LIT("<>"));
	put(&l, "to", slice_str(m->n > 0 ? m->rcpt[0].address : ""));
	put_number(&l, "recipients", m->n);
	put_number(&l, "size", m->octets);
	put(&l, "account", slice_str(m->way.account));
	put(&l, "kept", slice_str(m->id));
	if (became != OUTBOX_DONE)
		put(&l, "text", slice_head(slice_str(cli_outbox_why(m)), TEXT_MAX));
	end(&l, level_of(results[became]));
	state.any = before; /* it was another message */
}
