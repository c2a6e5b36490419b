/* The CMOS clock and its memory, ports 0x70 and 0x71. Leaves out its interrupts (IRQ 8) and setting the time. */
#pragma once
#include <stdint.h>
#include "vmm/lock.h"

struct cmos {
    uint8_t index, memory[128];
};

/* The state of a new machine: the RAM's size is where firmware would leave it. */
void cmos_init(struct cmos *cmos, uint64_t ram_bytes) NEEDS(devices_role);
/* What the guest reads from, or writes to, port 0x70 or 0x71. */
uint8_t cmos_in(struct cmos *cmos, unsigned port) NEEDS(devices_role);
void cmos_out(struct cmos *cmos, unsigned port, uint8_t value) NEEDS(devices_role);
