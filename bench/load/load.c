/* load.c - the loader: what a server does with many SMTP clients at once.
 *
 *	load --server ADDRESS:PORT [--server ...] [option ...]
 *
 *	-s, --sessions N     connections at once (50)
 *	-n, --messages N     then it ends (10000); with -c 0: logins
 *	    --seconds N      nothing new is begun after this time (no limit)
 *	-c, --per-connection N   messages on a connection; 0: log in and leave (1)
 *	-b, --size N         octets of a message (4096)
 *	-r, --recipients N   of a message (1)
 *	    --from, --to     addresses; %u in --to is a number below --to-count
 *	    --starttls, --tls    TLS after STARTTLS; from the first octet
 *	    --auth NAME:PASSWORD AUTH PLAIN; %u in NAME is a number below --auth-count
 *	    --sources N      come from 127.1.0.1 ... 127.1.0.N in turn
 *	    --idle           open the connections, hold them until standard input ends
 *	    --drip MS        hold them, and say an octet of a command on each every MS
 *
 * One thread, one epoll.  A client waits for every answer, as simple ones do: no
 * pipelining.  An answer that is not the expected class ends the run.  Prints JSON: the
 * rate, the times from the last octet of a message (of AUTH, with -c 0) until its answer,
 * and the whole ones: from connect until the first such answer.  With --idle a first line when all stand.
 */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define SERVERS_MAX 64
#define OPENING_MAX 100 /* idle connections that are being made at once */
#define SILENCE_MS  60000
#define DRIP_TURNS  100 /* pieces in which a round of drops goes out */

struct run run = { .sessions = 50,
		   .messages = 10000,
		   .per_connection = 1,
		   .size = 4096,
		   .recipients = 1,
		   .from = "load@example.net",
		   .to = "bob@example.org",
		   .to_count = 1,
		   .auth_count = 1 };

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

_Noreturn void die(const char *what, int err)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(err));
	exit(1);
}

bool run_enough(void)
{
	unsigned begun = run.per_connection > 0 ? run.begun : run.connections;

	return begun >= run.messages ||
	       (run.seconds > 0 && now_us() - run.began_us >= run.seconds * UINT64_C(1000000));
}

void run_done(const struct session *s)
{
	uint64_t now = now_us();

	if (run.done == run.messages)
		return;
	run.done++;
	run.answer.us[run.answer.n++] = (uint32_t)(now - s->asked_us);
	if (s->sent <= 1)
		run.whole.us[run.whole.n++] = (uint32_t)(now - s->connected_us);
}

static void make_body(void)
{
	static const char line[] = "The quick brown fox jumps over the lazy dog, again and again.\r\n";

	buf_init(&run.body, (size_t)run.size + 1024);
	buf_fmt(&run.body,
		"From: <%s>\r\nTo: <load@example.org>\r\nSubject: load\r\n"
		"Date: Mon, 05 Oct 2026 12:00:00 +0000\r\nMessage-ID: <load@example.net>\r\n\r\n",
		run.from);
	while (run.body.n < run.size) {
		size_t left = run.size - run.body.n, n = sizeof(line) - 1;

		/* The last line is shorter: its end, a dot, would alone be the end of the message. */
		buf_put(&run.body, slice_of(line, left >= n ? n - 2 : left < 2 ? 0 : left - 2));
		buf_str(&run.body, "\r\n");
	}
	buf_str(&run.body, ".\r\n");
	if (!buf_ok(&run.body))
		die("the message", ENOMEM);
}

/* ---- the run ---- */

static int wait_events(struct epoll_event *events, int n, int timeout_ms)
{
	int got;

	do
		got = epoll_wait(run.epoll, events, n, timeout_ms);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		die("epoll_wait", errno);
	return got;
}

static void run_messages(struct session *all)
{
	struct epoll_event events[64];

	for (unsigned i = 0; i < run.sessions && !run_enough(); i++)
		session_connect(&all[i]);
	while (run.open > 0) {
		int n = wait_events(events, 64, SILENCE_MS);

		if (n == 0)
			die("the server", ETIMEDOUT);
		for (int i = 0; i < n; i++)
			session_event(events[i].data.ptr, events[i].events);
		if (run.done == run.messages)
			return;
	}
}

