#include "route/table.h"

#include <errno.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"

struct pattern {
	struct map_node node;
	unsigned char text[];
};

/* The patterns of one criterion. */
struct set {
	struct map map;
	bool all;
};

struct rule {
	struct set to, from, accounts;
};

struct route_table {
	size_t n;
	struct rule rule[];
};

static size_t lower(struct slice s, unsigned char *to)
{
	for (size_t i = 0; i < s.n; i++)
		to[i] = (unsigned char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]);
	return s.n;
}

static int set_add(struct set *set, struct slice text)
{
	struct pattern *p = malloc(sizeof(*p) + text.n);
	struct slice key;

	if (!p)
		return -ENOMEM;
	key = slice_of(p->text, lower(text, p->text));
	if (map_find(&set->map, key))
		free(p);
	else
		map_insert(&set->map, &p->node, key);
	return 0;
}

static int set_init(struct set *set, const struct route_patterns *from)
{
	int r = map_init(&set->map);

	set->all = from->n == 0;
	for (size_t i = 0; r == 0 && i < from->n; i++) {
		struct slice text = slice_str(from->p[i]);

		set->all |= slice_eq(text, SLICE_LIT("*"));
		r = set_add(set, text);
	}
	return r;
}

static void set_done(struct set *set)
{
	struct map_node *node;

	while (set->map.bucket && (node = map_take_any(&set->map)))
		free(container_of(node, struct pattern, node));
	map_done(&set->map);
}

/* address: in lower case; "" is "<>". */
static bool set_has(const struct set *set, struct slice address)
{
	size_t at = slice_rfind(address, '@');
	struct slice domain;

	if (set->all)
		return true;
	if (address.n == 0)
		return map_find(&set->map, SLICE_LIT("<>")) != NULL;
	if (map_find(&set->map, address))
		return true;
	if (at >= address.n)
		return false;
	domain = slice_tail(address, at + 1);
	if (map_find(&set->map, domain))
		return true;
	for (;;) {
		size_t dot = slice_find(domain, '.');

		if (dot >= domain.n)
			return false;
		if (map_find(&set->map, slice_tail(domain, dot)))
			return true;
		domain = slice_tail(domain, dot + 1);
	}
}

int route_table_new(const struct route_table_rule *rules, size_t n, struct route_table **ret)
{
	struct route_table *t = calloc(1, sizeof(*t) + n * sizeof(t->rule[0]));
	int r = t ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++) {
		t->n++;
		r = set_init(&t->rule[i].to, &rules[i].to);
		if (r == 0)
			r = set_init(&t->rule[i].from, &rules[i].from);
		if (r == 0)
			r = set_init(&t->rule[i].accounts, &rules[i].accounts);
	}
	if (r < 0)
		route_table_free(t);
	else
		*ret = t;
	return r;
}

void route_table_free(struct route_table *t)
{
	for (size_t i = 0; t && i < t->n; i++) {
		set_done(&t->rule[i].to);
		set_done(&t->rule[i].from);
		set_done(&t->rule[i].accounts);
	}
	free(t);
}

/* Too long to be somebody that a pattern names. */
static struct slice prepared(struct slice address, unsigned char room[static ROUTE_ADDRESS_MAX])
{
	return address.n <= ROUTE_ADDRESS_MAX ? slice_of(room, lower(address, room)) : SLICE_LIT("@");
}

size_t route_table_find(const struct route_table *t, struct slice recipient, struct slice sender,
			struct slice account)
{
	unsigned char room[3][ROUTE_ADDRESS_MAX];
	struct slice to, from, who;

	if (t->n == 1)
		return 0;
	to = prepared(recipient, room[0]);
	from = prepared(sender, room[1]);
	who = prepared(account, room[2]);
	for (size_t i = 0; i + 1 < t->n; i++)
		if (set_has(&t->rule[i].to, to) && set_has(&t->rule[i].from, from) &&
		    set_has(&t->rule[i].accounts, who))
			return i;
	return t->n - 1;
}
