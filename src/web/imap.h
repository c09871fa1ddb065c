/* imap.h - looking for one message in a mailbox elsewhere, over IMAP with libcurl.
 *
 * Not a mail program: it lists folders, searches, and reads a header.  Always within TLS, from the first
 * octet or by STARTTLS, with the certificate verified against the host's name.  Calls block, for as long as
 * the setup says; libcurl is loaded by imap_new() (see web.h).  What a server sends is bounded.  A message
 * whose header was read counts as seen.
 */
#ifndef POSTERN_WEB_IMAP_H
#define POSTERN_WEB_IMAP_H

#include "base/buf.h"

#define IMAP_NAME_MAX	 256
#define IMAP_FOLDERS_MAX 1000
#define IMAP_HEADER_MAX	 (1U << 20)
#define IMAP_WORDS	 300

struct imap;

struct imap_setup {
	const char *host;
	uint16_t port;
	bool implicit_tls; /* else STARTTLS, which is required */
	const char *user;
	struct slice secret;
	bool token;		  /* the secret is one of OAuth 2 */
	struct slice authorities; /* PEM; with all above borrowed until imap_free() */
	unsigned timeout_s;	  /* of one call */
};

enum imap_end {
	IMAP_OK,
	IMAP_UNREACHED, /* no name, nobody there, no answer in time */
	IMAP_TLS,	/* no TLS, or not with whom it should be */
	IMAP_LOGIN,
	IMAP_NO_LOGIN, /* the server knows no login of this kind */
	IMAP_REFUSED,  /* the server said no: no such folder */
	IMAP_BROKEN,
	IMAP_NO_MEMORY,
};

/* 0; -ELIBACC: libcurl cannot be loaded, or knows no IMAP; -ENOMEM. */
int imap_new(const struct imap_setup *setup, struct imap **ret, char reterr[static IMAP_WORDS]);
void imap_free(struct imap *i); /* says good-bye to the server; NULL is fine */
/* What was wrong with the last call, in libcurl's words. */
const char *imap_words(const struct imap *i);

/* A folder's name as IMAP has it. */
struct imap_folder {
	char name[IMAP_NAME_MAX];
	bool junk; /* by SPECIAL-USE (RFC 6154), or by its name */
	bool all;  /* holds all messages, also those that are nowhere else */
};
/* Of the first IMAP_FOLDERS_MAX; the caller frees the list. */
enum imap_end imap_folders(struct imap *i, struct imap_folder **ret, size_t *ret_n);
/* One whose subject holds the word, or whose field of this name does: the highest UID; 0: none.  word:
 * letters and digits. */
enum imap_end imap_search(struct imap *i, const char *folder, const char *field, const char *word,
			  uint32_t *ret_uid);
enum imap_end imap_header(struct imap *i, const char *folder, uint32_t uid, struct buf *to);

/* What LIST answers (RFC 3501 7.2.2), one line without its end; an engine.  False: no folder that can be
 * opened. */
bool imap_list_read(struct slice line, struct imap_folder *ret);
/* The last number of SEARCH's answers; 0: none. */
uint32_t imap_search_read(struct slice text);

#endif
