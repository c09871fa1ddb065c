/* troubles.h - which sites are in trouble, so that the log says once that it began, and once that
 * it is over.
 *
 * When a site is tried again is the schedule's matter; nothing depends on what stands here.
 * Bounded: of more than TROUBLES_MAX sites at once the rest go unremembered.
 */
#ifndef POSTERN_QUEUE_TROUBLES_H
#define POSTERN_QUEUE_TROUBLES_H

#include "base/map.h"

#define TROUBLES_MAX 10000

struct troubles {
	struct map sites;
};

int troubles_init(struct troubles *t); /* 0 or -ENOMEM */
void troubles_done(struct troubles *t);

/* One more failure: how many in a row that makes.  Worth a line are 1, 2, 4, 8 ... of them. */
unsigned troubles_add(struct troubles *t, struct slice site);
bool troubles_worth_a_line(unsigned failures);
/* It works: how many failures came before; 0: it was not known to be in trouble. */
unsigned troubles_over(struct troubles *t, struct slice site);

#endif
