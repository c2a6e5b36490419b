/* See domain.h. */
#include "vmm/machine/domain.h"
#include "introspect/base/json.h"
#include "vmm/machine/backend.h"
#include "vmm/machine/error.h"
#include "vmm/machine/qmp.h"
#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct domain {
    virConnectPtr connection;
    virDomainPtr handle;
};

/* libvirt would print each error by itself, and again. */
static void say_nothing(void *data, virErrorPtr error)
{
    (void)data;
    (void)error;
}

static void prepare_library(void)
{
    virSetErrorFunc(NULL, say_nothing);
}

/* What libvirt says went wrong, after what was tried. */
static enum err refuse(enum err code, const char *what)
{
    return machine_fail(code, "%s: libvirt: %s", what, virGetLastErrorMessage());
}

static enum err connect_to(const char *uri, struct domain **ret_domain)
{
    static pthread_once_t prepared = PTHREAD_ONCE_INIT;
    OWN(domain) struct domain *d = calloc(1, sizeof *d);

    if (!d)
        return machine_fail(ERR_NOMEM, "out of memory");
    pthread_once(&prepared, prepare_library);
    d->connection = virConnectOpen(uri);
    if (!d->connection)
        return refuse(ERR_IO, uri);
    const char *type = virConnectGetType(d->connection);
    if (!type || strcasecmp(type, "QEMU") != 0)
        return machine_fail(ERR_UNSUPPORTED,
                            "%s: %s has no machines for this guest; use qemu:///session or another of QEMU", uri,
                            type ? type : "libvirt");
    *ret_domain = MOVE(d);
    return ERR_OK;
}

void domain_close(struct domain *d)
{
    if (!d)
        return;
    if (d->handle)
        virDomainFree(d->handle);
    if (d->connection)
        virConnectClose(d->connection);
    free(d);
}

enum err domain_open(const struct machine_info *info, struct domain **ret_domain)
{
    OWN(domain) struct domain *d = NULL;
    enum err e = connect_to(info->connect, &d);

    if (!d)
        return e;
    d->handle = virDomainLookupByUUIDString(d->connection, info->domain);
    if (!d->handle)
        return refuse(virGetLastErrorCode() == VIR_ERR_NO_DOMAIN ? ERR_NOT_FOUND : ERR_IO, info->connect);
    *ret_domain = MOVE(d);
    return ERR_OK;
}

/* ---- finding, starting, ending ---- */

/* Where QEMU puts more than that is its machine type's. */
static enum err check_ram(const char *name, uint64_t bytes)
{
    if (bytes > UINT64_C(2) << 30)
        return machine_fail(ERR_UNSUPPORTED, "domain '%s' has %llu bytes of RAM; at most 2G can be had under libvirt",
                            name, (unsigned long long)bytes);
    return machine_check_ram(bytes);
}

static enum err fill_info(struct domain *d, const char *uri, struct machine_info *info)
{
    virDomainInfo of;
    const char *name = virDomainGetName(d->handle);

    if (snprintf(info->connect, sizeof info->connect, "%s", uri) >= (int)sizeof info->connect)
        return machine_fail(ERR_INVALID, "%.40s...: too long", uri);
    if (!name || virDomainGetUUIDString(d->handle, info->domain) != 0 || virDomainGetInfo(d->handle, &of) != 0)
        return refuse(ERR_IO, uri);
    if (virDomainIsActive(d->handle) != 1)
        return machine_fail(ERR_NOT_RUNNING, "domain '%s' does not run; 'virsh -c %s start %s' starts it", name, uri,
                            name);
    if (!info->name[0] && snprintf(info->name, sizeof info->name, "%s", name) >= (int)sizeof info->name)
        return machine_fail(ERR_INVALID, "domain '%s': too long a name for a machine; give one with --name", name);
    info->cpus = of.nrVirtCpu;
    info->ram_bytes = (uint64_t)of.maxMem << 10;
    if (info->cpus < 1 || info->cpus > MACHINE_CPUS_MAX)
        return machine_fail(ERR_UNSUPPORTED, "domain '%s' has %u CPUs; at most %d can be had", name, info->cpus,
                            MACHINE_CPUS_MAX);
    return check_ram(name, info->ram_bytes);
}

