/* local_include.c, local_macros.c: which files belong to a configuration, and what is read of several as of
 * one.  A newcomer adds a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "advise/local_include.h"
#include "advise/local_private.h"

#define SECRET "hunter2"

/* ---- which ---- */

static const struct {
	enum advise_local_kind kind;
	const char *text;
	const char *want; /* "line:path[?][ when]; ..." */
} includes[] = {
	{ ADVISE_LOCAL_EXIM, "A = b\n.include /etc/exim/a\n  .include_if_exists \"b c\"\n# .include x\n",
	  "2:/etc/exim/a; 3:b c?" },
	{ ADVISE_LOCAL_EXIM, "DIR = /etc/exim\n.include DIR/routers\nbegin routers\n.include\n",
	  "2:/etc/exim/routers" },
	{ ADVISE_LOCAL_EXIM, ".ifdef X\n.include x\n.endif", "2:x" },
	{ ADVISE_LOCAL_GIT,
	  "[include]\n path = a\n\tpath = \"~/b\" ; there\n[user]\npath = no\n[includeIf "
	  "\"gitdir:~/office/\"]\npath=c\n",
	  "2:a?; 3:~/b?; 7:c? gitdir:~/office/" },
	{ ADVISE_LOCAL_POSTFIX, "multi_instance_directories = /etc/postfix-out,\n  /etc/postfix-b\n",
	  "1:/etc/postfix-out/main.cf!; 1:/etc/postfix-b/main.cf!" },
	{ ADVISE_LOCAL_POSTFIX, "multi_instance_directories =\nrelayhost = x\n", "" },
	{ ADVISE_LOCAL_MSMTP, "host h\n.include x\n", "" },
	{ ADVISE_LOCAL_GIT, "", "" },
};

static void test_includes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(includes) / sizeof(includes[0]); i++) {
		struct advise_include inc;
		char got[1000] = "";
		size_t n = 0, at = 0;

		while (advise_include_next(includes[i].kind, slice_str(includes[i].text), &at, &inc)) {
			n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%u:%s%s%s%s", n ? "; " : "",
					      inc.line, inc.path,
					      inc.optional ? "?"
					      : inc.apart  ? "!"
							   : "",
					      inc.when[0] ? " " : "", inc.when);
			assert_true(inc.apart || (inc.end > 0 && inc.end <= strlen(includes[i].text)));
			assert_true(n < 500); /* it ends */
		}
		assert_string_equal(includes[i].want, got);
	}
}

static void test_by_place(void **state)
{
	static const struct {
		enum advise_local_kind kind;
		const char *name, *first, *second;
	} before[] = {
		{ ADVISE_LOCAL_DOTENV, ".env", "", "" },
		{ ADVISE_LOCAL_DOTENV, ".env.local", ".env", "" },
		{ ADVISE_LOCAL_DOTENV, ".env.production", ".env", "" },
		{ ADVISE_LOCAL_DOTENV, ".env.production.local", ".env", ".env.production" },
		{ ADVISE_LOCAL_DOTENV, "app.env", "", "" },
		{ ADVISE_LOCAL_MSMTP, ".env.local", "", "" },
	};
	char to[ADVISE_LOCAL_NAME];

	(void)state;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		struct slice name = slice_str(before[i].name);

		assert_string_equal(before[i].first, advise_local_before(before[i].kind, name, 0, to));
		assert_string_equal(before[i].second, advise_local_before(before[i].kind, name, 1, to));
		assert_string_equal("", advise_local_before(before[i].kind, name, 2, to));
	}
	assert_string_equal("", advise_local_with(ADVISE_LOCAL_POSTFIX, SLICE_LIT("")));
	assert_non_null(strstr(advise_local_with(ADVISE_LOCAL_PHP_INI, SLICE_LIT("")), "pool.d/*.conf"));
	assert_non_null(
		strstr(advise_local_with(ADVISE_LOCAL_EXIM_DEBIAN, SLICE_LIT("dc_use_split_config='true'\n")),
		       "conf.d/main/*"));
	assert_non_null(strstr(advise_local_with(ADVISE_LOCAL_EXIM_DEBIAN,
						 SLICE_LIT("dc_use_split_config='false'\n")),
			       "exim4.conf.template"));
	/* update-exim4.conf passes over these */
	assert_false(advise_local_with_takes(ADVISE_LOCAL_EXIM_DEBIAN, SLICE_LIT("30_smarthost.dpkg-dist")));
	assert_false(advise_local_with_takes(ADVISE_LOCAL_EXIM_DEBIAN, SLICE_LIT("30_smarthost~")));
	assert_true(
		advise_local_with_takes(ADVISE_LOCAL_EXIM_DEBIAN, SLICE_LIT("30_exim4-config_smarthost")));
	assert_true(advise_local_with_takes(ADVISE_LOCAL_EXIM_DEBIAN, SLICE_LIT("exim4.conf.template")));
	assert_true(advise_local_with_takes(ADVISE_LOCAL_PHP_INI, SLICE_LIT("99-mail.ini")));
}

