#include "conf/directives.h"

#include <stddef.h>

#include "base/log.h"

static const struct conf_word roles[] = {
	{ "relay", CONF_RELAY },
	{ "submission", CONF_SUBMISSION },
	{ NULL, 0 },
};
static const struct conf_word tls[] = {
	{ "off", CONF_TLS_OFF },
	{ "starttls", CONF_TLS_STARTTLS },
	{ "implicit", CONF_TLS_IMPLICIT },
	{ NULL, 0 },
};
static const struct conf_word tls_min[] = {
	{ "1.0", CONF_TLS_1_0 },
	{ "1.1", CONF_TLS_1_1 },
	{ "1.2", CONF_TLS_1_2 },
	{ "1.3", CONF_TLS_1_3 },
	{ NULL, 0 },
};
static const struct conf_word wrong_port[] = {
	{ "serve", CONF_WRONG_PORT_SERVE },
	{ "explain", CONF_WRONG_PORT_EXPLAIN },
	{ NULL, 0 },
};
static const struct conf_word bare[] = {
	{ "refuse", CONF_BARE_REFUSE },
	{ "fix", CONF_BARE_FIX },
	{ NULL, 0 },
};
static const struct conf_word class[] = {
	{ "normal", CONF_CLASS_NORMAL },
	{ "bulk", CONF_CLASS_BULK },
	{ "urgent", CONF_CLASS_URGENT },
	{ NULL, 0 },
};
static const struct conf_word delivery_by[] = {
	{ "maildir", CONF_BY_MAILDIR },
	{ "lmtp", CONF_BY_LMTP },
	{ NULL, 0 },
};
static const struct conf_word full[] = {
	{ "defer", CONF_FULL_DEFER },
	{ "refuse", CONF_FULL_REFUSE },
	{ NULL, 0 },
};
static const struct conf_word via[] = {
	{ "mx", CONF_VIA_MX },
	{ "host", CONF_VIA_HOST },
	{ "smarthost", CONF_VIA_SMARTHOST },
	{ "lmtp", CONF_VIA_LMTP },
	{ "discard", CONF_VIA_DISCARD },
	{ "refuse", CONF_VIA_REFUSE },
	{ NULL, 0 },
};
static const struct conf_word route_tls[] = {
	{ "auto", CONF_ROUTE_TLS_AUTO },
	{ "require", CONF_ROUTE_TLS_REQUIRE },
	{ "verify", CONF_ROUTE_TLS_VERIFY },
	{ "off", CONF_ROUTE_TLS_OFF },
	{ NULL, 0 },
};
const struct conf_word conf_mechanisms[] = {
	{ "auto", CONF_MECHANISM_AUTO },
	{ "plain", CONF_MECHANISM_PLAIN },
	{ "login", CONF_MECHANISM_LOGIN },
	{ "scram-sha-256", CONF_MECHANISM_SCRAM },
	{ "scram-sha-256-plus", CONF_MECHANISM_SCRAM_PLUS },
	{ "xoauth2", CONF_MECHANISM_XOAUTH2 },
	{ "oauthbearer", CONF_MECHANISM_OAUTHBEARER },
	{ "oauth", CONF_MECHANISM_OAUTH },
	{ NULL, 0 },
};
static const struct conf_word reply_action[] = {
	{ "defer", CONF_REPLY_DEFER },
	{ "slow", CONF_REPLY_SLOW },
	{ "pause", CONF_REPLY_PAUSE },
	{ "fail", CONF_REPLY_FAIL },
	{ NULL, 0 },
};
static const struct conf_word log_to[] = {
	{ "stderr", LOG_TO_STDERR },
	{ "journal", LOG_TO_JOURNAL },
	{ "syslog", LOG_TO_SYSLOG },
	{ NULL, 0 },
};
static const struct conf_word dns_recursion[] = {
	{ "auto", CONF_RECURSION_AUTO },
	{ "yes", CONF_RECURSION_YES },
	{ "no", CONF_RECURSION_NO },
	{ NULL, 0 },
};
static const struct conf_word dns_validate[] = {
	{ "auto", CONF_VALIDATE_AUTO },
	{ "yes", CONF_VALIDATE_YES },
	{ "no", CONF_VALIDATE_NO },
	{ NULL, 0 },
};
static const struct conf_word log_format[] = {
	{ "kv", LOG_AS_KV },
	{ "json", LOG_AS_JSON },
	{ NULL, 0 },
};
static const struct conf_word log_level_words[] = {
	{ "error", LOG_ERR }, { "warning", LOG_WARNING }, { "notice", LOG_NOTICE },
	{ "info", LOG_INFO }, { "debug", LOG_DEBUG },	  { NULL, 0 },
};

#define MEMBER(s, m)	    .at = offsetof(struct s, m), .width = sizeof(((struct s *)0)->m)
#define TOP(p, t, m)	    .scope = CONF_AT_TOP, .path = (p), .type = (t), MEMBER(conf, m)
#define TOP_N(p, t, m)	    TOP(p, t, m), .at_n = offsetof(struct conf, n_##m)
#define LISTENER(p, t, m)   .scope = CONF_AT_LISTENER, .path = (p), .type = (t), MEMBER(conf_listener, m)
#define LISTENER_N(p, t, m) LISTENER(p, t, m), .at_n = offsetof(struct conf_listener, n_##m)
#define CERTIFICATE(p, t, m) \
	.scope = CONF_AT_CERTIFICATE, .path = (p), .type = (t), MEMBER(conf_certificate, m)
