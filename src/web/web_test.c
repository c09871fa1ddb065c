/* HTTPS from servers that do as they should, and from those that do not: the servers are a thread
 * with OpenSSL alone. */
#include "web/web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

#define HOST	 "mta-sts.example.org"
#define PATH	 "/.well-known/mta-sts.txt"
#define BODY_MAX 2000

static X509 *ca, *good, *expired, *self_signed, *other_name;
static EVP_PKEY *ca_key, *key;
static struct buf authorities;

static X509 *certificate(const char *name, int to_day, X509 *issuer, EVP_PKEY *by, EVP_PKEY *of)
{
	static long serial = 1;
	X509 *x = X509_new();
	X509_EXTENSION *e;
	char text[100];

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	X509_time_adj_ex(X509_getm_notBefore(x), -30, 0, NULL);
	X509_time_adj_ex(X509_getm_notAfter(x), to_day, 0, NULL);
	X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_UTF8,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
	X509_set_pubkey(x, of);
	snprintf(text, sizeof(text), issuer || of != ca_key ? "DNS:%s" : "critical,CA:TRUE", name);
	e = X509V3_EXT_conf_nid(NULL, NULL,
				issuer || of != ca_key ? NID_subject_alt_name : NID_basic_constraints, text);
	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	assert_true(X509_sign(x, by, EVP_sha256()) > 0);
	return x;
}

static int setup(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	(void)state;
	ca_key = EVP_EC_gen("P-256");
	key = EVP_EC_gen("P-256");
	ca = certificate("Test Authority", 100, NULL, ca_key, ca_key);
	good = certificate(HOST, 100, ca, ca_key, key);
	expired = certificate(HOST, -2, ca, ca_key, key);
	other_name = certificate("www.example.org", 100, ca, ca_key, key);
	self_signed = certificate(HOST, 100, NULL, key, key);
	PEM_write_bio_X509(bio, ca);
	n = BIO_get_mem_data(bio, &p);
	buf_init(&authorities, 65536);
	buf_put(&authorities, slice_of(p, (size_t)n));
	BIO_free(bio);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	X509_free(ca);
	X509_free(good);
	X509_free(expired);
	X509_free(other_name);
	X509_free(self_signed);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	buf_done(&authorities);
	return 0;
}

struct server {
	pthread_t thread;
	int listening;
	uint16_t port;
	X509 *leaf;
	const char *says; /* NULL: nothing, ever */
	size_t body;	  /* octets of 'x' behind it */
	char asked[600];
	unsigned accepted;
};

static void answer(struct server *s, SSL *ssl)
{
	int n = SSL_read(ssl, s->asked, sizeof(s->asked) - 1);

	if (n <= 0)
		return;
	s->asked[n] = '\0';
	if (!s->says) {
		SSL_read(ssl, s->asked + n, 1); /* until the other one has had enough */
		return;
	}
	SSL_write(ssl, s->says, (int)strlen(s->says));
	for (size_t i = 0; i < s->body && SSL_write(ssl, "x", 1) == 1; i++)
		;
	SSL_shutdown(ssl);
}

static void *serve(void *arg)
{
	struct server *s = arg;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct timeval limit = { .tv_sec = 60 };
	char b[64];

	SSL_CTX_use_certificate(ctx, s->leaf);
	SSL_CTX_use_PrivateKey(ctx, key);
	for (;;) {
		int fd = accept(s->listening, NULL, NULL);
		SSL *ssl;

		if (fd < 0)
			break;
		s->accepted++;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		ssl = SSL_new(ctx);
		SSL_set_fd(ssl, fd);
		if (SSL_accept(ssl) == 1)
			answer(s, ssl);
		SSL_free(ssl);
		ERR_clear_error();
		shutdown(fd, SHUT_WR);
		while (recv(fd, b, sizeof(b), 0) > 0)
			;
		close(fd);
	}
	SSL_CTX_free(ctx);
	return NULL;
}

