/* check.h - all looks of one call of `postern check`: names to addresses, addresses to looks, all at once.
 *
 * It takes as long as the slowest port, not as long as their sum.  What it finds is a list of struct
 * probe_host, which the caller judges with probe/ and prints.  Where names come from a domain or an
 * address (SRV, autoconfig, MX ...) is find.h's.
 */
#ifndef POSTERN_CHECK_CHECK_H
#define POSTERN_CHECK_CHECK_H

#include "check/look.h"
#include "check/sts.h"
#include "probe/across.h"
#include "resolve/resolve.h"

#define CHECK_HOSTS_MAX	    32
#define CHECK_ADDRESSES_MAX 4 /* of a host, each family */
#define CHECK_PORTS_MAX	    16

struct check;

struct check_setup {
	struct look_setup look;
	struct resolve *resolve;
	uint16_t port[CHECK_PORTS_MAX];
	size_t n_ports;
	bool ipv4, ipv6;   /* which are asked */
	struct ip control; /* an address that has nothing to do with mail; family 0: the default */
	uint16_t control_port;
	/* Something moved: for progress.  May be NULL. */
	void (*progress)(void *arg, const struct check *c);
	void (*done)(void *arg, struct check *c); /* once, from the loop */
	void *arg;
};

/* The setup is copied.  NULL: out of memory. */
struct check *check_new(const struct check_setup *setup);
void check_free(struct check *c); /* also in the middle; the loop must turn once more */

/* A host to look at: a name or an address, and where it comes from.  port 0: all of the setup's.
 * -EEXIST: it is there already; -E2BIG: too many. */
int check_add(struct check *c, const char *name, const char *from, uint16_t port);
/* The same of an MX host: port 25 alone; sts: its domain's policy, copied, or NULL. */
int check_add_mx(struct check *c, const char *name, const char *from, uint16_t preference,
		 const struct check_sts_found *sts);
/* Begins what was added.  0 or -ENOMEM. */
int check_run(struct check *c);

const struct probe_host *check_hosts(const struct check *c, size_t *ret_n);
enum probe_control check_control(const struct check *c);
/* How many looks there are, and how many are done. */
void check_count(const struct check *c, size_t *ret_all, size_t *ret_done);

#endif
