#include "cli/event_text.h"

#include <string.h>

#include "cli/text.h"

static bool has(const json_t *e, const char *key)
{
	return *cli_member_text(e, key) || cli_member_number(e, key) > 0;
}

static bool is(const json_t *e, const char *key, const char *text)
{
	return !strcmp(cli_member_text(e, key), text);
}

static void put(struct buf *to, const json_t *e, const char *before, const char *key, const char *after)
{
	const char *s = cli_member_text(e, key);

	if (!has(e, key))
		return;
	buf_str(to, before);
	if (*s)
		buf_str(to, s);
	else
		buf_dec(to, (uint64_t)cli_member_number(e, key), 1);
	buf_str(to, after);
}

/* "BEFORE value AFTER" for each field that is there; ends with a row without a key. */
struct piece {
	const char *before, *key, *after;
};

static void put_all(struct buf *to, const json_t *e, const struct piece *pieces)
{
	for (; pieces->key; pieces++)
		put(to, e, pieces->before, pieces->key, pieces->after);
}

static void put_time(struct buf *to, const json_t *e, const char *before, const char *key)
{
	char text[32];

	if (!has(e, key))
		return;
	buf_str(to, before);
	buf_str(to, cli_time((uint64_t)cli_member_number(e, key), text));
}

/* ---- messages come ---- */

static void put_to(const json_t *e, struct buf *to)
{
	const json_t *rcpts = json_object_get(e, "to"), *one;
	json_int_t n = cli_member_number(e, "rcpts");
	size_t i;

	put(to, e, " to ", "to", "");
	json_array_foreach(rcpts, i, one)
	{
		buf_str(to, i ? ", " : " to ");
		buf_str(to, json_string_value(one));
	}
	if (json_is_array(rcpts) && n > (json_int_t)json_array_size(rcpts))
		buf_fmt(to, " and %d more", (int)(n - (json_int_t)json_array_size(rcpts)));
}

static void accepted(const json_t *e, struct buf *to)
{
	static const struct piece report[] = { { "report about ", "of", ", from " },
					       { "", "from", "" },
					       { 0 } };
	static const struct piece client[] = { { "; ", "size", " octets" },
					       { "; on ", "listener", "" },
					       { " (port ", "port", ")" },
					       { " from ", "ip", "" },
					       { " (", "helo", ")" },
					       { " by way of ", "via", "" },
					       { ", account ", "account", "" },
					       { ", AUTH ", "auth", "" },
					       { ", uid ", "uid", "" },
					       { ", ", "proto", "" },
					       { ", ", "tls", "" },
					       { " ", "cipher", "" },
					       { 0 } };
	static const struct piece rest[] = { { ", ", "priority", " mail" },
					     { ", Message-ID <", "message_id", ">" },
					     { 0 } };

	if (!has(e, "of"))
		buf_str(to, "from ");
	put_all(to, e, report);
	put_to(e, to);
	put_all(to, e, client);
	if (!has(e, "tls") && !has(e, "uid") && has(e, "listener"))
		buf_str(to, ", not encrypted");
	put_all(to, e, rest);
	put_time(to, e, "; not sent before ", "next_ms");
}

/* ---- and go ---- */

/* Where it was tried, as far as that is known. */
static void put_host(const json_t *e, struct buf *to)
{
	static const struct piece way[] = { { " from ", "source", "" },
					    { " by route ", "route", "" },
					    { ", ", "tls", "" },
					    { " ", "cipher", "" },
					    { 0 } };
	const char *host = cli_member_text(e, "host"), *site = cli_member_text(e, "site");

	buf_str(to, host);
	if (!is(e, "ip", host))
		put(to, e, " [", "ip", "]");
	put(to, e, ":", "port", "");
	if (!*host)
		put(to, e, "site ", "site", "");
	else if (strncmp(site, host, strlen(host)) != 0) /* a site may have the port behind its host */
		put(to, e, " (site ", "site", ")");
	put_all(to, e, way);
	if (is(e, "security", "clear"))
		buf_str(to, ", not encrypted");
	else
		put(to, e, ", ", "security", "");
	if (has(e, "fell_back"))
		buf_str(to, " because TLS failed");
	put(to, e, ", TLS policy ", "policy", "");
}

static void put_reply(const json_t *e, struct buf *to, const char *before)
{
	if (!has(e, "code") && !has(e, "status") && !has(e, "reply") && !has(e, "reason"))
		return;
	buf_str(to, before);
	put(to, e, "at ", "step", ": ");
	if (!has(e, "reply")) { /* else it begins with both */
		put(to, e, "", "code", " ");
		put(to, e, "", "status", " ");
	}
	put(to, e, "", "reply", "");
	if (has(e, "reply") && has(e, "reason"))
		buf_str(to, "; ");
	put(to, e, "", "reason", "");
}

static void put_meaning(const json_t *e, struct buf *to)
{
	put(to, e, "; ", "class", "");
	put(to, e, ": ", "meaning", "");
	/* That it is deferred, or failed, is said already. */
	if (is(e, "action", "slow"))
		buf_str(to, " The site gets mail more slowly.");
	else if (is(e, "action", "pause"))
		buf_str(to, " The site gets no mail for a while.");
}

