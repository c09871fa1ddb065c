/* message.h - what the processes say to each other, in one table.
 *
 * Each message is a type and fields; the table below makes the structs, the
 * encoder and the decoder, so they cannot differ.  A receiver treats every
 * message as hostile: unknown types, short bytes, long strings and bytes left
 * over are refused, and the caller drops the peer.  Slices of a decoded message
 * point into the packet: they are borrowed for the call.
 */
#ifndef POSTERN_IPC_MESSAGE_H
#define POSTERN_IPC_MESSAGE_H

#include "base/buf.h"

#define IPC_PACKET_MAX	65536 /* one message, encoded, or several one behind the other */
#define IPC_TOGETHER	64    /* messages in a packet */
#define IPC_CHUNK_MAX	49152 /* of body or JSON in one message */
#define IPC_SECRET_MAX	4096
#define IPC_ADDRESS_MAX 1024 /* local@domain, canonical or as it came */
#define IPC_TEXT_MAX	512
#define IPC_ID_LEN	13
#define IPC_SITE_KEY	16
#define IPC_PACES_MAX	100000 /* accounts with messages a minute of their own */
#define IPC_EVENT_MAX	8192   /* of fields in an event */
#define IPC_BODY_WINDOW 131072 /* octets of body a transaction may send before its first credit */

enum ipc_role {
	IPC_MAIN = 1,
	IPC_SMTP,
	IPC_QUEUE,
	IPC_KEEPER,
	IPC_LEDGER,
	IPC_LOCAL,
	IPC_ADMIN,
	IPC_FETCH,
	IPC_ROLES, /* one past the last */
};
const char *ipc_role_name(unsigned role); /* "smtp"; "unknown" */

/* M(number, name); the fields of each are IPC_FIELDS_name below.
 * Numbers are never used again for something else. */
