#include "queue/heap.h"

#include <assert.h>

void heap_init(struct heap *h)
{
	*h = (struct heap){ 0 };
}

void heap_done(struct heap *h)
{
	free(h->node);
	*h = (struct heap){ 0 };
}

bool heap_reserve(struct heap *h, size_t n)
{
	size_t cap = h->cap ? h->cap : 64;
	struct heap_node **node;

	if (n <= h->cap)
		return true;
	while (cap < n)
		cap *= 2;
	node = reallocarray(h->node, cap, sizeof(struct heap_node *));
	if (!node)
		return false;
	h->node = node;
	h->cap = cap;
	return true;
}

/* Places count from 1: the parent of i is i / 2. */
static void put(struct heap *h, size_t at, struct heap_node *node)
{
	h->node[at - 1] = node;
	node->at = (uint32_t)at;
}

static void settle(struct heap *h, struct heap_node *node)
{
	size_t at = node->at;

	while (at > 1 && h->node[at / 2 - 1]->key > node->key) {
		put(h, at, h->node[at / 2 - 1]);
		at /= 2;
	}
	for (;;) {
		size_t child = at * 2;

		if (child < h->n && h->node[child]->key < h->node[child - 1]->key)
			child++;
		if (child > h->n || h->node[child - 1]->key >= node->key)
			break;
		put(h, at, h->node[child - 1]);
		at = child;
	}
	put(h, at, node);
}

void heap_set(struct heap *h, struct heap_node *node, uint64_t key)
{
	node->key = key;
	if (node->at == 0) {
		assert(h->n < h->cap);
		put(h, ++h->n, node);
	}
	settle(h, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
	struct heap_node *last;
	size_t at = node->at;

	if (at == 0)
		return;
	last = h->node[--h->n];
	node->at = 0;
	if (last == node)
		return;
	put(h, at, last);
	settle(h, last);
}

struct heap_node *heap_top(const struct heap *h)
{
	return h->n > 0 ? h->node[0] : NULL;
}
