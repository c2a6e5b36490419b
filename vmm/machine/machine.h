/* Machines: starting, finding, steering and mapping one, whichever hypervisor runs it.
 * Leaves out what the guest's memory means (introspect/) and the guest's execution itself (delias-vmm, QEMU).
 *
 * A machine is a detached process, its RAM as a shared file, and QMP on a UNIX socket. It lives in a folder of the
 * private run directory ($XDG_RUNTIME_DIR/delias, else /tmp/delias-UID; mode 0700), named like the machine:
 *     machine.json  what is in struct machine_info       lock         the line for the request ring
 *     qmp.sock      for any QMP client                   control.sock QMP for this library
 *     gdb.sock      GDB remote protocol (QEMU)           console.sock the serial line, both ways
 *     serial.log    all that the guest printed           log          what the hypervisor printed
 * One that libvirt runs (`connect`) has there its description, serial.log, gdb.sock and the lock only; its monitor is
 * reached through libvirt.
 *
 * Every function that can fail leaves one line in machine_last_error(), per thread. Sizes are bytes, times are
 * milliseconds. Handles are not shared between threads; any number of processes may open the same machine. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "guest/abi/err.h"
#include "introspect/base/own.h"

enum { MACHINE_NAME_MAX = 32, MACHINE_PATH_MAX = 512, MACHINE_TEXT_MAX = 1024, MACHINE_CPUS_MAX = 64 };

enum machine_backend { MACHINE_AUTO, MACHINE_KVM, MACHINE_TCG, MACHINE_LIBVIRT };

struct machine_config {
    char name[MACHINE_NAME_MAX + 1]; /* letters, digits, '-', '_', '.'; not starting with '.' or '-' */
    enum machine_backend backend;    /* not MACHINE_LIBVIRT: with `connect`, what QEMU uses there */
    char connect[MACHINE_PATH_MAX];  /* libvirt's URI, if that is to run it; empty: none */
    char kernel[MACHINE_PATH_MAX];
    char archive[MACHINE_PATH_MAX]; /* empty: none */
    char cmdline[MACHINE_TEXT_MAX];
    uint64_t ram_bytes;
    unsigned cpus;
    bool icount;                  /* TCG only: one instruction is one nanosecond, one CPU thread, repeatable */
    bool paused;                  /* stay before the first instruction until machine_resume */
    char extra[MACHINE_TEXT_MAX]; /* more arguments for the hypervisor, separated by blanks */
};

struct machine_info {
    char name[MACHINE_NAME_MAX + 1];
    enum machine_backend backend; /* never MACHINE_AUTO */
    char why[256];                /* why this backend */
    char state[16];               /* running, paused, stopped, silent, dead, or another QMP status */
    int pid;
    uint64_t started;                /* process start time in ticks since boot, against reuse of the pid */
    char folder[MACHINE_PATH_MAX];   /* in the run directory */
    char ram_file[MACHINE_PATH_MAX]; /* RAM; where a physical address is in it says introspect/base/ram_map.h. Empty: a
                                        domain's, which nobody can map */
    char qmp[MACHINE_PATH_MAX];
    char control[MACHINE_PATH_MAX];
    char gdb[MACHINE_PATH_MAX]; /* empty: none */
    char console[MACHINE_PATH_MAX];
    char serial[MACHINE_PATH_MAX]; /* the log of the serial line */
    char log[MACHINE_PATH_MAX];
    char kernel[MACHINE_PATH_MAX];
    char archive[MACHINE_PATH_MAX];
    unsigned cpus;
    uint64_t ram_bytes;
    char connect[MACHINE_PATH_MAX]; /* libvirt's URI; empty: it is not libvirt's */
    char domain[40];                /* UUID of the domain */
    bool attached;                  /* the domain is not of our making: it is never undefined */
};

struct machine; /* an open machine; close it with machine_close, which leaves it running */

/* The line that the last failure in this thread left: names the thing, what is wrong, what to do. */
const char *machine_last_error(void);

const char *machine_backend_name(enum machine_backend backend); /* "auto", "kvm", "tcg", "libvirt" */
/* Of what --accel and machine files may say: not libvirt, which is asked for by `connect`. */
enum err machine_backend_parse(const char *word, enum machine_backend *ret_backend);

/* 64 MiB, 2 CPUs, backend auto, name "delias", no kernel. */
void machine_config_init(struct machine_config *config);
/* Reads a machine file (introspect/base/settings.h; configs/machines/default.yaml shows every key) over the defaults.
 * Relative paths in it are taken from the file's own folder. */
enum err machine_config_load(const char *path, struct machine_config *ret_config);
/* "64M", "1G", "65536K" or bytes; whether a machine can have so much says machine_check_ram. */
enum err machine_parse_size(const char *word, uint64_t *ret_bytes);
enum err machine_check_ram(uint64_t bytes);

