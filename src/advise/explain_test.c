/* explain.c: texts as programs print them, and what they must be taken for.  A newcomer adds a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "advise/explain.h"

struct row {
	const char *client, *cause, *text; /* cause: the first one; "" where there is none */
};

static const struct row rows[] = {
	/* nodemailer: as console.error() prints it, and its message alone */
	{ "nodemailer", "tls-to-plain-port",
	  "[Error: 803C42F0D27F0000:error:0A00010B:SSL routines:ssl3_get_record:wrong version "
	  "number:../deps/openssl/openssl/ssl/record/ssl3_record.c:350:\n] {\n  library: 'SSL routines',\n  "
	  "reason: 'wrong version "
	  "number',\n  code: 'ESOCKET',\n  command: 'CONN'\n}" },
	{ "nodemailer", "plain-to-tls-port",
	  "Error: Greeting never received\n  code: 'ETIMEDOUT',\n  command: 'CONN'" },
	{ "nodemailer", "plain-to-tls-port",
	  "Error: Timeout\n    at SMTPConnection._onTimeout "
	  "(/usr/share/nodejs/nodemailer/lib/smtp-connection/index.js:853:30)\n    at "
	  "SMTPConnection._onSocketTimeout (index.js:197:44) {\n  code: 'ETIMEDOUT',\n  command: 'CONN'\n}" },
	{ "nodemailer", "timed-out",
	  "Error: Connection timeout {\n  code: 'ETIMEDOUT',\n  command: 'CONN'\n} nodemailer" },
	{ "nodemailer", "refused",
	  "Error: connect ECONNREFUSED 127.0.0.1:587\n  errno: -111,\n  code: 'ESOCKET',\n  address: "
	  "'127.0.0.1',\n  port: 587" },
	{ "nodemailer", "name-unknown",
	  "Error: getaddrinfo ENOTFOUND smtp.exmaple.com\n  code: 'EDNS',\n  command: 'CONN'" },
	{ "nodemailer", "certificate-self-signed",
	  "Error: self-signed certificate\n  code: 'ESOCKET',\n  command: 'CONN'" },
	{ "nodemailer", "certificate-untrusted",
	  "Error: self signed certificate in certificate chain\n  code: 'ESOCKET',\n  command: 'CONN'" },
	{ "nodemailer", "certificate-chain-incomplete",
	  "Error: unable to verify the first certificate\n  code: 'ESOCKET',\n  command: 'CONN'" },
	{ "nodemailer", "certificate-name",
	  "Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames: Host: "
	  "localhost. is not in the "
	  "cert's altnames: DNS:mail.example.net\n  code: 'ESOCKET'" },
	{ "nodemailer", "certificate-expired",
	  "Error: certificate has expired\n  code: 'ESOCKET',\n  command: 'CONN'" },
	{ "nodemailer", "tls-old",
	  "[Error: error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol "
	  "version:rec_layer_s3.c:1601:SSL alert number 70] "
	  "{ code: 'ESOCKET', command: 'CONN' }" },
	{ "nodemailer", "starttls-not-offered",
	  "Error: Error upgrading connection with STARTTLS: 500 5.5.2 what?\n  code: 'ETLS',\n  command: "
	  "'STARTTLS' nodemailer" },
	{ "nodemailer", "password-refused",
	  "Error: Invalid login: 535 5.7.8 authentication failed\n  code: 'EAUTH',\n  responseCode: 535,\n  "
	  "command: 'AUTH PLAIN'" },
	{ "nodemailer", "app-password",
	  "Error: Invalid login: 534-5.7.9 Application-specific password required. Learn more at\n534 5.7.9  "
	  "https://support.google.com/mail/?p=InvalidSecondFactor a640c23a62f3a-a68.1 - gsmtp\n  code: "
	  "'EAUTH'" },
	{ "nodemailer", "auth-required",
	  "Error: Missing credentials for \"PLAIN\" {\n  code: 'EAUTH',\n  command: 'API'" },
	{ "nodemailer", "auth-mechanism",
	  "Error: Invalid login: 500 5.5.2 what?\n  code: 'EAUTH',\n  responseCode: 500,\n  command: 'AUTH "
	  "PLAIN'" },
	{ "nodemailer", "relay-denied",
	  "Error: Can't send mail - all recipients were rejected: 554 5.7.1 <bob@example.org>: Relay access "
	  "denied" },
	{ "nodemailer", "recipient-unknown",
	  "Error: Can't send mail - all recipients were rejected: 550 5.1.1 no such user here: "
	  "<bob@example.org>" },
	{ "nodemailer", "greylisted",
	  "Error: Can't send mail - all recipients were rejected: 451 4.7.1 Greylisting in action" },
	{ "nodemailer", "blocklisted",
	  "Error: Invalid greeting. response=554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked "
	  "using zen.spamhaus.org\n "
	  " code: 'EPROTOCOL' nodemailer" },
	{ "unknown", "connection-closed", "Error: Unexpected socket close" },

	/* Python: a traceback, or its last line */
	{ "python", "tls-to-plain-port",
	  "ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:992)" },
	{ "python", "tls-to-plain-port",
	  "ssl.SSLError: [SSL: RECORD_LAYER_FAILURE] record layer failure (_ssl.c:1000)" },
	{ "python", "plain-to-tls-port",
	  "smtplib.SMTPServerDisconnected: Connection unexpectedly closed: timed out" },
	{ "python", "connection-closed", "smtplib.SMTPServerDisconnected: Connection unexpectedly closed" },
	{ "python", "connection-closed", "smtplib.SMTPServerDisconnected: please run connect() first" },
	{ "python", "certificate-self-signed",
	  "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
	  "self-signed certificate "
	  "(_ssl.c:992)" },
	{ "python", "certificate-untrusted",
	  "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable "
	  "to get local issuer "
	  "certificate (_ssl.c:992)" },
	{ "python", "certificate-name",
	  "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
	  "Hostname mismatch, certificate is "
	  "not valid for 'localhost'. (_ssl.c:992)" },
	{ "python", "certificate-expired",
	  "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
	  "certificate has expired "
	  "(_ssl.c:992)" },
	{ "python", "tls-old", "ssl.SSLError: [SSL] legacy sigalg disallowed or unsupported (_ssl.c:992)" },
	{ "python", "refused", "ConnectionRefusedError: [Errno 111] Connection refused" },
	{ "python", "name-unknown", "socket.gaierror: [Errno -2] Name or service not known" },
	{ "python", "timed-out",
	  "Traceback (most recent call last):\n  in create_connection\nTimeoutError: timed out" },
	{ "python", "starttls-not-offered",
	  "smtplib.SMTPNotSupportedError: STARTTLS extension not supported by server." },
	{ "python", "starttls-required",
	  "smtplib.SMTPSenderRefused: (530, b'5.7.0 Must issue a STARTTLS command first', "
	  "'ann@example.org')" },
	{ "python", "auth-required",
	  "smtplib.SMTPSenderRefused: (530, b'5.7.0 Authentication Required. gsmtp', 'ann@example.org')" },
	{ "python", "auth-not-offered",
	  "smtplib.SMTPNotSupportedError: SMTP AUTH extension not supported by server." },
	{ "python", "auth-mechanism", "smtplib.SMTPException: No suitable authentication method found." },
	{ "python", "password-refused",
	  "smtplib.SMTPAuthenticationError: (535, b'5.7.8 authentication failed')" },
	{ "python", "app-password",
	  "smtplib.SMTPAuthenticationError: (534, b'5.7.9 Application-specific password required. Learn more "
	  "at\\n5.7.9  https://...')" },
	{ "python", "password-refused",
	  "smtplib.SMTPAuthenticationError: (535, b'5.7.8 Username and Password not accepted. For more "
	  "information, go to\\n5.7.8  "
	  "https://support.google.com/mail/?p=BadCredentials a1 - gsmtp')" },
	{ "python", "smtp-auth-off",
	  "smtplib.SMTPAuthenticationError: (535, b'5.7.139 Authentication unsuccessful, "
	  "SmtpClientAuthentication is disabled for the "
	  "Tenant. Visit https://aka.ms/smtp_auth_disabled for more information.')" },
	{ "python", "oauth-required",
	  "smtplib.SMTPAuthenticationError: (535, b'5.7.139 Authentication unsuccessful, basic "
	  "authentication is disabled.')" },
	{ "python", "relay-denied",
	  "smtplib.SMTPRecipientsRefused: {'bob@example.net': (554, b'5.7.1 <bob@example.net>: Relay access "
	  "denied')}" },
	{ "python", "recipient-unknown",
	  "smtplib.SMTPRecipientsRefused: {'x@example.org': (550, b'5.1.1 no such user here')}" },
	{ "python", "too-large",
	  "smtplib.SMTPSenderRefused: (552, b'5.3.4 Message size exceeds fixed limit', 'ann@example.org')" },
	{ "python", "rate-limited",
	  "smtplib.SMTPSenderRefused: (452, b'4.5.3 Too many messages in this hour', 'ann@example.org')" },
	{ "django", "starttls-not-offered",
	  "File \"django/core/mail/backends/smtp.py\", line 96\nsmtplib.SMTPNotSupportedError: STARTTLS "
	  "extension not supported by "
	  "server." },

	/* curl */
	{ "curl", "tls-to-plain-port",
	  "curl: (35) OpenSSL/3.0.22: error:0A00010B:SSL routines::wrong version number" },
	{ "curl", "plain-to-tls-port",
	  "curl: (28) Operation timed out after 4003 milliseconds with 0 bytes received" },
	{ "curl", "timed-out", "curl: (28) Connection timed out after 4003 milliseconds" },
	{ "curl", "refused",
	  "curl: (7) Failed to connect to localhost port 587 after 1 ms: Couldn't connect to server" },
	{ "curl", "timed-out",
	  "curl: (28) Failed to connect to smtp.example.org port 587 after 133437 ms: Couldn't connect to "
	  "server" },
	{ "curl", "port-25-blocked",
	  "curl: (28) Failed to connect to smtp.example.org port 25 after 133437 ms: Couldn't connect to "
	  "server" },
	{ "curl", "name-unknown", "curl: (6) Could not resolve host: smtp.no-such-name.invalid" },
	{ "curl", "certificate-self-signed", "curl: (60) SSL certificate problem: self-signed certificate" },
	{ "curl", "certificate-name",
	  "curl: (60) SSL: no alternative certificate subject name matches target host name 'localhost'" },
	{ "curl", "starttls-not-offered", "curl: (64) STARTTLS not supported." },
	{ "curl", "starttls-required", "curl: (55) MAIL failed: 530" },
	{ "curl", "password-refused", "curl: (67) Login denied" },
	{ "curl", "recipient-unknown", "curl: (55) RCPT failed: 550" },
	{ "curl", "relay-denied", "curl: (55) RCPT failed: 554" },
	{ "curl", "blocklisted", "curl: (8) Got unexpected smtp-server response: 554" },
	{ "curl", "connection-closed", "curl: (56) response reading failed (errno: 115)" },

	/* msmtp */
	{ "msmtp", "tls-to-plain-port",
	  "msmtp: TLS handshake failed: An unexpected TLS packet was received." },
	{ "msmtp", "plain-to-tls-port", "msmtp: network read error: the operation timed out" },
	{ "msmtp", "certificate-untrusted",
	  "msmtp: TLS certificate verification failed: The certificate is NOT trusted. The certificate "
	  "issuer is unknown. " },
	{ "msmtp", "certificate-name",
	  "msmtp: TLS certificate verification failed: The certificate is NOT trusted. The name in the "
	  "certificate does not match the "
	  "expected. " },
	{ "msmtp", "certificate-expired",
	  "msmtp: TLS certificate verification failed: The certificate is NOT trusted. The certificate chain "
	  "uses expired "
	  "certificate. " },
	{ "msmtp", "refused", "msmtp: cannot connect to localhost, port 38335: Connection refused" },
	{ "msmtp", "name-unknown",
	  "msmtp: cannot locate host smtp.no-such-name.invalid: Name or service not known" },
	{ "msmtp", "starttls-not-offered",
	  "msmtp: the server does not support TLS via the STARTTLS command" },
	{ "msmtp", "auth-not-offered", "msmtp: the server does not support authentication" },
	{ "msmtp", "auth-mechanism", "msmtp: the server does not support authentication method PLAIN" },
	{ "msmtp", "password-refused",
	  "msmtp: authentication failed (method PLAIN)\nmsmtp: server message: 535 5.7.8 authentication "
	  "failed" },
	{ "msmtp", "sender-not-allowed",
	  "msmtp: envelope from address b@x.org not accepted by the server\nmsmtp: server message: 553 5.7.1 "
	  "<b@x.org>: Sender address "
	  "rejected: not owned by user ann" },
	{ "msmtp", "connection-closed", "msmtp: the server sent an empty reply" },

	/* PHP and what is built on it */
	{ "php", "tls-to-plain-port",
	  "PHP Warning:  stream_socket_client(): SSL operation failed with code 1. OpenSSL Error "
	  "messages:\nerror:0A00010B:SSL "
	  "routines::wrong version number in /srv/mail.php on line 38" },
	{ "php", "certificate-name",
	  "PHP Warning:  stream_socket_client(): Peer certificate subjectAltName did not match expected name "
	  "`localhost' in /srv/a.php "
	  "on line 3" },
	{ "php", "refused",
	  "PHP Warning:  stream_socket_client(): Unable to connect to tcp://localhost:587 (Connection "
	  "refused) in /srv/a.php on line 3" },
	{ "php", "held-back-here",
	  "PHP Warning:  fsockopen(): Unable to connect to ssl://smtp.example.org:465 (Permission denied) in "
	  "/srv/a.php on line 3" },
	{ "php", "sendmail-missing",
	  "PHP Warning:  mail(): Failed to connect to mailserver at \"localhost\" port 25, verify your "
	  "\"SMTP\" and \"smtp_port\" "
	  "setting in php.ini" },
	{ "unknown", "sendmail-missing", "sh: 1: /usr/sbin/sendmail: not found" },
	{ "phpmailer", "tls-failed",
	  "2026-11-22 09:35:54\tSMTP ERROR: Failed to connect to server:  (0)\n2026-11-22 09:35:54\tSMTP "
	  "Error: Could not connect to SMTP "
	  "host." },
	{ "phpmailer", "refused",
	  "SMTP ERROR: Failed to connect to server: Connection refused (111)\nSMTP Error: Could not connect "
	  "to SMTP host." },
	{ "phpmailer", "starttls-not-offered",
	  "SMTP Error: Could not connect to SMTP host. STARTTLS command failed what?" },
	{ "phpmailer", "starttls-required",
	  "Mailer Error: The following From address failed: ann@example.org : MAIL FROM command failed,Must "
	  "issue a STARTTLS command "
	  "first\n,530,5.7.0SMTP server error: MAIL FROM command failed Detail: Must issue a STARTTLS "
	  "command first\n SMTP code: 530 "
	  "Additional SMTP info: 5.7.0" },
	{ "phpmailer", "password-refused", "SMTP Error: Could not authenticate." },
	{ "phpmailer", "recipient-unknown",
	  "SMTP Error: The following recipients failed: x@example.org: no such user here\nSMTP server error: "
	  "RCPT TO command failed "
	  "Detail: no such user here\n SMTP code: 550 Additional SMTP info: 5.1.1" },
	{ "symfony", "tls-to-plain-port",
	  "Connection could not be established with host \"ssl://smtp.example.org:587\": "
	  "stream_socket_client(): SSL operation failed "
	  "with code 1. OpenSSL Error messages: error:0A00010B:SSL routines::wrong version number" },
	{ "symfony", "plain-to-tls-port", "Expected response code 220 but got code \"\", with message \"\"" },
	{ "symfony", "password-refused",
	  "Failed to authenticate on SMTP server with username \"ann\" using the following authenticators: "
	  "\"LOGIN\", \"PLAIN\". "
	  "Authenticator \"LOGIN\" returned \"Expected response code \"235\" but got code \"535\", with "
	  "message \"535 5.7.8 Error: "
	  "authentication failed\".\"." },

	/* Java */
	{ "java", "tls-to-plain-port",
	  "jakarta.mail.MessagingException: Could not connect to SMTP host: localhost, port: 587;\n  nested "
	  "exception "
	  "is:\n\tjavax.net.ssl.SSLException: Unsupported or unrecognized SSL message" },
	{ "java", "plain-to-tls-port",
	  "javax.mail.MessagingException: Could not connect to SMTP host: smtp.example.org, port: 465, "
	  "response: -1" },
	{ "java", "plain-to-tls-port",
	  "jakarta.mail.MessagingException: Exception reading response;\n  nested exception "
	  "is:\n\tjava.net.SocketTimeoutException: Read "
	  "timed out" },
	{ "java", "timed-out",
	  "com.sun.mail.util.MailConnectException: Couldn't connect to host, port: localhost, 587; timeout "
	  "4000;\n  nested exception "
	  "is:\n\tjava.net.SocketTimeoutException: Connect timed out" },
	{ "java", "certificate-untrusted",
	  "javax.net.ssl.SSLHandshakeException: PKIX path building failed: "
	  "sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification "
	  "path to requested target" },
	{ "java", "tls-old", "javax.net.ssl.SSLHandshakeException: Received fatal alert: protocol_version" },
	{ "java", "starttls-not-offered",
	  "jakarta.mail.MessagingException: STARTTLS is required but host does not support STARTTLS" },
	{ "java", "password-refused",
	  "jakarta.mail.AuthenticationFailedException: 535 5.7.8 authentication failed" },
	{ "java", "auth-required",
	  "javax.mail.AuthenticationFailedException: failed to connect, no password specified?" },
	{ "java", "auth-mechanism", "jakarta.mail.AuthenticationFailedException: 500 5.5.2 what?" },

	/* .NET, Go, Ruby, Perl */
	{ "dotnet", "starttls-not-offered",
	  "System.Net.Mail.SmtpException: Server does not support secure connections." },
	{ "dotnet", "starttls-required",
	  "System.Net.Mail.SmtpException: The SMTP server requires a secure connection or the client was not "
	  "authenticated. The server "
	  "response was: 5.7.0 Must issue a STARTTLS command first." },
	{ "dotnet", "auth-required",
	  "System.Net.Mail.SmtpException: The SMTP server requires a secure connection or the client was not "
	  "authenticated. The server "
	  "response was: 5.7.57 Client not authenticated to send mail." },
	{ "dotnet", "relay-denied",
	  "System.Net.Mail.SmtpException: Mailbox unavailable. The server response was: 5.7.1 Unable to "
	  "relay" },
	{ "mailkit", "tls-to-plain-port",
	  "MailKit.Security.SslHandshakeException: An error occurred while attempting to establish an SSL or "
	  "TLS connection.\n\nWhen "
	  "connecting to an SMTP service, port 587 is typically reserved for plain-text connections." },
	{ "mailkit", "certificate-untrusted",
	  "MailKit.Security.SslHandshakeException: An error occurred while attempting to establish an SSL or "
	  "TLS connection.\n\nThis "
	  "usually means that the SSL certificate presented by the server is not trusted by the system for "
	  "one or more of\nthe following "
	  "reasons:\n\n1. The server is using a self-signed certificate which cannot be verified." },
	{ "mailkit", "tls-failed",
	  "MailKit.Security.SslHandshakeException: An error occurred while attempting to establish an SSL or "
	  "TLS connection." },
	{ "go", "tls-to-plain-port", "tls: first record does not look like a TLS handshake" },
	{ "go", "certificate-name",
	  "x509: cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs" },
	{ "unknown", "plain-to-tls-port", "read tcp 10.1.1.1:3433->192.0.2.4:465: i/o timeout" },
	{ "unknown", "auth-needs-encryption", "panic: unencrypted connection" },
	{ "go", "timed-out", "dial tcp 192.0.2.1:587: i/o timeout" },
	{ "go", "certificate-untrusted",
	  "tls: failed to verify certificate: x509: certificate signed by unknown authority" },
	{ "go", "certificate-name", "x509: certificate is valid for mail.example.net, not smtp.example.org" },
	{ "ruby", "certificate-name",
	  "OpenSSL::SSL::SSLError (hostname \"192.0.2.1\" does not match the server certificate)" },
	{ "ruby", "tls-to-plain-port",
	  "OpenSSL::SSL::SSLError (SSL_connect returned=1 errno=0 state=error: wrong version number)" },
	{ "ruby", "plain-to-tls-port", "Net::ReadTimeout (Net::ReadTimeout with #<TCPSocket:(closed)>)" },
	{ "ruby", "password-refused",
	  "Net::SMTPAuthenticationError (535 5.7.8 Error: authentication failed)" },
	{ "git", "tls-to-plain-port",
	  "Unable to initialize SMTP properly. Check config and use --smtp-debug. VALUES: server=localhost "
	  "encryption=ssl "
	  "hello=localhost.localdomain port=587 at /usr/lib/git-core/git-send-email line 1674." },
	{ "git", "refused",
	  "Unable to initialize SMTP properly. Check config and use --smtp-debug. VALUES: server=localhost "
	  "encryption= "
	  "hello=localhost.localdomain port=2526 at /usr/lib/git-core/git-send-email line 1674." },
	{ "unknown", "recipient-unknown",
	  "(mbox) Adding to: x@example.org from line 'To: x@example.org'\n5.1.1 no such user here" },

	/* Mail programs that people have on the desk */
	{ "outlook", "tls-to-plain-port",
	  "Task 'x - Sending' reported error (0x800CCC1A): 'Your server does not support the connection "
	  "encryption type you have "
	  "specified.'" },
	{ "outlook", "name-unknown", "reported error (0x800CCC0D) : 'Cannot find the e-mail server.'" },
	{ "outlook", "relay-denied",
	  "reported error (0x800CCC79) : 'The server rejected one of the recipient addresses. Server error: "
	  "'550 5.7.1 Unable to relay''" },
	{ "outlook", "starttls-not-offered",
	  "(0x800CCC7D) : 'Your outgoing (SMTP) server does not support SSL-secured connections.'" },
	{ "outlook", "auth-mechanism",
	  "reported error (0x800CCC80) : 'None of the authentication methods supported by this client are "
	  "supported by your server.'" },
	{ "thunderbird", "name-unknown",
	  "Sending of the message failed.\nAn error occurred while sending mail: Outgoing server (SMTP) "
	  "smtp.x.example is unknown. The "
	  "server may be incorrectly configured." },
	{ "thunderbird", "timed-out",
	  "The message could not be sent because the connection to Outgoing server (SMTP) smtp.x.example "
	  "timed out. Try again." },
	{ "thunderbird", "password-refused",
	  "Unable to authenticate to Outgoing server (SMTP) smtp.x.example. Please check the password and "
	  "verify the" },
	{ "thunderbird", "auth-not-offered",
	  "Unable to authenticate to Outgoing server (SMTP) smtp.x.example. It does not support "
	  "authentication (SMTP-AUTH) but" },
	{ "thunderbird", "starttls-not-offered",
	  "Unable to establish a secure link with Outgoing server (SMTP) smtp.x.example using STARTTLS since "
	  "it doesn't advertise that feature" },
	{ "gmail-send-as", "certificate-name",
	  "TLS Negotiation failed, the certificate doesn\xe2\x80\x99t match the host., code: 0" },
	{ "thunderbird", "auth-mechanism",
	  "Sending of the message failed.\nThe Outgoing server (SMTP) smtp.example.org does not support the "
	  "selected authentication "
	  "method." },

	/* Servers' logs */
	{ "postfix", "timed-out",
	  "postfix/smtp[811]: connect to smtp.example.org[192.0.2.1]:587: Connection timed out" },
	{ "postfix", "port-25-blocked",
	  "postfix/smtp[811]: connect to mx.example.org[192.0.2.1]:25: Connection timed out" },
	{ "postfix", "recipient-unknown",
	  "postfix/smtp[811]: 4Z: to=<x@example.org>, relay=mx.example.org[192.0.2.1]:25, dsn=5.1.1, "
	  "status=bounced (host "
	  "mx.example.org[192.0.2.1] said: 550 5.1.1 <x@example.org>: Recipient address rejected: User "
	  "unknown (in reply to RCPT TO "
	  "command))" },
	{ "postfix", "auth-mechanism",
	  "postfix/smtp[811]: warning: SASL authentication failure: No worthy mechs found" },

	{ "postfix", "starttls-not-offered",
	  "postfix/smtp[1]: 4Z: status=deferred (TLS is required, but was not offered by host "
	  "smtp.x.example[192.0.2.1])" },
	{ "postfix", "tls-failed",
	  "postfix/smtp[1]: 4Z: status=deferred (Cannot start TLS: handshake failure)" },
	{ "postfix", "plain-to-tls-port",
	  "postfix/smtp[1]: CLIENT wrappermode (port smtps/465) is unimplemented" },
	{ "exim", "starttls-not-offered",
	  "== a@b.example R=smarthost T=remote_smtp_smarthost defer (-38) H=smtp.x.example [192.0.2.1]: a "
	  "TLS session is required, but "
	  "the server did not offer TLS support" },

	/* What providers say */
	{ "unknown", "rate-limited", "421-4.7.0 Try again later, closing connection. (HELO)" },
	{ "unknown", "sender-unverified",
	  "550-5.7.26 This mail is unauthenticated, which poses a security risk to the sender" },
	{ "unknown", "auth-required",
	  "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM" },
	{ "unknown", "sender-not-allowed",
	  "554 5.2.252 SendAsDenied; ann@x.example not allowed to send as bob@x.example" },
	{ "unknown", "sender-not-allowed",
	  "554 Message rejected: Email address is not verified. The following identities failed the check in "
	  "region US-EAST-1" },
	{ "unknown", "app-password", "535 Login Fail. Please enter your authorization code to login." },
	{ "unknown", "login-blocked", "454 4.7.0 Too many login attempts, please try again later." },
	{ "unknown", "server-trouble",
	  "454 4.7.0 Temporary authentication failure: Connection lost to authentication server" },
	{ "unknown", "token-refused",
	  "334 eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIiwic2NvcGUiOiJtYWlsIn0=\n"
	  "535 5.7.8 Error: authentication failed: (reason unavailable)" },
	{ "unknown", "token-refused", "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail\"}" },
	{ "unknown", "login-blocked",
	  "534-5.7.14 <https://accounts.example/signin> Please log in via your web browser" },
	{ "unknown", "mailbox-full", "452 4.2.2 The email account that you tried to reach is over quota." },
	{ "unknown", "auth-required", "550 Please turn on SMTP Authentication in your mail client." },
	{ "unknown", "content-refused", "554 5.7.1 Message rejected under suspicion of SPAM" },

	/* Nothing to know */
	{ "unknown", "", "" },
	{ "unknown", "", "it does not work" },
	{ "unknown", "", "250 2.1.0 OK\r\n354 go ahead\r\n250 2.0.0 taken" },
	{ "unknown", "", "The port is 587 or 465. 550 people were there in 2553." },
};

