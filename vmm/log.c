/* See log.h. */
#include "vmm/log.h"
#include <stdarg.h>
#include <stdio.h>

enum err vmm_fail(enum err code, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    fprintf(stderr, "delias-vmm: %s\n", line);
    return code;
}
