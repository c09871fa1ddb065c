/* postern send: composes a message, or takes one that is ready, and submits it. */
#include "cli/send.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/id.h"
#include "cli/carrier.h"
#include "cli/cli.h"
#include "cli/maillog.h"
#include "cli/send_accounts.h"
#include "cli/send_outbox.h"
#include "cli/send_merge.h"
#include "cli/send_trial.h"
#include "cli/text.h"
#include "conf/file.h"

#define LIST_MAX   (1U << 20)
#define FILES_MAX  256
#define FIELDS_MAX 64

struct options {
	struct cli_carrier_setup by;
	struct cli_carrier *carrier;
	const char *message, *text_file, *html_file;
	const char *from, *reply_to, *subject, *text;
	struct buf to, cc, bcc;
	struct draft_file file[FILES_MAX];
	size_t files;
	struct mime_extra field[FIELDS_MAX];
	size_t fields;
	unsigned verbose;
	bool dry_run, json, list_accounts;
	struct cli_send_outbox outbox;
	struct cli_merge merge;
	struct cli_send_trial test;
	/* Read. */
	struct buf text_read, html_read, mailbox;
};

/* ---- options ---- */

enum {
	O_URL = 256,
	O_ACCOUNT,
	O_ACCOUNTS,
	O_PROVIDER,
	O_USER,
	O_PASSWORD,
	O_FROM,
	O_TO,
	O_CC,
	O_BCC,
	O_REPLY_TO,
	O_SUBJECT,
	O_TEXT,
	O_TEXT_FILE,
	O_HTML,
	O_ATTACH,
	O_HEADER,
	O_MESSAGE,
	O_PIN,
	O_CA,
	O_MECHANISM,
	O_DNS,
	O_TIMEOUT,
	O_DRY,
	O_TRACE,
	O_JSON,
};

static const struct option long_options[] = {
	{ "url", required_argument, NULL, O_URL },
	{ "account", required_argument, NULL, O_ACCOUNT },
	{ "accounts", no_argument, NULL, O_ACCOUNTS },
	{ "provider", required_argument, NULL, O_PROVIDER },
	{ "user", required_argument, NULL, O_USER },
	{ "password-file", required_argument, NULL, O_PASSWORD },
	{ "from", required_argument, NULL, O_FROM },
	{ "to", required_argument, NULL, O_TO },
	{ "cc", required_argument, NULL, O_CC },
	{ "bcc", required_argument, NULL, O_BCC },
	{ "reply-to", required_argument, NULL, O_REPLY_TO },
	{ "subject", required_argument, NULL, O_SUBJECT },
	{ "text", required_argument, NULL, O_TEXT },
	{ "text-file", required_argument, NULL, O_TEXT_FILE },
	{ "html", required_argument, NULL, O_HTML },
	{ "attach", required_argument, NULL, O_ATTACH },
	{ "header", required_argument, NULL, O_HEADER },
	{ "message", required_argument, NULL, O_MESSAGE },
	{ "pin", required_argument, NULL, O_PIN },
	{ "ca-file", required_argument, NULL, O_CA },
	{ "mechanism", required_argument, NULL, O_MECHANISM },
	{ "dns", required_argument, NULL, O_DNS },
	{ "timeout", required_argument, NULL, O_TIMEOUT },
	{ "dry-run", no_argument, NULL, O_DRY },
	{ "trace", no_argument, NULL, O_TRACE },
	{ "json", no_argument, NULL, O_JSON },
	{ "verbose", no_argument, NULL, 'v' },
	CLI_SEND_OUTBOX_OPTIONS,
	CLI_MERGE_OPTIONS,
	CLI_SEND_TRIAL_OPTIONS,
	{ NULL, 0, NULL, 0 },
};

static void add(struct buf *list, const char *addresses)
{
	if (list->n > 0)
		buf_str(list, ", ");
	buf_str(list, addresses);
}

static bool add_field(struct options *o, const char *text)
{
	const char *colon = strchr(text, ':');

	if (!colon || o->fields == FIELDS_MAX)
		return false;
	o->field[o->fields++] = (struct mime_extra){ slice_of(text, (size_t)(colon - text)),
						     slice_trim(slice_str(colon + 1)) };
	return true;
}

