/* As much of a GDB remote protocol client as writing physical memory and stopping at writes take. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"

enum { GDB_REPLY_MAX = 256 };

/* A connection to the stub, which pauses QEMU. -1: errno says why. Close it with close(). */
int gdb_connect(const char *path);
/* Sends a packet; false: the connection is gone. */
bool gdb_send(int fd, const char *body);
/* Waits for a packet, at most 20 s. False: none came. */
bool gdb_receive(int fd, char ret_reply[GDB_REPLY_MAX]);
/* Sends a packet that is to be answered with OK. */
enum err gdb_exchange(int fd, const char *path, const char *body);

/* Attaching pauses QEMU and detaching this way leaves it paused: the caller resumes it. */
enum err gdb_write_physical(const char *path, uint64_t gpa, const void *bytes, size_t count);
