/* report.h - what was seen at one port of one address: plain data, no judgement.
 *
 * A struct probe_port is filled by whoever looks (check/look.h; a test writes it by hand), step by step as
 * far as the look got, and read by what judges (finding.h, verdict.h, expect.h) and shows (cli/check_*.c). It
 * holds no pointer, so it can be copied.  What a peer said is bounded, without control characters, and
 * otherwise as it came: it may be no UTF-8.  Times are spans in milliseconds.
 */
#ifndef POSTERN_PROBE_REPORT_H
#define POSTERN_PROBE_REPORT_H

#include "base/ip.h"
#include "base/tls_result.h"

#define PROBE_TEXT_MAX	 400  /* of a reply */
#define PROBE_FIRST_MAX	 160  /* octets of what came first, where it was no SMTP */
#define PROBE_OFFERS_MAX 2048 /* octets of the answer to EHLO */
#define PROBE_NAME_MAX	 256
#define PROBE_CHAIN_MAX	 6
#define PROBE_RELAYS	 8 /* see talk.h */

/* Whether a connection came about, and if not, who said so. */
enum probe_reach {
	PROBE_NOT_ASKED,
	PROBE_OPEN,
	PROBE_REFUSED,	   /* a reset, or ICMP port unreachable */
	PROBE_SILENT,	   /* nothing came back: dropped on the way, or by the host */
	PROBE_UNREACHABLE, /* ICMP, or no route: see no_route, no_neighbour */
	PROBE_PROHIBITED,  /* ICMP says that it is forbidden (administratively) */
	PROBE_FAILED,	   /* on our side: see error */
};

/* Whether what was sent to open the connection left this machine. */
enum probe_sent {
	PROBE_SENT_UNKNOWN,
	PROBE_SENT,
	PROBE_SENT_HELD, /* its own rules threw it away */
};

/* Where a look can stand, be slow, or end. */
enum probe_step {
	PROBE_AT_CONNECT,
	PROBE_AT_GREETING,
	PROBE_AT_EHLO,
	PROBE_AT_STARTTLS,
	PROBE_AT_HANDSHAKE,
	PROBE_AT_EHLO_TLS,
	PROBE_AT_MAIL,
	PROBE_AT_RCPT,
	PROBE_AT_RELAY,
	PROBE_AT_QUIT,
	PROBE_STEPS,
};
const char *probe_step_name(enum probe_step step); /* "greeting": goes into a sentence */

/* How the conversation ended before its end. */
enum probe_end {
	PROBE_END_WHOLE,   /* it did not: QUIT was said */
	PROBE_END_CLOSED,  /* by them */
	PROBE_END_RESET,   /* by them, or by something between */
	PROBE_END_TIMEOUT, /* they said nothing any more */
	PROBE_END_NO_SMTP, /* what they said is no reply of SMTP: see other */
	PROBE_END_TLS,	   /* the handshake came to nothing: see tls.words */
	PROBE_END_OURS,	   /* on our side: see error */
};

/* What it is that is not SMTP. */
enum probe_other {
	PROBE_OTHER_NONE,
	PROBE_OTHER_TLS, /* a TLS alert or record in answer to nothing, or to EHLO */
	PROBE_OTHER_IMAP,
	PROBE_OTHER_POP3,
	PROBE_OTHER_HTTP,
	PROBE_OTHER_SSH,
	PROBE_OTHER_FTP,
	PROBE_OTHER_UNKNOWN,
};
const char *probe_other_name(enum probe_other other); /* "IMAP" */

/* One reply; code 0: there was none, or it was not asked. */
struct probe_reply {
	int code;
	char enhanced[16];
	char text[PROBE_TEXT_MAX + 1];
	uint32_t ms; /* that it took */
};

/* The answer to EHLO: lines as they came, behind the code, LF between; the first is the name. */
struct probe_offers {
	struct probe_reply reply;
	bool helo; /* EHLO was refused; this is the answer to HELO */
	char lines[PROBE_OFFERS_MAX + 1];
	bool starttls;
	bool masked; /* a line is overwritten ("XXXXXXXA"): something between hides what stood there */
	bool has_size;
	uint64_t size;	      /* octets; 0: no limit is named */
	char auth[256];	      /* mechanisms, one blank between; "" */
	char extensions[512]; /* keywords without parameters, one blank between */
};

