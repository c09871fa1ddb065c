/* fetch.c - the process that speaks HTTPS: it gets the policies of MTA-STS for the smtp processes.
 *
 * It has no file, no secret, and no DNS: smtp says which addresses the host has.  The path is
 * always the policy's, so that nothing else can be had through it.  Questions over the ceiling
 * are answered at once: not now.
 */
#include <errno.h>

#include "base/list.h"
#include "base/log.h"
#include "ipc/memory.h"
#include "net/tls_client.h"
#include "role/role.h"
#include "route/sts.h"
#include "web/web.h"

#define AT_ONCE	   64
#define WAITING	   1000 /* questions taken, those under way among them */
#define TIMEOUT_MS 60000
#define STS_PATH   "/.well-known/mta-sts.txt"

struct question {
	struct list link; /* of those that wait, or of those under way */
	struct web_get *get;
	unsigned index; /* of the smtp process */
	uint64_t link_number, req;
	uint16_t port;
	struct ip ip[WEB_ADDRESSES_MAX];
	size_t n_ip;
	char host[256];
};

static struct {
	struct role *role;
	struct web *web; /* NULL: none could be made, `why` says why not */
	char why[160];
	struct buf authorities;
	struct list waiting, running;
	unsigned n, n_running;
	uint64_t links[ROLE_SMTP_MAX]; /* a new number with each new channel */
	uint64_t asked, fetched, failed, refused, octets;
} self;

/* ---- answers ---- */

static void send_answer(unsigned index, uint64_t req, enum ipc_fetch_end end, struct slice body,
			const char *why)
{
	struct channel *ch = role_peer(self.role, IPC_SMTP, index);
	struct ipc_message m = { .type = IPC_TYPE_fetched,
				 .fetched = { .req = req, .end = (uint8_t)end, .text = slice_str(why) } };

	if (!ch)
		return;
	do {
		m.fetched.data = slice_head(body, IPC_CHUNK_MAX);
		body = slice_tail(body, m.fetched.data.n);
		m.fetched.more = body.n > 0;
		channel_send(ch, &m, -1);
	} while (body.n > 0);
}

static void question_free(struct question *q)
{
	list_remove(&q->link);
	self.n--;
	if (q->get)
		self.n_running--;
	web_cancel(q->get);
	free(q);
}

static enum ipc_fetch_end end_of(enum web_end end)
{
	switch (end) {
	case WEB_OK:
		return IPC_FETCH_OK;
	case WEB_CERTIFICATE:
	case WEB_TLS:
		return IPC_FETCH_CERTIFICATE;
	case WEB_TYPE:
	case WEB_LARGE:
		return IPC_FETCH_INVALID;
	default:
		return IPC_FETCH_FAILED;
	}
}

static void begin_next(void);

static void on_web(void *arg, const struct web_answer *a)
{
	struct question *q = arg;

	if (a->end == WEB_OK) {
		self.fetched++;
		self.octets += a->body.n;
		LOG(LOG_INFO, "fetched", LOG_STR("host", q->host), LOG_U("octets", a->body.n));
	} else {
		self.failed++;
		LOG(LOG_NOTICE, "fetch-failed", LOG_STR("host", q->host), LOG_U("status", a->status),
		    LOG_STR("why", a->words));
	}
	if (q->link_number == self.links[q->index])
		send_answer(q->index, q->req, end_of(a->end), a->body, a->words);
	q->get = NULL; /* it ends by itself */
	self.n_running--;
	question_free(q);
	begin_next();
}

/* ---- questions ---- */

static int begin(struct question *q)
{
	struct web_ask ask = { .host = q->host,
			       .path = STS_PATH,
			       .port = q->port,
			       .addresses = q->ip,
			       .n_addresses = q->n_ip,
			       .type = "text/plain", /* RFC 8461 3.2 */
			       .max = STS_POLICY_MAX,
			       .timeout_ms = TIMEOUT_MS };

	return web_begin(self.web, &ask, on_web, q, &q->get);
}

static void begin_next(void)
{
	while (self.n_running < AT_ONCE && !list_empty(&self.waiting)) {
		struct question *q = container_of(self.waiting.next, struct question, link);

		list_remove(&q->link);
		list_push_back(&self.running, &q->link);
		if (begin(q) == 0) {
			self.n_running++;
			continue;
		}
		self.failed++;
		send_answer(q->index, q->req, IPC_FETCH_FAILED, SLICE_LIT(""), "it cannot be begun");
		question_free(q);
	}
}

static bool take_addresses(struct slice from, struct question *q)
{
	while (from.n > 0) {
		size_t n = from.p[0];

		if ((n != 4 && n != 16) || from.n < n + 1)
			return false;
		if (q->n_ip < WEB_ADDRESSES_MAX) {
			q->ip[q->n_ip] = (struct ip){ .family = n == 4 ? 4 : 6 };
			memcpy(q->ip[q->n_ip++].byte, from.p + 1, n);
		}
		from = slice_tail(from, n + 1);
	}
	return q->n_ip > 0;
}

