/* The virtual machine: what its parts share. Files of the same names hold the parts.
 *
 * Threads: one per vCPU, and the main thread, which runs the sockets and changes the machine's state. Locks, nested
 * only in this order: `devices` (all that a port handler touches), `lock` (states of machine and vCPUs); see lock.h. */
#pragma once
#include <linux/kvm.h>
#include <pthread.h>
#include "introspect/base/own.h"
#include "vmm/boot.h"
#include "vmm/cmos.h"
#include "vmm/keyboard.h"
#include "vmm/lock.h"
#include "vmm/msrs.h"
#include "vmm/ports.h"
#include "vmm/power.h"
#include "vmm/ram.h"
#include "vmm/serial.h"
#include "vmm/stats.h"

enum { VMM_CPUS_MAX = 64, VMM_CPU_PATH = 48 };

/* What the guest asked for; the main thread does it. */
enum request { REQUEST_NONE, REQUEST_RESET, REQUEST_SHUTDOWN, REQUEST_BROKEN };

enum run_state { RUN_PRELAUNCH, RUN_RUNNING, RUN_PAUSED, RUN_BROKEN };

/* The state of a vCPU that has never run, to go back to. */
struct vcpu_state {
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_xsave xsave;
    struct kvm_xcrs xcrs;
    struct kvm_lapic_state lapic;
    struct kvm_mp_state mp;
    struct kvm_vcpu_events events;
    struct kvm_debugregs debug;
    struct msrs msrs;
};

struct vmm;

enum { LAPIC_TIMER_COUNT = 0x390 }; /* a register: what is left of the timer's wait */

struct vcpu {
    struct vmm *vmm;
    unsigned id;
    int fd;
    struct kvm_run *run;
    pthread_t thread;
    bool started;
    int tid; /* of its thread; 0: not yet */
    struct stats_vcpu stats;
    unsigned failed_emulations; /* one after the other, with no other exit between them */
    struct vcpu_state initial;
    /* As they were when the guest's time was stopped; see guest_time.c. */
    uint64_t tsc_deadline;
    uint32_t timer_count;
};

struct vmm {
    const char *name;
    int kvm_fd, vm_fd, wake_fd;
    unsigned run_bytes;     /* of the area shared with KVM per vCPU */
    bool emulation_repeats; /* an instruction that KVM cannot emulate raises nothing, and can be entered again */
    struct ram ram;
    struct boot boot;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum run_state state;                        /* the main thread's own */
    bool hold GUARDED_BY(state_role);            /* vCPUs park */
    bool quit GUARDED_BY(state_role);            /* vCPU threads end */
    enum request request GUARDED_BY(state_role); /* the first one wins */
    int shutdown_status GUARDED_BY(state_role);
    unsigned parked GUARDED_BY(state_role);
    unsigned cpus;
    struct vcpu *cpu[VMM_CPUS_MAX];

    pthread_mutex_t devices;
    struct serial serial GUARDED_BY(devices_role);
    struct cmos cmos GUARDED_BY(devices_role);
    struct keyboard keyboard GUARDED_BY(devices_role);
    struct power power GUARDED_BY(devices_role);
    uint64_t port_reads[PORTS_DEVICES] GUARDED_BY(devices_role);
    uint64_t port_writes[PORTS_DEVICES] GUARDED_BY(devices_role);
    uint64_t resets, reset_ns; /* the main thread's own: how many, and what the last one took */

    struct msrs msrs; /* those that a vCPU may have */
    struct kvm_irqchip irqchip[3];
    struct kvm_pit_state2 pit;

    bool tsc_can_move, time_stopped;
    uint64_t stopped_tsc, stopped_clock; /* when it was stopped: the TSC of the first vCPU, KVM's clock in ns */
    struct kvm_pit_state2 stopped_pit;
};

static inline UNCHECKED void vmm_lock(struct vmm *vmm) ACQUIRES(state_role)
{
    pthread_mutex_lock(&vmm->lock);
}

static inline UNCHECKED void vmm_unlock(struct vmm *vmm) RELEASES(state_role)
{
    pthread_mutex_unlock(&vmm->lock);
}

/* The lock is held again when it returns. */
static inline void vmm_wait_change(struct vmm *vmm) NEEDS(state_role)
{
    pthread_cond_wait(&vmm->changed, &vmm->lock);
}

static inline UNCHECKED void vmm_lock_devices(struct vmm *vmm) ACQUIRES(devices_role)
{
    pthread_mutex_lock(&vmm->devices);
}

static inline UNCHECKED void vmm_unlock_devices(struct vmm *vmm) RELEASES(devices_role)
{
    pthread_mutex_unlock(&vmm->devices);
}

/* machine.c: the VM as a whole. */
enum err vmm_create(struct vmm *vmm);
void vmm_done(struct vmm *vmm);
/* vCPUs, devices and clocks as at power-on, and what is booted is in RAM again. clear: all else in RAM, and the CMOS
 * RAM, is cleared; else it stays, as when a computer is reset. All vCPUs are parked, or not started. */
enum err vmm_power_on(struct vmm *vmm, bool clear) EXCLUDES(devices_role);
/* Without nested paging KVM keeps copies of the guest's page tables. It follows what the guest writes to these, and not
 * what we write to RAM: after that it has to make them again. All vCPUs are parked. After a failure the machine must
 * not run: it may be without RAM. */
