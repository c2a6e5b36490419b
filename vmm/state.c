/* See state.h. */
#include "vmm/state.h"
#include "vmm/log.h"
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

enum { CHIPS = 3 };
#define KIND_MACHINE  CONTAINER_KIND('m', 'a', 'c', 'h')
#define KIND_CHIP     CONTAINER_KIND('c', 'h', 'i', 'p')
#define KIND_TIME     CONTAINER_KIND('t', 'i', 'm', 'e')
#define KIND_SERIAL   CONTAINER_KIND('s', 'e', 'r', 'i')
#define KIND_CMOS     CONTAINER_KIND('c', 'm', 'o', 's')
#define KIND_KEYBOARD CONTAINER_KIND('k', 'e', 'y', 'b')
#define KIND_POWER    CONTAINER_KIND('p', 'o', 'w', 'r')
#define KIND_MSRS     CONTAINER_KIND('m', 's', 'r', 's')
#define KIND_CPU_TIME CONTAINER_KIND('c', 't', 'i', 'm')

struct state_machine {
    uint32_t version, cpus;
    uint64_t ram_bytes;
};

/* The UART, without what belongs to the host. */
struct state_serial {
    uint8_t ier, fcr, lcr, mcr, scratch, divisor[2];
    uint8_t thr_empty_pending, overrun, irq;
    uint8_t zero[2];
    uint32_t count;
    uint8_t queue[SERIAL_QUEUE]; /* the first byte first */
};

/* The power button, without what belongs to the host. */
struct state_power {
    uint16_t status, enable, irq;
};

/* The members of struct vcpu_state, but for the MSRs. */
static const struct {
    uint32_t kind;
    size_t offset, bytes;
} members[] = {
#define MEMBER(a, b, c, d, member)                                                                                     \
    {                                                                                                                  \
        CONTAINER_KIND(a, b, c, d), offsetof(struct vcpu_state, member), sizeof((struct vcpu_state *)0)->member        \
    }
    MEMBER('r', 'e', 'g', 's', regs),   MEMBER('s', 'r', 'e', 'g', sregs), MEMBER('x', 's', 'a', 'v', xsave),
    MEMBER('x', 'c', 'r', 's', xcrs),   MEMBER('l', 'a', 'p', 'i', lapic), MEMBER('m', 'p', 's', 't', mp),
    MEMBER('e', 'v', 'n', 't', events), MEMBER('d', 'e', 'b', 'u', debug),
};

/* ---- saving ---- */

static enum err add_cpu(struct container_writer *w, struct vmm *vmm, struct vcpu *cpu)
{
    OWN(memory) struct vcpu_state *s = calloc(1, sizeof *s);
    struct guest_time_cpu time = {0};

    if (!s)
        return vmm_fail(ERR_NOMEM, "out of memory");
    enum err e = vcpu_read(cpu, s);
    for (size_t i = 0; e == ERR_OK && i < sizeof members / sizeof *members; i++)
        e = container_add(w, members[i].kind, cpu->id, (char *)s + members[i].offset, members[i].bytes);
    if (e == ERR_OK)
        e = container_add(w, KIND_MSRS, cpu->id, s->msrs.entry, s->msrs.count * sizeof *s->msrs.entry);
    guest_time_get_cpu(vmm, cpu, &time);
    return e == ERR_OK ? container_add(w, KIND_CPU_TIME, cpu->id, &time, sizeof time) : e;
}

static void get_serial(const struct serial *s, struct state_serial *ret)
{
    *ret = (struct state_serial){s->ier,
                                 s->fcr,
                                 s->lcr,
                                 s->mcr,
                                 s->scratch,
                                 {s->divisor[0], s->divisor[1]},
                                 s->thr_empty_pending,
                                 s->overrun,
                                 s->irq,
                                 {0},
                                 (uint32_t)s->count,
                                 {0}};
    for (size_t i = 0; i < s->count; i++)
        ret->queue[i] = s->queue[(s->first + i) % SERIAL_QUEUE];
}

