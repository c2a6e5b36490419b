/* Channel 0 of the PIT, the timer of old PCs, as a counter that runs once (Intel 82C54). Its interrupt is ISA 0. */
#pragma once
#include "cells/core/cpu/cpu.h"

#define PIT_HZ  1193182
#define PIT_IRQ 0

#define PIT_CHANNEL 0x40
#define PIT_COMMAND 0x43
#define PIT_ONCE    0x30 /* channel 0, both bytes, mode 0: output goes high at the end */
#define PIT_STATUS  0xe2 /* read back the status of channel 0 */
#define PIT_OUTPUT  0x80
#define PIT_MODE    0x3f /* of the status: how the channel was set up */

/* Sets the counter to `count`, of which the first half is written at once; it counts from pit_start on. */
static inline void pit_set(uint16_t count)
{
    cpu_out8(PIT_COMMAND, PIT_ONCE);
    cpu_out8(PIT_CHANNEL, (uint8_t)count);
}
/* The same `count`. */
static inline void pit_start(uint16_t count)
{
    cpu_out8(PIT_CHANNEL, (uint8_t)(count >> 8));
}
static inline uint8_t pit_status(void)
{
    cpu_out8(PIT_COMMAND, PIT_STATUS);
    return cpu_in8(PIT_CHANNEL);
}
/* Of a status after pit_set: whether there is a counter. Where there is none, all bits are set. */
static inline bool pit_exists(uint8_t status)
{
    return (status & PIT_MODE) == PIT_ONCE;
}
