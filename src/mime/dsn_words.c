/* What a sender reads who knows nothing of mail servers. */
#include <string.h>

#include "mime/date.h"
#include "mime/dsn_private.h"

#define ADDRESSES_MAX 50  /* named in a group; all stand in the part for programs */
#define QUOTES_MAX    20  /* of servers, in a group */
#define ADDRESS_MAX   400 /* octets of one */
#define MEANING_MAX   400

/* happened: behind "because" of nobody: a sentence.  todo: for a message that will not be tried
 * again; wait: for one that will. */
static const struct {
	const char *name, *happened, *todo, *wait;
} words[DSN_WHATS] = {
	[DSN_NO_SUCH_ADDRESS] = { "no such address",
				  "The server that keeps the mailboxes there says that nobody has this "
				  "address.",
				  "It is your turn: look for a typing mistake in the address, or ask the "
				  "recipient in some "
				  "other way for the right one. Sending it again to the same address will "
				  "not help.",
				  "Look for a typing mistake in the address, to be sure." },
	[DSN_NO_SUCH_DOMAIN] = { "no such domain",
				 "There is no domain of this name (the part behind the @), or it takes no "
				 "mail.",
				 "It is your turn: look for a typing mistake behind the @. If it is right, "
				 "the domain has "
				 "been given up, or its owner has to put it in order.",
				 "Look for a typing mistake behind the @, to be sure." },
	[DSN_SWITCHED_OFF] = { "mailbox switched off",
			       "This address exists, but it takes no mail at present.",
			       "It is the recipient's turn: try to reach them in some other way, or send the "
			       "message again "
			       "later.",
			       "If it is urgent, try to reach the recipient in some other way." },
	[DSN_MAILBOX_FULL] = { "mailbox full", "The recipient's mailbox is full.",
			       "It is the recipient's turn: tell them in some other way to make room, then "
			       "send the message "
			       "again.",
			       "Tell the recipient in some other way to make room, if you can." },
	[DSN_TOO_LARGE] = { "message too large", "The message is larger than the recipient's server takes.",
			    "It is your turn: send it without large attachments, or put these where the "
			    "recipient can "
			    "fetch them.",
			    "Large attachments are better put where the recipient can fetch them." },
	[DSN_CONTENT] = { "content refused",
			  "The recipient's server refused the message for what stands in it, or is attached "
			  "to it: it takes it for spam, or for dangerous.",
			  "It is your turn: look at what the server said, below. Attached programs and "
			  "archives, and links, "
			  "are the usual reasons. If you see none, ask the recipient to tell their "
			  "administrator.",
			  "Look at what the server said, below." },
	[DSN_REFUSED] = { "refused",
			  "The recipient's server does not take this message from you, or from this server.",
			  "It is an administrator's turn: pass this report on to yours. What the other "
			  "server said, below, "
			  "tells what it wants. The recipient can ask theirs to let you in.",
			  "If it matters, pass this report on to your administrator." },
	[DSN_NOT_SENT] = { "not sent by this server",
			   "This server sends no mail to that address: those who run it decided so. No other "
			   "server was asked.",
			   "What they say about it stands below. Ask them if you need to reach the "
			   "recipient.",
			   "What they say about it stands below." },
	[DSN_LACKS] = { "not supported there",
			"The recipient's server cannot take such a message: it needs something that the "
			"server does not have.",
			"It is your turn: send it in a simpler form, or to an address without special "
			"characters. What "
			"exactly is missing is said below.",
			"What exactly is missing is said below." },
	[DSN_INSECURE] = { "no safe connection",
			   "The message was to go only over a connection that is safe, and the recipient's "
			   "server offered none. It was not sent in the open.",
			   "It is the turn of the administrators of the recipient's server. Nothing is wrong "
			   "with the address.",
			   "Nothing is wrong with the address." },
	[DSN_LOOP] = { "mail goes in a circle", "The message was handed around in a circle.",
		       "It is an administrator's turn: addresses that are forwarded lead to each other. Pass "
		       "this report on to "
		       "yours.",
		       "Pass this report on to your administrator." },
	[DSN_UNREACHABLE] = { "server not reached", "The recipient's server could not be reached.",
			      "If the part behind the @ is right, something is wrong with the recipient's "
			      "server. Try to reach "
			      "them in some other way, and send the message again later.",
			      "Nothing is wrong with your message." },
	[DSN_BUSY] = { "server asks to wait", "The recipient's server asked to try again later.",
		       "Send the message again later, or try to reach the recipient in some other way.",
		       "Nothing is wrong with your message." },
	[DSN_OUR_NETWORK] = { "this server's network lets no mail out",
			      "This is no fault of the recipient: the network of the server that you send "
			      "with does not let it "
			      "connect to other mail servers (port 25 is blocked).",
			      "It is your administrator's turn: pass this report on. They can set a smart "
			      "host on port 587, 465 "
			      "or 2525, or ask the provider of the network to open port 25. Send the message "
			      "again then.",
			      "Your administrator can set a smart host on port 587, 465 or 2525, or ask the "
			      "provider of the "
			      "network to open port 25. You need not send the message again." },
	[DSN_BY_ADMINISTRATOR] = { "returned by the administrator",
				   "An administrator of this server sends the message back.",
				   "Ask them if you do not know why.", "Ask them if you do not know why." },
	[DSN_DAMAGED] = { "damaged here", "This server can no longer read the message: its disk was damaged.",
			  "It is your turn: please send it again. The administrator has been told in the "
			  "log.",
			  "The administrator has been told in the log." },
	[DSN_OTHER] = { "could not be delivered", "The recipient's server did not take the message.",
			"What it said stands below. If you cannot make anything of it, pass this report on "
			"to your "
			"administrator.",
			"What it said stands below." },
	[DSN_NOTHING] = { "fine", "", "", "" },
};

