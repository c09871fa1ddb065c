/* sendmail, mailq, newaliases: for programs that send mail and know nothing but these names. */
#include "cli/sendmail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/id.h"
#include "cli/cli.h"
#include "cli/maillog.h"
#include "cli/outbox.h"
#include "cli/text.h"

#define MESSAGE_MAX (UINT64_C(1) << 30) /* octets: a program that writes without end fills no disk */
#define DRAIN_MAX   (64U << 20)
#define DRAIN_MS    2000 /* of silence */

/* ---- how it may end ---- */

static volatile sig_atomic_t under_way, told = -1; /* told: the status, once that is known */

static void on_signal(int number)
{
	static const char unsent[] = "postern sendmail: ended by a signal: the message was not sent\n",
			  unknown[] =
				  "postern sendmail: ended by a signal: it is not known whether the message "
				  "was sent\n";
	ssize_t n;

	if (told >= 0)
		_exit(told);
	n = under_way ? write(STDERR_FILENO, unknown, sizeof(unknown) - 1)
		      : write(STDERR_FILENO, unsent, sizeof(unsent) - 1);
	(void)n;
	signal(number, SIG_DFL);
	raise(number);
}

/* Those that the caller ignores stay ignored (nohup). */
static void hear_signals(void)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGTERM, SIGXCPU };
	struct sigaction before, on = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaction(numbers[i], &on, NULL);
	signal(SIGXFSZ, SIG_IGN); /* then the write fails, and that is said */
}

/* The accounts, and commands that say a password, want one; cron does not always give it. */
static void have_home(void)
{
	struct passwd entry, *found;
	char room[4096];

	if (!getenv("HOME") && getpwuid_r(getuid(), &entry, room, sizeof(room), &found) == 0 && found)
		setenv("HOME", found->pw_dir, 0);
}

/* Whatever is opened later must not be taken for one of them. */
static bool open_streams(bool *ret_input)
{
	*ret_input = fcntl(STDIN_FILENO, F_GETFD) >= 0;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return false;
	return true;
}

/* ---- what sending and -bs share ---- */

static const struct cli_carrier_setup any_server = { .program = "sendmail" };

int cli_sendmail_carrier(struct cli_carrier **ret)
{
	int status;

	cli_sendmail_await();
	status = cli_carrier_find(ret, &any_server);
	return status == CLI_OK ? EX_OK : status == CLI_LATER ? EX_TEMPFAIL : EX_CONFIG;
}

int cli_sendmail_keep(struct cli_carrier *c, const struct draft *d, const struct carry_result *r, int status,
		      struct id *ret_id)
{
	const struct submit_account *account = cli_carrier_account(c);
	const struct cli_outbox_by by = { "sendmail", c, &any_server };
	struct cli_outbox_count others = { 0 };
	const char *kept = "";
	struct id id;

	if (!account || !account->queue) {
		cli_maillog(&(struct cli_maillog){ .status = status, .carrier = c, .draft = d, .r = r });
		return status;
	}
	if (cli_outbox_wants(r) && cli_outbox_keep(&by, d, r, &id) == CLI_OK) {
		fprintf(stderr,
			"postern sendmail: kept in the outbox as %s: it goes with the next message by that "
			"account, or with sendmail -q\n",
			id.text);
		*ret_id = id;
		kept = ret_id->text;
		/* What lasts comes before what passes: then others were refused for good. */
		status = status == EX_TEMPFAIL ? EX_OK : status;
	}
	told = status; /* what follows is about other messages */
	cli_maillog(&(struct cli_maillog){
		.status = status, .carrier = c, .draft = d, .r = r, .kept = *kept ? kept : NULL });
	if (r->reached && r->end == IPC_LANE_IN_ORDER) {
		cli_outbox_also(&by, &others);
		cli_outbox_hint("sendmail", &others);
	}
	return status;
}

/* Who logs in is known, and may hardly send as root@localhost; a host that trusts this machine, or its own
 * socket, takes what it is given. */
