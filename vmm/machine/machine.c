/* See machine.h: the life of a machine. The run directory, the processes, the backends' arguments and QMP are in files
 * of their own. */
#include "vmm/machine/machine.h"
#include "introspect/base/clock.h"
#include "introspect/base/json.h"
#include "vmm/machine/error.h"
#include "vmm/machine/process.h"
#include "vmm/machine/qmp.h"
#include "vmm/machine/rundir.h"
#include "vmm/machine/inside.h"
#include "vmm/machine/snapshot_files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QMP_MS = 5000, START_MS = 20000, QUIT_MS = 3000 };

struct machine *machine_new(const struct machine_info *info)
{
    struct machine *m = malloc(sizeof *m);

    if (m)
        *m = (struct machine){.info = *info};
    return m;
}

void machine_close(struct machine *machine)
{
    if (!machine)
        return;
    machine_unlock(machine);
    domain_close(machine->domain);
    free(machine);
}

const struct machine_info *machine_info(const struct machine *machine)
{
    return &machine->info;
}

bool machine_is_alive(const struct machine *machine)
{
    return process_is(machine->info.pid, machine->info.started);
}

/* ---- starting ---- */

static enum err check_kernel(const char *path)
{
    static const unsigned char elf64[5] = {0x7f, 'E', 'L', 'F', 2};
    unsigned char head[20];
    OWN(descriptor) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);

    if (n < 0)
        return machine_fail(ERR_NOT_FOUND, "kernel %s: %s; 'make all' builds one", path, strerror(errno));
    if (n < (ssize_t)sizeof head || memcmp(head, elf64, sizeof elf64) != 0 || head[18] != 62 || head[19] != 0)
        return machine_fail(ERR_NOT_ELF, "kernel %s: not an x86-64 ELF file; 'make all' builds one", path);
    return ERR_OK;
}

static enum err check_archive(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0 || access(path, R_OK) != 0)
        return machine_fail(ERR_NOT_FOUND, "archive %s: %s; 'make all' builds one", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return machine_fail(ERR_INVALID, "archive %s: not a file with cells; 'make all' builds one", path);
    return ERR_OK;
}

enum err machine_check_ram(uint64_t bytes)
{
    enum { LEAST = 16 << 20, GIB_MAX = 64 };

    if (bytes < LEAST || bytes % 4096 != 0 || bytes > (uint64_t)GIB_MAX << 30)
        return machine_fail(ERR_INVALID, "%llu bytes of RAM; 16M to %dG in whole pages can be had",
                            (unsigned long long)bytes, GIB_MAX);
    return ERR_OK;
}

static enum err check_config(const struct machine_config *c)
{
    enum err e = rundir_check_name(c->name);

    if (e != ERR_OK)
        return e;
    if (c->cpus < 1 || c->cpus > MACHINE_CPUS_MAX)
        return machine_fail(ERR_INVALID, "machine %s: cpus is %u; 1 to %d can be had", c->name, c->cpus,
                            MACHINE_CPUS_MAX);
    e = machine_check_ram(c->ram_bytes);
    if (e != ERR_OK)
        return e;
    if (!c->kernel[0])
        return machine_fail(ERR_INVALID, "machine %s: names no kernel", c->name);
    e = check_kernel(c->kernel);
    return e == ERR_OK && c->archive[0] ? check_archive(c->archive) : e;
}

static enum err choose_backend(const struct machine_config *c, struct machine_info *info)
{
    char why[sizeof info->why - 64];

    if (c->connect[0]) {
        info->backend = MACHINE_LIBVIRT;
        return ERR_OK;
    }
    if (c->backend == MACHINE_KVM && !backend_kvm_opens(why, sizeof why))
        return machine_fail(ERR_UNSUPPORTED, "machine %s: no KVM: %s; try --accel auto or tcg", c->name, why);
    if (c->backend == MACHINE_KVM && c->icount)
        return machine_fail(ERR_UNSUPPORTED, "machine %s: icount needs --accel tcg", c->name);
    if (c->backend != MACHINE_AUTO) {
        info->backend = c->backend;
        snprintf(info->why, sizeof info->why, "%s was asked for", machine_backend_name(c->backend));
    } else {
        enum machine_backend can = machine_probe(why, sizeof why);
        info->backend = c->icount ? MACHINE_TCG : can;
        snprintf(info->why, sizeof info->why, "%s", c->icount ? "icount needs tcg" : why);
    }
    return ERR_OK;
}

