/* See boot.h. */
#include "vmm/boot.h"
#include "guest/abi/pvh.h"
#include "introspect/base/own.h"
#include "vmm/acpi.h"
#include "vmm/log.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOW_END = 0x9fc00, HIGH_BASE = 0x100000 };

/* As it lies in guest memory. */
struct info_page {
    struct pvh_info start;
    struct pvh_module module;
    struct pvh_range map[4];
};
static_assert(sizeof(struct info_page) <= BOOT_CMDLINE - BOOT_INFO, "the command line follows");

static enum err map_boot_file(const char *what, const char *path, struct file *f)
{
    enum { FILE_MAX = 1 << 30 };
    struct stat st;
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 || fstat(fd, &st) != 0)
        return vmm_fail(ERR_NOT_FOUND, "%s %s: %s", what, path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > FILE_MAX)
        return vmm_fail(ERR_INVALID, "%s %s: empty, too large or not a file", what, path);
    void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return vmm_fail(ERR_NOMEM, "%s %s: %s", what, path, strerror(errno));
    *f = (struct file){
        .path = path, .bytes = bytes, .count = (size_t)st.st_size, .written = st.st_mtim, .fd = MOVE_DESCRIPTOR(fd)};
    return ERR_OK;
}

static void unmap_boot_file(struct file *f)
{
    if (!f->bytes)
        return;
    munmap(f->bytes, f->count);
    close(f->fd);
    *f = (struct file){0};
}

/* What was checked at the start must be what is loaded at a reset. A file that was replaced by another one of that name
 * is still there. */
static enum err check_unchanged(const struct file *f)
{
    struct stat st;

    if (!f->bytes)
        return ERR_OK;
    if (fstat(f->fd, &st) != 0 || (size_t)st.st_size != f->count || st.st_mtim.tv_sec != f->written.tv_sec ||
        st.st_mtim.tv_nsec != f->written.tv_nsec)
        return vmm_fail(ERR_REFUSED, "%s has changed since the machine was started; stop it and start it again",
                        f->path);
    return ERR_OK;
}

/* Its pages are taken again from the file, or the host's cache of it, when they are needed. */
static void forget_pages(const struct file *f)
{
    if (f->bytes)
        madvise(f->bytes, f->count, MADV_DONTNEED);
}

static enum err place_archive(struct boot *b, const char *path, const struct ram *ram)
{
    uint64_t pages = (b->archive.count + 4095) & ~UINT64_C(4095);
    uint64_t least = b->plan.end.value > BOOT_ARCHIVE_LEAST ? b->plan.end.value : BOOT_ARCHIVE_LEAST;

    if (pages > ram_low(ram) || ram_low(ram) - pages < least)
        return vmm_fail(ERR_RANGE, "archive %s: no room for it in RAM; give the machine more", path);
    b->archive_at = gpa(ram_low(ram) - pages);
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
    enum err e = map_boot_file("kernel", kernel, &boot->kernel);
    if (e == ERR_OK)
        e = elf_check(kernel, boot->kernel.bytes, boot->kernel.count, ram, gpa(HIGH_BASE), &boot->plan);
    if (e == ERR_OK && archive)
        e = map_boot_file("archive", archive, &boot->archive);
    if (e == ERR_OK && archive)
        e = place_archive(boot, archive, ram);
    return e;
}

void boot_close(struct boot *boot)
{
    unmap_boot_file(&boot->kernel);
    unmap_boot_file(&boot->archive);
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
                  .memory_ranges = ram_high(ram) ? 4 : 3},
        .module = {.phys = boot->archive_at.value, .bytes = boot->archive.count},
        .map = {{.phys = 0, .bytes = LOW_END, .type = PVH_USABLE},
                {.phys = LOW_END, .bytes = HIGH_BASE - LOW_END, .type = PVH_RESERVED},
                {.phys = HIGH_BASE, .bytes = ram_low(ram) - HIGH_BASE, .type = PVH_USABLE},
                {.phys = RAM_HIGH_AT, .bytes = ram_high(ram), .type = PVH_USABLE}}};
    enum err e = check_unchanged(&boot->kernel);

    if (e == ERR_OK)
        e = check_unchanged(&boot->archive);
    if (e == ERR_OK)
        e = elf_load(&boot->plan, boot->kernel.bytes, ram);
    if (e == ERR_OK && boot->archive.count)
        e = ram_write(ram, boot->archive_at, boot->archive.bytes, boot->archive.count);
    forget_pages(&boot->kernel);
    forget_pages(&boot->archive);
    if (e == ERR_OK)
        e = ram_write(ram, gpa(BOOT_INFO), &page, sizeof page);
    if (e == ERR_OK)
        e = ram_write(ram, gpa(BOOT_CMDLINE), boot->cmdline, strlen(boot->cmdline) + 1);
    return e == ERR_OK ? acpi_build(ram, boot->cpus) : e;
}
