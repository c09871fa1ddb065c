/* There is one way to write an event: what is read from a batch writes to the very bytes it was
 * read from, and fits into a batch again, where each name of it is found.  Its JSON is printable text
 * of balanced quotes, however hostile what a peer said. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "history/batch.h"
#include "history/event_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool has(const struct batch *b, uint32_t hash)
{
	for (uint32_t i = 0; i < b->n_hashes; i++)
		if (b->hash[i] == hash)
			return true;
	return false;
}

static void same_bytes(const struct ipc_event *e, struct slice at)
{
	static unsigned char room[IPC_EVENT_MAX + 64];
	struct buf b;

	buf_init_in(&b, room, sizeof(room));
	batch_put(e, &b);
	if (!buf_ok(&b) || at.n < b.n || memcmp(room, at.p, b.n) != 0)
		abort();
}

static void is_found(const struct ipc_event *e)
{
	struct batch_match any = { 0 }, by_id = { .id = e->id }, other = { .id = SLICE_LIT("ZZZZZZZZZZZZZ") };
	struct batch *b = batch_new();
	struct slice cur = e->fields;
	struct event_field f;

	if (!b)
		return;
	if (!batch_add(b, e) || !batch_matches(&any, e) || !batch_matches(&by_id, e))
		abort();
	if (e->id.n > 0 && !has(b, batch_hash(BATCH_ID, e->id)))
		abort();
	while (event_take(&cur, &f)) {
		struct batch_match name = { .name = f.text }, account = { .account = f.text },
				   site = { .site = f.text };

		if (f.key == EVENT_KEY_TO &&
		    (!batch_matches(&name, e) || !has(b, batch_hash(BATCH_ADDRESS, f.text))))
			abort();
		if (f.key == EVENT_KEY_ACCOUNT &&
		    (!batch_matches(&account, e) || !has(b, batch_hash(BATCH_ACCOUNT, f.text))))
			abort();
		if (f.key == EVENT_KEY_SITE_NAME &&
		    (!batch_matches(&site, e) || (e->id.n == 0 && !has(b, batch_hash(BATCH_SITE, f.text)))))
			abort();
		if (f.key == EVENT_KEY_MESSAGE_ID && !has(b, batch_hash(BATCH_MESSAGE_ID, f.text)))
			abort();
		if ((f.key == EVENT_KEY_DSN || f.key == EVENT_KEY_OF) && slice_eq(f.text, other.id))
			other.id = SLICE_LIT("none");
	}
	if (!slice_eq(e->id, other.id) && batch_matches(&other, e))
		abort();
	free(b);
}

static void is_json(const struct ipc_event *e)
{
	static unsigned char room[6 * IPC_EVENT_MAX + 4096];
	int depth = 0;
	bool quoted = false;
	struct slice s;
	struct buf b;

	buf_init_in(&b, room, sizeof(room));
	event_json_put(e, &b);
	if (!buf_ok(&b))
		abort();
	for (s = buf_slice(&b); s.n > 0;) {
		size_t n = utf8_length(s);

		if (n == 0 || s.p[0] < 0x20 || s.p[0] == 0x7f)
			abort();
		if (quoted && s.p[0] == '\\')
			n = 2;
		else if (s.p[0] == '"')
			quoted = !quoted;
		else if (!quoted)
			depth += s.p[0] == '{' || s.p[0] == '[' ? 1 : s.p[0] == '}' || s.p[0] == ']' ? -1 : 0;
		s = slice_tail(s, n);
		if (depth <= 0 && s.n > 0)
			abort();
	}
	if (depth != 0 || quoted)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice cur = slice_of(data, n);
	struct slice at = cur;
	struct ipc_event e;

	while (batch_take(&cur, &e)) {
		same_bytes(&e, at);
		at = cur;
		if (e.fields.n > IPC_EVENT_MAX)
			continue;
		is_found(&e);
		is_json(&e);
	}
	return 0;
}
