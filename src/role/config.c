/* The configuration's file, as main reads it. */
#include <errno.h>

#include "conf/file.h"
#include "role/server.h"

const char *server_config_path(const struct supervisor_setup *setup, bool root, char *room, size_t size)
{
	if (setup->file)
		return setup->file;
	return conf_file_default(root, room, size) ? room : "postern.conf";
}

static void add_finding(struct conf_finding **to, const char *file, int err)
{
	struct conf_finding *f = calloc(1, sizeof(*f));

	if (!f)
		return;
	f->error = true;
	if (asprintf(&f->text, "cannot read %s: %s", file, strerror(-err)) < 0)
		f->text = NULL;
	*to = f;
}

int server_config_read(const struct supervisor_setup *setup, bool root, struct buf *text, struct conf **ret,
		       struct conf_finding **ret_findings)
{
	char room[1024];
	struct conf_setup cs = { .file = server_config_path(setup, root, room, sizeof(room)),
				 .port_offset = setup->port_offset,
				 .root = root };
	int r = conf_file_read(cs.file, text);

	*ret_findings = NULL;
	if (r == -ENOENT && !setup->file)
		r = 0; /* none is a working server too */
	if (r < 0) {
		add_finding(ret_findings, cs.file, r);
		return r;
	}
	return conf_parse(buf_slice(text), &cs, ret, ret_findings);
}
