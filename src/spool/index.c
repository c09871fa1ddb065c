#include "spool/index.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

void index_init(struct index *x)
{
	*x = (struct index){ 0 };
	randombytes_buf(x->seed, sizeof(x->seed));
}

/* Without recursion: turns left children up until there is none. */
void index_done(struct index *x)
{
	struct entry *e = x->root;

	while (e) {
		struct entry *next = e->left;

		if (next) {
			e->left = next->right;
			next->right = e;
		} else {
			next = e->right;
			entry_free(x, e);
		}
		e = next;
	}
	x->root = NULL;
	free(x->note);
	x->note = NULL;
	x->buckets = 0;
}

static uint64_t hash(const struct index *x, const void *p, size_t n)
{
	unsigned char h[crypto_shorthash_BYTES];
	uint64_t v;

	crypto_shorthash(h, p, n, x->seed);
	memcpy(&v, h, sizeof(v));
	return v;
}

/* ---- what was said ---- */

/* Without memory the table stays as it is, and gets slower. */
static void notes_grow(struct index *x)
{
	size_t buckets = x->buckets ? 2 * x->buckets : 64;
	struct note **note = x->notes < x->buckets ? NULL : calloc(buckets, sizeof(struct note *));

	if (!note)
		return;
	for (size_t i = 0; i < x->buckets; i++)
		while (x->note[i]) {
			struct note *n = x->note[i], **to;

			x->note[i] = n->next;
			to = &note[hash(x, n->byte, n->n) & (buckets - 1)];
			n->next = *to;
			*to = n;
		}
	free(x->note);
	x->note = note;
	x->buckets = buckets;
}

static struct note *note_get(struct index *x, struct slice s)
{
	struct note **at, *n;

	notes_grow(x);
	if (x->buckets == 0)
		return NULL;
	at = &x->note[hash(x, s.p, s.n) & (x->buckets - 1)];
	for (n = *at; n && !slice_eq(slice_of(n->byte, n->n), s); n = n->next)
		;
	if (!n) {
		n = malloc(offsetof(struct note, byte) + s.n);
		if (!n)
			return NULL;
		n->refs = 0;
		n->n = (uint16_t)s.n;
		memcpy(n->byte, s.p, s.n);
		n->next = *at;
		*at = n;
		x->notes++;
	}
	n->refs++;
	return n;
}

static void note_drop(struct index *x, struct note *n)
{
	struct note **at;

	if (!n || --n->refs > 0)
		return;
	at = &x->note[hash(x, n->byte, n->n) & (x->buckets - 1)];
	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	x->notes--;
	free(n);
}

bool recipient_detail_set(struct index *x, struct index_recipient *r, struct slice detail)
{
	struct slice own = slice_head(detail, SPOOL_MARK_OWN), rest = slice_tail(detail, own.n);
	struct note *note = rest.n > 0 ? note_get(x, rest) : NULL;

	if (rest.n > 0 && !note)
		return false;
	note_drop(x, r->note);
	r->note = note;
	r->own_n = own.n & 31;
	if (own.n > 0)
		memcpy(r->own, own.p, own.n);
	return true;
}

void recipient_detail_get(const struct index_recipient *r, struct buf *to)
{
	buf_put(to, slice_of(r->own, r->own_n));
	if (r->note)
		buf_put(to, slice_of(r->note->byte, r->note->n));
}

void recipient_detail_drop(struct index *x, struct index_recipient *r)
{
	note_drop(x, r->note);
	r->note = NULL;
	r->own_n = 0;
}

/* ---- entries ---- */

const struct index_recipient *entry_marks(const struct entry *e)
{
	return e->recipients == 1 ? &e->one : e->many;
}

void entry_forget(struct index *x, struct entry *e)
{
	struct index_recipient *r = e->recipients == 1 ? &e->one : e->many;

	for (uint32_t i = 0; r && i < e->recipients; i++)
		recipient_detail_drop(x, &r[i]);
	if (e->recipients != 1)
		free(e->many);
	memset(&e->one, 0, sizeof(e->one));
}

void entry_free(struct index *x, struct entry *e)
{
	if (!e)
		return;
	entry_forget(x, e);
	free(e);
}

struct index_recipient *entry_recipients(struct entry *e)
{
	if (e->recipients == 1)
		return &e->one;
	if (!e->many)
		e->many = calloc(e->recipients, sizeof(*e->many));
	return e->many;
}

static int order(const char *a, const char *b)
{
	return memcmp(a, b, ID_LEN);
}

struct entry *index_find(const struct index *x, const char id[static ID_LEN])
{
	struct entry *e = x->root;

	while (e) {
		int c = order(id, e->id);

		if (c == 0)
			return e;
		e = c < 0 ? e->left : e->right;
	}
	return NULL;
}

struct entry *index_after(const struct index *x, const char *id)
{
	struct entry *e = x->root, *best = NULL;

	while (e) {
		if (!id || order(id, e->id) < 0) {
			best = e;
			e = e->left;
		} else {
			e = e->right;
		}
	}
	return best;
}

/* Of the treap: as if thrown, and the same each time. */
static uint64_t weight(const struct index *x, const struct entry *e)
{
	return hash(x, e->id, ID_LEN);
}

void index_insert(struct index *x, struct entry *e)
{
	struct entry **at = &x->root, *rest, **low, **high;
	uint64_t mine = weight(x, e);

	while (*at && weight(x, *at) >= mine) {
		assert(order(e->id, (*at)->id) != 0);
		at = order(e->id, (*at)->id) < 0 ? &(*at)->left : &(*at)->right;
	}
	/* Split what hung here into what is before and what is after the new one. */
	rest = *at;
	low = &e->left;
	high = &e->right;
	while (rest) {
		if (order(rest->id, e->id) < 0) {
			*low = rest;
			low = &rest->right;
			rest = rest->right;
		} else {
			*high = rest;
			high = &rest->left;
			rest = rest->left;
		}
	}
	*low = *high = NULL;
	*at = e;
}

void index_remove(struct index *x, struct entry *e)
{
	struct entry **at = &x->root, *a, *b;

	while (*at != e) {
		assert(*at);
		at = order(e->id, (*at)->id) < 0 ? &(*at)->left : &(*at)->right;
	}
	a = e->left;
	b = e->right;
	while (a && b) {
		if (weight(x, a) >= weight(x, b)) {
			*at = a;
			at = &a->right;
			a = a->right;
		} else {
			*at = b;
			at = &b->left;
			b = b->left;
		}
	}
	*at = a ? a : b;
	e->left = e->right = NULL;
}
