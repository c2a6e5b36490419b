/* See shell.h: the commands that change the system. The request cell executes swap, spawn, unload and kill. */
#include "cells/app/shell/shell.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/panic/panic.h"
#include "cells/host/request/request.h"
#include "cells/lib/string/string.h"
#include "cells/memory/heap/heap.h"
#include "guest/abi/layout.h"

static void print_outcome(const struct terminal *on, const char *what, const struct report *done)
{
    if (done->error) {
        shell_print(on, "%s: %s%s%s\n", what, err_text(done->error), *done->text ? ": " : "", done->text);
        return;
    }
    for (uint32_t i = 0; i < done->phases; i++)
        shell_print(on, "  %-16s %8lu ns\n", done->phase[i].name, done->phase[i].ns);
}

void shell_swap(const struct terminal *on, int words, char **word)
{
    struct arena_request request = {.kind = words > 2 ? REQUEST_SWAP : REQUEST_RELOAD};
    OWN(heap) struct report *done = heap_alloc(sizeof *done);

    if (!done) {
        shell_error(on, "swap", ERR_NOMEM);
        return;
    }
    string_copy(request.target, word[1], sizeof request.target);
    if (words > 2)
        request_execute_member(&request, word[2], done);
    else
        request_execute(&request, NULL, done);
    print_outcome(on, word[1], done);
    if (!done->error)
        shell_print(on, "%s swapped: %lu relocations, others paused for %lu us\n", word[1], done->relocations,
                    done->pause_ns / 1000);
}

void shell_spawn(const struct terminal *on, int words, char **word)
{
    struct arena_request request = {.kind = REQUEST_SPAWN};
    OWN(heap) struct report *done = heap_alloc(sizeof *done);
    char arguments[SHELL_LINE_BYTES];

    if (!done) {
        shell_error(on, "spawn", ERR_NOMEM);
        return;
    }
    string_copy(request.target, word[1], sizeof request.target);
    for (int i = 2; i < words; i++) {
        size_t bytes = string_length(word[i]) + 1;
        memcpy(arguments + request.mailbox_bytes, word[i], bytes);
        request.mailbox_bytes += (uint32_t)bytes;
    }
    request_execute(&request, arguments, done);
    print_outcome(on, word[1], done);
    if (!done->error)
        shell_print(on, "task %u\n", done->result);
}

static void execute(const struct terminal *on, const struct arena_request *request, const char *what)
{
    OWN(heap) struct report *done = heap_alloc(sizeof *done);

    if (!done) {
        shell_error(on, what, ERR_NOMEM);
        return;
    }
    request_execute(request, NULL, done);
    print_outcome(on, what, done);
    if (!done->error && *done->text)
        shell_print(on, "%s: %s\n", what, done->text);
}

void shell_unload(const struct terminal *on, int, char **word)
{
    struct arena_request request = {.kind = REQUEST_UNLOAD};

    string_copy(request.target, word[1], sizeof request.target);
    execute(on, &request, word[1]);
}

void shell_kill(const struct terminal *on, int, char **word)
{
    struct arena_request request = {.kind = REQUEST_KILL};

    for (const char *c = word[1]; *c >= '0' && *c <= '9'; c++)
        request.argument = request.argument * 10 + (uint32_t)(*c - '0');
    execute(on, &request, "kill");
}

void shell_panic(const struct terminal *, int, char **)
{
    panic("asked for in the shell");
}

static void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}

/* The keyboard controller's reset line, then the chipset's reset register. */
void shell_reboot(const struct terminal *on, int, char **)
{
    cpu_out8(0x64, 0xfe);
    for (int i = 0; i < 1000000; i++)
        cpu_relax();
    cpu_out8(0xcf9, 0x06);
    shell_print(on, "reboot: this machine has neither reset line\n");
}

/* The ports by which QEMU's and bochs's chipsets switch off, then the debug exit of delias-vmm. Hardware would need its
 * ACPI tables interpreted, which Delias does not do. */
void shell_poweroff(const struct terminal *on, int, char **)
{
    out16(0x604, 0x2000);
    out16(0xb004, 0x2000);
    cpu_out8(LAYOUT_DEBUG_EXIT_PORT, 0);
    shell_print(on, "poweroff: this machine is turned off by hand\n");
}