static enum err add_devices(struct container_writer *w, struct vmm *vmm)
{
    static struct state_serial serial;
    struct state_power power;

    vmm_lock_devices(vmm);
    get_serial(&vmm->serial, &serial);
    enum err e = container_add(w, KIND_SERIAL, 0, &serial, sizeof serial);
    if (e == ERR_OK)
        e = container_add(w, KIND_CMOS, 0, &vmm->cmos, sizeof vmm->cmos);
    if (e == ERR_OK)
        e = container_add(w, KIND_KEYBOARD, 0, &vmm->keyboard, sizeof vmm->keyboard);
    power = (struct state_power){vmm->power.status, vmm->power.enable, vmm->power.irq};
    if (e == ERR_OK)
        e = container_add(w, KIND_POWER, 0, &power, sizeof power);
    vmm_unlock_devices(vmm);
    return e;
}

static enum err add_chips(struct container_writer *w, struct vmm *vmm)
{
    struct guest_time time = {0};
    enum err e = ERR_OK;

    for (unsigned i = 0; e == ERR_OK && i < CHIPS; i++) {
        struct kvm_irqchip chip = {.chip_id = i};
        if (ioctl(vmm->vm_fd, KVM_GET_IRQCHIP, &chip) != 0)
            return vmm_fail(ERR_IO, "KVM_GET_IRQCHIP: %s", strerror(errno));
        e = container_add(w, KIND_CHIP, i, &chip, sizeof chip);
    }
    guest_time_get(vmm, &time);
    return e == ERR_OK ? container_add(w, KIND_TIME, 0, &time, sizeof time) : e;
}

static enum err add_all(struct container_writer *w, struct vmm *vmm)
{
    const struct state_machine machine = {STATE_VERSION, vmm->cpus, vmm->ram.bytes};
    enum err e = container_add(w, KIND_MACHINE, 0, &machine, sizeof machine);

    if (e == ERR_OK)
        e = add_devices(w, vmm);
    if (e == ERR_OK)
        e = add_chips(w, vmm);
    for (unsigned c = 0; e == ERR_OK && c < vmm->cpus; c++)
        e = add_cpu(w, vmm, vmm->cpu[c]);
    return e;
}

static bool has_request(struct vmm *vmm)
{
    vmm_lock(vmm);
    bool has = vmm->request != REQUEST_NONE;
    vmm_unlock(vmm);
    return has;
}

enum err state_save(struct vmm *vmm, const char *path)
{
    OWN(container_writer) struct container_writer *w = NULL;
    char why[CONTAINER_WHY] = "";
    enum err e = ERR_OK;

    /* Before anything else: an access that ends changes registers and devices. */
    for (unsigned c = 0; e == ERR_OK && c < vmm->cpus; c++)
        e = vcpu_complete(vmm->cpu[c]);
    if (e == ERR_OK && has_request(vmm))
        return vmm_fail(ERR_BUSY, "the guest asks to be reset or switched off; let it, and try again");
    if (e == ERR_OK)
        e = container_new(path, STATE_FILE, why, &w);
    if (e == ERR_OK)
        e = add_all(w, vmm);
    if (e == ERR_OK)
        e = container_commit(MOVE(w));
    return e != ERR_OK && *why ? vmm_fail(e, "%s", why) : e;
}

/* ---- loading ---- */

static enum err refuse_state(char *why, const char *text)
{
    snprintf(why, CONTAINER_WHY, "%s", text);
    return ERR_INVALID;
}

static bool has_part(const struct container *c, uint32_t kind, uint32_t instance, size_t want)
{
    size_t bytes = 0;
    return container_find(c, kind, instance, &bytes) && bytes == want;
}

