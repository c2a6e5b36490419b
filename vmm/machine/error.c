/* See error.h. */
#include "vmm/machine/error.h"
#include "vmm/machine/machine.h"
#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[1024] = "no error";

const char *machine_last_error(void)
{
    return last_error;
}

enum err machine_fail(enum err code, const char *format, ...)
{
    char line[sizeof last_error];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (size_t i = 0; i < sizeof line; i++) {
        last_error[i] = (unsigned char)line[i] >= ' ' || line[i] == '\0' ? line[i] : ' ';
        if (line[i] == '\0')
            break;
    }
    return code;
}
