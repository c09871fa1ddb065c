/* wire.h - numbers and byte strings in messages between processes and in files.
 *
 * Little-endian, no padding, a length of 32 bits in front of each byte string.
 * Readers are cursors: false, and nothing moved, when the bytes run out or a
 * string is longer than the caller allows.
 */
#ifndef POSTERN_BASE_WIRE_H
#define POSTERN_BASE_WIRE_H

#include "base/buf.h"

void wire_put_u8(struct buf *b, uint8_t v);
void wire_put_u16(struct buf *b, uint16_t v);
void wire_put_u32(struct buf *b, uint32_t v);
void wire_put_u64(struct buf *b, uint64_t v);
void wire_put_bytes(struct buf *b, struct slice s);

bool wire_u8(struct slice *cur, uint8_t *ret);
bool wire_u16(struct slice *cur, uint16_t *ret);
bool wire_u32(struct slice *cur, uint32_t *ret);
bool wire_u64(struct slice *cur, uint64_t *ret);
bool wire_bytes(struct slice *cur, size_t max, struct slice *ret);

#endif