/* The backend that `auto` means here, and a sentence that says why. */
enum machine_backend machine_probe(char *why, size_t bytes);

/* Starts a machine and returns it open. ERR_EXISTS when one of that name runs; that one is left as it is. What an
 * ended machine of that name left behind is removed first. */
enum err machine_start(const struct machine_config *config, struct machine **ret_machine);

/* Takes a running domain of libvirt, named or by UUID, as the machine `name` (NULL: its own name), and returns it open.
 * ERR_EXISTS when a machine of that name runs. machine_detach gives such a one up, and it runs on. */
enum err machine_attach(const char *uri, const char *domain, const char *name, struct machine **ret_machine);
enum err machine_detach(const char *name);

/* ERR_NOT_FOUND when there is none of that name, or it has ended. A domain that libvirt has started again, or
 * restored, is the same machine. */
enum err machine_open(const char *name, struct machine **ret_machine);
void machine_close(struct machine *machine);
OWNABLE(machine, machine_close)
const struct machine_info *machine_info(const struct machine *machine);

/* All machines of this user, by what the host's kernel says of their processes: "dead", "stopped" by a signal, or
 * "running", which they may not be. Asks no hypervisor, so none can delay it. Free with free(). */
enum err machine_list(struct machine_info **ret_infos, size_t *ret_count);
/* Asks them all at once for the state of their guests. One that does not answer in time is "silent". */
void machine_ask_states(struct machine_info *infos, size_t count);

/* Ends the machine (QMP quit, then SIGKILL) and removes its folder. For a dead one, only the latter. Machines of other
 * names are started and stopped meanwhile. */
enum err machine_stop(const char *name);
/* Whether the run directory still has this machine under its name. ERR_NOT_RUNNING: another program has stopped it;
 * ERR_EXISTS: and has started another of that name. Waits until who is about to stop it has done so. */
enum err machine_check_place(const struct machine *machine);
/* The same as machine_stop for this very machine. Does nothing where machine_check_place would fail, as it does. */
enum err machine_end(struct machine *machine);

/* Stops and continues the CPUs. Does nothing where they are so already. On failure machine_last_error says why. */
enum err machine_pause(struct machine *machine);
enum err machine_resume(struct machine *machine);
/* As from power-on: RAM cleared, kernel and archive loaded again. A paused machine stays paused. */
enum err machine_reset(struct machine *machine);
/* Asks the hypervisor; fills machine_info()->state. */
enum err machine_refresh(struct machine *machine);
/* ERR_BUSY while somebody holds the GDB stub: QEMU would queue a second connection as if it were a debugger's. */
enum err machine_check_debugger(struct machine *machine);
bool machine_is_alive(const struct machine *machine);
/* Waits for the machine's end. ret_status is its exit status, or -1 where another process had started it. */
enum err machine_wait(struct machine *machine, int timeout_ms, int *ret_status);

/* Maps guest RAM, shared: physical address `at` is at base + at, and ret_bytes is where the last one ends (ram_map.h).
 * Unmap with machine_ram_unmap. The mapping survives the machine. */
enum err machine_ram_map(struct machine *machine, bool writable, void **ret_base, size_t *ret_bytes);
void machine_ram_unmap(void *base, size_t bytes);
/* Where RAM cannot be shared (a domain without shared memory), what was mapped is a copy, and this takes it again; that
 * is slow, and the CPUs are halted meanwhile. Does nothing for other machines. */
enum err machine_ram_refresh(struct machine *machine, void *base, size_t bytes);
bool machine_ram_is_copied(const struct machine *machine);
/* Writes guest-physical memory so that the CPUs execute what was written. Under TCG a store through the mapping
 * does not drop translated code; this goes through the GDB stub there, unless a debugger holds it (ERR_BUSY). For
 * data, the mapping is enough. */
enum err machine_ram_write(struct machine *machine, uint64_t gpa, const void *bytes, size_t count);

/* Exclusive use of the request ring, among processes that ask: they are served in the order in which they come. It is
 * released by machine_unlock, machine_close or death. Who keeps it for longer than `keep_ms`, or is stopped, loses it
 * to whoever waits; machine_has_lock tells, machine_lock waits for it again. ERR_BUSY: not for all of `timeout_ms`. */
enum err machine_lock(struct machine *machine, int timeout_ms, int keep_ms);
bool machine_has_lock(const struct machine *machine);
/* For writes that are to end with the loss of the lock. Good until machine_unlock or machine_lock. */
struct fence machine_fence(const struct machine *machine);
void machine_unlock(struct machine *machine);

/* Copies between a terminal (or any descriptors) and the serial line until in_fd ends, the machine ends, or the byte
 * Ctrl-] is read. A terminal is put into raw mode meanwhile. in_fd -1: output only. */
enum err machine_console(struct machine *machine, int in_fd, int out_fd);
