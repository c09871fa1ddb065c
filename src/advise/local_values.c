/* local_values.c - what one setting says, by its role. */
#include <string.h>

#include "advise/local_private.h"

static bool in(struct slice s, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq_nocase(s, slice_str(words[i])))
			return true;
	return false;
}

bool advise_true(struct slice s)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };

	return in(s, yes, sizeof(yes) / sizeof(yes[0]));
}

/* Applications write these where they mean nothing at all. */
static bool nothing(struct slice s)
{
	static const char *const words[] = { "", "null", "none", "off", "no", "false", "0" };

	return in(s, words, sizeof(words) / sizeof(words[0]));
}

static enum advise_truth truth_of(struct slice s)
{
	return advise_true(s) ? ADVISE_YES : ADVISE_NO;
}

void advise_printable(char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

/* A name or an address, else nothing: it is shown, and may be anything. */
static bool set_host(struct advise_local_server *s, struct slice host)
{
	for (size_t i = 0; i < host.n; i++) {
		unsigned char c = host.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '-' || c == '_' || c == ':'))
			return false;
	}
	return slice_copy(host, s->host, sizeof(s->host));
}

static bool port_of(struct slice text, uint16_t *ret)
{
	static const struct {
		const char *name;
		uint16_t port;
	} services[] = { { "smtp", 25 }, { "submission", 587 }, { "submissions", 465 }, { "smtps", 465 } };
	uint64_t n;

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (slice_eq_nocase(text, slice_str(services[i].name))) {
			*ret = services[i].port;
			return true;
		}
	if (!cur_u64(&text, 65535, &n) || text.n > 0)
		return false;
	*ret = (uint16_t)n;
	return true;
}

static void set_port(struct advise_local_server *s, struct slice port)
{
	if (port_of(port, &s->port))
		s->port_set = true;
}

bool advise_place(struct slice v, struct slice *ret_host, uint16_t *ret_port, bool *ret_brackets)
{
	struct slice host;
	uint16_t port = 0;
	bool brackets = cur_byte(&v, '[');

	if (brackets) {
		if (!cur_until(&v, ']', &host))
			return false;
	} else {
		host = slice_head(v, slice_rfind(v, ':'));
		v = slice_tail(v, host.n);
	}
	if (v.n > 0 && (!cur_byte(&v, ':') || !port_of(v, &port)))
		return false;
	*ret_host = host;
	*ret_port = port;
	*ret_brackets = brackets;
	return true;
}

static void set_place(struct advise_local_server *s, struct slice v)
{
	struct slice host;
	uint16_t port;
	bool brackets;

	if (!advise_place(v, &host, &port, &brackets) || !set_host(s, host))
		return;
	s->brackets = brackets;
	if (port > 0) {
		s->port = port;
		s->port_set = true;
		s->port_alone = false;
	}
}

/* Exim's host::port; the first of several. */
static void set_colons(struct advise_local_server *s, struct slice v)
{
	struct slice first = slice_trim(slice_head(v, slice_find(v, ';')));
	size_t at = slice_find(first, ':');

	if (set_host(s, slice_head(first, at)) && slice_starts(slice_tail(first, at), SLICE_LIT("::")))
		set_port(s, slice_trim(slice_tail(first, at + 2)));
}

static bool gap(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\\' || c == '"';
}

static struct slice take_word(struct slice *cur)
{
	struct slice word;
	size_t n = 0;

	while (cur->n > 0 && gap(cur->p[0]))
		*cur = slice_tail(*cur, 1);
	while (n < cur->n && !gap(cur->p[n]))
		n++;
	word = slice_head(*cur, n);
	*cur = slice_tail(*cur, n);
	return word;
}

/* The hosts of a rule "domains hosts options", of which the first counts. */
static void set_route(struct advise_local_server *s, struct slice v)
{
	struct slice domains = take_word(&v), hosts;

	if (slice_eq(domains, SLICE_LIT("!")))
		(void)take_word(&v);
	hosts = take_word(&v);
	set_colons(s, slice_head(hosts, slice_find(hosts, ';')));
}

static bool has(struct slice s, const char *word)
{
	return s.n > 0 && memmem(s.p, s.n, word, strlen(word));
}

