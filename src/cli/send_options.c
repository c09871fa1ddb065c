/* The command line of postern send: options, and which of them go together. */
#include "cli/send_options.h"

#include <getopt.h>

#include "cli/cli.h"

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

static bool add_field(struct cli_send_options *o, const char *text)
{
	const char *colon = strchr(text, ':');

	if (!colon || o->fields == CLI_SEND_FIELDS_MAX)
		return false;
	o->field[o->fields++] = (struct mime_extra){ slice_of(text, (size_t)(colon - text)),
						     slice_trim(slice_str(colon + 1)) };
	return true;
}

static bool add_file(struct cli_send_options *o, const char *path)
{
	if (o->files == CLI_SEND_FILES_MAX)
		return false;
	o->file[o->files++] = (struct draft_file){ .path = path };
	return true;
}

static bool add_pin(struct cli_send_options *o, const char *text)
{
	if (o->by.pins == CARRY_PINS_MAX || !cli_carrier_pin_ok(text))
		return false;
	o->by.pin[o->by.pins++] = text;
	return true;
}

static bool set_mechanism(struct cli_send_options *o, const char *text)
{
	int mechanism = conf_mechanism_find(slice_str(text));

	if (mechanism >= 0)
		o->by.mechanism = conf_mechanism_word(mechanism);
	return mechanism >= 0;
}

static bool add_dns(struct cli_send_options *o, const char *text)
{
	struct endpoint e = { .port = 53 };

	if (o->by.net.n_dns == RESOLVE_SERVERS_MAX)
		return false;
	if (!ip_parse(slice_str(text), &e.ip) && (!endpoint_parse(slice_str(text), &e) || e.path[0]))
		return false;
	o->by.net.dns[o->by.net.n_dns++] = (struct resolve_server){ e.ip, e.port };
	return true;
}

static bool set_timeout(struct cli_send_options *o, const char *text)
{
	struct slice s = slice_str(text);
	uint64_t n;

	if (!cur_u64(&s, 3600, &n) || n == 0 || s.n > 0)
		return false;
	o->by.timeout_s = (unsigned)n;
	return true;
}

/* False: it is not understood. */
static bool take_option(struct cli_send_options *o, int c)
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

/* What a message has else is the template's to say. */
static int check_merge(const struct cli_send_options *o)
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
	if (cli_send_is_stdin(o->merge.list) + cli_send_is_stdin(o->merge.template) +
		    cli_send_is_stdin(o->html_file) + cli_send_is_stdin(o->by.password_file) >
	    1)
		return cli_usage("send",
				 "standard input can be only one of list, template, HTML and password");
	return CLI_OK;
}

/* CLI_OK, or the status to end with. */
static int check_options(const struct cli_send_options *o)
{
	bool parts = o->subject || o->text || o->text_file || o->html_file || o->files || o->fields ||
		     o->cc.n || o->bcc.n || o->reply_to;

	if (o->merge.list)
		return check_merge(o);
	if (o->merge.template)
		return cli_usage("send", "--template goes with --merge LIST");
	if (cli_send_is_stdin(o->message) + cli_send_is_stdin(o->text_file) +
		    cli_send_is_stdin(o->html_file) + cli_send_is_stdin(o->by.password_file) >
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

int cli_send_options(int argc, char **argv, struct cli_send_options *o)
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