/* Everybody who is held says one octet, in DRIP_TURNS turns over drip_ms. */
static void drip(struct session *all)
{
	static unsigned next;
	static uint64_t at;
	unsigned n = run.sessions / DRIP_TURNS + 1;
	uint64_t now = now_us();

	if (run.drip_ms == 0 || now < at)
		return;
	at = now + run.drip_ms * UINT64_C(1000) / DRIP_TURNS * n * DRIP_TURNS / run.sessions;
	for (unsigned i = 0; i < n; i++)
		session_drip(&all[next++ % run.sessions]);
}

/* Opens all, says so, and holds them until standard input ends. */
static void run_idle(struct session *all)
{
	struct epoll_event events[64], end = { .events = EPOLLIN, .data.ptr = NULL };
	unsigned opened = 0;
	bool said = false, over = false;

	while (!over) {
		int n;

		while (opened < run.sessions && opened - run.held < OPENING_MAX)
			session_connect(&all[opened++]);
		if (!said && run.held == run.sessions) {
			printf("{\"held\": %u, \"seconds\": %.3f}\n", run.held,
			       (double)(now_us() - run.began_us) / 1e6);
			fflush(stdout);
			said = true;
			/* A file or /dev/null, which epoll does not take, is at its end. */
			over = epoll_ctl(run.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &end) < 0;
		}
		drip(all);
		n = wait_events(events, 64, !said ? SILENCE_MS : run.drip_ms > 0 ? 2 : 1000);
		if (n == 0 && !said)
			die("the server", ETIMEDOUT);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				session_event(events[i].data.ptr, events[i].events);
			else
				over = true;
		}
	}
}

/* ---- the result ---- */

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static double percentile_ms(const struct times *t, unsigned percent)
{
	unsigned at = (unsigned)((uint64_t)t->n * percent / 100);

	return t->n == 0 ? 0 : t->us[at < t->n ? at : t->n - 1] / 1e3;
}

