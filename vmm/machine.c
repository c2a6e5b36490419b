/* The VM as a whole: made through the KVM API, and put into the state of power-on. */
#include "vmm/log.h"
#include "vmm/vmm.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TSS_ADDRESS UINT64_C(0xfffbd000)
#define LOCAL_APIC  UINT32_C(0xfee00000)
enum { IOAPIC_PINS = 24, PIC_PINS = 16, MSI_NMI = 0x400 };

static const int needed[] = {KVM_CAP_USER_MEMORY, KVM_CAP_IRQCHIP,        KVM_CAP_PIT2,        KVM_CAP_PIT_STATE2,
                             KVM_CAP_EXT_CPUID,   KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_VCPU_EVENTS, KVM_CAP_IRQ_ROUTING};

static enum err open_kvm(struct vmm *vmm)
{
    vmm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (vmm->kvm_fd < 0)
        return vmm_fail(ERR_UNSUPPORTED, "/dev/kvm: %s", strerror(errno));
    if (ioctl(vmm->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return vmm_fail(ERR_UNSUPPORTED, "/dev/kvm: not version %d of its interface", KVM_API_VERSION);
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (ioctl(vmm->kvm_fd, KVM_CHECK_EXTENSION, needed[i]) <= 0)
            return vmm_fail(ERR_UNSUPPORTED, "/dev/kvm: lacks capability %d; a newer kernel has it", needed[i]);
    vmm->run_bytes = (unsigned)ioctl(vmm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if ((int)vmm->run_bytes < (int)sizeof(struct kvm_run))
        return vmm_fail(ERR_UNSUPPORTED, "/dev/kvm: no area shared with a vCPU");
    do
        vmm->vm_fd = ioctl(vmm->kvm_fd, KVM_CREATE_VM, 0);
    while (vmm->vm_fd < 0 && errno == EINTR);
    return vmm->vm_fd < 0 ? vmm_fail(ERR_IO, "KVM_CREATE_VM: %s", strerror(errno)) : ERR_OK;
}

/* The timer, ISA interrupt 0, reaches the IOAPIC at pin 2, as on a PC and as the MADT says. */
static int route_interrupts(struct vmm *vmm)
{
    struct {
        struct kvm_irq_routing head;
        struct kvm_irq_routing_entry entry[PIC_PINS + IOAPIC_PINS];
    } table = {0};
    unsigned n = 0;

    for (unsigned gsi = 0; gsi < IOAPIC_PINS; gsi++) {
        if (gsi < PIC_PINS && gsi != 2)
            table.entry[n++] = (struct kvm_irq_routing_entry){
                .gsi = gsi,
                .type = KVM_IRQ_ROUTING_IRQCHIP,
                .u.irqchip = {gsi < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, gsi % 8}};
        if (gsi != 2)
            table.entry[n++] = (struct kvm_irq_routing_entry){
                .gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = {KVM_IRQCHIP_IOAPIC, gsi == 0 ? 2 : gsi}};
    }
    table.head.nr = n;
    return ioctl(vmm->vm_fd, KVM_SET_GSI_ROUTING, &table);
}

/* Of kernels before 5.15 the guest gets an invalid opcode at once. */
static bool let_emulation_repeat(struct vmm *vmm)
{
    struct kvm_enable_cap cap = {.cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = {true}};

    return ioctl(vmm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_EXIT_ON_EMULATION_FAILURE) > 0 &&
           ioctl(vmm->vm_fd, KVM_ENABLE_CAP, &cap) == 0;
}

static enum err map_ram(const struct vmm *vmm, bool present)
{
    const struct ram *ram = &vmm->ram;
    struct kvm_userspace_memory_region slots[] = {
        {.slot = 0, .memory_size = ram_low(ram), .userspace_addr = (uintptr_t)ram->base},
        {.slot = 1,
         .guest_phys_addr = RAM_HIGH_AT,
         .memory_size = ram_high(ram),
         .userspace_addr = (uintptr_t)ram->base + ram_low(ram)}};

    for (unsigned i = 0; i < 2; i++) {
        if (slots[i].memory_size == 0)
            continue;
        if (!present)
            slots[i].memory_size = 0;
        if (ioctl(vmm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slots[i]) != 0)
            return vmm_fail(ERR_NOMEM, "KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
    }
    return ERR_OK;
}

enum err vmm_forget_page_tables(const struct vmm *vmm)
{
    enum err e = map_ram(vmm, false);

    return e == ERR_OK ? map_ram(vmm, true) : e;
}

static enum err create_chips(struct vmm *vmm)
{
    struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY}; /* the kernel answers port 0x61, too */
    uint64_t identity = TSS_ADDRESS - 0x1000;

    if (ioctl(vmm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) != 0 ||
        ioctl(vmm->vm_fd, KVM_SET_TSS_ADDR, (unsigned long)TSS_ADDRESS) != 0)
        return vmm_fail(ERR_IO, "KVM_SET_TSS_ADDR: %s", strerror(errno));
    if (ioctl(vmm->vm_fd, KVM_CREATE_IRQCHIP, 0) != 0)
        return vmm_fail(ERR_IO, "KVM_CREATE_IRQCHIP: %s", strerror(errno));
    if (route_interrupts(vmm) != 0)
        return vmm_fail(ERR_IO, "KVM_SET_GSI_ROUTING: %s", strerror(errno));
    if (ioctl(vmm->vm_fd, KVM_CREATE_PIT2, &pit) != 0)
        return vmm_fail(ERR_IO, "KVM_CREATE_PIT2: %s", strerror(errno));
    if (map_ram(vmm, true) != ERR_OK)
        return ERR_NOMEM;
    for (unsigned i = 0; i < 3; i++) {
        vmm->irqchip[i].chip_id = i;
        if (ioctl(vmm->vm_fd, KVM_GET_IRQCHIP, &vmm->irqchip[i]) != 0)
            return vmm_fail(ERR_IO, "KVM_GET_IRQCHIP: %s", strerror(errno));
    }
    if (ioctl(vmm->vm_fd, KVM_GET_PIT2, &vmm->pit) != 0)
        return vmm_fail(ERR_IO, "KVM_GET_PIT2: %s", strerror(errno));
    return ERR_OK;
}

enum err vmm_create(struct vmm *vmm)
{
    enum err e = open_kvm(vmm);

    pthread_mutex_init(&vmm->lock, NULL);
    pthread_mutex_init(&vmm->devices, NULL);
    pthread_cond_init(&vmm->changed, NULL);
    vmm->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (e == ERR_OK && vmm->wake_fd < 0)
        e = vmm_fail(ERR_IO, "eventfd: %s", strerror(errno));
    if (e == ERR_OK)
        e = create_chips(vmm);
    vmm->emulation_repeats = e == ERR_OK && let_emulation_repeat(vmm);
    if (e == ERR_OK)
        e = msrs_list(vmm->kvm_fd, &vmm->msrs);
    for (unsigned c = 0; e == ERR_OK && c < vmm->cpus; c++)
        e = vcpu_new(vmm, c, &vmm->cpu[c]);
    if (e == ERR_OK)
        guest_time_init(vmm);
    return e;
}

void vmm_done(struct vmm *vmm)
{
    for (unsigned c = 0; c < vmm->cpus; c++)
        vcpu_free(vmm->cpu[c]);
    if (vmm->vm_fd > 0)
        close(vmm->vm_fd);
    if (vmm->kvm_fd > 0)
        close(vmm->kvm_fd);
    ram_done(&vmm->ram);
    boot_close(&vmm->boot);
}

void vmm_set_irq(struct vmm *vmm, unsigned irq, bool level)
{
    struct kvm_irq_level line = {.irq = irq, .level = level};

    if (ioctl(vmm->vm_fd, KVM_IRQ_LINE, &line) != 0) {
        vmm_say("KVM_IRQ_LINE %u: %s", irq, strerror(errno));
    }
}

void vmm_nmi(struct vmm *vmm, unsigned id)
{
    /* a message to its local APIC: unlike KVM_NMI it does not wait until the vCPU leaves the guest */
    struct kvm_msi message = {.address_lo = LOCAL_APIC | id << 12, .data = MSI_NMI};

    if (ioctl(vmm->vm_fd, KVM_SIGNAL_MSI, &message) < 0)
        vmm_say("KVM_SIGNAL_MSI: %s: no NMI reaches the guest", strerror(errno));
}

void vmm_cpu_path(unsigned id, char ret_path[VMM_CPU_PATH])
{
    snprintf(ret_path, VMM_CPU_PATH, "/machine/unattached/device[%u]", id);
}

static enum err reset_chips(struct vmm *vmm)
{
    for (unsigned i = 0; i < 3; i++)
        if (ioctl(vmm->vm_fd, KVM_SET_IRQCHIP, &vmm->irqchip[i]) != 0)
            return vmm_fail(ERR_IO, "KVM_SET_IRQCHIP: %s", strerror(errno));
    if (ioctl(vmm->vm_fd, KVM_SET_PIT2, &vmm->pit) != 0)
        return vmm_fail(ERR_IO, "KVM_SET_PIT2: %s", strerror(errno));
    return ERR_OK;
}

enum err vmm_power_on(struct vmm *vmm, bool clear)
{
    enum err e = ERR_OK;

    for (unsigned c = 0; e == ERR_OK && c < vmm->cpus; c++)
        e = vcpu_finish(vmm->cpu[c]);
    vmm_lock_devices(vmm);
    serial_reset(&vmm->serial);
    keyboard_power_on(&vmm->keyboard);
    power_reset(&vmm->power);
    if (clear)
        cmos_init(&vmm->cmos, vmm->ram.bytes);
    if (e == ERR_OK)
        e = reset_chips(vmm);
    vmm_unlock_devices(vmm);
    if (clear)
        ram_clear(&vmm->ram);
    if (e == ERR_OK)
        e = boot_load(&vmm->boot, &vmm->ram);
    if (e == ERR_OK)
        e = vmm_forget_page_tables(vmm);
    for (unsigned c = 0; e == ERR_OK && c < vmm->cpus; c++)
        e = vcpu_power_on(vmm->cpu[c]);
    return e == ERR_OK ? guest_time_power_on(vmm) : e;
}
