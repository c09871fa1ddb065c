/* file.h - where the configuration's text comes from. */
#ifndef POSTERN_CONF_FILE_H
#define POSTERN_CONF_FILE_H

#include "base/buf.h"

#define CONF_FILE_MAX (1U << 20)

/* The file that is read when none was named: $POSTERN_CONFIG, or /etc/postern/postern.conf for root, else
 * postern/postern.conf below $XDG_CONFIG_HOME or $HOME/.config.  False if the path does
 * not fit, or there is no home. */
bool conf_file_default(bool root, char *ret, size_t size);
/* Reads all of it; -EFBIG over the buffer's ceiling, or another negative errno. */
int conf_file_read(const char *path, struct buf *to);

#endif
