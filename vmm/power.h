/* The power button, as ACPI's fixed hardware has it (specification 6.4, 4.8.3.1): status and enable bits of the PM1
 * event block, and the interrupt SCI. A guest without a driver for it goes on. Leaves out sleep and all other
 * events. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "vmm/lock.h"

enum { POWER_BUTTON = 0x100 }; /* in both registers */

struct power {
    uint16_t status, enable;
    void (*set_irq)(void *owner, bool level); /* called on changes only; NULL: there is nobody */
    void *owner;
    bool irq;
};

void power_reset(struct power *p) NEEDS(devices_role);
/* Bytes 0 to 3 of the PM1 event block. A one that is written to the status clears it. */
uint8_t power_event_in(const struct power *p, unsigned at) NEEDS(devices_role);
void power_event_out(struct power *p, unsigned at, uint8_t value) NEEDS(devices_role);
void power_press(struct power *p) NEEDS(devices_role);
