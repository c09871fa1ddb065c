#include "role/credentials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "secret/secret.h"

#define CREDENTIALS_MAX 64
#define COMMAND_MS	10000
#define STALE_MS	30000
#define OUTPUT_MAX	IPC_SECRET_MAX

struct credential {
	struct server *server;
	char route[65];
	char *file, **command; /* copies: a reload takes the configuration away */
	size_t n_command;
	uint64_t generation, read_ms;
	bool known, there, waited_for; /* waited_for: said to be stale while it may not be read yet */
	struct secret_command *run;
	uv_timer_t later;
	bool later_open;
	struct buf secret;
	char why[IPC_TEXT_MAX];
};

static struct credential *all[CREDENTIALS_MAX];
static size_t n_all;
static uint64_t last_generation;

/* ---- to the smtp processes ---- */

static void send_to(const struct credential *k, struct child *c)
{
	struct ipc_message m = { .type = IPC_TYPE_credential,
				 .credential = { .route = slice_str(k->route),
						 .generation = k->generation,
						 .there = k->there,
						 .secret = buf_slice(&k->secret),
						 .why = slice_str(k->why) } };

	child_send(c, &m, -1);
}

static void send_to_all(const struct credential *k)
{
	struct server *s = k->server;

	for (unsigned i = 0; i < s->n_children; i++)
		if (s->child[i].role == IPC_SMTP && s->child[i].ch)
			send_to(k, &s->child[i]);
}

void credentials_send(struct child *c)
{
	for (size_t i = 0; i < n_all; i++)
		if (all[i]->known)
			send_to(all[i], c);
}

/* ---- what was read ---- */

static void failed(struct credential *k, const char *why)
{
	buf_wipe(&k->secret);
	buf_init(&k->secret, OUTPUT_MAX);
	k->known = true;
	k->there = false;
	k->generation = ++last_generation;
	snprintf(k->why, sizeof(k->why), "%s", why);
	LOG(LOG_ERR, "credential-failed", LOG_STR("route", k->route), LOG_STR("why", why));
	send_to_all(k);
}

/* The same as before is no other one: who was refused with it is told so at once. */
static void take(struct credential *k, struct slice line)
{
	if (!k->there || !slice_eq(buf_slice(&k->secret), line)) {
		buf_wipe(&k->secret);
		buf_init(&k->secret, OUTPUT_MAX);
		buf_put(&k->secret, line);
		k->generation = ++last_generation;
	}
	k->known = true;
	k->there = buf_ok(&k->secret);
	snprintf(k->why, sizeof(k->why), "%s", k->there ? "" : "it is too long, or memory is lacking");
	LOG(LOG_INFO, "credential-read", LOG_STR("route", k->route));
	send_to_all(k);
}

/* ---- from a file ---- */

static void read_file(struct credential *k)
{
	char why[SECRET_WHY_MAX], text[400], note[80];
	const char *mode = NULL;
	struct buf line;

	buf_init(&line, OUTPUT_MAX);
	if (secret_file(k->file, &line, &mode, why) < 0) {
		snprintf(text, sizeof(text), "the password file %.200s %.180s", k->file, why);
		failed(k, text);
	} else {
		snprintf(note, sizeof(note), "others can read or change it: chmod %s", mode ? mode : "");
		if (mode)
			LOG(LOG_WARNING, "credential-open", LOG_STR("route", k->route),
			    LOG_STR("file", k->file), LOG_STR("note", note));
		take(k, buf_slice(&line));
	}
	buf_wipe(&line);
}

/* ---- from a command ---- */

static void on_answer(void *arg, struct slice line, const char *why)
{
	struct credential *k = arg;
	char text[400];

	k->run = NULL;
	if (!why) {
		take(k, line);
		return;
	}
	snprintf(text, sizeof(text), "the password command %.350s", why);
	failed(k, text);
}

