/* file.h - what the ledger's databases have in common: how their files are opened, set aside
 * when they are damaged, and what of a stranger's words goes into them.
 *
 * Losing one loses no mail, so a damaged file is renamed to PATH.damaged and begun anew.
 */
#ifndef POSTERN_HISTORY_FILE_H
#define POSTERN_HISTORY_FILE_H

#include "base/ip.h"
#include "db/db.h"

/* Opens or makes it, and has look() read what every start reads: a file that shows to be damaged
 * there, too, is set aside (*ret_aside).  0, or negative errno with a line in reterr; then nothing is
 * open, whatever look() kept. */
int history_file_open(const struct db_setup *setup, int (*look)(void *arg, struct db *db), void *arg,
		      struct db **ret, bool *ret_aside, char *reterr, size_t reterr_size);
/* One that is closed: it is renamed, with what belongs to it. */
int history_file_set_aside(const char *path);

/* Cut to its ceiling (to has one octet more), and printable ASCII only, because it ends on somebody's
 * terminal. */
void history_text(struct slice s, char *to, size_t max);
/* An address as a column has it: 4 or 16 octets, none where family is 0.  Borrowed from ip. */
struct slice history_ip(const struct ip *ip);
void history_ip_of(struct slice column, struct ip *ret);

#endif