static void attempted(const json_t *e, struct buf *to)
{
	put(to, e, "", "to", " at ");
	put_host(e, to);
	put_reply(e, to, ": ");
	put_meaning(e, to);
	put(to, e, "; took ", "ms", " ms");
}

static void outcome(const json_t *e, struct buf *to)
{
	static const struct piece whom[] = {
		{ "", "to", "" }, { " (was ", "original", ")" }, { " in ", "mailbox", "" }, { 0 }
	};
	json_int_t delay = cli_member_number(e, "delay_ms");
	char text[16];

	put_all(to, e, whom);
	if (has(e, "host") || has(e, "site")) {
		buf_str(to, " at ");
		put_host(e, to);
	}
	if (!has(e, "mailbox") || has(e, "reply")) /* else it says that it was delivered */
		put_reply(e, to, ": ");
	put_meaning(e, to);
	put(to, e, "; attempt ", "attempts", "");
	put_time(to, e, "; again at ", "next_ms");
	put_time(to, e, "; given up at ", "expires_ms");
	if (delay >= 100000)
		buf_fmt(to, "; after %s", cli_span((uint64_t)delay, text));
}

static void reported(const json_t *e, struct buf *to)
{
	json_int_t n = cli_member_number(e, "rcpts");

	put(to, e, "", "to", " is told ");
	buf_str(to, is(e, "kind", "warned")	 ? "that it is delayed"
		    : is(e, "kind", "confirmed") ? "that it arrived"
						 : "that it failed");
	if (n > 1)
		buf_fmt(to, ", for %d recipients", (int)n);
	put(to, e, ": report ", "dsn", "");
}

/* ---- the server ---- */

static void site(const json_t *e, struct buf *to)
{
	static const struct piece trouble[] = {
		{ ": ", "status", "" }, { " ", "reason", "" }, { " (", "count", " in a row)" }, { 0 }
	};

	put(to, e, "", "site", "");
	if (is(e, "what", "back")) {
		buf_str(to, ": takes mail again");
		put(to, e, ", after ", "count", " failures");
		return;
	}
	if (is(e, "what", "unknown"))
		buf_str(to, ": nobody knows where that is");
	put_all(to, e, trouble);
}

static const struct piece wrong_port[] = { { "", "ip", "" },
					   { " (", "helo", ")" },
					   { ", account ", "account", "" },
					   { " on ", "listener", "" },
					   { " (port ", "port", ")" },
					   { ": ", "what", "" },
					   { 0 } };

static void came_wrongly(const json_t *e, struct buf *to)
{
	put_all(to, e, wrong_port);
	if (has(e, "served"))
		buf_str(to, "; served all the same");
}

static const struct piece limit[] = { { "", "what", "" },
				      { " of ", "account", "" },
				      { " of uid ", "uid", "" },
				      { " of owner ", "owner", "" },
				      { " of ", "ip", "" },
				      { " on ", "listener", "" },
				      { ": ", "count", "" },
				      { " of ", "max", ", refused for now" },
				      { 0 } };
static const struct piece alarmed[] = {
	{ "", "what", "" }, { ": ", "text", "" }, { "; ", "advice", "" }, { 0 }
};
static const struct piece done_by[] = { { "by ", "by", "" }, { 0 } };
static const struct piece in_doubt[] = { { "", "to", " may get it twice: " },
					 { "", "reason", ", and it is tried again" },
					 { 0 } };
static const struct piece lost[] = { { "", "count", " events are missing here" }, { 0 } };

/* Whatever it has, in the order it came. */
static void anything(const json_t *event, struct buf *to)
{
	static const char *const heads[] = { "time", "time_ms", "kind", "id", "recipient", "transcript" };
	const char *key, *between = "";
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)event, key, v)
	{
		bool head = false;

		for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
			head |= !strcmp(key, heads[i]);
		if (head || json_is_array(v))
			continue;
		buf_str(to, between);
		between = ", ";
		buf_str(to, key);
		buf_str(to, " ");
		put(to, event, "", key, "");
	}
}

void cli_event_words(const json_t *event, struct buf *to)
{
	static const struct {
		const char *kind;
		void (*words)(const json_t *e, struct buf *to);
		const struct piece *pieces;
	} rows[] = {
		{ "accepted", accepted, NULL },
		{ "attempted", attempted, NULL },
		{ "deferred", outcome, NULL },
		{ "delivered", outcome, NULL },
		{ "relayed", outcome, NULL },
		{ "failed", outcome, NULL },
		{ "expired", outcome, NULL },
		{ "discarded", outcome, NULL },
		{ "forwarded", outcome, NULL },
		{ "bounced", reported, NULL },
		{ "warned", reported, NULL },
		{ "confirmed", reported, NULL },
		{ "wrong-port", came_wrongly, NULL },
		{ "site", site, NULL },
		{ "limit", NULL, limit },
		{ "alarm", NULL, alarmed },
		{ "held", NULL, done_by },
		{ "released", NULL, done_by },
		{ "removed", NULL, done_by },
		{ "retried", NULL, done_by },
		{ "given-up", NULL, done_by },
		{ "in-doubt", NULL, in_doubt },
		{ "lost", NULL, lost },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!is(event, "kind", rows[i].kind))
			continue;
		if (rows[i].words)
			rows[i].words(event, to);
		else
			put_all(to, event, rows[i].pieces);
		return;
	}
	anything(event, to);
}
