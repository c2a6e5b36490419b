/* The file that gets what the guest prints. It has a size that it does not exceed: when it is full, its older half
 * goes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"

enum { SERIAL_LOG_LEAST = 4096 };

struct serial_log {
    int fd;              /* -1: none */
    const char *path;    /* borrowed */
    uint64_t used, most; /* bytes; most 0: without limit, also what is not a plain file */
    bool said;           /* that something could not be written */
};

/* `path` NULL: no log. A plain file is emptied first. Never waits for a reader. */
enum err serial_log_open(struct serial_log *log, const char *path, uint64_t most);
void serial_log_close(struct serial_log *log);
/* What cannot be written is lost, and said once. */
void serial_log_write(struct serial_log *log, const uint8_t *bytes, size_t count);
