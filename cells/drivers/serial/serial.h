/* The first serial port (16550 at 0x3f8): polled output, interrupt-driven input into a ring. Becomes a sink of the log
 * when it is loaded. */
#pragma once
#include "cells/cell.h"

/* Sends text, "\n" as CR LF. Any context; polls until the port has taken it. */
void serial_write(const char *text, size_t bytes);

/* Waits for a byte, for ever if timeout_ns is 0, then copies what has arrived, up to `bytes`. From a task, no lock
 * held. Returns how many; 0 at the time-out. Bytes that arrive while the ring (256) is full are lost. */
size_t serial_read(char *to, size_t bytes, uint64_t timeout_ns);
