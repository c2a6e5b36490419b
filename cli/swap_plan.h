/* The plan of a dry run, for people and for scripts. Leaves out how the guest is asked. */
#pragma once
#include <stdint.h>
#include "guest/abi/plan.h"

struct json_t;

struct swap_plan {
    struct plan_item *item; /* owned */
    uint32_t items, lost;   /* lost: there were so many more than the mailbox holds */
};

void swap_plan_print(const struct swap_plan *plan);          /* a table for each kind of item that there is */
struct json_t *swap_plan_json(const struct swap_plan *plan); /* an object with an array for each kind; the caller's */
void swap_plan_done(struct swap_plan *plan);
