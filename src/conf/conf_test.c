#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/log.h"
#include "conf/conf.h"

static const struct conf_setup setup = { .file = "f", .root = true };

/* To add a case: a row with a text and what must be found in it, "LINE text" each; the
 * two warnings that every short file gets (no host name, no postmaster) are left out. */
static const struct {
	const char *text, *findings;
} cases[] = {
	/* Nothing wrong */
	{ "", "" },
	{ "# only a comment\n", "" },
	{ "---\n", "" },
	{ "listeners:\n", "" },
	{ "{}", "" },
	{ "{\"listeners\": {\"relay\": {\"port\": 26, \"addresses\": [\"127.0.0.1\"]}}}", "" },
	{ "listeners: {relay: {relay_from: 10.0.0.0/8}}", "" },
	{ "listeners: {relay: {relay_from: [10.0.0.0/8, 192.168.0.0/16, \"2001:db8::/32\"]}}", "" },
	{ "recipient_delimiter: \"\"", "" },
	{ "mailboxes: {dir: /srv/mail, user: vmail, group: vmail}", "" },
	{ "passwords: {remember: 0}", "" },
	{ "limits: {ipv4_network: 32, ipv6_network: 64, exempt_networks: [], account_messages: 0}", "" },
	{ "dns: {servers: [192.0.2.53, \"127.0.0.1:5353\", \"[2001:db8::53]:53\"], validate: no}", "" },
	{ "dns: {recursion: no, validate: yes, cache: 64M, queries: 50, timeout: 5s}", "" },
	{ "dns: {servers: ns.example.org}",
	  "1 dns.servers: 'ns.example.org' is no address; 192.0.2.53 and 127.0.0.1:5353 are\n" },
	{ "dns: {servers: unix:/run/x}",
	  "1 dns.servers: 'unix:/run/x' is no address; 192.0.2.53 and 127.0.0.1:5353 are\n" },
	{ "dns:\n  servers: 192.0.2.53\n  recursion: no",
	  "3 dns.recursion: has no effect, dns.servers are asked\n" },
	{ "limits: {ipv4_network: 33}",
	  "1 limits.ipv4_network: '33' is too large; allowed: a number, 8 to 32\n" },
	{ "guessing: {per_address: 5, lock: 1h, lock_max: 7d}", "" },
	{ "listeners: {relay: {proxy_from: [10.0.0.5, \"2001:db8::/64\"], proxy_timeout: 3s}}", "" },

	/* Routes, sources, replies */
	{ "routes:\n"
	  "  partners: {to: [example.org, .example.org, a@example.net], via: host, hosts: [192.0.2.1, "
	  "mx.example.org]}\n"
	  "  bulk: {accounts: [news@example.com], source: news}\n"
	  "  out: {via: smarthost, hosts: smtp.example.net, user: me, password_file: /etc/secret}\n"
	  "sources: {a: {pool: news, addresses: [192.0.2.7, \"2001:db8::7\"], warm_up: 2026-11-30}}\n"
	  "replies: {busy: {code: 450, text: come again, action: pause, pause: 1h}}\n",
	  "" },
	{ "routes: {mx: {port: 26}}", "" },
	{ "routes: {a: {via: host}}", "1 routes.a.hosts: required, to say where the mail goes\n" },
	{ "routes: {a: {via: smarthost}}",
	  "1 routes.a.hosts: required, to say where the mail goes; or name a provider\n" },
	{ "routes: {a: {to: x, via: smarthost, provider: gmail, user: u, password_file: /p}}", "" },
	{ "routes: {a: {to: x, via: smarthost, provider: gmial}}",
	  "1 routes.a.provider: 'gmial' is not known; `postern route --providers` lists those that are, and "
	  "any "
	  "other works with hosts\n" },
	{ "routes: {a: {hosts: mx.example.org}}",
	  "1 routes.a.hosts: only with via: host, smarthost or lmtp; without it they have no effect\n" },
	{ "routes: {a: {to: x, via: lmtp, hosts: \"unix:/run/x\"}}", "" },
	{ "routes: {a: {to: x, via: host, hosts: \"unix:/run/x\"}}",
	  "1 routes.a.hosts: a Unix socket only with via: lmtp\n" },
	{ "routes: {a: {to: x, via: refuse}}",
	  "1 routes.a.text: required for refuse: it is what the sender reads\n" },
	{ "routes: {a: {to: x, via: smarthost, hosts: m.example, user: u}}",
	  "1 routes.a.user: and no password; set password_file or password_command\n" },
	{ "routes: {a: {to: x, via: smarthost, hosts: m.example, user: u, password_file: /p, tls: off}}",
	  "1 routes.a.tls: off would send the password in clear text (insecure_test_network allows it, in a "
	  "closed test network)\n" },
	{ "routes: {a: {to: x, via: smarthost, hosts: m.example, port: 25}}",
	  "1 routes.a.port: 25 is for servers among each other, and often blocked; a smart host takes mail "
	  "on "
	  "587, 465 or 2525: leave it out\n" },
	{ "routes: {a: {to: x, source: none}}", "1 routes.a.source: there is no source or pool 'none'\n" },
	{ "routes: {a: {to: \"exa mple\"}}",
	  "1 routes.a.to: 'exa mple' is neither a domain nor a mail address; allowed: a list of domains and "
	  "addresses such as [example.org, .example.org, ann@example.net, \"*\"]\n" },
	{ "routes: {a: {to: x, fingerprints: [ab]}}",
	  "1 routes.a.fingerprints: 'ab' is no SHA-256 in hexadecimal; allowed: a list of SHA-256 "
	  "fingerprints, 64 hexadecimal digits each, colons between or not\n" },
	{ "routes:\n  a: {via: smarthost, hosts: m.example}\n  b: {to: x}\n",
	  "3 routes.b: takes nothing, for routes.a before it takes all; change their order\n" },
	{ "routes: {a: {too: x}}", "1 routes.a.too: no such directive; did you mean 'to'?\n" },
	{ "routes: {\"a b\": {}}",
	  "1 routes.a b: a name has up to 32 letters, digits, - and _, first a letter\n" },
	{ "routes: x", "1 routes: a block of directives is expected here\n" },
	{ "sources: {a: {}}", "1 sources.a.addresses: required\n" },
	{ "sources: {a: {addresses: [192.0.2.1, 192.0.2.2]}}",
	  "1 sources.a.addresses: two of the same family; make them two sources of one pool\n" },
	{ "sources: {a: {addresses: 192.0.2.1, warm_up: 2026-02-29}}",
	  "1 sources.a.warm_up: '2026-02-29' is no day; write it as 2026-11-30\n" },
	{ "replies: {a: {code: 250}}", "1 replies.a.code: 250 is no refusal; allowed: 400 to 599, or 0\n" },
	{ "replies: {a: {class: x}}", "1 replies.a: matches every answer; set code, enhanced or text\n" },
	{ "replies: {a: {enhanced: 4.x}}",
	  "1 replies.a.enhanced: '4.x' is no enhanced code such as 4.7.1\n" },

	/* Names */
	{ "hostnme: a.example", "1 hostnme: no such directive; did you mean 'hostname'?\n" },
	{ "listener: {}", "1 listener: no such directive; did you mean 'listeners'?\n" },
	{ "quux: 1", "1 quux: no such directive\n" },
	{ "port: 25", "1 port: no such directive here; it stands in listeners.NAME.port\n" },
	{ "\n\nlog:\n  levle: info\n", "4 log.levle: no such directive; did you mean 'level'?\n" },
	{ "log.level: info", "1 log.level: no such directive\n" },
	{ "listeners: {relay: {prot: 26}}",
	  "1 listeners.relay.prot: no such directive; did you mean 'port'?\n" },
	{ "max_size: 1M", "1 max_size: no such directive here; it stands in local_submission.max_size\n" },
	{ "tls: {certificate: []}", "1 tls.certificate: no such directive; did you mean 'certificates'?\n" },
	{ "log: {level: info}\nlog: {to: stderr}\n", "2 log: stands here twice; the first is in line 1\n" },
	{ "log:\n  to: stderr\n  to: syslog\n", "3 to: stands here twice; the first is in line 2\n" },

	/* Values */
	{ "hostname: 192.0.2.1", "1 hostname: '192.0.2.1' is not a host name; allowed: a host name of "
				 "letters, digits, hyphens and dots\n" },
	{ "hostname:", "1 hostname: no value; allowed: a host name of letters, digits, hyphens and dots\n" },
	{ "hostname: [a.example]",
	  "1 hostname: a list is not expected; allowed: a host name of letters, digits, hyphens and dots\n" },
	{ "hostname: -a.example", "1 hostname: '-a.example' is not a host name; allowed: a host name of "
				  "letters, digits, hyphens and dots\n" },
	{ "postmaster: bob",
	  "1 postmaster: 'bob' is not a mail address; allowed: a mail address, or \"\"\n" },
	{ "log: {to: syslg}", "1 log.to: 'syslg' is none of its words; allowed: stderr, journal or syslog; "
			      "did you mean 'syslog'?\n" },
	{ "log: syslog", "1 log: a block of directives is expected here\n" },
	{ "smtp_processes: 65", "1 smtp_processes: '65' is too large; allowed: a number, 0 to 64\n" },
	{ "smtp_processes: -1", "1 smtp_processes: '-1' is not a number; allowed: a number, 0 to 64\n" },
	{ "smtp_processes: 18446744073709551616",
	  "1 smtp_processes: '18446744073709551616' is not a number; allowed: a number, 0 to 64\n" },
	{ "drain: 30",
	  "1 drain: '30' lacks its unit; allowed: a duration such as 30s, 5m, 2h or 1d, 0s to 1h\n" },
	{ "drain: 30x",
	  "1 drain: '30x' has an unknown unit; allowed: a duration such as 30s, 5m, 2h or 1d, 0s to 1h\n" },
	{ "spool: {memory: 17179869185G}", "1 spool.memory: '17179869185G' is too large; allowed: a size "
					   "such as 512K, 20M or 1G, 1M to 64G\n" },
	{ "insecure_test_network: maybe",
	  "1 insecure_test_network: 'maybe' is neither yes nor no; allowed: yes or no\n" },
	{ "state_dir: var",
	  "1 state_dir: 'var' is not an absolute path; allowed: a path that begins with /, of up to "
	  "400 octets\n" },
	{ "user: \"\"", "1 user: '' is empty; allowed: the name of a system user\n" },
	{ "recipient_delimiter: a",
	  "1 recipient_delimiter: 'a' cannot be one; allowed: one of + - = _ . # ~, or \"\"\n" },
	{ "state_dir: \"/a\\nb\"",
	  "1 state_dir: the value holds characters that cannot be shown on one line; allowed: "
	  "a path that begins with /, of up to 400 octets\n" },
	{ "listeners: {relay: {addresses: []}}",
	  "1 listeners.relay.addresses: an empty list; allowed: a list of IP addresses such as [192.0.2.1, "
	  "\"2001:db8::1\"]\n" },
	{ "listeners: {relay: {addresses: [lo]}}",
	  "1 listeners.relay.addresses: 'lo' is not an IP address; allowed: a list of IP addresses such as "
	  "[192.0.2.1, \"2001:db8::1\"]\n" },
	{ "listeners: {relay: {relay_from: [10.0.0.1/8]}}",
	  "1 listeners.relay.relay_from: '10.0.0.1/8' is not a network (or bits are set behind its prefix); "
	  "allowed: a "
	  "list of networks such as [10.0.0.0/8, \"2001:db8::/32\"]\n" },
	{ "spool: {memory: 1M, body_memory: 2M}", "1 spool.body_memory: is more than spool.memory\n" },
	{ "guessing: {lock: 3m, lock_max: 1m}",
	  "1 guessing.lock_max: is less than guessing.lock, where it begins\n" },
	{ "delivery: {by: lmtp}", "1 delivery.by: lmtp, but delivery.lmtp does not say where; set it to "
				  "unix:/run/dovecot/lmtp or 127.0.0.1:24\n" },

	/* Listeners */
	{ "listeners: {intern: {}}", "1 listeners.intern.role: required for a listener with a name of your "
				     "own; allowed: relay or submission\n"
				     "1 listeners.intern.port: required for a listener with a name of your "
				     "own; allowed: a port, 1 to 65535\n" },
	{ "listeners: {1st: {role: relay, port: 26}}",
	  "1 listeners.1st: a name has up to 32 letters, digits, - and _, first a letter\n" },
	{ "listeners: {intern: {role: relay, port: 25, addresses: [0.0.0.0]}}",
	  "1 listeners.intern.port: 0.0.0.0 port 25 is listeners.relay already\n" },
	{ "listeners: {intern: {role: relay, port: 25, addresses: [127.0.0.1, 127.0.0.1]}}",
	  "1 listeners.intern.addresses: 127.0.0.1 stands there twice\n" },
	{ "listeners: {intern: {role: relay, port: 25, enabled: no}}", "" },

	/* What would relay for strangers, or take passwords in clear */
	{ "listeners:\n  relay:\n    relay_from: [0.0.0.0/0]\n",
	  "3 listeners.relay.relay_from: 0.0.0.0/0 would relay for strangers; allowed: at most a /8 of IPv4, "
	  "a /16 of "
	  "IPv6 (insecure_test_network allows it, in a closed test network)\n" },
	{ "listeners: {relay: {relay_from: \"::/0\"}}",
	  "1 listeners.relay.relay_from: ::/0 would relay for strangers; allowed: at most a /8 of IPv4, a "
	  "/16 of IPv6 "
	  "(insecure_test_network allows it, in a closed test network)\n" },
	{ "listeners: {relay: {relay_from: [1.0.0.0/8, 2.0.0.0/8, 3.0.0.0/8, 4.0.0.0/8, 5.0.0.0/8, "
	  "6.0.0.0/8, "
	  "7.0.0.0/8, 8.0.0.0/8, 9.0.0.0/8, 10.0.0.0/8, 11.0.0.0/8, 12.0.0.0/8, 13.0.0.0/8, 14.0.0.0/8, "
	  "15.0.0.0/8, "
	  "16.0.0.0/8, 17.0.0.0/8]}}",
	  "1 listeners.relay.relay_from: all its networks together would relay for strangers "
	  "(insecure_test_network "
	  "allows it, in a closed test network)\n" },
	{ "listeners: {submission: {proxy_from: [0.0.0.0/0]}}",
	  "1 listeners.submission.proxy_from: 0.0.0.0/0 would let strangers pass for any address; allowed: "
	  "at most a /8 of IPv4, a /16 of IPv6 (insecure_test_network allows it, in a closed test "
	  "network)\n" },
	{ "listeners: {submission: {auth: no}}",
	  "1 listeners.submission.auth: a submission listener without login would relay for strangers "
	  "(insecure_test_network allows it, in a closed test network)\n" },
	{ "listeners:\n  submission:\n    tls: off\n", "3 listeners.submission.tls: off would take passwords "
						       "in clear text (insecure_test_network allows it, in a "
						       "closed test network)\n" },
	{ "listeners: {submission: {tls_required: no}}",
	  "1 listeners.submission.tls_required: no would take passwords in clear text (insecure_test_network "
	  "allows it, "
	  "in a closed test network)\n" },
	{ "listeners: {submission: {relay_from: [10.0.0.0/8]}}",
	  "1 listeners.submission.relay_from: only on a listener with role: relay; here everybody logs "
	  "in\n" },
	{ "listeners: {relay: {auth: yes}}",
	  "1 listeners.relay.auth: a relay never offers AUTH; use a listener with role: submission\n" },
	{ "listeners: {relay: {tls: off, tls_required: yes}}",
	  "1 listeners.relay.tls: without STARTTLS all mail from other servers comes in clear\n"
	  "1 listeners.relay.tls_required: yes, but tls is off: nobody could send\n" },
	{ "insecure_test_network: yes\nlisteners: {submission: {auth: no, tls: off}}",
	  "1 insecure_test_network: yes; never where the Internet can reach it\n"
	  "2 listeners.submission.auth: a submission listener without login would relay for strangers "
	  "(insecure_test_network allows it, in a closed test network)\n"
	  "2 listeners.submission.tls: off would take passwords in clear text (insecure_test_network allows "
	  "it, in a "
	  "closed test network)\n" },

	/* Warnings */
	{ "listeners: {fallback: {tls_min: 1.0}}", "1 listeners.fallback.tls_min: TLS before 1.2 is broken; "
						   "keep it to old devices, on a listener of their "
						   "own\n" },
	{ "listeners: {submissions: {tls: starttls}}",
	  "1 listeners.submissions.tls: clients begin with TLS on port 465; use tls: implicit\n" },
	{ "listeners: {relay: {enabled: no}, submissions: {enabled: no}, submission: {enabled: no}, "
	  "fallback: {enabled: "
	  "no}}",
	  "0 listeners: none is enabled; no mail comes in by the network\n" },

	/* Certificates */
	{ "tls: {certificates: [{cert: /a}]}", "1 tls.certificates.key: required\n" },
	{ "tls: {certificates: /a}", "1 tls.certificates: a list is expected, each with cert and key\n" },
	{ "tls: {certificates: [/a]}", "1 tls.certificates: a block of directives is expected here\n" },

	/* YAML */
	{ "hello", "1 directives are expected, each as 'name: value'\n" },
	{ "log: {to: stderr",
	  "2 this is not YAML: while parsing a flow mapping, did not find expected ',' or '}' "
	  "(column 1)\n" },
	{ "log:\n\tto: stderr\n", "2 a tab stands where YAML wants blanks (column 1)\n" },
	{ "a: &x 1\nb: *x\n", "1 anchors (&name) are not supported: write the value where it is used\n"
			      "1 a: no such directive\n"
			      "2 aliases (*name) are not supported: write the value out\n"
			      "2 b: no such directive\n" },
	{ "listeners: {relay: {<<: {port: 26}}}", "1 merges (<<) are not supported: write the values out\n" },
	{ "hostname: !!str mx.example.org", "1 tags (!name) are not supported: leave it out\n" },
	{ "hostname: mx.example.org\n---\nhostname: b.example\n", "3 a second document begins here (---)\n" },
	{ "[[[[[[[[[[1]]]]]]]]]]", "1 more than 8 blocks within each other\n" },
	{ "? [a]\n: 1\n", "1 a name is expected here, not a block or list\n" },
	{ "hostname: a\xff\n", "1 this is not YAML: invalid leading UTF-8 octet\n" },
};

