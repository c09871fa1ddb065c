/* postern config: is the file good, and what does it mean? */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>

#include "cli/cli.h"
#include "cli/config_machine.h"
#include "conf/conf.h"
#include "conf/file.h"

struct options {
	const char *file;
	uint64_t port_offset;
	bool all, json;
};

/* A file that nobody named may be missing: an empty one means the same. */
static int read_text(const struct options *o, char file[static 1024], struct buf *to)
{
	int r;

	if (o->file && strcmp(o->file, "-") == 0) {
		snprintf(file, 1024, "standard input");
		return conf_file_read("/dev/stdin", to);
	}
	if (o->file && !slice_copy(slice_str(o->file), file, 1024))
		return -ENAMETOOLONG;
	if (!o->file && !conf_file_default(getuid() == 0, file, 1024)) {
		snprintf(file, 1024, "(no file)");
		return 0;
	}
	r = conf_file_read(file, to);
	if (r == -ENOENT && !o->file) {
		snprintf(file, 1024, "(no file)");
		return 0;
	}
	return r;
}

static void print(const struct buf *b, FILE *to)
{
	if (buf_slice(b).n > 0)
		fwrite(buf_slice(b).p, 1, buf_slice(b).n, to);
}

static const char *tls_text(const struct conf_listener *l)
{
	if (l->tls == CONF_TLS_IMPLICIT)
		return "implicit";
	if (l->tls == CONF_TLS_OFF)
		return "off";
	return l->tls_required ? "STARTTLS, required" : "STARTTLS, offered";
}

static const char *who_text(const struct conf_listener *l)
{
	if (l->role == CONF_RELAY)
		return l->n_relay_from ? "anyone to our domains; relay_from networks to anywhere"
				       : "anyone to our domains";
	return l->auth ? "an account, as its own addresses, to anywhere" : "ANYONE TO ANYWHERE";
}

static void print_listeners(const struct conf *conf)
{
	printf("%-12s %5s  %-10s  %-18s  %-8s  %s\n", "listener", "port", "role", "TLS", "AUTH",
	       "who may send");
	for (size_t i = 0; i < conf->n_listeners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (l->enabled)
			printf("%-12s %5u  %-10s  %-18s  %-8s  %s\n", l->name, l->port,
			       l->role == CONF_RELAY ? "relay" : "submission", tls_text(l),
			       l->auth ? "required" : "never", who_text(l));
		else
			printf("%-12s %5s  disabled\n", l->name, "-");
	}
}

static json_t *finding_json(const struct conf_finding *f)
{
	return json_pack("{s:s, s:i, s:s}", "kind", f->error ? "error" : "warning", "line", (int)f->line,
			 "text", f->text);
}

static int check_json(const char *file, const struct conf *conf, const struct conf_finding *f)
{
	json_t *findings = json_array(), *root;

	for (; f; f = f->next)
		json_array_append_new(findings, finding_json(f));
	root = json_pack("{s:s, s:b, s:o}", "file", file, "ok", conf != NULL, "findings", findings);
	if (!root || json_dumpf(root, stdout, JSON_INDENT(2)) < 0) {
		json_decref(root);
		return CLI_FAILED;
	}
	putchar('\n');
	json_decref(root);
	return conf ? CLI_OK : CLI_FAILED;
}

static int check(const struct options *o, const char *file, const struct conf *conf,
		 const struct conf_finding *f)
{
	bool lmtp = conf && conf->delivery_by == CONF_BY_LMTP;
	unsigned errors = 0, warnings = 0;
	struct buf text;

	if (o->json)
		return check_json(file, conf, f);
	buf_init(&text, 1U << 20);
	conf_findings_show(f, file, &text);
	print(&text, stderr);
	buf_done(&text);
	for (; f; f = f->next) {
		errors += f->error;
		warnings += !f->error;
	}
	if (!conf) {
		fprintf(stderr, "%s: refused: %u error%s\n", file, errors, errors == 1 ? "" : "s");
		return CLI_FAILED;
	}
	printf("%s: ok, %u warning%s\n\n", file, warnings, warnings == 1 ? "" : "s");
	print_listeners(conf);
	printf("\n%s on %s; state in %s; %s %s; %s\n", "postern " POSTERN_VERSION, conf->hostname,
	       conf->state_dir, lmtp ? "mail to accounts by LMTP to" : "mailboxes in",
	       lmtp ? conf->delivery_lmtp : conf->mail_dir,
	       conf->n_certificates ? "certificates from files" : "a self-signed certificate");
	return CLI_OK;
}

