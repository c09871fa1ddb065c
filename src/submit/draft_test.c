#include "submit/draft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

#include "mime/compose_harness.h"

/* A file without a name that holds this, read from its beginning. */
static int file_of(struct slice s)
{
	FILE *f = tmpfile();
	int fd;

	assert_non_null(f);
	fd = dup(fileno(f));
	fclose(f);
	assert_int_equal(write(fd, s.p, s.n), s.n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void all_of(const struct draft *d, struct buf *to)
{
	char piece[777];
	uint64_t at = 0;
	ssize_t n;

	while ((n = draft_chunk(d, at, piece, sizeof(piece))) > 0) {
		buf_put(to, slice_of(piece, (size_t)n));
		at += (uint64_t)n;
	}
	assert_int_equal(n, 0);
	assert_int_equal(at, d->octets);
}

static struct letter_setup setup(void)
{
	return (struct letter_setup){ .dot_ends = true,
				      .recipients_from_header = true,
				      .fallback = SLICE_LIT("root"),
				      .domain = SLICE_LIT("h.example"),
				      .hostname = SLICE_LIT("h.example"),
				      .id = SLICE_LIT("1"),
				      .time_ms = 1795304383000 };
}

static void from_text(void **state)
{
	int fd = file_of(SLICE_LIT("To: ann\nSubject: gr\xc3\xbcn\n\nhi\n.\nmore\n"));
	struct letter_setup s = setup();
	struct mime_problem p;
	struct draft d;
	struct buf b;

	(void)state;
	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(draft_read(&d, fd, &s, &p), 0);
	buf_init(&b, 10000);
	all_of(&d, &b);
	assert_true(slice_eq(buf_slice(&b),
			     SLICE_LIT("From: root@h.example\r\nDate: Sat, 21 Nov 2026 23:39:43 +0000\r\n"
				       "Message-ID: <1@h.example>\r\nTo: ann@h.example\r\nSubject: "
				       "gr\xc3\xbcn\r\n\r\nhi\r\n")));
	assert_true(d.eightbit && d.header_eightbit && !d.smtputf8);
	assert_int_equal(d.envelope.recipients, 1);
	assert_string_equal(d.envelope.recipient[0]->address, "ann@h.example");
	assert_string_equal(d.envelope.sender, "root@h.example");
	/* the file has no name: nobody finds it */
	assert_int_equal(fcntl(d.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	buf_done(&b);
	draft_done(&d);
	close(fd);
}

static void large_text(void **state)
{
	enum { N = 3000000 };
	char *text = malloc(N);
	struct letter_setup s = setup();
	struct mime_problem p;
	struct draft d;
	struct buf b;
	int fd;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', N);
	memcpy(text, "To: a@x.org\n\n", 13);
	fd = file_of(slice_of(text, N));
	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(draft_read(&d, fd, &s, &p), 0);
	assert_int_equal(d.octets, strlen("From: root@h.example\r\nDate: Sat, 21 Nov 2026 23:39:43 +0000\r\n"
					  "Message-ID: <1@h.example>\r\nTo: a@x.org\r\n\r\n") +
					   2 * (N - 13));
	buf_init(&b, 2 * N + 1000);
	all_of(&d, &b);
	check_lines(buf_slice(&b), false);
	buf_done(&b);
	draft_done(&d);
	s.max = 5000000;
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(draft_read(&d, fd, &s, &p), -EBADMSG);
	assert_int_equal(p.fault, MIME_TOO_LONG);
	draft_done(&d);
	close(fd);
	free(text);
}

static void faulty_text(void **state)
{
	struct letter_setup s = setup();
	struct mime_problem p;
	struct draft d;
	int fd = file_of(SLICE_LIT("Subject: nobody\n\n"));

	(void)state;
	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(draft_read(&d, fd, &s, &p), -EBADMSG);
	assert_int_equal(p.fault, MIME_MISSING);
	draft_done(&d);
	close(fd);
	fd = open("/", O_RDONLY | O_CLOEXEC);
	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(draft_read(&d, fd, &s, &p), -EISDIR);
	draft_done(&d);
	close(fd);
}

static struct draft_parts basic(void)
{
	return (struct draft_parts){ .message = { .from = SLICE_LIT("Ann <ann@example.com>"),
						  .to = SLICE_LIT("bob@example.org, All: c@example.org;"),
						  .cc = SLICE_LIT("bob@example.org"),
						  .date_ms = 1795304383000,
						  .id = SLICE_LIT("1"),
						  .hostname = SLICE_LIT("c.example"),
						  .has_text = true,
						  .text = SLICE_LIT("hi") },
				     .bcc = SLICE_LIT("secret@example.org") };
}

static void from_parts(void **state)
{
	struct draft_parts parts_ = basic();
	char octets[200001], path[] = "/tmp/draft_test.XXXXXX";
	struct draft_file file = { .path = path, .name = SLICE_LIT("r\xc3\xbc.bin") };
	struct part whole, part[2];
	struct mime_problem p;
	struct buf b, value, boundary;
	struct draft d;
	int fd = mkstemp(path);

	(void)state;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (char)(i * 7919 >> 3);
	assert_int_equal(write(fd, octets, sizeof(octets)), sizeof(octets));
	close(fd);
	parts_.file = &file;
	parts_.files = 1;
	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(draft_compose(&d, &parts_, &p), 0);
	assert_int_equal(d.envelope.recipients, 3);
	assert_string_equal(d.envelope.recipient[2]->address, "secret@example.org");
	assert_string_equal(d.envelope.sender, "ann@example.com");
	assert_false(d.eightbit || d.smtputf8);
	buf_init(&b, 1000000);
	buf_init(&value, 1000000);
	buf_init(&boundary, 100);
	all_of(&d, &b);
	check_lines(buf_slice(&b), false);
	assert_null(memmem(buf_slice(&b).p, buf_slice(&b).n, "secret", 6));
	whole = split(buf_slice(&b));
	assert_true(field(whole.header, "Content-Type", &value));
	assert_true(param(buf_slice(&value), "boundary", &boundary));
	assert_int_equal(parts(whole.body, buf_slice(&boundary), part, 2), 2);
	content(&part[1], &value);
	assert_true(slice_eq(buf_slice(&value), slice_of(octets, sizeof(octets))));
	draft_done(&d);
	/* over its limit; and a file that is not there */
	parts_.max = 100000;
	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(draft_compose(&d, &parts_, &p), -EBADMSG);
	assert_int_equal(p.fault, MIME_TOO_LONG);
	draft_done(&d);
	unlink(path);
	parts_.max = 0;
	assert_int_equal(draft_init(&d), 0);
	assert_int_equal(draft_compose(&d, &parts_, &p), -ENOENT);
	assert_string_equal(p.about, path);
	draft_done(&d);
	buf_done(&b);
	buf_done(&value);
	buf_done(&boundary);
}

static void who_sends(void **state)
{
	static const struct {
		const char *from, *sender, *given; /* NULL: none given */
		int r;
		const char *envelope;
	} rows[] = {
		{ "ann@x.org", "", NULL, 0, "ann@x.org" },
		{ "ann@x.org, bob@x.org", "carol@x.org", NULL, 0, "carol@x.org" },
		{ "ann@x.org", "", "<>", 0, "" },
		{ "ann@x.org", "", "z@x.org", 0, "z@x.org" },
		{ "ann@x.org, bob@x.org", "", NULL, -EBADMSG, NULL }, /* which of them? */
		{ "", "", NULL, -EBADMSG, NULL },
		{ "", "", "z@x.org", -EBADMSG, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct draft_parts parts_ = basic();
		struct mime_problem p;
		struct draft d;

		parts_.message.from = slice_str(rows[i].from);
		parts_.message.sender = slice_str(rows[i].sender);
		parts_.has_sender = rows[i].given;
		parts_.sender = slice_str(rows[i].given);
		assert_int_equal(draft_init(&d), 0);
		assert_int_equal(draft_compose(&d, &parts_, &p), rows[i].r);
		if (rows[i].r == 0)
			assert_string_equal(d.envelope.sender, rows[i].envelope);
		draft_done(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_text),  cmocka_unit_test(large_text), cmocka_unit_test(faulty_text),
		cmocka_unit_test(from_parts), cmocka_unit_test(who_sends),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
