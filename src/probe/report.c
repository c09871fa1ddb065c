/* Names of what was seen. */
#include "probe/report.h"

const char *probe_step_name(enum probe_step step)
{
	static const char *const names[PROBE_STEPS] = {
		[PROBE_AT_CONNECT] = "the connection",
		[PROBE_AT_GREETING] = "the greeting",
		[PROBE_AT_EHLO] = "EHLO",
		[PROBE_AT_STARTTLS] = "STARTTLS",
		[PROBE_AT_HANDSHAKE] = "the TLS handshake",
		[PROBE_AT_EHLO_TLS] = "EHLO within TLS",
		[PROBE_AT_MAIL] = "MAIL",
		[PROBE_AT_RCPT] = "RCPT",
		[PROBE_AT_RELAY] = "the relay test",
		[PROBE_AT_QUIT] = "QUIT",
	};

	return (unsigned)step < PROBE_STEPS ? names[step] : "unknown";
}

const char *probe_other_name(enum probe_other other)
{
	static const char *const names[] = {
		[PROBE_OTHER_NONE] = "SMTP", [PROBE_OTHER_TLS] = "TLS",
		[PROBE_OTHER_IMAP] = "IMAP", [PROBE_OTHER_POP3] = "POP3",
		[PROBE_OTHER_HTTP] = "HTTP", [PROBE_OTHER_SSH] = "SSH",
		[PROBE_OTHER_FTP] = "FTP",   [PROBE_OTHER_UNKNOWN] = "something that is not SMTP",
	};

	return (unsigned)other <= PROBE_OTHER_UNKNOWN ? names[other] : "unknown";
}

const char *probe_version_name(enum probe_version version)
{
	static const char *const names[PROBE_VERSIONS] = {
		[PROBE_SSL3] = "SSLv3",
		[PROBE_TLS10] = "TLSv1.0",
		[PROBE_TLS11] = "TLSv1.1",
	};

	return (unsigned)version < PROBE_VERSIONS ? names[version] : "unknown";
}

const char *probe_login_name(enum probe_login_state state)
{
	static const char *const names[] = {
		[PROBE_LOGIN_NOT_ASKED] = "not-asked", [PROBE_LOGIN_ACCEPTED] = "accepted",
		[PROBE_LOGIN_REFUSED] = "refused",     [PROBE_LOGIN_FAILED] = "failed",
		[PROBE_LOGIN_SPARED] = "spared",
	};

	return (unsigned)state <= PROBE_LOGIN_SPARED ? names[state] : "unknown";
}
