#include <string.h>

#include "base/json_text.h"
#include "cli/cli.h"
#include "cli/send.h"
#include "cli/text.h"

static const char *const securities[] = { "clear", "encrypted", "verified", "dane" };

static const char *security_text(uint8_t s)
{
	return s < sizeof(securities) / sizeof(securities[0]) ? securities[s] : "unknown";
}

/* What ended the connection stands for those that it kept from being tried. */
static bool is_for_good(uint8_t end)
{
	return end == IPC_LANE_TLS || end == IPC_LANE_AUTH || end == IPC_LANE_NOWHERE;
}

static bool was_not_reached(uint8_t end)
{
	return end == IPC_LANE_DNS || end == IPC_LANE_REFUSED || end == IPC_LANE_UNREACHABLE ||
	       end == IPC_LANE_TIMED_OUT;
}

static const char *result_text(const struct carry_rcpt *t, const struct carry_result *r)
{
	if (!t->tried)
		return is_for_good(r->end) ? "failed" : "deferred";
	return t->result == IPC_JOB_DELIVERED ? "sent" : t->result == IPC_JOB_FAILED ? "failed" : "deferred";
}

int cli_send_status(const struct cli_sent *s)
{
	const struct carry_result *r = s->r;
	int worst = CLI_OK;

	for (size_t i = 0; i < r->n; i++) {
		const struct carry_rcpt *t = &r->rcpt[i];
		bool good = t->tried && t->result == IPC_JOB_DELIVERED;

		if (good)
			continue;
		if (t->tried ? t->result == IPC_JOB_FAILED : is_for_good(r->end))
			return CLI_FAILED;
		worst = !t->tried && was_not_reached(r->end) && !r->reached ? CLI_NO_SERVER : CLI_LATER;
	}
	return worst;
}

/* ---- for people ---- */

static void print_transcript(const char *text)
{
	bool begin = true;

	for (; *text; text++) {
		char one[2] = { *text, 0 };

		if (*text == '\r')
			continue;
		if (begin && *text != '\n')
			fputs("    ", stderr);
		begin = *text == '\n';
		cli_put_clean(stderr, one, true);
	}
	if (!begin)
		fputc('\n', stderr);
}

void cli_send_print_tries(const struct cli_sent *s)
{
	for (size_t i = 0; i < s->r->n_tries; i++) {
		const struct carry_try *t = &s->r->tries[i];

		cli_put_clean(stderr, t->host, false);
		if (t->ip[0] && strcmp(t->ip, t->host) != 0)
			fprintf(stderr, " (%s)", t->ip);
		if (t->port)
			fprintf(stderr, " port %u", t->port);
		if (t->tls[0])
			fprintf(stderr, ", %s %s, %s", t->tls, t->cipher, t->security);
		fprintf(stderr, ": %s", t->what);
		if (t->step[0])
			fprintf(stderr, " at %s", t->step);
		fprintf(stderr, ", %u ms\n", t->ms);
		if (t->reason[0]) {
			fputs("  ", stderr);
			cli_put_clean(stderr, t->reason, false);
			fputc('\n', stderr);
		}
		if (s->verbose > 1 && t->transcript)
			print_transcript(t->transcript);
	}
}

static void print_where(const struct carry_result *r, FILE *to)
{
	cli_put_clean(to, r->host, false);
	if (r->port && r->ip[0]) /* not of a Unix socket */
		fprintf(to, " port %u", r->port);
	if (r->tls[0])
		fprintf(to, ", %s, %s", r->tls, security_text(r->security));
}

/* Of those that were tried; how many got it. */
static size_t print_recipients(const struct cli_sent *s)
{
	size_t sent = 0;

	for (size_t i = 0; i < s->r->n; i++) {
		const struct carry_rcpt *t = &s->r->rcpt[i];
		bool good = t->tried && t->result == IPC_JOB_DELIVERED;

		sent += good;
		if (!t->tried || (good && s->verbose == 0))
			continue;
		cli_put_clean(good ? stdout : stderr, s->draft->envelope.recipient[i]->address, false);
		fputs(good			    ? ": "
		      : t->result == IPC_JOB_FAILED ? " was refused: "
						    : " not now: ",
		      good ? stdout : stderr);
		cli_put_clean(good ? stdout : stderr, t->text, false);
		fputc('\n', good ? stdout : stderr);
	}
	return sent;
}

void cli_send_print(const struct cli_sent *s)
{
	const struct carry_result *r = s->r;
	size_t sent;

	if (s->verbose > 0)
		cli_send_print_tries(s);
	sent = print_recipients(s);
	if (sent > 0) {
		printf("sent to %zu of %zu by ", sent, r->n);
		print_where(r, stdout);
		putchar('\n');
	}
	if (r->end != IPC_LANE_IN_ORDER) {
		fputs("postern send: ", stderr);
		cli_put_clean(stderr, r->text, false);
		fputc('\n', stderr);
	}
	fflush(stdout);
	cli_send_advise(s);
}

/* ---- for programs ---- */

static json_t *rcpt_json(const struct cli_sent *s, size_t i)
{
	const struct carry_rcpt *t = &s->r->rcpt[i];

	return json_pack("{s:o, s:s, s:b, s:i, s:o, s:o, s:s, s:o}", "address",
			 json_text(slice_str(s->draft->envelope.recipient[i]->address)), "result",
			 result_text(t, s->r), "possibly_twice", t->in_doubt, "code", t->code, "status",
			 json_text(slice_str(t->tried ? t->enhanced : s->r->enhanced)), "text",
			 json_text(slice_str(t->tried ? t->text : s->r->text)), "step",
			 t->step ? t->step : "", "causes", cli_send_causes(s, t));
}

static json_t *try_json(const struct carry_try *t, bool transcript)
{
	json_t *j = json_pack("{s:o, s:s, s:i, s:s, s:s, s:o, s:s, s:s, s:s, s:i}", "host",
			      json_text(slice_str(t->host)), "ip", t->ip, "port", t->port, "what", t->what,
			      "step", t->step, "reason", json_text(slice_str(t->reason)), "tls", t->tls,
			      "cipher", t->cipher, "security", t->security, "ms", t->ms);

	if (j && transcript && t->transcript)
		json_object_set_new(j, "transcript", json_string(t->transcript));
	return j;
}

json_t *cli_send_json(const struct cli_sent *s)
{
	const struct carry_result *r = s->r;
	json_t *rcpts = json_array(), *tries = json_array(), *j;
	int status = cli_send_status(s);

	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(rcpts, rcpt_json(s, i));
	for (size_t i = 0; i < r->n_tries; i++)
		json_array_append_new(tries, try_json(&r->tries[i], s->verbose > 1));
	j = json_pack("{s:b, s:i, s:I, s:o, s:b, s:o, s:s, s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "sent",
		      status == CLI_OK, "exit", status, "octets", (json_int_t)s->draft->octets, "from",
		      json_text(slice_str(s->draft->envelope.sender)), "reached", r->reached, "host",
		      json_text(slice_str(r->host)), "ip", r->ip, "port", r->port, "tls", r->tls, "security",
		      r->reached ? security_text(r->security) : "", "failure",
		      r->end == IPC_LANE_IN_ORDER ? json_null() : json_text(slice_str(r->text)), "recipients",
		      rcpts, "tries", tries, "causes", cli_send_causes(s, NULL), "check", cli_send_call(s));
	return j;
}
