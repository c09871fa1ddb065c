#include "web/curl.h"

#include <dlfcn.h>
#include <stdio.h>

#define OLDEST 0x074d00 /* 7.77: CURLOPT_CAINFO_BLOB */

bool curl_load(struct curl *ret, char *reterr, size_t reterr_size)
{
	struct curl c = { .library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL) };
	curl_version_info_data *v;

	if (!c.library) {
		snprintf(reterr, reterr_size, "%s", dlerror());
		return false;
	}
#define CURL_FIND(name)                                                           \
	*(void **)(void *)&c.name = dlsym(c.library, "curl_" #name);              \
	if (!c.name) {                                                            \
		snprintf(reterr, reterr_size, "libcurl.so.4 has no curl_" #name); \
		return false;                                                     \
	}
	CURL_FUNCTIONS(CURL_FIND)
#undef CURL_FIND
	v = c.version_info(CURLVERSION_NOW);
	if (v->version_num < OLDEST || !(v->features & CURL_VERSION_SSL)) {
		snprintf(reterr, reterr_size, "libcurl %s is too old, or without TLS", v->version);
		return false;
	}
	if (c.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		snprintf(reterr, reterr_size, "libcurl does not begin");
		return false;
	}
	*ret = c;
	return true;
}
