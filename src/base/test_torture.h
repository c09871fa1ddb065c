/* test_torture.h - for tests only: each request for memory is refused in turn.
 *
 *	for (struct torture t = torture(7); torture_goes_on(&t);) {
 *		torture_in();
 *		r = what_is_tested();
 *		torture_out();
 *		... whatever came of it, nothing is lost, and the next one works
 *	}
 *
 * Each round refuses one request later than the round before: first that one alone, then,
 * from the beginning again, it and all after it, until nothing was left to refuse.  Only
 * requests between torture_in() and torture_out() count, so that what the test does for
 * itself always works.  Rounds beyond the first 100 go by strides, but for POSTERN_FULL=1.
 *
 * malloc() and its kin are taken over for the whole program, so what the libraries ask
 * for is refused, too; they go on to those of the sanitizer, or of libc.  valgrind takes
 * them over itself and nothing is refused: torture_works() is false then.
 *
 * To look into a failure: TORTURE_AT=12 (or 12+, with all after it) says where the request
 * of that round came from.
 *
 * Included once by a test program, everything is static but what must not be.
 */
#ifndef POSTERN_BASE_TEST_TORTURE_H
#define POSTERN_BASE_TEST_TORTURE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TORTURE_EACH 100

struct torture {
	unsigned nth, stride;
	unsigned each; /* rounds that are never left out: TORTURE_EACH, or fewer where they take long */
	bool rest;     /* all after it, too */
	unsigned rounds;
};

static atomic_bool torture_on;	    /* requests count now */
static atomic_uint torture_asked;   /* of this round */
static atomic_uint torture_refused; /* of this round */
static unsigned torture_nth;	    /* 0: refuse nothing */
static bool torture_rest, torture_show;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__interceptor_malloc(size_t) __attribute__((weak));
extern void *__interceptor_calloc(size_t, size_t) __attribute__((weak));
extern void *__interceptor_realloc(void *, size_t) __attribute__((weak));
extern void __sanitizer_print_stack_trace(void) __attribute__((weak));

static bool torture_refuses(void)
{
	unsigned n;

	if (!atomic_load(&torture_on) || torture_nth == 0)
		return false;
	n = atomic_fetch_add(&torture_asked, 1) + 1;
	if (n < torture_nth || (n > torture_nth && !torture_rest))
		return false;
	if (atomic_fetch_add(&torture_refused, 1) == 0 && torture_show && __sanitizer_print_stack_trace) {
		atomic_store(&torture_on, false);
		__sanitizer_print_stack_trace();
		atomic_store(&torture_on, true);
	}
	errno = ENOMEM;
	return true;
}

__attribute__((no_sanitize("address", "undefined"))) void *malloc(size_t n)
{
	if (torture_refuses())
		return NULL;
	return __interceptor_malloc ? __interceptor_malloc(n) : __libc_malloc(n);
}

__attribute__((no_sanitize("address", "undefined"))) void *calloc(size_t count, size_t n)
{
	if (torture_refuses())
		return NULL;
	return __interceptor_calloc ? __interceptor_calloc(count, n) : __libc_calloc(count, n);
}

__attribute__((no_sanitize("address", "undefined"))) void *realloc(void *p, size_t n)
{
	if (torture_refuses())
		return NULL;
	return __interceptor_realloc ? __interceptor_realloc(p, n) : __libc_realloc(p, n);
}

/* For a library that cannot bear what malloc() says: it gets its memory. */
static __attribute__((unused, no_sanitize("address", "undefined"))) void *torture_spared_malloc(size_t n)
{
	return __interceptor_malloc ? __interceptor_malloc(n) : __libc_malloc(n);
}

/* libasan's own would not come by here, nor would those below. */
void *reallocarray(void *p, size_t count, size_t n)
{
	size_t all;

	if (__builtin_mul_overflow(count, n, &all)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, all);
}

char *strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = malloc(n);

	return p ? memcpy(p, s, n) : NULL;
}

char *strndup(const char *s, size_t max)
{
	size_t n = strnlen(s, max);
	char *p = malloc(n + 1);

	if (p) {
		memcpy(p, s, n);
		p[n] = 0;
	}
	return p;
}

static __attribute__((unused)) void torture_in(void)
{
	atomic_store(&torture_on, true);
}

static __attribute__((unused)) void torture_out(void)
{
	atomic_store(&torture_on, false);
}

/* Something was refused in this round, so far. */
static __attribute__((unused)) bool torture_hit(void)
{
	return atomic_load(&torture_refused) > 0;
}

/* From here on, and until the next round, nothing is refused. */
static __attribute__((unused)) void torture_enough(void)
{
	torture_out();
	torture_nth = 0;
}

/* Without rounds: after so many requests all are refused, until torture_enough(). */
static __attribute__((unused)) void torture_all_but(unsigned first)
{
	torture_nth = first + 1;
	torture_rest = true;
	atomic_store(&torture_asked, 0);
}

static __attribute__((unused)) bool torture_works(void)
{
	void *(*volatile request)(size_t) = malloc; /* inlined, it would be ours even under valgrind */
	void *p;

	torture_all_but(0);
	torture_in();
	p = request(1);
	torture_enough();
	free(p);
	return p == NULL;
}

static __attribute__((unused)) struct torture torture(unsigned stride)
{
	return (struct torture){ .stride = getenv("POSTERN_FULL") ? 1 : stride, .each = TORTURE_EACH };
}

static __attribute__((unused)) bool torture_is_at(const struct torture *t)
{
	const char *at = getenv("TORTURE_AT");
	char *end;

	return at && strtoul(at, &end, 10) == t->nth && (*end == '+') == t->rest;
}

/* Begins the next round; false when the last one refused nothing. */
static __attribute__((unused)) bool torture_goes_on(struct torture *t)
{
	torture_out();
	if (t->rounds > 0 && atomic_load(&torture_refused) == 0) {
		if (t->rest) {
			torture_enough();
			return false;
		}
		t->rest = true;
		t->nth = 0;
	}
	t->nth += t->nth < t->each ? 1 : t->stride;
	t->rounds++;
	torture_nth = t->nth;
	torture_rest = t->rest;
	torture_show = torture_is_at(t);
	atomic_store(&torture_asked, 0);
	atomic_store(&torture_refused, 0);
	return true;
}

#endif
