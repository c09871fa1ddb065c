#include "web/imap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web/curl.h"

#define ANSWER_MAX (1U << 20)
#define URL_MAX	   2048

struct imap {
	struct curl curl;
	CURL *easy;
	struct curl_blob authorities;
	struct imap_setup setup;
	char *secret; /* with its NUL */
	struct buf got;
	char words[CURL_ERROR_SIZE];
	CURLcode last;
	bool no_login; /* the server offers no mechanism that will do */
};

static size_t on_octets(char *p, size_t size, size_t n, void *arg)
{
	struct imap *i = arg;

	buf_put(&i->got, slice_of(p, size * n));
	return buf_ok(&i->got) ? size * n : 0;
}

/* libcurl has no number for it, but says so, in one of its versions' words.  What goes over the wire comes by
 * here, too, and is not looked at. */
static int on_said(CURL *easy, curl_infotype type, char *text, size_t n, void *arg)
{
	static const char *const words[] = { "authentication mechanisms supported", "no auth mechanism" };
	struct imap *i = arg;

	(void)easy;
	for (size_t k = 0; type == CURLINFO_TEXT && k < sizeof(words) / sizeof(words[0]); k++)
		if (memmem(text, n, words[k], strlen(words[k])))
			i->no_login = true;
	return 0;
}

static bool knows_imap(const curl_version_info_data *v)
{
	for (const char *const *p = v->protocols; *p; p++)
		if (!strcmp(*p, "imaps"))
			return true;
	return false;
}

static bool set_up(struct imap *i)
{
	const struct imap_setup *s = &i->setup;
	CURLcode r = CURLE_OK;

#define SET(option, ...)   \
	if (r == CURLE_OK) \
	r = i->curl.easy_setopt(i->easy, CURLOPT_##option, __VA_ARGS__)
	SET(ERRORBUFFER, i->words);
	SET(WRITEFUNCTION, on_octets);
	SET(WRITEDATA, i);
	SET(DEBUGFUNCTION, on_said);
	SET(DEBUGDATA, i);
	SET(VERBOSE, 1L);
	SET(NOSIGNAL, 1L);
	SET(PROXY, "");
	SET(NETRC, (long)CURL_NETRC_IGNORED);
	SET(TIMEOUT, (long)s->timeout_s);
	SET(CONNECTTIMEOUT, (long)s->timeout_s);
	SET(USE_SSL, (long)CURLUSESSL_ALL);
	SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(SSL_VERIFYPEER, 1L);
	SET(SSL_VERIFYHOST, 2L);
	SET(CAINFO, NULL);
	SET(CAPATH, NULL);
	SET(CAINFO_BLOB, &i->authorities);
	SET(USERNAME, s->user);
	if (s->token) {
		SET(XOAUTH2_BEARER, i->secret);
		/* Else a server that takes passwords only would be given an empty one. */
		SET(LOGIN_OPTIONS, "AUTH=OAUTHBEARER;AUTH=XOAUTH2");
	} else {
		SET(PASSWORD, i->secret);
	}
#undef SET
	return r == CURLE_OK;
}

int imap_new(const struct imap_setup *setup, struct imap **ret, char reterr[static IMAP_WORDS])
{
	struct imap *i = calloc(1, sizeof(*i));

	snprintf(reterr, IMAP_WORDS, "out of memory");
	if (!i)
		return -ENOMEM;
	if (!curl_load(&i->curl, reterr, IMAP_WORDS)) {
		free(i);
		return -ELIBACC;
	}
	i->setup = *setup;
	buf_init(&i->got, ANSWER_MAX);
	i->authorities = (struct curl_blob){ .data = (void *)(uintptr_t)setup->authorities.p,
					     .len = setup->authorities.n,
					     .flags = CURL_BLOB_COPY };
	if (!knows_imap(i->curl.version_info(CURLVERSION_NOW))) {
		snprintf(reterr, IMAP_WORDS, "this machine's libcurl was built without IMAP");
		imap_free(i);
		return -ELIBACC;
	}
	i->secret = slice_dup(setup->secret);
	i->easy = i->secret ? i->curl.easy_init() : NULL;
	if (!i->easy || !set_up(i)) {
		imap_free(i);
		return -ENOMEM;
	}
	*ret = i;
	return 0;
}

void imap_free(struct imap *i)
{
	if (!i)
		return;
	if (i->easy)
		i->curl.easy_cleanup(i->easy);
	if (i->secret) {
		explicit_bzero(i->secret, strlen(i->secret));
		free(i->secret);
	}
	buf_done(&i->got);
	free(i);
}

const char *imap_words(const struct imap *i)
{
	return i->words[0] ? i->words : i->curl.easy_strerror(i->last);
}

/* ---- a call ---- */

static enum imap_end end_of(const struct imap *i)
{
	switch (i->last) {
	case CURLE_OK:
		return IMAP_OK;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_OPERATION_TIMEDOUT:
		return IMAP_UNREACHED;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_USE_SSL_FAILED:
		return IMAP_TLS;
	case CURLE_LOGIN_DENIED:
		return i->no_login ? IMAP_NO_LOGIN : IMAP_LOGIN;
	case CURLE_QUOTE_ERROR:
	case CURLE_REMOTE_FILE_NOT_FOUND:
	case CURLE_REMOTE_ACCESS_DENIED:
		return IMAP_REFUSED;
	case CURLE_OUT_OF_MEMORY:
		return IMAP_NO_MEMORY;
	default:
		return IMAP_BROKEN;
	}
}

/* Nothing in it may be taken for a part of the URL. */
static void put_escaped(const char *s, struct buf *to)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
		    c == '_')
			buf_byte(to, c);
		else
			buf_fmt(to, "%%%02X", c);
	}
}

