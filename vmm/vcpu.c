/* One vCPU: its thread, its way through KVM_RUN, and its state at power-on. */
#include "vmm/log.h"
#include "vmm/report.h"
#include "vmm/vmm.h"
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { KICK = SIGUSR1 };

static _Thread_local struct kvm_run *current_run;

static void on_kick_signal(int signal)
{
    (void)signal;
    if (current_run)
        __atomic_store_n(&current_run->immediate_exit, 1, __ATOMIC_RELEASE);
}

void vcpu_kick(struct vcpu *cpu)
{
    pthread_kill(cpu->thread, KICK);
}

/* ---- state ---- */

/* In the order in which they are set: SREGS holds the APIC's base, the LAPIC's page comes after it. */
static const struct {
    unsigned long get, set;
    size_t offset;
    const char *name;
} parts[] = {
    {KVM_GET_REGS, KVM_SET_REGS, offsetof(struct vcpu_state, regs), "registers"},
    {KVM_GET_XSAVE, KVM_SET_XSAVE, offsetof(struct vcpu_state, xsave), "XSAVE area"},
    {KVM_GET_SREGS, KVM_SET_SREGS, offsetof(struct vcpu_state, sregs), "system registers"},
    {KVM_GET_XCRS, KVM_SET_XCRS, offsetof(struct vcpu_state, xcrs), "XCRs"},
    {KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, offsetof(struct vcpu_state, events), "pending events"},
    {KVM_GET_LAPIC, KVM_SET_LAPIC, offsetof(struct vcpu_state, lapic), "LAPIC"},
    {KVM_GET_MP_STATE, KVM_SET_MP_STATE, offsetof(struct vcpu_state, mp), "MP state"},
    {KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, offsetof(struct vcpu_state, debug), "debug registers"},
};

/* All but MSRs. */
static enum err get_parts(const struct vcpu *cpu, struct vcpu_state *s)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (ioctl(cpu->fd, parts[i].get, (char *)s + parts[i].offset) != 0)
            return vmm_fail(ERR_IO, "vCPU %u: %s: %s", cpu->id, parts[i].name, strerror(errno));
    return ERR_OK;
}

static enum err save_initial(const struct vmm *vmm, struct vcpu *cpu, unsigned address_bits)
{
    enum err e = get_parts(cpu, &cpu->initial);

    if (e != ERR_OK)
        return e;
    cpu->initial.msrs = vmm->msrs;
    e = msrs_read(&cpu->initial.msrs, cpu->fd, msrs_ioctl);
    if (e == ERR_OK)
        msrs_power_on(&cpu->initial.msrs, cpu->fd, address_bits, msrs_ioctl);
    return e;
}

/* As the PVH ABI has it: 32-bit protected mode, flat segments, EBX the start info. */
static void set_entry(struct vcpu_state *s, gpa_t entry)
{
    struct kvm_segment code = {.limit = ~0U, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1};
    struct kvm_segment data = {.limit = ~0U, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1};
    struct kvm_segment task = {.limit = 0x67, .type = 11, .present = 1};

    s->sregs.cs = code;
    s->sregs.ds = s->sregs.es = s->sregs.fs = s->sregs.gs = s->sregs.ss = data;
    s->sregs.tr = task;
    s->sregs.cr0 = 0x11; /* PE, ET */
    s->sregs.cr4 = s->sregs.efer = 0;
    s->regs = (struct kvm_regs){.rip = entry.value, .rbx = BOOT_INFO, .rflags = 2};
    s->mp.mp_state = KVM_MP_STATE_RUNNABLE;
}

enum err vcpu_finish(struct vcpu *cpu)
{
    enum { PARTS_MAX = 16 }; /* an access is split where it crosses a page, and into eight bytes each */
    struct kvm_regs regs;

    /* A repeated instruction would go on to its next access: without a count it ends. */
    if (ioctl(cpu->fd, KVM_GET_REGS, &regs) != 0)
        return vmm_fail(ERR_IO, "vCPU %u: registers: %s", cpu->id, strerror(errno));
    regs.rcx = 0;
    if (ioctl(cpu->fd, KVM_SET_REGS, &regs) != 0)
        return vmm_fail(ERR_IO, "vCPU %u: registers: %s", cpu->id, strerror(errno));
    cpu->run->immediate_exit = 1;
    for (int i = 0; i < PARTS_MAX && ioctl(cpu->fd, KVM_RUN, 0) == 0; i++)
        ;
    return ERR_OK;
}

