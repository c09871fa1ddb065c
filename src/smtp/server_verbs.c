/* server_verbs.c - the commands: one table, one function each. */
#include "smtp/advice.h"
#include "smtp/server_private.h"
#include "smtp/path_private.h"

#define IN(st) (1U << (st))
#define ANY    (~0U)

enum {
	PRE_TLS = 1, /* may come before TLS where that is required (RFC 3207 4) */
	NO_ARGS = 2,
	IDLE = 4, /* carries no mail: counted against max_commands */
};

struct verb {
	struct slice name;
	unsigned in; /* states */
	unsigned flags;
	void (*run)(struct smtp_server *s, struct slice args);
};

static void on_helo(struct smtp_server *s, struct slice args);
static void on_ehlo(struct smtp_server *s, struct slice args);
static void on_starttls(struct smtp_server *s, struct slice args);
/* RFC 4865 4: no longer than was offered. */
static bool holds_too_long(const struct smtp_server *s, const struct smtp_mail_params *p)
{
	return p->hold_for_s > s->setup->max_hold_s ||
	       (p->hold_until_s > s->now_s && p->hold_until_s - s->now_s > s->setup->max_hold_s);
}

static void on_mail(struct smtp_server *s, struct slice args);
static void on_rcpt(struct smtp_server *s, struct slice args);
static void on_rset(struct smtp_server *s, struct slice args);
static void on_noop(struct smtp_server *s, struct slice args);
static void on_vrfy(struct smtp_server *s, struct slice args);
static void on_help(struct smtp_server *s, struct slice args);
static void on_quit(struct smtp_server *s, struct slice args);
static void on_unsupported(struct smtp_server *s, struct slice args);

/* The whole protocol on one screen: what may come when.  AUTH and BDAT judge
 * their states themselves: AUTH has its own words, BDAT its octets to skip. */
static const struct verb verbs[] = {
	{ SLICE_INIT("EHLO"), ANY, PRE_TLS | IDLE, on_ehlo },
	{ SLICE_INIT("HELO"), ANY, PRE_TLS | IDLE, on_helo },
	{ SLICE_INIT("STARTTLS"), ANY, PRE_TLS | NO_ARGS | IDLE, on_starttls },
	{ SLICE_INIT("AUTH"), ANY, PRE_TLS | IDLE, smtp_server_on_auth },
	{ SLICE_INIT("MAIL"), IN(ST_GREETED), 0, on_mail },
	{ SLICE_INIT("RCPT"), IN(ST_MAIL) | IN(ST_RCPT), 0, on_rcpt },
	{ SLICE_INIT("DATA"), IN(ST_MAIL) | IN(ST_RCPT), NO_ARGS, smtp_server_on_data },
	{ SLICE_INIT("BDAT"), ANY, 0, smtp_server_on_bdat },
	{ SLICE_INIT("RSET"), ANY, PRE_TLS | NO_ARGS | IDLE, on_rset },
	{ SLICE_INIT("NOOP"), ANY, PRE_TLS | IDLE, on_noop },
	{ SLICE_INIT("VRFY"), ANY, IDLE, on_vrfy },
	{ SLICE_INIT("HELP"), ANY, PRE_TLS | IDLE, on_help },
	{ SLICE_INIT("QUIT"), ANY, PRE_TLS | NO_ARGS, on_quit },
	{ SLICE_INIT("EXPN"), ANY, PRE_TLS, on_unsupported },
	{ SLICE_INIT("ETRN"), ANY, PRE_TLS, on_unsupported },
	{ SLICE_INIT("TURN"), ANY, PRE_TLS, on_unsupported },
	{ SLICE_INIT("ATRN"), ANY, PRE_TLS, on_unsupported },
	{ SLICE_INIT("SEND"), ANY, PRE_TLS, on_unsupported },
	{ SLICE_INIT("SOML"), ANY, PRE_TLS, on_unsupported },
	{ SLICE_INIT("SAML"), ANY, PRE_TLS, on_unsupported },
};

static void refuse(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	smtp_server_reply_str(s, code, enhanced, text);
	smtp_server_ask_input(s);
}

static void syntax(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	s->faults |= SMTP_FAULT_SYNTAX;
	refuse(s, code, enhanced, text);
}

/* Letters, then a blank or the end: a command's shape, if not one of ours. */
static bool has_shape(struct slice line)
{
	size_t n = 0;

	while (n < line.n && (line.p[n] | 0x20) >= 'a' && (line.p[n] | 0x20) <= 'z')
		n++;
	return n > 0 && (n == line.n || line.p[n] == ' ');
}

static void unknown(struct smtp_server *s, struct slice line)
{
	/* The first line of another protocol, unless it is a person who types. */
	if (!s->spoke && line.n > 0) {
		s->faults |= SMTP_FAULT_NOT_SMTP;
		if (!has_shape(line)) {
			smtp_server_close_421(s, "4.7.0", smtp_server_not_smtp);
			return;
		}
	}
	syntax(s, 500, "5.5.2", "command not recognized");
}