static void server_start(struct server *s)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t n = sizeof(sa);

	signal(SIGPIPE, SIG_IGN);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->listening, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(s->listening, 5), 0);
	assert_int_equal(getsockname(s->listening, (struct sockaddr *)&sa, &n), 0);
	s->port = ntohs(sa.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_stop(struct server *s)
{
	shutdown(s->listening, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listening);
}

struct got {
	bool done;
	enum web_end end;
	unsigned status;
	char body[BODY_MAX + 1], words[160];
	struct web *web;
};

static void on_done(void *arg, const struct web_answer *a)
{
	struct got *g = arg;

	assert_false(g->done);
	g->done = true;
	g->end = a->end;
	g->status = a->status;
	assert_true(slice_copy(a->body, g->body, sizeof(g->body)));
	snprintf(g->words, sizeof(g->words), "%s", a->words);
}

static void get(uint16_t port, const char *host, unsigned timeout_ms, struct got *g)
{
	struct ip ip = { 4, { 127, 0, 0, 1 } };
	struct web_ask ask = { .host = host,
			       .path = PATH,
			       .port = port,
			       .addresses = &ip,
			       .n_addresses = 1,
			       .type = "text/plain",
			       .max = BODY_MAX,
			       .timeout_ms = timeout_ms };
	struct web_get *under_way;
	struct web_setup setup_ = { .authorities = buf_slice(&authorities) };
	char err[160] = "";
	uv_loop_t loop;

	memset(g, 0, sizeof(*g));
	assert_int_equal(uv_loop_init(&loop), 0);
	setup_.loop = &loop;
	if (web_new(&setup_, &g->web, err, sizeof(err)) < 0)
		fail_msg("%s", err);
	assert_int_equal(web_begin(g->web, &ask, on_done, g, &under_way), 0);
	assert_false(g->done);
	uv_run(&loop, UV_RUN_DEFAULT); /* ends, for nothing stays open */
	assert_true(g->done);
	web_free(g->web);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

#define OK "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"

static void test_table(void **state)
{
	const struct {
		X509 *leaf;
		const char *host, *says;
		size_t body;
		enum web_end end;
		unsigned status;
		const char *body_or_words;
	} rows[] = {
		{ good, HOST, OK "version: STSv1\n", 0, WEB_OK, 200, "version: STSv1\n" },
		{ good, "MTA-STS.example.ORG", OK "hello", 0, WEB_OK, 200, "hello" },
		{ good, HOST, OK, BODY_MAX, WEB_OK, 200, NULL },
		{ good, HOST, OK, BODY_MAX + 1, WEB_LARGE, 200, "what it sent is larger than 2000 octets" },
		{ good, HOST, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3000\r\n\r\nx",
		  0, WEB_LARGE, 200, "what it sent is larger than 2000 octets" },
		{ good, HOST, "HTTP/1.1 200 OK\r\nContent-Type: text/plain;charset=utf-8\r\n\r\nx", 0, WEB_OK,
		  200, "x" },
		{ good, HOST, "HTTP/1.1 200 OK\r\nContent-Type: TEXT/PLAIN\r\n\r\nx", 0, WEB_OK, 200, "x" },
		{ good, HOST, "HTTP/1.1 200 OK\r\nContent-Type: text/plainly\r\n\r\nx", 0, WEB_TYPE, 200,
		  "what it sent is not text/plain" },
		{ good, HOST, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nx", 0, WEB_TYPE, 200,
		  "what it sent is not text/plain" },
		{ good, HOST, "HTTP/1.1 200 OK\r\n\r\nx", 0, WEB_TYPE, 200,
		  "what it sent is not text/plain" },
		{ good, HOST, "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\n\r\nx", 0, WEB_STATUS,
		  404, "it answered with HTTP status 404 instead of 200" },
		/* RFC 8461 3.3: redirects are not followed. */
		{ good, HOST,
		  "HTTP/1.1 301 Moved\r\nLocation: https://" HOST "/x\r\nContent-Length: 0\r\n\r\n", 0,
		  WEB_STATUS, 301, "it answered with HTTP status 301 instead of 200" },
		{ good, HOST, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nabc",
		  0, WEB_BROKEN, 200, NULL },
		{ good, HOST, "220 mx.example.org ESMTP\r\n", 0, WEB_BROKEN, 0, NULL },
		{ good, HOST, "", 0, WEB_BROKEN, 0, NULL },
		{ good, HOST, NULL, 0, WEB_TIMEOUT, 0, "it did not answer in time" },
		{ expired, HOST, OK, 0, WEB_CERTIFICATE, 0, NULL },
		{ self_signed, HOST, OK, 0, WEB_CERTIFICATE, 0, NULL },
		{ other_name, HOST, OK, 0, WEB_CERTIFICATE, 0, NULL },
		{ good, "mta-sts.example.net", OK, 0, WEB_CERTIFICATE, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct server s = { .leaf = rows[i].leaf, .says = rows[i].says, .body = rows[i].body };
		struct got g;

		server_start(&s);
		get(s.port, rows[i].host, rows[i].says ? 60000 : 3000, &g);
		server_stop(&s);
		if (g.end != rows[i].end || g.status != rows[i].status ||
		    (rows[i].body_or_words &&
		     strcmp(g.end == WEB_OK ? g.body : g.words, rows[i].body_or_words) != 0))
			fail_msg("row %zu: %d %u %s %s", i, g.end, g.status, g.words, g.body);
		assert_int_equal(g.words[0] == '\0', g.end == WEB_OK);
		assert_int_equal(s.accepted, 1);
		if (g.end != WEB_CERTIFICATE) {
			assert_memory_equal(s.asked, "GET " PATH " HTTP/1.1\r\n",
					    strlen("GET " PATH " HTTP/1.1\r\n"));
			assert_non_null(strcasestr(s.asked, "\r\nHost: "));
		} else {
			assert_string_equal(s.asked, "");
		}
	}
}

static void test_nobody_there(void **state)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t n = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct got g;

	(void)state;
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	get(ntohs(sa.sin_port), HOST, 60000, &g); /* bound, and nobody listens */
	assert_int_equal(g.end, WEB_UNREACHED);
	close(fd);
}

static void test_odd_questions(void **state)
{
	static const struct {
		const char *host, *path;
		size_t n;
	} rows[] = {
		{ "", PATH, 1 },	   { HOST "/x", PATH, 1 },
		{ "user@" HOST, PATH, 1 }, { HOST ":1", PATH, 1 },
		{ HOST, "", 1 },	   { HOST, "x", 1 },
		{ HOST, "/\r\nX: y", 1 },  { HOST, "/?q", 1 },
		{ HOST, PATH, 0 },	   { "mta-sts.ex\xc3\xa4.org", PATH, 1 },
	};
	struct web_setup setup_ = { .authorities = buf_slice(&authorities) };
	struct ip ip = { 4, { 127, 0, 0, 1 } };
	struct web_get *g;
	uv_loop_t loop;
	struct web *w;
	char err[160];

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	setup_.loop = &loop;
	assert_int_equal(web_new(&setup_, &w, err, sizeof(err)), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct web_ask ask = { .host = rows[i].host,
				       .path = rows[i].path,
				       .port = 443,
				       .addresses = &ip,
				       .n_addresses = rows[i].n,
				       .max = 10,
				       .timeout_ms = 100 };

		assert_int_equal(web_begin(w, &ask, on_done, NULL, &g), -EINVAL);
	}
	/* One that is taken back at once. */
	struct web_ask ask = { .host = HOST,
			       .path = PATH,
			       .port = 9,
			       .addresses = &ip,
			       .n_addresses = 1,
			       .max = 10,
			       .timeout_ms = 100 };
	assert_int_equal(web_begin(w, &ask, on_done, NULL, &g), 0);
	web_cancel(g);
	web_free(w);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_odd_questions),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
