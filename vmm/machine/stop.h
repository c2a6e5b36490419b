/* Stopping a machine exactly, by QEMU's GDB stub: it runs until the guest has written to some bytes of its memory or
 * has read them, and stands still right after that instruction; or until it is about to execute an instruction. With
 * icount and one CPU it does so at the same instruction on every run. No debugger can attach meanwhile. */
#pragma once
#include "vmm/machine/machine.h"

struct stop;

/* What stops it: an instruction that a CPU is about to execute, or bytes that are written or read. */
enum stop_kind { STOP_BEFORE = 1, STOP_WRITE = 2, STOP_READ = 3 };
enum { STOP_POINTS_MAX = 24 };

/* Attaches to the machine, which is paused from then on; `bytes` bytes at virtual address `gva` stop it. ERR_BUSY:
 * a debugger is attached. ERR_UNSUPPORTED: the machine has no stub. Close with stop_close, which leaves it paused. */
enum err stop_open(struct machine *machine, enum stop_kind kind, uint64_t gva, unsigned bytes, struct stop **ret_stop);
/* The same, and nothing stops it yet. */
enum err stop_attach(struct machine *machine, struct stop **ret_stop);
void stop_close(struct stop *stop); /* accepts NULL */
OWNABLE(stop, stop_close)

/* What else stops it from now on. ERR_RANGE: that are STOP_POINTS_MAX already. It must stand still. */
enum err stop_add(struct stop *stop, enum stop_kind kind, uint64_t gva, unsigned bytes);
/* Takes back all that stop_add has added. It must stand still. */
enum err stop_drop(struct stop *stop);

/* Why it has stopped: what was written or read, or the next instruction. */
struct stop_reason {
    enum stop_kind kind;
    uint64_t gva;
};
enum err stop_why(struct stop *stop, struct stop_reason *ret_reason);
/* Registers of the CPU that has stopped; right after attaching, of the first one. It must stand still. The numbers are
 * those of QEMU's GDB stub: 0 to 15 are rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8 to r15. rflags has 32 bits there. */
enum stop_register { STOP_RIP = 16, STOP_RFLAGS = 17 };
enum err stop_get(struct stop *stop, unsigned number, uint64_t *ret_value);
enum err stop_set(struct stop *stop, unsigned number, uint64_t value);

/* Lets the machine run until one of these has come, or for `ms` milliseconds of the host. ERR_TIMEOUT: it still
 * runs, and the next call waits on. ERR_NOT_RUNNING: it has ended. */
enum err stop_run(struct stop *stop, int ms);

/* Has the CPU that has stopped execute one instruction, without interrupts. Errors as of stop_run. */
enum err stop_step(struct stop *stop);