static bool usual(const struct conf_finding *f)
{
	return !f->error && f->line == 0 && strncmp(f->text, "listeners", 9) != 0;
}

static void findings_are_exact(void **state)
{
	unsigned wrong = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct conf_finding *findings = NULL;
		struct conf *conf = NULL;
		struct buf text;
		bool errors = false;
		int r = conf_parse(slice_str(cases[i].text), &setup, &conf, &findings);

		buf_init(&text, 65536);
		for (const struct conf_finding *f = findings; f; f = f->next) {
			errors |= f->error;
			if (!usual(f))
				buf_fmt(&text, "%u %s\n", f->line, f->text);
		}
		if (r != (errors ? -EINVAL : 0) ||
		    !slice_eq(buf_slice(&text), slice_str(cases[i].findings))) {
			print_error("case %zu: %s\nwants %sgives (%d) %.*s\n", i, cases[i].text,
				    cases[i].findings, r, SLICE_ARG(buf_slice(&text)));
			wrong++;
		}
		buf_done(&text);
		conf_findings_free(findings);
		conf_free(conf);
	}
	assert_int_equal(wrong, 0);
}

static struct conf *parse(const char *text, const struct conf_setup *with)
{
	struct conf_finding *findings = NULL;
	struct conf *conf = NULL;