enum err vcpu_read(const struct vcpu *cpu, struct vcpu_state *ret_state)
{
    static const uint32_t running[] = {MSR_TSC_DEADLINE, 0x40000010, 0x40000020};
    enum err e = get_parts(cpu, ret_state);

    ret_state->msrs = cpu->initial.msrs;
    if (e == ERR_OK)
        e = msrs_get(&ret_state->msrs, cpu->fd, msrs_ioctl);
    /* What does not stand still: guest_time.c has the timers, and nobody is offered Hyper-V's clocks. */
    for (size_t i = 0; i < sizeof running / sizeof *running; i++)
        msrs_set(&ret_state->msrs, running[i], 0);
    memcpy(ret_state->lapic.regs + LAPIC_TIMER_COUNT, &cpu->timer_count, sizeof cpu->timer_count);
    return e;
}

enum err vcpu_write(const struct vcpu *cpu, const struct vcpu_state *state)
{
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (ioctl(cpu->fd, parts[i].set, (const char *)state + parts[i].offset) != 0)
            return vmm_fail(ERR_IO, "vCPU %u: %s: %s", cpu->id, parts[i].name, strerror(errno));
    return msrs_write(&state->msrs, cpu->fd, msrs_ioctl);
}

enum err vcpu_power_on(struct vcpu *cpu)
{
    struct vcpu_state s = cpu->initial;

    if (cpu->id == 0)
        set_entry(&s, cpu->vmm->boot.plan.entry);
    return vcpu_write(cpu, &s);
}

/* ---- running ---- */

static void handle_io(struct vcpu *cpu)
{
    struct kvm_run *run = cpu->run;
    uint64_t bytes = (uint64_t)run->io.size * run->io.count;

    if (run->io.data_offset > cpu->vmm->run_bytes || bytes > cpu->vmm->run_bytes - run->io.data_offset)
        return;
    ports_access(cpu->vmm, run->io.direction == KVM_EXIT_IO_OUT, run->io.port, run->io.size, run->io.count,
                 (unsigned char *)run + run->io.data_offset);
}

static void report_unknown_exit(struct vcpu *cpu)
{
    char why[REPORT_WHY];

    report_exit(cpu->run, why);
    report_vcpu(cpu, "KVM gave up", why, "; the machine waits for a reset");
}

/* The first ones: a guest may go on doing it. */
static void report_triple_fault(struct vcpu *cpu)
{
    enum { MOST = 8, PROTECTED = 1 };
    static atomic_uint reports;

    struct kvm_sregs sregs = {0};

    if (atomic_fetch_add(&reports, 1) >= MOST)
        return;
    ioctl(cpu->fd, KVM_GET_SREGS, &sregs);
    if (sregs.cr0 & PROTECTED)
        report_vcpu(cpu, "triple fault", "an exception while a double fault was delivered", "");
    else /* of AMD's processors KVM has reset the vCPU by now */
        vmm_say("vCPU %u: triple fault, of which KVM has kept no registers", cpu->id);
}

/* KVM emulates each access to its chips, and reads the instruction from memory for that. What it reads may be in the
 * middle of being changed by another vCPU, which the processor itself would not have noticed: it is entered again. */
static bool emulation_may_succeed(struct vcpu *cpu)
{
    enum { EMULATIONS_MAX = 10 };

    return cpu->vmm->emulation_repeats && cpu->run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
           cpu->run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && ++cpu->failed_emulations < EMULATIONS_MAX;
}

static void handle_exit(struct vcpu *cpu)
{
    struct kvm_run *run = cpu->run;

    if (emulation_may_succeed(cpu))
        return;
    cpu->failed_emulations = 0;
    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        handle_io(cpu);
        break;
    case KVM_EXIT_MMIO: /* nothing there: as on a bus, reads give ones */
        if (!run->mmio.is_write)
            memset(run->mmio.data, 0xff, sizeof run->mmio.data);
        break;
    case KVM_EXIT_SHUTDOWN:
        report_triple_fault(cpu);
        vmm_request(cpu->vmm, REQUEST_RESET, 0);
        break;
    case KVM_EXIT_INTR:
    case KVM_EXIT_HLT:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        break;
    default:
        report_unknown_exit(cpu);
        vmm_request(cpu->vmm, REQUEST_BROKEN, 0);
    }
}

