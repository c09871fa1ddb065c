/* curl.h - libcurl's functions, found when it is loaded; for web.c only. */
#ifndef POSTERN_WEB_CURL_H
#define POSTERN_WEB_CURL_H

/* Its checks of types see through no pointers to functions. */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#include <stdbool.h>
#include <stddef.h>

#define CURL_FUNCTIONS(F)      \
	F(global_init)         \
	F(version_info)        \
	F(easy_init)           \
	F(easy_setopt)         \
	F(easy_perform)        \
	F(easy_getinfo)        \
	F(easy_cleanup)        \
	F(easy_strerror)       \
	F(multi_init)          \
	F(multi_setopt)        \
	F(multi_add_handle)    \
	F(multi_remove_handle) \
	F(multi_socket_action) \
	F(multi_assign)        \
	F(multi_info_read)     \
	F(multi_cleanup)       \
	F(slist_append)        \
	F(slist_free_all)

struct curl {
	void *library;
#define CURL_MEMBER(name) __typeof__(&curl_##name) name;
	CURL_FUNCTIONS(CURL_MEMBER)
#undef CURL_MEMBER
};

/* It stays loaded.  False: text in reterr. */
bool curl_load(struct curl *ret, char *reterr, size_t reterr_size);

#endif
