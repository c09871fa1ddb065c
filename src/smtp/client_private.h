/* client_private.h - the client engine as its files see it.  Not for others. */
#ifndef POSTERN_SMTP_CLIENT_PRIVATE_H
#define POSTERN_SMTP_CLIENT_PRIVATE_H

#include "smtp/client.h"
#include "smtp/reply.h"

#define CLIENT_OUTPUT_MAX  (96U << 10)
#define CLIENT_OUTPUT_FULL (32U << 10) /* then no more body or commands are taken */

/* Where a recipient stands. */
enum client_rcpt {
	RCPT_OPEN,
	RCPT_ACCEPTED,
	RCPT_DONE,
	RCPT_UNFIT, /* done too, and never named to the server */
};

/* What the server offers; false for all before it answered EHLO or LHLO. */
struct smtp_client_offers {
	bool esmtp, pipelining, size, eightbitmime, smtputf8, dsn, chunking, enhanced, starttls;
	uint64_t max_size; /* 0: it has none, or does not say */
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
	bool helo;   /* the server did not know EHLO */
	bool closed; /* nothing more will be said or heard */
	struct {
		bool on; /* the driver said so */
		char enhanced[16], text[SMTP_REPLY_TEXT_MAX + 1];
	} lost;

	/* The message. */
	const struct smtp_client_message *m;
	unsigned char *rcpt; /* enum client_rcpt, one each */
	uint32_t next_rcpt;  /* to be sent */
	uint32_t at_rcpt;    /* whose answer comes next */
	uint32_t accepted;   /* and not answered for good */
	unsigned unanswered; /* commands of this message */
	bool mail_sent, mail_answered, mail_refused;
	bool data_sent;
	bool void_dot; /* nobody accepted, and yet 354: the dot's answer is for nobody */
	bool bol, cr;  /* of the body: at the beginning of a line; a CR came last */

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

/* client_message.c */
void client_send_commands(struct smtp_client *c);
void client_on_mail(struct smtp_client *c);
void client_on_rcpt(struct smtp_client *c);
void client_on_data(struct smtp_client *c);
void client_on_final(struct smtp_client *c);
void client_transaction(struct smtp_client *c); /* advance within one */
void client_message_over(struct smtp_client *c);

#endif