#define IPC_MESSAGES(M)                                                                       \
	/* main to a role, and back */                                                        \
	M(1, conf)   /* with a descriptor: the configuration's text */                        \
	M(2, listen) /* with a descriptor: a bound, listening socket */                       \
	M(3, unlisten)                                                                        \
	M(4, peer)	    /* with a descriptor: a channel to another role */                \
	M(5, certificate)   /* with a descriptor: PEM chain and key */                        \
	M(6, drain)	    /* finish what is under way, take nothing new, then exit */       \
	M(7, ready)	    /* a role: configured, sandboxed, working */                      \
	M(9, complain)	    /* a role: that peer stalls or breaks the rules; start it anew */ \
	M(12, ping)	    /* main: does your loop turn? */                                  \
	M(13, pong)	    /* a role: it does; the same number */                            \
	M(8, ticket_secret) /* to all smtp: the same, so that sessions resume in each */      \
	/* anybody to anybody: the command line's questions and their answers */              \
	M(10, request)                                                                        \
	M(11, response)                                                                       \
	/* smtp to keeper, and back */                                                        \
	M(20, auth_start)                                                                     \
	M(21, auth_step)                                                                      \
	M(22, auth_abort)                                                                     \
	M(23, auth_challenge)                                                                 \
	M(24, auth_result)                                                                    \
	M(25, exposed)	 /* a password came in clear text; no answer */                       \
	M(26, sender)	 /* may this account send as this address? */                         \
	M(27, recipient) /* who is this, here? */                                             \
	M(28, verdict)	 /* answers sender and recipient */                                   \
	M(29, target)	 /* before the verdict: one place the address leads to */             \
	M(30, mechs)	 /* keeper to all smtp: what AUTH may offer, now */                   \
	M(31, account)	 /* smtp: whose mailbox is this?  For Dovecot */                      \
	M(32, account_is)                                                                     \
	/* local to keeper, and back */                                                       \
	M(33, quota) /* how much may be in this mailbox? */                                   \
	M(34, quota_is)                                                                       \
	M(35, quotas) /* keeper to local: whether it needs to ask at all */                   \
	/* keeper to queue */                                                                 \
	M(36, paces) /* of accounts that have one of their own; all of them each time */      \
	/* smtp to queue, and back */                                                         \
	M(40, body) /* the first one of a transaction opens it */                             \
	M(41, rcpt)                                                                           \
	M(42, commit)                                                                         \
	M(43, drop)                                                                           \
	M(44, credit) /* octets of body that may be sent on */                                \
	M(45, stored)                                                                         \
	M(46, accepting) /* queue to all smtp: whether MAIL may be answered 250 */            \
	/* queue to smtp, and back: lanes, each a connection to another server */             \
	M(47, lane_open)                                                                      \
	M(48, lane_close)  /* no job is in it; answered by lane_closed */                     \
	M(49, lane_closed) /* it is no more */                                                \
	M(50, job_rcpt)	   /* in a lane's job, where local's has job_mailbox */               \
	M(51, job_back)	   /* nothing of this job was tried */                                \
	M(52, resolve)	   /* where does mail for this domain go, by this route? */           \
	M(53, resolved)                                                                       \
	M(54, lane_ready) /* what it reached; it takes jobs now */                            \
	/* queue to local or smtp, and back */                                                \
	M(60, job) /* a message for one or more recipients begins */                          \
	M(61, job_mailbox)                                                                    \
	M(62, job_body) /* with a descriptor when the body is in a file */                    \
	M(63, job_end)                                                                        \
	M(64, job_result) /* one mailbox's outcome */                                         \
	M(65, job_credit)                                                                     \
	/* smtp to ledger: no answer, may be lost */                                          \
	M(80, mishap) /* a client did what a client should not */                             \
	/* smtp to ledger, and back: limits of the whole server, see policy/limit.h */        \
	M(81, claim)                                                                          \
	M(82, grant)                                                                          \
	M(83, forget) /* an administrator clears what is counted for somebody */              \
	/* smtp and queue to ledger: no answer, may be lost */                                \
	M(84, event)	  /* something happened: ipc/event.h */                               \
	M(86, tls_result) /* smtp: how encryption with a server of another domain went */     \
	/* smtp to fetch, and back: policies of MTA-STS */                                    \
	M(90, fetch)                                                                          \
	M(91, fetched)                                                                        \
	/* smtp to ledger, and back: what is known of them over restarts */                   \
	M(92, sts_ask)                                                                        \
	M(93, sts_is)                                                                         \
	M(94, sts_keep) /* no answer, may be lost */                                          \
	/* main to smtp, and back */                                                          \
	M(96, credential)	/* a route's password or token */                             \
	M(97, credential_stale) /* it was refused: is there another one? */                   \
	/* main to smtp and fetch: a file of the system, read anew; its text comes along */   \
	M(98, file)

/* clang-format off */
/* U8 U16 U32 U64: numbers; B(name, max): bytes. */
/* file and what follows: struct conf_setup, so that every role parses as main did. */
#define IPC_FIELDS_conf(U8, U16, U32, U64, B)	     U64(generation) B(file, 1024) U16(port_offset) U8(root)
/* kind: enum ipc_complaint */
#define IPC_FIELDS_complain(U8, U16, U32, U64, B)    U8(role) U8(index) U8(kind)
/* listener: its name in the configuration, address its text.  Unix sockets have
 * names that none may have, their path as address and port 0: "@local" (submission,
 * to smtp 0), "@dovecot" (logins and mailboxes, to smtp 0) and "@control" (to admin). */
#define IPC_FIELDS_listen(U8, U16, U32, U64, B)	     B(listener, 64) B(address, 128) U16(port)
#define IPC_FIELDS_unlisten(U8, U16, U32, U64, B)    B(listener, 64) B(address, 128) U16(port)
#define IPC_FIELDS_peer(U8, U16, U32, U64, B)	     U8(role) U8(index)
#define IPC_FIELDS_certificate(U8, U16, U32, U64, B) U64(generation) U32(index) U32(count)
#define IPC_FIELDS_drain(U8, U16, U32, U64, B)	     U32(seconds)
#define IPC_FIELDS_ready(U8, U16, U32, U64, B)	     U64(generation)
#define IPC_FIELDS_ping(U8, U16, U32, U64, B)	     U64(number)
#define IPC_FIELDS_pong(U8, U16, U32, U64, B)	     U64(number)
#define IPC_FIELDS_ticket_secret(U8, U16, U32, U64, B) B(secret, 32)

