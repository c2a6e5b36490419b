/* See boot.h. */
#include "vmm/boot.h"
#include "guest/abi/pvh.h"
#include "introspect/base/own.h"
#include "vmm/acpi.h"
#include "vmm/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOW_END = 0x9fc00, HIGH_BASE = 0x100000 };

/* As it lies in guest memory. */
struct info_page {
    struct pvh_info start;
    struct pvh_module module;
    struct pvh_range map[3];
};
static_assert(sizeof(struct info_page) <= BOOT_CMDLINE - BOOT_INFO, "the command line follows");

static enum err read_boot_file(const char *what, const char *path, struct file *f)
{
    enum { FILE_MAX = 1 << 30 };
    struct stat st;
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0)
        return vmm_fail(ERR_NOT_FOUND, "%s %s: %s", what, path, strerror(errno));
    enum err e = ERR_OK;
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > FILE_MAX)
        e = vmm_fail(ERR_INVALID, "%s %s: empty, too large or not a file", what, path);
    else if (!(f->bytes = malloc((size_t)st.st_size)))
        e = vmm_fail(ERR_NOMEM, "%s %s: out of memory", what, path);
    while (e == ERR_OK && f->count < (size_t)st.st_size) {
        ssize_t n = read(fd, f->bytes + f->count, (size_t)st.st_size - f->count);
        if (n > 0)
            f->count += (size_t)n;
        else if (n == 0 || errno != EINTR)
            e = vmm_fail(ERR_IO, "%s %s: %s", what, path, n == 0 ? "became shorter" : strerror(errno));
    }
    return e;
}

static enum err place_archive(struct boot *b, const char *path, const struct ram *ram)
{
    uint64_t pages = (b->archive.count + 4095) & ~UINT64_C(4095);
    uint64_t least = b->plan.end.value > BOOT_ARCHIVE_LEAST ? b->plan.end.value : BOOT_ARCHIVE_LEAST;

    if (pages > ram->bytes || ram->bytes - pages < least)
        return vmm_fail(ERR_RANGE, "archive %s: no room for it in RAM; give the machine more", path);
    b->archive_at = gpa(ram->bytes - pages);
    return ERR_OK;
}

enum err boot_open(struct boot *boot, const char *kernel, const char *archive, const char *cmdline, unsigned cpus,
                   const struct ram *ram)
{
    *boot = (struct boot){.cpus = cpus};
    if (cmdline && strlen(cmdline) >= sizeof boot->cmdline)
        return vmm_fail(ERR_INVALID, "--append: longer than %d bytes", BOOT_CMDLINE_MAX - 1);
    if (cmdline)
        strcpy(boot->cmdline, cmdline);
    enum err e = read_boot_file("kernel", kernel, &boot->kernel);
    if (e == ERR_OK)
        e = elf_check(kernel, boot->kernel.bytes, boot->kernel.count, ram, gpa(HIGH_BASE), &boot->plan);
    if (e == ERR_OK && archive)
        e = read_boot_file("archive", archive, &boot->archive);
    if (e == ERR_OK && archive)
        e = place_archive(boot, archive, ram);
    return e;
}

void boot_close(struct boot *boot)
{
    free(boot->kernel.bytes);
    free(boot->archive.bytes);
    boot->kernel = boot->archive = (struct file){0};
}

enum err boot_load(const struct boot *boot, struct ram *ram)
{
    struct info_page page = {
        .start = {.magic = PVH_MAGIC,
                  .version = 1,
                  .modules = boot->archive.count ? 1 : 0,
                  .module_list = boot->archive.count ? BOOT_INFO + offsetof(struct info_page, module) : 0,
                  .cmdline = BOOT_CMDLINE,
                  .rsdp = ACPI_BASE,
                  .memory_map = BOOT_INFO + offsetof(struct info_page, map),
                  .memory_ranges = 3},
        .module = {.phys = boot->archive_at.value, .bytes = boot->archive.count},
        .map = {{.phys = 0, .bytes = LOW_END, .type = PVH_USABLE},
                {.phys = LOW_END, .bytes = HIGH_BASE - LOW_END, .type = PVH_RESERVED},
                {.phys = HIGH_BASE, .bytes = ram->bytes - HIGH_BASE, .type = PVH_USABLE}}};
    enum err e = elf_load(&boot->plan, boot->kernel.bytes, ram);

    if (e == ERR_OK && boot->archive.count)
        e = ram_write(ram, boot->archive_at, boot->archive.bytes, boot->archive.count);
    if (e == ERR_OK)
        e = ram_write(ram, gpa(BOOT_INFO), &page, sizeof page);
    if (e == ERR_OK)
        e = ram_write(ram, gpa(BOOT_CMDLINE), boot->cmdline, strlen(boot->cmdline) + 1);
    return e == ERR_OK ? acpi_build(ram, boot->cpus) : e;
}