static bool has_cpu(const struct container *c, unsigned id)
{
    size_t bytes = 0;
    bool all = container_find(c, KIND_MSRS, id, &bytes) && bytes % sizeof(struct kvm_msr_entry) == 0 &&
               bytes / sizeof(struct kvm_msr_entry) <= MSRS_MAX &&
               has_part(c, KIND_CPU_TIME, id, sizeof(struct guest_time_cpu));

    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        all = all && has_part(c, members[i].kind, id, members[i].bytes);
    return all;
}

static bool has_devices(const struct container *c)
{
    const struct state_serial *serial;
    const struct keyboard *keyboard;
    const struct cmos *cmos;
    size_t bytes;

    if (!has_part(c, KIND_SERIAL, 0, sizeof *serial) || !has_part(c, KIND_KEYBOARD, 0, sizeof *keyboard) ||
        !has_part(c, KIND_CMOS, 0, sizeof *cmos) || !has_part(c, KIND_POWER, 0, sizeof(struct state_power)))
        return false;
    serial = container_find(c, KIND_SERIAL, 0, &bytes);
    keyboard = container_find(c, KIND_KEYBOARD, 0, &bytes);
    cmos = container_find(c, KIND_CMOS, 0, &bytes);
    return serial->count <= SERIAL_QUEUE && keyboard->count <= sizeof keyboard->queue &&
           cmos->index < sizeof cmos->memory;
}

enum err state_check(const struct container *c, unsigned cpus, uint64_t ram_bytes, char *why)
{
    size_t bytes = 0;
    const struct state_machine *machine = container_find(c, KIND_MACHINE, 0, &bytes);

    if (!machine || bytes != sizeof *machine)
        return refuse_state(why, "damaged: no machine");
    if (machine->version != STATE_VERSION)
        return refuse_state(why, "the state is of another version of delias-vmm");
    if (machine->cpus != cpus || machine->ram_bytes != ram_bytes)
        return refuse_state(why, "a machine with other CPUs or RAM");
    if (!has_devices(c) || !has_part(c, KIND_TIME, 0, sizeof(struct guest_time)))
        return refuse_state(why, "damaged: a device");
    for (unsigned i = 0; i < CHIPS; i++) {
        const struct kvm_irqchip *chip = container_find(c, KIND_CHIP, i, &bytes);
        if (!chip || bytes != sizeof *chip || chip->chip_id != i)
            return refuse_state(why, "damaged: an interrupt controller");
    }
    for (unsigned i = 0; i < cpus; i++)
        if (!has_cpu(c, i))
            return refuse_state(why, "damaged: a CPU");
    return ERR_OK;
}

/* What another kernel's KVM may keep differently. */
static enum err check_kvm(const struct container *c, const struct vmm *vmm, char *why)
{
    size_t bytes = 0;
    const struct guest_time *time = container_find(c, KIND_TIME, 0, &bytes);

    if (time->tsc_can_move != vmm->tsc_can_move)
        return refuse_state(why, "the state is of a host that keeps the TSC in another way");
    for (unsigned i = 0; i < vmm->cpus; i++) {
        const struct msrs *own = &vmm->cpu[i]->initial.msrs;
        const struct kvm_msr_entry *entry = container_find(c, KIND_MSRS, i, &bytes);
        bool same = bytes / sizeof *entry == own->count;
        for (unsigned m = 0; same && m < own->count; m++)
            same = entry[m].index == own->entry[m].index;
        if (!same)
            return refuse_state(why, "the state is of a host with other MSRs");
    }
    return ERR_OK;
}

static void set_serial(struct vmm *vmm, const struct state_serial *from) NEEDS(devices_role)
{
    struct serial *s = &vmm->serial;

    s->ier = from->ier;
    s->fcr = from->fcr;
    s->lcr = from->lcr;
    s->mcr = from->mcr;
    s->scratch = from->scratch;
    memcpy(s->divisor, from->divisor, sizeof s->divisor);
    s->thr_empty_pending = from->thr_empty_pending;
    s->overrun = from->overrun;
    s->irq = from->irq;
    s->first = 0;
    s->count = from->count;
    memcpy(s->queue, from->queue, sizeof s->queue);
    vmm_set_irq(vmm, SERIAL_IRQ, s->irq); /* before the controllers' own state, which has what came of it */
}

