/* AUTH (RFC 4954), the client's side: the exchange's frame; what is in it is the driver's. */
#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "smtp/client_private.h"

#define COMMAND_MAX 510 /* octets of AUTH with its initial response: RFC 4954 4, RFC 5321 4.5.3.1.4 */

/* ---- what is offered ---- */

static bool is_mech(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '_';
}

static bool listed(const struct client_auth *a, struct slice name)
{
	struct slice list = slice_of(a->mechs, a->mechs_n), word;

	for (; list.n > 0; list = slice_tail(list, word.n + 1)) {
		word = slice_head(list, slice_find(list, ' '));
		if (slice_eq_nocase(word, name))
			return true;
	}
	return false;
}

/* One line of the answer to EHLO; some servers have two, of which one says "AUTH=". */
void client_auth_offer(struct smtp_client *c, struct slice mechs)
{
	struct client_auth *a = &c->auth;

	while (mechs.n > 0) {
		struct slice name = slice_head(mechs, slice_find(mechs, ' '));
		bool fine = name.n > 0 && name.n <= 32;

		mechs = slice_tail(mechs, name.n + 1);
		for (size_t i = 0; i < name.n && fine; i++)
			fine = is_mech(name.p[i]);
		if (!fine || listed(a, name) || a->mechs_n + 1 + name.n > sizeof(a->mechs))
			continue;
		if (a->mechs_n > 0)
			a->mechs[a->mechs_n++] = ' ';
		memcpy(a->mechs + a->mechs_n, name.p, name.n);
		a->mechs_n += name.n;
		c->offers.auth = true;
	}
}

/* ---- questions ---- */

bool client_auth_asks(struct smtp_client *c)
{
	struct client_auth *a = &c->auth;

	c->ask.data = SLICE_LIT("");
	if (!a->wanted || c->closed)
		return false;
	memset(&c->ask, 0, sizeof(c->ask));
	c->ask.want = a->challenge ? SMTP_CLIENT_CHALLENGE : SMTP_CLIENT_AUTH;
	c->ask.step = SMTP_CLIENT_AT_AUTH;
	c->ask.enhanced = "";
	c->ask.mechs = slice_of(a->mechs, a->mechs_n);
	c->ask.refused = a->refused;
	if (a->challenge) {
		c->ask.data = buf_slice(&a->data);
	} else if (a->refused > 0) {
		c->ask.code = c->reply.code;
		c->ask.enhanced = c->reply.enhanced;
		c->ask.text = smtp_reply_text(&c->reply);
	}
	return true;
}

void client_auth_begin(struct smtp_client *c)
{
	c->step = SMTP_CLIENT_AT_AUTH;
	if (!c->in_tls && !c->setup->auth_clear)
		client_break(c, "4.7.11",
			     "a password may not go over this connection, for it is not encrypted");
	else if (!c->offers.auth)
		client_break(c, "4.7.0", "the server does not offer AUTH, and here it must");
	else
		c->auth.wanted = true;
}

void client_auth_done(struct smtp_client *c)
{
	buf_wipe(&c->auth.initial);
	buf_wipe(&c->auth.data);
	c->auth.later = false;
}

/* ---- what we say ---- */

/* In the buffer's own memory, which leaves no copy behind when it grows. */
static void put_base64(struct smtp_client *c, struct slice s)
{
	size_t size = sodium_base64_encoded_len(s.n, sodium_base64_VARIANT_ORIGINAL);
	unsigned char *to;

	c->secret = true;
	if (s.n == 0)
		return;
	if (buf_reserve(&c->output, size, &to) < size) {
		c->output.failed = true;
		return;
	}
	sodium_bin2base64((char *)to, size, s.p, s.n, sodium_base64_VARIANT_ORIGINAL);
	buf_filled(&c->output, size - 1); /* without its NUL */
}

