#include "submit/envelope.h"

#include <errno.h>

#include "mime/address.h"
#include "smtp/path.h"

#define ADDRESS_MAX (SMTP_PATH_MAX * 4) /* in canonical form; U-labels grow */

int submit_envelope_init(struct submit_envelope *e)
{
	*e = (struct submit_envelope){ 0 };
	return map_init(&e->seen);
}

void submit_envelope_done(struct submit_envelope *e)
{
	for (size_t i = 0; i < e->recipients; i++)
		free(e->recipient[i]);
	free(e->recipient);
	free(e->sender);
	map_done(&e->seen);
	*e = (struct submit_envelope){ 0 };
}

static bool grow(struct submit_envelope *e)
{
	size_t room = e->room ? e->room * 2 : 8;
	struct submit_recipient **more;

	if (e->recipients < e->room)
		return true;
	more = realloc(e->recipient, room * sizeof(struct submit_recipient *));
	if (!more)
		return false;
	e->recipient = more;
	e->room = room;
	return true;
}

static enum mime_fault add_canonical(struct submit_envelope *e, struct slice address)
{
	struct submit_recipient *r;

	if (map_find(&e->seen, address))
		return MIME_FINE;
	if (e->recipients >= SUBMIT_RECIPIENTS_MAX)
		return MIME_TOO_MANY;
	r = grow(e) ? malloc(sizeof(*r) + address.n + 1) : NULL;
	if (!r)
		return MIME_NO_MEMORY;
	memcpy(r->address, address.p, address.n);
	r->address[address.n] = 0;
	r->notify = e->notify;
	map_insert(&e->seen, &r->node, slice_of(r->address, address.n));
	e->recipient[e->recipients++] = r;
	e->smtputf8 = e->smtputf8 || slice_has_8bit(address);
	return MIME_FINE;
}

/* The canonical form of the mailbox that was read. */
static enum mime_fault canonical(const struct mime_addresses *a, struct slice domain, struct buf *to)
{
	if (a->bare && domain.n == 0)
		return MIME_NO_DOMAIN;
	return mime_address_canonical(buf_slice(&a->address), a->bare ? domain : SLICE_LIT(""), to);
}

static enum mime_fault add_list(struct submit_envelope *e, struct mime_addresses *a, struct slice domain)
{
	enum mime_fault fault = MIME_FINE;
	enum mime_address_item item;
	unsigned char room[ADDRESS_MAX];
	struct buf address;

	while (fault == MIME_FINE && (item = mime_addresses_next(a)) != MIME_ADDRESS_END) {
		if (item == MIME_ADDRESS_BAD || item == MIME_ADDRESS_NO_MEMORY)
			return item == MIME_ADDRESS_BAD ? MIME_NO_ADDRESS : MIME_NO_MEMORY;
		if (item != MIME_ADDRESS_MAILBOX)
			continue;
		buf_init_in(&address, room, sizeof(room));
		fault = canonical(a, domain, &address);
		if (fault == MIME_FINE)
			fault = add_canonical(e, buf_slice(&address));
	}
	return fault;
}

/* What the fault is about: the address that was read, or where the reading stopped. */
static struct slice about(const struct mime_addresses *a)
{
	return a->last == MIME_ADDRESS_MAILBOX ? buf_slice(&a->address)
	       : a->last == MIME_ADDRESS_BAD   ? slice_trim(slice_tail(a->value, a->at))
					       : SLICE_LIT("");
}

enum mime_fault submit_envelope_add(struct submit_envelope *e, struct slice list, struct slice domain,
				    struct slice field, struct mime_problem *ret)
{
	struct mime_addresses a;
	enum mime_fault fault;

	mime_addresses_init(&a, list);
	fault = add_list(e, &a, domain);
	if (fault == MIME_TOO_MANY)
		mime_problem_set(ret, fault, SLICE_LIT("recipients"), SLICE_LIT(""));
	else if (fault != MIME_FINE)
		mime_problem_set(ret, fault, field, about(&a));
	mime_addresses_done(&a);
	return fault;
}

void submit_envelope_remove(struct submit_envelope *e, struct slice address)
{
	struct map_node *node = map_find(&e->seen, address);
	size_t i = 0;

	if (!node)
		return;
	map_remove(&e->seen, node);
	while (&e->recipient[i]->node != node)
		i++;
	free(e->recipient[i]);
	e->recipients--;
	memmove(&e->recipient[i], &e->recipient[i + 1],
		(e->recipients - i) * sizeof(struct submit_recipient *));
}

static enum mime_fault read_sender(struct mime_addresses *a, struct slice domain, struct buf *to)
{
	enum mime_address_item item = mime_addresses_next(a);
	enum mime_fault fault = item == MIME_ADDRESS_NO_MEMORY ? MIME_NO_MEMORY : MIME_NO_ADDRESS;

	if (item != MIME_ADDRESS_MAILBOX)
		return fault;
	fault = canonical(a, domain, to);
	if (fault == MIME_FINE && mime_addresses_next(a) != MIME_ADDRESS_END)
		return MIME_NO_ADDRESS; /* one, and no more */
	return fault;
}

enum mime_fault submit_envelope_sender(struct submit_envelope *e, struct slice text, struct slice domain,
				       struct mime_problem *ret)
{
	enum mime_fault fault = MIME_FINE;
	unsigned char room[ADDRESS_MAX];
	struct mime_addresses a;
	struct buf address;
	char *copy = NULL;

	text = slice_trim(text);
	buf_init_in(&address, room, sizeof(room));
	mime_addresses_init(&a, text);
	if (text.n > 0 && !slice_eq(text, SLICE_LIT("<>")))
		fault = read_sender(&a, domain, &address);
	if (fault == MIME_FINE) {
		copy = slice_dup(buf_slice(&address));
		fault = copy ? MIME_FINE : MIME_NO_MEMORY;
	}
	mime_addresses_done(&a);
	if (fault != MIME_FINE)
		return mime_problem_set(ret, fault, SLICE_LIT("sender"), text);
	e->smtputf8 = e->smtputf8 || slice_has_8bit(buf_slice(&address));
	free(e->sender);
	e->sender = copy;
	return MIME_FINE;
}
