#include "base/map.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#define FIRST_BUCKETS 16

/* One for all maps of the process: it is asked of the kernel once. */
static unsigned char secret[crypto_shorthash_KEYBYTES];

static void make_secret(void)
{
	randombytes_buf(secret, sizeof(secret));
}

int map_init(struct map *m)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	*m = (struct map){ .buckets = FIRST_BUCKETS };
	m->bucket = calloc(FIRST_BUCKETS, sizeof(*m->bucket));
	if (!m->bucket) {
		m->buckets = 0; /* empty, and so it may be emptied */
		return -ENOMEM;
	}
	pthread_once(&once, make_secret);
	return 0;
}

void map_done(struct map *m)
{
	free(m->bucket);
	*m = (struct map){ 0 };
}

static uint64_t hash_of(struct slice key)
{
	static const unsigned char nothing;
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t h = 0;

	crypto_shorthash(out, key.p ? key.p : &nothing, key.n, secret);
	for (size_t i = 0; i < sizeof(out); i++)
		h = h << 8 | out[i];
	return h;
}

static struct map_node **slot(const struct map *m, uint64_t hash)
{
	return &m->bucket[hash & (m->buckets - 1)];
}

struct map_node *map_find(const struct map *m, struct slice key)
{
	uint64_t h = hash_of(key);

	for (struct map_node *at = *slot(m, h); at; at = at->next)
		if (at->hash == h && slice_eq(at->key, key))
			return at;
	return NULL;
}

static void enlarge(struct map *m)
{
	struct map larger = { .buckets = m->buckets * 2 };

	larger.bucket = calloc(larger.buckets, sizeof(*larger.bucket));
	if (!larger.bucket)
		return;
	for (size_t i = 0; i < m->buckets; i++) {
		struct map_node *at = m->bucket[i], *next;

		for (; at; at = next) {
			struct map_node **to = slot(&larger, at->hash);

			next = at->next;
			at->next = *to;
			*to = at;
		}
	}
	free(m->bucket);
	m->bucket = larger.bucket;
	m->buckets = larger.buckets;
	m->lowest = 0;
}

void map_insert(struct map *m, struct map_node *node, struct slice key)
{
	struct map_node **at;

	if (m->n >= m->buckets)
		enlarge(m);
	node->key = key;
	node->hash = hash_of(key);
	at = slot(m, node->hash);
	node->next = *at;
	*at = node;
	m->n++;
	if ((size_t)(at - m->bucket) < m->lowest)
		m->lowest = (size_t)(at - m->bucket);
}

void map_remove(struct map *m, struct map_node *node)
{
	struct map_node **at = slot(m, node->hash);

	while (*at && *at != node)
		at = &(*at)->next;
	assert(*at == node);
	*at = node->next;
	node->next = NULL;
	m->n--;
}

static struct map_node *first_from(const struct map *m, size_t bucket)
{
	for (; bucket < m->buckets; bucket++)
		if (m->bucket[bucket])
			return m->bucket[bucket];
	return NULL;
}

struct map_node *map_next(const struct map *m, const struct map_node *after)
{
	if (!after)
		return first_from(m, 0);
	if (after->next)
		return after->next;
	return first_from(m, (after->hash & (m->buckets - 1)) + 1);
}

struct map_node *map_take_any(struct map *m)
{
	struct map_node *node = first_from(m, m->lowest);

	if (!node)
		return NULL;
	/* Not from the first bucket each time: that would take the square of the elements. */
	m->lowest = node->hash & (m->buckets - 1);
	map_remove(m, node);
	return node;
}
