/* One look's conversation. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "probe/talk.h"

/* The first two are what spammers try first; the others are how old servers read addresses. */
const struct probe_relay probe_relays[PROBE_RELAYS] = {
	{ "a stranger to a stranger", PROBE_SENDER, PROBE_RECIPIENT, false },
	{ "the null sender to a stranger", "", PROBE_RECIPIENT, false },
	{ "a sender of its own domain", "postern-check@%s", PROBE_RECIPIENT, false },
	{ "the percent hack", PROBE_SENDER, "postern-check%%example.com@%s", true },
	{ "a quoted address", PROBE_SENDER, "\"" PROBE_RECIPIENT "\"@%s", true },
	{ "a source route", PROBE_SENDER, "@%s:" PROBE_RECIPIENT, true },
	{ "a bang path", PROBE_SENDER, "example.com!postern-check@%s", true },
	{ "two at-signs", PROBE_SENDER, PROBE_RECIPIENT "@%s", true },
};

/* ---- what was said ---- */

/* Blanks for control characters: it goes to terminals. */
static void keep(char *to, size_t size, struct slice s)
{
	size_t n = s.n < size - 1 ? s.n : size - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = s.p[i] < ' ' || s.p[i] == 127 ? ' ' : (char)s.p[i];
	to[n] = '\0';
}

static void add_word(char *to, size_t size, struct slice word)
{
	size_t n = strlen(to);

	if (word.n == 0 || n + word.n + 2 > size)
		return;
	if (n > 0)
		to[n++] = ' ';
	keep(to + n, size - n, word);
}

/* "XXXXXXXA" stood for STARTTLS, "********" for a greeting: what inspects SMTP on its way puts
 * other octets where the length must stay. */
static bool is_masked(struct slice word)
{
	size_t n = 0;

	while (n < word.n && (word.p[n] == 'X' || word.p[n] == '*'))
		n++;
	return n >= 4 && n + 1 >= word.n;
}

static void on_offer(struct probe_offers *o, struct slice line)
{
	struct slice word = slice_head(line, slice_find(line, ' ')), rest = slice_tail(line, word.n + 1);
	size_t eq = slice_find(word, '=');

	if (is_masked(word)) {
		o->masked = true;
		return;
	}
	if (slice_starts_nocase(word, SLICE_LIT("AUTH="))) { /* as before RFC 2554 */
		rest = slice_tail(line, eq + 1);
		word = slice_head(word, eq);
	}
	if (slice_eq_nocase(word, SLICE_LIT("STARTTLS")))
		o->starttls = true;
	if (slice_eq_nocase(word, SLICE_LIT("SIZE"))) {
		o->has_size = true;
		if (!cur_u64(&rest, UINT64_MAX, &o->size))
			o->size = 0;
	}
	if (slice_eq_nocase(word, SLICE_LIT("AUTH"))) {
		bool again = o->auth[0] != '\0'; /* the other form repeats the first */

		while (rest.n > 0 && !again) {
			struct slice mech = slice_head(rest, slice_find(rest, ' '));

			add_word(o->auth, sizeof(o->auth), mech);
			rest = slice_tail(rest, mech.n + 1);
		}
		if (again)
			return;
	}
	add_word(o->extensions, sizeof(o->extensions), word);
}

static void on_line(struct probe_talk *t)
{
	struct slice line = slice_trim(t->reply.line);
	size_t n;

	if (!t->offers)
		return;
	n = strlen(t->offers->lines);
	if (n + line.n + 2 <= sizeof(t->offers->lines)) {
		if (n > 0)
			t->offers->lines[n++] = '\n';
		keep(t->offers->lines + n, sizeof(t->offers->lines) - n, line);
	}
	if (t->lines_n++ > 0)
		on_offer(t->offers, line);
}

/* ---- what is said ---- */

static void end(struct probe_talk *t, enum probe_end how, const char *why)
{
	t->want = PROBE_TALK_CLOSE;
	t->port->at = t->step;
	t->port->end = how;
	snprintf(t->port->end_why, sizeof(t->port->end_why), "%s", why);
}

static void ask(struct probe_talk *t, enum probe_step step, struct probe_reply *to, uint64_t now_ms)
{
	t->step = step;
	t->to = to;
	t->offers = NULL;
	t->asked_ms = now_ms;
	t->want = PROBE_TALK_INPUT;
}

static void hello(struct probe_talk *t, uint64_t now_ms)
{
	struct probe_offers *o = t->in_tls ? &t->port->in_tls : &t->port->clear;

	ask(t, t->in_tls ? PROBE_AT_EHLO_TLS : PROBE_AT_EHLO, &o->reply, now_ms);
	memset(o, 0, sizeof(*o));
	o->helo = t->helo;
	t->offers = o;
	t->lines_n = 0;
	buf_fmt(&t->output, "%s %.*s\r\n", t->helo ? "HELO" : "EHLO", SLICE_ARG(t->setup.helo));
}

