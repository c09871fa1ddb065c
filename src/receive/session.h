/* session.h - one connection, from accept to close.
 *
 * The driver: it reads the connection, feeds the engine, acts on what the engine wants,
 * and keeps the time.  session_run() is the one entry point; it goes on until the
 * session needs the outside world, and the engine knows where it was.  What
 * woke it (bytes, an answer, a timer) only sets a field before.  Memory goes in one
 * place, at the end of session_run().
 */
#ifndef POSTERN_RECEIVE_SESSION_H
#define POSTERN_RECEIVE_SESSION_H

#include "ipc/message.h"
#include "mime/header.h"
#include "net/conn.h"
#include "policy/policy.h"
#include "receive/listener.h"
#include "receive/private.h"
#include "receive/transaction.h"
#include "receive/wrong_port.h"

#define SESSION_OUTPUT_MAX (64U << 10)

enum session_phase {
	SESSION_PROXY,	   /* a proxy is to say who its client is */
	SESSION_SNIFF,	   /* what language does it speak? */
	SESSION_HANDSHAKE, /* TLS */
	SESSION_SMTP,
};

enum session_wait {
	SESSION_WAITS_FOR_PEER, /* bytes, or room to write */
	SESSION_WAITS_FOR_KEEPER,
	SESSION_WAITS_FOR_QUEUE,  /* credit, or stored */
	SESSION_WAITS_FOR_ROLE,	  /* that is being started again, before it is asked */
	SESSION_WAITS_FOR_LEDGER, /* its word on a limit, for a moment */
};

struct session {
	struct list link;    /* of the listener's sessions */
	struct list again;   /* of those that used up their turn */
	struct list starved; /* of those that wait for room in the channel to queue */
	struct receive *rx;
	struct listener *listener;
	struct rules *rules;
	struct conn *conn;
	struct smtp_server *engine;

	struct ip ip; /* family 0: local, by uid */
	uint16_t port, peer_port;
	struct ip proxy; /* through which it came: ip is what that said; family 0: none */
	uint32_t uid;
	bool trusted, counted; /* counted: by its address */

	enum session_phase phase;
	enum session_wait wait;
	struct wrong_port wrong;
	enum wrong_port_do opening; /* what was decided */
	bool starting_tls;	    /* by STARTTLS: waits for all output to be written */

	enum ipc_role awaited; /* WAITS_FOR_ROLE: which */
	bool tired;	       /* it has waited once, for this command */

	/* the open question to keeper */
	struct receive_wait ask;
	struct policy_check check;
	struct policy_facts facts;
	struct list targets; /* of a recipient, until its verdict */
	size_t n_targets;
	bool targets_lost; /* memory did not suffice for all of them */
	bool auth_running;
	struct session_held *held; /* keeper's answer to AUTH, until its time */
	char mech[33];

	/* the account */
	uint64_t account, key;
	struct buf login, owner;
	uint8_t account_class; /* enum ipc_class + 1; 0: as the listener says */

	/* what it takes of limits */
	struct {
		struct list link;	   /* of receive's limit_waits */
		struct limit_use *waits;   /* for ledger's word on it */
		struct limit_use *held[3]; /* counts of sessions at once */
		unsigned n_held, step;
		uint64_t asked_ms;
		bool hurry;		/* ledger did not answer in time */
		bool greets, greet_tls; /* it waits with its greeting */
		enum limit_kind refused;
		uint32_t refused_max;
		unsigned retry_s;
		unsigned message_step, recipient_step;
		uint32_t messages, recipients; /* paid for */
	} room;

	struct transaction tx;
	struct mime_header header; /* while begun */
	struct id id;		   /* of the message that is being committed */
	bool in_mail;		   /* MAIL was taken and is not over */
	bool begun;		   /* its body was asked for */
	bool committing;

	uv_timer_t timer;
	uint64_t deadline_ms, end_ms; /* of this step; of the session */
	uint64_t step_ms;	      /* when this step began */
	uint64_t unread_ms, taken;    /* since when it takes nothing of what it is told; taken before */
	uint64_t pace_ms, paced;      /* since when octets of a message are counted, and how many */
	uint64_t began_ms;
	uint64_t opened_ms; /* since when its first words are waited for */
	size_t work;	    /* done in this turn */
	size_t fed;	    /* octets of input that the engine took and may still point into */
	bool spoke;	    /* the engine got its first octets */
	bool eof;	    /* the peer will send no more */
	bool broken;	    /* the connection is of no use any more */
	bool hung_up;	    /* the engine was told to end it */
	bool over;
	const char *why; /* it ended; NULL: as it should, or conn_error() */
	uint32_t messages, rejected, auth_failures;
	uint32_t told;		     /* kinds of mishap that ledger knows of, as bits */
	enum ipc_mishap_kind served; /* to be reported once the account is known */
};