/* Through KVM_RUN, and what the exit is for. */
static void run_once(struct vcpu *cpu)
{
    uint64_t entered = stats_now_ns();
    int failed = ioctl(cpu->fd, KVM_RUN, 0) == 0 ? 0 : errno;
    uint64_t left = stats_now_ns();
    enum stats_exit exit = failed ? STATS_EXIT_intr : stats_exit_of(cpu->run->exit_reason);

    if (!failed) {
        handle_exit(cpu);
    } else if (failed != EINTR && failed != EAGAIN) {
        /* EAGAIN: an application processor that waits for its start. */
        const char *why = failed == EFAULT ? "the host gives no memory for guest RAM" : strerror(failed);
        report_vcpu(cpu, "KVM_RUN failed", why, "; the machine waits for a reset");
        vmm_request(cpu->vmm, REQUEST_BROKEN, 0);
    }
    stats_count(&cpu->stats, exit, entered, left, stats_now_ns());
}

enum err vcpu_complete(struct vcpu *cpu)
{
    enum { STEPS_MAX = 100000 }; /* KVM goes back into the guest now and then, and so ends much earlier */

    cpu->run->immediate_exit = 1;
    for (int i = 0; i < STEPS_MAX; i++) {
        if (ioctl(cpu->fd, KVM_RUN, 0) == 0)
            handle_exit(cpu);
        else if (errno == EINTR || errno == EAGAIN)
            return ERR_OK;
        else
            return vmm_fail(ERR_IO, "vCPU %u: KVM_RUN: %s", cpu->id, strerror(errno));
    }
    return vmm_fail(ERR_BUSY, "vCPU %u: an access to a device does not end", cpu->id);
}

static void *run_thread(void *argument)
{
    struct vcpu *cpu = argument;

    current_run = cpu->run;
    __atomic_store_n(&cpu->tid, gettid(), __ATOMIC_RELAXED);
    while (vmm_may_run(cpu))
        run_once(cpu);
    return NULL;
}

enum err vcpu_start(struct vcpu *cpu)
{
    enum { STACK_BYTES = 256 << 10 };
    struct sigaction kick = {.sa_handler = on_kick_signal};
    pthread_attr_t attributes;

    sigaction(KICK, &kick, NULL);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    cpu->started = pthread_create(&cpu->thread, &attributes, run_thread, cpu) == 0;
    pthread_attr_destroy(&attributes);
    return cpu->started ? ERR_OK : vmm_fail(ERR_NOMEM, "vCPU %u: no thread for it", cpu->id);
}

/* ---- creation ---- */

enum err vcpu_new(struct vmm *vmm, unsigned id, struct vcpu **ret_cpu)
{
    OWN(vcpu) struct vcpu *cpu = calloc(1, sizeof *cpu);

    if (!cpu)
        return vmm_fail(ERR_NOMEM, "vCPU %u: out of memory", id);
    *cpu = (struct vcpu){.vmm = vmm, .id = id, .run = MAP_FAILED};
    cpu->fd = ioctl(vmm->vm_fd, KVM_CREATE_VCPU, (unsigned long)id);
    if (cpu->fd >= 0)
        cpu->run = mmap(NULL, vmm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
    if (cpu->run == MAP_FAILED)
        return vmm_fail(ERR_IO, "KVM_CREATE_VCPU %u: %s", id, strerror(errno));
    unsigned address_bits;
    enum err e = cpuid_set(vmm, cpu, &address_bits);
    if (e == ERR_OK && ram_high(&vmm->ram) && (RAM_HIGH_AT + ram_high(&vmm->ram)) >> address_bits)
        e = vmm_fail(ERR_RANGE, "RAM of %llu bytes: the processor has addresses of %u bits only",
                     (unsigned long long)vmm->ram.bytes, address_bits);
    if (e == ERR_OK)
        e = save_initial(vmm, cpu, address_bits);
    if (e == ERR_OK)
        *ret_cpu = MOVE(cpu);
    return e;
}

void vcpu_free(struct vcpu *cpu)
{
    if (!cpu)
        return;
    if (cpu->run != MAP_FAILED)
        munmap(cpu->run, cpu->vmm->run_bytes);
    if (cpu->fd >= 0)
        close(cpu->fd);
    free(cpu);
}
