#include "cli/carrier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/login_secret.h"
#include "cli/send_accounts.h"
#include "route/providers.h"

#define TIMEOUT_S 30
#define FINAL_S	  600 /* for the answer to the whole message: RFC 5321 4.5.3.2.6 */

struct cli_carrier {
	struct cli_carrier_setup kept;
	struct provider provider;
	struct cli_accounts accounts;
	const struct submit_account *account; /* NULL: by a URL, or the socket */
	bool own_pins;			      /* none were given, so the account's hold */
	bool net_open, secret_known, renewed;
	bool keep; /* one carry for all messages */
	struct cli_net net;
	struct buf secret;
	struct secret_command *renewal; /* runs */
	struct carry *carry;		/* of the last message */
	const struct carry_result *result;
	struct carry_result none; /* no server was asked */
	int (*before)(void *arg, const struct carry_result *so_far);
	void *before_arg;
};

bool cli_carrier_pin_ok(const char *text)
{
	size_t digits = 0;

	for (; *text; text++)
		if (*text != ':')
			digits += (*text >= '0' && *text <= '9') ||
						  ((*text | 0x20) >= 'a' && (*text | 0x20) <= 'f')
					  ? 1
					  : 100;
	return digits == 64;
}

/* ---- which one ---- */

/* The Postern of this machine. */
static bool find_socket(struct provider *p)
{
	const char *run = getenv("POSTERN_RUNTIME_DIR");
	struct stat st;
	int n;

	*p = (struct provider){ 0 };
	n = snprintf(p->path, sizeof(p->path), "%s/submit.sock", run && *run ? run : "/run/postern");
	return n > 0 && (size_t)n < sizeof(p->path) && stat(p->path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* --provider, or the provider of --user's domain. */
static int find_known(struct cli_carrier *c)
{
	const char *program = c->kept.program, *user = c->kept.user ? c->kept.user : "";
	const char *name = c->kept.provider ? c->kept.provider : user;
	const char *why = provider_known(slice_str(name), slice_str(user), &c->provider);
	const struct route_provider *known;

	if (!why)
		return CLI_OK;
	known = route_provider(slice_str(name));
	if (known && !*user)
		return cli_usage(program, "%s: which user? --user: %s", known->title, known->user);
	return cli_usage(program, "%s: %s", name, why);
}

/* --user beside --url, whose own place for it is in the URL. */
static int set_user(struct cli_carrier *c)
{
	const char *user = c->kept.user;

	if (!user)
		return CLI_OK;
	if (c->provider.user[0] || c->provider.path[0] || !*user)
		return cli_usage(c->kept.program,
				 "--user: the URL names one already, or the server wants none");
	return slice_copy(slice_str(user), c->provider.user, sizeof(c->provider.user))
		       ? CLI_OK
		       : cli_usage(c->kept.program, "--user: too long");
}

/* What is wrong may be a password in it: it is not said again. */
static int take_url(struct cli_carrier *c, const char *url)
{
	const char *why = provider_url(slice_str(url), &c->provider);

	return why ? cli_usage(c->kept.program, "the URL: %s", why) : set_user(c);
}

static void take_account(struct cli_carrier *c, const struct submit_account *a)
{
	struct cli_carrier_setup *s = &c->kept;

	c->account = a;
	c->provider = a->server;
	if (!s->mechanism)
		s->mechanism = conf_mechanism_word(a->mechanism);
	while (c->own_pins && s->pins < a->n_fingerprints && s->pins < CARRY_PINS_MAX) {
		s->pin[s->pins] = a->fingerprints[s->pins];
		s->pins++;
	}
	if (!s->net.ca_file && a->ca_file[0])
		s->net.ca_file = a->ca_file;
}

static int no_account(const struct cli_carrier *c, const char *name)
{
	const struct submit_accounts *file = c->accounts.file;
	const char *near = file ? submit_account_near(file, name) : NULL;

	fprintf(stderr, "postern %s: %s: there is no such account", c->kept.program, name);
	fprintf(stderr, file ? " in %s" : "; there is no accounts file", c->accounts.path);
	fprintf(stderr, near ? "; did you mean '%s'?\n" : "\n", near);
	return CLI_USAGE;
}

static int by_account(struct cli_carrier *c, const char *name)
{
	int status = cli_accounts_read(c->kept.program, &c->accounts);
	const struct submit_account *a = NULL;

	if (status != CLI_OK)
		return status;
	if (c->accounts.file)
		a = submit_account(c->accounts.file, name);
	if (!a)
		return no_account(c, name);
	take_account(c, a);
	return CLI_OK;
}

/* Nothing says which: the one of the file that stands for all. */
static int by_default(struct cli_carrier *c)
{
	int status = cli_accounts_read(c->kept.program, &c->accounts);
	const struct submit_account *a = NULL;

	if (status != CLI_OK)
		return status;
	if (c->accounts.file)
		a = submit_account_standard(c->accounts.file);
	if (a)
		take_account(c, a);
	else if (c->accounts.file && c->accounts.file->n > 0)
		return cli_usage(
			c->kept.program,
			"by which account? --account NAME, or default: NAME in %s; %s --accounts lists "
			"them",
			c->accounts.path, "postern send");
	else
		return cli_usage(c->kept.program,
				 "by which server? --url smtp://USER@HOST, or an account in "
				 "~/.config/postern/send.yaml; no Postern of this machine takes mail at its "
				 "socket");
	return CLI_OK;
}

static int find_provider(struct cli_carrier *c)
{
	const char *url = getenv("POSTERN_URL"), *name = getenv("POSTERN_ACCOUNT");

	if (c->kept.url && c->kept.account)
		return cli_usage(c->kept.program, "--url and --account exclude each other");
	if (c->kept.provider && (c->kept.url || c->kept.account))
		return cli_usage(c->kept.program, "--provider goes without --url and --account");
	if (c->kept.user && c->kept.account)
		return cli_usage(c->kept.program, "--user: the account names one");
	if (c->kept.provider || (c->kept.user && !c->kept.url))
		return find_known(c);
	if (c->kept.url)
		return take_url(c, c->kept.url);
	if (c->kept.account)
		return by_account(c, c->kept.account);
	if (url && *url)
		return take_url(c, url);
	if (name && *name)
		return by_account(c, name);
	return find_socket(&c->provider) ? CLI_OK : by_default(c);
}

int cli_carrier_find(struct cli_carrier **ret, const struct cli_carrier_setup *s)
{
	struct cli_carrier *c = calloc(1, sizeof(*c));
	int status;

	if (!c) {
		fprintf(stderr, "postern %s: out of memory\n", s->program);
		return CLI_LATER;
	}
	c->kept = *s;
	if (c->kept.timeout_s == 0)
		c->kept.timeout_s = TIMEOUT_S;
	c->own_pins = s->pins == 0;
	status = find_provider(c);
	if (status == CLI_OK && s->pins > 0 && c->provider.path[0])
		status = cli_usage(s->program,
				   "a socket of this machine shows no certificate: --pin has no meaning");
	if (status == CLI_OK)
		*ret = c;
	else
		cli_carrier_free(c);
	return status;
}

const struct cli_carrier_setup *cli_carrier_by(const struct cli_carrier *c)
{
	return &c->kept;
}

const struct provider *cli_carrier_provider(const struct cli_carrier *c)
{
	return &c->provider;
}

const char *cli_carrier_from(const struct cli_carrier *c)
{
	if (c->account && c->account->from[0])
		return c->account->from;
	return strchr(c->provider.user, '@') ? c->provider.user : "";
}

const struct submit_account *cli_carrier_account(const struct cli_carrier *c)
{
	return c->account;
}

/* ---- its secret ---- */

static struct cli_secret_setup secret_setup(struct cli_carrier *c)
{
	return (struct cli_secret_setup){ .program = c->kept.program,
					  .server = &c->provider,
					  .file = c->kept.password_file,
					  .account = c->account,
					  .loop = &c->net.loop,
					  .limit_s = c->kept.timeout_s };
}

static const char same_again[] = "wrote the same token again, which the server refuses";

static int find_secret(struct cli_carrier *c)
{
	struct cli_secret_setup s = secret_setup(c);
	int status = CLI_OK;

	if (!c->provider.user[0] || c->secret_known)
		return CLI_OK;
	buf_wipe(&c->secret);
	status = cli_secret(&s, &c->secret);
	c->secret_known = status == CLI_OK;
	return status;
}

int cli_carrier_secret(struct cli_carrier *c, struct slice *ret, bool *ret_token)
{
	const char *m = c->kept.mechanism ? c->kept.mechanism : "";
	int status = cli_carrier_ready(c);

	if (status != CLI_OK)
		return status;
	*ret = buf_slice(&c->secret);
	*ret_token = (c->account && c->account->token_command) || !strcmp(m, "xoauth2") ||
		     !strcmp(m, "oauthbearer") || !strcmp(m, "oauth");
	return CLI_OK;
}

int cli_carrier_renew(struct cli_carrier *c, struct slice *ret)
{
	struct cli_secret_setup s = secret_setup(c);
	struct buf other;
	int status;

	if (!c->account || !c->account->token_command || !cli_secret_renews(&s))
		return CLI_FAILED;
	status = cli_secret(&s, &other);
	if (status == CLI_OK && slice_eq(buf_slice(&other), buf_slice(&c->secret))) {
		cli_secret_failed(&s, same_again);
		status = CLI_FAILED;
	}
	if (status != CLI_OK) {
		buf_wipe(&other);
		return status;
	}
	buf_wipe(&c->secret);
	c->secret = other;
	*ret = buf_slice(&c->secret);
	return CLI_OK;
}

/* What the command says now; the same token again is no other one. */
static void on_renewed(void *arg, struct slice line, const char *why)
{
	struct cli_carrier *c = arg;
	struct cli_secret_setup s = secret_setup(c);
	bool other = !why && !slice_eq(line, buf_slice(&c->secret));

	c->renewal = NULL;
	if (why || !other)
		cli_secret_failed(&s, why ? why : same_again);
	if (other) {
		buf_wipe(&c->secret);
		buf_init(&c->secret, CLI_SECRET_MAX);
		buf_put(&c->secret, line);
	}
	carry_secret(c->carry, buf_slice(&c->secret), other);
}

/* Once for a message: a server that refuses the new one, too, is not asked again. */
static void on_stale(void *arg)
{
	struct cli_carrier *c = arg;
	struct cli_secret_setup s = secret_setup(c);

	if (!c->renewed && cli_secret_renews(&s))
		c->renewal = cli_secret_renew(&s, on_renewed, c);
	c->renewed = true;
	if (!c->renewal)
		carry_secret(c->carry, buf_slice(&c->secret), false);
}

/* ---- submitting ---- */

static void on_done(void *arg, const struct carry_result *r)
{
	struct cli_carrier *c = arg;

	c->result = r;
	uv_stop(&c->net.loop);
}

static int on_before(void *arg, const struct carry_result *so_far)
{
	struct cli_carrier *c = arg;

	return c->before ? c->before(c->before_arg, so_far) : 0;
}

void cli_carrier_before(struct cli_carrier *c, int (*before)(void *arg, const struct carry_result *so_far),
			void *arg)
{
	c->before = before;
	c->before_arg = arg;
}

static int begin(struct cli_carrier *c, const struct draft *d)
{
	const struct cli_carrier_setup *s = &c->kept;
	struct carry_setup setup = { .loop = &c->net.loop,
				     .resolve = c->net.resolve,
				     .tls = c->net.tls,
				     .provider = &c->provider,
				     .pins = s->pins,
				     .mechanism = s->mechanism,
				     .password = buf_slice(&c->secret),
				     .before = on_before,
				     .stale = on_stale,
				     .helo = c->net.hostname,
				     .draft = d,
				     .keep = c->keep,
				     .connect_s = s->timeout_s,
				     .command_s = s->timeout_s,
				     .final_s = s->timeout_s > FINAL_S ? s->timeout_s : FINAL_S };

	memcpy(setup.pin, s->pin, sizeof(setup.pin));
	return carry_begin(&setup, on_done, c, &c->carry);
}

/* A renewal that nobody waits for any more would answer a carry that is gone. */
static void end_last(struct cli_carrier *c)
{
	secret_command_drop(c->renewal);
	c->renewal = NULL;
	carry_free(c->carry);
	c->carry = NULL;
	c->result = NULL;
}

int cli_carrier_ready(struct cli_carrier *c)
{
	log_level(LOG_CRIT); /* what lanes log is for who runs a server: here the result tells it */
	c->kept.net.no_tls = c->provider.path[0] != '\0';
	if (!c->net_open && !cli_net_open(&c->net, c->kept.program, &c->kept.net))
		return CLI_FAILED;
	c->net_open = true;
	return find_secret(c);
}

void cli_carrier_keep(struct cli_carrier *c)
{
	if (!c->keep)
		end_last(c);
	c->keep = true;
}

/* What the server did since the last message: that it hung up comes by way of the lane, in a few turns. */
static void catch_up(struct cli_carrier *c)
{
	for (int i = 0; i < 4; i++)
		uv_run(&c->net.loop, UV_RUN_NOWAIT);
	uv_update_time(&c->net.loop);
}

static int go_on(struct cli_carrier *c, const struct draft *d)
{
	catch_up(c);
	c->result = NULL;
	return carry_next(c->carry, d);
}

/* Its command failed, which was said, and may do better later: where there is no network no token is to be
 * had. For who wants to keep the message, it is as if no server could be reached. */
static int not_now(struct cli_carrier *c, const struct draft *d, const struct carry_result **ret)
{
	static const char text[] = "there is no password to log in with, for now";
	size_t n = d->envelope.recipients;

	free(c->none.rcpt);
	c->none = (struct carry_result){ .rcpt = calloc(n ? n : 1, sizeof(*c->none.rcpt)),
					 .n = n,
					 .end = IPC_LANE_LOCAL };
	if (!c->none.rcpt)
		return CLI_LATER;
	(void)slice_copy(SLICE_LIT("4.7.0"), c->none.enhanced, sizeof(c->none.enhanced));
	(void)slice_copy(slice_str(text), c->none.text, sizeof(c->none.text));
	*ret = &c->none;
	return CLI_OK;
}

int cli_carrier_send(struct cli_carrier *c, const struct draft *d, const struct carry_result **ret)
{
	int r;

	if (!c->keep)
		end_last(c);
	r = cli_carrier_ready(c);
	if (r == CLI_LATER)
		return not_now(c, d, ret);
	if (r != CLI_OK)
		return r;
	c->renewed = false;
	r = c->carry ? go_on(c, d) : begin(c, d);
	if (r == 0)
		uv_run(&c->net.loop, UV_RUN_DEFAULT);
	if (!c->result) {
		fprintf(stderr, "postern %s: %s\n", c->kept.program, strerror(r < 0 ? -r : EIO));
		return CLI_FAILED;
	}
	*ret = c->result;
	return CLI_OK;
}

void cli_carrier_free(struct cli_carrier *c)
{
	if (!c)
		return;
	if (c->carry && c->keep && carry_end(c->carry))
		uv_run(&c->net.loop, UV_RUN_DEFAULT);
	end_last(c);
	if (c->net_open)
		cli_net_close(&c->net);
	buf_wipe(&c->secret);
	free(c->none.rcpt);
	cli_accounts_done(&c->accounts);
	free(c);
}
