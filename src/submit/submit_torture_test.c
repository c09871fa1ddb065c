/* submit_torture_test.c - memory is refused at each request in turn: a draft is made whole or not at all, and
 * whoever asked is told that memory was lacking, not that his message is wrong. */
#include "submit/account.h"
#include "submit/draft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

#include "base/test_torture.h"

#define DIGITS "0000000000000000000000000000000000000000000000000000000000000000"
#define LETTER                                                                            \
	"From: root (Cron Daemon)\nTo: root, J\xc3\xb6rg <j@b\xc3\xbc.example>\n"         \
	"Cc: \"a b\"@example.org, group: x@example.org, y@example.org;\nBcc: z@x.org\n\n" \
	"hello\n"

static void check(struct torture *t, struct draft *d, int r, const struct mime_problem *p, uint64_t octets,
		  size_t recipients)
{
	if (r == 0) {
		assert_int_equal(d->octets, octets);
		assert_int_equal(d->envelope.recipients, recipients);
	} else if (r != -ENOMEM || !torture_hit()) {
		fail_msg("TORTURE_AT=%u%s: %d, fault %d of %s", t->nth, t->rest ? "+" : "", r, p->fault,
			 p->field);
	}
	draft_done(d);
}

static int letter(struct draft *d, int fd, struct mime_problem *p)
{
	struct letter_setup s = { .recipients_from_header = true,
				  .fallback = SLICE_LIT("root"),
				  .full_name = SLICE_LIT("J\xc3\xb6rg"),
				  .domain = SLICE_LIT("h.example"),
				  .hostname = SLICE_LIT("h.example"),
				  .id = SLICE_LIT("1") };
	int r;

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	torture_in();
	r = draft_init(d);
	if (r == 0)
		r = draft_read(d, fd, &s, p);
	torture_out();
	return r;
}

static int parts(struct draft *d, struct mime_problem *p)
{
	static const struct mime_extra extra = { SLICE_INIT("X"), SLICE_INIT("gr\xc3\xbcn") };
	static const struct slice url = SLICE_INIT("https://x.org/u");
	struct draft_file file = { .path = "/dev/null", .name = SLICE_LIT("\xc3\xbc.txt") };
	struct draft_parts parts_ = { .message = { .from = SLICE_LIT("J\xc3\xb6rg <j@b\xc3\xbc.example>"),
						   .to = SLICE_LIT("Bob <bob@x.org>, c@x.org"),
						   .subject = SLICE_LIT("a \xf0\x9f\x98\x80"),
						   .has_subject = true,
						   .id = SLICE_LIT("1"),
						   .hostname = SLICE_LIT("h.example"),
						   .has_text = true,
						   .text = SLICE_LIT("hi \xc3\xbc"),
						   .has_html = true,
						   .html = SLICE_LIT("<p>hi"),
						   .header = &extra,
						   .headers = 1,
						   .unsubscribe = &url,
						   .unsubscribes = 1 },
				      .bcc = SLICE_LIT("d@x.org"),
				      .file = &file,
				      .files = 1 };
	int r;

	torture_in();
	r = draft_init(d);
	if (r == 0)
		r = draft_compose(d, &parts_, p);
	torture_out();
	return r;
}

static void letters(void **state)
{
	char path[] = "/tmp/submit_torture.XXXXXX";
	int fd = mkstemp(path);
	struct mime_problem p;
	struct draft d;
	uint64_t octets;

	(void)state;
	if (!torture_works())
		skip();
	unlink(path);
	assert_int_equal(write(fd, LETTER, sizeof(LETTER) - 1), sizeof(LETTER) - 1);
	assert_int_equal(letter(&d, fd, &p), 0);
	octets = d.octets;
	draft_done(&d);
	for (struct torture t = torture(7); torture_goes_on(&t);) {
		int r = letter(&d, fd, &p);

		check(&t, &d, r, &p, octets, 6);
	}
	close(fd);
}

static void composed(void **state)
{
	struct mime_problem p;
	struct draft d;
	uint64_t octets;

	(void)state;
	if (!torture_works())
		skip();
	assert_int_equal(parts(&d, &p), 0);
	octets = d.octets;
	draft_done(&d);
	for (struct torture t = torture(7); torture_goes_on(&t);) {
		int r = parts(&d, &p);

		check(&t, &d, r, &p, octets, 3);
	}
}

/* Two accounts or none: never one that lacks what stood in the file. */
static void accounts(void **state)
{
	static const struct slice text = SLICE_INIT(
		"default: b\naccounts:\n  a:\n    provider: gmail\n    user: a@x.org\n"
		"    token_command: [x, ~/y, \"z z\"]\n    fingerprints: [" DIGITS ", " DIGITS "]\n"
		"  b:\n    url: smtps://u@h.x.org\n    password_command: pass show ~/b\n    name: N\n");
	static const struct slice wrong = SLICE_INIT("accounts:\n  a:\n    usr: x\n    port: 99999\n");

	(void)state;
	if (!torture_works())
		skip();
	for (struct torture t = torture(7); torture_goes_on(&t);) {
		struct submit_accounts *all = NULL;
		struct conf_finding *findings = NULL;
		int r;

		torture_in();
		r = submit_accounts_parse(text, "/home/ann", &all, &findings);
		torture_out();
		if (r == 0) {
			assert_int_equal(all->n, 2);
			assert_string_equal(all->account[0].token_command[2], "z z");
			assert_null(all->account[0].token_command[3]);
			assert_int_equal(all->account[0].n_fingerprints, 2);
			assert_string_equal(all->account[1].password_command[2], "/home/ann/b");
			assert_string_equal(submit_account_standard(all)->name, "b");
		} else if (r != -ENOMEM || !torture_hit()) {
			fail_msg("TORTURE_AT=%u%s: %d, %s", t.nth, t.rest ? "+" : "", r,
				 findings ? findings->text : "");
		}
		submit_accounts_free(all);
		conf_findings_free(findings);
	}
	for (struct torture t = torture(7); torture_goes_on(&t);) {
		struct submit_accounts *all = NULL;
		struct conf_finding *findings = NULL;
		int r;

		torture_in();
		r = submit_accounts_parse(wrong, "/home/ann", &all, &findings);
		torture_out();
		if (r != -EINVAL && (r != -ENOMEM || !torture_hit()))
			fail_msg("TORTURE_AT=%u%s: %d", t.nth, t.rest ? "+" : "", r);
		conf_findings_free(findings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(letters), cmocka_unit_test(composed),
					    cmocka_unit_test(accounts) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
