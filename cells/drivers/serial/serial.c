/* See serial.h. panic_init has set up the port; this adds the receive interrupt. No flow control. */
#include "cells/drivers/serial/serial.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/exception/exception.h"
#include "cells/core/lock/lock.h"
#include "cells/core/vector/vector.h"
#include "cells/host/log/log.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "cells/task/apic/apic.h"
#include "cells/task/ioapic/ioapic.h"
#include "cells/task/wait_queue/wait_queue.h"

CELL("serial", DRIVER, 1);
FOUNDATION();
EXPORT(serial_write, APPLICATION);
EXPORT(serial_read, APPLICATION);

#define IRQ 4

enum port {
    PORT_DATA = 0x3f8,
    PORT_INTERRUPTS = 0x3f9,
    PORT_FIFO = 0x3fa,
    PORT_LINE = 0x3fd,
};
enum { LINE_RECEIVED = 0x01, LINE_ROOM = 0x20, INTERRUPT_RECEIVED = 0x01, FIFO_ON = 0x01 };

#define POLLS_MAX  100000
#define DRAIN_MAX  64 /* bytes per interrupt: a missing port reads as one that always has more */
#define RING_BYTES 256

/* In the heap, since readers wait in it while a swap moves this cell's static data. */
static struct ring {
    struct lock lock;
    struct wait_queue readers;
    uint32_t head, tail; /* bytes taken and put since boot; modulo RING_BYTES */
    char bytes[RING_BYTES];
} * ring;

static struct lock output;

/* ---- output ---- */

static void put_byte(char c)
{
    for (int i = 0; i < POLLS_MAX && !(cpu_in8(PORT_LINE) & LINE_ROOM); i++)
        cpu_relax();
    cpu_out8(PORT_DATA, (uint8_t)c);
}

static void put_bytes(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\n')
            put_byte('\r');
        put_byte(text[i]);
    }
}

void serial_write(const char *text, size_t bytes)
{
    /* The log line about a fault in here comes here. */
    if (lock_held(&output)) {
        put_bytes(text, bytes);
        return;
    }
    GUARD(lock) held = lock_take(&output);
    put_bytes(text, bytes);
}

static void serial_write_line(const char *line)
{
    size_t bytes = string_length(line);

    if (lock_held(&output)) {
        put_bytes(line, bytes);
        put_bytes("\n", 1);
        return;
    }
    GUARD(lock) held = lock_take(&output);
    put_bytes(line, bytes);
    put_bytes("\n", 1);
}

/* ---- input ---- */

static void bytes_received(struct trap_frame *frame)
{
    (void)frame;
    apic_eoi();
    GUARD(lock) held = lock_take(&ring->lock);
    for (int i = 0; i < DRAIN_MAX && cpu_in8(PORT_LINE) & LINE_RECEIVED; i++) {
        char c = (char)cpu_in8(PORT_DATA);
        if (ring->tail - ring->head < RING_BYTES)
            ring->bytes[ring->tail++ % RING_BYTES] = c;
    }
    /* If bytes are left, the line is still high, and only a rising edge interrupts: lower and raise it. */
    if (cpu_in8(PORT_LINE) & LINE_RECEIVED) {
        cpu_out8(PORT_INTERRUPTS, 0);
        cpu_out8(PORT_INTERRUPTS, INTERRUPT_RECEIVED);
    }
    (void)wait_queue_wake_one(&ring->readers);
}

size_t serial_read(char *to, size_t bytes, uint64_t timeout_ns)
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

static enum err serial_listen(void)
{
    unsigned vector = vector_new();

    if (!vector)
        return ERR_FULL;
    enum err e = vector_bind(vector, bytes_received);
    if (e == ERR_OK)
        e = ioapic_route(IRQ, vector);
    if (e != ERR_OK)
        return e;
    cpu_out8(PORT_FIFO, FIFO_ON);
    cpu_out8(PORT_INTERRUPTS, INTERRUPT_RECEIVED);
    return ERR_OK;
}

static enum err serial_init(void)
{
    if (ring)
        return ERR_OK;
    ring = heap_alloc(sizeof *ring);
    if (!ring)
        return ERR_NOMEM;
    enum err e = serial_listen();
    return e == ERR_OK ? log_add_sink(serial_write_line) : e;
}
INIT(serial_init);
