/* web.h - fetching small documents over HTTPS, with libcurl on the event loop.
 *
 * Not a browser: one GET, no redirects, no cookies, no proxies, nothing kept between two of
 * them; TLS 1.2 and up, the certificate verified against the host's name.  Names are not looked
 * up here: the caller brings the addresses.
 *
 * libcurl is loaded by web_new() and only there: it brings thirty libraries along, which the
 * other processes neither need nor should have.  After web_new() no file is opened, no library
 * loaded, and no socket made but TCP, so walls may stand.
 */
#ifndef POSTERN_WEB_WEB_H
#define POSTERN_WEB_WEB_H

#include <uv.h>

#include "base/ip.h"

#define WEB_ADDRESSES_MAX 16

struct web;
struct web_get;

struct web_setup {
	uv_loop_t *loop;
	struct slice authorities; /* PEM; borrowed until web_trust() or web_free() */
};
/* 0; -ELIBACC: libcurl cannot be loaded, or lacks what is needed (reterr says why); -ENOMEM. */
int web_new(const struct web_setup *setup, struct web **ret, char *reterr, size_t reterr_size);
/* What is under way is dropped, nobody is told; the loop must turn once more. */
void web_free(struct web *w);
/* These authorities for what begins from now on; borrowed likewise. */
void web_trust(struct web *w, struct slice authorities);
const char *web_version(const struct web *w); /* libcurl's */

struct web_ask {
	const char *host, *path; /* "mta-sts.example.org", "/.well-known/mta-sts.txt" */
	uint16_t port;
	const struct ip *addresses;
	size_t n_addresses;  /* at least one */
	const char *type;    /* a literal, "text/plain": another is WEB_TYPE; NULL: any */
	size_t max;	     /* octets */
	unsigned timeout_ms; /* of all of it */
};

enum web_end {
	WEB_OK,
	WEB_UNREACHED, /* by none of the addresses */
	WEB_TIMEOUT,
	WEB_CERTIFICATE, /* not trusted, expired, or not for that host */
	WEB_TLS,	 /* another failure of TLS */
	WEB_STATUS,	 /* it answered, but not 200 */
	WEB_TYPE,
	WEB_LARGE,
	WEB_BROKEN, /* what came is no HTTP, or ended too early */
	WEB_NO_MEMORY,
};

struct web_answer {
	enum web_end end;
	unsigned status;   /* HTTP's, 0: none came */
	struct slice body; /* WEB_OK: for the call */
	char words[160];   /* else: what was wrong */
};
typedef void web_done(void *arg, const struct web_answer *a);

/* done() is called once, from the loop, never from within; then the web_get is gone.  It may begin
 * and cancel others, but not free the web.
 * 0; -EINVAL: a host or path with odd characters, or no address; -ENOMEM. */
int web_begin(struct web *w, const struct web_ask *ask, web_done *done, void *arg, struct web_get **ret);
void web_cancel(struct web_get *g); /* NULL is fine */

#endif
