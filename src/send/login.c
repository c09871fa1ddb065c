#include "send/login.h"

#include <errno.h>
#include <gsasl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum kind { PLAIN, LOGIN, SCRAM, SCRAM_PLUS, XOAUTH2, OAUTHBEARER };

/* The strongest first. */
static const struct {
	const char *name;
	enum kind kind;
	int pin;
} mechs[] = {
	{ "SCRAM-SHA-256-PLUS", SCRAM_PLUS, CONF_MECHANISM_SCRAM_PLUS },
	{ "SCRAM-SHA-256", SCRAM, CONF_MECHANISM_SCRAM },
	{ "PLAIN", PLAIN, CONF_MECHANISM_PLAIN },
	{ "LOGIN", LOGIN, CONF_MECHANISM_LOGIN },
	{ "OAUTHBEARER", OAUTHBEARER, CONF_MECHANISM_OAUTHBEARER },
	{ "XOAUTH2", XOAUTH2, CONF_MECHANISM_XOAUTH2 },
};

#define N_MECHS (sizeof(mechs) / sizeof(mechs[0]))

struct login {
	enum kind kind;
	unsigned steps;
	bool proved;
	Gsasl *gsasl;
	Gsasl_session *session;
	struct buf user, secret; /* LOGIN's */
	struct buf out;
};

static bool offers(struct slice offered, const char *name)
{
	while (offered.n > 0) {
		struct slice word = slice_head(offered, slice_find(offered, ' '));

		if (slice_eq_nocase(word, slice_str(name)))
			return true;
		offered = slice_tail(offered, word.n + 1);
	}
	return false;
}

const char *login_choose(struct slice offered, int pin, bool has_exporter)
{
	for (size_t i = 0; i < N_MECHS; i++) {
		bool fits = pin == CONF_MECHANISM_OAUTH ? mechs[i].kind >= XOAUTH2 : mechs[i].pin == pin;

		if (pin != CONF_MECHANISM_AUTO && !fits)
			continue;
		if (mechs[i].kind == SCRAM_PLUS && !has_exporter)
			continue;
		if (offers(offered, mechs[i].name))
			return mechs[i].name;
	}
	return NULL;
}

static enum kind kind_of(const char *mech)
{
	size_t i = 0;

	while (i + 1 < N_MECHS && strcmp(mechs[i].name, mech) != 0)
		i++;
	return mechs[i].kind;
}

bool login_is_token(const char *mech)
{
	return kind_of(mech) >= XOAUTH2;
}

void login_free(struct login *l)
{
	if (!l)
		return;
	if (l->session)
		gsasl_finish(l->session);
	if (l->gsasl)
		gsasl_done(l->gsasl);
	buf_wipe(&l->user);
	buf_wipe(&l->secret);
	buf_wipe(&l->out);
	explicit_bzero(l, sizeof(*l));
	free(l);
}

/* ---- GNU SASL ---- */

static int set_property(Gsasl_session *g, Gsasl_property property, struct slice value)
{
	char *text;
	int r;

	if (value.n == 0 || memchr(value.p, 0, value.n))
		return -EINVAL;
	text = slice_dup(value);
	if (!text)
		return -ENOMEM;
	r = gsasl_property_set(g, property, text);
	explicit_bzero(text, value.n);
	free(text);
	return r == GSASL_OK ? 0 : -ENOMEM;
}

static int set_exporter(Gsasl_session *g, struct slice exporter)
{
	char text[128];

	if (exporter.n == 0 || exporter.n > 64)
		return 0;
	sodium_bin2base64(text, sizeof(text), exporter.p, exporter.n, sodium_base64_VARIANT_ORIGINAL);
	return set_property(g, GSASL_CB_TLS_EXPORTER, slice_str(text));
}

static int begin_gsasl(struct login *l, const struct login_setup *setup)
{
	int r;

	if (gsasl_init(&l->gsasl) != GSASL_OK) {
		l->gsasl = NULL; /* it may point to what is freed already */
		return -ENOMEM;
	}
	if (gsasl_client_start(l->gsasl, setup->mech, &l->session) != GSASL_OK) {
		l->session = NULL;
		return -ENOMEM;
	}
	r = set_property(l->session, GSASL_AUTHID, setup->user);
	if (r == 0)
		r = set_property(l->session, GSASL_PASSWORD, setup->secret);
	/* Not without -PLUS, though RFC 5802 6 has a word for it ("y": we could, and you do not offer it):
	 * libgsasl up to 2.2.0 at least takes its own message for invalid then, and no login comes about. */
	if (r == 0 && l->kind == SCRAM_PLUS)
		r = set_exporter(l->session, setup->exporter);
	return r;
}

