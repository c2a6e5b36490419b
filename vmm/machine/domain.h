/* Machines that libvirt runs: all that is asked of libvirt's library. A domain is QEMU, so its RAM, its monitor and its
 * GDB stub are what they are without libvirt; it is steered by libvirt, so that its other clients know. */
#pragma once
#include <jansson.h>
#include "vmm/machine/machine.h"

struct domain; /* a connection, and a domain there. For one thread. */

void domain_close(struct domain *domain); /* accepts NULL */
OWNABLE(domain, domain_close)

/* The domain of a machine. ERR_NOT_FOUND: libvirt has none any more. ERR_IO: no connection. */
enum err domain_open(const struct machine_info *info, struct domain **ret_domain);
/* Finds a running domain by its name or UUID; fills `connect`, `domain`, `cpus`, `ram_bytes` of ret_info and, if that
 * is empty, `name`. ERR_NOT_RUNNING: it is defined only. */
enum err domain_find(const char *uri, const char *word, struct machine_info *ret_info, struct domain **ret_domain);
/* Defines a domain of this configuration and starts it; fills `connect`, `domain` and `why`. ERR_EXISTS: libvirt has
 * one of that name, which is left as it is. On failure nothing is left. */
enum err domain_start(const struct machine_config *config, struct machine_info *info, struct domain **ret_domain);
/* Ends it if it runs; with `forget`, libvirt also drops its definition. */
enum err domain_end(struct domain *domain, bool forget);

/* A command for QEMU's monitor, as qmp_command. `arguments` is consumed. */
enum err domain_qmp(struct domain *domain, const char *command, json_t *arguments, json_t **ret_value);
/* Lets its CPUs run, or halts them; does nothing where they do so already. */
enum err domain_steer(struct domain *domain, bool run);
/* Its devices and CPUs are as at power-on; RAM is as it was. */
enum err domain_reset(struct domain *domain);

/* Has QEMU serve its GDB stub at this socket; false: it does not, since it may not write there. Without a path it
 * serves none any more. */
bool domain_serve_gdb(struct domain *domain, const char *path);
/* Opens its first serial line, a terminal on this host. A descriptor, or -1 with machine_last_error. */
int domain_console(struct domain *domain);
/* Copies guest-physical memory by way of the monitor, which is slow. */
enum err domain_peek(struct domain *domain, uint64_t gpa, void *ret_bytes, size_t count);

/* The XML of a domain. Free with free(). NULL: no memory. */
char *domain_xml(const struct machine_config *config, const struct machine_info *info, bool kvm);