/* NULL, or how it broke the rules. */
static const char *ask(unsigned index, const struct ipc_fetch *m)
{
	struct question *q;
	struct dns_name host;

	if (!dns_name_parse(m->host, &host) || !slice_starts(m->host, SLICE_LIT("mta-sts.")) || m->port == 0)
		return "a question for no host that has policies";
	self.asked++;
	if (!self.web || self.n >= WAITING) {
		self.refused++;
		send_answer(index, m->req, IPC_FETCH_FAILED, SLICE_LIT(""),
			    self.web ? "too much is being fetched already" : self.why);
		return NULL;
	}
	q = calloc(1, sizeof(*q));
	if (!q) {
		send_answer(index, m->req, IPC_FETCH_FAILED, SLICE_LIT(""), "out of memory");
		return NULL;
	}
	q->index = index;
	q->link_number = self.links[index];
	q->req = m->req;
	q->port = m->port;
	memcpy(q->host, host.text, host.n);
	if (!take_addresses(m->addresses, q)) {
		free(q);
		return "a question without an address";
	}
	list_push_back(&self.waiting, &q->link);
	self.n++;
	begin_next();
	return NULL;
}

static void fetch_message(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m,
			  int *fd)
{
	const char *broken = "no question";

	(void)fd;
	if (who == IPC_SMTP && m->type == IPC_TYPE_fetch)
		broken = ask(index, &m->fetch);
	if (broken)
		role_peer_broken(r, who, index, broken);
}

/* From main: the authorities, read anew. */
static void fetch_control(struct role *r, const struct ipc_message *m, int *fd)
{
	struct buf text;

	(void)r;
	if (m->type != IPC_TYPE_file || m->file.which != IPC_FILE_AUTHORITIES || !m->file.there || !self.web)
		return;
	buf_init(&text, TLS_CA_MAX);
	if (ipc_memory_read(*fd, &text) < 0) {
		buf_done(&text);
		return;
	}
	web_trust(self.web, buf_slice(&text));
	buf_done(&self.authorities);
	self.authorities = text;
}

/* What the process before it asked is for nobody. */
static void fetch_peer(struct role *r, enum ipc_role who, unsigned index, struct channel *ch)
{
	struct list *at, *after;

	(void)r;
	(void)ch;
	if (who != IPC_SMTP || !self.role)
		return;
	self.links[index]++;
	LIST_EACH (&self.waiting, at, after) {
		struct question *q = container_of(at, struct question, link);

		if (q->index == index)
			question_free(q);
	}
}

/* ---- the process ---- */

/* No reason to stay away: smtp is told that nothing can be fetched, and mail goes on. */
static int fetch_open(struct role *r)
{
	const char *file = *r->conf->relay_ca_file ? r->conf->relay_ca_file : NULL;
	struct web_setup setup = { .loop = r->loop };
	int err = tls_process_begin();

	if (err < 0) {
		LOG(LOG_ERR, "start-failed", LOG_ERRNO(err));
		return err; /* and with it the process */
	}
	err = tls_ca_read(file, &self.authorities);
	self.role = r;
	list_init(&self.waiting);
	list_init(&self.running);
	if (err < 0) {
		snprintf(self.why, sizeof(self.why), "the certificates of authorities cannot be read");
	} else {
		setup.authorities = buf_slice(&self.authorities);
		err = web_new(&setup, &self.web, self.why, sizeof(self.why));
	}
	if (err < 0)
		LOG(LOG_ERR, "fetch-unusable", LOG_STR("why", self.why), LOG_ERRNO(err),
		    LOG_STR("note", "policies of MTA-STS are not fetched"));
	return 0;
}

static void fetch_status(struct role *r, json_t *to)
{
	(void)r;
	json_object_set_new(to, "usable", json_boolean(self.web != NULL));
	json_object_set_new(to, "under_way", json_integer((json_int_t)self.n));
	json_object_set_new(to, "asked", json_integer((json_int_t)self.asked));
	json_object_set_new(to, "fetched", json_integer((json_int_t)self.fetched));
	json_object_set_new(to, "failed", json_integer((json_int_t)self.failed));
	json_object_set_new(to, "refused", json_integer((json_int_t)self.refused));
	json_object_set_new(to, "octets", json_integer((json_int_t)self.octets));
	if (self.web)
		json_object_set_new(to, "libcurl", json_string(web_version(self.web)));
}

/* Nobody waits for it any more: smtp has gone before. */
static void fetch_drain(struct role *r, unsigned seconds)
{
	(void)seconds;
	role_exit(r);
}

const struct role_ops role_fetch = {
	.id = IPC_FETCH,
	.open = fetch_open,
	.control = fetch_control,
	.peer = fetch_peer,
	.message = fetch_message,
	.status = fetch_status,
	.drain = fetch_drain,
};
