/* local_words.c - findings as sentences, with the setting that each is about. */
#include <stdio.h>
#include <string.h>

#include "advise/local_private.h"
#include "base/buf.h"

static const struct {
	const char *name;
	enum advise_level level;
	const char *what, *change;
} wrongs[] = {
#define KIND(code, name, title, syntax, beside, paths)
#define KEY(kind, section, key, role)
#define AIM(kind, section, key, role, implicit, starttls, usual, only)
#define WRONG(code, name, level, mend, what, change) { name, ADVISE_##level, what, change },
#include "advise/local.def"
#undef KIND
#undef KEY
#undef AIM
#undef WRONG
};

/* Whose setting a finding is about, by role: the first that is set.  What is not here is about none. */
static const struct {
	enum advise_wrong wrong;
	enum advise_role role[14]; /* ROLES: the end */
} about[] = {
#define TLS_FIRST \
	ROLE_IMPLICIT, ROLE_SSL_TLS, ROLE_SECURE, ROLE_SCHEME, ROLE_URL, ROLE_DJANGO_URL, ROLE_STARTTLS, ROLES
#define TLS_LATER                                                                                       \
	ROLE_SSL_TLS, ROLE_LARAVEL, ROLE_SECURE, ROLE_SCHEME, ROLE_URL, ROLE_DJANGO_URL, ROLE_STARTTLS, \
		ROLE_POSTFIX_LEVEL, ROLE_REQUIRE, ROLE_OLD_MUST, ROLE_OLD_MAY, ROLE_ENCRYPTED, ROLES
	{ ADVISE_WRONG_PORT_25, { ROLE_PORT, ROLE_HOST_BRACKETS, ROLE_HOST_COLONS, ROLE_URL, ROLES } },
	{ ADVISE_WRONG_STARTTLS_ON_465, { TLS_LATER } },
	{ ADVISE_WRONG_TLS_ON_587, { TLS_FIRST } },
	{ ADVISE_WRONG_PASSWORD_IN_CLEAR, { ROLE_ENCRYPTED, TLS_LATER } },
	{ ADVISE_WRONG_TLS_OPTIONAL, { TLS_LATER } },
	{ ADVISE_WRONG_NO_TLS, { ROLE_ENCRYPTED, TLS_LATER } },
	{ ADVISE_WRONG_UNVERIFIED,
	  { ROLE_VERIFY, ROLE_VERIFY_OFF, ROLE_VERIFY_MODE, ROLE_VERIFY_SET, ROLE_CERT_PATH,
	    ROLE_POSTFIX_LEVEL, ROLE_URL, ROLES } },
	{ ADVISE_WRONG_READABLE,
	  { ROLE_PASSWORD, ROLE_URL, ROLE_DJANGO_URL, ROLE_POSTFIX_PASSWORDS, ROLES } },
	{ ADVISE_WRONG_BOTH, { ROLE_IMPLICIT, ROLES } },
	{ ADVISE_WRONG_IS_OBSOLETE, { ROLE_OBSOLETE, ROLES } },
	{ ADVISE_WRONG_LARAVEL_SSL, { ROLE_LARAVEL, ROLES } },
	{ ADVISE_WRONG_LOGIN_OFF, { ROLE_LOGIN, ROLE_POSTFIX_PASSWORDS, ROLES } },
	{ ADVISE_WRONG_NO_PLAIN, { ROLE_SASL_TLS_OPTIONS, ROLE_SASL_OPTIONS, ROLES } },
	{ ADVISE_WRONG_WRAPPER_ALONE, { ROLE_IMPLICIT, ROLES } },
	{ ADVISE_WRONG_NO_AUTHORITIES, { ROLE_POSTFIX_LEVEL, ROLES } },
	{ ADVISE_WRONG_NO_ENTRY, { ROLE_POSTFIX_PASSWORDS, ROLES } },
	{ ADVISE_WRONG_POSTMAP, { ROLE_POSTFIX_PASSWORDS, ROLES } },
	{ ADVISE_WRONG_LOOKS_UP_MX, { ROLE_HOST_BRACKETS, ROLES } },
	{ ADVISE_WRONG_NO_DASH_T, { ROLE_SENDMAIL, ROLES } },
	{ ADVISE_WRONG_NO_PROGRAM, { ROLE_SENDMAIL, ROLES } },
	{ ADVISE_WRONG_WINDOWS, { ROLE_WINDOWS_HOST, ROLES } },
	{ ADVISE_WRONG_NOT_SMTP, { ROLE_MAILER, ROLE_URL, ROLE_DJANGO_URL, ROLES } },
#undef TLS_FIRST
#undef TLS_LATER
};

static const struct advise_set *set_of(enum advise_role role, const struct advise_local_server *s)
{
	for (size_t i = 0; i < s->n_sets; i++)
		if (advise_row(s->set[i].key)->role == role)
			return &s->set[i];
	return NULL;
}

const struct advise_set *advise_wrong_set(enum advise_wrong wrong, const struct advise_local_server *s)
{
	for (size_t i = 0; i < sizeof(about) / sizeof(about[0]); i++)
		if (about[i].wrong == wrong)
			for (size_t k = 0; about[i].role[k] != ROLES; k++)
				if (set_of(about[i].role[k], s))
					return set_of(about[i].role[k], s);
	return NULL;
}

