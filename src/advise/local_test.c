/* local*.c: files as people have them, what must be read from them, and what must be written instead.  A
 * newcomer adds a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "advise/local.h"

#define SECRET "hunter2"

struct row {
	enum advise_local_kind kind;
	const char *text;
	const char *want;   /* a line a server: "name host:port security [login] [password] [(program)]
			       wrongs..." */
	const char *change; /* of the first server that has any: "7: line; +3: line; 2-3: line"; NULL: none */
	const char *beside;
};

/* clang-format off */
static const struct row rows[] = {
	/* ---- Postfix ---- */
	{ ADVISE_LOCAL_POSTFIX,
	  "# a comment\nrelayhost = [smtp.example.org]:465\nsmtp_tls_wrappermode = yes\nsmtp_tls_security_level = secure\n"
	  "smtp_tls_CApath = /etc/ssl/certs\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_tls_security_options = noanonymous\n"
	  "smtp_sasl_password_maps = hash:/etc/postfix/sasl\n",
	  " smtp.example.org:465 SSL/TLS login", NULL, "" },
	{ ADVISE_LOCAL_POSTFIX,
	  "relayhost =\n  [smtp.example.org]:submission\nsmtp_tls_security_level=may\nsmtp_sasl_auth_enable=yes\n",
	  " smtp.example.org:587 STARTTLS if offered login encryption-optional",
	  "3: smtp_tls_security_level = secure; +4: smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt", "" },
	{ ADVISE_LOCAL_POSTFIX,
	  "relayhost = [smtp.example.org]:465\nsmtp_tls_security_level = encrypt\nsmtp_sasl_auth_enable = yes\n"
	  "smtp_sasl_security_options = noanonymous\nsmtp_sasl_password_maps = static:ann:" SECRET "\n",
	  " smtp.example.org:465 STARTTLS login password starttls-on-465 certificate-unchecked",
	  "+5: smtp_tls_wrappermode = yes; 2: smtp_tls_security_level = secure; +5: smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt", "" },
	{ ADVISE_LOCAL_POSTFIX, "relayhost = [smtp.example.org]:587\nsmtp_tls_wrappermode = yes\nsmtp_tls_security_level = encrypt\n",
	  " smtp.example.org:587 SSL/TLS tls-on-587 certificate-unchecked no-login",
	  "2: smtp_tls_wrappermode = no; 3: smtp_tls_security_level = secure; +3: smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt", "" },
	{ ADVISE_LOCAL_POSTFIX, "relayhost = [smtp.example.org]:465\nsmtp_tls_wrappermode = yes\n",
	  " smtp.example.org:465 SSL/TLS no-login wrappermode-alone", "+2: smtp_tls_security_level = secure; +2: smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt", "" },
	{ ADVISE_LOCAL_POSTFIX, "relayhost = smtp.example.org\nsmtp_sasl_auth_enable = yes\n",
	  " smtp.example.org:25 none login port-25 password-in-clear",
	  "1: relayhost = [smtp.example.org]:587; +2: smtp_tls_security_level = secure; +2: smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt", "" },
	{ ADVISE_LOCAL_POSTFIX,
	  "relayhost = smtp.example.org:587\nsmtp_use_tls = yes\nsmtp_sasl_password_maps = hash:/etc/postfix/sasl\n"
	  "smtp_tls_security_level = verify\n",
	  " smtp.example.org:587 STARTTLS login-off no-authorities looks-up-mx", "+4: smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt", "" },
	{ ADVISE_LOCAL_POSTFIX,
	  "relayhost = [smtp.example.org]:587\nsmtp_use_tls = yes\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/x\n",
	  " smtp.example.org:587 STARTTLS if offered login encryption-optional noplaintext",
	  "+4: smtp_tls_security_level = secure; +4: smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt", "" },
	{ ADVISE_LOCAL_POSTFIX, "relayhost =\n  smtp.example.org\nsmtp_tls_security_level =\n secure\nsmtp_tls_CAfile = /x\n",
	  " smtp.example.org:25 STARTTLS port-25", "1-2: relayhost = [smtp.example.org]:587", "" },
	{ ADVISE_LOCAL_POSTFIX, "smtp_tls_CAfile=/x\nsmtp_tls_security_level=may\nsmtp_sasl_auth_enable=yes\nrelayhost =\n  smtp.example.org\n",
	  " smtp.example.org:25 STARTTLS if offered login port-25 encryption-optional",
	  "4-5: relayhost = [smtp.example.org]:587; 2: smtp_tls_security_level = secure", "" },
	{ ADVISE_LOCAL_POSTFIX, "relayhost = $mydomain\n", " :0 unknown not-literal", NULL, "" },
	{ ADVISE_LOCAL_POSTFIX, "relayhost =\nmyhostname = x\n", "", NULL, "" },
	{ ADVISE_LOCAL_POSTFIX, "relayhost = [127.0.0.1]:10025\n", " 127.0.0.1:10025 none", NULL, "" },
	{ ADVISE_LOCAL_POSTFIX, "relayhost = [smtp.example.org]:465\nsmtp_tls_security_level = secure\nsmtp_tls_CAfile = /x\n",
	  " smtp.example.org:465 SSL/TLS no-login", NULL,
	  "smtps inet n - y - - smtpd\n  -o smtpd_tls_wrappermode=yes\nsmtp      unix  -       -       y       -       -       smtp\n"
	  "  -o smtp_tls_wrappermode=yes\n" },
	{ ADVISE_LOCAL_POSTFIX, "relayhost = [smtp.example.org]:587\nsmtp_tls_security_level = secure\nsmtp_tls_CAfile = /x\n",
	  " smtp.example.org:587 SSL/TLS tls-on-587 no-login", "master.cf 2: smtp_tls_wrappermode = no",
	  "smtp unix - - y - - smtp\n  -o smtp_tls_wrappermode=yes\n" },

	/* ---- Exim ---- */
	{ ADVISE_LOCAL_EXIM,
	  "HOST = smtp.example.org\nprimary_hostname = x\nbegin routers\nlocal:\n  driver = accept\n  transport = local\n"
	  "smarthost:\n  driver = manualroute\n  transport = smarthost\n  route_list = * HOST::587 byname\n"
	  "begin transports\nlocal:\n  driver = appendfile\nsmarthost:\n  driver = smtp\n  hosts_require_auth = *\n"
	  "begin authenticators\nplain:\n  driver = plaintext\n  hide client_send = ^ann^" SECRET "\n",
	  "smarthost smtp.example.org:587 STARTTLS if offered login password encryption-optional certificate-unchecked",
	  "+16: hosts_require_tls = *; +16: tls_verify_hosts = *", "" },
	{ ADVISE_LOCAL_EXIM, "begin routers\na:\n  route_list = * DCsmarthost byname\n  transport = t\n", "a :0 unknown not-literal", NULL, "" },
	{ ADVISE_LOCAL_EXIM,
	  "begin routers\nsmarthost:\n  driver = manualroute\n  domains = ! +local_domains\n  transport = out\n"
	  "  route_list = * smtp.example.org::587 byname\nbegin transports\nout:\n  driver = smtp\n  hosts_require_auth = *\n"
	  "begin authenticators\nplain:\n  driver = plaintext\n  hide client_send = ^ann^" SECRET "\n",
	  "smarthost smtp.example.org:587 STARTTLS if offered login password encryption-optional certificate-unchecked",
	  "+10: hosts_require_tls = *; +10: tls_verify_hosts = *", "" },
	{ ADVISE_LOCAL_EXIM,
	  "H = smtp.example.org\nbegin routers\nsmarthost:\n  driver = manualroute\n  transport = out\n  route_data = H\n"
	  "begin transports\nout:\n  driver = smtp\n  port = 465\n  hosts_require_auth = *\n  hosts_require_tls = *\n"
	  "  tls_verify_hosts = *\n",
	  "smarthost smtp.example.org:465 STARTTLS login starttls-on-465", "+13: protocol = smtps", "" },
	{ ADVISE_LOCAL_EXIM,
	  "begin routers\nout:\n  route_list = * smtp.example.org\n  transport = out\nbegin transports\nout:\n  driver = smtp\n"
	  "  port = 587\n  protocol = smtps\n",
	  "out smtp.example.org:587 SSL/TLS tls-on-587 no-login", "9: protocol = smtp; +9: hosts_require_tls = *; +9: tls_verify_hosts = *", "" },
	{ ADVISE_LOCAL_EXIM_DEBIAN, "dc_eximconfig_configtype='smarthost'\ndc_smarthost='smtp.example.org::465'\n",
	  " smtp.example.org:465 STARTTLS if offered starttls-on-465", "2: dc_smarthost='smtp.example.org::587'", "" },
	{ ADVISE_LOCAL_EXIM_DEBIAN, "dc_smarthost='smtp.example.org::587'\n", " smtp.example.org:587 STARTTLS if offered", NULL, "" },
	{ ADVISE_LOCAL_EXIM_DEBIAN, "dc_smarthost=''\n", "", NULL, "" },

	/* ---- msmtp ---- */
	{ ADVISE_LOCAL_MSMTP,
	  "defaults\ntls on\nauth on\naccount work\nhost smtp.example.org\nport 587\npassword " SECRET
	  "\n\naccount home : work\nhost smtp.example.net\nport 465\ntls_starttls off\n",
	  "work smtp.example.org:587 STARTTLS login password\nhome smtp.example.net:465 SSL/TLS login password", NULL, "" },
	{ ADVISE_LOCAL_MSMTP, "account default\nhost smtp.example.org\nport 465\ntls on\ntls_certcheck off\n",
	  "default smtp.example.org:465 STARTTLS starttls-on-465 certificate-unchecked no-login",
	  "+1: tls_starttls off; 5: tls_certcheck on", "" },
	{ ADVISE_LOCAL_MSMTP, "host smtp.example.org\nauth plain\n", " smtp.example.org:25 none login port-25 password-in-clear",
	  "+0: port 587; +0: tls on", "" },
	{ ADVISE_LOCAL_MSMTP, "host smtp.example.org\nport 587\ntls on\ntls_starttls off\nauth on\n",
	  " smtp.example.org:587 SSL/TLS login tls-on-587", "4: tls_starttls on", "" },
	{ ADVISE_LOCAL_MSMTP, "defaults\ntls on\ntls_starttls off\naccount a\nauth on\nhost smtp.example.org\nport 587\n",
	  "a smtp.example.org:587 SSL/TLS login tls-on-587", "+4: tls_starttls on", "" },

	{ ADVISE_LOCAL_MSMTP, "account a\nhost smtp.example.org\ntls on\nport 587\nauth on\naccount default : a\n",
	  "a smtp.example.org:587 STARTTLS login", NULL, "" },

	/* ---- PHP ---- */
	{ ADVISE_LOCAL_PHP_INI, "[mail function]\nSMTP = localhost\nsmtp_port = 25 ; here\n;sendmail_path = x\n",
	  " (/usr/sbin/sendmail):0 unknown", NULL, "" },
	{ ADVISE_LOCAL_PHP_INI, "SMTP = smtp.example.org\n", " (/usr/sbin/sendmail):0 unknown windows-only", NULL, "" },
	{ ADVISE_LOCAL_PHP_INI, "[mail function]\nsendmail_path = \"/usr/bin/msmtp -t\"\n", " (/usr/bin/msmtp):0 unknown", NULL, "" },
	{ ADVISE_LOCAL_PHP_INI, "sendmail_path = /usr/sbin/sendmail -i\n", " (/usr/sbin/sendmail):0 unknown sendmail-without-t", NULL, "" },
	{ ADVISE_LOCAL_PHP_INI, "sendmail_path = /usr/sbin/sendmail -ti\n", " (/usr/sbin/sendmail):0 unknown", NULL, "" },

	/* ---- WordPress ---- */
	{ ADVISE_LOCAL_WORDPRESS,
	  "<?php\n// define( 'WPMS_SMTP_HOST', 'old.example' );\n/* define('WPMS_SSL', 'ssl'); */\n"
	  "define( 'WPMS_SMTP_HOST', 'smtp.example.org' );\ndefine(\"WPMS_SMTP_PORT\", 465);\ndefine('WPMS_SSL','tls');\n"
	  "define( 'WPMS_SMTP_AUTH', true );\ndefine( 'WPMS_SMTP_PASS', 'a;" SECRET "' );\n",
	  "WPMS smtp.example.org:465 STARTTLS login password starttls-on-465", "6: define( 'WPMS_SSL', 'ssl' );", "" },
	{ ADVISE_LOCAL_WORDPRESS, "<?php\ndefine('SMTP_HOST', getenv('X'));\ndefine('SMTP_PORT', '587');",
	  "SMTP :587 unknown not-literal", NULL, "" },
	{ ADVISE_LOCAL_WORDPRESS,
	  "<?php\ndefine('SMTP_HOST', 'smtp.example.org');\ndefine('SMTP_PORT', 25);\ndefine('SMTP_PASS', '" SECRET "');\n",
	  "SMTP smtp.example.org:25 STARTTLS if offered login password port-25 encryption-optional",
	  "3: define( 'SMTP_PORT', 587 );; +4: define( 'SMTP_SECURE', 'tls' );", "" },
	{ ADVISE_LOCAL_WORDPRESS, "<?php\ndefine('SMTP_HOST', 'ssl://smtp.example.org');\ndefine('SMTP_PORT', 465);\ndefine('SMTP_AUTH', 1);\n",
	  "SMTP smtp.example.org:465 SSL/TLS login", NULL, "" },
	{ ADVISE_LOCAL_WORDPRESS,
	  "<?php\ndefine('SMTP_HOST', 'smtp.example.org');\ndefine('SMTP_PORT', 587);\ndefine('SMTP_SECURE', 'tls');\n"
	  "define('SMTP_PASS', 'it\\'s; " SECRET "');\ndefine('SMTP_NOVERIFYSSL', true);\n",
	  "SMTP smtp.example.org:587 STARTTLS login password certificate-unchecked", "6: define( 'SMTP_NOVERIFYSSL', false );", "" },
	{ ADVISE_LOCAL_WORDPRESS, "<?php\ndefine('WPMS_ON', false);\ndefine('WPMS_SMTP_HOST', 'smtp.example.org');\n", "", NULL, "" },
	{ ADVISE_LOCAL_WORDPRESS, "<?php\ndefine('GLOBAL_SMTP_HOST', 'smtp.example.org');\ndefine('GLOBAL_SMTP_USER','u');\n",
	  "GLOBAL smtp.example.org:587 STARTTLS login", NULL, "" },

	/* ---- .env ---- */
	{ ADVISE_LOCAL_DOTENV,
	  "MAIL_MAILER=smtp\nMAIL_HOST=smtp.example.org\nMAIL_PORT=587\nMAIL_ENCRYPTION=ssl\nMAIL_PASSWORD=\"" SECRET
	  "\"\nexport MAILER_DSN='smtps://ann:" SECRET "@smtp.example.net:465?verify_peer=0'\n",
	  "MAIL smtp.example.org:587 STARTTLS login password laravel-encryption\nMAILER_DSN smtp.example.net:465 SSL/TLS login password "
	  "certificate-unchecked",
	  "4: MAIL_ENCRYPTION=tls", "" },
	{ ADVISE_LOCAL_DOTENV,
	  "MAIL_HOST=smtp.example.org\nMAIL_PORT=465\nMAIL_ENCRYPTION=tls\nMAIL_USERNAME=a\nMAIL_PASSWORD=null\n",
	  "MAIL smtp.example.org:465 SSL/TLS login", NULL, "" },
	{ ADVISE_LOCAL_DOTENV, "MAIL_HOST=smtp.example.org\nMAIL_PORT=465\nMAIL_ENCRYPTION=null\nMAIL_USERNAME=a\n",
	  "MAIL smtp.example.org:465 SSL/TLS login", NULL, "" },
	{ ADVISE_LOCAL_DOTENV, "MAIL_HOST=smtp.example.org\nMAIL_PORT=465\nMAIL_ENCRYPTION=ssl\nMAIL_USERNAME=a\n",
	  "MAIL smtp.example.org:465 SSL/TLS login", NULL, "" },
	{ ADVISE_LOCAL_DOTENV, "MAIL_HOST=smtp.example.org\nMAIL_PORT=587\nMAIL_ENCRYPTION=null\nMAIL_USERNAME=a\n",
	  "MAIL smtp.example.org:587 STARTTLS if offered login encryption-optional", "3: MAIL_ENCRYPTION=tls", "" },
	{ ADVISE_LOCAL_DOTENV, "MAIL_HOST=smtp.example.org\nMAIL_PORT=587\nMAIL_SCHEME=smtps\nMAIL_USERNAME=a\n",
	  "MAIL smtp.example.org:587 SSL/TLS login tls-on-587", "3: MAIL_SCHEME=smtp", "" },
	{ ADVISE_LOCAL_DOTENV, "MAIL_MAILER=log\nMAIL_HOST=127.0.0.1\nMAIL_PORT=2525\n", "MAIL 127.0.0.1(log):2525 unknown not-by-smtp",
	  NULL, "" },
	{ ADVISE_LOCAL_DOTENV, "SMTP_HOST=smtp.example.org\nSMTP_PORT=2525\nSMTP_USER=x\n",
	  "SMTP smtp.example.org:2525 unknown login port-2525", NULL, "" },
	{ ADVISE_LOCAL_DOTENV, "SMTP_HOST=smtp.example.org\nSMTP_PORT=587\nSMTP_SECURE=true\nSMTP_USER=x\n",
	  "SMTP smtp.example.org:587 SSL/TLS login tls-on-587", "3: SMTP_SECURE=false", "" },
	{ ADVISE_LOCAL_DOTENV, "SMTP_HOST=smtp.example.org\nSMTP_PORT=465\nSMTP_TLS=true\nSMTP_USER=x\nNODE_TLS_REJECT_UNAUTHORIZED=0\n",
	  "SMTP smtp.example.org:465 SSL/TLS login certificate-unchecked", "5: NODE_TLS_REJECT_UNAUTHORIZED=1", "" },
	{ ADVISE_LOCAL_DOTENV, "EMAIL_URL=smtps://ann:" SECRET "@smtp.example.org:465\n",
	  "EMAIL_URL smtp.example.org:465 STARTTLS login password starttls-on-465",
	  "1: EMAIL_URL=smtp+ssl://USER:PASSWORD@smtp.example.org:465", "" },
	{ ADVISE_LOCAL_DOTENV, "MAILER_DSN=smtp://ann:" SECRET "@smtp.example.org\n", "MAILER_DSN smtp.example.org:465 SSL/TLS login password",
	  NULL, "" },
	{ ADVISE_LOCAL_DOTENV, "MAILER_DSN=null://null\n", "", NULL, "" },
	{ ADVISE_LOCAL_DOTENV, "MAIL_SERVER=smtp.example.org\nMAIL_PORT=465\nMAIL_USE_TLS=1\nMAIL_USERNAME=a\n",
	  "MAIL smtp.example.org:465 STARTTLS login starttls-on-465", "3: MAIL_USE_TLS=false; +4: MAIL_USE_SSL=true", "" },

	/* ---- Django ---- */
	{ ADVISE_LOCAL_DJANGO,
	  "EMAIL_HOST = 'smtp.example.org'  # there\nEMAIL_PORT = 587\nEMAIL_USE_TLS = True\nEMAIL_HOST_PASSWORD = os.environ['X']\n",
	  " smtp.example.org:587 STARTTLS login", NULL, "" },
	{ ADVISE_LOCAL_DJANGO,
	  "EMAIL_HOST = \"smtp.example.org\"\nEMAIL_PORT = 465\nEMAIL_USE_TLS = True\nEMAIL_USE_SSL = True\nEMAIL_HOST_PASSWORD = '"
	  SECRET "'\n",
	  " smtp.example.org:465 SSL/TLS login password both-encryptions", "3: EMAIL_USE_TLS = False", "" },
	{ ADVISE_LOCAL_DJANGO, "EMAIL_HOST = 'smtp.example.org'\nEMAIL_USE_TLS = env.bool('X', True)\nEMAIL_PORT = int(x)\n",
	  " smtp.example.org:0 unknown not-literal", NULL, "" },
	{ ADVISE_LOCAL_DJANGO, "EMAIL_BACKEND = 'django.core.mail.backends.console.EmailBackend'\nEMAIL_HOST = 'smtp.example.org'\n",
	  " smtp.example.org(django.core.mail.backends.console.EmailBackend):0 unknown not-by-smtp", NULL, "" },
	{ ADVISE_LOCAL_DJANGO, "if not DEBUG:\n    EMAIL_HOST = 'smtp.example.org'\n    EMAIL_PORT = 465\n    EMAIL_USE_TLS = True\n",
	  " smtp.example.org:465 STARTTLS starttls-on-465 not-literal no-login", "4: EMAIL_USE_TLS = False; +4: EMAIL_USE_SSL = True", "" },
	{ ADVISE_LOCAL_DJANGO, "EMAIL_HOST = 'smtp.example.org'\nEMAIL_PORT = 465\nif X:\n    EMAIL_HOST = 'other.example.org'\n",
	  " smtp.example.org:465 none starttls-on-465 not-encrypted not-literal no-login", "+2: EMAIL_USE_SSL = True", "" },
	{ ADVISE_LOCAL_DJANGO,
	  "EMAIL_USE_SSL = True\nif X:\n    EMAIL_HOST = 'a.example.org'\nelse:\n    EMAIL_HOST = 'b.example.org'\nEMAIL_PORT = 465\n",
	  " b.example.org:465 SSL/TLS not-literal no-login", NULL, "" },

	{ ADVISE_LOCAL_DJANGO, "\xef\xbb\xbf" "EMAIL_HOST: str = 'smtp.example.org'\r\nEMAIL_PORT: int = 465\r\nEMAIL_USE_SSL = True\r\nEMAIL_HOST_USER='u'\r\n",
	  " smtp.example.org:465 SSL/TLS login", NULL, "" },

	/* ---- git ---- */
	{ ADVISE_LOCAL_GIT,
	  "[user]\n\tsmtpServer = no\n[sendemail]\n\tsmtpServer = smtp.example.org\n\tsmtpServerPort = 587\n\tsmtpEncryption = ssl\n"
	  "\tsmtpUser = u\n[sendemail \"work\"]\n\tsmtpserver = /usr/bin/msmtp\n",
	  " smtp.example.org:587 SSL/TLS login tls-on-587\nwork (/usr/bin/msmtp):0 unknown login",
	  "6: smtpEncryption = tls", "" },
	{ ADVISE_LOCAL_GIT,
	  "[sendemail]\n\tsmtpserver = smtp.example.org\n\tsmtpserverport = 465\n\tsmtpencryption = ssl\n\tsmtpuser = u\n"
	  "\tsmtpsslcertpath =\n",
	  " smtp.example.org:465 SSL/TLS login certificate-unchecked", "6: smtpSSLCertPath = /etc/ssl/certs", "" },
	{ ADVISE_LOCAL_GIT, "[sendemail]\n\tsmtpserver = smtp.example.org\n\tsmtpencryption = tls\n\tsmtpuser = u\n\tsmtppass = " SECRET "\n",
	  " smtp.example.org:25 STARTTLS login password port-25", "+5: smtpServerPort = 587", "" },
};
/* clang-format on */

