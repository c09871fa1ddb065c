/* The keeper: who is who here, and who may do what.  The accounts database and the
 * secrets in it are open in this process only; questions come from smtp (logins,
 * senders, recipients), from queue (recipients) and from the command line.
 *
 * SQLite answers in microseconds and is asked on the loop; passwords are hashed on
 * threads, which begin after the sandbox stands. */
#include <errno.h>
#include <time.h>

#include "account/auth.h"
#include "account/request.h"
#include "account/sasl.h"
#include "base/list.h"
#include "base/log.h"
#include "base/turn.h"
#include "role/keeper_paces.h"
#include "role/keeper_recipient.h"
#include "role/locks.h"
#include "role/role.h"

#define LISTENERS_TEXT_MAX 8192

/* A question of the command line whose password is being hashed. */
struct pending {
	struct list link;
	uint64_t token;
	struct role_request *req;
};

static struct {
	struct account_store *store;
	struct account_hash *hash;
	struct account_guess *guess;
	struct account_auth *auth;
	uv_poll_t hashed;
	struct list pending;
	uint64_t last_token; /* odd: see auth.h */
	int quotas;	     /* whether local was told that there are any; -1: nothing was told */
	int scram;	     /* whether smtp was told of it; -1: nothing was told */
	struct keeper_paces paces;
	uint64_t senders, mailboxes, exposed, broken;
} self = { .last_token = 1, .quotas = -1, .scram = -1 };

static int64_t now(void)
{
	return (int64_t)time(NULL);
}

static void set_clock(struct role *r)
{
	uv_update_time(r->loop);
	account_auth_clock(self.auth, now(), uv_now(r->loop) / 1000);
}

/* ---- to smtp ---- */

static void send_mechs(struct role *r, unsigned index)
{
	struct ipc_message m = { .type = IPC_TYPE_mechs, .mechs = { .mechs = SLICE_LIT("PLAIN LOGIN") } };

	if (self.scram > 0) {
		m.mechs.mechs = SLICE_LIT("PLAIN LOGIN SCRAM-SHA-256");
		m.mechs.mechs_tls = SLICE_LIT("SCRAM-SHA-256-PLUS");
	}
	keeper_send(r, IPC_SMTP, index, &m);
}

/* EHLO names SCRAM only while some domain has it on. */
static void review_mechs(struct role *r)
{
	int scram = account_any_scram(self.store);

	if (scram < 0 || scram == self.scram)
		return;
	self.scram = scram;
	for (unsigned i = 0; i < ROLE_SMTP_MAX; i++)
		send_mechs(r, i);
}

/* ---- logins ---- */

static struct ip ip_of(struct slice bytes)
{
	struct ip ip = { .family = bytes.n == 4 ? 4 : bytes.n == 16 ? 6 : 0 };

	if (ip.family)
		memcpy(ip.byte, bytes.p, bytes.n);
	return ip;
}

static void log_login(const struct account_auth_event *e)
{
	char ip[IP_TEXT_MAX];

	if (e->code == 235)
		LOG(LOG_DEBUG, "login", LOG_S("account", e->name), LOG_U("key", e->key),
		    LOG_S("listener", e->listener), LOG_STR("ip", ip_format(&e->ip, ip)));
	else
		LOG(LOG_NOTICE, "login-refused", LOG_STR("why", e->why), LOG_U("code", (uint64_t)e->code),
		    LOG_S("user", slice_head(e->name, ACCOUNT_ADDRESS_MAX)), LOG_S("listener", e->listener),
		    LOG_STR("ip", ip_format(&e->ip, ip)));
}

/* As IPC has it. */
static uint8_t class_of(enum account_class class)
{
	static const uint8_t classes[] = { [ACCOUNT_CLASS_DEFAULT] = 0,
					   [ACCOUNT_CLASS_NORMAL] = IPC_CLASS_NORMAL + 1,
					   [ACCOUNT_CLASS_BULK] = IPC_CLASS_BULK + 1,
					   [ACCOUNT_CLASS_URGENT] = IPC_CLASS_URGENT + 1 };

	return classes[class];
}

