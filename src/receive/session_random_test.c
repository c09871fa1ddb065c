/* Everything at once, by chance: clients that say anything and vanish at any moment, roles that
 * answer late, wrongly or not at all, die and come back, and limits that are asked for.  What must
 * hold: no memory is used after its end (the build's sanitizers watch), no session outlives its client and
 * the answers that it waits for, and nothing is lost when all is over.
 *
 * SEED=number plays one again; SECONDS=number plays on. */
#include "receive/receive_world.h"

#include <signal.h>
#include <stdlib.h>

#define CLIENTS 40
#define KEPT	16 /* questions that are not answered yet */

static uint64_t state_of_chance;

/* xorshift64 */
static unsigned chance(unsigned n)
{
	state_of_chance ^= state_of_chance << 13;
	state_of_chance ^= state_of_chance >> 7;
	state_of_chance ^= state_of_chance << 17;
	return (unsigned)(state_of_chance >> 33) % n;
}

/* ---- the other roles ---- */

static uint64_t kept[KEPT]; /* numbers of questions and transactions; some long over */

static void keep(uint64_t number)
{
	kept[chance(KEPT)] = number;
}

static void tell(struct channel *ch, const struct ipc_message *m)
{
	if (ch)
		channel_send(ch, m, -1);
}

static void result(uint64_t req)
{
	struct ipc_message m = { .type = IPC_TYPE_auth_result,
				 .auth_result = { .req = req,
						  .code = 535,
						  .enhanced = SLICE_LIT("5.7.8"),
						  .text = SLICE_LIT("no"),
						  .name = SLICE_LIT("ann@our.test"),
						  .owner = SLICE_LIT("us") } };

	if (chance(2)) {
		m.auth_result.code = 235;
		m.auth_result.enhanced = SLICE_LIT("2.7.0");
		m.auth_result.account = 7;
	} else {
		m.auth_result.delay_ms = chance(3) * 40;
		m.auth_result.locked = (uint8_t)chance(2);
	}
	tell(w.keeper, &m);
}

static void verdict(uint64_t req)
{
	struct ipc_message t = { .type = IPC_TYPE_target,
				 .target = { .req = req,
					     .kind = IPC_TARGET_MAILBOX,
					     .address = SLICE_LIT("u@our.test"),
					     .mailbox = SLICE_LIT("our.test/u") } };
	struct ipc_message m = { .type = IPC_TYPE_verdict, .verdict = { req, IPC_VERDICT_OK } };

	for (unsigned i = chance(3); i > 0; i--)
		tell(w.keeper, &t);
	if (chance(8) == 0)
		m.verdict.what = (uint8_t)chance(12);
	tell(w.keeper, &m);
}

static void challenge(uint64_t req)
{
	struct ipc_message m = { .type = IPC_TYPE_auth_challenge,
				 .auth_challenge = { req, SLICE_LIT("go on") } };

	tell(w.keeper, &m);
}

static void keeper_says(uint64_t req, enum ipc_type asked)
{
	bool auth = asked == IPC_TYPE_auth_start || asked == IPC_TYPE_auth_step;

	switch (chance(12)) {
	case 0: /* later, or never */
		keep(req);
		break;
	case 1:
		result(req);
		break;
	case 2:
		verdict(req);
		break;
	case 3:
		challenge(req);
		break;
	default:
		if (auth)
			result(req);
		else
			verdict(req);
		break;
	}
}

static void any_keeper(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	(void)arg;
	(void)ch;
	(void)fd;
	if (m->type == IPC_TYPE_auth_start)
		keeper_says(m->auth_start.req, m->type);
	else if (m->type == IPC_TYPE_auth_step)
		keeper_says(m->auth_step.req, m->type);
	else if (m->type == IPC_TYPE_sender)
		keeper_says(m->sender.req, m->type);
	else if (m->type == IPC_TYPE_recipient)
		keeper_says(m->recipient.req, m->type);
}

static void credit(uint64_t tx, uint32_t octets)
{
	struct ipc_message m = { .type = IPC_TYPE_credit, .credit = { tx, octets } };

	tell(w.queue, &m);
}

static void stored(uint64_t tx)
{
	static const uint32_t results[] = { 0, 0, 0, 0, ENOSPC, EIO, EMSGSIZE, 9999 };
	struct ipc_message m = { .type = IPC_TYPE_stored, .stored = { tx, results[chance(8)] } };

	tell(w.queue, &m);
}