#define IPC_FIELDS_request(U8, U16, U32, U64, B)  U64(req) B(json, IPC_CHUNK_MAX) B(secret, IPC_SECRET_MAX)
#define IPC_FIELDS_response(U8, U16, U32, U64, B) U64(req) U8(last) B(json, IPC_CHUNK_MAX)

#define IPC_FIELDS_auth_start(U8, U16, U32, U64, B) \
	U64(req)                                    \
	B(mech, 32) U8(has_initial) B(initial, IPC_SECRET_MAX * 3) B(exporter, 64) B(listener, 64) B(ip, 16)
#define IPC_FIELDS_auth_step(U8, U16, U32, U64, B)	U64(req) B(data, IPC_SECRET_MAX * 3)
#define IPC_FIELDS_auth_abort(U8, U16, U32, U64, B)	U64(req)
#define IPC_FIELDS_auth_challenge(U8, U16, U32, U64, B) U64(req) B(data, IPC_SECRET_MAX * 3)
/* code 235, or the refusal; key is 0 when it was the account's password; owner: of the account's
 * domain; the client is told after delay_ms; locked: refused because of too many wrong ones; class: of
 * its mail, enum ipc_class + 1, 0: as the listener says. */
#define IPC_FIELDS_auth_result(U8, U16, U32, U64, B) \
	U64(req)                                     \
	U16(code) B(enhanced, 16) B(text, IPC_TEXT_MAX) U64(account) U64(key) B(name, IPC_ADDRESS_MAX) \
		B(owner, 64) U32(delay_ms) U8(locked) U8(class)
#define IPC_FIELDS_exposed(U8, U16, U32, U64, B) \
	B(mech, 32) U8(has_initial) B(data, IPC_SECRET_MAX * 3) B(listener, 64) B(ip, 16)
#define IPC_FIELDS_sender(U8, U16, U32, U64, B)	   U64(req) U64(account) U64(key) B(address, IPC_ADDRESS_MAX)
/* sender: of the envelope, as the client wrote it; "": null */
#define IPC_FIELDS_recipient(U8, U16, U32, U64, B) \
	U64(req) B(address, IPC_ADDRESS_MAX) B(sender, IPC_ADDRESS_MAX)
/* what: enum ipc_verdict_kind */
#define IPC_FIELDS_verdict(U8, U16, U32, U64, B) U64(req) U8(what)
/* sender: of the envelope from here on, where the address is forwarded; "": the message's */
#define IPC_FIELDS_target(U8, U16, U32, U64, B) \
	U64(req) U8(kind) B(address, IPC_ADDRESS_MAX) B(mailbox, 512) B(sender, IPC_ADDRESS_MAX)

/* Names with blanks between; mechs_tls: added where TLS allows channel binding. */
#define IPC_FIELDS_mechs(U8, U16, U32, U64, B) B(mechs, 256) B(mechs_tls, 256)

#define IPC_FIELDS_account(U8, U16, U32, U64, B) U64(req) B(name, IPC_ADDRESS_MAX)
/* what: OK, NO_SUCH_USER or TRY_LATER; name: as the account is called; quota: octets, 0: none. */
#define IPC_FIELDS_account_is(U8, U16, U32, U64, B) \
	U64(req) U8(what) B(name, IPC_ADDRESS_MAX) B(mailbox, 512) U64(quota)

#define IPC_FIELDS_quota(U8, U16, U32, U64, B)	  U64(job) U32(recipient) B(mailbox, 512)
#define IPC_FIELDS_quota_is(U8, U16, U32, U64, B) U64(job) U32(recipient) U64(octets)
/* list: account (8 octets) and messages a minute (4, 0: any), as base/wire.h writes them; first,
 * last: of as many messages as it takes. */
#define IPC_FIELDS_paces(U8, U16, U32, U64, B)	  U8(first) U8(last) B(list, IPC_CHUNK_MAX)
#define IPC_FIELDS_quotas(U8, U16, U32, U64, B)	  U8(any)

#define IPC_FIELDS_body(U8, U16, U32, U64, B) U64(tx) B(data, IPC_CHUNK_MAX)
/* kind: enum ipc_target_kind; notify: SMTP_NOTIFY_ flags; address: where it goes now;
 * original: as the client wrote it; mailbox: the folder below the mail root; sender: its own envelope
 * sender where it is forwarded, "" for the message's. */