/* RFC 3463, by subject and detail; the class does not matter. */
enum dsn_what dsn_what_of(struct slice status)
{
	static const struct {
		const char *code;
		enum dsn_what what;
	} rows[] = {
		{ "1.1", DSN_NO_SUCH_ADDRESS }, { "1.2", DSN_NO_SUCH_DOMAIN },
		{ "1.3", DSN_NO_SUCH_ADDRESS }, { "1.6", DSN_NO_SUCH_ADDRESS },
		{ "1.10", DSN_NO_SUCH_DOMAIN }, { "2.1", DSN_SWITCHED_OFF },
		{ "2.2", DSN_MAILBOX_FULL },	{ "2.3", DSN_TOO_LARGE },
		{ "3.1", DSN_MAILBOX_FULL },	{ "3.3", DSN_LACKS },
		{ "3.4", DSN_TOO_LARGE },	{ "4.1", DSN_UNREACHABLE },
		{ "4.2", DSN_UNREACHABLE },	{ "4.3", DSN_UNREACHABLE },
		{ "4.4", DSN_UNREACHABLE },	{ "4.6", DSN_LOOP },
		{ "4.7", DSN_UNREACHABLE },	{ "6.0", DSN_CONTENT },
		{ "6.1", DSN_LACKS },		{ "6.3", DSN_LACKS },
		{ "6.7", DSN_LACKS },		{ "6.8", DSN_LACKS },
		{ "6.9", DSN_LACKS },		{ "7.10", DSN_INSECURE },
		{ "7.4", DSN_INSECURE },	{ "7.5", DSN_INSECURE },
		{ "7.30", DSN_INSECURE },	{ "7.0", DSN_REFUSED },
		{ "7.1", DSN_REFUSED },
	};
	struct slice rest = slice_tail(status, 2);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (slice_eq(rest, slice_str(rows[i].code)))
			return rows[i].what;
	if (slice_starts(rest, SLICE_LIT("7.")))
		return DSN_REFUSED;
	if (slice_starts(rest, SLICE_LIT("6.")))
		return DSN_CONTENT;
	if (status.n > 0 && status.p[0] == '2')
		return DSN_NOTHING;
	return status.n > 0 && status.p[0] == '4' ? DSN_BUSY : DSN_OTHER;
}

static enum dsn_action first_action(const struct dsn *d)
{
	enum dsn_action a = DSN_RELAYED;

	for (size_t i = 0; i < d->recipients; i++)
		if (d->recipient[i].action < a)
			a = d->recipient[i].action;
	return a;
}

