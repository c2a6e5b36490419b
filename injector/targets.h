/* Whether the targets of a campaign can be there, as far as the machine file and its archive tell without a guest.
 * What a guest has loaded, and which tasks run there by then, is seen when it runs. */
#pragma once
#include "injector/plan.h"

/* ERR_NOT_FOUND, ERR_RANGE: a target is not there, which `why` says with the name of the file, the line and the key; or
 * what is wrong with the archive. A machine without an archive passes. */
enum err targets_check(const char *name, const struct plan *plan, struct why *why);
