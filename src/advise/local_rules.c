/* local_rules.c - what the settings of a server mean together, and the rules by which they are judged. */
#include <string.h>

#include "advise/local_private.h"
#include "base/ip.h"

void advise_wrong_add(struct advise_local_server *s, enum advise_wrong wrong)
{
	s->wrong |= UINT32_C(1) << wrong;
}

bool advise_wrong_has(const struct advise_local_server *s, enum advise_wrong wrong)
{
	return s->wrong & UINT32_C(1) << wrong;
}

/* Nobody is on the way there. */
static bool is_here(const char *host)
{
	struct ip ip;

	if (strcmp(host, "localhost") == 0 || !host[0])
		return true;
	return ip_parse(slice_str(host), &ip) && ip_is_loopback(&ip);
}

/* .env, WordPress: are these the settings that begin so, or is it that URL? */
static bool is_of(const struct advise_local_server *s, const char *key)
{
	return slice_eq_nocase(slice_str(s->name), slice_str(key));
}

static enum advise_security security_of(enum advise_local_kind kind, const struct advise_said *d,
					const struct advise_local_server *s)
{
	bool implicit = d->implicit == ADVISE_YES, starttls = d->starttls == ADVISE_YES;

	if (d->encryption_computed)
		return ADVISE_SECURITY_UNKNOWN;
	if (kind == ADVISE_LOCAL_MSMTP) { /* tls on alone means STARTTLS */
		if (d->encrypted != ADVISE_YES)
			return ADVISE_SECURITY_NONE;
		return d->starttls == ADVISE_NO ? ADVISE_SECURITY_IMPLICIT : ADVISE_SECURITY_STARTTLS;
	}
	if (implicit)
		return ADVISE_SECURITY_IMPLICIT;
	if (starttls)
		return ADVISE_SECURITY_STARTTLS;
	if (kind == ADVISE_LOCAL_DOTENV && !d->port_computed) {
		bool on_465 = s->port == 465 || (!s->port_set && is_of(s, "MAILER_DSN"));

		if (on_465 && (d->encrypted == ADVISE_YES || d->maybe == ADVISE_YES))
			return ADVISE_SECURITY_IMPLICIT; /* Laravel, Symfony, nodemailer do so */
	}
	if (d->encrypted == ADVISE_YES || d->old_must == ADVISE_YES)
		return ADVISE_SECURITY_STARTTLS;
	if (d->maybe == ADVISE_YES || (d->old_may == ADVISE_YES && !d->level))
		return ADVISE_SECURITY_MAYBE;
	switch (kind) {
	case ADVISE_LOCAL_EXIM:
	case ADVISE_LOCAL_EXIM_DEBIAN:
		return ADVISE_SECURITY_MAYBE; /* what their transport does by itself */
	case ADVISE_LOCAL_WORDPRESS: /* so does PHPMailer, unless it is told not to; Global SMTP always does
				      */
		if (is_of(s, "GLOBAL") && d->implicit == ADVISE_UNSET)
			return ADVISE_SECURITY_STARTTLS;
		return d->maybe == ADVISE_NO ? ADVISE_SECURITY_NONE : ADVISE_SECURITY_MAYBE;
	case ADVISE_LOCAL_DOTENV: /* what the application does where nothing is said is its own */
		if (d->implicit == ADVISE_UNSET && d->encrypted == ADVISE_UNSET &&
		    d->starttls == ADVISE_UNSET)
			return ADVISE_SECURITY_UNKNOWN;
		return ADVISE_SECURITY_NONE;
	default:
		return ADVISE_SECURITY_NONE;
	}
}

/* What the program takes where the file names none; 0: that is not known. */
static uint16_t usual_port(enum advise_local_kind kind, const struct advise_local_server *s)
{
	bool implicit = s->security == ADVISE_SECURITY_IMPLICIT;

	switch (kind) {
	case ADVISE_LOCAL_MSMTP:
	case ADVISE_LOCAL_GIT:
	case ADVISE_LOCAL_EXIM:
		return implicit ? 465 : 25;
	case ADVISE_LOCAL_POSTFIX:
	case ADVISE_LOCAL_EXIM_DEBIAN:
	case ADVISE_LOCAL_PHP_INI:
	case ADVISE_LOCAL_DJANGO:
		return 25;
	case ADVISE_LOCAL_WORDPRESS:
		return is_of(s, "GLOBAL") ? 587 : 0;
	case ADVISE_LOCAL_DOTENV:
		if (is_of(s, "MAILER_DSN"))
			return 465;
		if (is_of(s, "MAIL_URL") || is_of(s, "SMTP_URL")) /* nodemailer */
			return implicit ? 465 : 587;
		return 0;
	default:
		return 0;
	}
}

static bool submission(uint16_t port)
{
	return port == 465 || port == 587 || port == 2525;
}

