/* The process of a domain on this host, and its RAM, as Linux shows them. libvirt says neither. */
#pragma once
#include "vmm/machine/machine.h"

/* Finds the QEMU whose -uuid is info->domain; fills pid and started, ram_file, and kernel and archive as its arguments
 * have them. ram_file is empty if no file that can be opened holds all RAM for others to map; `why` then says so.
 * ERR_UNSUPPORTED: there is no such process on this host. */
enum err domain_process_find(struct machine_info *info);
/* Whether a line of /proc/PID/maps maps `bytes` bytes of a file from its start, writable and shared; which file. */
bool domain_process_is_ram(const char *line, uint64_t bytes, uint64_t *ret_inode);
/* Whether arguments, each ended by a NUL, have `option` followed by `value`, which is anything if NULL. That value, or
 * NULL. */
const char *domain_process_option(const char *arguments, size_t bytes, const char *option, const char *value);
