/* See figure_each.h. */
#include "tests/guest/figure_each/figure_each.h"
#include "tests/guest/figure_c/figure_c.h"
#include "tests/guest/figure_once/figure_once.h"

CELL("figure_each", LIBRARY, 1);
PER_NAMESPACE();
EXPORT(figure_each, APPLICATION);

static uint64_t count;

uint64_t figure_each(void)
{
    return __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
}

static enum err figure_each_init(void)
{
    if (figure_once_refuses())
        return ERR_REFUSED;
    count = figure_c_more() ? 100 : 0;
    figure_once_count(true);
    return ERR_OK;
}
INIT(figure_each_init);

static enum err figure_each_done(void)
{
    figure_once_count(false);
    return ERR_OK;
}
DONE(figure_each_done);
