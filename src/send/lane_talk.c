/* From a connection to a server that takes mail: greeting, TLS, AUTH. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "send/private.h"

#define LOCKSTEP_MS UINT64_C(86400000)

static bool is_implicit(const struct lane *l)
{
	return l->try.tls == DIAL_TLS_IMPLICIT;
}

/* Queue's word, else the route's, else our own name. */
static const char *lane_helo(const struct lane *l)
{
	return *l->helo ? l->helo : *l->way->helo ? l->way->helo : l->send->hostname;
}

/* By which we know ourselves; "localhost" is many a server's. */
static struct slice own_name(const struct send *s)
{
	struct slice name = slice_str(s->hostname);
	bool ours = slice_find(name, '.') < name.n && !slice_starts_nocase(name, SLICE_LIT("localhost."));

	return ours ? name : SLICE_LIT("");
}

bool lane_talk_begin(struct lane *l)
{
	char host[256];
	static const enum smtp_client_tls tls[] = { [DIAL_TLS_NEVER] = SMTP_CLIENT_TLS_NEVER,
						    [DIAL_TLS_MAY] = SMTP_CLIENT_TLS_MAY,
						    [DIAL_TLS_MUST] = SMTP_CLIENT_TLS_MUST,
						    [DIAL_TLS_IMPLICIT] = SMTP_CLIENT_TLS_NEVER };

	l->setup = (struct smtp_client_setup){ .protocol = l->lmtp ? SMTP_CLIENT_LMTP : SMTP_CLIENT_SMTP,
					       .tls = tls[l->try.tls],
					       .implicit_tls = is_implicit(l),
					       .helo = slice_str(lane_helo(l)),
					       .own = l->way->mx ? own_name(l->send) : SLICE_LIT(""),
					       .auth = l->way->login,
					       .chunking = !l->lmtp,
					       .transcript = l->send->setup.events != NULL };
	l->talk_ms = uv_now(l->send->loop);
	l->no_ahead = recall_has(&l->send->recall, RECALL_LOCKSTEP,
				 slice_str(host_name(l->way, l->try.host, host)), l->talk_ms);
	l->tls_up = l->timed_out = l->ended = l->no_memory = l->handshaking = false;
	l->waits_for_secret = l->asked_anew = false;
	l->secret_generation = 0;
	l->mark = 0;
	l->why[0] = '\0';
	memset(&l->facts, 0, sizeof(l->facts));
	l->engine = smtp_client_new(&l->setup);
	if (l->engine && is_implicit(l))
		lane_start_tls(l);
	return l->engine != NULL;
}

void lane_look_at_end(struct lane *l, const struct smtp_client_ask *a)
{
	char host[256];

	if (a->code > 0 || l->no_memory || !(l->ahead || (l->begun_ahead && a->step == SMTP_CLIENT_AT_MAIL)))
		return;
	recall_put(&l->send->recall, RECALL_LOCKSTEP, slice_str(host_name(l->way, l->try.host, host)), 0,
		   uv_now(l->send->loop) + LOCKSTEP_MS);
}

/* ---- TLS ---- */

static enum tls_verify verify_of(enum tls_policy_check check)
{
	static const enum tls_verify how[] = { [TLS_POLICY_CHECK_NONE] = TLS_VERIFY_NONE,
					       [TLS_POLICY_CHECK_NAMES] = TLS_VERIFY_NAMES,
					       [TLS_POLICY_CHECK_DANE] = TLS_VERIFY_DANE,
					       [TLS_POLICY_CHECK_FINGERPRINTS] = TLS_VERIFY_FINGERPRINTS };

	return how[check];
}

static size_t take_tlsa(const struct lane *l, struct tls_tlsa *to)
{
	const struct dane *d = &l->look.dane;

	for (size_t i = 0; i < d->n; i++)
		to[i] = (struct tls_tlsa){ d->record[i]->tlsa.usage, d->record[i]->tlsa.selector,
					   d->record[i]->tlsa.matching, d->record[i]->tlsa.data };
	return d->n;
}

