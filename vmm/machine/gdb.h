/* As much of a GDB remote protocol client as writing physical memory takes. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"

/* Attaching pauses QEMU and detaching this way leaves it paused: the caller resumes it. */
enum err gdb_write_physical(const char *path, uint64_t gpa, const void *bytes, size_t count);
