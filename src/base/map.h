/* map.h - an intrusive hash table keyed by bytes.
 *
 * The node is a member of the element; its key is a slice that the element
 * owns and must not change while it is in the table.  The hash is keyed with a
 * random secret (SipHash), so a peer who chooses keys cannot choose collisions.
 * Not a bounded container: whoever inserts counts, and refuses past a ceiling.
 */
#ifndef POSTERN_BASE_MAP_H
#define POSTERN_BASE_MAP_H

#include "base/slice.h"

struct map_node {
	struct map_node *next;
	uint64_t hash;
	struct slice key;
};

struct map {
	struct map_node **bucket;
	size_t buckets; /* a power of two */
	size_t n;
	size_t lowest; /* the buckets before this one are empty */
};

int map_init(struct map *m);  /* 0 or -ENOMEM */
void map_done(struct map *m); /* frees the table, never the elements */

struct map_node *map_find(const struct map *m, struct slice key); /* NULL if absent */
/* The key must not be present.  When memory for a larger table is lacking the
 * table stays as it is and only gets slower. */
void map_insert(struct map *m, struct map_node *node, struct slice key);
void map_remove(struct map *m, struct map_node *node);

/* Visit all: start with NULL, end at NULL.  The element returned last may have
 * been removed only by way of map_take_any(). */
struct map_node *map_next(const struct map *m, const struct map_node *after);
/* Remove and return some element, NULL when empty: the way to empty a table. */
struct map_node *map_take_any(struct map *m);

#endif
