/* fault.c - preloaded into a whole server by tests, it makes the machine fail on command.
 *
 * Memory, system calls and clocks of one role can be made to fail, from outside, while
 * the server runs, and be made good again.  The orders stand in a file that every
 * process maps before main() and so before the role's walls; tests/fault/fault.py is
 * the other end and gives struct slot by the same offsets.
 *
 * malloc() and its kin are taken over for the whole process, so that what the libraries
 * ask for fails, too; they must not have another owner, as under ASan.  main clears the
 * environment of the roles: syscall(SYS_execveat) is taken over as well, and puts back
 * what brings this library into them.
 *
 * Never part of the program, nor installed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SLOTS	 16
#define FILE_ENV "POSTERN_FAULT"

/* One role's orders and what came of them.  128 octets, all of them aligned. */
struct slot {
	/* orders */
	_Atomic uint32_t memory_ppm;   /* of a million requests for memory so many fail */
	_Atomic uint32_t memory_min;   /* only those of at least so many octets */
	_Atomic uint64_t memory_nth;   /* 0, or: the n-th from now fails, alone */
	_Atomic uint64_t seed;	       /* of what is random */
	_Atomic int64_t wall_ns;       /* added to the wall clock */
	_Atomic int64_t boot_ns;       /* added to the clock that counts suspended time */
	_Atomic uint32_t accept_errno; /* accept() says so; 0: works */
	_Atomic uint32_t write_errno;  /* writing to a regular file says so */
	_Atomic uint32_t sync_errno;   /* fsync() and fdatasync() say so */
	_Atomic uint32_t read_errno;   /* reading from a regular file says so */
	/* reports */
	_Atomic uint64_t asked;	  /* requests for memory */
	_Atomic uint64_t failed;  /* of those made to fail */
	_Atomic uint64_t called;  /* other calls made to fail */
	_Atomic uint64_t accepts; /* calls of accept(), whatever became of them */
	_Atomic uint64_t files;	  /* an order: no more descriptors than this; 0: as many as ever */
	uint64_t spare[4];
};
_Static_assert(sizeof(struct slot) == 128, "fault.py counts on it");

static struct slot *mine;
static const char *library, *orders;

