/* The kernel log: each line goes to every sink (serial line, text screen) and to the arena's event ring. The last
 * LOG_LINES lines are kept here too, since other events soon overwrite those of the ring. Any context, any lock
 * held. */
#pragma once
#include "cells/cell.h"

#define LOG_LINES      64
#define LOG_LINE_BYTES 256

/* Logs one line with its time; what exceeds LOG_LINE_BYTES is cut off. log_warn puts "warning: " before it. */
__attribute__((format(printf, 1, 2))) void log_info(const char *format, ...);
__attribute__((format(printf, 1, 2))) void log_warn(const char *format, ...);
/* Adds a sink, which is called with each line from any context and must not log itself. ERR_FULL: there are 4
 * already. */
enum err log_add_sink(void (*sink)(const char *line));

/* Number of the newest line; lines are numbered from 1 since boot. 0: none yet. */
uint64_t log_last(void);
/* Copies a line with its time, without a newline. ERR_NOT_FOUND: overwritten, not yet written, or being written. */
enum err log_line(uint64_t number, char ret_line[LOG_LINE_BYTES]);