static void send_event(struct role *r, const struct account_auth_event *e)
{
	struct ipc_message m = { 0 };

	if (e->challenge) {
		m.type = IPC_TYPE_auth_challenge;
		m.auth_challenge.req = e->req;
		m.auth_challenge.data = e->data;
	} else {
		m.type = IPC_TYPE_auth_result;
		m.auth_result = (struct ipc_auth_result){ .req = e->req,
							  .code = (uint16_t)e->code,
							  .enhanced = slice_str(e->enhanced),
							  .text = slice_str(e->text),
							  .account = e->account,
							  .key = e->key,
							  .name = slice_head(e->name, IPC_ADDRESS_MAX),
							  .owner = e->owner,
							  .delay_ms = e->delay_ms,
							  .locked = e->locked,
							  .class = class_of(e->class) };
		log_login(e);
		locks_log(e);
	}
	keeper_send(r, IPC_SMTP, e->peer, &m);
}

static void send_events(struct role *r)
{
	struct account_auth_event e;

	while (account_auth_next(self.auth, &e))
		send_event(r, &e);
}

static void refuse_start(struct role *r, unsigned index, uint64_t req, int err)
{
	struct account_auth_event e = { .peer = index,
					.req = req,
					.code = 454,
					.enhanced = "4.7.0",
					.text = "temporary authentication failure, try again",
					.why = err == -EBUSY ? "too-many-exchanges" : "out-of-memory" };

	send_event(r, &e);
}

static void on_auth_start(struct role *r, unsigned index, const struct ipc_auth_start *m)
{
	struct account_auth_start start = { .mech = m->mech,
					    .has_initial = m->has_initial,
					    .initial = m->initial,
					    .exporter = m->exporter,
					    .listener = m->listener,
					    .ip = ip_of(m->ip) };
	int err = account_auth_start(self.auth, index, m->req, &start);

	if (err == -EEXIST) {
		self.broken++;
		role_peer_broken(r, IPC_SMTP, index, "a login's number twice");
	} else if (err < 0) {
		refuse_start(r, index, m->req, err);
	}
}

static void on_exposed(const struct ipc_exposed *m)
{
	struct ip ip = ip_of(m->ip);
	char text[IP_TEXT_MAX];
	struct slice name;
	struct buf b;
	int err;

	buf_init(&b, ACCOUNT_SASL_MAX);
	if (!m->has_initial || !account_sasl_exposed_name(m->mech, m->data, &b) || !buf_ok(&b)) {
		buf_done(&b);
		return;
	}
	name = buf_slice(&b);
	err = account_note_exposed(self.store, name, m->listener, &ip, now());
	if (err > 0) {
		self.exposed++;
		LOG(LOG_WARNING, "password-exposed", LOG_S("account", slice_head(name, ACCOUNT_ADDRESS_MAX)),
		    LOG_S("listener", m->listener), LOG_STR("ip", ip_format(&ip, text)));
	} else if (err < 0) {
		LOG(LOG_ERR, "accounts-failed", LOG_STR("why", db_error(account_store_db(self.store))),
		    LOG_ERRNO(err));
	}
	buf_done(&b);
}

/* ---- senders and recipients ---- */

static void on_sender(struct role *r, unsigned index, const struct ipc_sender *m)
{
	self.senders++;
	keeper_verdict(r, IPC_SMTP, index, m->req, self.store,
		       account_may_send(self.store, m->account, m->key, m->address));
}

static void on_account(struct role *r, unsigned index, const struct ipc_account *m)
{
	struct account_mailbox box = { 0 };
	struct ipc_message out = { .type = IPC_TYPE_account_is, .account_is = { .req = m->req } };
	int err = account_mailbox(self.store, m->name, &box);

	self.mailboxes++;
	out.account_is.what = err == 0	       ? IPC_VERDICT_OK
			      : err == -ENOENT ? IPC_VERDICT_NO_SUCH_USER
					       : IPC_VERDICT_TRY_LATER;
	out.account_is.name = slice_str(box.name);
	out.account_is.mailbox = slice_str(box.path);
	out.account_is.quota = box.quota;
	if (out.account_is.what == IPC_VERDICT_TRY_LATER)
		LOG(LOG_ERR, "accounts-failed", LOG_STR("why", db_error(account_store_db(self.store))));
	keeper_send(r, IPC_SMTP, index, &out);
}

