/* What a guest finds in RAM when it starts: kernel, archive, PVH start info, command line, ACPI tables.
 * The PVH ABI is xen/include/public/arch-x86/hvm/start_info.h. Where things go:
 *     0x90000  start info, module list, memory map     0x91000  command line     0xe0000  ACPI
 *     the kernel where it is linked, at 1 MiB or above; the archive at the end of RAM, from 16 MiB to 3 GiB */
#pragma once
#include <time.h>
#include "vmm/elf.h"

enum { BOOT_INFO = 0x90000, BOOT_CMDLINE = 0x91000, BOOT_CMDLINE_MAX = 4096, BOOT_ARCHIVE_LEAST = 16 << 20 };

/* A mapped file. */
struct file {
    const char *path; /* borrowed; NULL: none */
    unsigned char *bytes;
    size_t count;
    struct timespec written;
    int fd;
};

struct boot {
    struct file kernel, archive;
    char cmdline[BOOT_CMDLINE_MAX];
    struct elf_plan plan;
    gpa_t archive_at;
    unsigned cpus;
};

/* Maps the files, whose names must outlive them, and checks that all fits. `archive` and `cmdline` may be NULL. Release
 * with boot_close, also after a failure. */
enum err boot_open(struct boot *boot, const char *kernel, const char *archive, const char *cmdline, unsigned cpus,
                   const struct ram *ram);
void boot_close(struct boot *boot);
/* Loads what is booted. On failure, as when a file has changed since boot_open, the log says why. */
enum err boot_load(const struct boot *boot, struct ram *ram);