static enum letter_rewrite rewrite_of(const struct submit_account *account, const struct provider *p)
{
	switch (account ? account->rewrite_from : SUBMIT_ACCOUNT_REWRITE_AUTO) {
	case SUBMIT_ACCOUNT_REWRITE_NO:
		return LETTER_AS_IT_IS;
	case SUBMIT_ACCOUNT_REWRITE_LOCAL:
		return LETTER_LOCAL;
	case SUBMIT_ACCOUNT_REWRITE_ALL:
		return LETTER_ALL;
	default:
		return p->user[0] ? LETTER_LOCAL : LETTER_AS_IT_IS;
	}
}

static void set_rewrite(const struct cli_sendmail *m, const struct cli_carrier *c, struct letter_setup *setup)
{
	const struct submit_account *account = cli_carrier_account(c);
	const struct provider *p = cli_carrier_provider(c);

	setup->own = slice_str(cli_carrier_from(c));
	setup->login = slice_str(strchr(p->user, '@') ? p->user : "");
	setup->machine = slice_str(m->identity.machine);
	setup->rewrite = setup->own.n > 0 ? rewrite_of(account, p) : LETTER_AS_IT_IS;
	setup->local_to = slice_str(account ? account->local_to : "");
}

struct letter_setup cli_sendmail_letter(const struct cli_sendmail *m, const struct cli_carrier *c)
{
	const struct submit_account *account = c ? cli_carrier_account(c) : NULL;
	const char *from = c ? cli_carrier_from(c) : "";
	const char *name = account && account->full_name[0] ? account->full_name : m->identity.full_name;
	struct letter_setup setup = { .has_sender = m->s.sender != NULL,
				      .sender = slice_str(m->s.sender),
				      .fallback = slice_str(*from ? from : m->identity.user),
				      .full_name = slice_str(m->s.full_name ? m->s.full_name : name),
				      .domain = slice_str(m->identity.domain),
				      .hostname = slice_str(m->identity.domain),
				      .time_ms = cli_now_ms(),
				      .max = MESSAGE_MAX };

	if (c)
		set_rewrite(m, c, &setup);
	/* A provider takes hardly anything from a user of this machine, but from whom the program says. */
	setup.sender_from_header = c && !*from && !cli_carrier_provider(c)->path[0];
	return setup;
}

/* ---- a message from standard input ---- */

/* Who is still writing should read our words, not die of a pipe that is gone. */
static void drain(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char room[4096];
	size_t all = 0;
	ssize_t n;

	while (all < DRAIN_MAX && poll(&p, 1, DRAIN_MS) > 0 && (n = read(p.fd, room, sizeof(room))) > 0)
		all += (size_t)n;
}

static int say_unread(int r, const struct mime_problem *problem)
{
	struct buf words;
	int status;

	buf_init(&words, 1024);
	status = cli_sendmail_unread(r, problem, &words);
	fprintf(stderr, "postern sendmail: %.*s\npostern sendmail: the message was not sent\n",
		SLICE_ARG(buf_slice(&words)));
	buf_done(&words);
	return status;
}

static void put_wishes(const struct sendmail *s, struct submit_envelope *e)
{
	struct buf b;

	e->notify = (uint8_t)s->notify;
	e->ret = (uint8_t)s->ret;
	buf_init_in(&b, e->envid, sizeof(e->envid) - 1);
	sendmail_put_envid(s, &b);
	e->envid[buf_slice(&b).n] = '\0';
}

static int read_message(const struct cli_sendmail *m, const struct cli_carrier *c, struct draft *d)
{
	struct letter_setup setup = cli_sendmail_letter(m, c);
	struct mime_problem problem = { 0 };
	struct id_source ids;
	struct id id;
	int r = 0;

	id_source_init(&ids, 0);
	id = id_next(&ids, setup.time_ms);
	setup.id = id_slice(&id);
	setup.dot_ends = m->s.dot_ends;
	setup.recipients_from_header = m->s.recipients_from_header;
	put_wishes(&m->s, &d->envelope);
	for (size_t i = 0; i < m->s.recipients && r == 0; i++)
		if (submit_envelope_add(&d->envelope, slice_str(m->recipient[i]), setup.domain,
					SLICE_LIT("recipient"), &problem) != MIME_FINE)
			r = problem.fault == MIME_NO_MEMORY ? -ENOMEM : -EBADMSG;
	if (r == 0)
		r = draft_read(d, STDIN_FILENO, &setup, &problem);
	if (r == 0)
		return EX_OK;
	r = say_unread(r, &problem);
	if (!isatty(STDIN_FILENO))
		drain();
	return r;
}

