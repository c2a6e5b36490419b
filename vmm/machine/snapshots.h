/* Snapshots of a machine: all of its RAM, and the state of its CPUs and devices, in one file that outlives it. They are
 * in a folder of the user's, $XDG_STATE_HOME/delias/snapshots/MACHINE, else below ~/.local/state; mode 0700.
 *
 *     NAME.snapshot   a container (introspect/base/container.h) of kind SNAPSHOT_FILE:
 *         SNAPSHOT_ABOUT    JSON: struct snapshot_info, and checksums of the kernel and the archive
 *         SNAPSHOT_STATE    what state.h fetches
 *         RAM_IMAGE_MAP, RAM_IMAGE_PAGES    ram_image.h
 *
 * A snapshot can be put into the machine that it was taken of, or into another one of that name and shape which runs
 * the same kernel and archive, as often as one likes. Mappings of RAM stay valid. Disks that `extra` adds are not part
 * of it. */
#pragma once
#include "introspect/base/container.h"
#include "vmm/machine/machine.h"

#define SNAPSHOT_FILE  CONTAINER_KIND('s', 'n', 'a', 'p')
#define SNAPSHOT_ABOUT CONTAINER_KIND('a', 'b', 'o', 'u')
#define SNAPSHOT_STATE CONTAINER_KIND('s', 't', 'a', 't')

struct snapshot_info {
    char name[MACHINE_NAME_MAX + 1];
    char parent[MACHINE_NAME_MAX + 1]; /* the one that the machine had been taken from or put into last; empty: none */
    enum machine_backend backend;
    unsigned cpus;
    uint64_t ram_bytes, pages; /* pages: that are not zero */
    uint64_t file_bytes;
    uint64_t taken;              /* seconds since 1970 */
    unsigned depth;              /* how many snapshots are above it in the tree */
    bool current;                /* the machine that runs stems from it */
    char problem[CONTAINER_WHY]; /* empty: it can be read */
};

struct snapshot_report {
    uint64_t pages, put_back; /* of the snapshot; of RAM, because they differed */
    uint64_t ns;              /* until the machine could go on */
    bool audited;
    uint64_t mismatches; /* pages that differ from the snapshot afterwards, and parts of the state */
    char first[64];      /* the first part of the state among them; empty: none */
};

/* Keeps the machine as it is; meanwhile it stands still, and nobody has the request ring. `name` NULL: a new one,
 * "snapshot-N". One of that name is replaced once the new one is on the disk. */
enum err snapshots_take(struct machine *machine, const char *name, struct snapshot_info *ret_info);
/* Puts it back. All of the file is checked before anything is changed. The machine then runs if it has run.
 * ERR_NOT_FOUND: there is no such snapshot. After any other failure the machine stands still, or is as before: the
 * message says which. audit: compares all of RAM with the snapshot afterwards and, where the hypervisor can
 * (delias-vmm), CPUs and devices. */
enum err snapshots_restore(struct machine *machine, const char *name, bool audit, struct snapshot_report *ret_report);
/* Those of a machine, each behind its parent; also of one that has ended. Free with free(). */
enum err snapshots_list(const char *machine_name, struct snapshot_info **ret_infos, size_t *ret_count);

/* What a file has to say about itself, with its parts checked for being there and sound, but not compared with their
 * checksums. ERR_INVALID: ret_info->problem. */
enum err snapshots_parse(const struct container *container, struct snapshot_info *ret_info);
