#include "cli/carrier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/password.h"

#define TIMEOUT_S 30
#define FINAL_S	  600 /* for the answer to the whole message: RFC 5321 4.5.3.2.6 */

struct cli_carrier {
	struct cli_carrier_setup kept;
	struct provider provider;
	bool net_open, secret_known;
	struct cli_net net;
	struct buf secret;
	struct carry *carry; /* of the last message */
	const struct carry_result *result;
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

static int find_provider(struct cli_carrier *c)
{
	const char *program = c->kept.program, *url = c->kept.url, *env = getenv("POSTERN_URL"), *why;

	if (!url && c->kept.account)
		return cli_usage(program, "%s: there is no such account", c->kept.account);
	if (!url && env && *env)
		url = env;
	if (!url && find_socket(&c->provider))
		return CLI_OK;
	if (!url)
		return cli_usage(program,
				 "by which server? --url smtp://USER@HOST; no Postern of this machine "
				 "takes mail at its socket");
	/* What is wrong may be a password in it: it is not said again. */
	why = provider_url(slice_str(url), &c->provider);
	return why ? cli_usage(program, "the URL: %s", why) : CLI_OK;
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

const struct provider *cli_carrier_provider(const struct cli_carrier *c)
{
	return &c->provider;
}

const char *cli_carrier_from(const struct cli_carrier *c)
{
	return strchr(c->provider.user, '@') ? c->provider.user : "";
}

/* ---- its secret ---- */

static bool find_secret(struct cli_carrier *c)
{
	const char *env = getenv("POSTERN_PASSWORD_FILE"), *file = c->kept.password_file;
	char what[PROVIDER_USER_MAX + 300];

	if (!c->provider.user[0] || c->secret_known)
		return true;
	if (!file && env && *env)
		file = env;
	snprintf(what, sizeof(what), "%s at %s", c->provider.user, c->provider.host);
	buf_wipe(&c->secret);
	if (!cli_password_known(file, what, &c->secret))
		return false;
	c->secret_known = c->secret.n > 0;
	if (!c->secret_known)
		fprintf(stderr, "postern %s: the password is empty\n", c->kept.program);
	return c->secret_known;
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
				     .helo = c->net.hostname,
				     .draft = d,
				     .connect_s = s->timeout_s,
				     .command_s = s->timeout_s,
				     .final_s = s->timeout_s > FINAL_S ? s->timeout_s : FINAL_S };

	memcpy(setup.pin, s->pin, sizeof(setup.pin));
	return carry_begin(&setup, on_done, c, &c->carry);
}

int cli_carrier_send(struct cli_carrier *c, const struct draft *d, const struct carry_result **ret)
{
	int r;

	c->result = NULL;
	carry_free(c->carry);
	c->carry = NULL;
	if (!find_secret(c))
		return CLI_FAILED;
	if (!c->net_open && !cli_net_open(&c->net, c->kept.program, &c->kept.net))
		return CLI_FAILED;
	c->net_open = true;
	r = begin(c, d);
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
	carry_free(c->carry);
	if (c->net_open)
		cli_net_close(&c->net);
	buf_wipe(&c->secret);
	free(c);
}
