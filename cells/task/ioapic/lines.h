/* The registers of I/O APICs, line by line. Cell apic_v1 has lines.c too. */
#pragma once
#include "cells/cell.h"
#include "cells/core/lock/lock.h"

#define ISA_IRQS        16
#define LINE_NMI        0x400  /* as an NMI, without a vector */
#define LINE_LOW        0x2000 /* active low */
#define LINE_LEVEL      0x8000
#define LINE_MASKED     0x10000
#define LINE_VECTOR     0xff
#define LINE_CPU_SHIFT  56
#define LINE_CPU_ID_MAX 0xfe
#define LINE_VECTOR_MIN 16
#define LINE_VECTOR_MAX 0xfe

struct line {
    size_t io;
    uint32_t route;
};

/* Finds and maps the I/O APICs, and masks all lines; one at the usual address where there is no MADT. Where they are
 * known, since fresh data begin with what is set once, lines stay as they are. ERR_NOMEM. */
enum err lines_init(void);
/* The line of a global system interrupt. ERR_NOT_FOUND: nobody has it. */
enum err line_find(uint32_t gsi, struct line *ret_line);
uint64_t line_read(const struct line *line);
/* The low word last, since it unmasks. */
void line_write(const struct line *line, uint64_t value);
/* The next line after `*line`, in the order of I/O APICs; {0, UINT32_MAX} is before the first. False: no more. */
bool line_next(struct line *line);

/* Finds the lines of NMIs; nmi.c. */
void nmi_lines_init(void);

/* What the firmware says of an ISA interrupt. `flags`: LINE_LOW, LINE_LEVEL. */
struct isa_override {
    uint32_t gsi, flags;
};
/* For each of them, without a MADT too. */
void lines_overrides(struct isa_override ret_isa[ISA_IRQS]);
