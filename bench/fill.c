/* bench-fill DIR N - puts N deferred messages into the spool in DIR, as a long outage of large sites leaves
 * them.
 *
 * Those of queue/test_deferred.h, by a process that ends before the server starts.  Not a part of what is
 * measured. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "queue/test_deferred.h"

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench-fill: %s: %s\n", what, strerror(-r));
	exit(1);
}

int main(int argc, char **argv)
{
	unsigned messages = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	struct spool *sp;

	if (messages == 0) {
		fprintf(stderr, "usage: bench-fill DIR N\n");
		return 2;
	}
	must(deferred_open(argv[1], &sp), argv[1]);
	must(deferred_fill(sp, messages, "test", false, deferred_now_ms()), "filling it");
	must(spool_sync_now(sp), "sync");
	spool_close(sp);
	return 0;
}
