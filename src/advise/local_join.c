/* local_join.c - what servers of one configuration have to do with each other. */
#include <string.h>

#include "advise/local_reading.h"

#define PHP_SENDMAIL "/usr/sbin/sendmail" /* with -t -i */

/* git: [sendemail "name"] takes from [sendemail] what it has not itself. */
void advise_join_identities(struct advise_reading *r)
{
	struct advise_local *l = r->out;
	size_t base = 0;

	while (base < l->n && l->server[base].name[0])
		base++;
	for (size_t i = 0; i < l->n && base < l->n; i++) {
		struct advise_local_server own = l->server[i];
		struct advise_said *to = &r->said[i], said = *to;
		struct advise_local_server *s = &l->server[i];

		if (i == base)
			continue;
		advise_inherit(r, base, i);
		for (size_t k = 0; k < own.n_sets; k++) {
			size_t at = 0;

			while (at < s->n_sets && s->set[at].key != own.set[k].key)
				at++;
			if (at < ADVISE_LOCAL_SETS) {
				s->n_sets = at == s->n_sets ? at + 1 : s->n_sets;
				s->set[at] = own.set[k];
			}
		}
		if (own.host[0] || own.program[0]) {
			memcpy(s->host, own.host, sizeof(s->host));
			memcpy(s->program, own.program, sizeof(s->program));
		}
		if (own.program[0] || own.port_set) {
			s->port = own.port;
			s->port_set = own.port_set;
		}
		if (said.implicit != ADVISE_UNSET) { /* the three are set as one */
			to->implicit = said.implicit;
			to->starttls = said.starttls;
			to->encrypted = said.encrypted;
		}
		to->verify = said.verify != ADVISE_UNSET ? said.verify : to->verify;
		to->login = said.login != ADVISE_UNSET ? said.login : to->login;
		if (own.password) {
			s->password = true;
			s->password_file = own.password_file;
		}
		s->wrong |= own.wrong;
		s->file = own.file;
	}
}

/* .env: NODE_TLS_REJECT_UNAUTHORIZED is of no single server. */
void advise_join_node(struct advise_reading *r)
{
	for (size_t i = 0; i < r->out->n; i++) {
		if (strcmp(r->out->server[i].name, "NODE") != 0)
			continue;
		for (size_t k = 0; k < r->out->n; k++) {
			struct advise_local_server *s = &r->out->server[k];

			if (k == i || r->said[i].verify != ADVISE_NO)
				continue;
			r->said[k].verify = ADVISE_NO;
			if (s->n_sets < ADVISE_LOCAL_SETS && r->out->server[i].n_sets > 0)
				s->set[s->n_sets++] = r->out->server[i].set[0];
		}
	}
}

/* PHP: where no sendmail_path is set, it runs one all the same. */
void advise_add_sendmail(struct advise_reading *r)
{
	size_t i = advise_find_server(r, (struct slice){ 0 }, false);

	if (i < r->out->n && !r->out->server[i].program[0])
		memcpy(r->out->server[i].program, PHP_SENDMAIL, sizeof(PHP_SENDMAIL));
}
