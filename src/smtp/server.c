#include "smtp/server_private.h"

#include <assert.h>

#include "smtp/advice.h"

#define LINE_KEEP 512 /* of the line buffer, between commands */

struct smtp_server *smtp_server_new(const struct smtp_server_setup *setup)
{
	struct smtp_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->setup = setup;
	buf_init(&s->out, SMTP_OUT_MAX);
	buf_init(&s->line, SMTP_SERVER_AUTH_LINE_MAX);
	buf_init(&s->response, SMTP_SERVER_AUTH_LINE_MAX);
	buf_init(&s->leaked, SMTP_SERVER_LINE_MAX);
	buf_init(&s->helo, SMTP_DOMAIN_MAX);
	buf_init(&s->later, SMTP_REPLY_MAX);
	buf_init(&s->bye, SMTP_REPLY_MAX);
	smtp_scan_init(&s->scan, false, false, 0);
	return s;
}

void smtp_server_free(struct smtp_server *s)
{
	if (!s)
		return;
	smtp_scan_done(&s->scan);
	buf_done(&s->out);
	buf_wipe(&s->line);
	buf_wipe(&s->response);
	buf_wipe(&s->leaked);
	buf_done(&s->helo);
	buf_done(&s->later);
	buf_done(&s->bye);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

void smtp_server_greet(struct smtp_server *s, bool tls)
{
	struct buf text;

	s->in_tls = tls;
	buf_init(&text, SMTP_REPLY_MAX);
	buf_put(&text, s->setup->hostname);
	buf_str(&text, " ESMTP");
	smtp_server_reply_buf(s, 220, "", &text);
	smtp_server_ask_input(s);
}

void smtp_server_refuse(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	smtp_server_reply_str(s, code, enhanced, text);
	smtp_server_close(s);
}

void smtp_server_close(struct smtp_server *s)
{
	buf_wipe(&s->line);
	buf_wipe(&s->response);
	s->mode = MODE_COMMAND;
	s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_CLOSE };
}

void smtp_server_close_421(struct smtp_server *s, const char *enhanced, const char *text)
{
	smtp_server_reply_str(s, 421, enhanced, text);
	smtp_server_close(s);
}

/* Any line may have held a secret: a refused AUTH, or a password where a command belongs. */
static void release_line(struct smtp_server *s)
{
	buf_wipe(&s->response);
	if (s->line.cap > LINE_KEEP) {
		buf_wipe(&s->line);
		return;
	}
	if (s->line.n > 0)
		explicit_bzero(s->line.p + s->line.from, s->line.n);
	buf_reset(&s->line);
}

void smtp_server_ask_input(struct smtp_server *s)
{
	release_line(s);
	s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_INPUT };
	if (!buf_ok(&s->out)) {
		smtp_server_close(s);
	} else if (s->hanging_up) {
		buf_put(&s->out, buf_slice(&s->bye));
		smtp_server_close(s);
	} else if (s->setup->max_errors > 0 && s->errors >= s->setup->max_errors) {
		smtp_server_close_421(s, "4.7.0", "too many errors");
	} else if (s->setup->max_commands > 0 && s->commands >= s->setup->max_commands) {
		smtp_server_close_421(s, "4.7.0", "too many commands without mail");
	}
}

void smtp_server_forget_transaction(struct smtp_server *s)
{
	if (s->state > ST_GREETED)
		s->state = ST_GREETED;
	s->recipients = 0;
	s->over_recipients = 0;
	s->rcpt_refused = false;
	s->utf8 = false;
	smtp_scan_done(&s->scan);
}

void smtp_server_drop(struct smtp_server *s)
{
	bool was = s->state > ST_GREETED;

	smtp_server_forget_transaction(s);
	if (was) {
		release_line(s);
		s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_RESET };
	} else {
		smtp_server_ask_input(s);
	}
}

