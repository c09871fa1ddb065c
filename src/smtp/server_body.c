/* server_body.c - DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030). */
#include "smtp/server_private.h"

/* A message that is refused is still read to its end, as the client listens
 * only then; but not for ever. */
static uint64_t octets_max(const struct smtp_server *s)
{
	uint64_t max = s->setup->max_size;

	return max == 0 || max > UINT64_MAX / 4 ? UINT64_MAX : 2 * max + (1 << 20);
}

static void too_large(struct smtp_server *s)
{
	char text[80];

	snprintf(text, sizeof(text), "message too large: the limit is %llu octets",
		 (unsigned long long)s->setup->max_size);
	smtp_server_reply_str(s, 552, "5.3.4", text);
}

static void refuse(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	smtp_server_reply_str(s, code, enhanced, text);
	smtp_server_ask_input(s);
}

static void reply_fault(struct smtp_server *s)
{
	switch (s->scan.fault) {
	case SMTP_SCAN_TOO_LARGE:
		too_large(s);
		return;
	case SMTP_SCAN_BARE_CR:
		smtp_server_reply_str(s, 550, "5.6.0", "bare CR in the message: lines must end with CR LF");
		return;
	case SMTP_SCAN_BARE_LF:
		smtp_server_reply_str(s, 550, "5.6.0", "bare LF in the message: lines must end with CR LF");
		return;
	case SMTP_SCAN_NUL:
		smtp_server_reply_str(s, 550, "5.6.0", "NUL in the message");
		return;
	case SMTP_SCAN_LONG_LINE:
		smtp_server_reply_str(s, 550, "5.6.0", "a line of the message is far too long");
		return;
	default:
		smtp_server_reply_str(s, 452, "4.3.0", "out of memory, try again later");
		return;
	}
}

static const char no_recipient[] = "no valid recipients";

void smtp_server_on_data(struct smtp_server *s, struct slice args)
{
	(void)args;
	s->bdat = false;
	if (s->state == ST_RCPT)
		s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_DATA };
	else if (s->rcpt_refused) /* RFC 2920 3.1 */
		refuse(s, 554, "5.5.1", no_recipient);
	else
		refuse(s, 503, "5.5.1", "bad sequence of commands: RCPT first");
}

/* chunk-size [SP "LAST"].  Without a size nobody knows where the next command
 * begins, so the session ends. */
static bool take_size(struct smtp_server *s, struct slice args)
{
	uint64_t n;

	if (cur_u64(&args, UINT64_MAX, &n)) {
		bool last = cur_blanks(&args) && cur_word(&args, SLICE_LIT("LAST"));

		if (args.n == 0) {
			s->chunk = s->chunk_left = n;
			s->last = last;
			return true;
		}
	}
	s->faults |= SMTP_FAULT_SYNTAX;
	smtp_server_reply_str(s, 501, "5.5.4", "syntax: BDAT size [LAST]");
	smtp_server_close(s);
	return false;
}

/* The chunk cannot be used; nor, if it is this large, be waited for. */
static bool endless(struct smtp_server *s, uint64_t before)
{
	uint64_t max = octets_max(s);

	if (s->chunk <= max && before <= max - s->chunk)
		return false;
	too_large(s);
	smtp_server_close(s);
	return true;
}

static void skip_end(struct smtp_server *s)
{
	s->mode = MODE_COMMAND;
	buf_put(&s->out, buf_slice(&s->later));
	buf_done(&s->later);
	smtp_server_ask_input(s);
}

static void skip_chunk(struct smtp_server *s, int code, const char *enhanced, struct slice text)
{
	if (code >= 500)
		s->errors++;
	buf_reset(&s->later);
	smtp_server_compose(&s->later, code, enhanced, text);
	if (!buf_ok(&s->later))
		s->out.failed = true;
	s->mode = MODE_BDAT_SKIP;
	if (s->chunk_left == 0)
		skip_end(s);
	else
		smtp_server_ask_input(s);
}

void smtp_server_bdat_refuse(struct smtp_server *s, struct slice args, int code, const char *enhanced,
			     struct slice text)
{
	if (take_size(s, args) && !endless(s, 0))
		skip_chunk(s, code, enhanced, text);
}

static void proceed(struct smtp_server *s);