#define IPC_FIELDS_rcpt(U8, U16, U32, U64, B)                                                       \
	U64(tx)                                                                                     \
	U8(kind) U8(notify) B(address, IPC_ADDRESS_MAX) B(original, IPC_ADDRESS_MAX) B(orcpt, 1024) \
		B(mailbox, 512) B(sender, IPC_ADDRESS_MAX)
/* class: enum ipc_class; mt_priority: RFC 6710, value + 10, 0: none; hold_until_ms: not before, 0: at
 * once; relax: "TLS-Required: No" (RFC 8689).  message_id: of the header, "" if none. */
#define IPC_FIELDS_commit(U8, U16, U32, U64, B)                                                            \
	U64(tx)                                                                                            \
	B(id, IPC_ID_LEN) U64(time_ms) U64(body_size) B(sender, IPC_ADDRESS_MAX) U8(smtputf8) U8(eightbit) \
		U8(ret) B(envid, 128) U64(account) B(listener, 64) B(headers, IPC_CHUNK_MAX)               \
			B(message_id, 255) B(account_name, IPC_ADDRESS_MAX) U8(class) U8(mt_priority)      \
				U64(hold_until_ms) U8(requiretls) U8(relax)
#define IPC_FIELDS_drop(U8, U16, U32, U64, B)	U64(tx)
#define IPC_FIELDS_credit(U8, U16, U32, U64, B) U64(tx) U32(octets)
/* A transaction begins with IPC_BODY_WINDOW octets of credit; what queue took is given back.
 * A commit is answered once.  result: 0, or an errno: ENOSPC, EIO, ENOMEM, EEXIST (that id is
 * taken), EPROTO (body_size is not what came, or there is no recipient) ... */
#define IPC_FIELDS_stored(U8, U16, U32, U64, B)	   U64(tx) U32(result)
#define IPC_FIELDS_accepting(U8, U16, U32, U64, B) U32(result)

/* endpoint: as in base/endpoint.h, of the LMTP server for mailboxes; seconds: how long connecting, an
 * answer, and the answer to the final dot may take.  Else where it goes is found by route (its name in
 * the configuration), domain (that of recipients, "" where the route leads all to the same place) and
 * relax, and must be the site of that key.  source: its name in the configuration (of the
 * addresses to bind), "" for none; helo: how it greets, "" for the server's name. */
#define IPC_FIELDS_lane_open(U8, U16, U32, U64, B)                                                      \
	U64(lane)                                                                                       \
	U8(protocol) B(endpoint, 128) U32(connect_s) U32(command_s) U32(final_s) B(route, 64)           \
		B(domain, 255) U8(relax) B(key, IPC_SITE_KEY) B(source, 64) B(helo, 255)
#define IPC_FIELDS_resolve(U8, U16, U32, U64, B) U64(req) B(route, 64) B(domain, 255) U8(relax)
/* what: enum ipc_resolved_kind; site: its name for people, key: what is the same for all destinations that
 * share it; ttl: how long that holds. */
#define IPC_FIELDS_resolved(U8, U16, U32, U64, B) \
	U64(req)                                  \
	U8(what) B(site, 255) B(key, IPC_SITE_KEY) U32(ttl_s) B(enhanced, 16) B(text, IPC_TEXT_MAX)
/* tls: version and cipher, "" in clear; security: enum ipc_security; rcpt_max, mail_max: of LIMITS
 * (RFC 9422), 0: none; fell_back: in clear because TLS failed. */
#define IPC_FIELDS_lane_ready(U8, U16, U32, U64, B) \
	U64(lane)                                   \
	B(host, 255) B(ip, 16) U16(port) B(tls, 128) U8(security) U32(rcpt_max) U32(mail_max) U8(fell_back)
#define IPC_FIELDS_lane_close(U8, U16, U32, U64, B) U64(lane)
/* failed: the other server is the cause; else it was closed in order.  Results of its last job come
 * before it, its jobs' credit and the jobs that come back behind it.  end: enum ipc_lane_end; host, ip,
 * port: the last that was tried, ip "" for none: what did not connect and with which port tells whether our own
 * network lets such connections out. */
