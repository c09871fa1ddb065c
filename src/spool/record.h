/* record.h - the bytes of the spool's files: encoding, decoding, scanning.
 *
 * Pure: no file is touched here.  Numbers are little-endian (base/wire.h).  A
 * file is a head of 32 octets and records; a record is a head of 32 octets, a
 * payload, and zeros up to a multiple of 8.  Every head carries the file's
 * random nonce: when a scan has lost its place and searches for the next
 * record it may look at a stranger's message, who must not be able to plant
 * one there.
 *
 * A sealed segment ends with an index record and a trailer of 32 octets.
 * doc/spool.md has it byte by byte.
 */
#ifndef POSTERN_SPOOL_RECORD_H
#define POSTERN_SPOOL_RECORD_H

#include "base/buf.h"
#include "base/id.h"

#define RECORD_HEAD	    32
#define RECORD_FILE_HEAD    32
#define RECORD_TRAILER	    32
#define RECORD_MESSAGE_HEAD 56
#define RECORD_PAYLOAD_MAX  (64U << 20)
#define RECORD_BLOCK	    65536U /* of a body, with one checksum */
#define RECORD_RECIPIENTS   1000000U

enum record_file { RECORD_FILE_SEGMENT = 1, RECORD_FILE_LOG = 2 };

enum record_type {
	RECORD_MESSAGE = 1,
	RECORD_INDEX = 2,
	RECORD_OUTCOME = 3,
	RECORD_MARK = 4,
	RECORD_GONE = 5,     /* all recipients done; the message's record may still be in a segment */
	RECORD_SEGMENT = 6,  /* a segment was begun, or deleted */
	RECORD_SNAPSHOT = 7, /* forget what earlier logs said */
};

static inline size_t record_size(size_t payload)
{
	return (RECORD_HEAD + payload + 7) & ~(size_t)7;
}

void record_file_head(unsigned char to[static RECORD_FILE_HEAD], enum record_file kind, uint64_t number,
		      uint64_t nonce);
/* The nonce; from the first record when only the file's head is damaged. */
bool record_file_nonce(struct slice file, enum record_file kind, uint64_t number, uint64_t *ret);

/* durable: all before this offset was on the disk when the record was written. */
void record_head(unsigned char to[static RECORD_HEAD], uint64_t nonce, enum record_type type, size_t length,
		 uint64_t durable, uint32_t payload_crc);

/* --- scanning --- */

enum record_scan {
	RECORD_GOOD,
	RECORD_BROKEN, /* its head is good, its payload is not */
	RECORD_HOLE,   /* no record begins here; up to the next one, or the end */
	RECORD_END,
};

struct record_scanner {
	struct slice file;
	uint64_t nonce;
	uint64_t at; /* next */
};

struct record {
	enum record_type type;
	uint64_t at, n; /* place and size in the file */
	uint64_t durable;
	struct slice payload; /* of RECORD_BROKEN too */
};

enum record_scan record_next(struct record_scanner *s, struct record *ret);
/* A record read on its own from where the index says it is. */
bool record_whole(struct slice bytes, struct record *ret);

/* --- a message --- */

struct record_message {
	struct id id;
	bool own_file;
	uint32_t recipients;
	uint64_t time_ms, body_size;
	uint32_t envelope, headers; /* their sizes */
	uint32_t blocks;
	uint32_t meta_crc; /* of envelope and headers */
};

/* The payload: head, block checksums, envelope, headers (then the body, unless in its own file). */
void record_put_message(struct buf *to, const struct record_message *m, const uint32_t *block,
			struct slice envelope, struct slice headers);
/* From the first RECORD_MESSAGE_HEAD octets; whether the checksum fits is told apart,
 * as it takes the block checksums that follow. */
bool record_get_message(struct slice payload, struct record_message *ret);
bool record_message_intact(struct slice head_and_blocks);
/* Where in the payload the parts begin. */
static inline uint64_t record_meta_at(const struct record_message *m)
{
	return RECORD_MESSAGE_HEAD + 4 * (uint64_t)m->blocks;
}
static inline uint64_t record_body_at(const struct record_message *m)
{
	return record_meta_at(m) + m->envelope + m->headers;
}

/* --- the index of a sealed segment --- */

struct record_line {
	struct id id;
	bool own_file, damaged;
	uint32_t recipients;
	uint64_t time_ms, body_size;
	uint32_t at, length; /* of the record's head; of its payload */
};

void record_put_line(struct buf *to, const struct record_line *line);
bool record_get_line(struct slice *cur, struct record_line *ret);
/* In front of the lines. */
void record_put_index(struct buf *to, uint32_t lines, uint32_t holes);
bool record_get_index(struct slice *cur, uint32_t *ret_lines, uint32_t *ret_holes);
void record_trailer(unsigned char to[static RECORD_TRAILER], uint64_t nonce, uint64_t index_at);
bool record_get_trailer(struct slice trailer, uint64_t *ret_nonce, uint64_t *ret_index_at);

/* --- the log of outcomes --- */

struct record_event {
	enum record_type type;
	struct id id;	    /* not of RECORD_SEGMENT, RECORD_SNAPSHOT */
	uint8_t what;	    /* an enum spool_outcome or spool_mark; for RECORD_SEGMENT: 1 begun, 2 deleted */
	uint32_t recipient; /* of OUTCOME and MARK */
	uint64_t number;    /* milliseconds since 1970; or of the segment */
	struct slice detail;
};

void record_put_event(struct buf *to, const struct record_event *e);
bool record_get_event(enum record_type type, struct slice payload, struct record_event *ret);

#endif
