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

/* Stable, by time: events of several processes come in the order of arrival. */
static void sort_by_time(json_t *events)
{
	for (size_t i = 1; i < json_array_size(events); i++) {
		json_t *e = json_incref(json_array_get(events, i));
		json_int_t at = cli_member_number(e, "time_ms");
		size_t k = i;

		while (k > 0 && cli_member_number(json_array_get(events, k - 1), "time_ms") > at)
			k--;
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

		sort_by_time(json_object_get(m, "events"));
		while (at > 0 && strcmp(cli_member_text(json_array_get(t->messages, at - 1), "id"), key) > 0)
			at--;
		json_array_insert(t->messages, at, m);
	}
	json_decref(by_id);
	return CLI_OK;
}

/* A name finds the events that have it; this asks for the rest of the message's. */
static int complete(json_t *m)
{
	struct trace one = { .events = json_array(), .about = json_object() };
	int status =
		control_ask(json_pack("{s:s, s:s}", "ask", "events.find", "id", cli_member_text(m, "id")),
			    SLICE_LIT(""), take_events, &one);

	if (status == CLI_OK &&
	    json_array_size(one.events) >= json_array_size(json_object_get(m, "events"))) {
		sort_by_time(one.events);
		json_object_set(m, "events", one.events);
	}
	json_decref(one.events);
	json_decref(one.about);
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
		if (status == CLI_OK && !t->id)
			status = complete(m);
		if (status == CLI_OK)
			json_object_set_new(m, "queue", now_in_queue(cli_member_text(m, "id"), &status));
	}
	if (t->id && json_array_size(t->events) == 0 &&
	    json_is_null(json_object_get(json_array_get(t->messages, 0), "queue")))
		json_array_clear(t->messages);
	find_meant(t);
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
