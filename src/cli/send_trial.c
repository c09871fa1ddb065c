#include "cli/send_trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/id.h"
#include "cli/cli.h"
#include "cli/password.h"
#include "cli/send.h"
#include "cli/text.h"
#include "net/tls_client.h"
#include "web/imap.h"

#define MARK	   "X-Postern-Test"
#define WAIT_S	   60
#define WAIT_MAX   3600
#define CALL_S	   30
#define PLACES_MAX 6
#define TOKEN	   20

struct test {
	const struct cli_send_trial_ask *ask;
	char token[TOKEN + 1], subject[64];
	struct draft draft;
	const char *to;
	/* The mailbox. */
	struct provider server;
	char first[IMAP_NAME_MAX]; /* the folder where it should come */
	struct buf secret, authorities;
	bool token_login;
	struct imap *imap;
	struct imap_folder place[PLACES_MAX];
	size_t places;
};

bool cli_send_trial_option(struct cli_send_trial *t, int c, const char *arg, bool *ret_ok)
{
	struct slice s = slice_str(arg);
	uint64_t n;

	*ret_ok = true;
	switch (c) {
	case CLI_SEND_TRIAL:
		t->on = true;
		return true;
	case CLI_SEND_IMAP:
		t->imap = arg;
		return true;
	case CLI_SEND_IMAP_PASSWORD:
		t->imap_password_file = arg;
		return true;
	case CLI_SEND_WAIT:
		*ret_ok = cur_u64(&s, WAIT_MAX, &n) && s.n == 0;
		if (*ret_ok)
			t->wait_s = (unsigned)n;
		t->has_wait = true;
		return true;
	default:
		return false;
	}
}

/* ---- the message ---- */

static bool make_token(char to[static TOKEN + 1])
{
	static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
	unsigned char octets[TOKEN];

	if (getrandom(octets, sizeof(octets), 0) != (ssize_t)sizeof(octets))
		return false;
	for (size_t i = 0; i < TOKEN; i++)
		to[i] = letters[octets[i] & 31];
	to[0] = 't'; /* never a number */
	to[TOKEN] = '\0';
	return true;
}

static void put_text(const struct test *t, struct buf *to)
{
	const struct provider *p = cli_carrier_provider(t->ask->carrier);
	char when[32];

	buf_fmt(to,
		"This is a test message. Somebody who may send as %s wanted to see whether mail\n"
		"arrives, and which way it takes. There is nothing to do; it may be deleted.\n\n"
		"sent:   %s, by `postern send --test`\n"
		"by:     %s\n"
		"mark:   %s\n",
		t->ask->from, cli_time(cli_now_ms(), when),
		p->path[0] ? "the Postern of that machine" : p->host, t->token);
}

static int compose(struct test *t)
{
	const struct mime_extra mark = { SLICE_LIT(MARK), slice_str(t->token) };
	struct draft_parts parts = { .message = { .from = slice_str(t->ask->from),
						  .to = slice_str(t->to),
						  .subject = slice_str(t->subject),
						  .has_subject = true,
						  .date_ms = cli_now_ms(),
						  .id = slice_str(t->token),
						  .hostname = SLICE_LIT("postern-test.invalid"),
						  .has_text = true,
						  .header = &mark,
						  .headers = 1 } };
	struct slice from = slice_str(t->ask->from), domain = slice_tail(from, slice_rfind(from, '@') + 1);
	struct mime_problem problem = { 0 };
	struct buf text, words;
	int r;

	domain = slice_head(domain, slice_find(domain, '>'));
	if (domain.n > 0)
		parts.message.hostname = slice_trim(domain);
	buf_init(&text, 4096);
	put_text(t, &text);
	parts.message.text = buf_slice(&text);
	r = buf_ok(&text) ? draft_compose(&t->draft, &parts, &problem) : -ENOMEM;
	buf_done(&text);
	if (r == 0)
		return CLI_OK;
	buf_init(&words, 1024);
	if (r == -EBADMSG)
		mime_problem_put(&problem, &words);
	else
		buf_str(&words, strerror(-r));
	fprintf(stderr, "postern send: %.*s\n", SLICE_ARG(buf_slice(&words)));
	buf_done(&words);
	return CLI_FAILED;
}

/* ---- the mailbox ---- */

