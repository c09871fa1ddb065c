#include "probe/autoconfig.h"

#include <expat.h>
#include <string.h>

#define DEPTH_MAX 32
#define TEXT_MAX  300

/* Where the reader stands. */
struct reader {
	XML_Parser parser;
	struct autoconfig *to;
	struct autoconfig_server now;
	unsigned depth;
	bool in_server; /* <outgoingServer type="smtp"> */
	bool has_host, has_port;
	char text[TEXT_MAX]; /* of the innermost element */
	size_t n;
	const char *wrong;
};

static void stop(struct reader *r, const char *why)
{
	if (!r->wrong)
		r->wrong = why;
	XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *arg, const char *name, const char **attributes)
{
	struct reader *r = arg;

	r->n = 0;
	if (++r->depth > DEPTH_MAX) {
		stop(r, "it is nested too deeply");
		return;
	}
	if (strcmp(name, "outgoingServer") != 0)
		return;
	r->in_server = false;
	r->has_host = r->has_port = false;
	memset(&r->now, 0, sizeof(r->now));
	for (; attributes[0]; attributes += 2)
		if (!strcmp(attributes[0], "type") && !strcmp(attributes[1], "smtp"))
			r->in_server = true;
}

static void on_text(void *arg, const char *s, int len)
{
	struct reader *r = arg;

	for (int i = 0; i < len; i++)
		if (r->n < TEXT_MAX)
			r->text[r->n++] = s[i];
}

/* XML's blanks at both ends. */
static struct slice trim(struct slice s)
{
	while (s.n > 0 && strchr(" \t\r\n", s.p[0]))
		s = slice_tail(s, 1);
	while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	return s;
}

static void take(struct reader *r, const char *name)
{
	struct slice v = trim(slice_of(r->text, r->n));
	uint64_t port;

	if (!strcmp(name, "hostname") && v.n > 0) {
		r->has_host = slice_copy(v, r->now.host, sizeof(r->now.host));
	} else if (!strcmp(name, "port") && cur_u64(&v, 65535, &port) && v.n == 0 && port > 0) {
		r->now.port = (uint16_t)port;
		r->has_port = true;
	} else if (!strcmp(name, "socketType")) {
		r->now.socket = slice_eq_nocase(v, SLICE_LIT("SSL"))	    ? AUTOCONFIG_SSL
				: slice_eq_nocase(v, SLICE_LIT("STARTTLS")) ? AUTOCONFIG_STARTTLS
									    : AUTOCONFIG_PLAIN;
	}
}

static void on_end(void *arg, const char *name)
{
	struct reader *r = arg;

	r->depth--;
	if (r->in_server)
		take(r, name);
	r->n = 0;
	if (strcmp(name, "outgoingServer") != 0)
		return;
	if (r->in_server && r->has_host && r->has_port && r->to->n < AUTOCONFIG_SERVERS_MAX)
		r->to->server[r->to->n++] = r->now;
	r->in_server = false;
}

/* A file that declares entities has no business here, and may want to make them large. */
static void on_doctype(void *arg, const char *name, const char *system, const char *public, int internal)
{
	(void)name, (void)system, (void)public, (void)internal;
	stop(arg, "it has a document type of its own");
}

const char *autoconfig_parse(struct slice text, struct autoconfig *ret)
{
	struct autoconfig found = { 0 };
	struct reader r = { .to = &found };

	if (text.n > AUTOCONFIG_OCTETS_MAX)
		return "it is too large";
	r.parser = XML_ParserCreate(NULL);
	if (!r.parser)
		return "out of memory";
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	if (XML_Parse(r.parser, (const char *)text.p, (int)text.n, XML_TRUE) != XML_STATUS_OK && !r.wrong)
		r.wrong =
			XML_GetErrorCode(r.parser) == XML_ERROR_NO_MEMORY ? "out of memory" : "it is no XML";
	XML_ParserFree(r.parser);
	if (!r.wrong)
		*ret = found;
	return r.wrong;
}
