/* A QEMU machine's state, kept on a disk that has no name and put back (savevm, loadvm): RAM, CPUs and devices in some
 * 20 ms, where a reset takes a boot. Another process of the same machine can be put into it, too. delias-vmm has none
 * of it; there a campaign resets. */
#pragma once
#include "vmm/machine/machine.h"

/* An empty disk, for states of one machine after another, never of two at a time. Closing *ret_fd frees its space once
 * no machine has it. */
enum err snapshot_disk(int *ret_fd);
/* Adds the disk to what `config` starts; this process must keep `disk` open until then. ERR_RANGE: its arguments are
 * too long. */
enum err snapshot_attach(struct machine_config *config, int disk);

/* Keeps the state of the machine, in place of one that was kept before. On failure machine_last_error says why. */
enum err snapshot_take(struct machine *machine);
/* Puts the kept state back: the machine continues from there. Mappings of its RAM stay valid. */
enum err snapshot_restore(struct machine *machine);
