/* dns.h - the resolver as the configuration has it, for the processes and for the command line. */
#ifndef POSTERN_ROLE_DNS_H
#define POSTERN_ROLE_DNS_H

#include <jansson.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "resolve/resolve.h"

#define DNS_FILE_MAX (256U << 10) /* octets; hosts is looked through for each host that a route names */

/* The texts that a resolver is made of: borrowed for each call, and kept for the next. */
struct dns_files {
	struct buf anchors, resolv_conf, hosts;
};
void dns_files_done(struct dns_files *f);

/* Reads the files that it needs: before the walls.  Logs what is wrong with them, and later,
 * if tells is set, where the DNS is asked: one process of several tells it.  0 or negative errno. */
int dns_open(uv_loop_t *loop, const struct conf *conf, bool tells, struct dns_files *ret_files,
	     struct resolve **ret);
/* The configuration, or a file, is another: 0, or negative errno, then all is as it was; logged. */
int dns_configure(struct resolve *r, const struct conf *conf, const struct dns_files *files);
void dns_status(const struct resolve *r, json_t *to);

#endif