static bool add_file(struct options *o, const char *path)
{
	if (o->files == FILES_MAX)
		return false;
	o->file[o->files++] = (struct draft_file){ .path = path };
	return true;
}

static bool add_pin(struct options *o, const char *text)
{
	if (o->by.pins == CARRY_PINS_MAX || !cli_carrier_pin_ok(text))
		return false;
	o->by.pin[o->by.pins++] = text;
	return true;
}

static bool set_mechanism(struct options *o, const char *text)
{
	int mechanism = conf_mechanism_find(slice_str(text));

	if (mechanism >= 0)
		o->by.mechanism = conf_mechanism_word(mechanism);
	return mechanism >= 0;
}

static bool add_dns(struct options *o, const char *text)
{
	struct endpoint e = { .port = 53 };

	if (o->by.net.n_dns == RESOLVE_SERVERS_MAX)
		return false;
	if (!ip_parse(slice_str(text), &e.ip) && (!endpoint_parse(slice_str(text), &e) || e.path[0]))
		return false;
	o->by.net.dns[o->by.net.n_dns++] = (struct resolve_server){ e.ip, e.port };
	return true;
}

static bool set_timeout(struct options *o, const char *text)
{
	struct slice s = slice_str(text);
	uint64_t n;

	if (!cur_u64(&s, 3600, &n) || n == 0 || s.n > 0)
		return false;
	o->by.timeout_s = (unsigned)n;
	return true;
}

/* False: it is not understood. */
static bool take_option(struct options *o, int c)
{
	const char **text = NULL;
	struct buf *list = NULL;
	bool ok;

	if (cli_send_outbox_option(&o->outbox, c, optarg, &ok) ||
	    cli_send_trial_option(&o->test, c, optarg, &ok))
		return ok;
	if (c >= CLI_MERGE_FIRST)
		return cli_merge_option(&o->merge, c, optarg);
	switch (c) {
	case O_ATTACH:
		return add_file(o, optarg);
	case O_HEADER:
		return add_field(o, optarg);
	case O_PIN:
		return add_pin(o, optarg);
	case O_MECHANISM:
		return set_mechanism(o, optarg);
	case O_DNS:
		return add_dns(o, optarg);
	case O_TIMEOUT:
		return set_timeout(o, optarg);
	case O_ACCOUNTS:
		o->list_accounts = true;
		return true;
	case O_DRY:
		o->dry_run = true;
		return true;
	case O_JSON:
		o->json = true;
		return true;
	case O_TRACE:
		o->verbose = 2;
		return true;
	case 'v':
		o->verbose += o->verbose == 0;
		return true;
	case O_TO:
		list = &o->to;
		break;
	case O_CC:
		list = &o->cc;
		break;
	case O_BCC:
		list = &o->bcc;
		break;
	case O_URL:
		text = &o->by.url;
		break;
	case O_ACCOUNT:
		text = &o->by.account;
		break;
	case O_PROVIDER:
		text = &o->by.provider;
		break;
	case O_USER:
		text = &o->by.user;
		break;
	case O_PASSWORD:
		text = &o->by.password_file;
		break;
	case O_FROM:
		text = &o->from;
		break;
	case O_REPLY_TO:
		text = &o->reply_to;
		break;
	case O_SUBJECT:
		text = &o->subject;
		break;
	case O_TEXT:
		text = &o->text;
		break;
	case O_TEXT_FILE:
		text = &o->text_file;
		break;
	case O_HTML:
		text = &o->html_file;
		break;
	case O_MESSAGE:
		text = &o->message;
		break;
	default:
		text = &o->by.net.ca_file;
		break;
	}
	if (list)
		add(list, optarg);
	else
		*text = optarg;
	return true;
}

static bool is_stdin(const char *file)
{
	return file && !strcmp(file, "-");
}

/* What a message has else is the template's to say. */
static int check_merge(const struct options *o)
{
	if (o->message || o->subject || o->text || o->text_file || o->fields || o->to.n || o->cc.n ||
	    o->bcc.n || o->reply_to)
		return cli_usage("send",
				 "with --merge the template says what a message has: only --from, --html "
				 "and --attach go with it");
	if (o->outbox.queue)
		return cli_usage("send",
				 "with --merge the list is its own queue: the same command again sends what "
				 "is left");
	if (is_stdin(o->merge.list) + is_stdin(o->merge.template) + is_stdin(o->html_file) +
		    is_stdin(o->by.password_file) >
	    1)
		return cli_usage("send",
				 "standard input can be only one of list, template, HTML and password");
	return CLI_OK;
}

