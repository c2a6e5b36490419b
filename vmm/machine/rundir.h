/* The run directory: one folder per machine, and its description. */
#pragma once
#include <stddef.h>
#include "vmm/machine/machine.h"

/* The run directory, made when missing. ERR_REFUSED when it is not ours alone. */
enum err rundir_path(char *path, size_t bytes);
enum err rundir_check_name(const char *name);
/* The paths that follow from the name: folder, sockets, logs. */
enum err rundir_fill_paths(struct machine_info *info);
/* Takes the lock that makes starting and stopping machines of one name one at a time; a descriptor to close, or -1. */
int rundir_lock(const char *name);

/* Writes the machine's description to its folder: a file that is renamed once it is whole. */
enum err rundir_write(const struct machine_info *info);
/* ERR_NOT_FOUND without a folder or a description. */
enum err rundir_read(const char *name, struct machine_info *ret_info);
/* Takes away what a machine of that name has left: the files that one makes, and their folder. Whatever else lies there
 * stays; rundir_remove then says so (ERR_REFUSED), rundir_clear leaves the last error as it was. */
void rundir_clear(const struct machine_info *info);
enum err rundir_remove(const struct machine_info *info);
