#include "account/sasl.h"

#include <errno.h>
#include <gsasl.h>
#include <sodium.h>

#define EXPORTER_MAX 64

struct account_sasl {
	Gsasl *gsasl;
	struct account_store *store;
};

enum kind { PLAIN, LOGIN, SCRAM, SCRAM_PLUS };

static const struct {
	struct slice name;
	enum kind kind;
} mechs[] = {
	{ SLICE_INIT("PLAIN"), PLAIN },
	{ SLICE_INIT("LOGIN"), LOGIN },
	{ SLICE_INIT("SCRAM-SHA-256"), SCRAM },
	{ SLICE_INIT("SCRAM-SHA-256-PLUS"), SCRAM_PLUS },
};

struct account_sasl_session {
	struct account_sasl *sasl;
	enum kind kind;
	unsigned steps;
	Gsasl_session *gsasl;
	bool proved;	  /* SCRAM: all but the client's last empty message */
	bool false_proof; /* SCRAM: the verifier was a false one */
	bool have_verifier;
	int error; /* of a look-up inside a callback */
	char exporter[EXPORTER_MAX * 2];
	struct buf challenge, name, password;
};

static bool put_base64(Gsasl_session *g, Gsasl_property property, const unsigned char *p, size_t n)
{
	char text[128];
	bool ok;

	sodium_bin2base64(text, sizeof(text), p, n, sodium_base64_VARIANT_ORIGINAL);
	ok = gsasl_property_set(g, property, text) == GSASL_OK;
	explicit_bzero(text, sizeof(text));
	return ok;
}

/* Stable for a name, and not to be told from a true one without the store's secret. */
static void false_verifier(const struct account_sasl_session *s, struct account_verifier *ret)
{
	struct slice name = buf_slice(&s->name), secret = account_store_secret(s->sasl->store);
	struct account_address a;
	unsigned char made[64];

	if (account_address_parse(name, &a)) /* other ways to write it give the same */
		name = slice_str(a.key);
	crypto_generichash(made, sizeof(made), name.p, name.n, secret.p, secret.n);
	ret->rounds = ACCOUNT_VERIFIER_ROUNDS;
	memcpy(ret->salt, made, sizeof(ret->salt));
	/* What no password leads to need not be stable. */
	randombytes_buf(ret->stored, sizeof(ret->stored));
	randombytes_buf(ret->server, sizeof(ret->server));
}

static int give_verifier(struct account_sasl_session *s)
{
	struct account_credential c;
	struct account_verifier v;
	const char *authid = gsasl_property_fast(s->gsasl, GSASL_AUTHID);
	char rounds[16];
	int r;

	if (s->have_verifier)
		return GSASL_OK;
	s->have_verifier = true;
	buf_reset(&s->name);
	buf_put(&s->name, slice_str(authid));
	r = account_credential(s->sasl->store, buf_slice(&s->name), &c);
	if (r < 0 && r != -ENOENT) {
		s->error = r;
		return GSASL_AUTHENTICATION_ERROR;
	}
	s->false_proof = r < 0 || !c.enabled || !c.scram || c.verifier.rounds == 0;
	/* Made in any case: both ways cost the same. */
	false_verifier(s, &v);
	if (!s->false_proof)
		v = c.verifier;
	snprintf(rounds, sizeof(rounds), "%u", v.rounds);
	/* It would go on with others of its own, and the right password be wrong. */
	if (gsasl_property_set(s->gsasl, GSASL_SCRAM_ITER, rounds) != GSASL_OK ||
	    !put_base64(s->gsasl, GSASL_SCRAM_SALT, v.salt, sizeof(v.salt)) ||
	    !put_base64(s->gsasl, GSASL_SCRAM_STOREDKEY, v.stored, sizeof(v.stored)) ||
	    !put_base64(s->gsasl, GSASL_SCRAM_SERVERKEY, v.server, sizeof(v.server)))
		s->error = -ENOMEM;
	explicit_bzero(&v, sizeof(v));
	explicit_bzero(&c, sizeof(c));
	return s->error < 0 ? GSASL_AUTHENTICATION_ERROR : GSASL_OK;
}

/* RFC 4616: who is asked for must be who asks; we know no proxies. */
static bool authzid_ok(Gsasl_session *g)
{
	const char *authzid = gsasl_property_fast(g, GSASL_AUTHZID),
		   *authid = gsasl_property_fast(g, GSASL_AUTHID);
	struct account_address a, b;

	if (!authzid || authzid[0] == 0 || slice_eq(slice_str(authzid), slice_str(authid)))
		return true;
	return account_address_parse(slice_str(authzid), &a) &&
	       account_address_parse(slice_str(authid), &b) && slice_eq(slice_str(a.key), slice_str(b.key));
}

