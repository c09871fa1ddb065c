#include "cli/advice.h"

#include "cli/text.h"

#define LABEL 9	 /* columns */
#define CLOSE 8	 /* a second cause that is behind by less is said, too */
#define SURE  95 /* but for where the text says it: then only one that it says as well */

static void put_labelled(FILE *to, unsigned indent, const char *label, const char *text)
{
	fprintf(to, "%*s%-*s", (int)indent, "", LABEL, label);
	cli_put_wrapped(to, text, indent + LABEL);
}

void cli_advice_put(FILE *to, const struct advise_explained *e, unsigned indent)
{
	char change[ADVISE_CHANGE_MAX];

	for (size_t i = 0; i < e->n && i < 2; i++) {
		enum advise_cause cause = e->guess[i].cause;
		unsigned behind = e->guess[0].weight - e->guess[i].weight;

		if (behind >= (e->guess[0].weight >= SURE ? 1 : CLOSE))
			return;

		put_labelled(to, indent, i == 0 ? "means" : "or", advise_cause_what(cause));
		put_labelled(to, indent, "change", advise_change(cause, e->client, change, sizeof(change)));
	}
}

json_t *cli_advice_json(const struct advise_explained *e)
{
	json_t *list = json_array();
	char change[ADVISE_CHANGE_MAX];

	for (size_t i = 0; i < e->n; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:i, s:s, s:s}", "cause", advise_cause_name(e->guess[i].cause),
					"weight", (int)e->guess[i].weight, "what",
					advise_cause_what(e->guess[i].cause), "change",
					advise_change(e->guess[i].cause, e->client, change, sizeof(change))));
	return list;
}