static const char *described(const struct advise_local *l, char *to, size_t size)
{
	size_t n = 0;

	to[0] = '\0';
	for (size_t i = 0; i < l->n; i++) {
		const struct advise_local_server *s = &l->server[i];

		n += (size_t)snprintf(to + n, size - n, "%s%s %s%s%s%s:%u %s%s%s", i ? "\n" : "", s->name,
				      s->host, s->program[0] ? "(" : "", s->program, s->program[0] ? ")" : "",
				      s->port, advise_security_name(s->security), s->login ? " login" : "",
				      s->password ? " password" : "");
		for (unsigned w = 0; w < ADVISE_WRONGS; w++)
			if (advise_wrong_has(s, (enum advise_wrong)w))
				n += (size_t)snprintf(to + n, size - n, " %s",
						      advise_wrong_name((enum advise_wrong)w));
	}
	return to;
}

/* Those of the first server that has any. */
static size_t changes_of(const struct advise_local *l, struct advise_change c[static ADVISE_LOCAL_CHANGES])
{
	struct advise_target t;
	size_t n = 0;

	for (size_t i = 0; i < l->n && n == 0; i++)
		if (advise_local_target(l, &l->server[i], &t))
			n = advise_local_changes(l, &l->server[i], &t, c);
	return n;
}