static void quit(struct probe_talk *t, uint64_t now_ms)
{
	ask(t, PROBE_AT_QUIT, NULL, now_ms);
	buf_str(&t->output, "QUIT\r\n");
}

/* An address of probe_relays: "%s" is the server's domain, "%%" a percent sign. */
static void say_path(struct probe_talk *t, const char *verb, const char *path)
{
	buf_fmt(&t->output, "%s:<", verb);
	for (const char *p = path; *p; p++) {
		if (*p == '%' && p[1] == 's')
			buf_put(&t->output, t->setup.domain);
		else
			buf_byte(&t->output, (unsigned char)*p);
		if (*p == '%')
			p++;
	}
	buf_str(&t->output, ">\r\n");
}

/* MAIL, RCPT, RSET of the transactions that are wanted, one after the other; then QUIT. */
static void transaction(struct probe_talk *t, uint64_t now_ms)
{
	if (t->reset) { /* nothing of the last one stays */
		t->reset = false;
		ask(t, t->step, NULL, now_ms);
		buf_str(&t->output, "RSET\r\n");
	} else if (t->setup.mail) {
		t->setup.mail = false;
		t->rcpt = true;
		ask(t, PROBE_AT_MAIL, &t->port->mail, now_ms);
		say_path(t, "MAIL FROM", PROBE_SENDER);
	} else if (t->setup.relay && t->relay < PROBE_RELAYS) {
		t->rcpt = true;
		ask(t, PROBE_AT_RELAY, &t->port->relay[t->relay][0], now_ms);
		say_path(t, "MAIL FROM", probe_relays[t->relay].sender);
	} else {
		quit(t, now_ms);
	}
}

static void after_mail(struct probe_talk *t, uint64_t now_ms)
{
	bool relay = t->step == PROBE_AT_RELAY;
	size_t i = t->relay;

	t->rcpt = false;
	if (relay)
		t->relay++;
	if (t->reply.code / 100 != 2) {
		transaction(t, now_ms);
		return;
	}
	t->reset = true;
	ask(t, relay ? PROBE_AT_RELAY : PROBE_AT_RCPT, relay ? &t->port->relay[i][1] : &t->port->rcpt,
	    now_ms);
	say_path(t, "RCPT TO", relay ? probe_relays[i].recipient : PROBE_RECIPIENT);
}

static void on_hello(struct probe_talk *t, uint64_t now_ms)
{
	if (t->reply.code / 100 == 5 && !t->helo) {
		t->helo = true;
		hello(t, now_ms);
	} else if (t->reply.code / 100 != 2) {
		quit(t, now_ms);
	} else if (!t->in_tls && t->setup.starttls && t->port->clear.starttls) {
		ask(t, PROBE_AT_STARTTLS, &t->port->starttls, now_ms);
		buf_str(&t->output, "STARTTLS\r\n");
	} else {
		transaction(t, now_ms);
	}
}

static void on_reply(struct probe_talk *t, uint64_t now_ms)
{
	if (t->to) {
		t->to->code = t->reply.code;
		memcpy(t->to->enhanced, t->reply.enhanced, sizeof(t->to->enhanced));
		keep(t->to->text, sizeof(t->to->text), smtp_reply_text(&t->reply));
		t->to->ms = (uint32_t)(now_ms - t->asked_ms);
	}
	/* 421: it closes, whatever was asked (RFC 5321 3.8). */
	if (t->reply.code == 421 && t->step != PROBE_AT_QUIT) {
		end(t, PROBE_END_CLOSED, "it said 421: it closes the connection");
		return;
	}
	switch (t->step) {
	case PROBE_AT_GREETING:
		if (t->reply.code / 100 == 2)
			hello(t, now_ms);
		else
			quit(t, now_ms);
		break;
	case PROBE_AT_EHLO:
	case PROBE_AT_EHLO_TLS:
		on_hello(t, now_ms);
		break;
	case PROBE_AT_STARTTLS:
		if (t->reply.code / 100 == 2) {
			t->step = PROBE_AT_HANDSHAKE;
			t->want = PROBE_TALK_TLS;
		} else {
			transaction(t, now_ms);
		}
		break;
	case PROBE_AT_QUIT:
		end(t, PROBE_END_WHOLE, "");
		break;
	default:
		if (t->rcpt)
			after_mail(t, now_ms);
		else
			transaction(t, now_ms);
	}
}

/* ---- the engine's face ---- */

