#include "cli/net.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/file.h"

#define FILE_MAX    (256U << 10)
#define ANCHORS	    "/usr/share/dns/root.key"
#define RESOLV_CONF "/etc/resolv.conf"
#define HOSTS	    "/etc/hosts"

/* A name of one label is no name to others: then an address literal. RFC 5321 4.1.3 */
static void own_name(char to[static 256])
{
	if (gethostname(to, 256) < 0)
		to[0] = '\0';
	to[255] = '\0';
	for (const char *p = to; *p; p++)
		if ((*p < '0' || *p > '9') && (*p < 'a' || *p > 'z') && (*p < 'A' || *p > 'Z') && *p != '-' &&
		    *p != '.')
			to[0] = '\0';
	if (!strchr(to, '.') || to[0] == '.')
		snprintf(to, 256, "[127.0.0.1]");
}

static int open_resolver(struct cli_net *net, const struct cli_net_setup *setup)
{
	struct resolve_setup r = { .servers = setup->dns,
				   .n_servers = setup->n_dns,
				   .recursion = RESOLVE_RECURSION_NO,
				   .timeout_ms = 10000 };
	struct buf anchors, resolv_conf, hosts;
	int err;

	buf_init(&anchors, FILE_MAX);
	buf_init(&resolv_conf, FILE_MAX);
	buf_init(&hosts, FILE_MAX);
	err = conf_file_read(setup->anchors_file ? setup->anchors_file : ANCHORS, &anchors);
	if (err < 0)
		buf_reset(&anchors);
	(void)conf_file_read(RESOLV_CONF, &resolv_conf); /* what could be read of it */
	(void)conf_file_read(HOSTS, &hosts);
	r.anchors = buf_slice(&anchors);
	if (err < 0 && setup->anchors_file) /* one that was named must be there */
		goto out;
	r.resolv_conf = buf_slice(&resolv_conf);
	r.hosts = buf_slice(&hosts);
	err = resolve_new(&net->loop, &r, &net->resolve);
	if (err == -EINVAL && r.anchors.n > 0) { /* then nothing can be validated, that is all */
		r.anchors = SLICE_LIT("");
		err = resolve_new(&net->loop, &r, &net->resolve);
	}
out:
	buf_done(&anchors);
	buf_done(&resolv_conf);
	buf_done(&hosts);
	return err;
}

bool cli_net_open(struct cli_net *net, const char *command, const struct cli_net_setup *setup)
{
	int err;

	memset(net, 0, sizeof(*net));
	own_name(net->hostname);
	err = uv_loop_init(&net->loop);
	if (err < 0) {
		fprintf(stderr, "postern %s: %s\n", command, uv_strerror(err));
		return false;
	}
	buf_init(&net->authorities, TLS_CA_MAX);
	err = setup->no_tls ? 0 : tls_ca_read(setup->ca_file, &net->authorities);
	if (err < 0 && (setup->ca_file || err != -ENOENT)) {
		fprintf(stderr, "postern %s: %s: %s\n", command,
			setup->ca_file ? setup->ca_file : "authorities", strerror(-err));
		cli_net_close(net);
		return false;
	}
	if (err < 0)
		fprintf(stderr,
			"postern %s: no certificates of authorities are installed (package ca-certificates), "
			"so no "
			"certificate can be verified\n",
			command);
	err = tls_client_new(buf_slice(&net->authorities), &net->tls);
	if (err == 0)
		err = open_resolver(net, setup);
	if (err < 0) {
		fprintf(stderr, "postern %s: %s%s\n", command,
			net->tls ? "the resolver: " : "the authorities: ", strerror(-err));
		cli_net_close(net);
	}
	return err == 0;
}

void cli_net_close(struct cli_net *net)
{
	if (net->resolve)
		resolve_free(net->resolve);
	tls_client_free(net->tls);
	buf_done(&net->authorities);
	uv_run(&net->loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&net->loop);
}
