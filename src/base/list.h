/* list.h - intrusive doubly linked lists.
 *
 * The link is a member of the element, so membership allocates nothing and
 * removal is O(1).  A list head is a link that points at itself when empty.
 */
#ifndef POSTERN_BASE_LIST_H
#define POSTERN_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_before(struct list *at, struct list *link)
{
	link->next = at;
	link->prev = at->prev;
	at->prev->next = link;
	at->prev = link;
}

static inline void list_push_back(struct list *head, struct list *link)
{
	list_add_before(head, link);
}

static inline void list_push_front(struct list *head, struct list *link)
{
	list_add_before(head->next, link);
}

/* Leaves the link pointing at itself, so removing it again is harmless. */
static inline void list_remove(struct list *link)
{
	link->next->prev = link->prev;
	link->prev->next = link->next;
	list_init(link);
}

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* The body may remove the element that it is at. */
#define LIST_EACH(head, at, after) \
	for ((at) = (head)->next; (after) = (at)->next, (at) != (head); (at) = (after))

#endif
