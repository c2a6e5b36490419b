/* The guest's clocks: the TSC, KVM's clock, and the timers of the PIT and the local APICs. They are moved on all vCPUs
 * by the same distance. The CMOS clock tells the host's time of day, and is left alone. */
#include "vmm/log.h"
#include "vmm/vmm.h"
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

enum { TSC = 0x10, TSC_ADJUST = 0x3b };

static bool get_msr(const struct vcpu *cpu, uint32_t index, uint64_t *ret_value)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } one = {.head.nmsrs = 1, .entry.index = index};
    bool done = ioctl(cpu->fd, KVM_GET_MSRS, &one) == 1;

    if (done)
        *ret_value = one.entry.data;
    return done;
}

static void set_msr(const struct vcpu *cpu, uint32_t index, uint64_t value)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } one = {.head.nmsrs = 1, .entry = {.index = index, .data = value}};

    if (ioctl(cpu->fd, KVM_SET_MSRS, &one) != 1)
        vmm_say("vCPU %u: MSR %#x: %s", cpu->id, index, strerror(errno));
}

static bool tsc_offset(const struct vcpu *cpu, unsigned long request, uint64_t *offset)
{
    struct kvm_device_attr attribute = {
        .group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET, .addr = (uintptr_t)offset};

    return ioctl(cpu->fd, request, &attribute) == 0;
}

/* What is between the guest's TSC and the host's, and so can be set exactly: KVM takes a value for the TSC itself as
 * meant to equal another vCPU's, where the two are close. */
void guest_time_init(struct vmm *vmm)
{
    uint64_t offset;

    vmm->tsc_can_move = tsc_offset(vmm->cpu[0], KVM_GET_DEVICE_ATTR, &offset);
    for (unsigned c = 0; vmm->tsc_can_move && c < vmm->cpus; c++)
        msrs_drop(&vmm->cpu[c]->initial.msrs, TSC);
}

static enum err set_clock(struct vmm *vmm, uint64_t ns)
{
    struct kvm_clock_data clock = {.clock = ns};

    return ioctl(vmm->vm_fd, KVM_SET_CLOCK, &clock) == 0 ? ERR_OK
                                                         : vmm_fail(ERR_IO, "KVM_SET_CLOCK: %s", strerror(errno));
}

enum err guest_time_power_on(struct vmm *vmm)
{
    uint64_t offset = 0, now = 0;

    vmm->time_stopped = false;
    if (vmm->tsc_can_move &&
        (!tsc_offset(vmm->cpu[0], KVM_GET_DEVICE_ATTR, &offset) || !get_msr(vmm->cpu[0], TSC, &now)))
        return vmm_fail(ERR_IO, "vCPU 0: no TSC: %s", strerror(errno));
    offset -= now;
    for (unsigned c = 0; vmm->tsc_can_move && c < vmm->cpus; c++)
        if (!tsc_offset(vmm->cpu[c], KVM_SET_DEVICE_ATTR, &offset))
            return vmm_fail(ERR_IO, "vCPU %u: offset of the TSC: %s", c, strerror(errno));
    return set_clock(vmm, 0);
}

/* ---- stopped ---- */

/* A channel in mode 5 waits for an edge that the speaker's gate alone has: it has no timer. */
static void set_still_pit(struct vmm *vmm)
{
    enum { WAITS_FOR_GATE = 5 };
    struct kvm_pit_state2 still = vmm->stopped_pit;

    still.channels[0].mode = WAITS_FOR_GATE;
    if (ioctl(vmm->vm_fd, KVM_SET_PIT2, &still) != 0)
        vmm_say("KVM_SET_PIT2: %s", strerror(errno));
}

static void stop_pit(struct vmm *vmm)
{
    if (ioctl(vmm->vm_fd, KVM_GET_PIT2, &vmm->stopped_pit) != 0)
        vmm_say("KVM_GET_PIT2: %s", strerror(errno));
    set_still_pit(vmm);
}

static void save_timer(struct vcpu *cpu)
{
    struct kvm_lapic_state lapic;

    cpu->timer_count = 0;
    if (ioctl(cpu->fd, KVM_GET_LAPIC, &lapic) == 0)
        memcpy(&cpu->timer_count, lapic.regs + LAPIC_TIMER_COUNT, sizeof cpu->timer_count);
    if (!get_msr(cpu, MSR_TSC_DEADLINE, &cpu->tsc_deadline))
        cpu->tsc_deadline = 0;
    /* A guest that uses KVM's clock is told not to take the pause for a hang. EINVAL: it does not use it. */
    ioctl(cpu->fd, KVM_KVMCLOCK_CTRL, 0);
}

