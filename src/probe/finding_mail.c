/* Logging in, relaying, and what a server looks like to other servers. */
#include <string.h>

#include "probe/finding_private.h"
#include "probe/talk.h"

/* What a refusal means is more than probe/ knows: advise/. */
static void judge_login(struct judge *j, const struct probe_login *l)
{
	if (l->state == PROBE_LOGIN_ACCEPTED)
		judge_add(j, PROBE_IS_LOGIN_OK, "", "the login was accepted (%s)", l->mech);
	else if (l->state == PROBE_LOGIN_REFUSED)
		judge_add(j, PROBE_IS_LOGIN_FAILED, "", "the login was refused (%s): %d %s", l->mech,
			  l->auth.code, l->auth.text);
	else if (l->state == PROBE_LOGIN_FAILED)
		judge_add(j, PROBE_IS_LOGIN_BROKEN, "", "the login came to no answer: %s", l->why);
	if (l->state == PROBE_LOGIN_ACCEPTED && l->mail.code / 100 > 2)
		judge_add(j, PROBE_IS_LOGIN_SENDER, "",
			  "after the login it refused mail from that address: %d %s", l->mail.code,
			  l->mail.text);
}

void judge_auth(struct judge *j, const struct probe_port *p)
{
	bool submission = p->port != 25;

	/* Whatever else is offered: these send what can be used again. */
	if (p->clear.auth[0])
		judge_add(
			j, PROBE_IS_AUTH_CLEAR,
			"Whoever runs the server must offer AUTH only after TLS; until then, have the client "
			"insist on encryption.",
			"it takes passwords in clear text (AUTH %s before TLS)", p->clear.auth);
	if (p->tls.up && p->in_tls.auth[0])
		judge_add(j, submission ? PROBE_IS_AUTH : PROBE_IS_AUTH_ON_RELAY, "",
			  submission ? "log in with %s" : "it offers AUTH (%s) on the port for servers",
			  p->in_tls.auth);
	else if (p->tls.up && submission)
		judge_add(j, PROBE_IS_NO_AUTH, "Nobody can log in here, so it is of no use for submission.",
			  "it offers no AUTH, not even within TLS");
	if (submission && p->rcpt.code / 100 == 2)
		judge_add(j, PROBE_IS_NO_AUTH_NEEDED,
			  "If strangers can reach it, spam will go out through it.",
			  "it took a recipient of another domain from somebody who had not logged in (%d %s)",
			  p->rcpt.code, p->rcpt.text);
	judge_login(j, &p->login);
}

void judge_relay(struct judge *j, const struct probe_port *p)
{
	bool asked = false, any = false;

	for (size_t i = 0; i < PROBE_RELAYS; i++) {
		const struct probe_reply *rcpt = &p->relay[i][1];

		asked = asked || p->relay[i][0].code;
		if (rcpt->code / 100 != 2)
			continue;
		any = true;
		if (probe_relays[i].ours)
			judge_add(j, PROBE_IS_RELAY_UNSURE, "",
				  "it took %s (%d %s): it relays so, or takes any address of its own domain",
				  probe_relays[i].name, rcpt->code, rcpt->text);
		else
			judge_add(j, PROBE_IS_OPEN_RELAY,
				  "Close it at once: spammers look for such servers all day.",
				  "it relays from %s, without a login (%d %s)", probe_relays[i].name,
				  rcpt->code, rcpt->text);
	}
	if (asked && !any)
		judge_add(j, PROBE_IS_NO_RELAY, "", "it relays for nobody who has not logged in");
}

/* The first word behind 220 or 250: the server's name. RFC 5321 4.1.1.1, 4.2 */
static struct slice name_of(struct slice line)
{
	return slice_head(line, slice_find(line, ' '));
}

void judge_server(struct judge *j, const struct probe_port *p)
{
	const struct probe_offers *o = probe_offers_of(p);
	struct slice said = slice_head(slice_str(o->lines), slice_find(slice_str(o->lines), '\n'));

	if (p->ptr_asked && !p->ptr[0])
		judge_add(j, PROBE_IS_NO_PTR,
			  "Mail that it sends is refused by many: have the reverse name set.",
			  "its address has no name (PTR)");
	else if (p->ptr_asked && !p->ptr_forward)
		judge_add(j, PROBE_IS_PTR_WRONG, "",
			  "its address is called %s, and that name leads elsewhere", p->ptr);
	said = name_of(said);
	if (p->ptr[0] && said.n > 0 && !slice_eq_nocase(said, slice_str(p->ptr)) &&
	    !slice_eq_nocase(said, slice_str(j->host->name)))
		judge_add(j, PROBE_IS_EHLO_NAME, "", "it calls itself %.*s, its address %s", SLICE_ARG(said),
			  p->ptr);
	if (o->has_size && o->size > 0 && o->size < 10U * 1000 * 1000)
		judge_add(j, PROBE_IS_SMALL_SIZE, "", "it takes messages of up to %llu kB only",
			  (unsigned long long)(o->size / 1000));
}