/* smtps://user:password@host:port?verify_peer=0 */
static void set_url(struct advise_local_server *s, struct advise_said *said, struct slice v, bool django)
{
	struct slice scheme = slice_head(v, slice_find(v, ':')), place = slice_tail(v, scheme.n), user;
	bool smtps = slice_eq_nocase(scheme, SLICE_LIT("smtps"));
	size_t at;

	if (!cur_word(&place, SLICE_LIT("://")) || !slice_starts_nocase(scheme, SLICE_LIT("smtp"))) {
		said->not_smtp = scheme.n < v.n; /* console://, sendgrid+api:// */
		return;
	}
	said->implicit =
		(smtps && !django) || slice_eq_nocase(scheme, SLICE_LIT("smtp+ssl")) ? ADVISE_YES : ADVISE_NO;
	said->starttls = (smtps && django) || slice_eq_nocase(scheme, SLICE_LIT("smtp+tls")) ? ADVISE_YES
											     : ADVISE_UNSET;
	said->maybe = django ? ADVISE_NO : ADVISE_YES;
	if (has(place, "verify_peer=0") || has(place, "verify_peer=false") ||
	    has(place, "rejectUnauthorized=false"))
		said->verify = ADVISE_NO;
	/* A password may have /, ? and @ in it, if somebody forgot to encode them: nothing before the last @
	 * is shown. */
	at = slice_rfind(place, '@');
	if (at < place.n) {
		user = slice_head(place, at);
		said->login = user.n > 0 ? ADVISE_YES : ADVISE_NO;
		s->password = slice_find(user, ':') + 1 < user.n;
		place = slice_tail(place, at + 1);
	}
	place = slice_head(place, slice_find(place, '?'));
	set_place(s, slice_head(place, slice_find(place, '/')));
}

/* To most applications' .env "tls" is STARTTLS on 587, and TLS from the first octet on 465. */
static void set_ssl_tls(enum advise_local_kind kind, struct advise_said *said, struct slice v)
{
	static const char *const ssl[] = { "ssl", "smtps", "force_tls", "implicit", "ssl/tls" };

	said->implicit = said->starttls = said->encrypted = ADVISE_NO;
	if (in(v, ssl, sizeof(ssl) / sizeof(ssl[0])))
		said->implicit = ADVISE_YES;
	else if (slice_eq_nocase(v, SLICE_LIT("starttls")))
		said->starttls = ADVISE_YES;
	else if (slice_eq_nocase(v, SLICE_LIT("tls")))
		*(kind == ADVISE_LOCAL_DOTENV ? &said->encrypted : &said->starttls) = ADVISE_YES;
}

/* Laravel before 9 does what MAIL_ENCRYPTION says; newer ones look at the port, and take STARTTLS where it is
 * offered (their MAIL_SCHEME decides). */
static void set_laravel(struct advise_said *said, struct slice v)
{
	set_ssl_tls(ADVISE_LOCAL_DOTENV, said, v);
	said->laravel_ssl = said->implicit == ADVISE_YES;
	said->maybe = nothing(v) ? ADVISE_YES : ADVISE_UNSET;
	if (said->laravel_ssl) {
		said->implicit = ADVISE_NO;
		said->encrypted = ADVISE_YES;
	}
}

static void set_level(struct advise_said *said, struct slice v)
{
	said->level = v.n > 0;
	said->maybe =
		slice_eq(v, SLICE_LIT("may")) || slice_eq(v, SLICE_LIT("dane")) ? ADVISE_YES : ADVISE_NO;
	said->encrypted = said->level && said->maybe == ADVISE_NO && !slice_eq(v, SLICE_LIT("none"))
				  ? ADVISE_YES
				  : ADVISE_NO;
	said->verify = slice_eq(v, SLICE_LIT("encrypt")) ? ADVISE_NO : ADVISE_UNSET;
	said->verifies = slice_eq(v, SLICE_LIT("verify")) || slice_eq(v, SLICE_LIT("secure"));
}

static void set_text(char *to, size_t size, struct slice v)
{
	if (!slice_copy(v, to, size))
		memcpy(to, "?", 2);
	advise_printable(to);
}

/* A command: its program, and whether it reads the recipients from the message. */
static void set_command(struct advise_local_server *s, struct slice v)
{
	bool is_t = false;

	set_text(s->program, sizeof(s->program), take_word(&v));
	while (v.n > 0) {
		struct slice word = take_word(&v);

		/* -ti and -it are one word to sendmail, too */
		is_t = is_t || slice_eq(word, SLICE_LIT("--read-recipients")) ||
		       (word.n > 1 && word.n <= 3 && word.p[0] == '-' && slice_find(word, 't') < word.n);
	}
	if (s->program[0] && !is_t)
		advise_wrong_add(s, ADVISE_WRONG_NO_DASH_T);
}