static double cpu_seconds(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void report(void)
{
	double seconds = (double)(now_us() - run.began_us) / 1e6;
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	qsort(run.answer.us, run.answer.n, sizeof(*run.answer.us), by_value);
	qsort(run.whole.us, run.whole.n, sizeof(*run.whole.us), by_value);
	printf("{\"began\": %.6f, \"messages\": %u, \"connections\": %u, \"lost\": %u, \"seconds\": %.3f, ",
	       (double)wall.tv_sec + (double)wall.tv_nsec / 1e9 - seconds, run.done, run.connections,
	       run.lost, seconds);
	printf("\"rate\": %.1f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, ", run.done / seconds,
	       percentile_ms(&run.answer, 50), percentile_ms(&run.answer, 99),
	       percentile_ms(&run.answer, 100));
	printf("\"whole_p50_ms\": %.3f, \"whole_p99_ms\": %.3f, \"whole_max_ms\": %.3f, \"cpu_s\": %.3f}\n",
	       percentile_ms(&run.whole, 50), percentile_ms(&run.whole, 99), percentile_ms(&run.whole, 100),
	       cpu_seconds());
}

/* ---- options ---- */

static _Noreturn void usage(const char *what)
{
	fprintf(stderr, "load: %s\nThe options stand at the top of bench/load.c.\n", what);
	exit(2);
}

static unsigned number(const char *text)
{
	struct slice s = slice_str(text);
	uint64_t v;

	if (!cur_u64(&s, 1000000000, &v) || s.n > 0)
		usage("not a number");
	return (unsigned)v;
}

enum {
	SERVER = 256,
	SECONDS,
	FROM,
	TO,
	TO_COUNT,
	WITH_STARTTLS,
	TLS,
	WITH_AUTH,
	AUTH_COUNT,
	SOURCES,
	IDLE,
	DRIP
};

static const struct option options[] = {
	{ "server", 1, NULL, SERVER },
	{ "sessions", 1, NULL, 's' },
	{ "messages", 1, NULL, 'n' },
	{ "seconds", 1, NULL, SECONDS },
	{ "per-connection", 1, NULL, 'c' },
	{ "size", 1, NULL, 'b' },
	{ "recipients", 1, NULL, 'r' },
	{ "from", 1, NULL, FROM },
	{ "to", 1, NULL, TO },
	{ "to-count", 1, NULL, TO_COUNT },
	{ "starttls", 0, NULL, WITH_STARTTLS },
	{ "tls", 0, NULL, TLS },
	{ "auth", 1, NULL, WITH_AUTH },
	{ "auth-count", 1, NULL, AUTH_COUNT },
	{ "sources", 1, NULL, SOURCES },
	{ "idle", 0, NULL, IDLE },
	{ "drip", 1, NULL, DRIP },
	{ 0 },
};

static void add_server(const char *text)
{
	static struct link_address servers[SERVERS_MAX];

	run.servers = servers;
	if (run.n_servers == SERVERS_MAX || !link_parse(text, &servers[run.n_servers++]))
		usage("not an address with a port");
}

static void take_number(int opt, unsigned v)
{
	switch (opt) {
	case 's':
		run.sessions = v;
		break;
	case 'n':
		run.messages = v;
		break;
	case SECONDS:
		run.seconds = v;
		break;
	case 'c':
		run.per_connection = v;
		break;
	case 'b':
		run.size = v;
		break;
	case 'r':
		run.recipients = v;
		break;
	case TO_COUNT:
		run.to_count = v;
		break;
	case AUTH_COUNT:
		run.auth_count = v;
		break;
	case SOURCES:
		run.sources = v;
		break;
	case DRIP:
		run.drip_ms = v;
		run.idle = true;
		break;
	default:
		usage("no such option");
	}
}

static void take_options(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "s:n:c:b:r:", options, NULL)) != -1) {
		if (opt == '?')
			usage("no such option");
		else if (opt == SERVER)
			add_server(optarg);
		else if (opt == FROM)
			run.from = optarg;
		else if (opt == TO)
			run.to = optarg;
		else if (opt == WITH_AUTH)
			run.auth = optarg;
		else if (opt == WITH_STARTTLS)
			run.starttls = true;
		else if (opt == TLS)
			run.tls = true;
		else if (opt == IDLE)
			run.idle = true;
		else
			take_number(opt, number(optarg));
	}
	if (optind < argc || run.n_servers == 0)
		usage("at least one --server, and nothing but options");
	if (run.sessions == 0 || run.messages == 0 || run.recipients == 0 || run.to_count == 0 ||
	    run.auth_count == 0)
		usage("a number that may not be 0 is 0");
	if (run.starttls && run.tls)
		usage("--tls or --starttls");
	if (run.auth && !strchr(run.auth, ':'))
		usage("--auth wants NAME:PASSWORD");
	if (run.per_connection == 0 && !run.auth && !run.idle)
		usage("-c 0 wants --auth");
}

/* A connection is a descriptor. */
static void raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		die("getrlimit", errno);
	files.rlim_cur = files.rlim_max;
	if (files.rlim_max < run.sessions + 64) {
		files.rlim_cur = files.rlim_max = run.sessions + 64; /* root may */
	}
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		die("as many connections", errno);
}

int main(int argc, char **argv)
{
	struct session *all;

	take_options(argc, argv);
	raise_files();
	make_body();
	run.answer.us = calloc(run.messages, sizeof(*run.answer.us));
	run.whole.us = calloc(run.messages, sizeof(*run.whole.us));
	all = calloc(run.sessions, sizeof(*all));
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!run.answer.us || !run.whole.us || !all || run.epoll < 0)
		die("start", errno);
	for (unsigned i = 0; i < run.sessions; i++) {
		buf_init(&all[i].in, 16384);
		buf_init(&all[i].out, 4096);
		all[i].step = CLOSED;
	}
	run.began_us = now_us();
	if (run.idle)
		run_idle(all);
	else
		run_messages(all);
	report();
	for (unsigned i = 0; i < run.sessions; i++)
		session_done(&all[i]);
	link_end();
	buf_done(&run.body);
	free(run.answer.us);
	free(run.whole.us);
	free(all);
	return 0;
}