static void any_queue(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	(void)arg;
	(void)ch;
	(void)fd;
	if (m->type == IPC_TYPE_body) {
		if (chance(20) == 0)
			stored(m->body.tx); /* it gives up before the end */
		if (chance(4) == 0)
			keep(m->body.tx);
		else
			credit(m->body.tx, (uint32_t)m->body.data.n);
	} else if (m->type == IPC_TYPE_commit) {
		w.commits++;
		if (chance(6) == 0)
			keep(m->commit.tx);
		else
			stored(m->commit.tx);
	}
}

static void any_ledger(void *arg, struct channel *ch, const struct ipc_message *m, int *fd)
{
	struct ipc_message g = { .type = IPC_TYPE_grant };

	(void)arg;
	(void)ch;
	(void)fd;
	if (m->type != IPC_TYPE_claim || !m->claim.answer || chance(5) == 0)
		return;
	g.grant.key = m->claim.key;
	g.grant.claim = chance(3) ? m->claim.want : chance(1 + m->claim.want);
	g.grant.full = (uint8_t)(chance(10) == 0);
	tell(w.ledger, &g);
}

static const struct channel_handlers any_keeper_handlers = { any_keeper, on_closed },
				     any_queue_handlers = { any_queue, on_closed },
				     any_ledger_handlers = { any_ledger, on_closed };

static const struct {
	enum ipc_role who;
	const struct channel_handlers *h;
	struct channel **ours, **theirs;
} peers[] = { { IPC_KEEPER, &any_keeper_handlers, &w.keeper, &w.to_keeper },
	      { IPC_QUEUE, &any_queue_handlers, &w.queue, &w.to_queue },
	      { IPC_LEDGER, &any_ledger_handlers, &w.ledger, &w.to_ledger } };

static void lose(unsigned i)
{
	if (*peers[i].ours)
		lose_peer(peers[i].who, peers[i].ours, peers[i].theirs);
}

static void come(unsigned i)
{
	if (!*peers[i].ours)
		connect_peer(peers[i].who, peers[i].h, peers[i].ours, peers[i].theirs);
}

static void something_happens(void)
{
	struct ipc_message forget = { .type = IPC_TYPE_forget };
	uint64_t number = kept[chance(KEPT)];

	switch (chance(40)) {
	case 0:
		lose(chance(3));
		break;
	case 1: /* gone and back in one turn */
		lose(chance(3));
		for (unsigned i = 0; i < 3; i++)
			come(i);
		break;
	case 2:
	case 3:
	case 4:
	case 5:
		come(chance(3));
		break;
	case 6:
		receive_configure(w.rx, w.conf);
		break;
	case 7:
		tell(w.ledger, &forget);
		break;
	case 8:
		credit(number, chance(2) ? IPC_BODY_WINDOW : UINT32_MAX);
		break;
	case 9:
		stored(number);
		break;
	case 10:
		result(number);
		break;
	case 11:
		verdict(number);
		break;
	case 12:
		challenge(number);
		break;
	default:
		break;
	}
}

/* ---- clients ---- */

#define START_TO_BODY \
	"EHLO c\r\nMAIL FROM:<a@else.test>\r\nRCPT TO:<u@our.test>\r\nRCPT TO:<team@our.test>\r\nDATA\r\n"
#define V1 "PROXY TCP4 192.0.2.1 192.0.2.99 40000 25\r\n"
#define V2 "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\1\2\3\xc0\0\2\x63\x9c\x40\0\x19"

static char junk[40000];
static const struct slice words[] = {
	SLICE_INIT("EHLO c\r\n"),
	SLICE_INIT("EHLO c\r\n"),
	SLICE_INIT("AUTH PLAIN AGFubgBwdw==\r\n"),
	SLICE_INIT("AUTH PLAIN AGFubgBubw==\r\n"),
	SLICE_INIT("AUTH PLAIN AGFubgBubw==\r\nMAIL FROM:<ann@our.test>\r\n"),
	SLICE_INIT("AUTH LOGIN\r\n"),
	SLICE_INIT("YW5u\r\n"),
	SLICE_INIT("*\r\n"),
	SLICE_INIT("MAIL FROM:<ann@our.test>\r\n"),
	SLICE_INIT("MAIL FROM:<>\r\nRCPT TO:<u@our.test>\r\n"),
	SLICE_INIT("RCPT TO:<x@else.test>\r\n"),
	SLICE_INIT("DATA\r\n"),
	SLICE_INIT("Subject: x\r\n\r\nhello\r\n.\r\n"),
	SLICE_INIT("\r\n.\r\n"),
	SLICE_INIT("BDAT 10 LAST\r\n0123456789"),
	SLICE_INIT("BDAT 40000\r\n"),
	SLICE_INIT("BDAT 0 LAST\r\n"),
	SLICE_INIT("RSET\r\n"),
	SLICE_INIT("NOOP\r\n"),
	SLICE_INIT("QUIT\r\n"),
	SLICE_INIT("STARTTLS\r\n"),
	SLICE_INIT(V1),
	SLICE_INIT(V2),
	SLICE_INIT(V1 START_TO_BODY "x\r\n.\r\n" START_TO_BODY),
	SLICE_INIT(START_TO_BODY),
	SLICE_INIT(START_TO_BODY "x\r\n.\r\n"),
	SLICE_INIT(START_TO_BODY "x\r\n.\r\n" START_TO_BODY "x\r\n.\r\nQUIT\r\n"),
	{ (const unsigned char *)junk, sizeof(junk) },
	{ (const unsigned char *)junk, sizeof(junk) },
	{ (const unsigned char *)junk, 100 },
};

