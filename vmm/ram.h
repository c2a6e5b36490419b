/* Guest RAM: one shared file, of which the first 2 GiB are guest-physical memory from 0 on, and the rest from 4 GiB on
 * (introspect/base/ram_map.h): between them lie the IOAPIC and the local APICs. A guest address is a gpa_t, which
 * can't be dereferenced; every access is checked here. Leaves out devices in the address space: there is none to
 * emulate. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"
#include "introspect/base/ram_map.h"

typedef struct {
    uint64_t value;
} gpa_t;

static inline gpa_t gpa(uint64_t value)
{
    return (gpa_t){value};
}

struct ram {
    int fd;
    uint64_t bytes;
    unsigned char *base;
};

#define RAM_LOW_MAX RAM_MAP_LOW_MAX
#define RAM_HIGH_AT RAM_MAP_HIGH_AT
enum { RAM_GIB_MAX = 512 };

/* How much of it lies from 0 on, and how much from RAM_HIGH_AT on. */
static inline uint64_t ram_low(const struct ram *ram)
{
    return ram_map_low(ram->bytes);
}

static inline uint64_t ram_high(const struct ram *ram)
{
    return ram->bytes - ram_low(ram);
}

/* Maps the file `fd`, or a new anonymous one of `bytes` when fd is -1. */
enum err ram_init(struct ram *ram, int fd, uint64_t bytes);
void ram_done(struct ram *ram);

/* Whether all `bytes` bytes at `at` are in RAM, and in one part of it. */
bool ram_has(const struct ram *ram, gpa_t at, uint64_t bytes);
/* Copies bytes into RAM. ERR_RANGE: not all of them fit, and nothing was written. */
enum err ram_write(struct ram *ram, gpa_t at, const void *from, uint64_t bytes);
/* The same with zeros. */
enum err ram_zero(struct ram *ram, gpa_t at, uint64_t bytes);
/* Copies bytes from RAM. ERR_RANGE: not all of them are there, and nothing was copied. */
enum err ram_read(const struct ram *ram, gpa_t at, void *to, uint64_t bytes);
/* From here on a SIGBUS, which an access to guest RAM or to a mapped file may raise, ends the process with a
 * message. */
void ram_report_bus_errors(void);
/* All of it becomes zero, and takes no memory of the host until it is touched. */
void ram_clear(struct ram *ram);
