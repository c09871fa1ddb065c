/* local_pairs.c - the syntaxes of configuration files, as far as simple settings need them. */
#include "advise/local_private.h"

static bool blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

static struct slice trim(struct slice s)
{
	while (s.n > 0 && blank(s.p[0]))
		s = slice_tail(s, 1);
	while (s.n > 0 && blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool name_byte(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
	       c == '-' || c == '.';
}

static struct slice take_name(struct slice *cur)
{
	size_t n = 0;
	struct slice name;

	while (n < cur->n && name_byte(cur->p[n]))
		n++;
	name = slice_head(*cur, n);
	*cur = slice_tail(*cur, n);
	return name;
}

static bool take_line(struct slice *rest, struct slice *ret)
{
	if (rest->n == 0)
		return false;
	if (!cur_until(rest, '\n', ret)) {
		*ret = *rest;
		*rest = slice_tail(*rest, rest->n);
	}
	return true;
}

static bool has(struct slice s, unsigned char byte)
{
	return slice_find(s, byte) < s.n;
}

/* A quoted string at the beginning, taken with its quotes.  A backslash keeps what follows: within '' to PHP
 * and Python alone. */
static bool take_string(struct slice *cur, bool in_single, struct slice *ret)
{
	unsigned char quote = cur->n > 0 ? cur->p[0] : 0;

	if (quote != '"' && quote != '\'')
		return false;
	for (size_t i = 1; i < cur->n; i++) {
		if (cur->p[i] == '\\' && (quote == '"' || in_single)) {
			i++;
		} else if (cur->p[i] == quote) {
			*ret = (struct slice){ cur->p + 1, i - 1 };
			*cur = slice_tail(*cur, i + 1);
			return true;
		}
	}
	return false;
}

static bool take_quoted(struct slice *cur, struct slice *ret)
{
	return take_string(cur, false, ret);
}

/* Up to a comment that begins with one of these behind a blank, or at the beginning. */
static struct slice before_comment(struct slice s, const char *signs)
{
	for (size_t i = 0; i < s.n; i++)
		for (const char *c = signs; *c; c++)
			if (s.p[i] == (unsigned char)*c && (i == 0 || blank(s.p[i - 1])))
				return trim(slice_head(s, i));
	return trim(s);
}

/* ---- a syntax each: false where the line is no setting ---- */

static bool shell_value(struct slice line, const char *comments, struct advise_pair *ret)
{
	bool single = line.n > 0 && line.p[0] == '\'';
	struct slice s = line;

	if (!take_quoted(&s, &ret->value))
		ret->value = before_comment(line, comments);
	ret->literal = single || (!has(ret->value, '$') && !has(ret->value, '`'));
	return true;
}

static bool shell_line(struct slice line, struct advise_pair *ret)
{
	line = trim(line);
	if (cur_word(&line, SLICE_LIT("export ")))
		line = trim(line);
	ret->key = take_name(&line);
	return ret->key.n > 0 && cur_byte(&line, '=') && shell_value(line, "#", ret);
}

static bool word_line(struct slice line, struct advise_pair *ret)
{
	line = trim(line);
	ret->key = take_name(&line);
	line = trim(line);
	if (!take_quoted(&line, &ret->value))
		ret->value = line;
	ret->literal = true;
	return ret->key.n > 0;
}

/* PHP's pools: php_admin_value[sendmail_path] = ... is of the pool that the section names. */
static void pool_key(struct slice *line, struct advise_pair *ret)
{
	static const struct slice names[] = { SLICE_INIT("php_admin_value"), SLICE_INIT("php_value") };
	struct slice c = *line, inside;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq(ret->key, names[i]) && cur_byte(&c, '[') && cur_until(&c, ']', &inside)) {
			ret->key = trim(inside);
			ret->sub = ret->section;
			ret->pool = true;
			*line = trim(c);
			return;
		}
}

/* [section], [section "sub"] */
static void ini_section(struct slice line, struct advise_pairs *p)
{
	size_t n = slice_find(line, ']'), at;
	struct slice inside = trim(slice_head(line, n)), tail;

	at = slice_find(inside, '"');
	tail = slice_tail(inside, at);
	p->section = trim(slice_head(inside, at));
	if (!take_quoted(&tail, &p->sub))
		p->sub = (struct slice){ 0 };
}

static bool ini_line(struct slice line, struct advise_pairs *p, struct advise_pair *ret)
{
	line = trim(line);
	if (cur_byte(&line, '[')) {
		ini_section(line, p);
		return false;
	}
	ret->section = p->section;
	ret->sub = p->sub;
	ret->key = take_name(&line);
	line = trim(line);
	pool_key(&line, ret);
	if (ret->key.n == 0)
		return false;
	if (!cur_byte(&line, '=')) {
		ret->value = SLICE_LIT("true"); /* git: the name alone */
		ret->literal = true;
		return line.n == 0 || line.p[0] == '#' || line.p[0] == ';';
	}
	(void)shell_value(trim(line), "#;", ret);
	ret->literal = !has(ret->value, '$'); /* php.ini: ${NAME} */
	return true;
}

static bool number_or_truth(struct slice s)
{
	static const struct slice truths[] = { SLICE_INIT("true"), SLICE_INIT("false"), SLICE_INIT("none"),
					       SLICE_INIT("null") };
	size_t n = 0;

	for (size_t i = 0; i < sizeof(truths) / sizeof(truths[0]); i++)
		if (slice_eq_nocase(s, truths[i]))
			return true;
	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n > 0 && n == s.n;
}

/* A string alone, a number, True or False; else an expression, of which the value is left empty. */
static void expression(struct slice s, struct advise_pair *ret)
{
	struct slice rest = s;

	ret->literal = take_string(&rest, true, &ret->value) && trim(rest).n == 0;
	if (!ret->literal && number_or_truth(s)) {
		ret->value = s;
		ret->literal = true;
	}
	if (!ret->literal)
		ret->value = (struct slice){ 0 };
}

/* In a block (if DEBUG:) it may not hold. */
static bool python_line(struct slice line, struct advise_pair *ret)
{
	struct slice rest;

	ret->condition = line.n > 0 && blank(line.p[0]);
	line = trim(line);
	ret->key = take_name(&line);
	line = trim(line);
	if (cur_byte(&line, ':')) /* EMAIL_PORT: int = 587 */
		line = slice_tail(line, slice_find(line, '='));
	if (ret->key.n == 0 || !cur_byte(&line, '=') || (line.n > 0 && line.p[0] == '='))
		return false;
	line = trim(line);
	rest = line;
	if (take_string(&rest, true, &ret->value))
		line.n -= rest.n - before_comment(rest, "#").n;
	else
		line = before_comment(line, "#");
	expression(trim(line), ret);
	return true;
}

/* A logical line: with all that follow and begin with a blank (postconf(5), master(5)). */
static bool take_logical(struct slice *rest, struct slice *ret)
{
	struct slice line, more;

	while (take_line(rest, &line)) {
		if (line.n == 0 || line.p[0] == '#' || blank(line.p[0]))
			continue;
		while (rest->n > 0 && (rest->p[0] == ' ' || rest->p[0] == '\t') && take_line(rest, &more))
			line.n = (size_t)(more.p + more.n - line.p);
		*ret = line;
		return true;
	}
	return false;
}

static bool assignment(struct slice line, struct advise_pair *ret)
{
	ret->key = take_name(&line);
	line = trim(line);
	if (ret->key.n == 0 || !cur_byte(&line, '='))
		return false;
	ret->value = trim(line);
	ret->literal = !has(ret->value, '$');
	return true;
}

static bool lines_next(struct advise_pairs *p, struct advise_pair *ret)
{
	struct slice line;

	while (take_logical(&p->rest, &line))
		if (assignment(line, ret))
			return true;
	return false;
}

static struct slice take_word(struct slice *cur)
{
	struct slice word;
	size_t n = 0;

