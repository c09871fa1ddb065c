/* A look at a port. */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/look_private.h"
#include "probe/finding.h"
#include "probe/hello.h"

#define INPUT_MAX  (16U << 10)
#define OUTPUT_MAX (16U << 10)
#define GUESS_MS   3000
#define PROD_MS	   1000

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static enum probe_version version_of(enum look_stage stage)
{
	return stage == LOOK_OLD_TLS11 ? PROBE_TLS11 : stage == LOOK_OLD_TLS10 ? PROBE_TLS10 : PROBE_SSL3;
}

static bool is_old(enum look_stage stage)
{
	return stage >= LOOK_OLD_TLS11 && stage <= LOOK_OLD_SSL3;
}

/* ---- the end of a connection ---- */

static void on_closed(uv_handle_t *h)
{
	free(h->data);
}

static void release(struct look *l)
{
	l->over = true;
	if (l->has_answer)
		dns_answer_done(&l->answer);
	uv_close((uv_handle_t *)&l->timer, on_closed);
}

static void end(struct look *l)
{
	if (l->over)
		return;
	release(l);
	l->done(l->arg, l->port);
}

void look_cancel(struct look *l)
{
	if (!l || l->over)
		return;
	resolve_cancel(l->query);
	knock_cancel(l->knock);
	conn_close(l->conn);
	release(l);
}

static void on_timeout(uv_timer_t *h);

static void hang_up(struct look *l)
{
	uv_timer_stop(&l->timer);
	conn_close(l->conn);
	l->conn = NULL;
	look_next(l);
}

static void lost(struct look *l, enum probe_end how, const char *why)
{
	if (l->hello) /* closed at the hello: it does not take it */
		l->port->old[version_of(l->stage)] =
			how == PROBE_END_TIMEOUT ? PROBE_OLD_UNCLEAR : PROBE_OLD_REFUSED;
	else
		probe_talk_lost(&l->talk, how, why);
	hang_up(l);
}

/* Silence where a greeting should be: what waits for a question (HTTP, TLS) answers one.  An SMTP server that
 * is as slow as that may call it rude; it is given up in any case. */
static bool prod(struct look *l)
{
	if (l->prodded || (l->implicit && !l->talk.port->tls.up) || l->stage > LOOK_SECOND ||
	    probe_talk_at(&l->talk) != PROBE_AT_GREETING || conn_input(l->conn).n > 0 ||
	    conn_write(l->conn, SLICE_LIT("EHLO localhost\r\n")) < 0)
		return false;
	l->prodded = true;
	uv_timer_start(&l->timer, on_timeout, PROD_MS, 0);
	return true;
}

static void on_prod_answer(struct look *l)
{
	struct slice in = conn_input(l->conn);

	if (probe_other_of(in) != PROBE_OTHER_NONE)
		(void)probe_talk_feed(&l->talk, in, now_ms());
	lost(l, PROBE_END_TIMEOUT, "no greeting in time");
}

static void on_timeout(uv_timer_t *h)
{
	struct look *l = h->data;

	if (prod(l))
		return;
	if (probe_talk_at(&l->talk) == PROBE_AT_HANDSHAKE && !l->hello) {
		l->talk.port->tls.tried = true;
		l->talk.port->tls.result = TLS_RESULT_VALIDATION_FAILURE;
		l->talk.port->tls.ms = (uint32_t)(now_ms() - l->since_ms);
		snprintf(l->talk.port->tls.words, sizeof(l->talk.port->tls.words), "no answer in %u s",
			 l->setup->reply_ms / 1000);
	}
	lost(l, PROBE_END_TIMEOUT, "no answer in time");
}

/* Where no custom says who speaks first, silence soon means that the server waits for TLS. */
static void await(struct look *l)
{
	bool custom = l->port->port == 25 || probe_is_submission(l->port->port);
	bool guess = !custom && l->stage == LOOK_FIRST && probe_talk_at(&l->talk) == PROBE_AT_GREETING;

	uv_timer_start(&l->timer, on_timeout,
		       guess && l->setup->reply_ms > GUESS_MS ? GUESS_MS : l->setup->reply_ms, 0);
}

/* ---- TLS ---- */

