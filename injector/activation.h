/* Whether the guest uses what an injection has changed (docs/campaigns.md): code is executed, data are read before they
 * are written over. Reads by the scrubber do not count: that looks at everything. It is also where instructions are
 * skipped. */
#pragma once
#include "injector/exact.h"

struct activation {
    struct exact_touch touch; /* for exact_watch */
    bool known;               /* false: there are more places than can be watched, or the CPU reads them itself */
    bool used;
    const struct inject_target *target; /* borrowed, like the injection */
    struct injection *injection;
};

/* Call before the injection. What `ret_activation` points to must stay where it is. */
void activation_begin(struct activation *ret_activation, const struct inject_target *target, const struct view *view,
                      struct injection *injection);