/* Laravel's and WP Mail SMTP's words, and Django's classes. */
static void set_mailer(struct advise_local_server *s, struct advise_said *said, struct slice v)
{
	said->not_smtp = v.n > 0 && !slice_eq_nocase(v, SLICE_LIT("smtp")) &&
			 !slice_eq_nocase(v, SLICE_LIT("null")) && !has(v, ".smtp.") && !has(v, ".smtp_");
	if (said->not_smtp)
		set_text(s->program, sizeof(s->program), v);
	else
		s->program[0] = '\0';
}

/* A name; applications take host:port, and PHP's libraries ssl://host, too. */
static void set_name(struct advise_local_server *s, struct advise_said *said, struct slice v)
{
	size_t colon;

	if (cur_word(&v, SLICE_LIT("ssl://")))
		said->implicit = ADVISE_YES;
	else if (cur_word(&v, SLICE_LIT("tls://")))
		said->starttls = ADVISE_YES;
	colon = slice_rfind(v, ':');
	if (v.n > 0 && v.p[0] != '[' && slice_find(v, ':') != colon) /* an address of IPv6 */
		(void)set_host(s, v);
	else
		set_place(s, v);
}

/* Each of the following: false where the role is none of its own. */
static bool take_place(enum advise_role role, struct slice v, struct advise_local_server *s,
		       struct advise_said *said)
{
	switch (role) {
	case ROLE_WINDOWS_HOST:
		said->windows = true;
		(void)set_host(s, v);
		return true;
	case ROLE_HOST:
		if (v.n > 0 && (v.p[0] == '/' || v.p[0] == '~')) /* git: a program */
			set_text(s->program, sizeof(s->program), v);
		else
			set_name(s, said, v);
		return true;
	case ROLE_HOST_BRACKETS:
		s->port = 0;
		s->port_set = false;
		s->host[0] = '\0';
		set_place(s, slice_trim(slice_head(v, slice_find(v, ','))));
		return true;
	case ROLE_HOST_COLONS:
	case ROLE_ROUTE_DATA:
	case ROLE_EXIM_HOSTS:
		set_colons(s, v);
		return true;
	case ROLE_ROUTE_LIST:
		set_route(s, v);
		return true;
	case ROLE_TRANSPORT:
		set_text(said->transport, sizeof(said->transport), v);
		return true;
	case ROLE_PORT:
	case ROLE_WINDOWS_PORT:
		set_port(s, v);
		s->port_alone = s->port_set;
		return true;
	default:
		return false;
	}
}

static bool take_encryption(enum advise_local_kind kind, enum advise_role role, struct slice v,
			    struct advise_local_server *s, struct advise_said *said)
{
	switch (role) {
	case ROLE_IMPLICIT:
		said->implicit = truth_of(v);
		return true;
	case ROLE_STARTTLS:
		said->starttls = truth_of(v);
		return true;
	case ROLE_ENCRYPTED:
		said->encrypted = truth_of(v);
		return true;
	case ROLE_MAYBE:
		said->maybe = truth_of(v);
		return true;
	case ROLE_REQUIRE:
		said->encrypted = v.n > 0 ? ADVISE_YES : ADVISE_NO;
		return true;
	case ROLE_SECURE:
		said->implicit = truth_of(v);
		said->maybe = ADVISE_YES; /* "false" is STARTTLS where it is offered */
		if (!nothing(v) && !advise_true(v))
			set_ssl_tls(kind, said, v);
		return true;
	case ROLE_SSL_TLS:
		set_ssl_tls(kind, said, v);
		return true;
	case ROLE_LARAVEL:
		set_laravel(said, v);
		return true;
	case ROLE_SCHEME:
		said->maybe = ADVISE_YES;
		said->implicit = slice_eq_nocase(v, SLICE_LIT("smtps")) ? ADVISE_YES : ADVISE_NO;
		return true;
	case ROLE_URL:
	case ROLE_DJANGO_URL:
		set_url(s, said, v, role == ROLE_DJANGO_URL);
		return true;
	case ROLE_POSTFIX_LEVEL:
		set_level(said, v);
		return true;
	case ROLE_OLD_MAY:
		said->old_may = truth_of(v);
		return true;
	case ROLE_OLD_MUST:
		said->old_must = truth_of(v);
		return true;
	default:
		return false;
	}
}

