/* queue_summary.h - `postern queue summary`. */
#ifndef POSTERN_CLI_QUEUE_SUMMARY_H
#define POSTERN_CLI_QUEUE_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

int cli_queue_summary(bool as_json, uint64_t now_ms); /* the exit status */

#endif
