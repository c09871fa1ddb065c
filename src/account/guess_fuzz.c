/* Whatever is tried, in whatever order:
 *  - an account is never locked where it is known, but by wrong passwords for it from that very
 *    address, as many as per_known;
 *  - more wrong passwords are never told, in a period, than twice the limit of what they count at;
 *  - the same wrong password again never locks anything;
 *  - a lock is never longer than lock_max, and what is locked stays so until it is over.
 *
 * Input: pairs of bytes, what is done and to whom. */
#include <stdlib.h>

#include "account/guess.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES  4
#define IPS    4
#define EVENTS 4096

static void must(bool ok)
{
	if (!ok)
		abort();
}

static const struct account_guess_limits limits = { .per_address = 5,
						    .per_network = 9,
						    .per_account = 6,
						    .per_known = 4,
						    .period_s = 100,
						    .lock_s = 10,
						    .lock_max_s = 80,
						    .ipv4_bits = 24,
						    .ipv6_bits = 48 };

/* Wrong passwords that were told. */
static struct told {
	uint64_t at;
	uint8_t name, ip;
	bool known;
} told[EVENTS];
static size_t n_told;

static unsigned count(uint64_t now, int name, int ip, bool known)
{
	unsigned n = 0;

	for (size_t i = n_told; i > 0 && told[i - 1].at + limits.period_s * 1000ULL > now; i--)
		n += (name < 0 || told[i - 1].name == name) && (ip < 0 || told[i - 1].ip == ip) &&
		     told[i - 1].known == known;
	return n;
}

static void check_told(uint64_t now, uint8_t name, uint8_t ip, bool known)
{
	if (known) {
		must(count(now, name, ip, true) <= 2 * limits.per_known);
		return;
	}
	must(count(now, name, -1, false) <= 2 * limits.per_account);
	must(count(now, -1, ip, false) <= 2 * limits.per_address);
}

static const char *const names[NAMES] = { "ann@a.test", "Bob@a.test", "nobody", "nameless" };
static const char *const ips[IPS] = { "192.0.2.1", "192.0.2.2", "2001:db8::1", "198.51.100.1" };
static const char *const nets[] = { "192.0.2.1",    "192.0.2.2",     "2001:db8::/64",  "198.51.100.1",
				    "192.0.2.0/24", "2001:db8::/48", "198.51.100.0/24" };

static struct account_guess_try a_try(uint8_t name, uint8_t ip, bool known)
{
	struct account_guess_try t = { .name = slice_str(names[name]), .known = known };

	must(ip_parse(slice_str(ips[ip]), &t.ip));
	return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char secret[16] = "0123456789abcdef";
	static struct account_guess *g; /* made once: its tables are large */
	uint64_t now = 1000000;
	unsigned fresh = 0;

	must(g || account_guess_new(&limits, secret, &g) == 0);
	for (int i = 0; i < NAMES; i++)
		account_guess_clear(g, slice_str(names[i]));
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		account_guess_clear(g, slice_str(nets[i]));
	n_told = 0;
	for (size_t i = 0; i + 1 < size && n_told < EVENTS; i += 2) {
		uint8_t name = data[i + 1] % NAMES, ip = data[i + 1] / NAMES % IPS;
		bool known = data[i + 1] & 0x80, repeated = data[i] % 8 == 6;
		struct account_guess_try t = a_try(name, ip, known);
		struct account_guess_verdict may, v;
		char text[32];

		if (data[i] % 8 == 7) {
			now += (data[i] / 8U + 1U) * (data[i + 1] & 0x40 ? 4000U : 300U);
			continue;
		}
		snprintf(text, sizeof(text), "wrong %u", repeated ? 0 : ++fresh);
		t.secret = slice_str(text);
		account_guess_may(g, now, &t, &may);
		account_guess_outcome(g, now, &t, data[i] % 8 == 5, &v);
		/* One answer before and after the test, when nobody came between. */
		must(may.lock == v.lock && may.left_ms == v.left_ms);
		must(v.left_ms <= limits.lock_max_s * 1000ULL && v.begun_ms <= limits.lock_max_s * 1000ULL);
		must((v.lock == ACCOUNT_GUESS_FREE) == (v.left_ms == 0));
		if (known)
			must(v.lock == ACCOUNT_GUESS_FREE || v.lock == ACCOUNT_GUESS_KNOWN);
		else
			must(v.lock != ACCOUNT_GUESS_KNOWN);
		if (v.lock != ACCOUNT_GUESS_FREE || data[i] % 8 == 5 || repeated)
			continue;
		told[n_told++] = (struct told){ now, name, ip, known };
		check_told(now, name, ip, known);
		if (v.begun != ACCOUNT_GUESS_FREE) {
			account_guess_may(g, now + v.begun_ms - 1, &t, &may);
			must(may.lock != ACCOUNT_GUESS_FREE);
			if (known)
				must(count(now, name, ip, true) >= 1);
		}
	}
	return 0;
}
