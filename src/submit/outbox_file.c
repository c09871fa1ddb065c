#include "submit/outbox_file.h"

#include <errno.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/json_text.h"
#include "submit/envelope.h"

#define VERSION	 1
#define SUM	 9 /* digits and the blank */
#define TIME_MAX (UINT64_C(1) << 53)

/* ---- lines ---- */

static bool put_line(json_t *j, struct buf *to)
{
	char *text = j ? json_dumps(j, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	bool ok = text != NULL;

	if (ok) {
		buf_fmt(to, "%08x ", crc32c(0, slice_str(text)));
		buf_str(to, text);
		buf_byte(to, '\n');
	}
	free(text);
	json_decref(j);
	return ok && buf_ok(to);
}

/* The text of a line whose sum is right. */
static bool take_line(struct slice line, struct slice *ret)
{
	uint32_t sum = 0;

	if (line.n <= SUM || line.p[SUM - 1] != ' ')
		return false;
	for (size_t i = 0; i < SUM - 1; i++) {
		unsigned char c = line.p[i];

		if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
			return false;
		sum = sum << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	*ret = slice_tail(line, SUM);
	return crc32c(0, *ret) == sum;
}

/* NULL: no object, or out of memory; these differ in *ret. */
static json_t *read_line(struct slice line, enum outbox_read *ret)
{
	struct slice text;
	json_error_t e;
	json_t *j;

	*ret = OUTBOX_READ_BAD;
	if (!take_line(line, &text))
		return NULL;
	errno = 0; /* jansson says of the lack of memory what it says of wrong syntax */
	j = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &e);
	if (!j && errno == ENOMEM)
		*ret = OUTBOX_READ_NO_MEMORY;
	if (j && !json_is_object(j)) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static bool get_number(const json_t *j, const char *key, uint64_t *ret)
{
	const json_t *v = json_object_get(j, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > TIME_MAX)
		return false;
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

static const char *get_text(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static void set_text(struct outbox_message *m, const char *text)
{
	size_t n = 0;

	for (; text && *text && n < OUTBOX_TEXT_MAX; text++)
		m->text[n++] = *text;
	m->text[n] = '\0';
}

/* ---- the head ---- */

static bool put_way(const struct outbox_way *w, json_t *head)
{
	const struct {
		const char *key, *text;
	} rows[] = {
		{ "account", w->account },
		{ "url", w->url },
		{ "password_file", w->password_file },
		{ "mechanism", w->mechanism },
		{ "ca_file", w->ca_file },
	};
	json_t *pins;
	int bad = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].text)
			bad |= json_object_set_new(head, rows[i].key, json_string(rows[i].text));
	if (w->pins == 0)
		return !bad;
	pins = json_array();
	for (size_t i = 0; i < w->pins; i++)
		bad |= json_array_append_new(pins, json_string(w->pin[i]));
	bad |= json_object_set_new(head, "pins", pins);
	return !bad;
}

/* What was asked of reports (RFC 3461), if anything was. */
static bool put_reports(const struct outbox_message *m, json_t *head)
{
	json_t *notify = json_array();
	bool any = false;
	int bad = notify ? 0 : -1;

	for (size_t i = 0; i < m->n && !bad; i++) {
		bad |= json_array_append_new(notify, json_integer(m->rcpt[i].notify));
		any = any || m->rcpt[i].notify;
	}
	if (any && !bad)
		bad |= json_object_set(head, "notify", notify);
	json_decref(notify);
	if (m->ret)
		bad |= json_object_set_new(head, "ret", json_integer(m->ret));
	if (m->envid && *m->envid)
		bad |= json_object_set_new(head, "envid", json_string(m->envid));
	return !bad;
}

bool outbox_head_put(const struct outbox_message *m, struct buf *to)
{
	json_t *to_whom = json_array(),
	       *j = json_pack("{s:i, s:s, s:I, s:I, s:b, s:b, s:b, s:s}", "outbox", VERSION, "id", m->id,
			      "taken", (json_int_t)m->taken_ms, "octets", (json_int_t)m->octets, "eightbit",
			      m->eightbit, "smtputf8", m->smtputf8, "header_eightbit", m->header_eightbit,
			      "sender", m->sender);
	int bad = j ? 0 : -1;

	for (size_t i = 0; i < m->n && !bad; i++)
		bad |= json_array_append_new(to_whom, json_string(m->rcpt[i].address));
	if (!bad)
		bad = json_object_set(j, "recipients", to_whom);
	json_decref(to_whom);
	if (bad || !put_way(&m->way, j) || !put_reports(m, j)) {
		json_decref(j);
		return false;
	}
	return put_line(j, to);
}

/* What it is told by options must be fit to be given to them. */
static bool take_way(const json_t *head, struct outbox_way *w)
{
	const json_t *pins = json_object_get(head, "pins");

	w->account = get_text(head, "account");
	w->url = get_text(head, "url");
	w->password_file = get_text(head, "password_file");
	w->mechanism = get_text(head, "mechanism");
	w->ca_file = get_text(head, "ca_file");
	w->pins = json_array_size(pins);
	if (w->pins > OUTBOX_PINS_MAX || (!w->account && !w->url))
		return false;
	for (size_t i = 0; i < w->pins; i++) {
		w->pin[i] = json_string_value(json_array_get(pins, i));
		if (!w->pin[i])
			return false;
	}
	return true;
}

static enum outbox_read take_recipients(const json_t *list, struct outbox_message *m)
{
	size_t n = json_array_size(list);

	if (n == 0 || n > SUBMIT_RECIPIENTS_MAX)
		return OUTBOX_READ_BAD;
	m->rcpt = calloc(n, sizeof(*m->rcpt));
	if (!m->rcpt)
		return OUTBOX_READ_NO_MEMORY;
	m->n = n;
	for (size_t i = 0; i < n; i++) {
		m->rcpt[i].address = json_string_value(json_array_get(list, i));
		if (!m->rcpt[i].address || !*m->rcpt[i].address)
			return OUTBOX_READ_BAD;
	}
	return OUTBOX_READ_OK;
}

static bool take_reports(struct outbox_message *m)
{
	const json_t *notify = json_object_get(m->head, "notify");
	uint64_t ret = 0, one;

	m->envid = get_text(m->head, "envid");
	if (!m->envid)
		m->envid = "";
	if ((json_object_get(m->head, "ret") && !get_number(m->head, "ret", &ret)) || ret > UINT8_MAX)
		return false;
	m->ret = (uint8_t)ret;
	if (notify && json_array_size(notify) != m->n)
		return false;
	for (size_t i = 0; notify && i < m->n; i++) {
		const json_t *flags = json_array_get(notify, i);

		one = (uint64_t)json_integer_value(flags);
		if (!json_is_integer(flags) || one > UINT8_MAX)
			return false;
		m->rcpt[i].notify = (uint8_t)one;
	}
	return true;
}

enum outbox_read outbox_head_read(struct slice line, struct outbox_message *ret)
{
	struct outbox_message m = { 0 };
	enum outbox_read r;
	uint64_t version = 0;
	struct id id;

	m.head = read_line(line, &r);
	if (!m.head)
		return r;
	m.id = get_text(m.head, "id");
	m.sender = get_text(m.head, "sender");
	m.eightbit = json_is_true(json_object_get(m.head, "eightbit"));
	m.smtputf8 = json_is_true(json_object_get(m.head, "smtputf8"));
	m.header_eightbit = json_is_true(json_object_get(m.head, "header_eightbit"));
	if (get_number(m.head, "outbox", &version) && version == VERSION && m.sender && m.id &&
	    id_parse(slice_str(m.id), &id) && get_number(m.head, "taken", &m.taken_ms) &&
	    get_number(m.head, "octets", &m.octets) && take_way(m.head, &m.way))
		r = take_recipients(json_object_get(m.head, "recipients"), &m);
	else
		r = OUTBOX_READ_BAD;
	if (r == OUTBOX_READ_OK && !take_reports(&m))
		r = OUTBOX_READ_BAD;
	m.since_ms = m.taken_ms;
	if (r == OUTBOX_READ_OK)
		*ret = m;
	else
		outbox_message_done(&m);
	return r;
}

void outbox_message_done(struct outbox_message *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->rcpt[i].text);
	free(m->rcpt);
	json_decref(m->head);
	*m = (struct outbox_message){ 0 };
}

/* ---- records ---- */

static bool is_passing(const char *what)
{
	return !strcmp(what, "waits") || !strcmp(what, "sending");
}

static void take_try(const json_t *j, uint64_t at, struct outbox_message *m)
{
	uint64_t tries;

	if (get_number(j, "tries", &tries) && tries <= UINT32_MAX)
		m->tries = (unsigned)tries;
	m->last_ms = at;
	m->answered = json_is_true(json_object_get(j, "answered"));
	set_text(m, get_text(j, "text"));
}

static void again(uint64_t at, struct outbox_message *m)
{
	m->unsure = m->expired = m->answered = false;
	m->since_ms = at;
	for (size_t i = 0; i < m->n; i++)
		if (m->rcpt[i].state == OUTBOX_REFUSED) {
			m->rcpt[i].state = OUTBOX_WAITS;
			free(m->rcpt[i].text);
			m->rcpt[i].text = NULL;
		}
}

static struct outbox_rcpt *rcpt_of(const json_t *number, struct outbox_message *m)
{
	json_int_t n = json_integer_value(number);

	return json_is_integer(number) && n >= 0 && (uint64_t)n < m->n ? &m->rcpt[n] : NULL;
}

static enum outbox_read take_outcomes(const json_t *j, struct outbox_message *m)
{
	const json_t *taken = json_object_get(j, "taken"), *refused = json_object_get(j, "refused"), *one;
	struct outbox_rcpt *to;
	size_t i;

	json_array_foreach(taken, i, one)
	{
		to = rcpt_of(one, m);
		if (!to)
			return OUTBOX_READ_BAD;
		to->state = OUTBOX_TAKEN;
	}
	json_array_foreach(refused, i, one)
	{
		const char *text = get_text(one, "text");

		to = rcpt_of(json_object_get(one, "rcpt"), m);
		if (!to || !text)
			return OUTBOX_READ_BAD;
		free(to->text);
		to->state = OUTBOX_REFUSED;
		to->text = slice_dup(slice_str(text));
		if (!to->text)
			return OUTBOX_READ_NO_MEMORY;
	}
	m->unsure = json_is_true(json_object_get(j, "unsure"));
	return OUTBOX_READ_OK;
}

static enum outbox_read apply(const json_t *j, struct outbox_message *m, bool *ret_passing)
{
	const char *what = get_text(j, "what");
	enum outbox_read r = OUTBOX_READ_OK;
	uint64_t at, crc;

	if (!what || !get_number(j, "at", &at))
		return OUTBOX_READ_BAD;
	*ret_passing = is_passing(what);
	if (!m->whole) {
		if (strcmp(what, "whole") != 0 || !get_number(j, "crc", &crc) || crc > UINT32_MAX)
			return OUTBOX_READ_BAD;
		m->whole = true;
		m->body_crc = (uint32_t)crc;
	} else if (!strcmp(what, "waits")) {
		m->unsure = false;
		take_try(j, at, m);
	} else if (!strcmp(what, "sending")) {
		m->unsure = true;
		take_try(j, at, m);
	} else if (!strcmp(what, "outcomes")) {
		take_try(j, at, m);
		r = take_outcomes(j, m);
	} else if (!strcmp(what, "expired")) {
		m->expired = true;
		set_text(m, get_text(j, "text"));
	} else if (!strcmp(what, "again")) {
		again(at, m);
	} else {
		return OUTBOX_READ_BAD;
	}
	return r;
}

/* Behind what a crash has cut nothing can stand: then it is not that, but decay. */
static bool has_line(struct slice text)
{
	struct slice line, inside;

	while (cur_until(&text, '\n', &line))
		if (take_line(line, &inside))
			return true;
	return false;
}

enum outbox_read outbox_journal_read(struct slice text, struct outbox_message *m)
{
	struct slice rest = text, line, inside;
	bool passing = false;

	while (cur_until(&rest, '\n', &line)) {
		enum outbox_read r;
		json_t *j;

		if (!take_line(line, &inside))
			break;
		j = read_line(line, &r);
		if (j)
			r = apply(j, m, &passing);
		json_decref(j);
		if (r != OUTBOX_READ_OK)
			return r;
		m->end = text.n - rest.n;
		if (!passing)
			m->keep = m->end;
	}
	if (has_line(slice_tail(text, (size_t)m->end)))
		return OUTBOX_READ_BAD;
	return m->whole ? OUTBOX_READ_OK : OUTBOX_READ_TORN;
}

bool outbox_put_whole(uint32_t body_crc, uint64_t now_ms, struct buf *to)
{
	return put_line(json_pack("{s:I, s:s, s:I}", "at", (json_int_t)now_ms, "what", "whole", "crc",
				  (json_int_t)body_crc),
			to);
}

bool outbox_put_waits(const struct outbox_message *m, bool answered, const char *text, uint64_t now_ms,
		      struct buf *to)
{
	return put_line(json_pack("{s:I, s:s, s:I, s:b, s:o}", "at", (json_int_t)now_ms, "what", "waits",
				  "tries", (json_int_t)m->tries + 1, "answered", answered, "text",
				  json_text(slice_str(text))),
			to);
}

bool outbox_put_sending(const struct outbox_message *m, uint64_t now_ms, struct buf *to)
{
	return put_line(json_pack("{s:I, s:s, s:I, s:s}", "at", (json_int_t)now_ms, "what", "sending",
				  "tries", (json_int_t)m->tries, "text",
				  "the program ended, or the machine did, while it was being sent"),
			to);
}

bool outbox_put_expired(const char *text, uint64_t now_ms, struct buf *to)
{
	return put_line(json_pack("{s:I, s:s, s:o}", "at", (json_int_t)now_ms, "what", "expired", "text",
				  json_text(slice_str(text))),
			to);
}

bool outbox_put_again(uint64_t now_ms, struct buf *to)
{
	return put_line(json_pack("{s:I, s:s}", "at", (json_int_t)now_ms, "what", "again"), to);
}

bool outbox_put_outcomes(const struct outbox_message *m, const struct outbox_outcome *o, size_t n,
			 bool unsure, bool answered, const char *text, uint64_t now_ms, struct buf *to)
{
	json_t *taken = json_array(), *refused = json_array();
	int bad = 0;

	for (size_t i = 0; i < n; i++)
		if (o[i].state == OUTBOX_TAKEN)
			bad |= json_array_append_new(taken, json_integer((json_int_t)o[i].rcpt));
		else if (o[i].state == OUTBOX_REFUSED)
			bad |= json_array_append_new(refused,
						     json_pack("{s:I, s:o}", "rcpt", (json_int_t)o[i].rcpt,
							       "text", json_text(slice_str(o[i].text))));
	if (bad) {
		json_decref(taken);
		json_decref(refused);
		return false;
	}
	return put_line(json_pack("{s:I, s:s, s:I, s:o, s:o, s:b, s:b, s:o}", "at", (json_int_t)now_ms,
				  "what", "outcomes", "tries", (json_int_t)m->tries + 1, "taken", taken,
				  "refused", refused, "unsure", unsure, "answered", answered, "text",
				  json_text(slice_str(text))),
			to);
}

/* ---- what it comes to ---- */

size_t outbox_message_waits(const struct outbox_message *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->rcpt[i].state == OUTBOX_WAITS;
	return n;
}

enum outbox_state outbox_message_state(const struct outbox_message *m)
{
	bool refused = false;

	if (outbox_message_waits(m) > 0)
		return m->unsure ? OUTBOX_UNSURE : m->expired ? OUTBOX_FAILED : OUTBOX_WAITING;
	for (size_t i = 0; i < m->n; i++)
		refused = refused || m->rcpt[i].state == OUTBOX_REFUSED;
	return refused ? OUTBOX_FAILED : OUTBOX_DONE;
}

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool outbox_way_same(const struct outbox_way *a, const struct outbox_way *b)
{
	if (!same(a->account, b->account) || !same(a->url, b->url) ||
	    !same(a->password_file, b->password_file) || !same(a->mechanism, b->mechanism) ||
	    !same(a->ca_file, b->ca_file) || a->pins != b->pins)
		return false;
	for (size_t i = 0; i < a->pins; i++)
		if (!same(a->pin[i], b->pin[i]))
			return false;
	return true;
}