void guest_time_stop(struct vmm *vmm)
{
    struct kvm_clock_data clock = {0};

    if (vmm->time_stopped)
        return;
    vmm->time_stopped = true;
    stop_pit(vmm);
    for (unsigned c = 0; c < vmm->cpus; c++)
        save_timer(vmm->cpu[c]);
    if (ioctl(vmm->vm_fd, KVM_GET_CLOCK, &clock) != 0)
        vmm_say("KVM_GET_CLOCK: %s", strerror(errno));
    vmm->stopped_clock = clock.clock;
    vmm->tsc_can_move = vmm->tsc_can_move && get_msr(vmm->cpu[0], TSC, &vmm->stopped_tsc);
}

static void move_tscs(struct vmm *vmm)
{
    uint64_t now, offset;

    if (!vmm->tsc_can_move || !get_msr(vmm->cpu[0], TSC, &now))
        return;
    for (unsigned c = 0; c < vmm->cpus; c++) {
        if (!tsc_offset(vmm->cpu[c], KVM_GET_DEVICE_ATTR, &offset))
            continue;
        offset -= now - vmm->stopped_tsc;
        if (!tsc_offset(vmm->cpu[c], KVM_SET_DEVICE_ATTR, &offset))
            vmm_say("vCPU %u: offset of the TSC: %s", c, strerror(errno));
    }
}

/* What is left of a wait; interrupts that have come meanwhile stay. Without a count the timer does not run, and KVM
 * would have it end once more. */
static void restore_timer(struct vcpu *cpu)
{
    struct kvm_lapic_state lapic;

    if (cpu->timer_count && ioctl(cpu->fd, KVM_GET_LAPIC, &lapic) == 0) {
        memcpy(lapic.regs + LAPIC_TIMER_COUNT, &cpu->timer_count, sizeof cpu->timer_count);
        if (ioctl(cpu->fd, KVM_SET_LAPIC, &lapic) != 0)
            vmm_say("vCPU %u: LAPIC: %s", cpu->id, strerror(errno));
    }
    if (cpu->tsc_deadline)
        set_msr(cpu, MSR_TSC_DEADLINE, cpu->tsc_deadline);
}

void guest_time_start(struct vmm *vmm)
{
    if (!vmm->time_stopped)
        return;
    vmm->time_stopped = false;
    move_tscs(vmm);
    (void)!set_clock(vmm, vmm->stopped_clock);
    for (unsigned c = 0; c < vmm->cpus; c++)
        restore_timer(vmm->cpu[c]);
    if (ioctl(vmm->vm_fd, KVM_SET_PIT2, &vmm->stopped_pit) != 0)
        vmm_say("KVM_SET_PIT2: %s", strerror(errno));
}

/* ---- kept ---- */

void guest_time_get(const struct vmm *vmm, struct guest_time *ret_time)
{
    *ret_time = (struct guest_time){vmm->stopped_tsc, vmm->stopped_clock, vmm->tsc_can_move, vmm->stopped_pit};
}

/* The distance between two TSCs is what the guest has made of it: they began with the same offset. Where the host's TSC
 * is not stable, the offsets themselves change all the time. */
void guest_time_get_cpu(const struct vmm *vmm, const struct vcpu *cpu, struct guest_time_cpu *ret_time)
{
    uint64_t first = 0, own = 0;

    if (!get_msr(vmm->cpu[0], TSC_ADJUST, &first) || !get_msr(cpu, TSC_ADJUST, &own))
        first = own = 0; /* a processor without it */
    *ret_time = (struct guest_time_cpu){own - first, cpu->tsc_deadline, cpu->timer_count};
}

enum err guest_time_set(struct vmm *vmm, const struct guest_time *time, const struct guest_time_cpu *const *cpus)
{
    uint64_t first = 0;

    vmm->time_stopped = true;
    vmm->stopped_tsc = time->tsc;
    vmm->stopped_clock = time->clock;
    vmm->stopped_pit = time->pit;
    set_still_pit(vmm);
    if (vmm->tsc_can_move && !tsc_offset(vmm->cpu[0], KVM_GET_DEVICE_ATTR, &first))
        return vmm_fail(ERR_IO, "vCPU 0: offset of the TSC: %s", strerror(errno));
    for (unsigned c = 0; c < vmm->cpus; c++) {
        uint64_t offset = first + cpus[c]->tsc_distance;

        vmm->cpu[c]->tsc_deadline = cpus[c]->tsc_deadline;
        vmm->cpu[c]->timer_count = (uint32_t)cpus[c]->timer_count;
        if (vmm->tsc_can_move && !tsc_offset(vmm->cpu[c], KVM_SET_DEVICE_ATTR, &offset))
            return vmm_fail(ERR_IO, "vCPU %u: offset of the TSC: %s", c, strerror(errno));
    }
    return ERR_OK;
}
