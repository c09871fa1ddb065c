/* client_private.h - the client engine as its files see it.  Not for others. */
#ifndef POSTERN_SMTP_CLIENT_PRIVATE_H
#define POSTERN_SMTP_CLIENT_PRIVATE_H

#include "smtp/client.h"
#include "smtp/reply.h"

#define CLIENT_OUTPUT_MAX  (192U << 10)
#define CLIENT_OUTPUT_FULL (32U << 10) /* then no more body or commands are taken */

#define CLIENT_CHUNK_FULL  (64U << 10) /* then it goes, as one of several */
#define CLIENT_CHUNK_KEPT  (16U << 10) /* of its memory, between messages */
#define CLIENT_DOMAINS_MAX 128

/* Where a recipient stands. */
enum client_rcpt {
	RCPT_OPEN,
	RCPT_ACCEPTED,
	RCPT_DONE,
	RCPT_UNFIT, /* done too, and never named to the server */
};

#define SAID_FIRST 1024 /* of the transcript: how the connection began */
#define SAID_LAST  (SMTP_CLIENT_TRANSCRIPT_MAX - SAID_FIRST - 64)
#define SAID_LINE  400

/* client_transcript.c: what was said.  The beginning is kept, of a message its end. */
struct client_said {
	bool message; /* one began: it goes to the last */
	char first[SAID_FIRST], last[SAID_LAST];
	size_t first_n;
	size_t last_n; /* ever written; where it is more than fits, the oldest is gone */
};

/* client_auth.c */
struct client_auth {
	char mechs[256]; /* offered, one blank between */
	size_t mechs_n;
	unsigned refused;
	bool wanted;	/* the question is open */
	bool challenge; /* this one is */
	bool done, cancelled;
	bool later; /* the initial response waits for the server to ask for it */
	struct buf initial, data;
};

/* One message on its way. */
struct client_tx {
	const struct smtp_client_message *m; /* NULL: there is none */
	unsigned char *rcpt;		     /* enum client_rcpt, one each */
	uint32_t next_rcpt;		     /* to be sent */
	uint32_t at_rcpt;		     /* whose answer comes next */
	uint32_t accepted;		     /* and not answered for good */
	unsigned unanswered;		     /* commands of this message */
	bool mail_sent, mail_answered, mail_refused;
	bool data_sent;
	bool void_dot;	  /* nobody accepted, and yet 354: the dot's answer is for nobody */
	bool bdat;	  /* it goes by BDAT, and that is next or has begun */
	bool bdat_last;	  /* all of it is said */
	bool bdat_failed; /* a chunk was refused: RSET is due */
	uint64_t body_n;
	bool bol, cr; /* of the body: at the beginning of a line; a CR came last */
};

struct smtp_client {
	const struct smtp_client_setup *setup;
	struct smtp_client_ask ask;
	enum smtp_client_step step;
	struct smtp_client_offers offers;
	struct smtp_reply reply;
	uint64_t replies;
	struct buf output;
	bool tls_now, in_tls;
	bool secret; /* the output has held one since it was empty */
	uint32_t mails;
	bool helo;   /* the server did not know EHLO */
	bool us;     /* it calls itself by our own name */
	bool closed; /* nothing more will be said or heard */
	struct {
		bool on; /* the driver said so */
		char enhanced[16], text[SMTP_REPLY_TEXT_MAX + 1];
	} lost;

	struct client_tx tx;   /* the message */
	struct client_tx next; /* the one behind it: smtp_client_ahead() */
	struct buf ahead;      /* what was said of that: last in the output, until it is sent */
	uint32_t fit, domains; /* of the one begun last: recipients that may be named, and their domains */
	uint32_t domain_at[CLIENT_DOMAINS_MAX];
	char unfit[128];   /* why a message is, with numbers */
	bool mute;	   /* what is said goes to the transcript later */
	bool chunking_odd; /* of the connection: it offers what it does not know */
	struct buf chunk;

	struct client_auth auth;
	struct client_said said;

	/* Recipients from here on get this result, one question each. */
	struct {
		bool on;
		uint32_t at, end;
		enum client_rcpt from; /* only those that stand here, or anywhere before DONE (RCPT_DONE) */
		enum smtp_client_result result;
		bool in_doubt, broken;
		enum smtp_client_step step;
		int code;
		char enhanced[16], text[SMTP_REPLY_TEXT_MAX + 1];
		size_t text_n;
	} verdict;
};

/* What to do next: the next result, command, or question. */
void client_advance(struct smtp_client *c);
/* The verdict for recipients at to end - 1, from the last reply, or from words. */
void client_judge(struct smtp_client *c, uint32_t at, uint32_t end, enum client_rcpt from,
		  enum smtp_client_result result);
void client_judge_words(struct smtp_client *c, uint32_t at, uint32_t end, enum client_rcpt from,
			enum smtp_client_result result, const char *enhanced, const char *text);
/* The connection is of no use any more: whoever waits is deferred. */
void client_break(struct smtp_client *c, const char *enhanced, const char *text);
void client_break_by_reply(struct smtp_client *c);
/* The same, once the verdict that is under way has been told. */
void client_lose(struct smtp_client *c, const char *enhanced, const char *text);

void client_say(struct smtp_client *c, const char *command);

/* client_hello.c */
void client_say_hello(struct smtp_client *c);
void client_on_greeting(struct smtp_client *c);
void client_on_hello(struct smtp_client *c);
void client_on_starttls(struct smtp_client *c);
void client_on_offer(struct smtp_client *c, struct slice line);
void client_on_name(struct smtp_client *c, struct slice line);

/* client_auth.c */
void client_auth_offer(struct smtp_client *c, struct slice mechs);
void client_auth_begin(struct smtp_client *c);
void client_on_auth(struct smtp_client *c);
void client_auth_done(struct smtp_client *c); /* frees */
bool client_auth_asks(struct smtp_client *c); /* the question is one of its own */

/* client_transcript.c */
void client_said(struct smtp_client *c, char who, struct slice line);
/* A command: what the output holds from there on, but for its line end. */
void client_said_from(struct smtp_client *c, size_t from);
void client_said_reply(struct smtp_client *c); /* the reply's last line */
void client_said_message(struct smtp_client *c);

/* client_ahead.c */
/* Of the output, what is said of the next message. */
size_t client_ahead_n(const struct smtp_client *c);
/* Its turn has come. */
void client_ahead_begins(struct smtp_client *c);
void client_ahead_done(struct smtp_client *c); /* frees */

/* client_fit.c */
/* The sender's side of it is wrong for every recipient.  NULL, or why: valid until it is asked again. */
const char *client_unfit(struct smtp_client *c, const struct smtp_client_message *m,
			 const char **ret_enhanced);
/* Asked once for each, in order: it counts. */
const char *client_unfit_rcpt(struct smtp_client *c, uint32_t at, const char **ret_enhanced);

/* client_message.c */
bool client_is_lmtp(const struct smtp_client *c);
bool client_tx_begin(struct smtp_client *c, const struct smtp_client_message *m); /* false: no memory */
void client_send_commands(struct smtp_client *c);
void client_on_mail(struct smtp_client *c);
void client_on_rcpt(struct smtp_client *c);
void client_on_data(struct smtp_client *c);
void client_on_final(struct smtp_client *c);
void client_transaction(struct smtp_client *c); /* advance within one */
void client_message_over(struct smtp_client *c);

#endif
