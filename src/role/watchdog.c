#include "role/watchdog.h"

#include <stdio.h>

#include "base/log.h"
#include "base/turn.h"

#define SLOW_NS	     (50 * UINT64_C(1000000))
#define LOG_EVERY_NS UINT64_C(1000000000)

static struct {
	uv_prepare_t turn;
	uint64_t began, idle; /* of the turn under way; 0: it is not judged */
	uint64_t slow, slowest_ns, logged, unlogged;
	char slowest_doing[48];
} dog;

static void bark(uint64_t busy, const struct turn_share *most)
{
	const char *doing = most->what ? most->what : "";
	uint64_t now = uv_hrtime();

	dog.slow++;
	if (busy > dog.slowest_ns) {
		dog.slowest_ns = busy;
		snprintf(dog.slowest_doing, sizeof(dog.slowest_doing), "%s", doing);
	}
	if (dog.logged && now - dog.logged < LOG_EVERY_NS) {
		dog.unlogged++;
		return;
	}
	LOG(LOG_WARNING, "slow-turn", LOG_U("ms", busy / 1000000), LOG_STR("doing", doing),
	    LOG_U("doing_ms", most->ns / 1000000), LOG_U("times", most->times),
	    LOG_U("unlogged", dog.unlogged));
	dog.logged = now;
	dog.unlogged = 0;
}

/* Runs just before the loop sleeps, once a turn. */
static void on_turn(uv_prepare_t *h)
{
	uint64_t now = uv_hrtime(), idle = uv_metrics_idle_time(h->loop);
	uint64_t whole = now - dog.began, slept = idle - dog.idle;
	struct turn_share most = turn_end();

	if (dog.began && whole > slept && whole - slept > SLOW_NS)
		bark(whole - slept, &most);
	dog.began = now;
	dog.idle = idle;
}

int watchdog_start(uv_loop_t *loop)
{
	int r = uv_loop_configure(loop, UV_METRICS_IDLE_TIME);

	if (r < 0)
		return r;
	uv_prepare_init(loop, &dog.turn);
	uv_prepare_start(&dog.turn, on_turn);
	uv_unref((uv_handle_t *)&dog.turn);
	return 0;
}

void watchdog_forgive(void)
{
	dog.began = 0;
}

void watchdog_status(json_t *to)
{
	json_object_set_new(to, "slow_turns", json_integer((json_int_t)dog.slow));
	json_object_set_new(to, "slowest_turn_ms", json_integer((json_int_t)(dog.slowest_ns / 1000000)));
	json_object_set_new(to, "slowest_turn", json_string(dog.slowest_doing));
}