static void test_texts(void **state)
{
	unsigned failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct advise_explained e;
		const char *first;

		advise_explain(slice_str(r->text), &e);
		first = e.n > 0 ? advise_cause_name(e.guess[0].cause) : "";
		if (strcmp(first, r->cause) == 0 && strcmp(advise_client_name(e.client), r->client) == 0)
			continue;
		print_error("row %zu: %s of %s, not %s of %s: %s\n", i, first, advise_client_name(e.client),
			    r->cause, r->client, r->text);
		failed++;
	}
	assert_int_equal(failed, 0);
}

static const struct {
	const char *text, *host;
	uint16_t port;
} places[] = {
	{ "msmtp: cannot connect to smtp.example.org, port 465: Connection refused", "smtp.example.org",
	  465 },
	{ "connect ECONNREFUSED 192.0.2.1:587", "192.0.2.1", 587 },
	{ "Unable to connect to ssl://smtp.Example.org:465 (Connection refused)", "smtp.example.org", 465 },
	{ "connect to mx.example.org[192.0.2.1]:25: Connection timed out", "mx.example.org", 25 },
	{ "relay=[smtp.example.org]:587,", "smtp.example.org", 587 },
	{ "Could not connect to SMTP host: smtp.example.org, port: 465, response: -1", "smtp.example.org",
	  465 },
	{ "Couldn't connect to host, port: smtp.example.org, 2525; timeout 4000;", "smtp.example.org", 2525 },
	{ "VALUES: server=smtp.example.org encryption=tls port=587 at", "smtp.example.org", 587 },
	{ "getaddrinfo ENOTFOUND smtp.example.org smtp.example.org:465", "smtp.example.org", 465 },
	{ "smtp.gmail.com does not like it", "smtp.gmail.com", 0 },
	{ "Connection to smtp.example.org on port 465 timed out", "smtp.example.org", 465 },
	{ "the connection to Outgoing server (SMTP) smtp.example.org timed out", "smtp.example.org", 0 },
	{ "read tcp 10.1.1.1:3433->192.0.2.4:465: i/o timeout", "192.0.2.4", 465 },
	{ "code: 'ECONNREFUSED', address: '::1', port: 587", "::1", 587 },
	{ "at SMTPTransport.openServer(SMTPTransport.java:2211)", "", 0 },
	{ "at Object.<anonymous> (node:net:595:8) index.js:17", "", 0 },
	{ "ann@example.org:587 said", "", 0 },
	{ "Client host [192.0.2.7] blocked", "", 0 },
	{ "log in on port 587 with STARTTLS or port 465 with SSL/TLS", "", 0 },
	{ "self.sock = self._get_socket(host, port, self.timeout)", "", 0 },
	{ "https://support.example.org:587/mail", "", 0 },
	/* What could be a secret is never taken. */
	{ "smtps://ann:hunter2@smtp.example.org:465", "smtp.example.org", 465 },
	{ "smtp://ann%40example.org:pa@ss.example.net:25@smtp.example.org:587/?x", "smtp.example.org", 587 },
	{ "smtp://ann.smith:12,se.cret:99=x@smtp.example.org:587", "smtp.example.org", 587 },
	{ "MAIL_PASSWORD=se.cret:99", "", 0 },
	{ "--user ann@example.org:1234", "", 0 },
	{ "pass: 'se.cret:99'", "", 0 },
};