/* ---- quotas, for local ---- */

static void send_quotas(struct role *r)
{
	struct ipc_message m = { .type = IPC_TYPE_quotas, .quotas = { .any = self.quotas != 0 } };

	keeper_send(r, IPC_LOCAL, 0, &m);
}

/* Where nobody has one, local asks nothing. */
static void review_quotas(struct role *r)
{
	int any = account_any_quota(self.store);

	if (any < 0 || any == self.quotas)
		return;
	self.quotas = any;
	send_quotas(r);
}

static void on_quota(struct role *r, const struct ipc_quota *m)
{
	struct ipc_message out = { .type = IPC_TYPE_quota_is,
				   .quota_is = { .job = m->job, .recipient = m->recipient } };
	int err = account_quota(self.store, m->mailbox, &out.quota_is.octets);

	self.mailboxes++;
	if (err < 0) /* mail goes first */
		LOG(LOG_ERR, "accounts-failed", LOG_STR("why", db_error(account_store_db(self.store))));
	keeper_send(r, IPC_LOCAL, 0, &out);
}

static void keeper_message(struct role *r, enum ipc_role who, unsigned index, const struct ipc_message *m,
			   int *fd)
{
	(void)fd;
	if (m->type == IPC_TYPE_recipient && (who == IPC_SMTP || who == IPC_QUEUE)) {
		keeper_recipient(r, who, index, self.store, &m->recipient);
		return;
	}
	if (m->type == IPC_TYPE_quota && who == IPC_LOCAL) {
		on_quota(r, &m->quota);
		return;
	}
	if (who != IPC_SMTP) {
		self.broken++;
		role_peer_broken(r, who, index, "not a question for keeper");
		return;
	}
	set_clock(r);
	switch (m->type) {
	case IPC_TYPE_auth_start:
		on_auth_start(r, index, &m->auth_start);
		break;
	case IPC_TYPE_auth_step:
		/* A step that crossed an abort or a restart finds nothing, and nobody waits for it. */
		account_auth_step(self.auth, index, m->auth_step.req, m->auth_step.data);
		break;
	case IPC_TYPE_auth_abort:
		account_auth_abort(self.auth, index, m->auth_abort.req);
		break;
	case IPC_TYPE_exposed:
		on_exposed(&m->exposed);
		break;
	case IPC_TYPE_account:
		on_account(r, index, &m->account);
		break;
	case IPC_TYPE_sender:
		on_sender(r, index, &m->sender);
		break;
	default:
		self.broken++;
		role_peer_broken(r, who, index, "not a question for keeper");
		return;
	}
	send_events(r);
}

static void keeper_peer(struct role *r, enum ipc_role who, unsigned index, struct channel *ch)
{
	if (who == IPC_LOCAL && ch && self.auth)
		send_quotas(r);
	if (who == IPC_QUEUE && ch && self.auth)
		keeper_paces_send(&self.paces, r, self.store);
	if (who != IPC_SMTP || !self.auth) /* NULL: we are about to exit */
		return;
	account_auth_drop_peer(self.auth, index); /* a new channel is a new process, too */
	if (ch)
		send_mechs(r, index);
}

/* ---- the command line ---- */

static void run_request(struct role *r, struct role_request *req, const struct account_password *password)
{
	json_t *answer = account_request(self.store, req->json, password, now());
	const char *error = json_string_value(json_object_get(answer, "error"));

	if (error)
		LOG(LOG_INFO, "request-refused", LOG_STR("ask", req->ask), LOG_STR("why", error));
	else if (!strstr(req->ask, ".list") && !strstr(req->ask, ".show"))
		LOG(LOG_NOTICE, "accounts-changed", LOG_STR("ask", req->ask));
	if (!error && (!strcmp(req->ask, "account.add") || !strcmp(req->ask, "account.set") ||
		       !strcmp(req->ask, "account.remove") || !strcmp(req->ask, "domain.remove")))
		keeper_paces_review(&self.paces, r, self.store);
	role_answer(req, answer, true);
	review_mechs(r);
	review_quotas(r);
}

