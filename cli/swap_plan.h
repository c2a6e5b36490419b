/* The plan of a dry run, for people and for scripts. Leaves out how the guest is asked. */
#pragma once
#include <stdint.h>
#include "guest/abi/plan.h"

struct json_t;

struct swap_plan {
    struct plan_item *item; /* owned */
    uint32_t items, lost;   /* lost: further items, for which the mailbox had no room */
};

void swap_plan_print(const struct swap_plan *plan); /* as a table for each kind of item */
struct json_t *
swap_plan_json(const struct swap_plan *plan); /* as an object with an array for each kind; owned by the caller */
void swap_plan_done(struct swap_plan *plan);