	if (conf_parse(slice_str(text), with, &conf, &findings) < 0)
		fail_msg("refused: %s", findings->text);
	conf_findings_free(findings);
	return conf;
}

static void an_empty_text_is_a_working_server(void **state)
{
	struct conf *conf = parse("", &setup);
	struct conf_submission_port ports[8];

	(void)state;
	assert_int_equal(conf->n_listeners, 4);
	assert_int_equal(conf_listener(conf, SLICE_LIT("relay"))->port, 25);
	assert_int_equal(conf_listener(conf, SLICE_LIT("submissions"))->port, 465);
	assert_int_equal(conf_listener(conf, SLICE_LIT("submissions"))->tls, CONF_TLS_IMPLICIT);
	assert_true(conf_listener(conf, SLICE_LIT("submission"))->auth);
	assert_true(conf_listener(conf, SLICE_LIT("submission"))->tls_required);
	assert_int_equal(conf_listener(conf, SLICE_LIT("submission"))->greeting_hold_ms, 250);
	assert_false(conf_listener(conf, SLICE_LIT("relay"))->auth);
	assert_false(conf_listener(conf, SLICE_LIT("relay"))->tls_required);
	assert_int_equal(conf_listener(conf, SLICE_LIT("relay"))->n_relay_from, 0);
	assert_int_equal(conf_listener(conf, SLICE_LIT("relay"))->greeting_hold_ms, 0);
	assert_int_equal(conf_listener(conf, SLICE_LIT("fallback"))->n_addresses, 2);
	assert_null(conf_listener(conf, SLICE_LIT("intern")));
	assert_int_equal(conf_submission_ports(conf, ports, 8), 3);
	assert_int_equal(ports[0].port, 587);
	assert_int_equal(ports[1].port, 465);
	assert_true(ports[1].implicit_tls);
	assert_int_equal(ports[2].port, 2525);
	assert_int_equal(conf_submission_ports(conf, ports, 1), 1);
	assert_string_equal(conf->state_dir, "/var/lib/postern");
	assert_string_equal(conf->recipient_delimiter, "+");
	assert_int_equal(conf->log_level, LOG_INFO);
	assert_int_equal(conf->spool_memory, 64 << 20);
	conf_free(conf);
}

