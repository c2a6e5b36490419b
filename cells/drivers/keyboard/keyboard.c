/* See keyboard.h. The controller is configured once; after that all work is done in the interrupt handler. */
#include "cells/drivers/keyboard/keyboard.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/lock/lock.h"
#include "cells/core/vector/vector.h"
#include "cells/host/log/log.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/apic/apic.h"
#include "cells/task/ioapic/ioapic.h"
#include "cells/task/wait_queue/wait_queue.h"

CELL("keyboard", DRIVER, 1);
EXPORT(keyboard_read, APPLICATION);

#define IRQ        1
#define RING_BYTES 64
#define POLLS_MAX  20000
#define DRAIN_MAX  16 /* bytes per interrupt: a missing controller reads as one that always has more */

enum port { PORT_DATA = 0x60, PORT_COMMAND = 0x64 };
enum { STATUS_OUTPUT = 0x01, STATUS_INPUT = 0x02, STATUS_AUXILIARY = 0x20, STATUS_NONE = 0xff };
enum { READ_CONFIG = 0x20, WRITE_CONFIG = 0x60, FIRST_OFF = 0xad, FIRST_ON = 0xae, SECOND_OFF = 0xa7 };
enum {
    CONFIG_FIRST_INTERRUPT = 0x01,
    CONFIG_SECOND_INTERRUPT = 0x02,
    CONFIG_FIRST_OFF = 0x10,
    CONFIG_TRANSLATE = 0x40
};
enum { SCAN_EXTENDED = 0xe0, SCAN_RELEASED = 0x80, SCAN_CONTROL = 0x1d, SCAN_CAPS = 0x3a };
enum { SCAN_LEFT_SHIFT = 0x2a, SCAN_RIGHT_SHIFT = 0x36 };

/* By scan code, without and with shift; 0: no character. */
static const char plain[0x3a] = "\0\0331234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[0x3a] = "\0\033!@#$%^&*()_+\b\tQWERTYUIOP{}\n\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";

static const struct {
    uint8_t scan, key;
} extended[] = {
    {0x48, KEYBOARD_UP},    {0x50, KEYBOARD_DOWN}, {0x4b, KEYBOARD_LEFT},
    {0x4d, KEYBOARD_RIGHT}, {0x1c, '\n'},          {0x35, '/'},
};

/* In the heap, since readers wait in it while a swap moves this cell's static data. */
static struct ring {
    struct lock lock;
    struct wait_queue readers;
    uint32_t head, tail; /* bytes taken and put since boot; modulo RING_BYTES */
    char bytes[RING_BYTES];
    bool shift, control, caps, after_e0;
} * ring;

static void queue_character(struct ring *to, char c) NEEDS(to->lock)
{
    if (to->tail - to->head < RING_BYTES)
        to->bytes[to->tail++ % RING_BYTES] = c;
    (void)wait_queue_wake_one(&to->readers);
}

static bool take_modifier(struct ring *to, uint8_t scan, bool pressed) NEEDS(to->lock)
{
    switch (scan) {
    case SCAN_LEFT_SHIFT:
    case SCAN_RIGHT_SHIFT:
        to->shift = pressed;
        return true;
    case SCAN_CONTROL:
        to->control = pressed;
        return true;
    case SCAN_CAPS:
        to->caps ^= pressed;
        return true;
    default:
        return false;
    }
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char character(const struct ring *with, uint8_t scan)
{
    if (scan >= array_size(plain))
        return 0;
    bool upper = with->shift != (with->caps && is_letter(plain[scan]));
    char c = upper ? shifted[scan] : plain[scan];

    return with->control && is_letter(c) ? (char)(c & 0x1f) : c;
}

static char extended_key(uint8_t scan)
{
    for (size_t i = 0; i < array_size(extended); i++)
        if (extended[i].scan == scan)
            return (char)extended[i].key;
    return 0;
}

static void take_scan(struct ring *to, uint8_t scan) NEEDS(to->lock)
{
    bool after_e0 = to->after_e0, pressed = !(scan & SCAN_RELEASED);

    to->after_e0 = scan == SCAN_EXTENDED;
    scan &= (uint8_t)~SCAN_RELEASED;
    /* e0 2a and e0 36 are shifts that the keyboard sends around some keys */
    if (to->after_e0 || (after_e0 && scan != SCAN_CONTROL && !pressed))
        return;
    if ((!after_e0 || scan == SCAN_CONTROL) && take_modifier(to, scan, pressed))
        return;
    char c = !pressed ? 0 : after_e0 ? extended_key(scan) : character(to, scan);
    if (c)
        queue_character(to, c);
}

static void pressed(struct trap_frame *)
{
    apic_eoi();
    GUARD(lock) held = lock_take(&ring->lock);
    for (int i = 0; i < DRAIN_MAX; i++) {
        uint8_t status = cpu_in8(PORT_COMMAND);
        if (status == STATUS_NONE || !(status & STATUS_OUTPUT))
            return;
        uint8_t scan = cpu_in8(PORT_DATA);
        if (!(status & STATUS_AUXILIARY))
            take_scan(ring, scan);
    }
}

size_t keyboard_read(char *to, size_t bytes, uint64_t timeout_ns)
{
    struct ring *from = ring;
    GUARD(lock) held = lock_take(&from->lock);
    size_t taken = 0;

    while (from->head == from->tail)
        if (wait_queue_wait(&from->readers, &held, timeout_ns) == WAKE_TIMEOUT)
            return 0;
    while (taken < bytes && from->head != from->tail)
        to[taken++] = from->bytes[from->head++ % RING_BYTES];
    return taken;
}

static bool wait_status(uint8_t mask, uint8_t wanted)
{
    for (int i = 0; i < POLLS_MAX; i++) {
        if ((cpu_in8(PORT_COMMAND) & mask) == wanted)
            return true;
        cpu_relax();
    }
    return false;
}

static bool send_command(uint8_t value)
{
    if (!wait_status(STATUS_INPUT, 0))
        return false;
    cpu_out8(PORT_COMMAND, value);
    return true;
}

static bool find_controller(void)
{
    if (cpu_in8(PORT_COMMAND) == STATUS_NONE || !send_command(FIRST_OFF) || !send_command(SECOND_OFF))
        return false;
    for (int i = 0; i < DRAIN_MAX && cpu_in8(PORT_COMMAND) & STATUS_OUTPUT; i++)
        (void)cpu_in8(PORT_DATA);
    if (!send_command(READ_CONFIG) || !wait_status(STATUS_OUTPUT, STATUS_OUTPUT))
        return false;
    uint8_t config = cpu_in8(PORT_DATA);
    config |= CONFIG_FIRST_INTERRUPT | CONFIG_TRANSLATE;
    config &= (uint8_t) ~(CONFIG_FIRST_OFF | CONFIG_SECOND_INTERRUPT);
    if (!send_command(WRITE_CONFIG) || !wait_status(STATUS_INPUT, 0))
        return false;
    cpu_out8(PORT_DATA, config);
    return send_command(FIRST_ON);
}

static enum err keyboard_listen(void)
{
    unsigned vector = vector_new();

    if (!vector)
        return ERR_FULL;
    enum err e = vector_bind(vector, pressed);
    return e == ERR_OK ? ioapic_route(IRQ, vector) : e;
}

static enum err keyboard_init(void)
{
    if (ring)
        return ERR_OK;
    ring = heap_alloc(sizeof *ring);
    if (!ring)
        return ERR_NOMEM;
    if (find_controller())
        return keyboard_listen();
    log_info("keyboard: no i8042 controller");
    return ERR_OK;
}
INIT(keyboard_init);