static bool tells_port(struct slice authority)
{
	size_t at = slice_rfind(authority, '@'), bracket;

	if (at < authority.n)
		authority = slice_tail(authority, at + 1);
	bracket = slice_rfind(authority, ']');
	if (bracket < authority.n)
		authority = slice_tail(authority, bracket + 1);
	return slice_find(authority, ':') < authority.n;
}

/* "imaps://USER@HOST[:PORT][/FOLDER]": what stands before the folder is as the URL of a server that takes
 * mail. */
static int take_url(struct test *t)
{
	struct slice rest = slice_str(t->ask->t->imap);
	char text[ENDPOINT_PATH_MAX + PROVIDER_USER_MAX + 300];
	bool tls = cur_word(&rest, SLICE_LIT("imaps://"));
	struct slice authority, folder;
	const char *why;

	if (!tls && !cur_word(&rest, SLICE_LIT("imap://")))
		return cli_usage("send",
				 "--imap: it begins with imaps:// (TLS at once) or imap:// (STARTTLS)");
	authority = slice_head(rest, slice_find(rest, '/'));
	folder = slice_tail(rest, authority.n + 1);
	if (folder.n == 0)
		folder = SLICE_LIT("INBOX");
	snprintf(text, sizeof(text), "%s%.*s", tls ? "smtps://" : "smtp://", SLICE_ARG(authority));
	why = authority.n > PROVIDER_USER_MAX + 280 ? "it is too long"
						    : provider_url(slice_str(text), &t->server);
	if (why)
		return cli_usage("send", "--imap: %s", why);
	if (!slice_copy(folder, t->first, sizeof(t->first)))
		return cli_usage("send", "--imap: the folder's name is too long");
	if (!t->server.user[0])
		return cli_usage("send", "--imap: as whom? imaps://USER@HOST");
	if (!tells_port(authority))
		t->server.port = tls ? 993 : 143;
	return CLI_OK;
}

static int find_secret(struct test *t)
{
	const char *file = t->ask->t->imap_password_file, *user = cli_carrier_provider(t->ask->carrier)->user;
	char what[PROVIDER_USER_MAX + 300];
	struct slice known;
	int status;

	buf_init(&t->secret, 8192);
	if (!file && !strcmp(user, t->server.user)) { /* one login for both: as providers have it */
		status = cli_carrier_secret(t->ask->carrier, &known, &t->token_login);
		if (status == CLI_OK)
			buf_put(&t->secret, known);
		return status == CLI_OK && !buf_ok(&t->secret) ? CLI_LATER : status;
	}
	snprintf(what, sizeof(what), "%s at %s (IMAP)", t->server.user, t->server.host);
	return cli_password_known(file, what, &t->secret) ? CLI_OK : CLI_FAILED;
}

static const char *advice(const struct test *t, enum imap_end end)
{
	if (end == IMAP_TLS)
		return "; the certificate must be valid for that name; --ca-file trusts another authority";
	if (end == IMAP_NO_LOGIN && t->token_login)
		return " (OAUTHBEARER or XOAUTH2); --imap-password-file names the mailbox's own password";
	if (end != IMAP_LOGIN)
		return "";
	return t->token_login ? "; correct the user in --imap, or the token: it must be good for IMAP, too"
			      : "; correct the user in --imap, or the password";
}

static int say_end(const struct test *t, enum imap_end end)
{
	bool none = end == IMAP_NO_LOGIN;

	fprintf(stderr, "postern send: %s port %u (IMAP): ", t->server.host, t->server.port);
	cli_put_clean(stderr, none ? "it takes no such login" : imap_words(t->imap), false);
	fprintf(stderr, "%s\n", advice(t, end));
	return end == IMAP_UNREACHED ? CLI_NO_SERVER : CLI_FAILED;
}

static void add_place(struct test *t, const struct imap_folder *f)
{
	for (size_t i = 0; i < t->places; i++)
		if (slice_eq_nocase(slice_str(t->place[i].name), slice_str(f->name)))
			return;
	if (t->places < PLACES_MAX)
		t->place[t->places++] = *f;
}

/* Where it should come, then where it should not. */
static enum imap_end find_places(struct test *t)
{
	struct imap_folder *list, first = { 0 };
	enum imap_end end = imap_folders(t->imap, &list, &t->places);
	size_t n = t->places;

