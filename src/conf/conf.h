/* conf.h - the configuration, parsed and complete.
 *
 * Made from YAML text by conf_parse() with one table of directives
 * (conf/directives.c), which also gives the defaults, the checks, `config show`
 * and the reference in postern.conf(5).  Immutable; every role parses the same
 * text, so no struct crosses a process border.  All strings end with NUL and
 * belong to the struct.
 */
#ifndef POSTERN_CONF_CONF_H
#define POSTERN_CONF_CONF_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/endpoint.h"
#include "base/ip.h"

enum conf_role { CONF_RELAY, CONF_SUBMISSION };
enum conf_tls { CONF_TLS_OFF, CONF_TLS_STARTTLS, CONF_TLS_IMPLICIT };
enum conf_tls_min { CONF_TLS_1_0, CONF_TLS_1_1, CONF_TLS_1_2, CONF_TLS_1_3 };
enum conf_wrong_port { CONF_WRONG_PORT_SERVE, CONF_WRONG_PORT_EXPLAIN };
enum conf_by { CONF_BY_MAILDIR, CONF_BY_LMTP };
enum conf_full { CONF_FULL_DEFER, CONF_FULL_REFUSE };
enum conf_recursion { CONF_RECURSION_AUTO, CONF_RECURSION_YES, CONF_RECURSION_NO };
enum conf_validate { CONF_VALIDATE_AUTO, CONF_VALIDATE_YES, CONF_VALIDATE_NO };
enum conf_bare { CONF_BARE_REFUSE, CONF_BARE_FIX };
enum conf_via {
	CONF_VIA_MX,
	CONF_VIA_HOST,	    /* a server that takes the mail as an MX would */
	CONF_VIA_SMARTHOST, /* one that sends it on for us: submission */
	CONF_VIA_LMTP,
	CONF_VIA_DISCARD,
	CONF_VIA_REFUSE,
};
enum conf_route_tls {
	CONF_ROUTE_TLS_AUTO,
	CONF_ROUTE_TLS_REQUIRE,
	CONF_ROUTE_TLS_VERIFY,
	CONF_ROUTE_TLS_OFF
};
enum conf_mechanism {
	CONF_MECHANISM_AUTO, /* the strongest that both sides know */
	CONF_MECHANISM_PLAIN,
	CONF_MECHANISM_LOGIN,
	CONF_MECHANISM_SCRAM,
	CONF_MECHANISM_SCRAM_PLUS,
	CONF_MECHANISM_XOAUTH2,
	CONF_MECHANISM_OAUTHBEARER,
	CONF_MECHANISM_OAUTH, /* a token, by either of these two */
};
enum conf_class { CONF_CLASS_NORMAL, CONF_CLASS_BULK, CONF_CLASS_URGENT }; /* as enum ipc_class */
enum conf_reply_action { CONF_REPLY_DEFER, CONF_REPLY_SLOW, CONF_REPLY_PAUSE, CONF_REPLY_FAIL };

struct conf_listener {
	const char *name; /* "relay", "submissions", "submission", "fallback", or the user's own */
	unsigned line;	  /* where the file begins it; 0: a default */
	bool enabled;
	enum conf_role role;
	struct ip *addresses; /* default: :: and 0.0.0.0 (family 6 and 4 unspecified) */
	size_t n_addresses;
	uint16_t port; /* with --port-offset already added */
	enum conf_tls tls;
	enum conf_tls_min tls_min;
	bool tls_required; /* before AUTH and MAIL; default yes on submission */
	bool auth;	   /* default: yes on submission, never on relay */
	struct ip_net *relay_from;
	size_t n_relay_from;
	struct ip_net *proxy_from; /* their connections begin with a PROXY header */
	size_t n_proxy_from;
	enum conf_wrong_port wrong_port;
	unsigned greeting_hold_ms; /* 250 on submission with STARTTLS, 0 on relay */
	enum conf_bare bare_line_ends;
	int class;	     /* enum conf_class: of what comes in here */
	unsigned max_hold_s; /* FUTURERELEASE; 0: not offered */
	uint64_t max_size;   /* octets */
	uint32_t max_recipients, max_errors, max_commands, max_transactions, max_sessions;
	uint32_t max_sessions_per_ip, max_sessions_per_network; /* network: 0 no limit */
	uint32_t max_rate_per_ip, max_rate_per_network;		/* begun in a minute; 0 no limit */
	unsigned command_timeout_s, data_timeout_s, session_timeout_s, tls_timeout_s, proxy_timeout_s;
	uint32_t min_data_rate; /* octets a second */
};

/* What there may be several of, each with a name, begins like this. */
struct conf_named {
	const char *name;
	unsigned line; /* where the file begins it; 0: a default */
};

/* One way out.  The first one wins of which each list that is not empty has a pattern that
 * matches: see route/table.h.  The last one is always there, is called "mx", and takes all. */