static void hash_first(struct role_request *req)
{
	const char *why = account_password_refused(req->secret);
	struct pending *p;
	char text[256];
	int err;

	if (why) {
		snprintf(text, sizeof(text), "this password cannot be used: %s", why);
		role_answer_error(req, text, "nothing was changed; choose another one");
		return;
	}
	p = calloc(1, sizeof(*p));
	err = p ? account_hash_make(self.hash, self.last_token += 2, req->secret) : -ENOMEM;
	if (err == 0) {
		p->token = self.last_token;
		p->req = role_request_keep(req);
	}
	if (err < 0 || !p->req) {
		free(p);
		role_answer_error(req,
				  err == -EBUSY ? "too many passwords are being hashed at the moment"
						: "out of memory",
				  "nothing was changed; try again");
		return;
	}
	list_push_back(&self.pending, &p->link);
}

static void keeper_request(struct role *r, struct role_request *req)
{
	if (strncmp(req->ask, "lock.", 5) == 0)
		locks_request(self.guess, uv_now(r->loop) / 1000 * 1000, req);
	else if (req->secret.n == 0)
		run_request(r, req, NULL);
	else if (account_request_takes_password(req->ask))
		hash_first(req);
	else
		role_answer_error(req, "a password does not belong to this question", NULL);
}

static void on_made(struct role *r, const struct account_hash_done *done)
{
	struct list *at, *after;

	LIST_EACH (&self.pending, at, after) {
		struct pending *p = container_of(at, struct pending, link);

		if (p->token != done->token)
			continue;
		list_remove(&p->link);
		if (done->result == 0)
			run_request(r, p->req, &done->made);
		else
			role_answer_error(p->req, "the password could not be hashed: out of memory",
					  "nothing was changed; try again");
		free(p);
		return;
	}
}

static void on_hashed(uv_poll_t *poll, int status, int events)
{
	struct role *r = poll->data;
	struct account_hash_done done;
	const char *before = turn_doing("password hashes");

	(void)status;
	(void)events;
	set_clock(r);
	while (account_hash_next(self.hash, &done)) {
		if (ACCOUNT_AUTH_TOKEN(done.token))
			account_auth_hashed(self.auth, &done);
		else
			on_made(r, &done);
		explicit_bzero(&done, sizeof(done));
	}
	send_events(r);
	turn_doing(before);
}

/* ---- start and end ---- */

static void settings_of(const struct conf *conf, struct buf *listeners, struct account_settings *ret)
{
	for (size_t i = 0; i < conf->n_listeners; i++)
		if (conf->listeners[i].role == CONF_SUBMISSION)
			buf_fmt(listeners, "%s ", conf->listeners[i].name);
	if (conf->dovecot)
		buf_str(listeners, ACCOUNT_DOVECOT " ");
	buf_byte(listeners, 0);
	*ret = (struct account_settings){ .hostname = conf->hostname,
					  .postmaster = conf->postmaster,
					  .delimiters = conf->recipient_delimiter,
					  .quota = conf->mail_quota,
					  .listeners = buf_ok(listeners)
							       ? (const char *)buf_slice(listeners).p
							       : "" };
}

static int keeper_open(struct role *r)
{
	struct account_hash_setup hash = { .threads = r->conf->hash_threads, .queue = r->conf->hash_queue };
	struct account_auth_setup auth = { .cache_s = r->conf->auth_cache_s,
					   .remember_s = r->conf->guess_remember_s };
	struct account_settings settings;
	char path[4096], why[256] = "";
	struct buf listeners;
	int err;

	list_init(&self.pending);
	snprintf(path, sizeof(path), "%s/accounts/accounts.db", r->conf->state_dir);
	buf_init(&listeners, LISTENERS_TEXT_MAX);
	settings_of(r->conf, &listeners, &settings);
	err = account_store_open(path, &settings, &self.store, why, sizeof(why));
	buf_done(&listeners);
	if (err == 0)
		err = account_hash_new(&hash, &self.hash);
	if (err == 0)
		err = locks_new(r->conf, &self.guess);
	auth.store = self.store;
	auth.hash = self.hash;
	auth.guess = self.guess;
	if (err == 0)
		err = account_auth_new(&auth, &self.auth);
	if (err < 0)
		LOG(LOG_ERR, "accounts-unusable", LOG_STR("path", path), LOG_STR("why", why), LOG_ERRNO(err));
	return err;
}

