/* postern trace: what became of a message, from acceptance to its end. */
#include <string.h>

#include "base/id.h"
#include "cli/cli.h"
#include "cli/control.h"
#include "cli/trace.h"

enum { OPT_ACCOUNT = 1, OPT_SINCE, OPT_TRANSCRIPT };

static int take_events(void *arg, json_t *part)
{
	struct trace *t = arg;

	json_array_extend(t->events, json_object_get(part, "events"));
	if (json_object_get(part, "keep_s"))
		json_object_update(t->about, part);
	return 0;
}

static int take_queue(void *arg, json_t *part)
{
	json_t *into = arg, *rcpts = json_object_get(part, "recipients"), *all;

	if (json_object_get(part, "message"))
		json_object_update(into, json_object_get(part, "message"));
	if (!json_is_array(rcpts))
		return 0;
	all = json_object_get(into, "to");
	if (!all) {
		all = json_array();
		json_object_set_new(into, "to", all);
	}
	json_array_extend(all, rcpts);
	return 0;
}

/* What the queue knows of it now; JSON null when it is not there. */
static json_t *now_in_queue(const char *id, int *ret_status)
{
	json_t *m = json_object();

	*ret_status = control_ask(json_pack("{s:s, s:s, s:b}", "ask", "queue.show", "id", id, "if_there", 1),
				  SLICE_LIT(""), take_queue, m);
	if (json_object_size(m) > 0 && json_object_get(m, "state"))
		return m;
	json_decref(m);
	return json_null();
}

/* When it began: an attempt is told when it is over. */
json_int_t trace_when(const json_t *e)
{
	json_int_t at = cli_member_number(e, "time_ms");

	return strcmp(cli_member_text(e, "kind"), "attempted") ? at : at - cli_member_number(e, "ms");
}

static bool is_accepted(const json_t *e)
{
	return !strcmp(cli_member_text(e, "kind"), "accepted");
}

/* Several processes tell, each by its own reading of the clock: nothing of a message is before it came. */
static json_int_t order_of(const json_t *e, json_int_t accepted)
{
	json_int_t at = trace_when(e);

	return *cli_member_text(e, "id") && at < accepted ? accepted : at;
}

void trace_sort(json_t *events)
{
	json_int_t accepted = 0;
	json_t *e;
	size_t i;

	json_array_foreach(events, i, e)
	{
		if (is_accepted(e) && accepted == 0)
			accepted = trace_when(e);
	}
	for (i = 1; i < json_array_size(events); i++) {
		size_t k = i;

		e = json_incref(json_array_get(events, i));
		for (; k > 0; k--) {
			const json_t *before = json_array_get(events, k - 1);
			json_int_t x = order_of(before, accepted), y = order_of(e, accepted);

			if (x < y || (x == y && (!is_accepted(e) || is_accepted(before))))
				break;
		}
		if (k < i) {
			json_array_remove(events, i);
			json_array_insert(events, k, e);
		}
		json_decref(e);
	}
}

/* {"id":, "events": [...]} each, the oldest message first. */
static int group(struct trace *t)
{
	json_t *e, *m, *by_id = json_object();
	const char *key;
	size_t i;

	json_array_foreach(t->events, i, e)
	{
		const char *id = t->id ? t->id : cli_member_text(e, "id");

		m = json_object_get(by_id, id);
		if (!m) {
			m = json_pack("{s:s, s:[]}", "id", id, "events");
			if (!m || json_object_set_new(by_id, id, m) < 0)
				return CLI_FAILED;
		}
		json_array_append(json_object_get(m, "events"), e);
	}
	json_object_foreach(by_id, key, m)
	{
		size_t at = json_array_size(t->messages);

		trace_sort(json_object_get(m, "events"));
		while (at > 0 && strcmp(cli_member_text(json_array_get(t->messages, at - 1), "id"), key) > 0)
			at--;
		json_array_insert(t->messages, at, m);
	}
	json_decref(by_id);
	return CLI_OK;
}

/* Only its own: others name it, as those of a report about it do. */
static void keep_own(json_t *m)
{
	json_t *events = json_object_get(m, "events");

	for (size_t i = json_array_size(events); i > 0; i--)
		if (strcmp(cli_member_text(json_array_get(events, i - 1), "id"), cli_member_text(m, "id")))
			json_array_remove(events, i - 1);
}

/* All that is known of one: its events, and where it is in the queue. */
static int read_life(json_t *m, bool complete)
{
	const char *id = cli_member_text(m, "id");
	struct trace one = { .events = json_array(), .about = json_object() };
	int status = CLI_OK;

	if (!complete)
		status = control_ask(json_pack("{s:s, s:s}", "ask", "events.find", "id", id), SLICE_LIT(""),
				     take_events, &one);
	if (status == CLI_OK && json_array_size(one.events) > 0)
		json_object_set(m, "events", one.events);
	json_decref(one.events);
	json_decref(one.about);
	keep_own(m);
	trace_sort(json_object_get(m, "events"));
	if (status == CLI_OK)
		json_object_set_new(m, "queue", now_in_queue(id, &status));
	return status;
}

