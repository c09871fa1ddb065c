/* Does each role's loop turn?  main asks, and a role that does not answer for
 * hang_timeout is named, killed, and started anew like one that died.
 *
 * Time is counted in rounds that main itself was there for: when the whole machine slept,
 * or main was stopped, everybody is late and nobody hangs. */
#include <ctype.h>
#include <signal.h>

#include "base/log.h"
#include "role/server.h"

#define ROUNDS	     4 /* unanswered, then it hangs */
#define ROUND_MIN_MS 250
#define OFF_MS	     10000 /* no hang_timeout: look again whether there is one */

/* The kernel's word for what the process does: 'R', 'S', 'D' ... 0: it is not known. */
static char state_of(pid_t pid)
{
	char path[32], text[256], *end;
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	end = strrchr(text, ')'); /* the name before it may hold anything */
	return end && end[1] == ' ' && isalpha((unsigned char)end[2]) ? end[2] : '\0';
}

static const char *state_name(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "waiting for its disk";
	case 'T':
		return "stopped";
	case 't':
		return "traced";
	default:
		return "unknown";
	}
}

/* SIGKILL does not wake who waits for a disk, and when that answers, he goes on by
 * himself; under a debugger he is meant to stand. */
static bool may_go_on(char state)
{
	return state == 'D' || state == 't';
}

static void on_hung(struct child *c)
{
	char state = state_of(c->pid);
	bool waits = may_go_on(state);

	if (waits && c->hung_told)
		return;
	c->hung_told = waits;
	LOG(LOG_ERR, "role-hung", LOG_STR("role", ipc_role_name(c->role)), LOG_U("index", c->index),
	    LOG_U("pid", (uint64_t)c->pid), LOG_U("seconds", c->server->conf->hang_s),
	    LOG_STR("state", state_name(state)), LOG_STR("then", waits ? "left alone" : "killed"));
	if (waits)
		return;
	c->hangs++;
	c->beat_open = false;
	c->condemned = true;
	kill(c->pid, SIGKILL); /* SIGCHLD does the rest */
}

static void ask(struct child *c)
{
	struct ipc_message m = { .type = IPC_TYPE_ping, .ping = { .number = ++c->beat } };

	c->beat_open = true;
	c->beats_missed = 0;
	c->hung_told = false;
	child_send(c, &m, -1);
}

static void look_at(struct child *c)
{
	/* A start may take its time (a large spool); the end has a time of its own. */
	if (!c->pid || !c->ready || c->server->state >= SERVER_DRAINING)
		c->beat_open = false;
	else if (!c->beat_open)
		ask(c);
	else if (++c->beats_missed >= ROUNDS)
		on_hung(c);
}

static void on_round(uv_timer_t *t)
{
	struct server *s = t->data;
	unsigned seconds = s->conf->hang_s;
	uint64_t round = (uint64_t)seconds * 1000 / ROUNDS;

	for (unsigned i = 0; i < s->n_children && seconds > 0; i++)
		look_at(&s->child[i]);
	if (seconds == 0)
		round = OFF_MS;
	uv_timer_start(t, on_round, round > ROUND_MIN_MS ? round : ROUND_MIN_MS, 0);
}

void heartbeat_heard(struct child *c, const struct ipc_pong *m)
{
	if (c->beat_open && m->number == c->beat)
		c->beat_open = false;
}

void heartbeat_start(struct server *s)
{
	uv_timer_init(&s->loop, &s->heartbeat);
	s->heartbeat.data = s;
	on_round(&s->heartbeat);
}
