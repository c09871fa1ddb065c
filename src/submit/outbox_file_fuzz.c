/* outbox_file_fuzz.c - whatever becomes of a message, its file says it, as a simple model has it; a file that
 * was cut anywhere says what it said up to the last whole record; and one bit that is another is noticed, or
 * is taken for such a cut.  Any octets at all are read without harm. */
#include "submit/outbox_file.h"

#include <string.h>

#include "base/crc32c.h"

#define CHECK(what)              \
	do {                     \
		if (!(what))     \
			abort(); \
	} while (0)

#define RCPTS 5
/* All of them are read after each of them, so that many make a run long. */
#define RECORDS 12

struct model {
	enum outbox_rcpt_state state[RCPTS];
	bool unsure, expired, answered, passing;
	unsigned tries;
	uint64_t end; /* of the record that made it so */
};

struct play {
	struct outbox_message m; /* its head */
	struct buf head, journal;
	struct model at[RECORDS]; /* after each record that is there */
	size_t n;
};

static void check_state(const struct outbox_message *m, const struct model *want)
{
	size_t waits = 0, refused = 0;

	CHECK(m->whole && m->unsure == want->unsure && m->expired == want->expired);
	CHECK(m->tries == want->tries && m->answered == want->answered && m->body_crc == 0xfedcba98);
	for (size_t i = 0; i < m->n; i++) {
		CHECK(m->rcpt[i].state == want->state[i]);
		CHECK((m->rcpt[i].text != NULL) == (want->state[i] == OUTBOX_REFUSED));
		waits += want->state[i] == OUTBOX_WAITS;
		refused += want->state[i] == OUTBOX_REFUSED;
	}
	CHECK(outbox_message_waits(m) == waits);
	CHECK(outbox_message_state(m) == (waits > 0	? want->unsure	  ? OUTBOX_UNSURE
							  : want->expired ? OUTBOX_FAILED
									  : OUTBOX_WAITING
					  : refused > 0 ? OUTBOX_FAILED
							: OUTBOX_DONE));
}

static enum outbox_read read_all(const struct play *p, struct slice journal, struct outbox_message *ret)
{
	struct slice head = buf_slice(&p->head);
	enum outbox_read r = outbox_head_read(slice_head(head, head.n - 1), ret);

	CHECK(r == OUTBOX_READ_OK);
	return outbox_journal_read(journal, ret);
}

/* One octet says what happens next; m: what the file has said so far. */
static void step(struct play *p, const struct outbox_message *m, unsigned what)
{
	struct model next = p->at[p->n - 1];
	struct outbox_outcome o[RCPTS];
	size_t n = 0;

	next.passing = what % 5 < 2;
	/* As outbox.c writes it. */
	p->journal.n = next.passing ? m->keep : m->end;
	while (next.passing && p->at[p->n - 1].passing) {
		p->n--;
		memcpy(next.state, p->at[p->n - 1].state, sizeof(next.state));
		next.unsure = p->at[p->n - 1].unsure;
		next.expired = p->at[p->n - 1].expired;
	}
	CHECK(p->at[p->n - 1].end == p->journal.n);
	switch (what % 5) {
	case 0:
		CHECK(outbox_put_waits(m, what & 64, "no \xff", what, &p->journal));
		next.unsure = false;
		next.answered = what & 64;
		next.tries = m->tries + 1;
		break;
	case 1:
		CHECK(outbox_put_sending(m, what, &p->journal));
		next.unsure = true;
		next.answered = false;
		next.tries = m->tries;
		break;
	case 2:
		for (size_t i = 0; i < m->n; i++)
			if (what >> i & 8 && m->rcpt[i].state == OUTBOX_WAITS) {
				next.state[i] = what & 128 ? OUTBOX_TAKEN : OUTBOX_REFUSED;
				o[n++] = (struct outbox_outcome){ i, next.state[i], "550 \"no\" \xc3" };
			}
		next.unsure = what & 32;
		next.answered = what & 64;
		next.tries = m->tries + 1;
		CHECK(outbox_put_outcomes(m, o, n, next.unsure, next.answered, "x", what, &p->journal));
		break;
	case 3:
		CHECK(outbox_put_expired("five days", what, &p->journal));
		next.expired = true;
		break;
	default:
		CHECK(outbox_put_again(what, &p->journal));
		next.unsure = next.expired = next.answered = false;
		for (size_t i = 0; i < m->n; i++)
			if (next.state[i] == OUTBOX_REFUSED)
				next.state[i] = OUTBOX_WAITS;
	}
	next.end = p->journal.n;
	p->at[p->n++] = next;
}