	*cur = trim(*cur);
	while (n < cur->n && !blank(cur->p[n]))
		n++;
	word = slice_head(*cur, n);
	*cur = slice_tail(*cur, n);
	return word;
}

/* smtp unix - - y - - smtp -o name=value: that is where relayhost leads.  section holds what is left of the
 * line that is being read. */
static bool master_next(struct advise_pairs *p, struct advise_pair *ret)
{
	do {
		while (p->section.n > 0)
			if (slice_eq(take_word(&p->section), SLICE_LIT("-o")) &&
			    assignment(take_word(&p->section), ret))
				return true;
		if (!take_logical(&p->rest, &p->section))
			return false;
		if (!slice_eq(take_word(&p->section), SLICE_LIT("smtp")) ||
		    !slice_eq(take_word(&p->section), SLICE_LIT("unix")))
			p->section = (struct slice){ 0 };
	} while (true);
}

/* Exim: a line that ends with a backslash goes on in the next. */
static bool take_continued(struct slice *rest, struct slice *ret)
{
	struct slice line, more;

	if (!take_line(rest, &line))
		return false;
	more = line;
	while (trim(more).n > 0 && trim(more).p[trim(more).n - 1] == '\\' && take_line(rest, &more))
		line.n = (size_t)(more.p + more.n - line.p);
	*ret = line;
	return true;
}

static bool exim_next(struct advise_pairs *p, struct advise_pair *ret)
{
	struct slice line, name;

	while (take_continued(&p->rest, &line)) {
		line = trim(line);
		if (cur_byte(&line, '.')) { /* .ifdef, .include */
			ret->key = take_name(&line);
			ret->value = trim(line);
			ret->directive = ret->literal = true;
			if (ret->key.n > 0)
				return true;
			continue;
		}
		(void)cur_word(&line, SLICE_LIT("hide "));
		name = trim(line);
		if (cur_word(&name, SLICE_LIT("begin "))) {
			p->section = trim(name);
			p->sub = (struct slice){ 0 };
			continue;
		}
		if (assignment(trim(line), ret)) {
			ret->section = p->section;
			ret->sub = p->sub;
			return true;
		}
		line = trim(line);
		name = take_name(&line);
		if (name.n > 0 && slice_eq(trim(line), SLICE_LIT(":")))
			p->sub = name;
	}
	return false;
}

/* value ); */
static bool define_value(struct slice *cur, struct advise_pair *ret)
{
	struct slice c = trim(*cur), value, tail;

	if (take_string(&c, true, &value)) {
		if (!cur_until(&c, ';', &tail))
			return false;
		tail = trim(tail);
		ret->literal = slice_eq(tail, SLICE_LIT(")"));
		ret->value = ret->literal ? value : (struct slice){ 0 };
	} else {
		if (!cur_until(&c, ';', &value))
			return false;
		value = trim(value);
		if (value.n > 0 && value.p[value.n - 1] == ')')
			value.n--;
		expression(trim(value), ret);
	}
	*cur = c;
	return true;
}

/* PHP: past comments and strings to the next define( 'NAME', value ). */
static bool defines_next(struct advise_pairs *p, struct advise_pair *ret)
{
	struct slice c = p->rest, skip;

	while (c.n > 0) {
		if (cur_word(&c, SLICE_LIT("//")) || cur_byte(&c, '#')) {
			(void)take_line(&c, &skip);
		} else if (cur_word(&c, SLICE_LIT("/*"))) {
			while (c.n > 0 && !cur_word(&c, SLICE_LIT("*/")))
				c = slice_tail(c, 1);
		} else if (c.p[0] == '"' || c.p[0] == '\'') {
			/* One that is not closed ends it: looking on from each next quote would take for
			 * ever. */
			if (!take_string(&c, true, &skip))
				c = slice_tail(c, c.n);
		} else if (cur_word(&c, SLICE_LIT("define"))) {
			c = trim(c);
			if (!cur_byte(&c, '('))
				continue;
			c = trim(c);
			if (!take_string(&c, true, &ret->key)) {
				c = slice_tail(c, c.n > 0 && (c.p[0] == '"' || c.p[0] == '\'') ? c.n : 0);
				continue;
			}
			c = trim(c);
			if (!cur_byte(&c, ',') || !define_value(&c, ret))
				continue;
			p->rest = c;
			return true;
		} else {
			c = slice_tail(c, 1);
		}
	}
	p->rest = c;
	return false;
}

static bool line_next(struct advise_pairs *p, struct advise_pair *ret)
{
	struct slice line;

	while (take_line(&p->rest, &line)) {
		bool is = p->syntax == ADVISE_SHELL   ? shell_line(line, ret)
			  : p->syntax == ADVISE_WORDS ? word_line(line, ret)
			  : p->syntax == ADVISE_INI   ? ini_line(line, p, ret)
						      : python_line(line, ret);

		if (is)
			return true;
		*ret = (struct advise_pair){ 0 };
	}
	return false;
}

void advise_pairs_init(struct advise_pairs *p, enum advise_syntax syntax, struct slice text)
{
	if (slice_starts(text, SLICE_LIT("\xef\xbb\xbf"))) /* editors on Windows put it there */
		text = slice_tail(text, 3);
	*p = (struct advise_pairs){ .syntax = syntax, .rest = text, .counted = text.p, .line = 1 };
	p->end = text.n > 0 ? text.p + text.n : text.p;
}

bool advise_pairs_next(struct advise_pairs *p, struct advise_pair *ret)
{
	bool is;

	*ret = (struct advise_pair){ 0 };
	switch (p->syntax) {
	case ADVISE_LINES:
		is = lines_next(p, ret);
		break;
	case ADVISE_MASTER:
		is = master_next(p, ret);
		break;
	case ADVISE_EXIM:
		is = exim_next(p, ret);
		break;
	case ADVISE_DEFINES:
		is = defines_next(p, ret);
		break;
	default:
		is = line_next(p, ret);
		break;
	}
	if (!is)
		return false;
	for (; p->counted < ret->key.p; p->counted++)
		p->line += *p->counted == '\n';
	ret->line = ret->last = p->line;
	/* A name alone has a value that stands nowhere. */
	if (ret->value.n > 0 && ret->value.p > ret->key.p && ret->value.p < p->end)
		for (const unsigned char *c = ret->key.p; c < ret->value.p + ret->value.n; c++)
			ret->last += *c == '\n';
	return true;
}
