#include "mime/submission.h"

#include "mime/date.h"

/* The parser of MAIL let it through; a field ends where its line does, so look again. */
static bool is_clean(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 32 || s.p[i] == 127)
			return false;
	return s.n > 0;
}

unsigned mime_submission_put(const struct mime_header *h, const struct mime_submission *s, struct buf *to)
{
	unsigned added = 0;

	if (h->count[MIME_DATE] == 0) {
		buf_str(to, "Date: ");
		mime_date_put(s->time_ms, to);
		buf_str(to, "\r\n");
		added |= MIME_ADDED_DATE;
	}
	if (h->count[MIME_FROM] == 0 && is_clean(s->sender)) {
		buf_str(to, "From: ");
		buf_put(to, s->sender);
		buf_str(to, "\r\n");
		added |= MIME_ADDED_FROM;
	}
	if (h->count[MIME_MESSAGE_ID] == 0) {
		buf_fmt(to, "Message-ID: <%.*s@%.*s>\r\n", SLICE_ARG(s->id), SLICE_ARG(s->hostname));
		added |= MIME_ADDED_MESSAGE_ID;
	}
	return added;
}
