/* Which certificate a client gets, what loading says of a bad one, and resumption:
 * client and server talk through memory, no socket. */
#include "net/tls_private.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

enum kind { EC, RSA_2048, RSA_1024, ED };

/* A certificate for a comma separated list of names; days: valid so long from now on. */
static void make(const char *names, enum kind kind, int days, const char *password, struct buf *cert,
		 struct buf *key)
{
	EVP_PKEY *k = kind == EC   ? EVP_EC_gen("P-256")
		      : kind == ED ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
				   : EVP_RSA_gen(kind == RSA_1024 ? 1024 : 2048);
	X509 *x = X509_new();
	char san[512] = "", *list = strdup(names), *at = list, *one;
	BIO *bio = BIO_new(BIO_s_mem());
	X509_EXTENSION *e;
	char *p;
	long n;

	while ((one = strsep(&at, ",")))
		snprintf(san + strlen(san), sizeof(san) - strlen(san), "%sDNS:%s", *san ? "," : "", one);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), days < 0 ? -86400L * 400 : days > 1000 ? 86400 : -3600);
	X509_time_adj_ex(X509_getm_notAfter(x), days, 0, NULL);
	X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_UTF8,
				   (const unsigned char *)list, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, k);
	e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(x, k, kind == ED ? NULL : EVP_sha256()) > 0);
	PEM_write_bio_X509(bio, x);
	n = BIO_get_mem_data(bio, &p);
	if (cert)
		buf_put(cert, slice_of(p, (size_t)n));
	(void)BIO_reset(bio);
	PEM_write_bio_PrivateKey(bio, k, password ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL,
				 (void *)password);
	n = BIO_get_mem_data(bio, &p);
	if (key)
		buf_put(key, slice_of(p, (size_t)n));
	BIO_free(bio);
	X509_free(x);
	EVP_PKEY_free(k);
	free(list);
}

/* ---- what loading says ---- */

static void test_loading(void **state)
{
	static const struct {
		const char *what, *says;
	} cases[] = {
		{ "c1 k1", NULL },
		{ "k1 c1", NULL },
		{ "c1 k1 c2", NULL }, /* a chain behind its key */
		{ "c1", "certificate: no private key in the file (PEM, \"BEGIN PRIVATE KEY\")" },
		{ "k1", "certificate: no certificate in the file (PEM, \"BEGIN CERTIFICATE\")" },
		{ "", "certificate: no certificate in the file (PEM, \"BEGIN CERTIFICATE\")" },
		{ "c1 k2", "certificate: the key does not belong to the certificate" },
		{ "c1 c2 k2",
		  "certificate: the chain is in the wrong order: the certificate that the key belongs "
		  "to must come first" },
		{ "c3 k3", "certificate: encrypted keys are not supported: take the password off the key" },
		{ "c4 k4", "certificate: the key is too short: RSA needs 2048 bits or more, ECDSA 256" },
	};
	struct buf pair[4][2];
	struct tls_server *t;
	char err[200];

	(void)state;
	for (int i = 0; i < 8; i++)
		buf_init(&pair[i / 2][i % 2], 65536);
	make("a.example.org", EC, 100, NULL, &pair[0][0], &pair[0][1]);
	make("b.example.org", RSA_2048, 100, NULL, &pair[1][0], &pair[1][1]);
	make("c.example.org", EC, 100, "secret", &pair[2][0], &pair[2][1]);
	make("d.example.org", RSA_1024, 100, NULL, &pair[3][0], &pair[3][1]);
	assert_int_equal(tls_server_new(&t), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice word, rest = slice_str(cases[i].what);
		struct buf pem;
		struct slice s;

		buf_init(&pem, 65536);
		for (; rest.n >= 2; rest = slice_tail(rest, 3)) {
			word = slice_head(rest, 2);
			buf_put(&pem, buf_slice(&pair[word.p[1] - '1'][word.p[0] == 'k']));
		}
		s = buf_slice(&pem);
		assert_int_equal(tls_server_load(t, &s, 1, err, sizeof(err)), cases[i].says ? -EINVAL : 0);
		assert_string_equal(err, cases[i].says ? cases[i].says : "");
		buf_done(&pem);
	}
	tls_server_free(t);
	for (int i = 0; i < 8; i++)
		buf_done(&pair[i / 2][i % 2]);
}

static void test_warnings(void **state)
{
	struct tls_server *t;
	struct slice s[2];
	struct buf pem[2];
	char err[200];

	(void)state;
	assert_int_equal(tls_server_new(&t), 0);
	for (int i = 0; i < 2; i++)
		buf_init(&pem[i], 65536);
	make("a.example.org", EC, 100, NULL, &pem[0], &pem[0]);
	make("b.example.org", EC, -1, NULL, &pem[1], &pem[1]);
	for (int i = 0; i < 2; i++)
		s[i] = buf_slice(&pem[i]);
	assert_int_equal(tls_server_load(t, s, 2, err, sizeof(err)), 0);
	assert_memory_equal(err, "certificate 2 of 2: expired on 20", 33);
	for (int i = 0; i < 2; i++)
		buf_done(&pem[i]);
	tls_server_free(t);
}