struct probe_certificate {
	char subject[PROBE_NAME_MAX], issuer[PROBE_NAME_MAX]; /* "CN=..., O=..." printable ASCII */
	int64_t not_before, not_after;			      /* seconds since 1970 */
	char key[32];					      /* "RSA 2048", "EC P-256" */
	char sha256[65];
};

struct probe_tls {
	bool tried, up;
	bool implicit; /* from the first octet */
	char version[16], cipher[64];
	bool verified;					 /* chain and name */
	enum tls_result result;				 /* OK, or what is wrong */
	char words[200];				 /* the same for people */
	char names[512];				 /* DNS names of the certificate */
	char wanted[PROBE_NAME_MAX];			 /* the name that was looked for in it */
	struct probe_certificate chain[PROBE_CHAIN_MAX]; /* as the server sent it, its own first */
	size_t n_chain;
	bool self_signed;
	uint32_t ms;
};

enum probe_old { PROBE_OLD_NOT_ASKED, PROBE_OLD_ACCEPTED, PROBE_OLD_REFUSED, PROBE_OLD_UNCLEAR };
enum probe_version { PROBE_SSL3, PROBE_TLS10, PROBE_TLS11, PROBE_VERSIONS };
const char *probe_version_name(enum probe_version version); /* "SSLv3" */

/* What --login came to, over a connection of its own. */
enum probe_login_state {
	PROBE_LOGIN_NOT_ASKED,
	PROBE_LOGIN_ACCEPTED,
	PROBE_LOGIN_REFUSED, /* auth is the refusal */
	PROBE_LOGIN_FAILED,  /* the server said neither: why */
	PROBE_LOGIN_SPARED,  /* it was not tried: why */
};
const char *probe_login_name(enum probe_login_state state); /* "accepted" */

struct probe_login {
	enum probe_login_state state;
	char mech[32]; /* "" where it did not come so far */
	char why[240];
	char said[200];		 /* of a token's refusal: what came before it */
	struct probe_reply auth; /* of an acceptance only code and time */
	struct probe_reply mail; /* MAIL FROM after it; code 0: not asked, or no answer */
};

/* A policy of the domain that was held against what TLS showed. */
enum probe_match {
	PROBE_MATCH_NONE, /* there is no such policy */
	PROBE_MATCH_YES,
	PROBE_MATCH_NO,
	PROBE_MATCH_UNKNOWN, /* it could not be learned */
};

struct probe_port {
	struct ip ip;
	uint16_t port;

	enum probe_reach reach;
	int error;	     /* negative errno of connect(); 0 */
	struct ip icmp_from; /* who sent the ICMP error; family 0: none came */
	enum probe_sent sent;
	bool local;	     /* the answer came from this very machine, or its rules held the packet back */
	char local_why[160]; /* how that is known */
	bool no_route;	     /* this machine has no way there: nothing was sent */
	bool no_neighbour;   /* on its own network nobody answers for that address, or for the router there */
	uint32_t connect_ms;

	/* The conversation. */
	bool tls_first; /* it speaks TLS from the first octet (also where the port's custom is another) */
	unsigned char first[PROBE_FIRST_MAX]; /* what came first that is no SMTP */
	size_t first_n;
	enum probe_other other;
	struct probe_reply greeting;
	struct probe_offers clear; /* before TLS; on tls_first nothing */
	struct probe_reply starttls;
	struct probe_tls tls;
	struct probe_offers in_tls;
	struct probe_reply mail, rcpt;		   /* before AUTH, within TLS where there is; never a body */
	struct probe_reply relay[PROBE_RELAYS][2]; /* MAIL and RCPT of each of probe_relays */
	struct probe_login login;
	enum probe_step at; /* where it ended */
	enum probe_end end;
	char end_why[160];

	enum probe_old old[PROBE_VERSIONS];
	enum probe_match dane, sts;
	char dane_words[320], sts_words[400];
	bool ptr_asked;		  /* with --mx, and the DNS answered */
	char ptr[PROBE_NAME_MAX]; /* name of the address; "" */
	bool ptr_forward;	  /* and it leads back */
};

/* One name that was looked at, with all its addresses and ports. */
struct probe_host {
	char name[PROBE_NAME_MAX]; /* as it is connected to; an address as text */
	char from[128]; /* where the name comes from: "command line", "SRV _submissions._tcp.example.org" */
	uint16_t preference; /* MX */
	bool mx;
	char lookup[200]; /* why there is no address; "" */
	struct probe_port *port;
	size_t n;
};

#endif