unsigned advise_wrong_line(enum advise_wrong wrong, const struct advise_local_server *s)
{
	const struct advise_set *set = advise_wrong_set(wrong, s);

	return set && !set->beside ? set->line : 0;
}

uint16_t advise_wrong_file(enum advise_wrong wrong, const struct advise_local_server *s)
{
	const struct advise_set *set = advise_wrong_set(wrong, s);

	return set && !set->beside ? set->file : 0;
}

const char *advise_set_key(const struct advise_set *set)
{
	return advise_row(set->key)->key;
}

/* PHP and Python quote what is no number and no truth. */
static void quoted(struct buf *to, struct slice value)
{
	static const char *const plain[] = { "true", "false", "none", "null" };
	struct slice rest = value;
	uint64_t n;
	bool bare = cur_u64(&rest, UINT32_MAX, &n) && rest.n == 0;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		bare = bare || slice_eq_nocase(value, slice_str(plain[i]));
	buf_fmt(to, bare ? "%.*s" : "'%.*s'", SLICE_ARG(value));
}

void advise_setting(struct buf *to, enum advise_local_kind kind, const char *key, struct slice value)
{
	switch (advise_local_syntax(kind)) {
	case ADVISE_SHELL:
		buf_fmt(to, "%s=%.*s", key, SLICE_ARG(value));
		break;
	case ADVISE_WORDS:
		buf_fmt(to, "%s %.*s", key, SLICE_ARG(value));
		break;
	case ADVISE_DEFINES:
		buf_fmt(to, "define( '%s', ", key);
		quoted(to, value);
		buf_str(to, " );");
		break;
	case ADVISE_PYTHON:
		buf_fmt(to, "%s = ", key);
		quoted(to, value);
		break;
	default:
		buf_fmt(to, "%s = %.*s", key, SLICE_ARG(value));
		break;
	}
}

/* As it stands, or its name where its value is not to be shown. */
static void put_set(struct buf *to, const struct advise_local *l, const struct advise_set *set)
{
	if (set->value[0])
		advise_setting(to, advise_written_as(l->kind, set->file), advise_row(set->key)->key,
			       slice_str(set->value));
	else
		buf_str(to, advise_row(set->key)->key);
}

static void put_now(struct buf *to, enum advise_wrong wrong, const struct advise_local *l,
		    const struct advise_local_server *s)
{
	const struct advise_set *set = advise_wrong_set(wrong, s);

	if (!set) {
		buf_str(to, "nothing is set for it");
		return;
	}
	buf_byte(to, '`');
	put_set(to, l, set);
	buf_byte(to, '`');
	if (set->computed)
		buf_str(to, ", which is computed");
	if (set->beside)
		buf_fmt(to, " in %s", advise_local_kind_beside(l->kind));
}

/* The one that decides about encryption. */
static const struct advise_set *deciding(const struct advise_local_server *s)
{
	enum advise_wrong by = s->security == ADVISE_SECURITY_IMPLICIT ? ADVISE_WRONG_TLS_ON_587
			       : s->security == ADVISE_SECURITY_NONE   ? ADVISE_WRONG_NO_TLS
								       : ADVISE_WRONG_STARTTLS_ON_465;

	return advise_wrong_set(by, s);
}

uint16_t advise_local_setting_file(const struct advise_local_server *s)
{
	const struct advise_set *set = deciding(s);

	return set && !set->beside ? set->file : 0;
}

unsigned advise_local_setting(const struct advise_local *l, const struct advise_local_server *s, char *to,
			      size_t size)
{
	const struct advise_set *set = deciding(s);
	struct buf b;

	buf_init_in(&b, to, size - 1);
	if (set)
		put_set(&b, l, set);
	to[buf_slice(&b).n] = '\0';
	return set && !set->beside ? set->line : 0;
}

const char *advise_wrong_what(enum advise_wrong wrong, const struct advise_local *l,
			      const struct advise_local_server *s, char *to, size_t size)
{
	struct slice t = slice_str(wrongs[wrong].what);
	struct buf b;

	buf_init_in(&b, to, size - 1);
	while (t.n > 0) {
		if (cur_word(&t, SLICE_LIT("{port}"))) {
			buf_dec(&b, s->port, 1);
		} else if (cur_word(&t, SLICE_LIT("{now}"))) {
			put_now(&b, wrong, l, s);
		} else {
			buf_byte(&b, t.p[0]);
			t = slice_tail(t, 1);
		}
	}
	to[buf_slice(&b).n] = '\0';
	return to;
}

const char *advise_wrong_name(enum advise_wrong wrong)
{
	return wrongs[wrong].name;
}

enum advise_level advise_wrong_level(enum advise_wrong wrong)
{
	return wrongs[wrong].level;
}

const char *advise_wrong_change(enum advise_wrong wrong)
{
	return wrongs[wrong].change;
}

const char *advise_level_name(enum advise_level level)
{
	static const char *const names[] = { "note", "warning", "problem" };

	return names[level];
}

const char *advise_security_name(enum advise_security security)
{
	static const char *const names[] = { "unknown", "none", "STARTTLS if offered", "STARTTLS",
					     "SSL/TLS" };

	return names[security];
}
