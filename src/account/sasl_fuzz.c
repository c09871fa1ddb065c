/* Whatever a client sends as SASL messages:
 *  - what is decoded of an exposed password's message names the same user as the
 *    exchange itself does, when that comes to a name and a password;
 *  - nobody without a verifier is ever proved;
 *  - an address that parses is printed so that it parses to itself, and the folder
 *    made of a safe name is one folder below its domain's. */
#include "account/address.h"
#include "account/request.h"
#include "account/sasl.h"

static struct account_store *store;
static struct account_sasl *sasl;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void ask(const char *question)
{
	json_t *j = json_loads(question, 0, NULL), *answer = account_request(store, j, NULL, 1);

	must(answer && !json_object_get(answer, "error"));
	json_decref(answer);
	json_decref(j);
}

static void set_up(void)
{
	struct account_settings settings = {
		.hostname = "mx.test", .postmaster = "", .delimiters = "+", .listeners = ""
	};
	char why[256];

	if (sasl)
		return;
	must(account_store_open(":memory:", &settings, &store, why, sizeof(why)) == 0);
	ask("{\"ask\": \"domain.add\", \"domain\": \"a.test\", \"scram\": true}");
	ask("{\"ask\": \"account.add\", \"account\": \"a@a.test\"}");
	must(account_sasl_new(store, &sasl) == 0);
}

static void check_address(struct slice text)
{
	struct account_address a, again;
	struct slice local, rest;
	struct buf path;

	if (!account_address_parse(text, &a))
		return;
	must(account_address_parse(slice_str(a.text), &again));
	must(slice_eq(slice_str(a.text), slice_str(again.text)) &&
	     slice_eq(slice_str(a.key), slice_str(again.key)));
	must(account_address_parse(slice_str(a.key), &again) &&
	     slice_eq(slice_str(a.key), slice_str(again.key)));
	must(slice_eq_nocase(slice_str(a.text), slice_str(a.key)));
	local = account_address_local_key(&a);
	if (!account_local_is_safe(local))
		return;
	buf_init(&path, ACCOUNT_MAILBOX_MAX);
	account_mailbox_path(local, account_address_domain(&a), &path);
	rest = buf_slice(&path);
	must(buf_ok(&path) && rest.n > 0 && rest.p[0] != '.' && rest.p[0] != '_' && rest.p[0] != '/');
	rest = slice_tail(rest, slice_find(rest, '/') + 1);
	must(rest.n > 0 && rest.p[0] != '.' && slice_find(rest, '/') == rest.n);
	buf_done(&path);
}

static void check_name(struct account_sasl_session *s, struct slice mech, struct slice first)
{
	struct buf name;
	bool has;

	buf_init(&name, ACCOUNT_SASL_MAX);
	has = account_sasl_exposed_name(mech, first, &name);
	must(has ? slice_eq(buf_slice(&name), account_sasl_name(s)) : account_sasl_name(s).n == 0);
	buf_done(&name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* One octet for the mechanism, then messages, each with its length in one octet. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct slice mechs[] = { SLICE_INIT("PLAIN"), SLICE_INIT("LOGIN"),
					      SLICE_INIT("SCRAM-SHA-256"), SLICE_INIT("SCRAM-SHA-256-PLUS") };
	static const unsigned char binding[32];
	struct account_sasl_session *s;
	enum account_sasl_step step = ACCOUNT_SASL_CHALLENGE;
	struct slice in = slice_of(data, n), message, first = { NULL, 0 }, mech;
	bool has_first = false;

	set_up();
	check_address(in);
	if (n == 0)
		return 0;
	mech = mechs[data[0] % 4];
	must(account_sasl_begin(sasl, mech,
				data[0] & 4 || data[0] % 4 == 3 ? slice_of(binding, 32) : slice_of(NULL, 0),
				&s) == 0);
	in = slice_tail(in, 1);
	while (step == ACCOUNT_SASL_CHALLENGE && in.n > 0) {
		message = slice_head(slice_tail(in, 1), in.p[0]);
		in = slice_tail(in, 1 + message.n);
		step = account_sasl_step(s, true, message);
		/* PLAIN goes on waiting after an empty message; in LOGIN that is an empty name. */
		if (!has_first && (message.n > 0 || data[0] % 4 == 1)) {
			first = message;
			has_first = true;
		}
	}
	if (step == ACCOUNT_SASL_PASSWORD && (data[0] % 4 == 0 || has_first))
		check_name(s, mech, first);
	must(step != ACCOUNT_SASL_PROVED);
	account_sasl_end(s);
	return 0;
}
