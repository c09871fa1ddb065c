#include "submit/sendmail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sysexits.h>

#include <cmocka.h>

#include "smtp/path.h"

#define ARGS_MAX 12

/* A command line, and what it means; error: what stands in the line that refuses it. */
static const struct {
	const char *argv[ARGS_MAX];
	struct sendmail means;
	const char *recipient[3];
	const char *error;
} rows[] = {
	/* as programs call it */
	{ { "/usr/sbin/sendmail", "-t", "-i" }, { .recipients_from_header = true }, { 0 }, NULL }, /* PHP */
	{ { "sendmail", "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root" },			   /* cron */
	  { .full_name = "CronDaemon", .eightbit = true, .recipients = 1 },
	  { "root" },
	  NULL },
	{ { "sendmail", "-i", "-f", "ann@example.org", "--", "bob@example.org", "-x@example.org" }, /* git */
	  { .sender = "ann@example.org", .recipients = 2 },
	  { "bob@example.org", "-x@example.org" },
	  NULL },
	{ { "sendmail", "-oi", "-oem", "-fann@example.org", "bob@example.org" }, /* mutt, mail(1) */
	  { .sender = "ann@example.org", .recipients = 1 },
	  { "bob@example.org" },
	  NULL },
	{ { "sendmail", "-ti" }, { .recipients_from_header = true }, { 0 }, NULL },
	{ { "sendmail", "-bs" }, { .mode = SENDMAIL_SMTP, .dot_ends = true }, { 0 }, NULL },
	{ { "mailq" }, { .mode = SENDMAIL_LIST, .dot_ends = true }, { 0 }, NULL },
	{ { "/usr/bin/newaliases" }, { .mode = SENDMAIL_NOTHING, .dot_ends = true }, { 0 }, NULL },
	/* modes */
	{ { "mailq", "-bm", "bob" }, { .dot_ends = true, .recipients = 1 }, { "bob" }, NULL },
	{ { "sendmail", "-bp", "-v" },
	  { .mode = SENDMAIL_LIST, .dot_ends = true, .verbose = 1 },
	  { 0 },
	  NULL },
	{ { "sendmail", "-b", "p" }, { .mode = SENDMAIL_LIST, .dot_ends = true }, { 0 }, NULL },
	{ { "sendmail", "-bi" }, { .mode = SENDMAIL_NOTHING, .dot_ends = true }, { 0 }, NULL },
	{ { "sendmail", "-I" }, { .mode = SENDMAIL_NOTHING, .dot_ends = true }, { 0 }, NULL },
	{ { "sendmail", "-bH" }, { .mode = SENDMAIL_NOTHING, .dot_ends = true }, { 0 }, NULL },
	{ { "sendmail", "-q" }, { .mode = SENDMAIL_FLUSH, .dot_ends = true }, { 0 }, NULL },
	{ { "sendmail", "-qI0ABC" },
	  { .mode = SENDMAIL_FLUSH, .dot_ends = true, .flush_id = "0ABC" },
	  { 0 },
	  NULL },
	{ { "sendmail", "-qRx.org" },
	  { .mode = SENDMAIL_FLUSH, .dot_ends = true, .flush_site = "x.org" },
	  { 0 },
	  NULL },
	{ { "sendmail", "-q15m" }, { .mode = SENDMAIL_NOTHING, .dot_ends = true }, { 0 }, NULL },
	/* values */
	{ { "sendmail", "-f", "", "bob" },
	  { .dot_ends = true, .sender = "", .recipients = 1 },
	  { "bob" },
	  NULL },
	{ { "sendmail", "-r<>", "bob" },
	  { .dot_ends = true, .sender = "<>", .recipients = 1 },
	  { "bob" },
	  NULL },
	{ { "sendmail", "bob", "-i", "ann" }, { .recipients = 2 }, { "bob", "ann" }, NULL },
	{ { "sendmail", "-vitFAnn Roe" },
	  { .verbose = 1, .recipients_from_header = true, .full_name = "Ann Roe" },
	  { 0 },
	  NULL },
	{ { "sendmail", "-N", "failure,Delay", "-R", "hdrs", "-V", "id-1", "bob" },
	  { .dot_ends = true,
	    .notify = SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY,
	    .ret = SMTP_RET_HDRS,
	    .envid = "id-1",
	    .recipients = 1 },
	  { "bob" },
	  NULL },
	{ { "sendmail", "-Nnever", "-Rfull", "bob" },
	  { .dot_ends = true, .notify = SMTP_NOTIFY_NEVER, .ret = SMTP_RET_FULL, .recipients = 1 },
	  { "bob" },
	  NULL },
	/* read, and without effect: no file is the caller's choice */
	{ { "sendmail", "-C/etc/x", "-X/tmp/log", "-O", "DeliveryMode=b", "-oQ/tmp", "-odb", "-h5", "bob" },
	  { .dot_ends = true, .recipients = 1 },
	  { "bob" },
	  NULL },
	{ { "sendmail", "-Am", "-G", "-L", "tag", "-U", "-m", "-n", "-em", "-p", "SMTP:x", "bob" },
	  { .dot_ends = true, .recipients = 1 },
	  { "bob" },
	  NULL },
	{ { "sendmail", "-" }, { .dot_ends = true, .recipients = 1 }, { "-" }, NULL },
	/* refused */
	{ { "sendmail" }, { 0 }, { 0 }, "no recipient" },
	{ { "sendmail", "-i" }, { 0 }, { 0 }, "no recipient" },
	{ { "sendmail", "-bd" }, { 0 }, { 0 }, "no daemon" },
	{ { "sendmail", "-bD", "-q15m" }, { 0 }, { 0 }, "no daemon" },
	{ { "sendmail", "-bv", "bob" }, { 0 }, { 0 }, "postern route" },
	{ { "sendmail", "-bz" }, { 0 }, { 0 }, "no such mode" },
	{ { "sendmail", "-Z", "bob" }, { 0 }, { 0 }, "-Z: no such option" },
	{ { "sendmail", "-i\x80", "bob" }, { 0 }, { 0 }, "-?: no such option" },
	{ { "sendmail", "bob", "-f" }, { 0 }, { 0 }, "-f wants a value" },
	{ { "sendmail", "-B9BIT", "bob" }, { 0 }, { 0 }, "-B wants" },
	{ { "sendmail", "-Nnever,delay", "bob" }, { 0 }, { 0 }, "-N wants" },
	{ { "sendmail", "-N", "", "bob" }, { 0 }, { 0 }, "-N wants" },
	{ { "sendmail", "-Nmaybe", "bob" }, { 0 }, { 0 }, "-N wants" },
	{ { "sendmail", "-Rsome", "bob" }, { 0 }, { 0 }, "-R wants" },
	{ { "sendmail", "-V", "a b", "bob" }, { 0 }, { 0 }, "-V wants" },
	{ { "sendmail", "-V", "++++++++++++++++++++++++++++++++++", "bob" }, { 0 }, { 0 }, "-V wants 1 to" },
	{ { "sendmail", "-XV", "bob" }, { 0 }, { 0 }, "VERP" },
	{ { "sendmail", "-bp", "bob" }, { 0 }, { 0 }, "recipients are for" },
	{ { "sendmail", "-bs", "-t" }, { 0 }, { 0 }, "-t is for" },
	{ { "sendmail", "-qS", "x" }, { 0 }, { 0 }, "-qS" },
};

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void command_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *recipient[ARGS_MAX] = { 0 };
		const struct sendmail *m = &rows[i].means;
		char error[SENDMAIL_ERROR_MAX] = "";
		struct sendmail s = { 0 };
		int argc = 0, r;

		while (argc < ARGS_MAX && rows[i].argv[argc])
			argc++;
		r = sendmail_parse(argc, (char *const *)rows[i].argv, recipient, &s, error);
		if (r != (rows[i].error ? EX_USAGE : EX_OK))
			fail_msg("row %zu: %d, %s", i, r, error);
		if (rows[i].error && !strstr(error, rows[i].error))
			fail_msg("row %zu: \"%s\"", i, error);
		if (rows[i].error)
			continue;
		if (s.mode != m->mode || s.recipients_from_header != m->recipients_from_header ||
		    s.dot_ends != m->dot_ends || s.eightbit != m->eightbit || s.verbose != m->verbose ||
		    s.notify != m->notify || s.ret != m->ret || !same(s.sender, m->sender) ||
		    !same(s.full_name, m->full_name) || !same(s.envid, m->envid) ||
		    !same(s.flush_id, m->flush_id) || !same(s.flush_site, m->flush_site) ||
		    s.recipients != m->recipients)
			fail_msg("row %zu is not understood", i);
		for (size_t k = 0; k < s.recipients; k++)
			assert_string_equal(recipient[k], rows[i].recipient[k]);
	}
}

