/* The hypervisor as a process: started as a child that outlives its parent, told from others, ended. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "vmm/machine/backend.h"

/* Guest RAM: an anonymous file of this size that nobody can shrink. A descriptor, or -1. */
int process_ram(const char *name, uint64_t bytes);

/* A child in its own session, output to info->log, RAM as descriptor RAM_FD, nothing else open. It waits for
 * process_release, and ends by itself when the caller dies before that. Fills pid, started, ram_file. */
enum err process_spawn(struct arguments *a, int ram_fd, struct machine_info *info, int *ret_gate);
void process_release(int gate); /* which the caller still has to close */

/* When the process started, in ticks since boot; 0 when it has ended (a zombie counts as ended). */
uint64_t process_started(int pid);
bool process_is(int pid, uint64_t started);
/* That process was stopped by a signal, and does nothing until it is continued. */
bool process_is_stopped(int pid, uint64_t started);

/* Kills and reaps; never another process that got the same pid. */
void process_kill(const struct machine_info *info);
/* Waits until the process has ended. ERR_TIMEOUT. ret_status: see machine_wait. */
enum err process_wait(const struct machine_info *info, int timeout_ms, int *ret_status);
