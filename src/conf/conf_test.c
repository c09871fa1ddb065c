#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "conf/conf.h"

static const struct conf_setup setup = { .file = "postern.conf", .root = true };

static void an_empty_text_is_a_working_server(void **state)
{
	struct conf_finding *findings = NULL;
	struct conf *conf = NULL;
	struct conf_submission_port ports[8];

	(void)state;
	assert_int_equal(conf_parse(SLICE_LIT(""), &setup, &conf, &findings), 0);
	assert_int_equal(conf->n_listeners, 4);
	assert_int_equal(conf_listener(conf, SLICE_LIT("relay"))->port, 25);
	assert_int_equal(conf_listener(conf, SLICE_LIT("submissions"))->port, 465);
	assert_int_equal(conf_listener(conf, SLICE_LIT("submissions"))->tls, CONF_TLS_IMPLICIT);
	assert_true(conf_listener(conf, SLICE_LIT("submission"))->auth);
	assert_false(conf_listener(conf, SLICE_LIT("relay"))->auth);
	assert_int_equal(conf_listener(conf, SLICE_LIT("fallback"))->n_addresses, 2);
	assert_int_equal(conf_submission_ports(conf, ports, 8), 3);
	assert_int_equal(ports[0].port, 465);
	assert_string_equal(conf->state_dir, "/var/lib/postern");
	assert_string_equal(conf->recipient_delimiter, "+");
	conf_findings_free(findings);
	conf_free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_text_is_a_working_server),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