#define ROUTE(p, t, m)	  .scope = CONF_AT_ROUTE, .path = (p), .type = (t), MEMBER(conf_route, m)
#define ROUTE_N(p, t, m)  ROUTE(p, t, m), .at_n = offsetof(struct conf_route, n_##m)
#define SOURCE(p, t, m)	  .scope = CONF_AT_SOURCE, .path = (p), .type = (t), MEMBER(conf_source, m)
#define SOURCE_N(p, t, m) SOURCE(p, t, m), .at_n = offsetof(struct conf_source, n_##m)
#define REPLY(p, t, m)	  .scope = CONF_AT_REPLY, .path = (p), .type = (t), MEMBER(conf_reply, m)
#define KIB		  UINT64_C(1024)
#define MIB		  (KIB * KIB)
#define GIB		  (KIB * MIB)

/* clang-format off */
const struct conf_directive conf_directives[] = {
	/* The top level */
	{ TOP("hostname", CONF_T_HOST, hostname), .def_text = "the name of the system",
	  .help = "The name of this server in greetings, Received headers and message ids. "
		  "It should be the name that the reverse lookup of its address gives." },
	{ TOP("postmaster", CONF_T_EMAIL, postmaster), .def = "",
	  .help = "Where mail for postmaster and abuse goes, in every domain that has no such account or alias and no "
		  "postmaster of its own. "
		  "Without it such mail waits in _postmaster/DOMAIN below mailboxes.dir." },
	{ TOP("state_dir", CONF_T_PATH, state_dir), .fixed = true, .max = 400,
	  .def_text = "/var/lib/postern; not as root $XDG_STATE_HOME/postern or ~/.local/state/postern",
	  .help = "Everything that must survive a restart: spool, accounts, ledger and the self-signed certificate." },
	{ TOP("runtime_dir", CONF_T_PATH, runtime_dir), .fixed = true, .max = 90,
	  .def_text = "/run/postern; not as root the folder run in state_dir",
	  .help = "The control socket and the socket for local submission. "
		  "At most 90 octets: the kernel's limit for the name of a socket." },
	{ TOP("user", CONF_T_ACCOUNT_NAME, user), .fixed = true, .def = "postern", .min = 1,
	  .help = "The system user of the server's processes, when it is started as root. "
		  "A process runs as user-role (postern-smtp, postern-queue ...) where such a user exists." },
	{ TOP("control_group", CONF_T_ACCOUNT_NAME, control_group), .fixed = true, .def = "",
	  .help = "The system group whose members may use the control socket. Empty: only root and the server's user." },
	{ TOP("smtp_processes", CONF_T_NUMBER, smtp_processes), .fixed = true, .def = "0", .max = 64,
	  .help = "How many processes speak SMTP. 0: one for each processor." },
	{ TOP("recipient_delimiter", CONF_T_STRING, recipient_delimiter), .def = "+", .max = 1,
	  .help = "The character that begins the part of an address that is ignored for delivery: "
		  "user+list@example.org goes to user@example.org. Empty: no such addresses." },
	{ TOP("max_hops", CONF_T_NUMBER, max_hops), .def = "100", .min = 10, .max = 1000,
	  .help = "A message with more Received headers than this goes in circles and is refused." },
	{ TOP("drain", CONF_T_SECONDS, drain_s), .def = "30s", .max = 3600,
	  .help = "How long sessions may go on when the server is told to stop." },
	{ TOP("hang_timeout", CONF_T_SECONDS, hang_s), .def = "30s", .max = 3600,
	  .help = "A process of the server that does not answer the main process for so long is named in the log, killed "
		  "and started anew. One that only waits for its disk is named, and left alone. 0s: never." },
	{ TOP("insecure_test_network", CONF_T_BOOL, insecure_test_network), .def = "no",
	  .help = "Allows combinations that relay mail for strangers or take passwords in clear text, with a warning "
		  "for each. For closed test networks, never for a server that the Internet can reach." },

	{ TOP("log.to", CONF_T_WORD, log_to), .fixed = true, .def = "stderr", .words = log_to,
	  .help = "Where log lines go." },
	{ TOP("log.format", CONF_T_WORD, log_format), .fixed = true, .def = "kv", .words = log_format,
	  .help = "Lines of key=value, or JSON objects." },
	{ TOP("log.level", CONF_T_WORD, log_level), .def = "info", .words = log_level_words,
	  .help = "The least important lines that are written." },

	{ TOP("local_submission.enabled", CONF_T_BOOL, local_socket), .fixed = true, .def = "yes",
	  .help = "Whether programs on this machine may submit mail through the socket submit.sock in runtime_dir. "
		  "The sender is known by its user id." },
	{ TOP("local_submission.max_size", CONF_T_SIZE, local_max_size), .def = "50M", .min = 64 * KIB, .max = 2 * GIB,
	  .help = "The largest message." },
	{ TOP("local_submission.max_recipients", CONF_T_NUMBER, local_max_recipients), .def = "100", .min = 1, .max = 10000,
	  .help = "Recipients of one message." },
	{ TOP("local_submission.class", CONF_T_WORD, local_class), .def = "normal", .words = class,
	  .help = "How urgent these messages are, as class of a listener; MT-PRIORITY asks for less or more." },
	{ TOP("local_submission.max_hold", CONF_T_SECONDS, local_max_hold_s), .def = "30d", .max = 366 * 24 * 3600,
	  .help = "How long a program may ask that a message is held before it is sent (FUTURERELEASE). 0: not offered." },

	{ TOP("dovecot.enabled", CONF_T_BOOL, dovecot), .fixed = true, .def = "no",
	  .help = "Whether there is a socket dovecot.sock in runtime_dir where Dovecot asks about passwords and "
		  "mailboxes: see dovecot.md in the documentation." },
	{ TOP("dovecot.group", CONF_T_ACCOUNT_NAME, dovecot_group), .fixed = true, .def = "dovecot",
	  .help = "The system group that may use that socket, when started as root: that of Dovecot's own processes. "
		  "Who may use it can try passwords, and see which accounts exist." },

	{ TOP("mailboxes.dir", CONF_T_PATH, mail_dir), .fixed = true, .max = 512,
	  .def_text = "/var/vmail; not as root the folder mail in state_dir",
	  .help = "Where mailboxes lie: user@example.org has the Maildir example.org/user below it." },
	{ TOP("mailboxes.user", CONF_T_ACCOUNT_NAME, mail_user), .fixed = true, .def = "",
	  .help = "The system user that owns the mailboxes, when started as root. Empty: user-local (postern-local) "
		  "where there is such a user, else the one of user." },
	{ TOP("mailboxes.group", CONF_T_ACCOUNT_NAME, mail_group), .fixed = true, .def = "",
	  .help = "The system group of the mailboxes. Empty: the group of their user." },

	{ TOP("mailboxes.quota", CONF_T_SIZE, mail_quota), .def = "0", .max = 1024 * GIB * 1024,
	  .help = "How much mail an account may keep, when it has no quota of its own (postern account set --quota). "
		  "0: as much as there is room." },
	{ TOP("mailboxes.full", CONF_T_WORD, mail_full), .def = "defer", .words = full,
	  .help = "What becomes of a message for a full mailbox. defer: it waits in the queue and is tried again, "
		  "so that its owner can make room. refuse: it fails at once. "
		  "A message that is larger than the whole quota fails in any case." },

	{ TOP("delivery.by", CONF_T_WORD, delivery_by), .def = "maildir", .words = delivery_by,
	  .help = "How mail for accounts reaches their mailboxes. maildir: this server writes them, below mailboxes.dir. "
		  "lmtp: they are another server's, such as Dovecot's, and it is told by LMTP." },
	{ TOP("delivery.lmtp", CONF_T_ENDPOINT, delivery_lmtp), .def = "",
	  .help = "Where the LMTP server listens: unix:/run/dovecot/lmtp, or an address with its port such as 127.0.0.1:24. "
		  "A Unix socket must be open (its mode and owner) to the system user of the processes that speak SMTP." },
	{ TOP("delivery.connections", CONF_T_NUMBER, delivery_connections), .def = "10", .min = 1, .max = 100,
	  .help = "Connections to the LMTP server at once." },
	{ TOP("delivery.idle", CONF_T_SECONDS, delivery_idle_s), .def = "10s", .min = 1, .max = 3600,
	  .help = "How long a connection without work is kept for the next message; no longer than relay.idle says." },
	{ TOP("delivery.connect_timeout", CONF_T_SECONDS, delivery_connect_s), .def = "30s", .min = 1, .max = 600,
	  .help = "How long connecting may take." },
	{ TOP("delivery.command_timeout", CONF_T_SECONDS, delivery_command_s), .def = "5m", .min = 1, .max = 3600,
	  .help = "How long the LMTP server may take for an answer, or to take more of a message." },
	{ TOP("delivery.final_timeout", CONF_T_SECONDS, delivery_final_s), .def = "10m", .min = 1, .max = 3600,
	  .help = "How long it may take for each answer after the end of a message. "
		  "One that is given up too early is delivered twice: the standard wants ten minutes." },

	{ TOP("relay.connections", CONF_T_NUMBER, relay_connections), .def = "20", .min = 1, .max = 1000,
	  .help = "Connections at once to one site: the servers behind the same MX. It begins with few of them and takes "
		  "more while all goes well." },
	{ TOP("relay.messages_per_connection", CONF_T_NUMBER, relay_messages_per_connection), .def = "100", .min = 1, .max = 100000,
	  .help = "Messages over one connection; then it is closed, and another one opened." },
	{ TOP("relay.account_messages_per_minute", CONF_T_NUMBER, relay_account_messages_per_minute), .def = "0", .max = 10000000,
	  .help = "Messages of one account that leave for other servers in a minute, evenly; what is more waits in the queue. An "
		  "account may have a number of its own: --messages-per-minute of postern-account(8). 0: no limit." },
	{ TOP("relay.lanes", CONF_T_NUMBER, relay_lanes), .def = "1000", .min = 1, .max = 10000,
	  .help = "Connections at once to all sites together." },
	{ TOP("relay.idle", CONF_T_SECONDS, relay_idle_s), .def = "5s", .min = 1, .max = 300,
	  .help = "How long a connection without work is kept for the next message." },
	{ TOP("relay.connect_timeout", CONF_T_SECONDS, relay_connect_s), .def = "30s", .min = 1, .max = 600,
	  .help = "How long connecting to one address may take." },
	{ TOP("relay.command_timeout", CONF_T_SECONDS, relay_command_s), .def = "5m", .min = 1, .max = 3600,
	  .help = "How long another server may take for an answer, or to take more of a message." },
	{ TOP("relay.final_timeout", CONF_T_SECONDS, relay_final_s), .def = "10m", .min = 1, .max = 3600,
	  .help = "How long it may take for its answer after the end of a message. "
		  "One that is given up too early is delivered twice: the standard wants ten minutes." },
	{ TOP("relay.lifetime", CONF_T_SECONDS, relay_lifetime_s), .def = "5d", .min = 60, .max = 30 * 86400,
	  .help = "How long a message is tried; then its sender is told that it failed." },
	{ TOP("relay.delay_warning", CONF_T_SECONDS, relay_delay_warning_s), .def = "4h", .max = 30 * 86400,
	  .help = "After how long without success its sender is told, once, that it is delayed. 0s: never." },
	{ TOP("relay.source", CONF_T_STRING, relay_source), .def = "", .max = 32,
	  .help = "The pool of sources that routes use which name none. Empty: whatever address the system takes." },
	{ TOP("relay.ca_file", CONF_T_STRING, relay_ca_file), .def = "", .max = 4095,
	  .help = "A PEM file with the certificate authorities to trust where another server's certificate must be right. "
		  "Empty: those of the system." },
	{ TOP("relay.dane", CONF_T_BOOL, relay_dane), .def = "yes",
	  .help = "Whether servers that publish signed TLSA records are held to them (DANE)." },
	{ TOP("relay.mta_sts", CONF_T_BOOL, relay_mta_sts), .def = "yes",
	  .help = "Whether domains that publish a policy (MTA-STS) are held to it." },
	{ TOP("relay.loopback", CONF_T_BOOL, relay_loopback), .def = "no",
	  .help = "Whether mail may go to a host that the DNS names and whose address is this machine's loopback. "
		  "no: such a host is taken for this server itself. yes: for tests on one machine." },

	{ TOP_N("dns.servers", CONF_T_STRINGS, dns_servers), .def = "", .max = 8,
	  .help = "Name servers to ask, as addresses with or without a port (192.0.2.53, 127.0.0.1:5353). "
		  "Empty: this server asks the DNS itself, from the root down." },
	{ TOP("dns.recursion", CONF_T_WORD, dns_recursion), .def = "auto", .words = dns_recursion,
	  .help = "Whether it does, where dns.servers is empty. auto: yes, unless the network keeps it from asking "
		  "anybody but the servers of dns.resolv_conf; no: those are asked." },
	{ TOP("dns.validate", CONF_T_WORD, dns_validate), .def = "auto", .words = dns_validate,
	  .help = "Whether signatures (DNSSEC) are checked; DANE needs it. auto: yes, unless the servers of "
		  "dns.resolv_conf must be asked and do not pass them on. no: never, for closed networks." },
	{ TOP("dns.trust_anchors", CONF_T_PATH, dns_trust_anchors), .def = "/usr/share/dns/root.key", .max = 4095,
	  .help = "The file of keys where signatures begin: DS or DNSKEY records, one a line." },
	{ TOP("dns.resolv_conf", CONF_T_PATH, dns_resolv_conf), .def = "/etc/resolv.conf", .max = 4095,
	  .help = "The file that names the system's name servers. They are also asked for the hosts that routes name, "
		  "which the world may not know." },
	{ TOP("dns.hosts", CONF_T_PATH, dns_hosts), .def = "/etc/hosts", .max = 4095,
	  .help = "The file of the system's own names, for the hosts that routes name." },
	{ TOP("dns.cache", CONF_T_SIZE, dns_cache), .def = "16M", .min = MIB, .max = 4 * GIB,
	  .help = "Memory for answers, in each process that speaks SMTP." },
	{ TOP("dns.queries", CONF_T_NUMBER, dns_queries), .def = "1000", .min = 10, .max = 100000,
	  .help = "Questions that one process may have on the way; more fail, and are asked again later." },
	{ TOP("dns.timeout", CONF_T_SECONDS, dns_timeout_s), .def = "20s", .min = 2, .max = 120,
	  .help = "How long one question may take, all in all." },

	{ TOP("spool.memory", CONF_T_SIZE, spool_memory), .fixed = true, .def = "64M", .min = MIB, .max = 64 * GIB,
	  .help = "Memory for all bodies that are being received. A body that finds no room goes on in a file." },
	{ TOP("spool.body_memory", CONF_T_SIZE, spool_body_memory), .fixed = true, .def = "256K", .min = 4 * KIB, .max = 2 * MIB,
	  .help = "A body larger than this is kept in a file of its own." },
	{ TOP("spool.segment", CONF_T_SIZE, spool_segment), .fixed = true, .def = "64M", .min = MIB, .max = GIB,
	  .help = "The size at which the next file of messages is begun." },
	{ TOP("spool.free_min", CONF_T_SIZE, spool_free_min), .fixed = true, .def = "100M", .max = 1024 * GIB,
	  .help = "With less room than this on the disk no message is accepted (452)." },

	{ TOP("history.keep", CONF_T_SECONDS, history_keep_s), .def = "14d", .min = 3600, .max = 31536000,
	  .help = "How long it is known what became of each message, for postern trace and postern events." },
	{ TOP("history.size", CONF_T_SIZE, history_size), .def = "1G", .min = 16 * MIB, .max = 1024 * GIB,
	  .help = "Room on the disk for that. When it is full the oldest goes, however young it is; a message takes "
		  "some 200 octets." },

	{ TOP("passwords.hash_threads", CONF_T_NUMBER, hash_threads), .fixed = true, .def = "2", .min = 1, .max = 64,
	  .help = "Password hashes computed at once; each needs 64 MiB of memory." },
	{ TOP("passwords.hash_queue", CONF_T_NUMBER, hash_queue), .fixed = true, .def = "64", .min = 1, .max = 10000,
	  .help = "Logins that may wait for a hash; more are answered 454." },
	{ TOP("passwords.remember", CONF_T_SECONDS, auth_cache_s), .def = "5m", .max = 86400,
	  .help = "How long a successful login is remembered, as a keyed hash in memory. 0s: never." },

	{ TOP("guessing.per_address", CONF_T_NUMBER, guess_per_address), .def = "20", .max = 100000,
	  .help = "Wrong passwords from one address (IPv6: from one /64) within guessing.period; then its logins are "
		  "refused for guessing.lock. The same wrong password again does not count; each further account "
		  "that is tried counts three times. 0: no limit." },
	{ TOP("guessing.per_network", CONF_T_NUMBER, guess_per_network), .def = "100", .max = 100000,
	  .help = "The same for a network: see limits.ipv4_network and limits.ipv6_network." },
	{ TOP("guessing.per_account", CONF_T_NUMBER, guess_per_account), .def = "30", .max = 100000,
	  .help = "Wrong passwords for one account; then its logins are refused, but for those from networks where it "
		  "logged in lately." },
	{ TOP("guessing.per_known", CONF_T_NUMBER, guess_per_known), .def = "30", .max = 100000,
	  .help = "Wrong passwords for one account from one address of a network where it logged in lately. Only these "
		  "count there, and only that account from that address is then refused." },
	{ TOP("guessing.period", CONF_T_SECONDS, guess_period_s), .def = "1h", .min = 60, .max = 86400,
	  .help = "The time in which wrong passwords are forgotten, little by little." },
	{ TOP("guessing.lock", CONF_T_SECONDS, guess_lock_s), .def = "15m", .min = 1, .max = 86400,
	  .help = "How long logins are refused then; twice as long each time it comes to that again." },
	{ TOP("guessing.lock_max", CONF_T_SECONDS, guess_lock_max_s), .def = "1d", .min = 1, .max = 604800,
	  .help = "The longest of these times." },
	{ TOP("guessing.remember", CONF_T_SECONDS, guess_remember_s), .def = "30d", .max = 31536000,
	  .help = "How long an account knows a network (of IPv6: a /64) after a login from there." },

	{ TOP("limits.ipv4_network", CONF_T_NUMBER, ipv4_network), .def = "24", .min = 8, .max = 32,
	  .help = "How many bits of an IPv4 address are its network, where addresses of a network are counted together." },
	{ TOP("limits.ipv6_network", CONF_T_NUMBER, ipv6_network), .def = "48", .min = 16, .max = 64,
	  .help = "The same for IPv6, where a /64 is counted as one address." },
	{ TOP_N("limits.exempt_networks", CONF_T_NETWORKS, exempt_networks), .def = "127.0.0.0/8 ::1", .max = CONF_NETWORKS_MAX,
	  .help = "Networks with hosts behind which many users are: webmail, monitoring, this machine. Wrong passwords "
		  "count there by account alone; max_rate_per_ip, max_rate_per_network and max_sessions_per_network do "
		  "not hold. They do not hold for relay_from either." },
	{ TOP("limits.period", CONF_T_SECONDS, limit_period_s), .def = "1h", .min = 60, .max = 86400,
	  .help = "The time that the following limits are for: at most so many in any such time." },
	{ TOP("limits.account_messages", CONF_T_NUMBER, account_messages), .def = "1000", .max = 10000000,
	  .help = "Messages that one account may send. 0: no limit." },
	{ TOP("limits.account_recipients", CONF_T_NUMBER, account_recipients), .def = "5000", .max = 10000000,
	  .help = "Recipients of all the messages that one account sends. 0: no limit." },
	{ TOP("limits.uid_messages", CONF_T_NUMBER, uid_messages), .def = "1000", .max = 10000000,
	  .help = "Messages that one user of this machine may send through the local socket. 0: no limit." },
	{ TOP("limits.uid_recipients", CONF_T_NUMBER, uid_recipients), .def = "5000", .max = 10000000,
	  .help = "Recipients of all these. 0: no limit." },
	{ TOP("limits.owner_messages", CONF_T_NUMBER, owner_messages), .def = "0", .max = 100000000,
	  .help = "Messages that all accounts of one owner's domains may send together. 0: no limit." },
	{ TOP("limits.owner_recipients", CONF_T_NUMBER, owner_recipients), .def = "0", .max = 100000000,
	  .help = "Recipients of all these. 0: no limit." },

	/* A listener */
	{ LISTENER("role", CONF_T_WORD, role), .words = roles,
	  .help = "relay: other servers hand over mail for our domains. "
		  "submission: our users send mail, after they logged in." },
	{ LISTENER("enabled", CONF_T_BOOL, enabled), .def = "yes",
	  .help = "no: this listener is not opened." },
	{ LISTENER_N("addresses", CONF_T_ADDRESSES, addresses), .def = ":: 0.0.0.0", .min = 1, .max = CONF_ADDRESSES_MAX,
	  .help = "The addresses of this machine to listen on. :: and 0.0.0.0 mean all of their family." },
	{ LISTENER("port", CONF_T_PORT, port), .min = 1, .max = 65535,
	  .help = "The TCP port. Required for a listener with a name of your own." },
	{ LISTENER("tls", CONF_T_WORD, tls), .def = "starttls", .words = tls,
	  .help = "off: no TLS. starttls: in clear at first, TLS when the client asks. "
		  "implicit: TLS from the first byte, which clients call SSL/TLS." },
	{ LISTENER("tls_min", CONF_T_WORD, tls_min), .def = "1.2", .words = tls_min,
	  .help = "The oldest version of TLS that is accepted. Old devices may need 1.0, on a listener of their own." },
	{ LISTENER("tls_required", CONF_T_BOOL, tls_required), .def = "no", .def_submission = "yes",
	  .help = "Whether TLS must be on before a client may log in or send." },
	{ LISTENER("auth", CONF_T_BOOL, auth), .def = "no", .def_submission = "yes",
	  .help = "Whether clients log in. Never on a relay." },
	{ LISTENER_N("relay_from", CONF_T_NETWORKS, relay_from), .def = "", .max = CONF_NETWORKS_MAX,
	  .help = "Networks whose hosts may send to any domain without login. Only on a relay." },
	{ LISTENER_N("proxy_from", CONF_T_NETWORKS, proxy_from), .def = "", .max = CONF_NETWORKS_MAX,
	  .help = "Networks of proxies (HAProxy, nginx). A connection from there must begin with a header of the PROXY "
		  "protocol, version 1 or 2, and the client that it names is the one for limits, rules, headers and the log; "
		  "the proxy's own address gives no right. From everywhere else such a header is refused." },
	{ LISTENER("wrong_port", CONF_T_WORD, wrong_port), .def = "explain", .def_submission = "serve", .words = wrong_port,
	  .help = "What a client meets that begins with TLS where STARTTLS is the custom. "
		  "serve: its session goes on inside TLS. explain: a refusal inside TLS that names the right setting. "
		  "A relay always explains." },
	{ LISTENER("greeting_hold", CONF_T_MILLISECONDS, greeting_hold_ms), .def = "0ms", .def_submission = "250ms", .max = 10000,
	  .help = "How long the greeting waits for a client that begins with TLS, on a listener with starttls. "
		  "An address that came in clear within a day waits 10 ms at most." },
	{ LISTENER("bare_line_ends", CONF_T_WORD, bare_line_ends), .def = "refuse", .words = bare,
	  .help = "A CR or LF alone in a message: refuse the message, or fix it to CRLF." },
	{ LISTENER("class", CONF_T_WORD, class), .def = "normal", .words = class,
	  .help = "How urgent the messages are that come in here, when there is more to send than may go at once: urgent before "
		  "normal before bulk, and none of them waits for ever. On submission a client may ask by MT-PRIORITY: -3 and "
		  "below is bulk, 3 and above is urgent, but on a listener for bulk nothing is more than that. An account may have "
		  "a class of its own (--class of postern-account(8)): it counts instead of the listener's, but bulk is bulk "
		  "whoever of the two says so, and then no client may ask for more." },
	{ LISTENER("max_hold", CONF_T_SECONDS, max_hold_s), .def = "0s", .def_submission = "30d", .max = 366 * 24 * 3600,
	  .help = "How long a client may ask that a message is held before it is sent (FUTURERELEASE). 0: not offered. Only on "
		  "submission." },
	{ LISTENER("max_size", CONF_T_SIZE, max_size), .def = "50M", .min = 64 * KIB, .max = 2 * GIB,
	  .help = "The largest message." },
	{ LISTENER("max_recipients", CONF_T_NUMBER, max_recipients), .def = "1000", .min = 100, .max = 10000,
	  .help = "Recipients of one message. The standard wants at least 100." },
	{ LISTENER("max_errors", CONF_T_NUMBER, max_errors), .def = "20", .min = 1, .max = 10000,
	  .help = "Commands of one session that may be refused; then it is closed." },
	{ LISTENER("max_commands", CONF_T_NUMBER, max_commands), .def = "100", .min = 10, .max = 100000,
	  .help = "Commands in a row that carry no mail; then the session is closed." },
	{ LISTENER("max_transactions", CONF_T_NUMBER, max_transactions), .def = "1000", .min = 1, .max = 1000000,
	  .help = "Messages of one session; then it is closed, and the client may come again." },
	{ LISTENER("max_sessions", CONF_T_NUMBER, max_sessions), .def = "1000", .min = 1, .max = 100000,
	  .help = "Sessions at once." },
	{ LISTENER("max_sessions_per_ip", CONF_T_NUMBER, max_sessions_per_ip), .def = "20", .def_submission = "50", .min = 1, .max = 100000,
	  .help = "Sessions at once from one address; of IPv6, from one /64." },
	{ LISTENER("max_sessions_per_network", CONF_T_NUMBER, max_sessions_per_network), .def = "100", .def_submission = "250", .max = 100000,
	  .help = "Sessions at once from one network: see limits.ipv4_network and limits.ipv6_network. 0: no limit." },
	{ LISTENER("max_rate_per_ip", CONF_T_NUMBER, max_rate_per_ip), .def = "300", .max = 1000000,
	  .help = "Sessions that one address, of IPv6 one /64, may begin within a minute. 0: no limit." },
	{ LISTENER("max_rate_per_network", CONF_T_NUMBER, max_rate_per_network), .def = "1500", .max = 1000000,
	  .help = "Sessions that one network may begin within a minute. 0: no limit." },
	{ LISTENER("command_timeout", CONF_T_SECONDS, command_timeout_s), .def = "5m", .min = 1, .max = 3600,
	  .help = "How long a client may take for its next command. The standard wants at least five minutes. "
		  "When eight tenths of max_sessions are in use, this, data_timeout and tls_timeout are a tenth of what is "
		  "set; from nine tenths on, a thirtieth." },
	{ LISTENER("data_timeout", CONF_T_SECONDS, data_timeout_s), .def = "5m", .min = 1, .max = 3600,
	  .help = "How long it may pause within a message." },
	{ LISTENER("min_data_rate", CONF_T_NUMBER, min_data_rate), .def = "100", .max = 1000000,
	  .help = "Octets a second that a message must come with, over each data_timeout. 0: as slowly as it likes." },
	{ LISTENER("session_timeout", CONF_T_SECONDS, session_timeout_s), .def = "2h", .min = 10, .max = 86400,
	  .help = "The longest session." },
	{ LISTENER("tls_timeout", CONF_T_SECONDS, tls_timeout_s), .def = "30s", .min = 1, .max = 600,
	  .help = "How long the start of TLS may take." },
	{ LISTENER("proxy_timeout", CONF_T_SECONDS, proxy_timeout_s), .def = "5s", .min = 1, .max = 60,
	  .help = "How long a proxy of proxy_from may take for its header." },

	/* A route */
	{ ROUTE_N("to", CONF_T_PATTERNS, to), .def = "", .max = CONF_KEYS_MAX,
	  .help = "Recipients: example.org that domain, .example.org all domains below it, an address only that one, "
		  "\"*\" all. Empty: all." },
	{ ROUTE_N("from", CONF_T_PATTERNS, from), .def = "", .max = CONF_KEYS_MAX,
	  .help = "Envelope senders, in the same way; \"<>\" is the null sender. Empty: all." },
	{ ROUTE_N("accounts", CONF_T_PATTERNS, accounts), .def = "", .max = CONF_KEYS_MAX,
	  .help = "Accounts that submitted the message, in the same way. Empty: all, and mail that nobody submitted." },
	{ ROUTE("via", CONF_T_WORD, via), .def = "mx", .words = via,
	  .help = "mx: the servers that the recipient's domain names in the DNS. "
		  "host: these hosts, as if they were named there. "
		  "smarthost: these hosts send it on for us, as for one of their users. "
		  "lmtp: these hosts, by LMTP. discard: it is thrown away, and counts as delivered. "
		  "refuse: it fails, with the text." },
	{ ROUTE_N("hosts", CONF_T_HOSTS, hosts), .def = "", .max = 16,
	  .help = "Names or addresses, tried in this order; for lmtp also unix:/path. Needed for host, smarthost and lmtp." },
	{ ROUTE("port", CONF_T_PORT, port), .def = "0", .max = 65535,
	  .help = "Their port. 0: 25, of lmtp 24; of a smarthost what works of 587, 465 and 2525, in this order. "
		  "On 587 and 2525 STARTTLS is required, on 465 TLS from the first byte." },
	{ ROUTE("tls", CONF_T_WORD, tls), .def = "auto", .words = route_tls,
	  .help = "auto: what the other side's policy (DANE, MTA-STS) asks for; without one TLS wherever it is offered, and "
		  "in clear otherwise. A smarthost with a user is verified in any case. "
		  "require: only with TLS. verify: only with TLS and a certificate that is right for the host. "
		  "off: never TLS." },
	{ ROUTE_N("fingerprints", CONF_T_FINGERPRINTS, fingerprints), .def = "", .max = 16,
	  .help = "SHA-256 of certificates, or of their public keys, one of which the host must have. "
		  "No other check is made of it then." },
	{ ROUTE("provider", CONF_T_STRING, provider), .def = "", .max = 64,
	  .help = "A known provider as smarthost, which gives hosts and port: `postern route --providers` lists them." },
	{ ROUTE("user", CONF_T_STRING, user), .def = "", .max = 512,
	  .help = "The name to log in with at the smarthost. Empty: without a login." },
	{ ROUTE("password_file", CONF_T_STRING, password_file), .def = "", .max = 4095,
	  .help = "A file whose first line is the password, or the token. Only root needs to read it. "
		  "Read at the start, on a reload, and when a token is refused." },
	{ ROUTE_N("password_command", CONF_T_STRINGS, password_command), .def = "", .max = 32,
	  .help = "A program with its arguments, run without a shell as the server's user, whose first line of output is "
		  "the password, or the token." },
	{ ROUTE("mechanism", CONF_T_WORD, mechanism), .def = "auto", .words = conf_mechanisms,
	  .help = "How to log in. auto: the strongest that the host offers of SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN and "
		  "LOGIN. xoauth2 and oauthbearer: with a token in place of the password; oauth: by either of the two." },
	{ ROUTE("source", CONF_T_STRING, source), .def = "", .max = 32,
	  .help = "The pool of sources to send from, or the name of one of them. Empty: relay.source." },
	{ ROUTE("helo", CONF_T_STRING, helo), .def = "", .max = 253,
	  .help = "The name to greet with. Empty: the one of the source, else hostname." },
	{ ROUTE("text", CONF_T_STRING, text), .def = "", .max = 400,
	  .help = "What senders read, of refuse." },
	{ ROUTE("connections", CONF_T_NUMBER, connections), .def = "0", .max = 1000,
	  .help = "Connections at once to one site. 0: relay.connections." },
	{ ROUTE("messages_per_minute", CONF_T_NUMBER, messages_per_minute), .def = "0", .max = 10000000,
	  .help = "Messages to one site within a minute. 0: no limit." },
	{ ROUTE("messages_per_connection", CONF_T_NUMBER, messages_per_connection), .def = "0", .max = 100000,
	  .help = "Messages over one connection. 0: relay.messages_per_connection." },

	/* A source */
	{ SOURCE("pool", CONF_T_STRING, pool), .def = "", .max = 32,
	  .help = "The pool that it belongs to. Empty: one of its own, of the same name." },
	{ SOURCE_N("addresses", CONF_T_ADDRESSES, addresses), .def = "", .min = 1, .max = 2,
	  .help = "Its address: of IPv4, of IPv6, or one of each. Required." },
	{ SOURCE("helo", CONF_T_STRING, helo), .def = "", .max = 253,
	  .help = "The name to greet with, which the reverse lookup of its address should give. Empty: hostname." },
	{ SOURCE("weight", CONF_T_NUMBER, weight), .def = "1", .min = 1, .max = 1000,
	  .help = "Its share of the pool's connections, beside the weights of the others." },
	{ SOURCE("messages_per_minute", CONF_T_NUMBER, messages_per_minute), .def = "0", .max = 10000000,
	  .help = "Messages within a minute, to all sites together. 0: no limit." },
	{ SOURCE("warm_up", CONF_T_STRING, warm_up), .def = "", .max = 10,
	  .help = "The day on which it begins to send, as 2026-11-30: a new address that sends much at once is taken for a "
		  "spammer's. Until it is warm it may send so many messages a day. Empty: it is warm." },
	{ SOURCE("warm_up_first", CONF_T_NUMBER, warm_up_first), .def = "50", .min = 1, .max = 10000000,
	  .help = "Messages on the first day of its warm-up." },
	{ SOURCE("warm_up_growth", CONF_T_NUMBER, warm_up_growth), .def = "50", .min = 1, .max = 900,
	  .help = "How many percent more on each day after." },
	{ SOURCE("warm_up_until", CONF_T_NUMBER, warm_up_until), .def = "100000", .min = 1, .max = 1000000000,
	  .help = "Messages a day from which on it is warm, and has no such limit any more." },

	/* A reply */
	{ REPLY("code", CONF_T_NUMBER, code), .def = "0", .max = 599,
	  .help = "The answer's code. 0: any." },
	{ REPLY("enhanced", CONF_T_STRING, enhanced), .def = "", .max = 15,
	  .help = "How its enhanced code begins, such as 4.7 or 5.1.1. Empty: any." },
	{ REPLY("text", CONF_T_STRING, text), .def = "", .max = 200,
	  .help = "Words that stand in its text, whatever the case of their letters. Empty: any." },
	{ REPLY("class", CONF_T_STRING, class), .def = "", .max = 32,
	  .help = "What to call it in traces, events and queue lists. Empty: the name of this block." },
	{ REPLY("action", CONF_T_WORD, action), .def = "defer", .words = reply_action,
	  .help = "defer: the recipient is tried again later. slow: that, and fewer connections to the site. "
		  "pause: that, and nothing goes to the site for a while. fail: the recipient has failed." },
	{ REPLY("pause", CONF_T_SECONDS, pause_s), .def = "10m", .min = 1, .max = 86400,
	  .help = "How long, of pause." },
	{ REPLY("meaning", CONF_T_STRING, meaning), .def = "", .max = 400,
	  .help = "What it means, in plain words, for senders and administrators." },

	/* A certificate */
	{ CERTIFICATE("cert", CONF_T_PATH, cert), .max = 4095,
	  .help = "A PEM file with the certificate and, behind it, those that lead to its issuer." },
	{ CERTIFICATE("key", CONF_T_PATH, key), .max = 4095,
	  .help = "A PEM file with its private key; only root needs to read it." },
};
/* clang-format on */
const size_t conf_n_directives = sizeof(conf_directives) / sizeof(*conf_directives);

