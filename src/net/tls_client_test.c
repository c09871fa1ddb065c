/* Handshakes with servers that show what they should, and with those that do not: a conn of ours
 * on a loop, and a server in a thread with OpenSSL alone, so that it is as independent as a real one. */
#include "net/tls_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- certificates ---- */

struct authority {
	X509 *x;
	EVP_PKEY *key;
};
static struct authority ca, other_ca;

static void add(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

/* san: "DNS:a,DNS:b" or NULL; issuer NULL: signs itself. */
static X509 *certificate(const char *cn, const char *san, int from_day, int to_day, EVP_PKEY *key,
			 const struct authority *issuer, bool is_ca)
{
	static long serial = 1;
	X509 *x = X509_new();
	X509 *by = issuer ? issuer->x : x;

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	X509_time_adj_ex(X509_getm_notBefore(x), from_day, -3600, NULL);
	X509_time_adj_ex(X509_getm_notAfter(x), to_day, 0, NULL);
	X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_UTF8,
				   (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(by));
	X509_set_pubkey(x, key);
	if (is_ca)
		add(x, by, NID_basic_constraints, "critical,CA:TRUE");
	if (san)
		add(x, by, NID_subject_alt_name, san);
	assert_true(X509_sign(x, issuer ? issuer->key : key, EVP_sha256()) > 0);
	return x;
}

static void pem_of(X509 *x, struct buf *to)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	PEM_write_bio_X509(bio, x);
	n = BIO_get_mem_data(bio, &p);
	buf_put(to, slice_of(p, (size_t)n));
	BIO_free(bio);
}

/* What a TLSA record of it has: selector, matching type. */
static size_t tlsa_data(X509 *x, unsigned selector, unsigned matching, unsigned char *to)
{
	unsigned char *der = NULL;
	int n = selector == 0 ? i2d_X509(x, &der) : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	unsigned len = (unsigned)n;

	assert_true(n > 0 && n < 4096);
	if (matching == 0)
		memcpy(to, der, (size_t)n);
	else
		assert_int_equal(EVP_Digest(der, (size_t)n, to, &len,
					    matching == 1 ? EVP_sha256() : EVP_sha512(), NULL),
				 1);
	OPENSSL_free(der);
	return len;
}

static int setup(void **state)
{
	(void)state;
	ca.key = EVP_EC_gen("P-256");
	ca.x = certificate("Test Authority", NULL, -10, 1000, ca.key, NULL, true);
	other_ca.key = EVP_EC_gen("P-256");
	other_ca.x = certificate("Other Authority", NULL, -10, 1000, other_ca.key, NULL, true);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	X509_free(ca.x);
	EVP_PKEY_free(ca.key);
	X509_free(other_ca.x);
	EVP_PKEY_free(other_ca.key);
	return 0;
}

/* ---- both sides ---- */

struct server {
	pthread_t thread;
	int listening;
	uint16_t port;
	X509 *leaf;
	EVP_PKEY *key;
	X509 *chain; /* sent behind the leaf, or NULL */
	int max_version;
	const char *ciphers;
	const char *says; /* in clear, first of all */
	bool plain;	  /* no TLS at all: closes after that */
	/* What it saw. */
	bool shaken;
	char sni[100], version[16];
	unsigned char exporter[32];
};

struct client {
	uv_loop_t loop;
	uv_timer_t watchdog;
	struct tls_client *tls;
	struct conn *conn;
	const struct tls_client_setup *setup;
	size_t wait_for; /* octets in clear before it starts TLS */
	int started;	 /* what conn_start_tls_client() said */
	bool done, failed, echoed, timed_out;
	char error[128];
	unsigned char exporter[32];
	struct tls_client_facts facts;
};

