/* postern send: composes a message, or takes one that is ready, and submits it. */
#include "cli/send.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"
#include "cli/cli.h"
#include "cli/maillog.h"
#include "cli/send_accounts.h"
#include "cli/send_options.h"
#include "cli/text.h"
#include "conf/file.h"

#define LIST_MAX (1U << 20)

/* ---- the message ---- */

static bool read_part(const char *file, struct buf *to)
{
	int r = file ? conf_file_read(cli_send_is_stdin(file) ? "/dev/stdin" : file, to) : 0;

	if (r < 0)
		fprintf(stderr, "postern send: %s: %s\n", file, strerror(-r));
	return r == 0;
}

struct slice cli_send_domain_of(struct slice from)
{
	struct slice s = from;
	size_t at = slice_rfind(s, '@'), n = 0;

	s = at < s.n ? slice_tail(s, at + 1) : SLICE_LIT("");
	while (n < s.n &&
	       ((s.p[n] >= '0' && s.p[n] <= '9') || ((s.p[n] | 0x20) >= 'a' && (s.p[n] | 0x20) <= 'z') ||
		s.p[n] == '-' || s.p[n] == '.'))
		n++;
	return n > 0 ? slice_head(s, n) : SLICE_LIT("localhost");
}

static int compose(struct cli_send_options *o, struct draft *d, const char *from,
		   struct mime_problem *problem)
{
	struct id_source ids;
	struct id id;
	struct draft_parts parts = { .message = { .from = slice_str(from),
						  .reply_to = slice_str(o->reply_to),
						  .to = buf_slice(&o->to),
						  .cc = buf_slice(&o->cc),
						  .subject = slice_str(o->subject),
						  .has_subject = o->subject != NULL,
						  .date_ms = cli_now_ms(),
						  .hostname = cli_send_domain_of(slice_str(from)),
						  .has_text = o->text || o->text_file,
						  .has_html = o->html_file != NULL,
						  .text = o->text ? slice_str(o->text)
								  : buf_slice(&o->text_read),
						  .html = buf_slice(&o->html_read),
						  .header = o->field,
						  .headers = o->fields },
				     .bcc = buf_slice(&o->bcc),
				     .file = o->file,
				     .files = o->files };

	id_source_init(&ids, 0);
	id = id_next(&ids, cli_now_ms());
	parts.message.id = id_slice(&id);
	return draft_compose(d, &parts, problem);
}

static int read_message(struct cli_send_options *o, struct draft *d, const char *from,
			struct mime_problem *problem)
{
	struct id_source ids;
	struct id id;
	const struct submit_account *a = cli_carrier_account(o->carrier);
	struct letter_setup setup = { .recipients_from_header = o->to.n == 0,
				      .sender_from_header = true,
				      .has_sender = o->from != NULL,
				      .sender = slice_str(o->from),
				      .fallback = slice_str(from),
				      .full_name = slice_str(a ? a->full_name : ""),
				      .hostname = cli_send_domain_of(slice_str(from)) };
	int fd = cli_send_is_stdin(o->message) ? dup(STDIN_FILENO) : open(o->message, O_RDONLY | O_CLOEXEC),
	    r;

	if (fd < 0) {
		r = -errno;
		(void)mime_problem_set(problem, MIME_FINE, SLICE_LIT("message"), slice_str(o->message));
		return r;
	}
	id_source_init(&ids, 0);
	id = id_next(&ids, cli_now_ms());
	setup.id = id_slice(&id);
	setup.time_ms = cli_now_ms();
	r = 0;
	if (submit_envelope_add(&d->envelope, buf_slice(&o->to), SLICE_LIT(""), SLICE_LIT("To"), problem) !=
	    MIME_FINE)
		r = -EBADMSG;
	if (r == 0)
		r = draft_read(d, fd, &setup, problem);
	close(fd);
	return r;
}

/* The account's name and its address, as a mailbox of RFC 5322 3.4. */
static const char *named(struct cli_send_options *o, const char *address)
{
	const struct submit_account *a = cli_carrier_account(o->carrier);

	if (!a || !a->full_name[0] || !*address)
		return address;
	buf_byte(&o->mailbox, '"');
	for (const char *c = a->full_name; *c; c++) {
		if (*c == '"' || *c == '\\')
			buf_byte(&o->mailbox, '\\');
		buf_byte(&o->mailbox, (unsigned char)*c);
	}
	buf_fmt(&o->mailbox, "\" <%s>", address);
	buf_byte(&o->mailbox, '\0');
	return buf_ok(&o->mailbox) ? (const char *)buf_slice(&o->mailbox).p : address;
}

