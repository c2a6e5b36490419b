/* Stopping a machine exactly, by a watchpoint of QEMU's GDB stub: it runs until the guest has written to some bytes of
 * its memory, and stands still right after that instruction. With icount and one CPU it does so at the same instruction
 * on every run. No debugger can attach meanwhile. */
#pragma once
#include "vmm/machine/machine.h"

struct stop;

/* Attaches to the machine, which is paused from then on, and watches `bytes` bytes at virtual address `gva`. ERR_BUSY:
 * a debugger is attached. ERR_UNSUPPORTED: the machine has no stub. Close with stop_close, which leaves it paused. */
enum err stop_open(struct machine *machine, uint64_t gva, unsigned bytes, struct stop **ret_stop);
void stop_close(struct stop *stop); /* accepts NULL */
OWNABLE(stop, stop_close)

/* Lets the machine run until the bytes have been written, or for `ms` milliseconds of the host. ERR_TIMEOUT: it still
 * runs, and the next call waits on. ERR_NOT_RUNNING: it has ended. */
enum err stop_run(struct stop *stop, int ms);