static void test_places(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct advise_explained e;

		advise_explain(slice_str(places[i].text), &e);
		if (strcmp(e.host, places[i].host) != 0 || e.port != places[i].port)
			print_error("row %zu: %s:%u\n", i, e.host, e.port);
		assert_string_equal(e.host, places[i].host);
		assert_int_equal(e.port, places[i].port);
	}
}

static const struct {
	const char *text;
	int code;
	const char *enhanced, *class;
} replies[] = {
	{ "535 5.7.8 no", 535, "5.7.8", "auth" },
	{ "(550, b'5.1.1 no such user')", 550, "5.1.1", "no-such-user" },
	{ "said: 451 4.7.1 Greylisted, try again", 451, "4.7.1", "greylist" },
	{ "RCPT failed: 550", 550, "", "other" },
	{ "responseCode: 552,", 552, "", "other" },
	{ "Detail: no such user\n SMTP code: 550 Additional SMTP info: 5.1.1", 550, "5.1.1", "no-such-user" },
	{ "5.1.1 no such user", 0, "5.1.1", "no-such-user" },
	{ "550-5.7.1 first\n550 5.7.1 blocked using a.blocklist.example", 550, "5.7.1", "reputation" },
	{ "The server response was: 5.7.1 Unable to relay", 0, "5.7.1", "relay-denied" },
	{ "at line 535 of smtplib.py", 0, "", NULL },
	{ "port 587", 0, "", NULL },
	{ "2026-11-22 09:45:50.421 ms", 0, "", NULL },
	{ "version 5.7.8-1", 0, "", NULL },
};