static int make(struct cli_send_options *o, struct draft *d)
{
	const char *address = o->from ? o->from : cli_carrier_from(o->carrier);
	struct mime_problem problem = { 0 };
	struct buf words;
	int r;

	if (!read_part(o->text_file, &o->text_read) || !read_part(o->html_file, &o->html_read))
		return CLI_FAILED;
	r = o->message ? read_message(o, d, address, &problem)
		       : compose(o, d, o->from ? o->from : named(o, address), &problem);
	if (r == 0)
		return CLI_OK;
	buf_init(&words, 1024);
	if (r == -EBADMSG)
		mime_problem_put(&problem, &words);
	else if (problem.about[0])
		buf_fmt(&words, "%s: %s", problem.about, strerror(-r));
	else
		buf_str(&words, strerror(-r));
	fprintf(stderr, "postern send: %.*s\n", SLICE_ARG(buf_slice(&words)));
	buf_done(&words);
	return CLI_FAILED;
}

int cli_send_print_draft(const struct draft *d)
{
	char room[65536];
	uint64_t at = 0;
	ssize_t n;

	fprintf(stderr, "from <%s>\n", d->envelope.sender);
	for (size_t i = 0; i < d->envelope.recipients; i++)
		fprintf(stderr, "to <%s>\n", d->envelope.recipient[i]->address);
	while ((n = draft_chunk(d, at, room, sizeof(room))) > 0) {
		fwrite(room, 1, (size_t)n, stdout);
		at += (uint64_t)n;
	}
	return n == 0 && fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

/* ---- submitting ---- */

static int submit(struct cli_send_options *o, const struct draft *d)
{
	struct cli_outbox_by by = { "send", o->carrier, &o->by };
	struct cli_sent s = { cli_carrier_provider(o->carrier), d, NULL, o->verbose,
			      cli_carrier_by(o->carrier) };
	const struct submit_account *a = cli_carrier_account(o->carrier);
	bool queue = o->outbox.queue || (a && a->queue);
	int status = cli_carrier_send(o->carrier, d, &s.r);

	return status == CLI_OK ? cli_send_finish(queue, &by, &s, o->json) : status;
}

static int test(struct cli_send_options *o)
{
	struct cli_send_trial_ask ask = { .t = &o->test,
					  .carrier = o->carrier,
					  .by = &o->by,
					  .from = o->from ? o->from : cli_carrier_from(o->carrier),
					  .verbose = o->verbose,
					  .json = o->json };

	buf_byte(&o->to, '\0');
	if (!buf_ok(&o->to))
		return cli_usage("send", "too many recipients");
	ask.to = (const char *)buf_slice(&o->to).p;
	return cli_send_trial(&ask);
}

static int make_and_send(struct cli_send_options *o, struct draft *d)
{
	int status;

	if (o->test.on)
		return test(o);
	status = make(o, d);
	if (status != CLI_OK)
		return status;
	return o->dry_run ? cli_send_print_draft(d) : submit(o, d);
}

static int merge(struct cli_send_options *o)
{
	const struct submit_account *a = cli_carrier_account(o->carrier);
	struct cli_merge *m = &o->merge;

	m->carrier = o->carrier;
	m->from = o->from ? o->from : named(o, cli_carrier_from(o->carrier));
	if (a && m->rate <= 0)
		m->rate = a->messages_per_minute;
	m->html = o->html_file;
	m->file = o->file;
	m->files = o->files;
	m->verbose = o->verbose;
	m->dry_run = o->dry_run;
	m->json = o->json;
	return cli_send_merge(m);
}

/* Who flushes every ten minutes is not told each time that a server is away. */
static void log_end(const struct cli_send_options *o, int status)
{
	bool flushes = o->outbox.what == CLI_SEND_FLUSH,
	     passes = status == CLI_LATER || status == CLI_NO_SERVER;

	if (o->list_accounts || o->dry_run || (o->outbox.what && !flushes))
		return;
	if (!flushes || (status != CLI_OK && !passes))
		cli_maillog_end(status);
}

int cli_send(int argc, char **argv)
{
	struct cli_send_options *o = calloc(1, sizeof(*o));
	struct draft d;
	int status;

	if (!o || draft_init(&d) < 0) {
		fprintf(stderr, "postern send: out of memory\n");
		free(o);
		return CLI_LATER;
	}
	o->by.program = "send";
	cli_maillog_begin("send");
	buf_init(&o->to, LIST_MAX);
	buf_init(&o->cc, LIST_MAX);
	buf_init(&o->bcc, LIST_MAX);
	buf_init(&o->text_read, DRAFT_TEXT_MAX);
	buf_init(&o->html_read, DRAFT_TEXT_MAX);
	buf_init(&o->mailbox, 4096);
	status = cli_send_options(argc, argv, o);
	if (status == CLI_OK && o->outbox.what)
		status = cli_send_outbox(&o->outbox, &o->by, o->verbose, o->json);
	else if (status == CLI_OK)
		status = o->list_accounts ? cli_accounts_list("send", o->json)
			 : o->merge.list  ? merge(o)
					  : make_and_send(o, &d);
	log_end(o, status);
	buf_done(&o->to);
	buf_done(&o->cc);
	buf_done(&o->bcc);
	buf_done(&o->text_read);
	buf_done(&o->html_read);
	buf_done(&o->mailbox);
	cli_carrier_free(o->carrier);
	draft_done(&d);
	free(o);
	return status;
}
