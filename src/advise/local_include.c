/* local_include.c - files that a configuration takes in. */
#include "advise/local_include.h"

#include <string.h>

#include "advise/local_private.h"
#include "base/buf.h"

/* ---- by what stands in it ---- */

/* "path", with the quotes that Exim allows. */
static bool keep_path(struct slice path, struct advise_include *ret)
{
	if (path.n >= 2 && path.p[0] == '"' && path.p[path.n - 1] == '"')
		path = slice_head(slice_tail(path, 1), path.n - 2);
	return path.n > 0 && slice_copy(path, ret->path, sizeof(ret->path)) &&
	       strlen(ret->path) == path.n; /* a NUL is no part of a name */
}

/* .include FILE, .include_if_exists FILE */
static bool exim_include(const struct advise_pair *p, const struct advise_macros *m,
			 struct advise_include *ret)
{
	char room[ADVISE_EXPANDED];
	struct slice path = p->value;

	if (!p->directive)
		return false;
	ret->optional = slice_eq(p->key, SLICE_LIT("include_if_exists"));
	if (!ret->optional && !slice_eq(p->key, SLICE_LIT("include")))
		return false;
	(void)advise_macros_expand(m, &path, room);
	return keep_path(path, ret);
}

/* [include] path = FILE, [includeIf "gitdir:~/office/"] path = FILE */
static bool git_include(const struct advise_pair *p, struct advise_include *ret)
{
	bool when = slice_eq_nocase(p->section, SLICE_LIT("includeIf"));

	if (!slice_eq_nocase(p->key, SLICE_LIT("path")) ||
	    (!when && !slice_eq_nocase(p->section, SLICE_LIT("include"))))
		return false;
	ret->optional = true;
	if (when) {
		(void)slice_copy(slice_head(p->sub, sizeof(ret->when) - 1), ret->when, sizeof(ret->when));
		advise_printable(ret->when);
	}
	return keep_path(p->value, ret);
}

/* multi_instance_directories = /etc/postfix-out, ...; the nth of them. */
static bool postfix_instance(const struct advise_pair *p, size_t nth, struct advise_include *ret)
{
	struct slice rest = p->value;

	if (!slice_eq(p->key, SLICE_LIT("multi_instance_directories")))
		return false;
	while (rest.n > 0) {
		size_t n = 0;

		while (n < rest.n && !strchr(", \t\r\n", rest.p[n]))
			n++;
		if (n > 0 && nth-- == 0) {
			struct buf b;

			buf_init_in(&b, ret->path, sizeof(ret->path) - 1);
			buf_put(&b, slice_head(rest, n));
			buf_str(&b, "/main.cf");
			ret->path[buf_slice(&b).n] = '\0';
			ret->apart = true;
			return buf_ok(&b);
		}
		rest = slice_tail(rest, n + (n < rest.n));
	}
	return false;
}

static size_t end_of_line(struct slice text, const struct advise_pair *p)
{
	const unsigned char *from = p->value.p >= text.p && p->value.p <= text.p + text.n
					    ? p->value.p + p->value.n
					    : p->key.p + p->key.n;
	size_t at = (size_t)(from - text.p);

	at += slice_find(slice_tail(text, at), '\n');
	return at < text.n ? at + 1 : text.n;
}

bool advise_include_next(enum advise_local_kind kind, struct slice text, size_t *at,
			 struct advise_include *ret)
{
	struct advise_macros macros = { .n = 0 };
	struct advise_pairs pairs;
	struct advise_include inc;
	struct advise_pair p;
	bool is = false;

	if (kind != ADVISE_LOCAL_EXIM && kind != ADVISE_LOCAL_GIT && kind != ADVISE_LOCAL_POSTFIX)
		return false;
	text = slice_head(text, ADVISE_LOCAL_MAX);
	advise_pairs_init(&pairs, advise_local_syntax(kind), text);
	while (!is && advise_pairs_next(&pairs, &p)) {
		inc = (struct advise_include){ .line = p.line };
		if (kind == ADVISE_LOCAL_EXIM && advise_is_macro(p.key))
			advise_macros_set(&macros, p.key, p.value);
		if (kind == ADVISE_LOCAL_POSTFIX) { /* *at counts them */
			is = postfix_instance(&p, *at, &inc);
			continue;
		}
		inc.end = end_of_line(text, &p);
		if (inc.end > *at)
			is = kind == ADVISE_LOCAL_EXIM ? exim_include(&p, &macros, &inc)
						       : git_include(&p, &inc);
	}
	if (!is)
		return false;
	*at = inc.apart ? *at + 1 : inc.end;
	*ret = inc;
	return true;
}

/* ---- by where they lie ---- */

const char *advise_local_with(enum advise_local_kind kind, struct slice text)
{
	struct advise_pairs pairs;
	struct advise_pair p;
	bool split = false;

	if (kind == ADVISE_LOCAL_PHP_INI)
		return "conf.d/*.ini php.d/*.ini php/*.ini pool.d/*.conf php-fpm.d/*.conf "
		       "../php-fpm.d/*.conf";
	if (kind != ADVISE_LOCAL_EXIM_DEBIAN)
		return "";
	advise_pairs_init(&pairs, ADVISE_SHELL, slice_head(text, ADVISE_LOCAL_MAX));
	while (advise_pairs_next(&pairs, &p))
		if (slice_eq(p.key, SLICE_LIT("dc_use_split_config")))
			split = slice_eq(p.value, SLICE_LIT("true"));
	return split ? "conf.d/main/* conf.d/acl/* conf.d/router/* conf.d/transport/* conf.d/retry/* "
		       "conf.d/rewrite/* conf.d/auth/*"
		     : "exim4.conf.localmacros exim4.conf.template";
}

const char *advise_local_before(enum advise_local_kind kind, struct slice name, size_t i,
				char to[static ADVISE_LOCAL_NAME])
{
	size_t last = slice_rfind(name, '.');

	to[0] = '\0';
	if (kind != ADVISE_LOCAL_DOTENV || !slice_starts(name, SLICE_LIT(".env.")))
		return to;
	if (i == 0)
		memcpy(to, ".env", sizeof(".env"));
	else if (i == 1 && last > strlen(".env") && slice_eq(slice_tail(name, last), SLICE_LIT(".local")))
		(void)slice_copy(slice_head(name, last), to, ADVISE_LOCAL_NAME); /* .env.production */
	return to;
}

bool advise_local_with_takes(enum advise_local_kind kind, struct slice name)
{
	if (kind != ADVISE_LOCAL_EXIM_DEBIAN || slice_starts(name, SLICE_LIT("exim4.conf.")))
		return true;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '-'))
			return false;
	}
	return name.n > 0;
}