static void *serve(void *arg)
{
	struct server *s = arg;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct timeval limit = { .tv_sec = 60 };
	const char *sni;
	char b[64];
	SSL *ssl;
	int n, fd = accept(s->listening, NULL, NULL);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	SSL_CTX_set_cipher_list(ctx, s->ciphers ? s->ciphers : "ALL:@SECLEVEL=0");
	if (s->max_version)
		SSL_CTX_set_max_proto_version(ctx, s->max_version);
	assert_int_equal(SSL_CTX_use_certificate(ctx, s->leaf), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, s->key), 1);
	if (s->chain)
		SSL_CTX_add1_chain_cert(ctx, s->chain);
	if (s->says)
		(void)send(fd, s->says, strlen(s->says), MSG_NOSIGNAL);
	ssl = SSL_new(ctx);
	SSL_set_fd(ssl, fd);
	if (!s->plain && SSL_accept(ssl) == 1) {
		s->shaken = true;
		sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
		snprintf(s->sni, sizeof(s->sni), "%s", sni ? sni : "");
		snprintf(s->version, sizeof(s->version), "%s", SSL_get_version(ssl));
		SSL_export_keying_material(ssl, s->exporter, 32, "EXPORTER-Channel-Binding", 24,
					   (const unsigned char *)"", 0, 1);
		n = SSL_read(ssl, b, sizeof(b));
		if (n > 0)
			SSL_write(ssl, b, n);
		n = SSL_read(ssl, b, sizeof(b));
	}
	SSL_free(ssl);
	/* Not a reset, whatever lies unread. */
	shutdown(fd, SHUT_WR);
	while (recv(fd, b, sizeof(b), 0) > 0)
		;
	close(fd);
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return NULL;
}

static void stop(struct client *c)
{
	if (c->conn)
		conn_tls_client_facts(c->conn, &c->facts);
	conn_close(c->conn);
	c->conn = NULL;
	uv_close((uv_handle_t *)&c->watchdog, NULL);
}

static void start(struct client *c)
{
	c->started = conn_start_tls_client(c->conn, c->tls, c->setup);
	if (c->started < 0)
		stop(c);
}

static void on_event(void *arg, struct conn *conn, enum conn_event e)
{
	struct client *c = arg;
	struct slice in = conn_input(conn);

	switch (e) {
	case CONN_CONNECTED:
		if (c->wait_for == 0)
			start(c);
		break;
	case CONN_INPUT:
		if (c->done) {
			c->echoed = slice_eq(in, SLICE_LIT("hello"));
			stop(c);
		} else if (in.n >= c->wait_for) {
			conn_consume(conn, c->wait_for);
			start(c);
		}
		break;
	case CONN_TLS_DONE:
		c->done = true;
		(void)conn_tls_exporter(conn, c->exporter);
		assert_int_equal(conn_write(conn, SLICE_LIT("hello")), 0);
		break;
	case CONN_TLS_FAILED:
		c->failed = true;
		snprintf(c->error, sizeof(c->error), "%s", conn_error(conn));
		stop(c);
		break;
	case CONN_EOF:
	case CONN_ERROR:
		snprintf(c->error, sizeof(c->error), "%s", conn_error(conn));
		stop(c);
		break;
	case CONN_DRAINED:
		break;
	}
}

static void on_watchdog(uv_timer_t *t)
{
	struct client *c = t->data;

	c->timed_out = true;
	stop(c);
}

static void play(struct server *s, struct client *c)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	struct conn_setup cs = { &c->loop, 4096, 65536, on_event, c };
	struct endpoint to = { .ip = { 4, { 127, 0, 0, 1 } } };
	socklen_t n = sizeof(sa);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listening, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(s->listening, 1), 0);
	assert_int_equal(getsockname(s->listening, (struct sockaddr *)&sa, &n), 0);
	to.port = ntohs(sa.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	assert_int_equal(uv_loop_init(&c->loop), 0);
	uv_timer_init(&c->loop, &c->watchdog);
	c->watchdog.data = c;
	uv_timer_start(&c->watchdog, on_watchdog, 60000, 0);
	assert_int_equal(conn_connect(&cs, &to, &c->conn), 0);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&c->loop), 0);
	pthread_join(s->thread, NULL);
	close(s->listening);
	assert_false(c->timed_out);
}