/* Makes the folder, clearing away what an ended machine left. The caller holds the lock of its name. */
enum err machine_claim_folder(const struct machine_info *info)
{
    struct machine_info old;

    bool known = machine_read(info->name, &old) == ERR_OK;

    if (known && process_is(old.pid, old.started))
        return machine_fail(ERR_EXISTS,
                            "machine '%s' runs already (pid %d); 'delias stop %s' ends it, --name starts another",
                            info->name, old.pid, info->name);
    if (known && old.connect[0] && !old.attached) /* its definition would be in the way */
        (void)!machine_end_domain(&old);
    enum err e = rundir_remove(info);
    if (e == ERR_OK && mkdir(info->folder, 0700) != 0)
        e = machine_fail(ERR_IO, "%s: %s", info->folder, strerror(errno));
    return e;
}

/* The last line that the hypervisor printed, for the message of a failed start. */
static void last_line(const char *path, char *line, size_t bytes)
{
    char text[512];
    OWN(file) FILE *f = fopen(path, "re");

    line[0] = '\0';
    while (f && fgets(text, sizeof text, f))
        snprintf(line, bytes, "%.*s", (int)strcspn(text, "\n"), text);
}

/* A machine is up when its QMP answers, and not that of another one, which has its name by now. */
static enum err await_start(struct machine_info *info)
{
    char line[400];

    for (int64_t deadline = clock_ms() + START_MS; clock_ms() < deadline;) {
        OWN(qmp) struct qmp *qmp = NULL;
        if (access(info->control, F_OK) == 0 && qmp_open(info->control, info->pid, QMP_MS, &qmp) == ERR_OK)
            return ERR_OK;
        if (!process_is(info->pid, info->started)) {
            last_line(info->log, line, sizeof line);
            return machine_fail(ERR_INIT_FAILED, "machine %s did not start with kernel %s: %s", info->name,
                                info->kernel, line[0] ? line : "it ended at once, and said nothing");
        }
        usleep(5000);
    }
    return machine_fail(ERR_TIMEOUT, "machine %s did not answer within %d s; see %s", info->name, START_MS / 1000,
                        info->log);
}

static enum err launch(const struct machine_config *config, struct machine_info *info, struct arguments *a)
{
    OWN(descriptor) int gate = -1;
    OWN(descriptor) int ram = process_ram(info->name, config->ram_bytes);

    if (ram < 0)
        return ERR_NOMEM;
    enum err e = process_spawn(a, ram, info, &gate);
    if (e == ERR_OK)
        e = rundir_write(info);
    if (e == ERR_OK)
        process_release(gate);
    return e;
}

/* Under the lock of its name. */
static enum err claim_and_launch(const struct machine_config *config, struct machine_info *info)
{
    OWN(memory) struct arguments *a = calloc(1, sizeof *a);
    OWN(descriptor) int lock = rundir_lock(info->name);

    if (lock < 0)
        return ERR_IO;
    if (!a)
        return machine_fail(ERR_NOMEM, "out of memory");
    bool domain = info->backend == MACHINE_LIBVIRT;
    enum err e = domain ? ERR_OK : backend_arguments(config, info, a);
    if (e == ERR_OK)
        e = machine_claim_folder(info);
    if (e != ERR_OK)
        return e;
    e = domain ? machine_launch_domain(config, info) : launch(config, info, a);
    if (e != ERR_OK)
        rundir_clear(info);
    return e;
}

/* Whether the folder is this machine's. The caller holds the lock of its name. */
static enum err check_place(const struct machine_info *info)
{
    struct machine_info now;

    if (rundir_read(info->name, &now) != ERR_OK)
        return machine_fail(ERR_NOT_RUNNING, "machine '%s' (pid %d) was stopped by another program", info->name,
                            info->pid);
    if (now.pid != info->pid || now.started != info->started)
        return machine_fail(ERR_EXISTS,
                            "machine '%s' (pid %d) was stopped by another program, and pid %d has the name now",
                            info->name, info->pid, now.pid);
    return ERR_OK;
}

