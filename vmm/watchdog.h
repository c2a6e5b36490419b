/* The last watchdog: whether a guest of ours has ticks, by the counter in its arena. One that has none for long, though
 * it runs, is sent NMIs, at which its own watchdog ends what hangs (cells/task/watchdog); if that does not help, it is
 * to be reset. Any other guest, and one that has not begun to tick, is left alone. */
#pragma once
#include "vmm/ram.h"

struct watchdog {
    uint64_t limit_ms; /* until the reset; 0: off */
    uint64_t ticks;    /* seen last */
    uint64_t still_ms; /* it has not changed for so long */
    uint64_t looked_ms;
};

enum watchdog_step { WATCHDOG_NOTHING, WATCHDOG_NMI, WATCHDOG_RESET };

/* How long to wait before the next look; -1: for ever. */
int watchdog_wait_ms(const struct watchdog *watchdog);
/* Looks at the guest, at `now_ms` of a clock that never goes back. Between two looks no more counts than twice what
 * watchdog_wait_ms has said, since the host may have been busy. After half of the limit an NMI is due at each look.
 * After a reset the time counts from zero. */
enum watchdog_step watchdog_look(struct watchdog *watchdog, const struct ram *ram, uint64_t now_ms);
/* The time counts from zero: the guest was stopped, or reset. */
void watchdog_begin(struct watchdog *watchdog);
/* Prints the guest's last faults, each on a line, for those who do not look into its fault log later. */
void watchdog_print_faults(const struct ram *ram);