static void learn_tls(struct look *l, bool up)
{
	struct probe_tls *t = &l->talk.port->tls;
	struct tls_client_facts f;
	struct tls_certificate_facts chain[PROBE_CHAIN_MAX];

	conn_tls_client_facts(l->conn, &f);
	t->tried = true;
	t->up = up;
	t->implicit = l->implicit;
	t->ms = (uint32_t)(now_ms() - l->since_ms);
	t->verified = up && f.verified;
	t->result = f.result;
	snprintf(t->version, sizeof(t->version), "%s", f.version);
	snprintf(t->cipher, sizeof(t->cipher), "%s", f.cipher);
	snprintf(t->words, sizeof(t->words), "%s", f.words[0] || up ? f.words : conn_error(l->conn));
	snprintf(t->names, sizeof(t->names), "%s", f.names);
	snprintf(t->wanted, sizeof(t->wanted), "%s", l->name);
	t->n_chain = conn_tls_client_chain(l->conn, chain, PROBE_CHAIN_MAX);
	for (size_t i = 0; i < t->n_chain; i++) {
		struct probe_certificate *c = &t->chain[i];

		/* The precision is for gcc -O3, which takes the rest of chain for the text's end. */
		snprintf(c->subject, sizeof(c->subject), "%.*s", (int)sizeof(c->subject) - 1,
			 chain[i].subject);
		snprintf(c->issuer, sizeof(c->issuer), "%.*s", (int)sizeof(c->issuer) - 1, chain[i].issuer);
		snprintf(c->key, sizeof(c->key), "%.*s", (int)sizeof(c->key) - 1, chain[i].key);
		snprintf(c->sha256, sizeof(c->sha256), "%.*s", (int)sizeof(c->sha256) - 1, chain[i].sha256);
		c->not_before = chain[i].not_before;
		c->not_after = chain[i].not_after;
	}
	t->self_signed = t->n_chain > 0 && chain[0].self_signed && !t->verified;
}

/* Whatever it shows, and however weak it is: it is to be seen. */
static bool start_tls(struct look *l)
{
	struct ip ip;
	bool address = ip_parse(slice_str(l->name), &ip);
	struct tls_client_setup setup = { .sni = address ? NULL : l->name,
					  .verify = TLS_VERIFY_NAMES,
					  .only_report = true,
					  .any_tls = true,
					  .names = &l->name,
					  .n_names = 1 };

	if (l->stage == LOOK_DANE) {
		setup.verify = TLS_VERIFY_DANE;
		setup.tlsa = l->tlsa;
		setup.n_tlsa = l->n_tlsa;
	}
	l->since_ms = now_ms();
	await(l);
	return conn_start_tls_client(l->conn, l->setup->tls, &setup) == 0;
}

static void say_hello(struct look *l)
{
	unsigned char random[PROBE_RANDOM];
	struct buf b;

	buf_init(&b, PROBE_HELLO_MAX);
	if (RAND_bytes(random, sizeof(random)) == 1)
		probe_hello(&b, version_of(l->stage), slice_str(l->name), random);
	l->hello = true;
	await(l);
	if (b.n == 0 || !buf_ok(&b) || conn_write(l->conn, buf_slice(&b)) < 0)
		lost(l, PROBE_END_OURS, "out of memory");
	buf_done(&b);
}

/* Was there a word about TLS, or did the handshake just end? */
static enum probe_end end_of_handshake(const struct conn *c)
{
	const char *why = conn_error(c);

	return strcmp(why, uv_strerror(UV_ECONNRESET)) == 0   ? PROBE_END_RESET
	       : strstr(why, "closed the connection") != NULL ? PROBE_END_CLOSED
							      : PROBE_END_TLS;
}

/* ---- the conversation ---- */

static void flush(struct look *l)
{
	struct slice out = probe_talk_output(&l->talk);

	if (out.n > 0 && conn_write(l->conn, out) == 0)
		probe_talk_sent(&l->talk, out.n);
}

static void on_hello_answer(struct look *l)
{
	enum probe_old is = probe_hello_answer(version_of(l->stage), conn_input(l->conn));

	if (is == PROBE_OLD_NOT_ASKED)
		return;
	l->port->old[version_of(l->stage)] = is;
	hang_up(l);
}

static void run(struct look *l)
{
	enum probe_step at = probe_talk_at(&l->talk);

	if (l->hello) {
		on_hello_answer(l);
		return;
	}
	if (l->prodded) {
		on_prod_answer(l);
		return;
	}
	conn_consume(l->conn, probe_talk_feed(&l->talk, conn_input(l->conn), now_ms()));
	flush(l);
	switch (l->talk.want) {
	case PROBE_TALK_CLOSE:
		hang_up(l);
		break;
	case PROBE_TALK_TLS:
		if (is_old(l->stage))
			say_hello(l);
		else if (!start_tls(l))
			lost(l, PROBE_END_OURS,
			     "TLS could not be begun: octets came behind the answer to STARTTLS");
		break;
	default:
		if (probe_talk_at(&l->talk) != at)
			await(l);
	}
}

static void on_conn(void *arg, struct conn *c, enum conn_event event)
{
	struct look *l = arg;

	switch (event) {
	case CONN_INPUT:
		run(l);
		break;
	case CONN_TLS_DONE:
		if (l->stage == LOOK_DANE) {
			look_learn_dane(l);
			hang_up(l);
			break;
		}
		learn_tls(l, true);
		if (l->implicit)
			l->talk.port->tls_first = true;
		else
			probe_talk_tls_started(&l->talk, now_ms());
		flush(l);
		await(l);
		break;
	case CONN_TLS_FAILED:
		learn_tls(l, false);
		l->talk.step = PROBE_AT_HANDSHAKE; /* also where it is the first of all */
		lost(l, end_of_handshake(c), "the TLS handshake failed");
		break;
	case CONN_EOF:
	case CONN_ERROR:
		run(l); /* what came before it */
		if (l->conn == c)
			lost(l, event == CONN_EOF ? PROBE_END_CLOSED : PROBE_END_RESET, conn_error(c));
		break;
	default:
		break;
	}
}