/* After a failure: who was stopped or overtaken meanwhile says so, and clears nothing. */
static enum err take_back(const struct machine_info *info, enum err failure)
{
    char why[600];

    snprintf(why, sizeof why, "%s", machine_last_error());
    process_kill(info);
    OWN(descriptor) int lock = rundir_lock(info->name);
    enum err e = lock < 0 ? ERR_BUSY : check_place(info);
    if (e != ERR_OK)
        return e;
    rundir_clear(info);
    return machine_fail(failure, "%s", why);
}

enum err machine_start(const struct machine_config *config, struct machine **ret_machine)
{
    struct machine_info info = {.cpus = config->cpus, .ram_bytes = config->ram_bytes};
    enum err e = check_config(config);

    if (e == ERR_OK)
        e = choose_backend(config, &info);
    if (e != ERR_OK)
        return e;
    strcpy(info.name, config->name);
    strcpy(info.state, config->paused ? "paused" : "running");
    if (!realpath(config->kernel, info.kernel) || (config->archive[0] && !realpath(config->archive, info.archive)))
        return machine_fail(ERR_IO, "%s: %s", config->kernel, strerror(errno));
    e = rundir_fill_paths(&info);
    if (e != ERR_OK)
        return e;
    e = claim_and_launch(config, &info);
    if (e != ERR_OK)
        return e;
    e = info.connect[0] ? ERR_OK : await_start(&info); /* libvirt has waited for it */
    if (e != ERR_OK)
        return take_back(&info, e);
    *ret_machine = machine_new(&info);
    return *ret_machine ? ERR_OK : machine_fail(ERR_NOMEM, "out of memory");
}

/* ---- finding ---- */

static enum err has_ended(enum err code, const struct machine_info *info)
{
    return machine_fail(code, "machine '%s' has ended%s%s", info->name,
                        info->serial[0] ? "; its last words are in " : "", info->serial);
}

enum err machine_open(const char *name, struct machine **ret_machine)
{
    struct machine_info info;
    enum err e = machine_read(name, &info);

    if (e != ERR_OK)
        return e;
    if (!process_is(info.pid, info.started))
        return has_ended(ERR_NOT_FOUND, &info);
    strcpy(info.state, "running");
    struct machine *m = machine_new(&info);
    if (!m)
        return machine_fail(ERR_NOMEM, "out of memory");
    *ret_machine = m;
    return ERR_OK;
}

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

static const char *state_of_process(const struct machine_info *info)
{
    if (!process_is(info->pid, info->started))
        return "dead";
    return process_is_stopped(info->pid, info->started) ? "stopped" : "running";
}

enum err machine_list(struct machine_info **ret_infos, size_t *ret_count)
{
    char path[MACHINE_PATH_MAX];
    OWN(memory) struct machine_info *infos = NULL;
    size_t count = 0;
    enum err e = rundir_path(path, sizeof path);
    CLOSED_BY(close_folder) DIR *folder = e == ERR_OK ? opendir(path) : NULL;

    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        struct machine_info info, *more;
        if (entry->d_name[0] == '.' || machine_read(entry->d_name, &info) != ERR_OK)
            continue;
        more = realloc(infos, (count + 1) * sizeof *infos);
        if (!more)
            return machine_fail(ERR_NOMEM, "out of memory");
        infos = more;
        strcpy(info.state, state_of_process(&info));
        infos[count++] = info;
    }
    if (e != ERR_OK)
        return e;
    *ret_infos = MOVE(infos);
    *ret_count = count;
    return ERR_OK;
}

/* A thread for each machine that may answer. */
static void *ask_state(void *argument)
{
    struct machine_info *info = argument;
    struct machine probe = {.info = *info};

    if (machine_refresh(&probe) == ERR_OK)
        strcpy(info->state, probe.info.state);
    else if (strcmp(state_of_process(info), "running") == 0)
        strcpy(info->state, "silent");
    else
        strcpy(info->state, state_of_process(info));
    domain_close(probe.domain);
    return NULL;
}

