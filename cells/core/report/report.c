/* See report.h. The image holds this cell, so its formatter knows only what the messages of the image need; cell format
 * has a whole one. */
#include "cells/core/report/report.h"
#include "cells/core/cpu/cpu.h"
#include "cells/lib/string/string.h"
#include <stdarg.h>

CELL("report", KERNEL, 1);
CORE();
EXPORT(report_refuse, KERNEL);
EXPORT(report_error_text, KERNEL);
EXPORT(report_phase, KERNEL);

struct text {
    char *at;
    size_t room; /* the final NUL not counted */
};

static void add_text(struct text *to, const char *from, size_t bytes)
{
    for (; bytes > 0 && to->room > 0; bytes--, to->room--)
        *to->at++ = *from++;
}

static void add_digits(struct text *to, uint64_t value, unsigned base, size_t least)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (at > 0 && (value || sizeof digits - at < least));
    add_text(to, digits + at, sizeof digits - at);
}

/* Puts one conversion, whose '%' is at `format`, and returns its last character. */
static const char *add_conversion(struct text *to, const char *format, va_list *arguments)
{
    size_t least = 0;
    bool wide = false;

    for (format++; *format >= '0' && *format <= '9'; format++)
        least = least * 10 + (size_t)(*format - '0');
    if (*format == 'l') {
        wide = true;
        format++;
    }
    if (*format == 's') {
        const char *text = va_arg(*arguments, const char *);
        add_text(to, text, string_length(text));
    } else if (*format == 'u' || *format == 'x') {
        uint64_t value = wide ? va_arg(*arguments, uint64_t) : va_arg(*arguments, unsigned);
        add_digits(to, value, *format == 'x' ? 16 : 10, least);
    } else {
        add_text(to, format, 1);
    }
    return format;
}

enum err report_refuse(struct report *report, enum err err, const char *format, ...)
{
    struct text to = {report ? report->text : NULL, sizeof report->text - 1};
    va_list arguments;

    if (!report)
        return err;
    report->error = err;
    memset(report->text, 0, sizeof report->text);
    va_start(arguments, format);
    for (; *format; format++)
        if (*format == '%')
            format = add_conversion(&to, format, &arguments);
        else
            add_text(&to, format, 1);
    va_end(arguments);
    return err;
}

const char *report_error_text(uint32_t error)
{
    return err_text(error);
}

void report_phase(struct report *report, const char *name, uint64_t *since_ns)
{
    uint64_t now = cpu_ns();

    if (report->phases < ARENA_PHASES) {
        struct arena_phase *phase = &report->phase[report->phases++];
        string_copy(phase->name, name, sizeof phase->name);
        phase->ns = now - *since_ns;
    }
    *since_ns = now;
}
