/* A login at a port. */
#include "check/login.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/knock.h"
#include "send/login.h"
#include "smtp/client.h"
#include "smtp/reply.h"

#define INPUT_MAX  (16U << 10)
#define OUTPUT_MAX (32U << 10)

/* After 235 the engine has nothing more to say: it would send a message. */
enum stage { LOGIN, MAIL, RSET, QUIT };

struct check_login {
	const struct check_login_setup *setup;
	const char *name;
	struct probe_port *port;
	struct probe_port aside; /* what the knock finds: the report keeps the look's */
	struct knock *knock;
	struct conn *conn;
	struct smtp_client_setup client_setup;
	struct smtp_client *client;
	struct login *login;
	enum stage stage;
	struct smtp_reply reply;
	bool handshaking;
	bool broke_off; /* by us, in the middle of AUTH */
	uint64_t said_ms;
	uv_timer_t timer;
	bool over;
	check_login_done *done;
	void *arg;
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

/* ---- how it ends ---- */

static void on_closed(uv_handle_t *h)
{
	struct check_login *l = h->data;

	explicit_bzero(l, sizeof(*l));
	free(l);
}

static void release(struct check_login *l)
{
	l->over = true;
	knock_cancel(l->knock);
	if (l->handshaking)
		conn_close(l->conn);
	else if (l->conn)
		conn_close_gently(l->conn); /* QUIT may be in it */
	login_free(l->login);
	smtp_client_free(l->client);
	l->login = NULL;
	l->client = NULL;
	l->conn = NULL;
	uv_close((uv_handle_t *)&l->timer, on_closed);
}

static void end(struct check_login *l)
{
	if (l->over)
		return;
	release(l);
	l->done(l->arg, l->port);
}

void check_login_cancel(struct check_login *l)
{
	if (l && !l->over)
		release(l);
}

static void fail(struct check_login *l, const char *why)
{
	struct probe_login *to = &l->port->login;

	/* It was accepted, and ended behind it: that stays so. */
	if (to->state == PROBE_LOGIN_NOT_ASKED) {
		to->state = PROBE_LOGIN_FAILED;
		snprintf(to->why, sizeof(to->why), "%s", why);
	}
	end(l);
}

static void on_timeout(uv_timer_t *h)
{
	fail(h->data, "no answer in time");
}

static void await(struct check_login *l)
{
	l->said_ms = now_ms();
	uv_timer_start(&l->timer, on_timeout, l->setup->reply_ms, 0);
}

/* ---- what was said ---- */

static void keep_text(char *to, size_t size, struct slice s)
{
	size_t n = s.n < size - 1 ? s.n : size - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = s.p[i] < ' ' || s.p[i] == 127 ? ' ' : (char)s.p[i];
	to[n] = '\0';
}

static void keep(struct check_login *l, struct probe_reply *to, int code, const char *enhanced,
		 struct slice text)
{
	to->code = code;
	snprintf(to->enhanced, sizeof(to->enhanced), "%s", enhanced);
	keep_text(to->text, sizeof(to->text), text);
	to->ms = (uint32_t)(now_ms() - l->said_ms);
}

/* ---- AUTH ---- */

static void choose(struct check_login *l, const struct smtp_client_ask *a)
{
	unsigned char binding[32];
	bool bound = conn_tls_exporter(l->conn, binding) == 0;
	struct login_setup setup = { .user = l->setup->user,
				     .secret = l->setup->secret,
				     .exporter = { binding, bound ? sizeof(binding) : 0 },
				     .host = slice_str(l->name),
				     .port = l->port->port };
	struct probe_login *to = &l->port->login;
	struct slice initial;
	int r;

	setup.mech = login_choose(a->mechs, (int)l->setup->mechanism, bound);
	if (!setup.mech) {
		snprintf(to->why, sizeof(to->why),
			 l->setup->mechanism == CONF_MECHANISM_AUTO
				 ? "the server offers no way to log in that postern knows, only: %.*s"
				 : "the server does not offer that mechanism, only: %.*s",
			 a->mechs.n > 120 ? 120 : (int)a->mechs.n, (const char *)a->mechs.p);
		to->state = PROBE_LOGIN_FAILED;
		end(l);
		return;
	}
	snprintf(to->mech, sizeof(to->mech), "%s", setup.mech);
	r = login_new(&setup, &l->login);
	explicit_bzero(binding, sizeof(binding));
	if (r < 0) {
		fail(l, r == -ENOMEM ? "out of memory"
				     : "the user's name or the secret holds what cannot be sent");
		return;
	}
	if (login_initial(l->login, &initial))
		smtp_client_auth(l->client, slice_str(setup.mech), &initial);
	else
		smtp_client_auth(l->client, slice_str(setup.mech), NULL);
	await(l);
}

static void on_refusal(struct check_login *l, const struct smtp_client_ask *a)
{
	struct probe_login *to = &l->port->login;

	if (l->broke_off) { /* it answers our "*" */
		fail(l,
		     "what the server answered does not fit the mechanism, or does not prove that it knows "
		     "the password: postern broke the login off");
		return;
	}
	to->state = PROBE_LOGIN_REFUSED;
	keep(l, &to->auth, a->code, a->enhanced, a->text);
	end(l);
}

static void on_challenge(struct check_login *l, const struct smtp_client_ask *a)
{
	struct probe_login *to = &l->port->login;
	struct slice answer;

	/* Of a token: why it is refused, before the refusal (RFC 7628 3.2.2). */
	if (login_is_token(to->mech))
		keep_text(to->said, sizeof(to->said), a->data);
	if (login_answer(l->login, a->data, &answer)) {
		smtp_client_respond(l->client, answer);
	} else {
		l->broke_off = true;
		smtp_client_auth_cancel(l->client);
	}
	await(l);
}

/* ---- behind it ---- */

static bool say(struct check_login *l, enum stage stage, struct slice line)
{
	struct buf b;
	bool ok;

	buf_init(&b, 1024);
	buf_put(&b, line);
	buf_str(&b, "\r\n");
	l->stage = stage;
	await(l);
	ok = buf_ok(&b) && conn_write(l->conn, buf_slice(&b)) == 0;
	buf_done(&b);
	return ok;
}

static bool needs_utf8(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] & 0x80)
			return true;
	return false;
}

