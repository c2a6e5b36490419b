/* A 16550 UART: its registers towards the guest; a log file and a UNIX socket towards the host.
 * Leaves out bit rates (a byte is sent at once), parity and modem lines that change.
 *
 * A client of the socket that does not read loses output and never holds up the guest; the log (serial_log.h) has it.
 * Input of all clients goes into one queue, and is not read from them while it is full. A client that has gone, but
 * whose input waits for that, gives up its place to one that comes. */
#pragma once
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"
#include "vmm/lock.h"
#include "vmm/serial_log.h"
#include "vmm/socket.h"

enum { SERIAL_QUEUE = 4096, SERIAL_CLIENTS_MAX = 8, SERIAL_IRQ = 4, SERIAL_POLL_MAX = SERIAL_CLIENTS_MAX + 1 };

struct serial {
    void (*set_irq)(void *owner, bool level); /* called on changes only */
    void *owner;
    uint8_t ier, fcr, lcr, mcr, scratch, divisor[2];
    bool thr_empty_pending, overrun, irq;
    size_t first, count;
    uint8_t queue[SERIAL_QUEUE]; /* received, not read by the guest yet: a ring */
    struct serial_log log;
    struct listener listener;
    int client[SERIAL_CLIENTS_MAX];
};

/* Either path may be NULL. `log_most`: bytes, 0 without limit. Close also after a failure; all zeros may be closed. */
enum err serial_open(struct serial *s, const char *socket_path, const char *log_path, uint64_t log_most,
                     void (*set_irq)(void *owner, bool level), void *owner);
void serial_close(struct serial *s);
void serial_reset(struct serial *s) NEEDS(devices_role);

/* What the guest reads from, or writes to, register `reg` (0 to 7). */
uint8_t serial_in(struct serial *s, unsigned reg) NEEDS(devices_role);
void serial_out(struct serial *s, unsigned reg, uint8_t value) NEEDS(devices_role);
/* Bytes from the line. Returns how many fitted. */
size_t serial_receive(struct serial *s, const uint8_t *bytes, size_t count) NEEDS(devices_role);

/* What to poll for (at most SERIAL_POLL_MAX), and what to do about what came back. */
size_t serial_poll(struct serial *s, struct pollfd *fds) NEEDS(devices_role);
void serial_handle(struct serial *s, const struct pollfd *fds, size_t count) NEEDS(devices_role);
