#include "cli/password.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <termios.h>

#define PASSWORD_MAX 4096

/* Byte by byte, so that nothing behind the line is kept anywhere. */
static bool read_line(int fd, struct buf *ret)
{
	unsigned char c;
	ssize_t n;

	buf_reset(ret);
	while ((n = read(fd, &c, 1)) != 0) {
		if (n < 0 && errno == EINTR)
			return false;
		if (n < 0 || c == '\n')
			break;
		buf_byte(ret, c);
	}
	if (n == 0 && ret->n == 0)
		return false;
	if (ret->n > 0 && ret->p[ret->from + ret->n - 1] == '\r')
		ret->n--;
	return n >= 0 && buf_ok(ret);
}

static struct termios before;
static int terminal = -1;

static void put_back(int sig)
{
	tcsetattr(terminal, TCSAFLUSH, &before);
	if (sig) {
		signal(sig, SIG_DFL);
		raise(sig);
	}
}

static bool ask(const char *text, struct buf *ret)
{
	bool ok;

	dprintf(terminal, "%s: ", text);
	ok = read_line(terminal, ret);
	dprintf(terminal, "\n");
	return ok;
}

static bool ask_twice(const char *what, struct buf *ret)
{
	struct buf again;
	bool ok = false;

	buf_init(&again, PASSWORD_MAX);
	dprintf(terminal, "Password for %s\n", what);
	if (ask("New password", ret) && ask("Once more", &again)) {
		ok = slice_eq(buf_slice(ret), buf_slice(&again));
		if (!ok)
			fputs("postern: the two are not the same; nothing was changed\n", stderr);
	} else {
		fputs("postern: no password; nothing was changed\n", stderr);
	}
	buf_wipe(&again);
	return ok;
}

static bool ask_once(const char *what, struct buf *ret)
{
	char text[700];

	snprintf(text, sizeof(text), "Password for %s", what);
	if (ask(text, ret) && ret->n > 0)
		return true;
	fputs("postern: no password\n", stderr);
	return false;
}

static bool prompt(const char *what, bool (*asks)(const char *what, struct buf *ret), struct buf *ret)
{
	struct termios silent;
	bool ok;

	terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (terminal < 0 || tcgetattr(terminal, &before) < 0) {
		fputs("postern: no terminal to ask for the password\n"
		      "Give it in a file: --password-file FILE, or - for standard input.\n",
		      stderr);
		return false;
	}
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	/* An interrupted prompt must not leave a terminal without echo. */
	signal(SIGINT, put_back);
	signal(SIGTERM, put_back);
	tcsetattr(terminal, TCSAFLUSH, &silent);
	ok = asks(what, ret);
	put_back(0);
	close(terminal);
	return ok;
}

static bool read_file(const char *file, struct buf *ret)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool ok;

	if (fd < 0) {
		fprintf(stderr, "postern: cannot read %s: %s\n", file, strerror(errno));
		return false;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0044))
		fprintf(stderr, "postern: warning: other users can read %s\n", file);
	ok = read_line(fd, ret);
	close(fd);
	if (!ok)
		fprintf(stderr, "postern: the first line of %s is no password\n", file);
	return ok;
}

bool cli_password(const char *file, const char *what, struct buf *ret)
{
	bool from_stdin = file ? slice_eq(slice_str(file), SLICE_LIT("-")) : !isatty(STDIN_FILENO);

	buf_init(ret, PASSWORD_MAX);
	if (file && !from_stdin)
		return read_file(file, ret);
	if (!from_stdin)
		return prompt(what, ask_twice, ret);
	if (read_line(STDIN_FILENO, ret))
		return true;
	fputs("postern: no password came on standard input\n"
	      "Give its first line, or a file: --password-file FILE.\n",
	      stderr);
	return false;
}

bool cli_password_known(const char *file, const char *what, struct buf *ret)
{
	if (file)
		return cli_password(file, what, ret);
	buf_init(ret, PASSWORD_MAX);
	return prompt(what, ask_once, ret);
}