/* ---- a handshake through memory ---- */

struct client {
	SSL_CTX *ctx;
	SSL *ssl;
	SSL_SESSION *session;
};

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct client *c = SSL_get_app_data(ssl);

	SSL_SESSION_free(c->session);
	c->session = session;
	return 1;
}

static void pump(SSL *from, SSL *to)
{
	BIO *out = SSL_get_wbio(from), *in = SSL_get_rbio(to);
	char b[4096];
	int n;

	while ((n = BIO_read(out, b, sizeof(b))) > 0)
		BIO_write(in, b, n);
}

/* Shakes hands and reads what tickets come; the client's name of the certificate goes into cn. */
static const char *ciphers_12; /* of the client, at TLS 1.2 and below; NULL: its own choice */
static enum tls_min server_min = TLS_MIN_1_2;

static bool shake(struct client *c, struct tls_server *t, const char *sni, int version, const char *sigalgs,
		  struct tls_facts *facts, char cn[64])
{
	struct tls_session *s;
	bool done = false;
	char b[16];
	X509 *x;

	c->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ctx, keep_session);
	SSL_CTX_set_max_proto_version(c->ctx, version);
	if (sigalgs)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(c->ctx, sigalgs), 1);
	if (ciphers_12)
		assert_int_equal(SSL_CTX_set_cipher_list(c->ctx, ciphers_12), 1);
	c->ssl = SSL_new(c->ctx);
	SSL_set_app_data(c->ssl, c);
	SSL_set_bio(c->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (sni)
		SSL_set_tlsext_host_name(c->ssl, sni);
	if (c->session)
		SSL_set_session(c->ssl, c->session);
	assert_int_equal(tls_session_new(t, server_min, &s), 0);
	SSL_set_bio(s->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	for (int i = 0; i < 6 && !done; i++) {
		int ours, theirs = SSL_connect(c->ssl);

		pump(c->ssl, s->ssl);
		ours = SSL_do_handshake(s->ssl);
		pump(s->ssl, c->ssl);
		done = ours == 1 && theirs == 1;
	}
	if (done) {
		SSL_read(c->ssl, b, sizeof(b)); /* takes the tickets of 1.3 */
		tls_session_facts(s, facts);
		x = SSL_get1_peer_certificate(c->ssl);
		if (x)
			X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, 64);
		X509_free(x);
	}
	/* Neither side says goodbye: a client that resumes must not need it. */
	SSL_set_quiet_shutdown(c->ssl, 1);
	SSL_shutdown(c->ssl);
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	tls_session_free(s);
	return done;
}

static void test_choice_by_name(void **state)
{
	static const struct {
		const char *names;
		enum kind kind;
	} certificates[] = {
		{ "mx.example.org", EC },
		{ "mx.example.org", RSA_2048 },
		{ "mail.example.net,*.example.net", EC },
		{ "www.example.net", RSA_2048 },
		{ "xn--bcher-kva.example", EC },
		{ "*.xn--bcher-kva.example", EC },
		{ "*", EC }, /* matches nothing */
		{ "ed.example.org", ED },
	};
	static const struct {
		const char *sni, *sigalgs, *expect;
		int max_version;
	} cases[] = {
		{ NULL, NULL, "mx.example.org", TLS1_3_VERSION },
		{ "unknown.example.com", NULL, "mx.example.org", TLS1_3_VERSION },
		{ "mx.example.org", NULL, "mx.example.org", TLS1_3_VERSION },
		{ "MX.Example.ORG", NULL, "mx.example.org", TLS1_2_VERSION },
		{ "mx.example.org", "RSA-PSS+SHA256:RSA+SHA256", "mx.example.org", TLS1_3_VERSION },
		{ "mx.example.org", "RSA-PSS+SHA256:RSA+SHA256", "mx.example.org", TLS1_2_VERSION },
		{ NULL, "RSA-PSS+SHA256:RSA+SHA256", "mx.example.org", TLS1_2_VERSION },
		{ "mail.example.net", NULL, "mail.example.net", TLS1_3_VERSION },
		{ "other.example.net", NULL, "mail.example.net", TLS1_3_VERSION },
		{ "a.b.example.net", NULL, "mx.example.org", TLS1_3_VERSION },
		{ "example.net", NULL, "mx.example.org", TLS1_3_VERSION },
		{ "www.example.net", "RSA-PSS+SHA256:RSA+SHA256", "www.example.net", TLS1_3_VERSION },
		{ "xn--bcher-kva.example", NULL, "xn--bcher-kva.example", TLS1_3_VERSION },
		{ "mx.xn--bcher-kva.example", NULL, "*.xn--bcher-kva.example", TLS1_2_VERSION },
		{ "localhost", NULL, "mx.example.org", TLS1_3_VERSION },
		{ "ed.example.org", NULL, "ed.example.org", TLS1_3_VERSION },
	};
	enum { N = sizeof(certificates) / sizeof(certificates[0]) };
	struct tls_server *t;
	struct slice s[N];
	struct buf pem[N];
	char err[200];

	(void)state;
	for (int i = 0; i < N; i++) {
		buf_init(&pem[i], 65536);
		make(certificates[i].names, certificates[i].kind, 100, NULL, &pem[i], &pem[i]);
		s[i] = buf_slice(&pem[i]);
	}
	assert_int_equal(tls_server_new(&t), 0);
	assert_int_equal(tls_server_load(t, s, N, err, sizeof(err)), 0);
	assert_string_equal(err, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_facts f = { 0 };
		struct client c = { 0 };
		char cn[64] = "";

		assert_true(shake(&c, t, cases[i].sni, cases[i].max_version, cases[i].sigalgs, &f, cn));
		assert_string_equal(cn, cases[i].expect);
		assert_string_equal(f.sni, cases[i].sni ? cases[i].sni : "");
		SSL_SESSION_free(c.session);
	}
	tls_server_free(t);
	for (int i = 0; i < N; i++)
		buf_done(&pem[i]);
}

