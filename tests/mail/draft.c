/* draft.c - makes a message as `postern send` and sendmail do, for tests, and sends it nowhere.
 *
 *	draft compose from=A to=A text=@FILE html=TEXT attach=FILE[=NAME] header='Name: value' 8bit=1 ...
 *	draft sendmail ARGUMENT...	what the sendmail command makes of its standard input
 *
 * The message goes to standard output; a line of JSON about it to standard error: what is wrong, or the
 * envelope.  The exit status is sendmail's.
 */
#include <errno.h>
#include <jansson.h>
#include <sysexits.h>

#include "submit/draft.h"
#include "submit/sendmail.h"

#define LIST_MAX 50
#define NOW	 1795304383000

static json_t *text(struct slice s)
{
	return json_stringn((const char *)s.p, s.n);
}

static int show(const struct draft *d, int r, const struct mime_problem *p)
{
	json_t *o = json_object(), *all = json_array();
	char piece[4096];
	uint64_t at = 0;
	ssize_t n;

	if (r < 0) {
		struct buf b;

		buf_init(&b, 1000);
		mime_problem_put(p, &b);
		json_object_set_new(o, "error", json_integer(-r));
		json_object_set_new(o, "problem", text(buf_slice(&b)));
		buf_done(&b);
	} else {
		json_object_set_new(o, "sender", json_string(d->envelope.sender));
		for (size_t i = 0; i < d->envelope.recipients; i++)
			json_array_append_new(all, json_string(d->envelope.recipient[i]->address));
		json_object_set(o, "recipients", all);
		json_object_set_new(o, "octets", json_integer((json_int_t)d->octets));
		json_object_set_new(o, "eightbit", json_boolean(d->eightbit));
		json_object_set_new(o, "smtputf8", json_boolean(d->smtputf8));
		while ((n = draft_chunk(d, at, piece, sizeof(piece))) > 0) {
			fwrite(piece, 1, (size_t)n, stdout);
			at += (uint64_t)n;
		}
	}
	json_decref(all);
	json_dumpf(o, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(o);
	return r == 0 ? EX_OK : r == -EBADMSG ? sendmail_exit_fault(p->fault) : EX_TEMPFAIL;
}

/* The value itself, or what is in the file of "@FILE". */
static struct slice value_of(const char *arg)
{
	static unsigned char room[LIST_MAX][1 << 20];
	static size_t used;
	FILE *f = arg[0] == '@' ? fopen(arg + 1, "r") : NULL;
	struct slice s = slice_str(arg);

	if (f) {
		s = slice_of(room[used], fread(room[used], 1, sizeof(room[0]), f));
		used++;
		fclose(f);
	}
	return s;
}

struct lists {
	struct mime_extra header[LIST_MAX];
	struct slice url[LIST_MAX];
	struct draft_file file[LIST_MAX];
};

static void list_item(struct draft_parts *p, struct lists *l, struct slice key, char *value)
{
	char *rest = strchr(value, slice_eq(key, SLICE_LIT("header")) ? ':' : '=');

	if (slice_eq(key, SLICE_LIT("unsubscribe"))) {
		l->url[p->message.unsubscribes++] = slice_str(value);
		return;
	}
	if (rest)
		*rest++ = 0;
	if (slice_eq(key, SLICE_LIT("header"))) {
		l->header[p->message.headers++] = (struct mime_extra){ slice_str(value), slice_str(rest) };
	} else if (slice_eq(key, SLICE_LIT("attach"))) {
		l->file[p->files++] = (struct draft_file){ .path = value, .name = slice_str(rest) };
	} else {
		fprintf(stderr, "draft: what is '%.*s'?\n", SLICE_ARG(key));
		exit(EX_USAGE);
	}
}

static void part_of(struct draft_parts *p, struct lists *l, char *arg)
{
	struct slice key, value = slice_str(arg);
	struct mime_message *m = &p->message;
	const struct {
		struct slice key, *value;
		bool *has;
	} rows[] = {
		{ SLICE_INIT("from"), &m->from, NULL },
		{ SLICE_INIT("sender"), &m->sender, NULL },
		{ SLICE_INIT("reply-to"), &m->reply_to, NULL },
		{ SLICE_INIT("to"), &m->to, NULL },
		{ SLICE_INIT("cc"), &m->cc, NULL },
		{ SLICE_INIT("bcc"), &p->bcc, NULL },
		{ SLICE_INIT("subject"), &m->subject, &m->has_subject },
		{ SLICE_INIT("text"), &m->text, &m->has_text },
		{ SLICE_INIT("html"), &m->html, &m->has_html },
		{ SLICE_INIT("envelope"), &p->sender, &p->has_sender },
		{ SLICE_INIT("domain"), &m->domain, NULL },
	};

	if (!cur_until(&value, '=', &key))
		exit(EX_USAGE);
	if (slice_eq(key, SLICE_LIT("8bit")) || slice_eq(key, SLICE_LIT("one-click"))) {
		*(key.p[0] == '8' ? &m->eightbit : &m->one_click) = true;
		return;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (slice_eq(key, rows[i].key)) {
			*rows[i].value = value_of(arg + key.n + 1);
			if (rows[i].has)
				*rows[i].has = true;
			return;
		}
	list_item(p, l, key, arg + key.n + 1);
}

static int compose(int argc, char **argv)
{
	static struct lists l;
	struct draft_parts p = { .message = { .date_ms = NOW,
					      .id = SLICE_LIT("0TEST"),
					      .hostname = SLICE_LIT("client.example.net"),
					      .header = l.header,
					      .unsubscribe = l.url },
				 .file = l.file };
	struct mime_problem problem = { 0 };
	struct draft d;
	int r;

	for (int i = 0; i < argc && i < LIST_MAX; i++)
		part_of(&p, &l, argv[i]);
	if (draft_init(&d) < 0)
		return EX_TEMPFAIL;
	r = show(&d, draft_compose(&d, &p, &problem), &problem);
	draft_done(&d);
	return r;
}

static int as_sendmail(int argc, char **argv)
{
	const char *recipient[LIST_MAX];
	char error[SENDMAIL_ERROR_MAX] = "";
	struct letter_setup setup = { .fallback = SLICE_LIT("www-data"),
				      .domain = SLICE_LIT("host.example.net"),
				      .hostname = SLICE_LIT("host.example.net"),
				      .id = SLICE_LIT("0TEST"),
				      .time_ms = NOW };
	struct mime_problem problem = { 0 };
	struct sendmail s;
	struct draft d;
	int r = argc < LIST_MAX ? sendmail_parse(argc, argv, recipient, &s, error) : EX_USAGE;

	if (r != EX_OK || s.mode != SENDMAIL_SEND) {
		fprintf(stderr, "%s\n", error);
		return r;
	}
	setup.dot_ends = s.dot_ends;
	setup.recipients_from_header = s.recipients_from_header;
	setup.has_sender = s.sender;
	setup.sender = slice_str(s.sender);
	setup.full_name = slice_str(s.full_name);
	if (draft_init(&d) < 0)
		return EX_TEMPFAIL;
	for (size_t i = 0; i < s.recipients && r == 0; i++)
		if (submit_envelope_add(&d.envelope, slice_str(recipient[i]), setup.domain,
					SLICE_LIT("recipient"), &problem) != MIME_FINE)
			r = -EBADMSG;
	r = show(&d, r < 0 ? r : draft_read(&d, STDIN_FILENO, &setup, &problem), &problem);
	draft_done(&d);
	return r;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "compose") == 0)
		return compose(argc - 2, argv + 2);
	if (argc > 1 && strcmp(argv[1], "sendmail") == 0)
		return as_sendmail(argc - 1, argv + 1);
	fprintf(stderr, "usage: draft compose|sendmail ...\n");
	return EX_USAGE;
}