static int show(const struct options *o, const char *file, const struct conf *conf,
		const struct conf_finding *f)
{
	struct buf text;

	buf_init(&text, 1U << 22);
	if (!conf) {
		conf_findings_show(f, file, &text);
		print(&text, stderr);
	} else if (o->json) {
		conf_show_json(conf, o->all, &text);
		print(&text, stdout);
	} else {
		conf_show(conf, o->all, &text);
		print(&text, stdout);
		if (buf_slice(&text).n == 0)
			puts("# nothing differs from the defaults; --all shows them");
	}
	buf_done(&text);
	return conf ? CLI_OK : CLI_FAILED;
}

static int reference(void)
{
	struct buf text;

	buf_init(&text, 1U << 20);
	conf_reference(&text);
	print(&text, stdout);
	buf_done(&text);
	return CLI_OK;
}

static bool options(int argc, char **argv, struct options *o)
{
	enum { ALL = 256, JSON, OFFSET };
	static const struct option table[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "all", no_argument, NULL, ALL },
		{ "json", no_argument, NULL, JSON },
		{ "port-offset", required_argument, NULL, OFFSET },
		{ 0 },
	};
	struct slice number;
	int opt;

	while ((opt = getopt_long(argc, argv, "c:", table, NULL)) != -1) {
		if (opt == 'c') {
			o->file = optarg;
		} else if (opt == ALL) {
			o->all = true;
		} else if (opt == JSON) {
			o->json = true;
		} else if (opt == OFFSET) {
			number = slice_str(optarg);
			if (!cur_u64(&number, 65535, &o->port_offset) || number.n > 0) {
				cli_usage("config", "--port-offset wants a number up to 65535");
				return false;
			}
		} else {
			cli_usage_only("config");
			return false;
		}
	}
	return true;
}

int cli_config(int argc, char **argv)
{
	struct options o = { 0 };
	char file[1024];
	struct conf_setup setup = { .file = file, .root = getuid() == 0 };
	struct conf_finding *findings = NULL;
	struct conf *conf = NULL;
	const char *what;
	struct buf text;
	bool good;
	int r;

	if (!options(argc, argv, &o))
		return CLI_USAGE;
	what = optind < argc ? argv[optind] : "";
	if (optind + 1 == argc && strcmp(what, "reference") == 0)
		return reference();
	if (optind + 1 != argc || (strcmp(what, "check") != 0 && strcmp(what, "show") != 0))
		return cli_usage("config", "say check or show");
	setup.port_offset = (unsigned)o.port_offset;
	buf_init(&text, CONF_FILE_MAX);
	r = read_text(&o, file, &text);
	if (r < 0) {
		fprintf(stderr, "postern config: cannot read %s: %s\n", o.file ? o.file : file, strerror(-r));
		buf_done(&text);
		return CLI_CONFIG;
	}
	r = conf_parse(buf_slice(&text), &setup, &conf, &findings);
	if (r == -ENOMEM) {
		fputs("postern config: out of memory\n", stderr);
	} else if (strcmp(what, "show") == 0) {
		r = show(&o, file, conf, findings);
	} else {
		good = conf && config_machine_check(conf, &findings);
		r = check(&o, file, good ? conf : NULL, findings);
	}
	conf_findings_free(findings);
	conf_free(conf);
	buf_done(&text);
	return r == -ENOMEM ? CLI_FAILED : r;
}
