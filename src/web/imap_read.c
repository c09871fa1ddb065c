/* imap_read.c - what an IMAP server answers. */
#include <string.h>

#include "web/imap.h"

/* As servers that do not know RFC 6154 call it. */
static const char *const junk_names[] = {
	"Junk",		"Spam",	      "Junk E-mail", "Junk Email", "Junk Mail",	 "Bulk",
	"Bulk Mail",	"INBOX.Junk", "INBOX.Spam",  "INBOX/Junk", "INBOX/Spam", "Unerw&APw-nscht",
	"[Gmail]/Spam",
};

static bool take_quoted(struct slice *cur, char *to, size_t size)
{
	size_t n = 0;

	if (!cur_byte(cur, '"'))
		return false;
	for (; cur->n > 0 && cur->p[0] != '"'; *cur = slice_tail(*cur, 1)) {
		if (cur->p[0] == '\\')
			*cur = slice_tail(*cur, 1);
		if (cur->n == 0 || cur->p[0] < 0x20 || n + 1 >= size)
			return false;
		to[n++] = (char)cur->p[0];
	}
	to[n] = '\0';
	return cur_byte(cur, '"');
}

static bool take_atom(struct slice *cur, char *to, size_t size)
{
	size_t n = 0;

	while (n < cur->n && cur->p[n] > ' ' && cur->p[n] != '"' && cur->p[n] != '{' && cur->p[n] != 0x7f)
		n++;
	if (n == 0 || !slice_copy(slice_head(*cur, n), to, size))
		return false;
	*cur = slice_tail(*cur, n);
	return true;
}

bool imap_list_read(struct slice line, struct imap_folder *ret)
{
	struct imap_folder f = { 0 };
	struct slice flags;
	char delimiter[8];

	if (!cur_word(&line, SLICE_LIT("* LIST (")) || !cur_until(&line, ')', &flags) ||
	    !cur_byte(&line, ' '))
		return false;
	if (!cur_word(&line, SLICE_LIT("NIL")) && !take_quoted(&line, delimiter, sizeof(delimiter)))
		return false;
	if (!cur_byte(&line, ' ') || line.n == 0)
		return false;
	if (line.p[0] == '"' ? !take_quoted(&line, f.name, sizeof(f.name))
			     : !take_atom(&line, f.name, sizeof(f.name)))
		return false;
	while (flags.n > 0) {
		struct slice flag = slice_head(flags, slice_find(flags, ' '));

		flags = slice_tail(flags, flag.n + 1);
		if (slice_eq_nocase(flag, SLICE_LIT("\\Noselect")) ||
		    slice_eq_nocase(flag, SLICE_LIT("\\NonExistent")))
			return false;
		f.junk = f.junk || slice_eq_nocase(flag, SLICE_LIT("\\Junk"));
		f.all = f.all || slice_eq_nocase(flag, SLICE_LIT("\\All"));
	}
	for (size_t i = 0; i < sizeof(junk_names) / sizeof(junk_names[0]); i++)
		f.junk = f.junk || slice_eq_nocase(slice_str(f.name), slice_str(junk_names[i]));
	*ret = f;
	return true;
}

uint32_t imap_search_read(struct slice text)
{
	struct slice line;
	uint32_t last = 0;

	while (text.n > 0) {
		uint64_t uid;

		line = slice_head(text, slice_find(text, '\n'));
		text = slice_tail(text, line.n + 1);
		if (!cur_word(&line, SLICE_LIT("* SEARCH")))
			continue;
		while (cur_byte(&line, ' ') && cur_u64(&line, UINT32_MAX, &uid))
			last = uid > last ? (uint32_t)uid : last;
	}
	return last;
}
