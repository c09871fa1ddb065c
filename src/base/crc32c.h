/* crc32c.h - the Castagnoli checksum (RFC 3720 appendix B.4), over pieces.
 *
 * Start with 0 and pass the result on: crc32c(crc32c(0, a), b) is that of both.
 * Detects decay, not malice.
 */
#ifndef POSTERN_BASE_CRC32C_H
#define POSTERN_BASE_CRC32C_H

#include "base/slice.h"

uint32_t crc32c(uint32_t crc, struct slice s);
/* The same without the processor's instruction; for tests. */
uint32_t crc32c_portable(uint32_t crc, struct slice s);

#endif