#define IPC_FIELDS_lane_closed(U8, U16, U32, U64, B) \
	U64(lane) U8(failed) B(enhanced, 16) B(text, IPC_TEXT_MAX) U8(end) B(host, 255) U16(port) \
		B(ip, 16)
#define IPC_FIELDS_job_rcpt(U8, U16, U32, U64, B) \
	U64(job) U32(recipient) U8(notify) B(address, IPC_ADDRESS_MAX) B(orcpt, 1024)
#define IPC_FIELDS_job_back(U8, U16, U32, U64, B) U64(job) B(enhanced, 16) B(text, IPC_TEXT_MAX)

/* lane, and what follows it: 0 and empty for local. */
#define IPC_FIELDS_job(U8, U16, U32, U64, B)                                                               \
	U64(job)                                                                                           \
	B(id, IPC_ID_LEN) U64(time_ms) B(sender, IPC_ADDRESS_MAX) U64(body_size) B(headers, IPC_CHUNK_MAX) \
		U64(lane) U8(smtputf8) U8(eightbit) U8(ret) B(envid, 128) U8(requiretls) U8(mt_priority)
#define IPC_FIELDS_job_mailbox(U8, U16, U32, U64, B) \
	U64(job) U32(recipient) B(mailbox, 512) B(address, IPC_ADDRESS_MAX) B(original, IPC_ADDRESS_MAX)
#define IPC_FIELDS_job_body(U8, U16, U32, U64, B) U64(job) U8(in_file) B(data, IPC_CHUNK_MAX)
#define IPC_FIELDS_job_end(U8, U16, U32, U64, B)  U64(job)
/* result: enum ipc_job_result_kind; in_doubt: deferred, and delivered perhaps; code: of the reply, 0
 * where there was none; step: enum smtp_client_step, where it ended; relayed: delivered, and the report
 * of success that was asked for is ours to write, for that server sends none (RFC 3461 5.2.2). */
#define IPC_FIELDS_job_result(U8, U16, U32, U64, B) \
	U64(job) U32(recipient) U8(result) U8(in_doubt) B(enhanced, 16) B(text, IPC_TEXT_MAX) U16(code) U8(step) \
		U8(relayed)
/* job 0, at connect: the octets (byte strings of all its messages, but for the id) of jobs that
 * the carrier holds at once; else: that many of this job, which is over, are free again. */
#define IPC_FIELDS_job_credit(U8, U16, U32, U64, B) U64(job) U32(octets)

/* generation: another one with each reading.  there: else why says what is wrong. */
#define IPC_FIELDS_credential(U8, U16, U32, U64, B) \
	B(route, 64) U64(generation) U8(there) B(secret, IPC_SECRET_MAX) B(why, IPC_TEXT_MAX)
#define IPC_FIELDS_credential_stale(U8, U16, U32, U64, B) B(route, 64) U64(generation)

/* which: enum ipc_file_kind; there: else there is none, and no descriptor. */
#define IPC_FIELDS_file(U8, U16, U32, U64, B) U8(which) U8(there)

#define IPC_FIELDS_claim(U8, U16, U32, U64, B) \
	B(key, 400) U32(use) U32(limit) U32(want) U32(have) U32(pool) U32(refused_s) U8(answer)
#define IPC_FIELDS_grant(U8, U16, U32, U64, B)	B(key, 400) U32(claim) U8(full)
#define IPC_FIELDS_forget(U8, U16, U32, U64, B) B(who, IPC_ADDRESS_MAX)

/* kind: enum ipc_mishap_kind */
#define IPC_FIELDS_mishap(U8, U16, U32, U64, B) \
	U8(kind) U16(port) B(listener, 64) B(ip, 16) B(account, IPC_ADDRESS_MAX) B(helo, 255) U8(served)
/* kind: enum event_kind; id: empty or of a message; lost: so many before it did not get through;
 * fields: as event.h writes them. */
#define IPC_FIELDS_event(U8, U16, U32, U64, B) \
	U8(kind) U64(time_ms) B(id, IPC_ID_LEN) U32(recipient) U32(lost) B(fields, IPC_EVENT_MAX)

