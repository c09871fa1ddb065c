#include <getopt.h>
#include <stdarg.h>

#include "base/slice.h"
#include "cli/cli.h"
#include "submit/sendmail.h"

#define CONTROL_MORE                                                     \
	"  --json                for programs\n"                         \
	"  -c, --config FILE     ask the server of this configuration\n" \
	"  --socket PATH         ask at this control socket\n\n"
#define ACCOUNT_MORE      \
	"\n" CONTROL_MORE \
	"A change holds at once. Exit status: 1 refused, 2 wrong usage, 3 no server answers.\n"

/* One row a subcommand, in the order of `postern help`. */
const struct cli_command cli_commands[] = {
	{ "serve", cli_serve, "[-c FILE] [--port-offset N]", "run the server, in the foreground",
	  "  -c, --config FILE    read this configuration\n"
	  "  --port-offset N      add N to every port: for trying it out without root\n"
	  "  --no-sandbox         without Landlock and seccomp: for debuggers only\n"
	  "\n"
	  "SIGHUP or `postern reload` reads the configuration anew, SIGTERM lets sessions finish and ends.\n"
	  "Exit status: 0 after a stop, 1 something of the machine failed, 77 when ports cannot be opened, "
	  "78 when the configuration has "
	  "errors.\n" },
	{ "status", cli_status, "[--json]\n--clients [--since SPAN] [--kind KIND] [--limit N] [--json]",
	  "what runs and how it is doing, or who is misconfigured",
	  "  --clients            who came to a wrong port, or in a wrong way, and what to change\n"
	  "  --since 12h|7d       only what happened since then\n"
	  "  --kind KIND          only this: tls-on-starttls, tls-on-relay, plain-on-implicit, "
	  "silent-on-implicit,\n"
	  "                       tls-too-late, auth-on-relay, no-starttls, no-auth, password-in-clear,\n"
	  "                       relay-denied, not-smtp, tls-failed, proxy-missing or proxy-unexpected\n"
	  "  --limit N            at most so many, the last seen first; 100 unless told, 1000 at most\n"
	  "  --json               for programs\n"
	  "  -c, --config FILE    ask the server of this configuration\n"
	  "  --socket PATH        ask at this control socket\n"
	  "\n"
	  "Exit status: 3 when no server answers.\n" },
	{ "reload", cli_reload, "[--json]", "have the server read its configuration anew",
	  "A configuration with errors changes nothing: they are all shown, and the exit status is 1.\n"
	  "No session and no listening socket is dropped. Certificates are read anew too.\n\n" CONTROL_MORE
	  "Exit status: 0 it is in use, 1 errors, 2 wrong usage, 3 no server answers.\n" },
	{ "queue", cli_queue,
	  "list [FILTER]... [--limit N] [--json]\nsummary [--json]\nshow ID [--json]\ncat ID\n"
	  "hold|release|remove|retry|bounce ID... | FILTER... | --all [--yes]",
	  "shows the messages that wait, and holds, releases, removes or retries them",
	  "  list      oldest first, up to --limit (1000)\n"
	  "  summary   by site: how much waits since when, and what the site said last\n"
	  "  show      the envelope, each recipient's state and reason, the header\n"
	  "  cat       the message as it is stored\n"
	  "  hold      do not deliver it until it is released\n"
	  "  remove    delete it without a word to anybody\n"
	  "  retry     try deferred and failed recipients now\n"
	  "  bounce    give it up now, and tell the sender\n\n"
	  "Filters: --state STATE (active, held, queued, deferred, failed, waiting, damaged),\n"
	  "--sender ADDRESS (<> for none), --recipient ADDRESS, --domain DOMAIN, --id PREFIX,\n"
	  "--site SITE (as summary shows it), --class CLASS (bulk, normal, urgent; or what the\n"
	  "other server's answer means: greylist, rate-limit, mailbox-full ...)\n\n"
	  "A person is asked before many are changed, but for retry; --yes does without.\n\n" CONTROL_MORE
	  "Exit status: 0, 1 (no such message, or it could not be done), 2 wrong usage, 3 no server.\n" },
	{ "trace", cli_trace, "ID|MESSAGE-ID|ADDRESS [OPTION]...\n--account ACCOUNT [OPTION]...",
	  "what became of a message, from acceptance to its end",
	  "Of one message it shows the whole life in order, with what was tried at its site while it "
	  "waited,\n"
	  "and the reports about it; of several the newest, some lines each.\n\n"
	  "  --account ACCOUNT     messages that this account submitted\n"
	  "  --since 12h|7d        only those of this time\n"
	  "  --limit N             at most so many messages; 20 unless told, 200 at most\n"
	  "  --transcript          what the servers said to each other, too\n" CONTROL_MORE
	  "Exit status: 0, 1 nothing is known of it, 2 wrong usage, 3 no server answers.\n" },
	{ "events", cli_events, "[--follow] [FILTER]... [--json]", "what happens in the server, or happened",
	  "  -f, --follow          go on, with what happens from now on\n"
	  "  --since 30m|12h|7d    what happened in this time; 1h unless told or followed\n"
	  "  --kind KIND           only this: accepted, attempted, deferred, delivered, relayed, failed,\n"
	  "                        expired, bounced, held, released, removed, retried, wrong-port,\n"
	  "                        limit, alarm ...; may be given several times\n"
	  "  --domain DOMAIN       only about addresses of this domain\n"
	  "  --account ACCOUNT     only about this account\n"
	  "  --id ID               only about this message\n"
	  "  --site SITE           only about this site, as queue summary names it\n"
	  "  --json                one object a line; doc/events.md has their fields\n"
	  "  -c, --config FILE     ask the server of this configuration\n"
	  "  --socket PATH         ask at this control socket\n\n"
	  "Exit status: 0, 1 nothing of the kind is known, 2 wrong usage, 3 no server answers.\n" },
	{ "route", cli_route, "ADDRESS [--sender ADDRESS] [--account ACCOUNT] [--json]\n--providers [--json]",
	  "where mail for an address goes, how safely, and why; sends nothing",
	  "Shows the route, its hosts and their addresses as the server looks them up now, what encryption "
	  "is\n"
	  "required of each, the addresses to send from, and whether anything stands in the way.\n\n"
	  "  --sender ADDRESS      as for mail from this envelope sender\n"
	  "  --account ACCOUNT     as for mail that this account submits\n"
	  "  --tls-optional        as for a message that says TLS-Required: No\n"
	  "  --providers           smart hosts that are known by name, and how to log in there\n" CONTROL_MORE
	  "Exit status: 0, 1 (mail for it is refused, or the server could not tell), 2 wrong usage, 3 no "
	  "server\n"
	  "answers.\n" },
	{ "tls", cli_tls, "[DOMAIN] [--days N] [--failures] [--json]",
	  "how encryption with the servers of other domains went",
	  "By domain and policy (tlsa, sts or no-policy-found): sessions that were encrypted as they must\n"
	  "be, and those that were not, by the result types of RFC 8460 (TLSRPT).\n\n"
	  "  --days N              today and N - 1 days before, UTC; 7 unless told, 30 are kept\n"
	  "  --failures            only where something failed\n" CONTROL_MORE
	  "Exit status: 0, 2 wrong usage, 3 no server answers.\n" },
	{ "check", cli_check,
	  "HOST[:PORT]|DOMAIN|ADDRESS... [OPTION]...\n--login USER HOST... [OPTION]...\n"
	  "--explain TEXT|- [--json] [-v]\n"
	  "--config NAME --use HOST:PORT:tls|starttls [--user USER] [--json]\n--config list\n"
	  "--local [--ask] [--json] [PATH]...",
	  "which ports of a host are open, what each offers, and which to use",
	  "Looks at 25, 465, 587 and 2525 of each host at once, over IPv6 and IPv4, and says what is true of "
	  "each,\n"
	  "with what shows it, and which port and setting an application should use. Needs no server, no\n"
	  "configuration and no root; sends no mail.\n\n"
	  "Of a domain or an address it finds the hosts first: SRV records, autoconfig, known providers, "
	  "MX.\n\n"
	  "  -p, --port 465,587    these ports instead\n"
	  "  --mx                  the domain's MX hosts, as another server would see them\n"
	  "  --host                each name is a host, even if it is a domain with MX records\n"
	  "  -4, -6                only over IPv4, or IPv6\n"
	  "  -e, --expect SPEC     for monitoring: 587:starttls,auth,cert>14d; may be given several times.\n"
	  "                        Exit status 1 when something is not so\n"
	  "  --relay-test          does it relay for strangers? Reserved domains, and never a message\n"
	  "  --login USER          and log in there, over TLS with a right certificate only; then MAIL FROM "
	  "is "
	  "said,\n"
	  "                        and no message sent. With:\n"
	  "  --password-file FILE  the password's or token's line; - is standard input; else\n"
	  "                        $POSTERN_PASSWORD_FILE, or it is asked for at the terminal\n"
	  "  --mechanism NAME      plain, login, scram-sha-256, scram-sha-256-plus, xoauth2, oauthbearer or "
	  "oauth; "
	  "the\n"
	  "                        strongest unless told\n"
	  "  --from ADDRESS        the sender that is asked for, if it is not USER\n"
	  "  --pin SHA256          log in where this certificate or key is shown, whoever issued it\n"
	  "  --no-old-tls          do not try SSLv3, TLS 1.0 and 1.1\n"
	  "  --timeout SECONDS     for a connection, and for each answer; 8 unless told\n"
	  "  --control IP:PORT     what to connect to for telling \"blocked\" from \"no network\"\n"
	  "  --dns IP[:PORT]       ask this name server; may be given several times\n"
	  "  --trust-anchors FILE  believe signatures of the DNS from these keys on (DS or DNSKEY records)\n"
	  "  --ca-file FILE        trust the authorities in this file (PEM), not the system's\n"
	  "  --explain TEXT        what that error text of a mail program means, and what to change; no host "
	  "is\n"
	  "                        asked. -: the text is on standard input\n"
	  "  --config NAME         print what to set in that program (postfix, msmtp, outlook ...; \"list\" "
	  "names\n"
	  "                        them), without any secret. Then:\n"
	  "  --user USER           with that user name; of an ADDRESS, that\n"
	  "  --use HOST:PORT:tls   for this server, or :starttls, without looking\n"
	  "  --local [PATH]...     which servers the mail programs of this machine are set to use, what is "
	  "wrong\n"
	  "                        with that, and the lines to change: Postfix, Exim, msmtp, PHP, WordPress, "
	  ".env,\n"
	  "                        Django, git; of the usual places, or of these files and folders\n"
	  "  --ask                 and ask these servers whether the settings work\n"
	  "  -v, --verbose         what is good, too, and each address by itself\n"
	  "  --json                for programs; doc/check.md has the fields\n\n"
	  "Exit status: 0 there is a port to use (and the login was accepted; or all is as expected; the "
	  "text "
	  "is\n"
	  "known; --local finds no problem), 1 there is none (or it is not), 2 wrong usage.\n" },
	{ "send", cli_send,
	  "[--url URL|--account NAME] --from ADDRESS --to ADDRESS... [--subject TEXT] [--text TEXT] "
	  "[OPTION]...\n"
	  "[--url URL|--account NAME] --message FILE|- [--to ADDRESS]... [OPTION]...\n"
	  "[--url URL|--account NAME] --merge LIST --template FILE [OPTION]...\n--accounts [--json]\n"
	  "--flush | --list | --retry ID | --drop ID [--json]\n"
	  "--test [--to ADDRESS] [--imap imaps://USER@HOST[/FOLDER]] [--wait SECONDS] [OPTION]...",
	  "submits a message to a mail server",
	  "Composes a message, or takes one that is ready, and submits it: over TLS, with a verified\n"
	  "certificate, on the ports of submission. Needs no server of its own, no configuration and no "
	  "root.\n\n"
	  "  --url URL             smtp://USER@HOST[:PORT] (STARTTLS; without a port 587, 465 and 2525 in "
	  "turn),\n"
	  "                        smtps://USER@HOST[:PORT] (TLS at once), or unix:/PATH\n"
	  "  --account NAME        of ~/.config/postern/send.yaml, or /etc/postern/send.yaml. Without both: "
	  "$POSTERN_URL,\n"
	  "                        $POSTERN_ACCOUNT, the Postern on this machine, or the file's default\n"
	  "  --provider NAME       a known provider (gmail), or a domain of its users (gmail.com); `postern "
	  "route\n"
	  "                        --providers` lists them\n"
	  "  --user USER           as whom to log in; alone: at the provider of that address\n"
	  "  --accounts            list the accounts, and where their passwords are kept\n"
	  "  --password-file FILE  its first line; - is standard input; else what the account says, "
	  "$POSTERN_PASSWORD_FILE,\n"
	  "                        or it is asked for at the terminal\n"
	  "  --from, --to, --cc, --bcc, --reply-to ADDRESS   one, or a list with commas between\n"
	  "  --subject TEXT\n"
	  "  --text TEXT           or --text-file FILE; - is standard input\n"
	  "  --html FILE           beside the text, or without one\n"
	  "  --attach FILE         may be given several times\n"
	  "  --header 'NAME: TEXT' another field; may be given several times\n"
	  "  --message FILE        the message is ready, header and all; - is standard input. Without --to "
	  "its\n"
	  "                        recipients are those of To, Cc and Bcc\n"
	  "  --pin SHA256          believe this certificate or key, whoever issued it; may be given several "
	  "times\n"
	  "  --ca-file FILE        trust the authorities in this file (PEM), not the system's\n"
	  "  --mechanism NAME      log in by plain, login, scram-sha-256, scram-sha-256-plus, or with a "
	  "token "
	  "by\n"
	  "                        xoauth2, oauthbearer or oauth (either); the strongest unless told\n"
	  "  --dns IP[:PORT]       ask this name server; may be given several times\n"
	  "  --timeout SECONDS     for a connection, and for each answer; 30 unless told\n"
	  "  --merge LIST          a message for each row of this list (CSV); with --template FILE, which "
	  "has\n"
	  "                        fields, an empty line and the text, and {{column}} in them. The same "
	  "again\n"
	  "                        sends what is left; see postern-send(8) for --rate N/min, --pause, "
	  "--result,\n"
	  "                        --skip-bad, --allow-duplicates, --retry-doubtful, --retry-refused,\n"
	  "                        --changed-template\n"
	  "  --dry-run             print the message, connect to nobody\n"
	  "  -v, --verbose         what was tried, and why it went on\n"
	  "  --trace               what was said, too; never a password\n"
	  "  --json                for programs\n\n"
	  "What cannot be taken now, and later (doc/outbox.md):\n"
	  "  --queue               keep it in the outbox (~/.local/state/postern/outbox); it goes with the "
	  "next\n"
	  "                        message by the same server. Exit status 0, then\n"
	  "  --flush               send what waits there; with --account or --url only what is for that\n"
	  "  --list                what waits, what failed and why, what is in doubt, and what to do\n"
	  "  --retry ID            try one that failed, or is in doubt, again; --drop ID throws it away. "
	  "Both "
	  "may be\n"
	  "                        given several times\n\n"
	  "Whether mail arrives (doc/send-test.md):\n"
	  "  --test                send a marked message to --to, or to oneself\n"
	  "  --imap URL            imaps://USER@HOST[:PORT][/FOLDER], or imap:// with STARTTLS: wait for it "
	  "there and\n"
	  "                        in the folder for spam, and show the way it took\n"
	  "  --imap-password-file FILE   unless it is the user and password of sending\n"
	  "  --wait SECONDS        60 unless told. 75: it did not come; 1: it came as spam\n\n"
	  "Exit status: 0 every recipient was taken, 1 refused (the message, a recipient, the login or the\n"
	  "certificate; or there is no password), 2 wrong usage, 3 no server was reached, 75 not now: try "
	  "again\n"
	  "later, 78 the accounts file has errors.\n" },
	{ "sendmail", cli_sendmail,
	  "[-i] [-t] [-f ADDRESS] [-F NAME] [-v] [RECIPIENT...] < MESSAGE\n-bs\n-bp\n"
	  "-q | -qIID | -qRDOMAIN",
	  "as programs know sendmail: sends the message on standard input",
	  "Called by the name sendmail it is this; by mailq, its -bp; by newaliases, nothing, with success. "
	  "Sends\n"
	  "through the Postern of this machine, else through the account of `postern send`.\n\n"
	  "  -t                    recipients are those of To, Cc and Bcc, too\n"
	  "  -i                    a line of one dot is text, not the end\n"
	  "  -f, -r ADDRESS        the sender of the envelope\n"
	  "  -F NAME               for a From field, if the message has none\n"
	  "  -N never|success,failure,delay, -R full|hdrs, -V ID\n"
	  "                        which reports are wanted (DSN), what is in them, and their id\n"
	  "  -v, -vv               what was tried; and what was said\n"
	  "  -bs                   SMTP on standard input and output\n"
	  "  -bp                   the queue\n"
	  "  -q                    try now what waits: all, one message or one domain\n\n"
	  "Other options of sendmail are read, too: postern-sendmail(8). None of them makes it read or write "
	  "a\n"
	  "file.\n\n"
	  "Exit status, of sysexits.h: 0 taken, 64 wrong usage, 65 wrong message, 66 no message, 67 no such\n"
	  "address, 68 no such domain, 69 refused, 75 not now, 77 login or sender refused, 78 no server is\n"
	  "configured.\n" },
	{ "limits", cli_limits, "[--json]\nclear WHO [--json]\nclear --all [--json]",
	  "who is at a limit or locked out, and frees one",
	  "Shows whose wrong passwords locked what, and who has too many sessions, messages or\n"
	  "recipients; and for how long they are refused.\n"
	  "clear WHO takes an address, a network, an account, a uid or an owner, as the list shows it,\n"
	  "and forgets what was counted for it; an account is freed wherever its logins come "
	  "from.\n\n" CONTROL_MORE
	  "Exit status: 0, 1 (nothing is counted for it), 2 wrong usage, 3 no server answers.\n" },
	{ "domain", cli_account,
	  "add DOMAIN [--owner OWNER] [--catch-all ADDRESS] [--postmaster ADDRESS] [--scram on|off]\n"
	  "list [--owner OWNER]\nshow DOMAIN\n"
	  "set DOMAIN [--owner OWNER] [--enabled on|off] [--catch-all ADDRESS|none] [--postmaster "
	  "ADDRESS|none] [--scram on|off]\n"
	  "remove DOMAIN [--with-accounts]",
	  "the domains whose mail is delivered here",
	  "  --catch-all ADDRESS   takes what is for no account, alias or postmaster\n"
	  "  --postmaster ADDRESS  takes mail for postmaster and abuse, else the configuration's postmaster\n"
	  "  --scram on            AUTH SCRAM-SHA-256 for its accounts; a stolen database is then easier to\n"
	  "                        attack, so it is off unless switched on\n"
	  "  --with-accounts       remove its accounts, keys and aliases too; mailbox files always "
	  "stay\n" ACCOUNT_MORE },
	{ "account", cli_account,
	  "add ADDRESS [--password-file FILE] [--no-password] [--address MORE]... [--quota SIZE]\n"
	  "list [DOMAIN] [--exposed]\nshow ADDRESS\n"
	  "set ADDRESS [--password] [--password-file FILE] [--no-password] [--enabled on|off] "
	  "[--add-address MORE]... [--remove-address MORE]... [--quota SIZE]\n"
	  "remove ADDRESS",
	  "who has a mailbox here and may send",
	  "The password is asked for, or is the first line of a file or of standard input; it is never an\n"
	  "argument, which every user of the machine could read.\n\n"
	  "  --password            set a new password: asks for it\n"
	  "  --password-file FILE  read it there; - is standard input\n"
	  "  --no-password         none: the account only receives, and sends with API keys\n"
	  "  --address MORE        it has this address, too; one of a foreign domain, or *@DOMAIN, is for\n"
	  "                        sending only\n"
	  "  --quota SIZE          how much its mailbox may hold: 500M, 2G; or none, or default\n"
	  "  --exposed             only those whose password a client has sent unencrypted\n" ACCOUNT_MORE },
	{ "alias", cli_account,
	  "add ALIAS TARGET...\nlist [DOMAIN]\nshow ALIAS\n"
	  "set ALIAS [TARGET...] [--add TARGET]... [--remove TARGET]...\nremove ALIAS",
	  "addresses that lead to others",
	  "A target is an address here or elsewhere, or an alias again. An alias that is among its own\n"
	  "targets means the account of that name. `set ALIAS TARGET...` replaces all "
	  "targets.\n" ACCOUNT_MORE },
	{ "key", cli_account,
	  "add ACCOUNT --name NAME [--sender ADDRESS]... [--network NET]... [--listener NAME]...\n"
	  "list [ACCOUNT]\nshow ACCOUNT NAME\n"
	  "set ACCOUNT NAME [--revoke] [--restore] [--sender ADDRESS]... [--network NET]... "
	  "[--listener NAME]... [--any-sender] [--any-network] [--any-listener]\nremove ACCOUNT NAME",
	  "API keys: passwords for programs",
	  "A key is the password of its account, for one program. It is shown once, when it is made.\n\n"
	  "  --sender ADDRESS      it may send only as this (*@DOMAIN: any of a domain)\n"
	  "  --network NET         it may log in only from here: 192.0.2.0/24, 2001:db8::/32\n"
	  "  --listener NAME       it may log in only there: submission, submissions ...\n"
	  "  --any-sender, --any-network, --any-listener   drop that limit\n"
	  "  --revoke, --restore   it stays in the list, and is of no use\n" ACCOUNT_MORE },
	{ "owner", cli_account, "add OWNER\nlist\nshow OWNER\nset OWNER --name NEW\nremove OWNER",
	  "who domains belong to",
	  "The first domain makes an owner called 'default'; more are for servers with several "
	  "tenants.\n" ACCOUNT_MORE },
	{ "config", cli_config,
	  "check [-c FILE] [--port-offset N] [--json]\nshow [-c FILE] [--all] [--json]\nreference",
	  "checks a configuration, or shows what differs from the defaults",
	  "check reads the file as the server would, names every error with its line, and then\n"
	  "shows what would be served. show prints what the file changes; with --all every\n"
	  "directive. What show prints, as YAML or as JSON, is itself a configuration file.\n"
	  "reference prints the directives as they stand in postern.conf(5), in its source form:\n"
	  "read it with `man postern.conf`, or with `postern config reference | mandoc -mdoc`.\n\n"
	  "  -c, --config FILE   instead of $POSTERN_CONFIG or the usual place; - is standard input\n"
	  "  --all               defaults too\n"
	  "  --json              for programs\n"
	  "  --port-offset N     as the server would be started with\n\n"
	  "Exit status: 0 the configuration is good (warnings may have been printed), 1 it has\n"
	  "errors, 2 wrong usage, 78 the file cannot be read.\n" },
	{ "dovecot-login", cli_dovecot_login, "[--socket PATH] PROGRAM [ARGUMENT]...",
	  "tells Dovecot whether a password is right; Dovecot runs it",
	  "Name and password come on descriptor 3, as checkpassword programs have them; doc/dovecot.md has "
	  "the\n"
	  "lines for dovecot.conf.\n\n"
	  "  --socket PATH         where the server is asked; /run/postern/dovecot.sock unless told\n"
	  "\n"
	  "Exit status: that of PROGRAM after a right password, 1 it is wrong, 111 try again later.\n" },
	{ "help", cli_help, "[COMMAND]", "what postern can do, or how one command is used", NULL },
	{ "version", cli_version, "[--json]", "the versions of postern and of its libraries", NULL },
	{ "role", cli_role, "NAME INDEX FD", NULL,
	  "One process of a server; started by `postern serve` only.\n" },
	{ 0 },
};