/* ---- reports about it ---- */

/* Their lives belong to its own; they are no messages of the list, unless asked for. */
static int read_reports(struct trace *t, json_t *m)
{
	json_t *reports = json_array(), *e, *other;
	int status = CLI_OK;
	size_t i, at;

	json_array_foreach(json_object_get(m, "events"), i, e)
	{
		const char *dsn = cli_member_text(e, "dsn");
		json_t *report = *dsn ? json_pack("{s:s, s:[]}", "id", dsn, "events") : NULL;

		if (!report || status != CLI_OK || json_array_append_new(reports, report) < 0)
			continue;
		status = read_life(report, false);
		json_array_foreach(t->messages, at, other)
		{
			if (!strcmp(cli_member_text(other, "id"), dsn))
				break;
		}
		if (at < json_array_size(t->messages))
			json_array_remove(t->messages, at);
	}
	json_object_set_new(m, "reports", reports);
	return status;
}

/* ---- what kept it waiting ---- */

#define SITES_MAX 10
#define PAGES_MAX 10
#define BEFORE_MS 3600000 /* that a site is left alone after a failure, with some more */

/* {"SITE": until when it waited for it, or 0: it still does} */
static json_t *sites_of(const json_t *m)
{
	json_t *sites = json_object(), *e, *r;
	size_t i;

	json_array_foreach(json_object_get(m, "events"), i, e)
	{
		const char *site = cli_member_text(e, "site");

		if (*site && json_object_size(sites) < SITES_MAX)
			json_object_set_new(sites, site, json_integer(cli_member_number(e, "time_ms")));
	}
	json_array_foreach(json_object_get(json_object_get(m, "queue"), "to"), i, r)
	{
		const char *site = cli_member_text(r, "site"), *state = cli_member_text(r, "state");

		if (!*site)
			site = cli_member_text(r, "destination");
		if (*site && strcmp(state, "failed") != 0 && json_object_size(sites) < SITES_MAX)
			json_object_set_new(sites, site, json_integer(0));
	}
	return sites;
}

static bool is_news(const json_t *e, const char *what)
{
	return !strcmp(cli_member_text(e, "kind"), "site") && !strcmp(cli_member_text(e, "what"), what);
}

/* What was tried without any message while this one waited; and what failed last before it came, if the site
 * was not back by then. */
static void take_attempts(json_t *m, const json_t *found, json_int_t accepted)
{
	const json_t *before = NULL;
	json_t *events = json_object_get(m, "events"), *e;
	size_t i;

	json_array_foreach(found, i, e)
	{
		bool is_attempt = !strcmp(cli_member_text(e, "kind"), "attempted") || is_news(e, "unknown");

		if (cli_member_number(e, "time_ms") >= accepted) {
			if (is_attempt)
				json_array_append(events, e);
		} else if (is_attempt || is_news(e, "back")) {
			before = is_attempt ? e : NULL;
		}
	}
	if (before)
		json_array_append(events, (json_t *)(uintptr_t)before);
}

static int read_site(json_t *m, const char *site, json_int_t accepted, json_int_t until)
{
	struct trace one = { .events = json_array(), .about = json_object() };
	json_int_t since = accepted > BEFORE_MS ? accepted - BEFORE_MS : 0, after = 0;
	int status, pages = 0;

	do {
		json_t *q = json_pack("{s:s, s:s, s:b, s:[s, s], s:I, s:I, s:I}", "ask", "events.read",
				      "site", site, "no_message", 1, "kinds", "attempted", "site", "since_ms",
				      since, "until_ms", until, "after", after);

		status = control_ask(q, SLICE_LIT(""), take_events, &one);
		after = cli_member_number(one.about, "after");
	} while (status == CLI_OK && after > 0 && ++pages < PAGES_MAX);
	take_attempts(m, one.events, accepted);
	json_decref(one.events);
	json_decref(one.about);
	return status;
}

/* A connection that fails is of no message: those that waited for its site find it by that, and the time. */
static int read_attempts(json_t *m)
{
	json_int_t accepted = cli_member_number(json_array_get(json_object_get(m, "events"), 0), "time_ms");
	json_t *sites = sites_of(m), *until;
	int status = CLI_OK;
	const char *site;

	if (accepted == 0)
		accepted = cli_member_number(json_object_get(m, "queue"), "time");
	json_object_foreach(sites, site, until)
	{
		if (status == CLI_OK && accepted > 0)
			status = read_site(m, site, accepted, json_integer_value(until));
	}
	json_decref(sites);
	trace_sort(json_object_get(m, "events"));
	return status;
}

/* The only message that was accepted under the Message-ID that was asked for: whose life it is.  Others
 * are about it, as a report is. */