/* What the file says when it ends there, or nothing behind is understood: the last record before. */
static void check_until(const struct play *p, enum outbox_read r, const struct outbox_message *m,
			uint64_t end)
{
	size_t i = p->n;

	while (i > 0 && p->at[i - 1].end > end)
		i--;
	CHECK(r == (i > 0 ? OUTBOX_READ_OK : OUTBOX_READ_TORN));
	if (i > 0)
		check_state(m, &p->at[i - 1]);
}

static void cut(const struct play *p, size_t at)
{
	struct outbox_message m;
	enum outbox_read r = read_all(p, slice_head(buf_slice(&p->journal), at), &m);

	check_until(p, r, &m, at);
	outbox_message_done(&m);
}

static void flip(struct play *p, size_t at, unsigned bit)
{
	unsigned char *octet = p->journal.p + p->journal.from + at;
	struct outbox_message m;
	enum outbox_read r;
	size_t hit = 0;

	while (p->at[hit].end <= at)
		hit++;
	*octet ^= (unsigned char)(1U << bit);
	r = read_all(p, buf_slice(&p->journal), &m);
	*octet ^= (unsigned char)(1U << bit);
	if (hit + 1 == p->n) /* of the last one: as if it had been cut */
		check_until(p, r, &m, hit > 0 ? p->at[hit - 1].end : 0);
	else if (at + 1 == p->at[hit].end) /* its line end: the next one is a part of it then */
		CHECK(hit + 2 == p->n || r == OUTBOX_READ_BAD);
	else
		CHECK(r == OUTBOX_READ_BAD);
	outbox_message_done(&m);
}

static void flip_head(struct play *p, size_t at, unsigned bit)
{
	unsigned char *octet = p->head.p + p->head.from + at % (p->head.n - 1);
	struct slice line = slice_head(buf_slice(&p->head), p->head.n - 1);
	struct outbox_message m;

	*octet ^= (unsigned char)(1U << bit);
	CHECK(outbox_head_read(line, &m) == OUTBOX_READ_BAD);
	*octet ^= (unsigned char)(1U << bit);
}

static void check_head(const struct play *p)
{
	struct outbox_message m;
	struct buf again;

	buf_init(&again, OUTBOX_HEAD_MAX);
	CHECK(outbox_head_read(slice_head(buf_slice(&p->head), p->head.n - 1), &m) == OUTBOX_READ_OK);
	CHECK(m.n == p->m.n && outbox_way_same(&m.way, &p->m.way) && m.octets == p->m.octets);
	CHECK(m.ret == p->m.ret && !strcmp(m.envid, p->m.envid));
	for (size_t i = 0; i < m.n; i++)
		CHECK(m.rcpt[i].notify == p->m.rcpt[i].notify &&
		      !strcmp(m.rcpt[i].address, p->m.rcpt[i].address));
	CHECK(!strcmp(m.sender, p->m.sender) && !strcmp(m.id, p->m.id) && m.eightbit == p->m.eightbit);
	CHECK(outbox_head_put(&m, &again) && slice_eq(buf_slice(&again), buf_slice(&p->head)));
	buf_done(&again);
	outbox_message_done(&m);
}

static void read_journal(struct slice any)
{
	struct outbox_rcpt rcpt[RCPTS] = { { .address = "a" } };
	struct outbox_message m = { .rcpt = rcpt, .n = RCPTS };

	(void)outbox_journal_read(any, &m);
	CHECK(m.keep <= m.end && m.end <= any.n);
	for (size_t i = 0; i < RCPTS; i++) {
		CHECK(rcpt[i].state != OUTBOX_REFUSED || rcpt[i].text);
		free(rcpt[i].text);
	}
}

