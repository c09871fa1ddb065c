/* dns.h - the resolver as the configuration has it, for the processes and for the command line. */
#ifndef POSTERN_ROLE_DNS_H
#define POSTERN_ROLE_DNS_H

#include <jansson.h>

#include "conf/conf.h"
#include "resolve/resolve.h"

/* Reads the files that it needs: before the walls.  Logs what is wrong with them, and later,
 * if tells is set, where the DNS is asked: one process of several tells it.  0 or negative errno. */
int dns_open(uv_loop_t *loop, const struct conf *conf, bool tells, struct resolve **ret);
void dns_status(const struct resolve *r, json_t *to);

#endif