void dsn_subject(const struct dsn *d, struct buf *to)
{
	static const char *const begins[DSN_ACTIONS] = { "Not delivered", "Not delivered yet", "Delivered",
							 "Handed on" };
	const struct dsn_recipient *r = &d->recipient[0];
	enum dsn_action action = first_action(d);
	bool same = true;

	for (size_t i = 0; i < d->recipients; i++)
		same = same && d->recipient[i].what == r->what;
	buf_str(to, begins[action]);
	if (d->recipients == 1 && !slice_has_8bit(r->address) && r->address.n < 200) {
		buf_str(to, ": ");
		dsn_clean(r->address, false, 200, to);
	} else {
		buf_fmt(to, ": %zu recipient%s", d->recipients, d->recipients == 1 ? "" : "s");
	}
	if (action <= DSN_DELAYED && same && r->what != DSN_NOTHING)
		buf_fmt(to, " (%s)", words[r->what].name);
}

static void put_words(struct buf *to, const char *text)
{
	dsn_wrap(to, "", slice_str(text));
}

/* The message, so that the sender knows which one is meant. */
static void put_about(const struct dsn *d, struct buf *to)
{
	struct slice subject = dsn_find_field(d->header, SLICE_LIT("Subject"));
	struct slice date = dsn_find_field(d->header, SLICE_LIT("Date"));
	struct buf line;

	buf_init(&line, 1024);
	if (date.n > 0) {
		buf_str(&line, "Sent:    ");
		dsn_clean(date, false, 80, &line);
		dsn_wrap(to, "    ", buf_slice(&line));
		buf_reset(&line);
	}
	if (subject.n > 0 && !memmem(subject.p, subject.n, "=?", 2) &&
	    (d->smtputf8 || !slice_has_8bit(subject))) {
		buf_str(&line, "Subject: ");
		dsn_clean(subject, d->smtputf8, 300, &line);
		dsn_wrap(to, "    ", buf_slice(&line));
	}
	if (!buf_ok(&line))
		to->failed = true;
	buf_done(&line);
}

static void put_opening(const struct dsn *d, struct buf *to)
{
	static const char *const opening[DSN_ACTIONS] = {
		"your message could not be delivered to everybody. Who did not get it, and why, stands "
		"below. It will not be "
		"tried again.",
		"your message has not been delivered to everybody yet. You need not send it again: it is "
		"kept and tried again, "
		"and you will be told if it fails for good.",
		"your message was delivered, as you wished to be told.",
		"your message was handed on. The next server sends no reports of delivery, so this is the "
		"last that you hear "
		"of it unless it fails.",
	};
	struct buf line;

	buf_init(&line, 1024);
	buf_str(&line, "This is the mail server ");
	dsn_clean(d->hostname, false, 255, &line);
	buf_str(&line, ": ");
	buf_str(&line, opening[first_action(d)]);
	dsn_wrap(to, "", buf_slice(&line));
	buf_str(to, "\r\n");
	put_about(d, to);
	if (!buf_ok(&line))
		to->failed = true;
	buf_done(&line);
}

static bool in_group(const struct dsn_recipient *r, const struct dsn_recipient *of)
{
	return r->action == of->action && r->what == of->what && r->expired == of->expired &&
	       slice_eq(r->meaning, of->meaning);
}

static void put_title(const struct dsn_recipient *r, struct buf *to)
{
	static const char *const titles[DSN_ACTIONS] = { "NOT DELIVERED", "NOT DELIVERED YET", "DELIVERED",
							 "HANDED ON" };

	buf_fmt(to, "\r\n%s", titles[r->action]);
	if (r->action <= DSN_DELAYED)
		buf_fmt(to, ": %s", words[r->what].name);
	buf_str(to, "\r\n\r\n");
}

static void put_addresses(const struct dsn *d, const struct dsn_recipient *of, struct buf *to)
{
	size_t n = 0;

	for (const struct dsn_recipient *r = of; r < d->recipient + d->recipients; r++) {
		if (!in_group(r, of) || n++ >= ADDRESSES_MAX)
			continue;
		buf_str(to, "    ");
		dsn_clean(r->address, d->smtputf8, ADDRESS_MAX, to);
		buf_str(to, "\r\n");
		if (r->final.n > 0 && !slice_eq_nocase(r->final, r->address)) {
			buf_str(to, "        forwarded to ");
			dsn_clean(r->final, d->smtputf8, ADDRESS_MAX, to);
			buf_str(to, "\r\n");
		}
	}
	if (n > ADDRESSES_MAX)
		buf_fmt(to, "    and %zu more\r\n", n - ADDRESSES_MAX);
}

