/* delias-vmm: runs one PVH kernel in one virtual machine on the KVM API, steered over QMP.
 * Leaves out finding, naming and detaching machines: `delias` does that (vmm/machine/). */
#include "guest/abi/arena.h"
#include "introspect/base/options.h"
#include "introspect/base/standard.h"
#include "introspect/base/version.h"
#include "vmm/brake.h"
#include "vmm/acpi.h"
#include "vmm/log.h"
#include "vmm/monitor.h"
#include "vmm/qmp.h"
#include "vmm/state.h"
#include "vmm/vmm.h"
#include "vmm/watchdog.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, DESCRIPTORS_MAX = 1 << 20, WATCHDOG_S = 60, WATCHDOG_S_MAX = 86400 };

struct options {
    const char *name, *kernel, *archive, *append, *qmp, *control, *serial, *serial_log;
    struct option_number ram_bytes, ram_fd, cpus, watchdog_s, serial_log_most;
    bool paused, no_reboot, help, version;
};

#define TEXT(name, member, value, help)                                                                                \
    {                                                                                                                  \
        name, 0, OPTION_TEXT, offsetof(struct options, member), value, help, 0, 0                                      \
    }
#define NUMBER(name, member, value, help, min, max)                                                                    \
    {                                                                                                                  \
        name, 0, OPTION_NUMBER, offsetof(struct options, member), value, help, min, max                                \
    }

#define SIZE(name, member, help)                                                                                       \
    {                                                                                                                  \
        name, 0, OPTION_SIZE, offsetof(struct options, member), "SIZE", help, 0, 0                                     \
    }

static const struct option_rule rules[] = {
    TEXT("kernel", kernel, "ELF", "the image, with a PVH entry point"),
    TEXT("archive", archive, "FILE", "passed to the guest as a module"),
    TEXT("append", append, "TEXT", "the guest's command line"),
    NUMBER("cpus", cpus, "N", "number of CPUs (default 2)", 1, VMM_CPUS_MAX),
    SIZE("ram", ram_bytes, "memory: bytes, or with K, M or G (default 64M)"),
    NUMBER("ram-fd", ram_fd, "N", "a descriptor of the memory, in place of that", 0, DESCRIPTORS_MAX),
    TEXT("qmp", qmp, "SOCKET", "where QMP is served"),
    TEXT("control", control, "SOCKET", "the same for another, who is not kept out by clients of that"),
    TEXT("serial", serial, "SOCKET", "where the serial line is served"),
    TEXT("serial-log", serial_log, "FILE", "gets what the guest prints"),
    SIZE("serial-log-most", serial_log_most,
         "that it does not exceed (default 16M): its older half goes;\n0: no limit"),
    NUMBER("watchdog", watchdog_s, "SECONDS", "reset a guest that has had no tick for so long (default 60); 0: never",
           0, WATCHDOG_S_MAX),
    TEXT("name", name, "NAME", "for messages"),
    {"paused", 0, OPTION_FLAG, offsetof(struct options, paused), NULL, "do not start the CPUs", 0, 0},
    {"no-reboot", 0, OPTION_FLAG, offsetof(struct options, no_reboot), NULL, "end where the guest would be reset", 0,
     0},
    {"help", 0, OPTION_FLAG, offsetof(struct options, help), NULL, "print this", 0, 0},
    {"version", 0, OPTION_FLAG, offsetof(struct options, version), NULL, "print what this is a version of", 0, 0},
    {0}};

/* The machine, and what the main thread serves. */
struct program {
    struct vmm vmm;
    struct qmp_server *qmp, *control;
    struct watchdog watchdog;
    struct brake brake;
    uint64_t reset_due_ms; /* a reset that the guest waits for; 0: none */
    int signal_fd;
    bool no_reboot, brake_said, done;
    int status;
};

static void print_usage(FILE *to)
{
    fputs("usage: delias-vmm --kernel ELF [OPTION ...]\n", to);
    for (const struct option_rule *rule = rules; rule->name; rule++)
        options_print(to, rule, "");
}

