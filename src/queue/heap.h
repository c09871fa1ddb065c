/* heap.h - what is due first: a binary heap of nodes that lie in their elements.
 *
 * O(log n) for each change, because a node knows its place.  Room is reserved
 * when an element comes to be, so that nothing fails later.
 */
#ifndef POSTERN_QUEUE_HEAP_H
#define POSTERN_QUEUE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
	uint64_t key;
	uint32_t at; /* its place, from 1; 0: not in the heap.  Zeroed memory is fine. */
};

struct heap {
	struct heap_node **node;
	size_t n, cap;
};

void heap_init(struct heap *h);
void heap_done(struct heap *h); /* never the elements */
/* Room for that many nodes in all; false: out of memory. */
bool heap_reserve(struct heap *h, size_t n);

/* Inserts the node, or moves it. */
void heap_set(struct heap *h, struct heap_node *node, uint64_t key);
void heap_remove(struct heap *h, struct heap_node *node); /* fine when it is not in it */
struct heap_node *heap_top(const struct heap *h);	  /* the least key; NULL when empty */
static inline bool heap_has(const struct heap_node *node)
{
	return node->at > 0;
}

#endif
