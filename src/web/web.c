#include "web/web.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/list.h"
#include "web/curl.h"

#define URL_MAX	   1024
#define CONNECT_MS 20000U

struct web {
	struct curl curl;
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	struct curl_blob authorities;
	struct list gets;
};

struct web_get {
	struct list link;
	struct web *web;
	CURL *easy;
	struct curl_slist *resolve;
	struct buf body;
	bool too_large;
	const char *type;
	char error[CURL_ERROR_SIZE];
	web_done *done;
	void *arg;
};

/* A descriptor of libcurl's that is watched. */
struct watch {
	uv_poll_t poll;
	struct web *web;
	curl_socket_t fd;
};

/* ---- libcurl tells what it waits for ---- */

static void check_done(struct web *w);

static void act(struct web *w, curl_socket_t fd, int events)
{
	int running;

	w->curl.multi_socket_action(w->multi, fd, events, &running);
	check_done(w);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct watch *watch = p->data;
	int what =
		(events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);

	act(watch->web, watch->fd, status < 0 ? CURL_CSELECT_ERR : what);
}

static void on_timer(uv_timer_t *t)
{
	act(t->data, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *arg)
{
	struct web *w = arg;

	(void)multi;
	if (ms < 0)
		uv_timer_stop(&w->timer);
	else
		uv_timer_start(&w->timer, on_timer, (uint64_t)ms, 0);
	return 0;
}

static void on_watch_closed(uv_handle_t *h)
{
	free(h->data);
}

static void unwatch(struct web *w, struct watch *watch)
{
	if (!watch)
		return;
	w->curl.multi_assign(w->multi, watch->fd, NULL);
	uv_poll_stop(&watch->poll);
	uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static struct watch *watch_new(struct web *w, curl_socket_t fd)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (!watch || uv_poll_init_socket(w->loop, &watch->poll, fd) < 0) {
		free(watch);
		return NULL;
	}
	watch->poll.data = watch;
	watch->web = w;
	watch->fd = fd;
	w->curl.multi_assign(w->multi, fd, watch);
	return watch;
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_fd)
{
	struct watch *watch = of_fd;
	struct web *w = arg;
	int events = (what != CURL_POLL_OUT ? UV_READABLE : 0) | (what != CURL_POLL_IN ? UV_WRITABLE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		unwatch(w, watch);
		return 0;
	}
	if (!watch)
		watch = watch_new(w, fd);
	return watch && uv_poll_start(&watch->poll, events, on_poll) == 0 ? 0 : -1;
}

/* As the walls want it: TCP, its protocol not named. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	(void)arg;
	if (purpose != CURLSOCKTYPE_IPCXN || (a->family != AF_INET && a->family != AF_INET6))
		return CURL_SOCKET_BAD;
	return socket(a->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct web_get *g = arg;

	g->too_large = size * n > buf_room(&g->body);
	buf_put(&g->body, slice_of(p, size * n));
	return buf_ok(&g->body) ? size * n : 0;
}

/* ---- the end of one ---- */

static void get_free(struct web_get *g)
{
	struct web *w = g->web;

	list_remove(&g->link);
	if (g->easy) {
		w->curl.multi_remove_handle(w->multi, g->easy);
		w->curl.easy_cleanup(g->easy);
	}
	w->curl.slist_free_all(g->resolve);
	buf_done(&g->body);
	free(g);
}

static bool type_fits(struct web *w, const struct web_get *g)
{
	char *type = NULL;
	size_t n;

	if (!g->type)
		return true;
	n = strlen(g->type);
	w->curl.easy_getinfo(g->easy, CURLINFO_CONTENT_TYPE, &type);
	return type && strncasecmp(type, g->type, n) == 0 && (!type[n] || strchr("; \t", type[n]));
}

static enum web_end end_of(const struct web_get *g, CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return WEB_UNREACHED;
	case CURLE_OPERATION_TIMEDOUT:
		return WEB_TIMEOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
		return WEB_CERTIFICATE;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
		return WEB_TLS;
	case CURLE_FILESIZE_EXCEEDED:
		return WEB_LARGE;
	case CURLE_WRITE_ERROR:
		return g->too_large ? WEB_LARGE : WEB_NO_MEMORY;
	case CURLE_OUT_OF_MEMORY:
		return WEB_NO_MEMORY;
	default:
		return WEB_BROKEN;
	}
}

