/* What decodes must encode back to the very same bytes, and no prefix of it may
 * pass for a whole envelope: the spool hands these bytes back after a crash. */
#include "ipc/message.h"
#include "queue/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Decodes and encodes again; false if the bytes are no envelope. */
static bool round_trip(struct slice in, struct buf *out)
{
	struct envelope e;
	struct envelope_rcpt r;

	if (!envelope_get(&in, &e))
		return false;
	envelope_put(&e, out);
	for (uint32_t i = 0; i < e.recipients; i++) {
		if (!envelope_get_rcpt(&in, &r))
			return false;
		if (r.address.n > IPC_ADDRESS_MAX ||
		    (r.kind != IPC_TARGET_MAILBOX && r.kind != IPC_TARGET_REMOTE))
			abort(); /* what follows relies on both */
		envelope_put_rcpt(&r, out);
	}
	return in.n == 0;
}

static void try_envelope(struct slice in)
{
	struct buf out, cut;

	buf_init(&out, ENVELOPE_MAX);
	buf_init(&cut, ENVELOPE_MAX);
	if (round_trip(in, &out)) {
		if (!buf_ok(&out) || !slice_eq(buf_slice(&out), in))
			abort();
		if (round_trip(slice_head(in, in.n - 1), &cut))
			abort();
	}
	buf_done(&out);
	buf_done(&cut);
}

static void try_reason(struct slice in)
{
	struct envelope_reason r;
	struct buf out;

	buf_init(&out, 2048);
	if (envelope_get_reason(in, &r)) {
		envelope_put_reason(&r, &out);
		if (!buf_ok(&out) || !slice_eq(buf_slice(&out), in) || out.n > 1024)
			abort();
	}
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n > ENVELOPE_MAX)
		return 0;
	try_envelope(slice_of(data, n));
	try_reason(slice_of(data, n));
	return 0;
}