static void test_replies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		struct advise_explained e;

		advise_explain(slice_str(replies[i].text), &e);
		if (e.code != replies[i].code || strcmp(e.enhanced, replies[i].enhanced) != 0)
			print_error("row %zu: %d %s\n", i, e.code, e.enhanced);
		assert_int_equal(e.code, replies[i].code);
		assert_string_equal(e.enhanced, replies[i].enhanced);
		assert_int_equal(!e.class, !replies[i].class);
		if (e.class)
			assert_string_equal(e.class, replies[i].class);
	}
}

static void test_secrets_are_noticed(void **state)
{
	static const char *const yes[] = { "~> AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBodW50ZXIy",
					   "smtp://ann:x@host.example",
					   "auth: { user: 'a', pass: 'hunter2' }", "MAIL_PASSWORD=hunter2" },
				 *const no[] = { "AUTH PLAIN LOGIN", "command: 'AUTH PLAIN'",
						 "smtp://ann@host.example",
						 "535 5.7.8 user name or password: wrong" };
	struct advise_explained e;

	(void)state;
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
		advise_explain(slice_str(yes[i]), &e);
		assert_true(e.secret);
	}
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
		advise_explain(slice_str(no[i]), &e);
		assert_false(e.secret);
	}
}

/* Every text of every cause for every client fits, names both settings by their names there, and leaves no
 * mark. */
