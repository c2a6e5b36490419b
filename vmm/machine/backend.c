/* See backend.h. */
#include "vmm/machine/backend.h"
#include "introspect/base/own.h"
#include "vmm/machine/error.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const names[] = {
    [MACHINE_AUTO] = "auto", [MACHINE_KVM] = "kvm", [MACHINE_TCG] = "tcg", [MACHINE_LIBVIRT] = "libvirt"};

const char *machine_backend_name(enum machine_backend backend)
{
    return names[backend];
}

enum err machine_backend_parse(const char *word, enum machine_backend *ret_backend)
{
    for (unsigned i = 0; i < MACHINE_LIBVIRT; i++)
        if (strcmp(word, names[i]) == 0) {
            *ret_backend = (enum machine_backend)i;
            return ERR_OK;
        }
    return machine_fail(ERR_INVALID, "accelerator '%.20s': one of auto, kvm, tcg", word);
}

/* Where the processor has no virtualization of its own (a machine that is itself a guest), a KVM may still open that
 * interprets what it is not made for, each instruction at about a microsecond. True also when nothing can be read. */
static bool processor_virtualizes(void)
{
    OWN(file) FILE *info = fopen("/proc/cpuinfo", "re");
    OWN(memory) char *line = NULL;
    size_t bytes = 0;
    bool listed = false, found = false;

    while (info && !listed && getline(&line, &bytes, info) > 0) {
        listed = strncmp(line, "flags", 5) == 0;
        for (char *rest, *word = strtok_r(line, " \t\n", &rest); listed && word; word = strtok_r(NULL, " \t\n", &rest))
            found |= strcmp(word, "vmx") == 0 || strcmp(word, "svm") == 0;
    }
    return found || !listed;
}

bool backend_kvm_opens(char *why, size_t bytes)
{
    OWN(descriptor) int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        snprintf(why, bytes, "/dev/kvm: %s%s", strerror(errno),
                 errno == EACCES ? " (join the group kvm to use it)" : "");
        return false;
    }
    int version = ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION)
        snprintf(why, bytes, "/dev/kvm speaks version %d of its interface, not %d", version, KVM_API_VERSION);
    return version == KVM_API_VERSION;
}

enum machine_backend machine_probe(char *why, size_t bytes)
{
    if (!backend_kvm_opens(why, bytes))
        return MACHINE_TCG;
    if (!processor_virtualizes()) {
        snprintf(why, bytes,
                 "/dev/kvm has no vmx or svm below it and would be slower; --accel kvm takes it all the same");
        return MACHINE_TCG;
    }
    snprintf(why, bytes, "/dev/kvm works");
    return MACHINE_KVM;
}

void argument_add(struct arguments *a, const char *format, ...)
{
    size_t left = sizeof a->bytes - a->used;
    va_list args;

    va_start(args, format);
    int n = vsnprintf(a->bytes + a->used, left, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= left || a->count == ARGUMENTS_MAX) {
        a->overflow = true;
        return;
    }
    a->argv[a->count++] = a->bytes + a->used;
    a->used += (size_t)n + 1;
}

static bool try_program(const char *folder, int length, const char *name, char *path, size_t bytes)
{
    int n = snprintf(path, bytes, "%.*s/%s", length, folder, name);
    return n > 0 && (size_t)n < bytes && access(path, X_OK) == 0;
}

