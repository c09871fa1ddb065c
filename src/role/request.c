/* The command line's questions as a role sees them: decode, answer, forget. */
#include "role/request.h"

#include <errno.h>

#include "base/log.h"

static void forget(struct role_request *req)
{
	if (req->json)
		json_decref(req->json);
	if (req->kept) {
		if (req->secret.n > 0)
			explicit_bzero((void *)(uintptr_t)req->secret.p, req->secret.n);
		free((void *)(uintptr_t)req->secret.p);
		free(req);
		return;
	}
	req->json = NULL;
	req->done = true;
}

static struct channel *way_back(const struct role_request *req)
{
	struct role_peer *p = role_peer_slot(req->role, req->who, req->index);

	return p && p->ch && p->link == req->link ? p->ch : NULL;
}

void role_answer_text(struct role_request *req, struct slice json, bool last)
{
	struct channel *ch = way_back(req);
	struct ipc_message m = { .type = IPC_TYPE_response,
				 .response = { .req = req->req, .last = last, .json = json } };
	int r = ch ? channel_send(ch, &m, -1) : 0;

	if (r < 0)
		LOG(LOG_WARNING, "answer-lost", LOG_ERRNO(r), LOG_STR("ask", req->ask));
	if (last)
		forget(req);
}

void role_answer(struct role_request *req, json_t *part, bool last)
{
	char *text = part ? json_dumps(part, JSON_COMPACT) : NULL;
	struct slice json = slice_str(text);

	if (!text)
		json = SLICE_LIT("{\"error\":\"out of memory\"}");
	else if (json.n > IPC_CHUNK_MAX)
		json = SLICE_LIT("{\"error\":\"the answer is too long\"}");
	role_answer_text(req, json, last);
	if (text) {
		explicit_bzero(text, strlen(text)); /* a new API key may be in it */
		free(text);
	}
	if (part)
		json_decref(part);
}

void role_answer_error(struct role_request *req, const char *error, const char *advice)
{
	json_t *j = advice ? json_pack("{s:s, s:s}", "error", error, "advice", advice)
			   : json_pack("{s:s}", "error", error);

	role_answer(req, j, true);
}

struct role_request *role_request_keep(struct role_request *req)
{
	struct role_request *kept = malloc(sizeof(*kept));
	unsigned char *secret = malloc(req->secret.n + 1);

	if (!kept || !secret) {
		free(kept);
		free(secret);
		return NULL;
	}
	*kept = *req;
	kept->kept = true;
	if (req->secret.n > 0)
		memcpy(secret, req->secret.p, req->secret.n);
	kept->secret.p = secret;
	req->json = NULL;
	req->done = true;
	return kept;
}

size_t role_answer_room(const struct role_request *req)
{
	struct channel *ch = way_back(req);

	return ch ? channel_room(ch) : 0;
}

void role_request_run(struct role *r, struct role_peer *from, const struct ipc_request *m)
{
	struct role_request req = { .role = r,
				    .who = from->who,
				    .index = from->index,
				    .link = from->link,
				    .req = m->req,
				    .ask = "",
				    .secret = m->secret };
	json_error_t e;

	req.json = json_loadb((const char *)m->json.p, m->json.n, JSON_REJECT_DUPLICATES, &e);
	if (req.json && json_is_object(req.json))
		req.ask = json_string_value(json_object_get(req.json, "ask"));
	if (!req.json || !req.ask || !*req.ask) {
		req.ask = "";
		role_answer_error(&req, "not a question: a JSON object with \"ask\" is expected", NULL);
		return;
	}
	if (!strcmp(req.ask, "status"))
		role_answer(&req, role_own_status(r), true);
	else if (r->ops->request)
		r->ops->request(r, &req);
	else
		role_answer_error(&req, "this role answers no such question", NULL);
	if (!req.done) {
		LOG(LOG_ERR, "request-unanswered", LOG_STR("ask", req.ask));
		role_answer_error(&req, "the question found no answer: a bug", NULL);
	}
}
