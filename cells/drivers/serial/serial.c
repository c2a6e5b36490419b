/* See serial.h. The port was set up at boot (panic_init); this turns its receive interrupt on. No flow control. */
#include "cells/drivers/serial/serial.h"
#include "cells/kernel/apic/apic.h"
#include "cells/kernel/cpu/cpu.h"
#include "cells/kernel/exception/exception.h"
#include "cells/kernel/heap/heap.h"
#include "cells/kernel/lock/lock.h"
#include "cells/kernel/log/log.h"
#include "cells/kernel/wait_queue/wait_queue.h"
#include "cells/lib/string/string.h"

CELL("serial", DRIVER, 1);
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
#define DRAIN_MAX  64 /* bytes per interrupt: a port that is not there always has more */
#define RING_BYTES 256

/* In the heap: readers wait in it while a swap moves this cell's static data. */
static struct ring {
    struct lock lock;
    struct wait_queue readers;
    uint32_t head, tail; /* taken, put; free-running */
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
    /* A fault in here may be reported from in here. */
    if (lock_held(&output)) {
        put_bytes(text, bytes);
        return;
    }
    GUARD(lock) held = lock_take(&output);
    put_bytes(text, bytes);
}

static void write_line(const char *line)
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

static void received(struct trap_frame *frame)
{
    (void)frame;
    apic_eoi();
    GUARD(lock) held = lock_take(&ring->lock);
    for (int i = 0; i < DRAIN_MAX && cpu_in8(PORT_LINE) & LINE_RECEIVED; i++) {
        char c = (char)cpu_in8(PORT_DATA);
        if (ring->tail - ring->head < RING_BYTES)
            ring->bytes[ring->tail++ % RING_BYTES] = c;
    }
    /* The line is still high if bytes were left, and only a rise interrupts: make it fall, and rise again. */
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
        if (wait_queue_wait(&from->readers, &held, timeout_ns) == ERR_TIMEOUT)
            return 0;
    while (taken < bytes && from->head != from->tail)
        to[taken++] = from->bytes[from->head++ % RING_BYTES];
    return taken;
}

static enum err listen(void)
{
    unsigned vector = exception_vector_new();

    if (!vector)
        return ERR_FULL;
    enum err e = exception_bind(vector, received);
    if (e == ERR_OK)
        e = apic_route(IRQ, vector);
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
    enum err e = listen();
    return e == ERR_OK ? log_add_sink(write_line) : e;
}
INIT(serial_init);