const struct cli_command *cli_find(const char *name)
{
	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* How many letters must be inserted, left out, replaced or swapped with the next
 * one to make a of b (names are short: longer ones are never near). */
#define NAME_MAX_LEN 24
static unsigned distance(const char *a, const char *b)
{
	unsigned row[3][NAME_MAX_LEN + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > NAME_MAX_LEN || nb > NAME_MAX_LEN)
		return NAME_MAX_LEN;
	for (unsigned j = 0; j <= nb; j++)
		row[0][j] = j;
	for (unsigned i = 1; i <= na; i++) {
		unsigned *now = row[i % 3], *before = row[(i + 2) % 3], *second = row[(i + 1) % 3];

		now[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			unsigned best = before[j - 1] + (a[i - 1] != b[j - 1]);

			if (before[j] + 1 < best)
				best = before[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    second[j - 2] + 1 < best)
				best = second[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[na % 3][nb];
}

const char *cli_nearest(const char *name)
{
	const char *best = NULL;
	unsigned least = 3; /* further away it would be a guess */

	for (const struct cli_command *c = cli_commands; c->name; c++) {
		unsigned d = c->help ? distance(name, c->name) : least;

		if (d < least && d < strlen(c->name)) {
			least = d;
			best = c->name;
		}
	}
	return best;
}

int cli_usage_only(const char *name)
{
	const struct cli_command *c = cli_find(name);

	if (c)
		cli_print_usage(c, stderr);
	return CLI_USAGE;
}

int cli_usage(const char *name, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "postern %s: ", name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return cli_usage_only(name);
}

/* Wherever it stands: `postern queue list --help` too. */
static bool asks_for_help(int argc, char **argv)
{
	for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

int cli_main(int argc, char **argv)
{
	const struct cli_command *c;
	const char *name = argc > 1 ? argv[1] : "help", *near;

	if (argc > 0 && sendmail_is_called(argv[0]))
		return cli_sendmail(argc, argv);
	if (!strcmp(name, "--help") || !strcmp(name, "-h"))
		name = "help";
	if (!strcmp(name, "--version") || !strcmp(name, "-V"))
		name = "version";
	c = cli_find(name);
	if (!c) {
		near = cli_nearest(name);
		fprintf(stderr, "postern: there is no command '%s'", name);
		if (near)
			fprintf(stderr, "; did you mean '%s'?", near);
		fputs("\nTry: postern help\n", stderr);
		return CLI_USAGE;
	}
	/* -h is another option of sendmail's, and what stands behind -f may be anything. */
	if (c->run != cli_help && c->run != cli_sendmail && asks_for_help(argc, argv)) {
		char *ask[] = { (char *)"help", (char *)(uintptr_t)c->name, NULL };

		return cli_help(2, ask);
	}
	optind = 1;
	if (argc < 2) {
		char *none[] = { (char *)"help", NULL };

		cli_help(1, none);
		return CLI_USAGE;
	}
	argv[1] = (char *)(uintptr_t)c->name;
	return c->run(argc - 1, argv + 1);
}