static bool take_login(enum advise_role role, const struct advise_pair *p, struct advise_local_server *s,
		       struct advise_said *said)
{
	struct slice v = p->value;

	switch (role) {
	case ROLE_POSTFIX_PASSWORDS:
		s->password = slice_starts(v, SLICE_LIT("static:")) || slice_starts(v, SLICE_LIT("inline:"));
		s->passwords[0] = '\0';
		if (!s->password)
			set_text(s->passwords, sizeof(s->passwords), v);
		return true;
	case ROLE_SASL_OPTIONS:
		said->plain = has(v, "noplaintext") ? ADVISE_NO : ADVISE_YES;
		return true;
	case ROLE_SASL_TLS_OPTIONS:
		said->plain_within_tls = has(v, "noplaintext") ? ADVISE_NO : ADVISE_YES;
		return true;
	case ROLE_LOGIN:
	case ROLE_LOGIN_SET:
		said->login = nothing(v) ? ADVISE_NO : ADVISE_YES;
		return true;
	case ROLE_PASSWORD:
		s->password = p->literal && v.n > 0 && !slice_eq_nocase(v, SLICE_LIT("null")) &&
			      !slice_eq_nocase(v, SLICE_LIT("none"));
		if ((s->password || !p->literal) && said->login == ADVISE_UNSET)
			said->login = ADVISE_YES;
		return true;
	case ROLE_EXIM_SECRET: /* what is looked up stands elsewhere */
		said->secret = said->secret || (v.n > 0 && !has(v, "$"));
		return true;
	default:
		return false;
	}
}

static bool take_trust(enum advise_role role, struct slice v, struct advise_said *said)
{
	switch (role) {
	case ROLE_AUTHORITIES:
		said->authorities = v.n > 0 ? ADVISE_YES : said->authorities;
		return true;
	case ROLE_AUTHORITIES_TOO:
		said->authorities = advise_true(v) ? ADVISE_YES : said->authorities;
		return true;
	case ROLE_VERIFY:
		said->verify = truth_of(v);
		return true;
	case ROLE_VERIFY_OFF:
		said->verify = advise_true(v) ? ADVISE_NO : ADVISE_YES;
		return true;
	case ROLE_VERIFY_SET:
		said->verify = v.n > 0 ? ADVISE_YES : ADVISE_NO;
		return true;
	case ROLE_VERIFY_MODE:
		said->verify = slice_eq_nocase(v, SLICE_LIT("none")) ? ADVISE_NO : ADVISE_YES;
		return true;
	case ROLE_CERT_PATH:
		said->verify = v.n > 0 ? ADVISE_UNSET : ADVISE_NO;
		return true;
	default:
		return false;
	}
}

static void take_rest(enum advise_role role, struct slice v, struct advise_local_server *s,
		      struct advise_said *said)
{
	switch (role) {
	case ROLE_ELSEWHERE:
		if (v.n > 0)
			advise_wrong_add(s, ADVISE_WRONG_UNSURE);
		break;
	case ROLE_MAILER:
		set_mailer(s, said, v);
		break;
	case ROLE_SWITCH:
		said->off = !advise_true(v);
		break;
	case ROLE_SENDMAIL:
		set_command(s, v);
		break;
	case ROLE_DEBIAN_TYPE:
		said->off = !slice_eq(v, SLICE_LIT("smarthost")) && !slice_eq(v, SLICE_LIT("satellite"));
		break;
	case ROLE_CLEAR_TOO:
		said->clear_too = true;
		break;
	default: /* ROLE_OBSOLETE */
		advise_wrong_add(s, ADVISE_WRONG_IS_OBSOLETE);
		break;
	}
}

void advise_take_value(enum advise_local_kind kind, enum advise_role role, const struct advise_pair *p,
		       struct advise_local_server *s, struct advise_said *said)
{
	if (!take_place(role, p->value, s, said) && !take_encryption(kind, role, p->value, s, said) &&
	    !take_login(role, p, s, said) && !take_trust(role, p->value, said))
		take_rest(role, p->value, s, said);
}
