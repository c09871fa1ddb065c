#include "role/versions.h"

#include <gsasl.h>
#include <idn2.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <seccomp.h>
#include <sodium.h>
#include <sqlite3.h>
#include <unbound.h>
#include <uv.h>
#include <yaml.h>

size_t versions(struct version ret[static VERSIONS_MAX])
{
	const struct scmp_version *sc = seccomp_version();
	size_t n = 0;

#define ADD(library, ...)                                                \
	do {                                                             \
		ret[n].name = (library);                                 \
		snprintf(ret[n].text, sizeof(ret[n].text), __VA_ARGS__); \
		n++;                                                     \
	} while (0)
	ADD("libuv", "%s", uv_version_string());
	ADD("OpenSSL", "%s", OpenSSL_version(OPENSSL_VERSION_STRING));
	ADD("libsodium", "%s", sodium_version_string());
	ADD("SQLite", "%s", sqlite3_libversion());
	ADD("GNU SASL", "%s", gsasl_check_version(NULL));
	ADD("libyaml", "%s", yaml_get_version_string());
	ADD("jansson", "%s", jansson_version_str());
	ADD("libunbound", "%s", ub_version());
	ADD("libidn2", "%s", idn2_check_version(NULL));
	if (sc)
		ADD("libseccomp", "%u.%u.%u", sc->major, sc->minor, sc->micro);
#undef ADD
	return n;
}
