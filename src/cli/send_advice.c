/* What a failure of postern send means, what to change, and which call of postern check tells more. */
#include <string.h>

#include "cli/advice.h"
#include "cli/send.h"
#include "cli/text.h"

#define CAUSES_MAX 3 /* of refused recipients that are said */

/* ---- what was said ---- */

/* "host (address) port 587: 535 5.7.8 no": the reply behind the place. */
static struct slice behind_place(const char *text)
{
	const char *at = strstr(text, " port ");
	struct slice s = slice_str(text), rest;
	uint64_t port;

	if (!at)
		return s;
	rest = slice_str(at + strlen(" port "));
	return cur_u64(&rest, 65535, &port) && cur_word(&rest, SLICE_LIT(": ")) ? rest : s;
}

/* The code is in the text, or there is none. */
static struct route_reply reply_of(struct slice text, const char *enhanced, enum smtp_client_step step)
{
	struct route_reply r = { .enhanced = slice_str(enhanced), .text = text, .step = step };
	struct slice c = text;
	uint64_t code;

	if (cur_u64(&c, 599, &code) && code >= 400 && (c.n == 0 || cur_byte(&c, ' '))) {
		r.code = (int)code;
		r.text = c;
	}
	return r;
}

static void explain(const struct cli_sent *s, const struct route_reply *r, struct advise_explained *ret)
{
	const struct provider *p = s->provider;
	uint16_t port = s->r->port ? s->r->port : p->port;

	advise_explain_reply(r, p->host, port, ADVISE_BY_POSTERN, ret);
}

static void explain_end(const struct cli_sent *s, struct advise_explained *ret)
{
	const struct carry_result *c = s->r;
	struct route_reply r =
		reply_of(behind_place(c->text), c->enhanced,
			 c->end == IPC_LANE_AUTH ? SMTP_CLIENT_AT_AUTH : SMTP_CLIENT_AT_GREETING);

	explain(s, &r, ret);
}

static enum smtp_client_step step_of(const char *name)
{
	for (int i = 0; i < SMTP_CLIENT_STEPS; i++)
		if (name && strcmp(smtp_client_step_name((enum smtp_client_step)i), name) == 0)
			return (enum smtp_client_step)i;
	return SMTP_CLIENT_IDLE;
}

static bool explain_rcpt(const struct cli_sent *s, const struct carry_rcpt *t, struct advise_explained *ret)
{
	struct route_reply r = reply_of(slice_str(t->text), t->enhanced, step_of(t->step));

	if (!t->tried || t->result == IPC_JOB_DELIVERED)
		return false;
	explain(s, &r, ret);
	return ret->n > 0;
}

/* ---- the call that tells more ---- */

static void put_quoted(struct buf *to, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._+-=/";

	if (*word && word[strspn(word, plain)] == '\0' && *word != '-') {
		buf_str(to, word);
		return;
	}
	buf_byte(to, '\'');
	for (; *word; word++)
		if (*word == '\'')
			buf_str(to, "'\\''");
		else
			buf_byte(to, (unsigned char)*word);
	buf_byte(to, '\'');
}

/* What makes the look believe the same server; pins and mechanisms are a login's. */
static void put_trust(const struct cli_carrier_setup *by, bool login, struct buf *to)
{
	if (by->net.ca_file) {
		buf_str(to, " --ca-file ");
		put_quoted(to, by->net.ca_file);
	}
	for (size_t i = 0; login && i < by->pins; i++)
		buf_fmt(to, " --pin %s", by->pin[i]);
	if (login && by->mechanism)
		buf_fmt(to, " --mechanism %s", by->mechanism);
}

/* To sender or login only where it came so far; "" at a socket. */
static void put_call(const struct cli_sent *s, struct buf *to)
{
	const struct provider *p = s->provider;
	bool login = p->user[0] && (s->r->end == IPC_LANE_AUTH || s->r->reached);

	if (p->path[0])
		return;
	buf_str(to, "postern check ");
	put_quoted(to, p->host);
	if (p->port)
		buf_fmt(to, " -p %u", p->port);
	if (login) {
		buf_str(to, " --login ");
		put_quoted(to, p->user);
	}
	if (s->by)
		put_trust(s->by, login, to);
}

/* ---- for people ---- */

static void put_labelled(const char *label, const char *text)
{
	fprintf(stderr, "  %-9s", label);
	cli_put_wrapped(stderr, text, 11);
}

