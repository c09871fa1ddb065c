/* check --local: what was found, as JSON (doc/check.md). */
#include <stdio.h>

#include <jansson.h>

#include "cli/check_local.h"
#include "base/json_text.h"

/* The file that a line is of, where it is not the configuration itself. */
static const char *other_file(const struct local_file *f, uint16_t file, unsigned line)
{
	return file > 0 && line > 0 ? local_source_path(f, file) : NULL;
}

static json_t *path_json(const char *path)
{
	return path ? json_text(slice_str(path)) : json_null();
}

static json_t *changes_json(const struct local_file *f, const struct advise_local_server *s,
			    const struct advise_target *target)
{
	struct advise_change c[ADVISE_LOCAL_CHANGES];
	size_t n = advise_local_changes(&f->local, s, target, c);
	json_t *list = json_array();
	char path[PATH_MAX];

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list,
				      json_pack("{s:s?, s:o, s:o, s:o, s:b, s:s}", "beside",
						c[i].beside ? advise_local_kind_beside(f->kind) : NULL, "in",
						path_json(local_change_path(f, &c[i], path) ? path : NULL),
						"line", c[i].line ? json_integer(c[i].line) : json_null(),
						"last", c[i].last ? json_integer(c[i].last) : json_null(),
						"add", c[i].add, "text", c[i].text));
	return list;
}

static json_t *findings_json(const struct local_file *f, const struct advise_local_server *s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < ADVISE_WRONGS; i++) {
		enum advise_wrong w = (enum advise_wrong)i;
		unsigned line = advise_wrong_line(w, s);
		char text[600];

		if (!advise_wrong_has(s, w))
			continue;
		json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:s, s:s, s:s?}", "code",
						      advise_wrong_name(w), "level",
						      advise_level_name(advise_wrong_level(w)), "line",
						      line ? json_integer(line) : json_null(), "in",
						      path_json(other_file(f, advise_wrong_file(w, s), line)),
						      "text",
						      advise_wrong_what(w, &f->local, s, text, sizeof(text)),
						      "advice", advise_wrong_change(w), "file",
						      w == ADVISE_WRONG_READABLE ? f->exposed : NULL));
	}
	return list;
}

static json_t *answer_json(const struct advise_answer *a)
{
	return json_pack("{s:s, s:s, s:s}", "result", advise_asked_name(a->asked), "level",
			 advise_level_name(a->level), "text", a->text);
}

static json_t *settings_json(const struct local_file *f, const struct advise_local_server *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_sets; i++) {
		const struct advise_set *set = &s->set[i];
		const char *in = set->beside ? f->beside : other_file(f, set->file, set->line);

		json_array_append_new(list, json_pack("{s:s, s:o, s:i}", "key", advise_set_key(set), "in",
						      path_json(in), "line", (int)set->line));
	}
	return list;
}

static json_t *server_json(const struct local_file *f, size_t i, bool asked)
{
	const struct advise_local_server *s = &f->local.server[i];
	char setting[ADVISE_LOCAL_VALUE + 64];
	unsigned line = advise_local_setting(&f->local, s, setting, sizeof(setting));
	struct advise_target target = { 0 };
	bool aim = asked && f->answer[i].has_target;

	if (aim)
		target = f->answer[i].target;
	else
		aim = advise_local_target(&f->local, s, &target);
	return json_pack("{s:s, s:s?, s:o, s:b, s:s?, s:s, s:s?, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o}",
			 "name", s->name, "host", s->host[0] ? s->host : NULL, "port",
			 s->port ? json_integer(s->port) : json_null(), "port_set", s->port_set, "program",
			 s->program[0] ? s->program : NULL, "encryption", advise_security_name(s->security),
			 "setting", setting[0] ? setting : NULL, "setting_line",
			 line ? json_integer(line) : json_null(), "setting_in",
			 path_json(other_file(f, advise_local_setting_file(s), line)), "settings",
			 settings_json(f, s), "login", s->login_known ? json_boolean(s->login) : json_null(),
			 "password", s->password, "findings", findings_json(f, s), "changes",
			 aim ? changes_json(f, s, &target) : json_array(), "asked",
			 asked && f->answer[i].asked != ADVISE_ASKED_NOT ? answer_json(&f->answer[i])
									 : json_null());
}

/* The files that it takes in, or that belong to it. */
static json_t *sources_json(const struct local_file *f)
{
	json_t *list = json_array();

	for (size_t i = 1; i < f->n_sources; i++) {
		const struct local_source *s = &f->source[i];

		json_array_append_new(list, json_pack("{s:o, s:s?, s:o, s:o, s:s?}", "path",
						      json_text(slice_str(s->path)), "error", s->why, "by",
						      path_json(s->line ? local_source_path(f, s->by) : NULL),
						      "line", s->line ? json_integer(s->line) : json_null(),
						      "when", s->when[0] ? s->when : NULL));
	}
	return list;
}

static json_t *file_json(const struct local_file *f, bool asked)
{
	json_t *servers = json_array();

	for (size_t i = 0; i < f->local.n; i++)
		json_array_append_new(servers, server_json(f, i, asked));
	return json_pack("{s:o, s:s?, s:s?, s:s?, s:b, s:o, s:o}", "path", json_text(slice_str(f->path)),
			 "kind", f->kind < ADVISE_LOCAL_KINDS ? advise_local_kind_name(f->kind) : NULL,
			 "title", f->kind < ADVISE_LOCAL_KINDS ? advise_local_kind_title(f->kind) : NULL,
			 "error", f->why, "cut", f->local.cut, "files", sources_json(f), "servers", servers);
}

bool local_print_json(const struct local_files *files, bool asked)
{
	json_t *list = json_array(), *all;
	struct local_count c;
	bool good;

	local_count(files, &c);
	for (size_t i = 0; i < files->n; i++)
		json_array_append_new(list, file_json(&files->f[i], asked));
	all = json_pack("{s:i, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:o}", "version", 1, "asked", asked,
			"cut", files->cut, "no_network", files->no_network, "servers", (json_int_t)c.servers,
			"problems", (json_int_t)c.problems, "warnings", (json_int_t)c.warnings, "notes",
			(json_int_t)c.notes, "unread", (json_int_t)c.unread, "configurations", list);
	good = all && json_dumpf(all, stdout, JSON_INDENT(1)) == 0;
	if (good)
		putchar('\n');
	else
		fprintf(stderr, "postern check: out of memory\n");
	json_decref(all);
	return good;
}