enum err domain_find(const char *uri, const char *word, struct machine_info *ret_info, struct domain **ret_domain)
{
    OWN(domain) struct domain *d = NULL;
    enum err e = connect_to(uri, &d);

    if (!d)
        return e;
    d->handle = virDomainLookupByName(d->connection, word);
    if (!d->handle)
        d->handle = virDomainLookupByUUIDString(d->connection, word);
    if (!d->handle)
        return machine_fail(ERR_NOT_FOUND, "%s has no domain '%s'; 'virsh -c %s list' lists them", uri, word, uri);
    e = fill_info(d, uri, ret_info);
    if (e == ERR_OK)
        *ret_domain = MOVE(d);
    return e;
}

static bool wants_kvm(const struct machine_config *c, struct machine_info *info)
{
    char why[sizeof info->why - 80] = "it was asked for";
    enum machine_backend accel = c->backend != MACHINE_AUTO ? c->backend : machine_probe(why, sizeof why);

    if (c->backend == MACHINE_AUTO && c->icount) {
        accel = MACHINE_TCG;
        strcpy(why, "icount needs it");
    }
    snprintf(info->why, sizeof info->why, "QEMU with %s: %s", machine_backend_name(accel), why);
    return accel == MACHINE_KVM;
}

/* Whether libvirt has a domain of that name, which it would not take a second time. */
static enum err check_free(struct domain *d, const struct machine_config *c)
{
    virDomainPtr other = virDomainLookupByName(d->connection, c->name);

    if (!other)
        return ERR_OK;
    virDomainFree(other);
    return machine_fail(ERR_EXISTS,
                        "%s has a domain '%s' already; 'delias attach' takes it if it runs, 'virsh -c %s undefine %s' "
                        "drops it, --name starts another",
                        c->connect, c->name, c->connect, c->name);
}

enum err domain_start(const struct machine_config *c, struct machine_info *info, struct domain **ret_domain)
{
    OWN(domain) struct domain *d = NULL;
    OWN(memory) char *xml = domain_xml(c, info, wants_kvm(c, info));
    enum err e = check_ram(c->name, c->ram_bytes);

    if (e == ERR_OK)
        e = xml ? connect_to(c->connect, &d) : machine_fail(ERR_NOMEM, "out of memory");
    if (!d)
        return e;
    e = check_free(d, c);
    if (e != ERR_OK)
        return e;
    strcpy(info->connect, c->connect);
    d->handle = virDomainDefineXML(d->connection, xml);
    if (!d->handle)
        return refuse(ERR_REFUSED, c->connect);
    if (virDomainGetUUIDString(d->handle, info->domain) == 0 &&
        virDomainCreateWithFlags(d->handle, c->paused ? VIR_DOMAIN_START_PAUSED : 0) == 0) {
        *ret_domain = MOVE(d);
        return ERR_OK;
    }
    e = refuse(ERR_INIT_FAILED, c->connect);
    (void)virDomainUndefine(d->handle);
    return e;
}

enum err domain_end(struct domain *d, bool forget)
{
    enum { ALL = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA };

    if (virDomainIsActive(d->handle) == 1 && virDomainDestroy(d->handle) != 0 && virDomainIsActive(d->handle) == 1)
        return refuse(ERR_BUSY, virDomainGetName(d->handle));
    if (forget && virDomainIsPersistent(d->handle) == 1 && virDomainUndefineFlags(d->handle, ALL) != 0)
        return refuse(ERR_REFUSED, virDomainGetName(d->handle));
    return ERR_OK;
}

/* ---- its monitor ---- */

static enum err ask_monitor(struct domain *d, const char *command, unsigned flags, char **ret_answer)
{
    if (virDomainQemuMonitorCommand(d->handle, command, ret_answer, flags) == 0 && *ret_answer)
        return ERR_OK;
    return refuse(ERR_REFUSED, virDomainGetName(d->handle));
}