/* Takes one connection over.  Negative errno: there is no session, and fd is closed. */
int session_accept(struct listener *l, int fd);
void session_run(struct session *s);
/* The server is being stopped: go as soon as no transaction is under way; now, when hard. */
void session_leave(struct session *s, bool hard);

/* Answers; each then runs the session. */
void session_on_keeper(struct session *s, const struct ipc_message *m);
void session_on_queue(struct session *s, const struct ipc_message *m);
void session_keeper_gone(struct session *s);
void session_role_back(struct session *s, enum ipc_role who);
void session_queue_gone(struct session *s);

/* ---- between the files of the session ---- */

/* The engine's wants; true to go on at once. */
bool session_smtp(struct session *s);
void session_greet(struct session *s, bool tls);
void session_say_goodbye(struct session *s); /* 421, once no question is open */
/* Write what the engine has to say; true when all of it is with the connection. */
bool session_flush(struct session *s);
void session_close(struct session *s); /* after all is written */

/* Time (session_time.c). */
void session_deadline(struct session *s, uint64_t seconds);
unsigned session_patience(const struct session *s, unsigned seconds); /* less when it is nearly full */
void session_press(struct listener *l);				      /* one more came */
void session_arm(struct session *s);
void session_told(struct session *s); /* something was written to it */
void session_pace_begin(struct session *s);
bool session_pace(struct session *s, size_t octets); /* of a message; false: it comes too slowly */

bool session_start_tls(struct session *s); /* false: it is over */
/* Says 421 and closes, once no question is open. */
void session_hang_up(struct session *s, const char *enhanced, const char *text);
void session_close_saying(struct session *s, struct buf *line); /* before any greeting */

/* The PROXY header: true when it is there and understood. */
bool session_proxy(struct session *s);
void session_proxy_timeout(struct session *s);
/* The client's first bytes are a PROXY header that nobody expects: says so, and the
 * session ends. */
bool session_proxy_unexpected(struct session *s);
/* The client's address is known: it counts, and has its rights.  0, -ENOMEM, or -EUSERS. */
int session_known(struct session *s);

/* Questions to keeper, and what they end in. */
bool session_auth(struct session *s, const struct smtp_server_ask *ask);
bool session_auth_step(struct session *s, const struct smtp_server_ask *ask);
void session_auth_abort(struct session *s);
void session_exposed(struct session *s, const struct smtp_server_ask *ask);
bool session_mail(struct session *s, const struct smtp_server_ask *ask);
bool session_rcpt(struct session *s, const struct smtp_server_ask *ask);
void session_auth_result(struct session *s, const struct ipc_auth_result *m);
/* Keep the answer for as long as it says; false: it is to be told at once. */
bool session_hold_auth(struct session *s, const struct ipc_auth_result *m);
void session_let_go(struct session *s); /* tells what is held */
void session_forget_held(struct session_held *h);
/* Whether the session now waits for that role to come back, for a second at most; false: it
 * is there, or was waited for in vain. */
bool session_await(struct session *s, enum ipc_role who);
/* No answer came in time, or keeper went away. */
void session_keeper_failed(struct session *s);
void session_forget_targets(struct session *s);
struct policy_facts session_facts(const struct session *s);
void session_refuse(struct session *s, enum count_stage stage, int code, const char *enhanced,
		    const char *text, const struct smtp_path *path, const char *rule);

/* The message. */
bool session_body(struct session *s, const struct smtp_server_ask *ask);
/* The body goes on to queue as far as queue takes it: false to wait for more credit. */
bool session_push(struct session *s);
bool session_commit(struct session *s);
void session_stored(struct session *s, int result);
void session_message_begin(struct session *s);
void session_message_over(struct session *s);
void session_find_message_id(struct session *s); /* into tx.message_id */
void session_tell_accepted(struct session *s);
/* The engine refused a message for what is in it, and said so. */
void session_message_refused(struct session *s);

/* Limits of the whole server.  False: it waits for ledger's word. */
bool session_limits_connect(struct session *s);
bool session_limits_greet(struct session *s, bool tls); /* false: session_greet() will be called */
bool session_limits_mail(struct session *s);
bool session_limits_rcpt(struct session *s);
void session_limits_used(struct session *s);   /* the message was stored */
void session_limits_refund(struct session *s); /* what was paid for and not used */
void session_limits_slow(struct session *s);   /* no answer came in time; the session is to be run */
void session_limits_end(struct session *s);

/* One line an outcome, counters, and what ledger is told. */
void session_log_tls(struct session *s);
void session_log_tls_failed(struct session *s, const char *why);
void session_log_auth(struct session *s, int code, bool locked, struct slice name);
void session_log_accepted(struct session *s, uint32_t targets);
void session_log_begin(struct session *s);
void session_log_end(struct session *s);
void session_mishap(struct session *s, enum ipc_mishap_kind kind, bool served);
void session_mishap_served(struct session *s); /* the one kept for the account's name */
void session_take_faults(struct session *s);

#endif
