/* lane_time.c - how long a lane waits for the server that it talks to. */
#include "send/private.h"

#define QUIT_S	  5
#define TLS_S	  60   /* a handshake */
#define DATA_S	  120  /* RFC 5321 4.5.3.2.4 */
#define BLOCK_S	  180  /* 4.5.3.2.5 */
#define TALK_S	  600  /* all of it, up to the first MAIL */
#define MESSAGE_S 1800 /* a message, and as much as its size takes at so many octets a second */
#define PACE	  512

static void give_up_waiting(struct lane *l)
{
	const char *step_name = smtp_client_step_name(smtp_client_step(l->engine));

	l->timed_out = true;
	if (l->handshaking)
		snprintf(l->why, sizeof(l->why), "the TLS handshake took too long");
	else if (l->waits_for_secret)
		snprintf(l->why, sizeof(l->why), "a new token did not come in time");
	else
		snprintf(l->why, sizeof(l->why), "the server did not answer in time (at %s)", step_name);
	l->waits_for_secret = false;
	smtp_client_lost(l->engine, "4.4.2", l->why);
}

static void on_timer(uv_timer_t *t)
{
	struct lane *l = t->data;

	if (l->state == LANE_DIALS) {
		lane_dial_tick(l);
		return;
	}
	if (l->engine)
		give_up_waiting(l);
	lane_run(l);
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned patience_s(const struct lane *l)
{
	if (l->handshaking)
		return least(l->command_s, TLS_S);
	switch (smtp_client_step(l->engine)) {
	case SMTP_CLIENT_AT_FINAL:
		return l->final_s;
	case SMTP_CLIENT_AT_QUIT:
		return QUIT_S;
	case SMTP_CLIENT_AT_DATA:
		return least(l->command_s, DATA_S);
	case SMTP_CLIENT_AT_BODY:
		return least(l->command_s, BLOCK_S);
	default:
		return l->command_s;
	}
}

/* However steadily it drips: when this is over it is too slow.  Not once all of a message is sent: who
 * then hangs up may have it delivered twice. */
static uint64_t limit_ms(const struct lane *l)
{
	if (l->state == LANE_TALKS)
		return l->talk_ms + TALK_S * UINT64_C(1000);
	if (!l->job || smtp_client_step(l->engine) == SMTP_CLIENT_AT_FINAL)
		return UINT64_MAX;
	return l->job->begun_ms + (MESSAGE_S + l->job->message.size / PACE) * UINT64_C(1000);
}

/* Each answer, and each octet that is taken, gives new time; half an answer does not. */
static void arm_session(struct lane *l)
{
	enum smtp_client_step at = smtp_client_step(l->engine);
	uint64_t mark = 1 + 2U * l->handshaking + 4U * l->tls_up + 8U * l->state + 16U * at + l->written +
			smtp_client_replies(l->engine) * UINT64_C(0x100000001);
	uint64_t wait = patience_s(l) * UINT64_C(1000), limit = limit_ms(l);
	uint64_t now = uv_now(l->send->loop);

	if (l->state == LANE_SENDS && smtp_client_want(l->engine)->want == SMTP_CLIENT_READY) {
		uv_timer_stop(&l->timer); /* queue says when it has been idle for long enough */
		l->mark = 0;
	} else if (mark != l->mark || !uv_is_active((uv_handle_t *)&l->timer)) {
		l->mark = mark;
		if (limit < now + wait)
			wait = limit > now ? limit - now : 0;
		uv_timer_start(&l->timer, on_timer, wait, 0);
	}
}

void lane_arm(struct lane *l)
{
	const struct dial_ask *a = dial_want(&l->dial);
	uint64_t now = uv_now(l->send->loop);

	if (l->engine) {
		arm_session(l);
	} else if (l->state == LANE_DIALS && a->want == DIAL_WAIT) {
		l->mark = 0;
		uv_timer_start(&l->timer, on_timer, a->until_ms > now ? a->until_ms - now : 0, 0);
	} else {
		uv_timer_stop(&l->timer); /* the resolver has its own patience */
	}
}
