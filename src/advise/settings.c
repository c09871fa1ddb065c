/* settings.c - the templates of settings.def, filled in. */
#include <string.h>

#include "advise/settings.h"
#include "base/ip.h"

static const struct {
	const char *name, *title, *note;
} programs[] = {
#define CLIENT(code, name, title, note) { name, title, note },
#define PART(code, where, mode, text)
#include "advise/settings.def"
#undef CLIENT
#undef PART
};

static const struct {
	enum advise_program of;
	const char *where;
	unsigned mode;
	const char *text;
} parts[] = {
#define CLIENT(code, name, title, note)
#define PART(code, where, mode, text) { ADVISE_FOR_##code, where, mode, text },
#include "advise/settings.def"
#undef CLIENT
#undef PART
};

/* ---- what may be filled in ---- */

static bool alnum(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* In no language of settings.def these end a string, begin a comment or an expansion, or divide words.  Not %
 * (Exim and Postfix keep it, others would not), not : (it ends the user of sasl_passwd), not ^ (Exim's NUL).
 */
static bool plain(const char *s, const char *also, size_t max)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!alnum((unsigned char)s[i]) && !strchr(also, s[i]))
			return false;
	return n > 0 && n <= max && s[0] != '-';
}

static bool host_ok(const char *host)
{
	struct ip ip;

	return ip_parse(slice_str(host), &ip) || plain(host, ".-_", 253);
}

const char *advise_settings_usable(const struct advise_server *s)
{
	if (!host_ok(s->host))
		return "the host's name";
	if (s->port == 0)
		return "the port";
	if (s->user && !plain(s->user, "@.+-_=/~", 254))
		return "the user name";
	if (s->from && !plain(s->from, "@.+-_=/~", 254))
		return "the address to send from";
	return NULL;
}

static bool offers(const char *mechs, const char *mech)
{
	struct slice rest = slice_str(mechs), word;

	while (rest.n > 0) {
		if (!cur_until(&rest, ' ', &word)) {
			word = rest;
			rest = slice_tail(rest, rest.n);
		}
		if (slice_eq_nocase(word, slice_str(mech)))
			return true;
	}
	return false;
}

const char *advise_settings_mechanism(const struct advise_server *s)
{
	if (!s->mechs || offers(s->mechs, "PLAIN"))
		return "PLAIN";
	return offers(s->mechs, "LOGIN") ? "LOGIN" : NULL;
}

/* ---- templates ---- */

static const char *user_of(const struct advise_server *s)
{
	return s->user ? s->user : "YOUR-USER-NAME";
}

static const char *from_of(const struct advise_server *s)
{
	if (s->from)
		return s->from;
	return s->user && strchr(s->user, '@') ? s->user : "YOU@YOUR-DOMAIN";
}

static bool is_login(const struct advise_server *s)
{
	const char *mech = advise_settings_mechanism(s);

	return mech && strcmp(mech, "LOGIN") == 0;
}

/* {host} and such: takes it from t. */
static bool put_word(struct slice *t, const struct advise_server *s, struct buf *to)
{
	if (cur_word(t, SLICE_LIT("{host}")))
		buf_str(to, s->host);
	else if (cur_word(t, SLICE_LIT("{port}")))
		buf_dec(to, s->port, 1);
	else if (cur_word(t, SLICE_LIT("{user}")))
		buf_str(to, user_of(s));
	else if (cur_word(t, SLICE_LIT("{from}")))
		buf_str(to, from_of(s));
	else if (cur_word(t, SLICE_LIT("{mech}")))
		buf_str(to, is_login(s) ? "LOGIN" : "PLAIN");
	else
		return false;
	return true;
}

/* What stands before the first such octet outside braces, which is taken too. */
static bool branch(struct slice *t, unsigned char end, struct slice *ret)
{
	unsigned depth = 0;

	for (size_t i = 0; i < t->n; i++) {
		if (depth == 0 && t->p[i] == end) {
			*ret = slice_head(*t, i);
			*t = slice_tail(*t, i + 1);
			return true;
		}
		if (t->p[i] == '{')
			depth++;
		else if (t->p[i] == '}' && depth > 0)
			depth--;
	}
	return false;
}

/* {?tls:A|B}: takes it from t and gives the branch that holds. */
static bool choose(struct slice *t, const struct advise_server *s, struct slice *ret)
{
	struct slice c = *t, yes, no;
	bool holds;

	if (cur_word(&c, SLICE_LIT("{?tls:")))
		holds = s->implicit;
	else if (cur_word(&c, SLICE_LIT("{?odd:")))
		holds = s->implicit != (s->port == 465);
	else if (cur_word(&c, SLICE_LIT("{?login:")))
		holds = is_login(s);
	else
		return false;
	if (!branch(&c, '|', &yes) || !branch(&c, '}', &no))
		return false;
	*ret = holds ? yes : no;
	*t = c;
	return true;
}

/* Of a branch: it holds no choice itself. */
static void put_plain(struct slice t, const struct advise_server *s, struct buf *to)
{
	while (t.n > 0) {
		if (put_word(&t, s, to))
			continue;
		buf_byte(to, t.p[0]);
		t = slice_tail(t, 1);
	}
}

static void fill_line(struct slice line, const struct advise_server *s, struct buf *to)
{
	struct slice chosen;

	while (line.n > 0) {
		if (choose(&line, s, &chosen)) {
			put_plain(chosen, s, to);
		} else if (!put_word(&line, s, to)) {
			buf_byte(to, line.p[0]);
			line = slice_tail(line, 1);
		}
	}
}

static void fill(const char *template, const struct advise_server *s, struct buf *to)
{
	struct slice rest = slice_str(template), line;

	while (cur_until(&rest, '\n', &line)) {
		size_t before = buf_slice(to).n;

		fill_line(line, s, to);
		if (line.n == 0 || buf_slice(to).n > before)
			buf_byte(to, '\n');
	}
	fill_line(rest, s, to);
}

/* ---- what others ask ---- */

enum advise_program advise_settings_find(struct slice name)
{
	unsigned i = 0;

	while (i < ADVISE_PROGRAMS && !slice_eq_nocase(name, slice_str(programs[i].name)))
		i++;
	return (enum advise_program)i;
}

const char *advise_settings_name(enum advise_program program)
{
	return programs[program].name;
}

const char *advise_settings_title(enum advise_program program)
{
	return programs[program].title;
}

bool advise_settings_part(enum advise_program program, size_t i, const struct advise_server *s,
			  struct buf *where, struct buf *text, unsigned *ret_mode)
{
	for (size_t k = 0; k < sizeof(parts) / sizeof(parts[0]); k++) {
		if (parts[k].of != program || i-- > 0)
			continue;
		fill(parts[k].where, s, where);
		fill(parts[k].text, s, text);
		*ret_mode = parts[k].mode;
		return true;
	}
	return false;
}

void advise_settings_note(enum advise_program program, const struct advise_server *s, struct buf *note)
{
	fill(programs[program].note, s, note);
}
