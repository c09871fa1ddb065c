#include "queue/troubles.h"

#include <stdlib.h>

#include "base/list.h"

struct trouble {
	struct map_node node;
	unsigned failures;
	size_t n;
	unsigned char name[];
};

int troubles_init(struct troubles *t)
{
	return map_init(&t->sites);
}

void troubles_done(struct troubles *t)
{
	struct map_node *node;

	while (t->sites.bucket && (node = map_take_any(&t->sites)))
		free(container_of(node, struct trouble, node));
	map_done(&t->sites);
}

unsigned troubles_add(struct troubles *t, struct slice site)
{
	struct map_node *node = map_find(&t->sites, site);
	struct trouble *s = node ? container_of(node, struct trouble, node) : NULL;

	if (!s && t->sites.n < TROUBLES_MAX) {
		s = calloc(1, sizeof(*s) + site.n);
		if (!s)
			return 1;
		s->n = site.n;
		if (site.n > 0)
			memcpy(s->name, site.p, site.n);
		map_insert(&t->sites, &s->node, slice_of(s->name, s->n));
	}
	return s ? ++s->failures : 1;
}

bool troubles_worth_a_line(unsigned failures)
{
	return (failures & (failures - 1)) == 0;
}

unsigned troubles_over(struct troubles *t, struct slice site)
{
	struct map_node *node = t->sites.n > 0 ? map_find(&t->sites, site) : NULL;
	struct trouble *s = node ? container_of(node, struct trouble, node) : NULL;
	unsigned failures = s ? s->failures : 0;

	if (s) {
		map_remove(&t->sites, &s->node);
		free(s);
	}
	return failures;
}