enum err domain_qmp(struct domain *d, const char *command, json_t *arguments, json_t **ret_value)
{
    OWN(json) json_t *message = json_pack("{s:s,s:o*}", "execute", command, "arguments", arguments), *body = NULL;
    OWN(memory) char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    enum qmp_kind kind = QMP_ERROR;

    if (!text)
        return machine_fail(ERR_NOMEM, "out of memory");
    OWN(memory) char *answer = NULL;
    enum err e = ask_monitor(d, text, 0, &answer);
    if (e == ERR_OK && answer)
        e = qmp_parse(answer, strlen(answer), &kind, &body);
    if (e != ERR_OK)
        return e;
    const char *why = kind == QMP_ERROR ? json_string_value(json_object_get(body, "desc")) : NULL;
    if (kind != QMP_RETURN)
        return machine_fail(ERR_REFUSED, "domain '%s': %s: %s", virDomainGetName(d->handle), command,
                            why ? why : "no answer");
    if (ret_value)
        *ret_value = MOVE(body);
    return ERR_OK;
}

static enum err ask_whether_it_runs(struct domain *d, bool *ret_runs)
{
    OWN(json) json_t *status = NULL;
    enum err e = domain_qmp(d, "query-status", NULL, &status);

    if (e == ERR_OK)
        *ret_runs = json_is_true(json_object_get(status, "running"));
    return e;
}

/* What libvirt believes may be older than a stop by the GDB stub: then its call does nothing, or fails. */
enum err domain_steer(struct domain *d, bool run)
{
    bool runs = false;
    enum err e = ask_whether_it_runs(d, &runs);

    if (e != ERR_OK || runs == run)
        return e;
    int failed = run ? virDomainResume(d->handle) : virDomainSuspend(d->handle);
    e = ask_whether_it_runs(d, &runs);
    if (e != ERR_OK || (!failed && runs == run))
        return e;
    return domain_qmp(d, run ? "cont" : "stop", NULL, NULL);
}

enum err domain_reset(struct domain *d)
{
    return virDomainReset(d->handle, 0) == 0 ? ERR_OK : refuse(ERR_REFUSED, virDomainGetName(d->handle));
}

bool domain_serve_gdb(struct domain *d, const char *path)
{
    char command[MACHINE_PATH_MAX + 64] = "gdbserver none";
    OWN(memory) char *answer = NULL;

    if (path)
        snprintf(command, sizeof command, "gdbserver unix:%s,server=on,wait=off", path);
    enum err e = ask_monitor(d, command, VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP, &answer);
    return e == ERR_OK && path && access(path, F_OK) == 0;
}

int domain_console(struct domain *d)
{
    OWN(json) json_t *devices = NULL;
    json_t *device;
    size_t i;

    if (domain_qmp(d, "query-chardev", NULL, &devices) != ERR_OK)
        return -1;
    json_array_foreach(devices, i, device)
    {
        const char *label = json_string_value(json_object_get(device, "label"));
        const char *file = json_string_value(json_object_get(device, "filename"));
        if (!label || !file || strcmp(label, "charserial0") != 0 || strncmp(file, "pty:/dev/", 9) != 0)
            continue;
        int fd = open(file + 4, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
            (void)machine_fail(ERR_IO, "%s: %s", file + 4, strerror(errno));
        return fd;
    }
    (void)machine_fail(ERR_UNSUPPORTED, "domain '%s': its first serial line is no terminal (<serial type='pty'/>)",
                       virDomainGetName(d->handle));
    return -1;
}

enum err domain_peek(struct domain *d, uint64_t gpa, void *ret_bytes, size_t count)
{
    enum { CHUNK = 1 << 20 };

    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < CHUNK ? count - done : CHUNK;
        if (virDomainMemoryPeek(d->handle, gpa + done, n, (char *)ret_bytes + done, VIR_MEMORY_PHYSICAL) != 0)
            return refuse(ERR_IO, virDomainGetName(d->handle));
    }
    return ERR_OK;
}
