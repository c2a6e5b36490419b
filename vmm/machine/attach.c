/* Machines that libvirt runs: taken over, given up, started, ended. See inside.h and domain.h. */
#include "introspect/base/own.h"
#include "vmm/machine/domain_process.h"
#include "vmm/machine/error.h"
#include "vmm/machine/inside.h"
#include "vmm/machine/process.h"
#include "vmm/machine/rundir.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum err machine_read(const char *name, struct machine_info *ret_info)
{
    struct machine_info info;
    enum err e = rundir_read(name, &info);

    if (e != ERR_OK)
        return e;
    *ret_info = info;
    if (info.connect[0] && !process_is(info.pid, info.started) && domain_process_find(&info) == ERR_OK)
        *ret_info = info;
    return ERR_OK;
}

enum err machine_domain(struct machine *machine, struct domain **ret_domain)
{
    enum err e = machine->domain ? ERR_OK : domain_open(&machine->info, &machine->domain);

    if (e == ERR_OK)
        *ret_domain = machine->domain;
    return e;
}

/* Finds the process, has it serve a GDB stub, and writes all that down. */
static enum err describe(struct domain *domain, struct machine_info *info)
{
    char why[sizeof info->why];

    snprintf(why, sizeof why, "%s", info->why);
    info->qmp[0] = info->control[0] = info->console[0] = info->log[0] = '\0';
    enum err e = domain_process_find(info);
    if (e != ERR_OK)
        return e;
    if (info->ram_file[0])
        strcpy(info->why, why);
    if (!domain_serve_gdb(domain, info->gdb))
        info->gdb[0] = '\0';
    return rundir_write(info);
}

enum err machine_launch_domain(const struct machine_config *config, struct machine_info *info)
{
    OWN(domain) struct domain *domain = NULL;
    char failure[600];
    enum err e = domain_start(config, info, &domain);

    if (e != ERR_OK)
        return e;
    e = describe(domain, info);
    if (e == ERR_OK)
        return ERR_OK;
    snprintf(failure, sizeof failure, "%s", machine_last_error());
    enum err ended = domain_end(domain, true);
    return machine_fail(e, "%s%s", failure, ended == ERR_OK ? "" : "; and its domain could not be ended");
}

enum err machine_end_domain(const struct machine_info *info)
{
    OWN(domain) struct domain *domain = NULL;
    enum err e = domain_open(info, &domain);

    if (e == ERR_NOT_FOUND || (e != ERR_OK && !process_is(info->pid, info->started)))
        return ERR_OK;
    return e == ERR_OK ? domain_end(domain, !info->attached) : e;
}

enum err machine_steer_domain(struct machine *machine, bool run)
{
    struct domain *domain;
    enum err e = machine_domain(machine, &domain);

    return e == ERR_OK ? domain_steer(domain, run) : e;
}

enum err machine_renew_stub(struct machine *machine)
{
    struct domain *domain;
    enum err e = machine_domain(machine, &domain);

    if (e == ERR_OK && !domain_serve_gdb(domain, machine->info.gdb))
        e = machine_fail(ERR_UNSUPPORTED, "domain '%s': QEMU does not serve its GDB stub at %s", machine->info.name,
                         machine->info.gdb);
    return e;
}

enum err machine_attach(const char *uri, const char *word, const char *name, struct machine **ret_machine)
{
    OWN(domain) struct domain *domain = NULL;
    struct machine_info info = {.backend = MACHINE_LIBVIRT, .attached = true, .why = "it was attached to"};

    if (name && snprintf(info.name, sizeof info.name, "%s", name) >= (int)sizeof info.name)
        return machine_fail(ERR_INVALID, "machine name '%.40s': at most %d characters", name, MACHINE_NAME_MAX);
    enum err e = domain_find(uri, word, &info, &domain);
    if (e == ERR_OK)
        e = rundir_check_name(info.name);
    if (e == ERR_OK)
        e = rundir_fill_paths(&info);
    if (e != ERR_OK)
        return e;
    info.serial[0] = '\0';
    OWN(descriptor) int lock = rundir_lock(info.name);
    if (lock < 0)
        return ERR_IO;
    e = machine_claim_folder(&info);
    if (e != ERR_OK)
        return e;
    e = describe(domain, &info);
    *ret_machine = e == ERR_OK ? machine_new(&info) : NULL;
    if (e != ERR_OK)
        rundir_clear(&info);
    else if (!*ret_machine)
        e = machine_fail(ERR_NOMEM, "out of memory");
    return e;
}

enum err machine_detach(const char *name)
{
    OWN(domain) struct domain *domain = NULL;
    struct machine_info info;
    OWN(descriptor) int lock = rundir_lock(name);
    enum err e = lock < 0 ? ERR_IO : machine_read(name, &info);

    if (e != ERR_OK)
        return e;
    if (!info.attached)
        return machine_fail(ERR_REFUSED, "machine '%s' was started by 'delias run'; 'delias stop %s' ends it", name,
                            name);
    if (info.gdb[0] && process_is(info.pid, info.started) && domain_open(&info, &domain) == ERR_OK)
        (void)domain_serve_gdb(domain, NULL);
    return rundir_remove(&info);
}
