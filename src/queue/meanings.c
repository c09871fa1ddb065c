#include "queue/meanings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int meanings_set(struct meanings *m, const struct conf *conf)
{
	static const enum route_action actions[] = { [CONF_REPLY_DEFER] = ROUTE_DEFER,
						     [CONF_REPLY_SLOW] = ROUTE_DEFER_SLOW,
						     [CONF_REPLY_PAUSE] = ROUTE_DEFER_PAUSE,
						     [CONF_REPLY_FAIL] = ROUTE_FAIL };

	meanings_done(m); /* they point into the configuration before */
	m->rule = calloc(conf->n_replies + 1, sizeof(*m->rule));
	if (!m->rule)
		return -ENOMEM;
	for (size_t i = 0; i < conf->n_replies; i++) {
		const struct conf_reply *c = &conf->replies[i];

		m->rule[i] = (struct route_rule){ .code = c->code,
						  .enhanced = c->enhanced,
						  .text = c->text,
						  .action = actions[c->action],
						  .class = c->class[0] ? c->class : c->name,
						  .pause_s = c->pause_s,
						  .meaning = c->meaning };
	}
	m->n = conf->n_replies;
	return 0;
}

void meanings_done(struct meanings *m)
{
	free(m->rule);
	*m = (struct meanings){ 0 };
}

struct route_reply meanings_reply(struct slice text, unsigned step)
{
	struct route_reply plain = route_reply_of(text, (enum smtp_client_step)step), reply;
	const unsigned char *at = text.n > 0 ? memmem(text.p, text.n, " port ", 6) : NULL;
	uint64_t port;

	if (plain.code > 0 || !at)
		return plain;
	text = slice_tail(text, (size_t)(at - text.p) + 6);
	if (!cur_u64(&text, 65535, &port) || !cur_byte(&text, ':') || !cur_byte(&text, ' '))
		return plain;
	reply = route_reply_of(text, (enum smtp_client_step)step);
	return reply.code > 0 ? reply : plain;
}

struct route_meaning meanings_of(const struct meanings *m, struct slice text, struct slice status, int code,
				 unsigned step)
{
	struct route_reply reply = meanings_reply(text, step);

	if (reply.code == 0)
		reply.code = code;
	if (reply.enhanced.n == 0)
		reply.enhanced = status;
	return route_classify(&reply, m ? m->rule : NULL, m ? m->n : 0);
}

struct route_meaning meanings_of_reason(const struct meanings *m, const struct envelope_reason *why)
{
	return meanings_of(m, why->text, why->status, why->code, why->step);
}
