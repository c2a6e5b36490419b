/* The registers of the running CPU's local APIC. Private to the apic cell, every version of which has local.c. */
#pragma once
#include "cells/cell.h"

enum local_register {
    REG_ID = 0x02,
    REG_PRIORITY = 0x08,
    REG_EOI = 0x0b,
    REG_SPURIOUS = 0x0f,
    REG_IN_SERVICE = 0x10, /* and the next seven: a bit for each vector */
    REG_ERROR = 0x28,
    REG_COMMAND = 0x30,
    REG_COMMAND_HIGH = 0x31,
    REG_TIMER = 0x32,
    REG_THERMAL = 0x33,
    REG_PERFORMANCE = 0x34,
    REG_LINT0 = 0x35,
    REG_LINT1 = 0x36,
    REG_SOURCE_ERROR = 0x37,
    REG_TIMER_START = 0x38,
    REG_TIMER_NOW = 0x39,
    REG_TIMER_DIVIDE = 0x3e,
};
#define LOCAL_MASKED   0x10000
#define LOCAL_NMI      0x400
#define TIMER_PERIODIC 0x20000
#define DIVIDE_BY_16   3

uint32_t local_read(enum local_register reg);
void local_write(enum local_register reg, uint32_t value);

/* Maps the registers, finds the CPUs, masks the PIC and enables the local APIC of the boot CPU. ERR_NOMEM. */
enum err local_init(void);