static void judge_port(struct advise_local_server *s)
{
	bool implicit = s->security == ADVISE_SECURITY_IMPLICIT;

	if (s->port == 25)
		advise_wrong_add(s, ADVISE_WRONG_PORT_25);
	if (s->port == 2525)
		advise_wrong_add(s, ADVISE_WRONG_FALLBACK_2525);
	if (s->port == 465 && !implicit && s->security != ADVISE_SECURITY_UNKNOWN)
		advise_wrong_add(s, ADVISE_WRONG_STARTTLS_ON_465);
	if ((s->port == 587 || s->port == 2525 || s->port == 25) && implicit)
		advise_wrong_add(s, ADVISE_WRONG_TLS_ON_587);
}

static void judge_postfix(const struct advise_said *d, struct advise_local_server *s)
{
	bool passwords = s->password || s->passwords[0];

	if (d->implicit == ADVISE_YES && d->encrypted != ADVISE_YES && d->old_must != ADVISE_YES)
		advise_wrong_add(s, ADVISE_WRONG_WRAPPER_ALONE);
	if (d->verifies && d->authorities != ADVISE_YES)
		advise_wrong_add(s, ADVISE_WRONG_NO_AUTHORITIES);
	if (passwords && !s->login)
		advise_wrong_add(s, ADVISE_WRONG_LOGIN_OFF);
	if (s->login && passwords && d->plain != ADVISE_YES && d->plain_within_tls != ADVISE_YES)
		advise_wrong_add(s, ADVISE_WRONG_NO_PLAIN);
	if (!s->brackets && submission(s->port))
		advise_wrong_add(s, ADVISE_WRONG_LOOKS_UP_MX);
}

void advise_local_judge(enum advise_local_kind kind, const struct advise_said *said,
			struct advise_local_server *s)
{
	s->login = said->login == ADVISE_YES;
	/* It has passwd.client, which may not be there to be read. */
	s->login_known = kind != ADVISE_LOCAL_EXIM_DEBIAN || said->login != ADVISE_UNSET;
	if (said->not_smtp) {
		advise_wrong_add(s, ADVISE_WRONG_NOT_SMTP);
		return;
	}
	if (said->windows) {
		if (!is_here(s->host)) /* as the file that comes with PHP has it */
			advise_wrong_add(s, ADVISE_WRONG_WINDOWS);
		s->host[0] = '\0';
		s->port = 0;
		s->port_set = false;
	}
	if (!s->host[0])
		return; /* another program's business, or not known */
	s->security = security_of(kind, said, s);
	if (!s->port_set && !said->port_computed)
		s->port = usual_port(kind, s);
	if (said->implicit == ADVISE_YES && said->starttls == ADVISE_YES)
		advise_wrong_add(s, ADVISE_WRONG_BOTH);
	if (is_here(s->host))
		return;
	judge_port(s);
	if (kind == ADVISE_LOCAL_POSTFIX)
		judge_postfix(said, s);
	if (said->laravel_ssl && s->security == ADVISE_SECURITY_STARTTLS)
		advise_wrong_add(s, ADVISE_WRONG_LARAVEL_SSL);
	if (s->security == ADVISE_SECURITY_NONE)
		advise_wrong_add(s, s->login ? ADVISE_WRONG_PASSWORD_IN_CLEAR : ADVISE_WRONG_NO_TLS);
	/* Debian's Exim keeps the password to itself without encryption. */
	if (s->security == ADVISE_SECURITY_MAYBE && s->login &&
	    (kind != ADVISE_LOCAL_EXIM_DEBIAN || said->clear_too))
		advise_wrong_add(s, ADVISE_WRONG_TLS_OPTIONAL);
	if ((said->verify == ADVISE_NO ||
	     ((kind == ADVISE_LOCAL_EXIM || s->macros) && said->verify == ADVISE_UNSET && s->login)) &&
	    s->security > ADVISE_SECURITY_NONE)
		advise_wrong_add(s, ADVISE_WRONG_UNVERIFIED);
	if (submission(s->port) && !s->login && s->login_known &&
	    !advise_wrong_has(s, ADVISE_WRONG_LOGIN_OFF))
		advise_wrong_add(s, ADVISE_WRONG_NO_LOGIN);
}

/* One line a server: its name, or the place as relayhost has it; a blank; name:password.  By whom mail is
 * from it may be found, too, and without [ ] by the MX host's name, which is not known here. */
bool advise_local_has_password(const struct advise_local_server *s, struct slice table)
{
	while (table.n > 0) {
		struct slice line, key, host;
		uint16_t port;
		bool brackets;

		if (!cur_until(&table, '\n', &line)) {
			line = table;
			table = slice_tail(table, table.n);
		}
		key = slice_head(line, slice_find(line, ' '));
		key = slice_head(key, slice_find(key, '\t'));
		if (key.n > 0 && key.p[0] != '#' && slice_find(key, '@') < key.n)
			return true;
		if (key.n == 0 || !advise_place(key, &host, &port, &brackets) || key.p[0] == '#' ||
		    (!slice_eq_nocase(host, slice_str(s->host)) && (s->brackets || brackets || port > 0)))
			continue;
		if ((!brackets && port == 0) ||
		    (brackets == s->brackets && port == (s->port_set ? s->port : 0)))
			return true;
	}
	return false;
}