static void vanish(struct client *c)
{
	const struct linger reset = { 1, 0 };

	if (chance(3) == 0)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	*c = (struct client){ .fd = -1 };
}

static void speak(struct client *c)
{
	struct slice s = words[chance(sizeof(words) / sizeof(words[0]))];
	size_t n = chance(5) == 0 ? chance((unsigned)s.n + 1) : s.n;

	if (n == 0)
		return;
	if (c->ssl)
		(void)SSL_write(c->ssl, s.p, (int)n);
	else
		(void)!send(c->fd, s.p, n, MSG_NOSIGNAL);
}

static void start_tls(struct client *c)
{
	if (c->ssl)
		return;
	c->ctx = SSL_CTX_new(TLS_client_method());
	c->ssl = SSL_new(c->ctx);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_set_connect_state(c->ssl);
}

static void client_acts(struct client *c)
{
	if (c->fd < 0) {
		unsigned listener = chance(N_LISTENERS);

		client_open(c, listener);
		if (listener == SUBMISSIONS || (listener == SUBMISSION && chance(2)))
			start_tls(c);
		return;
	}
	switch (chance(24)) {
	case 0:
		vanish(c);
		return;
	case 1:
		shutdown(c->fd, SHUT_WR);
		return;
	case 2:
		if (chance(4) == 0)
			start_tls(c);
		return;
	default:
		break;
	}
	c->n = 0;
	if (chance(8))
		client_read(c);
	if (c->eof && chance(2))
		vanish(c);
	else
		speak(c);
}

/* ---- all of it ---- */

static void play_all(unsigned ms)
{
	static struct client clients[CLIENTS];

	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i] = (struct client){ .fd = -1 };
	for (uint64_t end = now_ms() + ms; now_ms() < end;) {
		for (unsigned i = chance(6); i > 0; i--)
			client_acts(&clients[chance(CLIENTS)]);
		something_happens();
		uv_run(&w.loop, UV_RUN_NOWAIT);
		uv_run(&w.others, UV_RUN_NOWAIT);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		if (clients[i].fd >= 0)
			vanish(&clients[i]);
}

static void by_chance(void **state)
{
	const char *seed = getenv("SEED"), *seconds = getenv("SECONDS");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : (uint64_t)getpid() * 2654435761U + now_ms();

	signal(SIGPIPE, SIG_IGN); /* of SSL_write() */
	state_of_chance = first | 1;
	print_message("# SEED=%llu\n", (unsigned long long)first);
	memset(junk, 'x', sizeof(junk));
	for (size_t i = 70; i < sizeof(junk); i += 72)
		memcpy(junk + i, "\r\n", 2);
	world_processes = 1 + chance(4);
	if (chance(2)) /* sessions wait for room in the one to queue (transaction.c: ROOM_KEPT) */
		world_channel_max = 560U << 10;
	assert_int_equal(set_up(state), 0);
	for (unsigned i = 0; i < 3; i++) {
		lose(i);
		come(i);
	}
	play_all(seconds ? (unsigned)strtoul(seconds, NULL, 10) * 1000 : 2500);
	if (chance(2)) {
		/* Whoever has no client any more ends when nobody owes it an answer. */
		for (unsigned i = 0; i < 3; i++)
			lose(i);
		TURNS_UNTIL(sessions() == 0); /* before any time-out but those for answers */
	} else if (chance(2)) {
		receive_drain(w.rx, 1);
		TURNS_UNTIL(w.drained);
	}
	assert_int_equal(tear_down(state), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_chance),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
