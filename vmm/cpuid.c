/* What CPUID tells a vCPU: what KVM offers, with this vCPU's APIC id and one package of `cpus` cores. Leaves out
 * virtualization: a vCPU that has entered VMX operation takes no registers of power-on, and so no reset. */
#include "introspect/base/own.h"
#include "vmm/log.h"
#include "vmm/vmm.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { ENTRIES_MAX = 256, SPARE = 2 };

static unsigned bits_for(unsigned cpus)
{
    unsigned bits = 0;

    while ((1U << bits) < cpus)
        bits++;
    return bits;
}

static void set_field(uint32_t *value, unsigned shift, unsigned bits, uint32_t field)
{
    uint32_t mask = ((1U << bits) - 1) << shift;
    *value = (*value & ~mask) | (field << shift & mask);
}

static void set_identity(struct kvm_cpuid_entry2 *e, unsigned id, unsigned cpus)
{
    enum { VMX = 5, HTT = 28, SVM = 2 };

    switch (e->function) {
    case 1:
        set_field(&e->ebx, 24, 8, id);
        set_field(&e->ebx, 16, 8, cpus);
        set_field(&e->ecx, VMX, 1, 0);
        set_field(&e->edx, HTT, 1, cpus > 1);
        break;
    case 4:
        if (e->eax & 31) /* a cache; the last entry is none */
            set_field(&e->eax, 26, 6, (1U << bits_for(cpus)) - 1);
        break;
    case 0x80000001:
        set_field(&e->ecx, SVM, 1, 0);
        break;
    case 0x80000008:
        set_field(&e->ecx, 0, 8, cpus - 1);
        set_field(&e->ecx, 12, 4, bits_for(cpus));
        break;
    case 0x8000001e:
        e->eax = id;
        set_field(&e->ebx, 0, 16, id); /* one thread per core */
        set_field(&e->ecx, 0, 16, 0);
        break;
    default:
        break;
    }
}

/* Leaf 0xb: one thread per core, then all cores of the package. */
static void set_topology(struct kvm_cpuid2 *list, unsigned id, unsigned cpus)
{
    enum { LEAF = 0xb, THREADS = 1 << 8, CORES = 2 << 8 };
    unsigned kept = 0;
    bool present = false;

    for (unsigned i = 0; i < list->nent; i++) {
        present = present || list->entries[i].function == LEAF;
        if (list->entries[i].function != LEAF)
            list->entries[kept++] = list->entries[i];
    }
    list->nent = kept;
    for (unsigned level = 0; present && level < 2; level++)
        list->entries[list->nent++] = (struct kvm_cpuid_entry2){.function = LEAF,
                                                                .index = level,
                                                                .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
                                                                .eax = level ? bits_for(cpus) : 0,
                                                                .ebx = level ? cpus : 1,
                                                                .ecx = level | (level ? CORES : THREADS),
                                                                .edx = id};
}

enum err cpuid_set(const struct vmm *vmm, const struct vcpu *cpu)
{
    OWN(memory) struct kvm_cpuid2 *list = calloc(1, sizeof *list + (ENTRIES_MAX + SPARE) * sizeof *list->entries);

    if (!list)
        return vmm_fail(ERR_NOMEM, "vCPU %u: out of memory", cpu->id);
    list->nent = ENTRIES_MAX;
    if (ioctl(vmm->kvm_fd, KVM_GET_SUPPORTED_CPUID, list) != 0)
        return vmm_fail(ERR_IO, "KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
    set_topology(list, cpu->id, vmm->cpus);
    for (unsigned i = 0; i < list->nent; i++)
        set_identity(&list->entries[i], cpu->id, vmm->cpus);
    if (ioctl(cpu->fd, KVM_SET_CPUID2, list) != 0)
        return vmm_fail(ERR_IO, "KVM_SET_CPUID2: %s", strerror(errno));
    return ERR_OK;
}
