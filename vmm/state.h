/* All that a machine is beside its RAM, in a file: vCPUs, interrupt controllers, timers, clocks and our devices. The
 * machine is paused. Kernel, archive and RAM are somebody else's affair (vmm/machine/snapshots.h), and so are the
 * serial line's clients and log.
 *
 * A container (introspect/base/container.h) of kind STATE_FILE: a part for each structure of KVM and of ours, with the
 * number of its vCPU or chip as instance. What a reset puts back is there too: one list of state for both (struct
 * vcpu_state). */
#pragma once
#include "introspect/base/container.h"
#include "vmm/vmm.h"

/* STATE_VERSION grows with every change of what parts there are, or of a structure of ours in one. */
enum { STATE_VERSION = 1 };
#define STATE_FILE CONTAINER_KIND('v', 'm', 'm', 's')

/* Writes the file; one of that name is replaced when the new one is whole. ERR_BUSY: the guest has just asked for a
 * reset or the end, which comes first. On failure the log says why, and the machine is as it was. */
enum err state_save(struct vmm *vmm, const char *path) EXCLUDES(devices_role) EXCLUDES(state_role);
/* Puts the machine into the state of the file. *ret_begun: whether anything was changed; all of the file is checked
 * before. After a failure then the machine must not run. On success it is paused. */
enum err state_load(struct vmm *vmm, const char *path, bool *ret_begun) EXCLUDES(devices_role) EXCLUDES(state_role);

/* Checks a file's parts against a machine of so many CPUs and bytes of RAM, but for what only KVM knows. */
enum err state_check(const struct container *container, unsigned cpus, uint64_t ram_bytes, char *why);