static void say_mail(struct check_login *l)
{
	struct slice from = l->setup->sender;
	struct buf b;

	if (from.n == 0) {
		end(l);
		return;
	}
	buf_init(&b, 1024);
	buf_fmt(&b, "MAIL FROM:<%.*s>%s", SLICE_ARG(from), needs_utf8(from) ? " SMTPUTF8" : "");
	if (!buf_ok(&b) || !say(l, MAIL, buf_slice(&b)))
		end(l);
	buf_done(&b);
}

static void on_accepted(struct check_login *l)
{
	struct probe_login *to = &l->port->login;

	if (!login_proved(l->login)) {
		fail(l, "the server took the login, and did not prove that it knows the password: it may be "
			"another one");
		return;
	}
	to->state = PROBE_LOGIN_ACCEPTED;
	to->auth.code = 235;
	to->auth.ms = (uint32_t)(now_ms() - l->said_ms);
	login_free(l->login);
	l->login = NULL;
	say_mail(l);
}

static void on_reply(struct check_login *l)
{
	if (l->stage == MAIL) {
		struct probe_reply *to = &l->port->login.mail;

		keep(l, to, l->reply.code, l->reply.enhanced, smtp_reply_text(&l->reply));
		if (to->code / 100 != 2 || !say(l, RSET, SLICE_LIT("RSET")))
			l->stage = RSET;
		else
			return;
	}
	if (l->stage == RSET && say(l, QUIT, SLICE_LIT("QUIT")))
		return;
	end(l);
}

static void read_replies(struct check_login *l)
{
	while (!l->over && conn_input(l->conn).n > 0) {
		enum smtp_reply_step step;

		conn_consume(l->conn, smtp_reply_feed(&l->reply, conn_input(l->conn), &step));
		if (step == SMTP_REPLY_BAD)
			fail(l, "what it said after the login is no reply of SMTP");
		else if (step == SMTP_REPLY_DONE)
			on_reply(l);
	}
}

/* ---- the engine ---- */

static void start_tls(struct check_login *l)
{
	struct ip ip;
	bool address = ip_parse(slice_str(l->name), &ip);
	struct tls_client_setup setup = {
		.sni = address ? NULL : l->name,
		.verify = l->setup->n_fingerprints ? TLS_VERIFY_FINGERPRINTS : TLS_VERIFY_NAMES,
		.names = &l->name,
		.n_names = 1,
		.fingerprints = l->setup->fingerprints,
		.n_fingerprints = l->setup->n_fingerprints,
	};

	await(l);
	l->handshaking = true;
	if (conn_start_tls_client(l->conn, l->setup->tls, &setup) < 0)
		fail(l, "TLS could not be begun");
}

static bool write_out(struct check_login *l)
{
	struct slice out = smtp_client_output(l->client);

	if (out.n == 0 || l->handshaking || conn_write(l->conn, out) < 0)
		return false;
	smtp_client_sent(l->client, out.n);
	return true;
}

