/* The keyboard controller (i8042) with a keyboard on which nobody types: answers what a driver asks on its way up, and
 * resets the machine. Leaves out the mouse, interrupts and scan codes: a machine here has no keys. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "vmm/lock.h"

struct keyboard {
    uint8_t config, pending; /* pending: the command whose data byte comes next, or 0 */
    uint8_t device_pending;  /* the same for the keyboard itself */
    uint8_t queue[8], count; /* bytes to be read at port 0x60 */
};

/* The state at power-on. */
void keyboard_power_on(struct keyboard *k) NEEDS(devices_role);
/* What the guest reads from port 0x60 (data) or 0x64 (status). */
uint8_t keyboard_in(struct keyboard *k, unsigned port) NEEDS(devices_role);
/* True when the guest asked for a reset. */
bool keyboard_out(struct keyboard *k, unsigned port, uint8_t value) NEEDS(devices_role);