static struct tls_client *trusting(const struct authority *a)
{
	struct tls_client *t;
	struct buf pem;

	buf_init(&pem, 65536);
	if (a)
		pem_of(a->x, &pem);
	assert_int_equal(tls_client_new(buf_slice(&pem), &t), 0);
	assert_int_equal(tls_client_authorities(t), a ? 1 : 0);
	buf_done(&pem);
	return t;
}

/* ---- the table ---- */

#define MX "mx.example.org"
enum shown {
	GOOD,
	EXPIRED,
	NOT_YET,
	SELF,
	SELF_EXPIRED,
	OTHER,
	OTHER_CHAIN,
	NO_SAN,
	PARTIAL,
	WILDCARD,
	ADDRESS
};

static const struct {
	enum shown shown;
	/* "names NAME..." | "dane NAME... / U S M of WHAT, ..." | "finger of WHAT" | "none"; a ! in front:
	 * only reported.  WHAT: leaf ca other nothing */
	const char *wanted;
	bool verified;
	enum tls_result result;
	const char *words; /* how they begin */
} cases[] = {
	{ GOOD, "none", false, TLS_RESULT_OK, "" },
	{ SELF_EXPIRED, "none", false, TLS_RESULT_OK, "" },
	{ GOOD, "names " MX, true, TLS_RESULT_OK, "" },
	{ GOOD, "names MX.Example.ORG", true, TLS_RESULT_OK, "" },
	{ GOOD, "names nobody.test " MX, true, TLS_RESULT_OK, "" },
	{ GOOD, "names mx.example.net", false, TLS_RESULT_CERTIFICATE_HOST_MISMATCH,
	  "the server's certificate is not for mx.example.net, but for mx.example.org mail.example.org" },
	{ GOOD, "names example.org", false, TLS_RESULT_CERTIFICATE_HOST_MISMATCH, "the server's" },
	{ ADDRESS, "names 192.0.2.1", true, TLS_RESULT_OK, "" },
	{ ADDRESS, "names 192.0.2.2", false, TLS_RESULT_CERTIFICATE_HOST_MISMATCH, "the server's" },
	{ WILDCARD, "names " MX, true, TLS_RESULT_OK, "" },
	{ WILDCARD, "names example.org", false, TLS_RESULT_CERTIFICATE_HOST_MISMATCH, "the server's" },
	{ WILDCARD, "names a.mx.example.org", false, TLS_RESULT_CERTIFICATE_HOST_MISMATCH, "the server's" },
	{ PARTIAL, "names " MX, false, TLS_RESULT_CERTIFICATE_HOST_MISMATCH, "the server's" },
	{ NO_SAN, "names " MX, false, TLS_RESULT_CERTIFICATE_HOST_MISMATCH,
	  "the server's certificate is not for mx.example.org, but for no DNS name at all" },
	{ EXPIRED, "names " MX, false, TLS_RESULT_CERTIFICATE_EXPIRED,
	  "the server's certificate has expired on 20" },
	{ NOT_YET, "names " MX, false, TLS_RESULT_VALIDATION_FAILURE,
	  "the server's certificate is not valid yet" },
	{ SELF, "names " MX, false, TLS_RESULT_CERTIFICATE_NOT_TRUSTED,
	  "the server's certificate is self-signed" },
	{ OTHER, "names " MX, false, TLS_RESULT_CERTIFICATE_NOT_TRUSTED,
	  "the server's certificate does not lead" },
	{ OTHER_CHAIN, "names " MX, false, TLS_RESULT_CERTIFICATE_NOT_TRUSTED,
	  "the server's certificate does not lead" },
	{ EXPIRED, "!names " MX, false, TLS_RESULT_CERTIFICATE_EXPIRED, "the server's" },
	{ SELF, "!names " MX, false, TLS_RESULT_CERTIFICATE_NOT_TRUSTED, "the server's" },
	{ GOOD, "!names " MX, true, TLS_RESULT_OK, "" },
	/* DANE-EE: neither names nor dates nor authorities count (RFC 7672 3.1.1). */
	{ GOOD, "dane " MX " / 3 1 1 of leaf", true, TLS_RESULT_OK, "" },
	{ SELF_EXPIRED, "dane wrong.test / 3 1 1 of leaf", true, TLS_RESULT_OK, "" },
	{ OTHER, "dane wrong.test / 3 0 1 of leaf", true, TLS_RESULT_OK, "" },
	{ SELF, "dane " MX " / 3 0 2 of leaf", true, TLS_RESULT_OK, "" },
	{ SELF, "dane " MX " / 3 1 0 of leaf", true, TLS_RESULT_OK, "" },
	{ SELF, "dane " MX " / 3 0 0 of leaf", true, TLS_RESULT_OK, "" },
	{ GOOD, "dane " MX " / 3 1 1 of nothing", false, TLS_RESULT_TLSA_INVALID,
	  "the server's certificate is none of those in its TLSA records" },
	{ GOOD, "dane " MX " / 3 1 1 of ca", false, TLS_RESULT_TLSA_INVALID, "" },
	{ GOOD, "!dane " MX " / 3 1 1 of nothing", false, TLS_RESULT_TLSA_INVALID, "" },
	{ GOOD, "dane " MX " / 3 1 1 of nothing, 3 1 1 of leaf", true, TLS_RESULT_OK, "" },
	/* RFC 7672 9 / RFC 7671 9: where there are stronger digests the weaker ones do not count. */
	{ GOOD, "dane " MX " / 3 1 1 of leaf, 3 1 2 of nothing", false, TLS_RESULT_TLSA_INVALID, "" },
	/* DANE-TA: an authority in the chain, names and dates as ever (3.1.2). */
	{ GOOD, "dane " MX " / 2 0 1 of ca", true, TLS_RESULT_OK, "" },
	{ GOOD, "dane " MX " / 2 1 1 of ca", true, TLS_RESULT_OK, "" },
	{ OTHER_CHAIN, "dane " MX " / 2 1 2 of other", true, TLS_RESULT_OK, "" },
	{ OTHER, "dane " MX " / 2 0 0 of other", true, TLS_RESULT_OK, "" }, /* the record brings it */
	{ OTHER, "dane " MX " / 2 0 1 of other", false, TLS_RESULT_TLSA_INVALID, "" },
	{ GOOD, "dane wrong.test / 2 0 1 of ca", false, TLS_RESULT_CERTIFICATE_HOST_MISMATCH, "" },
	{ GOOD, "dane wrong.test " MX " / 2 0 1 of ca", true, TLS_RESULT_OK, "" },
	{ EXPIRED, "dane " MX " / 2 0 1 of ca", false, TLS_RESULT_CERTIFICATE_EXPIRED, "" },
	{ SELF, "dane " MX " / 2 0 1 of ca", false, TLS_RESULT_TLSA_INVALID, "" },
	/* Nothing of use: encrypted, no more (2.2, 3.1.3). */
	{ SELF, "dane " MX " / 1 1 1 of leaf", false, TLS_RESULT_OK, "" },
	{ SELF, "dane " MX " / 0 0 1 of ca, 3 9 1 of leaf", false, TLS_RESULT_OK, "" },
	{ SELF, "dane " MX " / 1 1 1 of leaf, 3 1 1 of nothing", false, TLS_RESULT_TLSA_INVALID, "" },
	{ SELF, "finger of leaf", true, TLS_RESULT_OK, "" },
	{ SELF_EXPIRED, "finger of key", true, TLS_RESULT_OK, "" },
	{ GOOD, "finger of ca", false, TLS_RESULT_CERTIFICATE_NOT_TRUSTED,
	  "neither the server's certificate (" },
};