/* The names are those of the command line: postern serve, postern role NAME INDEX. */
static unsigned number_of(int argc, char **argv)
{
	static const char *const roles[] = { "",       "smtp",	"queue", "keeper",
					     "ledger", "local", "admin", "fetch" };

	if (argc >= 2 && !strcmp(argv[1], "serve"))
		return 0;
	if (argc < 3 || strcmp(argv[1], "role") != 0)
		return SLOTS; /* the command line's tools are left alone */
	for (unsigned i = 1; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (!strcmp(argv[2], roles[i]))
			return i;
	return SLOTS;
}

/* Where it crashed, into the server's log: a role leaves no core. */
static void on_crash(int sig)
{
	void *at[64];

	backtrace_symbols_fd(at, backtrace(at, 64), STDERR_FILENO);
	signal(sig, SIG_DFL);
	raise(sig);
}

__attribute__((constructor)) static void begin(int argc, char **argv, char **envp)
{
	unsigned n = number_of(argc, argv);
	struct slot *all;
	int fd;

	(void)envp;
	orders = getenv(FILE_ENV);
	library = getenv("LD_PRELOAD");
	if (!orders || n >= SLOTS)
		return;
	fd = open(orders, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	all = mmap(NULL, sizeof(*all) * SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (all == MAP_FAILED)
		return;
	backtrace((void *[1]){ NULL }, 1); /* the first call loads a library */
	signal(SIGSEGV, on_crash);
	signal(SIGABRT, on_crash);
	mine = &all[n];
}

/* ---- memory ---- */

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static uint64_t mixed(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static bool memory_fails(size_t size)
{
	struct slot *s = mine;
	uint64_t n, nth;
	uint32_t ppm;
	bool fails = false;

	if (!s)
		return false;
	n = atomic_fetch_add(&s->asked, 1);
	if (size < s->memory_min)
		return false;
	nth = s->memory_nth;
	if (nth > 0 && atomic_fetch_sub(&s->memory_nth, 1) == 1)
		fails = true;
	ppm = s->memory_ppm;
	if (ppm > 0 && mixed(n + s->seed * UINT64_C(0x9e3779b97f4a7c15)) % 1000000 < ppm)
		fails = true;
	if (!fails)
		return false;
	s->failed++;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t n)
{
	return memory_fails(n) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t each)
{
	return memory_fails(each && n > SIZE_MAX / each ? SIZE_MAX : n * each) ? NULL
									       : __libc_calloc(n, each);
}

void *realloc(void *p, size_t n)
{
	/* To give back always works. */
	return n > 0 && memory_fails(n) ? NULL : __libc_realloc(p, n);
}

void *reallocarray(void *p, size_t n, size_t each)
{
	if (each && n > SIZE_MAX / each) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, n * each);
}

void *memalign(size_t at, size_t n)
{
	return memory_fails(n) ? NULL : __libc_memalign(at, n);
}

void *aligned_alloc(size_t at, size_t n)
{
	return memalign(at, n);
}

int posix_memalign(void **ret, size_t at, size_t n)
{
	void *p = memalign(at, n);

	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

/* ---- clocks ---- */

static void shift(struct timespec *t, int64_t ns)
{
	int64_t of_second = t->tv_nsec + ns % INT64_C(1000000000);

	t->tv_sec += ns / INT64_C(1000000000);
	if (of_second < 0)
		t->tv_sec--, of_second += INT64_C(1000000000);
	if (of_second >= INT64_C(1000000000))
		t->tv_sec++, of_second -= INT64_C(1000000000);
	t->tv_nsec = of_second;
}

/* Nobody outside may set the limits of a role: it does so itself, as soon as it asks for the time. */
static void limit_files(void)
{
	static _Atomic uint64_t now, usual;
	struct rlimit l;
	uint64_t files = mine->files;

	if (files == now || getrlimit(RLIMIT_NOFILE, &l) < 0)
		return;
	now = files;
	if (!usual)
		usual = l.rlim_cur;
	l.rlim_cur = files ? files : usual;
	setrlimit(RLIMIT_NOFILE, &l);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	static _Atomic(int (*)(clockid_t, struct timespec *)) next;
	int (*real)(clockid_t, struct timespec *) = next;
	int r;

	if (!real) {
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
		next = real;
	}
	r = real(clock, ret);
	if (r != 0 || !mine)
		return r;
	limit_files();
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		shift(ret, mine->wall_ns);
	else if (clock == CLOCK_BOOTTIME)
		shift(ret, mine->boot_ns);
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	ret->tv_sec = t.tv_sec;
	ret->tv_usec = t.tv_nsec / 1000;
	return 0;
}

/* ---- files and sockets ---- */

#define REAL(name) (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static bool ordered(uint32_t error)
{
	if (!error)
		return false;
	mine->called++;
	errno = (int)error;
	return true;
}

static bool file_fails(int fd, uint32_t error)
{
	struct stat st;

	/* The log is spared: it has to tell. */
	return error && fd > STDERR_FILENO && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && ordered(error);
}

#define FILE_CALL(result, name, order, params, args)     \
	result name params                               \
	{                                                \
		static __typeof__(&name) real;           \
		if (mine && file_fails(fd, mine->order)) \
			return -1;                       \
		if (!real)                               \
			real = REAL(name);               \
		return real args;                        \
	}

FILE_CALL(ssize_t, write, write_errno, (int fd, const void *p, size_t n), (fd, p, n))
FILE_CALL(ssize_t, pwrite, write_errno, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at))
FILE_CALL(ssize_t, pwrite64, write_errno, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))
FILE_CALL(ssize_t, writev, write_errno, (int fd, const struct iovec *v, int n), (fd, v, n))
FILE_CALL(ssize_t, pwritev, write_errno, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at))
FILE_CALL(ssize_t, pwritev64, write_errno, (int fd, const struct iovec *v, int n, off64_t at), (fd, v, n, at))
FILE_CALL(ssize_t, pread, read_errno, (int fd, void *p, size_t n, off_t at), (fd, p, n, at))
FILE_CALL(ssize_t, pread64, read_errno, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at))

#define SYNC_CALL(name)                                \
	int name(int fd)                               \
	{                                              \
		static __typeof__(&name) real;         \
		if (mine && ordered(mine->sync_errno)) \
			return -1;                     \
		if (!real)                             \
			real = REAL(name);             \
		return real(fd);                       \
	}

SYNC_CALL(fsync)
SYNC_CALL(fdatasync)

int accept4(int fd, struct sockaddr *sa, socklen_t *n, int flags)
{
	static __typeof__(&accept4) real;

	if (mine) {
		mine->accepts++;
		if (ordered(mine->accept_errno))
			return -1;
	}
	if (!real)
		real = REAL(accept4);
	return real(fd, sa, n, flags);
}

/* ---- into the roles ---- */

static void execveat_with_us(long *a)
{
	static char *env[64];
	static char at[4200], preload[4200];
	char **old = (char **)a[3];
	unsigned n = 0;

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", library);
	snprintf(at, sizeof(at), FILE_ENV "=%s", orders);
	env[n++] = preload;
	env[n++] = at;
	for (; old && *old && n < 63; old++)
		env[n++] = *old;
	env[n] = NULL;
	a[3] = (long)env;
}

long syscall(long number, ...)
{
	static __typeof__(&syscall) real;
	va_list ap;
	long a[6];

	va_start(ap, number);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (!real)
		real = REAL(syscall);
	if (number == SYS_execveat && orders && library)
		execveat_with_us(a);
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
