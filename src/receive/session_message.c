/* The message itself: body to queue, headers of our own, commit, outcome. */
#include <errno.h>

#include "base/log.h"
#include "mime/received.h"
#include "mime/submission.h"
#include "receive/session.h"

#define HEADERS_MAX 16384

void session_message_begin(struct session *s)
{
	s->begun = true;
	mime_header_init(&s->header);
}

void session_message_over(struct session *s)
{
	transaction_drop(&s->tx, s->rx);
	if (s->begun)
		mime_header_done(&s->header);
	s->in_mail = s->begun = s->committing = false;
}

bool session_push(struct session *s)
{
	if (!transaction_push(&s->tx, s->rx))
		receive_starved(s->rx, s);
	return !transaction_blocked(&s->tx);
}

bool session_body(struct session *s, const struct smtp_server_ask *ask)
{
	/* All pieces of what was fed: they lie in the connection's input, which moves
	 * when more arrives and goes at the turn's end.  ask is the engine's own. */
	while (ask->want == SMTP_SERVER_BODY) {
		s->work += ask->data.n;
		mime_header_feed(&s->header, ask->data);
		transaction_body(&s->tx, s->rx, ask->data);
		smtp_server_go_on(s->engine);
	}
	return !transaction_blocked(&s->tx) || session_push(s);
}

/* "for" names the recipient only when there is no other who could read it. */
static struct slice only_recipient(const struct session *s)
{
	if (s->tx.recipients != 1 || list_empty(&s->tx.in_order))
		return (struct slice){ NULL, 0 };
	return container_of(s->tx.in_order.next, struct target, link)->original;
}

static void put_headers(struct session *s, uint64_t now_ms, struct buf *to)
{
	struct tls_facts tls;
	struct mime_received received = { .helo = smtp_server_helo(s->engine),
					  .ip = s->ip,
					  .uid = s->uid,
					  .hostname = s->rules->engine.hostname,
					  .protocol = slice_str(smtp_server_protocol(s->engine)),
					  .id = id_slice(&s->id),
					  .rcpt = only_recipient(s),
					  .time_ms = now_ms };
	struct mime_submission lacks = { .hostname = s->rules->engine.hostname,
					 .id = id_slice(&s->id),
					 .sender = buf_slice(&s->tx.sender),
					 .time_ms = now_ms };

	conn_tls_facts(s->conn, &tls);
	received.tls_version = slice_str(tls.version);
	received.tls_cipher = slice_str(tls.cipher);
	mime_received_put(&received, to);
	if (s->rules->role != SMTP_RELAY)
		mime_submission_put(&s->header, &lacks, to);
	if (mime_header_missing(&s->header))
		buf_str(to, "\r\n");
}

static bool refuse_commit(struct session *s, int code, const char *enhanced, const char *text)
{
	session_refuse(s, COUNT_AT_COMMIT, code, enhanced, text, NULL, "commit");
	session_message_over(s);
	smtp_server_answer(s->engine, code, enhanced, text);
	return true;
}

/* The one place where an errno becomes a reply. */
static void refuse_errno(struct session *s, int err)
{
	switch (err) {
	case ENOSPC:
	case EDQUOT:
	case ENOMEM:
		refuse_commit(s, 452, "4.3.1", "no room for messages at the moment, please try again later");
		break;
	case EFBIG:
	case EMSGSIZE:
		refuse_commit(s, 552, "5.3.4", "the message is too large");
		break;
	default:
		refuse_commit(s, 451, "4.3.0", "the message could not be stored, please try again later");
		break;
	}
}

/* All of the body is with queue, or need not be. */
static bool body_is_through(struct session *s)
{
	if (s->tx.waiting.n > 0 && !s->tx.lost && !transaction_push(&s->tx, s->rx))
		receive_starved(s->rx, s);
	return s->tx.waiting.n == 0 || s->tx.lost;
}

bool session_commit(struct session *s)
{
	uint64_t now = receive_wall_ms();
	struct buf headers;
	int r;

	mime_header_end(&s->header);
	if (s->header.count[MIME_RECEIVED] > s->rules->max_hops)
		return refuse_commit(s, 554, "5.4.6", "too many hops: this message goes round in a circle");
	if (!body_is_through(s))
		return false;
	s->id = id_next(&s->rx->ids, now);
	s->tx.relax = mime_header_relaxes_tls(&s->header);
	buf_init(&headers, HEADERS_MAX);
	session_find_message_id(s);
	put_headers(s, now, &headers);
	r = buf_ok(&headers)
		    ? transaction_commit(&s->tx, s->rx, &s->id, now, s->account, buf_slice(&s->login),
					 s->listener->name, buf_slice(&headers))
		    : -ENOMEM;
	buf_done(&headers);
	if (r < 0) {
		refuse_errno(s, -r);
		return true;
	}
	s->committing = true;
	return false;
}

void session_stored(struct session *s, int result)
{
	char text[64];

	s->wait = SESSION_WAITS_FOR_PEER;
	session_deadline(s, s->rules->command_timeout_s);
	/* queue is through with it, whatever it says: there is nothing to drop. */
	s->tx.opened = false;
	s->committing = false;
	if (result != 0) {
		LOG(LOG_WARNING, "not-stored", LOG_STR("id", s->id.text), LOG_ERRNO(result));
		refuse_errno(s, result);
	} else {
		s->messages++;
		session_limits_used(s);
		s->listener->count.messages++;
		s->listener->count.recipients += s->tx.recipients;
		s->listener->count.octets += s->tx.size;
		session_log_accepted(s, (uint32_t)s->tx.targets.n);
		session_tell_accepted(s);
		session_message_over(s);
		snprintf(text, sizeof(text), "queued as %s", s->id.text);
		smtp_server_answer(s->engine, 250, "2.0.0", text);
	}
	if (s->broken)
		s->over = true;
}

void session_message_refused(struct session *s)
{
	struct slice out = smtp_server_output(s->engine), line;
	uint64_t code = 0;
	char text[128];

	if (!s->begun || out.n < 2)
		return;
	/* Its last line is the reply to the message; a RSET between two chunks is none. */
	out.n -= 2;
	line = slice_tail(out, slice_rfind(out, '\n') < out.n ? slice_rfind(out, '\n') + 1 : 0);
	if (!cur_u64(&line, 599, &code) || code < 400)
		return;
	if (!slice_copy(slice_head(slice_trim(line), sizeof(text) - 1), text, sizeof(text)))
		text[0] = 0;
	session_refuse(s, COUNT_AT_DATA, (int)code, "", text, NULL, "body");
}

void session_on_queue(struct session *s, const struct ipc_message *m)
{
	if (m->type == IPC_TYPE_credit) {
		s->tx.credit += m->credit.octets;
		if (s->wait != SESSION_WAITS_FOR_QUEUE || s->committing)
			return;
	} else if (m->type == IPC_TYPE_stored) {
		if (!s->committing) {
			/* It gave the transaction up before its end. */
			s->tx.lost = true;
			s->tx.opened = false;
			transaction_push(&s->tx, s->rx);
		} else {
			session_stored(s, (int)m->stored.result);
		}
	}
	session_run(s);
}

void session_queue_gone(struct session *s)
{
	if (!s->tx.opened)
		return;
	s->tx.lost = true;
	s->tx.opened = false;
	transaction_push(&s->tx, s->rx);
	if (s->committing)
		session_stored(s, EPIPE);
	session_run(s);
}