void smtp_server_hang_up(struct smtp_server *s, const char *enhanced, const char *text)
{
	if (s->ask.want == SMTP_SERVER_CLOSE)
		return;
	if (s->ask.want == SMTP_SERVER_TLS) { /* nothing can be said between the 220 and the handshake */
		smtp_server_close(s);
		return;
	}
	s->hanging_up = true;
	buf_reset(&s->bye);
	smtp_server_compose(&s->bye, 421, enhanced ? enhanced : "4.3.2", slice_str(text ? text : "closing"));
	if (s->ask.want == SMTP_SERVER_INPUT)
		smtp_server_ask_input(s);
}

/* Refuse the line at hand and skip what is left of it.  ended: nothing is. */
static void bad_line(struct smtp_server *s, const char *enhanced, const char *text, bool ended)
{
	bool auth = s->mode == MODE_AUTH;
	struct slice line = buf_slice(&s->line);

	s->faults |= SMTP_FAULT_SYNTAX;
	s->skip_cr = line.n > 0 && line.p[line.n - 1] == '\r';
	s->skipped = 0;
	s->mode = ended ? MODE_COMMAND : MODE_SKIP;
	smtp_server_reply_str(s, 500, enhanced, text);
	if (auth)
		smtp_server_auth_broken(s);
	else
		smtp_server_ask_input(s);
}

/* Other protocols knock, too: browsers, scanners, TLS stacks that came too late. */
static bool is_http(struct slice line)
{
	static const struct slice verbs[] = { SLICE_INIT("GET "),    SLICE_INIT("POST "),
					      SLICE_INIT("HEAD "),   SLICE_INIT("CONNECT "),
					      SLICE_INIT("PUT "),    SLICE_INIT("OPTIONS "),
					      SLICE_INIT("DELETE "), SLICE_INIT("PRI "),
					      SLICE_INIT("Host:"),   SLICE_INIT("User-Agent:") };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (slice_starts_nocase(line, verbs[i]))
			return true;
	return false;
}

static void tls_too_late(struct smtp_server *s)
{
	struct buf text;

	s->faults |= SMTP_FAULT_TLS_TOO_LATE;
	buf_init(&text, SMTP_REPLY_MAX);
	smtp_advice_tls_too_late(s->setup->advice, &text);
	smtp_server_reply_buf(s, 554, "5.7.0", &text);
	smtp_server_close(s);
}

const char smtp_server_not_smtp[] = "this is a mail server (SMTP)";

static void not_smtp(struct smtp_server *s)
{
	s->faults |= SMTP_FAULT_NOT_SMTP;
	smtp_server_close_421(s, "4.7.0", smtp_server_not_smtp);
}

/* A line is complete, or has a LF that does not end it. */
static void line_done(struct smtp_server *s)
{
	struct slice line = buf_slice(&s->line);
	bool crlf = line.n >= 2 && line.p[line.n - 2] == '\r';

	if (s->mode == MODE_COMMAND && (is_http(line) || (!s->spoke && slice_find(line, 0) < line.n))) {
		not_smtp(s);
		return;
	}
	if (!crlf) {
		/* What follows up to a real CRLF is skipped, never read as a command: else who may
		 * choose part of a line could write commands of their own into it. */
		s->faults |= SMTP_FAULT_BARE_LINE_END;
		bad_line(s, "5.5.2", "bare LF received: lines must end with CR LF", false);
		return;
	}
	line.n -= 2;
	if (slice_find(line, '\r') < line.n) {
		s->faults |= SMTP_FAULT_BARE_LINE_END;
		bad_line(s, "5.5.2", "bare CR received: lines must end with CR LF", true);
	} else if (slice_find(line, 0) < line.n) {
		bad_line(s, "5.5.2", "NUL received", true);
	} else if (s->mode == MODE_AUTH) {
		smtp_server_auth_line(s, line);
	} else {
		smtp_server_command(s, line);
	}
}

static size_t line_max(const struct smtp_server *s)
{
	bool auth = s->mode == MODE_AUTH || slice_starts_nocase(buf_slice(&s->line), SLICE_LIT("AUTH "));

	return auth ? SMTP_SERVER_AUTH_LINE_MAX : SMTP_SERVER_LINE_MAX;
}

