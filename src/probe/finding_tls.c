/* What TLS at a port is worth. */
#include <string.h>

#include "probe/finding_private.h"

static void judge_certificate(struct judge *j, const struct probe_port *p)
{
	const struct probe_tls *t = &p->tls;
	const struct probe_certificate *own = &t->chain[0];
	int64_t days = t->n_chain ? (own->not_after - j->facts->now) / 86400 : 0;
	unsigned soon = j->facts->soon_days ? j->facts->soon_days : 14;

	if (t->result == TLS_RESULT_CERTIFICATE_HOST_MISMATCH)
		judge_add(j, PROBE_IS_CERT_NAME,
			  "Use a host name that stands in the certificate, or have one made for this name.",
			  "the certificate is not for %s: it is for %s", t->wanted,
			  t->names[0] ? t->names : "no name at all");
	else if (t->result == TLS_RESULT_CERTIFICATE_EXPIRED)
		judge_add(j, PROBE_IS_CERT_EXPIRED, "Whoever runs the server must renew it.",
			  t->n_chain && days < 0
				  ? "the certificate expired %lld day%s ago"
				  : "a certificate is not valid today (%lld day%s left of the server's own)",
			  (long long)(days < 0 ? -days : days), days == 1 || days == -1 ? "" : "s");
	else if (t->self_signed)
		judge_add(j, PROBE_IS_CERT_SELF_SIGNED,
			  "Have it signed by a public authority, or pin its fingerprint at the client.",
			  "the certificate is signed by itself (%s): clients cannot know whose it is",
			  t->n_chain ? own->subject : "?");
	else if (t->result != TLS_RESULT_OK)
		judge_add(
			j, PROBE_IS_CERT_UNTRUSTED,
			"The server may not send the intermediate certificate; or something between shows a "
			"certificate of its own.",
			"the certificate is not trusted: %s (issued by %s)", t->words,
			t->n_chain ? own->issuer : "?");
	if (t->n_chain && days >= 0 && days < soon)
		judge_add(j, PROBE_IS_CERT_EXPIRES, "Whoever runs the server should renew it now.",
			  "the certificate expires in %lld day%s", (long long)days, days == 1 ? "" : "s");
}

static void judge_versions(struct judge *j, const struct probe_port *p)
{
	char old[64] = "";

	for (int v = 0; v < PROBE_VERSIONS; v++)
		if (p->old[v] == PROBE_OLD_ACCEPTED)
			snprintf(old + strlen(old), sizeof(old) - strlen(old), "%s%s", *old ? ", " : "",
				 probe_version_name((enum probe_version)v));
	if (p->tls.up && strcmp(p->tls.version, "TLSv1.2") < 0)
		judge_add(
			j, PROBE_IS_TLS_ONLY_OLD,
			"Whoever runs the server must allow TLS 1.2; clients of today refuse anything older.",
			"it speaks no TLS better than %s", p->tls.version);
	else if (*old)
		judge_add(j, PROBE_IS_TLS_OLD,
			  p->port == 25 ? "Between servers that is better than clear text."
					: "Switch them off, unless old devices need them (RFC 8996).",
			  "it still takes %s", old);
}

static void judge_policies(struct judge *j, const struct probe_port *p)
{
	static const struct {
		enum probe_code ok, wrong, unknown;
	} codes[2] = { { PROBE_IS_DANE_OK, PROBE_IS_DANE_WRONG, PROBE_IS_DANE_UNKNOWN },
		       { PROBE_IS_STS_OK, PROBE_IS_STS_WRONG, PROBE_IS_STS_UNKNOWN } };
	static const char *const name[2] = { "DANE", "MTA-STS" };

	for (int i = 0; i < 2; i++) {
		enum probe_match is = i == 0 ? p->dane : p->sts;
		const char *words = i == 0 ? p->dane_words : p->sts_words;

		if (is == PROBE_MATCH_YES)
			judge_add(j, codes[i].ok, "", "%s: %s", name[i], words);
		else if (is == PROBE_MATCH_NO)
			judge_add(j, codes[i].wrong,
				  "Servers that honour it send no mail there. Mend the policy or the "
				  "certificate.",
				  "%s: %s", name[i], words);
		else if (is == PROBE_MATCH_UNKNOWN)
			judge_add(j, codes[i].unknown, "", "%s: %s", name[i], words);
	}
}

/* It would have been TLS, and is not. */
static void judge_no_tls(struct judge *j, const struct probe_port *p)
{
	if (p->clear.masked)
		judge_add(j, PROBE_IS_STARTTLS_MASKED,
			  "A firewall on the way rewrites SMTP (\"SMTP inspection\", \"fixup\"): have it "
			  "switched "
			  "off, or use 465, which it cannot read.",
			  "something between overwrites what the server offers (a line of XXXX stands where "
			  "STARTTLS would)");
	else if (p->starttls.code)
		judge_add(j, PROBE_IS_STARTTLS_REFUSED,
			  "Whoever runs the server must look at its TLS settings.",
			  "it offers STARTTLS, and answers %d %s", p->starttls.code, p->starttls.text);
	else if (probe_speaks_smtp(p) && p->port != 25)
		judge_add(j, PROBE_IS_NO_STARTTLS,
			  "Do not log in here: the password would go in clear. The server lacks TLS, or "
			  "something between strips it.",
			  probe_is_implicit(p->port)
				  ? "it speaks clear text on a port for implicit TLS, and offers "
				    "no STARTTLS"
				  : "it does not offer STARTTLS");
	else if (probe_speaks_smtp(p))
		judge_add(j, PROBE_IS_NO_STARTTLS, "Other servers can only deliver in clear text.",
			  "it does not offer STARTTLS");
}

void judge_tls(struct judge *j, const struct probe_port *p)
{
	const struct probe_tls *t = &p->tls;

	if (!t->tried) {
		judge_no_tls(j, p);
		return;
	}
	if (!t->up) {
		/* What is there instead has been told, and how it ended. */
		if (p->end != PROBE_END_RESET &&
		    (p->starttls.code / 100 == 2 ||
		     (p->end != PROBE_END_CLOSED && p->other == PROBE_OTHER_NONE && p->greeting.code == 0)))
			judge_add(j, PROBE_IS_TLS_FAILED,
				  "Whoever runs the server must look at its TLS settings and its log.",
				  "the TLS handshake failed: %s", t->words);
		return;
	}
	judge_add(j, PROBE_IS_TLS, "", "%s with %s%s", t->implicit ? "implicit TLS" : "STARTTLS", t->version,
		  t->verified ? ", certificate verified" : "");
	/* Other ports have no custom. */
	if (t->implicit != probe_is_implicit(p->port) && (p->port == 25 || probe_is_submission(p->port)) &&
	    p->other == PROBE_OTHER_NONE)
		judge_add(j, PROBE_IS_TLS_UNUSUAL, "",
			  t->implicit ? "TLS from the first octet, where STARTTLS is the custom: choose "
					"\"SSL/TLS\" for "
					"this port"
				      : "STARTTLS, where TLS from the first octet is the custom: choose "
					"\"STARTTLS\" for "
					"this port");
	judge_certificate(j, p);
	judge_versions(j, p);
	judge_policies(j, p);
}