void probe_talk_init(struct probe_talk *t, const struct probe_talk_setup *setup, struct probe_port *port,
		     uint64_t now_ms)
{
	memset(t, 0, sizeof(*t));
	t->setup = *setup;
	t->port = port;
	t->in_tls = setup->tls;
	buf_init_in(&t->output, t->room, sizeof(t->room));
	ask(t, PROBE_AT_GREETING, &port->greeting, now_ms);
}

static void not_smtp(struct probe_talk *t)
{
	t->port->other = probe_other_of(slice_of(t->port->first, t->port->first_n));
	if (t->port->other == PROBE_OTHER_NONE)
		t->port->other = PROBE_OTHER_UNKNOWN;
	end(t, PROBE_END_NO_SMTP, "what it said is no reply of SMTP");
}

size_t probe_talk_feed(struct probe_talk *t, struct slice in, uint64_t now_ms)
{
	size_t all = in.n;

	while (in.n > 0 && t->want == PROBE_TALK_INPUT) {
		enum smtp_reply_step step;
		size_t n;

		if (t->step == PROBE_AT_GREETING && t->port->first_n < sizeof(t->port->first)) {
			struct slice more = slice_head(in, sizeof(t->port->first) - t->port->first_n);

			memcpy(t->port->first + t->port->first_n, more.p, more.n);
			t->port->first_n += more.n;
		}
		n = smtp_reply_feed(&t->reply, in, &step);
		in = slice_tail(in, n);
		if (step == SMTP_REPLY_BAD) {
			not_smtp(t);
			return all;
		}
		if (step == SMTP_REPLY_LINE || step == SMTP_REPLY_DONE)
			on_line(t);
		if (step == SMTP_REPLY_DONE)
			on_reply(t, now_ms);
	}
	return all - in.n;
}

void probe_talk_tls_started(struct probe_talk *t, uint64_t now_ms)
{
	assert(t->want == PROBE_TALK_TLS);
	t->in_tls = true;
	t->helo = false;
	hello(t, now_ms);
}

void probe_talk_lost(struct probe_talk *t, enum probe_end how, const char *why)
{
	if (t->want == PROBE_TALK_CLOSE)
		return;
	/* Many close without an answer to QUIT: nothing is lacking. */
	if (t->step == PROBE_AT_QUIT && how != PROBE_END_OURS)
		end(t, PROBE_END_WHOLE, "");
	else if (t->step == PROBE_AT_GREETING && t->port->first_n > 0 &&
		 probe_other_of(slice_of(t->port->first, t->port->first_n)) != PROBE_OTHER_NONE)
		not_smtp(t);
	else
		end(t, how, why);
}

struct slice probe_talk_output(const struct probe_talk *t)
{
	return buf_slice(&t->output);
}

void probe_talk_sent(struct probe_talk *t, size_t n)
{
	buf_consume(&t->output, n);
}

enum probe_step probe_talk_at(const struct probe_talk *t)
{
	return t->step;
}

/* ---- other protocols ---- */

static bool has(struct slice s, struct slice word)
{
	while (s.n >= word.n && !slice_starts_nocase(s, word))
		s = slice_tail(s, 1);
	return s.n >= word.n;
}

enum probe_other probe_other_of(struct slice first)
{
	static const struct {
		struct slice lead;
		enum probe_other other;
	} rows[] = {
		{ SLICE_INIT("\x15\x03"), PROBE_OTHER_TLS },   { SLICE_INIT("\x16\x03"), PROBE_OTHER_TLS },
		{ SLICE_INIT("* OK"), PROBE_OTHER_IMAP },      { SLICE_INIT("* PREAUTH"), PROBE_OTHER_IMAP },
		{ SLICE_INIT("* BYE"), PROBE_OTHER_IMAP },     { SLICE_INIT("* BAD"), PROBE_OTHER_IMAP },
		{ SLICE_INIT("+OK"), PROBE_OTHER_POP3 },       { SLICE_INIT("-ERR"), PROBE_OTHER_POP3 },
		{ SLICE_INIT("HTTP/"), PROBE_OTHER_HTTP },     { SLICE_INIT("<html"), PROBE_OTHER_HTTP },
		{ SLICE_INIT("<!doctype"), PROBE_OTHER_HTTP }, { SLICE_INIT("SSH-"), PROBE_OTHER_SSH },
	};
	struct slice line = slice_head(first, slice_find(first, '\n'));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (slice_starts_nocase(first, rows[i].lead))
			return rows[i].other;
	/* "220 (vsFTPd 3.0.3)": its codes are SMTP's. */
	if (slice_starts(line, SLICE_LIT("220")) && has(line, SLICE_LIT("FTP")) &&
	    !has(line, SLICE_LIT("SMTP")))
		return PROBE_OTHER_FTP;
	return PROBE_OTHER_NONE;
}
