/* See log.h. Until the first sink is added, lines go out through panic_print. */
#include "cells/host/log/log.h"
#include "cells/core/arena/arena.h"
#include "cells/core/cpu/cpu.h"
#include "cells/core/edge/edge.h"
#include "cells/core/panic/panic.h"
#include "cells/lib/format/format.h"
#include "cells/lib/string/string.h"

CELL("log", KERNEL, 1);
FOUNDATION();
EXPORT(log_info, APPLICATION);
EXPORT(log_warn, APPLICATION);
EXPORT(log_add_sink, DRIVER);
EXPORT(log_last, APPLICATION);
EXPORT(log_line, APPLICATION);

#define SINKS 4

static void (*sinks[SINKS])(const char *line);
static uint32_t sinks_taken;

static uint64_t last;
static struct {
    uint64_t number; /* 0 while it is written */
    char text[LOG_LINE_BYTES];
} kept[LOG_LINES];

enum err log_add_sink(void (*sink)(const char *line))
{
    uint32_t slot = __atomic_fetch_add(&sinks_taken, 1, __ATOMIC_RELAXED);

    if (slot < SINKS)
        return edge_bind(&sinks[slot], sink);
    __atomic_fetch_sub(&sinks_taken, 1, __ATOMIC_RELAXED);
    return ERR_FULL;
}

static void keep_line(const char *line)
{
    uint64_t number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    size_t slot = number % LOG_LINES;

    __atomic_store_n(&kept[slot].number, 0, __ATOMIC_SEQ_CST);
    string_copy(kept[slot].text, line, LOG_LINE_BYTES);
    __atomic_store_n(&kept[slot].number, number, __ATOMIC_RELEASE);
}

uint64_t log_last(void)
{
    return __atomic_load_n(&last, __ATOMIC_RELAXED);
}

enum err log_line(uint64_t number, char ret_line[LOG_LINE_BYTES])
{
    size_t slot = number % LOG_LINES;

    if (!number || __atomic_load_n(&kept[slot].number, __ATOMIC_ACQUIRE) != number)
        return ERR_NOT_FOUND;
    string_copy(ret_line, kept[slot].text, LOG_LINE_BYTES);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&kept[slot].number, __ATOMIC_RELAXED) == number ? ERR_OK : ERR_NOT_FOUND;
}

static void deliver(const char *line)
{
    bool delivered = false;

    for (size_t i = 0; i < SINKS; i++) {
        void (*sink)(const char *) = sinks[i];
        if (!sink)
            continue;
        sink(line);
        delivered = true;
    }
    if (!delivered) {
        panic_print(line);
        panic_print("\n");
    }
}

static void log_print(const char *level, const char *format, va_list arguments)
{
    char line[LOG_LINE_BYTES];
    uint64_t us = cpu_ns() / 1000;
    size_t text = format_print(line, sizeof line, "[%5lu.%06lu] ", us / 1000000, us % 1000000);
    size_t at = text + format_print(line + text, sizeof line - text, "%s", level);

    format_vprint(line + at, sizeof line - at, format, arguments);
    arena_count(COUNTER_log_lines, 1);
    arena_event(EVENT_LOG, 0, 0, line + text);
    keep_line(line);
    deliver(line);
}

void log_info(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_print("", format, arguments);
    va_end(arguments);
}

void log_warn(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_print("warning: ", format, arguments);
    va_end(arguments);
}