/* What is taken for a head is written as one that says the same. */
static void read_head(struct slice line)
{
	struct outbox_message m, again;
	struct buf once, twice;

	if (outbox_head_read(line, &m) != OUTBOX_READ_OK)
		return;
	buf_init(&once, OUTBOX_HEAD_MAX);
	buf_init(&twice, OUTBOX_HEAD_MAX);
	CHECK(outbox_head_put(&m, &once));
	CHECK(outbox_head_read(slice_head(buf_slice(&once), once.n - 1), &again) == OUTBOX_READ_OK);
	CHECK(outbox_head_put(&again, &twice) && slice_eq(buf_slice(&once), buf_slice(&twice)));
	outbox_message_done(&m);
	outbox_message_done(&again);
	buf_done(&once);
	buf_done(&twice);
}

/* As it is, and as lines with the sums that are theirs: behind a wrong one nothing is looked at. */
static void read_anything(struct slice any)
{
	struct slice rest = any, line;
	struct buf summed;

	buf_init(&summed, 1U << 20);
	while (rest.n > 0) {
		size_t begin = summed.n;

		line = slice_head(rest, slice_find(rest, '\n'));
		rest = slice_tail(rest, line.n + 1);
		buf_fmt(&summed, "%08x ", crc32c(0, line));
		buf_put(&summed, line);
		read_head(slice_tail(buf_slice(&summed), begin));
		buf_byte(&summed, '\n');
	}
	CHECK(buf_ok(&summed));
	read_journal(any);
	read_journal(buf_slice(&summed));
	buf_done(&summed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct outbox_rcpt rcpt[RCPTS] = { { .address = "a@x.example" },
					   { .address = "\"b \\\"c\"@x.example" },
					   { .address = "\xc3\xbc@x.example" },
					   { .address = "d@[192.0.2.1]" },
					   { .address = "e@x.example" } };
	struct outbox_message m;
	struct play p = { .m = { .id = "3Z00000000001", .sender = "", .rcpt = rcpt } };

	read_anything(slice_of(data, n));
	if (n < 4)
		return 0;
	p.m.n = 1 + data[0] % RCPTS;
	p.m.eightbit = data[0] & 128;
	p.m.octets = (uint64_t)data[0] << 40;
	p.m.way.account = data[0] & 64 ? "work" : NULL;
	p.m.way.url = data[0] & 64 ? NULL : "smtp://us%40x@h.example";
	p.m.way.pins = data[0] >> 4 & 1;
	p.m.way.pin[0] = "00";
	p.m.ret = data[0] >> 5 & 1;
	p.m.envid = data[0] & 16 ? "a+2Bb" : "";
	rcpt[data[0] % RCPTS].notify = data[0] >> 5;
	buf_init(&p.head, OUTBOX_HEAD_MAX);
	buf_init(&p.journal, OUTBOX_JOURNAL_MAX);
	CHECK(outbox_head_put(&p.m, &p.head));
	check_head(&p);
	CHECK(outbox_put_whole(0xfedcba98, 1, &p.journal));
	p.at[p.n++].end = p.journal.n;
	CHECK(read_all(&p, buf_slice(&p.journal), &m) == OUTBOX_READ_OK);
	for (size_t i = 3; i < n && p.n < RECORDS; i++) {
		step(&p, &m, data[i]);
		outbox_message_done(&m);
		CHECK(read_all(&p, buf_slice(&p.journal), &m) == OUTBOX_READ_OK);
		check_state(&m, &p.at[p.n - 1]);
	}
	outbox_message_done(&m);
	cut(&p, ((size_t)data[1] << 8 | data[2]) % (p.journal.n + 1));
	flip(&p, ((size_t)data[1] << 8 | data[2]) % p.journal.n, data[1] % 8);
	flip_head(&p, data[1], data[2] % 8);
	buf_done(&p.head);
	buf_done(&p.journal);
	return 0;
}
