/* What QMP asks of the machine: its vCPUs, their registers as text, what it counts, NMIs, the power button, a dump. */
#pragma once
#include <jansson.h>
#include "vmm/qmp.h"
#include "vmm/vmm.h"

/* The whole answer to `query`, whose `arguments` fit it. From the main thread. */
json_t *monitor_answer(struct vmm *vmm, enum qmp_query query, const json_t *arguments) EXCLUDES(devices_role)
    EXCLUDES(state_role);