static void values_arrive(void **state)
{
	struct conf *conf = parse(
		"hostname: mx.example.org\n"
		"drain: 2m\n"
		"log: {level: DEBUG, format: json}\n"
		"spool: {free_min: 1G}\n"
		"tls:\n"
		"  certificates:\n"
		"    - {cert: /a.pem, key: /a.key}\n"
		"    - cert: /b.pem\n"
		"      key: /b.key\n"
		"listeners:\n"
		"  submission: {wrong_port: explain, greeting_hold: 1s, port: 1587}\n"
		"  fallback: {enabled: off}\n"
		"  intern: {role: relay, port: 2526, addresses: [127.0.0.1], relay_from: [10.0.0.0/8]}\n",
		&(struct conf_setup){ .port_offset = 10000, .root = true });
	const struct conf_listener *l;
	struct conf_submission_port ports[8];

	(void)state;
	assert_string_equal(conf->hostname, "mx.example.org");
	assert_int_equal(conf->drain_s, 120);
	assert_int_equal(conf->log_level, LOG_DEBUG);
	assert_int_equal(conf->log_format, LOG_AS_JSON);
	assert_int_equal(conf->spool_free_min, 1 << 30);
	assert_int_equal(conf->n_certificates, 2);
	assert_string_equal(conf->certificates[1].key, "/b.key");
	l = conf_listener(conf, SLICE_LIT("submission"));
	assert_int_equal(l->port, 11587);
	assert_int_equal(l->wrong_port, CONF_WRONG_PORT_EXPLAIN);
	assert_int_equal(l->greeting_hold_ms, 1000);
	assert_int_equal(l->line, 11);
	assert_false(conf_listener(conf, SLICE_LIT("fallback"))->enabled);
	l = conf_listener(conf, SLICE_LIT("intern"));
	assert_int_equal(l->role, CONF_RELAY);
	assert_int_equal(l->port, 12526);
	assert_int_equal(l->n_addresses, 1);
	assert_int_equal(l->relay_from[0].bits, 8);
	assert_int_equal(l->tls, CONF_TLS_STARTTLS);
	assert_int_equal(conf_submission_ports(conf, ports, 8), 2); /* the disabled one is no place to go */
	conf_free(conf);
}