/* RFC 4954 4: an empty initial response is "=". */
void smtp_client_auth(struct smtp_client *c, struct slice mech, const struct slice *initial)
{
	struct client_auth *a = &c->auth;
	size_t command = 5 + mech.n + 1;
	bool now;

	assert(c->ask.want == SMTP_CLIENT_AUTH && mech.n > 0 && mech.n <= 32);
	now = initial && command + (initial->n + 2) / 3 * 4 <= COMMAND_MAX;
	a->wanted = a->cancelled = false;
	buf_wipe(&a->initial);
	a->later = initial && !now;
	if (a->later)
		buf_put(&a->initial, *initial);
	buf_fmt(&c->output, "AUTH %.*s", SLICE_ARG(mech));
	client_said_from(c, c->output.n - command + 1);
	if (now) {
		buf_byte(&c->output, ' ');
		if (initial->n == 0)
			buf_byte(&c->output, '=');
		put_base64(c, *initial);
	}
	buf_put(&c->output, SLICE_LIT("\r\n"));
	c->output.failed = c->output.failed || !buf_ok(&a->initial);
	client_advance(c);
}

static void say_response(struct smtp_client *c, struct slice data)
{
	put_base64(c, data);
	buf_put(&c->output, SLICE_LIT("\r\n"));
	client_said(c, 'C', SLICE_LIT("(a response)"));
}

void smtp_client_respond(struct smtp_client *c, struct slice data)
{
	assert(c->ask.want == SMTP_CLIENT_CHALLENGE && data.n <= SMTP_CLIENT_SECRET_MAX);
	c->auth.wanted = false;
	buf_wipe(&c->auth.data);
	say_response(c, data);
	client_advance(c);
}

static void cancel(struct smtp_client *c)
{
	c->auth.cancelled = true;
	client_auth_done(c);
	client_say(c, "*");
}

void smtp_client_auth_cancel(struct smtp_client *c)
{
	assert(c->ask.want == SMTP_CLIENT_CHALLENGE);
	c->auth.wanted = false;
	cancel(c);
	client_advance(c);
}

void smtp_client_auth_give_up(struct smtp_client *c, const char *enhanced, const char *text)
{
	assert(c->ask.want == SMTP_CLIENT_AUTH);
	c->auth.wanted = false;
	client_say(c, "QUIT");
	if (c->auth.refused > 0)
		client_break_by_reply(c);
	else
		client_break(c, enhanced, text);
	client_advance(c);
}

/* ---- what the server says ---- */

static void on_challenge(struct smtp_client *c)
{
	struct client_auth *a = &c->auth;
	struct slice text = c->reply.line;
	unsigned char *to;
	size_t n = 0, room;

	if (a->later) { /* its own, empty challenge came: now is the time */
		say_response(c, buf_slice(&a->initial));
		client_auth_done(c);
		return;
	}
	buf_wipe(&a->data);
	room = text.n > 0 ? buf_reserve(&a->data, text.n / 4 * 3 + 3, &to) : 0;
	if (text.n > 0 && (room == 0 || c->reply.cut || c->reply.lines > 1 ||
			   sodium_base642bin(to, room, (const char *)text.p, text.n, NULL, &n, NULL,
					     sodium_base64_VARIANT_ORIGINAL) != 0)) {
		cancel(c);
		return;
	}
	buf_filled(&a->data, n);
	a->wanted = a->challenge = true;
}

void client_on_auth(struct smtp_client *c)
{
	struct client_auth *a = &c->auth;
	int class = c->reply.code / 100;

	if (c->reply.code == 334 && !a->cancelled) {
		on_challenge(c);
		return;
	}
	client_auth_done(c);
	if (c->reply.code >= 500 && c->reply.code <= 504)
		c->reply.text_n = 0; /* who does not understand a line may repeat it, secret and all */
	if (class == 3 || (class == 2 && a->cancelled)) {
		client_break(c, "4.5.0", "the server's answer does not belong to the command");
	} else if (class == 2) {
		a->done = true;
		c->step = SMTP_CLIENT_IDLE;
	} else if (++a->refused >= SMTP_CLIENT_AUTH_TRIES) {
		client_say(c, "QUIT");
		client_break_by_reply(c);
	} else {
		a->wanted = true;
		a->challenge = false;
	}
}
