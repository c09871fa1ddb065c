/* server_auth.c - AUTH (RFC 4954): the exchange's frame; what is in it is the driver's. */
#include <assert.h>
#include <sodium.h>

#include "smtp/advice.h"
#include "smtp/server_private.h"

enum decoded { DECODED, NOT_BASE64, NO_MEMORY };

/* Base 64 into s->response; "=" alone is an empty initial response. */
static enum decoded decode(struct smtp_server *s, struct slice text, bool initial)
{
	unsigned char *to;
	size_t n = 0, room;

	buf_wipe(&s->response);
	if (text.n == 0 || (initial && slice_eq(text, SLICE_LIT("="))))
		return DECODED;
	room = buf_reserve(&s->response, text.n / 4 * 3 + 3, &to);
	if (room == 0 || sodium_base642bin(to, room, (const char *)text.p, text.n, NULL, &n, NULL,
					   sodium_base64_VARIANT_ORIGINAL) != 0) {
		buf_wipe(&s->response);
		return room == 0 ? NO_MEMORY : NOT_BASE64;
	}
	buf_filled(&s->response, n);
	return DECODED;
}

/* why: what decode() said. */
static void not_decoded(struct smtp_server *s, enum decoded why, const char *text)
{
	if (why == NO_MEMORY) {
		smtp_server_reply_str(s, 454, "4.7.0", "out of memory, please try again later");
		return;
	}
	s->faults |= SMTP_FAULT_SYNTAX;
	smtp_server_reply_str(s, 501, "5.5.2", text);
}

/* Is the mechanism one of those that EHLO lists?  *ret: as the list writes it. */
static bool listed(struct slice list, struct slice mech, struct slice *ret)
{
	while (list.n > 0) {
		struct slice name = slice_head(list, slice_find(list, ' '));

		if (name.n > 0 && slice_eq_nocase(name, mech)) {
			*ret = name;
			return true;
		}
		list = slice_tail(list, name.n + 1);
	}
	return false;
}

static void refuse(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	smtp_server_reply_str(s, code, enhanced, text);
	smtp_server_ask_input(s);
}

static void refuse_on_relay(struct smtp_server *s)
{
	struct buf text;

	buf_init(&text, SMTP_REPLY_MAX);
	smtp_advice_auth_on_relay(s->setup->advice, &text);
	smtp_server_reply_buf(s, 503, "5.5.1", &text);
	smtp_server_ask_input(s);
}

static void refuse_in_clear(struct smtp_server *s, bool exposed)
{
	struct buf text;

	buf_init(&text, SMTP_REPLY_MAX);
	if (exposed)
		smtp_advice_password_exposed(&text);
	else
		smtp_advice_auth_needs_tls(&text);
	smtp_server_reply_buf(s, 538, "5.7.11", &text);
	smtp_server_ask_input(s);
}

static void ask_exposed(struct smtp_server *s, struct slice mech, const struct buf *data)
{
	s->faults |= SMTP_FAULT_PASSWORD_IN_CLEAR;
	s->ask = (struct smtp_server_ask){
		.want = SMTP_SERVER_EXPOSED, .name = mech, .has_initial = true, .data = buf_slice(data)
	};
}

/* Only PLAIN puts a secret into its first response; LOGIN's is a user name, and
 * the others' hold nothing that could be replayed here.  Else look out for what a client
 * that does not wait for answers sends next. */
static bool exposes(struct smtp_server *s, struct slice mech, struct slice initial)
{
	bool plain = slice_eq_nocase(mech, SLICE_LIT("PLAIN"));

	if (s->in_tls || (!plain && !slice_eq_nocase(mech, SLICE_LIT("LOGIN"))))
		return false;
	if (decode(s, initial, true) != DECODED)
		return false;
	if (plain && s->response.n > 0) {
		ask_exposed(s, SLICE_LIT("PLAIN"), &s->response);
		return true;
	}
	s->leak = plain ? LEAK_PLAIN : s->response.n > 0 ? LEAK_PASSWORD : LEAK_NAME;
	buf_put(&s->leaked, buf_slice(&s->response));
	return false;
}

void smtp_server_leak_over(struct smtp_server *s)
{
	s->leak = LEAK_NONE;
	buf_wipe(&s->leaked);
}

bool smtp_server_leaked_line(struct smtp_server *s, struct slice line)
{
	enum smtp_leak leak = s->leak;

	s->leak = LEAK_NONE;
	if (leak == LEAK_NONE || decode(s, line, false) != DECODED || s->response.n == 0 ||
	    !buf_ok(&s->leaked)) {
		smtp_server_leak_over(s);
		return false;
	}
	if (leak == LEAK_NAME) {
		buf_put(&s->leaked, buf_slice(&s->response));
		s->leak = LEAK_PASSWORD;
		return false;
	}
	if (leak == LEAK_PASSWORD)
		ask_exposed(s, SLICE_LIT("LOGIN"), &s->leaked);
	else
		ask_exposed(s, SLICE_LIT("PLAIN"), &s->response);
	return true;
}