static int take_password(struct account_sasl_session *s)
{
	if (!authzid_ok(s->gsasl))
		return GSASL_AUTHENTICATION_ERROR;
	buf_put(&s->name, slice_str(gsasl_property_fast(s->gsasl, GSASL_AUTHID)));
	buf_put(&s->password, slice_str(gsasl_property_fast(s->gsasl, GSASL_PASSWORD)));
	return GSASL_OK;
}

static int on_gsasl(Gsasl *ctx, Gsasl_session *g, Gsasl_property property)
{
	/* Before gsasl_server_start() returns, the session has no hook yet. */
	struct account_sasl_session *s = g ? gsasl_session_hook_get(g) : NULL;

	if (!s)
		s = gsasl_callback_hook_get(ctx);
	if (!s)
		return GSASL_NO_CALLBACK;
	if (!s->gsasl)
		s->gsasl = g;
	switch (property) {
	case GSASL_CB_TLS_EXPORTER:
		if (s->exporter[0] == 0)
			return GSASL_NO_CALLBACK;
		return gsasl_property_set(g, GSASL_CB_TLS_EXPORTER, s->exporter);
	case GSASL_VALIDATE_SIMPLE:
		return take_password(s);
	case GSASL_SCRAM_ITER:
	case GSASL_SCRAM_SALT:
	case GSASL_SCRAM_STOREDKEY:
	case GSASL_SCRAM_SERVERKEY:
		return give_verifier(s);
	default:
		return GSASL_NO_CALLBACK;
	}
}

int account_sasl_new(struct account_store *store, struct account_sasl **ret)
{
	struct account_sasl *sasl = calloc(1, sizeof(*sasl));

	if (!sasl)
		return -ENOMEM;
	if (gsasl_init(&sasl->gsasl) != GSASL_OK) {
		free(sasl);
		return -ENOMEM;
	}
	sasl->store = store;
	gsasl_callback_set(sasl->gsasl, on_gsasl);
	*ret = sasl;
	return 0;
}

void account_sasl_free(struct account_sasl *sasl)
{
	if (!sasl)
		return;
	gsasl_done(sasl->gsasl);
	free(sasl);
}

static int begin_gsasl(struct account_sasl_session *s, const char *mech)
{
	int r;

	errno = 0;
	gsasl_callback_hook_set(s->sasl->gsasl, s);
	r = gsasl_server_start(s->sasl->gsasl, mech, &s->gsasl);
	gsasl_callback_hook_set(s->sasl->gsasl, NULL);
	if (r != GSASL_OK) {
		s->gsasl = NULL; /* freed where it failed */
		return r == GSASL_MALLOC_ERROR || errno == ENOMEM ? -ENOMEM : -EOPNOTSUPP;
	}
	gsasl_session_hook_set(s->gsasl, s);
	return 0;
}

int account_sasl_begin(struct account_sasl *sasl, struct slice mech, struct slice exporter,
		       struct account_sasl_session **ret)
{
	struct account_sasl_session *s;
	char name[32];
	size_t i = 0;
	int r = 0;

	while (i < sizeof(mechs) / sizeof(mechs[0]) && !slice_eq(mechs[i].name, mech))
		i++;
	if (i == sizeof(mechs) / sizeof(mechs[0]) || exporter.n > EXPORTER_MAX ||
	    (mechs[i].kind == SCRAM_PLUS && exporter.n == 0))
		return -EOPNOTSUPP;
	r = mechs[i].kind >= SCRAM ? account_any_scram(sasl->store) : 1;
	if (r != 1)
		return r < 0 ? r : -EOPNOTSUPP;
	r = 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->sasl = sasl;
	s->kind = mechs[i].kind;
	buf_init(&s->challenge, ACCOUNT_SASL_MAX);
	buf_init(&s->name, ACCOUNT_SASL_MAX);
	buf_init(&s->password, ACCOUNT_SASL_MAX);
	if (exporter.n > 0)
		sodium_bin2base64(s->exporter, sizeof(s->exporter), exporter.p, exporter.n,
				  sodium_base64_VARIANT_ORIGINAL);
	slice_copy(mech, name, sizeof(name));
	if (s->kind != LOGIN)
		r = begin_gsasl(s, name);
	if (r < 0) {
		account_sasl_end(s);
		return r;
	}
	*ret = s;
	return 0;
}