/* ---- names that stand for values ---- */

static void test_variables(void **state)
{
	static const struct {
		const char *value, *want; /* NULL: not known */
	} cases[] = {
		{ "[$host]:587", "[smtp.example.org]:587" },
		{ "[${host}]:$(port)", "[smtp.example.org]:587" },
		{ "$twice", "smtp.example.org" },
		{ "$unknown", NULL },
		{ "${host?x}", NULL },
		{ "$$", NULL },
		{ "$", NULL },
		{ "$loop", NULL },
		{ "plain", "plain" },
		{ "$empty", "" },
	};
	struct advise_macros m = { .n = 0 };
	char room[ADVISE_EXPANDED];

	(void)state;
	advise_macros_set(&m, SLICE_LIT("host"), SLICE_LIT("old.example"));
	advise_macros_set(&m, SLICE_LIT("host"), SLICE_LIT("smtp.example.org"));
	advise_macros_set(&m, SLICE_LIT("port"), SLICE_LIT("587"));
	advise_macros_set(&m, SLICE_LIT("twice"), SLICE_LIT("$host"));
	advise_macros_set(&m, SLICE_LIT("loop"), SLICE_LIT("$loop$loop"));
	advise_macros_set(&m, SLICE_LIT("empty"), SLICE_LIT(""));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice v = slice_str(cases[i].value);
		bool is = advise_variables_fill(&m, &v, room);

		assert_int_equal(is, cases[i].want != NULL);
		assert_true(slice_eq(v, slice_str(is ? cases[i].want : cases[i].value)));
	}
}

/* ---- several files as one ---- */

#define FILES 4