static void routes_keep_their_order(void **state)
{
	struct conf *conf = parse("routes:\n"
				  "  mx: {tls: verify}\n"
				  "  second: {to: [a.example, .b.example], connections: 5}\n"
				  "  first: {to: \"*\", from: \"<>\", via: refuse, text: no}\n"
				  "sources: {s: {addresses: 192.0.2.1, warm_up: 2024-03-01}}\n",
				  &setup);
	uint64_t day;

	(void)state;
	assert_int_equal(conf->n_routes, 3);
	assert_string_equal(conf->routes[0].name, "second");
	assert_int_equal(conf->routes[0].n_to, 2);
	assert_string_equal(conf->routes[0].to[1], ".b.example");
	assert_int_equal(conf->routes[0].connections, 5);
	assert_string_equal(conf->routes[1].from[0], "<>");
	assert_string_equal(conf->routes[2].name, "mx");
	assert_int_equal(conf->routes[2].tls, CONF_ROUTE_TLS_VERIFY);
	assert_int_equal(conf->routes[2].via, CONF_VIA_MX);
	assert_true(conf_day(conf->sources[0].warm_up, &day));
	assert_int_equal(day / 86400000, 19783);
	conf_free(conf);
	conf = parse("", &setup);
	assert_int_equal(conf->n_routes, 1);
	assert_string_equal(conf->routes[0].name, "mx");
	conf_free(conf);
}

