/* memory.h - a text that is too large for a message travels as a file in memory.
 *
 * The descriptor goes along with the message that says what it is.  All who hold it
 * share one offset, so it is read with pread only.
 */
#ifndef POSTERN_IPC_MEMORY_H
#define POSTERN_IPC_MEMORY_H

#include "base/buf.h"

/* A sealed file, close-on-exec; name is for /proc.  The caller's to close; negative errno. */
int ipc_memory_file(const char *name, struct slice content);
/* Appends all of it.  0, -EFBIG over the buffer's ceiling, or negative errno. */
int ipc_memory_read(int fd, struct buf *to);

#endif