struct conf_route {
	const char *name;
	unsigned line;
	char **to, **from, **accounts;
	size_t n_to, n_from, n_accounts;
	int via; /* enum conf_via */
	char **hosts;
	size_t n_hosts;	   /* names, addresses; of LMTP also unix:/path */
	uint16_t port;	   /* 0: 25, of a smart host 587, 465 and 2525 by rule, of LMTP 24 */
	bool implicit_tls; /* on that port, which is not 465; no directive: of submit/carry.h */
	int tls;	   /* enum conf_route_tls */
	char **fingerprints;
	size_t n_fingerprints;	   /* SHA-256 of the certificate or its key, in hexadecimal */
	const char *provider;	   /* of route/providers.h, "" if none */
	const char *user;	   /* "": no login */
	const char *password_file; /* the first line of it */
	char **password_command;
	size_t n_password_command;	  /* a program and its arguments: the first line of what it writes */
	int mechanism;			  /* enum conf_mechanism */
	const char *source;		  /* a pool of sources, "": relay.source */
	const char *helo;		  /* "": the source's, else hostname */
	const char *text;		  /* of a refusal */
	uint32_t connections;		  /* at once to one site, 0: relay.connections */
	uint32_t messages_per_minute;	  /* to one site, 0: no limit */
	uint32_t messages_per_connection; /* 0: relay.messages_per_connection */
};

/* An address (of IPv4, of IPv6, or one of each) to send from. */
struct conf_source {
	const char *name;
	unsigned line;
	const char *pool; /* "": one of its own, of the same name */
	struct ip *addresses;
	size_t n_addresses;
	const char *helo;	      /* "": hostname */
	uint32_t weight;	      /* its share of the pool's connections */
	uint32_t messages_per_minute; /* 0: no limit */
	const char *warm_up;	      /* the first day as YYYY-MM-DD, "": it is warm */
	uint32_t warm_up_first;	      /* messages on that day */
	uint32_t warm_up_growth;      /* percent more on each day after */
	uint32_t warm_up_until;	      /* messages a day; from there on it is warm */
};

/* What an answer of another server means here: before the table of route/classify.h. */
struct conf_reply {
	const char *name;
	unsigned line;
	uint16_t code;	      /* 0: any */
	const char *enhanced; /* how it begins: "4.7", "": any */
	const char *text;     /* words in it, letters of either case, "": any */
	const char *class;    /* "": name */
	int action;	      /* enum conf_reply_action */
	unsigned pause_s;
	const char *meaning;
};

struct conf_certificate {
	const char *cert, *key; /* PEM files */
	unsigned line;
};

struct conf {
	const char *hostname;
	const char *state_dir;	   /* spool/, accounts/, ledger/, tls/ below it */
	const char *runtime_dir;   /* control.sock, submit.sock */
	const char *user;	   /* of the roles when started as root */
	const char *control_group; /* may use the control socket; "" = only root and the server's user */
	unsigned smtp_processes;   /* 0: one a core */
	int log_to, log_format, log_level; /* enum log_to, enum log_format, LOG_ levels */

	struct conf_certificate *certificates; /* none: self-signed, in state_dir/tls */
	size_t n_certificates;
	struct conf_listener *listeners;
	size_t n_listeners;
	struct conf_route *routes; /* in order; the last one is "mx" */
	size_t n_routes;
	struct conf_source *sources;
	size_t n_sources;
	struct conf_reply *replies; /* in order */
	size_t n_replies;
	bool insecure_test_network; /* the override: a dangerous combination is only warned of */

	bool local_socket; /* submission by the Unix socket */
	uint64_t local_max_size;
	uint32_t local_max_recipients;
	int local_class;	   /* enum conf_class */
	unsigned local_max_hold_s; /* FUTURERELEASE */

	bool dovecot;		   /* the socket where Dovecot asks about accounts */
	const char *dovecot_group; /* may use it */

	const char *mail_dir;		    /* <mail_dir>/<domain>/<local part>/ is a Maildir */
	const char *mail_user, *mail_group; /* owner of mailboxes; "" = the server's user */
	int delivery_by;		    /* enum conf_by */
	const char *delivery_lmtp;	    /* "" or as in base/endpoint.h */
	unsigned delivery_connections, delivery_idle_s;
	unsigned delivery_connect_s, delivery_command_s, delivery_final_s;
	uint64_t mail_quota;	/* octets of a mailbox that has no quota of its own; 0: any */
	int mail_full;		/* enum conf_full */
	const char *postmaster; /* where mail for postmaster and abuse goes; "" = nowhere configured */
	const char *recipient_delimiter; /* "+"; "" switches plus addressing off */

	uint64_t spool_memory, spool_body_memory, spool_segment, spool_free_min;
	unsigned history_keep_s;
	uint64_t history_size;
	unsigned hash_threads, hash_queue; /* password hashes computed at once, and waiting */
	unsigned auth_cache_s;		   /* a success is remembered; 300 */

	/* Guessing; numbers of wrong passwords, 0: no limit */
	uint32_t guess_per_address, guess_per_network, guess_per_account, guess_per_known;
	unsigned guess_period_s, guess_lock_s, guess_lock_max_s, guess_remember_s;

