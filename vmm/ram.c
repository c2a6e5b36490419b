/* See ram.h. */
#include "vmm/ram.h"
#include "introspect/base/own.h"
#include "vmm/log.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err check_size(uint64_t bytes)
{
    if (bytes < 16 << 20 || bytes > (uint64_t)RAM_GIB_MAX << 30 || bytes % 4096 != 0)
        return vmm_fail(ERR_INVALID, "RAM of %llu bytes: 16 MiB to %d GiB in whole pages can be had",
                        (unsigned long long)bytes, RAM_GIB_MAX);
    return ERR_OK;
}

static int new_file(uint64_t bytes)
{
    OWN(descriptor) int fd = memfd_create("delias-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return -1;
    return MOVE_DESCRIPTOR(fd);
}

enum err ram_init(struct ram *ram, int fd, uint64_t bytes)
{
    struct stat st;

    if (fd >= 0 && fstat(fd, &st) != 0)
        return vmm_fail(ERR_INVALID, "--ram-fd %d: %s", fd, strerror(errno));
    if (fd >= 0)
        bytes = (uint64_t)st.st_size;
    enum err e = check_size(bytes);
    if (e != ERR_OK)
        return e;
    if (fd < 0)
        fd = new_file(bytes);
    void *base = fd < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return vmm_fail(ERR_NOMEM, "RAM of %llu bytes: %s", (unsigned long long)bytes, strerror(errno));
    *ram = (struct ram){.fd = fd, .bytes = bytes, .base = base};
    return ERR_OK;
}

void ram_done(struct ram *ram)
{
    if (ram->base)
        munmap(ram->base, ram->bytes);
    ram->base = NULL;
}

bool ram_has(const struct ram *ram, gpa_t at, uint64_t bytes)
{
    return ram_map_has(ram_map_end(ram->bytes), at.value, bytes);
}

/* Where guest address `at`, which RAM has, is in our memory. */
static unsigned char *here(const struct ram *ram, gpa_t at)
{
    return ram->base + ram_map_offset(at.value);
}

static enum err check_range(const struct ram *ram, gpa_t at, uint64_t bytes)
{
    if (!ram_has(ram, at, bytes))
        return vmm_fail(ERR_RANGE, "guest address %#llx (%llu bytes) is outside its RAM", (unsigned long long)at.value,
                        (unsigned long long)bytes);
    return ERR_OK;
}

enum err ram_write(struct ram *ram, gpa_t at, const void *from, uint64_t bytes)
{
    enum err e = check_range(ram, at, bytes);

    if (e == ERR_OK)
        memcpy(here(ram, at), from, bytes);
    return e;
}

enum err ram_zero(struct ram *ram, gpa_t at, uint64_t bytes)
{
    enum err e = check_range(ram, at, bytes);

    if (e == ERR_OK)
        memset(here(ram, at), 0, bytes);
    return e;
}

enum err ram_read(const struct ram *ram, gpa_t at, void *to, uint64_t bytes)
{
    if (!ram_has(ram, at, bytes))
        return ERR_RANGE;
    memcpy(to, here(ram, at), bytes);
    return ERR_OK;
}

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
    static const char text[] =
        "delias-vmm: the host has no memory for guest RAM, or a file that is booted became shorter\n";

    (void)info, (void)context;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL); /* and the access is made again */
}

void ram_report_bus_errors(void)
{
    sigaction(SIGBUS, &(struct sigaction){.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO}, NULL);
}

void ram_clear(struct ram *ram)
{
    if (fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)ram->bytes) != 0)
        memset(ram->base, 0, ram->bytes);
}
