#include "smtp/server_private.h"
#include "smtp/utc.h"

#define ENHANCED_MAX 12

static const char *class_enhanced(int code)
{
	/* RFC 2034 4: not on the greeting, HELO's reply, 334, 354. */
	if (code == 220 || code / 100 == 3)
		return "";
	return code < 300 ? "2.0.0" : code < 500 ? "4.0.0" : "5.0.0";
}

void smtp_server_compose(struct buf *to, int code, const char *enhanced, struct slice text)
{
	char line[SMTP_REPLY_MAX];
	size_t n = 0;

	if (!enhanced)
		enhanced = class_enhanced(code);
	line[n++] = (char)('0' + code / 100 % 10);
	line[n++] = (char)('0' + code / 10 % 10);
	line[n++] = (char)('0' + code % 10);
	line[n++] = ' ';
	for (size_t i = 0; i < ENHANCED_MAX && enhanced[i]; i++)
		line[n++] = enhanced[i];
	if (*enhanced)
		line[n++] = ' ';
	for (size_t i = 0; i < text.n && n < sizeof(line) - 2; i++)
		line[n++] = (char)(text.p[i] < 32 || text.p[i] > 126 ? '?' : text.p[i]);
	line[n++] = '\r';
	line[n++] = '\n';
	buf_put(to, slice_of(line, n));
}

void smtp_server_reply(struct smtp_server *s, int code, const char *enhanced, struct slice text)
{
	if (code >= 500)
		s->errors++;
	smtp_server_compose(&s->out, code, enhanced, text);
}

void smtp_server_reply_str(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	smtp_server_reply(s, code, enhanced, slice_str(text));
}

void smtp_server_reply_buf(struct smtp_server *s, int code, const char *enhanced, struct buf *text)
{
	smtp_server_reply(s, code, enhanced, buf_slice(text));
	if (!buf_ok(text))
		s->out.failed = true;
	buf_done(text);
}

void smtp_server_reply_more(struct smtp_server *s, int code, const char *text, struct slice arg)
{
	buf_dec(&s->out, (uint64_t)code, 3);
	buf_byte(&s->out, '-');
	buf_str(&s->out, text);
	buf_put(&s->out, arg);
	buf_str(&s->out, "\r\n");
}

/* What is named here is what this listener does in this state, and nothing
 * else; server_verbs.c refuses the rest. */
void smtp_server_ehlo_reply(struct smtp_server *s)
{
	const struct smtp_server_setup *setup = s->setup;
	const struct slice none = { 0 };

	smtp_server_reply_more(s, 250, "", setup->hostname);
	smtp_server_reply_more(s, 250, "PIPELINING", none);
	buf_fmt(&s->out, "250-SIZE %llu\r\n", (unsigned long long)setup->max_size);
	smtp_server_reply_more(s, 250, "8BITMIME", none);
	smtp_server_reply_more(s, 250, "SMTPUTF8", none);
	smtp_server_reply_more(s, 250, "CHUNKING", none);
	smtp_server_reply_more(s, 250, "ENHANCEDSTATUSCODES", none);
	smtp_server_reply_more(s, 250, "DSN", none);
	if (s->in_tls) /* and never before: RFC 8689 2 */
		smtp_server_reply_more(s, 250, "REQUIRETLS", none);
	if (setup->max_hold_s > 0 && s->now_s > 0) {
		buf_fmt(&s->out, "250-FUTURERELEASE %u ", setup->max_hold_s);
		smtp_utc_put(s->now_s + setup->max_hold_s, &s->out);
		buf_str(&s->out, "\r\n");
	}
	if (setup->priorities)
		smtp_server_reply_more(s, 250, "MT-PRIORITY MIXER", none);
	if (setup->starttls && !s->in_tls)
		smtp_server_reply_more(s, 250, "STARTTLS", none);
	if (setup->auth && setup->role == SMTP_SUBMISSION && !s->authenticated && setup->mechs.n > 0 &&
	    (s->in_tls || !setup->tls_required)) {
		buf_str(&s->out, "250-AUTH ");
		buf_put(&s->out, setup->mechs);
		if (s->channel_binding && setup->mechs_tls.n > 0) {
			buf_byte(&s->out, ' ');
			buf_put(&s->out, setup->mechs_tls);
		}
		buf_str(&s->out, "\r\n");
	}
	if (setup->max_recipients > 0 || setup->max_transactions > 0) { /* RFC 9422 */
		buf_str(&s->out, "250-LIMITS");
		if (setup->max_transactions > 0)
			buf_fmt(&s->out, " MAILMAX=%u", setup->max_transactions);
		if (setup->max_recipients > 0)
			buf_fmt(&s->out, " RCPTMAX=%u", setup->max_recipients);
		buf_str(&s->out, "\r\n");
	}
	buf_str(&s->out, "250 HELP\r\n");
}

void smtp_server_help_reply(struct smtp_server *s)
{
	struct buf text;

	buf_init(&text, SMTP_REPLY_MAX);
	if (s->setup->role == SMTP_LOCAL)
		buf_str(&text, "This socket takes mail from local users, without login");
	else if (s->setup->advice.n > 0)
		buf_str(&text, "Users of this server send through ");
	else
		buf_str(&text, "This server takes mail for its own domains");
	if (s->setup->role != SMTP_LOCAL)
		buf_put(&text, s->setup->advice);
	smtp_server_reply_more(
		s, 214, "2.0.0 Commands: ",
		SLICE_LIT("EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT"));
	smtp_server_reply_buf(s, 214, "2.0.0", &text);
}
