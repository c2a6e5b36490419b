/* See domain_process.h. */
#include "vmm/machine/domain_process.h"
#include "vmm/machine/error.h"
#include "vmm/machine/process.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COMMAND_LINE_MAX = 64 << 10 };

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

const char *domain_process_option(const char *arguments, size_t bytes, const char *option, const char *value)
{
    const char *end = arguments + bytes;

    while (arguments < end) {
        size_t n = strnlen(arguments, (size_t)(end - arguments));
        const char *next = arguments + n + 1;

        if (next >= end || !memchr(next, '\0', (size_t)(end - next)))
            return NULL;
        if (strcmp(arguments, option) == 0 && (!value || strcmp(next, value) == 0))
            return next;
        arguments = next;
    }
    return NULL;
}

static size_t read_command_line(int pid, char ret_text[COMMAND_LINE_MAX])
{
    char path[64];
    size_t used = 0;
    ssize_t n = 0;

    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && used < COMMAND_LINE_MAX && (n = read(fd, ret_text + used, COMMAND_LINE_MAX - used)) > 0)
        used += (size_t)n;
    return used;
}

/* The number of the process, with its arguments in ret_text; 0: there is none. */
static int find_uuid(const char *uuid, char ret_text[COMMAND_LINE_MAX], size_t *ret_bytes)
{
    CLOSED_BY(close_folder) DIR *folder = opendir("/proc");

    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        int pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
        if (pid <= 1)
            continue;
        *ret_bytes = read_command_line(pid, ret_text);
        if (domain_process_option(ret_text, *ret_bytes, "-uuid", uuid) && process_started(pid) != 0)
            return pid;
    }
    return 0;
}

bool domain_process_is_ram(const char *line, uint64_t bytes, uint64_t *ret_inode)
{
    unsigned long long start, end, offset, inode;
    char mode[5];

    if (sscanf(line, "%llx-%llx %4s %llx %*x:%*x %llu", &start, &end, mode, &offset, &inode) != 5)
        return false;
    if (strcmp(mode, "rw-s") != 0 || end - start != bytes || offset != 0 || inode == 0)
        return false;
    *ret_inode = inode;
    return true;
}

/* The descriptor that is a file of this number and size; -1: none is. */
static int find_descriptor(int pid, uint64_t inode, uint64_t bytes)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    CLOSED_BY(close_folder) DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        struct stat st;
        if (isdigit((unsigned char)entry->d_name[0]) && fstatat(dirfd(folder), entry->d_name, &st, 0) == 0 &&
            S_ISREG(st.st_mode) && st.st_ino == inode && (uint64_t)st.st_size == bytes)
            return atoi(entry->d_name);
    }
    return -1;
}

static void find_ram(struct machine_info *info)
{
    char path[64], line[1024];
    int found = -1;

    info->ram_file[0] = '\0';
    snprintf(path, sizeof path, "/proc/%d/maps", info->pid);
    OWN(file) FILE *f = fopen(path, "re");
    if (!f) {
        snprintf(info->why, sizeof info->why, "its process is another user's: %s", strerror(errno));
        return;
    }
    while (found < 0 && fgets(line, sizeof line, f)) {
        uint64_t inode;
        if (domain_process_is_ram(line, info->ram_bytes, &inode))
            found = find_descriptor(info->pid, inode, info->ram_bytes);
    }
    if (found >= 0)
        snprintf(info->ram_file, sizeof info->ram_file, "/proc/%d/fd/%d", info->pid, found);
    else
        snprintf(info->why, sizeof info->why, "the domain has no shared memory");
}

enum err domain_process_find(struct machine_info *info)
{
    OWN(memory) char *text = malloc(COMMAND_LINE_MAX);
    size_t bytes = 0;

    if (!text)
        return machine_fail(ERR_NOMEM, "out of memory");
    int pid = find_uuid(info->domain, text, &bytes);
    if (!pid)
        return machine_fail(ERR_UNSUPPORTED,
                            "machine '%s': no process on this host is its domain (%s); one that runs on another host "
                            "can't be attached to: run delias there",
                            info->name, info->connect);
    info->pid = pid;
    info->started = process_started(pid);
    const char *kernel = domain_process_option(text, bytes, "-kernel", NULL);
    const char *archive = domain_process_option(text, bytes, "-initrd", NULL);
    snprintf(info->kernel, sizeof info->kernel, "%s", kernel ? kernel : "");
    snprintf(info->archive, sizeof info->archive, "%s", archive ? archive : "");
    find_ram(info);
    return ERR_OK;
}