void account_sasl_end(struct account_sasl_session *s)
{
	if (!s)
		return;
	if (s->gsasl)
		gsasl_finish(s->gsasl);
	buf_wipe(&s->challenge);
	buf_wipe(&s->name);
	buf_wipe(&s->password);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

static enum account_sasl_step challenge(struct account_sasl_session *s, struct slice text)
{
	buf_reset(&s->challenge);
	buf_put(&s->challenge, text);
	return buf_ok(&s->challenge) ? ACCOUNT_SASL_CHALLENGE : ACCOUNT_SASL_FAILED;
}

/* RFC 4616 2: names are compared as SASLprep makes them, and libgsasl does so for PLAIN.
 * One that it does not allow is nobody's, and stays as it is. */
static void put_name(struct slice raw, struct buf *to)
{
	char *text = slice_dup(raw), *prepared = NULL;

	errno = 0;
	if (text && gsasl_saslprep(text, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) == GSASL_OK)
		buf_put(to, slice_str(prepared));
	else if (!text || errno == ENOMEM)
		to->failed = true; /* another name would be somebody else's */
	else
		buf_put(to, raw);
	gsasl_free(prepared);
	free(text);
}

bool account_sasl_name_stays(struct slice name)
{
	char *text = slice_dup(name), *prepared = NULL;
	bool stays = text && gsasl_saslprep(text, GSASL_ALLOW_UNASSIGNED, &prepared, NULL) == GSASL_OK &&
		     slice_eq(slice_str(prepared), name);

	gsasl_free(prepared);
	free(text);
	return stays;
}

static enum account_sasl_step step_login(struct account_sasl_session *s, struct slice data)
{
	if (s->steps == 0) {
		s->steps = 1;
		put_name(data, &s->name);
		return challenge(s, SLICE_LIT("Password:"));
	}
	buf_put(&s->password, data);
	return buf_ok(&s->name) && buf_ok(&s->password) ? ACCOUNT_SASL_PASSWORD : ACCOUNT_SASL_FAILED;
}

/* gsasl's answer as ours.  When memory lacks it does not always say so, or not as the cause:
 * malloc() does, in errno. */
static enum account_sasl_step after(struct account_sasl_session *s, int r, struct slice out)
{
	bool refuses = r != GSASL_OK && r != GSASL_NEEDS_MORE;

	if (s->error < 0 || r == GSASL_MALLOC_ERROR || (refuses && errno == ENOMEM) || !buf_ok(&s->name) ||
	    !buf_ok(&s->password))
		return ACCOUNT_SASL_FAILED;
	if (r == GSASL_NEEDS_MORE)
		return challenge(s, out);
	if (r == GSASL_AUTHENTICATION_ERROR)
		return ACCOUNT_SASL_REFUSED;
	if (r != GSASL_OK)
		return ACCOUNT_SASL_MALFORMED;
	if (s->kind == PLAIN)
		return ACCOUNT_SASL_PASSWORD;
	if (s->false_proof || !authzid_ok(s->gsasl))
		return ACCOUNT_SASL_REFUSED;
	/* The server's proof goes to the client, which answers with an empty line (RFC 4954 4). */
	s->proved = true;
	return challenge(s, out);
}

enum account_sasl_step account_sasl_step(struct account_sasl_session *s, bool has_data, struct slice data)
{
	enum account_sasl_step step;
	char *out = NULL;
	size_t n = 0;
	int r;

	if (!has_data)
		return challenge(s, s->kind == LOGIN ? SLICE_LIT("Username:") : SLICE_LIT(""));
	if (data.n > ACCOUNT_SASL_MAX)
		return ACCOUNT_SASL_MALFORMED;
	if (s->kind == LOGIN)
		return step_login(s, data);
	if (s->proved)
		return data.n == 0 ? ACCOUNT_SASL_PROVED : ACCOUNT_SASL_MALFORMED;
	errno = 0;
	r = gsasl_step(s->gsasl, data.n ? (const char *)data.p : "", data.n, &out, &n);
	step = after(s, r, slice_of(out, out ? n : 0));
	gsasl_free(out);
	return step;
}

struct slice account_sasl_challenge(const struct account_sasl_session *s)
{
	return buf_slice(&s->challenge);
}

struct slice account_sasl_name(const struct account_sasl_session *s)
{
	return buf_slice(&s->name);
}

struct slice account_sasl_password(const struct account_sasl_session *s)
{
	return buf_slice(&s->password);
}

bool account_sasl_exposed_name(struct slice mech, struct slice data, struct buf *to)
{
	struct slice authzid, name;

	if (slice_eq_nocase(mech, SLICE_LIT("LOGIN")) && data.n > 0) {
		put_name(data, to);
		return true;
	}
	if (!slice_eq_nocase(mech, SLICE_LIT("PLAIN")) || !cur_until(&data, 0, &authzid) ||
	    !cur_until(&data, 0, &name) || name.n == 0)
		return false;
	put_name(name, to);
	return true;
}
