#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "net/conn_private.h"

/* OpenSSL reads from and writes to the connection's own buffers through a BIO
 * of ours: a memory BIO would keep the largest size that it ever had. */
static int bio_write(BIO *bio, const char *p, size_t n, size_t *ret)
{
	struct conn *c = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	buf_put(&c->wire, slice_of(p, n));
	if (!buf_ok(&c->wire))
		return 0;
	*ret = n;
	return 1;
}

static int bio_read(BIO *bio, char *p, size_t n, size_t *ret)
{
	struct conn *c = BIO_get_data(bio);
	struct slice have = slice_head(buf_slice(&c->cipher), n);

	BIO_clear_retry_flags(bio);
	if (have.n == 0) {
		if (!c->ended)
			BIO_set_retry_read(bio);
		return 0;
	}
	memcpy(p, have.p, have.n);
	buf_consume(&c->cipher, have.n);
	*ret = have.n;
	return 1;
}

static long bio_ctrl(BIO *bio, int what, long number, void *p)
{
	(void)bio;
	(void)number;
	(void)p;
	return what == BIO_CTRL_FLUSH;
}

static BIO *bio_new(struct conn *c)
{
	static BIO_METHOD *method; /* made once, by the loop's only thread */
	BIO *bio;

	if (!method) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
		if (!method)
			return NULL;
		BIO_meth_set_write_ex(method, bio_write);
		BIO_meth_set_read_ex(method, bio_read);
		BIO_meth_set_ctrl(method, bio_ctrl);
	}
	bio = BIO_new(method);
	if (bio) {
		BIO_set_data(bio, c);
		BIO_set_init(bio, 1);
	}
	return bio;
}

/* The session is c's from here on, or gone. */
static int begin(struct conn *c, struct tls_session *s)
{
	BIO *bio = bio_new(c);

	if (!bio) {
		tls_session_free(s);
		return -ENOMEM;
	}
	SSL_set_bio(s->ssl, bio, bio);
	c->tls = s;
	conn_wake(c);
	return 0;
}

int conn_start_tls(struct conn *c, struct tls_server *tls, enum tls_min min)
{
	struct tls_session *s;
	int r;

	if (c->failed)
		return -EPIPE;
	if (c->tls)
		return -EALREADY;
	/* What was written before goes out in clear, before. */
	buf_put(&c->wire, buf_slice(&c->output));
	buf_put(&c->cipher, buf_slice(&c->input));
	if (!buf_ok(&c->wire) || !buf_ok(&c->cipher)) {
		conn_fail_memory(c);
		conn_wake(c);
		return -ENOMEM;
	}
	buf_wipe(&c->output);
	buf_wipe(&c->input);
	c->tell_input = false;
	r = tls_session_new(tls, min, &s);
	return r < 0 ? r : begin(c, s);
}

int conn_start_tls_client(struct conn *c, struct tls_client *tls, const struct tls_client_setup *setup)
{
	struct tls_session *s;
	int r;

	if (c->failed || c->connecting)
		return -EPIPE;
	if (c->tls)
		return -EALREADY;
	/* What was said in clear is not to be taken for what will be said inside. */
	if (c->input.n > 0)
		return -EPROTO;
	r = tls_client_session_new(tls, setup, &s);
	if (r < 0)
		return r;
	buf_put(&c->wire, buf_slice(&c->output));
	if (!buf_ok(&c->wire)) {
		tls_session_free(s);
		conn_fail_memory(c);
		conn_wake(c);
		return -ENOMEM;
	}
	buf_wipe(&c->output);
	c->tell_input = false;
	return begin(c, s);
}

void conn_tls_client_facts(const struct conn *c, struct tls_client_facts *ret)
{
	if (!c->tls || !c->tls->check) {
		*ret = (struct tls_client_facts){ .tlsa_usage = -1 };
		return;
	}
	*ret = c->tls->check->facts;
	if (c->handshaken) {
		snprintf(ret->version, sizeof(ret->version), "%s", SSL_get_version(c->tls->ssl));
		snprintf(ret->cipher, sizeof(ret->cipher), "%s", SSL_get_cipher_name(c->tls->ssl));
		if (ret->verified && SSL_version(c->tls->ssl) < TLS1_2_VERSION) {
			ret->verified = false;
			ret->result = TLS_RESULT_VALIDATION_FAILURE;
			snprintf(ret->words, sizeof(ret->words), "the server has nothing better than %s",
				 ret->version);
		}
	} else if (ret->result == TLS_RESULT_OK && c->failed) {
		ret->verified = false;
		ret->result = TLS_RESULT_VALIDATION_FAILURE;
		snprintf(ret->words, sizeof(ret->words), "%s", c->error);
	}
}