static enum imap_end call(struct imap *i, const char *folder, const char *more, const char *command)
{
	const struct imap_setup *s = &i->setup;
	char url[URL_MAX];
	enum imap_end end = IMAP_NO_MEMORY;
	struct buf b;

	buf_init(&b, sizeof(url) - 1);
	buf_fmt(&b, strchr(s->host, ':') ? "%s://[%s]:%u/" : "%s://%s:%u/",
		s->implicit_tls ? "imaps" : "imap", s->host, s->port);
	put_escaped(folder, &b);
	buf_str(&b, more);
	buf_reset(&i->got);
	i->words[0] = '\0';
	i->no_login = false;
	if (buf_ok(&b) && slice_copy(buf_slice(&b), url, sizeof(url)) &&
	    i->curl.easy_setopt(i->easy, CURLOPT_URL, url) == CURLE_OK &&
	    i->curl.easy_setopt(i->easy, CURLOPT_CUSTOMREQUEST, command) == CURLE_OK) {
		i->last = i->curl.easy_perform(i->easy);
		end = end_of(i);
	}
	buf_done(&b);
	return end;
}

enum imap_end imap_folders(struct imap *i, struct imap_folder **ret, size_t *ret_n)
{
	/* Servers that do not know the second part say BAD to it. */
	enum imap_end end = call(i, "", "", "LIST \"\" \"*\" RETURN (SPECIAL-USE)");
	struct imap_folder *list = calloc(IMAP_FOLDERS_MAX, sizeof(*list));
	struct slice all, line;
	size_t n = 0;

	if (end == IMAP_REFUSED || end == IMAP_BROKEN)
		end = call(i, "", "", "LIST \"\" \"*\"");
	if (!list || end != IMAP_OK) {
		free(list);
		return list || end != IMAP_OK ? end : IMAP_NO_MEMORY;
	}
	for (all = buf_slice(&i->got); all.n > 0 && n < IMAP_FOLDERS_MAX; all = slice_tail(all, line.n + 1)) {
		struct slice text;

		line = slice_head(all, slice_find(all, '\n'));
		text = line;
		if (text.n > 0 && text.p[text.n - 1] == '\r')
			text.n--;
		n += imap_list_read(text, &list[n]);
	}
	*ret = list;
	*ret_n = n;
	return IMAP_OK;
}

enum imap_end imap_search(struct imap *i, const char *folder, const char *field, const char *word,
			  uint32_t *ret_uid)
{
	char command[300];
	/* So that the server looks what came since the folder was opened. */
	enum imap_end end = call(i, folder, "", "NOOP");

	snprintf(command, sizeof(command), "UID SEARCH OR SUBJECT \"%.60s\" HEADER %.60s \"%.60s\"", word,
		 field, word);
	if (end == IMAP_OK)
		end = call(i, folder, "", command);
	if (end == IMAP_OK)
		*ret_uid = imap_search_read(buf_slice(&i->got));
	return end;
}

enum imap_end imap_header(struct imap *i, const char *folder, uint32_t uid, struct buf *to)
{
	char more[60];
	enum imap_end end;

	snprintf(more, sizeof(more), "/;UID=%u/;SECTION=HEADER", uid);
	end = call(i, folder, more, NULL);
	if (end != IMAP_OK)
		return end;
	buf_put(to, buf_slice(&i->got));
	return buf_ok(to) ? IMAP_OK : IMAP_NO_MEMORY;
}