static const char *changed(const struct advise_local *l, char *to, size_t size)
{
	struct advise_change c[ADVISE_LOCAL_CHANGES];
	size_t n = changes_of(l, c), at = 0;

	to[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		at += (size_t)snprintf(to + at, size - at, "%s%s%s%u", i ? "; " : "",
				       c[i].beside ? "master.cf " : "", c[i].add ? "+" : "", c[i].line);
		if (c[i].last > c[i].line)
			at += (size_t)snprintf(to + at, size - at, "-%u", c[i].last);
		at += (size_t)snprintf(to + at, size - at, ": %s", c[i].text);
	}
	return to;
}

static void test_rows(void **state)
{
	size_t bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct advise_local l;
		char got[2000], change[2000];
		const char *want = rows[i].change ? rows[i].change : "";

		advise_local_read(rows[i].kind, slice_str(rows[i].text), slice_str(rows[i].beside), &l);
		described(&l, got, sizeof(got));
		changed(&l, change, sizeof(change));
		if (strcmp(got, rows[i].want) != 0 || strcmp(change, want) != 0) {
			print_message("# row %zu:\n#      %s\n# not: %s\n#      %s\n# not: %s\n", i, got,
				      rows[i].want, change, want);
			bad++;
		}
		assert_null(memmem(&l, sizeof(l), SECRET, strlen(SECRET)));
	}
	assert_int_equal(bad, 0);
}

