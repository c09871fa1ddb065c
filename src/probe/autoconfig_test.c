/* Files as providers write them, and as nobody should: add a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "probe/autoconfig.h"

#define HEAD "<?xml version=\"1.0\"?><clientConfig version=\"1.1\"><emailProvider id=\"example.org\">"
#define TAIL "</emailProvider></clientConfig>"
#define SERVER(type, host, port, socket)                                             \
	"<outgoingServer type=\"" type "\"><hostname>" host "</hostname><port>" port \
	"</port><socketType>" socket "</socketType><username>%EMAILADDRESS%</username></outgoingServer>"

static void files(void **state)
{
	static const struct {
		const char *text;
		const char *is; /* "host:port socket, ..."; NULL: it is wrong */
	} rows[] = {
		{ HEAD SERVER("smtp", "smtp.example.org", "465", "SSL")
			  SERVER("smtp", " smtp.example.org\n", "587", "STARTTLS") TAIL,
		  "smtp.example.org:465 1, smtp.example.org:587 2" },
		{ HEAD "<incomingServer type=\"imap\"><hostname>imap.example.org</hostname><port>993</port>"
		       "</incomingServer>" SERVER("smtp", "a.example.org", "25", "plain") TAIL,
		  "a.example.org:25 0" },
		{ HEAD SERVER("exchange", "a.example.org", "443", "SSL") TAIL, "" },
		{ HEAD SERVER("smtp", "", "465", "SSL") TAIL, "" },
		{ HEAD SERVER("smtp", "a.example.org", "0", "SSL") TAIL, "" },
		{ HEAD SERVER("smtp", "a.example.org", "99999", "SSL") TAIL, "" },
		{ HEAD TAIL, "" },
		{ "<html><body>404</body>", NULL },
		{ "", NULL },
		{ "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b "
		  "\"&a;&a;&a;\">]><clientConfig>&b;</clientConfig>",
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct autoconfig a = { 0 };
		const char *wrong = autoconfig_parse(slice_str(rows[i].text), &a);
		char is[400] = "";
		size_t n = 0;

		for (size_t s = 0; s < a.n; s++)
			n += (size_t)snprintf(is + n, sizeof(is) - n, "%s%s:%u %d", s ? ", " : "",
					      a.server[s].host, a.server[s].port, (int)a.server[s].socket);
		if (!wrong != (rows[i].is != NULL) || (rows[i].is && strcmp(is, rows[i].is) != 0))
			fail_msg("row %zu: \"%s\" %s", i, is, wrong ? wrong : "");
	}
}

static void nested_without_end(void **state)
{
	char text[4096] = "";
	struct autoconfig a;

	(void)state;
	for (size_t n = 0; n + 4 < sizeof(text); n += 3)
		snprintf(text + n, sizeof(text) - n, "<a>");
	assert_string_equal(autoconfig_parse(slice_str(text), &a), "it is nested too deeply");
}

static void no_more_servers_than_there_is_room(void **state)
{
	char text[8192];
	size_t n = (size_t)snprintf(text, sizeof(text), "%s", HEAD);
	struct autoconfig a;

	(void)state;
	for (int i = 0; i < 20; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s",
				      SERVER("smtp", "a.example.org", "587", "STARTTLS"));
	snprintf(text + n, sizeof(text) - n, "%s", TAIL);
	assert_null(autoconfig_parse(slice_str(text), &a));
	assert_int_equal(a.n, AUTOCONFIG_SERVERS_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),
		cmocka_unit_test(nested_without_end),
		cmocka_unit_test(no_more_servers_than_there_is_room),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
