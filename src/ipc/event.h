/* event.h - one thing that happened, told to the ledger.
 *
 * Kinds and fields are named in the two tables below and nowhere else: the log, `postern
 * trace` and `postern events` call them the same (doc/events.md says what each means).
 *
 *	event_begin(sink, EVENT_DEFERRED, now_ms, id_slice(&id), recipient);
 *	event_text(sink, EVENT_KEY_TO, address);
 *	event_number(sink, EVENT_KEY_CODE, 451);
 *	event_send(sink);
 *
 * Telling may fail and mail never waits for it: when the channel is away or has no room
 * the event is dropped and counted, and the count goes with the next one that does get
 * through.  An event that has no room costs nothing but the calls.
 *
 * Texts are whatever a peer said; they become valid UTF-8 where they are shown.  One that
 * is over its ceiling is cut.  No secrets: this ends in a file.
 *
 * A sink belongs to one process and lives as long; events are written one at a time.  Where a
 * sink is asked for, NULL is fine: nobody is told.
 */
#ifndef POSTERN_IPC_EVENT_H
#define POSTERN_IPC_EVENT_H

#include "ipc/channel.h"

/* K(number, NAME, "name"); numbers are never used again for something else: they are kept
 * in files.  clang-format off keeps one a line. */
/* clang-format off */
#define EVENT_KINDS(K)                                                                        \
	K(1, ACCEPTED, "accepted")	/* 250 was said: ours from now on */                  \
	K(2, ATTEMPTED, "attempted")	/* a host was tried: reached or not, how, what was said */ \
	K(3, DEFERRED, "deferred")	/* a recipient: later */                              \
	K(4, DELIVERED, "delivered")	/* a recipient: in the mailbox */                     \
	K(5, RELAYED, "relayed")	/* a recipient: another server took it */             \
	K(6, FAILED, "failed")		/* a recipient: never, it was refused for good */     \
	K(7, EXPIRED, "expired")	/* a recipient: never, it was tried for too long */   \
	K(8, BOUNCED, "bounced")	/* the sender is told that it failed (a DSN) */       \
	K(9, WARNED, "warned")		/* the sender is told that it is delayed (a DSN) */   \
	K(10, CONFIRMED, "confirmed")	/* the sender is told that it arrived (a DSN) */      \
	K(11, HELD, "held")		/* an administrator, or FUTURERELEASE */              \
	K(12, RELEASED, "released")                                                           \
	K(13, REMOVED, "removed")                                                             \
	K(14, RETRIED, "retried")	/* an administrator: now */                           \
	K(15, WRONG_PORT, "wrong-port")	/* a client came to the wrong port, or in the wrong way */ \
	K(16, LIMIT, "limit")		/* a client or account met a limit */                 \
	K(17, ALARM, "alarm")		/* an administrator should look */                    \
	K(18, SITE, "site")		/* a site was slowed, paused, or is back */           \
	K(19, LOST, "lost")		/* that many events are missing here */               \
	K(21, DISCARDED, "discarded")	/* a recipient: thrown away, as its route says */     \
	K(22, FORWARDED, "forwarded")	/* a recipient became another one */                  \
	K(23, GIVEN_UP, "given-up")	/* an administrator: it fails now, and its sender is told */ \
	K(24, IN_DOUBT, "in-doubt")	/* a recipient: perhaps has it already, and it is tried again */

