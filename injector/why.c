/* See why.h. */
#include "injector/why.h"
#include <stdarg.h>
#include <stdio.h>

void why_fill(struct why *why, const char *format, ...)
{
    va_list args;

    *why = (struct why){0};
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
}
