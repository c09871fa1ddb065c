/* local_rows.c - the tables of local.def: kinds of files, and the settings that are known in them. */
#include <string.h>

#include "advise/local_private.h"

static const struct {
	const char *name, *title;
	enum advise_syntax syntax;
	const char *beside, *paths;
} kinds[] = {
#define KIND(code, name, title, syntax, beside, paths) { name, title, ADVISE_##syntax, beside, paths },
#define KEY(kind, section, key, role)
#define AIM(kind, section, key, role, implicit, starttls, usual, only)
#define WRONG(code, name, level, mend, what, change)
#include "advise/local.def"
#undef KIND
#undef KEY
#undef AIM
};

static const struct advise_row rows[] = {
#define KIND(code, name, title, syntax, beside, paths)
#define KEY(kind, section, key, role) \
	{ ADVISE_LOCAL_##kind, section, key, ROLE_##role, NULL, NULL, NULL, NULL },
#define AIM(kind, section, key, role, implicit, starttls, usual, only) \
	{ ADVISE_LOCAL_##kind, section, key, ROLE_##role, implicit, starttls, usual, only },
#include "advise/local.def"
#undef KIND
#undef KEY
#undef AIM
#undef WRONG
};

size_t advise_rows(void)
{
	return sizeof(rows) / sizeof(rows[0]);
}

const struct advise_row *advise_row(size_t key)
{
	return &rows[key];
}

const struct advise_set *advise_set_of(const struct advise_local_server *s, size_t key)
{
	for (size_t i = 0; i < s->n_sets; i++)
		if (s->set[i].key == key)
			return &s->set[i];
	return NULL;
}

size_t advise_row_find(enum advise_local_kind kind, struct slice section, struct slice key)
{
	size_t i = 0;

	while (i < advise_rows() &&
	       (rows[i].kind != kind || !slice_eq_nocase(key, slice_str(rows[i].key)) ||
		(rows[i].section[0] && !slice_eq_nocase(section, slice_str(rows[i].section)))))
		i++;
	return i;
}

struct slice advise_row_group(enum advise_local_kind kind, enum advise_role role, struct slice key)
{
	if (kind != ADVISE_LOCAL_DOTENV && kind != ADVISE_LOCAL_WORDPRESS)
		return (struct slice){ 0 };
	return role == ROLE_URL || role == ROLE_DJANGO_URL ? key : slice_head(key, slice_find(key, '_'));
}

enum advise_syntax advise_local_syntax(enum advise_local_kind kind)
{
	return kinds[kind].syntax;
}

enum advise_local_kind advise_written_as(enum advise_local_kind kind, uint16_t file)
{
	return kind == ADVISE_LOCAL_EXIM_DEBIAN && file > 0 ? ADVISE_LOCAL_EXIM : kind;
}

const char *advise_local_then(enum advise_local_kind kind)
{
	return kind == ADVISE_LOCAL_EXIM_DEBIAN ? "then run update-exim4.conf, and restart exim4" : "";
}

const char *advise_local_kind_name(enum advise_local_kind kind)
{
	return kinds[kind].name;
}

const char *advise_local_kind_title(enum advise_local_kind kind)
{
	return kinds[kind].title;
}

const char *advise_local_kind_beside(enum advise_local_kind kind)
{
	return kinds[kind].beside;
}

const char *advise_local_kind_paths(enum advise_local_kind kind)
{
	return kinds[kind].paths;
}

static bool ends_with(struct slice path, const char *end)
{
	size_t n = strlen(end);

	return path.n >= n && slice_eq_nocase(slice_tail(path, path.n - n), slice_str(end));
}

enum advise_local_kind advise_local_kind_of(struct slice path)
{
	/* A name alone, or with the folder that it is in. */
	static const struct {
		const char *end;
		enum advise_local_kind kind;
	} names[] = {
		{ "/main.cf", ADVISE_LOCAL_POSTFIX },
		{ "/update-exim4.conf.conf", ADVISE_LOCAL_EXIM_DEBIAN },
		{ "/exim4.conf", ADVISE_LOCAL_EXIM },
		{ "/exim.conf", ADVISE_LOCAL_EXIM },
		{ "/exim/configure", ADVISE_LOCAL_EXIM },
		{ "/.msmtprc", ADVISE_LOCAL_MSMTP },
		{ "/msmtprc", ADVISE_LOCAL_MSMTP },
		{ "/msmtp/config", ADVISE_LOCAL_MSMTP },
		{ "/php.ini", ADVISE_LOCAL_PHP_INI },
		{ "/wp-config.php", ADVISE_LOCAL_WORDPRESS },
		{ "/.env", ADVISE_LOCAL_DOTENV },
		{ "/settings.py", ADVISE_LOCAL_DJANGO },
		{ "/.gitconfig", ADVISE_LOCAL_GIT },
		{ "/gitconfig", ADVISE_LOCAL_GIT },
		{ "/git/config", ADVISE_LOCAL_GIT },
		{ "/.git/config", ADVISE_LOCAL_GIT },
	};
	size_t at = slice_rfind(path, '/');
	struct slice name = at < path.n ? slice_tail(path, at + 1) : path;
	struct slice folder = at < path.n ? slice_head(path, at) : (struct slice){ 0 };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (ends_with(path, names[i].end) || slice_eq(name, slice_str(names[i].end + 1)))
			return names[i].kind;
	if (ends_with(name, ".conf") && (ends_with(folder, "/pool.d") || ends_with(folder, "/php-fpm.d")))
		return ADVISE_LOCAL_PHP_INI;
	if (slice_starts(name, SLICE_LIT(".env.")))
		return ADVISE_LOCAL_DOTENV;
	if (ends_with(name, ".py") && ends_with(folder, "/settings"))
		return ADVISE_LOCAL_DJANGO;
	if (slice_starts(name, SLICE_LIT("config-")) && ends_with(name, ".php") &&
	    ends_with(folder, "/wordpress"))
		return ADVISE_LOCAL_WORDPRESS;
	return ADVISE_LOCAL_KINDS;
}

enum advise_local_kind advise_local_kind_by(struct slice text)
{
	enum advise_local_kind best = ADVISE_LOCAL_KINDS;
	size_t most = 1; /* one known word can be chance */

	for (unsigned k = 0; k < ADVISE_LOCAL_KINDS; k++) {
		struct advise_pairs pairs;
		struct advise_pair p;
		size_t known = 0;

		advise_pairs_init(&pairs, kinds[k].syntax, slice_head(text, ADVISE_LOCAL_MAX));
		while (advise_pairs_next(&pairs, &p))
			known += advise_row_find((enum advise_local_kind)k, p.section, p.key) < advise_rows();
		if (known > most) {
			best = (enum advise_local_kind)k;
			most = known;
		}
	}
	return best;
}
