/* See stats.h; the form is that of QEMU's query-stats. */
#include "vmm/stats.h"
#include "introspect/base/json.h"
#include "vmm/ports.h"
#include "vmm/qmp_command.h"
#include "vmm/vmm.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const names[] = {
#define X(name) #name,
    STATS_EXITS(X)
#undef X
};

uint64_t stats_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

enum stats_exit stats_exit_of(unsigned kvm_reason)
{
    switch (kvm_reason) {
    case KVM_EXIT_IO:
        return STATS_EXIT_io;
    case KVM_EXIT_MMIO:
        return STATS_EXIT_mmio;
    case KVM_EXIT_HLT:
        return STATS_EXIT_hlt;
    case KVM_EXIT_INTR:
        return STATS_EXIT_intr;
    case KVM_EXIT_SHUTDOWN:
        return STATS_EXIT_shutdown;
    default:
        return STATS_EXIT_other;
    }
}

static void add(uint64_t *to, uint64_t n)
{
    __atomic_store_n(to, *to + n, __ATOMIC_RELAXED);
}

void stats_count(struct stats_vcpu *s, enum stats_exit exit, uint64_t entered, uint64_t left, uint64_t done)
{
    add(&s->guest_ns, left - entered);
    add(&s->count[exit], 1);
    add(&s->ns[exit], done - left);
}

/* ---- the answer ---- */

/* What the request leaves over. */
struct filter {
    const json_t *names; /* NULL: all */
};

static bool has_text(const json_t *list, const char *text)
{
    bool found = !list;

    for (size_t i = 0; i < json_array_size(list); i++)
        found = found || strcmp(json_string_value(json_array_get(list, i)), text) == 0;
    return found;
}

static void append_stat(json_t *list, const struct filter *filter, const char *name, uint64_t value)
{
    if (has_text(filter->names, name))
        json_array_append_new(list, json_pack("{s:s,s:I}", "name", name, "value", (json_int_t)value));
}

static json_t *vcpu_stats(const struct stats_vcpu *s, const struct filter *filter)
{
    json_t *list = json_array();
    uint64_t exits = 0;
    char name[32];

    for (int i = 0; i < STATS_EXIT_COUNT; i++) {
        uint64_t count = __atomic_load_n(&s->count[i], __ATOMIC_RELAXED);
        exits += count;
        snprintf(name, sizeof name, "%s_exits", names[i]);
        append_stat(list, filter, name, count);
        snprintf(name, sizeof name, "%s_ns", names[i]);
        append_stat(list, filter, name, __atomic_load_n(&s->ns[i], __ATOMIC_RELAXED));
    }
    append_stat(list, filter, "exits", exits);
    append_stat(list, filter, "guest_ns", __atomic_load_n(&s->guest_ns, __ATOMIC_RELAXED));
    return list;
}

static json_t *vm_stats(struct vmm *vmm, const struct filter *filter)
{
    json_t *list = json_array();
    char name[32];

    append_stat(list, filter, "resets", vmm->resets);
    append_stat(list, filter, "reset_ns", vmm->reset_ns);
    vmm_lock_devices(vmm);
    for (unsigned i = 0; i < PORTS_DEVICES; i++) {
        snprintf(name, sizeof name, "%s_reads", ports_device_name(i));
        append_stat(list, filter, name, vmm->port_reads[i]);
        snprintf(name, sizeof name, "%s_writes", ports_device_name(i));
        append_stat(list, filter, name, vmm->port_writes[i]);
    }
    vmm_unlock_devices(vmm);
    return list;
}

static json_t *all_vcpus(struct vmm *vmm, const json_t *wanted, const struct filter *filter)
{
    json_t *list = json_array();
    char path[VMM_CPU_PATH];

    for (unsigned i = 0; i < vmm->cpus; i++) {
        vmm_cpu_path(i, path);
        if (has_text(wanted, path))
            json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "provider", "kvm", "qom-path", path, "stats",
                                                  vcpu_stats(&vmm->cpu[i]->stats, filter)));
    }
    return list;
}

/* NULL: `arguments` name a provider that is there, or none. */
static json_t *read_providers(const json_t *arguments, struct filter *ret_filter)
{
    const json_t *providers = json_object_get(arguments, "providers"), *first = json_array_get(providers, 0);

    *ret_filter = (struct filter){0};
    if (!providers)
        return NULL;
    for (size_t i = 0; i < json_array_size(providers); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(providers, i), "provider"));
        if (strcmp(name, "kvm") != 0)
            return qmp_error("GenericError", "Parameter 'provider' does not accept value '%.100s'", name);
    }
    ret_filter->names = json_object_get(first, "names");
    return NULL;
}

json_t *stats_answer(struct vmm *vmm, const json_t *arguments)
{
    const char *target = json_string_value(json_object_get(arguments, "target"));
    const json_t *vcpus = json_object_get(arguments, "vcpus");
    struct filter filter;
    json_t *refusal = read_providers(arguments, &filter);

    if (refusal)
        return refusal;
    if (strcmp(target, "vm") == 0 && vcpus)
        return qmp_error("GenericError", "Parameter 'vcpus' is unexpected");
    if (strcmp(target, "vm") == 0)
        return json_pack("{s:[{s:s,s:o}]}", "return", "provider", "kvm", "stats", vm_stats(vmm, &filter));
    if (strcmp(target, "vcpu") == 0)
        return json_pack("{s:o}", "return", all_vcpus(vmm, vcpus, &filter));
    return qmp_error("GenericError", "Parameter 'target' does not accept value '%.100s'", target);
}