static void an_offset_can_be_too_much(void **state)
{
	const struct conf_setup far = { .port_offset = 65000, .root = true };
	struct conf_finding *findings = NULL;
	struct conf *conf = NULL;

	(void)state;
	assert_int_equal(conf_parse(SLICE_LIT(""), &far, &conf, &findings), -EINVAL);
	assert_string_equal(findings->text,
			    "listeners.submission.port: 587 is over 65535 with the port offset 65000");
	conf_findings_free(findings);
}

static void not_root_lives_at_home(void **state)
{
	struct conf *conf;

	(void)state;
	setenv("XDG_STATE_HOME", "/home/ann/.state", 1);
	conf = parse("", &(struct conf_setup){ 0 });
	assert_string_equal(conf->state_dir, "/home/ann/.state/postern");
	assert_string_equal(conf->mail_dir, "/home/ann/.state/postern/mail");
	conf_free(conf);
	unsetenv("XDG_STATE_HOME");
	setenv("HOME", "/home/ann", 1);
	conf = parse("", &(struct conf_setup){ 0 });
	assert_string_equal(conf->runtime_dir, "/home/ann/.local/state/postern/run");
	conf_free(conf);
	conf = parse("state_dir: /srv/p", &(struct conf_setup){ 0 });
	assert_string_equal(conf->runtime_dir, "/srv/p/run");
	conf_free(conf);
}