static const struct {
	enum advise_local_kind kind;
	const char *file[FILES]; /* in the order in which they count; the configuration itself is `own` */
	const char *when[FILES];
	unsigned own;
	const char *beside;
	const char
		*want; /* a line a server: "name host:port security [login] [password] [(program)] wrongs" */
	const char *change; /* of the first that has any: "FILE@line: text; place: text" */
	const char *origin; /* of the first: "key@FILE:line ..." */
} wholes[] = {
	/* php.ini, conf.d, a pool */
	{ ADVISE_LOCAL_PHP_INI,
	  { "[mail function]\nsendmail_path = /old -t\n", "; x\nsendmail_path = /usr/bin/msmtp -t\n",
	    "[www]\nuser = w\nphp_admin_value[sendmail_path] = /opt/s -i\n[b]\nuser = b\nphp_admin_flag[x] = "
	    "on\n" },
	  { 0 },
	  0,
	  "",
	  " (/usr/bin/msmtp):0 unknown\npool www (/opt/s):0 unknown sendmail-without-t",
	  "",
	  "sendmail_path@1:2" },
	/* a pool alone is no php.ini */
	{ ADVISE_LOCAL_PHP_INI,
	  { "[www]\nphp_value[sendmail_path] = /opt/s -t\n" },
	  { 0 },
	  0,
	  "",
	  "pool www (/opt/s):0 unknown",
	  "",
	  "sendmail_path@0:2" },
	/* .env below .env.local */
	{ ADVISE_LOCAL_DOTENV,
	  { "MAIL_HOST=smtp.example.org\nMAIL_PORT=587\nMAIL_USERNAME=u\nMAIL_ENCRYPTION=tls\nSMTP_HOST="
	    "other.example\n",
	    "MAIL_PORT=465\nMAIL_SCHEME=smtp\n" },
	  { 0 },
	  1,
	  "",
	  "MAIL smtp.example.org:465 SSL/TLS login",
	  "",
	  "MAIL_HOST@1:1 MAIL_PORT@0:1 MAIL_USERNAME@1:3 MAIL_ENCRYPTION@1:4 MAIL_SCHEME@0:2" },
	{ ADVISE_LOCAL_DOTENV, { "MAIL_HOST=smtp.example.org\n", "DB=x\n" }, { 0 }, 1, "", "", "", "" },
	/* git: taken in, and under a condition */
	{ ADVISE_LOCAL_GIT,
	  { "[sendemail]\nsmtpServer = smtp.example.org\nsmtpUser = u\nsmtpEncryption = tls\nsmtpServerPort "
	    "= 587\n",
	    "[sendemail]\nsmtpServer = smtp.work.example\nsmtpEncryption = ssl\n" },
	  { 0, "gitdir:~/office/" },
	  0,
	  "",
	  " smtp.example.org:587 STARTTLS login\ngitdir:~/office/ smtp.work.example:587 SSL/TLS login "
	  "tls-on-587",
	  "1@3: smtpEncryption = tls",
	  "smtpServer@0:2 smtpUser@0:3 smtpEncryption@0:4 smtpServerPort@0:5" },
	/* Exim: a section goes on in the file that is taken in, and behind it; macros of it count */
	{ ADVISE_LOCAL_EXIM,
	  { "HOST = smtp.example.org\nbegin routers\nr:\n  driver = manualroute\n  transport = t\n",
	    "  route_list = * HOST::587\nTLS = *\n",
	    "begin transports\nt:\n  driver = smtp\n  hosts_require_tls = TLS\n  hosts_require_auth = *\n  "
	    "tls_verify_hosts = TLS\n" },
	  { 0 },
	  0,
	  "",
	  "r smtp.example.org:587 STARTTLS login",
	  "",
	  "transport@0:5 route_list@1:1 hosts_require_tls@2:4 "
	  "hosts_require_auth@2:5 tls_verify_hosts@2:6" },
	/* .ifdef */
	{ ADVISE_LOCAL_EXIM,
	  { "A = 1\n.ifdef B A\nX = 465\n.else\nX = 25\n.endif\n.ifndef A\nX == 26\n.elifdef A\nX == "
	    "587\n.else\nX == 27\n.endif\n"
	    "begin routers\nr:\n  route_list = * h.example::X\n  transport = t\nbegin transports\nt:\n"
	    ".ifdef A\n.ifdef NONE\n  protocol = smtps\n.endif\n.endif\n  hosts_require_tls = *\n" },
	  { 0 },
	  0,
	  "",
	  "r h.example:587 STARTTLS no-login",
	  "",
	  "route_list@0:16 transport@0:17 hosts_require_tls@0:25" },
	/* what hangs on how Exim was built */
	{ ADVISE_LOCAL_EXIM,
	  { "begin routers\nr:\n  route_list = * h.example::465\n  transport = t\nbegin "
	    "transports\nt:\n.ifdef _HAVE_TLS\n"
	    "  protocol = smtps\n.endif\n" },
	  { 0 },
	  0,
	  "",
	  "r h.example:465 SSL/TLS not-literal no-login",
	  "",
	  "route_list@0:3 transport@0:4 protocol@0:8" },
/* Debian's */
#define ROUTER                                                                                          \
	"begin routers\n.ifdef DCconfig_smarthost DCconfig_satellite\nsmarthost:\n  transport = rs\n  " \
	"route_list = * DCsmarthost byname\n.endif\n"
#define TRANSPORT                                                     \
	"begin transports\nrs:\n  driver = smtp\n  hosts_try_auth = " \
	"${lookup{$host}nwildlsearch{passwd.client}}\n"               \
	".ifdef REMOTE_SMTP_SMARTHOST_PROTOCOL\n  protocol = REMOTE_SMTP_SMARTHOST_PROTOCOL\n.endif\n"
	{ ADVISE_LOCAL_EXIM_DEBIAN,
	  { "dc_eximconfig_configtype='smarthost'\ndc_smarthost='smtp.example.org::465'\ndc_use_split_config="
	    "'true'\n",
	    ROUTER, TRANSPORT },
	  { 0 },
	  0,
	  "# x\nsmtp.example.org:ann:" SECRET "\n",
	  " smtp.example.org:465 STARTTLS if offered login password starttls-on-465 certificate-unchecked",
	  "conf.d/main/000_localmacros: REMOTE_SMTP_SMARTHOST_PROTOCOL = smtps; "
	  "conf.d/main/000_localmacros: REMOTE_SMTP_SMARTHOST_HOSTS_REQUIRE_TLS = *; "
	  "conf.d/main/000_localmacros: REMOTE_SMTP_SMARTHOST_TLS_VERIFY_HOSTS = *",
	  "dc_eximconfig_configtype@0:1 dc_smarthost@0:2" },
	{ ADVISE_LOCAL_EXIM_DEBIAN,
	  { "dc_eximconfig_configtype='satellite'\ndc_smarthost='smtp.example.org::465'\n",
	    "REMOTE_SMTP_SMARTHOST_PROTOCOL = smtps\nREMOTE_SMTP_SMARTHOST_TLS_VERIFY_HOSTS = *\n", ROUTER,
	    TRANSPORT },
	  { 0 },
	  0,
	  "*:ann:" SECRET "\n",
	  " smtp.example.org:465 SSL/TLS login password",
	  "",
	  "dc_eximconfig_configtype@0:1 dc_smarthost@0:2 REMOTE_SMTP_SMARTHOST_PROTOCOL@1:1 "
	  "REMOTE_SMTP_SMARTHOST_TLS_VERIFY_HOSTS@1:2" },
	/* an option that somebody wrote into the transport; no line in passwd.client; a macro that lets
	   passwords out */
	{ ADVISE_LOCAL_EXIM_DEBIAN,
	  { "dc_eximconfig_configtype='smarthost'\ndc_smarthost='smtp.example.org::587'\n", ROUTER,
	    TRANSPORT "  protocol = smtps\n" },
	  { 0 },
	  0,
	  "# none\n",
	  " smtp.example.org:587 SSL/TLS tls-on-587 no-login",
	  "2@8: protocol = smtp; exim4.conf.localmacros: REMOTE_SMTP_SMARTHOST_HOSTS_REQUIRE_TLS = *; "
	  "exim4.conf.localmacros: REMOTE_SMTP_SMARTHOST_TLS_VERIFY_HOSTS = *",
	  "dc_eximconfig_configtype@0:1 dc_smarthost@0:2 protocol@2:8" },
	{ ADVISE_LOCAL_EXIM_DEBIAN,
	  { "dc_eximconfig_configtype='smarthost'\ndc_smarthost='smtp.example.org::587'\n",
	    "AUTH_CLIENT_ALLOW_NOTLS_PASSWORDS = 1\n", ROUTER, TRANSPORT "  tls_verify_hosts = *\n" },
	  { 0 },
	  0,
	  "other.example:a:b\nsmtp.example.org:ann:" SECRET "\n",
	  " smtp.example.org:587 STARTTLS if offered login password encryption-optional",
	  "exim4.conf.localmacros: REMOTE_SMTP_SMARTHOST_HOSTS_REQUIRE_TLS = *",
	  "dc_eximconfig_configtype@0:1 dc_smarthost@0:2 AUTH_CLIENT_ALLOW_NOTLS_PASSWORDS@1:1 "
	  "tls_verify_hosts@3:8" },
	/* mail that goes out by itself has no smart host, whatever stands there */
	{ ADVISE_LOCAL_EXIM_DEBIAN,
	  { "dc_eximconfig_configtype='internet'\ndc_smarthost='smtp.example.org::25'\n", ROUTER, TRANSPORT },
	  { 0 },
	  0,
	  "",
	  "",
	  "",
	  "" },
	/* a router of one's own */
	{ ADVISE_LOCAL_EXIM_DEBIAN,
	  { "dc_eximconfig_configtype='internet'\n",
	    "begin routers\nmine:\n  driver = manualroute\n  transport = tm\n  route_list = far.example "
	    "smtp.far.example::465\n",
	    "begin transports\ntm:\n  driver = smtp\n" },
	  { 0 },
	  0,
	  "",
	  "mine smtp.far.example:465 STARTTLS if offered starttls-on-465 no-login",
	  NULL,
	  "transport@1:4 route_list@1:5" },
};

