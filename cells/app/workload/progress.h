/* Private to workload: time as far as the guest has run. A clock goes on while a busy or suspended host does not run
 * the guest's CPUs; ticks do not. So time here is that of the CPU that has had the fewest ticks: the part that
 * everybody waits for may be there. */
#pragma once
#include <stdint.h>
#include "cells/task/timer/timer.h"

#define PROGRESS_CPUS    16
#define PROGRESS_TICK_NS (1000000000ull / TIMER_HZ)

struct progress {
    uint64_t ticks[PROGRESS_CPUS]; /* of each CPU, at the beginning */
};

void progress_begin(struct progress *ret_progress);
/* Time since then, in whole ticks. A CPU that has had no tick for 32 times as long as another one counts as halted. */
uint64_t progress_ns(const struct progress *progress);
