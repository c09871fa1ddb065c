/* Processes, a ledger, and messages between them that arrive whenever they like:
 *  - while ledger lives, the limit is never exceeded, of those at once nor in any window;
 *  - whatever happens to ledger, not twice the limit (a share is one at least);
 *  - when all has been said and heard, somebody who is refused would exceed three quarters;
 *  - a key of any bytes is shown as text, or refused.
 *
 * Input: processes, limit, sort; then a byte for each thing that happens. */
#include "policy/limit_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WINDOW_MS 8000
#define LOOK_MS	  200 /* between two looks of a process at what it need not keep */

static void show(struct slice key)
{
	enum limit_kind kind;
	struct slice listener;
	struct buf who;

	buf_init(&who, 4 * LIMIT_KEY_MAX);
	if (limit_key_show(key, &kind, &listener, &who)) {
		world_must(kind > LIMIT_NONE && kind < LIMIT_KINDS && listener.n <= 64);
		for (size_t i = 0; i < buf_slice(&who).n; i++)
			world_must(buf_slice(&who).p[i] >= ' ' && buf_slice(&who).p[i] != 0x7f);
	}
	buf_done(&who);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;
	bool outage = false;

	if (size < 3)
		return 0;
	show(slice_of(data, size));
	world_init(&w, 1 + data[0] % WORLD_PROCESSES, data[1], data[2] & 1 ? WINDOW_MS : 0);
	for (size_t i = 3; i < size && i < 6000; i++) {
		unsigned p = data[i] / 16 % w.processes;

		switch (data[i] % 16) {
		case 0:
		case 1:
		case 2:
		case 3:
			for (int k = 0; k < 1 + data[i] % 4 * 3; k++)
				world_take_now(&w, p, !w.claims);
			break;
		case 4:
			world_take(&w, p);
			break;
		case 5:
		case 6:
			world_give(&w, p);
			break;
		case 7:
			world_say(&w, p);
			break;
		case 8:
		case 9:
			world_read(&w, p);
			break;
		case 10:
		case 11:
			world_hear(&w, p);
			break;
		case 12:
			world_deliver(&w);
			break;
		case 13:
			w.now += 1 + (uint64_t)(data[i] / 16) * 110;
			limits_sweep(w.l[p], w.now);
			break;
		case 14:
			w.now += 2000;
			break;
		default:
			if (data[i] < 0xe0)
				break;
			outage = true;
			if (w.claims)
				world_ledger_dies(&w);
			else
				world_ledger_comes(&w);
			break;
		}
		world_must(world_use(&w) <= (outage ? 2 * w.limit.max + w.processes : w.limit.max));
	}
	/* In the end all hear each other, and one takes what is left. */
	if (!outage) {
		for (int k = 0; k < 3; k++) {
			world_deliver(&w);
			w.now += LOOK_MS;
			for (unsigned p = 0; p < w.processes; p++)
				limits_sweep(w.l[p], w.now);
		}
		world_deliver(&w);
		w.now += LOOK_MS;
		while (world_take(&w, 0))
			world_must(world_use(&w) <= w.limit.max);
		/* A window goes on by eighths, so what is over may count for an eighth longer; and what
		 * others held for it they give back when they look next. */
		world_must(world_use_late(&w, WINDOW_MS / 8 + LOOK_MS) + w.limit.max / 4 +
				   2 * WORLD_PROCESSES >=
			   w.limit.max);
	}
	world_done(&w);
	return 0;
}