static size_t put(char *to, size_t size, size_t n, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static size_t put(char *to, size_t size, size_t n, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	n += (size_t)vsnprintf(to + n, size - n, format, args);
	va_end(args);
	assert_true(n < size);
	return n;
}

static void describe(const struct advise_local *l, char *to, size_t size)
{
	size_t n = 0;

	to[0] = '\0';
	for (size_t i = 0; i < l->n; i++) {
		const struct advise_local_server *s = &l->server[i];

		n = put(to, size, n, "%s%s %s%s%s%s:%u %s%s%s", i ? "\n" : "", s->name, s->host,
			s->program[0] ? "(" : "", s->program, s->program[0] ? ")" : "", s->port,
			advise_security_name(s->security), s->login ? " login" : "",
			s->password ? " password" : "");
		for (unsigned w = 0; w < ADVISE_WRONGS; w++)
			if (advise_wrong_has(s, (enum advise_wrong)w))
				n = put(to, size, n, " %s", advise_wrong_name((enum advise_wrong)w));
	}
}

static void describe_changes(const struct advise_local *l, char *to, size_t size)
{
	struct advise_change c[ADVISE_LOCAL_CHANGES];
	struct advise_target t;
	size_t n = 0, m = 0;

	to[0] = '\0';
	for (size_t i = 0; i < l->n && m == 0; i++)
		if (advise_local_target(l, &l->server[i], &t))
			m = advise_local_changes(l, &l->server[i], &t, c);
	for (size_t i = 0; i < m; i++) {
		n = put(to, size, n, "%s", i ? "; " : "");
		if (c[i].place[0])
			n = put(to, size, n, "%s", c[i].place);
		else
			n = put(to, size, n, "%u@%s%u", c[i].file, c[i].add ? "+" : "", c[i].line);
		n = put(to, size, n, ": %s", c[i].text);
	}
}

static void describe_origin(const struct advise_local *l, char *to, size_t size)
{
	size_t n = 0;

	to[0] = '\0';
	for (size_t i = 0; l->n > 0 && i < l->server[0].n_sets; i++)
		n = put(to, size, n, "%s%s@%u:%u", i ? " " : "", advise_set_key(&l->server[0].set[i]),
			l->server[0].set[i].file, l->server[0].set[i].line);
}

static void test_wholes(void **state)
{
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
		struct advise_part part[FILES];
		struct advise_whole w = { .part = part, .beside = slice_str(wholes[i].beside) };
		char got[2000], change[2000], origin[2000];
		struct advise_local l;

		/* Numbers as the caller gives them: the configuration itself is 0. */
		for (uint16_t f = 0; f < FILES && wholes[i].file[f]; f++)
			part[w.n++] = (struct advise_part){ .text = slice_str(wholes[i].file[f]),
							    .file = f == wholes[i].own ? 0
								    : f		       ? f
										       : 1,
							    .line = 1,
							    .when = slice_str(wholes[i].when[f]) };
		advise_local_read_whole(wholes[i].kind, &w, &l);
		describe(&l, got, sizeof(got));
		describe_changes(&l, change, sizeof(change));
		describe_origin(&l, origin, sizeof(origin));
		if (strcmp(got, wholes[i].want) != 0 || strcmp(origin, wholes[i].origin) != 0 ||
		    (wholes[i].change && strcmp(change, wholes[i].change) != 0)) {
			print_message("# row %zu:\n#   %s\n# not %s\n#   %s\n# not %s\n#   %s\n# not %s\n", i,
				      got, wholes[i].want, change, wholes[i].change, origin,
				      wholes[i].origin);
			bad++;
		}
		assert_null(memmem(&l, sizeof(l), SECRET, strlen(SECRET)));
	}
	assert_int_equal(bad, 0);
}