/* New certificates serve the next connection; a session under way keeps its own. */
static void test_replacing(void **state)
{
	const char *const names[2][1] = { { "old.example.org" }, { "new.example.org" } };
	struct client c = { 0 };
	struct tls_session *under_way;
	struct tls_facts f;
	struct tls_server *t;
	struct buf pem[2];
	char err[200], cn[64];
	struct slice s;

	(void)state;
	assert_int_equal(tls_server_new(&t), 0);
	assert_int_equal(tls_session_new(t, TLS_MIN_1_2, &under_way), -ENOKEY);
	for (int i = 0; i < 2; i++) {
		buf_init(&pem[i], 65536);
		assert_int_equal(tls_self_signed(names[i], 1, &pem[i]), 0);
		s = buf_slice(&pem[i]);
		assert_int_equal(tls_server_load(t, &s, 1, err, sizeof(err)), 0);
		if (i == 0)
			assert_int_equal(tls_session_new(t, TLS_MIN_1_2, &under_way), 0);
		assert_true(shake(&c, t, NULL, TLS1_3_VERSION, NULL, &f, cn));
		assert_string_equal(cn, names[i][0]);
	}
	s = SLICE_LIT("nonsense");
	assert_int_equal(tls_server_load(t, &s, 1, err, sizeof(err)), -EINVAL);
	assert_true(shake(&c, t, NULL, TLS1_3_VERSION, NULL, &f, cn));
	assert_string_equal(cn, "new.example.org");
	assert_null(c.session); /* no secret, no tickets */
	tls_server_free(t);	/* before the session */
	tls_session_free(under_way);
	for (int i = 0; i < 2; i++)
		buf_wipe(&pem[i]);
}

/* What a client of one cipher gets; with min 1.0 a listener is for old devices. */
static void test_ciphers(void **state)
{
	static const struct {
		const char *cipher;
		bool usual, old;
	} cases[] = {
		{ "ECDHE-RSA-AES128-GCM-SHA256", true, true },
		{ "ECDHE-RSA-CHACHA20-POLY1305", true, true },
		{ "ECDHE-RSA-AES256-SHA384", true, true }, /* Windows Server 2012 */
		{ "ECDHE-RSA-AES128-SHA256", true, true }, /* Java 7 */
		{ "ECDHE-RSA-AES128-SHA", false, true },
		{ "AES128-SHA", false, true },
		{ "AES128-GCM-SHA256", false, true },
		{ "AES128-SHA256", false, false },
		{ "DHE-RSA-AES128-GCM-SHA256", false, false },
		{ "ECDHE-RSA-CAMELLIA128-SHA256", false, false },
		{ "AECDH-AES128-SHA:@SECLEVEL=0", false, false },
		{ "ECDHE-RSA-NULL-SHA:@SECLEVEL=0", false, false },
		/* Ours goes before theirs. */
		{ "ECDHE-RSA-AES128-SHA256:ECDHE-RSA-AES128-GCM-SHA256", true, true },
	};
	struct tls_server *t;
	struct buf pem;
	struct slice s;
	char err[200];

	(void)state;
	buf_init(&pem, 65536);
	make("mx.example.org", RSA_2048, 100, NULL, &pem, &pem);
	s = buf_slice(&pem);
	assert_int_equal(tls_server_new(&t), 0);
	assert_int_equal(tls_server_load(t, &s, 1, err, sizeof(err)), 0);
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		bool old = i % 2, expect = old ? cases[i / 2].old : cases[i / 2].usual;
		struct client c = { 0 };
		struct tls_facts f;
		char cn[64];

		ciphers_12 = cases[i / 2].cipher;
		server_min = old ? TLS_MIN_1_0 : TLS_MIN_1_2;
		if (shake(&c, t, NULL, TLS1_2_VERSION, NULL, &f, cn) != expect)
			fail_msg("%s, min %s", ciphers_12, old ? "1.0" : "1.2");
		if (strchr(ciphers_12, ':') && expect)
			assert_string_equal(f.cipher, "ECDHE-RSA-AES128-GCM-SHA256");
		ciphers_12 = NULL;
		server_min = TLS_MIN_1_2;
	}
	ERR_clear_error();
	tls_server_free(t);
	buf_wipe(&pem);
}