static int keeper_start(struct role *r)
{
	int err = uv_poll_init(r->loop, &self.hashed, account_hash_wake_fd(self.hash));

	if (err < 0)
		return err;
	self.hashed.data = r;
	set_clock(r);
	review_mechs(r);
	review_quotas(r);
	return uv_poll_start(&self.hashed, UV_READABLE, on_hashed);
}

static void keeper_reconfigured(struct role *r, const struct conf *old)
{
	struct account_settings settings;
	struct buf listeners;

	(void)old;
	buf_init(&listeners, LISTENERS_TEXT_MAX);
	settings_of(r->conf, &listeners, &settings);
	if (account_store_configure(self.store, &settings) < 0 || locks_configure(self.guess, r->conf) < 0)
		LOG(LOG_ERR, "reconfigure-failed", LOG_ERRNO(ENOMEM));
	buf_done(&listeners);
	account_auth_set_cache(self.auth, r->conf->auth_cache_s);
	account_auth_set_remember(self.auth, r->conf->guess_remember_s);
	review_quotas(r);
}

static void keeper_status(struct role *r, json_t *to)
{
	struct account_auth_counters auth;
	struct account_hash_counters hash;
	struct account_counts rows = { 0 };

	(void)r;
	account_auth_count(self.auth, &auth);
	account_hash_count(self.hash, &hash);
	account_count(self.store, &rows);
	json_object_set_new(to, "accounts",
			    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "owners", (json_int_t)rows.owners,
				      "domains", (json_int_t)rows.domains, "accounts",
				      (json_int_t)rows.accounts, "aliases", (json_int_t)rows.aliases, "keys",
				      (json_int_t)rows.keys, "exposed", (json_int_t)rows.exposed));
	json_object_set_new(to, "logins",
			    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "open",
				      (json_int_t)auth.open, "succeeded", (json_int_t)auth.succeeded,
				      "refused", (json_int_t)auth.refused, "locked", (json_int_t)auth.locked,
				      "busy", (json_int_t)auth.busy, "remembered",
				      (json_int_t)auth.remembered, "by_key", (json_int_t)auth.by_key,
				      "exposed", (json_int_t)self.exposed));
	json_object_set_new(to, "guessing", locks_status(self.guess));
	json_object_set_new(to, "hashes",
			    json_pack("{s:I, s:I, s:I, s:I}", "waiting", (json_int_t)hash.waiting, "running",
				      (json_int_t)hash.running, "done", (json_int_t)hash.done, "refused",
				      (json_int_t)hash.refused));
	json_object_set_new(to, "forwarding",
			    json_pack("{s:I, s:I, s:I}", "senders_rewritten",
				      (json_int_t)keeper_recipients.rewritten, "reports_returned",
				      (json_int_t)keeper_recipients.returned, "refused",
				      (json_int_t)keeper_recipients.forged));
	json_object_set_new(to, "questions",
			    json_pack("{s:I, s:I, s:I, s:I}", "senders", (json_int_t)self.senders,
				      "recipients", (json_int_t)keeper_recipients.asked, "mailboxes",
				      (json_int_t)self.mailboxes, "broken", (json_int_t)self.broken));
}

/* main drains what asks us first. */
static void keeper_drain(struct role *r, unsigned seconds)
{
	(void)seconds;
	uv_poll_stop(&self.hashed);
	account_auth_free(self.auth);
	account_guess_free(self.guess);
	account_hash_free(self.hash); /* waits for a hash under way: tens of milliseconds */
	account_store_close(self.store);
	self.auth = NULL;
	self.guess = NULL;
	self.hash = NULL;
	self.store = NULL;
	role_exit(r);
}

const struct role_ops role_keeper = {
	.id = IPC_KEEPER,
	.open = keeper_open,
	.start = keeper_start,
	.reconfigured = keeper_reconfigured,
	.peer = keeper_peer,
	.message = keeper_message,
	.request = keeper_request,
	.status = keeper_status,
	.drain = keeper_drain,
};