static void show(const struct conf *conf, bool all, bool json, struct buf *to)
{
	buf_init(to, 1 << 20);
	if (json)
		conf_show_json(conf, all, to);
	else
		conf_show(conf, all, to);
	buf_byte(to, '\0');
	assert_true(buf_ok(to));
}

/* All four ways of showing are files that say the same. */
static void what_is_shown_reads_the_same(void **state)
{
	static const char *const texts[] = {
		"",
		"hostname: mx.example.org\npostmaster: a@b.example\nlog: {level: debug}\ndrain: 90s\n",
		"tls: {certificates: [{cert: /a b.pem, key: '/a\"\\.key'}, {cert: /c, key: /d}]}\n",
		"listeners: {relay: {relay_from: [\"::1\"]}, a: {role: submission, port: 1}}\n",
		"insecure_test_network: yes\nlisteners: {submission: {tls: off}}\n",
		("routes: {a: {to: [a.example], via: host, hosts: [mx.a.example]}, all: {}, mx: {tls: "
		 "require}}\n"),
		"control_group: \"null\"\nrecipient_delimiter: \"~\"\nstate_dir: \"/\\u00e4 #: x\"\n",
	};
	const struct conf_setup with = { .port_offset = 1000, .root = true };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct conf *conf = parse(texts[i], &with);
		struct buf first;

		show(conf, true, false, &first);
		for (int way = 0; way < 4; way++) {
			struct conf *again;
			struct buf text, second;

			show(conf, way & 1, way & 2, &text);
			again = parse((const char *)buf_slice(&text).p, &with);
			show(again, true, false, &second);
			assert_string_equal(buf_slice(&first).p, buf_slice(&second).p);
			conf_free(again);
			buf_done(&text);
			buf_done(&second);
		}
		buf_done(&first);
		conf_free(conf);
	}
}

