#include "base/log.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/utf8.h"

#define LINE_MAX_BYTES	4096
#define VALUE_MAX_BYTES 1024

static struct {
	enum log_to to;
	enum log_format format;
	int max_level;
	int journal;
	char role[24];
} sink = { .max_level = LOG_INFO, .journal = -1, .role = "postern" };

static int journal_open(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int log_open(enum log_to to, enum log_format format, const char *role, int index)
{
	int r = 0;

	if (index < 0)
		snprintf(sink.role, sizeof(sink.role), "%s", role);
	else
		snprintf(sink.role, sizeof(sink.role), "%s/%d", role, index);
	sink.format = format;
	if (to == LOG_TO_JOURNAL && sink.journal < 0) {
		sink.journal = journal_open();
		if (sink.journal < 0) {
			r = sink.journal;
			to = LOG_TO_STDERR;
		}
	}
	if (to == LOG_TO_SYSLOG && access("/dev/log", F_OK) < 0) {
		/* syslog(3) would lose every line without a word. */
		r = -errno;
		to = LOG_TO_STDERR;
	}
	if (to == LOG_TO_SYSLOG)
		openlog("postern", LOG_PID | LOG_NDELAY, LOG_MAIL);
	sink.to = to;
	return r;
}

void log_level(int max)
{
	sink.max_level = max;
}

static const char *level_name(int level)
{
	static const char *const names[] = { "emerg",	"alert",  "crit", "error",
					     "warning", "notice", "info", "debug" };

	return names[level & 7];
}

/* A value stands bare when it cannot be mistaken for anything else; otherwise
 * quoted, and every byte that is not printable ASCII or valid text escaped, so
 * that no peer can forge a line or a field. */
static bool is_bare(struct slice v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] >= 0x7f || v.p[i] == '"' || v.p[i] == '\\' || v.p[i] == '=')
			return false;
	return v.n > 0;
}

static void put_quoted(struct buf *b, struct slice v)
{
	struct slice at = utf8_cut(v, VALUE_MAX_BYTES);

	buf_byte(b, '"');
	if (sink.format == LOG_AS_JSON)
		utf8_put_json(b, at);
	for (size_t i = 0; sink.format != LOG_AS_JSON && i < at.n; i++) {
		unsigned char c = at.p[i];

		if (c == '"' || c == '\\') {
			buf_byte(b, '\\');
			buf_byte(b, c);
		} else if (c < ' ' || c >= 0x7f) {
			buf_fmt(b, "\\x%02x", c);
		} else {
			buf_byte(b, c);
		}
	}
	buf_str(b, at.n < v.n ? "...\"" : "\"");
}

static void put_number(struct buf *b, const struct log_field *f)
{
	if (f->type == LOG_FIELD_U64) {
		buf_dec(b, f->u, 1);
		return;
	}
	if (f->i < 0)
		buf_byte(b, '-');
	buf_dec(b, f->i < 0 ? -(uint64_t)f->i : (uint64_t)f->i, 1);
}

static void put_kv(struct buf *b, const struct log_field *f)
{
	buf_byte(b, ' ');
	buf_str(b, f->key);
	buf_byte(b, '=');
	if (f->type != LOG_FIELD_SLICE)
		put_number(b, f);
	else if (is_bare(f->s))
		buf_put(b, slice_head(f->s, VALUE_MAX_BYTES));
	else
		put_quoted(b, f->s);
}

static void put_json(struct buf *b, const struct log_field *f)
{
	buf_str(b, ",\"");
	buf_str(b, f->key);
	buf_str(b, "\":");
	if (f->type != LOG_FIELD_SLICE)
		put_number(b, f);
	else
		put_quoted(b, f->s);
}

static void put_time(struct buf *b)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	buf_dec(b, (uint64_t)tm.tm_year + 1900, 4);
	buf_byte(b, '-');
	buf_dec(b, (uint64_t)tm.tm_mon + 1, 2);
	buf_byte(b, '-');
	buf_dec(b, (uint64_t)tm.tm_mday, 2);
	buf_byte(b, 'T');
	buf_dec(b, (uint64_t)tm.tm_hour, 2);
	buf_byte(b, ':');
	buf_dec(b, (uint64_t)tm.tm_min, 2);
	buf_byte(b, ':');
	buf_dec(b, (uint64_t)tm.tm_sec, 2);
	buf_byte(b, '.');
	buf_dec(b, (uint64_t)now.tv_nsec / 1000000, 3);
	buf_byte(b, 'Z');
}

static void put_line(struct buf *b, int level, const char *event, const struct log_field *fields, size_t n)
{
	bool json = sink.format == LOG_AS_JSON;
	bool timed = sink.to == LOG_TO_STDERR;

	if (json) {
		buf_str(b, "{");
		if (timed) {
			buf_str(b, "\"time\":\"");
			put_time(b);
			buf_str(b, "\",");
		}
		buf_str(b, "\"level\":\"");
		buf_str(b, level_name(level));
		buf_str(b, "\",\"role\":\"");
		buf_str(b, sink.role);
		buf_str(b, "\",\"event\":\"");
		buf_str(b, event);
		buf_byte(b, '"');
	} else {
		if (timed) {
			put_time(b);
			buf_byte(b, ' ');
		}
		buf_str(b, level_name(level));
		buf_str(b, " role=");
		buf_str(b, sink.role);
		buf_str(b, " event=");
		buf_str(b, event);
	}
	for (size_t i = 0; i < n; i++) {
		struct buf before = *b;

		if (json)
			put_json(b, &fields[i]);
		else
			put_kv(b, &fields[i]);
		/* A field that does not fit is left out whole, never half. */
		if (!buf_ok(b) || buf_room(b) < 2) {
			b->n = before.n;
			b->failed = false;
			break;
		}
	}
	if (json)
		buf_byte(b, '}');
}

static void to_journal(int level, struct slice line)
{
	char head[64];
	int n = snprintf(head, sizeof(head), "PRIORITY=%d\nSYSLOG_IDENTIFIER=postern\nMESSAGE=", level);
	struct iovec iov[3] = { { head, (size_t)n },
				{ (void *)(uintptr_t)line.p, line.n },
				{ (void *)(uintptr_t) "\n", 1 } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 3 };

	if (sendmsg(sink.journal, &m, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
		(void)!writev(STDERR_FILENO, iov + 1, 2);
}

bool log_wants(int level)
{
	return level <= sink.max_level;
}

void log_write(int level, const char *event, const struct log_field *fields, size_t n)
{
	char room[LINE_MAX_BYTES];
	struct buf line;
	int saved = errno;

	if (!log_wants(level))
		return;
	buf_init_in(&line, room, sizeof(room)); /* what went wrong is said without memory, too */
	put_line(&line, level, event, fields, n);
	if (sink.to == LOG_TO_SYSLOG) {
		syslog(LOG_MAIL | level, "%.*s", SLICE_ARG(buf_slice(&line)));
	} else if (sink.to == LOG_TO_JOURNAL) {
		to_journal(level, buf_slice(&line));
	} else {
		buf_byte(&line, '\n');
		(void)!write(STDERR_FILENO, buf_slice(&line).p, buf_slice(&line).n);
	}
	errno = saved;
}
