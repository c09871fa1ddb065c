#include "history/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/wire.h"

#define HASHES_AN_EVENT 2000 /* more than the fields of one can have: one is of 4 octets or more */

_Static_assert(EVENT_KINDS_END <= 32, "a bit for each kind");
_Static_assert(BATCH_OCTETS >= 2 * IPC_EVENT_MAX, "any event fits");
_Static_assert(IPC_EVENT_MAX / 4 <= HASHES_AN_EVENT + 100, "hashes of any event fit");

struct batch *batch_new(void)
{
	struct batch *b = malloc(sizeof(*b));

	if (!b)
		return NULL;
	list_init(&b->link);
	b->first = b->first_ms = b->last_ms = 0;
	b->row = 0;
	b->n = b->n_hashes = b->stored = 0;
	b->octets = 0;
	return b;
}

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

/* FNV-1a: nobody gains by a collision but a moment of our time. */
uint32_t batch_hash(enum batch_name kind, struct slice name)
{
	uint64_t h = (UINT64_C(0xcbf29ce484222325) ^ kind) * UINT64_C(0x100000001b3);
	bool exact = kind == BATCH_ID || kind == BATCH_MESSAGE_ID;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (exact ? name.p[i] : lower(name.p[i]))) * UINT64_C(0x100000001b3);
	return (uint32_t)((h ^ h >> 24 ^ h >> 48) & 0xffffff);
}

/* The kind of name that a field is found by; 0: it is not. */
static enum batch_name name_of(enum event_key key)
{
	switch (key) {
	case EVENT_KEY_MESSAGE_ID:
		return BATCH_MESSAGE_ID;
	case EVENT_KEY_FROM:
	case EVENT_KEY_TO:
	case EVENT_KEY_ORIGINAL:
		return BATCH_ADDRESS;
	case EVENT_KEY_ACCOUNT:
		return BATCH_ACCOUNT;
	case EVENT_KEY_DSN:
	case EVENT_KEY_OF:
		return BATCH_ID;
	case EVENT_KEY_SITE_NAME:
		return BATCH_SITE;
	default:
		return (enum batch_name)0;
	}
}

static void add_hash(struct batch *b, enum batch_name kind, struct slice name)
{
	uint32_t h = batch_hash(kind, name);

	/* Events of one message come together. */
	for (uint32_t i = 0; i < 8 && i < b->n_hashes; i++)
		if (b->hash[b->n_hashes - 1 - i] == h)
			return;
	if (b->n_hashes < BATCH_HASHES)
		b->hash[b->n_hashes++] = h;
}

void batch_put(const struct ipc_event *e, struct buf *to)
{
	wire_put_u8(to, e->kind);
	wire_put_u64(to, e->time_ms);
	wire_put_u32(to, e->recipient);
	wire_put_u8(to, (uint8_t)e->id.n);
	buf_put(to, e->id);
	wire_put_u16(to, (uint16_t)e->fields.n);
	buf_put(to, e->fields);
}

bool batch_take(struct slice *cur, struct ipc_event *ret)
{
	struct slice c = *cur;
	struct ipc_event e = { 0 };
	uint8_t id_n;
	uint16_t n;

	if (!wire_u8(&c, &e.kind) || !wire_u64(&c, &e.time_ms) || !wire_u32(&c, &e.recipient) ||
	    !wire_u8(&c, &id_n) || !cur_take(&c, id_n, &e.id) || !wire_u16(&c, &n) ||
	    !cur_take(&c, n, &e.fields) || !event_is_sound(&e))
		return false;
	*cur = c;
	*ret = e;
	return true;
}

bool batch_add(struct batch *b, const struct ipc_event *e)
{
	struct slice cur = e->fields;
	struct event_field f;
	struct buf to;

	if (b->n > 0 && b->n_hashes > BATCH_HASHES - HASHES_AN_EVENT)
		return false;
	buf_init_in(&to, b->bytes + b->octets, BATCH_OCTETS - b->octets);
	batch_put(e, &to);
	if (!buf_ok(&to))
		return false;
	b->octets += to.n;
	if (b->n == 0 || e->time_ms < b->first_ms)
		b->first_ms = e->time_ms;
	if (b->n == 0 || e->time_ms > b->last_ms)
		b->last_ms = e->time_ms;
	b->n++;
	if (e->id.n > 0)
		add_hash(b, BATCH_ID, e->id);
	while (event_take(&cur, &f)) {
		enum batch_name name = name_of(f.key);

		if (name && (name != BATCH_SITE || e->id.n == 0))
			add_hash(b, name, f.text);
	}
	return true;
}

/* ---- which events ---- */

static struct slice domain_of(struct slice address)
{
	return slice_tail(address, slice_rfind(address, '@') + 1);
}

bool batch_matches(const struct batch_match *m, const struct ipc_event *e)
{
	bool id = m->id.n == 0 || slice_eq(m->id, e->id), name = m->name.n == 0, account = m->account.n == 0,
	     domain = m->domain.n == 0, site = m->site.n == 0;
	struct slice cur = e->fields;
	struct event_field f;

	if ((m->kinds && !(m->kinds & UINT32_C(1) << e->kind)) || e->time_ms < m->since_ms ||
	    (m->until_ms && e->time_ms > m->until_ms) || (m->no_message && e->id.n > 0))
		return false;
	while (!(id && name && account && domain && site) && event_take(&cur, &f)) {
		switch (name_of(f.key)) {
		case BATCH_ID:
			id |= slice_eq(f.text, m->id);
			break;
		case BATCH_MESSAGE_ID:
			name |= slice_eq(f.text, m->name);
			break;
		case BATCH_ADDRESS:
			name |= slice_eq_nocase(f.text, m->name);
			domain |= slice_eq_nocase(domain_of(f.text), m->domain);
			break;
		case BATCH_ACCOUNT:
			account |= slice_eq_nocase(f.text, m->account);
			break;
		case BATCH_SITE:
			site |= slice_eq_nocase(f.text, m->site);
			break;
		default:
			domain |= f.key == EVENT_KEY_DOMAIN && slice_eq_nocase(f.text, m->domain);
			break;
		}
	}
	return id && name && account && domain && site;
}
