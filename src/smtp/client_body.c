/* The body on its way out: line ends and dots for DATA, chunks for BDAT (RFC 3030). */
#include <assert.h>

#include "smtp/client_private.h"

#define BODY_PIECE (16U << 10) /* taken at once */

static void end_line(struct smtp_client *c, struct buf *to)
{
	buf_put(to, SLICE_LIT("\r\n"));
	c->tx.bol = true;
	c->tx.cr = false;
}

/* RFC 5321 4.5.2, and no CR or LF alone ever goes out: where one server takes "LF . LF" for
 * the end and another does not, a message could smuggle in a second one. */
/* How many octets of whole lines go out as they are: those of most bodies, all of them. */
static size_t fine_lines(const struct smtp_client *c, struct slice s)
{
	struct slice rest = s;

	while (rest.n > 0 && (rest.p[0] != '.' || c->tx.bdat)) {
		size_t cr = slice_find(rest, '\r');

		if (cr + 1 >= rest.n || rest.p[cr + 1] != '\n' || slice_find(slice_head(rest, cr), '\n') < cr)
			break;
		rest = slice_tail(rest, cr + 2);
	}
	return s.n - rest.n;
}

static void stuff(struct smtp_client *c, struct slice s, struct buf *to)
{
	while (s.n > 0) {
		size_t run;

		if (c->tx.cr) {
			end_line(c, to);
			if (s.p[0] == '\n')
				s = slice_tail(s, 1);
			continue;
		}
		run = c->tx.bol ? fine_lines(c, s) : 0;
		if (run > 0) {
			buf_put(to, slice_head(s, run));
			s = slice_tail(s, run);
			continue;
		}
		run = slice_find(s, '\n');
		run = slice_find(slice_head(s, run), '\r');
		if (run > 0 && c->tx.bol && s.p[0] == '.' && !c->tx.bdat)
			buf_byte(to, '.');
		if (run > 0) {
			buf_put(to, slice_head(s, run));
			c->tx.bol = false;
		} else if (s.p[0] == '\r') {
			c->tx.cr = true;
			run = 1;
		} else {
			end_line(c, to);
			run = 1;
		}
		s = slice_tail(s, run);
	}
}

static void send_chunk(struct smtp_client *c, bool last)
{
	size_t from = c->output.n;

	buf_put(&c->output, SLICE_LIT("BDAT "));
	buf_dec(&c->output, c->chunk.n, 0);
	buf_str(&c->output, last ? " LAST\r\n" : "\r\n");
	client_said_from(c, from);
	buf_put(&c->output, buf_slice(&c->chunk));
	buf_reset(&c->chunk);
	c->tx.bdat_last = last;
	c->tx.unanswered++;
}

size_t smtp_client_body(struct smtp_client *c, struct slice s)
{
	struct buf *to = c->tx.bdat ? &c->chunk : &c->output;

	assert(c->ask.want == SMTP_CLIENT_BODY);
	if (c->output.n >= CLIENT_OUTPUT_FULL)
		return 0;
	s = slice_head(s, BODY_PIECE);
	c->tx.body_n += s.n;
	stuff(c, s, to);
	c->output.failed = c->output.failed || !buf_ok(&c->chunk);
	if (c->chunk.n >= CLIENT_CHUNK_FULL)
		send_chunk(c, false);
	if (!buf_ok(&c->output) || (c->tx.bdat && c->step == SMTP_CLIENT_AT_BODY && c->tx.unanswered > 0))
		client_advance(c);
	return s.n;
}

static void said_body(struct smtp_client *c)
{
	struct buf text;
	char room[48];

	if (!c->setup->transcript)
		return;
	buf_init_in(&text, room, sizeof(room));
	buf_put(&text, SLICE_LIT("("));
	buf_dec(&text, c->tx.body_n, 0);
	buf_str(&text, c->tx.bdat ? " octets)" : " octets, then a dot)");
	client_said(c, 'C', buf_slice(&text));
}

void smtp_client_body_end(struct smtp_client *c)
{
	struct buf *to = c->tx.bdat ? &c->chunk : &c->output;

	assert(c->ask.want == SMTP_CLIENT_BODY);
	if (c->tx.cr || !c->tx.bol)
		end_line(c, to);
	c->output.failed = c->output.failed || !buf_ok(&c->chunk);
	if (c->tx.bdat)
		send_chunk(c, true);
	else
		buf_put(&c->output, SLICE_LIT(".\r\n"));
	said_body(c);
	if (buf_ok(&c->output) && !c->tx.bdat) {
		c->step = SMTP_CLIENT_AT_FINAL;
		c->tx.at_rcpt = 0;
	}
	client_advance(c);
}

void smtp_client_body_fail(struct smtp_client *c, const char *enhanced, const char *text)
{
	assert(c->ask.want == SMTP_CLIENT_BODY);
	smtp_client_lost(c, enhanced, text);
}