/* What stands behind something that is taken in goes on in its section, with its own lines. */
static void test_behind(void **state)
{
	static const char before[] = "[sendemail]\nsmtpServer = smtp.example.org\n[include]\npath = x\n",
			  behind[] = "[sendemail]\nsmtpServerPort = 587\n", inside[] = "[user]\nname = n\n",
			  half[] = "smtpEncryption = tls\n";
	const struct advise_part part[] = { { .text = slice_str(before), .line = 1 },
					    { .text = slice_str(inside), .file = 1, .line = 1 },
					    { .text = slice_str(behind), .line = 5 },
					    { .text = slice_str(inside), .file = 1, .line = 1 },
					    { .text = slice_str(half), .line = 7 } };
	const struct advise_whole w = { .part = part, .n = sizeof(part) / sizeof(part[0]) };
	struct advise_local l;

	(void)state;
	advise_local_read_whole(ADVISE_LOCAL_GIT, &w, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.server[0].port, 587);
	assert_int_equal(l.server[0].security, ADVISE_SECURITY_STARTTLS);
	assert_int_equal(l.server[0].n_sets, 3);
	assert_int_equal(l.server[0].set[1].line, 6);
	assert_int_equal(l.server[0].set[2].line, 7);
	assert_int_equal(l.server[0].set[2].file, 0);
}

