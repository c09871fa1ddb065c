#include "cli/event_text.h"

#include <string.h>

#include "cli/text.h"

static bool has(const json_t *e, const char *key)
{
	return *cli_member_text(e, key) || cli_member_number(e, key) > 0;
}

/* "BEFORE value AFTER" where there is one. */
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

static void put_time(struct buf *to, const json_t *e, const char *before, const char *key)
{
	char text[32];

	if (!has(e, key))
		return;
	buf_str(to, before);
	buf_str(to, cli_time((uint64_t)cli_member_number(e, key), text));
}

static void accepted(const json_t *e, struct buf *to)
{
	const json_t *rcpts = json_object_get(e, "to"), *one;
	json_int_t n = cli_member_number(e, "rcpts");
	size_t i;

	put(to, e, "from ", "from", "");
	json_array_foreach(rcpts, i, one)
	{
		buf_str(to, i ? ", " : " to ");
		buf_str(to, json_string_value(one));
	}
	if (n > (json_int_t)json_array_size(rcpts))
		buf_fmt(to, " and %d more", (int)(n - (json_int_t)json_array_size(rcpts)));
	put(to, e, "; ", "size", " octets");
	put(to, e, "; on ", "listener", "");
	put(to, e, " (port ", "port", ")");
	put(to, e, " from ", "ip", "");
	put(to, e, " (", "helo", ")");
	put(to, e, " by way of ", "via", "");
	put(to, e, ", account ", "account", "");
	put(to, e, ", AUTH ", "auth", "");
	put(to, e, ", uid ", "uid", "");
	put(to, e, ", ", "proto", "");
	if (has(e, "tls"))
		put(to, e, ", ", "tls", "");
	else if (!has(e, "uid") && has(e, "listener"))
		buf_str(to, ", not encrypted");
	put(to, e, " ", "cipher", "");
	put(to, e, ", ", "priority", " mail");
	put(to, e, ", Message-ID <", "message_id", ">");
}

/* Where it was tried, as far as that is known. */
static void put_host(const json_t *e, struct buf *to)
{
	put(to, e, "", "host", "");
	put(to, e, " [", "ip", "]");
	put(to, e, ":", "port", "");
	if (strcmp(cli_member_text(e, "site"), cli_member_text(e, "host")) != 0)
		put(to, e, " (site ", "site", ")");
	put(to, e, " from ", "source", "");
	put(to, e, " by route ", "route", "");
	put(to, e, ", ", "tls", "");
	put(to, e, ", ", "security", "");
	put(to, e, ", TLS policy ", "policy", "");
	if (has(e, "fell_back"))
		buf_str(to, ", fell back to clear text");
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
	put(to, e, "; ", "action", "");
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
	json_int_t delay = cli_member_number(e, "delay_ms");
	char text[16];

	put(to, e, "", "to", "");
	put(to, e, " (was ", "original", ")");
	put(to, e, " in ", "mailbox", "");
	if (has(e, "host") || has(e, "site")) {
		buf_str(to, " at ");
		put_host(e, to);
	}
	put_reply(e, to, ": ");
	put_meaning(e, to);
	put(to, e, "; attempt ", "attempts", "");
	put_time(to, e, "; again at ", "next_ms");
	put_time(to, e, "; given up at ", "expires_ms");
	if (delay >= 100000)
		buf_fmt(to, "; after %s", cli_span((uint64_t)delay, text));
	if (has(e, "possibly_twice"))
		buf_str(to, "; possibly twice");
}

static void wrong_port(const json_t *e, struct buf *to)
{
	put(to, e, "", "ip", "");
	put(to, e, " (", "helo", ")");
	put(to, e, ", account ", "account", "");
	put(to, e, " on ", "listener", "");
	put(to, e, " (port ", "port", ")");
	put(to, e, ": ", "what", "");
	if (has(e, "served"))
		buf_str(to, "; served all the same");
}

static void limit(const json_t *e, struct buf *to)
{
	put(to, e, "", "what", "");
	put(to, e, " of ", "account", "");
	put(to, e, " of uid ", "uid", "");
	put(to, e, " of owner ", "owner", "");
	put(to, e, " of ", "ip", "");
	put(to, e, " on ", "listener", "");
	put(to, e, ": ", "count", "");
	put(to, e, " of ", "max", ", refused for now");
}

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
	} rows[] = {
		{ "accepted", accepted },     { "attempted", attempted }, { "deferred", outcome },
		{ "delivered", outcome },     { "relayed", outcome },	  { "failed", outcome },
		{ "expired", outcome },	      { "discarded", outcome },	  { "forwarded", outcome },
		{ "wrong-port", wrong_port }, { "limit", limit },
	};
	const char *kind = cli_member_text(event, "kind");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].kind, kind)) {
			rows[i].words(event, to);
			return;
		}
	if (!strcmp(kind, "lost"))
		put(to, event, "", "count", " events are missing here");
	else
		anything(event, to);
}
