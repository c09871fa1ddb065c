#include "send/report.h"

#include "ipc/event.h"
#include "send/private.h"

#define ROOM_MIN 65536 /* of the channel: the rest is for what waits for an answer */

static void tell(const struct way *w, const char *host, const struct ip *ip, enum tls_result_policy policy,
		 enum tls_result result, const char *words)
{
	struct channel *ledger = w->send->setup.events ? w->send->setup.events->ledger : NULL;
	struct ipc_message m = { .type = IPC_TYPE_tls_result };

	/* Of the configuration's own hosts nobody wants reports. */
	if (!ledger || !w->mx || w->mx->literal || channel_room(ledger) < ROOM_MIN)
		return;
	m.tls_result.domain = dns_name_slice(&w->mx->domain);
	m.tls_result.policy = (uint8_t)policy;
	m.tls_result.result = (uint8_t)result;
	m.tls_result.host = slice_str(host);
	if (ip)
		m.tls_result.ip = slice_of(ip->byte, ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0);
	m.tls_result.text = slice_head(slice_str(words), IPC_TEXT_MAX);
	channel_send(ledger, &m, -1);
}

static void tell_try(const struct lane *l, const struct dial_try *t, enum tls_result result,
		     const char *words)
{
	char host[256];

	tell(l->way, host_name(l->way, t->host, host), &t->ip, l->look.policy.policy, result, words);
}

void report_ready(const struct lane *l)
{
	const struct tls_policy *p = &l->look.policy;

	if (!p->starttls)
		return;
	if (!l->tls_up && !l->try.fallback) /* else the failed handshake has been told */
		tell_try(l, &l->try, TLS_RESULT_STARTTLS_NOT_SUPPORTED, "the server does not offer STARTTLS");
	else if (l->tls_up && p->policy == TLS_RESULT_POLICY_NONE)
		tell_try(l, &l->try, TLS_RESULT_OK, "");
	else if (l->tls_up && l->facts.result != TLS_RESULT_OK) /* testing */
		tell_try(l, &l->try, l->facts.result, l->facts.words);
	else if (l->tls_up)
		tell_try(l, &l->try, p->result,
			 p->result ? "the MTA-STS policy of the domain does not list this host" : "");
}

void report_failed(const struct lane *l, const struct dial_try *t, enum dial_how how)
{
	bool of_lane = l->conn && t->number == l->try.number;

	switch (how) {
	case DIAL_NO_STARTTLS:
		tell_try(l, t, TLS_RESULT_STARTTLS_NOT_SUPPORTED, "the server does not offer STARTTLS");
		break;
	case DIAL_TLS_REFUSED:
		tell_try(l, t, TLS_RESULT_STARTTLS_NOT_SUPPORTED, "the server refused STARTTLS");
		break;
	case DIAL_TLS_FAILED:
	case DIAL_TLS_STALLED:
	case DIAL_CERTIFICATE:
		tell_try(l, t, of_lane && l->facts.result ? l->facts.result : TLS_RESULT_VALIDATION_FAILURE,
			 of_lane && l->facts.words[0] ? l->facts.words : l->why);
		break;
	default:
		break;
	}
}

void report_forbidden(const struct lane *l, size_t host)
{
	const struct tls_policy *p = &l->look.policy;
	char name[256];

	if (p->result != TLS_RESULT_OK)
		tell(l->way, host_name(l->way, host, name), NULL, p->policy, p->result, p->words);
}

void report_policy(const struct way *w, enum tls_result result, const char *words)
{
	if (result != TLS_RESULT_OK)
		tell(w, "", NULL, TLS_RESULT_POLICY_STS, result, words);
}
