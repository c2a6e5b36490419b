/* See keyboard.h; commands as in the IBM PC/AT technical reference. */
#include "vmm/keyboard.h"
#include <string.h>

enum { DATA = 0x60, COMMAND = 0x64 };
enum { STATUS_FULL = 1, STATUS_SYSTEM = 4, STATUS_UNLOCKED = 0x10 };
enum { ACK = 0xfa, DEVICE_ID = 0xf2, DEVICE_RESET = 0xff, DEVICE_ECHO = 0xee };
enum { READ_CONFIG = 0x20, WRITE_CONFIG = 0x60, READ_OUTPUT = 0xd0, WRITE_OUTPUT = 0xd1, RESET = 0xfe };

void keyboard_power_on(struct keyboard *k)
{
    *k = (struct keyboard){.config = 0x45};
}

static void answer(struct keyboard *k, uint8_t byte)
{
    if (k->count < sizeof k->queue)
        k->queue[k->count++] = byte;
}

static void take_command(struct keyboard *k, uint8_t value)
{
    static const struct {
        uint8_t command, reply;
    } replies[] = {{0xaa, 0x55}, {0xab, 0x00}, {0xa9, 0x00}, {READ_OUTPUT, 0x03}};

    for (unsigned i = 0; i < sizeof replies / sizeof *replies; i++)
        if (replies[i].command == value)
            answer(k, replies[i].reply);
    if (value == READ_CONFIG)
        answer(k, k->config);
    if (value == WRITE_CONFIG || value == WRITE_OUTPUT || (value >= 0xd2 && value <= 0xd4))
        k->pending = value;
    if (value == 0xad || value == 0xae)
        k->config = (uint8_t)((k->config & ~0x10) | (value == 0xad ? 0x10 : 0));
}

/* A byte for the keyboard itself: acknowledged, and identified where asked. */
static void device(struct keyboard *k, uint8_t value)
{
    bool is_parameter = k->device_pending != 0;

    k->device_pending = 0;
    if (value == DEVICE_ECHO && !is_parameter) {
        answer(k, DEVICE_ECHO);
        return;
    }
    answer(k, ACK);
    if (is_parameter)
        return;
    if (value == DEVICE_RESET)
        answer(k, 0xaa);
    if (value == DEVICE_ID) {
        answer(k, 0xab);
        answer(k, 0x83);
    }
    if (value == 0xed || value == 0xf0 || value == 0xf3)
        k->device_pending = value;
}

uint8_t keyboard_in(struct keyboard *k, unsigned port)
{
    if (port == COMMAND)
        return (uint8_t)(STATUS_SYSTEM | STATUS_UNLOCKED | (k->count ? STATUS_FULL : 0));
    if (k->count == 0)
        return 0;
    uint8_t byte = k->queue[0];
    memmove(k->queue, k->queue + 1, --k->count);
    return byte;
}

bool keyboard_out(struct keyboard *k, unsigned port, uint8_t value)
{
    if (port == COMMAND) {
        if (value == RESET)
            return true;
        take_command(k, value);
        return false;
    }
    uint8_t pending = k->pending;
    k->pending = 0;
    if (pending == WRITE_CONFIG)
        k->config = value;
    else if (pending == WRITE_OUTPUT)
        return (value & 1) == 0;
    else if (pending == 0)
        device(k, value);
    return false;
}
