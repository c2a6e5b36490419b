/* A swap in a child of a set of which it holds a part: B and the application are its own, C and its user inherited, and
 * its tasks run in all of them meanwhile. What is refused changes nothing. */
#include "cells/core/lifecycle/lifecycle.h"
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/swap/swap.h"
#include "cells/task/scheduler/scheduler.h"
#include "tests/guest/fixtures/figure_once/figure_once.h"
#include "tests/guest/tests/test_namespaces/test_namespaces.h"

static enum err keep(const void *data, size_t bytes, struct swap_order *order)
{
    enum err e = lifecycle_keep_object(data, bytes, &order->object[order->objects], &report);

    order->objects += !e;
    return e;
}

/* B and C in one order. */
static enum err swap_both_in(struct namespace_ref namespace_, const void *b, size_t b_bytes, const void *c,
                             size_t c_bytes)
{
    GUARD(loader) locked = loader_hold();
    struct swap_order order = {.namespace_ = namespace_, .olds = 2};
    enum err e = keep(b, b_bytes, &order);

    if (!e)
        e = keep(c, c_bytes, &order);
    order.old[0] = namespace_cell(namespace_, "figure_b");
    order.old[1] = namespace_cell(namespace_, "figure_c");
    if (!e)
        e = namespace_swap(&order, &report);
    for (size_t i = 0; i < order.objects && e; i++)
        loader_drop_object(order.object[i]);
    return e;
}

#define BOTH(namespace_, b, c)                                                                                         \
    swap_both_in(namespace_, object_##b, (size_t)(object_##b##_end - object_##b), object_##c,                          \
                 (size_t)(object_##c##_end - object_##c))

void held_in_part(const struct testing *test)
{
    uint64_t roots = place_of(NAMESPACE_ROOT, "figure_c");
    struct namespace_ref child = branch(test, NAMESPACE_ROOT, "part");
    struct task *task[2];

    testing_need(test, CHANGE(child, figure_b_v2, 0) == ERR_OK);
    uint64_t app = place_of(child, "figure_b");
    testing_need(test, BOTH(child, figure_b, figure_c_v3) == ERR_UNRESOLVED && place_of(child, "figure_b") == app);
    testing_need(test, BOTH(child, figure_b, figure_c_v4) == ERR_REFUSED && place_of(child, "figure_b") == app);
    testing_need(test, is_shared(child, NAMESPACE_ROOT, "figure_c") && is_shared(child, NAMESPACE_ROOT, "figure_user"));
    figure_once_expect(2);
    for (unsigned i = 0; i < 2; i++)
        task[i] = start(test, child, i ? "1" : "0", "100000");
    while (!figure_once_met())
        scheduler_sleep_ns(WAIT_NS);
    testing_need(test, BOTH(child, figure_b, figure_c_v2) == ERR_OK && report.relocations);
    testing_need(test,
                 !is_shared(child, NAMESPACE_ROOT, "figure_user") && place_of(NAMESPACE_ROOT, "figure_c") == roots);
    for (unsigned i = 0; i < 2; i++)
        (void)outcome(test, task[i]); /* which has seen results change */
    testing_need(test, run(test, child) == 1000 && figure_once_noted(0).of_b == 7);
    testing_need(test, run(test, NAMESPACE_ROOT) == 1 && figure_once_noted(0).of_b == 7);
    testing_need(test, BOTH(child, figure_b_v2, figure_c) == ERR_OK); /* all of it is the child's by now */
    testing_need(test, run(test, child) == 1 && figure_once_noted(0).of_b == 70);
    remove(test, child);
}