static void only_what_differs_is_shown(void **state)
{
	struct conf *conf = parse("hostname: mx.example.org\nlog: {to: stderr, format: json}\n"
				  "routes: {a: {to: [a.example], via: mx, tls: require}}\n"
				  "listeners: {fallback: {enabled: no, port: 2525}}\n",
				  &setup);
	struct buf text;

	(void)state;
	show(conf, false, false, &text);
	assert_string_equal(buf_slice(&text).p, "hostname: mx.example.org\nlog:\n  format: json\n"
						"routes:\n  a:\n    to: [\"a.example\"]\n    tls: require\n"
						"listeners:\n  fallback:\n    enabled: no\n");
	buf_done(&text);
	conf_free(conf);
}

static void reload_says_what_changes(void **state)
{
	struct conf *old = parse("listeners: {a: {role: relay, port: 1}, b: {role: relay, port: 2}}", &setup);
	struct conf *new = parse("state_dir: /srv\npostmaster: a@b.example\n"
				 "listeners: {b: {role: relay, port: 3}, c: {role: relay, port: 4}}",
				 &setup);
	struct conf_finding *findings = NULL;
	struct buf text;

	(void)state;
	assert_int_equal(conf_reload_diff(old, new, &findings), 0);
	buf_init(&text, 4096);
	conf_findings_show(findings, "f", &text);
	buf_byte(&text, '\0');
	assert_string_equal(buf_slice(&text).p,
			    "f: note: postmaster: \"\" becomes a@b.example\n"
			    "f: warning: state_dir: /var/lib/postern becomes /srv only at the next start\n"
			    "f: note: listeners.a: removed\n"
			    "f:3: note: listeners.b.port: 2 becomes 3\n"
			    "f:3: note: listeners.c: added\n");
	buf_done(&text);
	conf_findings_free(findings);
	findings = NULL;
	assert_int_equal(conf_reload_diff(old, old, &findings), 0);
	assert_null(findings);
	conf_free(old);
	conf_free(new);
}

static void a_reload_keeps_what_is_fixed(void **state)
{
	struct conf *old = parse("dovecot: {enabled: no}\nspool: {segment: 2M}", &setup);
	struct conf *new = parse("state_dir: /srv\npostmaster: a@b.example\ndovecot: {enabled: yes}", &setup);
	struct buf text;

	(void)state;
	assert_int_equal(conf_keep_fixed(old, new), 1);
	assert_int_equal(conf_keep_fixed(old, new), 0);
	show(new, false, false, &text);
	assert_string_equal(buf_slice(&text).p, "postmaster: a@b.example\nspool:\n  segment: 2M\n");
	buf_done(&text);
	conf_free(old);
	conf_free(new);
}

static void size_and_number_have_ceilings(void **state)
{
	struct conf_finding *findings = NULL;
	struct conf *conf = NULL;
	struct buf text;
	unsigned n = 0;

	(void)state;
	buf_init(&text, 4 << 20);
	for (unsigned i = 0; i < 200; i++)
		buf_fmt(&text, "x%u: 1\n", i);
	assert_int_equal(conf_parse(buf_slice(&text), &setup, &conf, &findings), -EINVAL);
	for (const struct conf_finding *f = findings; f; f = f->next)
		n += f->error;
	assert_in_range(n, 90, 101);
	conf_findings_free(findings);
	findings = NULL;
	for (unsigned i = 0; i < 100000; i++)
		buf_fmt(&text, "# a comment %u\n", i);
	assert_int_equal(conf_parse(buf_slice(&text), &setup, &conf, &findings), -EINVAL);
	assert_string_equal(findings->text, "the file is larger than 1 MiB");
	conf_findings_free(findings);
	buf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(findings_are_exact),
		cmocka_unit_test(an_empty_text_is_a_working_server),
		cmocka_unit_test(values_arrive),
		cmocka_unit_test(routes_keep_their_order),
		cmocka_unit_test(an_offset_can_be_too_much),
		cmocka_unit_test(not_root_lives_at_home),
		cmocka_unit_test(what_is_shown_reads_the_same),
		cmocka_unit_test(only_what_differs_is_shown),
		cmocka_unit_test(reload_says_what_changes),
		cmocka_unit_test(a_reload_keeps_what_is_fixed),
		cmocka_unit_test(size_and_number_have_ceilings),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