static int64_t fake_time;

static int64_t fake_now(void)
{
	return fake_time;
}

/* Two servers stand for two processes. */
static void test_resumption(void **state)
{
	static const unsigned char secret[2][32] = { { 1 }, { 2 } };
	static const struct {
		int same_secret, later, resumed;
	} cases[] = {
		{ 1, 0, 1 },
		{ 1, TLS_TICKET_SLOT, 1 },     /* the key before is still good */
		{ 1, 2 * TLS_TICKET_SLOT, 0 }, /* not for ever */
		{ 0, 0, 0 },
	};
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	const char *const names[] = { "mx.example.org" };
	struct buf pem;
	struct slice s;

	(void)state;
	buf_init(&pem, 65536);
	assert_int_equal(tls_self_signed(names, 1, &pem), 0);
	s = buf_slice(&pem);
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		int version = versions[i % 2];
		struct tls_server *t[2];
		struct client c = { 0 };
		struct tls_facts f;
		char err[200], cn[64];

		fake_time = 1000000 * (int64_t)TLS_TICKET_SLOT;
		for (int k = 0; k < 2; k++) {
			assert_int_equal(tls_server_new(&t[k]), 0);
			assert_int_equal(tls_server_load(t[k], &s, 1, err, sizeof(err)), 0);
			assert_int_equal(tls_server_ticket_secret(
						 t[k],
						 slice_of(secret[cases[i / 2].same_secret ? 0 : k], 32)),
					 0);
			tls_server_tickets(t[k])->now = fake_now;
		}
		assert_int_equal(tls_server_ticket_secret(t[0], SLICE_LIT("short")), -EINVAL);
		assert_true(shake(&c, t[0], "mx.example.org", version, NULL, &f, cn));
		assert_false(f.resumed);
		assert_non_null(c.session);
		fake_time += cases[i / 2].later;
		assert_true(shake(&c, t[1], "mx.example.org", version, NULL, &f, cn));
		assert_int_equal(f.resumed, cases[i / 2].resumed);
		assert_string_equal(f.sni, "mx.example.org");
		SSL_SESSION_free(c.session);
		tls_server_free(t[0]);
		tls_server_free(t[1]);
	}
	buf_wipe(&pem);
}

static void test_self_signed(void **state)
{
	const char *const names[] = { "mx.example.org", "evil.example,DNS:other.example" };
	struct buf pem, hosts;
	char sha[65];
	int64_t until;
	BIO *bio;
	X509 *x;

	(void)state;
	buf_init(&pem, 65536);
	assert_int_equal(tls_self_signed(names, 0, &pem), -EINVAL);
	assert_int_equal(tls_self_signed(names, 2, &pem), 0);
	assert_int_equal(tls_certificate_info(buf_slice(&pem), &until, sha), 0);
	assert_true(until > time(NULL) + 3650LL * 86400);
	assert_int_equal(strlen(sha), 64);
	buf_init(&hosts, 1024);
	assert_int_equal(tls_certificate_names(buf_slice(&pem), &hosts), 0);
	assert_true(slice_starts(buf_slice(&hosts), SLICE_LIT("mx.example.org evil.example,DNS:")));
	assert_int_equal(tls_certificate_names(SLICE_LIT("x"), &hosts), -EINVAL);
	buf_done(&hosts);
	bio = BIO_new_mem_buf(buf_slice(&pem).p, (int)buf_slice(&pem).n);
	x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	assert_int_equal(X509_check_host(x, "mx.example.org", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(x, "other.example", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ca(x), 0);
	X509_free(x);
	BIO_free(bio);
	assert_int_equal(tls_certificate_info(SLICE_LIT("x"), &until, sha), -EINVAL);
	buf_wipe(&pem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loading),	       cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_choice_by_name), cmocka_unit_test(test_replacing),
		cmocka_unit_test(test_resumption),     cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_self_signed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
