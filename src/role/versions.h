/* versions.h - the libraries this program runs with, as they name themselves at run time. */
#ifndef POSTERN_ROLE_VERSIONS_H
#define POSTERN_ROLE_VERSIONS_H

#include <stddef.h>

#define VERSIONS_MAX 10

struct version {
	const char *name;
	char text[64];
};

size_t versions(struct version ret[static VERSIONS_MAX]);

#endif
