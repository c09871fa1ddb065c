#include "spool/index.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

void index_init(struct index *x)
{
	*x = (struct index){ .seed = randombytes_random() | 1 };
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
			entry_free(e);
		}
		e = next;
	}
	x->root = NULL;
}

void entry_forget(struct entry *e)
{
	if (e->recipient)
		for (uint32_t i = 0; i < e->recipients; i++)
			free(e->recipient[i].detail);
	free(e->recipient);
	e->recipient = NULL;
}

void entry_free(struct entry *e)
{
	if (!e)
		return;
	entry_forget(e);
	free(e);
}

struct index_recipient *entry_recipients(struct entry *e)
{
	if (!e->recipient)
		e->recipient = calloc(e->recipients, sizeof(*e->recipient));
	return e->recipient;
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

static uint32_t next_weight(struct index *x)
{
	x->seed ^= x->seed << 13;
	x->seed ^= x->seed >> 17;
	x->seed ^= x->seed << 5;
	return x->seed;
}

void index_insert(struct index *x, struct entry *e)
{
	struct entry **at = &x->root, *rest, **low, **high;

	e->weight = next_weight(x);
	while (*at && (*at)->weight >= e->weight) {
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
		if (a->weight >= b->weight) {
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