static bool parse_options(int argc, char **argv, struct options *o)
{
    char why[OPTIONS_WHY] = "--kernel is missing, or there is an operand";
    int operands;

    *o = (struct options){.name = "delias",
                          .ram_bytes.value = 64 << 20,
                          .cpus.value = 2,
                          .watchdog_s.value = WATCHDOG_S,
                          .serial_log_most.value = 16 << 20};
    if (options_parse(argc, argv, rules, OPTIONS_ANYWHERE, o, &operands, why) && operands == argc &&
        (o->kernel || o->help || o->version)) {
        if (!o->serial_log_most.value || o->serial_log_most.value >= SERIAL_LOG_LEAST)
            return true;
        snprintf(why, sizeof why, "--serial-log-most wants 0, or %d bytes at least", SERIAL_LOG_LEAST);
    }
    fprintf(stderr, "delias-vmm: %s\n", why);
    print_usage(stderr);
    return false;
}

/* ---- what QMP does ---- */

static void announce(struct program *p, const char *name, bool guest, const char *reason)
{
    qmp_server_event(p->qmp, name, guest, reason);
    qmp_server_event(p->control, name, guest, reason);
}

static const char *do_status(void *owner)
{
    static const char *const names[] = {[RUN_PRELAUNCH] = "prelaunch",
                                        [RUN_RUNNING] = "running",
                                        [RUN_PAUSED] = "paused",
                                        [RUN_BROKEN] = "internal-error"};
    return names[((struct program *)owner)->vmm.state];
}

static enum err do_stop(void *owner)
{
    struct program *p = owner;

    if (p->vmm.state == RUN_RUNNING) {
        vmm_pause(&p->vmm, RUN_PAUSED);
        announce(p, "STOP", false, NULL);
    }
    return ERR_OK;
}

static enum err reset(struct program *p, bool guest);

static enum err do_cont(void *owner)
{
    struct program *p = owner;

    if (p->vmm.state == RUN_BROKEN || (p->reset_due_ms && reset(p, true) != ERR_OK))
        return ERR_REFUSED;
    if (p->vmm.state != RUN_RUNNING) {
        vmm_resume(&p->vmm);
        announce(p, "RESUME", false, NULL);
    }
    return ERR_OK;
}

/* guest: it has reset itself, or has stood still for too long. Then memory is kept, and the fault log in it. */
static enum err reset(struct program *p, bool guest)
{
    enum err e = vmm_reset(&p->vmm, !guest);

    p->reset_due_ms = 0;
    if (e == ERR_OK)
        announce(p, "RESET", guest, guest ? "guest-reset" : "host-qmp-system-reset");
    return e;
}

static enum err do_reset(void *owner)
{
    return reset(owner, false);
}

static void shut_down(struct program *p, bool guest, const char *reason, int status)
{
    if (p->done)
        return;
    announce(p, "SHUTDOWN", guest, reason);
    p->done = true;
    p->status = status;
}

static enum err do_quit(void *owner)
{
    shut_down(owner, false, "host-qmp-quit", 0);
    return ERR_OK;
}

static json_t *do_query(void *owner, enum qmp_query query, const json_t *arguments)
{
    struct program *p = owner;

    if (query == QMP_POWERDOWN)
        announce(p, "POWERDOWN", false, NULL);
    return monitor_answer(&p->vmm, query, arguments);
}

/* QMP's text is of what was refused here, too. */
static enum err check_still(const struct program *p)
{
    if (p->vmm.state == RUN_RUNNING)
        return vmm_fail(ERR_REFUSED, "the machine runs; stop it first");
    return ERR_OK;
}

static enum err do_save(void *owner, const char *path)
{
    struct program *p = owner;
    enum err e = check_still(p);

    if (e == ERR_OK && (p->vmm.state == RUN_BROKEN || p->reset_due_ms))
        e = vmm_fail(ERR_REFUSED, "the guest waits for a reset");
    return e == ERR_OK ? state_save(&p->vmm, path) : e;
}