static void say(struct web *w, const struct web_get *g, CURLcode code, struct web_answer *a)
{
	size_t size = sizeof(a->words);

	switch (a->end) {
	case WEB_OK:
		break;
	case WEB_STATUS:
		snprintf(a->words, size, "it answered with HTTP status %u instead of 200", a->status);
		break;
	case WEB_TYPE:
		snprintf(a->words, size, "what it sent is not %s", g->type);
		break;
	case WEB_LARGE:
		snprintf(a->words, size, "what it sent is larger than %zu octets", g->body.max);
		break;
	case WEB_TIMEOUT:
		snprintf(a->words, size, "it did not answer in time");
		break;
	default:
		snprintf(a->words, size, "%.150s", g->error[0] ? g->error : w->curl.easy_strerror(code));
	}
}

static void finish(struct web *w, struct web_get *g, CURLcode code)
{
	struct web_answer a = { .end = WEB_OK };
	long status = 0;

	w->curl.easy_getinfo(g->easy, CURLINFO_RESPONSE_CODE, &status);
	a.status = status > 0 ? (unsigned)status : 0;
	if (code != CURLE_OK)
		a.end = end_of(g, code);
	else if (status != 200)
		a.end = WEB_STATUS;
	else if (!type_fits(w, g))
		a.end = WEB_TYPE;
	else
		a.body = buf_slice(&g->body);
	say(w, g, code, &a);
	g->done(g->arg, &a);
	get_free(g);
}

static void check_done(struct web *w)
{
	CURLMsg *m;
	int left;

	while ((m = w->curl.multi_info_read(w->multi, &left))) {
		struct web_get *g = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		w->curl.easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &g);
		finish(w, g, code);
	}
}

/* ---- beginning one ---- */