/* The text with the changes written into it, as somebody does who follows them. */
static char *applied(const char *text, const struct advise_change *c, size_t n)
{
	size_t size = strlen(text) + n * sizeof(c->text) + 2, at = 0;
	char *to = malloc(size);
	unsigned line = 0;

	assert_non_null(to);
	to[0] = '\0';
	for (const char *p = text;; line++) {
		const char *end = strchr(p, '\n');
		bool replaced = false;

		for (size_t i = 0; i < n && line > 0; i++)
			replaced = replaced || (!c[i].add && c[i].line <= line && line <= c[i].last);
		if (line > 0 && !replaced)
			at += (size_t)snprintf(to + at, size - at, "%.*s\n",
					       (int)(end ? end - p : (long)strlen(p)), p);
		for (size_t i = 0; i < n; i++)
			if (c[i].line == line)
				at += (size_t)snprintf(to + at, size - at, "%s\n", c[i].text);
		if (line > 0 && (!end || !end[1]))
			return to;
		if (line > 0)
			p = end + 1;
	}
}

/* Whoever does what is said has no finding left of those that it is for, and is told nothing more. */
static void test_changes_mend(void **state)
{
	static const enum advise_wrong gone[] = {
		ADVISE_WRONG_PORT_25,
		ADVISE_WRONG_STARTTLS_ON_465,
		ADVISE_WRONG_TLS_ON_587,
		ADVISE_WRONG_BOTH,
		ADVISE_WRONG_NO_TLS,
		ADVISE_WRONG_WRAPPER_ALONE,
		ADVISE_WRONG_PASSWORD_IN_CLEAR,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct advise_change c[ADVISE_LOCAL_CHANGES];
		struct advise_target t;
		struct advise_local l;
		char *text;
		size_t n;

		advise_local_read(rows[i].kind, slice_str(rows[i].text), slice_str(rows[i].beside), &l);
		n = changes_of(&l, c);
		if (n == 0 || rows[i].beside[0])
			continue;
		text = applied(rows[i].text, c, n);
		advise_local_read(rows[i].kind, slice_str(text), (struct slice){ 0 }, &l);
		assert_true(l.n > 0);
		for (size_t g = 0; g < sizeof(gone) / sizeof(gone[0]); g++)
			if (advise_wrong_has(&l.server[0], gone[g])) {
				print_message("# row %zu still has %s:\n%s", i, advise_wrong_name(gone[g]),
					      text);
				fail();
			}
		if (advise_local_target(&l, &l.server[0], &t))
			assert_int_equal(advise_local_changes(&l, &l.server[0], &t, c), 0);
		free(text);
	}
}