static void put_explanation(const struct dsn *d, const struct dsn_recipient *r, struct buf *to)
{
	struct buf text;

	if (r->action > DSN_DELAYED)
		return;
	buf_init(&text, 4096);
	if (r->meaning.n > 0)
		dsn_clean(r->meaning, d->smtputf8, MEANING_MAX, &text);
	else
		buf_str(&text, words[r->what].happened);
	if (r->meaning.n > 0 && !strchr(".!?", r->meaning.p[r->meaning.n - 1]))
		buf_byte(&text, '.');
	if (r->expired)
		buf_str(&text, " It was tried again and again until there was no more time.");
	buf_byte(&text, ' ');
	buf_str(&text, r->action == DSN_FAILED ? words[r->what].todo : words[r->what].wait);
	if (r->action == DSN_DELAYED && r->retry_until_ms > 0) {
		buf_str(&text, " It is tried again until ");
		mime_date_put(r->retry_until_ms, &text);
		buf_byte(&text, '.');
	}
	buf_str(to, "\r\n");
	dsn_wrap(to, "", buf_slice(&text));
	if (!buf_ok(&text))
		to->failed = true;
	buf_done(&text);
}

static void put_quote(const struct dsn *d, const struct dsn_recipient *r, struct buf *to)
{
	struct buf line;

	buf_init(&line, 4096);
	dsn_clean(r->remote.n > 0 ? r->remote
		  : r->code > 0	  ? SLICE_LIT("The other server")
				  : SLICE_LIT("This server"),
		  false, 255, &line);
	buf_str(&line, r->remote.n > 0 && r->code == 0 ? ":" : " said:");
	dsn_wrap(to, "    ", buf_slice(&line));
	buf_reset(&line);
	if (r->code > 0)
		buf_fmt(&line, "%u ", r->code);
	if (r->status.n > 0) {
		dsn_clean(r->status, false, 12, &line);
		buf_byte(&line, ' ');
	}
	dsn_clean(r->said, d->smtputf8, DSN_QUOTED, &line);
	dsn_wrap(to, "        ", buf_slice(&line));
	if (!buf_ok(&line))
		to->failed = true;
	buf_done(&line);
}

static bool same_words(const struct dsn_recipient *a, const struct dsn_recipient *b)
{
	return a->code == b->code && slice_eq(a->said, b->said) && slice_eq(a->remote, b->remote) &&
	       slice_eq(a->status, b->status);
}

static void put_quotes(const struct dsn *d, const struct dsn_recipient *of, struct buf *to)
{
	const struct dsn_recipient *shown[QUOTES_MAX];
	size_t n = 0;

	for (const struct dsn_recipient *r = of; r < d->recipient + d->recipients && n < QUOTES_MAX; r++) {
		bool again = !in_group(r, of) || (r->said.n == 0 && r->code == 0);

		for (size_t i = 0; i < n && !again; i++)
			again = same_words(shown[i], r);
		if (again)
			continue;
		if (n == 0)
			buf_str(to, "\r\n");
		shown[n++] = r;
		put_quote(d, r, to);
	}
}

static bool is_first(const struct dsn *d, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (in_group(&d->recipient[i], &d->recipient[n]))
			return false;
	return true;
}

void dsn_people(const struct dsn *d, struct buf *to)
{
	put_opening(d, to);
	for (unsigned a = 0; a < DSN_ACTIONS; a++)
		for (unsigned g = 0; g < 2U * DSN_WHATS; g++)
			for (size_t i = 0; i < d->recipients; i++) {
				const struct dsn_recipient *r = &d->recipient[i];

				if (r->action != a || r->what != g / 2 || r->expired != (g % 2 == 1) ||
				    !is_first(d, i))
					continue;
				put_title(r, to);
				put_addresses(d, r, to);
				put_explanation(d, r, to);
				put_quotes(d, r, to);
			}
	buf_str(to, "\r\n");
	if (d->help)
		put_words(to, d->help);
	put_words(to,
		  "You can answer this report: the answer goes to those who run this server. They know your "
		  "message by this name:");
	buf_str(to, "    ");
	dsn_clean(d->about_id, false, 64, to);
	buf_str(to, "\r\n");
}