static enum err do_load(void *owner, const char *path)
{
    struct program *p = owner;
    bool begun = false;
    enum err e = check_still(p);

    if (e == ERR_OK)
        e = state_load(&p->vmm, path, &begun);
    if (begun) {
        p->reset_due_ms = 0;
        p->vmm.state = e == ERR_OK ? RUN_PAUSED : RUN_BROKEN;
    }
    return e;
}

/* ---- the main thread ---- */

static void sci(void *owner, bool level)
{
    vmm_set_irq(owner, ACPI_SCI_IRQ, level);
}

static void serial_irq(void *owner, bool level)
{
    vmm_set_irq(owner, SERIAL_IRQ, level);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The guest has reset itself, or stands still. */
static void reset_guest(struct program *p)
{
    if (p->no_reboot)
        shut_down(p, true, "guest-reset", 0);
    else if (reset(p, true) != ERR_OK)
        announce(p, "STOP", false, NULL);
}

/* Its vCPUs are parked until then. */
static void plan_reset(struct program *p)
{
    uint64_t now = now_ms();
    unsigned delay = p->no_reboot ? 0 : brake_reset(&p->brake, now);

    if (delay == 0)
        reset_guest(p);
    else if (p->reset_due_ms == 0)
        p->reset_due_ms = now + delay;
    if (delay && !p->brake_said)
        vmm_say("%s resets itself again and again: each reset waits, for up to a second", p->vmm.name);
    p->brake_said = delay > 0;
}

static void handle_request(struct program *p)
{
    int status;

    switch (vmm_take_request(&p->vmm, &status)) {
    case REQUEST_NONE:
        break;
    case REQUEST_RESET:
        plan_reset(p);
        break;
    case REQUEST_SHUTDOWN:
        shut_down(p, true, "guest-shutdown", status);
        break;
    case REQUEST_BROKEN:
        vmm_pause(&p->vmm, RUN_BROKEN);
        announce(p, "STOP", false, NULL);
        break;
    }
}

/* How long to wait for something to come; -1: for ever. */
static int wait_ms(const struct program *p, bool full)
{
    enum { FULL_QUEUE_MS = 20 };

    if (full)
        return FULL_QUEUE_MS;
    if (p->reset_due_ms) {
        uint64_t now = now_ms();
        return p->reset_due_ms > now ? (int)(p->reset_due_ms - now) : 0;
    }
    return p->vmm.state == RUN_RUNNING ? watchdog_wait_ms(&p->watchdog) : -1;
}

static void watch(struct program *p)
{
    if (p->reset_due_ms && now_ms() >= p->reset_due_ms)
        reset_guest(p);
    if (p->vmm.state != RUN_RUNNING) {
        watchdog_begin(&p->watchdog);
        return;
    }
    switch (watchdog_look(&p->watchdog, &p->vmm.ram, now_ms())) {
    case WATCHDOG_NOTHING:
        break;
    case WATCHDOG_NMI:
        vmm_nmi(&p->vmm, 0);
        break;
    case WATCHDOG_RESET:
        vmm_say("%s has had no tick for %llu s, and NMIs have not helped: it is reset; its last faults:", p->vmm.name,
                (unsigned long long)p->watchdog.limit_ms / 1000);
        watchdog_print_faults(&p->vmm.ram);
        reset_guest(p);
    }
}

/* One round of waiting for and serving whatever comes first. */
static void serve(struct program *p)
{
    struct pollfd fds[2 + SERIAL_POLL_MAX + 2 * QMP_POLL_MAX], *serial_fds = fds + 2;
    struct vmm *vmm = &p->vmm;

    fds[0] = (struct pollfd){.fd = vmm->wake_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = p->signal_fd, .events = POLLIN};
    vmm_lock_devices(vmm);
    size_t serial = serial_poll(&vmm->serial, serial_fds);
    bool full = vmm->serial.count == SERIAL_QUEUE;
    vmm_unlock_devices(vmm);
    struct pollfd *qmp_fds = serial_fds + serial;
    size_t qmp = qmp_server_poll(p->qmp, qmp_fds);
    struct pollfd *control_fds = qmp_fds + qmp;
    size_t control = qmp_server_poll(p->control, control_fds);
    if (poll(fds, 2 + serial + qmp + control, wait_ms(p, full)) <= 0)
        return;
    if (fds[0].revents)
        handle_request(p);
    if (fds[1].revents)
        shut_down(p, false, "host-signal", 0);
    vmm_lock_devices(vmm);
    serial_handle(&vmm->serial, serial_fds, serial);
    vmm_unlock_devices(vmm);
    qmp_server_handle(p->qmp, qmp_fds, qmp);
    qmp_server_handle(p->control, control_fds, control);
}

/* Before there are vCPUs. */
static UNCHECKED void print_machine(struct vmm *vmm, const struct options *o)
{
    vmm->name = o->name;
    vmm->cpus = (unsigned)o->cpus.value;
    vmm->hold = o->paused;
    vmm->state = o->paused ? RUN_PRELAUNCH : RUN_RUNNING;
    vmm->power = (struct power){.set_irq = sci, .owner = vmm};
}

/* From here on a signal is served by the main thread. Until then it ends the process, which has left nothing. */
static enum err take_signals(struct program *p)
{
    sigset_t ending;

    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGHUP);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    p->signal_fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
    return p->signal_fd >= 0 ? ERR_OK : vmm_fail(ERR_IO, "signalfd: %s", strerror(errno));
}