/* Gather a line: up to its LF, or to the ceiling. */
static size_t feed_line(struct smtp_server *s, struct slice in)
{
	size_t room = line_max(s) - s->line.n, n;
	bool ends;

	in = slice_head(in, room);
	n = slice_find(in, '\n');
	ends = n < in.n;
	n += ends;
	buf_put(&s->line, slice_head(in, n));
	if (!buf_ok(&s->line)) {
		smtp_server_close_421(s, "4.3.0", "out of memory");
		return n;
	}
	if (slice_starts(buf_slice(&s->line), SLICE_LIT("\x16\x03")))
		tls_too_late(s);
	else if (ends)
		line_done(s);
	else if (s->line.n == line_max(s))
		bad_line(s, "5.5.6", "line too long", false);
	return n;
}

/* Up to the CRLF of a line that was refused. */
static size_t feed_skip(struct smtp_server *s, struct slice in)
{
	size_t n = 0;

	while (n < in.n && s->mode == MODE_SKIP && s->skipped < SMTP_SKIP_MAX) {
		unsigned char c = in.p[n++];

		if (c == '\n' && s->skip_cr)
			s->mode = MODE_COMMAND;
		s->skip_cr = c == '\r';
		s->skipped++;
	}
	if (s->mode == MODE_SKIP && s->skipped >= SMTP_SKIP_MAX)
		smtp_server_close_421(s, "4.7.0", "line far too long");
	return n;
}

size_t smtp_server_feed(struct smtp_server *s, struct slice in)
{
	size_t all = in.n;

	while (in.n > 0 && s->ask.want == SMTP_SERVER_INPUT && s->out.n < SMTP_OUT_PAUSE) {
		size_t n;

		switch (s->mode) {
		case MODE_COMMAND:
		case MODE_AUTH:
			n = feed_line(s, in);
			break;
		case MODE_SKIP:
			n = feed_skip(s, in);
			break;
		default:
			n = smtp_server_body_feed(s, in);
			break;
		}
		in = slice_tail(in, n);
	}
	return all - in.n;
}

const struct smtp_server_ask *smtp_server_want(const struct smtp_server *s)
{
	return &s->ask;
}

struct slice smtp_server_output(const struct smtp_server *s)
{
	return buf_slice(&s->out);
}

bool smtp_server_failed(const struct smtp_server *s)
{
	return !buf_ok(&s->out);
}

void smtp_server_sent(struct smtp_server *s, size_t n)
{
	bool failed = s->out.failed;

	buf_consume(&s->out, n);
	if (s->out.n == 0)
		buf_done(&s->out);
	s->out.failed = failed;
}

void smtp_server_clock(struct smtp_server *s, uint64_t now_s)
{
	s->now_s = now_s;
}

void smtp_server_channel_binding(struct smtp_server *s, bool on)
{
	s->channel_binding = on;
}

void smtp_server_tls_started(struct smtp_server *s, bool channel_binding)
{
	assert(s->ask.want == SMTP_SERVER_TLS);
	/* RFC 3207 4.2: what was learnt in clear is forgotten. */
	s->in_tls = true;
	s->channel_binding = channel_binding;
	s->state = ST_NEW;
	s->esmtp = false;
	s->authenticated = false;
	buf_reset(&s->helo);
	smtp_server_leak_over(s);
	smtp_server_ask_input(s);
}

/* RFC 3848 and RFC 6531 4.3 */
const char *smtp_server_protocol(const struct smtp_server *s)
{
	static const char *const names[2][2][2] = {
		{ { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
		{ { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } },
	};

	return s->esmtp ? names[s->utf8][s->in_tls][s->authenticated] : "SMTP";
}

struct slice smtp_server_helo(const struct smtp_server *s)
{
	return buf_slice(&s->helo);
}

bool smtp_server_in_tls(const struct smtp_server *s)
{
	return s->in_tls;
}

bool smtp_server_authenticated(const struct smtp_server *s)
{
	return s->authenticated;
}

bool smtp_server_in_body(const struct smtp_server *s)
{
	return s->mode >= MODE_DATA;
}

unsigned smtp_server_take_faults(struct smtp_server *s)
{
	unsigned faults = s->faults;

	s->faults = 0;
	return faults;
}
