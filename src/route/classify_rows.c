/* Which answers belong to which class.  The first row that matches counts, so what is said only
 * by one provider stands before what everybody says, words before codes, and codes of many
 * meanings last.  From providers' published lists of codes and the defaults of common servers. */
#include "route/classify_rows.h"

#define AT(step) (1U << SMTP_CLIENT_##step)
#define MAIL	 (AT(AT_MAIL) | AT(AT_RCPT) | AT(AT_DATA) | AT(AT_BODY) | AT(AT_FINAL) | AT(IDLE))

/* By the answer's first digit; and where that is not to be believed. */
#define SAYS(code, enhanced, words, class)                                  \
	{                                                                   \
		code, enhanced, 0, words, ROUTE_CLASS_##class, false, 0, 0, \
	}
#define IN_FACT(code, enhanced, words, class, action, pause)                        \
	{                                                                           \
		code, enhanced, 0, words, ROUTE_CLASS_##class, true, action, pause, \
	}
#define WHILE(steps, code, enhanced, words, class)                              \
	{                                                                       \
		code, enhanced, steps, words, ROUTE_CLASS_##class, false, 0, 0, \
	}

const struct route_row route_rows[] = {
	/* -- AUTH: whatever it says, the credentials are ours to mend. */
	{ 0, NULL, AT(AT_AUTH), "too many*login|too many*auth|rate limit", ROUTE_CLASS_RATE_LIMIT, true,
	  ROUTE_DEFER_PAUSE, 1800 },
	{ 4, NULL, AT(AT_AUTH), NULL, ROUTE_CLASS_SYSTEM, true, ROUTE_DEFER_PAUSE, 300 },
	{ 0, NULL, AT(AT_AUTH), NULL, ROUTE_CLASS_AUTH, true, ROUTE_DEFER_PAUSE, 600 },

	/* -- Greylisting has many wordings.  5xx that says so is temporary by its own words. */
	IN_FACT(0, NULL, "greylist|graylist|grey-list|grey list|gray list|[gl01]", GREYLIST, ROUTE_DEFER, 0),
	IN_FACT(4, NULL,
		"come back in|come back later|first time*sender|new sender*delay|delayed*unknown sender|"
		"deferred*first contact|retry*in*seconds|try again in*second|try again in*minute|try again "
		"in "
		"0",
		GREYLIST, ROUTE_DEFER, 0),
	SAYS(451, "4.7.1", "please try again|try later|try again later", GREYLIST),
	SAYS(450, "4.7.1", "please try again|try later|try again later", GREYLIST),
	SAYS(450, "4.2.0", "try again|later", GREYLIST),

	/* -- Gmail */
	IN_FACT(4, "4.7.28", NULL, RATE_LIMIT, ROUTE_DEFER_PAUSE, 1800),
	IN_FACT(4, NULL, "unusual rate of unsolicited", RATE_LIMIT, ROUTE_DEFER_PAUSE, 1800),
	SAYS(4, "4.2.1", "receiving mail*rate|receiving mail*quickly", MAILBOX_BUSY),
	SAYS(4, NULL, "receiving mail at a rate|receiving mail too quickly", MAILBOX_BUSY),
	IN_FACT(550, "5.2.1", "receiving mail at a rate|receiving mail too quickly", MAILBOX_BUSY,
		ROUTE_DEFER, 0), /* a rate ends by itself */
	IN_FACT(0, NULL,
		"daily*sending*exceeded|daily*limit exceeded|daily limit|daily*quota exceeded|maximum "
		"credits exceeded|smtp relay limit|sending quota",
		QUOTA, ROUTE_DEFER_PAUSE, 3600), /* "5.4.5": tomorrow it goes */
	IN_FACT(5, "5.4.5", "limit|quota", QUOTA, ROUTE_DEFER_PAUSE, 3600),
	SAYS(0, NULL, "unauthenticated|unauthorized*sender*dmarc|required authentication level", UNVERIFIED),
	SAYS(0, NULL, "likely unsolicited|likely suspicious|suspected to be spam", CONTENT),
	SAYS(0, NULL, "very low reputation|low reputation of the sending", REPUTATION),
	SAYS(552, "5.7.0", NULL, VIRUS),
	SAYS(4, NULL, "temporary system problem", SYSTEM),
	SAYS(0, NULL, "not in whitelist|violates*email policy", POLICY),
	SAYS(421, "4.7.0", "try again later, closing", RATE_LIMIT),

	/* -- Microsoft */
	IN_FACT(4, NULL, "rp-001|rp-002|rp-003|exceeded the rate limit", RATE_LIMIT, ROUTE_DEFER_PAUSE, 900),
	IN_FACT(4, NULL, "temporarily rate limited due to ip reputation|(s775)", REPUTATION,
		ROUTE_DEFER_PAUSE, 3600),
	SAYS(451, NULL, "server busy*try again later from", RATE_LIMIT),
	SAYS(5, NULL, "banned sending ip|our block list|(s3140)|(s3150)|traffic not accepted from this ip",
	     REPUTATION),
	SAYS(550, NULL, "sc-001|dy-001|dy-002|ou-001|ou-002|sc-003|sc-004", REPUTATION),
	SAYS(550, "5.4.1", "recipient address rejected", NO_SUCH_USER),
	SAYS(0, "5.2.121", NULL, MAILBOX_BUSY),
	SAYS(0, "5.2.122", NULL, MAILBOX_BUSY),
	SAYS(0, NULL, "outboundspam", REPUTATION),
	SAYS(0, NULL, "tenant*exceeded*threshold|tenant*attribution", QUOTA),
	SAYS(0, NULL, "recipient not found|recipientnotfound", NO_SUCH_USER),

	/* -- Yahoo and AOL: the tag says it */
	IN_FACT(0, NULL, "[tss04]|[tss05]|[ts01]|[ts02]", REPUTATION, ROUTE_DEFER_PAUSE, 3600),
	IN_FACT(0, NULL, "[tss07]|[tss09]|[tss11]|[ts03]|permanently deferred", REPUTATION, ROUTE_DEFER_PAUSE,
		14400), /* it says permanently and deferred; until we expire it may be lifted */
	IN_FACT(4, NULL, "excessive unknown recipients", REPUTATION, ROUTE_DEFER_PAUSE, 3600),
	SAYS(0, NULL, "[bl21]|[bl23]|[ph01]", REPUTATION),
	SAYS(0, NULL, "doesn't have a*account|user doesn't have|not a yahoo", NO_SUCH_USER),
	SAYS(554, "5.7.9", "policy reasons", UNVERIFIED),

	/* -- iCloud, Comcast, Orange, T-Online, web.de, gateways of firms */
	SAYS(0, NULL, "[cs01]|[hm07]|[hm08]", REPUTATION),
	IN_FACT(4, NULL, "throttled|rl0000", RATE_LIMIT, ROUTE_DEFER_PAUSE, 900),
	SAYS(0, NULL, "bl0000", REPUTATION),
	SAYS(0, NULL, "ofr004|ofr_104|lpn004", CONNECTIONS),
	SAYS(0, NULL, "ofr_|ofr0|lpn_", REPUTATION),
	SAYS(554, NULL, "ask your postmaster for help", REPUTATION),
	SAYS(0, NULL,
	     "ipcheck.proofpoint|cloudmark|csi.mimecast|barracuda|senderscore|talosintelligence|senderbase",
	     REPUTATION),
	SAYS(0, NULL, "anti-spoofing", UNVERIFIED),
	SAYS(0, NULL, "administrative prohibition|envelope blocked", POLICY),

	/* -- Blocklists and reputation, whoever says it */
	SAYS(0, NULL, "spamhaus|spamcop|sorbs|uceprotect|abusix|dnsbl|rbl|mailspike|nixspam|invaluement",
	     REPUTATION),
	SAYS(0, NULL,
	     "blacklist|block list|blocklist|blocked using|black list|poor reputation|bad reputation|"
	     "reputation|listed at|is listed|listed in|has been blocked|ip blocked|ip address*blocked",
	     REPUTATION),

	/* -- How many: temporary in its own words, whatever the code says, for the count begins anew. */
	IN_FACT(552, NULL, "too many recipients", RECIPIENTS, ROUTE_DEFER, 0), /* RFC 5321 4.5.3.1.10 */
	SAYS(0, NULL, "too many recipients received this hour|too many recipients*hour", RATE_LIMIT),
	SAYS(0, NULL, "too many recipients|too many rcpt|multiple destination domains|separate transaction",
	     RECIPIENTS),
	SAYS(0, "4.5.3", NULL, RECIPIENTS),
	SAYS(0, "5.5.3", NULL, RECIPIENTS),
	IN_FACT(0, NULL,
		"too many connections|too many concurrent|too many simultaneous|connection limit|connections "
		"limit|"
		"maximum connections|connections from your|concurrency limit|too many sessions",
		CONNECTIONS, ROUTE_DEFER_SLOW, 0),
	IN_FACT(0, NULL,
		"max*emails per hour|max*per hour|too many*per hour|too many messages|too many mails|"
		"too many emails|too much mail",
		RATE_LIMIT, ROUTE_DEFER_SLOW, 0),
	IN_FACT(0, NULL,
		"rate limit|rate-limit|ratelimit|rate exceeded|rate too high|sending rate|message rate|"
		"throttl|slow down|too fast|too quickly|limit exceeded*hour|exceeded*per hour",
		RATE_LIMIT, ROUTE_DEFER_SLOW, 0),

	/* -- The message went in a circle */
	SAYS(0, "5.4.6", NULL, LOOP),
	SAYS(0, "4.4.6", NULL, LOOP),
	SAYS(0, "5.4.14", NULL, LOOP),
	SAYS(0, NULL,
	     "too many hops|hop count|routing loop|mail loop|loops back|forwarding loop|received headers",
	     LOOP),

	/* -- The mailbox */
	SAYS(0, "5.2.2", NULL, MAILBOX_FULL),
	SAYS(0, "4.2.2", NULL, MAILBOX_FULL),
	SAYS(0, "5.2.1", NULL, MAILBOX_DISABLED),
	SAYS(0, "4.2.1", "busy|locked|in use", MAILBOX_BUSY),
	SAYS(0, "4.2.1", NULL, MAILBOX_DISABLED),
	SAYS(0, NULL,
	     "mailbox full|mailbox is full|mailbox*full|over quota|overquota|over*quota|quota exceeded|"
	     "exceeded*quota|quota*exceeded|storage allocation|inbox is full|disk quota",
	     MAILBOX_FULL),
	SAYS(0, NULL,
	     "account*disabled|account*inactive|mailbox*disabled|mailbox*inactive|user*disabled|"
	     "account*suspended|mailbox*suspended|account*closed|inactive user|account*locked",
	     MAILBOX_DISABLED),
	SAYS(4, NULL, "mailbox*busy|mailbox*locked|mailbox*in use", MAILBOX_BUSY),

	/* -- TLS and authentication asked for */
	SAYS(530, NULL, "starttls|tls|encrypt|ssl", TLS),
	SAYS(0, "5.7.30", NULL, LACKS_FEATURE),
	SAYS(0, "5.7.10", NULL, TLS),
	SAYS(0, "4.7.10", NULL, TLS),
	SAYS(0, "4.7.29", NULL, TLS),
	SAYS(0, "5.7.29", NULL, TLS),
	SAYS(0, NULL, "starttls|tls required|requires tls|must use tls|tls is required|encryption required",
	     TLS),
	SAYS(530, NULL, NULL, AUTH),
	SAYS(535, NULL, NULL, AUTH),
	SAYS(534, NULL, NULL, AUTH),
	SAYS(538, NULL, NULL, AUTH),
	SAYS(0, NULL, "authentication required|not authenticated|authentication is required|auth first",
	     AUTH),

	/* -- The sender's address, before "does not resolve" is taken for our own host's */
	SAYS(0, "5.1.8", NULL, SENDER),
	SAYS(0, "5.1.7", NULL, SENDER),
	SAYS(0, "4.1.8", NULL, SENDER),
	SAYS(0, "4.1.7", NULL, SENDER),
	SAYS(0, "5.7.60", NULL, SENDER),
	SAYS(0, NULL,
	     "domain of sender|send as this sender|sendasdenied|address is not verified|bad outbound sender",
	     SENDER),

	/* -- Who we are: SPF, DKIM, DMARC; reverse DNS */
	SAYS(0, "5.7.20", NULL, UNVERIFIED),
	SAYS(0, "5.7.21", NULL, UNVERIFIED),
	SAYS(0, "5.7.22", NULL, UNVERIFIED),
	SAYS(0, "5.7.23", NULL, UNVERIFIED),
	SAYS(0, "5.7.24", NULL, UNVERIFIED),
	SAYS(0, "5.7.26", NULL, UNVERIFIED),
	SAYS(0, "5.7.27", NULL, UNVERIFIED),
	SAYS(0, "4.7.23", NULL, IDENTITY),
	SAYS(0, "4.7.24", NULL, UNVERIFIED),
	SAYS(0, "4.7.26", NULL, UNVERIFIED),
	SAYS(0, "4.7.27", NULL, UNVERIFIED),
	SAYS(0, "4.7.30", NULL, UNVERIFIED),
	SAYS(0, "4.7.32", NULL, UNVERIFIED),
	SAYS(0, "5.7.25", NULL, IDENTITY),
	SAYS(0, "4.7.25", NULL, IDENTITY),
	SAYS(0, "5.7.509", NULL, UNVERIFIED),
	SAYS(0, "5.7.515", NULL, UNVERIFIED),
	SAYS(0, NULL,
	     "dmarc|dkim|spf fail|spf check|sender policy framework|spf record|not*authorized*spf|openspf",
	     UNVERIFIED),
	SAYS(0, NULL,
	     "reverse dns|rdns|ptr record|reverse hostname|cannot find your hostname|cannot find your "
	     "reverse|"
	     "does not resolve|helo command rejected|ehlo command rejected|invalid helo|bad helo|"
	     "helo*mismatch|fcrdns|no ptr|generic hostname|dynamic ip",
	     IDENTITY),

	/* -- What is in it */
	SAYS(0, NULL,
	     "virus|malware|trojan|infected|phish|attachment*not allowed|file type|executable|clamav", VIRUS),
	SAYS(0, "5.3.4", NULL, SIZE),
	SAYS(0, "5.2.3", NULL, SIZE),
	SAYS(0, "4.3.4", NULL, SIZE),
	SAYS(0, NULL,
	     "message too large|message too big|size exceeds|exceeds*size|message size|too large|"
	     "size limit|maximum size",
	     SIZE),

	/* -- The addresses, by code where there is one */
	SAYS(0, "5.1.10", NULL, NO_SUCH_DOMAIN), /* RFC 7505: null MX; ours too */
	SAYS(0, "5.1.1", NULL, NO_SUCH_USER),
	SAYS(0, "4.1.1", NULL, NO_SUCH_USER),
	SAYS(0, "5.1.6", NULL, NO_SUCH_USER),
	SAYS(0, "5.1.3", NULL, NO_SUCH_USER),
	SAYS(0, "5.1.2", NULL, NO_SUCH_DOMAIN),
	SAYS(0, "4.1.2", NULL, NO_SUCH_DOMAIN),
	SAYS(0, "5.4.4", NULL, NO_SUCH_DOMAIN), /* ours too: its mail server "does not exist" */
	SAYS(556, NULL, NULL, NO_SUCH_DOMAIN),
	SAYS(521, NULL, NULL, NO_SUCH_DOMAIN),
	SAYS(0, "5.6.7", NULL, LACKS_FEATURE),
	SAYS(0, "5.6.3", NULL, LACKS_FEATURE),
	SAYS(0, NULL,
	     "relay access denied|relaying denied|unable to relay|relay not permitted|not permitted to relay|"
	     "relaying not|we do not relay|not a gateway|relay denied|relaying prohibited",
	     RELAY_DENIED),
	SAYS(0, NULL,
	     "user unknown|unknown user|no such user|no such recipient|no such mailbox|recipient unknown|"
	     "unknown recipient|invalid recipient|mailbox not found|user not found|does not exist|"
	     "unknown or illegal|no mailbox here|not a valid|address unknown|no such address|"
	     "mailbox unavailable|recipient rejected|unrouteable address|invalid mailbox|"
	     "user doesn't exist",
	     NO_SUCH_USER),
	SAYS(0, NULL,
	     "sender address rejected|sender rejected|sender verify failed|sender domain|invalid sender",
	     SENDER),

	/* -- Its own trouble */
	SAYS(0, "4.3.1", NULL, SYSTEM),
	SAYS(0, "4.3.0", NULL, SYSTEM),
	SAYS(0, "4.3.2", NULL, SYSTEM),
	SAYS(0, "4.3.5", NULL, SYSTEM),
	SAYS(4, NULL,
	     "insufficient*storage|out of memory|disk full|no space|temporary lookup failure|local problem|"
	     "local error|temporary*failure|maintenance|overload|load average|system resources|"
	     "server busy|too busy|queue*full|temporarily unavailable|internal error|service*unavailable",
	     SYSTEM),
	SAYS(452, NULL, NULL, SYSTEM), /* RFC 5321: insufficient system storage */

	/* -- Spam by content: late, for the word stands in many addresses of help pages */
	SAYS(0, "5.7.0", "spam|content", CONTENT),
	SAYS(0, "5.6", NULL, CONTENT),
	SAYS(0, NULL,
	     "message*spam|spam*message|considered spam|looks like spam|spam score|spam detected|"
	     "spam content|content rejected|content*not accepted|message content|rejected by content|"
	     "unsolicited|bulk mail|message filtered",
	     CONTENT),
	{ 554, NULL, AT(AT_FINAL), "spam", ROUTE_CLASS_CONTENT, false, 0, 0 },

	/* -- 5xx that asks for another try: as it says */
	IN_FACT(5, NULL,
		"try again later|please try later|try again in|retry later|temporarily deferred|"
		"temporarily rejected",
		OTHER, ROUTE_DEFER, 0),

	/* -- Our own words, where no server spoke */
	SAYS(0, "4.4.1", "too long|in time|timed out", TIMEOUT),
	SAYS(0, "4.4.1", NULL, UNREACHABLE),
	SAYS(0, "4.4.2", "in time|too long|timed out|timeout", TIMEOUT),
	SAYS(0, "4.4.2", NULL, CONNECTION_LOST),
	SAYS(0, "4.4.3", NULL, DNS),
	SAYS(0, "4.4.4", NULL, DNS),
	SAYS(0, "4.7.4", NULL, TLS),
	SAYS(0, "4.7.5", NULL, TLS),
	SAYS(0, "4.7.11", NULL, TLS),
	SAYS(0, "4.4.5", NULL, SYSTEM),

	/* -- What is left: by subject, then by code */
	SAYS(421, "4.7", NULL, RATE_LIMIT),
	SAYS(0, "5.7", NULL, POLICY),
	SAYS(0, "4.7", NULL, POLICY),
	SAYS(0, "5.2", NULL, MAILBOX_DISABLED),
	SAYS(0, "4.2", NULL, MAILBOX_BUSY),
	SAYS(0, "5.3", NULL, SYSTEM),
	SAYS(0, "5.5", NULL, PROTOCOL),
	SAYS(0, "4.5", NULL, PROTOCOL),
	WHILE(AT(AT_RCPT), 552, NULL, NULL, MAILBOX_FULL),
	WHILE(AT(AT_FINAL) | AT(AT_MAIL), 552, NULL, NULL, SIZE),
	WHILE(AT(AT_RCPT), 550, "5.0.0", NULL, NO_SUCH_USER),
	WHILE(AT(AT_RCPT), 550, "5.1", NULL, NO_SUCH_USER),
	WHILE(AT(AT_RCPT), 553, NULL, NULL, NO_SUCH_USER),
	WHILE(AT(AT_MAIL), 553, NULL, NULL, SENDER),
	WHILE(AT(AT_FINAL), 554, NULL, NULL, CONTENT),
	SAYS(500, NULL, NULL, PROTOCOL),
	SAYS(501, NULL, NULL, PROTOCOL),
	SAYS(502, NULL, NULL, PROTOCOL),
	SAYS(503, NULL, NULL, PROTOCOL),
	SAYS(504, NULL, NULL, PROTOCOL),
	SAYS(555, NULL, NULL, PROTOCOL),
	SAYS(421, NULL, NULL, SYSTEM),
	SAYS(451, NULL, NULL, SYSTEM),
	WHILE(MAIL, 450, NULL, NULL, MAILBOX_BUSY),
};

const size_t route_rows_n = sizeof(route_rows) / sizeof(route_rows[0]);
