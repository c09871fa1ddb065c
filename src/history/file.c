#include "history/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int history_file_set_aside(const char *path)
{
	static const char *const parts[] = { "", "-wal", "-shm" };
	char from[4096], to[4096];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		snprintf(from, sizeof(from), "%s%s", path, parts[i]);
		snprintf(to, sizeof(to), "%s.damaged%s", path, parts[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static int open_and_look(const struct db_setup *setup, int (*look)(void *arg, struct db *db), void *arg,
			 struct db **ret, char *reterr, size_t reterr_size)
{
	struct db *db;
	int r = db_open(setup, &db, reterr, reterr_size);

	if (r < 0)
		return r;
	r = look(arg, db);
	if (r < 0) {
		snprintf(reterr, reterr_size, "%s", db_error(db));
		db_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

int history_file_open(const struct db_setup *setup, int (*look)(void *arg, struct db *db), void *arg,
		      struct db **ret, bool *ret_aside, char *reterr, size_t reterr_size)
{
	int r = open_and_look(setup, look, arg, ret, reterr, reterr_size);
	bool aside = r == -EBADMSG && history_file_set_aside(setup->path) == 0;

	if (aside)
		r = open_and_look(setup, look, arg, ret, reterr, reterr_size);
	if (r < 0)
		return r;
	*ret_aside = aside;
	return 0;
}

void history_text(struct slice s, char *to, size_t max)
{
	size_t n = s.n < max ? s.n : max;

	for (size_t i = 0; i < n; i++)
		to[i] = (char)(s.p[i] >= 0x20 && s.p[i] < 0x7f ? s.p[i] : '?');
	to[n] = '\0';
}

struct slice history_ip(const struct ip *ip)
{
	return slice_of(ip->byte, ip->family == 4 ? 4 : ip->family == 6 ? 16 : 0);
}

void history_ip_of(struct slice column, struct ip *ret)
{
	*ret = (struct ip){ .family = column.n == 4 ? 4 : column.n == 16 ? 6 : 0 };
	if (ret->family)
		memcpy(ret->byte, column.p, column.n);
}
