#include "role/dns.h"

#include <errno.h>

#include "base/log.h"
#include "conf/file.h"

#define ANCHORS_MAX (64U << 10)
#define HOSTS_MAX   (256U << 10) /* it is looked through for each host that a route names */

static const char *way_name(enum resolve_way way)
{
	static const char *const names[] = {
		[RESOLVE_BY_RECURSION] = "recursion",
		[RESOLVE_BY_SERVERS] = "servers",
		[RESOLVE_BY_SYSTEM] = "resolv.conf",
		[RESOLVE_BLOCKED] = "resolv.conf, port 53 is blocked",
	};

	return names[way];
}

static void on_change(void *arg)
{
	struct resolve_status s;
	const char *note = "signatures are checked";
	int level = LOG_INFO;

	resolve_status(arg, &s);
	if (s.way == RESOLVE_BLOCKED) {
		level = LOG_WARNING;
		note = s.validates
			       ? "this network does not let us ask the DNS ourselves"
			       : "this network does not let us ask the DNS ourselves, and its servers keep "
				 "signatures from us: no DANE";
	} else if (!s.validates) {
		note = "signatures are not checked: no DANE";
	}
	LOG(level, "dns", LOG_STR("asked", way_name(s.way)), LOG_STR("note", note));
}

/* What is missing or too large is left out; the log says so. */
static bool read_file(const char *path, struct buf *to)
{
	int err = conf_file_read(path, to);

	if (err == 0)
		return true;
	LOG(LOG_WARNING, "dns-file-unreadable", LOG_STR("file", path), LOG_ERRNO(err));
	if (err != -EFBIG)
		buf_reset(to);
	return false;
}

static size_t servers_of(const struct conf *conf, struct resolve_server to[static RESOLVE_SERVERS_MAX])
{
	struct endpoint e;
	size_t n = 0;

	for (size_t i = 0; i < conf->n_dns_servers && n < RESOLVE_SERVERS_MAX; i++)
		if (conf_dns_server(slice_str(conf->dns_servers[i]), &e))
			to[n++] = (struct resolve_server){ .ip = e.ip, .port = e.port };
	return n;
}

static int make(uv_loop_t *loop, struct resolve_setup *setup, const struct conf *conf, struct resolve **ret)
{
	int err = resolve_new(loop, setup, ret);

	if (err != -EINVAL || setup->anchors.n == 0)
		return err;
	LOG(LOG_ERR, "dns-anchors-bad", LOG_STR("file", conf->dns_trust_anchors),
	    LOG_STR("note", "no signature can be checked: no DANE"));
	if (conf->dns_validate == CONF_VALIDATE_YES)
		return err;
	setup->anchors = SLICE_LIT("");
	return resolve_new(loop, setup, ret);
}

int dns_open(uv_loop_t *loop, const struct conf *conf, bool tells, struct resolve **ret)
{
	struct resolve_server servers[RESOLVE_SERVERS_MAX];
	struct resolve_setup setup = { .servers = servers,
				       .n_servers = servers_of(conf, servers),
				       .recursion = (enum resolve_recursion)conf->dns_recursion,
				       .validate = (enum resolve_validate)conf->dns_validate,
				       .cache = conf->dns_cache,
				       .queries = conf->dns_queries,
				       .timeout_ms = conf->dns_timeout_s * 1000 };
	struct buf anchors, resolv_conf, hosts;
	int err = 0;

	buf_init(&anchors, ANCHORS_MAX);
	buf_init(&resolv_conf, ANCHORS_MAX);
	buf_init(&hosts, HOSTS_MAX);
	if (conf->dns_validate != CONF_VALIDATE_NO && !read_file(conf->dns_trust_anchors, &anchors) &&
	    conf->dns_validate == CONF_VALIDATE_YES)
		err = -ENOENT;
	read_file(conf->dns_resolv_conf, &resolv_conf);
	read_file(conf->dns_hosts, &hosts);
	setup.anchors = buf_slice(&anchors);
	setup.resolv_conf = buf_slice(&resolv_conf);
	setup.hosts = buf_slice(&hosts);
	if (err == 0)
		err = make(loop, &setup, conf, ret);
	if (err == 0 && tells)
		resolve_on_change(*ret, on_change, *ret);
	buf_done(&anchors);
	buf_done(&resolv_conf);
	buf_done(&hosts);
	return err;
}

void dns_status(const struct resolve *r, json_t *to)
{
	struct resolve_status s;

	resolve_status(r, &s);
	json_object_set_new(to, "dns",
			    json_pack("{ss, sb, sI, sI, sI, sI, sI, sI}", "asked", way_name(s.way),
				      "validates", (int)s.validates, "queries", (json_int_t)s.asked,
				      "under_way", (json_int_t)s.on_the_way, "failed", (json_int_t)s.failed,
				      "timed_out", (json_int_t)s.timed_out, "bogus", (json_int_t)s.bogus,
				      "refused", (json_int_t)s.refused));
}
