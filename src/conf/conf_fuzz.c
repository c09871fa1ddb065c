/* What parses can be shown, as YAML and as JSON, whole or only what differs; each of
 * these parses again without an error, to the same values.  What does not parse has an
 * error that says why. */
#include "conf/conf.h"

static const struct conf_setup setup = { .file = "fuzz", .port_offset = 7, .root = true };

static struct conf *parse(struct slice text)
{
	struct conf_finding *findings = NULL;
	struct conf *conf = NULL;
	bool error = false;
	int r = conf_parse(text, &setup, &conf, &findings);

	for (const struct conf_finding *f = findings; f; f = f->next) {
		error |= f->error;
		if (!f->text || !f->text[0])
			abort();
	}
	if (error != (r < 0) || (r == 0) != (conf != NULL))
		abort();
	conf_findings_free(findings);
	return conf;
}

static void shown_reads_the_same(const struct conf *conf, bool all, bool json)
{
	struct conf_finding *differs = NULL;
	struct conf *again;
	struct buf shown;

	buf_init(&shown, 1 << 24);
	if (json)
		conf_show_json(conf, all, &shown);
	else
		conf_show(conf, all, &shown);
	again = parse(buf_slice(&shown));
	if (!again || conf_reload_diff(conf, again, &differs) < 0 || differs)
		abort();
	conf_free(again);
	buf_done(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct conf *conf = parse(slice_of(data, n));

	for (int way = 0; conf && way < 4; way++)
		shown_reads_the_same(conf, way & 1, way & 2);
	conf_free(conf);
	return 0;
}