static void put_provider(const struct route_provider *p)
{
	char text[800];

	if (!p)
		return;
	snprintf(text, sizeof(text), "%s wants as user name %s, and as password %s.%s%s", p->title, p->user,
		 route_password_text(p->password), p->note[0] ? " " : "", p->note);
	put_labelled("there", text);
}

static void put_sure(const struct cli_sent *s)
{
	struct buf call;

	buf_init(&call, 4096);
	put_call(s, &call);
	if (call.n > 0 && buf_ok(&call)) { /* on one line, to be copied */
		buf_byte(&call, '\0');
		fputs("  sure?    ", stderr);
		cli_put_clean(stderr, (const char *)buf_slice(&call).p, false);
		fputc('\n', stderr);
	}
	buf_done(&call);
}

/* What the engine does not know. */
static const char *general(const struct cli_sent *s)
{
	switch (s->r->end) {
	case IPC_LANE_DNS:
		return "Correct the name of the server, or mend this machine's name servers.";
	case IPC_LANE_REFUSED:
	case IPC_LANE_UNREACHABLE:
	case IPC_LANE_TIMED_OUT:
		return s->provider->path[0]
			       ? "Start the Postern of this machine, or name a server with --url."
			       : "Correct host and port, or open the way there.";
	case IPC_LANE_TLS:
		return "Use the name that is in the certificate; or, for a server of your own whose "
		       "certificate no "
		       "authority has signed, --pin its fingerprint, or --ca-file.";
	case IPC_LANE_AUTH:
		return "Correct the user name, or the password.";
	default:
		return "Try again later.";
	}
}

/* What did not go out, where that is worth knowing. */
static const char *kept(const struct cli_sent *s, bool refused)
{
	switch (s->r->end) {
	case IPC_LANE_TLS:
		return "Nothing was sent, and no password said: the connection is not one to trust.";
	case IPC_LANE_AUTH:
		return refused ? "Nothing was sent, and the password went to no other port or server."
			       : "Nothing was sent.";
	default:
		return NULL;
	}
}

static void advise_end(const struct cli_sent *s)
{
	struct advise_explained e;

	explain_end(s, &e);
	cli_advice_put(stderr, &e, 2);
	if (e.n == 0)
		put_labelled("change", general(s));
	if (s->r->end == IPC_LANE_AUTH)
		put_provider(e.provider);
	if (kept(s, e.code > 0))
		put_labelled("so", kept(s, e.code > 0));
}

/* Each cause once: a hundred recipients may be refused for one. */
static bool advise_recipients(const struct cli_sent *s)
{
	enum advise_cause said[CAUSES_MAX];
	size_t n = 0;
	bool any = false;

	for (size_t i = 0; i < s->r->n && n < CAUSES_MAX; i++) {
		const struct carry_rcpt *t = &s->r->rcpt[i];
		struct advise_explained e;
		bool again = false;

		any = any || (t->tried && t->result != IPC_JOB_DELIVERED);
		if (!explain_rcpt(s, t, &e))
			continue;
		for (size_t k = 0; k < n; k++)
			again = again || said[k] == e.guess[0].cause;
		if (again)
			continue;
		said[n++] = e.guess[0].cause;
		e.n = 1;
		cli_advice_put(stderr, &e, 2);
	}
	return any;
}

void cli_send_advise(const struct cli_sent *s)
{
	bool any = advise_recipients(s);

	if (s->r->end != IPC_LANE_IN_ORDER)
		advise_end(s);
	if (any || s->r->end != IPC_LANE_IN_ORDER)
		put_sure(s);
}

/* ---- for programs ---- */

json_t *cli_send_causes(const struct cli_sent *s, const struct carry_rcpt *t)
{
	struct advise_explained e = { 0 };

	if (t && t->tried)
		return explain_rcpt(s, t, &e) ? cli_advice_json(&e) : json_array();
	if (s->r->end != IPC_LANE_IN_ORDER)
		explain_end(s, &e);
	return cli_advice_json(&e);
}

json_t *cli_send_call(const struct cli_sent *s)
{
	struct buf call;
	json_t *j;

	buf_init(&call, 4096);
	put_call(s, &call);
	j = call.n > 0 ? json_stringn((const char *)buf_slice(&call).p, buf_slice(&call).n) : NULL;
	buf_done(&call);
	return j ? j : json_null();
}
