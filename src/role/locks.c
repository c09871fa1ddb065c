#include "role/locks.h"

#include <sodium.h>

#include "base/log.h"

#define ROWS_MAX  1000
#define PART_ROWS 50

static struct account_guess_limits limits_of(const struct conf *conf)
{
	return (struct account_guess_limits){ .per_address = conf->guess_per_address,
					      .per_network = conf->guess_per_network,
					      .per_account = conf->guess_per_account,
					      .per_known = conf->guess_per_known,
					      .period_s = conf->guess_period_s,
					      .lock_s = conf->guess_lock_s,
					      .lock_max_s = conf->guess_lock_max_s,
					      .ipv4_bits = conf->ipv4_network,
					      .ipv6_bits = conf->ipv6_network,
					      .exempt = conf->exempt_networks,
					      .n_exempt = conf->n_exempt_networks };
}

int locks_new(const struct conf *conf, struct account_guess **ret)
{
	struct account_guess_limits limits = limits_of(conf);
	unsigned char secret[16];

	randombytes_buf(secret, sizeof(secret));
	return account_guess_new(&limits, secret, ret);
}

int locks_configure(struct account_guess *g, const struct conf *conf)
{
	struct account_guess_limits limits = limits_of(conf);

	return account_guess_configure(g, &limits);
}

void locks_log(const struct account_auth_event *e)
{
	char ip[IP_TEXT_MAX];

	if (e->begun != ACCOUNT_GUESS_FREE)
		LOG(LOG_WARNING, "login-locked", LOG_STR("what", account_guess_lock_name(e->begun)),
		    LOG_U("seconds", e->begun_s), LOG_STR("ip", ip_format(&e->ip, ip)),
		    LOG_S("user", slice_head(e->name, ACCOUNT_ADDRESS_MAX)));
}

struct listing {
	struct role_request *req;
	json_t *rows;
	size_t n;
};

static void send_part(struct listing *l)
{
	role_answer(l->req, json_pack("{s:o}", "locks", l->rows), false);
	l->rows = NULL;
}

static bool list_one(void *arg, const struct account_guess_row *row)
{
	struct listing *l = arg;

	if (!l->rows)
		l->rows = json_array();
	json_array_append_new(l->rows, json_pack("{s:s, s:s, s:I, s:I, s:b, s:i}", "kind",
						 account_guess_lock_name(row->what), "who", row->who, "count",
						 (json_int_t)row->count, "seconds",
						 (json_int_t)((row->left_ms + 999) / 1000), "locked",
						 row->left_ms > 0, "times", (int)row->strikes));
	if (json_array_size(l->rows) >= PART_ROWS)
		send_part(l);
	return ++l->n < ROWS_MAX;
}

static void list(const struct account_guess *g, uint64_t now_ms, struct role_request *req)
{
	struct listing l = { .req = req };

	account_guess_each(g, now_ms, list_one, &l);
	if (l.rows)
		send_part(&l);
	role_answer(req, json_pack("{s:b}", "cut", (int)(l.n >= ROWS_MAX)), true);
}

static void clear(struct account_guess *g, struct role_request *req)
{
	const char *who = json_string_value(json_object_get(req->json, "who"));
	size_t n;

	if (!who) {
		role_answer_error(req, "who is missing", NULL);
		return;
	}
	n = account_guess_clear(g, slice_str(who));
	LOG(LOG_NOTICE, "locks-cleared", LOG_STR("who", *who ? who : "all"), LOG_U("counts", n));
	role_answer(req, json_pack("{s:I}", "cleared", (json_int_t)n), true);
}

void locks_request(struct account_guess *g, uint64_t now_ms, struct role_request *req)
{
	if (strcmp(req->ask, "lock.list") == 0)
		list(g, now_ms, req);
	else if (strcmp(req->ask, "lock.clear") == 0)
		clear(g, req);
	else
		role_answer_error(req, "keeper answers no such question", NULL);
}

json_t *locks_status(const struct account_guess *g)
{
	struct account_guess_counters n;

	account_guess_count(g, &n);
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "wrong", (json_int_t)n.wrong, "repeated",
			 (json_int_t)n.repeated, "refused", (json_int_t)n.refused, "locks",
			 (json_int_t)n.locks, "washed_out", (json_int_t)n.washed_out);
}