static bool step_gsasl(struct login *l, struct slice in, struct slice *ret)
{
	char *text = NULL;
	size_t n = 0;
	int r = gsasl_step(l->session, in.n ? (const char *)in.p : "", in.n, &text, &n);

	buf_reset(&l->out);
	if (r == GSASL_OK || r == GSASL_NEEDS_MORE)
		buf_put(&l->out, slice_of(text, n));
	if (text)
		explicit_bzero(text, n);
	gsasl_free(text);
	/* PLAIN is through with its only message; SCRAM when the server's proof was right. */
	l->proved = r == GSASL_OK;
	*ret = buf_slice(&l->out);
	return (r == GSASL_OK || r == GSASL_NEEDS_MORE) && buf_ok(&l->out);
}

/* ---- tokens ---- */

static bool has_control(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

/* RFC 5801 4: "," and "=" in a name. */
static void put_saslname(struct buf *to, struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == ',')
			buf_str(to, "=2C");
		else if (name.p[i] == '=')
			buf_str(to, "=3D");
		else
			buf_byte(to, name.p[i]);
	}
}

static int make_token(struct login *l, const struct login_setup *setup)
{
	if (has_control(setup->user) || has_control(setup->secret))
		return -EINVAL;
	if (l->kind == XOAUTH2) {
		buf_str(&l->out, "user=");
		buf_put(&l->out, setup->user);
		buf_byte(&l->out, 1);
	} else {
		buf_str(&l->out, "n,a=");
		put_saslname(&l->out, setup->user);
		buf_str(&l->out, ",\001host=");
		buf_put(&l->out, setup->host);
		buf_str(&l->out, "\001port=");
		buf_dec(&l->out, setup->port, 1);
		buf_byte(&l->out, 1);
	}
	buf_str(&l->out, "auth=Bearer ");
	buf_put(&l->out, setup->secret);
	buf_str(&l->out, "\001\001");
	return buf_ok(&l->out) ? 0 : -ENOMEM;
}

/* ---- */

int login_new(const struct login_setup *setup, struct login **ret)
{
	struct login *l = calloc(1, sizeof(*l));
	int r = 0;

	if (!l)
		return -ENOMEM;
	l->kind = kind_of(setup->mech);
	buf_init(&l->user, LOGIN_DATA_MAX);
	buf_init(&l->secret, LOGIN_DATA_MAX);
	buf_init(&l->out, LOGIN_DATA_MAX);
	if (setup->user.n + setup->secret.n > LOGIN_DATA_MAX / 2) {
		r = -EINVAL;
	} else if (l->kind >= XOAUTH2) {
		r = make_token(l, setup);
	} else if (l->kind == LOGIN) {
		buf_put(&l->user, setup->user);
		buf_put(&l->secret, setup->secret);
		r = buf_ok(&l->user) && buf_ok(&l->secret) ? 0 : -ENOMEM;
	} else {
		r = begin_gsasl(l, setup);
	}
	if (r < 0) {
		login_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

bool login_initial(struct login *l, struct slice *ret)
{
	if (l->kind == LOGIN)
		return false;
	if (l->kind >= XOAUTH2) {
		*ret = buf_slice(&l->out);
		l->proved = true;
		return true;
	}
	return step_gsasl(l, SLICE_LIT(""), ret);
}

bool login_answer(struct login *l, struct slice challenge, struct slice *ret)
{
	l->steps++;
	if (challenge.n > LOGIN_DATA_MAX || l->steps > 4)
		return false;
	switch (l->kind) {
	case LOGIN: /* whatever it calls them: "Username:", "User Name", in any language */
		*ret = buf_slice(l->steps == 1 ? &l->user : &l->secret);
		l->proved = l->steps == 2;
		return l->steps <= 2;
	case XOAUTH2: /* its refusal, as JSON, before the 535 that says so */
		l->proved = false;
		*ret = SLICE_LIT("");
		return true;
	case OAUTHBEARER: /* RFC 7628 3.2.3 */
		l->proved = false;
		*ret = SLICE_LIT("\001");
		return true;
	case PLAIN: /* nothing is to be said any more */
		return false;
	default:
		return !l->proved && step_gsasl(l, challenge, ret);
	}
}

bool login_proved(const struct login *l)
{
	return l->proved;
}