	uint8_t ipv4_network, ipv6_network; /* bits */
	struct ip_net *exempt_networks;
	size_t n_exempt_networks;
	unsigned limit_period_s;
	uint32_t account_messages, account_recipients; /* in that time; 0: no limit */
	uint32_t uid_messages, uid_recipients, owner_messages, owner_recipients;

	/* Mail for elsewhere */
	uint32_t relay_connections; /* at once to one site */
	uint32_t relay_messages_per_connection;
	uint32_t relay_account_messages_per_minute; /* 0: no limit */
	uint32_t relay_lanes;			    /* connections at once, of all sites together */
	unsigned relay_idle_s, relay_connect_s, relay_command_s, relay_final_s;
	unsigned relay_lifetime_s;	/* how long is tried */
	unsigned relay_delay_warning_s; /* then the sender is told; 0: never */
	const char *relay_source;	/* a pool, "": whatever address the system takes */
	const char *relay_ca_file;	/* certificates to trust, "": those of the system */
	bool relay_dane, relay_mta_sts;
	bool relay_loopback; /* what the DNS says may lead to this machine itself */

	char **dns_servers; /* as in base/endpoint.h, the port may be missing; none: see dns_recursion */
	size_t n_dns_servers;
	int dns_recursion, dns_validate; /* enum conf_recursion, conf_validate */
	const char *dns_trust_anchors, *dns_resolv_conf, *dns_hosts;
	uint64_t dns_cache; /* octets, in each process */
	unsigned dns_queries, dns_timeout_s;

	unsigned max_hops; /* Received headers; 100 */
	unsigned hang_s;   /* a process whose loop stands still for so long is killed; 0: never */
	unsigned drain_s;  /* SIGTERM: sessions may finish for so long */

	unsigned port_offset; /* as conf_setup had them: what conf_show() takes off again */
	bool root;
};

/* One finding: an error (the configuration is refused), a warning, or (of a reload
 * only) a note of what changes. */
struct conf_finding {
	bool error, note;
	unsigned line; /* 0: no line */
	char *text;    /* "relay.prot: no such directive here; did you mean 'port'?" */
	struct conf_finding *next;
};

struct conf_setup {
	const char *file;     /* for messages */
	unsigned port_offset; /* added to every port */
	bool root;	      /* defaults differ: /var/lib/postern, or below $XDG_STATE_HOME or $HOME */
};

/* 0; -EINVAL with findings that say why; -ENOMEM.  Findings (warnings) may come
 * with success as well; conf_findings_free() them either way. */
int conf_parse(struct slice text, const struct conf_setup *setup, struct conf **ret,
	       struct conf_finding **ret_findings);
void conf_free(struct conf *conf);
void conf_findings_free(struct conf_finding *f);
/* "FILE:12: error: text", a line a finding. */
void conf_findings_show(const struct conf_finding *f, const char *file, struct buf *to);

/* `config show`: YAML of what differs from the defaults, or of all. */
void conf_show(const struct conf *conf, bool all, struct buf *to);
void conf_show_json(const struct conf *conf, bool all, struct buf *to); /* JSON; as YAML it reads the same */
/* The reference, as mdoc for postern.conf(5). */
void conf_reference(struct buf *to);

/* What a reload from old to new does: a note for each change that it makes, also for
 * each listener added or removed, and a warning for each directive that changes only at
 * the next start.  0 (findings NULL: nothing differs) or -ENOMEM. */
int conf_reload_diff(const struct conf *old, const struct conf *new, struct conf_finding **ret_findings);
/* What changes only at the next start stays in new as it is in old.  1 if anything differed, 0,
 * or -ENOMEM. */
int conf_keep_fixed(const struct conf *old, struct conf *new);

/* Where users log in and submit, best first: the ports of the enabled submission listeners
 * that offer TLS.  How many there are, at most max. */
struct conf_submission_port {
	uint16_t port;
	bool implicit_tls; /* else STARTTLS */
};
size_t conf_submission_ports(const struct conf *conf, struct conf_submission_port *to, size_t max);

/* A day as in sources.NAME.warm_up: milliseconds from 1970 to its beginning (UTC).  False: it is none. */
bool conf_day(const char *text, uint64_t *ret_ms);

/* How many processes speak SMTP.  Asks the system: not within a sandbox. */
unsigned conf_smtp_processes(const struct conf *conf);

/* The word for an enum conf_mechanism in a file; and the other way, letters in either case, -1: there is
 * none. */
const char *conf_mechanism_word(int mechanism);
int conf_mechanism_find(struct slice word);

#define CONF_DNS_PORT 53
/* One of dns.servers; without a port it has CONF_DNS_PORT.  False: no address. */
bool conf_dns_server(struct slice text, struct endpoint *ret);

const struct conf_listener *conf_listener(const struct conf *conf, struct slice name); /* NULL if absent */

#endif
