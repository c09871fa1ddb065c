#include "send/private.h"

void send_table_init(struct send_table *t)
{
	for (size_t i = 0; i < SEND_TABLE; i++)
		list_init(&t->bucket[i]);
}

struct list *send_table_bucket(struct send_table *t, uint64_t number)
{
	return &t->bucket[number % SEND_TABLE];
}