struct shown_certificate {
	X509 *leaf, *chain;
	EVP_PKEY *key;
};

static void make_shown(enum shown what, struct shown_certificate *ret)
{
	const char *san = "DNS:" MX ",DNS:mail.example.org";
	const struct authority *by = &ca;
	int from = -1, to = 90;

	ret->key = EVP_EC_gen("P-256");
	ret->chain = ca.x;
	if (what == EXPIRED || what == SELF_EXPIRED) {
		from = -100;
		to = -10;
	}
	if (what == NOT_YET)
		from = 10;
	if (what == SELF || what == SELF_EXPIRED)
		by = NULL;
	if (what == OTHER || what == OTHER_CHAIN)
		by = &other_ca;
	if (by == NULL || what == OTHER)
		ret->chain = NULL;
	if (what == OTHER_CHAIN)
		ret->chain = other_ca.x;
	if (what == NO_SAN)
		san = NULL;
	if (what == PARTIAL)
		san = "DNS:m*.example.org";
	if (what == WILDCARD)
		san = "DNS:*.example.org";
	if (what == ADDRESS)
		san = "IP:192.0.2.1";
	ret->leaf = certificate(MX, san, from, to, ret->key, by, false);
}

struct wanted {
	struct tls_client_setup setup;
	char text[200];
	const char *names[8];
	struct tls_tlsa tlsa[8];
	unsigned char data[8][4096];
	unsigned char fingerprint[1][TLS_FINGERPRINT_LEN];
};