/* Nobody listens at the socket of this machine, and nothing will keep the message. */
static bool is_away(const struct cli_carrier *c, const struct carry_result *r)
{
	const struct submit_account *account = cli_carrier_account(c);

	return cli_carrier_provider(c)->path[0] && !r->reached && (!account || !account->queue) &&
	       (r->end == IPC_LANE_REFUSED || r->end == IPC_LANE_UNREACHABLE);
}

static int submit(const struct cli_sendmail *m, struct cli_carrier *c, const struct draft *d)
{
	const struct carry_result *r;
	unsigned times = 0;
	struct id id;
	int status;

	do {
		under_way = true;
		status = cli_carrier_send(c, d, &r);
		under_way = false;
	} while (status == CLI_OK && is_away(c, r) && cli_sendmail_pause(&times));
	if (status == CLI_OK) {
		cli_sendmail_say(cli_carrier_provider(c), d, r, m->s.verbose);
		return cli_sendmail_keep(c, d, r, cli_sendmail_status(r), &id);
	}
	fputs("postern sendmail: the message was not sent\n", stderr);
	return status == CLI_USAGE || status == CLI_CONFIG ? EX_CONFIG : EX_TEMPFAIL;
}

/* The message is read even if nobody will take it: the program that writes it should get our status. */
static int send_message(const struct cli_sendmail *m)
{
	struct cli_carrier *c = NULL;
	struct draft d;
	int status, ready;

	if (draft_init(&d) < 0) {
		fputs("postern sendmail: out of memory: the message was not sent\n", stderr);
		return EX_TEMPFAIL;
	}
	ready = cli_sendmail_carrier(&c);
	status = read_message(m, c, &d);
	if (status == EX_OK && ready != EX_OK) {
		fputs("postern sendmail: the message was not sent\n", stderr);
		status = ready;
	}
	if (status == EX_OK)
		status = submit(m, c, &d);
	draft_done(&d);
	cli_carrier_free(c);
	return status;
}

/* ---- the command ---- */

static int run(struct cli_sendmail *m, bool has_input)
{
	bool reads = m->s.mode == SENDMAIL_SEND || m->s.mode == SENDMAIL_SMTP;

	if (reads && !has_input) {
		fputs("postern sendmail: standard input is closed: there is no message\n", stderr);
		return EX_NOINPUT;
	}
	switch (m->s.mode) {
	case SENDMAIL_SEND:
		hear_signals();
		cli_identity_find(&m->identity);
		return send_message(m);
	case SENDMAIL_SMTP:
		cli_identity_find(&m->identity);
		return cli_sendmail_smtp(m);
	case SENDMAIL_LIST:
		return cli_sendmail_list(m);
	case SENDMAIL_FLUSH:
		return cli_sendmail_flush(m);
	case SENDMAIL_NOTHING:
		break;
	}
	return EX_OK;
}

int cli_sendmail(int argc, char **argv)
{
	char error[SENDMAIL_ERROR_MAX] = "";
	struct cli_sendmail m = { 0 };
	bool has_input;
	int status;

	if (!open_streams(&has_input))
		return EX_OSERR;
	cli_maillog_begin("sendmail");
	have_home();
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		char *ask[] = { (char *)"help", (char *)"sendmail", NULL };

		return cli_help(2, ask);
	}
	m.recipient = calloc((size_t)argc + 1, sizeof(*m.recipient));
	if (!m.recipient) {
		fputs("postern sendmail: out of memory: the message was not sent\n", stderr);
		return EX_TEMPFAIL;
	}
	status = sendmail_parse(argc, argv, m.recipient, &m.s, error);
	if (status == EX_OK)
		status = run(&m, has_input);
	if (error[0]) {
		fputs("postern sendmail: ", stderr);
		cli_put_clean(stderr, error, false);
		fputc('\n', stderr);
	}
	if (status != EX_OK && (error[0] || m.s.mode == SENDMAIL_SEND || m.s.mode == SENDMAIL_SMTP))
		cli_maillog_end(status);
	free(m.recipient);
	return status;
}
