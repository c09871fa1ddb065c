/* lines.h - writes a message to a file, CRLF becoming LF, and counts what it wrote.
 *
 * A CR without LF, or an LF without CR, is kept as it came.  Where the input is
 * cut does not matter.  The first error stays; later calls do nothing.
 */
#ifndef POSTERN_DELIVER_LINES_H
#define POSTERN_DELIVER_LINES_H

#include "deliver/fs.h"

#define LINES_BUFFER 16384

struct lines {
	const struct deliver_fs *fs;
	int fd;
	int error;
	bool cr; /* a CR came; whether it goes is known with the next octet */
	unsigned char last;
	size_t n;
	uint64_t size;	  /* of the file */
	uint64_t virtual; /* with every line end as CRLF, as IMAP counts */
	unsigned char buffer[LINES_BUFFER];
};

void lines_init(struct lines *l, const struct deliver_fs *fs, int fd);
void lines_put(struct lines *l, struct slice s);
/* The message is over: what is held back goes to the file.  0 or negative errno. */
int lines_end(struct lines *l);

#endif