static void statuses(void **state)
{
	static const struct {
		int code;
		const char *enhanced;
		int status;
	} said[] = {
		{ 250, "2.0.0", EX_OK },       { 0, "", EX_TEMPFAIL },
		{ 0, "4.4.1", EX_TEMPFAIL },   { 421, "", EX_TEMPFAIL },
		{ 452, "4.2.2", EX_TEMPFAIL }, { 550, "5.1.1", EX_NOUSER },
		{ 550, "", EX_NOUSER },	       { 550, "5.1.2", EX_NOHOST },
		{ 556, "5.1.10", EX_NOHOST },  { 556, "", EX_NOHOST },
		{ 550, "5.2.1", EX_NOUSER },   { 552, "5.2.2", EX_UNAVAILABLE },
		{ 552, "5.3.4", EX_DATAERR },  { 552, "", EX_DATAERR },
		{ 550, "5.7.1", EX_NOPERM },   { 535, "5.7.8", EX_NOPERM },
		{ 535, "", EX_NOPERM },	       { 530, "", EX_NOPERM },
		{ 554, "5.6.0", EX_DATAERR },  { 553, "5.1.7", EX_DATAERR },
		{ 553, "5.0.0", EX_NOUSER },   { 554, "5.0.0", EX_UNAVAILABLE },
		{ 554, "", EX_UNAVAILABLE },   { 500, "5.5.2", EX_UNAVAILABLE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		int status = sendmail_exit(said[i].code, slice_str(said[i].enhanced));

		if (status != said[i].status)
			fail_msg("%d %s: %d, not %d", said[i].code, said[i].enhanced, status, said[i].status);
	}
	assert_int_equal(sendmail_exit_fault(MIME_FINE), EX_OK);
	assert_int_equal(sendmail_exit_fault(MIME_NO_ADDRESS), EX_DATAERR);
	assert_int_equal(sendmail_exit_fault(MIME_MISSING), EX_USAGE);
	assert_int_equal(sendmail_exit_fault(MIME_NO_MEMORY), EX_TEMPFAIL);
	assert_int_equal(sendmail_exit_worse(EX_OK, EX_TEMPFAIL), EX_TEMPFAIL);
	assert_int_equal(sendmail_exit_worse(EX_TEMPFAIL, EX_NOUSER), EX_NOUSER);
	assert_int_equal(sendmail_exit_worse(EX_NOUSER, EX_TEMPFAIL), EX_NOUSER);
	assert_int_equal(sendmail_exit_worse(EX_NOHOST, EX_OK), EX_NOHOST);
	assert_int_equal(sendmail_exit_worse(EX_OK, EX_OK), EX_OK);
}

static void envid(void **state)
{
	struct sendmail s = { .envid = "a+b=c" };
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	sendmail_put_envid(&s, &b);
	assert_true(slice_eq(buf_slice(&b), SLICE_LIT("a+2Bb+3Dc")));
	s.envid = NULL;
	buf_reset(&b);
	sendmail_put_envid(&s, &b);
	assert_int_equal(buf_slice(&b).n, 0);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(command_lines), cmocka_unit_test(statuses),
					    cmocka_unit_test(envid) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