void smtp_server_on_bdat(struct smtp_server *s, struct slice args)
{
	if (s->state == ST_RCPT || s->state == ST_BDAT) {
		if (!take_size(s, args) || endless(s, s->state == ST_BDAT ? s->body_octets : 0))
			return;
		s->commands += s->chunk == 0;
		s->bdat = true;
		s->body_over = false;
		if (s->state == ST_RCPT) {
			s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_DATA };
		} else {
			s->mode = MODE_BDAT;
			proceed(s);
		}
	} else if (s->state == ST_MAIL && s->rcpt_refused) {
		smtp_server_bdat_refuse(s, args, 554, "5.5.1", slice_str(no_recipient));
	} else {
		smtp_server_bdat_refuse(s, args, 503, "5.5.1",
					s->state == ST_NEW ? SLICE_LIT("bad sequence of commands: EHLO first")
					: s->state == ST_GREETED
						? SLICE_LIT("bad sequence of commands: MAIL first")
						: SLICE_LIT("bad sequence of commands: RCPT first"));
	}
}

/* The driver's word on DATA, and on the first BDAT. */
void smtp_server_body_answered(struct smtp_server *s, int code, const char *enhanced, const char *text)
{
	bool yes = code / 100 == 2 || code == 354;

	if (!text && !yes)
		text = "not now";
	if (code == 421) {
		smtp_server_close_421(s, enhanced, text);
		return;
	}
	if (!yes && s->bdat) {
		skip_chunk(s, code, enhanced, slice_str(text));
		return;
	}
	if (!yes) {
		refuse(s, code, enhanced, text);
		return;
	}
	if (s->hanging_up) { /* the 421 comes instead */
		smtp_server_ask_input(s);
		return;
	}
	smtp_scan_init(&s->scan, !s->bdat, s->setup->bare == SMTP_BARE_FIX, s->setup->max_size);
	s->run = (struct slice){ 0 };
	s->body_octets = 0;
	s->body_ends = false;
	if (s->bdat) {
		s->state = ST_BDAT;
		s->mode = MODE_BDAT;
		proceed(s);
	} else {
		s->mode = MODE_DATA;
		smtp_server_reply_str(s, 354, "", "end the message with CR LF . CR LF");
		smtp_server_ask_input(s);
	}
}

/* All of the message, or of a chunk, is here and handed over. */
static void part_end(struct smtp_server *s)
{
	char text[48];

	s->mode = MODE_COMMAND;
	if (s->scan.bare)
		s->faults |= SMTP_FAULT_BARE_LINE_END;
	if (s->scan.fault != SMTP_SCAN_FINE) {
		reply_fault(s);
		smtp_server_drop(s);
	} else if (!s->bdat || s->last) {
		s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_COMMIT };
	} else {
		snprintf(text, sizeof(text), "%llu octets received", (unsigned long long)s->chunk);
		refuse(s, 250, "2.0.0", text);
	}
}

static void ask_body(struct smtp_server *s, struct slice data)
{
	s->ask = (struct smtp_server_ask){ .want = SMTP_SERVER_BODY, .data = data };
}

static void hand_over(struct smtp_server *s, const struct smtp_scan_out *out)
{
	s->run = out->run;
	if (out->copy.n > 0)
		ask_body(s, out->copy);
	else
		proceed(s);
}

/* What comes next: the run, the end, or more input. */
static void proceed(struct smtp_server *s)
{
	struct slice run = s->run;
	struct smtp_scan_out out;

	s->run = (struct slice){ 0 };
	if (run.n > 0) {
		ask_body(s, run);
	} else if (s->mode == MODE_BDAT && s->chunk_left == 0 && s->last && !s->body_over) {
		s->body_over = true;
		smtp_scan_end(&s->scan, &out);
		hand_over(s, &out);
	} else if (s->mode == MODE_BDAT ? s->chunk_left == 0 : s->body_ends) {
		part_end(s);
	} else {
		smtp_server_ask_input(s);
	}
}

void smtp_server_body_go_on(struct smtp_server *s)
{
	if (s->hanging_up)
		smtp_server_ask_input(s);
	else
		proceed(s);
}

size_t smtp_server_body_feed(struct smtp_server *s, struct slice in)
{
	uint64_t room = octets_max(s) - s->body_octets;
	struct smtp_scan_out out;
	size_t n;

	if (s->mode != MODE_DATA && in.n > s->chunk_left)
		in.n = (size_t)s->chunk_left;
	if (s->mode == MODE_BDAT_SKIP) {
		s->chunk_left -= in.n;
		if (s->chunk_left == 0)
			skip_end(s);
		return in.n;
	}
	if (in.n > room)
		in.n = (size_t)room;
	n = smtp_scan_step(&s->scan, in, &out);
	s->body_octets += n;
	s->chunk_left -= s->mode == MODE_BDAT ? n : 0;
	s->body_ends = out.end;
	if (s->body_octets >= octets_max(s) && !out.end) {
		too_large(s);
		smtp_server_close(s);
		return n;
	}
	hand_over(s, &out);
	return n;
}
