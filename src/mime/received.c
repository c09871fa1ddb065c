#include "mime/received.h"

#include "mime/date.h"

#define FOLD_AT 78 /* RFC 5322 2.1.1 */

/* A field under way: words, and line ends between them. */
struct folder {
	struct buf *to;
	size_t column;
};

static void put_word(struct folder *f, struct slice word)
{
	bool fold = f->column + 1 + word.n > FOLD_AT;

	buf_str(f->to, fold ? "\r\n\t" : " ");
	buf_put(f->to, word);
	f->column = (fold ? 8 : f->column + 1) + word.n;
}

static void put_str(struct folder *f, const char *word)
{
	put_word(f, slice_str(word));
}

static bool is_name_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '-' || c == '_';
}

/* A domain; "[192.0.2.1]"; or whatever a client calls itself.  Nothing of it may
 * end the field, open a comment or pass for another part of the trace. */
static void put_helo(struct folder *f, struct slice helo)
{
	struct slice inside = helo.n > 2 ? slice_head(slice_tail(helo, 1), helo.n - 2) : helo;
	bool literal = helo.n > 2 && helo.p[0] == '[' && helo.p[helo.n - 1] == ']', name = helo.n > 0;
	struct ip ip;
	struct buf text;

	cur_word(&inside, SLICE_LIT("IPv6:"));
	for (size_t i = 0; i < helo.n; i++)
		name = name && is_name_char(helo.p[i]);
	if (helo.n <= 255 && (name || (literal && ip_parse(inside, &ip)))) {
		put_word(f, helo);
		return;
	}
	put_str(f, "unknown");
	if (helo.n == 0)
		return;
	buf_init(&text, 300);
	buf_str(&text, "(HELO ");
	for (size_t i = 0; i < helo.n && i < 255; i++) {
		bool safe = helo.p[i] > 32 && helo.p[i] < 127 && !strchr("()\\\"<>;,", helo.p[i]);

		buf_byte(&text, safe ? helo.p[i] : '?');
	}
	buf_str(&text, ")");
	put_word(f, buf_slice(&text));
	buf_done(&text);
}

static void put_peer(struct folder *f, const struct mime_received *r)
{
	char text[IP_TEXT_MAX + 16], ip[IP_TEXT_MAX];

	if (r->ip.family == 0)
		snprintf(text, sizeof(text), "(uid %u)", r->uid);
	else
		snprintf(text, sizeof(text), r->ip.family == 6 ? "([IPv6:%s])" : "([%s])",
			 ip_format(&r->ip, ip));
	put_str(f, text);
}

void mime_received_put(const struct mime_received *r, struct buf *to)
{
	struct folder f = { .to = to, .column = 9 };
	struct buf word;

	buf_init(&word, 1024);
	buf_str(to, "Received:");
	put_str(&f, "from");
	put_helo(&f, r->helo);
	put_peer(&f, r);
	f.column = FOLD_AT; /* one part a line, as far as they fit */
	put_str(&f, "by");
	put_word(&f, r->hostname);
	put_str(&f, "with");
	put_word(&f, r->protocol);
	if (r->tls_version.n > 0) {
		buf_fmt(&word, "(TLS %.*s %.*s)", SLICE_ARG(r->tls_version), SLICE_ARG(r->tls_cipher));
		put_word(&f, buf_slice(&word));
		buf_reset(&word);
	}
	buf_str(&word, "id ");
	buf_put(&word, r->id);
	if (r->rcpt.n > 0) {
		put_word(&f, buf_slice(&word));
		buf_reset(&word);
		buf_str(&word, "for <");
		buf_put(&word, r->rcpt);
		buf_byte(&word, '>');
	}
	buf_byte(&word, ';');
	put_word(&f, buf_slice(&word));
	buf_reset(&word);
	mime_date_put(r->time_ms, &word);
	put_word(&f, buf_slice(&word));
	buf_str(to, "\r\n");
	if (!buf_ok(&word))
		to->failed = true;
	buf_done(&word);
}
