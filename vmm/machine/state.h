/* What a machine's hypervisor knows of it beside RAM: the state of its CPUs and devices, as bytes that only a
 * hypervisor of the same kind and version understands. The machine stands still.
 *
 * QEMU keeps it on a disk without a name, as `snapshot-save` does, with RAM left out since that is a shared file; it
 * overwrites RAM when it takes the state back. delias-vmm keeps it in a file (vmm/state.h). */
#pragma once
#include "vmm/machine/machine.h"

/* Free *ret_bytes with free(). */
enum err state_fetch(struct machine *machine, uint8_t **ret_bytes, size_t *ret_count);
/* RAM is to be put back afterwards. After a failure the machine may have neither its old state nor this one. */
enum err state_give(struct machine *machine, const uint8_t *bytes, size_t count);