/* F(number, NAME, "name", octets of text at most, or 0: a number) */
#define EVENT_KEYS(F)                                                                         \
	F(1, LISTENER, "listener", 64)                                                        \
	F(2, PORT, "port", 0)                                                                 \
	F(3, IP, "ip", 46)		/* of the other side: client or server */             \
	F(4, VIA, "via", 46)		/* the proxy that it came through */                  \
	F(5, HELO, "helo", 255)                                                               \
	F(6, PROTO, "proto", 16)	/* SMTP, ESMTPSA ... (RFC 3848) */                    \
	F(7, TLS, "tls", 128)		/* TLSv1.3; empty: clear text */                      \
	F(8, CIPHER, "cipher", 64)                                                            \
	F(9, ACCOUNT, "account", 1024)                                                        \
	F(10, AUTH, "auth", 32)		/* mechanism */                                       \
	F(11, UID, "uid", 16)                                                                 \
	F(12, FROM, "from", 1024)	/* envelope sender */                                 \
	F(13, TO, "to", 1024)		/* a recipient; accepted has several */               \
	F(14, RCPTS, "rcpts", 0)	/* how many */                                        \
	F(15, SIZE, "size", 0)		/* octets */                                          \
	F(16, MESSAGE_ID, "message_id", 512)                                                  \
	F(17, PRIORITY, "priority", 16)	/* bulk, normal, urgent */                            \
	F(18, ROUTE, "route", 64)                                                             \
	F(19, DOMAIN, "domain", 255)                                                          \
	F(20, SITE_NAME, "site", 255)                                                         \
	F(21, HOST, "host", 255)                                                              \
	F(22, SOURCE, "source", 46)	/* our own address */                                 \
	F(23, SECURITY, "security", 16)	/* clear, encrypted, verified, dane */                \
	F(24, POLICY, "policy", 128)	/* which TLS policy, and why */                       \
	F(25, STEP, "step", 32)		/* connect, tls, mail, rcpt, data ... */              \
	F(26, CODE, "code", 0)                                                                \
	F(27, STATUS, "status", 16)	/* 4.2.1 */                                           \
	F(28, REPLY, "reply", 512)	/* what the other server said */                      \
	F(29, REASON, "reason", 512)	/* what we say */                                     \
	F(30, CLASS, "class", 32)	/* of the reply: greylist, mailbox_full ... */        \
	F(31, ACTION, "action", 32)	/* what follows from it */                            \
	F(32, MEANING, "meaning", 512)	/* in plain words */                                  \
	F(33, TRANSCRIPT, "transcript", 4096)                                                 \
	F(34, ATTEMPTS, "attempts", 0)                                                        \
	F(35, NEXT, "next_ms", 0)	/* when it is tried again, since 1970 */              \
	F(36, EXPIRES, "expires_ms", 0)	/* when it is given up, since 1970 */                 \
	F(37, DELAY, "delay_ms", 0)	/* from acceptance until now */                       \
	F(38, MAILBOX, "mailbox", 512)                                                        \
	F(40, BY, "by", 64)		/* who did it: "administrator", "schedule" ... */     \
	F(41, DSN, "dsn", 13)		/* the queue id of the message that tells the sender */ \
	F(42, OF, "of", 13)		/* the queue id of the message that this one tells of */ \
	F(43, WHAT, "what", 64)		/* which mishap, limit, alarm */                      \
	F(44, COUNT, "count", 0)                                                              \
	F(45, SERVED, "served", 0)	/* 1: it got what it wanted all the same */           \
	F(46, ADVICE, "advice", 512)                                                          \
	F(47, TEXT, "text", 512)                                                              \
	F(48, DURATION, "ms", 0)	/* that it took */                                    \
	F(49, FELL_BACK, "fell_back", 0) /* 1: to clear text, after TLS failed */             \
	F(50, RULE, "rule", 64)                                                               \
	F(51, ORIGINAL, "original", 1024) /* the recipient as the client wrote it */          \
	F(52, MX, "mx", 512)		/* hosts that were found, by preference */            \
	F(53, PROVIDER, "provider", 64)                                                       \
	F(54, OWNER, "owner", 64)                                                             \
	F(55, MAX, "max", 0)		/* of a limit */
/* clang-format on */

#define EVENT_KIND_ENUM(number, NAME, name)	EVENT_##NAME = number,
#define EVENT_KEY_ENUM(number, NAME, name, max) EVENT_KEY_##NAME = number,
enum event_kind { EVENT_KINDS(EVENT_KIND_ENUM) EVENT_KINDS_END };
enum event_key { EVENT_KEYS(EVENT_KEY_ENUM) EVENT_KEYS_END };

const char *event_kind_name(unsigned kind);  /* "wrong-port"; "unknown" */
unsigned event_kind_find(struct slice name); /* 0: there is none */
const char *event_key_name(unsigned key);

/* ---- telling ---- */

#define EVENT_NO_RECIPIENT UINT32_MAX /* it is of the whole message, or of none */

struct event_sink {
	struct channel *ledger; /* NULL while it is away; the owner sets it */
	bool local;		/* the ledger's own: events are only made, by event_made() */
	uint64_t sent, dropped;
	/* event.c's own */
	uint32_t lost; /* since the last one that was sent */
	bool open;
	struct ipc_message m;
	struct buf fields;
	char id[IPC_ID_LEN];
	unsigned char room[IPC_EVENT_MAX];
};

void event_sink_init(struct event_sink *s);

/* id: of the message, empty if it is of none (copied); recipient: its number in the envelope,
 * from 0; time_ms: since 1970. */
void event_begin(struct event_sink *s, enum event_kind kind, uint64_t time_ms, struct slice id,
		 uint32_t recipient);
/* Empty texts are left out.  A field may come several times where doc/events.md says so. */
void event_text(struct event_sink *s, enum event_key key, struct slice text);
void event_number(struct event_sink *s, enum event_key key, uint64_t v);
void event_send(struct event_sink *s);
/* Of a local sink: what was begun, until the next one is. */
const struct ipc_event *event_made(struct event_sink *s);

/* ---- reading, in the ledger ---- */

struct event_field {
	enum event_key key;
	bool is_text;
	struct slice text;
	uint64_t number;
};

/* The next field; false at the end, and where what stands there is none (cur->n is then not 0). */
bool event_take(struct slice *cur, struct event_field *ret);
/* Whether kind, id and all fields are well-formed. */
bool event_is_sound(const struct ipc_event *e);

#endif
