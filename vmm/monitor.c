/* See monitor.h. The texts of human-monitor-command are laid out as QEMU's, since programs read them. */
#include "vmm/monitor.h"
#include "introspect/base/json.h"
#include "vmm/dump.h"
#include "vmm/qmp_command.h"
#include "vmm/registers.h"
#include "vmm/stats.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *cpus(const struct vmm *vmm)
{
    json_t *list = json_array();
    char path[VMM_CPU_PATH];

    for (unsigned i = 0; i < vmm->cpus; i++) {
        vmm_cpu_path(i, path);
        json_array_append_new(list, json_pack("{s:i,s:s,s:i,s:s,s:{s:i}}", "cpu-index", (int)i, "qom-path", path,
                                              "thread-id", __atomic_load_n(&vmm->cpu[i]->tid, __ATOMIC_RELAXED),
                                              "target", "x86_64", "props", "core-id", (int)i));
    }
    return json_pack("{s:o}", "return", list);
}

/* ---- human-monitor-command ---- */

struct line {
    struct vmm *vmm;
    unsigned cpu;
    bool all;
    FILE *out;
};

static void info_registers(struct line *l)
{
    bool held = vmm_hold(l->vmm);

    for (unsigned i = l->all ? 0 : l->cpu; i < (l->all ? l->vmm->cpus : l->cpu + 1); i++) {
        fprintf(l->out, "\r\nCPU#%u\r\n", i);
        registers_print(l->vmm->cpu[i], l->out);
    }
    vmm_let_go(l->vmm, held);
}

static void info_cpus(struct line *l)
{
    for (unsigned i = 0; i < l->vmm->cpus; i++)
        fprintf(l->out, "%c CPU #%u: thread_id=%d\r\n", i == l->cpu ? '*' : ' ', i,
                __atomic_load_n(&l->vmm->cpu[i]->tid, __ATOMIC_RELAXED));
}

static void info_status(struct line *l)
{
    static const char *const words[] = {[RUN_PRELAUNCH] = "paused (prelaunch)",
                                        [RUN_RUNNING] = "running",
                                        [RUN_PAUSED] = "paused",
                                        [RUN_BROKEN] = "paused (internal-error)"};
    fprintf(l->out, "VM status: %s\r\n", words[l->vmm->state]);
}

static void info_name(struct line *l)
{
    fprintf(l->out, "%s\r\n", l->vmm->name);
}

static void info_version(struct line *l)
{
    OWN(json) json_t *version = qmp_version();

    fprintf(l->out, "7.2.0%s\r\n", json_string_value(json_object_get(version, "package")));
}

static void info_kvm(struct line *l)
{
    fputs("kvm support: enabled\r\n", l->out);
}

static void help(struct line *l);

static const struct {
    const char *words, *help;
    void (*run)(struct line *line);
} lines[] = {
    {"info registers", "[-a] -- the CPU's registers (-a: of all)", info_registers},
    {"info cpus", "-- the CPUs", info_cpus},
    {"info status", "-- whether the CPUs run", info_status},
    {"info name", "-- the machine's name", info_name},
    {"info version", "-- what this is a version of", info_version},
    {"info kvm", "-- that KVM is used", info_kvm},
    {"help", "-- this list", help},
};

static void help(struct line *l)
{
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        fprintf(l->out, "%s %s\r\n", lines[i].words, lines[i].help);
}

/* Words apart by one blank, and "-a" taken out. */
static void read_words(const char *from, char *to, size_t bytes, bool *ret_all)
{
    size_t used = 0;

    *to = '\0';
    *ret_all = false;
    for (size_t n; *(from += strspn(from, " \t\r\n")); from += n) {
        n = strcspn(from, " \t\r\n");
        if (n == 2 && memcmp(from, "-a", 2) == 0)
            *ret_all = true;
        else
            used += (size_t)snprintf(to + used, used < bytes ? bytes - used : 0, "%s%.*s", used ? " " : "",
                                     n < bytes ? (int)n : (int)bytes, from);
        if (used >= bytes)
            used = bytes - 1;
    }
}

static json_t *monitor_line(struct vmm *vmm, const json_t *arguments)
{
    const json_t *index = json_object_get(arguments, "cpu-index");
    const char *text = json_string_value(json_object_get(arguments, "command-line"));
    json_int_t cpu = index ? json_integer_value(index) : 0;
    OWN(memory) char *answer = NULL;
    char words[64];
    size_t bytes = 0, i = 0;

    if (cpu < 0 || cpu >= (json_int_t)vmm->cpus)
        return qmp_error("GenericError", "Parameter 'cpu-index' expects a CPU number");
    struct line line = {.vmm = vmm, .cpu = (unsigned)cpu, .out = open_memstream(&answer, &bytes)};
    if (!line.out)
        return qmp_error("GenericError", "out of memory");
    read_words(text, words, sizeof words, &line.all);
    while (i < sizeof lines / sizeof *lines && strcmp(lines[i].words, words) != 0)
        i++;
    if (i < sizeof lines / sizeof *lines)
        lines[i].run(&line);
    else if (*words)
        fprintf(line.out, "unknown command: '%s'\r\n", words);
    fclose(line.out);
    return json_pack("{s:s}", "return", answer);
}

static json_t *press_button(struct vmm *vmm)
{
    vmm_lock_devices(vmm);
    power_press(&vmm->power);
    vmm_unlock_devices(vmm);
    return json_pack("{s:{}}", "return");
}

static json_t *send_nmis(struct vmm *vmm)
{
    for (unsigned i = 0; i < vmm->cpus; i++)
        vmm_nmi(vmm, i);
    return json_pack("{s:{}}", "return");
}

json_t *monitor_answer(struct vmm *vmm, enum qmp_query query, const json_t *arguments)
{
    switch (query) {
    case QMP_CPUS:
        return cpus(vmm);
    case QMP_STATS:
        return stats_answer(vmm, arguments);
    case QMP_MONITOR:
        return monitor_line(vmm, arguments);
    case QMP_NMI:
        return send_nmis(vmm);
    case QMP_POWERDOWN:
        return press_button(vmm);
    case QMP_DUMP:
        return dump_answer(vmm, arguments);
    }
    return qmp_error("GenericError", "nothing answers this");
}
