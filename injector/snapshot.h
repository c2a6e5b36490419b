/* A QEMU machine's state, kept and put back within the running process (savevm, loadvm): RAM, CPUs and devices in some
 * 20 ms, where a reset takes a boot. delias-vmm has none of it; there a campaign resets. */
#pragma once
#include "vmm/machine/machine.h"

/* Adds to `config` the empty disk that QEMU keeps states on, as a file of its own in a temporary folder. Once the
 * machine runs, snapshot_disk_done removes the name; the space goes with the machine. */
enum err snapshot_disk(struct machine_config *config, char ret_path[MACHINE_PATH_MAX]);
void snapshot_disk_done(const char *path);

/* Keeps the state of the machine, in place of one that was kept before. On failure machine_last_error says why. */
enum err snapshot_take(struct machine *machine);
/* Puts the kept state back: the machine continues from there. Mappings of its RAM stay valid. */
enum err snapshot_restore(struct machine *machine);
