/* When vCPUs run and when they are parked. The main thread decides; a vCPU that wants something parks itself first. */
#include "vmm/vmm.h"
#include <unistd.h>

bool vmm_may_run(struct vcpu *cpu)
{
    struct vmm *vmm = cpu->vmm;

    vmm_lock(vmm);
    vmm->parked++;
    pthread_cond_broadcast(&vmm->changed);
    while (!vmm->quit && (vmm->hold || vmm->request != REQUEST_NONE))
        vmm_wait_change(vmm);
    vmm->parked--;
    /* Cleared under the lock: whoever parks this vCPU next sets it again by a signal, after taking the lock. */
    __atomic_store_n(&cpu->run->immediate_exit, 0, __ATOMIC_RELEASE);
    bool go = !vmm->quit;
    vmm_unlock(vmm);
    return go;
}

/* Returns when no vCPU is in the guest or in a device, and none will be until `hold` ends. */
static void park_vcpus(struct vmm *vmm) NEEDS(state_role)
{
    vmm->hold = true;
    for (unsigned c = 0; c < vmm->cpus; c++)
        if (vmm->cpu[c]->started)
            vcpu_kick(vmm->cpu[c]);
    while (vmm->parked < vmm->cpus)
        vmm_wait_change(vmm);
}

enum err vmm_start_vcpus(struct vmm *vmm)
{
    enum err e = ERR_OK;

    for (unsigned c = 0; e == ERR_OK && c < vmm->cpus; c++)
        e = vcpu_start(vmm->cpu[c]);
    return e;
}

void vmm_stop_vcpus(struct vmm *vmm)
{
    vmm_lock(vmm);
    vmm->quit = true;
    pthread_cond_broadcast(&vmm->changed);
    for (unsigned c = 0; c < vmm->cpus; c++)
        if (vmm->cpu[c] && vmm->cpu[c]->started)
            vcpu_kick(vmm->cpu[c]);
    vmm_unlock(vmm);
    for (unsigned c = 0; c < vmm->cpus; c++)
        if (vmm->cpu[c] && vmm->cpu[c]->started)
            pthread_join(vmm->cpu[c]->thread, NULL);
}

void vmm_pause(struct vmm *vmm, enum run_state state)
{
    vmm_lock(vmm);
    park_vcpus(vmm);
    vmm->state = state;
    vmm_unlock(vmm);
    guest_time_stop(vmm);
}

bool vmm_hold(struct vmm *vmm)
{
    vmm_lock(vmm);
    bool held = vmm->hold;
    park_vcpus(vmm);
    vmm_unlock(vmm);
    return held;
}

void vmm_let_go(struct vmm *vmm, bool held)
{
    vmm_lock(vmm);
    vmm->hold = held;
    pthread_cond_broadcast(&vmm->changed);
    vmm_unlock(vmm);
}

void vmm_resume(struct vmm *vmm)
{
    guest_time_start(vmm);
    vmm_lock(vmm);
    vmm->state = RUN_RUNNING;
    vmm->hold = false;
    pthread_cond_broadcast(&vmm->changed);
    vmm_unlock(vmm);
}

enum err vmm_reset(struct vmm *vmm, bool clear)
{
    uint64_t begin = stats_now_ns();

    vmm_lock(vmm);
    park_vcpus(vmm);
    vmm->request = REQUEST_NONE; /* of before the reset: whatever it was, this is a new machine */
    vmm_unlock(vmm);
    enum err e = vmm_power_on(vmm, clear);
    if (e != ERR_OK || vmm->state == RUN_BROKEN)
        vmm->state = e != ERR_OK ? RUN_BROKEN : RUN_PAUSED;
    if (vmm->state != RUN_RUNNING)
        guest_time_stop(vmm);
    vmm_lock(vmm);
    vmm->hold = vmm->state != RUN_RUNNING;
    pthread_cond_broadcast(&vmm->changed);
    vmm_unlock(vmm);
    vmm->resets++;
    vmm->reset_ns = stats_now_ns() - begin;
    return e;
}

void vmm_request(struct vmm *vmm, enum request request, int status)
{
    const uint64_t one = 1;

    vmm_lock(vmm);
    if (vmm->request == REQUEST_NONE) {
        vmm->request = request;
        vmm->shutdown_status = status;
    }
    vmm_unlock(vmm);
    (void)!write(vmm->wake_fd, &one, sizeof one);
}

enum request vmm_take_request(struct vmm *vmm, int *ret_status)
{
    uint64_t count;

    (void)!read(vmm->wake_fd, &count, sizeof count);
    vmm_lock(vmm);
    enum request request = vmm->request;
    *ret_status = vmm->shutdown_status;
    /* vCPUs that asked stay parked by `hold` from here on. */
    if (request != REQUEST_NONE) {
        park_vcpus(vmm);
        vmm->request = REQUEST_NONE;
    }
    vmm_unlock(vmm);
    return request;
}