static void test_folder(void **state)
{
	const struct advise_part part = { .text = SLICE_LIT(
						  "relayhost = [$h]:587\nh = smtp.example.org\n"
						  "smtp_sasl_password_maps = hash:$config_directory/sasl\n"),
					  .line = 1 };
	struct advise_whole w = { .part = &part, .n = 1, .folder = SLICE_LIT("/etc/postfix") };
	struct advise_local l;

	(void)state;
	advise_local_read_whole(ADVISE_LOCAL_POSTFIX, &w, &l);
	assert_string_equal(l.server[0].host, "smtp.example.org");
	assert_string_equal(l.server[0].passwords, "hash:/etc/postfix/sasl");
	assert_false(advise_wrong_has(&l.server[0], ADVISE_WRONG_UNSURE));
	w.folder = (struct slice){ 0 };
	advise_local_read_whole(ADVISE_LOCAL_POSTFIX, &w, &l);
	assert_string_equal(l.server[0].passwords, "");
	assert_true(advise_wrong_has(&l.server[0], ADVISE_WRONG_UNSURE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_includes),  cmocka_unit_test(test_by_place),
		cmocka_unit_test(test_variables), cmocka_unit_test(test_wholes),
		cmocka_unit_test(test_behind),	  cmocka_unit_test(test_folder),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
