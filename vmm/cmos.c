/* See cmos.h; registers as in the MC146818 data sheet. */
#include "vmm/cmos.h"
#include "vmm/ram.h"
#include <string.h>
#include <time.h>

enum { STATUS_A = 0x0a, STATUS_B = 0x0b, STATUS_C = 0x0c, STATUS_D = 0x0d, CENTURY = 0x32 };
enum { A_32KHZ = 0x26, B_24_HOURS = 0x02, D_VALID = 0x80 };

void cmos_init(struct cmos *cmos, uint64_t ram_bytes)
{
    uint64_t low = ram_bytes < RAM_LOW_MAX ? ram_bytes : RAM_LOW_MAX, above_4g = (ram_bytes - low) >> 16;
    uint64_t extended = (low - (1 << 20)) >> 10, above_16m = (low - (16 << 20)) >> 16;

    memset(cmos, 0, sizeof *cmos);
    if (extended > 0xffff)
        extended = 0xffff;
    cmos->memory[0x15] = 640 & 0xff;
    cmos->memory[0x16] = 640 >> 8;
    cmos->memory[0x17] = cmos->memory[0x30] = (uint8_t)extended;
    cmos->memory[0x18] = cmos->memory[0x31] = (uint8_t)(extended >> 8);
    cmos->memory[0x34] = (uint8_t)above_16m;
    cmos->memory[0x35] = (uint8_t)(above_16m >> 8);
    for (int i = 0; i < 3; i++)
        cmos->memory[0x5b + i] = (uint8_t)(above_4g >> 8 * i);
    cmos->memory[STATUS_A] = A_32KHZ;
    cmos->memory[STATUS_B] = B_24_HOURS;
    cmos->memory[STATUS_D] = D_VALID;
}

static uint8_t bcd(int n)
{
    return (uint8_t)(n / 10 % 10 << 4 | n % 10);
}

uint8_t cmos_in(struct cmos *cmos, unsigned port)
{
    time_t now = time(NULL);
    struct tm t;

    if (port == 0x70)
        return 0xff;
    gmtime_r(&now, &t);
    switch (cmos->index) {
    case 0:
        return bcd(t.tm_sec);
    case 2:
        return bcd(t.tm_min);
    case 4:
        return bcd(t.tm_hour);
    case 6:
        return bcd(t.tm_wday + 1);
    case 7:
        return bcd(t.tm_mday);
    case 8:
        return bcd(t.tm_mon + 1);
    case 9:
        return bcd(t.tm_year);
    case CENTURY:
        return bcd(t.tm_year / 100 + 19);
    default:
        return cmos->memory[cmos->index];
    }
}

void cmos_out(struct cmos *cmos, unsigned port, uint8_t value)
{
    if (port == 0x70)
        cmos->index = value & 0x7f;
    else if (cmos->index > STATUS_D && cmos->index != CENTURY)
        cmos->memory[cmos->index] = value;
}
