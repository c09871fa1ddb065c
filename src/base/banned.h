/* banned.h - functions that nobody here calls, and why.
 *
 * Force-included before every file (see meson.build), so the headers that
 * declare the functions come first and the names are made unusable after them.
 */
#ifndef POSTERN_BASE_BANNED_H
#define POSTERN_BASE_BANNED_H

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BANNED(why) _Static_assert(0, "banned function: " why)

/* No bound on what is written: use struct buf or slice_copy(). */
#undef strcpy
#define strcpy(...) BANNED("strcpy: use slice_copy() or struct buf")
#undef strcat
#define strcat(...) BANNED("strcat: use struct buf")
#undef strncpy
#define strncpy(...) BANNED("strncpy: does not end what it cuts; use slice_copy()")
#undef strncat
#define strncat(...) BANNED("strncat: use struct buf")
#undef sprintf
#define sprintf(...) BANNED("sprintf: use snprintf or buf_fmt()")
#undef vsprintf
#define vsprintf(...) BANNED("vsprintf: use vsnprintf or buf_fmt()")
#undef gets
#define gets(...) BANNED("gets")
/* No error, no overflow check: use cur_u64(). */
#undef atoi
#define atoi(...) BANNED("atoi: use cur_u64()")
#undef atol
#define atol(...) BANNED("atol: use cur_u64()")
#undef atoll
#define atoll(...) BANNED("atoll: use cur_u64()")
/* Hidden static state: use the _r form. */
#undef strtok
#define strtok(...) BANNED("strtok: use cur_until()")
#undef gmtime
#define gmtime(...) BANNED("gmtime: use gmtime_r")
#undef localtime
#define localtime(...) BANNED("localtime: use localtime_r")
#undef ctime
#define ctime(...) BANNED("ctime: use strftime")
#undef asctime
#define asctime(...) BANNED("asctime: use strftime")
#undef inet_ntoa
#define inet_ntoa(...) BANNED("inet_ntoa: use ip_format()")
/* A shell is never started; randomness comes from libsodium. */
#undef system
#define system(...) BANNED("system: no shell, ever")
#undef popen
#define popen(...) BANNED("popen: no shell, ever")
#undef rand
#define rand(...) BANNED("rand: use randombytes_uniform()")
#undef srand
#define srand(...) BANNED("srand: use randombytes_uniform()")
#undef alloca
#define alloca(...) BANNED("alloca: unbounded stack")

#endif
