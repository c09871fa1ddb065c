/* local_reading.h - the parts of local.c that gather settings into servers, among themselves. */
#ifndef POSTERN_ADVISE_LOCAL_READING_H
#define POSTERN_ADVISE_LOCAL_READING_H

#include "advise/local_private.h"

#define ADVISE_IFS_MAX 32 /* of Exim's .ifdef, one within the other */

/* One configuration, as far as it is read.  said[i] is of out->server[i]. */
struct advise_reading {
	enum advise_local_kind kind;
	enum advise_local_kind rows; /* of this file: of Debian's Exim all but the first are Exim's */
	struct advise_local *out;
	struct advise_said said[ADVISE_LOCAL_SERVERS];
	struct advise_macros macros;				      /* Exim; Postfix: all parameters */
	enum { IF_YES, IF_MAYBE, IF_NO, IF_WAS } ifs[ADVISE_IFS_MAX]; /* Exim; WAS: another branch held */
	size_t n_ifs;
	bool secret; /* Exim: a password stands in the file */
	uint16_t secret_file;
	bool beside;
	bool pools;   /* PHP: the configuration itself is one of pools */
	bool several; /* files */
	const struct advise_part *part;
};

/* ---- local.c ---- */

/* That of this name, made if there is none; out->n: there is no room.  transport: Exim has routers and
 * transports of one name. */
size_t advise_find_server(struct advise_reading *r, struct slice name, bool transport);
/* What one server has holds for another, too, but its name; what that one has itself stays. */
void advise_inherit(struct advise_reading *r, size_t from, size_t to);

/* ---- local_exim.c ---- */

/* False: it is no setting of a server, or one that counts for nothing.  What is filled in goes to `room`. */
bool advise_exim_pair(struct advise_reading *r, struct advise_pair *p, char room[static ADVISE_EXPANDED]);
void advise_exim_forget(struct advise_local_server *s); /* a host that is a macro defined elsewhere */
void advise_exim_secret(struct advise_reading *r, const struct advise_pair *p);
void advise_exim_join(struct advise_reading *r);
void advise_debian_learn(struct advise_reading *r, const struct advise_whole *w);
void advise_debian_join(struct advise_reading *r);
void advise_debian_login(struct advise_reading *r, struct slice table);

/* ---- local_join.c ---- */

void advise_join_identities(struct advise_reading *r);
void advise_join_node(struct advise_reading *r);
void advise_add_sendmail(struct advise_reading *r);

#endif
