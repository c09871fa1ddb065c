#include "receive/counters.h"

#include <string.h>

static const char *const stages[COUNT_STAGES] = {
	[COUNT_AT_CONNECT] = "connect", [COUNT_AT_HELO] = "helo", [COUNT_AT_MAIL] = "mail",
	[COUNT_AT_RCPT] = "rcpt",	[COUNT_AT_DATA] = "data", [COUNT_AT_COMMIT] = "commit",
};

static const char *const tls_versions[COUNT_TLS_VERSIONS] = {
	[COUNT_TLS_1_0] = "TLSv1",
	[COUNT_TLS_1_1] = "TLSv1.1",
	[COUNT_TLS_1_2] = "TLSv1.2",
	[COUNT_TLS_1_3] = "TLSv1.3",
};

static const struct {
	const char *name;
	size_t offset;
} numbers[] = {
	{ "sessions_total", offsetof(struct counters, sessions) },
	{ "sessions_refused", offsetof(struct counters, sessions_refused) },
	{ "accept_errors", offsetof(struct counters, accept_errors) },
	{ "tls_resumed", offsetof(struct counters, tls_resumed) },
	{ "tls_failed", offsetof(struct counters, tls_failed) },
	{ "auth_ok", offsetof(struct counters, auth_ok) },
	{ "auth_failed", offsetof(struct counters, auth_failed) },
	{ "auth_locked", offsetof(struct counters, auth_locked) },
	{ "auth_later", offsetof(struct counters, auth_later) },
	{ "messages", offsetof(struct counters, messages) },
	{ "recipients", offsetof(struct counters, recipients) },
	{ "octets", offsetof(struct counters, octets) },
	{ "timeouts", offsetof(struct counters, timeouts) },
	{ "greetings_held", offsetof(struct counters, held) },
	{ "greetings_held_briefly", offsetof(struct counters, held_briefly) },
};

const char *count_stage_name(enum count_stage stage)
{
	return stages[stage];
}

void counters_tls(struct counters *c, const char *version, bool resumed)
{
	for (size_t i = 0; i < COUNT_TLS_VERSIONS; i++)
		if (strcmp(version, tls_versions[i]) == 0)
			c->tls[i]++;
	c->tls_resumed += resumed;
}

/* Those that are not zero, so that the object stays short. */
static void set_named(json_t *to, const char *key, const char *const *names, const uint64_t *values, size_t n)
{
	json_t *o = json_object();

	for (size_t i = 0; i < n; i++)
		if (names[i] && values[i] > 0)
			json_object_set_new(o, names[i], json_integer((json_int_t)values[i]));
	json_object_set_new(to, key, o);
}

json_t *counters_json(const struct counters *c)
{
	const char *mishaps[IPC_MISHAP_KINDS] = { NULL }, *limits[LIMIT_KINDS] = { NULL };
	json_t *to = json_object();

	if (!to)
		return NULL;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t v;

		memcpy(&v, (const char *)c + numbers[i].offset, sizeof(v));
		json_object_set_new(to, numbers[i].name, json_integer((json_int_t)v));
	}
	for (unsigned i = 1; i < IPC_MISHAP_KINDS; i++)
		mishaps[i] = ipc_mishap_name(i);
	for (unsigned i = 1; i < LIMIT_KINDS; i++)
		limits[i] = limit_kind_name(i);
	set_named(to, "limited", limits, c->limited, LIMIT_KINDS);
	set_named(to, "tls", tls_versions, c->tls, COUNT_TLS_VERSIONS);
	set_named(to, "rejected", stages, c->rejected, COUNT_STAGES);
	set_named(to, "mishaps", mishaps, c->mishaps, IPC_MISHAP_KINDS);
	return to;
}