void lane_start_tls(struct lane *l)
{
	const struct tls_policy *p = &l->look.policy;
	const struct way_host *host = &l->way->host[l->try.host];
	bool has_name = host->name.n > 0;
	struct tls_tlsa tlsa[DANE_RECORDS_MAX];
	const char *names[TLS_POLICY_NAMES_MAX];
	char ip[IP_TEXT_MAX];
	struct tls_client_setup setup = {
		.sni = !has_name			   ? NULL
		       : p->check == TLS_POLICY_CHECK_DANE ? l->look.dane.base.text
							   : host->name.text,
		.verify = verify_of(p->check),
		.only_report = p->only_report,
		.any_tls = p->clear,
		.names = names,
		.tlsa = tlsa,
		.n_tlsa = take_tlsa(l, tlsa),
		.fingerprints = (const unsigned char(*)[TLS_FINGERPRINT_LEN])l->way->fingerprints,
		.n_fingerprints = l->way->n_fingerprints,
	};
	int r;

	if (has_name)
		setup.n_names = tls_policy_names(p, &l->look.dane.base, &host->name,
						 l->way->mx ? &l->way->mx->domain : NULL, names);
	if (setup.n_names == 0) { /* an address has no name: what asks for one fails, and says so */
		names[0] = ip_format(&host->ip, ip);
		setup.n_names = 1;
	}
	r = l->send->tls ? conn_start_tls_client(l->conn, l->send->tls, &setup) : -ENOSYS;
	l->handshaking = r == 0;
	if (r == 0)
		return;
	snprintf(l->why, sizeof(l->why), "TLS could not begin: %s",
		 r == -EPROTO ? "the server sent something in clear behind its answer to STARTTLS"
			      : strerrordesc_np(-r));
	l->no_memory = r == -ENOMEM;
	l->handshaking = true; /* it ends in it */
	smtp_client_lost(l->engine, "4.7.5", l->why);
}

static bool is_verified(const struct lane *l)
{
	const struct tls_policy *p = &l->look.policy;

	if (p->check == TLS_POLICY_CHECK_NONE || p->only_report || l->facts.verified)
		return true;
	/* TLSA records that turned out to be of no use: encrypted is what they ask for. RFC 7672 2.2 */
	return p->check == TLS_POLICY_CHECK_DANE && l->facts.how == TLS_VERIFY_NONE;
}

void lane_tls_done(struct lane *l, bool failed)
{
	conn_tls_client_facts(l->conn, &l->facts);
	if (failed || !is_verified(l)) {
		snprintf(l->why, sizeof(l->why), "TLS failed: %s",
			 l->facts.words[0] ? l->facts.words : conn_error(l->conn));
		smtp_client_lost(l->engine, "4.7.5", l->why);
		return;
	}
	l->handshaking = false;
	l->tls_up = true;
	if (!is_implicit(l))
		smtp_client_tls_started(l->engine);
}

/* ---- AUTH ---- */

/* A token that was refused may have expired: main is asked for another one, once for this connection. */
static bool asks_anew(struct lane *l, const struct send_secret *s)
{
	if (!login_is_token(l->mech) || l->secret_generation != s->generation || !l->send->setup.stale)
		return false;
	l->waits_for_secret = l->asked_anew = true; /* it may come before stale() returns */
	l->send->setup.stale(l->send->setup.arg, slice_str(l->way->route), s->generation);
	return true;
}

static size_t exporter(const struct lane *l, unsigned char to[static 32])
{
	return l->tls_up && conn_tls_exporter(l->conn, to) == 0 ? 32 : 0;
}

