/* The first serial port (16550 at 0x3f8): polled output, interrupt-driven input into a ring. Becomes a sink of the log
 * when it is loaded. */
#pragma once
#include "cells/cell.h"

void serial_write(const char *text, size_t bytes); /* any context; "\n" goes out as CR LF */

/* Waits until there is a byte, then takes what is there, up to `bytes`. timeout_ns 0: for ever. 0 at the time-out.
 * Bytes that nobody takes are lost once the ring is full. */
size_t serial_read(char *to, size_t bytes, uint64_t timeout_ns);
