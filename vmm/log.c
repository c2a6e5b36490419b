/* See log.h. */
#include "vmm/log.h"
#include <stdarg.h>
#include <stdio.h>

static void print(const char *format, va_list args)
{
    char line[1024];

    vsnprintf(line, sizeof line, format, args);
    fprintf(stderr, "delias-vmm: %s\n", line);
}

enum err vmm_fail(enum err code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print(format, args);
    va_end(args);
    return code;
}

void vmm_say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print(format, args);
    va_end(args);
}
