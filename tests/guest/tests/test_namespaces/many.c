/* Fifty namespaces with cells of their own come and go: the frames that are missing then are those that the heap keeps
 * for the next block of each size, and nothing else. */
#include "cells/core/frame/frame.h"
#include "cells/core/page/page.h"
#include "cells/lib/format/format.h"
#include "cells/memory/heap/heap.h"
#include "tests/guest/tests/test_namespaces/test_namespaces.h"

#define TIMES   5
#define AT_ONCE 10 /* there is room for 15, the root among them */

static void come_and_go(const struct testing *test)
{
    struct namespace_ref child[AT_ONCE];
    char name[16];

    for (int i = 0; i < TIMES; i++) {
        for (unsigned k = 0; k < AT_ONCE; k++) {
            format_print(name, sizeof name, "many%u", k);
            child[k] = branch(test, NAMESPACE_ROOT, name);
            testing_need(test, CHANGE(child[k], figure_c_v2, 0) == ERR_OK);
        }
        for (unsigned k = 0; k < AT_ONCE; k++)
            remove(test, child[k]);
    }
    forget();
}

/* Page tables are never freed, and count as free. */
static uint64_t free_frames(void)
{
    heap_trim();
    return frame_free_count() + page_own_frames();
}

void many_come_and_go(const struct testing *test)
{
    come_and_go(test);
    uint64_t frames = free_frames();
    come_and_go(test);
    testing_need(test, testing_await(free_frames() >= frames));
}
