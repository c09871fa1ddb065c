#include "role/dns.h"

#include <errno.h>

#include "base/log.h"
#include "conf/file.h"

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

void dns_files_done(struct dns_files *f)
{
	buf_done(&f->anchors);
	buf_done(&f->resolv_conf);
	buf_done(&f->hosts);
}

/* The setup but for its servers. */
static struct resolve_setup setup_of(const struct conf *conf, const struct dns_files *files)
{
	return (struct resolve_setup){
		.recursion = (enum resolve_recursion)conf->dns_recursion,
		.validate = (enum resolve_validate)conf->dns_validate,
		.anchors =
			conf->dns_validate == CONF_VALIDATE_NO ? SLICE_LIT("") : buf_slice(&files->anchors),
		.resolv_conf = buf_slice(&files->resolv_conf),
		.hosts = buf_slice(&files->hosts),
		.cache = conf->dns_cache,
		.queries = conf->dns_queries,
		.timeout_ms = conf->dns_timeout_s * 1000,
	};
}

/* *r is NULL: a new one. */
static int make(uv_loop_t *loop, const struct conf *conf, const struct dns_files *files, struct resolve **r)
{
	struct resolve_server servers[RESOLVE_SERVERS_MAX];
	struct resolve_setup setup = setup_of(conf, files);
	int err;

	setup.servers = servers;
	setup.n_servers = servers_of(conf, servers);
	err = *r ? resolve_configure(*r, &setup) : resolve_new(loop, &setup, r);
	if (err != -EINVAL || setup.anchors.n == 0)
		return err;
	LOG(LOG_ERR, "dns-anchors-bad", LOG_STR("file", conf->dns_trust_anchors),
	    LOG_STR("note", *r ? "those that were read before are still used"
			       : "no signature can be checked: no DANE"));
	if (*r || conf->dns_validate == CONF_VALIDATE_YES)
		return err;
	setup.anchors = SLICE_LIT("");
	return resolve_new(loop, &setup, r);
}

int dns_open(uv_loop_t *loop, const struct conf *conf, bool tells, struct dns_files *ret_files,
	     struct resolve **ret)
{
	struct dns_files files;
	struct resolve *r = NULL;
	int err = 0;

	buf_init(&files.anchors, DNS_FILE_MAX);
	buf_init(&files.resolv_conf, DNS_FILE_MAX);
	buf_init(&files.hosts, DNS_FILE_MAX);
	if (conf->dns_validate != CONF_VALIDATE_NO && !read_file(conf->dns_trust_anchors, &files.anchors) &&
	    conf->dns_validate == CONF_VALIDATE_YES)
		err = -ENOENT;
	read_file(conf->dns_resolv_conf, &files.resolv_conf);
	read_file(conf->dns_hosts, &files.hosts);
	if (err == 0)
		err = make(loop, conf, &files, &r);
	if (err < 0) {
		dns_files_done(&files);
		return err;
	}
	if (tells)
		resolve_on_change(r, on_change, r);
	*ret_files = files;
	*ret = r;
	return 0;
}

int dns_configure(struct resolve *r, const struct conf *conf, const struct dns_files *files)
{
	int err = make(NULL, conf, files, &r);

	if (err < 0)
		LOG(LOG_ERR, "dns-failed", LOG_ERRNO(err), LOG_STR("note", "it goes on as before"));
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