static void find_meant(struct trace *t)
{
	struct slice name = slice_str(cli_member_text(t->question, "name"));
	json_t *m;
	size_t i;

	json_array_foreach(t->messages, i, m)
	{
		const json_t *first = json_array_get(json_object_get(m, "events"), 0);
		struct slice id = slice_str(cli_member_text(first, "message_id"));

		if (id.n > 2 && id.p[0] == '<')
			id = slice_of(id.p + 1, id.n - 2);
		if (name.n == 0 || !slice_eq(id, name))
			continue;
		if (t->meant) { /* the same message more than once: a list, then */
			t->meant = NULL;
			return;
		}
		t->meant = m;
	}
}

/* Joined with what waits now; a message that the history does not know may still be there. */
static int join(struct trace *t)
{
	int status = CLI_OK;
	json_t *m;
	size_t i;

	if (json_array_size(t->messages) == 0 && t->id)
		json_array_append_new(t->messages, json_pack("{s:s, s:[]}", "id", t->id, "events"));
	json_array_foreach(t->messages, i, m)
	{
		if (status == CLI_OK)
			status = read_life(m, t->id != NULL);
	}
	if (t->id && json_array_size(t->events) == 0 &&
	    json_is_null(json_object_get(json_array_get(t->messages, 0), "queue")))
		json_array_clear(t->messages);
	/* Reports are younger than what they are about: none is behind us. */
	for (i = 0; i < json_array_size(t->messages) && status == CLI_OK; i++)
		status = read_reports(t, json_array_get(t->messages, i));
	find_meant(t);
	json_array_foreach(t->messages, i, m)
	{
		if (status == CLI_OK && (t->as_json || trace_is_whole(t, m)))
			status = read_attempts(m);
	}
	return status;
}

static int parse(int argc, char **argv, struct trace *t)
{
	static const struct option options[] = { CONTROL_OPTIONS,
						 { "json", no_argument, NULL, 'j' },
						 { "limit", required_argument, NULL, 'n' },
						 { "account", required_argument, NULL, OPT_ACCOUNT },
						 { "since", required_argument, NULL, OPT_SINCE },
						 { "transcript", no_argument, NULL, OPT_TRANSCRIPT },
						 { 0 } };
	uint64_t n;
	int c;

	while ((c = getopt_long(argc, argv, CONTROL_SHORT, options, NULL)) != -1) {
		if (control_option(c, optarg))
			continue;
		if (c == 'j') {
			t->as_json = true;
		} else if (c == OPT_TRANSCRIPT) {
			t->transcript = true;
		} else if (c == OPT_ACCOUNT) {
			t->what = optarg;
			json_object_set_new(t->question, "account", json_string(optarg));
		} else if (c == OPT_SINCE && cli_parse_span(optarg, &n)) {
			json_object_set_new(t->question, "since_ms",
					    json_integer((json_int_t)(t->now_ms - n * 1000)));
		} else if (c == OPT_SINCE) {
			return cli_usage(argv[0], "--since takes a span such as 12h or 7d, not '%s'", optarg);
		} else if (c == 'n') {
			struct slice s = slice_str(optarg);

			if (!cur_u64(&s, 200, &n) || s.n > 0 || n == 0)
				return cli_usage(argv[0], "--limit takes a number from 1 to 200");
			json_object_set_new(t->question, "limit", json_integer((json_int_t)n));
		} else {
			return cli_usage_only(argv[0]);
		}
	}
	if (argc - optind != (t->what ? 0 : 1))
		return cli_usage(argv[0], "takes one message id, Message-ID or address, or --account");
	return CLI_OK;
}

/* A queue id in any case of letters, a Message-ID with or without <>, or an address. */
static void take_term(struct trace *t, const char *term)
{
	static char upper[ID_LEN + 1];
	struct slice s = slice_str(term);
	struct id id;

	t->what = term;
	if (s.n == ID_LEN) {
		for (size_t i = 0; i < ID_LEN; i++)
			upper[i] = (char)(term[i] >= 'a' && term[i] <= 'z' ? term[i] - 'a' + 'A' : term[i]);
		if (id_parse(slice_str(upper), &id)) {
			t->id = upper;
			json_object_set_new(t->question, "id", json_string(upper));
			return;
		}
	}
	if (s.n > 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
		s = slice_of(s.p + 1, s.n - 2);
	json_object_set_new(t->question, "name", json_stringn((const char *)s.p, s.n));
}

static int run(struct trace *t)
{
	int status = control_ask(json_incref(t->question), SLICE_LIT(""), take_events, t);

	if (status == CLI_OK)
		status = group(t);
	if (status == CLI_OK)
		status = join(t);
	if (status != CLI_OK)
		return status;
	return trace_print(t);
}

int cli_trace(int argc, char **argv)
{
	struct trace t = { .question = json_pack("{s:s}", "ask", "events.find"),
			   .events = json_array(),
			   .messages = json_array(),
			   .about = json_object(),
			   .now_ms = cli_now_ms() };
	int status = CLI_FAILED;

	if (t.question && t.events && t.messages && t.about)
		status = parse(argc, argv, &t);
	if (status == CLI_OK) {
		if (!t.what)
			take_term(&t, argv[optind]);
		status = run(&t);
	}
	json_decref(t.question);
	json_decref(t.events);
	json_decref(t.messages);
	json_decref(t.about);
	return status;
}
