/* A child gives B and the application, its own, up for its parent's while its tasks run in them, and their memory comes
 * back; then it lacks the application, and inherits it again. */
#include "cells/evolve/namespace/namespace.h"
#include "cells/evolve/swap/swap.h"
#include "cells/lib/string/string.h"
#include "cells/task/application/application.h"
#include "cells/task/scheduler/scheduler.h"
#include "tests/guest/fixtures/figure_once/figure_once.h"
#include "tests/guest/tests/test_namespaces/test_namespaces.h"

static const char *const names[] = {"figure_b", "figure_app"};

/* `inherits`: the parent's take the place of the cells; else nothing does. */
static enum err give_up(struct namespace_ref namespace_, size_t count, bool inherits)
{
    GUARD(loader) locked = loader_hold();
    struct swap_order order = {.namespace_ = namespace_};

    for (size_t i = 0; i < count; i++) {
        struct cell_ref there = namespace_cell(namespace_, names[array_size(names) - 1 - i]);
        if (there.index)
            order.old[order.olds++] = there;
        struct cell_ref roots = namespace_cell(NAMESPACE_ROOT, names[array_size(names) - 1 - i]);
        if (inherits)
            order.object[order.objects++] = arena_cell(roots)->object;
    }
    order.inherits = order.objects;
    return namespace_swap(&order, &report);
}

static bool holds_any(struct namespace_ref namespace_)
{
    for_each_cell (i)
        if (arena_cell(i)->state != CELL_FREE && same(arena_cell(i)->namespace_, namespace_))
            return true;
    return false;
}

static void lacking(const struct testing *test, struct namespace_ref child)
{
    const char *app = "figure_app";
    struct task *task;

    testing_need(test, give_up(child, 1, false) == ERR_OK && !namespace_cell(child, app).index);
    testing_need(test, application_run_in(child, app, 1, &app, &task, &report) == ERR_NOT_FOUND);
    testing_need(test, string_starts(report.text, "back lacks figure_app"));
    testing_need(test, run(test, NAMESPACE_ROOT) == 1);
    testing_need(test, give_up(child, 1, true) == ERR_OK && run(test, child) == 1);
}

void taken_back(const struct testing *test)
{
    struct namespace_ref child = branch(test, NAMESPACE_ROOT, "back");
    struct task *task[2];

    testing_need(test, CHANGE(child, figure_b_v2, 0) == ERR_OK && !is_shared(child, NAMESPACE_ROOT, "figure_b"));
    figure_once_expect(2);
    for (unsigned i = 0; i < 2; i++)
        task[i] = start(test, child, i ? "1" : "0", "100000");
    while (!figure_once_met())
        scheduler_sleep_ns(WAIT_NS);
    testing_need(test, give_up(child, 2, true) == ERR_OK);
    testing_need(test, is_shared(child, NAMESPACE_ROOT, "figure_b"));
    for (unsigned i = 0; i < 2; i++)
        (void)outcome(test, task[i]); /* which has seen results change */
    testing_need(test, run(test, child) == 1 && figure_once_noted(0).of_b == 7);
    testing_need(test, testing_await(!holds_any(child)));
    lacking(test, child);
    testing_need(test, !holds_any(child));
    remove(test, child);
}