/* policy: enum tls_result_policy; result: enum tls_result; host: the MX host that was tried, ip its
 * address ("" if it was not connected to); text: what was wrong, for people. */
#define IPC_FIELDS_tls_result(U8, U16, U32, U64, B) \
	B(domain, 255) U8(policy) U8(result) B(host, 255) B(ip, 16) B(text, IPC_TEXT_MAX)

/* host: "mta-sts.example.org", whose addresses are one behind the other, each an octet (4 or 16)
 * and so many more.  The path is fetch's own affair. */
#define IPC_FIELDS_fetch(U8, U16, U32, U64, B) U64(req) B(host, 255) U16(port) B(addresses, 512)
/* end: enum ipc_fetch_end; more: another message with what follows in the body; text: what was wrong. */
#define IPC_FIELDS_fetched(U8, U16, U32, U64, B) \
	U64(req) U8(end) U8(more) B(data, IPC_CHUNK_MAX) B(text, IPC_TEXT_MAX)
#define IPC_FIELDS_sts_ask(U8, U16, U32, U64, B) U64(req) B(domain, 255)
/* known 0: nothing; fetched: seconds since 1970; policy: as route/sts.h writes it. */
#define IPC_FIELDS_sts_is(U8, U16, U32, U64, B) U64(req) U8(known) U64(fetched) B(id, 32) B(policy, 8192)
/* expires: seconds since 1970; then the ledger may forget it. */
#define IPC_FIELDS_sts_keep(U8, U16, U32, U64, B) \
	B(domain, 255) U64(fetched) U64(expires) B(id, 32) B(policy, 8192)
/* clang-format on */

enum ipc_complaint {
	IPC_COMPLAINT_BROKEN,	/* it says what no working peer says, or takes nothing more */
	IPC_COMPLAINT_UNLINKED, /* its channel ended, and no other came */
	IPC_COMPLAINT_SILENT,	/* it has not answered in any reasonable time */
	IPC_COMPLAINTS,
};

enum ipc_target_kind { IPC_TARGET_MAILBOX = 1, IPC_TARGET_REMOTE = 2 };

enum ipc_verdict_kind {
	IPC_VERDICT_OK = 1,	  /* sender: yes.  recipient: targets were sent */
	IPC_VERDICT_NOT_LOCAL,	  /* recipient: not a domain of ours */
	IPC_VERDICT_NO_SUCH_USER, /* recipient: our domain, no such address */
	IPC_VERDICT_DISABLED,	  /* the account or domain is switched off */
	IPC_VERDICT_NOT_YOURS,	  /* sender: not an address of this account */
	IPC_VERDICT_LOOP,	  /* recipient: its aliases lead in a circle, or to too many */
	IPC_VERDICT_TRY_LATER,	  /* the database did not answer */
	IPC_VERDICT_REPORTS_ONLY, /* recipient: leads back to a sender, and this is no report */
};

enum ipc_lane_protocol { IPC_LANE_LMTP = 1, IPC_LANE_SMTP = 2 };

enum ipc_resolved_kind { IPC_RESOLVED_OK = 1, IPC_RESOLVED_PERMANENT, IPC_RESOLVED_TEMPORARY };

/* What is known of the other side, the stronger the larger. */
enum ipc_security {
	IPC_SECURITY_CLEAR,
	IPC_SECURITY_ENCRYPTED, /* to somebody */
	IPC_SECURITY_VERIFIED,	/* by name and chain, or fingerprint */
	IPC_SECURITY_DANE,
};

/* How a lane ended. */
enum ipc_lane_end {
	IPC_LANE_IN_ORDER,
	IPC_LANE_MOVED,	      /* its destination has another site now: ask again */
	IPC_LANE_DNS,	      /* nothing could be found out about where to connect */
	IPC_LANE_REFUSED,     /* nobody listens there */
	IPC_LANE_UNREACHABLE, /* no way there */
	IPC_LANE_TIMED_OUT,   /* connecting took too long */
	IPC_LANE_BROKE,	      /* reset, or no answer, once it was connected */
	IPC_LANE_ANSWERED,    /* a reply that ends it: 421, 554 */
	IPC_LANE_TLS,	      /* no TLS, or not with whom the policy wants */
	IPC_LANE_AUTH,	      /* it refused our user and password, or we have none */
	IPC_LANE_LOCAL,	      /* we lack something: memory, descriptors */
	IPC_LANE_NOWHERE,     /* certain: no host can be used, and what waits for its destination fails */
	IPC_LANE_SOURCE,      /* its source address cannot be bound */
	IPC_LANE_ENDS,	      /* one past the last */
};

