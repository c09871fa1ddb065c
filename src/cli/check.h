/* check.h - the parts of `postern check`: its answer for people, and as JSON. */
#ifndef POSTERN_CLI_CHECK_H
#define POSTERN_CLI_CHECK_H

#include <jansson.h>

#include "cli/net.h"
#include "conf/conf.h"
#include "probe/across.h"
#include "probe/expect.h"
#include "probe/verdict.h"

#define CHECK_PINS_MAX	 8
#define CHECK_LOGINS_MAX 32 /* ports that are tried */

/* --login: as whom, and with what.  Texts of the command line; without --login user is NULL. */
struct check_logins {
	const char *user, *password_file, *from;
	enum conf_mechanism mechanism;
	unsigned char pin[CHECK_PINS_MAX][TLS_FINGERPRINT_LEN];
	size_t pins;
	bool more; /* something was told that is of use only with --login */
	struct buf secret;
};

/* All that a check found, judged. */
struct check_result {
	const struct probe_host *hosts;
	size_t n;
	struct probe_findings found;
	struct probe_verdict verdict;
	enum probe_control control;
	const struct probe_expect *expect; /* --expect */
	size_t n_expect;
	int64_t now;
	bool mx;			   /* --mx: no verdict for applications */
	const struct check_logins *logins; /* NULL: no --login */
	uint64_t took_ms;
	const char *note[32]; /* of finding the hosts */
	size_t n_notes;
};

void check_print(const struct check_result *r, bool colour, bool verbose);
json_t *check_json(const struct check_result *r); /* NULL: out of memory */

/* Calls with each condition that is not met and why; how many those are.  report may be NULL. */
size_t check_expectations(const struct check_result *r,
			  void (*report)(void *arg, const struct probe_port *p, const char *why), void *arg);

/* 'L', 'P', 'M', 'f' or 'i' (--login, --password-file, --mechanism, --from, --pin).  False: not understood.
 */
bool check_logins_option(int c, const char *text, struct check_logins *to);
const char *check_logins_wrong(const struct check_logins *o); /* NULL, or why */
bool check_logins_read(struct check_logins *o);		      /* the secret; false: said why not */
/* At the ports that the verdict names, or where --expect wants it, one after the other.  Blocks (runs the
 * loop); what came of it stands at the ports, which are to be judged again. */
void check_logins_run(const struct check_logins *o, struct cli_net *net, unsigned timeout_s,
		      const struct check_result *r);
bool check_logins_good(const struct check_result *r); /* accepted at the port to use */
void check_logins_print(const struct check_logins *o, const struct check_result *r);
json_t *check_logins_causes(const struct probe_host *h, const struct probe_port *p); /* why it was refused */

/* --explain: what an error text means; "-": that on standard input.  Returns the exit status. */
int check_explain(const char *text, bool json, bool verbose);

/* --config: what to set in a program.  Texts of the command line; user and use may be NULL. */
struct check_config {
	const char *program, *user, *use;
};
int check_config_list(void);
const char *check_config_wrong(const struct check_config *c); /* NULL, or why */
/* For the server that --use names, or that was found.  Each returns the exit status. */
int check_config_given(const struct check_config *c, bool json);
int check_config_found(const struct check_config *c, const struct check_result *r, bool json);

/* --local: the settings of programs on this machine, of the usual places, or of files and folders.  Returns
 * the exit status. */
struct check_local_setup {
	bool json;
	bool ask; /* the servers that are found; the rest is for this */
	bool ipv4, ipv6;
	unsigned timeout_s;
	const struct cli_net_setup *net;
};
int check_local(const struct check_local_setup *o, char **paths, size_t n);

#endif
