#include "receive/ip_count.h"

#include <stdlib.h>
#include <string.h>

struct entry {
	struct map_node node;
	uint32_t n;
	struct ip key;
};

int ip_count_init(struct ip_count *c)
{
	return map_init(&c->map);
}

void ip_count_done(struct ip_count *c)
{
	for (struct map_node *node; (node = map_take_any(&c->map));)
		free(container_of(node, struct entry, node));
	map_done(&c->map);
}

static struct ip key_of(const struct ip *ip, uint32_t uid)
{
	struct ip key = { .family = ip->family };

	switch (ip->family) {
	case 4:
		memcpy(key.byte, ip->byte, 4);
		break;
	case 6:
		memcpy(key.byte, ip->byte, 8);
		break;
	default:
		memcpy(key.byte, &uid, sizeof(uid));
		break;
	}
	return key;
}

uint32_t ip_count_add(struct ip_count *c, const struct ip *ip, uint32_t uid)
{
	struct ip key = key_of(ip, uid);
	struct map_node *node = map_find(&c->map, slice_of(&key, sizeof(key)));
	struct entry *e = node ? container_of(node, struct entry, node) : calloc(1, sizeof(*e));

	if (!e)
		return 0;
	if (!node) {
		e->key = key;
		map_insert(&c->map, &e->node, slice_of(&e->key, sizeof(e->key)));
	}
	return ++e->n;
}

void ip_count_remove(struct ip_count *c, const struct ip *ip, uint32_t uid)
{
	struct ip key = key_of(ip, uid);
	struct map_node *node = map_find(&c->map, slice_of(&key, sizeof(key)));
	struct entry *e;

	if (!node)
		return;
	e = container_of(node, struct entry, node);
	if (--e->n > 0)
		return;
	map_remove(&c->map, &e->node);
	free(e);
}
