/* identity.h - who runs this program, as an address: for messages that do not say from whom they are.
 *
 * It asks the files of this machine and the user database, never the DNS: cron's mail must not wait for a
 * name server that is away.
 */
#ifndef POSTERN_CLI_IDENTITY_H
#define POSTERN_CLI_IDENTITY_H

#include "base/slice.h"

struct cli_identity {
	char user[160];	     /* the local part of an address, quoted where it must be */
	char full_name[256]; /* of the user database; or "" */
	char domain[256];    /* what stands behind the @ of addresses that have nothing there */
	char machine[256];   /* this machine's name, as far as it or /etc/hosts has it; or "" */
};

/* The domain: the first line of /etc/mailname; else this machine's name, as far as it has dots itself or
 * /etc/hosts has it with some. */
void cli_identity_find(struct cli_identity *ret);

/* ---- its parts, for tests ---- */

/* The name with a dot on the line of /etc/hosts that has this one: false if there is none. */
bool cli_identity_whole_name(struct slice hosts, struct slice name, char to[static 256]);
/* A login name as a local part: "www-data", "\"bob smith\"". */
void cli_identity_local_part(struct slice login, char to[static 160]);
/* The name of a GECOS field: what stands before the first comma, & for the login name. */
void cli_identity_gecos(struct slice gecos, struct slice login, char to[static 256]);

#endif