enum err vmm_forget_page_tables(const struct vmm *vmm);
void vmm_set_irq(struct vmm *vmm, unsigned irq, bool level);
/* Sends an NMI to vCPU `id`. */
void vmm_nmi(struct vmm *vmm, unsigned id);
/* What QMP calls a vCPU: the path that QEMU has for it. */
void vmm_cpu_path(unsigned id, char ret_path[VMM_CPU_PATH]);

/* control.c: running and not. Main thread only, but for vmm_request. */
enum err vmm_start_vcpus(struct vmm *vmm);
void vmm_stop_vcpus(struct vmm *vmm) EXCLUDES(state_role);
void vmm_pause(struct vmm *vmm, enum run_state state) EXCLUDES(devices_role) EXCLUDES(state_role);
void vmm_resume(struct vmm *vmm) EXCLUDES(state_role);
/* Parks the vCPUs for a moment, in which the main thread looks at them; the guest's time goes on. Returns what
 * vmm_let_go needs. */
bool vmm_hold(struct vmm *vmm) EXCLUDES(state_role);
void vmm_let_go(struct vmm *vmm, bool held) EXCLUDES(state_role);
/* See vmm_power_on. */
enum err vmm_reset(struct vmm *vmm, bool clear) EXCLUDES(devices_role) EXCLUDES(state_role);
/* From a vCPU, which then parks until the main thread has acted. `status` is for a shutdown. */
void vmm_request(struct vmm *vmm, enum request request, int status) EXCLUDES(state_role);
enum request vmm_take_request(struct vmm *vmm, int *ret_status) EXCLUDES(devices_role) EXCLUDES(state_role);
/* From a vCPU, before it enters the guest: parks while it must. False when the thread is to end. */
bool vmm_may_run(struct vcpu *cpu) EXCLUDES(devices_role) EXCLUDES(state_role);

/* vcpu.c */
enum err vcpu_new(struct vmm *vmm, unsigned id, struct vcpu **ret_cpu);
void vcpu_free(struct vcpu *cpu); /* accepts NULL */
OWNABLE(vcpu, vcpu_free)
/* Ends an access to a device that the vCPU was in the middle of: KVM would finish it when the vCPU runs next, into
 * whatever registers and RAM there are by then. Only vcpu_power_on may follow. */
enum err vcpu_finish(struct vcpu *cpu);
/* Ends such an access as the guest wants it, with all that it still has to do at devices. */
enum err vcpu_complete(struct vcpu *cpu) EXCLUDES(devices_role) EXCLUDES(state_role);
/* All that a vCPU is, of one that is parked and in no access; and back, after vcpu_finish. The MSRs are those of
 * `initial`. The deadline of its timer is not among them: see guest_time.c. */
enum err vcpu_read(const struct vcpu *cpu, struct vcpu_state *ret_state);
enum err vcpu_write(const struct vcpu *cpu, const struct vcpu_state *state);
enum err vcpu_power_on(struct vcpu *cpu);
enum err vcpu_start(struct vcpu *cpu);
void vcpu_kick(struct vcpu *cpu);

/* cpuid.c: what KVM offers becomes what the vCPU `id` of `cpus` has. The list needs room for four more entries.
 * tsc_deadline: whether KVM offers that mode of the APIC's timer, which the list itself may not say. */
void cpuid_fit(struct kvm_cpuid2 *list, unsigned id, unsigned cpus, bool tsc_deadline);
/* ret_address_bits: of guest-physical addresses. */
enum err cpuid_set(const struct vmm *vmm, const struct vcpu *cpu, unsigned *ret_address_bits);

/* guest_time.c: the guest's clocks. All vCPUs are parked, or not started. */
void guest_time_init(struct vmm *vmm);
/* The TSC and KVM's clock begin with zero. */
enum err guest_time_power_on(struct vmm *vmm);
/* All that shows time to the guest, or ends a wait, stands still until guest_time_start. Again: does nothing. */
void guest_time_stop(struct vmm *vmm);
void guest_time_start(struct vmm *vmm);
/* The stopped time as numbers, for a machine to go on with later; and of one vCPU: what is between its TSC and that of
 * the first one, and what is left of its waits. */
struct guest_time {
    uint64_t tsc, clock, tsc_can_move;
    struct kvm_pit_state2 pit;
};
struct guest_time_cpu {
    uint64_t tsc_distance, tsc_deadline, timer_count;
};
void guest_time_get(const struct vmm *vmm, struct guest_time *ret_time);
void guest_time_get_cpu(const struct vmm *vmm, const struct vcpu *cpu, struct guest_time_cpu *ret_time);
/* The time is stopped there, whatever it was. One of `cpus` for each vCPU, whose other state was set. */
enum err guest_time_set(struct vmm *vmm, const struct guest_time *time, const struct guest_time_cpu *const *cpus);

/* ports.c: one access of the guest to a port, `bytes` wide; `data` is in the area shared with KVM. */
void ports_access(struct vmm *vmm, bool out, uint16_t port, unsigned bytes, unsigned count, unsigned char *data)
    EXCLUDES(devices_role);