static void handshake(struct conn *c)
{
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(c->tls->ssl);
	if (r == 1) {
		c->handshaken = true;
		c->tell_tls_done = true;
		return;
	}
	if (SSL_get_error(c->tls->ssl, r) == SSL_ERROR_WANT_READ && !c->ended)
		return;
	if (c->ended && ERR_peek_error() == 0)
		conn_fail(c, c->tls->client ? "the server closed the connection during the handshake"
					    : "the client closed the connection during the handshake");
	else {
		tls_session_error(c->tls, c->error, sizeof(c->error));
		conn_fail(c, NULL);
	}
	c->tell_error = false;
	c->tell_tls_failed = true;
}

/* Several connections share one scratch buffer: plain text waits in no connection that is idle. */
static _Thread_local unsigned char scratch[16384];

static void decrypt(struct conn *c)
{
	size_t room, n;
	int r = 1;

	while (!c->read_over && (room = buf_room(&c->input)) > 0) {
		ERR_clear_error();
		r = SSL_read_ex(c->tls->ssl, scratch, room < sizeof(scratch) ? room : sizeof(scratch), &n);
		if (r != 1)
			break;
		buf_put(&c->input, slice_of(scratch, n));
		explicit_bzero(scratch, n);
		if (!buf_ok(&c->input)) {
			conn_fail_memory(c);
			return;
		}
		c->tell_input = true;
	}
	if (r == 1)
		return;
	switch (SSL_get_error(c->tls->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		break;
	case SSL_ERROR_ZERO_RETURN:
		c->read_over = true;
		break;
	default:
		/* Most mail clients close the socket without close_notify.  SMTP marks its
		 * own ends, so nothing can be cut off unseen: this is an end of file. */
		if (c->ended && c->cipher.n == 0) {
			snprintf(c->error, sizeof(c->error), "closed without close_notify");
			ERR_clear_error();
			c->read_over = true;
			break;
		}
		tls_session_error(c->tls, c->error, sizeof(c->error));
		conn_fail(c, NULL);
	}
}

void conn_tls_pump(struct conn *c)
{
	if (c->failed && !c->handshaken && c->tell_error) { /* reset in the middle */
		c->tell_error = false;
		c->tell_tls_failed = true;
	}
	if (c->failed)
		return;
	if (!c->handshaken)
		handshake(c);
	if (c->handshaken && !c->failed)
		decrypt(c);
}

void conn_tls_encrypt(struct conn *c)
{
	struct slice plain = buf_slice(&c->output);
	size_t n;

	if (plain.n == 0 || !c->handshaken || c->failed)
		return;
	ERR_clear_error();
	if (SSL_write_ex(c->tls->ssl, plain.p, plain.n, &n) != 1 || n != plain.n) {
		tls_session_error(c->tls, c->error, sizeof(c->error));
		conn_fail(c, NULL);
		return;
	}
	buf_consume(&c->output, n);
}

void conn_tls_goodbye(struct conn *c)
{
	if (!c->tls || !c->handshaken || c->failed)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(c->tls->ssl);
	ERR_clear_error();
}

bool conn_in_tls(const struct conn *c)
{
	return c->handshaken;
}

void conn_tls_facts(const struct conn *c, struct tls_facts *ret)
{
	if (c->handshaken)
		tls_session_facts(c->tls, ret);
	else
		*ret = (struct tls_facts){ 0 };
}

int conn_tls_exporter(const struct conn *c, unsigned char ret[static 32])
{
	static const char label[] = "EXPORTER-Channel-Binding";

	/* RFC 9266 4: below 1.3 only with the extended master secret (RFC 7627). */
	if (!c->handshaken ||
	    (SSL_version(c->tls->ssl) < TLS1_3_VERSION && SSL_get_extms_support(c->tls->ssl) != 1))
		return -ENODATA;
	if (SSL_export_keying_material(c->tls->ssl, ret, 32, label, sizeof(label) - 1,
				       (const unsigned char *)"", 0, 1) != 1) {
		ERR_clear_error();
		return -ENODATA;
	}
	return 0;
}