static void test_changes(void **state)
{
	char to[ADVISE_CHANGE_MAX];

	(void)state;
	for (unsigned cause = 0; cause < ADVISE_CAUSES; cause++)
		for (unsigned client = 0; client < ADVISE_CLIENTS; client++) {
			advise_change((enum advise_cause)cause, (enum advise_client)client, to, sizeof(to));
			assert_true(strlen(to) > 20 && strlen(to) < sizeof(to) - 100);
			assert_null(strstr(to, "{implicit}"));
			assert_true(strlen(advise_cause_what((enum advise_cause)cause)) > 20);
			assert_true(strlen(advise_client_debug((enum advise_client)client)) > 10);
		}
	advise_change(ADVISE_TLS_TO_PLAIN, ADVISE_BY_NODEMAILER, to, sizeof(to));
	assert_non_null(strstr(to, "secure: true with port: 465"));
	assert_non_null(strstr(to, "secure: false"));
	advise_change(ADVISE_TLS_TO_PLAIN, ADVISE_BY_UNKNOWN, to, sizeof(to));
	assert_non_null(strstr(to, "\"SSL/TLS\""));
}

/* Replies that we got ourselves: nothing is guessed of where they come from. */
static void test_own_replies(void **state)
{
	static const struct {
		const char *host, *enhanced, *text;
		uint16_t port;
		int code;
		enum smtp_client_step step;
		enum advise_cause cause;
	} table[] = {
		{ "smtp.gmail.com", "5.7.8", "Username and Password not accepted.", 587, 535,
		  SMTP_CLIENT_AT_AUTH, ADVISE_PASSWORD_REFUSED },
		{ "smtp.gmail.com", "5.7.9", "Application-specific password required.", 465, 534,
		  SMTP_CLIENT_AT_AUTH, ADVISE_APP_PASSWORD },
		{ "smtp.office365.com", "5.7.139",
		  "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.", 587,
		  535, SMTP_CLIENT_AT_AUTH, ADVISE_SMTP_AUTH_OFF },
		{ "mail.example.org", "5.0.0", "Incorrect authentication data", 587, 535, SMTP_CLIENT_AT_AUTH,
		  ADVISE_PASSWORD_REFUSED },
		{ "mail.example.org", "5.5.4", "", 587, 504, SMTP_CLIENT_AT_AUTH, ADVISE_AUTH_MECHANISM },
		/* The same words say another thing at another step. */
		{ "mail.example.org", "5.1.0", "no", 587, 550, SMTP_CLIENT_AT_MAIL,
		  ADVISE_SENDER_NOT_ALLOWED },
		{ "mail.example.org", "5.1.1", "no such user", 587, 550, SMTP_CLIENT_AT_RCPT,
		  ADVISE_RECIPIENT_UNKNOWN },
		/* Our own words. */
		{ "mail.example.org", "4.7.5", "TLS failed: certificate has expired", 465, 0,
		  SMTP_CLIENT_AT_GREETING, ADVISE_CERT_EXPIRED },
	};
	struct advise_explained e;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct route_reply r = { table[i].code, slice_str(table[i].enhanced),
					 slice_str(table[i].text), table[i].step };

		advise_explain_reply(&r, table[i].host, table[i].port, ADVISE_BY_UNKNOWN, &e);
		if (e.n == 0 || e.guess[0].cause != table[i].cause)
			fail_msg("%d %s: %s", table[i].code, table[i].text,
				 e.n ? advise_cause_name(e.guess[0].cause) : "nothing");
		assert_string_equal(e.host, table[i].host);
		assert_int_equal(e.port, table[i].port);
	}
}