static void begin_login(struct lane *l, const struct send_secret *s, struct slice offered)
{
	const struct way_host *host = &l->way->host[l->try.host];
	unsigned char binding[32];
	struct login_setup setup = { .user = slice_str(l->way->user),
				     .secret = buf_slice(&s->secret),
				     .exporter = { binding, exporter(l, binding) },
				     .host = dns_name_slice(&host->name),
				     .port = l->try.port };
	struct slice initial;
	char why[200];
	int r;

	setup.mech = l->mech = login_choose(offered, l->way->mechanism, setup.exporter.n > 0);
	if (!l->mech) {
		snprintf(why, sizeof(why), "the server offers no way to log in that we may use (only: %.*s)",
			 offered.n > 100 ? 100 : (int)offered.n, (const char *)offered.p);
		smtp_client_auth_give_up(l->engine, "4.7.0", why);
		return;
	}
	login_free(l->login);
	l->login = NULL;
	r = login_new(&setup, &l->login);
	if (r < 0) {
		smtp_client_auth_give_up(l->engine, r == -ENOMEM ? "4.3.0" : "4.7.8",
					 r == -ENOMEM
						 ? "out of memory"
						 : "the user's name or password holds what cannot be sent");
		return;
	}
	l->secret_generation = s->generation;
	if (login_initial(l->login, &initial))
		smtp_client_auth(l->engine, slice_str(l->mech), &initial);
	else
		smtp_client_auth(l->engine, slice_str(l->mech), NULL);
}

void lane_auth(struct lane *l, const struct smtp_client_ask *a)
{
	const struct send_secret *s = send_secret_find(l->send, l->way->route);
	char why[200];

	if (!s) { /* main is reading it; the clock runs */
		l->waits_for_secret = true;
		return;
	}
	if (!s->there) {
		snprintf(why, sizeof(why), "there is no password to log in with: %.150s", s->why);
		l->waits_for_secret = false;
		smtp_client_auth_give_up(l->engine, "4.7.8", why);
		return;
	}
	if (a->refused > 0 && s->generation == l->secret_generation) {
		if (l->waits_for_secret)
			return;
		if (a->refused > 1 || l->asked_anew || !asks_anew(l, s))
			smtp_client_auth_give_up(l->engine, "4.7.8", "the login was refused");
		return;
	}
	l->waits_for_secret = false;
	begin_login(l, s, a->mechs);
}

void lane_challenge(struct lane *l, const struct smtp_client_ask *a)
{
	struct slice answer;

	if (l->login && login_answer(l->login, a->data, &answer))
		smtp_client_respond(l->engine, answer);
	else
		smtp_client_auth_cancel(l->engine);
}

/* ---- what it came to ---- */

static bool is_certificate(enum tls_result r)
{
	return r != TLS_RESULT_OK && r != TLS_RESULT_VALIDATION_FAILURE &&
	       r != TLS_RESULT_STARTTLS_NOT_SUPPORTED;
}

enum dial_how lane_how(const struct lane *l, const struct smtp_client_ask *a)
{
	if (l->no_memory)
		return DIAL_LOCAL;
	if (smtp_client_is_us(l->engine))
		return DIAL_LOOP;
	if (l->handshaking && l->timed_out)
		return DIAL_TLS_STALLED;
	if (l->handshaking)
		return is_certificate(l->facts.result) ? DIAL_CERTIFICATE : DIAL_TLS_FAILED;
	/* However it ended: a password may have been sent, and goes nowhere else. */
	if (a->step == SMTP_CLIENT_AT_AUTH)
		return DIAL_PASSWORD;
	if (l->timed_out)
		return DIAL_TIMED_OUT;
	if (l->ended)
		return DIAL_LOST;
	if (a->step == SMTP_CLIENT_AT_STARTTLS)
		return DIAL_TLS_REFUSED;
	if (l->try.tls == DIAL_TLS_MUST && !l->tls_up && a->code == 0 &&
	    smtp_client_offers(l->engine)->esmtp && !smtp_client_offers(l->engine)->starttls)
		return DIAL_NO_STARTTLS;
	if (l->try.tls == DIAL_TLS_MUST && !l->tls_up && a->code == 0 && a->step == SMTP_CLIENT_IDLE)
		return DIAL_NO_STARTTLS; /* it knows HELO only */
	return DIAL_SESSION_REFUSED;
}