static X509 *named(const char *what, const struct shown_certificate *shown)
{
	return strcmp(what, "ca") == 0 ? ca.x : strcmp(what, "other") == 0 ? other_ca.x : shown->leaf;
}

static void want_tlsa(struct wanted *w, char *at, const struct shown_certificate *shown)
{
	char *one;

	while ((one = strsep(&at, ","))) {
		struct tls_tlsa *t = &w->tlsa[w->setup.n_tlsa];
		unsigned char *data = w->data[w->setup.n_tlsa++];
		unsigned u, s, m;
		char what[20];

		assert_int_equal(sscanf(one, " %u %u %u of %19s", &u, &s, &m, what), 4);
		t->usage = (uint8_t)u;
		t->selector = (uint8_t)s;
		t->matching = (uint8_t)m;
		t->data = slice_of(data, tlsa_data(named(what, shown), s, m, data));
		if (strcmp(what, "nothing") == 0)
			data[3] ^= 1;
	}
}

static void want(const char *text, const struct shown_certificate *shown, struct wanted *w)
{
	char *at = w->text, *word;

	memset(w, 0, sizeof(*w));
	w->setup.sni = MX;
	w->setup.names = w->names;
	w->setup.tlsa = w->tlsa;
	w->setup.fingerprints = (const unsigned char(*)[TLS_FINGERPRINT_LEN])w->fingerprint;
	if (*text == '!') {
		w->setup.only_report = true;
		text++;
	}
	snprintf(w->text, sizeof(w->text), "%s", text);
	word = strsep(&at, " ");
	if (strcmp(word, "finger") == 0) {
		bool key = strcmp(at, "of key") == 0;

		w->setup.verify = TLS_VERIFY_FINGERPRINTS;
		w->setup.n_fingerprints = 1;
		tlsa_data(named(at + 3, shown), key, 1, w->fingerprint[0]);
		return;
	}
	if (strcmp(word, "none") == 0)
		return;
	w->setup.verify = strcmp(word, "dane") == 0 ? TLS_VERIFY_DANE : TLS_VERIFY_NAMES;
	while (at && (word = strsep(&at, " ")) && strcmp(word, "/") != 0)
		w->names[w->setup.n_names++] = word;
	if (at)
		want_tlsa(w, at, shown);
}