static void set_power(struct vmm *vmm, const struct state_power *from) NEEDS(devices_role)
{
    struct power *p = &vmm->power;

    p->status = from->status;
    p->enable = from->enable;
    p->irq = from->irq;
    if (p->set_irq)
        p->set_irq(p->owner, p->irq);
}

static void set_devices(struct vmm *vmm, const struct container *c)
{
    size_t bytes;

    vmm_lock_devices(vmm);
    set_serial(vmm, container_find(c, KIND_SERIAL, 0, &bytes));
    set_power(vmm, container_find(c, KIND_POWER, 0, &bytes));
    memcpy(&vmm->cmos, container_find(c, KIND_CMOS, 0, &bytes), sizeof vmm->cmos);
    memcpy(&vmm->keyboard, container_find(c, KIND_KEYBOARD, 0, &bytes), sizeof vmm->keyboard);
    vmm_unlock_devices(vmm);
}

static enum err set_chips(struct vmm *vmm, const struct container *c)
{
    size_t bytes;

    for (unsigned i = 0; i < CHIPS; i++) {
        struct kvm_irqchip chip = *(const struct kvm_irqchip *)container_find(c, KIND_CHIP, i, &bytes);
        if (ioctl(vmm->vm_fd, KVM_SET_IRQCHIP, &chip) != 0)
            return vmm_fail(ERR_IO, "KVM_SET_IRQCHIP: %s", strerror(errno));
    }
    return ERR_OK;
}

static enum err set_cpu(struct vcpu *cpu, const struct container *c)
{
    OWN(memory) struct vcpu_state *s = calloc(1, sizeof *s);
    size_t bytes;

    if (!s)
        return vmm_fail(ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        memcpy((char *)s + members[i].offset, container_find(c, members[i].kind, cpu->id, &bytes), members[i].bytes);
    const void *msrs = container_find(c, KIND_MSRS, cpu->id, &bytes);
    memcpy(s->msrs.entry, msrs, bytes);
    s->msrs.count = (unsigned)(bytes / sizeof *s->msrs.entry);
    return vcpu_write(cpu, s);
}

static enum err set_all(struct vmm *vmm, const struct container *c)
{
    const struct guest_time_cpu *times[VMM_CPUS_MAX];
    enum err e = ERR_OK;
    size_t bytes;

    for (unsigned i = 0; e == ERR_OK && i < vmm->cpus; i++)
        e = vcpu_finish(vmm->cpu[i]);
    if (e == ERR_OK)
        e = vmm_forget_page_tables(vmm);
    set_devices(vmm, c);
    if (e == ERR_OK)
        e = set_chips(vmm, c);
    for (unsigned i = 0; e == ERR_OK && i < vmm->cpus; i++) {
        times[i] = container_find(c, KIND_CPU_TIME, i, &bytes);
        e = set_cpu(vmm->cpu[i], c);
    }
    return e == ERR_OK ? guest_time_set(vmm, container_find(c, KIND_TIME, 0, &bytes), times) : e;
}

enum err state_load(struct vmm *vmm, const char *path, bool *ret_begun)
{
    CLOSED_BY(container_close) struct container c = {0};
    char why[CONTAINER_WHY];
    enum err e = container_open(path, STATE_FILE, &c, why);

    *ret_begun = false;
    if (e == ERR_OK)
        e = container_verify(&c, why);
    if (e == ERR_OK)
        e = state_check(&c, vmm->cpus, vmm->ram.bytes, why);
    if (e == ERR_OK)
        e = check_kvm(&c, vmm, why);
    if (e != ERR_OK)
        return vmm_fail(e, "state: %s", why);
    *ret_begun = true;
    vmm_lock(vmm);
    vmm->request = REQUEST_NONE; /* of before: this is another machine */
    vmm_unlock(vmm);
    return set_all(vmm, &c);
}
