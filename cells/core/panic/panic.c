/* See panic.h. The serial port is polled with a bound, so that a machine without one continues. */
#include "cells/core/panic/panic.h"
#include "cells/core/boot/boot.h"
#include "cells/core/cpu/cpu.h"
#include "cells/lib/string/string.h"
#include "guest/abi/layout.h"

CELL("panic", KERNEL, 1);
CORE();
EXPORT(panic_init, KERNEL);
EXPORT(panic, APPLICATION);
TYPED(panic);
EXPORT(panic_at, KERNEL);
EXPORT(panic_halt, KERNEL);
EXPORT(panic_print, LIBRARY);
EXPORT(panic_print_hex, LIBRARY);

#define SERIAL       0x3f8
#define SERIAL_LINE  (SERIAL + 5)
#define SERIAL_ROOM  0x20
#define SERIAL_POLLS 100000

extern const uint8_t panic_trap[];

bool panic_at(uint64_t rip)
{
    return rip == (uint64_t)panic_trap;
}

void panic_init(void)
{
    static const struct {
        uint16_t port;
        uint8_t value;
    } settings[] = {
        {SERIAL + 1, 0x00},                     /* no interrupts */
        {SERIAL + 3, 0x80},                     /* divisor */
        {SERIAL + 0, 0x01},                     /* 115200 baud */
        {SERIAL + 1, 0x00}, {SERIAL + 3, 0x03}, /* 8 bits, no parity, one stop bit */
        {SERIAL + 2, 0x07},                     /* FIFO on and empty */
        {SERIAL + 4, 0x0b},                     /* DTR, RTS, OUT2 */
    };

    for (size_t i = 0; i < array_size(settings); i++)
        cpu_out8(settings[i].port, settings[i].value);
}

static void print_byte(char c)
{
    for (int i = 0; i < SERIAL_POLLS && !(cpu_in8(SERIAL_LINE) & SERIAL_ROOM); i++)
        cpu_relax();
    cpu_out8(SERIAL, (uint8_t)c);
}

void panic_print(const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            print_byte('\r');
        print_byte(*text);
    }
}

void panic_print_hex(uint64_t value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        print_byte("0123456789abcdef"[value >> shift & 15]);
}

void panic_halt(const char *message)
{
    char choice[8];

    __asm__ volatile("cli");
    panic_print("PANIC: ");
    panic_print(message);
    panic_print("\n");
    if (boot_option("on_panic", choice, sizeof choice) && string_equal(choice, "exit"))
        cpu_out8(LAYOUT_DEBUG_EXIT_PORT, 0xff);
    __atomic_store_n(&cpu_this()->parked, CPU_HALTED, __ATOMIC_SEQ_CST); /* nobody waits for this CPU */
    for (;;)
        __asm__ volatile("hlt");
}
