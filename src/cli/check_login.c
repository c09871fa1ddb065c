/* postern check --login: a login at the ports that the verdict would use, and what came of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check/login.h"
#include "cli/advice.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "cli/password.h"
#include "cli/text.h"
#include "smtp/path.h"

/* ---- options ---- */

static bool take_mechanism(const char *text, struct check_logins *to)
{
	int mechanism = conf_mechanism_find(slice_str(text));

	if (mechanism >= 0)
		to->mechanism = (enum conf_mechanism)mechanism;
	return mechanism >= 0;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_pin(const char *text, struct check_logins *to)
{
	size_t n = 0;

	if (to->pins == CHECK_PINS_MAX)
		return false;
	for (; *text; text++) {
		int d = digit(*text);

		if (*text == ':')
			continue;
		if (d < 0 || n == 2 * (size_t)TLS_FINGERPRINT_LEN)
			return false;
		to->pin[to->pins][n / 2] = (unsigned char)((n % 2 ? to->pin[to->pins][n / 2] << 4 : 0) | d);
		n++;
	}
	to->pins++;
	return n == 2 * (size_t)TLS_FINGERPRINT_LEN;
}

bool check_logins_option(int c, const char *text, struct check_logins *to)
{
	to->more = to->more || c != 'L';
	switch (c) {
	case 'L':
		to->user = text;
		return true;
	case 'M':
		return take_mechanism(text, to);
	case 'i':
		return take_pin(text, to);
	case 'P':
		to->password_file = text;
		return true;
	default:
		to->from = text;
		return true;
	}
}

static bool is_address(const char *text)
{
	struct smtp_path path;
	size_t at;

	return smtp_parse_address(slice_str(text), &path, &at) == SMTP_PARSE_OK && !path.null;
}

const char *check_logins_wrong(const struct check_logins *o)
{
	if (!o->user)
		return o->more ? "--password-file, --mechanism, --from and --pin belong to --login USER"
			       : NULL;
	if (!o->user[0])
		return "--login: as whom?";
	if (o->from && !is_address(o->from))
		return "--from: that is no address";
	return NULL;
}

bool check_logins_read(struct check_logins *o)
{
	const char *env = getenv("POSTERN_PASSWORD_FILE");
	bool token = o->mechanism >= CONF_MECHANISM_XOAUTH2;

	if (!o->password_file && env && *env)
		o->password_file = env;
	if (!cli_password_known(o->password_file, o->user, &o->secret))
		return false;
	if (o->secret.n > 0)
		return true;
	fprintf(stderr, "postern check: the %s is empty\n", token ? "token" : "password");
	return false;
}

/* ---- where, and in which order ---- */

struct run {
	uv_loop_t *loop;
	struct check_login *login;
	bool over;
};

static void on_done(void *arg, struct probe_port *port)
{
	struct run *r = arg;

	(void)port;
	r->login = NULL;
	r->over = true;
	uv_stop(r->loop);
}

static void spare(struct probe_port *p, const char *why)
{
	p->login.state = PROBE_LOGIN_SPARED;
	snprintf(p->login.why, sizeof(p->login.why), "%s", why);
}

/* Of the user and the secret, not of the mechanism or the encryption there: elsewhere it would be refused,
 * too. */
static bool is_of_the_password(const struct probe_login *l)
{
	int code = l->auth.code;

	return l->state == PROBE_LOGIN_REFUSED && !(code >= 500 && code <= 504) && code != 530 && code != 538;
}

/* Why the others are spared once one said that: one and the same answer is behind all ports. */
static void spare_reason(const struct probe_port *p, char *why, size_t size)
{
	if (p->login.auth.code / 100 == 4)
		snprintf(why, size, "at port %u the server put it off; another try at once is no better",
			 p->port);
	else
		snprintf(why, size, "it was refused at port %u already, and servers lock who tries too often",
			 p->port);
}

static void log_in(struct cli_net *net, const struct check_login_setup *setup, const struct probe_host *h,
		   struct probe_port *p)
{
	struct run r = { .loop = &net->loop };
	int err;

	if (!p->tls.up) {
		spare(p, "there is no TLS, and a password goes over nothing else");
		return;
	}
	if (!p->tls.verified && setup->n_fingerprints == 0) {
		spare(p, "its certificate does not verify, so whoever answers may not be who should get the "
			 "password; "
			 "with --ca-file, or --pin and its SHA-256, it is tried");
		return;
	}
	err = check_login_begin(setup, h->name, p, on_done, &r, &r.login);
	if (err < 0) {
		p->login.state = PROBE_LOGIN_FAILED;
		snprintf(p->login.why, sizeof(p->login.why), "%s", strerror(-err));
		return;
	}
	while (!r.over && uv_run(&net->loop, UV_RUN_DEFAULT))
		;
	check_login_cancel(r.login);
}

/* The verdict's ports; with --expect those where it is expected, at each address. */
static size_t list(const struct check_result *r, struct probe_pick *to, size_t max)
{
	const struct probe_verdict *v = &r->verdict;
	size_t n = 0;

	for (size_t e = 0; e < r->n_expect; e++)
		for (size_t h = 0; h < r->n && probe_expect_wants_login(&r->expect[e]); h++)
			for (size_t i = 0; i < r->hosts[h].n && n < max; i++)
				if (r->hosts[h].port[i].port == r->expect[e].port &&
				    probe_speaks_smtp(&r->hosts[h].port[i]))
					to[n++] = (struct probe_pick){ h, i };
	if (r->n_expect > 0 || v->answer == PROBE_USE_NOTHING)
		return n;
	to[n++] = v->best;
	for (size_t i = 0; i < v->n_also && n < max; i++)
		to[n++] = v->also[i];
	return n;
}

void check_logins_run(const struct check_logins *o, struct cli_net *net, unsigned timeout_s,
		      const struct check_result *r)
{
	struct check_login_setup setup = {
		.loop = &net->loop,
		.tls = net->tls,
		.helo = net->hostname,
		.connect_ms = timeout_s * 1000,
		.reply_ms = timeout_s * 1000,
		.user = slice_str(o->user),
		.secret = buf_slice(&o->secret),
		.mechanism = o->mechanism,
		.sender = slice_str(o->from		  ? o->from
				    : is_address(o->user) ? o->user
							  : ""),
		.fingerprints = o->pin,
		.n_fingerprints = o->pins,
	};
	struct probe_pick pick[CHECK_LOGINS_MAX];
	size_t n = list(r, pick, CHECK_LOGINS_MAX);
	char why[160] = "";

	for (size_t i = 0; i < n; i++) {
		const struct probe_host *h = &r->hosts[pick[i].host];
		struct probe_port *p = &h->port[pick[i].port];

		if (why[0])
			spare(p, why);
		else
			log_in(net, &setup, h, p);
		if (is_of_the_password(&p->login))
			spare_reason(p, why, sizeof(why));
	}
}

bool check_logins_good(const struct check_result *r)
{
	const struct probe_verdict *v = &r->verdict;
	const struct probe_login *l;

	if (v->answer == PROBE_USE_NOTHING)
		return false;
	l = &r->hosts[v->best.host].port[v->best.port].login;
	return l->state == PROBE_LOGIN_ACCEPTED && l->mail.code / 100 <= 2;
}

/* ---- what it means ---- */

/* A token was refused, and no password: in the words that servers have for both. */
static void name_token(struct advise_explained *e)
{
	bool told = false;
	size_t n = 0;

	for (size_t i = 0; i < e->n; i++) {
		struct advise_guess g = e->guess[i];
		bool password = g.cause == ADVISE_PASSWORD_REFUSED || g.cause == ADVISE_APP_PASSWORD ||
				g.cause == ADVISE_OAUTH_REQUIRED;

		if (password)
			g.cause = ADVISE_TOKEN_REFUSED;
		if (g.cause == ADVISE_TOKEN_REFUSED && told)
			continue;
		told = told || g.cause == ADVISE_TOKEN_REFUSED;
		e->guess[n++] = g;
	}
	e->n = n;
}

static bool explain(const struct probe_host *h, const struct probe_port *p, struct advise_explained *ret)
{
	const struct probe_login *l = &p->login;
	const struct probe_reply *said = l->state == PROBE_LOGIN_ACCEPTED ? &l->mail : &l->auth;
	struct route_reply r = { .code = said->code,
				 .enhanced = slice_str(said->enhanced),
				 .text = slice_str(said->text),
				 .step = said == &l->mail ? SMTP_CLIENT_AT_MAIL : SMTP_CLIENT_AT_AUTH };

	if (l->state == PROBE_LOGIN_FAILED)
		r.text = slice_str(l->why);
	else if (l->state == PROBE_LOGIN_SPARED || r.code / 100 <= 2)
		return false;
	advise_explain_reply(&r, h->name, p->port, ADVISE_BY_UNKNOWN, ret);
	if (said == &l->auth && conf_mechanism_find(slice_str(l->mech)) >= CONF_MECHANISM_XOAUTH2)
		name_token(ret);
	return ret->n > 0;
}

json_t *check_logins_causes(const struct probe_host *h, const struct probe_port *p)
{
	struct advise_explained e;

	return explain(h, p, &e) ? cli_advice_json(&e) : json_array();
}

static void print_login(const struct check_logins *o, const struct probe_host *h, const struct probe_port *p)
{
	static const char *const words[] = { "", "accepted", "refused", "failed", "skipped" };
	const struct probe_login *l = &p->login;
	const char *from = o->from ? o->from : o->user;
	struct advise_explained e;
	char text[1000];

	if (l->state == PROBE_LOGIN_REFUSED)
		snprintf(text, sizeof(text), "%s: %d %s %s%s%s", l->mech, l->auth.code, l->auth.enhanced,
			 l->auth.text, l->said[0] ? "; before it: " : "", l->said);
	else if (l->state != PROBE_LOGIN_ACCEPTED)
		snprintf(text, sizeof(text), "%s", l->why);
	else if (l->mail.code == 0)
		snprintf(text, sizeof(text), "%s", l->mech);
	else if (l->mail.code / 100 == 2)
		snprintf(text, sizeof(text), "%s; then mail from %s is taken", l->mech, from);
	else
		snprintf(text, sizeof(text), "%s; but mail from %s is not: %d %s %s", l->mech, from,
			 l->mail.code, l->mail.enhanced, l->mail.text);
	printf("  %-6u %-9s", p->port,
	       l->state == PROBE_LOGIN_REFUSED && l->auth.code / 100 == 4 ? "put off" : words[l->state]);
	cli_print_wrapped(text, 18);
	if (explain(h, p, &e))
		cli_advice_put(stdout, &e, 9);
}

void check_logins_print(const struct check_logins *o, const struct check_result *r)
{
	bool any = false, refused = false;
	char text[700];

	snprintf(text, sizeof(text), "Login as %.512s", o->user);
	cli_print_wrapped(text, 0);
	for (size_t h = 0; h < r->n; h++)
		for (size_t i = 0; i < r->hosts[h].n; i++) {
			const struct probe_port *p = &r->hosts[h].port[i];

			if (p->login.state == PROBE_LOGIN_NOT_ASKED)
				continue;
			any = true;
			refused = refused || is_of_the_password(&p->login);
			print_login(o, &r->hosts[h], p);
		}
	if (!any)
		printf("  not tried: there is no port where a password would be safe\n");
	if (refused && !strchr(o->user, '@')) {
		printf("%9s%-9s", "", "note");
		cli_print_wrapped("The user name is no whole address; most servers want it whole, with what "
				  "stands behind the @.",
				  18);
	}
	putchar('\n');
}