static enum err open_sockets(struct program *p, const struct options *o)
{
    struct qmp_machine machine = {p,        do_status, o->name,  do_stop, do_cont,
                                  do_reset, do_quit,   do_query, do_save, do_load};
    enum err e = serial_open(&p->vmm.serial, o->serial, o->serial_log, o->serial_log_most.value, serial_irq, &p->vmm);

    if (e == ERR_OK)
        e = qmp_server_new(o->control, &machine, &p->control);
    return e == ERR_OK ? qmp_server_new(o->qmp, &machine, &p->qmp) : e;
}

static enum err prepare(struct program *p, const struct options *o)
{
    struct vmm *vmm = &p->vmm;

    print_machine(vmm, o);
    p->no_reboot = o->no_reboot;
    p->watchdog.limit_ms = o->watchdog_s.value * 1000;
    signal(SIGPIPE, SIG_IGN);
    ram_report_bus_errors();
    enum err e = ram_init(&vmm->ram, o->ram_fd.given ? (int)o->ram_fd.value : -1, o->ram_bytes.value);
    if (e == ERR_OK)
        e = boot_open(&vmm->boot, o->kernel, o->archive, o->append, (unsigned)o->cpus.value, &vmm->ram);
    if (e == ERR_OK)
        e = vmm_create(vmm);
    if (e == ERR_OK)
        e = vmm_power_on(vmm, true);
    if (e == ERR_OK && o->paused)
        guest_time_stop(vmm);
    if (e == ERR_OK)
        e = take_signals(p);
    if (e == ERR_OK)
        e = open_sockets(p, o);
    return e == ERR_OK ? vmm_start_vcpus(vmm) : e;
}

int main(int argc, char **argv)
{
    static struct program program;
    struct options options;

    standard_open();
    if (!parse_options(argc, argv, &options))
        return EXIT_USAGE;
    if (options.help || options.version) {
        if (options.help)
            print_usage(stdout);
        else
            printf(VERSION_FORMAT, "delias-vmm", DELIAS_VERSION, ARENA_VERSION);
        return standard_finish("delias-vmm") ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    enum err e = prepare(&program, &options);
    while (e == ERR_OK && !program.done) {
        serve(&program);
        watch(&program);
    }
    vmm_stop_vcpus(&program.vmm); /* also where not all of them could be started */
    serial_close(&program.vmm.serial);
    qmp_server_free(program.qmp);
    qmp_server_free(program.control);
    vmm_done(&program.vmm);
    return e == ERR_OK ? program.status : EXIT_FAILURE;
}