	t->places = 0;
	if (end != IMAP_OK)
		return end;
	memcpy(first.name, t->first, sizeof(first.name));
	for (size_t i = 0; i < n; i++)
		if (slice_eq_nocase(slice_str(list[i].name), slice_str(t->first)))
			first = list[i];
	add_place(t, &first);
	for (size_t i = 0; i < n; i++)
		if (list[i].junk)
			add_place(t, &list[i]);
	for (size_t i = 0; i < n; i++)
		if (list[i].all)
			add_place(t, &list[i]);
	free(list);
	return IMAP_OK;
}

static int log_in(struct test *t, struct slice secret)
{
	struct imap_setup setup = { .host = t->server.host,
				    .port = t->server.port,
				    .implicit_tls = t->server.implicit_tls,
				    .user = t->server.user,
				    .secret = secret,
				    .token = t->token_login,
				    .authorities = buf_slice(&t->authorities),
				    .timeout_s = CALL_S };
	char why[IMAP_WORDS];

	imap_free(t->imap);
	t->imap = NULL;
	if (imap_new(&setup, &t->imap, why) == 0)
		return CLI_OK;
	fprintf(stderr, "postern send: no IMAP: %s\n", why);
	return CLI_FAILED;
}

/* Before anything is sent: a password that is wrong is better known then. */
static int open_mailbox(struct test *t)
{
	int status = find_secret(t), r;
	enum imap_end end;
	struct slice other;

	if (status != CLI_OK)
		return status;
	buf_init(&t->authorities, TLS_CA_MAX);
	r = tls_ca_read(t->ask->by->net.ca_file, &t->authorities);
	if (r < 0) {
		fprintf(stderr, "postern send: authorities: %s\n", strerror(-r));
		return CLI_FAILED;
	}
	status = log_in(t, buf_slice(&t->secret));
	buf_wipe(&t->secret);
	if (status != CLI_OK)
		return status;
	end = find_places(t);
	/* As with a message: a token that is too old is no reason, if its command has another one. */
	if (end == IMAP_LOGIN && t->token_login && cli_carrier_renew(t->ask->carrier, &other) == CLI_OK) {
		status = log_in(t, other);
		if (status != CLI_OK)
			return status;
		end = find_places(t);
	}
	return end == IMAP_OK ? CLI_OK : say_end(t, end);
}

/* ---- waiting ---- */

static void show_progress(const struct test *t, unsigned passed_s, unsigned wait_s, bool end)
{
	if (!isatty(STDERR_FILENO))
		return;
	fputs("\r\033[K", stderr);
	if (end)
		return;
	fprintf(stderr, "waiting, %u of %u s; looked in", passed_s, wait_s);
	for (size_t i = 0; i < t->places; i++) {
		fputs(i ? ", " : " ", stderr);
		cli_put_clean(stderr, t->place[i].name, false);
	}
	fflush(stderr);
}

/* IMAP_REFUSED is a folder that cannot be opened: the others are looked at all the same. */
static enum imap_end look(struct test *t, const struct imap_folder **ret, uint32_t *ret_uid)
{
	*ret_uid = 0;
	for (size_t i = 0; i < t->places && *ret_uid == 0; i++) {
		enum imap_end end = imap_search(t->imap, t->place[i].name, MARK, t->token, ret_uid);

		if (end != IMAP_OK && (end != IMAP_REFUSED || i == 0))
			return end;
		*ret = &t->place[i];
	}
	return IMAP_OK;
}

static uint64_t steady_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Often at first, then every five seconds. */
static enum imap_end wait_for(struct test *t, unsigned wait_s, const struct imap_folder **ret,
			      uint32_t *ret_uid)
{
	uint64_t begin = steady_ms(), end_ms = begin + (uint64_t)wait_s * 1000, pause_ms = 500;
	enum imap_end end;

	for (;;) {
		uint64_t now;

		end = look(t, ret, ret_uid);
		now = steady_ms();
		if (end != IMAP_OK || *ret_uid != 0 || now >= end_ms)
			break;
		show_progress(t, (unsigned)((now - begin) / 1000), wait_s, false);
		if (pause_ms > end_ms - now)
			pause_ms = end_ms - now;
		(void)usleep((useconds_t)(pause_ms * 1000));
		pause_ms = pause_ms < 5000 ? pause_ms * 3 / 2 : 5000;
	}
	show_progress(t, 0, 0, true);
	return end;
}

