/* See brake.h. */
#include "vmm/brake.h"

unsigned brake_reset(struct brake *brake, uint64_t now_ms)
{
    enum { QUICK_MS = 1000, FREE = 5, FIRST_MS = 16, MOST_MS = 1000, DOUBLINGS = 6 };

    brake->quick = brake->reset_ms && now_ms - brake->reset_ms < QUICK_MS ? brake->quick + 1 : 0;
    unsigned over = brake->quick < FREE ? 0 : brake->quick - FREE + 1;
    unsigned delay = !over ? 0 : over > DOUBLINGS ? MOST_MS : FIRST_MS << (over - 1);
    brake->reset_ms = now_ms + delay;
    return delay;
}
