/* Two roles that cannot talk: which of them is started anew.
 *
 * Who says it may lie: a taken-over role must not get the others killed by complaining
 * of them, nor by answering them with nonsense so that they complain.  What is known is
 * only that a pair does not work.  So complaints are gathered for a moment, and then:
 *
 *   1. Who has not worked with more roles than the other of the pair, in its present life, is it.
 *   2. Of a single pair, the one whose loss costs less or that is nearer to strangers; if
 *      it was started anew for the sake of this pair a short while ago, once the other.
 *
 * Each such start is counted by the back-off as any death is. */
#include <signal.h>

#include "base/log.h"
#include "role/server.h"

#define GATHER_MS 40
#define FORGET_MS 60000
#define YOUNG_MS  1500 /* may be before its channels have reached everybody */
#define PAIRS_MAX 256

struct pair {
	struct child *a, *b; /* a said it */
	enum ipc_complaint kind;
};

static struct {
	struct pair pair[PAIRS_MAX];
	unsigned n;
	uv_timer_t timer;
	bool set_up, waits;
} self;

static const char *const reasons[] = {
	[IPC_COMPLAINT_BROKEN] = "broken",
	[IPC_COMPLAINT_UNLINKED] = "unlinked",
	[IPC_COMPLAINT_SILENT] = "silent",
};

/* Who is tried first: whose loss costs no mail, then who is nearer to strangers. */
static int exposure(enum ipc_role role)
{
	static const int order[IPC_ROLES] = { [IPC_FETCH] = 6, [IPC_LEDGER] = 5, [IPC_ADMIN] = 4,
					      [IPC_SMTP] = 3,  [IPC_LOCAL] = 2,	 [IPC_KEEPER] = 1 };

	return order[role];
}

/* Roles, not processes: two smtp that both stumble over one client's message make no
 * case against queue. */
static void note(struct child *c, const struct child *other)
{
	c->quarrels |= 1U << other->role;
}

static unsigned quarrels(const struct child *c)
{
	return (unsigned)__builtin_popcount(c->quarrels);
}

static bool recently(const struct child *c, uint64_t ms)
{
	return ms && uv_now(&c->server->loop) - ms < FORGET_MS;
}

static struct child *guilty_of_pair(const struct pair *p)
{
	uint64_t now = uv_now(&p->a->server->loop);
	struct child *first = exposure(p->a->role) > exposure(p->b->role) ? p->a : p->b;
	struct child *second = first == p->a ? p->b : p->a;

	if (exposure(first->role) >= exposure(IPC_ADMIN))
		return first; /* nobody else is disturbed for their sake */
	/* Who hears nothing for half a minute is believed once. */
	if (p->kind == IPC_COMPLAINT_SILENT) {
		first = p->b;
		second = p->a;
	}
	if (first->blamed_with == second->role && recently(first, first->blamed_ms) &&
	    !recently(second, second->spared_ms)) {
		second->spared_ms = now;
		return second;
	}
	first->blamed_with = second->role;
	first->blamed_ms = now;
	return first;
}

static void condemn(struct child *c, const struct pair *p)
{
	LOG(LOG_ERR, "role-broken", LOG_STR("role", ipc_role_name(c->role)), LOG_U("index", c->index),
	    LOG_STR("said_by", ipc_role_name(p->a->role)), LOG_STR("why", reasons[p->kind]),
	    LOG_U("with", quarrels(c)));
	c->condemned = true;
	kill(c->pid, SIGKILL);
}

/* The pair of which one has the most quarrels comes first. */
static unsigned worst(void)
{
	unsigned at = 0, most = 0;

	for (unsigned i = 0; i < self.n; i++) {
		unsigned a = quarrels(self.pair[i].a), b = quarrels(self.pair[i].b);
		unsigned here = a > b ? a : b;

		if (here > most) {
			most = here;
			at = i;
		}
	}
	return at;
}

static void judge(const struct pair *p)
{
	unsigned a = quarrels(p->a), b = quarrels(p->b);

	if (!p->a->pid || !p->b->pid || p->a->condemned || p->b->condemned)
		return; /* the new one gets new channels */
	if (a != b && (a > 1 || b > 1))
		condemn(a > b ? p->a : p->b, p);
	else
		condemn(guilty_of_pair(p), p);
}

static void on_gathered(uv_timer_t *t)
{
	struct server *s = t->data;

	self.waits = false;
	while (self.n > 0 && s->state < SERVER_DRAINING) {
		unsigned at = worst();
		struct pair p = self.pair[at];

		self.pair[at] = self.pair[--self.n];
		judge(&p);
	}
	self.n = 0;
}

static bool young(const struct child *c)
{
	return uv_now(&c->server->loop) - c->started_ms < YOUNG_MS;
}

static void add(struct child *from, struct child *about, enum ipc_complaint kind)
{
	struct server *s = from->server;

	note(from, about);
	note(about, from);
	for (unsigned i = 0; i < self.n; i++)
		if (self.pair[i].a == from && self.pair[i].b == about)
			return;
	if (self.n == PAIRS_MAX)
		return;
	self.pair[self.n++] = (struct pair){ from, about, kind };
	if (!self.set_up) {
		uv_timer_init(&s->loop, &self.timer);
		self.timer.data = s;
		self.set_up = true;
	}
	if (!self.waits)
		uv_timer_start(&self.timer, on_gathered, GATHER_MS, 0);
	self.waits = true;
}

void blame_complaint(struct child *from, const struct ipc_complain *m)
{
	struct child *about = children_find(from->server, m->role, m->index);

	if (!from->pid || from->condemned || from->server->state >= SERVER_DRAINING)
		return;
	if (m->kind >= IPC_COMPLAINTS || !about || about == from || !children_talk(from->role, about->role)) {
		LOG(LOG_ERR, "role-broken", LOG_STR("role", ipc_role_name(from->role)),
		    LOG_U("index", from->index), LOG_STR("why", "a complaint of somebody it does not know"));
		from->condemned = true;
		kill(from->pid, SIGKILL);
		return;
	}
	/* Gone or going: the complaint is of the one before. */
	if (!about->pid || about->condemned)
		return;
	if (m->kind == IPC_COMPLAINT_UNLINKED && (young(about) || young(from)))
		return;
	add(from, about, (enum ipc_complaint)m->kind);
}
