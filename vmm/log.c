/* See log.h. */
#include "vmm/log.h"
#include <stdarg.h>
#include <stdio.h>

static _Thread_local char failure[1024] = "no failure";

static void print(char *line, size_t bytes, const char *format, va_list args)
{
    vsnprintf(line, bytes, format, args);
    fprintf(stderr, "delias-vmm: %s\n", line);
}

const char *vmm_last_failure(void)
{
    return failure;
}

enum err vmm_fail(enum err code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print(failure, sizeof failure, format, args);
    va_end(args);
    return code;
}

void vmm_say(const char *format, ...)
{
    char line[sizeof failure];
    va_list args;

    va_start(args, format);
    print(line, sizeof line, format, args);
    va_end(args);
}