/* CLI_OK, or the status to end with. */
static int check_options(const struct options *o)
{
	bool parts = o->subject || o->text || o->text_file || o->html_file || o->files || o->fields ||
		     o->cc.n || o->bcc.n || o->reply_to;

	if (o->merge.list)
		return check_merge(o);
	if (o->merge.template)
		return cli_usage("send", "--template goes with --merge LIST");
	if (is_stdin(o->message) + is_stdin(o->text_file) + is_stdin(o->html_file) +
		    is_stdin(o->by.password_file) >
	    1)
		return cli_usage("send", "standard input can be only one of message, text and password");
	if (o->test.on && (o->message || parts || o->dry_run || o->outbox.queue))
		return cli_usage("send", "--test makes its message itself: only --from and --to go with it");
	if (!o->test.on && (o->test.imap || o->test.imap_password_file || o->test.has_wait))
		return cli_usage("send", "--imap, --imap-password-file and --wait belong to --test");
	if (o->message && parts)
		return cli_usage("send",
				 "with --message the message is ready: only --from and --to go with it");
	if (o->text && o->text_file)
		return cli_usage("send", "--text and --text-file exclude each other");
	if (!o->message && !o->test.on && o->to.n + o->cc.n + o->bcc.n == 0)
		return cli_usage("send", "to whom? --to ADDRESS");
	if (!o->message && !o->from && !*cli_carrier_from(o->carrier))
		return cli_usage("send", "from whom? --from ADDRESS");
	return CLI_OK;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	int c, status;

	while ((c = getopt_long(argc, argv, "v", long_options, NULL)) != -1) {
		if (c == '?')
			return cli_usage_only("send");
		if (!take_option(o, c))
			return cli_usage("send", "%s: not understood, or one too many", optarg);
	}
	if (optind < argc)
		return cli_usage("send", "%s: not understood; recipients stand behind --to", argv[optind]);
	if (o->outbox.what || o->list_accounts)
		return CLI_OK;
	if (!buf_ok(&o->to) || !buf_ok(&o->cc) || !buf_ok(&o->bcc))
		return cli_usage("send", "too many recipients");
	status = cli_carrier_find(&o->carrier, &o->by);
	return status == CLI_OK ? check_options(o) : status;
}

/* ---- the message ---- */

static bool read_part(const char *file, struct buf *to)
{
	int r = file ? conf_file_read(is_stdin(file) ? "/dev/stdin" : file, to) : 0;

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

static int compose(struct options *o, struct draft *d, const char *from, struct mime_problem *problem)
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

static int read_message(struct options *o, struct draft *d, const char *from, struct mime_problem *problem)
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
	int fd = is_stdin(o->message) ? dup(STDIN_FILENO) : open(o->message, O_RDONLY | O_CLOEXEC), r;

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
static const char *named(struct options *o, const char *address)
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

static int make(struct options *o, struct draft *d)
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

static int submit(struct options *o, const struct draft *d)
{
	struct cli_outbox_by by = { "send", o->carrier, &o->by };
	struct cli_sent s = { cli_carrier_provider(o->carrier), d, NULL, o->verbose,
			      cli_carrier_by(o->carrier) };
	const struct submit_account *a = cli_carrier_account(o->carrier);
	bool queue = o->outbox.queue || (a && a->queue);
	int status = cli_carrier_send(o->carrier, d, &s.r);

	return status == CLI_OK ? cli_send_finish(queue, &by, &s, o->json) : status;
}

static int test(struct options *o)
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

static int make_and_send(struct options *o, struct draft *d)
{
	int status;

	if (o->test.on)
		return test(o);
	status = make(o, d);
	if (status != CLI_OK)
		return status;
	return o->dry_run ? cli_send_print_draft(d) : submit(o, d);
}

static int merge(struct options *o)
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
static void log_end(const struct options *o, int status)
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
	struct options *o = calloc(1, sizeof(*o));
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
	status = parse_options(argc, argv, o);
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