static void run_command(struct credential *k)
{
	struct secret_command_setup setup = {
		.loop = &k->server->loop, .argv = k->command, .limit_ms = COMMAND_MS, .max = OUTPUT_MAX
	};
	char why[SECRET_WHY_MAX], text[400];

	if (secret_command(&setup, on_answer, k, &k->run, why) == 0)
		return;
	snprintf(text, sizeof(text), "the password command %.200s %.150s", k->command[0], why);
	failed(k, text);
}

static void read_it(struct credential *k)
{
	if (k->run)
		return;
	k->read_ms = uv_now(&k->server->loop);
	k->waited_for = false;
	if (k->file)
		read_file(k);
	else
		run_command(k);
}

/* ---- when one was refused ---- */

static void on_later(uv_timer_t *t)
{
	read_it(t->data);
}

void credentials_stale(struct child *from, const struct ipc_credential_stale *m)
{
	struct server *s = from->server;
	uint64_t now = uv_now(&s->loop);

	for (size_t i = 0; i < n_all; i++) {
		struct credential *k = all[i];

		if (!slice_eq(slice_str(k->route), m->route) || !k->known)
			continue;
		if (k->generation != m->generation) { /* another process was first */
			send_to(k, from);
		} else if (now >= k->read_ms + STALE_MS) {
			read_it(k);
		} else if (!k->run && !k->waited_for) {
			/* It was read a moment ago: that same one will be read again, later. */
			k->waited_for = true;
			uv_timer_start(&k->later, on_later, k->read_ms + STALE_MS - now, 0);
			send_to(k, from);
		} else if (!k->run) {
			send_to(k, from);
		}
		return;
	}
}

/* ---- which there are ---- */

static void on_later_closed(uv_handle_t *h)
{
	free(h->data);
}

static void forget(struct credential *k)
{
	secret_command_drop(k->run);
	for (size_t i = 0; i < k->n_command; i++)
		free(k->command[i]);
	free(k->command);
	free(k->file);
	buf_wipe(&k->secret);
	if (k->later_open)
		uv_close((uv_handle_t *)&k->later, on_later_closed);
	else
		free(k);
}

void credentials_wipe(void)
{
	for (size_t i = 0; i < n_all; i++)
		forget(all[i]);
	n_all = 0;
}

static bool copy(struct credential *k, const struct conf_route *r)
{
	if (!slice_copy(slice_str(r->name), k->route, sizeof(k->route)))
		return false;
	if (r->password_file[0]) {
		k->file = strdup(r->password_file);
		return k->file != NULL;
	}
	k->command = calloc(r->n_password_command + 1, sizeof(*k->command));
	if (!k->command)
		return false;
	for (; k->n_command < r->n_password_command; k->n_command++) {
		k->command[k->n_command] = strdup(r->password_command[k->n_command]);
		if (!k->command[k->n_command])
			return false;
	}
	return true;
}

static void add(struct server *s, const struct conf_route *r)
{
	struct credential *k = calloc(1, sizeof(*k));

	if (!k || n_all == CREDENTIALS_MAX) {
		LOG(LOG_ERR, "credential-failed", LOG_STR("route", r->name),
		    LOG_STR("why", k ? "too many routes with a password" : "out of memory"));
		free(k);
		return;
	}
	k->server = s;
	buf_init(&k->secret, OUTPUT_MAX);
	if (!copy(k, r)) {
		LOG(LOG_ERR, "credential-failed", LOG_STR("route", r->name), LOG_STR("why", "out of memory"));
		forget(k);
		return;
	}
	uv_timer_init(&s->loop, &k->later);
	k->later.data = k;
	k->later_open = true;
	all[n_all++] = k;
	read_it(k);
}

void credentials_load(struct server *s)
{
	const struct conf *conf = s->conf;

	credentials_wipe();
	for (size_t i = 0; i < conf->n_routes; i++)
		if (conf->routes[i].password_file[0] || conf->routes[i].n_password_command > 0)
			add(s, &conf->routes[i]);
}