static void test_kinds(void **state)
{
	static const struct {
		const char *path;
		enum advise_local_kind kind;
	} paths[] = {
		{ "/etc/postfix/main.cf", ADVISE_LOCAL_POSTFIX },
		{ "main.cf", ADVISE_LOCAL_POSTFIX },
		{ "/srv/app/.env.local", ADVISE_LOCAL_DOTENV },
		{ "/srv/app/main.c", ADVISE_LOCAL_KINDS },
		{ "/srv/app/app/settings/production.py", ADVISE_LOCAL_DJANGO },
		{ "/srv/app/app/urls.py", ADVISE_LOCAL_KINDS },
		{ "/home/a/.config/msmtp/config", ADVISE_LOCAL_MSMTP },
		{ "/home/a/.config/git/config", ADVISE_LOCAL_GIT },
		{ "/home/a/.ssh/config", ADVISE_LOCAL_KINDS },
		{ "/srv/app/.git/config", ADVISE_LOCAL_GIT },
		{ "/etc/wordpress/config-default.php", ADVISE_LOCAL_WORDPRESS },
		{ "/etc/exim4/exim4.conf", ADVISE_LOCAL_EXIM },
		{ "", ADVISE_LOCAL_KINDS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		assert_int_equal(paths[i].kind, advise_local_kind_of(slice_str(paths[i].path)));
	/* Where the name tells nothing, what stands in it does. */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum advise_local_kind k = advise_local_kind_by(slice_str(rows[i].text));

		if (k != rows[i].kind && k != ADVISE_LOCAL_KINDS)
			print_message("# row %zu is taken for %s\n", i, advise_local_kind_name(k));
		assert_true(k == rows[i].kind || k == ADVISE_LOCAL_KINDS);
	}
	assert_int_equal(ADVISE_LOCAL_KINDS,
			 advise_local_kind_by(SLICE_LIT("int main(void) { return 0; }\n")));
}

static void test_words(void **state)
{
	char to[1000];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct advise_local l;

		advise_local_read(rows[i].kind, slice_str(rows[i].text), slice_str(rows[i].beside), &l);
		for (size_t s = 0; s < l.n; s++)
			for (unsigned w = 0; w < ADVISE_WRONGS; w++) {
				advise_wrong_what((enum advise_wrong)w, &l, &l.server[s], to, sizeof(to));
				assert_null(strchr(to, '{'));
				assert_null(strstr(to, SECRET));
			}
	}
}