static void test_table(void **state)
{
	struct tls_client *tls = trusting(&ca);
	static struct wanted w;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct shown_certificate shown;
		struct client c = { .tls = tls, .setup = &w.setup };
		bool goes_on;
		struct server s;

		make_shown(cases[i].shown, &shown);
		want(cases[i].wanted, &shown, &w);
		s = (struct server){ .leaf = shown.leaf, .key = shown.key, .chain = shown.chain };
		play(&s, &c);
		goes_on = cases[i].result == TLS_RESULT_OK || w.setup.only_report;
		if (c.started != 0 || c.facts.verified != cases[i].verified ||
		    c.facts.result != cases[i].result ||
		    strncmp(c.facts.words, cases[i].words, strlen(cases[i].words)) != 0 ||
		    (c.facts.words[0] != '\0') != (cases[i].result != TLS_RESULT_OK) || c.echoed != goes_on ||
		    c.failed == goes_on)
			fail_msg("%d, %s: %d, %s, %s: %s; %s", cases[i].shown, cases[i].wanted, c.started,
				 c.facts.verified ? "verified" : "not verified",
				 tls_result_name(c.facts.result), c.facts.words, c.error);
		assert_int_equal(strlen(c.facts.sha256), 64);
		assert_int_equal(strlen(c.facts.key_sha256), 64);
		if (goes_on) {
			assert_string_equal(s.sni, MX);
			assert_string_equal(c.facts.version, "TLSv1.3");
			assert_memory_equal(s.exporter, c.exporter, 32);
		} else if (c.facts.result != TLS_RESULT_OK) {
			assert_string_equal(c.facts.version, "");
		}
		X509_free(shown.leaf);
		EVP_PKEY_free(shown.key);
	}
	tls_client_free(tls);
}

/* ---- versions and ciphers ---- */

static void test_versions(void **state)
{
	static const struct {
		int max;
		const char *ciphers;
		enum tls_verify verify;
		bool any, report;
		bool shaken, verified;
		const char *words;
	} rows[] = {
		{ TLS1_2_VERSION, NULL, TLS_VERIFY_NAMES, false, false, true, true, "" },
		{ TLS1_1_VERSION, NULL, TLS_VERIFY_NAMES, false, false, false, false,
		  "the server has no TLS version" },
		{ TLS1_1_VERSION, NULL, TLS_VERIFY_NONE, false, false, false, false,
		  "the server has no TLS version" },
		{ TLS1_1_VERSION, NULL, TLS_VERIFY_NONE, true, false, true, false, "" },
		{ TLS1_VERSION, NULL, TLS_VERIFY_NONE, true, false, true, false, "" },
		{ TLS1_VERSION, NULL, TLS_VERIFY_NAMES, true, true, true, false,
		  "the server has nothing better than TLSv1" },
		{ TLS1_2_VERSION, "AES128-SHA:@SECLEVEL=0", TLS_VERIFY_NAMES, false, false, false, false,
		  "the server finds no cipher in common" },
		{ TLS1_2_VERSION, "AES128-SHA:@SECLEVEL=0", TLS_VERIFY_NONE, true, false, true, false, "" },
	};
	static const char *const names[] = { MX };
	struct tls_client *tls = trusting(&ca);
	EVP_PKEY *key = EVP_RSA_gen(2048);
	X509 *leaf = certificate(MX, "DNS:" MX, -1, 90, key, &ca, false);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tls_client_setup setup_ = { .verify = rows[i].verify,
						   .any_tls = rows[i].any,
						   .only_report = rows[i].report,
						   .names = names,
						   .n_names = 1 };
		struct server s = {
			.leaf = leaf, .key = key, .max_version = rows[i].max, .ciphers = rows[i].ciphers
		};
		struct client c = { .tls = tls, .setup = &setup_ };

		play(&s, &c);
		if (c.echoed != rows[i].shaken || c.facts.verified != rows[i].verified ||
		    strncmp(c.facts.words, rows[i].words, strlen(rows[i].words)) != 0)
			fail_msg("row %zu: %d %d %s (%s)", i, c.echoed, c.facts.verified, c.facts.words,
				 c.error);
		if (!rows[i].shaken)
			assert_int_equal(c.facts.result, TLS_RESULT_VALIDATION_FAILURE);
		assert_string_equal(s.sni, "");
	}
	X509_free(leaf);
	EVP_PKEY_free(key);
	tls_client_free(tls);
}

