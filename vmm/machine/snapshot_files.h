/* Where the snapshots of a machine are, and which of them it stems from. */
#pragma once
#include "vmm/machine/machine.h"

/* The file of snapshot `name` of machine `machine_name`. Its folder is made when it is missing. */
enum err snapshot_files_path(const char *machine_name, const char *name, char *path, size_t bytes);
/* Checks a name, or makes a new one when it is NULL. */
enum err snapshot_files_name(const char *machine_name, const char *name, char ret_name[MACHINE_NAME_MAX + 1]);
/* The names of all, in no order. Free *ret_names with free(). */
enum err snapshot_files_list(const char *machine_name, char (**ret_names)[MACHINE_NAME_MAX + 1], size_t *ret_count);

/* The snapshot that a running machine was taken from or put into last; empty: none. */
void snapshot_files_current(const struct machine_info *machine, char ret_name[MACHINE_NAME_MAX + 1]);
void snapshot_files_set_current(const struct machine_info *machine, const char *name);
/* It stems from none: it was reset. */
void snapshot_files_clear_current(const struct machine_info *machine);
/* What a snapshot says its parent is; empty: none, or there is no such snapshot. */
void snapshot_files_parent(const char *machine_name, const char *name, char ret_parent[MACHINE_NAME_MAX + 1]);