/* What the server has may be nothing that this file can say. */
static void test_no_change(void **state)
{
	const struct advise_target tls = { .port = 465, .implicit = true }, starttls = { .port = 587 };
	struct advise_change c[ADVISE_LOCAL_CHANGES];
	struct advise_local l;

	(void)state;
	advise_local_read(ADVISE_LOCAL_EXIM_DEBIAN, SLICE_LIT("dc_smarthost='smtp.example.org::25'\n"),
			  (struct slice){ 0 }, &l);
	assert_int_equal(advise_local_changes(&l, &l.server[0], &tls, c), 0);
	assert_int_equal(advise_local_changes(&l, &l.server[0], &starttls, c), 1);
}

/* What decides about encryption, as the file has it. */
static void test_setting(void **state)
{
	static const struct {
		enum advise_local_kind kind;
		const char *text, *want;
		unsigned line;
	} cases[] = {
		{ ADVISE_LOCAL_MSMTP, "host h.example\ntls on\ntls_starttls off\n", "tls_starttls off", 3 },
		{ ADVISE_LOCAL_MSMTP, "host h.example\ntls off\ntls_starttls off\n", "tls off", 2 },
		{ ADVISE_LOCAL_POSTFIX, "relayhost = h.example\nsmtp_tls_security_level=may\n",
		  "smtp_tls_security_level = may", 2 },
		{ ADVISE_LOCAL_DOTENV, "SMTP_HOST=h.example\nSMTP_SECURE=true\n", "SMTP_SECURE=true", 2 },
		{ ADVISE_LOCAL_DOTENV, "MAILER_DSN=smtps://u:" SECRET "@h.example\n",
		  "MAILER_DSN=smtps://...", 1 },
		{ ADVISE_LOCAL_DJANGO, "EMAIL_HOST = 'h.example'\n", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct advise_local l;
		char got[200];

		advise_local_read(cases[i].kind, slice_str(cases[i].text), (struct slice){ 0 }, &l);
		assert_int_equal(cases[i].line, advise_local_setting(&l, &l.server[0], got, sizeof(got)));
		assert_string_equal(cases[i].want, got);
	}
}

/* Each word that stands for a finding is once in the table, and there is room for a bit of it. */
static void test_names(void **state)
{
	(void)state;
	assert_true(ADVISE_WRONGS <= 32);
	for (unsigned a = 0; a < ADVISE_WRONGS; a++)
		for (unsigned b = 0; b < a; b++)
			assert_string_not_equal(advise_wrong_name((enum advise_wrong)a),
						advise_wrong_name((enum advise_wrong)b));
}

static void test_password_table(void **state)
{
	static const struct {
		const char *main, *table;
		bool has;
	} cases[] = {
		{ "relayhost = [smtp.example.org]:587\n", "[smtp.example.org]:587 ann:x\n", true },
		{ "relayhost = [smtp.example.org]:587\n", "# a\nsmtp.example.org\tann:x", true },
		{ "relayhost = [smtp.example.org]:587\n", "smtp.example.org:587 ann:x\n", false },
		{ "relayhost = [smtp.example.org]:587\n", "[smtp.example.org] ann:x\n", false },
		{ "relayhost = smtp.example.org:587\n", "[smtp.example.org]:587 ann:x\n", false },
		{ "relayhost = smtp.example.org\n", "smtp.example.org ann:x\n", true },
		{ "relayhost = smtp.example.org\n", "mx1.example.org ann:x\n", true },
		{ "relayhost = [smtp.example.org]\n", "mx1.example.org ann:x\n", false },
		{ "relayhost = [smtp.example.org]\n", "#smtp.example.org ann:x\n# a@b\n", false },
		{ "relayhost = [smtp.example.org]\n", "web@example.com ann:x\n", true },
		{ "relayhost = smtp.example.org\n", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct advise_local l;

		advise_local_read(ADVISE_LOCAL_POSTFIX, slice_str(cases[i].main), (struct slice){ 0 }, &l);
		assert_int_equal(l.n, 1);
		assert_int_equal(cases[i].has,
				 advise_local_has_password(&l.server[0], slice_str(cases[i].table)));
	}
}

/* A file is anybody's: long runs of quotes, brackets and the like must not take for ever, nor be read past.
 */
static void test_hostile(void **state)
{
	static unsigned char text[ADVISE_LOCAL_MAX + 10];
	static const char *const runs[] = { "\"",
					    "'",
					    "\"\\",
					    "define('",
					    "define(\"a\",",
					    "/*",
					    "[",
					    "a=\"",
					    "account a : b\n",
					    "\n ",
					    "smtp://@",
					    "a = \\\n",
					    "begin routers\n",
					    "smtp unix -o a=b " };
	struct advise_local l;

	(void)state;
	for (size_t r = 0; r < sizeof(runs) / sizeof(runs[0]); r++) {
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = (unsigned char)runs[r][i % strlen(runs[r])];
		for (unsigned k = 0; k < ADVISE_LOCAL_KINDS; k++) {
			struct slice t = slice_of(text, sizeof(text));

			advise_local_read((enum advise_local_kind)k, t, t, &l);
			assert_true(l.cut);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	  cmocka_unit_test(test_changes_mend),
		cmocka_unit_test(test_kinds),	  cmocka_unit_test(test_words),
		cmocka_unit_test(test_no_change), cmocka_unit_test(test_setting),
		cmocka_unit_test(test_names),	  cmocka_unit_test(test_password_table),
		cmocka_unit_test(test_hostile),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