static void on_knock(void *arg, int fd)
{
	struct look *l = arg;
	const struct conn_setup setup = { l->setup->loop, INPUT_MAX, OUTPUT_MAX, on_conn, l };
	const struct probe_talk_setup talk = {
		.helo = slice_str(l->setup->helo),
		.domain = slice_str(l->name),
		.tls = l->implicit,
		.starttls = true,
		.mail = l->stage <= LOOK_SECOND && l->port->port != 25,
		.relay = l->stage == LOOK_RELAY,
	};

	l->knock = NULL;
	if (fd < 0) {
		look_next(l);
		return;
	}
	if (conn_take(&setup, fd, false, &l->conn) < 0) {
		close(fd);
		l->port->reach = PROBE_FAILED;
		l->port->error = -ENOMEM;
		look_next(l);
		return;
	}
	probe_talk_init(&l->talk, &talk, l->stage <= LOOK_SECOND ? l->port : &l->aside, now_ms());
	if (l->stage <= LOOK_SECOND)
		l->port->reach = PROBE_OPEN;
	await(l);
	if (!l->implicit)
		return;
	if (is_old(l->stage))
		say_hello(l);
	else if (!start_tls(l))
		lost(l, PROBE_END_OURS, "TLS could not be begun");
}

/* ---- from one connection to the next ---- */

/* Did the second way show more than the first? */
static bool second_is_better(const struct look *l)
{
	const struct probe_port *p = l->port;

	return (p->greeting.code && !l->first.greeting.code) || p->tls.up ||
	       (p->other != PROBE_OTHER_NONE && p->other != PROBE_OTHER_TLS);
}

static bool wants_second(const struct probe_port *p, bool implicit)
{
	if (p->reach != PROBE_OPEN)
		return false;
	if (implicit) /* a certificate is enough to know that it is TLS */
		return !p->tls.up && !p->greeting.code && p->tls.n_chain == 0;
	/* "554 this port needs TLS from the first octet" */
	if (p->greeting.code)
		return p->greeting.code / 100 == 5 && p->port != 25;
	return p->other == PROBE_OTHER_TLS || (p->other == PROBE_OTHER_NONE && p->end != PROBE_END_OURS);
}

void look_connect(struct look *l)
{
	struct probe_port *to = l->stage == LOOK_FIRST ? l->port : &l->aside;
	int r;

	memset(&l->aside, 0, sizeof(l->aside));
	l->aside.ip = l->port->ip;
	l->aside.port = l->port->port;
	l->hello = l->prodded = false;
	r = knock_begin(l->setup->loop, to, l->setup->connect_ms, on_knock, l, &l->knock);
	if (r < 0)
		look_next(l);
}

/* The second way begins with nothing but how it was reached. */
static void turn_round(struct look *l)
{
	l->first = *l->port;
	memset(l->port, 0, sizeof(*l->port));
	l->port->ip = l->first.ip;
	l->port->port = l->first.port;
	l->port->reach = l->first.reach;
	l->port->connect_ms = l->first.connect_ms;
	l->implicit = !l->implicit;
}

void look_next(struct look *l)
{
	if (l->stage == LOOK_FIRST && wants_second(l->port, l->implicit)) {
		turn_round(l);
		l->stage = LOOK_SECOND;
		look_connect(l);
		return;
	}
	if (l->stage == LOOK_SECOND && !second_is_better(l))
		*l->port = l->first;
	if (l->stage <= LOOK_SECOND)
		l->stage = LOOK_SECOND;
	do
		l->stage++;
	while ((is_old(l->stage) && !(l->setup->old && l->port->tls.up)) ||
	       (l->stage == LOOK_DANE && !l->port->tls.up));
	if (l->stage == LOOK_DANE) {
		l->implicit = l->port->tls_first;
		if (look_ask_tlsa(l))
			return;
		l->stage++;
	}
	if (l->stage == LOOK_PTR) {
		if (l->setup->as_server && look_ask_ptr(l))
			return;
		l->stage++;
	}
	if (l->stage == LOOK_RELAY && !(l->setup->relay && probe_speaks_smtp(l->port)))
		l->stage = LOOK_OVER;
	if (l->stage == LOOK_OVER) {
		memcpy(l->port->relay, l->aside.relay, sizeof(l->port->relay));
		end(l);
		return;
	}
	l->implicit = l->port->tls_first;
	look_connect(l);
}

/* Not from within look_begin(). */
static void on_start(uv_timer_t *h)
{
	look_connect(h->data);
}

int look_begin(const struct look_setup *setup, const char *name, struct probe_port *port, look_done *done,
	       void *arg, struct look **ret)
{
	struct look *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->setup = setup;
	l->name = name;
	l->port = port;
	l->done = done;
	l->arg = arg;
	l->implicit = probe_is_implicit(port->port);
	uv_timer_init(setup->loop, &l->timer);
	l->timer.data = l;
	uv_timer_start(&l->timer, on_start, 0, 0);
	*ret = l;
	return 0;
}
