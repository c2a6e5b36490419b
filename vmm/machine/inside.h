/* An open machine as the files of this library see it, and what they do differently for a domain of libvirt. */
#pragma once
#include "vmm/machine/domain.h"
#include "vmm/machine/fair_lock.h"
#include "vmm/machine/machine.h"

struct machine {
    struct machine_info info;
    struct fair_lock lock; /* in the line for the request ring */
    struct domain *domain; /* NULL until something was asked of libvirt */
};

struct machine *machine_new(const struct machine_info *info); /* NULL: no memory */

/* rundir_read, and for a domain that runs in another process than before, what is so now. */
enum err machine_read(const char *name, struct machine_info *ret_info);
/* Its domain, borrowed. ERR_NOT_FOUND, ERR_IO: as domain_open. */
enum err machine_domain(struct machine *machine, struct domain **ret_domain);
/* Makes the folder, clearing away what an ended machine left. The caller holds the lock of its name. */
enum err machine_claim_folder(const struct machine_info *info);

/* Starts a domain, finds its process, writes its description. On failure neither is left, only the folder. */
enum err machine_launch_domain(const struct machine_config *config, struct machine_info *info);
/* Ends the domain of such a machine. One that libvirt has no more, or that ended while libvirt is away, is ended. */
enum err machine_end_domain(const struct machine_info *info);
enum err machine_steer_domain(struct machine *machine, bool run);
/* Sees to it that a domain that was started again serves its GDB stub. */
enum err machine_renew_stub(struct machine *machine);