/* The URL is put together, not escaped: only what is harmless in one. */
static bool is_plain(const char *s)
{
	for (; *s; s++)
		if (!((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      strchr("-._/", *s)))
			return false;
	return true;
}

/* "host:443:192.0.2.1,2001:db8::1" */
static bool put_resolve(struct web_get *g, const struct web_ask *ask)
{
	char ip[IP_TEXT_MAX], *text;
	struct buf b;

	buf_init(&b, 2048);
	buf_fmt(&b, "%s:%u:", ask->host, ask->port);
	for (size_t i = 0; i < ask->n_addresses && i < WEB_ADDRESSES_MAX; i++)
		buf_fmt(&b, "%s%s", i ? "," : "", ip_format(&ask->addresses[i], ip));
	text = buf_ok(&b) ? slice_dup(buf_slice(&b)) : NULL;
	buf_done(&b);
	if (text)
		g->resolve = g->web->curl.slist_append(NULL, text);
	free(text);
	return g->resolve != NULL;
}

static bool set_up(struct web *w, struct web_get *g, const struct web_ask *ask)
{
	char url[URL_MAX];
	CURLcode r = CURLE_OK;
	int n = snprintf(url, sizeof(url), "https://%s:%u%s", ask->host, ask->port, ask->path);

	if (n < 0 || (size_t)n >= sizeof(url))
		return false;
#define SET(option, ...)   \
	if (r == CURLE_OK) \
	r = w->curl.easy_setopt(g->easy, CURLOPT_##option, __VA_ARGS__)
	SET(URL, url);
	SET(PRIVATE, g);
	SET(RESOLVE, g->resolve);
	SET(ERRORBUFFER, g->error);
	SET(WRITEFUNCTION, on_body);
	SET(WRITEDATA, g);
	SET(OPENSOCKETFUNCTION, open_socket);
	SET(NOSIGNAL, 1L);
	SET(PROXY, "");
	SET(FOLLOWLOCATION, 0L);
	SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(USERAGENT, "Postern");
	SET(NETRC, (long)CURL_NETRC_IGNORED);
	/* Nothing stays between two of them. */
	SET(FRESH_CONNECT, 1L);
	SET(FORBID_REUSE, 1L);
	SET(SSL_SESSIONID_CACHE, 0L);
	SET(TIMEOUT_MS, (long)ask->timeout_ms);
	SET(CONNECTTIMEOUT_MS, (long)(ask->timeout_ms < CONNECT_MS ? ask->timeout_ms : CONNECT_MS));
	SET(MAXFILESIZE_LARGE, (curl_off_t)ask->max);
	SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(SSL_VERIFYPEER, 1L);
	SET(SSL_VERIFYHOST, 2L);
	/* Those that were compiled in are files, and files are out of reach. */
	SET(CAINFO, NULL);
	SET(CAPATH, NULL);
	SET(CAINFO_BLOB, &w->authorities);
#undef SET
	return r == CURLE_OK;
}

int web_begin(struct web *w, const struct web_ask *ask, web_done *done, void *arg, struct web_get **ret)
{
	struct web_get *g;

	if (ask->n_addresses == 0 || !*ask->host || !is_plain(ask->host) || strchr(ask->host, '/') ||
	    *ask->path != '/' || !is_plain(ask->path))
		return -EINVAL;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->web = w;
	g->type = ask->type;
	g->done = done;
	g->arg = arg;
	buf_init(&g->body, ask->max);
	list_push_back(&w->gets, &g->link);
	g->easy = w->curl.easy_init();
	/* It begins by the timer that this sets. */
	if (!g->easy || !put_resolve(g, ask) || !set_up(w, g, ask) ||
	    w->curl.multi_add_handle(w->multi, g->easy) != CURLM_OK) {
		get_free(g);
		return -ENOMEM;
	}
	*ret = g;
	return 0;
}

void web_cancel(struct web_get *g)
{
	if (g)
		get_free(g);
}

/* ---- all of it ---- */

int web_new(const struct web_setup *setup, struct web **ret, char *reterr, size_t reterr_size)
{
	struct web *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	if (!curl_load(&w->curl, reterr, reterr_size)) {
		free(w);
		return -ELIBACC;
	}
	w->loop = setup->loop;
	w->authorities = (struct curl_blob){ .data = (void *)(uintptr_t)setup->authorities.p,
					     .len = setup->authorities.n,
					     .flags = CURL_BLOB_COPY };
	list_init(&w->gets);
	/* Here it finds out about IPv6, by a socket that the walls would refuse. */
	w->multi = w->curl.multi_init();
	if (!w->multi) {
		free(w);
		return -ENOMEM;
	}
	w->curl.multi_setopt(w->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	w->curl.multi_setopt(w->multi, CURLMOPT_SOCKETDATA, w);
	w->curl.multi_setopt(w->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	w->curl.multi_setopt(w->multi, CURLMOPT_TIMERDATA, w);
	uv_timer_init(w->loop, &w->timer);
	w->timer.data = w;
	*ret = w;
	return 0;
}

static void on_timer_closed(uv_handle_t *h)
{
	free(h->data);
}

void web_free(struct web *w)
{
	if (!w)
		return;
	while (!list_empty(&w->gets))
		get_free(container_of(w->gets.next, struct web_get, link));
	w->curl.multi_cleanup(w->multi);
	uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}

void web_trust(struct web *w, struct slice authorities)
{
	w->authorities.data = (void *)(uintptr_t)authorities.p;
	w->authorities.len = authorities.n;
}

const char *web_version(const struct web *w)
{
	return w->curl.version_info(CURLVERSION_NOW)->version;
}