/* What must come before mail, and has not.  True: it was said. */
static bool not_ready(struct smtp_server *s, const struct verb *v, struct slice args)
{
	const struct smtp_server_setup *setup = s->setup;
	struct buf text;

	if (v->flags & PRE_TLS)
		return false;
	buf_init(&text, SMTP_REPLY_MAX);
	if (setup->tls_required && !s->in_tls && setup->role != SMTP_LOCAL) {
		s->faults |= SMTP_FAULT_NO_STARTTLS;
		smtp_advice_starttls_first(&text);
	} else if (setup->role == SMTP_SUBMISSION && !s->authenticated) {
		s->faults |= SMTP_FAULT_NO_AUTH;
		smtp_advice_auth_first(&text);
	} else {
		return false;
	}
	if (v->run == smtp_server_on_bdat) {
		smtp_server_bdat_refuse(s, args, 530, "5.7.0", buf_slice(&text));
		buf_done(&text);
		return true;
	}
	smtp_server_reply_buf(s, 530, "5.7.0", &text);
	smtp_server_ask_input(s);
	return true;
}

static void out_of_sequence(struct smtp_server *s, const struct verb *v)
{
	if (s->state == ST_NEW)
		refuse(s, 503, "5.5.1", "bad sequence of commands: EHLO first");
	else if (v->run == on_mail)
		refuse(s, 503, "5.5.1", "bad sequence of commands: a transaction is open already");
	else if (s->state == ST_BDAT)
		refuse(s, 503, "5.5.1", "bad sequence of commands: BDAT or RSET expected");
	else
		refuse(s, 503, "5.5.1", "bad sequence of commands: MAIL first");
}

void smtp_server_command(struct smtp_server *s, struct slice line)
{
	struct slice args, name = slice_head(line, slice_find(line, ' '));
	const struct verb *v = NULL;

	name = slice_head(name, slice_find(name, '\t'));
	args = slice_trim(slice_tail(line, name.n));
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]) && !v; i++)
		if (slice_eq_nocase(name, verbs[i].name))
			v = &verbs[i];
	if (!v) {
		if (!smtp_server_leaked_line(s, line))
			unknown(s, line);
		return;
	}
	smtp_server_leak_over(s);
	s->spoke = true;
	if (v->flags & IDLE)
		s->commands++;
	if (not_ready(s, v, args))
		return;
	if (!(v->in & IN(s->state)))
		out_of_sequence(s, v);
	else if (v->flags & NO_ARGS && args.n > 0)
		syntax(s, 501, "5.5.4", "no arguments allowed");
	else
		v->run(s, args);
}

/* Domain or address literal (RFC 5321 4.1.1.1), but what clients call themselves
 * is rarely worth a refusal: anything printable without blanks will do. */
static bool helo_name_ok(struct slice name)
{
	if (name.n == 0 || name.n > SMTP_DOMAIN_MAX)
		return false;
	while (name.n > 0) {
		if (name.p[0] >= 0x80) {
			if (!smtp_utf8_take(&name))
				return false;
			continue;
		}
		if (name.p[0] <= 32 || name.p[0] == 127)
			return false;
		name = slice_tail(name, 1);
	}
	return true;
}

static void helo(struct smtp_server *s, struct slice args, bool esmtp)
{
	if (!helo_name_ok(args)) {
		syntax(s, 501, "5.5.4", esmtp ? "syntax: EHLO hostname" : "syntax: HELO hostname");
		return;
	}
	s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_HELO, .name = args, .esmtp = esmtp };
}

static void on_helo(struct smtp_server *s, struct slice args)
{
	helo(s, args, false);
}

static void on_ehlo(struct smtp_server *s, struct slice args)
{
	helo(s, args, true);
}

static void on_starttls(struct smtp_server *s, struct slice args)
{
	(void)args;
	if (s->in_tls)
		refuse(s, 503, "5.5.1", "TLS is on already");
	else if (!s->setup->starttls)
		refuse(s, 502, "5.5.1", "STARTTLS is not offered here");
	else if (s->state == ST_NEW)
		refuse(s, 503, "5.5.1", "bad sequence of commands: EHLO first");
	else if (s->state != ST_GREETED)
		refuse(s, 503, "5.5.1", "not within a transaction");
	else
		s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_STARTTLS };
}

