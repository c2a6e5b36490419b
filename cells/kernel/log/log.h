/* The kernel log: one line at a time to every sink (serial, text screen) and to the arena's event ring. The last
 * LOG_LINES of them are kept here, since the ring's are soon written over by busier events. */
#pragma once
#include "cells/cell.h"

#define LOG_LINES      64
#define LOG_LINE_BYTES 256

__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_warn(const char *format, ...);
/* A sink gets whole lines, with interrupts on or off, from any task; it must not log. At most 4. */
enum err log_add_sink(void (*sink)(const char *line));

/* Lines are numbered from 1 since boot. */
uint64_t log_last(void); /* number of the newest; 0: none yet */
/* Copies a line with its time, without a newline. ERR_NOT_FOUND: no longer kept, not yet there, or being written. */
enum err log_line(uint64_t number, char ret_line[LOG_LINE_BYTES]);
