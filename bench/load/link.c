#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>

#include "load.h"

bool link_parse(const char *text, struct link_address *ret)
{
	struct slice s = slice_str(text), host, digits;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ret->a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ret->a;
	size_t colon = slice_rfind(s, ':');
	char name[64];
	uint64_t port;

	if (colon == s.n)
		return false;
	host = slice_head(s, colon);
	digits = slice_tail(s, colon + 1);
	if (!cur_u64(&digits, 65535, &port) || digits.n > 0)
		return false;
	memset(&ret->a, 0, sizeof(ret->a));
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		ret->n = sizeof(*v6);
		return slice_copy(slice_of(host.p + 1, host.n - 2), name, sizeof(name)) &&
		       inet_pton(AF_INET6, name, &v6->sin6_addr) == 1;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	ret->n = sizeof(*v4);
	return slice_copy(host, name, sizeof(name)) && inet_pton(AF_INET, name, &v4->sin_addr) == 1;
}

int link_connect(struct link *l, const struct link_address *to, uint32_t source)
{
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(source) };
	int one = 1;

	l->tls = NULL;
	l->wants = EPOLLOUT;
	l->fd = socket(to->a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (source != 0) {
		/* The port is chosen at connect: it must be free for this peer only. */
		setsockopt(l->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		if (bind(l->fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
			return -errno;
	}
	if (connect(l->fd, (const struct sockaddr *)&to->a, to->n) < 0)
		return errno == EINPROGRESS ? -EAGAIN : -errno;
	return 0;
}

int link_connected(const struct link *l)
{
	socklen_t n = sizeof(int);
	int err = 0;

	if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
		return -errno;
	return -err;
}

void link_close(struct link *l)
{
	if (l->tls) {
		SSL_shutdown(l->tls);
		SSL_free(l->tls);
	}
	close(l->fd);
	l->tls = NULL;
	l->fd = -1;
}

static SSL_CTX *ctx;

/* No certificate is checked and no session resumed: each connection pays for a whole
 * handshake, on both sides. */
static SSL_CTX *context(void)
{
	if (ctx)
		return ctx;
	ctx = SSL_CTX_new(TLS_client_method());
	if (!ctx)
		die("TLS", ENOMEM);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return ctx;
}

void link_start_tls(struct link *l)
{
	l->tls = SSL_new(context());
	if (!l->tls || SSL_set_fd(l->tls, l->fd) != 1)
		die("TLS", ENOMEM);
	SSL_set_connect_state(l->tls);
}

/* What a call that returned r <= 0 means. */
static int tls_error(struct link *l, int r)
{
	int why = SSL_get_error(l->tls, r);

	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		l->wants = why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
		return -EAGAIN;
	}
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	if (why == SSL_ERROR_SYSCALL && errno != 0)
		return -errno;
	ERR_print_errors_fp(stderr);
	return -EPROTO;
}

int link_handshake(struct link *l)
{
	int r;

	errno = 0;
	ERR_clear_error();
	r = SSL_do_handshake(l->tls);
	if (r == 1)
		return 0;
	r = tls_error(l, r);
	return r == 0 ? -ECONNRESET : r;
}

bool link_more(const struct link *l)
{
	return l->tls && SSL_has_pending(l->tls);
}

ssize_t link_recv(struct link *l, void *to, size_t n)
{
	ssize_t r;

	errno = 0;
	if (l->tls) {
		ERR_clear_error();
		r = SSL_read(l->tls, to, n > INT32_MAX ? INT32_MAX : (int)n);
		return r > 0 ? r : tls_error(l, (int)r);
	}
	r = recv(l->fd, to, n, 0);
	if (r < 0 && errno == EAGAIN)
		l->wants = EPOLLIN;
	return r < 0 ? -errno : r;
}

ssize_t link_send(struct link *l, const void *from, size_t n)
{
	ssize_t r;

	errno = 0;
	if (l->tls) {
		ERR_clear_error();
		r = SSL_write(l->tls, from, n > INT32_MAX ? INT32_MAX : (int)n);
		if (r > 0)
			return r;
		r = tls_error(l, (int)r);
		return r == 0 ? -ECONNRESET : r;
	}
	r = send(l->fd, from, n, MSG_NOSIGNAL);
	if (r < 0 && errno == EAGAIN)
		l->wants = EPOLLOUT;
	return r < 0 ? -errno : r;
}

void link_end(void)
{
	SSL_CTX_free(ctx);
	ctx = NULL;
}