/* ---- what is no TLS ---- */

static void test_others(void **state)
{
	static const struct {
		const char *says;
		size_t wait_for;
		bool plain;
		int started;
		const char *error;
	} rows[] = {
		/* "220 go\r\n" and not an octet more. */
		{ "220 go\r\n", 8, false, 0, "" },
		/* Command injection: an octet behind it. */
		{ "220 go\r\n2", 8, false, -EPROTO, "" },
		{ "220 go\r\n250 injected\r\n", 8, false, -EPROTO, "" },
		{ "220 go\r\n", 8, true, 0, "the server closed the connection during the handshake" },
		{ "", 0, true, 0, "the server closed the connection during the handshake" },
	};
	struct tls_client_setup none = { 0 };
	struct tls_client *tls = trusting(NULL);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *leaf = certificate(MX, "DNS:" MX, -1, 90, key, &ca, false);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct server s = { .leaf = leaf, .key = key, .says = rows[i].says, .plain = rows[i].plain };
		struct client c = { .tls = tls, .setup = &none, .wait_for = rows[i].wait_for };

		play(&s, &c);
		assert_int_equal(c.started, rows[i].started);
		assert_string_equal(c.error, rows[i].error);
		assert_int_equal(c.echoed, rows[i].started == 0 && !rows[i].plain);
		if (rows[i].plain) {
			assert_int_equal(c.facts.result, TLS_RESULT_VALIDATION_FAILURE);
			assert_string_equal(c.facts.words, rows[i].error);
			assert_string_equal(c.facts.sha256, "");
		}
	}
	X509_free(leaf);
	EVP_PKEY_free(key);
	tls_client_free(tls);
}

/* ---- what is wrong before anything goes out ---- */

static void test_setups(void **state)
{
	static const char *const empty[] = { "" };
	static const struct tls_client_setup rows[] = {
		{ .verify = TLS_VERIFY_NAMES },
		{ .verify = TLS_VERIFY_DANE },
		{ .verify = TLS_VERIFY_NAMES, .names = empty, .n_names = 1 },
		{ .verify = TLS_VERIFY_FINGERPRINTS },
		{ .verify = (enum tls_verify)9 },
	};
	struct tls_client *tls = trusting(NULL);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *leaf = certificate(MX, "DNS:" MX, -1, 90, key, &ca, false);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct server s = { .leaf = leaf, .key = key, .plain = true };
		struct client c = { .tls = tls, .setup = &rows[i] };

		play(&s, &c);
		assert_int_equal(c.started, -EINVAL);
	}
	X509_free(leaf);
	EVP_PKEY_free(key);
	tls_client_free(tls);
}

static void test_authorities(void **state)
{
	struct tls_client *t;
	struct buf b;

	(void)state;
	assert_int_equal(tls_client_new(SLICE_LIT("no certificate\n"), &t), -EINVAL);
	assert_int_equal(tls_client_new(SLICE_LIT(" "), &t), 0);
	tls_client_free(t);
	assert_int_equal(tls_ca_read("/nonexistent", &b), -ENOENT);
	assert_int_equal(tls_ca_read("/", &b), -EISDIR);
	assert_int_equal(tls_ca_read("/dev/zero", &b), -EFBIG);
	if (tls_ca_read(NULL, &b) == 0) { /* a machine may have none */
		assert_int_equal(tls_client_new(buf_slice(&b), &t), 0);
		assert_true(tls_client_authorities(t) > 0);
		tls_client_free(t);
		buf_done(&b);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),	    cmocka_unit_test(test_versions),
		cmocka_unit_test(test_others),	    cmocka_unit_test(test_setups),
		cmocka_unit_test(test_authorities),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
