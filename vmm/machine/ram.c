/* Guest RAM from outside: the mapping, and writes that the CPUs execute. */
#include "introspect/base/ram_map.h"
#include "vmm/machine/error.h"
#include "vmm/machine/gdb.h"
#include "vmm/machine/inside.h"
#include "vmm/machine/machine.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Between the parts lie zeros that nobody can write: who does so has not checked an address. */
static void *map_parts(int fd, uint64_t bytes, int access)
{
    uint64_t low = ram_map_low(bytes), high = bytes - low;

    if (!high)
        return mmap(NULL, bytes, access, MAP_SHARED, fd, 0);
    uint64_t end = ram_map_end(bytes);
    char *base = mmap(NULL, end, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return base;
    if (mmap(base, low, access, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED &&
        mmap(base + RAM_MAP_HIGH_AT, high, access, MAP_SHARED | MAP_FIXED, fd,
             (off_t)ram_map_offset(RAM_MAP_HIGH_AT)) != MAP_FAILED)
        return base;
    munmap(base, end);
    return MAP_FAILED;
}

bool machine_ram_is_copied(const struct machine *machine)
{
    return machine_info(machine)->connect[0] && !machine_info(machine)->ram_file[0];
}

/* The CPUs stand still meanwhile: the pieces of a table that changes would not fit together. */
enum err machine_ram_refresh(struct machine *machine, void *base, size_t bytes)
{
    struct domain *domain;
    enum err e = machine_ram_is_copied(machine) ? machine_refresh(machine) : ERR_OK;

    if (e != ERR_OK || !machine_ram_is_copied(machine))
        return e;
    bool running = strcmp(machine_info(machine)->state, "running") == 0;
    e = machine_domain(machine, &domain);
    if (e == ERR_OK && running)
        e = machine_pause(machine);
    if (e == ERR_OK)
        e = domain_peek(domain, 0, base, bytes);
    if (running) {
        enum err on = machine_resume(machine);
        if (e == ERR_OK)
            e = on;
    }
    return e;
}

static enum err map_copy(struct machine *machine, bool writable, void **ret_base, size_t *ret_bytes)
{
    const struct machine_info *info = machine_info(machine);

    if (writable)
        return machine_fail(ERR_UNSUPPORTED,
                            "machine '%s': its memory can be read only, as %s; give the domain <memoryBacking><source "
                            "type='memfd'/><access mode='shared'/></memoryBacking>",
                            info->name, info->why);
    void *base = mmap(NULL, info->ram_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return machine_fail(ERR_NOMEM, "RAM of machine '%s': %s", info->name, strerror(errno));
    enum err e = machine_ram_refresh(machine, base, info->ram_bytes);
    if (e != ERR_OK) {
        munmap(base, info->ram_bytes);
        return e;
    }
    *ret_base = base;
    *ret_bytes = info->ram_bytes;
    return ERR_OK;
}

enum err machine_ram_map(struct machine *machine, bool writable, void **ret_base, size_t *ret_bytes)
{
    const struct machine_info *info = machine_info(machine);

    if (machine_ram_is_copied(machine))
        return map_copy(machine, writable, ret_base, ret_bytes);
    OWN(descriptor) int fd = open(info->ram_file, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return machine_fail(ERR_NOT_RUNNING, "RAM of machine '%s': %s: %s", info->name, info->ram_file,
                            strerror(errno));
    /* Checked after opening: the path may by now be another process's. */
    if (!machine_is_alive(machine) || fstat(fd, &st) != 0 || (uint64_t)st.st_size != info->ram_bytes)
        return machine_fail(ERR_NOT_RUNNING, "machine '%s' has ended", info->name);
    void *base = map_parts(fd, info->ram_bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ);
    if (base == MAP_FAILED)
        return machine_fail(ERR_NOMEM, "RAM of machine '%s': %s", info->name, strerror(errno));
    *ret_base = base;
    *ret_bytes = ram_map_end(info->ram_bytes);
    return ERR_OK;
}

void machine_ram_unmap(void *base, size_t bytes)
{
    if (base)
        munmap(base, bytes);
}

static enum err write_through_stub(struct machine *machine, uint64_t gpa, const void *bytes, size_t count)
{
    enum err e = machine_refresh(machine);

    if (e == ERR_OK)
        e = machine_check_debugger(machine);
    if (e != ERR_OK)
        return e;
    bool running = strcmp(machine_info(machine)->state, "running") == 0;
    e = gdb_write_physical(machine_info(machine)->gdb, gpa, bytes, count);
    if (running) {
        enum err on = machine_resume(machine);
        if (e == ERR_OK)
            e = on;
    }
    return e;
}

enum err machine_ram_write(struct machine *machine, uint64_t gpa, const void *bytes, size_t count)
{
    const struct machine_info *info = machine_info(machine);
    void *base;
    size_t size;

    if (!ram_map_has(ram_map_end(info->ram_bytes), gpa, count))
        return machine_fail(ERR_RANGE, "machine '%s' has no RAM at %#llx", info->name, (unsigned long long)gpa);
    if (info->connect[0] && !info->gdb[0])
        return machine_fail(ERR_UNSUPPORTED,
                            "machine '%s': text can't be written, as its QEMU may not serve a GDB stub in %s",
                            info->name, info->folder);
    if (info->gdb[0])
        return write_through_stub(machine, gpa, bytes, count);
    enum err e = machine_ram_map(machine, true, &base, &size);
    if (e != ERR_OK)
        return e;
    memcpy((char *)base + gpa, bytes, count);
    machine_ram_unmap(base, size);
    return ERR_OK;
}
