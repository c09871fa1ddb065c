/* There is one way to write a message: what decodes encodes to the very bytes it came
 * from, and its slices lie within them. */
#include "ipc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice packet = slice_of(data, n);
	struct ipc_message m;
	struct buf b;

	if (n > IPC_PACKET_MAX || !ipc_decode(packet, &m))
		return 0;
	if (!strcmp(ipc_type_name(m.type), "unknown"))
		abort();
	buf_init(&b, IPC_PACKET_MAX);
	ipc_encode(&m, &b);
	if (!buf_ok(&b) || !slice_eq(buf_slice(&b), packet))
		abort();
	buf_done(&b);
	return 0;
}