enum err backend_program(const char *variable, const char *name, char *ret_path, size_t bytes)
{
    const char *given = getenv(variable);
    const char *path = getenv("PATH");
    char self[MACHINE_PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (given && *given) {
        snprintf(ret_path, bytes, "%s", given);
        return access(ret_path, X_OK) == 0 ? ERR_OK
                                           : machine_fail(ERR_NOT_FOUND, "%s=%s: no such program", variable, given);
    }
    if (n > 0) {
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        if (try_program(self, (int)strlen(self), name, ret_path, bytes))
            return ERR_OK;
        strncat(self, "/../bin", sizeof self - strlen(self) - 1);
        if (try_program(self, (int)strlen(self), name, ret_path, bytes))
            return ERR_OK;
    }
    for (size_t length; path && *path; path += length + (path[length] == ':')) {
        length = strcspn(path, ":");
        if (length > 0 && try_program(path, (int)length, name, ret_path, bytes))
            return ERR_OK;
    }
    return machine_fail(ERR_NOT_FOUND, "%s: not found; install it, add it to PATH or set %s", name, variable);
}

/* QEMU splits options at commas; a comma in a path is doubled. */
static const char *escape(const char *path, char *out, size_t bytes)
{
    size_t n = 0;

    for (; *path && n + 2 < bytes; path++) {
        if (*path == ',')
            out[n++] = ',';
        out[n++] = *path;
    }
    out[n] = '\0';
    return out;
}

static void add_extra(const char *extra, struct arguments *a)
{
    for (size_t n; *extra; extra += n) {
        extra += strspn(extra, " \t\n");
        n = strcspn(extra, " \t\n");
        if (n > 0)
            argument_add(a, "%.*s", (int)n, extra);
    }
}

static void add_option(struct arguments *a, const char *option, const char *value)
{
    argument_add(a, "%s", option);
    argument_add(a, "%s", value);
}

static void qemu_arguments(const struct machine_config *config, struct machine_info *info, struct arguments *a)
{
    enum { ESCAPED = 2 * MACHINE_PATH_MAX };
    char one[ESCAPED], two[ESCAPED];

    add_option(a, "-name", escape(config->name, one, sizeof one));
    argument_add(a, "-nodefaults");
    add_option(a, "-display", "none");
    add_option(a, "-cpu", "max");
    add_option(a, "-machine", "q35,memory-backend=ram,max-ram-below-4g=2G"); /* as introspect/base/ram_map.h has it */
    argument_add(a, "-object");
    argument_add(a, "memory-backend-file,id=ram,share=on,size=%llu,mem-path=/proc/self/fd/%d",
                 (unsigned long long)config->ram_bytes, RAM_FD);
    argument_add(a, "-m");
    argument_add(a, "%lluK", (unsigned long long)config->ram_bytes >> 10);
    argument_add(a, "-smp");
    argument_add(a, "%u", config->cpus);
    add_option(a, "-accel", config->icount ? "tcg,thread=single" : "tcg,thread=multi");
    if (config->icount) {
        add_option(a, "-icount", "shift=0,sleep=off");
        add_option(a, "-rtc", "base=2020-01-01,clock=vm"); /* the firmware keeps the time of day in RAM */
    }
    add_option(a, "-device", "isa-debug-exit,iobase=0xf4,iosize=4");
    argument_add(a, "-chardev");
    argument_add(a, "socket,id=console,server=on,wait=off,path=%s,logfile=%s", escape(info->console, one, sizeof one),
                 escape(info->serial, two, sizeof two));
    add_option(a, "-serial", "chardev:console");
    argument_add(a, "-qmp");
    argument_add(a, "unix:%s,server=on,wait=off", escape(info->control, one, sizeof one));
    argument_add(a, "-qmp");
    argument_add(a, "unix:%s,server=on,wait=off", escape(info->qmp, one, sizeof one));
    argument_add(a, "-chardev");
    argument_add(a, "socket,id=gdb,server=on,wait=off,path=%s", escape(info->gdb, one, sizeof one));
    add_option(a, "-gdb", "chardev:gdb");
    add_option(a, "-kernel", config->kernel);
    if (config->archive[0])
        add_option(a, "-initrd", config->archive); /* commas and all, for a kernel with a PVH entry */
    if (config->cmdline[0])
        add_option(a, "-append", config->cmdline);
    if (config->paused)
        argument_add(a, "-S");
}

static void vmm_arguments(const struct machine_config *config, struct machine_info *info, struct arguments *a)
{
    add_option(a, "--name", config->name);
    add_option(a, "--kernel", config->kernel);
    if (config->archive[0])
        add_option(a, "--archive", config->archive);
    if (config->cmdline[0])
        add_option(a, "--append", config->cmdline);
    argument_add(a, "--ram-fd");
    argument_add(a, "%d", RAM_FD);
    argument_add(a, "--cpus");
    argument_add(a, "%u", config->cpus);
    add_option(a, "--qmp", info->qmp);
    add_option(a, "--control", info->control);
    add_option(a, "--serial", info->console);
    add_option(a, "--serial-log", info->serial);
    if (config->paused)
        argument_add(a, "--paused");
    info->gdb[0] = '\0';
}

enum err backend_arguments(const struct machine_config *config, struct machine_info *info, struct arguments *a)
{
    bool kvm = info->backend == MACHINE_KVM;
    char program[MACHINE_PATH_MAX];
    enum err e = kvm ? backend_program("DELIAS_VMM", "delias-vmm", program, sizeof program)
                     : backend_program("DELIAS_QEMU", "qemu-system-x86_64", program, sizeof program);

    if (e != ERR_OK)
        return e;
    argument_add(a, "%s", program);
    (kvm ? vmm_arguments : qemu_arguments)(config, info, a);
    add_extra(config->extra, a);
    return a->overflow ? machine_fail(ERR_INVALID, "machine %s: its arguments are too long", config->name) : ERR_OK;
}
