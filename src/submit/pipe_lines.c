#include "submit/pipe_lines.h"

void pipe_lines_init(struct pipe_lines *p)
{
	*p = (struct pipe_lines){ 0 };
}

static bool begins(const struct pipe_lines *p, const char *word)
{
	return p->n >= 4 && slice_eq_nocase(slice_of(p->line, 4), slice_str(word));
}

/* The command's name is whole. */
static bool is_command(const struct pipe_lines *p, const char *word)
{
	return begins(p, word) && (p->n == 4 || p->line[4] == ' ' || p->line[4] == '\t');
}

static void put(struct pipe_lines *p, unsigned char c, struct buf *to)
{
	if (p->n < sizeof(p->line))
		p->line[p->n] = (char)c;
	p->n++;
	buf_byte(to, c);
}

static void line_end(struct pipe_lines *p, struct buf *to)
{
	bool dot = p->n == 1 && p->line[0] == '.';

	if (p->kind == PIPE_LINES_UNKNOWN)
		p->kind = p->cr ? PIPE_LINES_CRLF : PIPE_LINES_LF;
	if (dot && p->cr && p->kind == PIPE_LINES_LF)
		buf_byte(to, '.'); /* of the other kind: text */
	else if (dot)
		p->in_data = false;
	p->asked = !p->in_data && is_command(p, "DATA");
	p->in_data = p->in_data || p->asked;
	buf_str(to, "\r\n");
	p->cr = false;
	p->n = 0;
}

static void feed(struct pipe_lines *p, unsigned char c, struct buf *to)
{
	if (c == '\n') {
		line_end(p, to);
		return;
	}
	if (p->cr)
		put(p, '\r', to);
	p->cr = c == '\r';
	if (!p->cr)
		put(p, c, to);
}

bool pipe_lines_feed(struct pipe_lines *p, struct slice in, struct buf *to)
{
	for (; in.n > 0 && p->kind != PIPE_LINES_CRLF; in = slice_tail(in, 1)) {
		feed(p, in.p[0], to);
		if (p->kind == PIPE_LINES_LF && !p->in_data && p->n == 5 && is_command(p, "BDAT"))
			return false;
	}
	buf_put(to, in);
	return true;
}

/* Who waits for the answer to his DATA sends no message when it is refused; who does not wait goes on with it
 * in any case. */
void pipe_lines_answer(struct pipe_lines *p, struct slice said)
{
	for (size_t i = 0; i < said.n; i++) {
		if (p->answer_n < sizeof(p->answer))
			p->answer[p->answer_n] = (char)said.p[i];
		p->answer_n++;
		if (said.p[i] != '\n')
			continue;
		if (p->asked && p->answer_n > 3 && p->answer[3] != '-')
			p->in_data = p->answer[0] < '4';
		p->answer_n = 0;
	}
}