/* ---- all of it ---- */

static int print_json(const struct cli_sent *s, const struct cli_send_trialed *r, int status)
{
	json_t *j = cli_send_json(s);
	int bad = json_object_set_new(j, "exit", json_integer(status));

	if (r)
		bad |= json_object_set_new(j, "test", cli_send_trial_json(r));
	if (bad || json_dumpf(j, stdout, JSON_INDENT(1)) < 0) {
		fprintf(stderr, "postern send: out of memory\n");
		status = CLI_LATER;
	} else {
		putchar('\n');
	}
	json_decref(j);
	return status;
}

/* The status of what was found. */
static int fetch(struct test *t, const struct imap_folder *where, uint32_t uid, struct cli_send_trialed *r,
		 struct mime_journey *journey)
{
	enum imap_end end;
	struct buf header;

	r->folder = where->name;
	r->junk = where->junk;
	r->found_ms = cli_now_ms();
	buf_init(&header, IMAP_HEADER_MAX);
	end = imap_header(t->imap, where->name, uid, &header);
	if (end == IMAP_OK) {
		mime_journey_read(buf_slice(&header), journey);
		mime_journey_field(buf_slice(&header), SLICE_LIT("Message-ID"), r->message_id,
				   sizeof(r->message_id));
		r->journey = journey;
	}
	buf_done(&header);
	if (end != IMAP_OK)
		return say_end(t, end);
	return where->junk ? CLI_FAILED : CLI_OK;
}

static int look_for_it(struct test *t, struct cli_send_trialed *r, struct mime_journey *journey)
{
	const struct imap_folder *where = NULL;
	uint32_t uid = 0;
	enum imap_end end;

	r->host = t->server.host;
	r->waited_s = t->ask->t->has_wait ? t->ask->t->wait_s : WAIT_S;
	end = wait_for(t, r->waited_s, &where, &uid);
	if (end != IMAP_OK)
		return say_end(t, end);
	return uid ? fetch(t, where, uid, r, journey) : CLI_LATER;
}

static int run(struct test *t)
{
	const struct cli_send_trial_ask *ask = t->ask;
	struct mime_journey *journey = calloc(1, sizeof(*journey));
	struct cli_send_trialed r = {
		.token = t->token, .subject = t->subject, .to = t->to, .sent_ms = cli_now_ms()
	};
	struct cli_sent s = { cli_carrier_provider(ask->carrier), &t->draft, NULL, ask->verbose,
			      cli_carrier_by(ask->carrier) };
	int status = journey ? cli_carrier_send(ask->carrier, &t->draft, &s.r) : CLI_LATER;

	if (status != CLI_OK) {
		free(journey);
		return status;
	}
	status = cli_send_status(&s);
	if (!ask->json)
		cli_send_print(&s);
	if (status == CLI_OK && ask->t->imap)
		status = look_for_it(t, &r, journey);
	if (ask->json)
		status = print_json(&s, cli_send_status(&s) == CLI_OK ? &r : NULL, status);
	else if (cli_send_status(&s) == CLI_OK)
		cli_send_trial_print(&r);
	free(journey);
	return status;
}

int cli_send_trial(const struct cli_send_trial_ask *ask)
{
	struct test *t = calloc(1, sizeof(*t));
	int status = CLI_LATER;

	if (!t || draft_init(&t->draft) < 0 || !make_token(t->token)) {
		fprintf(stderr, "postern send: out of memory\n");
		free(t);
		return status;
	}
	t->ask = ask;
	t->to = *ask->to ? ask->to : ask->from;
	snprintf(t->subject, sizeof(t->subject), "Postern test %s", t->token);
	status = ask->t->imap ? take_url(t) : CLI_OK;
	if (status == CLI_OK)
		status = compose(t);
	if (status == CLI_OK && ask->t->imap)
		status = open_mailbox(t);
	if (status == CLI_OK)
		status = run(t);
	imap_free(t->imap);
	buf_wipe(&t->secret);
	buf_done(&t->authorities);
	draft_done(&t->draft);
	free(t);
	return status;
}
