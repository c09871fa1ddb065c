#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/json_text.h"
#include "cli/cli.h"
#include "cli/outbox_private.h"
#include "cli/send_trial.h"
#include "cli/text.h"

/* ---- for people ---- */

static void put(const char *s)
{
	cli_put_clean(stdout, s, false);
}

static void put_clock(uint64_t ms)
{
	char text[32];
	time_t s = (time_t)(ms / 1000);
	struct tm tm;

	localtime_r(&s, &tm);
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	fputs(text, stdout);
}

/* Clocks differ: behind the one before is told, not hidden. */
static void put_delay(const struct mime_hop *h, const struct mime_hop *before)
{
	int64_t s = ((int64_t)h->time_ms - (int64_t)before->time_ms) / 1000;
	char text[16];

	if (s < 0)
		printf(", %s before the one above: one of the two clocks is wrong",
		       cli_span((uint64_t)-s * 1000, text));
	else if (s > 0)
		printf(", after %s", cli_span((uint64_t)s * 1000, text));
}

static void print_hop(const struct mime_journey *j, size_t i)
{
	const struct mime_hop *h = &j->hop[i];

	printf("  %zu  ", i + 1 + j->hops_more);
	put(h->by[0] ? h->by : "somebody");
	if (h->from[0] || h->address[0]) {
		fputs(", from ", stdout);
		put(h->from[0] ? h->from : h->address);
		if (h->address[0] && h->from[0] && !strstr(h->from, h->address)) {
			fputs(" (", stdout);
			put(h->address);
			putchar(')');
		}
	}
	if (h->with[0]) {
		fputs(", ", stdout);
		put(h->with);
	}
	fputs(h->tls[0] ? ", " : "", stdout);
	put(h->tls);
	putchar('\n');
	if (!h->has_time)
		return;
	fputs("     at ", stdout);
	put_clock(h->time_ms);
	for (size_t k = i; k > 0; k--)
		if (j->hop[k - 1].has_time) {
			put_delay(h, &j->hop[k - 1]);
			break;
		}
	putchar('\n');
}

static void print_check(const struct mime_check *c)
{
	struct buf words;
	char text[2 * MIME_JOURNEY_WORD + 200] = "";

	buf_init(&words, sizeof(text) - 1);
	mime_check_put(c, &words);
	(void)slice_copy(buf_slice(&words), text, sizeof(text));
	buf_done(&words);
	fputs("  ", stdout);
	for (const char *p = c->method; *p; p++)
		putchar(*p >= 'a' && *p <= 'z' ? *p - 0x20 : *p);
	printf(" %s", c->result);
	fputs(text[0] ? ": " : "", stdout);
	put(text);
	if (strcmp(c->result, "pass") != 0 && c->reason[0]) {
		fputs(" (", stdout);
		put(c->reason);
		putchar(')');
	}
	putchar('\n');
}

static void print_journey(const struct mime_journey *j)
{
	if (j->hops > 0)
		puts("The way it took, as each server wrote it down:");
	else
		puts("No server wrote down that it passed there.");
	if (j->hops_more > 0)
		printf("  ... %zu before these\n", j->hops_more);
	for (size_t i = 0; i < j->hops; i++)
		print_hop(j, i);
	for (size_t i = 0; i < j->checks; i++) {
		if (i == 0 || strcmp(j->check[i].by, j->check[i - 1].by) != 0) {
			fputs("What ", stdout);
			put(j->check[i].by[0] ? j->check[i].by : "somebody");
			fputs(" found out about the sender:\n", stdout);
		}
		print_check(&j->check[i]);
	}
	if (j->checks == 0)
		puts("Nobody wrote down whether SPF, DKIM and DMARC hold.");
}

static void print_unlooked(const struct cli_send_trialed *t)
{
	puts("That it was taken does not mean that it arrives. Look in the mailbox of");
	fputs("  ", stdout);
	put(t->to);
	printf("\nfor the subject\n  %s\nand among what is taken for spam. Its Received and "
	       "Authentication-Results fields (\"show\noriginal\", \"message source\") tell the way it took. "
	       "With "
	       "--imap imaps://USER@HOST that is\nlooked up here.\n",
	       t->subject);
}

void cli_send_trial_print(const struct cli_send_trialed *t)
{
	char text[16];

	if (!t->host) {
		print_unlooked(t);
		return;
	}
	if (!t->folder) {
		fprintf(stderr,
			"postern send: it did not come within %u s, neither where it should nor among what "
			"is "
			"taken for spam.\nIt may be late: greylisting takes up to half an hour. Look later "
			"for "
			"the subject '%s', or wait longer with --wait; a report that it failed would come to "
			"the sender's mailbox.\n",
			t->waited_s, t->subject);
		return;
	}
	printf("%s in ", t->junk ? "It came as SPAM, it is" : "It came, it is");
	put(t->folder);
	if (t->found_ms - t->sent_ms < 10000)
		snprintf(text, sizeof(text), "%.1f s", (double)(t->found_ms - t->sent_ms) / 1000);
	else
		cli_span(t->found_ms - t->sent_ms, text);
	printf(" at %s, after %s\n", t->host, text);
	if (t->journey)
		print_journey(t->journey);
}

/* ---- for programs ---- */

static json_t *hops_json(const struct mime_journey *j)
{
	json_t *list = json_array();
	const struct mime_hop *before = NULL;

	for (size_t i = 0; i < j->hops; i++) {
		const struct mime_hop *h = &j->hop[i];
		json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:s}", "from", h->from, "ip", h->address, "by",
					h->by, "with", h->with, "tls", h->tls);

		if (h->has_time) {
			json_object_set_new(one, "time", json_integer((json_int_t)h->time_ms));
			if (before)
				json_object_set_new(one, "delay_s",
						    json_integer(((json_int_t)h->time_ms -
								  (json_int_t)before->time_ms) /
								 1000));
			before = h;
		}
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *checks_json(const struct mime_journey *j)
{
	json_t *list = json_array();

	for (size_t i = 0; i < j->checks; i++) {
		const struct mime_check *c = &j->check[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:s, s:s}", "by", c->by, "method", c->method,
						"result", c->result, "about", c->about, "reason", c->reason));
	}
	return list;
}

json_t *cli_send_trial_json(const struct cli_send_trialed *t)
{
	json_t *j = json_pack("{s:s, s:s, s:o, s:b, s:b, s:o, s:b}", "mark", t->token, "subject", t->subject,
			      "to", json_text(slice_str(t->to)), "looked", t->host != NULL, "arrived",
			      t->folder != NULL, "folder",
			      t->folder ? json_text(slice_str(t->folder)) : json_null(), "junk", t->junk);

	if (j && t->folder)
		json_object_set_new(j, "after_ms", json_integer((json_int_t)(t->found_ms - t->sent_ms)));
	if (j && t->journey) {
		json_object_set_new(j, "message_id", json_string(t->message_id));
		json_object_set_new(j, "hops", hops_json(t->journey));
		json_object_set_new(j, "hops_left_out", json_integer((json_int_t)t->journey->hops_more));
		json_object_set_new(j, "authentication", checks_json(t->journey));
	}
	return j;
}
