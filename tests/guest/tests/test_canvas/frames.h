/* CRC-32 of the first frames of the animated picture, as the host draws them: tests/e2e/workload_table.sh. */
#pragma once
#include <stdint.h>

#define FRAMES_WIDTH  160
#define FRAMES_HEIGHT 120

static const uint32_t frames[] = {
    0x69910971, 0xbbbfce99, 0x00f1b32a, 0x17e810c5, 0xca9d28dd, 0xd672eb1c,
};