static void on_close(struct check_login *l, const struct smtp_client_ask *a)
{
	struct probe_login *to = &l->port->login;
	char why[sizeof(to->why)];

	if (a->step == SMTP_CLIENT_AT_AUTH && a->code > 0) {
		on_refusal(l, a);
		return;
	}
	keep(l, &to->auth, a->code, a->enhanced, a->text);
	if (a->code > 0)
		snprintf(why, sizeof(why), "it did not come to the login: at %s it said %d %.150s",
			 smtp_client_step_name(a->step), a->code, to->auth.text);
	else
		keep_text(why, sizeof(why), a->text);
	memset(&to->auth, 0, sizeof(to->auth));
	fail(l, why);
}

/* One step; false: the server's turn. */
static bool step(struct check_login *l)
{
	const struct smtp_client_ask *a = smtp_client_want(l->client);
	bool wrote = write_out(l);

	switch (a->want) {
	case SMTP_CLIENT_CLOSE:
		on_close(l, a);
		return false;
	case SMTP_CLIENT_TLS:
		if (!l->handshaking)
			start_tls(l);
		return false;
	case SMTP_CLIENT_AUTH:
		if (a->refused > 0)
			smtp_client_auth_give_up(l->client, "",
						 ""); /* once: QUIT, and CLOSE with the refusal */
		else
			choose(l, a);
		return true;
	case SMTP_CLIENT_CHALLENGE:
		on_challenge(l, a);
		return true;
	case SMTP_CLIENT_READY:
		on_accepted(l);
		return false;
	default:
		break;
	}
	if (!l->handshaking && conn_input(l->conn).n > 0) {
		uint64_t replies = smtp_client_replies(l->client);
		size_t n = smtp_client_feed(l->client, conn_input(l->conn));

		conn_consume(l->conn, n);
		if (smtp_client_replies(l->client) > replies) /* not for each octet that drips */
			await(l);
		return n > 0;
	}
	return wrote;
}

static void run(struct check_login *l)
{
	while (!l->over && l->stage == LOGIN && step(l))
		;
	if (!l->over && l->stage != LOGIN)
		read_replies(l);
}

static void on_tls(struct check_login *l, bool up)
{
	struct tls_client_facts f;
	char why[sizeof(l->port->login.why)];

	conn_tls_client_facts(l->conn, &f);
	if (up && f.verified) {
		l->handshaking = false;
		if (!l->client_setup.implicit_tls)
			smtp_client_tls_started(l->client);
		await(l);
		run(l);
		return;
	}
	snprintf(why, sizeof(why), "nothing was said, for TLS failed: %s",
		 f.words[0] ? f.words : conn_error(l->conn));
	fail(l, why);
}

static void on_conn(void *arg, struct conn *c, enum conn_event event)
{
	struct check_login *l = arg;

	switch (event) {
	case CONN_INPUT:
	case CONN_DRAINED:
		run(l);
		break;
	case CONN_TLS_DONE:
	case CONN_TLS_FAILED:
		on_tls(l, event == CONN_TLS_DONE);
		break;
	case CONN_EOF:
	case CONN_ERROR:
		run(l); /* what came before it */
		if (l->over || l->conn != c)
			break;
		fail(l, event == CONN_EOF ? "the server closed the connection"
					  : "the connection broke before the server answered");
		break;
	default:
		break;
	}
}

static void on_knock(void *arg, int fd)
{
	struct check_login *l = arg;
	const struct conn_setup setup = { l->setup->loop, INPUT_MAX, OUTPUT_MAX, on_conn, l };

	l->knock = NULL;
	if (fd < 0) {
		fail(l, "it could not be connected to again");
		return;
	}
	if (conn_take(&setup, fd, false, &l->conn) < 0) {
		close(fd);
		fail(l, "out of memory");
		return;
	}
	l->client = smtp_client_new(&l->client_setup);
	if (!l->client) {
		fail(l, "out of memory");
		return;
	}
	await(l);
	if (l->client_setup.implicit_tls)
		start_tls(l);
}

int check_login_begin(const struct check_login_setup *setup, const char *name, struct probe_port *port,
		      check_login_done *done, void *arg, struct check_login **ret)
{
	struct check_login *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	l->setup = setup;
	l->name = name;
	l->port = port;
	l->done = done;
	l->arg = arg;
	l->aside.ip = port->ip;
	l->aside.port = port->port;
	l->client_setup = (struct smtp_client_setup){ .protocol = SMTP_CLIENT_SMTP,
						      .tls = port->tls.implicit ? SMTP_CLIENT_TLS_NEVER
										: SMTP_CLIENT_TLS_MUST,
						      .implicit_tls = port->tls.implicit,
						      .helo = slice_str(setup->helo),
						      .auth = true };
	memset(&port->login, 0, sizeof(port->login));
	uv_timer_init(setup->loop, &l->timer);
	l->timer.data = l;
	r = knock_begin(setup->loop, &l->aside, setup->connect_ms, on_knock, l, &l->knock);
	if (r < 0) {
		uv_close((uv_handle_t *)&l->timer, on_closed);
		return r;
	}
	*ret = l;
	return 0;
}