void machine_ask_states(struct machine_info *infos, size_t count)
{
    OWN(memory) pthread_t *thread = calloc(count ? count : 1, sizeof *thread);

    for (size_t i = 0; i < count; i++) {
        bool asked = strcmp(infos[i].state, "running") == 0;
        if (asked && (!thread || pthread_create(&thread[i], NULL, ask_state, &infos[i]) != 0)) {
            ask_state(&infos[i]);
            asked = false;
        }
        if (thread && !asked)
            thread[i] = 0;
    }
    for (size_t i = 0; thread && i < count; i++)
        if (thread[i])
            pthread_join(thread[i], NULL);
}

/* ---- steering ---- */

static enum err run_qmp_command(struct machine *m, const char *name, json_t **ret_value)
{
    OWN(qmp) struct qmp *qmp = NULL;

    if (!machine_is_alive(m))
        return has_ended(ERR_NOT_RUNNING, &m->info);
    if (process_is_stopped(m->info.pid, m->info.started))
        return machine_fail(ERR_BUSY, "machine '%s' is stopped by a signal; 'kill -CONT %d' lets it go on",
                            m->info.name, m->info.pid);
    if (m->info.connect[0]) {
        struct domain *domain;
        enum err e = machine_domain(m, &domain);
        return e == ERR_OK ? domain_qmp(domain, name, NULL, ret_value) : e;
    }
    enum err e = qmp_open(m->info.control, m->info.pid, QMP_MS, &qmp);
    return e == ERR_OK ? qmp_command(qmp, name, NULL, QMP_MS, ret_value) : e;
}

enum err machine_refresh(struct machine *machine)
{
    OWN(json) json_t *value = NULL;
    enum err e = run_qmp_command(machine, "query-status", &value);

    if (e != ERR_OK)
        return e;
    const char *status = json_string_value(json_object_get(value, "status"));
    /* QEMU calls a machine that is reset while paused as it calls one that has not begun. */
    if (status && strcmp(status, "prelaunch") == 0)
        status = "paused";
    snprintf(machine->info.state, sizeof machine->info.state, "%s", status ? status : "unknown");
    return ERR_OK;
}

enum err machine_check_debugger(struct machine *machine)
{
    OWN(json) json_t *devices = NULL;
    json_t *device;
    bool attached = false, served = false;
    size_t i;
    enum err e = machine->info.gdb[0] ? run_qmp_command(machine, "query-chardev", &devices) : ERR_OK;

    if (e != ERR_OK)
        return e;
    json_array_foreach(devices, i, device)
    {
        const char *label = json_string_value(json_object_get(device, "label"));
        const char *peer = json_string_value(json_object_get(device, "filename"));
        served = served || (label && strcmp(label, "gdb") == 0);
        attached = attached || (label && peer && strcmp(label, "gdb") == 0 && !strstr(peer, "disconnected:"));
    }
    if (machine->info.connect[0] && machine->info.gdb[0] && !served)
        return machine_renew_stub(machine);
    return attached ? machine_fail(ERR_BUSY, "%s: a debugger is attached; detach it", machine->info.gdb) : ERR_OK;
}

enum err machine_pause(struct machine *machine)
{
    return machine->info.connect[0] ? machine_steer_domain(machine, false) : run_qmp_command(machine, "stop", NULL);
}

enum err machine_resume(struct machine *machine)
{
    return machine->info.connect[0] ? machine_steer_domain(machine, true) : run_qmp_command(machine, "cont", NULL);
}

/* But for the first MiB, which is the firmware's: its copy of itself is there, which the chipset maps in place of the
 * ROM also after a reset, and the vector that a CPU may need before it (LAYOUT_REAL_NMI_PHYS). */
static enum err clear_ram(const struct machine_info *info)
{
    enum { FIRMWARE_END = 0x100000, HOLE = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };
    OWN(descriptor) int fd = open(info->ram_file, O_RDWR | O_CLOEXEC);

    if (fd < 0 || fallocate(fd, HOLE, FIRMWARE_END, (off_t)info->ram_bytes - FIRMWARE_END) != 0)
        return machine_fail(ERR_IO, "%s: %s", info->ram_file, strerror(errno));
    return ERR_OK;
}

/* QEMU leaves RAM as it is: it is cleared here, while no CPU runs. delias-vmm does that itself. */
static enum err reset_qemu(struct machine *machine)
{
    enum err e = machine_refresh(machine);
    bool running = strcmp(machine->info.state, "running") == 0;