/* How urgent a message is. */
enum ipc_class { IPC_CLASS_NORMAL, IPC_CLASS_BULK, IPC_CLASS_URGENT, IPC_CLASSES };
const char *ipc_class_name(unsigned class); /* "bulk"; "unknown" */

enum ipc_job_result_kind { IPC_JOB_DELIVERED = 1, IPC_JOB_DEFERRED = 2, IPC_JOB_FAILED = 3 };

enum ipc_file_kind {
	IPC_FILE_ANCHORS,
	IPC_FILE_RESOLV_CONF,
	IPC_FILE_HOSTS,
	IPC_FILE_AUTHORITIES,
	IPC_FILES
};

enum ipc_fetch_end {
	IPC_FETCH_OK = 1,
	IPC_FETCH_FAILED = 2,	   /* not reached, no answer in time, or another one than 200 */
	IPC_FETCH_CERTIFICATE = 3, /* not trusted, or not for that host */
	IPC_FETCH_INVALID = 4,	   /* it is there, but too large or of another type */
};

enum ipc_mishap_kind {
	IPC_MISHAP_TLS_ON_STARTTLS = 1, /* ClientHello where STARTTLS is the custom: 587, 2525 */
	IPC_MISHAP_TLS_ON_RELAY,
	IPC_MISHAP_PLAIN_ON_IMPLICIT,  /* a plain command on 465 */
	IPC_MISHAP_SILENT_ON_IMPLICIT, /* it waited for a greeting on 465 */
	IPC_MISHAP_TLS_TOO_LATE,       /* a ClientHello after the greeting */
	IPC_MISHAP_AUTH_ON_RELAY,
	IPC_MISHAP_NO_STARTTLS,
	IPC_MISHAP_NO_AUTH,
	IPC_MISHAP_PASSWORD_IN_CLEAR,
	IPC_MISHAP_RELAY_DENIED,
	IPC_MISHAP_NOT_SMTP,
	IPC_MISHAP_TLS_FAILED,
	IPC_MISHAP_PROXY_MISSING,    /* a proxy of proxy_from sent no PROXY header, or a bad one */
	IPC_MISHAP_PROXY_UNEXPECTED, /* a PROXY header from elsewhere */
	IPC_MISHAP_KINDS,	     /* one past the last */
};
const char *ipc_mishap_name(unsigned kind); /* "tls-on-starttls"; "unknown" */

#define IPC_U8(name)	 uint8_t name;
#define IPC_U16(name)	 uint16_t name;
#define IPC_U32(name)	 uint32_t name;
#define IPC_U64(name)	 uint64_t name;
#define IPC_B(name, max) struct slice name;
#define IPC_STRUCT(number, name)                                            \
	struct ipc_##name {                                                 \
		IPC_FIELDS_##name(IPC_U8, IPC_U16, IPC_U32, IPC_U64, IPC_B) \
	};
IPC_MESSAGES(IPC_STRUCT)

#define IPC_ENUM(number, name) IPC_TYPE_##name = number,
enum ipc_type { IPC_MESSAGES(IPC_ENUM) };

#define IPC_MEMBER(number, name) struct ipc_##name name;
struct ipc_message {
	enum ipc_type type;
	union {
		IPC_MESSAGES(IPC_MEMBER)
	};
};

/* Appends one message; the buffer fails if a field is over its ceiling. */
void ipc_encode(const struct ipc_message *m, struct buf *to);
/* The next message of a packet; false, both untouched, when it is not well-formed. */
bool ipc_take(struct slice *cur, struct ipc_message *ret);
/* False unless the packet is exactly one well-formed message. */
bool ipc_decode(struct slice packet, struct ipc_message *ret);
const char *ipc_type_name(unsigned type); /* "auth_start"; "unknown" */

#endif