const struct conf_block conf_blocks[] = {
	{ "log", "The log: one line an outcome." },
	{ "local_submission", "Mail from programs on this machine, by a Unix socket." },
	{ "dovecot", "Reading mail with Dovecot: it asks here who may log in." },
	{ "mailboxes", "Where mail for accounts of this server is delivered." },
	{ "delivery", "How mail for accounts of this server is brought to their mailboxes." },
	{ "relay", "Mail for elsewhere: what holds for all routes." },
	{ "dns", "How names are looked up: see dns.md in the documentation." },
	{ "spool", "Where accepted mail is kept until it is delivered." },
	{ "history", "What is remembered of each message: see events.md in the documentation." },
	{ "passwords", "How logins are checked." },
	{ "guessing", "Wrong passwords: who has tried too many of them waits." },
	{ "limits", "How much one sender may send, and who is counted together. All limits hold for the "
		    "whole server." },
};
const size_t conf_n_blocks = sizeof(conf_blocks) / sizeof(*conf_blocks);

const struct conf_builtin conf_builtins[] = {
	{ "relay", "relay", "25", "starttls" },
	{ "submissions", "submission", "465", "implicit" },
	{ "submission", "submission", "587", "starttls" },
	{ "fallback", "submission", "2525", "starttls" },
};
const size_t conf_n_builtins = sizeof(conf_builtins) / sizeof(*conf_builtins);

const struct conf_directive *conf_directive(enum conf_scope scope, struct slice path)
{
	for (size_t i = 0; i < conf_n_directives; i++)
		if (conf_directives[i].scope == scope && slice_eq(slice_str(conf_directives[i].path), path))
			return &conf_directives[i];
	return NULL;
}

const char *conf_default(const struct conf_directive *d, enum conf_role role)
{
	return role == CONF_SUBMISSION && d->def_submission ? d->def_submission : d->def;
}

const char *conf_mechanism_word(int mechanism)
{
	const struct conf_word *w = conf_mechanisms;

	while (w[1].word && w->value != mechanism)
		w++;
	return w->word;
}

int conf_mechanism_find(struct slice word)
{
	for (const struct conf_word *w = conf_mechanisms; w->word; w++)
		if (slice_eq_nocase(slice_str(w->word), word))
			return w->value;
	return -1;
}

bool conf_is_list(enum conf_type type)
{
	return type >= CONF_T_ADDRESSES;
}