/* sender: MAIL's address, else RCPT's. */
static void bad_path(struct smtp_server *s, enum smtp_parse why, bool sender, size_t at)
{
	char text[96];

	switch (why) {
	case SMTP_PARSE_TOO_LONG:
		syntax(s, 501, sender ? "5.1.7" : "5.1.3", "address too long");
		return;
	case SMTP_PARSE_UTF8:
		syntax(s, 501, sender ? "5.1.7" : "5.1.3", "not valid UTF-8");
		return;
	case SMTP_PARSE_NEEDS_UTF8: /* RFC 6531 3.5 */
		syntax(s, 553, "5.6.7", "a UTF-8 address needs SMTPUTF8 in MAIL");
		return;
	case SMTP_PARSE_PARAM_UNKNOWN:
		syntax(s, 555, "5.5.4", "parameter not recognized");
		return;
	case SMTP_PARSE_PARAM_BAD:
		syntax(s, 501, "5.5.4", "parameter with a bad value");
		return;
	case SMTP_PARSE_PARAM_TWICE:
		syntax(s, 501, "5.5.4", "parameter given twice");
		return;
	default:
		snprintf(text, sizeof(text), "syntax error at character %zu, expected: %s", at + 6,
			 sender ? "MAIL FROM:<address>" : "RCPT TO:<address>");
		syntax(s, 501, sender ? "5.1.7" : "5.1.3", text);
	}
}

static struct smtp_params_offered offered(const struct smtp_server *s)
{
	return (struct smtp_params_offered){ .size = s->esmtp,
					     .eightbitmime = s->esmtp,
					     .smtputf8 = s->esmtp,
					     .dsn = s->esmtp,
					     .requiretls = s->esmtp && s->in_tls,
					     .hold = s->esmtp && s->setup->max_hold_s > 0 && s->now_s > 0,
					     .mt_priority = s->esmtp && s->setup->priorities,
					     .auth = s->esmtp && s->setup->role == SMTP_SUBMISSION &&
						     s->setup->auth };
}

static void on_mail(struct smtp_server *s, struct slice args)
{
	const struct smtp_server_setup *setup = s->setup;
	struct smtp_server_ask ask = { .want = SMTP_SERVER_MAIL };
	struct smtp_params_offered known = offered(s);
	size_t at = 0;
	enum smtp_parse r = smtp_parse_mail(args, &known, &ask.path, &ask.mail, &at);

	if (r != SMTP_PARSE_OK) {
		bad_path(s, r, true, at);
	} else if (setup->max_transactions > 0 && s->transactions >= setup->max_transactions) {
		smtp_server_close_421(s, "4.7.0", "enough messages for one connection, please open another");
	} else if (setup->max_size > 0 && ask.mail.size > setup->max_size) {
		char text[80];

		snprintf(text, sizeof(text), "message too large: the limit is %llu octets",
			 (unsigned long long)setup->max_size);
		refuse(s, 552, "5.3.4", text);
	} else if (holds_too_long(s, &ask.mail)) {
		char text[80];

		snprintf(text, sizeof(text), "a message is held for %u seconds at most", setup->max_hold_s);
		syntax(s, 501, "5.5.4", text);
	} else {
		s->ask = ask;
	}
}

static void on_rcpt(struct smtp_server *s, struct slice args)
{
	uint32_t max = s->setup->max_recipients;
	struct smtp_server_ask ask = { .want = SMTP_SERVER_RCPT };
	struct smtp_params_offered known = offered(s);
	size_t at = 0;
	enum smtp_parse r = smtp_parse_rcpt(args, &known, s->utf8, &ask.path, &ask.rcpt, &at);

	if (r != SMTP_PARSE_OK) {
		s->rcpt_refused = true;
		bad_path(s, r, false, at);
	} else if (max > 0 && s->recipients >= max) {
		/* The client sends to the rest in its next transaction (RFC 5321 4.5.3.1.10). */
		if (++s->over_recipients > max + 1000)
			smtp_server_close_421(s, "4.5.3", "far too many recipients");
		else
			refuse(s, 452, "4.5.3",
			       "too many recipients, send to the rest in another transaction");
	} else {
		s->ask = ask;
	}
}

static void on_rset(struct smtp_server *s, struct slice args)
{
	(void)args;
	smtp_server_reply_str(s, 250, "2.0.0", "OK");
	smtp_server_drop(s);
}

static void on_noop(struct smtp_server *s, struct slice args)
{
	(void)args;
	refuse(s, 250, "2.0.0", "OK");
}

/* The same words whoever is asked for: no oracle (RFC 5321 7.3). */
static void on_vrfy(struct smtp_server *s, struct slice args)
{
	if (args.n == 0)
		syntax(s, 501, "5.5.4", "syntax: VRFY address");
	else
		refuse(s, 252, "2.5.0", "cannot verify, but will take mail and try to deliver it");
}

static void on_help(struct smtp_server *s, struct slice args)
{
	(void)args;
	smtp_server_help_reply(s);
	smtp_server_ask_input(s);
}

static void on_quit(struct smtp_server *s, struct slice args)
{
	(void)args;
	smtp_server_reply_str(s, 221, "2.0.0", "bye");
	smtp_server_close(s);
}

static void on_unsupported(struct smtp_server *s, struct slice args)
{
	(void)args;
	refuse(s, 502, "5.5.1", "command not implemented");
}
