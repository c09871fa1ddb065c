#include "conf/directives.h"

/* Text of a page: a line a sentence, as mdoc wants it, and nothing that troff takes for
 * a request. */
static void prose(const char *text, struct buf *to)
{
	for (const char *p = text; *p; p++) {
		if (p[0] == '\\')
			buf_str(to, "\\e");
		else if (p[0] == ' ' && p > text && (p[-1] == '.' || p[-1] == ':') && p - text > 12)
			buf_byte(to, '\n');
		else
			buf_byte(to, (unsigned char)*p);
	}
	buf_byte(to, '\n');
}

/* An argument of a macro: quoted, so that "no" or "%" is no macro. */
static void argument(const char *text, struct buf *to)
{
	buf_byte(to, '"');
	for (const char *p = text; *p; p++) {
		if (*p == '"')
			buf_str(to, "\\(dq");
		else if (*p == '\\')
			buf_str(to, "\\e");
		else
			buf_byte(to, (unsigned char)*p);
	}
	buf_byte(to, '"');
}

static void allowed(const struct conf_directive *d, struct buf *to)
{
	struct buf text;

	buf_init(&text, 512);
	conf_value_allowed(d, &text);
	buf_byte(&text, '\0');
	buf_str(to, "Allowed: ");
	prose((const char *)buf_slice(&text).p, to);
	buf_done(&text);
}

static const char *nothing(const char *def)
{
	return def[0] ? def : "empty";
}

static void entry(const struct conf_directive *d, size_t skip, struct buf *to)
{
	buf_str(to, ".It Ic ");
	argument(d->path + skip, to);
	buf_byte(to, '\n');
	prose(d->help, to);
	buf_str(to, ".br\n");
	allowed(d, to);
	if (d->def_submission)
		buf_fmt(to, ".br\nDefault: %s on a relay, %s on submission.\n", d->def, d->def_submission);
	else if (d->def_text || d->def)
		buf_fmt(to, ".br\nDefault: %s.\n", d->def_text ? d->def_text : nothing(d->def));
	if (d->fixed)
		buf_str(to, ".br\nA change takes effect at the next start, not by a reload.\n");
}

static void section(const char *title, const char *help, enum conf_scope scope, const char *block,
		    struct buf *to)
{
	size_t skip = strlen(block);

	buf_fmt(to, ".Ss %s\n", title);
	prose(help, to);
	buf_str(to, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < conf_n_directives; i++) {
		const struct conf_directive *d = &conf_directives[i];

		if (d->scope == scope && strncmp(d->path, block, skip) == 0 && !strchr(d->path + skip, '.'))
			entry(d, skip, to);
	}
	buf_str(to, ".El\n");
}

static void builtins(struct buf *to)
{
	buf_str(to, ".Pp\nThese listeners exist without being written:\n"
		    ".Bl -column \"submissions\" \"submission\" \"65535\" \"starttls\"\n"
		    ".It Em name Ta Em role Ta Em port Ta Em tls\n");
	for (size_t i = 0; i < conf_n_builtins; i++)
		buf_fmt(to, ".It Li %s Ta %s Ta %s Ta %s\n", conf_builtins[i].name, conf_builtins[i].role,
			conf_builtins[i].port, conf_builtins[i].tls);
	buf_str(to, ".El\n");
}

void conf_reference(struct buf *to)
{
	char block[64], title[80];

	section("The top level", "These stand at the left margin.", CONF_AT_TOP, "", to);
	for (size_t i = 0; i < conf_n_blocks; i++) {
		snprintf(block, sizeof(block), "%s.", conf_blocks[i].name);
		snprintf(title, sizeof(title), "The block %s", conf_blocks[i].name);
		section(title, conf_blocks[i].help, CONF_AT_TOP, block, to);
	}
	for (size_t i = 0; i < conf_n_families; i++) {
		snprintf(title, sizeof(title), "The block %s", conf_families[i].block);
		section(title, conf_families[i].help, conf_families[i].scope, "", to);
	}
	section("The block tls",
		"It holds the list certificates; each of its entries has these two. "
		"The first certificate serves clients that name no host, or one that no certificate has. "
		"Without any the server makes a self-signed one, in the folder tls of state_dir. "
		"Certificates are read anew when their files change, and on a reload.",
		CONF_AT_CERTIFICATE, "", to);
	section("The block listeners",
		"A block for each listener, by its name. "
		"The name of one that exists by itself changes what is written and leaves the rest. "
		"Any other name adds a listener; role and port are required then.",
		CONF_AT_LISTENER, "", to);
	builtins(to);
}
