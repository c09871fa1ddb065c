#include "mime/dsn_private.h"

size_t dsn_utf8(struct slice s)
{
	static const struct {
		unsigned char mask, is;
		size_t n;
		uint32_t least;
	} forms[] = { { 0x80, 0x00, 1, 0 },
		      { 0xe0, 0xc0, 2, 0x80 },
		      { 0xf0, 0xe0, 3, 0x800 },
		      { 0xf8, 0xf0, 4, 0x10000 } };

	for (size_t f = 0; s.n > 0 && f < sizeof(forms) / sizeof(forms[0]); f++) {
		uint32_t c;

		if ((s.p[0] & forms[f].mask) != forms[f].is)
			continue;
		if (s.n < forms[f].n)
			return 0;
		c = s.p[0] & (uint32_t)(unsigned char)~forms[f].mask;
		for (size_t i = 1; i < forms[f].n; i++) {
			if ((s.p[i] & 0xc0) != 0x80)
				return 0;
			c = c << 6 | (s.p[i] & 0x3fU);
		}
		if (c < forms[f].least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return 0;
		return forms[f].n;
	}
	return 0;
}

/* C1 controls, and what reorders or hides text on a screen. */
static bool is_harmful(struct slice c)
{
	if (c.n == 2 && c.p[0] == 0xc2 && c.p[1] < 0xa0)
		return true;
	if (c.n != 3 || c.p[0] != 0xe2)
		return false;
	return (c.p[1] == 0x80 &&
		((c.p[2] >= 0x8b && c.p[2] <= 0x8f) || (c.p[2] >= 0xa8 && c.p[2] <= 0xae))) ||
	       (c.p[1] == 0x81 && c.p[2] >= 0xa0 && c.p[2] <= 0xaf);
}

void dsn_clean(struct slice s, bool utf8, size_t max, struct buf *to)
{
	bool blank = false, any = false;
	size_t n = 0;

	while (s.n > 0) {
		size_t len = dsn_utf8(s);
		struct slice c = slice_head(s, len > 0 ? len : 1);

		s = slice_tail(s, c.n);
		if (c.n == 1 && (c.p[0] == ' ' || c.p[0] == '\t' || c.p[0] == '\r' || c.p[0] == '\n')) {
			blank = any;
			continue;
		}
		if (c.n == 1 ? c.p[0] < 32 || c.p[0] > 126 : !utf8 || is_harmful(c))
			c = SLICE_LIT("?");
		if (n + blank + c.n > max)
			return;
		if (blank)
			buf_byte(to, ' ');
		buf_put(to, c);
		n += blank + c.n;
		blank = false;
		any = true;
	}
}

/* The next word, of at most that many octets, cut between characters. */
static bool next_word(struct slice *cur, size_t max, struct slice *ret)
{
	size_t n = 0, len;

	while (cur->n > 0 && cur->p[0] == ' ')
		*cur = slice_tail(*cur, 1);
	while (n < cur->n && cur->p[n] != ' ') {
		len = dsn_utf8(slice_tail(*cur, n));
		len = len > 0 ? len : 1;
		if (n + len > max)
			break;
		n += len;
	}
	*ret = slice_head(*cur, n);
	*cur = slice_tail(*cur, n);
	return n > 0;
}

void dsn_field(struct buf *to, const char *name, struct slice value)
{
	size_t column = strlen(name) + 1;
	struct slice word;

	buf_str(to, name);
	buf_byte(to, ':');
	while (next_word(&value, DSN_WORD, &word)) {
		bool fold = column + 1 + word.n > DSN_FOLD && column > strlen(name) + 1;

		buf_str(to, fold ? "\r\n " : " ");
		buf_put(to, word);
		column = (fold ? 1 : column + 1) + word.n;
	}
	buf_str(to, "\r\n");
}

void dsn_wrap(struct buf *to, const char *indent, struct slice text)
{
	size_t column = 0;
	struct slice word;

	while (next_word(&text, DSN_WORD, &word)) {
		if (column > 0 && column + 1 + word.n > DSN_FOLD) {
			buf_str(to, "\r\n");
			column = 0;
		}
		buf_str(to, column == 0 ? indent : " ");
		buf_put(to, word);
		column += (column == 0 ? strlen(indent) : 1) + word.n;
	}
	if (column > 0)
		buf_str(to, "\r\n");
}

/* One line without its end.  False: there is none. */
static bool next_line(struct slice *cur, struct slice *ret)
{
	size_t n = slice_find(*cur, '\n');

	if (cur->n == 0)
		return false;
	*ret = slice_head(*cur, n);
	*cur = slice_tail(*cur, n + 1);
	if (ret->n > 0 && ret->p[ret->n - 1] == '\r')
		ret->n--;
	return true;
}

static bool is_field_line(struct slice line, bool first)
{
	size_t n = 0;

	if (line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t'))
		return !first && slice_trim(line).n > 0;
	while (n < line.n && line.p[n] > 32 && line.p[n] < 127 && line.p[n] != ':')
		n++;
	return n > 0 && n < line.n && line.p[n] == ':';
}

void dsn_header_lines(struct buf *to, struct slice section, bool utf8, size_t max)
{
	struct slice line, c;
	size_t begin = to->n;
	bool first = true;

	for (; next_line(&section, &line) && is_field_line(line, first); first = false) {
		size_t n = 0;

		if (to->n - begin + line.n + 2 > max)
			return;
		while (line.n > 0 && n < DSN_WORD) {
			size_t len = dsn_utf8(line);

			c = slice_head(line, len > 0 ? len : 1);
			line = slice_tail(line, c.n);
			n += c.n;
			if (c.n == 1 ? (c.p[0] < 32 && c.p[0] != '\t') || c.p[0] > 126 : !utf8)
				c = SLICE_LIT("?");
			buf_put(to, c);
		}
		buf_str(to, "\r\n");
	}
}

bool dsn_returnable(struct slice message, bool eightbit)
{
	struct slice line;

	if (message.n == 0 || (!eightbit && slice_has_8bit(message)))
		return false;
	while (message.n > 0) {
		size_t n = slice_find(message, '\n');

		if (n == message.n || n == 0 || message.p[n - 1] != '\r' || n - 1 > 998)
			return false;
		line = slice_head(message, n - 1);
		if (slice_find(line, '\r') < line.n || slice_find(line, 0) < line.n)
			return false;
		message = slice_tail(message, n + 1);
	}
	return true;
}

struct slice dsn_find_field(struct slice section, struct slice name)
{
	struct slice line, all = section;
	bool found = false;
	size_t from = 0, at = 0;

	while (next_line(&section, &line)) {
		bool folded = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');

		if (found && !folded)
			break;
		if (!found && line.n == 0)
			return slice_of(NULL, 0);
		if (!found && line.n > name.n && line.p[name.n] == ':' && slice_starts_nocase(line, name)) {
			found = true;
			from = at + name.n + 1;
		}
		at = all.n - section.n;
	}
	return found ? slice_trim(slice_head(slice_tail(all, from), at - from)) : slice_of(NULL, 0);
}
