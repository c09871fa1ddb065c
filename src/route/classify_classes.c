/* What each class means, in plain words: they stand in bounces, traces and the command line. */
#include "route/classify_rows.h"

#define NOBODY route_nobody
#define WAIT   "Wait."
#define ADMIN  "The administrator of this server."
#define SENDER "The sender."
#define RCPT   "The recipient."
#define THEIRS "The administrator of the recipient's server."

const char route_nobody[] = "Nobody has to act: it is tried again by itself.";

const struct route_class_row route_classes[ROUTE_CLASSES] = {
	[ROUTE_CLASS_OTHER] = { "other", ROUTE_DEFER, 0, "The recipient's server did not take the message.",
				"Its own words say more.", "Read what the server said." },
	[ROUTE_CLASS_GREYLIST] = { "greylist", ROUTE_DEFER, 0,
				   "The recipient's server makes unknown senders wait for some minutes "
				   "(greylisting).",
				   NOBODY, WAIT },
	[ROUTE_CLASS_RATE_LIMIT] = { "rate-limit", ROUTE_DEFER_SLOW, 0,
				     "The recipient's server wants less mail from us in that time.", NOBODY,
				     "If it lasts, send less at once, or ask its operator for a higher "
				     "limit." },
	[ROUTE_CLASS_CONNECTIONS] = { "connections", ROUTE_DEFER_SLOW, 0,
				      "The recipient's server wants fewer connections at once.", NOBODY,
				      "If it lasts, lower the number of connections of the route." },
	[ROUTE_CLASS_REPUTATION] = { "reputation", ROUTE_DEFER_PAUSE, 1800,
				     "The recipient's server does not trust our address: it is on a "
				     "blocklist, or complaints came.",
				     ADMIN,
				     "Find what was sent from this address, stop it, then ask the list or "
				     "the operator to take the address off." },
	[ROUTE_CLASS_IDENTITY] = { "identity", ROUTE_DEFER_PAUSE, 600,
				   "The recipient's server did not find a proper name for our address "
				   "(reverse "
				   "DNS), or does not like how we greet.",
				   ADMIN,
				   "Let the address's PTR record name this host, the host's name lead back "
				   "to the address, and the EHLO name be that name." },
	[ROUTE_CLASS_UNVERIFIED] = { "unverified", ROUTE_DEFER, 0,
				     "The message failed the checks of SPF, DKIM or DMARC.", ADMIN,
				     "Publish SPF for this host, sign with DKIM in the sender's domain, "
				     "and look into that domain's DMARC policy." },
	[ROUTE_CLASS_POLICY] = { "policy", ROUTE_DEFER, 0,
				 "A rule of the recipient's server does not let the message in.", SENDER,
				 "Read what the server said; ask the recipient by another way to have it "
				 "allowed." },
	[ROUTE_CLASS_CONTENT] = { "content", ROUTE_DEFER, 0,
				  "The recipient's server takes the message's content for spam, or for "
				  "malformed.",
				  SENDER,
				  "Change the text, links or attachments, or reach the recipient by another "
				  "way." },
	[ROUTE_CLASS_VIRUS] = { "virus", ROUTE_DEFER, 0,
				"The recipient's server takes something in the message for dangerous, such "
				"as a virus or a kind of attachment.",
				SENDER, "Look for malware; send the file by another way." },
	[ROUTE_CLASS_SIZE] = { "size", ROUTE_DEFER, 0,
			       "The message is larger than the recipient's server takes.", SENDER,
			       "Make it smaller, or send a link to the file." },
	[ROUTE_CLASS_RECIPIENTS] = { "recipients", ROUTE_DEFER, 0,
				     "The recipient's server takes fewer recipients of one message at once.",
				     NOBODY, "The others are sent by themselves." },
	[ROUTE_CLASS_MAILBOX_FULL] = { "mailbox-full", ROUTE_DEFER, 0, "The recipient's mailbox is full.",
				       RCPT, "Tell the recipient by another way to make room in it." },
	[ROUTE_CLASS_MAILBOX_DISABLED] = { "mailbox-disabled", ROUTE_DEFER, 0,
					   "The recipient's mailbox is switched off or takes no mail.", RCPT,
					   "Ask the recipient for another address." },
	[ROUTE_CLASS_MAILBOX_BUSY] = { "mailbox-busy", ROUTE_DEFER, 0,
				       "The recipient's mailbox cannot take the message at the moment.",
				       NOBODY, WAIT },
	[ROUTE_CLASS_NO_SUCH_USER] = { "no-such-user", ROUTE_DEFER, 0,
				       "There is no such address at the recipient's server.", SENDER,
				       "Look for a slip in the address; ask the recipient for the right "
				       "one." },
	[ROUTE_CLASS_NO_SUCH_DOMAIN] = { "no-such-domain", ROUTE_DEFER, 0,
					 "The domain of the recipient's address takes no mail or does not "
					 "exist.",
					 SENDER, "Look for a slip behind the @ of the address." },
	[ROUTE_CLASS_SENDER] = { "sender", ROUTE_DEFER, 0,
				 "The recipient's server does not take mail from the sender's address.",
				 SENDER,
				 "Send from another address, or have this one's domain and mailbox looked "
				 "into." },
	[ROUTE_CLASS_RELAY_DENIED] = { "relay-denied", ROUTE_DEFER, 0,
				       "The server that was asked does not take mail for the recipient's "
				       "domain from us.",
				       THEIRS,
				       "The domain's MX records name a server that does not know the domain; "
				       "or, at a smart host, credentials are missing." },
	[ROUTE_CLASS_QUOTA] = { "quota", ROUTE_DEFER_PAUSE, 3600,
				"We have sent as much as our provider allows in that time.", ADMIN,
				"Wait, send less, or get a larger allowance." },
	[ROUTE_CLASS_AUTH] = { "auth", ROUTE_DEFER_PAUSE, 600,
			       "The server wants us to authenticate, or refused our credentials.", ADMIN,
			       "Correct user and password of the route; some providers want a password "
			       "for this program alone (app password)." },
	[ROUTE_CLASS_TLS] = { "tls", ROUTE_DEFER, 0, "The connection could not be encrypted as it must be.",
			      ADMIN,
			      "Look at the TLS policy of the route and at the other server's certificate." },
	[ROUTE_CLASS_LACKS_FEATURE] = { "lacks-feature", ROUTE_DEFER, 0,
					"The message needs something that the recipient's server cannot do.",
					SENDER,
					"Send it without: addresses in ASCII, or no demand for encryption "
					"all the way." },
	[ROUTE_CLASS_PROTOCOL] = { "protocol", ROUTE_DEFER, 0,
				   "The two servers did not understand each other.", THEIRS,
				   "Look at the transcript of the attempt (postern trace)." },
	[ROUTE_CLASS_SYSTEM] = { "system", ROUTE_DEFER_SLOW, 0,
				 "The recipient's server has trouble of its own.", NOBODY,
				 "If it lasts, tell its operator." },
	[ROUTE_CLASS_LOOP] = { "loop", ROUTE_DEFER, 0, "The message goes in a circle between servers.", ADMIN,
			       "Look at forwardings, and at the MX records of the recipient's domain." },
	[ROUTE_CLASS_DNS] = { "dns", ROUTE_DEFER, 0, "The recipient's domain could not be looked up.", NOBODY,
			      "If it lasts, tell the domain's owner." },
	[ROUTE_CLASS_UNREACHABLE] = { "unreachable", ROUTE_DEFER, 0,
				      "The recipient's server could not be reached.", NOBODY,
				      "If it lasts, tell its operator." },
	[ROUTE_CLASS_TIMEOUT] = { "timeout", ROUTE_DEFER, 0, "The recipient's server did not answer in time.",
				  NOBODY, "If it lasts, tell its operator." },
	[ROUTE_CLASS_CONNECTION_LOST] = { "connection-lost", ROUTE_DEFER, 0,
					  "The connection to the recipient's server broke.", NOBODY,
					  "If it lasts, tell its operator." },
};