    if (e == ERR_OK)
        e = machine_pause(machine);
    if (e != ERR_OK)
        return e;
    if (machine->info.ram_file[0]) /* of a domain without shared memory, it stays */
        e = clear_ram(&machine->info);
    if (e == ERR_OK)
        e = machine->domain ? domain_reset(machine->domain) : run_qmp_command(machine, "system_reset", NULL);
    return e == ERR_OK && running ? machine_resume(machine) : e;
}

enum err machine_reset(struct machine *machine)
{
    snapshot_files_clear_current(&machine->info);
    return machine->info.backend == MACHINE_KVM ? run_qmp_command(machine, "system_reset", NULL) : reset_qemu(machine);
}

/* The answer may be lost with the machine: what counts is that it ends. */
static bool ask_to_quit(const struct machine_info *info)
{
    OWN(qmp) struct qmp *qmp = NULL;

    if (process_is_stopped(info->pid, info->started) || qmp_open(info->control, info->pid, 1000, &qmp) != ERR_OK)
        return false;
    enum err ignored = qmp_command(qmp, "quit", NULL, 1000, NULL);
    (void)ignored;
    return true;
}

static enum err end_process(const struct machine_info *info)
{
    if (info->connect[0])
        return machine_end_domain(info);
    if (!process_is(info->pid, info->started))
        return ERR_OK;
    if (!ask_to_quit(info) || process_wait(info, QUIT_MS, NULL) != ERR_OK)
        process_kill(info);
    return process_is(info->pid, info->started)
               ? machine_fail(ERR_BUSY, "machine %s: pid %d can't be killed", info->name, info->pid)
               : ERR_OK;
}

enum err machine_stop(const char *name)
{
    struct machine_info info = {0};
    OWN(descriptor) int lock = rundir_lock(name);

    if (lock < 0)
        return ERR_IO;
    enum err e = machine_read(name, &info);
    if (e == ERR_OK) {
        e = end_process(&info);
    } else if (info.name[0] == '\0' && rundir_check_name(name) == ERR_OK) {
        /* A folder without a readable description has no machine: whoever made it died before starting one. */
        strcpy(info.name, name);
        bool left = rundir_fill_paths(&info) == ERR_OK && access(info.folder, F_OK) == 0;
        e = left ? ERR_OK : machine_fail(ERR_NOT_FOUND, "no machine '%s'; 'delias ps' lists them", name);
    }
    if (e == ERR_OK)
        e = rundir_remove(&info);
    return e;
}

enum err machine_check_place(const struct machine *machine)
{
    OWN(descriptor) int lock = rundir_lock(machine->info.name);

    return lock < 0 ? ERR_IO : check_place(&machine->info);
}

enum err machine_end(struct machine *machine)
{
    OWN(descriptor) int lock = rundir_lock(machine->info.name);
    enum err e = lock < 0 ? ERR_IO : check_place(&machine->info);

    if (e == ERR_OK)
        e = end_process(&machine->info);
    if (e == ERR_OK)
        e = rundir_remove(&machine->info);
    return e;
}

enum err machine_wait(struct machine *machine, int timeout_ms, int *ret_status)
{
    return process_wait(&machine->info, timeout_ms, ret_status);
}

/* ---- the request lock ---- */

enum err machine_lock(struct machine *machine, int timeout_ms, int keep_ms)
{
    char path[MACHINE_PATH_MAX + 8];

    if (machine_has_lock(machine))
        return ERR_OK;
    machine_unlock(machine);
    snprintf(path, sizeof path, "%s/lock", machine->info.folder);
    enum err e = fair_lock_take(path, timeout_ms, keep_ms, &machine->lock);
    if (e == ERR_BUSY)
        return machine_fail(e,
                            "machine '%s' is busy with requests of other programs; try again, or give it longer with "
                            "--timeout",
                            machine->info.name);
    return e;
}

bool machine_has_lock(const struct machine *machine)
{
    return fair_lock_is_held(&machine->lock);
}

struct fence machine_fence(const struct machine *machine)
{
    return fair_lock_fence(&machine->lock);
}

void machine_unlock(struct machine *machine)
{
    fair_lock_release(&machine->lock);
}