static void test_settings_of_a_port(void **state)
{
	char to[300];

	(void)state;
	assert_string_equal(advise_client_setting(ADVISE_BY_NODEMAILER, true, 465, to, sizeof(to)),
			    "secure: true with port: 465");
	assert_string_equal(advise_client_setting(ADVISE_BY_NODEMAILER, false, 2525, to, sizeof(to)),
			    "secure: false and requireTLS: true with port: 2525");
	assert_string_equal(advise_client_setting(ADVISE_BY_THUNDERBIRD, true, 8465, to, 30),
			    "Connection security: SSL/TLS,");
	for (unsigned c = 1; c < ADVISE_CLIENTS; c++) {
		advise_client_setting((enum advise_client)c, false, 26, to, sizeof(to));
		assert_null(strstr(to, "587"));
	}
}

/* Names are unique: they are an interface. */
static void test_names(void **state)
{
	(void)state;
	for (unsigned a = 0; a < ADVISE_CAUSES; a++)
		for (unsigned b = a + 1; b < ADVISE_CAUSES; b++)
			assert_string_not_equal(advise_cause_name((enum advise_cause)a),
						advise_cause_name((enum advise_cause)b));
	for (unsigned a = 0; a < ADVISE_CLIENTS; a++)
		for (unsigned b = a + 1; b < ADVISE_CLIENTS; b++)
			assert_string_not_equal(advise_client_name((enum advise_client)a),
						advise_client_name((enum advise_client)b));
}

/* Errors stand at the end of a long text. */
static void test_long_text(void **state)
{
	static char text[ADVISE_TEXT_MAX * 2];
	static const char error[] = "ssl.SSLError: wrong version number (_ssl.c:992)";
	struct advise_explained e;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "curl: (67) Login denied ", 24);
	memcpy(text + sizeof(text) - sizeof(error), error, sizeof(error));
	advise_explain(slice_of(text, sizeof(text)), &e);
	assert_true(e.cut);
	assert_int_equal(e.n, 1);
	assert_int_equal(e.guess[0].cause, ADVISE_TLS_TO_PLAIN);
	assert_int_equal(e.client, ADVISE_BY_PYTHON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_secrets_are_noticed),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_own_replies),
		cmocka_unit_test(test_settings_of_a_port),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