static void begin(struct smtp_server *s, struct slice mech, struct slice initial)
{
	enum decoded d;
	struct slice name;

	if (!listed(s->setup->mechs, mech, &name) &&
	    !(s->channel_binding && listed(s->setup->mechs_tls, mech, &name))) {
		refuse(s, 504, "5.5.4", "authentication mechanism not offered");
		return;
	}
	d = decode(s, initial, true);
	if (d != DECODED) {
		not_decoded(s, d, "the initial response is not base 64");
		smtp_server_ask_input(s);
		return;
	}
	s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_AUTH,
					   .name = name,
					   .has_initial = initial.n > 0,
					   .data = buf_slice(&s->response) };
}

void smtp_server_on_auth(struct smtp_server *s, struct slice args)
{
	const struct smtp_server_setup *setup = s->setup;
	struct slice mech = slice_head(args, slice_find(args, ' '));
	struct slice initial = slice_trim(slice_tail(args, mech.n));

	if (setup->role == SMTP_RELAY) {
		s->faults |= SMTP_FAULT_AUTH_ON_RELAY;
		if (!exposes(s, mech, initial))
			refuse_on_relay(s);
	} else if (setup->role != SMTP_SUBMISSION || !setup->auth) {
		refuse(s, 502, "5.5.1", "AUTH is not offered here");
	} else if (!s->in_tls && setup->tls_required) {
		if (exposes(s, mech, initial))
			return;
		s->faults |= SMTP_FAULT_NO_STARTTLS;
		refuse_in_clear(s, false);
	} else if (!s->esmtp) {
		refuse(s, 503, "5.5.1", "bad sequence of commands: EHLO first");
	} else if (s->authenticated) {
		refuse(s, 503, "5.5.1", "already authenticated");
	} else if (s->state > ST_GREETED) {
		refuse(s, 503, "5.5.1", "not within a transaction");
	} else if (mech.n == 0 || slice_find(initial, ' ') < initial.n) {
		s->faults |= SMTP_FAULT_SYNTAX;
		refuse(s, 501, "5.5.4", "syntax: AUTH mechanism [initial-response]");
	} else {
		begin(s, mech, initial);
	}
}

/* The reply is given; the driver is told that nothing more comes. */
void smtp_server_auth_broken(struct smtp_server *s)
{
	buf_wipe(&s->response);
	buf_wipe(&s->line);
	s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_AUTH_ABORT };
}

void smtp_server_auth_line(struct smtp_server *s, struct slice line)
{
	bool cancelled = slice_eq(line, SLICE_LIT("*"));
	enum decoded d = cancelled ? DECODED : decode(s, line, false);

	s->mode = MODE_COMMAND;
	if (cancelled) {
		smtp_server_reply_str(s, 501, "5.7.0", "authentication cancelled");
		smtp_server_auth_broken(s);
	} else if (d != DECODED) {
		not_decoded(s, d, "the response is not base 64");
		smtp_server_auth_broken(s);
	} else {
		s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_AUTH_STEP,
						   .data = buf_slice(&s->response) };
	}
}

/* Wipe what the client sent, whatever the size of the buffers. */
static void wipe(struct smtp_server *s)
{
	buf_wipe(&s->response);
	buf_wipe(&s->line);
}

void smtp_server_challenge(struct smtp_server *s, struct slice challenge)
{
	size_t n = sodium_base64_encoded_len(challenge.n, sodium_base64_VARIANT_ORIGINAL);
	unsigned char *to;

	assert(s->ask.want == SMTP_SERVER_AUTH || s->ask.want == SMTP_SERVER_AUTH_STEP);
	wipe(s);
	buf_str(&s->out, "334 ");
	if (buf_reserve(&s->out, n, &to) < n) {
		s->out.failed = true;
	} else {
		sodium_bin2base64((char *)to, n, challenge.p, challenge.n, sodium_base64_VARIANT_ORIGINAL);
		buf_filled(&s->out, n - 1); /* without its NUL */
		buf_str(&s->out, "\r\n");
	}
	s->mode = MODE_AUTH;
	smtp_server_ask_input(s);
}

void smtp_server_auth_done(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	bool yes = code / 100 == 2;

	assert(s->ask.want == SMTP_SERVER_AUTH || s->ask.want == SMTP_SERVER_AUTH_STEP);
	wipe(s);
	s->authenticated = yes;
	if (yes)
		s->commands = 0;
	if (!enhanced)
		enhanced = yes ? "2.7.0" : code < 500 ? "4.7.0" : "5.7.8";
	if (!text)
		text = yes	    ? "authentication successful"
		       : code < 500 ? "try again later"
				    : "authentication failed";
	smtp_server_reply_str(s, yes ? 235 : code, enhanced, text);
	if (code == 421)
		smtp_server_close(s);
	else
		smtp_server_ask_input(s);
}

void smtp_server_exposed_go_on(struct smtp_server *s)
{
	wipe(s);
	smtp_server_leak_over(s);
	if (s->setup->role == SMTP_RELAY)
		refuse_on_relay(s);
	else
		refuse_in_clear(s, true);
}
